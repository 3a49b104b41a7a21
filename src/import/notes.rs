//! [`Note`]: what of a manager.conf did not go into the policy as it stands, and where it stood.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// Longer texts of somebody else's file are cut in notes and comments.
const SHOWN_MAX: usize = 100;

/// A line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", shown(&self.file), self.line)
    }
}

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is not carried over.
    Lost,
    /// It stays in Asterisk's own file, since the policy has no words for it.
    Kept,
    /// It stands in Asterisk's own file with another value, which amiwall needs.
    Changed,
    /// It is carried over, but somebody should look at it.
    Look,
}

impl Fate {
    /// All, the one first that needs somebody most.
    pub const ALL: [Self; 4] = [Self::Lost, Self::Look, Self::Changed, Self::Kept];

    /// What became of so many.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Lost => "not carried over",
            Self::Look => "worth a look",
            Self::Changed => "changed",
            Self::Kept => "kept by Asterisk",
        }
    }

    /// What stands above the notes of this kind.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Lost => "Not carried over:",
            Self::Look => "Carried over, and worth a look:",
            Self::Changed => "Changed in manager.conf.hardened:",
            Self::Kept => "Stays with Asterisk, in manager.conf.hardened:",
        }
    }
}

/// One thing to know about an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What became of it.
    pub fate: Fate,
    /// Where it stood.
    pub place: Place,
    /// What it was, and why.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// All notes of an import, in the order in which they were taken.
#[derive(Debug, Default)]
pub(super) struct Notes {
    list: Vec<Note>,
    /// What a template says is said once, however many accounts have it.
    seen: HashSet<String>,
}

impl Notes {
    pub(super) fn into_list(self) -> Vec<Note> {
        self.list
    }

    pub(super) fn add(&mut self, fate: Fate, place: &Place, text: impl Into<String>) {
        let note = Note { fate, place: place.clone(), text: text.into() };
        if self.seen.insert(note.to_string()) {
            self.list.push(note);
        }
    }

    pub(super) fn lost(&mut self, place: &Place, text: impl Into<String>) {
        self.add(Fate::Lost, place, text);
    }

    pub(super) fn look(&mut self, place: &Place, text: impl Into<String>) {
        self.add(Fate::Look, place, text);
    }

    pub(super) fn changed(&mut self, place: &Place, text: impl Into<String>) {
        self.add(Fate::Changed, place, text);
    }

    pub(super) fn kept(&mut self, place: &Place, text: impl Into<String>) {
        self.add(Fate::Kept, place, text);
    }
}

/// All notes, below what became of them.
pub(super) fn text(notes: &[Note]) -> String {
    let parts = Fate::ALL.into_iter().filter_map(|fate| {
        let lines: String = notes.iter().filter(|note| note.fate == fate).map(|note| format!("  {note}\n")).collect();
        (!lines.is_empty()).then(|| format!("{}\n{lines}", fate.heading()))
    });
    parts.collect()
}

/// A text from the file, for a line of a note or of a comment: nothing in it can end the line or turn it round.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == SHOWN_MAX {
            shown.push('…');
            break;
        }
        if character == ' ' || character.is_ascii_graphic() || character.is_alphanumeric() {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_ends_a_line() {
        assert_eq!(shown("a b; \u{e4}"), "a b; \u{e4}");
        assert_eq!(shown("a\nb\u{202e}\u{feff}"), "a\\u{a}b\\u{202e}\\u{feff}");
        assert_eq!(shown(&"x".repeat(200)).chars().count(), SHOWN_MAX + 1);
    }
}
