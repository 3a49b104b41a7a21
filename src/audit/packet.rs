//! The headers of a packet as they stand in a record: `[name, value]` pairs, losslessly but for what is hidden.

use std::borrow::Cow;

use super::json;
use super::redact::Redactor;
use crate::ami::{Header, Message};

/// A packet, and how it is written.
#[derive(Debug)]
pub(super) struct Packet<'m> {
    pub(super) message: Cow<'m, Message>,
    pub(super) shown: Shown,
    /// The action that it answers, if that is known.
    pub(super) asked: Option<String>,
}

/// How much of a packet is shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    /// Names and, but for what is redacted, values.
    Values,
    /// Names and lengths; only `Action` and `ActionID` have a value. For what was not understood.
    Lengths,
}

/// Appends the member `headers`.
pub(super) fn encode(out: &mut Vec<u8>, packet: &Packet<'_>, redactor: &Redactor) {
    json::key(out, "headers");
    match packet.shown {
        Shown::Lengths => encode_lengths(out, &packet.message),
        Shown::Values => encode_values(out, packet, redactor),
    }
}

fn encode_values(out: &mut Vec<u8>, packet: &Packet<'_>, redactor: &Redactor) {
    let (message, asked): (&Message, _) = (&packet.message, packet.asked.as_deref());
    let shape = redactor.shape(message, asked);
    let mut known = shape.reader();
    let mut found = Vec::new();
    // Made only where a name alone does not tell what is hidden.
    let mut within = None;
    encode_pairs(out, message, |out, header| {
        let is_plain = known.is_plain(header.name_bytes());
        if is_plain == Some(true) {
            return text(out, &redactor.plain(header));
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
    if json::is_plain(value) {
        return json::plain_string(out, value);
    }
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
    encode_pairs(out, message, |out, header| match std::str::from_utf8(header.value) {
        Ok(text) if header.is("Action") || header.is("ActionID") => json::string(out, text),
        Ok(_) | Err(_) => {
            json::display(out, header.value.len());
            out.extend_from_slice(b",\"length\"");
        }
    });
}

fn encode_pairs<'m>(out: &mut Vec<u8>, message: &'m Message, mut value: impl FnMut(&mut Vec<u8>, Header<'m>)) {
    out.push(b'[');
    for (index, header) in message.headers().enumerate() {
        out.extend_from_slice(if index == 0 { b"[" } else { b",[" });
        // Names have no control bytes, and to see that they are UTF-8 costs more than to see that they are plain.
        if json::is_plain(header.name_bytes()) {
            json::plain_string(out, header.name_bytes());
        } else {
            json::string(out, header.name());
        }
        out.push(b',');
        value(out, header);
        out.push(b']');
    }
    out.push(b']');
}
