//! Message to bytes: the only serializer. Line ends are CR LF, one blank stands behind each colon.

use super::{Action, Message, Rewrite};

impl Message {
    /// Appends the packet's bytes, with the empty line that ends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.lines());
        out.extend_from_slice(b"\r\n");
    }

    /// A copy whose `ActionID` is `id`, in the place where it stands; without `id` the header is left out.
    #[must_use]
    pub fn with_action_id(&self, id: Option<&[u8]>) -> Self {
        self.rewrite(|header| match (header.is("ActionID"), id) {
            (false, _) => Rewrite::Keep,
            (true, Some(id)) => Rewrite::Set(id.to_vec().into()),
            (true, None) => Rewrite::Drop,
        })
    }
}

impl Action {
    /// Appends the packet as Asterisk gets it: `Action` first, then our own `ActionID`, then the other headers in the
    /// client's order. `id` is `[A-Za-z0-9.-]`, at most 64 bytes: longer ones break packets of Asterisk's own
    /// (it formats them into small buffers in 35 places).
    pub fn encode(&self, id: &str, out: &mut Vec<u8>) {
        out.reserve(self.message().lines().len() + id.len() + 32);
        out.extend_from_slice(b"Action: ");
        out.extend_from_slice(self.name());
        out.extend_from_slice(b"\r\nActionID: ");
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(b"\r\n");
        for header in self.message().headers() {
            if !header.is("Action") && !header.is("ActionID") {
                out.extend_from_slice(header.name_bytes());
                out.extend_from_slice(b": ");
                out.extend_from_slice(header.value);
                out.extend_from_slice(b"\r\n");
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ami::{Decoder, Limits};

    #[test]
    fn decoding_what_was_encoded_gives_the_same() {
        let message = Message::compose(&[("Action", b"Originate"), ("Variable", b"a=1"), ("Empty", b"")]);
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let mut decoder = Decoder::client(Limits::CLIENT);
        decoder.feed(&bytes);
        assert_eq!(decoder.next_message(), Some(Ok(message)));
        assert!(!decoder.is_mid_packet());
    }

    #[test]
    fn the_action_id_is_replaced_restored_or_dropped() {
        let message = Message::compose(&[("X", b"1"), ("actionid", b"mine"), ("Action", b"Ping")]);
        let action = Action::try_from(message).expect("an action");
        let mut bytes = Vec::new();
        action.encode("aw-1", &mut bytes);
        assert_eq!(bytes, b"Action: Ping\r\nActionID: aw-1\r\nX: 1\r\n\r\n");
        let answer = Message::compose(&[("Response", b"Success"), ("ActionID", b"aw-1"), ("Ping", b"Pong")]);
        assert_eq!(
            answer.with_action_id(Some(b"mine")).lines(),
            b"Response: Success\r\nActionID: mine\r\nPing: Pong\r\n"
        );
        assert_eq!(answer.with_action_id(None).lines(), b"Response: Success\r\nPing: Pong\r\n");
    }
}
