//! `amiwall help`: the commands, and the documentation of this very version, which is compiled in from `docs/`.

mod markdown;
mod roff;
mod show;

use std::io::IsTerminal as _;

use clap::CommandFactory as _;

use self::markdown::{Block, parse, section};
use self::show::{Style, columns, show};
use super::{Cli, Exit, Failure, out, say_coloured};

/// How wide a text is at most, and where there is no terminal.
const WIDTH: usize = 100;

/// Each page by its name in `docs/`.
macro_rules! pages {
    ($($name:literal),* $(,)?) => {
        const PAGES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../../docs/", $name, ".md")))),*];
    };
}

pages![
    "architecture",
    "audit-elsewhere",
    "audit-format",
    "audit-privacy",
    "audit-report",
    "audit-search",
    "clients",
    "commands",
    "crm-originate",
    "deployment",
    "doctor",
    "faq",
    "first-policy",
    "from-manager-conf",
    "getting-started",
    "import",
    "incident",
    "limits",
    "metrics",
    "operations",
    "policies",
    "reason-codes",
    "recipes",
    "reference",
    "replace-ssh-tunnel",
    "rollout",
    "threat-model",
    "web",
    "who-made-this-call",
];

/// All topics; a section of `""` is the whole page.
const TOPICS: &[Topic] = &[
    ("getting-started", "ten minutes from nothing to a client that works", "getting-started", ""),
    ("first-policy", "a first policy, step by step", "first-policy", ""),
    ("crm-originate", "let my CRM place calls and nothing else", "crm-originate", ""),
    ("ssh-tunnel", "replace an SSH tunnel", "replace-ssh-tunnel", ""),
    ("from-manager-conf", "move from a manager.conf", "from-manager-conf", ""),
    ("who-called", "prove who made a call", "who-made-this-call", ""),
    ("operations", "reload, rotate, upgrade, back up, move, incidents", "operations", ""),
    ("faq", "questions that come again", "faq", ""),
    ("reference", "all of the policy: keys, patterns, judging, events, rates", "reference", ""),
    ("policy", "every key of the policy", "reference", "The policy file"),
    ("patterns", "what a value in a rule matches", "reference", "Patterns"),
    ("judging", "how an action is judged", "reference", "How an action is judged"),
    ("events", "what a client sees, and masks", "reference", "Events and masks"),
    ("limits", "rates, quotas, hours, calls at once", "limits", ""),
    ("shadow", "try a policy before it is enforced", "reference", "Shadow mode"),
    ("differences", "what is not as with a bare Asterisk", "reference", "Differences from a bare Asterisk"),
    ("tests", "tests of a policy", "commands", "Tests of a policy"),
    ("warnings", "what `check` warns about", "commands", "What `check` warns about"),
    ("commands", "every command and option", "commands", ""),
    ("exit-codes", "what a command's exit code means", "commands", "Exit codes"),
    ("signals", "signals and reload", "commands", "Signals and reload"),
    ("reasons", "every reason code; `help reasons CODE`: one of them", "reason-codes", ""),
    ("recipes", "whole policies for common jobs", "recipes", ""),
    ("policies", "the shipped policies", "policies", ""),
    ("clients", "how each client connects, with TLS of its own or without", "clients", ""),
    ("findings", "what `doctor` finds, and what to do about it", "doctor", ""),
    ("incident", "calls run wild: what to do", "incident", ""),
    ("web", "the page for administrators", "web", ""),
    ("metrics", "Prometheus, Grafana, alerts, messages", "metrics", ""),
    ("deployment", "manager.conf, systemd, the sandbox", "deployment", ""),
    ("importing", "what becomes of a manager.conf", "import", ""),
    ("rollout", "from what clients do today to least privilege", "rollout", ""),
    ("audit-log", "the audit log's format, and how to verify it", "audit-format", ""),
    ("audit-search", "questions to the audit log", "audit-search", ""),
    ("audit-report", "the page for an auditor", "audit-report", ""),
    ("audit-privacy", "what the log hides; pseudonyms", "audit-privacy", ""),
    ("audit-elsewhere", "syslog, fail2ban, CrowdSec", "audit-elsewhere", ""),
    ("threat-model", "against whom it protects what", "threat-model", ""),
    ("architecture", "how amiwall is built", "architecture", ""),
];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A command or a topic; `reasons CODE` for one reason code. Without it: the list of both.
    #[arg(value_name = "COMMAND|TOPIC")]
    words: Vec<String>,
    /// Print the topic as the source of a man page of that name, section 5: for packages.
    #[arg(long, value_name = "NAME", hide = true)]
    roff: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    if let Some(name) = &args.roff {
        let topic = words.first().copied().unwrap_or_default();
        let found = find(topic)?;
        out(roff::page(name, found.1, &blocks(found)).trim_end());
        return Ok(Exit::Ok);
    }
    let style = style();
    let text = match words.as_slice() {
        [] => overview(style),
        ["reasons", code] => reason(code, style)?,
        words => match (command(words), words) {
            (Some(help), _) => help,
            (None, [name]) => topic(name, style)?,
            (None, _) => return Err(unknown(&words.join(" "))),
        },
    };
    say_coloured(&mut std::io::stdout(), text.trim_end());
    Ok(Exit::Ok)
}

fn style() -> Style {
    use rustix::termios::tcgetwinsize;
    let is_terminal = std::io::stdout().is_terminal();
    // Behind a pager's pipe the terminal is at the other ends.
    let size = tcgetwinsize(std::io::stdout())
        .or_else(|_| tcgetwinsize(std::io::stderr()))
        .or_else(|_| tcgetwinsize(std::io::stdin()));
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    Style { width: if columns == 0 { WIDTH } else { columns.clamp(40, WIDTH) }, is_terminal }
}

fn overview(style: Style) -> String {
    let mut cli = Cli::command();
    cli.build();
    let shown = cli.get_subcommands().filter(|command| !command.is_hide_set());
    let commands = shown.map(|command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        vec![command.get_name().to_owned(), about]
    });
    let topics = TOPICS.iter().map(|(name, about, ..)| vec![(*name).to_owned(), (*about).to_owned()]);
    let list = |title: &str, rows: Vec<Vec<String>>| {
        // One line each, however narrow the terminal is.
        let style = Style { width: usize::MAX, ..style };
        format!("{}\n{}", show(&[Block::Heading(2, title.to_owned())], style), columns(&rows, style))
    };
    let commands = list("Commands (amiwall help COMMAND)", commands.collect());
    format!("{commands}\n\n{}", list("Topics (amiwall help TOPIC)", topics.collect()))
}

/// The help of a command, as its `--help` prints it.
fn command(words: &[&str]) -> Option<String> {
    let mut command = Cli::command();
    command.build();
    let mut found = &mut command;
    for word in words {
        found = found.find_subcommand_mut(word)?;
    }
    Some(found.render_long_help().to_string())
}

fn page(name: &str) -> Vec<Block> {
    PAGES.iter().find(|(page, _)| *page == name).map(|(_, text)| parse(text)).unwrap_or_default()
}

fn topic(name: &str, style: Style) -> Result<String, Failure> {
    Ok(show(&blocks(find(name)?), style))
}

/// A topic: its name, what it answers, its page, and the section of it.
type Topic = (&'static str, &'static str, &'static str, &'static str);

fn find(name: &str) -> Result<&'static Topic, Failure> {
    TOPICS.iter().find(|(topic, ..)| topic.eq_ignore_ascii_case(name)).ok_or_else(|| unknown(name))
}

fn blocks(&(_, _, name, title): &Topic) -> Vec<Block> {
    if title.is_empty() { page(name) } else { section(page(name), title) }
}

fn unknown(name: &str) -> Failure {
    let begin = name.get(..3).unwrap_or(name);
    let near: Vec<&str> = TOPICS.iter().map(|(topic, ..)| *topic).filter(|topic| topic.starts_with(begin)).collect();
    let hint = if near.is_empty() { String::new() } else { format!(" (perhaps: {})", near.join(", ")) };
    let message = format!("there is no command and no topic `{name}`{hint}; `amiwall help` lists them");
    Failure { exit: Exit::Usage, message }
}

/// One reason code with what stands about it, or all that begin so.
fn reason(code: &str, style: Style) -> Result<String, Failure> {
    let mut head: Vec<String> = Vec::new();
    let mut shown = Vec::new();
    for block in page("reason-codes") {
        let Block::Table(rows) = block else { continue };
        for (number, row) in rows.into_iter().enumerate() {
            if number == 0 {
                head = row;
            } else if row.first().is_some_and(|cell| is_meant(cell.trim_matches('`'), code)) {
                shown.push(entry(&head, &row, style));
            }
        }
    }
    if shown.is_empty() {
        let message = format!("there is no reason code `{code}`; `amiwall help reasons` lists them");
        return Err(Failure { exit: Exit::Usage, message });
    }
    Ok(shown.join("\n\n"))
}

/// Whether an entry is what was asked for: that code, one of that family, or `params.` with any parameter's name.
fn is_meant(entry: &str, asked: &str) -> bool {
    let family = |code: &str| code.split('.').next().unwrap_or_default().to_owned();
    entry == asked
        || (!asked.contains('.') && entry.contains('.') && family(entry) == asked)
        || (entry.contains('<') && asked.contains('.') && family(entry) == family(asked))
}

/// A row as a list: its code, and below it what each column says.
fn entry(head: &[String], row: &[String], style: Style) -> String {
    let code = row.first().map(|cell| cell.trim_matches('`').to_owned()).unwrap_or_default();
    let cells: Vec<Vec<String>> =
        head.iter().zip(row).skip(1).map(|(name, cell)| vec![name.clone(), cell.clone()]).collect();
    format!("{}\n{}", show(&[Block::Heading(2, code)], style), columns(&cells, style).replace("\n\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style { width: 80, is_terminal: false };

    #[test]
    fn every_topic_has_a_text_and_none_hides_a_command() {
        for found in TOPICS {
            let (name, _, page, title) = found;
            assert!(PAGES.iter().any(|(there, _)| there == page), "{name}: there is no page {page}");
            assert!(blocks(found).len() > 1, "{name}: {page} has no section `{title}`");
            assert!(command(&[name]).is_none(), "{name} is a command too, and its help hides the topic");
        }
    }

    #[test]
    fn a_reason_is_found_by_its_code_or_family() {
        let one = reason("limits.rate", STYLE).expect("there is one");
        assert!(one.starts_with("limits.rate\nrecord"), "{one}");
        assert!(one.contains("what to do  slow the client down"), "{one}");
        assert!(!one.contains("limits.hours"), "{one}");
        assert!(reason("params.Exten", STYLE).expect("it is one").starts_with("params.<name>"));
        assert!(reason("limits", STYLE).expect("a family").matches("\nmeans").count() > 5);
        assert!(reason("panic", STYLE).expect("an end").starts_with("panic"));
        let failure = reason("limits.none", STYLE).expect_err("there is none");
        assert_eq!(failure.exit, Exit::Usage);
    }

    #[test]
    fn the_overview_names_every_command_and_topic() {
        let text = overview(STYLE);
        let names: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        for name in ["run", "check", "audit", "policy", "reasons", "operations"] {
            assert!(names.contains(&name), "{name}: {text}");
        }
        assert!(command(&["audit", "verify"]).is_some_and(|help| help.contains("--anchor")));
        assert!(unknown("audit").message.contains("audit-log"));
    }
}
