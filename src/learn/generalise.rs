//! Values to patterns, as a person would write them: few values are listed, many are described by what they have in
//! common. What no pattern can say is said in a note, never covered by a wider one.
//!
//! INVARIANT: a pattern admits no delimiter that was not seen at that place, never `**`, and no value that only an exact
//! text may let pass.

use std::collections::BTreeSet;

use super::digits;
use super::reading::{Reading, Style};
use super::shape::{Level, Part, pieces};
use super::values::{KEPT_MAX, SAMPLES, ShapeUse, Shapes, Values};
use super::words::{count, thousands};
use crate::policy::needs_exact;

/// Up to so many values are listed as they are.
const FEW: usize = 8;
/// No list is longer.
const LIST_MAX: usize = 50;
/// Names that come again at least so often are a list, even if they are not few.
const RECURRING: u64 = 3;
/// A pattern with wildcards may have 255 elements.
const PATTERN_LEN_MAX: usize = 250;

/// What stands for the values of one parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proposal {
    /// Patterns, or one type of the catalogue. None: nothing can be said.
    pub(super) patterns: Vec<String>,
    /// What they rest on, and what they leave out.
    pub(super) notes: Vec<String>,
}

/// Proposes patterns for the values.
pub(super) fn propose(values: &Values, reading: &Reading<'_>) -> Proposal {
    let mut writer =
        Writer { reading, patterns: BTreeSet::new(), left_out: 0, covers: Covers::Seen, is_not_utf8: false };
    let is_type = writer.push_type(values);
    if !is_type {
        writer.push_values(values);
    }
    if values.was_empty {
        writer.patterns.insert("*".to_owned());
    }
    let mut notes = vec![basis(values)];
    match writer.covers {
        Covers::Seen => {}
        Covers::Alike => notes.push("covers more than was seen".to_owned()),
        Covers::Anything => notes.push("too varied to list: `*` covers any word".to_owned()),
    }
    if values.was_empty {
        notes.push("sometimes empty, which only `*` can say".to_owned());
    }
    if writer.is_not_utf8 {
        notes.push("`?` stands for a byte that is no UTF-8".to_owned());
    }
    if !is_type && values.lost > 0 {
        notes.push(format!("NOT covered: the further values of {}", count(values.lost, "call")));
    }
    if writer.left_out > 0 {
        notes.push(format!("NOT covered: {} that no list or pattern here can hold", count(writer.left_out, "value")));
    }
    let mut patterns: Vec<String> = writer.patterns.into_iter().collect();
    // 9 before 10.
    let is_number = |text: &String| text.bytes().all(|b| b.is_ascii_digit());
    patterns.sort_by_key(|text| if is_number(text) { text.len() } else { usize::MAX });
    Proposal { patterns, notes }
}

/// How many values, and in how many calls.
fn basis(values: &Values) -> String {
    let distinct = match &values.shapes {
        Some(_) => format!("more than {} values", thousands(as_u64(KEPT_MAX))),
        None if values.kept.is_empty() && values.lost > 0 => "no value that a rule could hold".to_owned(),
        None if values.lost > 0 => format!("more than {} values", thousands(as_u64(values.kept.len()))),
        None => count(as_u64(values.kept.len()), "value"),
    };
    format!("{distinct} in {}", count(values.calls, "call"))
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// How far the patterns go beyond what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Covers {
    Seen,
    Alike,
    Anything,
}

struct Writer<'r, 'a> {
    reading: &'r Reading<'a>,
    patterns: BTreeSet<String>,
    /// Values that could not be written.
    left_out: u64,
    covers: Covers,
    is_not_utf8: bool,
}

impl Writer<'_, '_> {
    /// A type of the catalogue, where all values are of it and a list would say less.
    fn push_type(&mut self, values: &Values) -> bool {
        let is_many = values.kept.len() > FEW || values.lost > 0;
        let name = if self.reading.style == Style::Boolean && values.are_booleans && values.kept.len() > 1 {
            "boolean"
        } else if self.reading.style == Style::Integer && values.are_integers && is_many {
            "integer"
        } else {
            return false;
        };
        self.patterns.insert(name.to_owned());
        true
    }

    fn push_values(&mut self, values: &Values) {
        let reading = self.reading;
        let is_few = values.shapes.is_none() && values.kept.len() <= FEW;
        if is_few || reading.style.is_listed() || self.are_recurring_names(values) {
            return self.push_literals(values.kept.keys());
        }
        let mut shapes = match &values.shapes {
            Some(shapes) => shapes.clone(),
            None => Shapes::of(values.kept.keys(), reading),
        };
        // Numbers that differ in length count something: tomorrow they are longer.
        let mut without_numbers = shapes.clone();
        without_numbers.raise(reading.style);
        if without_numbers.map.len() < shapes.map.len() && shapes.level == Level::Names {
            shapes = without_numbers;
        }
        // What only exact text lets pass is never generalised; the rest is, until it is short enough to be read.
        let is_open = |parts: &[Part]| !matches!(parts, [Part::Fixed(_)]);
        let open = |shapes: &Shapes| shapes.map.keys().filter(|parts| is_open(parts)).count();
        while open(&shapes) > FEW && shapes.level.next() != shapes.level && reading.style != Style::Number {
            shapes.raise(reading.style);
        }
        // What is dialled is told closely: it costs.
        let is_close = reading.style == Style::Dial && shapes.map.len() <= FEW;
        for (parts, shape) in &shapes.map {
            if shape.samples.len() < SAMPLES || !is_open(parts) {
                self.push_literals(shape.samples.iter());
            } else {
                let is_any = parts.contains(&Part::Word);
                self.covers = self.covers.max(if is_any { Covers::Anything } else { Covers::Alike });
                for pattern in shape_patterns(parts, shape, reading.style, is_close) {
                    self.push(pattern, 1);
                }
            }
        }
    }

    /// Whether all values are names, most of them seen again and again: queues, users.
    fn are_recurring_names(&self, values: &Values) -> bool {
        let distinct = as_u64(values.kept.len());
        let is_name = |value: &Vec<u8>| {
            let pieces = pieces(value, self.reading);
            pieces.iter().all(|(part, _)| !matches!(part, Part::Word | Part::Digits(_)))
        };
        values.shapes.is_none()
            && values.kept.len() <= LIST_MAX
            && values.calls >= distinct.saturating_mul(RECURRING)
            && values.kept.keys().all(is_name)
    }

    fn push_literals<'v>(&mut self, values: impl Iterator<Item = &'v Vec<u8>>) {
        for value in values {
            match literal(value, self.reading) {
                Some(pattern) => {
                    self.is_not_utf8 |= std::str::from_utf8(value).is_err();
                    self.push(pattern, 1);
                }
                None => self.left_out += 1,
            }
        }
    }

    fn push(&mut self, pattern: String, values: u64) {
        let is_long = pattern.len() > PATTERN_LEN_MAX && has_wildcard(&pattern);
        if is_long || (self.patterns.len() >= LIST_MAX && !self.patterns.contains(&pattern)) {
            self.left_out += values;
        } else {
            self.patterns.insert(pattern);
        }
    }
}

fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?']) || pattern.starts_with('_')
}

/// A pattern that is this value alone, with the identity's attributes in it; none if there is no such pattern.
fn literal(value: &[u8], reading: &Reading<'_>) -> Option<String> {
    let is_utf8 = std::str::from_utf8(value).is_ok();
    if !is_utf8 && (reading.style == Style::Number || needs_exact(reading.kind, value)) {
        return None;
    }
    let text: String = pieces(value, reading)
        .into_iter()
        .map(|(part, text)| match part {
            Part::Attribute(name) => format!("{{{name}}}"),
            Part::Digits(_) | Part::Fixed(_) | Part::Hard(_) | Part::Name(_) | Part::Soft(_) | Part::Word => {
                escaped(text, reading.style)
            }
        })
        .collect();
    let is_type_name = match reading.style {
        Style::CallerId => text == "callerid",
        Style::Command => false,
        Style::Boolean
        | Style::Channel
        | Style::Dial
        | Style::Integer
        | Style::Listed
        | Style::Number
        | Style::Text => matches!(text.as_str(), "boolean" | "integer"),
    };
    (!is_type_name).then_some(text)
}

/// Text of a pattern; a byte that is no UTF-8 is a `?`.
pub(super) fn escaped(text: &[u8], style: Style) -> String {
    let mut out = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for (at, c) in chunk.valid().char_indices() {
            // A dialplan pattern begins so.
            let is_first = out.is_empty() && at == 0;
            if matches!(c, '\\' | '*' | '?' | '{' | '}') || (c == '_' && is_first && style == Style::Number) {
                out.push('\\');
            }
            out.push(c);
        }
        out.extend(chunk.invalid().iter().map(|_| '?'));
    }
    out
}

/// The patterns of one shape: one, or where it `is_close` one for each of a few first digits.
fn shape_patterns(parts: &[Part], shape: &ShapeUse, style: Style, is_close: bool) -> Vec<String> {
    if style == Style::Number {
        return vec![digits::dialplan(parts, &shape.digits)];
    }
    let parts = || parts.iter().zip(&shape.digits);
    let mut all = vec![String::new()];
    for (part, digits) in parts().filter(|_| is_close) {
        if all.len() > FEW {
            break;
        }
        let is_digits = matches!(part, Part::Digits(_));
        let texts = if is_digits { digits::texts(digits) } else { vec![plain(part, digits, style)] };
        all = all.iter().flat_map(|start| texts.iter().map(move |text| format!("{start}{text}"))).collect();
    }
    if is_close && all.len() <= FEW {
        return all;
    }
    vec![parts().map(|(part, digits)| plain(part, digits, style)).collect()]
}

fn plain(part: &Part, digits: &[u16], style: Style) -> String {
    match part {
        Part::Attribute(name) => format!("{{{name}}}"),
        Part::Digits(_) => digits::text(digits),
        Part::Fixed(text) | Part::Name(text) => escaped(text, style),
        Part::Hard(byte) | Part::Soft(byte) => escaped(&[*byte], style),
        Part::Word => "*".to_owned(),
    }
}
