//! What Asterisk makes of bytes: a model of its reader (manager.c, Asterisk 14 and later), written from its behaviour and
//! sharing nothing with `src/ami`. Slow and plain on purpose: it is what the product is compared with.
//!
//! Each rule was seen on a real Asterisk; the name of the C function stands beside it.

/// `get_input`: the buffer of a session, without its last byte.
const BUFFER: usize = 1_024;
/// `do_message`: lines of a packet that are kept (`AST_MAX_MANHEADERS`).
const LINES: usize = 128;
/// `__ast_app_separate_args`: elements of one `Variable` line; the last holds all the rest.
const ELEMENTS: usize = 64;

/// What Asterisk does at the end of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It looks for the action and runs it.
    Runs(Packet),
    /// No line is an `Action` with a value.
    NoAction,
    /// A line was too long: the packet is dropped.
    LineTooLong,
    /// There were more than 128 lines: the packet is dropped.
    TooManyLines,
}

/// The lines of a packet, in order, each up to its first NUL.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Packet {
    lines: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.lines.iter().map(|line| line.escape_ascii().to_string())).finish()
    }
}

/// One session of Asterisk's, reading.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    packet: Packet,
    has_lost_lines: bool,
    /// Outlives the packet when that is refused for its number of lines (`do_message`).
    has_long_line: bool,
    outcomes: Vec<Outcome>,
}

impl Reader {
    /// Takes what arrives at once. At the end of the stream an unfinished packet counts for nothing.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BUFFER - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            while let Some(line) = self.line() {
                self.take(line);
            }
            if self.buffer.len() == BUFFER {
                // `get_input`: all but the last byte is thrown away; what follows goes on behind that byte.
                self.buffer.drain(..BUFFER - 1);
                self.has_long_line = true;
            }
        }
    }

    /// The packets that have ended since this was last asked.
    pub(crate) fn outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes)
    }

    /// Whether nothing of a packet has been read since the last one ended.
    pub(crate) fn is_between_packets(&self) -> bool {
        self.buffer.is_empty() && self.packet.lines.is_empty() && !self.has_long_line && !self.has_lost_lines
    }

    /// `get_input`: a line ends at LF; one CR before it goes with it. The line is a C string.
    fn line(&mut self) -> Option<Vec<u8>> {
        let end = self.buffer.iter().position(|byte| *byte == b'\n')?;
        let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if let Some(nul) = line.iter().position(|byte| *byte == 0) {
            line.truncate(nul);
        }
        Some(line)
    }

    /// `do_message`: an empty line ends a packet, also one that begins with NUL. A blank, a TAB or a CR is a line.
    fn take(&mut self, line: Vec<u8>) {
        if !line.is_empty() {
            if self.packet.lines.len() < LINES {
                self.packet.lines.push(line);
            } else {
                self.has_lost_lines = true;
            }
            return;
        }
        let packet = std::mem::take(&mut self.packet);
        let outcome = if std::mem::take(&mut self.has_lost_lines) {
            Outcome::TooManyLines
        } else if std::mem::take(&mut self.has_long_line) {
            Outcome::LineTooLong
        } else if packet.action().is_none() {
            Outcome::NoAction
        } else {
            Outcome::Runs(packet)
        };
        self.outcomes.push(outcome);
    }
}

impl Packet {
    /// `process_message`: the first `Action` that is not empty.
    pub(crate) fn action(&self) -> Option<&[u8]> {
        self.values("Action").find(|value| !value.is_empty())
    }

    /// `astman_get_header`: the first line of that name, even when it is empty, which is as if it were not there.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next().filter(|value| !value.is_empty())
    }

    /// `__astman_get_header`: the name in any letter case at the line's start, and a colon right behind it.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter_map(move |line| {
            let (start, rest) = line.split_at_checked(name.len())?;
            let value = rest.strip_prefix(b":").filter(|_| start.eq_ignore_ascii_case(name.as_bytes()))?;
            Some(skip_blanks(value))
        })
    }

    /// All lines as names and values; a line without a colon has no name.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|line| match line.iter().position(|byte| *byte == b':') {
            Some(colon) => {
                let (name, value) = line.split_at(colon);
                (name, skip_blanks(value.strip_prefix(b":").unwrap_or(value)))
            }
            None => (&b""[..], line.as_slice()),
        })
    }

    /// `astman_get_variables_order`: what all `Variable` lines set, in the packet's order.
    pub(crate) fn variables(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut variables = Vec::new();
        for list in self.values("Variable") {
            for element in elements(list) {
                // `man_do_variable_value`: without `=` or a name it is nothing; blanks belong to both.
                let Some(equals) = element.iter().position(|byte| *byte == b'=').filter(|at| *at > 0) else { continue };
                let (name, value) = element.split_at(equals);
                variables.push((name.to_vec(), value.iter().skip(1).copied().collect()));
            }
        }
        variables
    }
}

/// `ast_skip_blanks`: every byte from 0x01 to 0x20, control bytes too. What is behind the value stays.
fn skip_blanks(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|byte| *byte > b' ').unwrap_or(value.len());
    value.split_at(start).1
}

/// `__ast_app_separate_args`: commas outside of `()`, `[]` and quotes part elements; quotes go, a backslash goes and takes
/// the next byte as it is; what is not closed swallows the rest; the 64th element is the rest as it stands.
fn elements(list: &[u8]) -> Vec<Vec<u8>> {
    let (mut all, mut element) = (Vec::new(), Vec::new());
    let (mut parens, mut brackets, mut is_quoted) = (0_usize, 0_usize, false);
    let mut bytes = list.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'(' => parens += 1,
            b')' => parens = parens.saturating_sub(1),
            b'[' => brackets += 1,
            b']' => brackets = brackets.saturating_sub(1),
            b'"' => {
                is_quoted = !is_quoted;
                continue;
            }
            b'\\' => {
                element.extend(bytes.next());
                continue;
            }
            b',' if parens == 0 && brackets == 0 && !is_quoted => {
                all.push(std::mem::take(&mut element));
                if all.len() == ELEMENTS - 1 {
                    element.extend(bytes);
                    break;
                }
                continue;
            }
            _ => {}
        }
        element.push(byte);
    }
    all.push(element);
    all
}
