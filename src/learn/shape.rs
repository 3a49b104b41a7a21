//! The shape of a value: where its separators stand, and what stands between them. Values of one shape can be described
//! by one pattern that admits no delimiter that was not seen.
//!
//! INVARIANT: a part that a pattern replaces by a wildcard ([`Part::Word`], [`Part::Digits`]) has no delimiter in it, and
//! between two of them stands something that is written out.

use super::reading::{Attribute, Reading, Style};
use crate::policy::pattern::is_delimiter;

/// Longer numbers are ids or times, whose first digits change with the years.
const DIGITS_MAX: usize = 6;
/// Structure inside of a word, no delimiter of the pattern language.
const SOFT: &[u8] = b".-_:=+#";
/// Delimiters that name or select something else than the words between them: values with one are never generalised.
const NEVER_GENERALISED: &[u8] = b"$(){}[]<>\\\"'`|;&";

/// One part of a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// An attribute of the identity.
    Attribute(String),
    /// So many digits.
    Digits(usize),
    /// Text that stays, whatever else was seen.
    Fixed(Vec<u8>),
    /// A delimiter.
    Hard(u8),
    /// A word without digits: a name. Text, unless there are too many.
    Name(Vec<u8>),
    /// A separator that is no delimiter.
    Soft(u8),
    /// A word that is another one each time.
    Word,
}

/// How much is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Names are text, and short numbers are told by their length.
    Names,
    /// Numbers are words, unless they are dialled.
    Numbers,
    /// Names are words.
    Words,
    /// What stands between two delimiters is one word.
    Runs,
}

impl Level {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Names => Self::Numbers,
            Self::Numbers => Self::Words,
            Self::Words | Self::Runs => Self::Runs,
        }
    }
}

/// The parts of a value, each with its text.
pub(super) fn pieces<'v>(value: &'v [u8], reading: &Reading<'_>) -> Vec<(Part, &'v [u8])> {
    if let Some(attribute) = reading.attributes.iter().find(|attribute| attribute.value.as_bytes() == value) {
        return vec![(Part::Attribute(attribute.name.clone()), value)];
    }
    if reading.style == Style::Number {
        return number_pieces(value);
    }
    let is_never = |byte: &u8| match (reading.style, byte) {
        (Style::CallerId, b'<' | b'>') | (Style::Channel, b';') => false,
        _ => NEVER_GENERALISED.contains(byte),
    };
    if reading.style.is_listed() || value.iter().any(is_never) {
        return vec![(Part::Fixed(value.to_vec()), value)];
    }
    let (head, tail) = fixed_ends(value, reading.style);
    let (start, rest) = value.split_at_checked(head).unwrap_or((value, &[]));
    let (middle, end) = rest.split_at_checked(tail.saturating_sub(head)).unwrap_or((rest, &[]));
    let mut pieces = Vec::new();
    let fixed = |text: &'v [u8]| (!text.is_empty()).then(|| (Part::Fixed(text.to_vec()), text));
    pieces.extend(fixed(start));
    push_words(&mut pieces, middle, reading);
    pieces.extend(fixed(end));
    pieces
}

/// Up to where the start of a value stays as it is, and from where its end does: a channel's technology, what is dialled
/// into (`@context/options`), and the first two words of a command.
fn fixed_ends(value: &[u8], style: Style) -> (usize, usize) {
    let find = |byte| value.iter().position(|b| *b == byte);
    match style {
        Style::Channel | Style::Dial => {
            let end = if style == Style::Dial { find(b'@') } else { None }.unwrap_or(value.len());
            let slash = value.iter().position(|b| is_delimiter(*b)).filter(|at| value.get(*at) == Some(&b'/'));
            (slash.unwrap_or(0).min(end), end)
        }
        Style::Command => {
            let mut blanks = value.iter().enumerate().filter(|(_, b)| **b == b' ').map(|(at, _)| at);
            (blanks.nth(1).unwrap_or(value.len()), value.len())
        }
        Style::Boolean | Style::CallerId | Style::Integer | Style::Listed | Style::Number | Style::Text => {
            (0, value.len())
        }
    }
}

fn is_separator(byte: u8) -> bool {
    is_delimiter(byte) || SOFT.contains(&byte)
}

fn push_words<'v>(pieces: &mut Vec<(Part, &'v [u8])>, text: &'v [u8], reading: &Reading<'_>) {
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        let (part, len) = if is_separator(byte) {
            (if is_delimiter(byte) { Part::Hard(byte) } else { Part::Soft(byte) }, 1)
        } else if let Some(attribute) = reading.attributes.iter().find(|attribute| begins_with(rest, attribute)) {
            (Part::Attribute(attribute.name.clone()), attribute.value.len())
        } else {
            let len = rest.iter().position(|b| is_separator(*b)).unwrap_or(rest.len());
            let is_serial = matches!(pieces.last(), Some((Part::Soft(_), _))) && reading.style != Style::Dial;
            let part = word(rest.get(..len).unwrap_or_default(), reading.style);
            // Numbers behind a separator count something, and grow.
            let is_growing = is_serial && matches!(part, Part::Digits(_));
            (if is_growing { Part::Word } else { part }, len)
        };
        let Some((text, behind)) = rest.split_at_checked(len) else { return };
        pieces.push((part, text));
        rest = behind;
    }
}

fn begins_with(text: &[u8], attribute: &Attribute) -> bool {
    let behind = text.strip_prefix(attribute.value.as_bytes());
    behind.is_some_and(|behind| behind.first().is_none_or(|b| is_separator(*b)))
}

fn word(word: &[u8], style: Style) -> Part {
    let is_number = word.iter().all(u8::is_ascii_digit);
    if is_number && (word.len() <= DIGITS_MAX || style == Style::Dial) {
        Part::Digits(word.len())
    } else if word.iter().any(u8::is_ascii_digit) {
        Part::Word
    } else {
        Part::Name(word.to_vec())
    }
}

/// What is dialled: digits and keys of a phone. Names of extensions stay as they are.
fn number_pieces(value: &[u8]) -> Vec<(Part, &[u8])> {
    let is_key = |b: &u8| b.is_ascii_digit() || matches!(b, b'*' | b'#' | b'+' | b'A'..=b'D');
    if !value.iter().all(is_key) {
        return vec![(Part::Fixed(value.to_vec()), value)];
    }
    let runs = value.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit());
    let part = |run: &[u8]| match run.first() {
        Some(first) if first.is_ascii_digit() => Part::Digits(run.len()),
        _ => Part::Fixed(run.to_vec()),
    };
    runs.map(|run| (part(run), run)).collect()
}

/// The same shape with less told apart.
pub(super) fn collapse(parts: &[Part], level: Level, style: Style) -> Vec<Part> {
    if style == Style::Number {
        return parts.to_vec();
    }
    let is_kept = |part: &Part| matches!(part, Part::Fixed(_) | Part::Hard(_));
    match level {
        Level::Names => parts.to_vec(),
        Level::Numbers => parts.iter().map(|part| without_number(part, style)).collect(),
        Level::Words => parts.iter().map(|part| one_word(part, style)).collect(),
        Level::Runs => parts
            .chunk_by(|a, b| !is_kept(a) && !is_kept(b))
            .map(|run| match run {
                [part] => one_word(part, style),
                _ => Part::Word,
            })
            .collect(),
    }
}

fn one_word(part: &Part, style: Style) -> Part {
    if matches!(part, Part::Name(_)) { Part::Word } else { without_number(part, style) }
}

fn without_number(part: &Part, style: Style) -> Part {
    let is_number = matches!(part, Part::Digits(_)) && style != Style::Dial;
    if is_number { Part::Word } else { part.clone() }
}
