//! What reaches a terminal: values come from the network, and no byte of theirs may move its cursor, colour or hide its text,
//! or turn its direction.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// The text with control characters and changes of direction written as `\u….`, but for line ends and tabs.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    clean_but(text, |_| None)
}

/// The same for a text that amiwall has coloured, of which every value was cleaned before.
pub(super) fn clean_coloured(text: &str) -> Cow<'_, str> {
    clean_but(text, colour_len)
}

/// `kept` says how much at the start of a text stays as it is.
fn clean_but(text: &str, kept: impl Fn(&str) -> Option<usize>) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, found)) = rest.find(is_unsafe).and_then(|at| rest.split_at_checked(at)) {
        shown.push_str(before);
        let (colour, behind) = kept(found).and_then(|len| found.split_at_checked(len)).unwrap_or(("", found));
        shown.push_str(colour);
        let mut behind = behind.chars();
        if colour.is_empty()
            && let Some(c) = behind.next()
        {
            // In a JSON text this is the character itself. Writing to a String cannot fail.
            write!(shown, "\\u{:04x}", u32::from(c)).ok();
        }
        rest = behind.as_str();
    }
    shown.push_str(rest);
    shown.into()
}

/// Controls, and what turns or breaks a line.
fn is_unsafe(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The length of one of the colours that amiwall itself uses; never of what hides text.
fn colour_len(text: &str) -> Option<usize> {
    let codes = text.strip_prefix("\u{1b}[")?;
    let end = codes.find('m')?;
    let codes = codes.get(..end)?;
    let is_ours = |code: &str| matches!(code.parse(), Ok(0..=4_u8 | 30..=37)) && code.len() <= 2;
    codes.split(';').all(is_ours).then_some(end + 3)
}

/// Standard error for the program's own messages.
#[derive(Debug)]
pub(super) struct Messages;

impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A message comes whole.
        io::stderr().write_all(clean_coloured(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_our_colours_speaks_to_a_terminal() {
        let coloured = "a\tb\n\u{1b}[1;31merror\u{1b}[0m J\u{fc}rgen";
        assert_eq!(clean_coloured(coloured), coloured);
        assert_eq!(clean(coloured), "a\tb\n\\u001b[1;31merror\\u001b[0m J\u{fc}rgen");
        assert_eq!(clean("a\u{1b}]0;x\u{7}b"), r"a\u001b]0;x\u0007b");
        assert_eq!(
            clean_coloured("\u{1b}[8mhidden\u{1b}[2J\u{9b}m\u{7f}\r"),
            r"\u001b[8mhidden\u001b[2J\u009bm\u007f\u000d"
        );
        assert_eq!(clean("a\u{202e}b\u{2066}c\u{200f}"), r"a\u202eb\u2066c\u200f");
    }
}
