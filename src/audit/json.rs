//! JSON by hand, straight into a byte buffer: the members of a record, each with the comma before it.
//!
//! INVARIANT: what these functions append is valid JSON, valid UTF-8, on one line, and has no control character in the
//! clear (C0, DEL and C1 are escaped, and what turns the direction of a line), so that a log is safe to show on a terminal.

use std::fmt::Display;
use std::io::Write as _;
use std::net::SocketAddr;

/// Appends `,"key":`.
pub(super) fn key(out: &mut Vec<u8>, key: &'static str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends a member with a text value.
pub(super) fn text(out: &mut Vec<u8>, name: &'static str, value: &str) {
    key(out, name);
    string(out, value);
}

/// Appends a member with a text value that needs no escape.
pub(super) fn plain_text(out: &mut Vec<u8>, name: &'static str, value: &'static str) {
    key(out, name);
    plain_string(out, value.as_bytes());
}

/// Appends a member with a text value, unless it is empty.
pub(super) fn text_if_any(out: &mut Vec<u8>, name: &'static str, value: &str) {
    if !value.is_empty() {
        text(out, name, value);
    }
}

/// Appends a member with a text value that a peer sent. What is not UTF-8 is read as Latin-1: fine for names, which the
/// record's headers have losslessly too.
pub(super) fn bytes(out: &mut Vec<u8>, name: &'static str, value: &[u8]) {
    key(out, name);
    match std::str::from_utf8(value) {
        Ok(value) => string(out, value),
        Err(_) => string(out, &latin1(value)),
    }
}

/// Appends a member with a number.
pub(super) fn number(out: &mut Vec<u8>, name: &'static str, value: impl itoa::Integer) {
    key(out, name);
    digits(out, value);
}

/// Appends a number.
pub(super) fn digits(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a member with an address.
pub(super) fn address(out: &mut Vec<u8>, name: &'static str, address: SocketAddr) {
    let SocketAddr::V4(v4) = address else { return plain(out, name, address) };
    key(out, name);
    let mut before = b'"';
    for byte in v4.ip().octets() {
        out.push(before);
        digits(out, byte);
        before = b'.';
    }
    out.push(b':');
    digits(out, v4.port());
    out.push(b'"');
}

/// Appends a member with a text whose `Display` needs no escape: addresses, digests.
pub(super) fn plain(out: &mut Vec<u8>, name: &'static str, value: impl Display) {
    key(out, name);
    out.push(b'"');
    display(out, value);
    out.push(b'"');
}

/// Appends a member with a list of texts.
pub(super) fn list<'t>(out: &mut Vec<u8>, name: &'static str, values: impl IntoIterator<Item = &'t str>) {
    key(out, name);
    let start = out.len();
    for value in values {
        out.push(if out.len() == start { b'[' } else { b',' });
        string(out, value);
    }
    if out.len() == start {
        out.push(b'[');
    }
    out.push(b']');
}

/// Appends a member with a list of objects, each with the members that `members` writes.
pub(super) fn objects<T>(
    out: &mut Vec<u8>,
    name: &'static str,
    values: impl IntoIterator<Item = T>,
    members: impl Fn(&mut Vec<u8>, T),
) {
    key(out, name);
    out.push(b'[');
    for (index, value) in values.into_iter().enumerate() {
        let mut object = Vec::new();
        members(&mut object, value);
        if index > 0 {
            out.push(b',');
        }
        out.push(b'{');
        // Each member begins with a comma.
        out.extend_from_slice(object.get(1..).unwrap_or_default());
        out.push(b'}');
    }
    out.push(b']');
}

/// Appends the value's text as it is.
pub(super) fn display(out: &mut Vec<u8>, value: impl Display) {
    // Writing to a Vec cannot fail.
    drop(write!(out, "{value}"));
}

/// Each byte as the character of that number, so that nothing is lost.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Whether a text stands in JSON as it is. No early end, so that it is looked at many bytes at a time.
pub(super) fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(true, |is_plain, &byte| is_plain & matches!(byte, 0x20..=0x7E) & (byte != b'"') & (byte != b'\\'))
}

/// As [`is_plain`], of a text whose line ends do not matter.
pub(super) fn is_plain_text(text: &[u8]) -> bool {
    let is_bad = |byte: u8| {
        (byte != b'\r') & (byte != b'\n') & (!matches!(byte, 0x20..=0x7E) | (byte == b'"') | (byte == b'\\'))
    };
    !text.iter().fold(false, |any, &byte| any | is_bad(byte))
}

/// Appends a JSON string of a text that [`is_plain`].
pub(super) fn plain_string(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

/// Appends a JSON string.
pub(super) fn string(out: &mut Vec<u8>, value: &str) {
    if is_plain(value.as_bytes()) {
        return plain_string(out, value.as_bytes());
    }
    out.push(b'"');
    let mut rest = value.as_bytes();
    while let Some((clear, tail)) =
        rest.iter().position(|b| may_need_escape(*b)).and_then(|at| rest.split_at_checked(at))
    {
        out.extend_from_slice(clear);
        rest = escape(out, tail);
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// 0xC2 begins the UTF-8 form of the C1 controls, 0xD8 and 0xE2 those of changes of direction, and of other characters.
const fn may_need_escape(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7F | 0xC2 | 0xD8 | 0xE2)
}

/// Appends the first character of `text`, escaped where it must be, and gives what is behind it.
fn escape<'t>(out: &mut Vec<u8>, text: &'t [u8]) -> &'t [u8] {
    let taken = match *text {
        [0xC2, c1 @ 0x80..=0x9F, ..] => {
            unicode(out, u16::from(c1));
            2
        }
        [0xD8, 0x9C, ..] => {
            unicode(out, 0x61C);
            2
        }
        // U+200E and U+200F, U+2028 to U+202E, U+2066 to U+2069.
        [0xE2, 0x80, last @ (0x8E | 0x8F | 0xA8..=0xAE), ..] => {
            unicode(out, 0x2000 + u16::from(last & 0x3F));
            3
        }
        [0xE2, 0x81, last @ 0xA6..=0xA9, ..] => {
            unicode(out, 0x2040 + u16::from(last & 0x3F));
            3
        }
        [quoted @ (b'"' | b'\\'), ..] => {
            out.extend_from_slice(&[b'\\', quoted]);
            1
        }
        [control @ (0..=0x1F | 0x7F), ..] => {
            unicode(out, u16::from(control));
            1
        }
        [other, ..] => {
            out.push(other);
            1
        }
        [] => 0,
    };
    text.get(taken..).unwrap_or_default()
}

fn unicode(out: &mut Vec<u8>, code: u16) {
    drop(write!(out, "\\u{code:04x}"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(value: &str) -> String {
        let mut out = Vec::new();
        string(&mut out, value);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn addresses_are_what_they_are_elsewhere() {
        for text in ["203.0.113.7:51234", "0.0.0.0:0", "255.255.255.255:65535", "[2001:db8::7]:5039"] {
            let mut out = Vec::new();
            address(&mut out, "peer", text.parse().expect("an address"));
            assert_eq!(out, format!(",\"peer\":\"{text}\"").into_bytes());
        }
    }

    #[test]
    fn controls_never_stand_in_the_clear() {
        assert_eq!(encoded("a\"b\\c\u{1b}[31m\u{7f}\u{9b}\n"), r#""a\"b\\c\u001b[31m\u007f\u009b\u000a""#);
        assert_eq!(encoded("a\u{202e}\u{2066}\u{200f}\u{61c}\u{2026}"), "\"a\\u202e\\u2066\\u200f\\u061c\u{2026}\"");
        assert_eq!(encoded("J\u{fc}rgen \u{a0}\u{20ac}"), "\"J\u{fc}rgen \u{a0}\u{20ac}\"");
    }

    proptest! {
        #[test]
        fn every_text_comes_back(value in "\\PC*|[\\x00-\\x{ff}]*") {
            let json = encoded(&value);
            prop_assert!(!json.chars().any(char::is_control));
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), value);
        }
    }
}
