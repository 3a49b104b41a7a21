//! The draft as YAML: `roles:` for a policy, `identities:` as a comment, and in comments what each line rests on.
//!
//! INVARIANT: whatever stands in the log, it cannot leave its scalar or its comment.

use super::draft::{Check, Draft, LearnedParam, LearnedRole, LearnedRule, LearnedValue};
use super::usage::Tally;
use super::words::{count, is_printable, printable, thousands, times};
use crate::catalogue::{self, Danger};

/// A list that makes a longer line stands one element a line.
const LINE_MAX: usize = 100;
/// Of refused actions, so many are told.
const REFUSED_SHOWN: usize = 20;
/// More addresses are no list that a person would keep.
const ADDRESSES_LISTED: usize = 8;

impl Draft {
    /// The draft as the roles of a policy file.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut yaml = Yaml::default();
        self.preface(&mut yaml);
        if self.roles.is_empty() {
            yaml.comment(0, "Nobody did anything in this time.");
            yaml.line(0, "roles: {}");
            return yaml.text;
        }
        yaml.line(0, "roles:");
        for role in &self.roles {
            role.write(&mut yaml);
        }
        yaml.text.push('\n');
        yaml.comment(0, "Who has these roles. An identity keeps its own `secret:` or `certificate:`.");
        yaml.comment(0, "identities:");
        for role in &self.roles {
            role.write_identity(&mut yaml);
        }
        yaml.text
    }

    fn preface(&self, yaml: &mut Yaml) {
        let basis = &self.basis;
        let times = basis.times.map(|(first, last)| format!(", {first:.0} to {last:.0}")).unwrap_or_default();
        let records = count(basis.records, "record");
        let lines = [
            "A draft, learned from an audit log by `amiwall learn`. Nothing of it is in force.",
            &format!("It rests on {records} of actions and events{times}; the chain was verified on the way."),
            "It says what was done, not what is right: what did not happen in this time is missing (month's end,",
            "holidays, failures), and what did happen may not be wanted. Read every line; wildcards say so.",
            "Then put it into a policy, and try it: `amiwall check`, `amiwall test`, `mode: shadow` (docs/rollout.md).",
        ];
        lines.iter().for_each(|line| yaml.comment(0, line));
        if basis.lacks_events {
            yaml.comment(
                0,
                "Some of this log was written with `packets: actions`: it cannot say which events were needed.",
            );
        }
        if !basis.except_events.is_empty() {
            let names: Vec<String> = basis.except_events.iter().map(|name| printable(name)).collect();
            yaml.comment(
                0,
                &format!("The log leaves out these events, so add them where needed: {}.", names.join(", ")),
            );
        }
    }
}

impl LearnedRole {
    fn write(&self, yaml: &mut Yaml) {
        yaml.text.push('\n');
        yaml.comment(2, &format!("What `{}` did. {}", printable(&self.identity), self.check.sentence()));
        for (reason, (number, seq)) in &self.check.refused {
            yaml.comment(2, &format!("  {} by {}, first in record {seq}", thousands(*number), printable(reason)));
        }
        if self.rules.iter().any(LearnedRule::has_number_pattern) {
            yaml.comment(
                2,
                "Patterns of numbers (`_…`) cover numbers that nobody dialled: think of `deny` for premium and",
            );
            yaml.comment(2, "foreign ones.");
        }
        if self.has_more {
            yaml.comment(
                2,
                "There was more than is kept in mind: names of actions, of events, or addresses are missing here.",
            );
        }
        self.write_refused(yaml);
        let has_rules = self.rules.iter().any(|rule| rule.problem.is_none());
        let events: Vec<_> = self.events.iter().filter(|event| event.is_nameable).collect();
        let name = scalar(&self.name);
        yaml.line(2, &if has_rules || !events.is_empty() { format!("{name}:") } else { format!("{name}: {{}}") });
        // A key without a value is an error: `allow:` of comments alone stands in a comment itself.
        if !self.rules.is_empty() {
            if has_rules { yaml.line(4, "allow:") } else { yaml.comment(4, "allow:") }
        }
        for rule in &self.rules {
            rule.write(yaml);
        }
        if !events.is_empty() {
            yaml.line(4, "events:");
            yaml.line(6, "allow:");
        }
        for event in events {
            let note = format!("{}: {}", event.classes, times(event.count));
            yaml.line(8, &format!("- {}  # {}", scalar(&event.name), printable(&note)));
        }
        for (name, number) in &self.answers {
            let name = printable(name);
            yaml.comment(4, &format!("Saw `{name}` {} as the answer to its own action: that needs no", times(*number)));
            yaml.comment(4, "`events.allow`, and shows nothing of others'.");
        }
        for event in self.events.iter().filter(|event| !event.is_nameable) {
            yaml.comment(
                4,
                &format!("No policy can name the event `{}`, seen {}.", printable(&event.name), times(event.count)),
            );
        }
    }

    fn write_refused(&self, yaml: &mut Yaml) {
        if self.refused.is_empty() {
            return;
        }
        yaml.comment(2, "Refused in this time, and so not in the draft:");
        for (action, reason, number) in self.refused.iter().take(REFUSED_SHOWN) {
            let name = if action.is_empty() { "a packet without an action" } else { action };
            yaml.comment(2, &format!("  {} {} ({})", printable(name), times(*number), printable(reason)));
            let entry = catalogue::action(&action.to_ascii_lowercase());
            let is_grave = entry.is_some_and(|entry| entry.danger == Some(Danger::CodeExec));
            if is_grave && (reason == "actions.unlisted" || reason.starts_with("params.")) {
                yaml.comment(
                    2,
                    "    It can run code: while you watch, it passes only if you name it under `shadow_also`.",
                );
            }
        }
        if let Some(more) = self.refused.len().checked_sub(REFUSED_SHOWN).filter(|more| *more > 0) {
            yaml.comment(2, &format!("  and {more} more kinds"));
        }
    }

    fn write_identity(&self, yaml: &mut Yaml) {
        yaml.comment(0, &format!("  {}:", scalar(&self.identity)));
        yaml.comment(0, &format!("    roles: [{}]", scalar(&self.name)));
        let all: u64 = self.addresses.iter().map(|(_, count)| count).sum();
        let addresses: Vec<String> = self.addresses.iter().map(|(address, _)| quoted(&address.to_string())).collect();
        match addresses.len() {
            0 => {}
            1..=ADDRESSES_LISTED if !self.has_more => {
                let list = addresses.join(", ");
                yaml.comment(
                    0,
                    &format!("    networks: {{ allow: [{list}] }}  # {}, from nowhere else", count(all, "action")),
                );
            }
            number => {
                let from = format!("{} from {number} addresses or more, such as", count(all, "action"));
                let some: Vec<String> = self.addresses.iter().take(3).map(|(address, _)| address.to_string()).collect();
                yaml.comment(0, &format!("    # networks: {from} {}", some.join(", ")));
            }
        }
    }
}

impl Check {
    fn sentence(&self) -> String {
        let refused: u64 = self.refused.values().map(|(number, _)| number).sum();
        let all = self.allowed + refused + self.hidden;
        let mut text = if all == self.allowed {
            format!("Judged by this draft, every action of it in the log would be allowed ({}).", thousands(all))
        } else {
            format!("Judged by this draft, {} of {} would be allowed", thousands(self.allowed), count(all, "action"))
        };
        if self.hidden > 0 {
            text += &format!(", {} cannot be judged (a value is hidden)", thousands(self.hidden));
        }
        if refused > 0 {
            text += &format!(", {} would be REFUSED:", thousands(refused));
        } else if self.hidden > 0 {
            text.push('.');
        }
        text
    }
}

impl Tally {
    fn sentence(&self) -> String {
        let days = (format!("{:.10}", self.first.to_string()), format!("{:.10}", self.last.to_string()));
        let days = if days.0 == days.1 { days.0 } else { format!("{} to {}", days.0, days.1) };
        let peer = self.peer.map(|peer| format!(", last from {peer}")).unwrap_or_default();
        format!("{}, {days}{peer}", times(self.count))
    }
}

impl LearnedRule {
    fn has_number_pattern(&self) -> bool {
        let is_number = |param: &LearnedParam| match &param.value {
            LearnedValue::AnyOf(patterns) => patterns.iter().any(|pattern| pattern.starts_with('_')),
            LearnedValue::Map(_) => false,
        };
        self.params.iter().flatten().any(is_number)
    }

    fn write(&self, yaml: &mut Yaml) {
        let mut rule = Yaml::default();
        rule.comment(6, &self.tally.sentence());
        for note in &self.notes {
            rule.comment(6, &printable(note));
        }
        if let Some(problem) = &self.problem {
            rule.comment(6, &format!("NOT a rule yet: {}", printable(problem)));
        }
        let name = scalar(&self.action);
        match &self.params {
            None => rule.line(6, &format!("- {name}")),
            Some(params) if !params.iter().any(|param| param.value.is_said()) => {
                rule.line(6, &format!("- {name}: {{}}"));
                params.iter().for_each(|param| param.write(&mut rule));
            }
            Some(params) => {
                rule.line(6, &format!("- {name}:"));
                params.iter().for_each(|param| param.write(&mut rule));
            }
        }
        if self.problem.is_none() {
            yaml.text.push_str(&rule.text);
            return;
        }
        for line in rule.text.lines() {
            let text = line.strip_prefix("      ").unwrap_or(line);
            yaml.comment(6, text.strip_prefix("# ").unwrap_or(text));
        }
    }
}

impl LearnedParam {
    fn write(&self, yaml: &mut Yaml) {
        let key = scalar(&self.key());
        match &self.value {
            LearnedValue::AnyOf(patterns) => yaml.values(10, &key, patterns, &self.notes),
            LearnedValue::Map(variables) => {
                if !self.value.is_said() {
                    yaml.comment(10, &format!("{key}:  # {}", printable(&self.notes.join("; "))));
                } else if self.notes.is_empty() {
                    yaml.line(10, &format!("{key}:"));
                } else {
                    yaml.line(10, &format!("{key}:  # {}", printable(&self.notes.join("; "))));
                }
                for variable in variables {
                    yaml.values(12, &scalar(&variable.name), &variable.patterns, &variable.notes);
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct Yaml {
    text: String,
}

impl Yaml {
    fn line(&mut self, indent: usize, text: &str) {
        self.text.push_str(&format!("{:indent$}{text}\n", ""));
    }

    fn comment(&mut self, indent: usize, text: &str) {
        self.line(indent, &format!("# {text}"));
    }

    /// `key: value`, `key: [a, b]`, or one element a line. Without a value it is a comment.
    fn values(&mut self, indent: usize, key: &str, patterns: &[String], notes: &[String]) {
        let note = if notes.is_empty() { String::new() } else { format!("  # {}", printable(&notes.join("; "))) };
        let texts: Vec<String> = patterns.iter().map(|pattern| pattern_scalar(pattern)).collect();
        let flow = texts.join(", ");
        match texts.as_slice() {
            [] => self.comment(indent, &format!("{key}:{note}")),
            [one] => self.line(indent, &format!("{key}: {one}{note}")),
            _ if indent + key.len() + flow.chars().count() < LINE_MAX => {
                self.line(indent, &format!("{key}: [{flow}]{note}"));
            }
            many => {
                self.line(indent, &format!("{key}:{note}"));
                many.iter().for_each(|text| self.line(indent + 2, &format!("- {text}")));
            }
        }
    }
}

/// A key, a name: plain where no YAML reader could take it for anything else.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if is_plain { text.to_owned() } else { quoted(text) }
}

/// The names of types are plain, so that they look different from patterns.
fn pattern_scalar(pattern: &str) -> String {
    if matches!(pattern, "boolean" | "callerid" | "integer") { pattern.to_owned() } else { quoted(pattern) }
}

fn quoted(text: &str) -> String {
    let is_shown = text.chars().all(is_printable);
    // Backslashes are easier to read where they are not doubled.
    if is_shown && text.contains('\\') && !text.contains('\'') {
        return format!("'{text}'");
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c if u32::from(c) <= 0xFFFF => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_hold_what_they_are_given() {
        assert_eq!(scalar("Originate"), "Originate");
        assert_eq!(scalar("Timeout?"), "\"Timeout?\"");
        assert_eq!(scalar("null"), "\"null\"");
        assert_eq!(quoted("a\"b"), r#""a\"b""#);
        assert_eq!(quoted(r"\*98"), r"'\*98'");
        assert_eq!(quoted("\\'"), r#""\\'""#);
        assert_eq!(quoted("\u{202e}x\u{1f600}"), "\"\\u202Ex\\U0001F600\"");
        assert_eq!(printable("a\nb\u{202e}# c"), "a\u{fffd}b\u{fffd}# c");
    }
}
