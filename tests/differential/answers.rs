//! What Asterisk might send when a dialplan, a caller or another client chooses what stands in its values.

use crate::backward::{others, own};
use crate::random::Random;

const NAMES: &[&str] = &[
    "Hangup",
    "VarSet",
    "varset",
    "VarSet ",
    "AgentCalled",
    "UserEvent",
    "DTMFBegin",
    "PeerStatus",
    "OriginateResponse",
    "Newchannel",
    "FullyBooted",
];
const CLASSES: &[&str] = &[
    "call,all",
    "agent,all",
    "call,agent,all",
    "dtmf,all",
    "call,dtmf",
    "security,all",
    "<none>",
    "",
    "dialplan,all",
    "call,nobody",
    "all",
];
/// What a value may be made to hold: line ends, and packets in it.
const VALUES: &[&str] = &[
    "x",
    "",
    "a\rb",
    "a\r\nEvent: Hangup\r\nPrivilege: call,all\r\n\r\n",
    "a\r\n\r\nEvent: VarSet\r\nPrivilege: call,all\r\nVariable: PIN\r\n\r\n",
    "a\r\r\nEvent: PeerStatus\r\nPrivilege: system,all\r\n\r\n",
    "a\n\nResponse: Success\nActionID: mine-1\n\n",
    "a\n \nEvent: Forged\n",
    "a\n\t\nEvent: Forged\n",
    "a\0b",
    "\u{7f}",
    "a\u{85}b",
    "a\r\n\r\nResponse: Error\r\nMessage: x",
    "--END COMMAND--\r\n\r\n",
    "a\r\nPrivilege: call,all",
    "a\r\nActionID: aw-",
    "sales",
    "a\r\nContext: sales",
    "1.1",
    "1.2",
    "2.1",
];
const BYTES: &[u8] = b"\r\n\0\t \x0b:\x85\xff";

/// Some packets, some of them forged, some broken.
pub(crate) fn stream(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + random.below(4) {
        packet(random, &mut bytes);
    }
    if random.one_in(3) {
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] = BYTES[random.below(BYTES.len())],
                1 => bytes.insert(at, BYTES[random.below(BYTES.len())]),
                _ => drop(bytes.remove(at)),
            }
        }
    }
    if random.one_in(10) {
        bytes.truncate(random.below(bytes.len()));
    }
    bytes
}

fn packet(random: &mut Random, out: &mut Vec<u8>) {
    let mut lines: Vec<String> = match random.below(4) {
        0 => vec!["Response: Success".to_owned(), "Message: Command output follows".to_owned()],
        1 => vec![format!("Event: {}", random.one_of(NAMES))],
        _ => vec![format!("Event: {}", random.one_of(NAMES)), format!("Privilege: {}", random.one_of(CLASSES))],
    };
    if random.one_in(2) {
        let number = u64::try_from(random.below(4)).unwrap_or_default();
        let id = match random.below(6) {
            0 => others(number),
            1 => "aw-7".to_owned(),
            2 => format!("{} ", own(number)),
            3 => String::new(),
            _ => own(number),
        };
        lines.push(format!("ActionID: {id}"));
    }
    for _ in 0..random.below(4) {
        let name = random.one_of(&[
            "Output",
            "Value",
            "AppData",
            "CallerIDNum",
            "ActionID",
            "Privilege",
            "Event",
            "Response",
            " x",
            "",
            "A B",
            "Context",
            "DestContext",
            "Uniqueid",
            "Linkedid",
            "DestUniqueid",
            "DestLinkedid",
            "UserEvent",
        ]);
        lines.push(format!("{name}: {}", random.one_of(VALUES)));
    }
    if random.one_in(4) {
        let id = random.one_of(&["1.1", "1.2", "2.1"]);
        lines.extend(["Context: sales".to_owned(), format!("Uniqueid: {id}"), "Linkedid: 1.1".to_owned()]);
    }
    if random.one_in(3) {
        let at = random.below(lines.len());
        lines.swap(0, at);
    }
    if random.one_in(5_000) {
        lines.push(format!("Output: {}", "x".repeat(256 * 1_024 - 10 + random.below(5))));
    }
    for line in lines {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(if random.one_in(10) { b"\n" } else { b"\r\n" });
    }
    out.extend_from_slice(b"\r\n");
}
