//! `amiwall doctor`: is there a way past amiwall, and will it go on running? It looks at this machine, at Asterisk's files
//! and at Asterisk itself, and changes nothing. What it cannot look at it says, and never takes for good.

mod accounts;
mod codes;
mod host;
mod network;
mod policy;
mod version;

use std::path::{Path, PathBuf};

use super::{Exit, Failure, Format, out};
use crate::config::{self, Checked, Files};
use crate::import::{Survey, is_yes, options, survey};

/// Where Asterisk's file is, if nothing else is said.
const MANAGER_CONF: &str = "/etc/asterisk/manager.conf";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The policy file; without one, only Asterisk and this machine are looked at.
    policy: Option<PathBuf>,
    /// Asterisk's manager.conf.
    #[arg(long, value_name = "FILE", default_value = MANAGER_CONF)]
    manager_conf: PathBuf,
    /// Asterisk's http.conf [default: the one beside manager.conf].
    #[arg(long, value_name = "FILE")]
    http_conf: Option<PathBuf>,
    /// Asterisk's asterisk.conf [default: the one beside manager.conf].
    #[arg(long, value_name = "FILE")]
    asterisk_conf: Option<PathBuf>,
    /// Where Asterisk's manager interface listens [default: what the policy says, else 127.0.0.1 and the port of manager.conf].
    #[arg(long, value_name = "HOST:PORT")]
    asterisk: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// As it should be.
    Ok,
    /// It could not be looked at.
    Unknown,
    /// Worth a look.
    Warning,
    /// Somebody can get past amiwall, or it will stop.
    Problem,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "could-not-look",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }

    const fn heading(self) -> &'static str {
        match self {
            Self::Ok => "ok     ",
            Self::Unknown => "???    ",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        }
    }
}

/// What one check found.
#[derive(Debug)]
struct Finding {
    code: &'static str,
    level: Level,
    found: String,
    /// What to do; empty where nothing is to be done.
    help: String,
}

/// All findings, in the order of the checks.
#[derive(Debug, Default)]
struct Report(Vec<Finding>);

impl Report {
    fn add(&mut self, code: &'static str, level: Level, found: impl Into<String>, help: impl Into<String>) {
        self.0.push(Finding { code, level, found: found.into(), help: help.into() });
    }

    fn ok(&mut self, code: &'static str, found: impl Into<String>) {
        self.add(code, Level::Ok, found, "");
    }

    fn unknown(&mut self, code: &'static str, found: impl Into<String>, help: impl Into<String>) {
        self.add(code, Level::Unknown, found, help);
    }

    fn warning(&mut self, code: &'static str, found: impl Into<String>, help: impl Into<String>) {
        self.add(code, Level::Warning, found, help);
    }

    fn problem(&mut self, code: &'static str, found: impl Into<String>, help: impl Into<String>) {
        self.add(code, Level::Problem, found, help);
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }

    fn exit(&self) -> Exit {
        if self.count(Level::Problem) > 0 { Exit::Denied } else { Exit::Ok }
    }

    /// The worst first; what is well is one line each.
    fn text(&self) -> String {
        let mut text = String::new();
        for level in [Level::Problem, Level::Warning, Level::Unknown, Level::Ok] {
            for finding in self.0.iter().filter(|finding| finding.level == level) {
                text += &format!("{} {}: {}\n", level.heading(), finding.code, finding.found);
                if level != Level::Ok {
                    text += &format!("        why: {}\n", codes::why(finding.code));
                }
                if !finding.help.is_empty() {
                    text += &format!("        do:  {}\n", finding.help);
                }
            }
        }
        let counts = [Level::Problem, Level::Warning, Level::Unknown, Level::Ok].map(|level| self.count(level));
        let [problems, warnings, unknown, ok] = counts;
        text + &format!("\nproblems: {problems}, warnings: {warnings}, could not look: {unknown}, ok: {ok}")
    }

    fn json(&self) -> serde_json::Value {
        let findings = self.0.iter().map(|finding| {
            serde_json::json!({
                "code": finding.code, "level": finding.level.word(), "found": finding.found,
                "why": codes::why(finding.code), "do": finding.help,
            })
        });
        serde_json::json!({
            "problems": self.count(Level::Problem), "warnings": self.count(Level::Warning),
            "could_not_look": self.count(Level::Unknown), "findings": findings.collect::<Vec<_>>(),
        })
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut report = Report::default();
    let checked = args.policy.as_deref().and_then(|policy| policy::load(policy, &mut report));
    let conf = read_manager_conf(&args.manager_conf, &mut report);
    let address = address(args, checked.as_ref().map(|(checked, _)| checked), conf.as_ref());
    let listeners = checked.iter().flat_map(|(checked, _)| &checked.listeners);
    let taken: Vec<u16> = listeners.map(|listener| listener.address.port()).collect();
    network::look(&address, conf.as_ref(), &taken, &mut report);
    let reached = version::look(&address, checked.as_ref(), &mut report);
    let beside =
        |given: &Option<PathBuf>, name: &str| given.clone().unwrap_or_else(|| args.manager_conf.with_file_name(name));
    web(conf.as_ref(), &beside(&args.http_conf, "http.conf"), reached.and_then(|it| it.has_http), &mut report);
    dangerous_options(&beside(&args.asterisk_conf, "asterisk.conf"), &mut report);
    if let Some(conf) = &conf {
        accounts::look(conf, checked.as_ref().map(|(checked, _)| checked), &address, &mut report);
    }
    if let (Some((checked, _)), Some(path)) = (&checked, &args.policy) {
        policy::certificates(checked, &mut report);
        host::look(checked, path, &mut report);
    }
    host::machine(&mut report);
    match args.format {
        Format::Human => out(&report.text()),
        Format::Json => out(&format!("{:#}", report.json())),
    }
    Ok(report.exit())
}

/// Which Asterisk is asked.
fn address(args: &Args, checked: Option<&Checked>, conf: Option<&Survey>) -> String {
    let of_policy = checked.and_then(|checked| checked.upstreams.values().next().cloned());
    let port = conf.map_or(5038, |conf| conf.bind.port());
    args.asterisk.clone().or(of_policy).unwrap_or_else(|| format!("127.0.0.1:{port}"))
}

fn read_manager_conf(path: &Path, report: &mut Report) -> Option<Survey> {
    match survey(path) {
        Ok(conf) => {
            report.ok("manager-conf", format!("{}: {} accounts", path.display(), conf.accounts.len()));
            Some(conf)
        }
        Err(error) => {
            let help = "run doctor as root (sudo), or name the file with --manager-conf; if Asterisk is on another machine, \
                        run doctor there, too: nothing of accounts and secrets was looked at";
            report.unknown("manager-conf", error.to_string(), help);
            None
        }
    }
}

/// AMI over HTTP. What Asterisk says of itself counts more than a file.
fn web(conf: Option<&Survey>, path: &Path, is_running: Option<bool>, report: &mut Report) {
    const CODE: &str = "ajam";
    let help = "set `webenabled = no` under [general] of manager.conf, and run: asterisk -rx 'manager reload'";
    let enabled = options(path, "general")
        .map(|section| section.and_then(|options| options.get("enabled").map(|word| is_yes(word))).unwrap_or_default());
    let has_server = is_running.or_else(|| enabled.as_ref().ok().copied());
    match (conf.map(|conf| conf.is_on_the_web), has_server) {
        (Some(false), _) => report.ok(CODE, "AMI is not served over HTTP (webenabled = no)"),
        (_, Some(false)) => report.ok(CODE, "Asterisk's HTTP server is off"),
        (Some(true), Some(true)) => report.problem(CODE, "AMI is served over HTTP, past amiwall", help),
        (Some(true), None) => {
            report.warning(CODE, format!("webenabled = yes; {} could not be read", path.display()), help);
        }
        (None, Some(true)) => {
            let help = "run: asterisk -rx 'manager show settings', and look for `Web Enabled`";
            report.unknown(CODE, "Asterisk's HTTP server runs; whether it serves AMI stands in manager.conf", help);
        }
        (None, None) => report.unknown(CODE, "neither manager.conf nor http.conf could be read", help),
    }
}

/// Options of asterisk.conf that open the machine: each with its code and how bad it is.
const DANGEROUS: [(&str, &str, Level); 2] =
    [("live_dangerously", "live-dangerously", Level::Problem), ("execincludes", "exec-includes", Level::Warning)];

fn dangerous_options(path: &Path, report: &mut Report) {
    let found = options(path, "options").map(Option::unwrap_or_default);
    for (option, code, level) in DANGEROUS {
        match &found {
            Ok(options) => match options.get(option).filter(|word| is_yes(word)) {
                Some(word) => {
                    let help = format!("set `{option} = no` under [options], and restart Asterisk");
                    report.add(code, level, format!("{}: {option} = {word}", path.display()), help);
                }
                None => report.ok(code, format!("{}: {option} is off", path.display())),
            },
            Err(error) => {
                let help = format!(
                    "look for `{option}` in asterisk.conf: doctor as root (sudo), or with --asterisk-conf FILE"
                );
                report.unknown(code, error.to_string(), help);
            }
        }
    }
}

/// Names, as many as a line takes.
fn list(names: &[String]) -> String {
    const MAX: usize = 12;
    let shown = names.iter().take(MAX).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A policy, read as it would be run, or else by its text alone.
fn read_policy(path: &Path) -> (Option<Checked>, Option<config::Diagnostics>, bool) {
    match config::check(path, Files::Open) {
        Ok(checked) => (Some(checked), None, true),
        Err(problems) => (config::check(path, Files::Skip).ok(), Some(problems), false),
    }
}

/// What is weak about the accounts of a manager.conf, for a policy.
#[cfg(test)]
pub(super) fn weak_accounts(manager_conf: &Path, checked: &Checked) -> Vec<String> {
    let mut report = Report::default();
    let conf = read_manager_conf(manager_conf, &mut report);
    if let Some(conf) = &conf {
        let address = checked.upstreams.values().next().cloned().unwrap_or_default();
        accounts::look(conf, Some(checked), &address, &mut report);
    }
    report.0.into_iter().filter(|finding| finding.level > Level::Ok).map(|finding| finding.found).collect()
}

#[cfg(test)]
mod tests;
