//! Patterns of digits. What is told of each place are the digits that were seen there, as bits.

use super::shape::Part;

/// The digits 2 to 9, and 1 to 9.
const N: u16 = 0b11_1111_1100;
const Z: u16 = 0b11_1111_1110;
/// More digits than this at the first place that varies are no longer named one by one.
const SET_MAX: u32 = 4;

/// A dialplan pattern: `_1NXXNXXXXXX`, `_[12]XXX`, `_+49X`.
pub(super) fn dialplan(parts: &[Part], digits: &[Vec<u16>]) -> String {
    let mut out = "_".to_owned();
    for (part, digits) in parts.iter().zip(digits) {
        match part {
            Part::Digits(_) => out.push_str(&places(digits)),
            Part::Attribute(name) => out.push_str(&format!("{{{name}}}")),
            Part::Fixed(text) | Part::Name(text) => out.push_str(&String::from_utf8_lossy(text)),
            // No value that is dialled has one.
            Part::Hard(_) | Part::Soft(_) | Part::Word => {}
        }
    }
    out
}

/// The digits that all have in common at the start, then whatever is left.
fn places(digits: &[u16]) -> String {
    let common = common(digits);
    let is_of = |at: usize, set: u16| digits.get(at).is_some_and(|seen| seen & !set == 0);
    // North American numbers: area code and exchange begin with N.
    let national = match digits.len() {
        10 => Some(0),
        11 if digits.first() == Some(&0b10) => Some(1),
        _ => None,
    };
    let national = national.filter(|start| is_of(*start, N) && is_of(start + 3, N));
    let place = |(at, seen): (usize, &u16)| match *seen {
        seen if at < common => digit(seen).to_string(),
        _ if national.is_some_and(|start| at == start || at == start + 3) => "N".to_owned(),
        seen if at == common => first(seen),
        _ => "X".to_owned(),
    };
    digits.iter().enumerate().map(place).collect()
}

/// How many digits at the start are always the same.
fn common(digits: &[u16]) -> usize {
    digits.iter().take_while(|seen| seen.count_ones() == 1).count()
}

fn digit(seen: u16) -> char {
    char::from_digit(seen.trailing_zeros(), 10).unwrap_or('X')
}

/// The first place that varies tells extensions from outside lines, so it is told closely.
fn first(seen: u16) -> String {
    match seen {
        seen if seen.count_ones() <= SET_MAX => set(seen),
        seen if seen & !N == 0 => "N".to_owned(),
        seen if seen & !Z == 0 => "Z".to_owned(),
        _ => "X".to_owned(),
    }
}

fn set(seen: u16) -> String {
    let digits: Vec<u32> = (0..10).filter(|digit| seen & (1 << digit) != 0).collect();
    let mut out = "[".to_owned();
    for run in digits.chunk_by(|a, b| a + 1 == *b) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        match run.len() {
            1 => out.push_str(&first.to_string()),
            2 => out.push_str(&format!("{first}{last}")),
            _ => out.push_str(&format!("{first}-{last}")),
        }
    }
    out.push(']');
    out
}

/// The same for a text, where `?` is one character.
pub(super) fn text(digits: &[u16]) -> String {
    let common = common(digits);
    digits.iter().enumerate().map(|(at, seen)| if at < common { digit(*seen) } else { '?' }).collect()
}

/// The same, apart for each of the digits at the first place that varies, if they are few: `10??` and `11??`.
pub(super) fn texts(digits: &[u16]) -> Vec<String> {
    let common = common(digits);
    let first = digits.get(common).copied().filter(|seen| seen.count_ones() <= SET_MAX);
    let Some(first) = first else { return vec![text(digits)] };
    let start: String = digits.iter().take(common).map(|seen| digit(*seen)).collect();
    let rest = "?".repeat(digits.len().saturating_sub(common + 1));
    (0..10).filter(|digit| first & (1 << digit) != 0).map(|digit| format!("{start}{digit}{rest}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(values: &[&str]) -> Vec<u16> {
        let place =
            |at: usize| values.iter().map(|v| 1 << (v.as_bytes()[at] - b'0')).fold(0, |all, bit: u16| all | bit);
        (0..values[0].len()).map(place).collect()
    }

    #[test]
    fn numbers_are_written_as_in_a_dialplan() {
        assert_eq!(places(&seen(&["1001", "1002", "1017"])), "10[01]X");
        assert_eq!(places(&seen(&["1001", "2002", "3017"])), "[1-3]XXX");
        assert_eq!(places(&seen(&["2125550100", "6465550199", "9175550111"])), "NXXNXXXXXX");
        assert_eq!(places(&seen(&["12125550100", "16465550199"])), "1NXXNXXXXXX");
        assert_eq!(places(&seen(&["12125550100", "12129990199"])), "1212NXXXXXX");
        assert_eq!(places(&seen(&["22", "33", "44", "55", "66", "77"])), "NX");
        assert_eq!(places(&seen(&["12", "23", "34", "45", "56", "67"])), "ZX");
        assert_eq!(places(&seen(&["02", "13", "24", "35", "46", "57"])), "XX");
        assert_eq!(set(0b10_0000_1011), "[0139]");
        assert_eq!(text(&seen(&["1001", "1017"])), "10??");
        assert_eq!(texts(&seen(&["1001", "1117", "2000"])), ["1???", "2???"]);
        assert_eq!(texts(&seen(&["1001", "1117"])), ["10??", "11??"]);
        assert_eq!(texts(&seen(&["1001"])), ["1001"]);
    }
}
