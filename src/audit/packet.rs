//! [`Packet`]: the record of a packet, in both directions. Its headers are `[name, value]` pairs, losslessly but for what
//! is hidden.

use std::borrow::Cow;

use super::draft::SessionContext;
use super::json;
use super::kind::Kind;
use super::redact::Redactor;
use crate::ami::{Header, Message};
use crate::policy::{Decision, Denial, Reason, Refused, RuleId};

/// A packet of a session, and what becomes of it.
pub(super) struct Packet<'m> {
    context: &'m SessionContext,
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
    pub(super) fn from_client(context: &'m SessionContext, id: &'m str, decision: &'m Decision) -> Self {
        let (message, shown) = match decision {
            Decision::Allow(permit) => (permit.action().message(), Shown::Values),
            Decision::Deny(denial) => refused_packet(denial),
        };
        Self { context, id, message, shown, asked: None, fate: Fate::Decided(decision) }
    }

    pub(super) fn to_client(
        context: &'m SessionContext,
        id: Option<&'m str>,
        message: &'m Message,
        fate: Fate<'m>,
    ) -> Self {
        Self { context, id: id.unwrap_or_default(), message, shown: Shown::Values, asked: None, fate }
    }

    /// Appends the members of the record.
    pub(super) fn encode(&self, out: &mut Vec<u8>, kind: Kind, redactor: &Redactor) {
        json::plain_text(out, "kind", kind.name());
        json::text_if_any(out, "session", &self.context.session);
        json::text_if_any(out, "id", self.id);
        self.context.encode_peers(out);
        let direction = if matches!(self.fate, Fate::Decided(_)) { "to-asterisk" } else { "to-client" };
        json::plain_text(out, "direction", direction);
        let first = self.message.first();
        let name = match kind {
            Kind::Action => self.message.get_all("Action").find(|name| !name.is_empty()),
            Kind::Event => first.map(|header| header.value),
            _ => None,
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
        json::text_if_any(out, "policy", &self.context.policy);
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
    encode_pairs(out, message, |out, (header, is_plain_text)| {
        let is_plain = known.is_plain(header.name_bytes());
        if is_plain == Some(true) {
            return match redactor.plain(header) {
                Cow::Borrowed(value) if is_plain_text => json::plain_string(out, value),
                value => text(out, &value),
            };
        }
        let within = within.get_or_insert_with(|| redactor.within(message, asked));
        if is_plain.is_none() {
            found.push((header.name_bytes(), within.is_plain(header)));
        }
        if let Some((token, key)) = within.pseudonym(header) {
            json::string(out, &token);
            out.extend_from_slice(b",\"pseudonym\",");
            return json::string(out, key);
        }
        text(out, &within.value(header));
    });
    drop(known);
    shape.learn(found);
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
    encode_pairs(out, message, |out, (header, _)| match std::str::from_utf8(header.value) {
        Ok(text) if header.is("Action") || header.is("ActionID") => json::string(out, text),
        Ok(_) | Err(_) => {
            json::display(out, header.value.len());
            out.extend_from_slice(b",\"length\"");
        }
    });
}

/// `value` is also told whether the header's value is known to need no escape.
fn encode_pairs<'m>(out: &mut Vec<u8>, message: &'m Message, mut value: impl FnMut(&mut Vec<u8>, (Header<'m>, bool))) {
    // Asked once for all of it: most packets need no escape anywhere.
    let is_plain_text = json::is_plain_text(message.lines());
    out.push(b'[');
    for (index, header) in message.headers().enumerate() {
        out.extend_from_slice(if index == 0 { b"[" } else { b",[" });
        if is_plain_text {
            json::plain_string(out, header.name_bytes());
        } else {
            json::string(out, header.name());
        }
        out.push(b',');
        value(out, (header, is_plain_text));
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
