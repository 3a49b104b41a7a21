//! One entry of `allow`: what it lets through besides what it was written for. A pattern is judged by what it matches:
//! `"?ystem"` runs programs as `System` does.

use super::probes;
use crate::catalogue::{ActionEntry, Danger, Declared, ParamEntry, ParamKind};
use crate::config::fields::Problems;
use crate::policy::pattern::{Dialect, Pattern, Side};
use crate::policy::probe;
use crate::policy::spec::{RuleSpec, Spanned, ValueSpec};

/// Actions that show secrets to whoever may name what is read.
const LEAKS: [&str; 6] = ["DBGet", "DBGetTree", "GetConfig", "GetConfigJSON", "Getvar", "ListCategories"];

/// One parameter of a rule.
struct Named<'s> {
    param: &'static ParamEntry,
    value: &'s ValueSpec,
}

/// Looks at one entry.
pub(super) fn look(rule: &RuleSpec, declared: &Declared, problems: &mut Problems) {
    let Some(entry) = declared.action(&rule.action.text.to_ascii_lowercase()) else { return };
    let Some(params) = &rule.params else { return bare(rule, entry, problems) };
    let named = params.iter().filter_map(|(name, value)| {
        Some(Named { param: entry.param(name.text.strip_suffix('?').unwrap_or(&name.text))?, value })
    });
    let named: Vec<Named<'_>> = named.collect();
    let decisive = probes::DECISIVE.iter().find(|(action, _)| *action == entry.name).map(|(_, params)| *params);
    let is_decisive = |param: &ParamEntry| match decisive {
        Some(names) => names.contains(&param.name),
        // Of a site's own action only the kinds are known.
        None => {
            entry.classes.is_empty() && matches!(param.kind, ParamKind::Data | ParamKind::Dial | ParamKind::Dialable)
        }
    };
    let mut free = Vec::new();
    for Named { param, value } in named.iter().filter(|named| is_decisive(named.param)) {
        match value {
            ValueSpec::Map(map) => variables(map, problems),
            ValueSpec::AnyOf(texts) => free.extend(
                texts
                    .iter()
                    .filter(|text| !told(entry, param, text, problems))
                    .find(|text| is_free(param, text))
                    .map(|text| (param.name, text.at)),
            ),
        }
    }
    if let Some((_, at)) = free.first() {
        let names: Vec<String> = free.iter().map(|(name, _)| format!("`{name}`")).collect();
        // What an application could do is another matter here.
        let sentence = entry.sentence().and_then(|sentence| sentence.split(", and with").next()).unwrap_or_default();
        let message = format!("any {} may be named: {} {sentence}", names.join(", "), entry.name);
        problems.warn(*at, message, Some("write what is meant, or a pattern that no other fits".to_owned()));
    }
    together(entry, rule, &named, problems);
}

/// Warns about one text, if there is something to say of it in particular.
fn told(entry: &ActionEntry, param: &'static ParamEntry, text: &Spanned, problems: &mut Problems) -> bool {
    let found = match (entry.name, param.name, param.kind) {
        (_, "Application", _) => application(param, text),
        ("AGI", _, ParamKind::Data) => lets_one_pass(param, text, &probes::AGI).map(|one| {
            (
                format!("`{one}` is let through, too: AGI {}", entry.sentence().unwrap_or_default()),
                "list the commands that are meant",
            )
        }),
        ("MixMonitor", "Command", _) => is_free(param, text).then(|| {
            (
                "any program may be run when the recording ends".to_owned(),
                "name the one that is meant, or leave `Command` out",
            )
        }),
        (_, _, ParamKind::Command) => command(param, text),
        (_, _, ParamKind::Dial) => dial(text),
        (_, _, ParamKind::Filename) => lets_one_pass(param, text, &probes::FILES).map(|one| {
            (
                format!("`{one}` is let through, too: {} {}", entry.name, entry.sentence().unwrap_or_default()),
                "name the files that are meant",
            )
        }),
        (_, "File" | "RecordFile", _) => lets_one_pass(param, text, &probes::PATHS).map(|one| {
            let message =
                format!("`{one}` is let through, too: {} {}", entry.name, entry.sentence().unwrap_or_default());
            (message, "name the file; `*` stays in the folder of recordings: \"call-*.wav\"")
        }),
        (_, _, ParamKind::Variables) => is_free(param, text).then(|| {
            ("any variable may be set: a dialplan trusts its own".to_owned(), "name them: { campaign_id: \"*\" }")
        }),
        _ => None,
    };
    let is_told = found.is_some();
    if let Some((message, help)) = found {
        problems.warn(text.at, message, Some(help.to_owned()));
    }
    is_told
}

/// What is only dangerous beside something else.
fn together(entry: &ActionEntry, rule: &RuleSpec, named: &[Named<'_>], problems: &mut Problems) {
    let is_there = |name: &str| named.iter().any(|named| named.param.name == name);
    let all = |name: &'static str| texts(named, name).map(|(_, text)| text);
    let free_in = |names: [&'static str; 2]| {
        let mut all = names.into_iter().flat_map(|name| texts(named, name));
        all.find(|(param, text)| is_free(param, text) || text.text.contains("**")).map(|(_, text)| text.at)
    };
    let dangerous = all("Application")
        .find(|text| is_exact(text) && applications().any(|name| name.eq_ignore_ascii_case(&text.text)));
    if let Some((application, at)) = dangerous.zip(free_in(["Data", "ApplicationData"])) {
        let message = format!("`{}` with anything behind it is as good as any application", application.text);
        problems.warn(at, message, Some("write out what it is to be run with".to_owned()));
    }
    let function = all("Variable").find(|text| entry.name == "Setvar" && text.text.contains(['(', ')']));
    if let Some((function, at)) = function.zip(free_in(["Value", "Value"])) {
        let message = format!("`{}` is a dialplan function: what is set happens at once", function.text);
        problems.warn(at, message, Some("write out the values that are meant".to_owned()));
    }
    let goes_somewhere = ["Application", "Exten", "Context"].into_iter().any(is_there);
    if entry.name == "Originate" && !goes_somewhere {
        let help = "add `Context`, `Exten` and `Priority`, or `Application` and `Data`".to_owned();
        problems.warn(rule.action.at, "the rule does not say where the call goes when it is answered", Some(help));
    }
}

/// The texts of one parameter.
fn texts<'n>(named: &'n [Named<'_>], name: &'n str) -> impl Iterator<Item = (&'static ParamEntry, &'n Spanned)> {
    named.iter().filter(move |named| named.param.name == name).flat_map(|named| {
        let texts = match named.value {
            ValueSpec::AnyOf(texts) => texts.as_slice(),
            ValueSpec::Map(_) => &[],
        };
        texts.iter().map(|text| (named.param, text))
    })
}

/// Whether the text lets everything pass that there is of the kind.
fn is_free(param: &ParamEntry, text: &Spanned) -> bool {
    let passes = |probes: &[&str]| {
        probe(text, Some(param)).is_some_and(|passes| probes.iter().all(|one| passes(one.as_bytes())))
    };
    match (param.kind, param.name) {
        (ParamKind::Dialable, _) => passes(&probes::UNLIKE_DIALLED),
        (ParamKind::Module, _) => passes(&probes::UNLIKE_MODULES),
        (ParamKind::Variables, _) => passes(&["a=1", "zz9=x"]),
        (_, "To" | "Destination" | "URI") => passes(&probes::UNLIKE_ADDRESSES) || passes(&probes::UNLIKE),
        // Without a `/` there is no channel, and a recording stays in its folder.
        (ParamKind::Dial | ParamKind::Recording, _) | (_, "File") => false,
        _ => passes(&probes::UNLIKE),
    }
}

/// The first of these that a pattern lets pass. What is written out is meant.
fn lets_one_pass<'p>(param: &ParamEntry, text: &Spanned, all: &[&'p str]) -> Option<&'p str> {
    let passes = probe(text, Some(param)).filter(|_| !is_exact(text))?;
    all.iter().copied().find(|one| passes(one.as_bytes()))
}

fn is_exact(text: &Spanned) -> bool {
    Pattern::parse(&text.text, Dialect::Text, Side::Allow, &|_| Some("1")).is_ok_and(|pattern| pattern.is_exact())
}

fn applications() -> impl Iterator<Item = &'static str> {
    probes::APPLICATIONS.split_whitespace()
}

/// Names of applications are compared without case.
fn application(param: &ParamEntry, text: &Spanned) -> Option<(String, &'static str)> {
    let help = "list those that are meant: [Playback, Wait]";
    if is_free(param, text) {
        return Some(("any application may be run: `System` runs programs, `Dial` calls anywhere".to_owned(), help));
    }
    let passes = probe(text, Some(param)).filter(|_| !is_exact(text))?;
    let is_let_through = |name: &&str| {
        [(*name).to_owned(), name.to_lowercase(), name.to_uppercase()].iter().any(|name| passes(name.as_bytes()))
    };
    let name = applications().find(is_let_through)?;
    Some((format!("`{name}` may be run, too: `{}` fits it", text.text), help))
}

fn command(param: &ParamEntry, text: &Spanned) -> Option<(String, &'static str)> {
    let help = "list the commands: [\"core show channels\", \"queue show *\"]";
    if matches!(text.text.trim(), "**" | "* **") {
        return Some(("`**` allows every command of Asterisk's CLI, shutting it down included".to_owned(), help));
    }
    let one = lets_one_pass(param, text, &probes::COMMANDS)?;
    Some((format!("`{one}` is let through, too"), help))
}

/// A channel that is made: `Local/` dials numbers of the dialplan itself, in any context that it names.
fn dial(text: &Spanned) -> Option<(String, &'static str)> {
    let pattern = Pattern::parse(&text.text, Dialect::Text, Side::Allow, &|_| Some("1")).ok()?;
    let can_be_local =
        [&b"Local/"[..], b"local/", b"LOCAL/"].into_iter().any(|start| pattern.matches_some_behind(start));
    let (technology, rest) = text.text.split_once('/').unwrap_or((&text.text, ""));
    let is_any = |part: &str| part.contains(['*', '?']);
    if can_be_local && is_any(technology) && technology != "**" {
        let message = "this lets `Local/` channels pass, which dial numbers of the dialplan themselves".to_owned();
        return Some((message, "write the technology out: \"PJSIP/10??\""));
    }
    let context = rest.rsplit_once('@').map(|(_, context)| context);
    let is_anywhere = match context {
        Some(context) => {
            context.split('/').next().is_some_and(|name| name.contains('*') && name.trim_matches(['*', '?']).is_empty())
        }
        None => text.text.contains("**"),
    };
    if can_be_local && is_anywhere {
        let message = "this lets a `Local/` channel go into any context of the dialplan".to_owned();
        return Some((message, "name the context: \"Local/*@agents\""));
    }
    text.text.contains("**").then(|| {
        let message = "`**` lets any number and any address be called here".to_owned();
        (message, "write what the numbers look like: \"PJSIP/trunk/1??????????\"")
    })
}

fn variables(map: &[(Spanned, ValueSpec)], problems: &mut Problems) {
    for (name, value) in map {
        if matches!(name.text.as_str(), "*" | "**") {
            let help = "name the variables that the dialplan expects from this client".to_owned();
            problems.warn(name.at, "any variable may be set: a dialplan trusts its own", Some(help));
        } else if name.text.contains(['(', ')']) {
            let message = format!("`{}` is a dialplan function: what it does happens at once", name.text);
            let help = "set a plain variable, and call the function in the dialplan".to_owned();
            problems.warn(name.at, message, Some(help));
        } else if let ValueSpec::AnyOf(texts) = value
            && let Some(text) = texts.iter().find(|text| text.text == "**")
        {
            let message = format!("anything may be put into `{}`, `;`, `&` and `/` included", name.text);
            let help =
                "`*` is words without such characters: a dialplan may make a command or a number of them".to_owned();
            problems.warn(text.at, message, Some(help));
        }
    }
}

fn bare(rule: &RuleSpec, entry: &ActionEntry, problems: &mut Problems) {
    let is_worst = matches!(entry.danger, Some(Danger::CodeExec | Danger::ConfigWrite | Danger::Cost));
    if !is_worst && !LEAKS.contains(&entry.name) {
        return;
    }
    let message = match entry.name {
        "Originate" => {
            "Originate with any parameters is a shell on the PBX: `Application: System` runs programs".to_owned()
        }
        "Command" => "Command with any words does whatever Asterisk's CLI can do, shutting it down included".to_owned(),
        name => format!("{name} with any parameters {}", entry.sentence().unwrap_or_default()),
    };
    let help = format!("list what the client may send: `- {}: {{ … }}`", entry.name);
    problems.warn(rule.action.at, message, Some(help));
}
