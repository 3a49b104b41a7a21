//! [`Hidden`]: which places of the file may hold a secret. A diagnostic shows a line of the file only as this allows, so
//! that what `check` prints can be sent to somebody.
//!
//! Where the YAML could be read, the places are exact. Where it could not, nobody knows what belongs to what, and more is
//! hidden than has to be.

use crate::catalogue::nearest;
use crate::policy::spec::Position;

/// What stands in place of something hidden.
const DOTS: char = '…';
/// A key with one of these in its name has a secret as its value.
const SECRET_WORDS: [&str; 5] = ["secret", "passw", "token", "credential", "api_key"];
/// Hashes of secrets, wherever they stand.
pub(super) const HASH_PREFIX: &str = "$argon2";

/// As `str::find`, which prepares more for a search than the search takes in so short a text as a key: of reading a long file
/// that was a twentieth.
fn place_of(word: &str, text: &str) -> Option<usize> {
    memchr::memmem::find(text.as_bytes(), word.as_bytes())
}

/// Whether the value of this key is a secret, a typing error in `secret` included.
pub(super) fn is_secret_key(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| place_of(word, &lower).is_some())
        || nearest(&lower, std::iter::once("secret")).is_some()
}

/// The start of a key that has swallowed the secret behind it (`secret:hunter2`, for want of a blank).
pub(super) fn key_with_secret(key: &str) -> Option<&str> {
    let lower = key.to_ascii_lowercase();
    let end = SECRET_WORDS.iter().filter_map(|word| Some(place_of(word, &lower)? + word.len())).min()?;
    let is_in_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    let rest = end + lower.get(end..)?.find(|character| !is_in_name(character))?;
    // `*Password*` is a pattern.
    lower.get(rest..)?.contains(|character: char| character.is_alphanumeric()).then(|| key.get(..rest)).flatten()
}

/// Places that are not shown: from here up to there.
#[derive(Debug, Default)]
pub(super) struct Hidden(Vec<(Position, Position)>);

/// A line as it may be shown, and where the mark under it goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) column: usize,
    pub(super) width: usize,
}

impl Hidden {
    /// Hides everything between two places.
    pub(super) fn add(&mut self, from: Position, to: Position) {
        self.0.push((from, to));
    }

    /// Hides comments that speak of a secret: an entry that was commented out may hold one.
    pub(super) fn add_comments(&mut self, text: &str) {
        for (line, number) in text.lines().zip(1..) {
            let Some(at) = line.find('#') else { continue };
            let comment = line.get(at..).unwrap_or_default().to_ascii_lowercase();
            if SECRET_WORDS.iter().chain(&[HASH_PREFIX]).any(|word| comment.contains(word)) {
                let column = u32::try_from(chars_before(line, at) + 1).unwrap_or(u32::MAX);
                self.add(Position { line: number, column }, Position { line: number, column: u32::MAX });
            }
        }
    }

    /// What has to be hidden in a text that is not YAML.
    pub(super) fn in_broken(text: &str) -> Self {
        let mut hidden = Self::default();
        let mut region: Option<Region> = None;
        for (line, number) in text.lines().zip(1..) {
            let indent = line.len() - line.trim_start().len();
            let whole = region.is_some_and(|region| region.holds(line, indent));
            let (from, next) = if whole { (Some(0), region) } else { secret_in(line, indent) };
            let is_blank = line.trim().is_empty();
            region = if whole && !is_blank { next.map(Region::behind_first) } else { next };
            if let Some(from) = from {
                let column = |chars: usize| u32::try_from(chars).unwrap_or(u32::MAX).saturating_add(1);
                let from = Position { line: number, column: column(from) };
                hidden.add(from, Position { line: number, column: u32::MAX });
            }
        }
        hidden
    }

    /// The line with that number as it may be shown; the mark is given for the line as it is.
    pub(super) fn show(&self, number: u32, line: &str, column: usize, width: usize) -> Shown {
        let is_hidden = |at: usize| {
            let at = Position { line: number, column: u32::try_from(at).unwrap_or(u32::MAX) };
            self.0.iter().any(|(from, to)| *from <= at && at < *to)
        };
        let mut shown = Shown { text: String::with_capacity(line.len()), column: 0, width: 0 };
        let (mut length, mut was_hidden) = (0, false);
        for (character, at) in line.chars().zip(1..) {
            // The blanks before it are shown.
            let hides = is_hidden(at) && (was_hidden || character != ' ');
            if !(hides && was_hidden) {
                shown.text.push(if hides { DOTS } else { printable(character) });
                length += 1;
                shown.width += usize::from(at >= column && at < column.saturating_add(width));
            }
            was_hidden = hides;
            if at == column {
                shown.column = length;
                shown.width = 1;
            }
        }
        if shown.column == 0 {
            shown.column = length + 1;
        }
        shown.width = shown.width.max(1);
        shown
    }
}

/// What cannot be seen, or turns round what can, has no place in an answer on a terminal.
pub(super) fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        character if character.is_control() || is_direction(character) => char::REPLACEMENT_CHARACTER,
        character => character,
    }
}

/// Characters that make text read differently from how it is stored.
pub(super) const fn is_direction(character: char) -> bool {
    matches!(character, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Lines behind a key that belong to its secret.
#[derive(Clone, Copy)]
enum Region {
    /// Those that are indented more, list elements, and what is no entry.
    Deeper(usize),
    /// The next one, where the key's own line has no value; then as above.
    Next(usize),
    /// All: a quote or bracket is not closed.
    Rest,
}

impl Region {
    fn holds(self, line: &str, indent: usize) -> bool {
        match self {
            Self::Deeper(of_key) => {
                let text = line.trim_start();
                text.is_empty() || indent > of_key || (indent == of_key && text.starts_with('-')) || !text.contains(':')
            }
            Self::Next(_) | Self::Rest => true,
        }
    }

    const fn behind_first(self) -> Self {
        match self {
            Self::Next(of_key) => Self::Deeper(of_key),
            Self::Deeper(_) | Self::Rest => self,
        }
    }
}

/// From which character on the line has to be hidden, and what that means for the next ones.
fn secret_in(line: &str, indent: usize) -> (Option<usize>, Option<Region>) {
    let lower = line.to_ascii_lowercase();
    // Behind `users:` each value is one.
    let words = SECRET_WORDS.iter().chain(&["users:"]);
    let word = words.filter_map(|word| Some(lower.find(word)? + word.len())).min();
    let hash = lower.find(HASH_PREFIX);
    let Some(end) = word else { return (hash.map(|at| chars_before(line, at)), None) };
    let at = lower.get(end..).and_then(|rest| rest.find(':')).map_or(end, |colon| end + colon + 1);
    let value = line.get(at..).unwrap_or_default().trim();
    let inner = value.strip_prefix('{').map(str::trim_start).unwrap_or_default();
    let is_place = ["credential:", "env:", "file:"].iter().any(|kind| inner.starts_with(kind));
    if is_place && value.contains('}') {
        return (hash.map(|at| chars_before(line, at)), None);
    }
    let closing = match value.chars().next() {
        Some('"') => Some('"'),
        Some('\'') => Some('\''),
        Some('[') => Some(']'),
        Some('{') => Some('}'),
        _ => None,
    };
    let is_open = |closing| value.contains('\\') || !value.chars().skip(1).any(|character| character == closing);
    let is_comment = line.trim_start().starts_with('#');
    let region = match closing {
        Some(closing) if is_open(closing) => Region::Rest,
        _ if value.is_empty() => Region::Next(indent),
        _ => Region::Deeper(indent),
    };
    (Some(chars_before(line, hash.map_or(at, |hash| hash.min(at)))), (!is_comment).then_some(region))
}

fn chars_before(line: &str, at: usize) -> usize {
    line.get(..at).unwrap_or(line).chars().count()
}
