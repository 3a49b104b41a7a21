//! [`Draft`]: a record before it has its place in the chain. A packet is not copied: only the log knows whether it is to be
//! recorded, and what must be hidden of it.

use std::net::SocketAddr;

use super::chain::time_text;
use super::frame::Frame;
use super::json;
use super::kind::Kind;
use super::packet::{Fate, Packet};
use super::redact::Redactor;
use crate::ami::Message;
use crate::policy::{Decision, Pause, Tripped};
use crate::tls::PeerCertificate;

/// What every record of a session repeats.
#[derive(Clone, Debug, Default)]
pub struct SessionContext {
    /// `<boot id>-<seq of its connect record>`.
    pub session: String,
    /// The identity, after login.
    pub identity: Option<String>,
    /// The client's address.
    pub peer: Option<SocketAddr>,
    /// The proxy that said so.
    pub proxy: Option<SocketAddr>,
    /// The listener's address as the policy spells it.
    pub listener: String,
    /// The upstream's name.
    pub upstream: String,
    /// The digest of the policy in force: `sha256:…`.
    pub policy: String,
}

/// What a session did, for its last record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// Actions that were forwarded to Asterisk.
    pub forwarded: u64,
    /// Packets from the client that were refused.
    pub refused: u64,
    /// Packets that were sent to the client.
    pub sent: u64,
    /// Actions that were forwarded, and whose answers the client has not got: what came of them it does not know.
    pub unanswered: u64,
}

/// A record before it has its seq, time and hash.
pub struct Draft<'m> {
    kind: Kind,
    /// What it says, if it is not about a packet.
    members: Vec<u8>,
    packet: Option<Packet<'m>>,
}

impl std::fmt::Debug for Draft<'_> {
    /// Shows no value: it may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Draft({})", self.kind.name())
    }
}

impl<'m> Draft<'m> {
    /// A connection was accepted. `session` is left out of the context: this record's seq makes it.
    #[must_use]
    pub fn connect(context: &SessionContext) -> Self {
        let mut draft = Self::of_session(Kind::Connect, &SessionContext { session: String::new(), ..context.clone() });
        draft.proxy(context.proxy);
        draft.under(context)
    }

    /// A connection was refused. `reason` is a code of the closed list.
    #[must_use]
    pub fn refuse(peer: SocketAddr, proxy: Option<SocketAddr>, listener: &str, reason: &str) -> Self {
        let mut draft = Self::new(Kind::Refuse);
        json::address(&mut draft.members, "peer", peer);
        json::text(&mut draft.members, "listener", listener);
        draft.proxy(proxy);
        json::plain_text(&mut draft.members, "decision", "deny");
        json::text(&mut draft.members, "reason", reason);
        draft
    }

    /// An attempt to log in as `claimed`, by `method` (`plain`, `md5`, `certificate`); refused for a reason code.
    #[must_use]
    pub fn login(context: &SessionContext, claimed: Claimed<'_>, method: &str, outcome: Result<(), &str>) -> Self {
        let mut draft = Self::of_session(Kind::Login, context);
        json::plain(&mut draft.members, "decision", if outcome.is_ok() { "allow" } else { "deny" });
        json::text_if_any(&mut draft.members, "reason", outcome.err().unwrap_or_default());
        match claimed {
            Claimed::Known(name) => json::bytes(&mut draft.members, "claimed", name),
            Claimed::Unknown(name) => json::number(&mut draft.members, "claimed_length", name.len()),
        }
        json::text(&mut draft.members, "method", method);
        draft.under(context)
    }

    /// A packet from a client, and what is to happen to it. `id` joins it to its answers.
    #[must_use]
    pub fn action(frame: &'m Frame, id: &'m str, decision: &'m Decision) -> Self {
        Self::of_packet(Kind::Action, Packet::from_client(frame, id, decision))
    }

    /// A packet from Asterisk that is passed to the client (`response` or `event`). `id` joins it to an action.
    #[must_use]
    pub fn reply(frame: &'m Frame, id: Option<&'m str>, message: &'m Message, latency_us: Option<u64>) -> Self {
        Self::to_client(Packet::to_client(frame, id, message, Fate::Passed { latency_us }))
    }

    /// A packet that amiwall itself answers.
    #[must_use]
    pub fn local_reply(frame: &'m Frame, id: Option<&'m str>, message: &'m Message) -> Self {
        Self::to_client(Packet::to_client(frame, id, message, Fate::Answered))
    }

    /// A packet from Asterisk that is not passed on, for a reason code.
    #[must_use]
    pub fn withheld(frame: &'m Frame, id: Option<&'m str>, message: &'m Message, reason: &'m str) -> Self {
        Self::to_client(Packet::to_client(frame, id, message, Fate::Withheld(reason)))
    }

    /// The packet answers an action of this name, and what is hidden of it is judged by that.
    #[must_use]
    pub const fn answering(mut self, action: Option<&'m str>) -> Self {
        if let Some(packet) = &mut self.packet {
            packet.asked = action;
        }
        self
    }

    fn to_client(packet: Packet<'m>) -> Self {
        let is_event = packet.message.first().is_some_and(|header| header.is("Event"));
        Self::of_packet(if is_event { Kind::Event } else { Kind::Response }, packet)
    }

    const fn of_packet(kind: Kind, packet: Packet<'m>) -> Self {
        Self { kind, members: Vec::new(), packet: Some(packet) }
    }

    /// A session ended, for a reason (`client-closed`, `upstream.lost` …).
    #[must_use]
    pub fn end(context: &SessionContext, reason: &str, counts: &SessionCounts) -> Self {
        let mut draft = Self::of_session(Kind::End, context);
        json::text(&mut draft.members, "reason", reason);
        json::number(&mut draft.members, "forwarded", counts.forwarded);
        json::number(&mut draft.members, "refused", counts.refused);
        json::number(&mut draft.members, "sent", counts.sent);
        if counts.unanswered > 0 {
            json::number(&mut draft.members, "unanswered", counts.unanswered);
        }
        draft.under(context)
    }

    /// Asterisk went away from a session that is kept for it; `unanswered` actions were given up.
    #[must_use]
    pub fn upstream_away(context: &SessionContext, since: jiff::Timestamp, unanswered: usize) -> Self {
        let mut draft = Self::of_session(Kind::Outage, context);
        json::plain_text(&mut draft.members, "reason", "upstream.held");
        json::plain(&mut draft.members, "since", time_text(since));
        json::number(&mut draft.members, "unanswered", unanswered);
        draft.under(context)
    }

    /// Asterisk is there again for a session that was kept: what it has sent in between is lost.
    #[must_use]
    pub fn upstream_back(context: &SessionContext, since: jiff::Timestamp, until: jiff::Timestamp) -> Self {
        let mut draft = Self::of_session(Kind::Outage, context);
        json::plain_text(&mut draft.members, "reason", "upstream.back");
        json::plain(&mut draft.members, "since", time_text(since));
        json::plain(&mut draft.members, "until", time_text(until));
        draft.under(context)
    }

    /// An identity is suspended, because of `count` refusals or of the first call to a class of numbers.
    #[must_use]
    pub fn tripped(context: &SessionContext, tripped: &Tripped) -> Self {
        let mut draft = Self::of_session(Kind::Limit, context);
        json::plain_text(&mut draft.members, "decision", "limit");
        json::plain_text(&mut draft.members, "reason", "limits.tripped");
        json::text(&mut draft.members, "limit", &tripped.limit);
        json::number(&mut draft.members, "count", tripped.count);
        if let Some(seconds) = tripped.seconds {
            json::number(&mut draft.members, "seconds", seconds);
        }
        json::text_if_any(&mut draft.members, "first_call", tripped.first_call.as_deref().unwrap_or_default());
        draft.under(context)
    }

    /// The user of that number told amiwall to do something (`name`) about an identity, and what came of it.
    #[must_use]
    pub fn admin(identity: &str, name: &'static str, outcome: &'static str, uid: u32) -> Self {
        let mut draft = Self::new(Kind::Admin);
        json::text(&mut draft.members, "identity", identity);
        json::plain(&mut draft.members, "name", name);
        json::plain(&mut draft.members, "outcome", outcome);
        json::number(&mut draft.members, "uid", uid);
        draft
    }

    /// The user of that number told amiwall to stop an action or to let it go on, for an identity or, if that is empty, for
    /// everybody, and what came of it.
    #[must_use]
    pub fn admin_of_action(pause: &Pause, name: &'static str, outcome: &'static str, uid: u32) -> Self {
        let draft = if pause.identity.is_empty() {
            let mut draft = Self::new(Kind::Admin);
            json::plain(&mut draft.members, "name", name);
            json::plain(&mut draft.members, "outcome", outcome);
            json::number(&mut draft.members, "uid", uid);
            draft
        } else {
            Self::admin(&pause.identity, name, outcome, uid)
        };
        draft.with(|out| json::text(out, "action", &pause.action))
    }

    /// The user of that number told amiwall to end a session.
    #[must_use]
    pub fn admin_of_session(session: &str, identity: &str, uid: u32) -> Self {
        Self::admin(identity, "kick", "kicked", uid).with(|out| json::text(out, "session", session))
    }

    /// Somebody did something at the web page, from there: `user` is one that there is. `reason` says why it was refused.
    #[must_use]
    pub fn web(name: &'static str, user: Option<&str>, peer: SocketAddr, outcome: Result<(), &'static str>) -> Self {
        let mut draft = Self::new(Kind::Admin);
        json::text_if_any(&mut draft.members, "user", user.unwrap_or_default());
        json::address(&mut draft.members, "peer", peer);
        json::plain(&mut draft.members, "name", name);
        json::plain(&mut draft.members, "outcome", if outcome.is_ok() { "done" } else { "refused" });
        json::text_if_any(&mut draft.members, "reason", outcome.err().unwrap_or_default());
        draft
    }

    /// amiwall was told to end, with so many sessions open.
    #[must_use]
    pub fn draining(sessions: usize) -> Self {
        let mut draft = Self::new(Kind::Admin);
        json::plain(&mut draft.members, "name", "drain");
        json::number(&mut draft.members, "sessions", sessions);
        draft
    }

    /// A record with nothing but its kind.
    pub(super) fn new(kind: Kind) -> Self {
        let mut members = Vec::with_capacity(512);
        json::plain_text(&mut members, "kind", kind.name());
        Self { kind, members, packet: None }
    }

    /// Of a session with a client certificate: which one. Nothing in it is of the client's choice.
    #[must_use]
    pub fn with_certificate(self, certificate: Option<&PeerCertificate>) -> Self {
        let Some(certificate) = certificate else { return self };
        self.with(|out| {
            json::text(out, "certificate_serial", &certificate.serial);
            json::text(out, "certificate_spki_sha256", &certificate.spki_sha256);
        })
    }

    /// Lets the log's own records write their members.
    pub(super) fn with(mut self, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        write(&mut self.members);
        self
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// The event's name, for what is left out of the log.
    pub(super) fn event_name(&self) -> Option<&[u8]> {
        let packet = self.packet.as_ref().filter(|_| self.kind == Kind::Event)?;
        packet.message.first().map(|header| header.value)
    }

    /// Appends the members of the record.
    pub(super) fn encode(&self, out: &mut Vec<u8>, redactor: &Redactor) {
        match &self.packet {
            Some(packet) => packet.encode(out, self.kind, redactor),
            None => out.extend_from_slice(&self.members),
        }
    }

    /// A record of a session, with all of its context but the policy.
    fn of_session(kind: Kind, context: &SessionContext) -> Self {
        let mut draft = Self::new(kind);
        json::text_if_any(&mut draft.members, "session", &context.session);
        context.encode_peers(&mut draft.members);
        draft
    }

    fn proxy(&mut self, proxy: Option<SocketAddr>) {
        if let Some(proxy) = proxy {
            json::plain(&mut self.members, "proxy", proxy);
        }
    }

    fn under(mut self, context: &SessionContext) -> Self {
        json::text_if_any(&mut self.members, "policy", &context.policy);
        self
    }
}

impl SessionContext {
    /// Who talks to whom.
    pub(super) fn encode_peers(&self, out: &mut Vec<u8>) {
        json::text_if_any(out, "identity", self.identity.as_deref().unwrap_or_default());
        if let Some(peer) = self.peer {
            json::address(out, "peer", peer);
        }
        json::text_if_any(out, "listener", &self.listener);
        json::text_if_any(out, "upstream", &self.upstream);
    }
}

/// The name that a login claims.
#[derive(Clone, Copy, Debug)]
pub enum Claimed<'a> {
    /// There is such an identity.
    Known(&'a [u8]),
    /// There is none: people type their secret where the name belongs, so only its length is recorded.
    Unknown(&'a [u8]),
}
