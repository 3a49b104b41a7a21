//! [`Message`]: an ordered list of headers, kept as the bytes that would be sent.
//!
//! INVARIANT: `buf` is a sequence of lines `Name: value\r\n` (or `text\r\n` for a line without a name), none of them empty,
//! with no CR, LF or other control byte inside a line. The only ways in are [`Message::push`], [`Message::push_line`] and
//! `Message::of_lines`, which refuse everything else, so no line can be smuggled into what is encoded.
//!
//! Headers are found anew each time: most packets of Asterisk are passed on without a look at more than the first two.

use std::fmt;

/// One header line of a message. Names are compared without case, as Asterisk does (`__astman_get_header`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    name: &'a [u8],
    /// The value: bytes 0x20 to 0x7E and 0x80 to 0xFF.
    pub value: &'a [u8],
}

impl<'a> Header<'a> {
    /// Of a line without its end.
    pub(crate) fn of_line(line: &'a [u8]) -> Self {
        let colon = memchr::memchr(b':', line).and_then(|at| line.split_at_checked(at));
        match colon.filter(|(name, _)| !name.is_empty() && name.iter().copied().all(is_name_byte)) {
            // Asterisk writes one blank behind the colon; more of them belong to the value (`Output:   x`).
            Some((name, rest)) => {
                Self { name, value: rest.strip_prefix(b": ").unwrap_or_else(|| rest.get(1..).unwrap_or_default()) }
            }
            None => Self { name: b"", value: line },
        }
    }

    /// The name as it was spelled; empty for a line without a name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        // It is ASCII.
        std::str::from_utf8(self.name).unwrap_or_default()
    }

    /// The bytes of the name.
    #[must_use]
    pub const fn name_bytes(&self) -> &'a [u8] {
        self.name
    }

    /// Whether this header has that name, without case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

impl fmt::Debug for Header<'_> {
    /// Shows the name only: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ({} bytes)", self.name(), self.value.len())
    }
}

/// Why a header was not taken into a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The name is empty or has a byte that no header name has.
    #[error("the header name is not a name")]
    Name,
    /// The value has a control byte.
    #[error("the header value has a control byte")]
    Value,
}

/// A packet: an ordered list of headers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    buf: Vec<u8>,
}

/// The headers of a message, in order.
#[derive(Clone, Debug)]
pub struct Headers<'m> {
    rest: &'m [u8],
}

impl<'m> Iterator for Headers<'m> {
    type Item = Header<'m>;

    fn next(&mut self) -> Option<Header<'m>> {
        let line = self.next_line()?;
        Some(Header::of_line(line))
    }
}

impl<'m> Headers<'m> {
    fn next_line(&mut self) -> Option<&'m [u8]> {
        let (line, rest) = self.rest.split_at_checked(memchr::memchr(b'\n', self.rest)? + 1)?;
        self.rest = rest;
        Some(line.strip_suffix(b"\r\n").unwrap_or(line))
    }
}

/// Whether `byte` may stand in a value (DESIGN: 0x20 to 0x7E and 0x80 to 0xFF).
#[must_use]
pub(super) const fn is_value_byte(byte: u8) -> bool {
    byte >= 0x20 && byte != 0x7F
}

/// Whether `byte` may stand in a header name.
#[must_use]
pub(super) const fn is_name_byte(byte: u8) -> bool {
    byte > 0x20 && byte < 0x7F && byte != b':'
}

impl Message {
    /// An empty message.
    #[must_use]
    pub const fn new() -> Self {
        Self { buf: Vec::new() }
    }

    /// Appends a header.
    ///
    /// # Errors
    /// If the name is not a name or the value has a control byte; the message is unchanged then.
    pub fn push(&mut self, name: &str, value: &[u8]) -> Result<(), HeaderError> {
        if name.is_empty() || !name.bytes().all(is_name_byte) {
            return Err(HeaderError::Name);
        }
        if !value.iter().copied().all(is_value_byte) {
            return Err(HeaderError::Value);
        }
        self.buf.reserve(name.len() + value.len() + 4);
        self.buf.extend_from_slice(name.as_bytes());
        self.buf.extend_from_slice(b": ");
        self.buf.extend_from_slice(value);
        self.finish_line();
        Ok(())
    }

    /// A message of whole lines, each with its CR LF, if line by line they would become the same bytes: what a client gets
    /// must not depend on how the bytes came in. A line that begins with a blank is left to others: it may be one of blanks.
    pub(super) fn of_lines(lines: &[u8]) -> Option<Self> {
        if matches!(lines.first(), None | Some(b' ' | b'\r' | b'\n')) || !lines.ends_with(b"\r\n") {
            return None;
        }
        // Each byte with the one behind it, and no early end, so that it is done many bytes at a time.
        let pairs = lines.iter().zip(lines.get(1..).unwrap_or_default());
        let (is_bad, has_close_colon) = pairs.fold((false, false), |(is_bad, has_close_colon), (&byte, &next)| {
            let (is_cr, is_lf) = (byte == b'\r', byte == b'\n');
            let is_half_an_end = is_cr != (next == b'\n');
            let begins_badly = is_lf & ((next == b' ') | (next == b'\r'));
            let is_bad = is_bad | is_half_an_end | begins_badly | !(is_value_byte(byte) | is_cr | is_lf);
            (is_bad, has_close_colon | ((byte == b':') & (next != b' ')))
        });
        let message = Self { buf: lines.to_vec() };
        // Mostly of a value: a time, an address.
        let is_canonical = |line: &[u8]| memchr::memchr(b':', line).is_none_or(|at| line.get(at + 1) == Some(&b' '));
        (!is_bad && (!has_close_colon || message.text_lines().all(is_canonical))).then_some(message)
    }

    /// Appends a line that has no name (Asterisk sends a few, such as GetConfig's `No categories found`).
    ///
    /// # Errors
    /// If the line is empty or has a control byte.
    pub fn push_line(&mut self, text: &[u8]) -> Result<(), HeaderError> {
        if text.is_empty() || !text.iter().copied().all(is_value_byte) {
            return Err(HeaderError::Value);
        }
        self.buf.extend_from_slice(text);
        self.finish_line();
        Ok(())
    }

    fn finish_line(&mut self) {
        self.buf.extend_from_slice(b"\r\n");
    }

    /// A message of these headers, for messages that amiwall itself composes. Control bytes of a value become blanks,
    /// since a composed answer may echo what a peer sent.
    #[must_use]
    pub fn compose(headers: &[(&str, &[u8])]) -> Self {
        let mut message = Self::new();
        for (name, value) in headers {
            message.push_lossy(name, value);
        }
        message
    }

    /// As [`Message::push`], with each control byte of the value turned into a blank; a bad name drops the header.
    pub fn push_lossy(&mut self, name: &str, value: &[u8]) {
        if self.push(name, value) == Err(HeaderError::Value) {
            let cleaned: Vec<u8> = value.iter().map(|&b| if is_value_byte(b) { b } else { b' ' }).collect();
            let cleaned_is_taken = self.push(name, &cleaned);
            debug_assert!(cleaned_is_taken.is_ok());
        }
    }

    /// The headers in order.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers { rest: &self.buf }
    }

    /// The lines in order, each without its end.
    pub(crate) fn text_lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        memchr::memchr_iter(b'\n', &self.buf).map(move |end| {
            let line = self.buf.get(start..end).unwrap_or_default();
            start = end + 1;
            line.strip_suffix(b"\r").unwrap_or(line)
        })
    }

    /// The first header, which alone tells what Asterisk's packets are (`Response` or `Event`).
    #[must_use]
    pub fn first(&self) -> Option<Header<'_>> {
        self.headers().next()
    }

    /// The value of the first header of that name, compared without case; what Asterisk's own lookup finds.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let mut rest = self.headers();
        while let Some(line) = rest.next_line() {
            // Most lines are another header, and the first bytes show it.
            let is_it = line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
            if is_it && line.get(name.len()) == Some(&b':') {
                let header = Header::of_line(line);
                if header.name.len() == name.len() {
                    return Some(header.value);
                }
            }
        }
        None
    }

    /// The values of all headers of that name, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.headers().filter(move |header| header.is(name)).map(|header| header.value)
    }

    /// How many headers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        memchr::memchr_iter(b'\n', &self.buf).count()
    }

    /// Whether there is no header.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// The canonical bytes of all header lines, each with its CR LF, without the empty line that ends a packet.
    #[must_use]
    pub fn lines(&self) -> &[u8] {
        &self.buf
    }

    /// A copy in which `change` has looked at each header: `Keep` it, `Drop` it, or `Set` another value (control bytes
    /// in it become blanks).
    #[must_use]
    pub fn rewrite<'m>(&'m self, mut change: impl FnMut(Header<'m>) -> Rewrite<'m>) -> Self {
        let mut copy = Self { buf: Vec::with_capacity(self.buf.len() + 64) };
        let mut rest = self.headers();
        while let Some(line) = rest.next_line() {
            let header = Header::of_line(line);
            match change(header) {
                Rewrite::Drop => {}
                Rewrite::Keep => {
                    copy.buf.extend_from_slice(line);
                    copy.finish_line();
                }
                Rewrite::Set(value) => copy.push_lossy(header.name(), &value),
            }
        }
        copy
    }
}

/// What [`Message::rewrite`] does with one header.
#[derive(Debug)]
pub enum Rewrite<'a> {
    /// Leave it out.
    Drop,
    /// Keep it as it is.
    Keep,
    /// Give it this value.
    Set(std::borrow::Cow<'a, [u8]>),
}

impl fmt::Debug for Message {
    /// Shows names and lengths only: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.headers()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_be_smuggled_in() {
        let mut message = Message::new();
        for value in [&b"a\r\nAction: Command"[..], b"a\nb", b"a\rb", b"a\0b", b"\x7f", b"\t"] {
            assert_eq!(message.push("X", value), Err(HeaderError::Value));
        }
        for name in ["", "A B", "A:", "A\r\n", "\u{e4}"] {
            assert_eq!(message.push(name, b"v"), Err(HeaderError::Name));
        }
        assert!(message.is_empty() && message.lines().is_empty());
    }

    #[test]
    fn the_first_of_two_headers_is_found_without_case() {
        let message = Message::compose(&[("action", b"Ping"), ("ACTION", b"x"), ("Empty", b"")]);
        assert_eq!(message.get("Action"), Some(&b"Ping"[..]));
        assert_eq!(message.get("empty"), Some(&b""[..]));
        assert_eq!(message.get_all("action").count(), 2);
        assert_eq!(message.lines(), b"action: Ping\r\nACTION: x\r\nEmpty: \r\n");
    }

    #[test]
    fn whole_lines_are_taken_only_as_they_stand() {
        let good = b"Event: X\r\nA:  b \r\nno name\r\n\xc3\xa4: 1\r\n";
        assert_eq!(
            Message::of_lines(good).map(|message| (message.lines().to_vec(), message.len())),
            Some((good.to_vec(), 4))
        );
        // Every other byte, and every line end, at every place.
        for at in 0..good.len() {
            for bad in [&b"\r"[..], b"\n", b"\r\n", b"\0", b"\t", b"\x7f"] {
                let with = [&good[..at], bad, &good[at..]].concat();
                let splits_a_line =
                    bad == b"\r\n" && at > 0 && !b"\r\n".contains(&good[at - 1]) && !b"\r\n ".contains(&good[at]);
                assert_eq!(Message::of_lines(&with).is_some(), splits_a_line, "{bad:?} at {at}");
            }
        }
        for bad in [&b""[..], b"\r\n", b"A: b", b"A: b\n", b"A: b\r", b" A: b\r\n", b"A: b\r\n C: d\r\n", b"A\r\n\r\n"]
        {
            assert_eq!(Message::of_lines(bad), None, "{bad:?}");
        }
        // As it would be written anew: a blank stands behind the first colon.
        for (lines, is_taken) in
            [(&b"A: 1:2\r\nB:: x\r\n"[..], false), (b"A: 1:2\r\nno name\r\n", true), (b"A:\r\n", false)]
        {
            assert_eq!(Message::of_lines(lines).is_some(), is_taken, "{lines:?}");
        }
    }

    #[test]
    fn rewriting_keeps_drops_and_sets() {
        let message = Message::compose(&[("A", b"1"), ("B", b"2"), ("C", b"3")]);
        let copy = message.rewrite(|header| match header.name() {
            "A" => Rewrite::Keep,
            "B" => Rewrite::Drop,
            _ => Rewrite::Set(b"x\ry"[..].into()),
        });
        assert_eq!(copy.lines(), b"A: 1\r\nC: x y\r\n");
    }

    #[test]
    fn debug_shows_no_value() {
        let message = Message::compose(&[("Secret", b"hunter2")]);
        assert!(!format!("{message:?}").contains("hunter2"));
    }
}
