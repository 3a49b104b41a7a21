//! [`Decoder`]: bytes in, messages or violations out, the same for any split of the bytes.
//!
//! From a client nothing ambiguous is accepted (the profile at the end of the protocol facts): a packet that Asterisk
//! and another reader could understand in two ways is a [`Malformed`] with the first [`Violation`] named, and decoding
//! goes on behind the next empty line. CR LF and bare LF both end a line, as in `manager.c`, `get_input`.
//! From Asterisk every byte is taken: control bytes become blanks and a line without a name is kept as it is, unless it is
//! blank.
//!
//! INVARIANT: what is buffered is at most one line and one message of the given [`Limits`].

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::Limits;
use super::message::{Message, is_name_byte, is_value_byte};

static PACKET_END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));

/// One way to break the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// A CR that does not belong to a line end.
    BareCr,
    /// A header name with a byte that the profile does not allow.
    BadName,
    /// A blank before the header name, or between the name and its colon.
    BlankInName,
    /// A control byte other than CR, LF and NUL, or DEL.
    ControlByte,
    /// The first line is an HTTP request: a browser was made to talk to this port.
    Http,
    /// A line longer than the limit, as received or as it would be sent on.
    LineTooLong,
    /// All lines together are longer than the limit.
    MessageTooLong,
    /// A line without a colon.
    NoColon,
    /// A NUL byte, at which Asterisk would cut the line.
    Nul,
    /// More lines than the limit.
    TooManyLines,
    /// A blank at the end of a value, which Asterisk takes as part of it.
    TrailingBlank,
}

impl Violation {
    /// The stable name, as it stands behind `message.` in the audit log.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BareCr => "bare-cr",
            Self::BadName => "bad-name",
            Self::BlankInName => "blank-in-name",
            Self::ControlByte => "control-byte",
            Self::Http => "http",
            Self::LineTooLong => "line-too-long",
            Self::MessageTooLong => "too-long",
            Self::NoColon => "no-colon",
            Self::Nul => "nul",
            Self::TooManyLines => "too-many-lines",
            Self::TrailingBlank => "trailing-blank",
        }
    }

    /// What the client is told: Asterisk's own words where it has them (manager.c, `do_message`).
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::LineTooLong => "Failed to parse message: line too long",
            Self::TooManyLines => "Too many lines in message or allocation failure",
            Self::MessageTooLong => "Failed to parse message: message too long",
            Self::BareCr => "Failed to parse message: carriage return inside a line",
            Self::BadName => "Failed to parse message: bad header name",
            Self::BlankInName => "Failed to parse message: blank in header name",
            Self::ControlByte | Self::Nul => "Failed to parse message: control byte",
            Self::Http => "Failed to parse message: this is not an HTTP port",
            Self::NoColon => "Failed to parse message: line without a colon",
            Self::TrailingBlank => "Failed to parse message: blank at the end of a value",
        }
    }
}

/// A packet that was refused while it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The first thing wrong with it.
    pub violation: Violation,
    /// The line of the packet in which it is, from 1.
    pub line: usize,
    /// The lines of the packet that were well formed (for the `ActionID` of the refusal and for the record).
    pub partial: Message,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Upstream,
}

/// Turns bytes into messages.
#[derive(Debug)]
pub struct Decoder {
    side: Side,
    limits: Limits,
    /// Bytes not yet consumed: `input[start..]`, of which `input[start..searched]` have no LF.
    input: Vec<u8>,
    start: usize,
    searched: usize,
    /// The rest of an over-long line is being skipped.
    skipping: bool,
    lines: usize,
    fault: Option<(Violation, usize)>,
    message: Message,
}

impl Decoder {
    /// A strict decoder for what a client sends.
    #[must_use]
    pub const fn client(limits: Limits) -> Self {
        Self::new(Side::Client, limits)
    }

    /// A tolerant decoder for what Asterisk sends.
    #[must_use]
    pub const fn upstream() -> Self {
        Self::new(Side::Upstream, Limits::UPSTREAM)
    }

    const fn new(side: Side, limits: Limits) -> Self {
        Self {
            side,
            limits,
            input: Vec::new(),
            start: 0,
            searched: 0,
            skipping: false,
            lines: 0,
            fault: None,
            message: Message::new(),
        }
    }

    /// Changes the limits, from the next line on (a client may send more once it has logged in).
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes more bytes. Call [`Decoder::next_message`] until it has no more before feeding again.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.start == self.input.len() {
            self.input.clear();
            self.start = 0;
            self.searched = 0;
        } else if self.start > 4_096 {
            self.input.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    /// Whether a packet has begun and is not complete, or bytes wait to be decoded.
    #[must_use]
    pub fn is_mid_packet(&self) -> bool {
        self.start < self.input.len() || self.lines > 0 || self.skipping
    }

    /// How many bytes wait to be decoded.
    #[must_use]
    pub const fn waiting_len(&self) -> usize {
        self.input.len() - self.start
    }

    /// How many lines the packet that is being read has so far.
    #[must_use]
    pub const fn lines_begun(&self) -> usize {
        self.lines
    }

    /// The next complete packet. From a client an empty line without a header before it is an empty message, as it is
    /// for Asterisk; from Asterisk it is skipped.
    ///
    /// # Errors
    /// [`Malformed`] for a packet that broke the rules; the packet behind it is decoded next.
    pub fn next_message(&mut self) -> Option<Result<Message, Malformed>> {
        if let Some(message) = self.whole_upstream_packet() {
            return Some(Ok(message));
        }
        loop {
            let rest = self.input.get(self.searched..).unwrap_or_default();
            let Some(offset) = memchr::memchr(b'\n', rest) else {
                self.searched = self.input.len();
                self.cut_overlong_line();
                return None;
            };
            let (from, end) = (self.start, self.searched + offset);
            self.start = end + 1;
            self.searched = end + 1;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            let from = from..end;
            // The line is taken out of `input` for the time of the call, to satisfy the borrow checker without a copy.
            let input = std::mem::take(&mut self.input);
            let line = input.get(from).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let done = if line.is_empty() { self.end_packet() } else { self.take_line(line) };
            self.input = input;
            if done.is_some() {
                return done;
            }
        }
    }

    /// A packet from Asterisk that is all there, and is passed on as it stands. Everything else goes line by line.
    fn whole_upstream_packet(&mut self) -> Option<Message> {
        if self.side != Side::Upstream || self.lines > 0 || self.skipping || self.searched != self.start {
            return None;
        }
        let rest = self.input.get(self.start..)?;
        let end = PACKET_END.find(rest)?;
        // What is shorter than a line may be has no line that is longer, and not too many of them.
        let lines =
            rest.get(..end + 2).filter(|lines| lines.len() <= self.limits.line_len_max.min(self.limits.lines_max))?;
        let message = Message::of_lines(lines)?;
        self.start += end + 4;
        self.searched = self.start;
        Some(message)
    }

    /// Forgets the bytes of a line that is already too long, so that nobody can make the buffer grow.
    fn cut_overlong_line(&mut self) {
        if self.skipping || self.input.len() - self.start > self.limits.line_len_max + 1 {
            if !self.skipping {
                if self.counts_line() {
                    self.note(Violation::LineTooLong);
                }
                self.skipping = true;
            }
            self.input.clear();
            self.start = 0;
            self.searched = 0;
        }
    }

    fn end_packet(&mut self) -> Option<Result<Message, Malformed>> {
        let message = std::mem::take(&mut self.message);
        let lines = std::mem::take(&mut self.lines);
        if let Some((violation, line)) = self.fault.take() {
            return Some(Err(Malformed { violation, line, partial: message }));
        }
        (lines > 0 || self.side == Side::Client).then_some(Ok(message))
    }

    fn note(&mut self, violation: Violation) {
        self.fault.get_or_insert((violation, self.lines));
    }

    /// Counts a line; false if there are too many.
    fn counts_line(&mut self) -> bool {
        if self.lines >= self.limits.lines_max {
            self.lines = self.limits.lines_max + 1;
            self.note(Violation::TooManyLines);
            return false;
        }
        self.lines += 1;
        true
    }

    /// Takes one non-empty line; a packet ends early only for an HTTP request, which has no reason to go on.
    fn take_line(&mut self, line: &[u8]) -> Option<Result<Message, Malformed>> {
        if !self.counts_line() {
            return None;
        }
        if line.len() > self.limits.line_len_max {
            self.note(Violation::LineTooLong);
            return None;
        }
        if self.message.lines().len() + line.len() + 3 > self.limits.message_len_max {
            self.note(Violation::MessageTooLong);
            return None;
        }
        match self.side {
            Side::Upstream => self.take_upstream_line(line),
            Side::Client => {
                if self.lines == 1 && is_http(line) {
                    self.note(Violation::Http);
                    return self.end_packet();
                }
                if let Err(violation) = take_client_line(line, self.limits, &mut self.message) {
                    self.note(violation);
                }
            }
        }
        None
    }

    fn take_upstream_line(&mut self, line: &[u8]) {
        let cleaned: Vec<u8>;
        let mut line = line;
        if !line.iter().copied().all(is_value_byte) {
            cleaned = line.iter().map(|&b| if is_value_byte(b) { b } else { b' ' }).collect();
            line = &cleaned;
        }
        // Many clients trim what they read: for them a line of blanks would end the packet, and what a value holds behind
        // it would be a packet that nobody has judged.
        if line.iter().all(|&b| b == b' ') {
            return;
        }
        let colon = memchr::memchr(b':', line);
        let name = colon.and_then(|at| line.get(..at)).filter(|name| name.iter().copied().all(is_name_byte));
        let name = name.and_then(|name| std::str::from_utf8(name).ok()).filter(|name| !name.is_empty());
        let taken = match (name, colon) {
            (Some(name), Some(at)) => {
                // Asterisk writes one blank behind the colon; more of them belong to the value (`Output:   x`).
                let value = line.get(at + 1..).unwrap_or_default();
                self.message.push(name, value.strip_prefix(b" ").unwrap_or(value))
            }
            _ => self.message.push_line(line),
        };
        debug_assert!(taken.is_ok(), "the line was cleaned");
    }
}

/// Takes a client's line into `message`, or says what is wrong with it.
fn take_client_line(line: &[u8], limits: Limits, message: &mut Message) -> Result<(), Violation> {
    let colon = memchr::memchr(b':', line);
    let (name, value) = match colon {
        Some(at) => (line.get(..at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default()),
        None => (line, &b""[..]),
    };
    // TAB and blank behind the colon are skipped by Asterisk; so is every other control byte, which is refused here.
    let lead = value.iter().take_while(|&&b| b == b' ' || b == b'\t').count();
    let value = value.get(lead..).unwrap_or_default();
    // No early end, so that it is done many bytes at a time.
    let is_clean = |text: &[u8]| text.iter().fold(true, |is_clean, &byte| is_clean & is_value_byte(byte));
    if !(is_clean(name) && is_clean(value)) {
        let bad = name.iter().chain(value).find(|byte| !is_value_byte(**byte));
        return Err(match bad {
            Some(0) => Violation::Nul,
            Some(b'\r') => Violation::BareCr,
            Some(b'\t') if value.last() == Some(&b'\t') => Violation::TrailingBlank,
            _ => Violation::ControlByte,
        });
    }
    if colon.is_none() {
        return Err(Violation::NoColon);
    }
    if name.contains(&b' ') {
        return Err(Violation::BlankInName);
    }
    let name = profile_name(name).ok_or(Violation::BadName)?;
    if value.last() == Some(&b' ') {
        return Err(Violation::TrailingBlank);
    }
    if name.len() + 2 + value.len() > limits.line_len_max {
        return Err(Violation::LineTooLong);
    }
    message.push(name, value).map_err(|_| Violation::ControlByte)
}

/// A name of the profile: a letter, then letters, digits, `(`, `)`, `_`, `-`.
fn profile_name(name: &[u8]) -> Option<&str> {
    let (first, rest) = name.split_first()?;
    let tail_is_good = rest.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'(' | b')' | b'_' | b'-'));
    (first.is_ascii_alphabetic() && tail_is_good).then(|| std::str::from_utf8(name).ok())?
}

/// Whether a line is an HTTP request line: a web page can make a browser send one, with AMI in the body.
fn is_http(line: &[u8]) -> bool {
    let mut words = line.split(|&b| b == b' ');
    let method = words.next().is_some_and(|word| !word.is_empty() && word.iter().all(u8::is_ascii_uppercase));
    method && words.next_back().is_some_and(|word| word.starts_with(b"HTTP/"))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
