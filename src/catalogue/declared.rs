//! [`Declared`]: actions that a site has beside Asterisk's own, declared in its policy under `actions:`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{ActionEntry, action, parse};

/// What has been declared, by its line of the table. An entry is made once and kept: a reload of the same policy makes
/// none, so what is kept is bounded by what people write.
static KNOWN: Mutex<Vec<(&'static str, &'static ActionEntry)>> = Mutex::new(Vec::new());

/// The actions that a policy declares.
#[derive(Clone, Debug, Default)]
pub struct Declared(HashMap<String, &'static ActionEntry>);

/// Kinds of parameters that a declaration can name.
pub const KINDS: [&str; 8] = ["text", "dialable", "dial", "channel", "integer", "boolean", "callerid", "data"];

impl Declared {
    /// Declares an action with its parameters, each with one of [`KINDS`]. Names have letters, digits, `-` and `_` only.
    /// False if Asterisk has such an action, or it cannot be one.
    pub fn add(&mut self, name: &str, params: &[(&str, &str)]) -> bool {
        let is_word =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        let is_plain = is_word(name) && params.iter().all(|(name, kind)| is_word(name) && KINDS.contains(kind));
        if !is_plain || action(&name.to_ascii_lowercase()).is_some() {
            return false;
        }
        let has = |wanted: &[&str]| params.iter().any(|(_, kind)| wanted.contains(kind));
        // What it does nobody knows; what is in its parameters can be expanded, or can be dialled.
        let danger = if has(&["data"]) {
            "code"
        } else if has(&["dial", "dialable"]) {
            "cost"
        } else {
            "state"
        };
        let params: Vec<String> = params.iter().map(|(name, kind)| format!("{name}:{kind}")).collect();
        let params = if params.is_empty() { "-".to_owned() } else { params.join(" ") };
        let Some(entry) = entry(format!("{name}\t-\t{danger}\t{params}")) else { return false };
        self.0.insert(entry.key.clone(), entry).is_none()
    }

    /// The action of that name, given in lower case: Asterisk's own, or a declared one.
    #[must_use]
    pub fn action(&self, key_lowercase: &str) -> Option<&'static ActionEntry> {
        action(key_lowercase).or_else(|| self.0.get(key_lowercase).copied())
    }

    /// All that are declared.
    pub fn iter(&self) -> impl Iterator<Item = &'static ActionEntry> {
        self.0.values().copied()
    }
}

fn entry(line: String) -> Option<&'static ActionEntry> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, entry)) = known.iter().find(|(other, _)| *other == line) {
        return Some(entry);
    }
    let line: &'static str = Box::leak(line.into_boxed_str());
    let entry: &'static ActionEntry = Box::leak(Box::new(parse::action(line)?));
    known.push((line, entry));
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Danger, ParamKind};

    #[test]
    fn what_is_declared_is_found_beside_what_there_is() {
        let mut declared = Declared::default();
        assert!(declared.add("UcmDial", &[("Number", "dialable"), ("Note", "text")]));
        let entry = declared.action("ucmdial").expect("declared");
        assert_eq!((entry.name, entry.param("number").map(|param| param.kind)), ("UcmDial", Some(ParamKind::Dialable)));
        assert_eq!(declared.action("ping").map(|entry| entry.name), Some("Ping"));
        assert!(declared.action("other").is_none() && !entry.is_open && !entry.is_local);
        assert!(
            declared.add("Say", &[("What", "data"), ("Number", "dial")]) && declared.add("Look", &[("Node", "text")])
        );
        let danger = |key: &str| declared.action(key).and_then(|entry| entry.danger);
        let dangers = ["ucmdial", "say", "look"].map(danger);
        assert_eq!(dangers, [Danger::Cost, Danger::CodeExec, Danger::StateChange].map(Some));
        let mut again = Declared::default();
        assert!(again.add("UcmDial", &[("Number", "dialable"), ("Note", "text")]));
        assert!(std::ptr::eq(again.action("ucmdial").expect("declared"), entry), "made once");
    }

    #[test]
    fn what_cannot_be_declared_is_refused() {
        let mut declared = Declared::default();
        assert!(declared.add("One", &[]) && !declared.add("ONE", &[]), "twice");
        for (name, params) in
            [("Ping", &[][..]), ("a b", &[]), ("", &[]), ("X", &[("a b", "text")]), ("X", &[("a", "variables")])]
        {
            assert!(!declared.add(name, params), "{name} {params:?}");
        }
    }
}
