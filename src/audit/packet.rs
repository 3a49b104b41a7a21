//! [`Packet`]: the record of a packet, in both directions. Its headers are `[name, value]` pairs, losslessly but for what
//! is hidden.

use super::frame::Frame;
use super::json;
use super::kind::Kind;
use super::redact::Redactor;
use crate::ami::{Header, Message};
use crate::policy::{Decision, Denial, Reason, Refused, RuleId};

/// A packet of a session, and what becomes of it.
pub(super) struct Packet<'m> {
    frame: &'m Frame,
    /// What joins actions and answers; empty for none.
    id: &'m str,
    pub(super) message: &'m Message,
    shown: Shown,
    /// The action that it answers, if that is known.
    pub(super) asked: Option<&'m str>,
    fate: Fate<'m>,
}

/// What becomes of a packet.
pub(super) enum Fate<'m> {
    /// A client's: what was decided.
    Decided(&'m Decision),
    /// Asterisk's, passed to the client so long after the action that it answers.
    Passed { latency_us: Option<u64> },
    /// amiwall's own, to the client.
    Answered,
    /// Asterisk's, and nobody gets it, for a reason code.
    Withheld(&'m str),
}

/// How much of a packet is shown.
#[derive(Clone, Copy, Debug)]
enum Shown {
    /// Names and, but for what is redacted, values.
    Values,
    /// Names and lengths; only `Action` and `ActionID` have a value. For what was not understood.
    Lengths,
}

impl<'m> Packet<'m> {
    pub(super) fn from_client(frame: &'m Frame, id: &'m str, decision: &'m Decision) -> Self {
        let (message, shown) = match decision {
            Decision::Allow(permit) => (permit.action().message(), Shown::Values),
            Decision::Deny(denial) => refused_packet(denial),
        };
        Self { frame, id, message, shown, asked: None, fate: Fate::Decided(decision) }
    }

    pub(super) fn to_client(frame: &'m Frame, id: Option<&'m str>, message: &'m Message, fate: Fate<'m>) -> Self {
        Self { frame, id: id.unwrap_or_default(), message, shown: Shown::Values, asked: None, fate }
    }

    /// Appends the members of the record.
    pub(super) fn encode(&self, out: &mut Vec<u8>, kind: Kind, redactor: &Redactor) {
        json::plain_text(out, "kind", kind.name());
        out.extend_from_slice(self.frame.session());
        json::text_if_any(out, "id", self.id);
        out.extend_from_slice(self.frame.peers());
        let direction = if matches!(self.fate, Fate::Decided(_)) { "to-asterisk" } else { "to-client" };
        json::plain_text(out, "direction", direction);
        let first = self.message.first();
        let name = if kind == Kind::Action {
            self.message.get_all("Action").find(|name| !name.is_empty())
        } else {
            first.filter(|_| kind == Kind::Event).map(|header| header.value)
        };
        if let Some(name) = name {
            json::bytes(out, "name", name);
        }
        json::key(out, "headers");
        match self.shown {
            Shown::Lengths => encode_lengths(out, self.message),
            Shown::Values => encode_values(out, self.message, self.asked, redactor),
        }
        if let Some(response) = first.filter(|header| kind == Kind::Response && header.is("Response")) {
            json::bytes(out, "outcome", response.value);
        }
        self.fate.encode(out);
        out.extend_from_slice(self.frame.policy());
    }
}

impl Fate<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Fate::Decided(decision) => encode_decision(out, decision),
            Fate::Passed { latency_us: None } => {}
            Fate::Passed { latency_us: Some(latency_us) } => json::number(out, "latency_us", *latency_us),
            Fate::Answered => json::plain_text(out, "origin", "amiwall"),
            Fate::Withheld(reason) => {
                json::plain_text(out, "decision", "deny");
                json::text(out, "reason", reason);
            }
        }
    }
}

fn encode_decision(out: &mut Vec<u8>, decision: &Decision) {
    let word = decision.word();
    match decision {
        // What only shadow mode allows says why it would be denied.
        Decision::Allow(permit) => {
            encode_judgement(out, word, Some(permit.rule()), permit.would_deny());
            encode_list(out, "dropped", permit.dropped());
            encode_list(out, "set", permit.set());
        }
        Decision::Deny(denial) => encode_judgement(out, word, denial.rule(), Some(denial.reason())),
    }
}

fn encode_judgement(out: &mut Vec<u8>, word: &'static str, rule: Option<&RuleId>, reason: Option<&Reason>) {
    json::plain_text(out, "decision", word);
    if let Some(reason) = reason {
        json::text(out, "reason", &reason.code());
    }
    if let Some(rule) = rule {
        json::text(out, "rule", &rule.path);
        if rule.line > 0 {
            json::number(out, "line", rule.line);
        }
    }
    if let Some(Reason::Limits { limit, retry, .. }) = reason {
        json::text(out, "limit", limit);
        if let Some(retry) = retry {
            json::number(out, "retry_ms", retry.as_millis());
        }
    }
}

fn encode_list(out: &mut Vec<u8>, name: &'static str, headers: &[String]) {
    if !headers.is_empty() {
        json::list(out, name, headers.iter().map(String::as_str));
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

/// Appends the headers of a message that answers `asked` (an action's name), if it is known what it answers.
pub(super) fn encode_values(out: &mut Vec<u8>, message: &Message, asked: Option<&str>, redactor: &Redactor) {
    let shape = redactor.shape(message, asked);
    let mut known = shape.reader();
    let mut found = Vec::new();
    // Made only where a name alone does not tell what is hidden.
    let mut within = None;
    // Asked once for all of it: most packets need no escape anywhere.
    let is_plain_text = json::is_plain_text(message.lines());
    let has_at = memchr::memchr(b'@', message.lines()).is_some();
    out.reserve(2 * message.lines().len());
    out.push(b'[');
    let begin = out.len();
    for line in message.text_lines() {
        if is_plain_text && let Some((pair, value)) = known.next_plain(line) {
            out.extend_from_slice(pair.get(usize::from(out.len() == begin)..).unwrap_or_default());
            out.extend_from_slice(&redactor.plain(value, has_at));
            out.extend_from_slice(b"\"]");
            continue;
        }
        let header = Header::of_line(line);
        begin_pair(out, header, begin);
        let is_plain = known.is_plain(header.name_bytes());
        if is_plain == Some(true) || redactor.is_pong(message, header) {
            text(out, &redactor.plain(header.value, has_at));
        } else {
            let within = within.get_or_insert_with(|| redactor.within(message, asked));
            if is_plain.is_none() {
                found.push((header.name_bytes(), within.is_plain(header)));
            }
            match within.pseudonym(header) {
                Some((token, key)) => {
                    json::string(out, &token);
                    out.extend_from_slice(b",\"pseudonym\",");
                    json::string(out, key);
                }
                None => text(out, &within.value(header)),
            }
        }
        out.push(b']');
    }
    out.push(b']');
    drop(known);
    redactor.learned(shape.learn(found));
}

/// Begins the pair of a header in a list that begins at `begin`.
fn begin_pair(out: &mut Vec<u8>, header: Header<'_>, begin: usize) {
    out.extend_from_slice(if out.len() == begin { b"[" } else { b",[" });
    json::string(out, header.name());
    out.push(b',');
}

fn text(out: &mut Vec<u8>, value: &[u8]) {
    match std::str::from_utf8(value) {
        Ok(text) => json::string(out, text),
        Err(_) => {
            json::string(out, &json::latin1(value));
            out.extend_from_slice(b",\"latin1\"");
        }
    }
}

/// A packet that was not understood may hold a secret anywhere.
fn encode_lengths(out: &mut Vec<u8>, message: &Message) {
    out.push(b'[');
    let begin = out.len();
    for header in message.headers() {
        begin_pair(out, header, begin);
        match std::str::from_utf8(header.value) {
            Ok(text) if header.is("Action") || header.is("ActionID") => json::string(out, text),
            Ok(_) | Err(_) => {
                json::display(out, header.value.len());
                out.extend_from_slice(b",\"length\"");
            }
        }
        out.push(b']');
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_names_its_rule_and_what_was_dropped() {
        let rule = RuleId { path: "roles.x.allow[0]".into(), line: 12 };
        let mut out = Vec::new();
        encode_judgement(&mut out, "allow", Some(&rule), None);
        encode_list(&mut out, "dropped", &["id".to_owned(), "X-Trace".to_owned()]);
        encode_list(&mut out, "set", &[]);
        let expected = r#","decision":"allow","rule":"roles.x.allow[0]","line":12,"dropped":["id","X-Trace"]"#;
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
    }
}
