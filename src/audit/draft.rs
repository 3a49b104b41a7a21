//! [`Draft`]: a record before it has its place in the chain. What is known is encoded at once; the packet's headers are
//! kept, because only the log knows what it must hide of them.

use std::borrow::Cow;
use std::net::SocketAddr;

use super::kind::Kind;
use super::packet::{Packet, Shown};
use super::redact::Redactor;
use super::{json, packet};
use crate::ami::Message;
use crate::policy::{Decision, Denial, Reason, Refused, RuleId, Tripped};
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
    /// Members of the record, without the headers, which belong at `gap`.
    members: Vec<u8>,
    gap: usize,
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
        json::plain(&mut draft.members, "decision", "deny");
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
    pub fn action(context: &SessionContext, id: &str, decision: &'m Decision) -> Self {
        match decision {
            Decision::Allow(permit) => {
                let judged = Judged {
                    rule: Some(permit.rule()),
                    reason: permit.would_deny(),
                    word: decision.word(),
                    dropped: permit.dropped(),
                    set: permit.set(),
                };
                Self::judged(context, id, (permit.action().message(), Shown::Values), &judged)
            }
            Decision::Deny(denial) => {
                let judged = Judged {
                    rule: denial.rule(),
                    reason: Some(denial.reason()),
                    word: decision.word(),
                    dropped: &[],
                    set: &[],
                };
                Self::judged(context, id, refused_packet(denial), &judged)
            }
        }
    }

    fn judged(context: &SessionContext, id: &str, (message, shown): (&'m Message, Shown), judged: &Judged<'_>) -> Self {
        let mut draft = Self::of_session(Kind::Action, context);
        json::text_if_any(&mut draft.members, "id", id);
        draft.peers(context);
        json::plain(&mut draft.members, "direction", "to-asterisk");
        let name = message.get_all("Action").find(|name| !name.is_empty());
        if let Some(name) = name {
            json::bytes(&mut draft.members, "name", name);
        }
        draft.hold(message, shown);
        judged.write(&mut draft.members);
        draft.under(context)
    }

    /// A packet from Asterisk that is passed to the client (`response` or `event`). `id` joins it to an action.
    #[must_use]
    pub fn reply(session: &SessionContext, id: Option<&str>, message: &'m Message, latency_us: Option<u64>) -> Self {
        let mut draft = Self::to_client(session, id, message);
        if let Some(latency_us) = latency_us {
            json::number(&mut draft.members, "latency_us", latency_us);
        }
        draft.under(session)
    }

    /// A packet that amiwall itself answers.
    #[must_use]
    pub fn local_reply(session: &SessionContext, id: Option<&str>, message: &'m Message) -> Self {
        let mut draft = Self::to_client(session, id, message);
        json::plain(&mut draft.members, "origin", "amiwall");
        draft.under(session)
    }

    /// A packet from Asterisk that is not passed on, for a reason code.
    #[must_use]
    pub fn withheld(session: &SessionContext, id: Option<&str>, message: &'m Message, reason: &str) -> Self {
        let mut draft = Self::to_client(session, id, message);
        json::plain(&mut draft.members, "decision", "deny");
        json::text(&mut draft.members, "reason", reason);
        draft.under(session)
    }

    /// The packet answers an action of this name, and what is hidden of it is judged by that.
    #[must_use]
    pub fn answering(mut self, action: Option<&str>) -> Self {
        if let Some(packet) = &mut self.packet {
            packet.asked = action.map(str::to_owned);
        }
        self
    }

    fn to_client(context: &SessionContext, id: Option<&str>, message: &'m Message) -> Self {
        let first = message.first();
        let is_event = first.is_some_and(|header| header.is("Event"));
        let mut draft = Self::of_session(if is_event { Kind::Event } else { Kind::Response }, context);
        json::text_if_any(&mut draft.members, "id", id.unwrap_or_default());
        draft.peers(context);
        json::plain(&mut draft.members, "direction", "to-client");
        let word = first.filter(|header| is_event || header.is("Response")).map(|header| header.value);
        if let Some(name) = word.filter(|_| is_event) {
            json::bytes(&mut draft.members, "name", name);
        }
        draft.hold(message, Shown::Values);
        if let Some(outcome) = word.filter(|_| !is_event) {
            json::bytes(&mut draft.members, "outcome", outcome);
        }
        draft
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

    /// An identity is suspended, because of `count` refusals or of the first call to a class of numbers.
    #[must_use]
    pub fn tripped(context: &SessionContext, tripped: &Tripped) -> Self {
        let mut draft = Self::of_session(Kind::Limit, context);
        json::plain(&mut draft.members, "decision", "limit");
        json::plain(&mut draft.members, "reason", "limits.tripped");
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
        json::plain(&mut members, "kind", kind.name());
        Self { kind, members, gap: 0, packet: None }
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

    /// With a copy of its packet.
    #[cfg(test)]
    pub(crate) fn into_owned(self) -> Draft<'static> {
        let Self { kind, members, gap, packet } = self;
        let packet = packet.map(|Packet { message, shown, asked }| Packet {
            message: Cow::Owned(message.into_owned()),
            shown,
            asked,
        });
        Draft { kind, members, gap, packet }
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
        let (before, after) = self.members.split_at_checked(self.gap).unwrap_or((&self.members, &[]));
        out.extend_from_slice(before);
        if let Some(packet) = &self.packet {
            packet::encode(out, packet, redactor);
        }
        out.extend_from_slice(after);
    }

    /// A record of a session: everything up to `id`, or, where there is none, all of the context but its policy.
    fn of_session(kind: Kind, context: &SessionContext) -> Self {
        let mut draft = Self::new(kind);
        json::text_if_any(&mut draft.members, "session", &context.session);
        if !matches!(kind, Kind::Action | Kind::Event | Kind::Response) {
            draft.peers(context);
        }
        draft
    }

    fn peers(&mut self, context: &SessionContext) {
        json::text_if_any(&mut self.members, "identity", context.identity.as_deref().unwrap_or_default());
        if let Some(peer) = context.peer {
            json::address(&mut self.members, "peer", peer);
        }
        json::text_if_any(&mut self.members, "listener", &context.listener);
        json::text_if_any(&mut self.members, "upstream", &context.upstream);
    }

    fn proxy(&mut self, proxy: Option<SocketAddr>) {
        if let Some(proxy) = proxy {
            json::plain(&mut self.members, "proxy", proxy);
        }
    }

    fn hold(&mut self, message: &'m Message, shown: Shown) {
        self.gap = self.members.len();
        self.packet = Some(Packet { message: Cow::Borrowed(message), shown, asked: None });
    }

    fn under(mut self, context: &SessionContext) -> Self {
        json::text_if_any(&mut self.members, "policy", &context.policy);
        self
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

/// What a decision says beside its packet.
struct Judged<'a> {
    rule: Option<&'a RuleId>,
    /// None: it is allowed. For what only shadow mode allows, why it would be denied.
    reason: Option<&'a Reason>,
    word: &'static str,
    dropped: &'a [String],
    set: &'a [String],
}

impl Judged<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        json::plain(out, "decision", self.word);
        if let Some(reason) = self.reason {
            json::text(out, "reason", &reason.code());
        }
        if let Some(rule) = self.rule {
            json::text(out, "rule", &rule.path);
            if rule.line > 0 {
                json::number(out, "line", rule.line);
            }
        }
        if let Some(Reason::Limits { limit, retry, .. }) = self.reason {
            json::text(out, "limit", limit);
            if let Some(retry) = retry {
                json::number(out, "retry_ms", retry.as_millis());
            }
        }
        if !self.dropped.is_empty() {
            json::list(out, "dropped", self.dropped.iter().map(String::as_str));
        }
        if !self.set.is_empty() {
            json::list(out, "set", self.set.iter().map(String::as_str));
        }
    }
}

/// Who has not said who he is may have put his secret anywhere.
fn refused_packet(denial: &Denial) -> (&Message, Shown) {
    match denial.refused() {
        Refused::Action(action) if *denial.reason() == Reason::ActionsBeforeLogin => (action.message(), Shown::Lengths),
        Refused::Action(action) => (action.message(), Shown::Values),
        Refused::Packet(message) => (message, Shown::Lengths),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowed_action_names_its_rule_and_what_was_dropped() {
        let rule = RuleId { path: "roles.x.allow[0]".into(), line: 12 };
        let dropped = ["id".to_owned(), "X-Trace".to_owned()];
        let judged = Judged { rule: Some(&rule), reason: None, word: "allow", dropped: &dropped, set: &[] };
        let message = Message::compose(&[("Action", b"Ping"), ("ActionID", b"7")]);
        let draft = Draft::judged(&SessionContext::default(), "1.2", (&message, Shown::Values), &judged);
        let mut out = Vec::new();
        draft.encode(&mut out, &Redactor::new(&[]));
        let expected = concat!(
            r#","kind":"action","id":"1.2","direction":"to-asterisk","name":"Ping","headers":[["Action","Ping"],"#,
            r#"["ActionID","7"]],"decision":"allow","rule":"roles.x.allow[0]","line":12,"dropped":["id","X-Trace"]"#,
        );
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
    }
}
