//! Asterisk's own reader of client bytes, byte for byte: `get_input`, `do_message`, `__astman_get_header` and the list
//! parsing of `Variable` (main/manager.c), `__ast_app_separate_args` (main/app.c).
//!
//! It is the reference for what Asterisk makes of some bytes, for the simulator and for differential tests, so it shares
//! no code with `ami/decode.rs` and keeps each oddity: the kept last byte of an over-long line, the mark that leaks into
//! the next packet, lines as C strings. No I/O, no clock.

use std::fmt;

/// Usable bytes of a session's buffer (`inbuf` less its NUL).
const BUFFER_LEN: usize = 1_024;
/// `AST_MAX_MANHEADERS`: lines kept of one packet.
const LINES_MAX: usize = 128;
/// Elements of one `Variable` line; the last one takes the rest as it is.
const VARIABLES_MAX: usize = 64;

/// What Asterisk makes of the bytes up to an empty line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// It is answered with an error and not executed; the request is what an `ActionID` is taken from.
    Refused(Refusal, Request),
    /// It has an action, which is looked up and executed.
    Request(Request),
}

/// Why a packet is not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A line did not fit the buffer, in this packet or in an earlier one that had too many lines as well.
    LineTooLong,
    /// There is no `Action` with a value.
    MissingAction,
    /// More than 128 lines.
    TooManyLines,
}

impl Refusal {
    /// The `Message` of the error.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::LineTooLong => "Failed to parse message: line too long",
            Self::MissingAction => "Missing action in request",
            Self::TooManyLines => "Too many lines in message or allocation failure",
        }
    }
}

/// Which end of the list of `Variable`s comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableOrder {
    /// The order of the packet (`ORDER_NATURAL`: MessageSend, PJSIPNotify).
    Natural,
    /// Last first: each is put before the ones already read (Originate).
    Reversed,
}

/// A packet's lines, each as the C string that Asterisk keeps.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Request {
    lines: Vec<Vec<u8>>,
}

impl Request {
    /// The lines, cut at their first NUL, without line ends.
    #[must_use]
    pub fn lines(&self) -> &[Vec<u8>] {
        &self.lines
    }

    /// Name and value of each line with a colon, as Asterisk would find them, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().filter_map(|line| {
            let colon = line.iter().position(|&b| b == b':')?;
            let (name, rest) = line.split_at_checked(colon)?;
            Some((name, skip_blanks(rest.get(1..)?)))
        })
    }

    /// `astman_get_header`: the value of the first line of that name, empty when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &[u8] {
        self.values(name).next().unwrap_or_default()
    }

    /// The first `Action` that is not empty (`process_message` with `GET_HEADER_SKIP_EMPTY`), or empty.
    #[must_use]
    pub fn action(&self) -> &[u8] {
        self.values("Action").find(|value| !value.is_empty()).unwrap_or_default()
    }

    fn values<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.lines.iter().filter_map(move |line| {
            let (head, rest) = line.split_at_checked(name.len())?;
            let value = rest.strip_prefix(b":")?;
            head.eq_ignore_ascii_case(name.as_bytes()).then(|| skip_blanks(value))
        })
    }

    /// `astman_get_variables_order`: all `Variable` lines as one list of names and values.
    #[must_use]
    pub fn variables(&self, order: VariableOrder) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut variables: Vec<_> = self.values("Variable").flat_map(variable_value).collect();
        if order == VariableOrder::Reversed {
            variables.reverse();
        }
        variables
    }
}

impl fmt::Debug for Request {
    /// Shows the action and the number of lines only: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({}, {} lines)", String::from_utf8_lossy(self.action()), self.lines.len())
    }
}

/// `ast_skip_blanks`: bytes 0x01 to 0x20.
fn skip_blanks(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|&b| b > 0x20).unwrap_or(value.len());
    value.get(start..).unwrap_or_default()
}

/// `man_do_variable_value`: elements without `=` or without a name do not count; nothing is trimmed.
fn variable_value(value: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    separate_args(value)
        .into_iter()
        .filter_map(|element| {
            let equals = element.iter().position(|&b| b == b'=')?;
            let (name, rest) = element.split_at_checked(equals)?;
            (!name.is_empty()).then(|| (name.to_vec(), rest.get(1..).unwrap_or_default().to_vec()))
        })
        .collect()
}

/// `__ast_app_separate_args` with comma, `remove_chars` and room for 64: brackets of both kinds and quotes hide commas,
/// quotes and backslashes go, and brackets that nobody closes stay open for the rest of the line.
fn separate_args(value: &[u8]) -> Vec<Vec<u8>> {
    let (mut parens, mut brackets, mut is_quoted) = (0_usize, 0_usize, false);
    let mut elements = Vec::new();
    let mut rest = value;
    while !rest.is_empty() && elements.len() < VARIABLES_MAX - 1 {
        let mut element = Vec::new();
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            match byte {
                b'"' => is_quoted = !is_quoted,
                b'\\' => {
                    let Some((&literal, tail)) = rest.split_first() else { break };
                    rest = tail;
                    element.push(literal);
                }
                b',' if parens == 0 && brackets == 0 && !is_quoted => break,
                _ => {
                    match byte {
                        b'(' => parens += 1,
                        b')' => parens = parens.saturating_sub(1),
                        b'[' => brackets += 1,
                        b']' => brackets = brackets.saturating_sub(1),
                        _ => {}
                    }
                    element.push(byte);
                }
            }
        }
        elements.push(element);
    }
    if !rest.is_empty() {
        elements.push(rest.to_vec());
    }
    elements
}

/// The reader of one session. Feed it whatever arrived, in any pieces, and take packets until there is none.
#[derive(Default)]
pub struct Reader {
    /// What was fed and is not yet in the session's buffer.
    pending: Vec<u8>,
    /// The session's buffer, at most [`BUFFER_LEN`] bytes; begins where a line begins.
    inbuf: Vec<u8>,
    /// `s->parsing == MESSAGE_LINE_TOO_LONG`.
    is_line_too_long: bool,
    /// `hdr_loss` of the packet being read.
    is_header_lost: bool,
    request: Request,
}

impl Reader {
    /// A reader with nothing read.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Whether a packet was begun and is not whole.
    #[must_use]
    pub fn is_mid_packet(&self) -> bool {
        !self.pending.is_empty() || !self.inbuf.is_empty() || !self.request.lines.is_empty()
    }

    /// The next packet, or `None` until more bytes are fed (`do_message`).
    pub fn next_packet(&mut self) -> Option<Packet> {
        loop {
            let line = self.next_line()?;
            let line = line.split(|&b| b == 0).next().unwrap_or_default();
            if line.is_empty() {
                return Some(self.finish_packet());
            }
            if self.request.lines.len() < LINES_MAX {
                self.request.lines.push(line.to_vec());
            } else {
                self.is_header_lost = true;
            }
        }
    }

    /// The order is Asterisk's: a packet with too many lines leaves the mark of an over-long line to the next packet.
    fn finish_packet(&mut self) -> Packet {
        let request = std::mem::take(&mut self.request);
        if std::mem::take(&mut self.is_header_lost) {
            Packet::Refused(Refusal::TooManyLines, request)
        } else if std::mem::take(&mut self.is_line_too_long) {
            Packet::Refused(Refusal::LineTooLong, request)
        } else if request.action().is_empty() {
            Packet::Refused(Refusal::MissingAction, request)
        } else {
            Packet::Request(request)
        }
    }

    /// `get_input`: a line without its LF and the one CR before it.
    fn next_line(&mut self) -> Option<Vec<u8>> {
        loop {
            let room = (BUFFER_LEN - self.inbuf.len()).min(self.pending.len());
            self.inbuf.extend(self.pending.drain(..room));
            if let Some(end) = self.inbuf.iter().position(|&b| b == b'\n') {
                let mut line: Vec<u8> = self.inbuf.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Some(line);
            }
            if self.inbuf.len() < BUFFER_LEN {
                return None;
            }
            self.inbuf.drain(..BUFFER_LEN - 1);
            self.is_line_too_long = true;
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("request", &self.request).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "quirks_tests.rs"]
mod tests;
