//! Text of a log on its way to a reader: what cannot be seen is made visible, and what is too long is cut. Writers escape
//! it for their format on top of that.

use jiff::Timestamp;

/// Characters of one value that are kept; a value of the log may have many thousands.
pub(super) const VALUE_LEN_MAX: usize = 200;

/// The text as it may be shown: control characters as pictures, what turns or hides text by its number, and no more than
/// [`VALUE_LEN_MAX`] characters of it.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        if at == VALUE_LEN_MAX {
            let more = text.chars().count() - VALUE_LEN_MAX;
            out.push_str(&format!("… ({more} more characters)"));
            break;
        }
        push_visible(&mut out, c);
    }
    out
}

pub(super) fn push_visible(out: &mut String, c: char) {
    let number = u32::from(c);
    match number {
        0..0x20 => out.push(char::from_u32(0x2400 + number).unwrap_or(char::REPLACEMENT_CHARACTER)),
        0x7f => out.push('\u{2421}'),
        _ if is_unseen(number) => out.push_str(&format!("⟨U+{number:04X}⟩")),
        _ => out.push(c),
    }
}

/// C1 controls, characters of no width, marks and overrides of direction, line separators, tags, and what is no character.
const fn is_unseen(number: u32) -> bool {
    matches!(
        number,
        0x80..=0x9f
            | 0xad
            | 0x61c
            | 0x180e
            | 0x200b..=0x200f
            | 0x2028..=0x202e
            | 0x2060..=0x206f
            | 0xfdd0..=0xfdef
            | 0xfeff
            | 0xfff0..=0xfffb
            | 0xe0000..=0xe0fff
    ) || number & 0xfffe == 0xfffe
}

/// As a key of a table: cut, so that no value of the log costs more memory than another.
pub(super) fn key(text: &str) -> String {
    if text.len() <= VALUE_LEN_MAX {
        return text.to_owned();
    }
    text.chars().take(VALUE_LEN_MAX).chain(['…']).collect()
}

/// `2026-11-21 02:00:00`, UTC.
pub(super) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `1,204`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (at, c) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1 call`, `1,204 calls`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// `3 d 4 h`, `2 min 5 s`: the two largest units.
pub(super) fn span(seconds: i64) -> String {
    let (sign, seconds) = if seconds < 0 { ("-", seconds.saturating_neg()) } else { ("", seconds) };
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, unit) in units {
        if rest >= size {
            parts.push(format!("{} {unit}", rest / size));
            rest %= size;
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() { "0 s".to_owned() } else { format!("{sign}{}", parts.join(" ")) }
}

/// How long after `from` `until` is, in seconds.
pub(super) fn seconds_between(from: Timestamp, until: Timestamp) -> i64 {
    until.duration_since(from).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unseen_is_left() {
        assert_eq!(visible("a\0b\x1b[2J\r\n\x7f"), "a␀b␛[2J␍␊␡");
        assert_eq!(visible("\u{202e}x\u{2066}\u{9b}\u{feff}"), "⟨U+202E⟩x⟨U+2066⟩⟨U+009B⟩⟨U+FEFF⟩");
        assert_eq!(visible("Jürgen 東京 <b>"), "Jürgen 東京 <b>");
        let long = visible(&"x".repeat(1_000));
        assert!(long.ends_with("x… (800 more characters)") && long.chars().count() < 230, "{long}");
        assert!(key(&"ä".repeat(1_000)).chars().count() == VALUE_LEN_MAX + 1);
    }

    #[test]
    fn numbers_and_spans_are_readable() {
        assert_eq!((thousands(0), thousands(1_234_567)), ("0".to_owned(), "1,234,567".to_owned()));
        let spans = [0, 59, 60, 3_605, 90_061, -120].map(span);
        assert_eq!(spans, ["0 s", "59 s", "1 min", "1 h", "1 d 1 h", "-2 min"]);
    }
}
