//! One entry of `allow`: what it lets through besides what it was written for.

use crate::catalogue::{self, ActionEntry, Danger};
use crate::config::fields::Problems;
use crate::policy::pattern::{Dialect, Pattern, Side};
use crate::policy::spec::{RuleSpec, Spanned, ValueSpec};

/// Actions that show secrets to whoever may name the file.
const LEAKS: [&str; 3] = ["GetConfig", "GetConfigJSON", "ListCategories"];
/// A `Local/` channel into a context that nobody has thought of.
const ANYWHERE: [&[u8]; 2] = [b"Local/1@a-context", b"Local/2@another"];

/// Looks at one entry.
pub(super) fn look(rule: &RuleSpec, problems: &mut Problems) {
    let Some(entry) = catalogue::action(&rule.action.text.to_ascii_lowercase()) else { return };
    let Some(params) = &rule.params else { return bare(rule, entry, problems) };
    for (name, value) in params {
        let name = name.text.strip_suffix('?').unwrap_or(&name.text).to_ascii_lowercase();
        match (entry.name, name.as_str(), value) {
            ("Originate", "application", ValueSpec::AnyOf(patterns)) => {
                let message = "any application may be run: `System` runs programs, `Dial` calls anywhere";
                each(patterns, is_free, message, "list those that are meant: [Playback, Wait]", problems);
            }
            ("Originate", "channel", ValueSpec::AnyOf(patterns)) => {
                let message = "this lets a `Local/` channel go into any context of the dialplan";
                each(patterns, is_anywhere, message, "name the context: \"Local/*@agents\"", problems);
            }
            ("Originate", _, ValueSpec::Map(map)) => variables(map, problems),
            ("Originate", "variable", ValueSpec::AnyOf(patterns)) => {
                let message = "any variable may be set: a dialplan trusts its own";
                each(patterns, is_free, message, "name them: { campaign_id: \"*\" }", problems);
            }
            ("MixMonitor", "command", ValueSpec::AnyOf(patterns)) => {
                let message = "any program may be run when the recording ends";
                each(patterns, is_free, message, "name the one that is meant, or leave `Command` out", problems);
            }
            ("Command", _, ValueSpec::AnyOf(patterns)) => {
                let message = "`**` allows every command of Asterisk's CLI, shutting it down included";
                let help = "list the commands: [\"core show channels\", \"queue show *\"]";
                each(patterns, |pattern| matches!(pattern.trim(), "**" | "* **"), message, help, problems);
            }
            _ => {}
        }
    }
}

fn each(patterns: &[Spanned], is_meant: impl Fn(&str) -> bool, message: &str, help: &str, problems: &mut Problems) {
    for pattern in patterns.iter().filter(|pattern| is_meant(&pattern.text)) {
        problems.warn(pattern.at, message, Some(help.to_owned()));
    }
}

fn is_free(pattern: &str) -> bool {
    matches!(pattern, "*" | "**")
}

fn is_anywhere(pattern: &str) -> bool {
    let compiled = Pattern::parse(pattern, Dialect::Text, Side::Allow, &|_| Some("1"));
    compiled.is_ok_and(|compiled| ANYWHERE.iter().all(|channel| compiled.matches(channel)))
}

fn variables(map: &[(Spanned, ValueSpec)], problems: &mut Problems) {
    for (name, _) in map {
        if is_free(&name.text) {
            let help = "name the variables that the dialplan expects from this client".to_owned();
            problems.warn(name.at, "any variable may be set: a dialplan trusts its own", Some(help));
        } else if name.text.contains(['(', ')']) {
            let message = format!("`{}` is a dialplan function: what it does happens at once", name.text);
            problems.warn(
                name.at,
                message,
                Some("set a plain variable, and call the function in the dialplan".to_owned()),
            );
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
