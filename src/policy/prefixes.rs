//! [`first_call`]: whether an action calls, or sends a call to, a class of numbers, known by its prefix, that an identity has never called.

use std::collections::BTreeSet;

use super::spec::{Problem, Spanned};
use crate::ami::Action;
use crate::catalogue::{self, Danger, ParamKind};

/// Reads prefixes of numbers.
pub(super) fn compile(texts: &[Spanned]) -> Result<Vec<String>, Vec<Problem>> {
    let is_prefix = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b"*#+".contains(&b));
    let wrong = texts.iter().filter(|spanned| !is_prefix(&spanned.text));
    let problem = |spanned: &Spanned| Problem {
        at: spanned.at,
        message: format!("`{}` is not how a number begins", spanned.text.escape_debug()),
        help: Some("digits, `+`, `*` and `#`, in quotes: \"00\"".to_owned()),
    };
    let problems: Vec<Problem> = wrong.map(problem).collect();
    if problems.is_empty() { Ok(texts.iter().map(|spanned| spanned.text.clone()).collect()) } else { Err(problems) }
}

/// The class of one of the numbers that are dialled, if that class was never used. A number is of the class of its longest
/// prefix.
pub(super) fn first_call<'p>(prefixes: &'p [String], used: &BTreeSet<String>, numbers: &[Vec<u8>]) -> Option<&'p str> {
    let class = |number: &Vec<u8>| {
        let of_number = prefixes.iter().filter(|prefix| number.starts_with(prefix.as_bytes()));
        of_number.max_by_key(|prefix| prefix.len())
    };
    let mut classes = numbers.iter().filter_map(class);
    classes.find(|class| !used.contains(*class)).map(String::as_str)
}

/// What may be a number in an action that makes or moves a call: what is dialled, and what is in the name of a channel to be
/// made, in an application's data or in an address. Of a site's own action nobody knows, so anything may be one.
pub(super) fn numbers(action: &Action) -> Vec<Vec<u8>> {
    let entry = catalogue::action(action.key());
    if entry.is_some_and(|entry| !matches!(entry.danger, Some(Danger::CodeExec | Danger::Cost))) {
        return Vec::new();
    }
    let mut numbers = Vec::new();
    for header in action.message().headers().filter(|header| !header.is("Action") && !header.is("ActionID")) {
        let Some(entry) = entry else {
            numbers.push(digits(header.value));
            of_channels(header.value, &mut numbers);
            continue;
        };
        let Some(param) = entry.param(header.name()) else { continue };
        match (param.kind, param.name) {
            (ParamKind::Dialable, _) => numbers.push(digits(header.value)),
            (ParamKind::Data | ParamKind::Dial, _) => of_channels(header.value, &mut numbers),
            (_, "To" | "Destination" | "URI") => {
                of_address(header.value, &mut numbers);
                of_channels(header.value, &mut numbers);
            }
            (ParamKind::Command, _) => of_command(header.value, &mut numbers),
            _ => {}
        }
    }
    numbers
}

/// `channel originate` and `channel redirect`.
fn of_command(command: &[u8], numbers: &mut Vec<Vec<u8>>) {
    of_channels(command, numbers);
    let mut words = command.split(|b| b" ,".contains(b)).filter(|word| !word.is_empty());
    if words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"channel")) {
        words.for_each(|word| of_address(word, numbers));
    }
}

/// Each part behind the technology of what names a channel. Behind a trunk stands what it dials: `DAHDI/g1/w0049`.
fn of_channels(text: &[u8], numbers: &mut Vec<Vec<u8>>) {
    for channel in text.split(|b| b"&,| ".contains(b)) {
        for (place, part) in channel.split(|b| *b == b'/').skip(1).enumerate() {
            let from = numbers.len();
            of_address(part, numbers);
            // `w` waits; the name of a phone in the first place may begin with any letter.
            let is_skipped = |b: u8| if place == 0 { b"wW".contains(&b) } else { !is_dialled(b) };
            for number in numbers.iter_mut().skip(from) {
                let start = number.iter().position(|b| !is_skipped(*b)).unwrap_or(number.len());
                number.drain(..start);
            }
        }
    }
}

/// The user of an address: what stands before its host, behind its scheme, or behind both.
fn of_address(address: &[u8], numbers: &mut Vec<Vec<u8>>) {
    let address = unescaped(address);
    let user = address.split(|b| *b == b'@').next().unwrap_or_default();
    numbers.extend(user.split(|b| *b == b':').map(digits));
}

/// Without what a URI may write otherwise: `%30` is `0`.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        let byte = behind.get(..2).filter(|_| *first == b'%').and_then(|pair| {
            let is_hex = pair.iter().all(u8::is_ascii_hexdigit);
            u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| is_hex)
        });
        plain.push(byte.unwrap_or(*first));
        rest = byte.and_then(|_| behind.get(2..)).unwrap_or(behind);
    }
    plain
}

const fn is_dialled(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'*' | b'#' | b'+')
}

/// Asterisk's matcher skips hyphens, and a URI's reader what makes a number look nice.
fn digits(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|b| !b"- .()<\"".contains(b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ami::Message;

    fn class<'p>(prefixes: &'p [String], used: &BTreeSet<String>, headers: &[(&str, &str)]) -> Option<&'p str> {
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        first_call(prefixes, used, &numbers(&Action::try_from(Message::compose(&headers)).expect("an action")))
    }

    #[test]
    fn numbers_are_found_wherever_they_are_dialled() {
        let prefixes = ["00", "0044", "+"].map(str::to_owned);
        let none = BTreeSet::new();
        for (channel, exten, data, expected) in [
            ("PJSIP/1001", "0049123", "", Some("00")),
            ("PJSIP/1001", "0-0-49123", "", Some("00")),
            ("PJSIP/1001", "0044123", "", Some("0044")),
            ("PJSIP/0049123@trunk", "100", "", Some("00")),
            ("PJSIP/trunk/sip:+49123@example.net", "100", "", Some("+")),
            ("PJSIP/trunk/sip:%30%30123@example.net", "100", "", Some("00")),
            ("PJSIP/trunk/sip:%2b49@example.net", "100", "", Some("+")),
            ("PJSIP/trunk/sip:x:0049@example.net", "100", "", Some("00")),
            ("PJSIP/trunk/sip:0(0)4.4@example.net", "100", "", Some("0044")),
            ("DAHDI/g1/0044123", "100", "", Some("0044")),
            ("DAHDI/g1/ww0049123", "100", "", Some("00")),
            ("DAHDI/g1/D0049123", "100", "", Some("00")),
            ("DAHDI/w0049123", "100", "", Some("00")),
            ("PJSIP/agent001", "100", "", None),
            ("PJSIP/1%", "1%3", "%zz", None),
            ("Local/0049123@outbound/n", "100", "", Some("00")),
            ("PJSIP/1001", "", "PJSIP/1002&PJSIP/0049123@trunk,30", Some("00")),
            ("PJSIP/1001", "100", "", None),
            ("PJSIP/1001@0049", "1000049", "0049", None),
        ] {
            let originate = [("Action", "Originate"), ("Channel", channel), ("Exten", exten), ("Data", data)];
            assert_eq!(class(&prefixes, &none, &originate), expected, "{channel} {exten} {data}");
            let used = BTreeSet::from(["00".to_owned()]);
            assert_eq!(class(&prefixes, &used, &originate), expected.filter(|class| *class != "00"));
        }
    }

    #[test]
    fn every_action_that_moves_a_call_may_dial() {
        let prefixes = ["00".to_owned()];
        let class = |action: &str, name: &str, value: &str| {
            class(&prefixes, &BTreeSet::new(), &[("Action", action), ("ActionID", "00"), (name, value)]).is_some()
        };
        for (action, name, value) in [
            ("Redirect", "Exten", "0049"),
            ("Redirect", "ExtraExten", "0049"),
            ("BlindTransfer", "Exten", "0049"),
            ("Atxfer", "Exten", "0049"),
            ("DAHDIDialOffhook", "Number", "0049"),
            ("QueueAdd", "Interface", "Local/0049@out/n"),
            ("MessageSend", "To", "pjsip:0049@trunk"),
            ("MessageSend", "Destination", "pjsip:trunk/sip:0049@h"),
            ("AGI", "Command", "EXEC Dial PJSIP/0049@trunk"),
            ("Command", "Command", "channel originate PJSIP/0049@trunk extension 1@x"),
            ("Command", "Command", "channel originate PJSIP/1 extension 0049@out"),
            ("Command", "Command", "channel redirect PJSIP/1-1 out,0049,1"),
            ("DialplanExtensionAdd", "ApplicationData", "PJSIP/0049@trunk"),
            ("UcmDial", "Number", "0049"),
        ] {
            assert!(class(action, name, value), "{action} {name}: {value}");
        }
        for (action, name, value) in [
            ("Redirect", "Exten", "100"),
            ("Redirect", "Channel", "PJSIP/trunk-0000002a"),
            ("ExtensionState", "Exten", "0049"),
            ("PlayDTMF", "Digit", "0"),
            ("Hangup", "Channel", "PJSIP/0049-1"),
            ("QueueAdd", "Interface", "PJSIP/1001"),
            ("Originate", "Timeout", "00300"),
            ("Command", "Command", "core show channels"),
        ] {
            assert!(!class(action, name, value), "{action} {name}: {value}");
        }
    }
}
