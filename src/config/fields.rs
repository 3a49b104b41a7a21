//! [`Fields`]: the keys of one map, each taken by its reader; and [`Problems`], which all readers add to.

use std::path::Path;

use super::diagnostic::{Diagnostics, Severity};
use super::hidden::Hidden;
use super::node::{Node, Value};
use crate::catalogue::nearest;
use crate::policy::spec::{Position, Problem};

/// After so many errors nothing is guessed any more.
const GUESSES_MAX: usize = 100;

/// Everything wrong or worth a look.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) errors: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl Problems {
    pub(super) fn error(&mut self, at: Position, message: impl Into<String>, help: Option<String>) {
        self.errors.push(Problem { at, message: message.into(), help });
    }

    pub(super) fn warn(&mut self, at: Position, message: impl Into<String>, help: Option<String>) {
        self.warnings.push(Problem { at, message: message.into(), help });
    }

    /// A value that could not be parsed: what is wrong is said by its error.
    pub(super) fn take<T>(&mut self, at: Position, parsed: Result<T, impl std::fmt::Display>) -> Option<T> {
        parsed.map_err(|error| self.error(at, error.to_string(), None)).ok()
    }

    /// The name that was probably meant, of those that the file has itself. After many problems nobody is helped by one more
    /// guess, and each looks at all names.
    pub(super) fn nearest<'c>(&self, name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
        if self.errors.len() < GUESSES_MAX { nearest(name, candidates) } else { None }
    }

    /// Errors and warnings.
    pub(super) fn into_diagnostics(self, path: &Path, text: &str, hidden: &Hidden) -> (Diagnostics, Diagnostics) {
        let errors = Diagnostics::new(Severity::Error, path, (text, hidden), self.errors);
        (errors, Diagnostics::new(Severity::Warning, path, (text, hidden), self.warnings))
    }
}

/// The keys of one map.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    at: Position,
    what: String,
    /// What is no map misses no keys: that it is none was told.
    is_map: bool,
    entries: Vec<(&'n str, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// Takes a map apart. Keys that are not `known` are problems: with the nearest known one, or as of a later version.
    pub(super) fn of(
        node: &'n Node,
        what: impl Into<String>,
        known: &[&str],
        later: &[&str],
        problems: &mut Problems,
    ) -> Self {
        Self::inside(node, what, (known, later), &[], problems)
    }

    /// As [`Self::of`], of a map in a role. `outer` are keys that the role has, and this map has not.
    pub(super) fn inside(
        node: &'n Node,
        what: impl Into<String>,
        (known, later): (&[&str], &[&str]),
        outer: &[&str],
        problems: &mut Problems,
    ) -> Self {
        let what = what.into();
        let mut entries = Vec::new();
        for (key, value) in node.map(problems) {
            if known.contains(&key.text.as_str()) {
                entries.push((key.text.as_str(), value));
            } else if later.contains(&key.text.as_str()) {
                let message = format!("`{}` is not in this version of amiwall", key.text);
                problems.error(key.at, message, Some("leave it out: it would be without effect".to_owned()));
            } else if outer.contains(&key.text.as_str()) {
                let help = format!("`{}` is a key of the role; is it indented too far?", key.text);
                problems.error(key.at, format!("unknown key `{}` in {what}", key.text), Some(help));
            } else {
                let help = nearest(&key.text, known.iter().copied()).map_or_else(
                    || format!("known keys: {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                problems.error(key.at, format!("unknown key `{}` in {what}", key.text), Some(help));
            }
        }
        let is_map = matches!(node.value, Value::Map(_) | Value::Empty);
        Self { at: node.at, what, is_map, entries }
    }

    /// The value of a key.
    pub(super) fn take(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, node)| *node)
    }

    /// The value of a key that has to be there.
    pub(super) fn need(&self, key: &str, problems: &mut Problems) -> Option<&'n Node> {
        let node = self.take(key);
        if node.is_none() && self.is_map {
            let help = Some(format!("add `{key}:`"));
            problems.error(self.at, format!("`{key}` is missing in {}", self.what), help);
        }
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_end_where_nobody_reads_them() {
        let mut problems = Problems::default();
        let guess = |problems: &Problems| problems.nearest("ofice", ["office", "lab"].into_iter()).map(str::to_owned);
        for _ in 0..GUESSES_MAX {
            assert_eq!(guess(&problems).as_deref(), Some("office"));
            problems.error(Position::default(), "wrong", None);
        }
        assert_eq!(guess(&problems), None);
    }
}
