//! The headers of a packet as they stand in a record: `[name, value]` pairs, losslessly but for what is hidden.

use super::json;
use super::redact::Redactor;
use crate::ami::{Header, Message};

/// A packet, and how it is written.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) message: Message,
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
pub(super) fn encode(out: &mut Vec<u8>, packet: &Packet, redactor: &Redactor) {
    json::key(out, "headers");
    match packet.shown {
        Shown::Lengths => encode_lengths(out, &packet.message),
        Shown::Values => encode_values(out, packet, redactor),
    }
}

fn encode_values(out: &mut Vec<u8>, packet: &Packet, redactor: &Redactor) {
    let within = redactor.within(&packet.message, packet.asked.as_deref());
    encode_pairs(out, &packet.message, |out, header| {
        if let Some((token, key)) = within.pseudonym(header) {
            json::string(out, &token);
            out.extend_from_slice(b",\"pseudonym\",");
            return json::string(out, key);
        }
        let value = within.value(header);
        match std::str::from_utf8(&value) {
            Ok(text) => json::string(out, text),
            Err(_) => {
                json::string(out, &json::latin1(&value));
                out.extend_from_slice(b",\"latin1\"");
            }
        }
    });
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
        json::string(out, header.name);
        out.push(b',');
        value(out, header);
        out.push(b']');
    }
    out.push(b']');
}
