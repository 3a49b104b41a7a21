//! The matcher: all ways to read the value are followed at once, as a set of places in the pattern for each place in the
//! value. No way is tried twice, so no pattern is slow.

use super::{Element, MAX_ELEMENTS, Side, is_delimiter};

/// Places in a pattern.
#[derive(Clone, Copy, Default)]
struct Places([u64; (MAX_ELEMENTS + 1) / 64]);

impl Places {
    fn insert(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn contains(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word & (1 << (place % 64)) != 0)
    }

    const fn is_empty(&self) -> bool {
        let [a, b, c, d] = self.0;
        a | b | c | d == 0
    }
}

/// Whether the elements match the whole value.
pub(super) fn matches(elements: &[Element], side: Side, value: &[u8]) -> bool {
    let text_len = elements.iter().take_while(|element| matches!(element, Element::Byte(_))).count();
    let (text, elements) = elements.split_at(text_len);
    let Some((start, rest)) = value.split_at_checked(text_len) else { return false };
    if !text.iter().zip(start).all(|(element, &byte)| takes_byte(*element, side, byte)) {
        return false;
    }
    match elements {
        [] => rest.is_empty(),
        [Element::Run] => true,
        [Element::Star] => rest.iter().all(|&byte| takes_byte(Element::Star, side, byte)),
        _ => follow(elements, side, rest),
    }
}

/// Whether the elements match some value that begins with `start`.
pub(super) fn matches_some_behind(elements: &[Element], side: Side, start: &[u8]) -> bool {
    let text_len = elements.iter().take_while(|element| matches!(element, Element::Byte(_))).count();
    let (text, elements) = elements.split_at(text_len);
    if !text.iter().zip(start).all(|(element, &byte)| takes_byte(*element, side, byte)) {
        return false;
    }
    let rest = start.get(text_len..).unwrap_or_default();
    // With nothing left to match, only nothing more matches.
    if elements.is_empty() { rest.is_empty() } else { places_behind(elements, side, rest).is_some() }
}

fn follow(elements: &[Element], side: Side, value: &[u8]) -> bool {
    let Some([mut last, ..]) = places_behind(elements, side, value) else { return false };
    for (place, element) in elements.iter().enumerate() {
        if matches!(element, Element::Star | Element::Run) && last.contains(place) {
            last.insert(place + 1);
        }
    }
    last.contains(elements.len())
}

/// Where one can be behind the value, and a few bytes further on; none where no way leads.
fn places_behind(elements: &[Element], side: Side, value: &[u8]) -> Option<[Places; 5]> {
    // Where one can be now and after each of the next four bytes: a character is at most four bytes long.
    let mut ahead = [Places::default(); 5];
    let [start, ..] = &mut ahead;
    start.insert(0);
    for index in 0..value.len() {
        let rest = value.get(index..).unwrap_or_default();
        let now = step(elements, side, rest, &mut ahead);
        if now.is_empty() && ahead.iter().all(Places::is_empty) {
            return None;
        }
        let [_, one, two, three, four] = ahead;
        ahead = [one, two, three, four, Places::default()];
    }
    (!ahead.iter().all(Places::is_empty)).then_some(ahead)
}

/// Reads the first character of `rest` at every place where one can be now. Returns those places.
fn step(elements: &[Element], side: Side, rest: &[u8], ahead: &mut [Places; 5]) -> Places {
    let [now, one, two, three, four] = ahead;
    let Some(&byte) = rest.first() else { return *now };
    for (place, element) in elements.iter().enumerate() {
        if !now.contains(place) {
            continue;
        }
        match element {
            Element::Star | Element::Run => {
                now.insert(place + 1);
                if takes_byte(*element, side, byte) {
                    one.insert(place);
                }
            }
            Element::One if takes_byte(*element, side, byte) => {
                let width = char_width(rest);
                match width {
                    2 => two.insert(place + 1),
                    3 => three.insert(place + 1),
                    4 => four.insert(place + 1),
                    _ => one.insert(place + 1),
                }
                if side == Side::Deny {
                    one.insert(place + 1);
                }
            }
            Element::Byte(_) | Element::Set(_) if takes_byte(*element, side, byte) => one.insert(place + 1),
            Element::One | Element::Byte(_) | Element::Set(_) => {}
        }
    }
    let places = *now;
    *now = Places::default();
    places
}

/// Whether the element may be at this byte.
pub(super) fn takes_byte(element: Element, side: Side, byte: u8) -> bool {
    match (element, side) {
        (Element::Byte(own), Side::Allow) => own == byte,
        (Element::Byte(own), Side::Deny) => own.eq_ignore_ascii_case(&byte),
        (Element::Set(set), _) => byte.is_ascii() && set & (1 << byte) != 0,
        (Element::One | Element::Star, Side::Allow) => !is_delimiter(byte),
        (Element::One | Element::Star, Side::Deny) | (Element::Run, _) => true,
    }
}

/// How many bytes the first character has; 1 for a byte that begins no UTF-8 sequence.
pub(super) fn char_width(bytes: &[u8]) -> usize {
    let width = match bytes.first() {
        Some(0xC2..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF4) => 4,
        _ => return 1,
    };
    if bytes.get(..width).is_some_and(|sequence| std::str::from_utf8(sequence).is_ok()) { width } else { 1 }
}
