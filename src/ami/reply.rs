//! [`Reply`]: what Asterisk sends, told apart by its first header alone, since a later `Response:` or `Event:` line can be
//! anybody's (`OriginateResponse` has one, a `UserEvent` can have any).

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::Message;

/// It is never in the first line.
static ACTION_ID: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\nActionID: "));

/// The kinds of packets that Asterisk sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// The first header is `Event`.
    Event,
    /// The first header is `Response`.
    Response,
    /// Anything else, such as the raw lines of IAXnetstats.
    Other,
}

/// Where a packet stands in a list answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFrame {
    /// `EventList: start`: items follow.
    Start,
    /// `EventList: Complete` or `cancelled`: the list is over.
    End,
}

/// One packet from Asterisk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    message: Message,
    kind: ReplyKind,
}

impl Reply {
    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> ReplyKind {
        self.kind
    }

    /// All headers.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.message
    }

    /// The packet itself.
    #[must_use]
    pub fn into_message(self) -> Message {
        self.message
    }

    /// The event's name or the response's word (`Success`, `Error`, `Goodbye`); empty for other packets.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        match self.kind {
            ReplyKind::Other => b"",
            ReplyKind::Event | ReplyKind::Response => self.message.first().map_or(b"", |header| header.value),
        }
    }

    /// The `ActionID`, if there is one, as Asterisk spells it: what somebody else has called `actionid` is not its.
    #[must_use]
    pub fn action_id(&self) -> Option<&[u8]> {
        // Searched for in all lines at once: most events have none.
        let lines = self.message.lines();
        let start = ACTION_ID.find(lines)? + ACTION_ID.needle().len();
        let rest = lines.get(start..)?;
        rest.get(..memchr::memchr(b'\r', rest)?).filter(|id| !id.is_empty())
    }

    /// Whether this packet starts or ends a list (manager.c, `astman_send_listack`, `astman_send_list_complete_start`).
    #[must_use]
    pub fn list_frame(&self) -> Option<ListFrame> {
        let value = self.message.get("EventList")?;
        if value.eq_ignore_ascii_case(b"start") {
            Some(ListFrame::Start)
        } else if value.eq_ignore_ascii_case(b"Complete") || value.eq_ignore_ascii_case(b"cancelled") {
            Some(ListFrame::End)
        } else {
            None
        }
    }
}

impl From<Message> for Reply {
    fn from(message: Message) -> Self {
        let kind = match message.first() {
            // As Asterisk writes it.
            _ if message.lines().starts_with(b"Event: ") => ReplyKind::Event,
            Some(header) if header.is("Event") => ReplyKind::Event,
            Some(header) if header.is("Response") => ReplyKind::Response,
            Some(_) | None => ReplyKind::Other,
        };
        Self { message, kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_id_is_the_first_that_asterisk_has_written() {
        let id = |headers: &[(&str, &[u8])]| Reply::from(Message::compose(headers)).action_id().map(<[u8]>::to_vec);
        assert_eq!(id(&[("Response", b"Success"), ("ActionID", b"7"), ("ActionID", b"8")]), Some(b"7".to_vec()));
        assert_eq!(id(&[("Event", b"UserEvent"), ("actionid", b"1"), ("X", b"ActionID: 2")]), None);
        assert_eq!(id(&[("Event", b"X"), ("ActionID", b"")]), None);
    }

    #[test]
    fn only_the_first_header_tells_the_kind() {
        let reply = |headers: &[(&str, &[u8])]| Reply::from(Message::compose(headers));
        let event = reply(&[("Event", b"OriginateResponse"), ("Response", b"Failure")]);
        assert_eq!((event.kind(), event.name()), (ReplyKind::Event, &b"OriginateResponse"[..]));
        assert_eq!(reply(&[("Output", b"x"), ("Response", b"Success")]).kind(), ReplyKind::Other);
        let list = reply(&[("Response", b"Success"), ("EventList", b"start")]);
        assert_eq!((list.kind(), list.list_frame()), (ReplyKind::Response, Some(ListFrame::Start)));
        assert_eq!(
            reply(&[("Event", b"StatusComplete"), ("EventList", b"Complete")]).list_frame(),
            Some(ListFrame::End)
        );
    }
}
