//! [`Answer`]: the bytes of one packet towards a client, as Asterisk writes them.
//!
//! Unlike `ami::Message` it takes any byte: Asterisk echoes an `ActionID` with its control bytes, and a test of the proxy
//! needs just that.

use super::quirks::Request;

/// A packet being written.
#[derive(Clone)]
pub(super) struct Answer(Vec<u8>);

impl Answer {
    /// `Response: Success`, with the request's `ActionID` when it has one.
    pub(super) fn success(request: &Request) -> Self {
        Self::response("Success", request)
    }

    /// `Response: Error` with its `Message`: a whole packet.
    pub(super) fn error(request: &Request, message: impl AsRef<[u8]>) -> Vec<u8> {
        Self::response("Error", request).header("Message", message).end()
    }

    /// `Response: Success` with a `Message`: a whole packet.
    pub(super) fn ack(request: &Request, message: &str) -> Vec<u8> {
        Self::success(request).header("Message", message).end()
    }

    /// The packet that begins a list.
    pub(super) fn list_start(request: &Request, message: &str) -> Vec<u8> {
        Self::success(request).header("EventList", "start").header("Message", message).end()
    }

    /// The event that ends a list, without its last empty line.
    pub(super) fn list_complete(request: &Request, event: &str, items: usize) -> Self {
        Self::event(event).id(request).header("EventList", "Complete").header("ListItems", items.to_string())
    }

    /// `Response: <kind>` with the request's `ActionID` when it has one.
    pub(super) fn response(kind: &str, request: &Request) -> Self {
        Self(Vec::new()).header("Response", kind).id(request)
    }

    /// `Event: <name>`.
    pub(super) fn event(name: &str) -> Self {
        Self(Vec::new()).header("Event", name)
    }

    /// Appends the request's `ActionID`; an empty one is no id.
    pub(super) fn id(self, request: &Request) -> Self {
        let id = request.get("ActionID");
        if id.is_empty() { self } else { self.header("ActionID", id) }
    }

    /// Appends a header; the blank behind the colon stands even when the value is empty.
    pub(super) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        self.line(value.as_ref())
    }

    /// Appends a line as it is.
    pub(super) fn line(mut self, line: &[u8]) -> Self {
        self.0.extend_from_slice(line);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// Appends several headers.
    pub(super) fn headers<'a>(self, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        headers.into_iter().fold(self, |answer, (name, value)| answer.header(name, value))
    }

    /// The packet with the empty line that ends it.
    pub(super) fn end(self) -> Vec<u8> {
        self.line(b"").0
    }
}

/// `ast_escape_c`, and bytes that are not UTF-8 as U+FFFD: how events show names and variables.
pub(super) fn escape_c(value: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(value.len());
    for &byte in value {
        let letter = match byte {
            0x07 => b'a',
            0x08 => b'b',
            0x0C => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0B => b'v',
            b'\\' | b'\'' | b'"' | b'?' => byte,
            _ => {
                escaped.push(byte);
                continue;
            }
        };
        escaped.extend_from_slice(&[b'\\', letter]);
    }
    String::from_utf8_lossy(&escaped).into_owned().into_bytes()
}
