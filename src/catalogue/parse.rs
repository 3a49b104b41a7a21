//! The reader of the catalogue's two tables. A line that is not understood is left out at run time and found by the test
//! below, so a mistake in the data can make amiwall refuse more, never less.

use crate::ami::PrivilegeClass;

use super::{ActionEntry, Danger, EventEntry, EventUse, ParamEntry, ParamKind};

/// Reads `actions.tsv`.
pub(super) fn actions(text: &'static str) -> Vec<ActionEntry> {
    lines(text).filter_map(action).collect()
}

/// Reads `events.tsv`.
pub(super) fn events(text: &'static str) -> Vec<EventEntry> {
    lines(text).filter_map(event).collect()
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

/// Reads one line of it.
pub(super) fn action(line: &'static str) -> Option<ActionEntry> {
    let mut columns = line.split('\t');
    let name = columns.next()?;
    let classes = classes(columns.next()?)?;
    let flags = list(columns.next()?, ',');
    let params = list(columns.next()?, ' ').map(param).collect::<Option<Vec<_>>>()?;
    let mut entry = ActionEntry {
        number: None,
        name,
        key: name.to_ascii_lowercase(),
        classes,
        params,
        danger: None,
        is_open: false,
        is_blocking: false,
        is_local: false,
        is_silent: false,
    };
    for flag in flags {
        match flag {
            "blocking" => entry.is_blocking = true,
            "code" => entry.danger = Some(Danger::CodeExec),
            "config" => entry.danger = Some(Danger::ConfigWrite),
            "cost" => entry.danger = Some(Danger::Cost),
            "leak" => entry.danger = Some(Danger::InfoLeak),
            "local" => entry.is_local = true,
            "open" => entry.is_open = true,
            "silent" => entry.is_silent = true,
            "state" => entry.danger = Some(Danger::StateChange),
            _ => return None,
        }
    }
    columns.next().is_none().then_some(entry)
}

fn event(line: &'static str) -> Option<EventEntry> {
    let mut columns = line.split('\t');
    let name = columns.next()?;
    let classes = classes(columns.next()?)?;
    let used_as = match columns.next()? {
        "answer" => EventUse::Answer,
        "both" => EventUse::Both,
        "event" => EventUse::Event,
        _ => return None,
    };
    columns.next().is_none().then_some(EventEntry { name, classes, used_as })
}

fn list(column: &'static str, separator: char) -> impl Iterator<Item = &'static str> {
    column.split(separator).filter(|&element| element != "-")
}

fn classes(column: &'static str) -> Option<Vec<PrivilegeClass>> {
    list(column, '|').map(|label| label.parse().ok()).collect()
}

fn param(element: &'static str) -> Option<ParamEntry> {
    let (rest, len_max) = match element.split_once('/') {
        Some((rest, len)) => (rest, Some(len.parse().ok()?)),
        None => (element, None),
    };
    let (name, kind) = rest.split_once(':').unwrap_or((rest, "text"));
    let kind = match kind {
        "boolean" => ParamKind::Boolean,
        "callerid" => ParamKind::CallerId,
        "channel" => ParamKind::Channel,
        "channel-prefix" => ParamKind::ChannelPrefix,
        "command" => ParamKind::Command,
        "data" => ParamKind::Data,
        "dial" => ParamKind::Dial,
        "dialable" => ParamKind::Dialable,
        "filename" => ParamKind::Filename,
        "integer" => ParamKind::Integer,
        "mailboxes" => ParamKind::Mailboxes,
        "module" => ParamKind::Module,
        "new-priority" => ParamKind::NewPriority,
        "priority" => ParamKind::Priority,
        "recording" => ParamKind::Recording,
        "text" => ParamKind::Text,
        "timeout" => ParamKind::Timeout,
        "variable" => ParamKind::Variable,
        "variable-names" => ParamKind::VariableNames,
        "variables" => ParamKind::Variables,
        _ => return None,
    };
    Some(ParamEntry { name, kind, len_max, numbered: name.split_once('#') })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_line_is_an_entry_and_no_name_stands_twice() {
        let actions_text = include_str!("actions.tsv");
        for line in lines(actions_text) {
            assert!(action(line).is_some(), "{line}");
        }
        let keys: HashSet<String> = actions(actions_text).into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys.len(), lines(actions_text).count());
        assert!(keys.len() >= 169);
        for entry in actions(actions_text) {
            let names: HashSet<String> = entry.params.iter().map(|param| param.name.to_ascii_lowercase()).collect();
            assert_eq!(names.len(), entry.params.len(), "{}", entry.name);
        }
        let events_text = include_str!("events.tsv");
        for line in lines(events_text) {
            assert!(event(line).is_some(), "{line}");
        }
        let names: HashSet<&str> = events(events_text).into_iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), lines(events_text).count());
    }
}
