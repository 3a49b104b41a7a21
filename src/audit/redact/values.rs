//! What is hidden inside a value by its form: arguments of applications and commands, passwords in addresses, numbers of
//! payment cards. What says where a call went and what was run stays.

use std::borrow::Cow;

use super::HIDDEN;
use crate::ami::{Header, Message};

/// Applications of which the arguments up to the first comma are shown: a destination, a queue, a sound.
const FIRST_SHOWN: [&str; 18] = [
    "AppDial",
    "AppQueue",
    "Background",
    "ChanSpy",
    "ConfBridge",
    "Dial",
    "ExtenSpy",
    "FollowMe",
    "MeetMe",
    "MixMonitor",
    "Originate",
    "Page",
    "Park",
    "Playback",
    "Queue",
    "Stasis",
    "Transfer",
    "VoiceMail",
];
/// Applications of which the arguments up to the first `(` are shown: a place in the dialplan.
const PLACE_SHOWN: [&str; 3] = ["Gosub", "Goto", "Macro"];

/// Applications of which the arguments are what nobody else may know, whoever gives them.
/// And those that run another one, with its arguments among their own.
const SECRET: [&str; 12] = [
    "AGI",
    "Authenticate",
    "DISA",
    "Exec",
    "ExecIf",
    "TryExec",
    "MessageSend",
    "ReceiveText",
    "SendDTMF",
    "SendMF",
    "SendText",
    "VMAuthenticate",
];

/// Headers with the arguments of an application.
const DATA: [&str; 4] = ["Data", "AppData", "ApplicationData", "LastData"];

/// Whether it has the arguments of an application.
pub(super) fn is_data(header: Header<'_>) -> bool {
    DATA.iter().any(|name| header.is(name))
}

/// The arguments of an application as they may be shown; None: the header is something else. What a dialplan runs has its
/// variables put in, callers' input among them; what a client asks for is its own words.
pub(super) fn application_data<'m>(message: &'m Message, header: Header<'m>) -> Option<Cow<'m, [u8]>> {
    let name = DATA.into_iter().find(|name| header.is(name))?;
    let application = match name {
        "LastData" => message.get("LastApplication"),
        _ => message.get("Application"),
    };
    // Another packet's `Data`.
    let application = application.or_else(|| (name != "Data").then_some(&[][..]))?.trim_ascii();
    let is_one_of = |names: &[&str]| names.iter().any(|name| application.eq_ignore_ascii_case(name.as_bytes()));
    let ends = |byte: u8| header.value.iter().position(|b| *b == byte).map_or(header.value.len(), |at| at + 1);
    Some(if is_one_of(&FIRST_SHOWN) {
        shown_up_to(header.value, ends(b','))
    } else if is_one_of(&PLACE_SHOWN) {
        shown_up_to(header.value, ends(b'('))
    } else if is_one_of(&["Set", "MSet"]) {
        shown_up_to(header.value, ends(b'='))
    } else if message.first().is_some_and(|first| first.is("Action")) && !is_one_of(&SECRET) {
        header.value.into()
    } else {
        shown_up_to(header.value, 0)
    })
}

/// A line of AGI as it may be shown: what is to be run, without what it is given.
pub(super) fn agi_command(value: &[u8]) -> Cow<'_, [u8]> {
    shown_up_to(value, words_end(value, 2))
}

/// A line of Asterisk's console as it may be shown.
pub(super) fn console_command(value: &[u8]) -> Cow<'_, [u8]> {
    // Quotes and backslashes hide where a word ends.
    let is_plain = !value.iter().any(|b| b"\"\\'".contains(b));
    let mut words = value.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let mut next = || words.next().unwrap_or_default().to_ascii_lowercase();
    let (first, second, third) = (next(), next(), next());
    // Words that are shown: the family and key, the variable, the place in the dialplan.
    let shown = match (first.as_slice(), second.as_slice()) {
        (b"database", b"put") => 4,
        (b"dialplan", b"set") if third == b"global" => 4,
        (b"dialplan", b"set") => 5,
        (b"dialplan", b"add") | (b"channel", b"originate") => 4,
        (b"message" | b"console" | b"jabber" | b"xmpp" | b"pjsip" | b"sip", b"send" | b"notify") => 3,
        (b"agi", b"exec") => 5,
        (b"realtime", b"store" | b"update" | b"update2" | b"destroy") => 3,
        _ => return value.into(),
    };
    let end = words_end(value, if is_plain { shown } else { 2 });
    let comma = value.iter().position(|b| *b == b',').map_or(end, |at| at + 1);
    shown_up_to(value, if second == b"add" { end.min(comma) } else { end })
}

/// Where the first words end, with the blanks behind them.
fn words_end(value: &[u8], count: usize) -> usize {
    let mut words = 0;
    let mut was_blank = true;
    for (at, byte) in value.iter().enumerate() {
        let is_blank = byte.is_ascii_whitespace();
        if was_blank && !is_blank {
            if words == count {
                return at;
            }
            words += 1;
        }
        was_blank = is_blank;
    }
    value.len()
}

fn shown_up_to(value: &[u8], end: usize) -> Cow<'_, [u8]> {
    match value.get(..end) {
        Some(shown) if end < value.len() => [shown, HIDDEN].concat().into(),
        _ => value.into(),
    }
}

/// Hides passwords in addresses (`SIP/user:…@host`, `sip:user:…@host`) and numbers of payment cards.
pub(super) fn scrub(value: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let value = match memchr::memchr(b'@', &value).and_then(|_| without_passwords(&value)) {
        Some(scrubbed) => scrubbed.into(),
        None => value,
    };
    scrub_cards(value)
}

/// As [`scrub`], of a value without an `@`.
pub(super) fn scrub_cards(value: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match without_cards(&value) {
        Some(scrubbed) => scrubbed.into(),
        None => value,
    }
}

/// None: there is none.
fn without_passwords(value: &[u8]) -> Option<Vec<u8>> {
    let mut shown = Vec::new();
    let mut rest = value;
    let mut is_changed = false;
    while let Some((before, behind)) = memchr::memchr(b'@', rest).and_then(|at| rest.split_at_checked(at)) {
        let start = before.iter().rposition(|b| b"/<>\"' ;,&=(@".contains(b)).map_or(0, |at| at + 1);
        let user = before.get(start..).unwrap_or_default();
        let colon = |text: &[u8]| memchr::memchr(b':', text);
        let scheme = colon(user).filter(|at| is_scheme(user.get(..*at).unwrap_or_default())).map_or(0, |at| at + 1);
        let password = colon(user.get(scheme..).unwrap_or_default()).map(|at| start + scheme + at + 1);
        match password.and_then(|at| before.get(..at)) {
            Some(clear) => {
                is_changed = true;
                shown.extend_from_slice(clear);
                shown.extend_from_slice(HIDDEN);
            }
            None => shown.extend_from_slice(before),
        }
        shown.push(b'@');
        rest = behind.get(1..).unwrap_or_default();
    }
    shown.extend_from_slice(rest);
    is_changed.then_some(shown)
}

fn is_scheme(text: &[u8]) -> bool {
    ["sip", "sips", "pjsip", "tel", "iax2", "xmpp", "mailto", "im"]
        .iter()
        .any(|s| text.eq_ignore_ascii_case(s.as_bytes()))
}

/// The shortest number of a card.
const CARD_LEN_MIN: usize = 14;
const CARD_LEN_MAX: usize = 19;

const fn is_in_card(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b' ' | b'-')
}

/// None: there is none.
fn without_cards(value: &[u8]) -> Option<Vec<u8>> {
    // A run of so many bytes has one of these.
    let may_have_run = value.iter().skip(CARD_LEN_MIN - 1).step_by(CARD_LEN_MIN).any(|byte| is_in_card(*byte));
    if !may_have_run || !may_have_card(value) || !runs(value).any(has_card) {
        return None;
    }
    let mut shown = Vec::new();
    for run in runs(value) {
        shown.extend_from_slice(if has_card(run) { HIDDEN } else { run });
    }
    Some(shown)
}

/// Whether there are as many digits as a card has, with nothing between them that a card's number has not.
fn may_have_card(value: &[u8]) -> bool {
    let mut digits = 0;
    value.iter().any(|&byte| {
        digits = if byte.is_ascii_digit() {
            digits + 1
        } else if is_in_card(byte) {
            digits
        } else {
            0
        };
        digits >= CARD_LEN_MIN
    })
}

/// What may stand in a card's number, and what may not, by turns.
fn runs(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.chunk_by(|a, b| is_in_card(*a) == is_in_card(*b))
}

/// Whether some groups of digits that follow each other are a card's number.
fn has_card(run: &[u8]) -> bool {
    if !may_have_card(run) {
        return false;
    }
    let groups: Vec<&[u8]> = run.split(|b| !b.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
    (0..groups.len()).any(|start| {
        let mut digits = Vec::new();
        for group in groups.iter().skip(start) {
            digits.extend(group.iter().map(|digit| digit - b'0'));
            if digits.len() > CARD_LEN_MAX {
                return false;
            }
            if is_card(&digits) {
                return true;
            }
        }
        false
    })
}

/// The lengths and first digits that cards have, and their check digit (ISO/IEC 7812). Telephone numbers have 15 digits at
/// most, and of 14 and 15 only those are taken that no country's numbers are.
fn is_card(digits: &[u8]) -> bool {
    let is_issued = matches!(
        (digits, digits.len()),
        ([3, 0 | 6 | 8, ..], CARD_LEN_MIN) | ([3, 4 | 7, ..], 15) | ([2..=6, ..], 16..=CARD_LEN_MAX)
    );
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| u32::from(if at % 2 == 1 { doubled(*digit) } else { *digit }))
        .sum();
    is_issued && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: impl AsRef<[u8]>) -> String {
        String::from_utf8_lossy(value.as_ref()).into_owned()
    }

    #[test]
    fn cards_are_hidden_and_telephone_numbers_are_not() {
        let shown = |value: &'static str| text(scrub(value.as_bytes().into()));
        assert_eq!(shown("a=4111111111111111;b"), "a=[redacted];b");
        assert_eq!(shown("4111 1111 1111 1111"), "[redacted]");
        assert_eq!(shown("x 4111 1111 1111 1111 12/30"), "x[redacted]/30");
        assert_eq!(shown("378282246310005"), "[redacted]");
        for number in ["4111111111111112", "004917012345678", "+493012345678901", "491701234567", "1700000000.1234"] {
            assert_eq!(shown(number), number);
        }
    }

    #[test]
    fn passwords_in_addresses_are_hidden() {
        let shown = |value: &'static str| text(scrub(value.as_bytes().into()));
        assert_eq!(shown("SIP/bob:hunter2@192.0.2.1&PJSIP/x@y"), "SIP/bob:[redacted]@192.0.2.1&PJSIP/x@y");
        assert_eq!(shown("<sip:bob:hunter2@host:5060>"), "<sip:bob:[redacted]@host:5060>");
        assert_eq!(shown("sip:bob@host:5060"), "sip:bob@host:5060");
        assert_eq!(shown("Local/12@default/n"), "Local/12@default/n");
    }

    #[test]
    fn commands_are_shown_without_what_they_store() {
        let shown = |value: &'static str| text(console_command(value.as_bytes()));
        assert_eq!(shown("core show channels"), "core show channels");
        assert_eq!(shown("database  PUT a b 1234"), "database  PUT a b [redacted]");
        assert_eq!(shown("realtime update2 sippeers name 1 secret 12"), "realtime update2 sippeers [redacted]");
        assert_eq!(shown("database put \"a b\" 1234"), "database put [redacted]");
        assert_eq!(shown("dialplan set global X 12"), "dialplan set global X [redacted]");
        assert_eq!(shown("dialplan add extension 1,1,Authenticate,12 into a"), "dialplan add extension 1,[redacted]");
        assert_eq!(text(agi_command(b"EXEC Authenticate 1234")), "EXEC Authenticate [redacted]");
    }
}
