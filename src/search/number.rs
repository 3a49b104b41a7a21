//! Telephone numbers in packets: which headers hold them, and when two are the same.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::LazyLock;

use crate::catalogue::{self, ParamKind};

/// What may stand between the digits of a number and means nothing.
const IGNORED: [u8; 3] = [b'+', b' ', b'-'];
/// Headers of events and answers that hold a number: Asterisk's documentation of its events has no kinds.
const IN_EVENTS: [&str; 10] = [
    "accountcode",
    "calleridani",
    "calleridnum",
    "connectedlinenum",
    "destcalleridnum",
    "destconnectedlinenum",
    "dnid",
    "exten",
    "extension",
    "number",
];
/// Headers of events and answers that hold what is dialled, or a channel's name made of it.
const ADDRESSES_IN_EVENTS: [&str; 6] = ["appdata", "destchannel", "channel", "dialstring", "interface", "location"];

/// A number that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(Vec<u8>);

/// The text has no digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a number has digits (`+`, blanks and `-` do not count)")]
pub struct NumberError;

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let digits = without_ignored(text.as_bytes());
        if digits.iter().any(u8::is_ascii_digit) { Ok(Self(digits)) } else { Err(NumberError) }
    }
}

impl Number {
    /// The number without what is ignored.
    pub(super) fn digits(&self) -> &[u8] {
        &self.0
    }

    /// Whether the header holds this number.
    pub(super) fn is_in(&self, name: &str, value: &[u8]) -> bool {
        let mut is_found = false;
        each_number(name, value, |number| is_found |= number.eq_ignore_ascii_case(&self.0));
        is_found
    }
}

/// Appends the text without what is ignored in numbers.
pub(super) fn strip_into(out: &mut Vec<u8>, text: &[u8]) {
    let [one, two, three] = IGNORED;
    let mut start = 0;
    for at in memchr::memchr3_iter(one, two, three, text) {
        out.extend_from_slice(text.get(start..at).unwrap_or_default());
        start = at + 1;
    }
    out.extend_from_slice(text.get(start..).unwrap_or_default());
}

fn without_ignored(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    strip_into(&mut out, text);
    out
}

/// How the numbers in a header stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The value is one.
    Whole,
    /// `"Name" <number>`.
    CallerId,
    /// Somewhere between delimiters: `PJSIP/123@trunk`, `Local/123@context`.
    Address,
}

/// What headers of these names hold, whichever packet they are in.
static FORMS: LazyLock<[HashSet<String>; 3]> = LazyLock::new(|| {
    let names = |wanted: &[ParamKind], others: &[&str]| {
        let params = catalogue::actions().flat_map(|action| &action.params);
        let named = params.filter(|param| wanted.contains(&param.kind)).map(|param| param.name.to_ascii_lowercase());
        named.chain(others.iter().map(|name| (*name).to_owned())).collect()
    };
    let address = [ParamKind::Dial, ParamKind::Channel, ParamKind::ChannelPrefix, ParamKind::Data];
    [
        names(&[ParamKind::Dialable], &IN_EVENTS),
        names(&[ParamKind::CallerId], &[]),
        names(&address, &ADDRESSES_IN_EVENTS),
    ]
});

fn form(name: &str) -> Option<Form> {
    let name = name.to_ascii_lowercase();
    let forms = [Form::Whole, Form::CallerId, Form::Address];
    FORMS.iter().zip(forms).find(|(names, _)| names.contains(&name)).map(|(_, form)| form)
}

/// Whether headers of that name say whom a call seems to come from.
pub(super) fn is_caller_id(name: &str) -> bool {
    form(name) == Some(Form::CallerId)
}

/// Calls `each` with every number that the header may hold, without what is ignored.
pub(super) fn each_number(name: &str, value: &[u8], mut each: impl FnMut(&[u8])) {
    match form(name) {
        None => {}
        Some(Form::Whole) => each_whole(value, &mut each),
        Some(Form::CallerId) => {
            let start = value.iter().rposition(|byte| *byte == b'<');
            let inner =
                start.and_then(|at| value.get(at + 1..)).and_then(|rest| rest.split(|byte| *byte == b'>').next());
            each_whole(inner.unwrap_or(value), &mut each);
        }
        Some(Form::Address) => {
            for token in value.split(|byte| !is_of_number(*byte)) {
                each_whole(token, &mut each);
                // The number that Asterisk gives to a channel belongs to the name, not to what was dialled.
                if let Some(dialled) = without_channel_number(token) {
                    each_whole(dialled, &mut each);
                }
            }
        }
    }
}

fn each_whole(value: &[u8], each: &mut impl FnMut(&[u8])) {
    let digits = without_ignored(value);
    // What has no digit is a name of a technology, a context, a trunk …
    if digits.iter().any(u8::is_ascii_digit) {
        each(&digits);
    }
}

const fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b' ' | b'-' | b'*' | b'#' | b'.' | b'_')
}

/// `1001-0000002a` without the end that Asterisk gave it.
pub(super) fn without_channel_number(name: &[u8]) -> Option<&[u8]> {
    let (dialled, number) = name.split_last_chunk::<8>()?;
    let dialled = dialled.strip_suffix(b"-")?;
    number.iter().all(u8::is_ascii_hexdigit).then_some(dialled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(number: &str, name: &str, value: &str) -> bool {
        number.parse::<Number>().expect("a number").is_in(name, value.as_bytes())
    }

    #[test]
    fn numbers_are_found_wherever_they_are_dialled() {
        for (name, value) in [
            ("Exten", "49891234"),
            ("exten", "+49 89-1234"),
            ("CallerID", "\"Jane <x>\" <+49891234>"),
            ("CallerID", "49891234"),
            ("Channel", "PJSIP/+49891234@trunk"),
            ("Channel", "Local/49891234@outside/n"),
            ("Channel", "Local/49891234@outside-0000002a;1"),
            ("Channel", "SIP/49891234-0000002a"),
            ("Channel", "PJSIP/trunk/sip:49891234@203.0.113.9"),
            ("Data", "PJSIP/trunk/49891234,30,g"),
            ("CallerIDNum", "49891234"),
            ("DestConnectedLineNum", "49891234"),
            ("Digit", "49891234"),
        ] {
            assert!(found("+49 89-1234", name, value), "{name}: {value}");
        }
    }

    #[test]
    fn parts_of_numbers_and_other_headers_are_not() {
        for (name, value) in [
            ("Exten", "498912345"),
            ("Exten", "9891234"),
            ("Channel", "PJSIP/49891234x@trunk"),
            ("Uniqueid", "49891234"),
            ("Timeout", "49891234"),
            ("Channel", "PJSIP/1-49891234"),
        ] {
            assert!(!found("49891234", name, value), "{name}: {value}");
        }
        assert!("+ -".parse::<Number>().is_err());
    }
}
