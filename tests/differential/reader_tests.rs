//! The model says what a real Asterisk did: the cases that decide where a packet ends and what its headers are.

use crate::reader::{Outcome, Packet, Reader};

fn outcomes(bytes: &[u8]) -> Vec<Outcome> {
    let mut reader = Reader::default();
    reader.read(bytes);
    let outcomes = reader.outcomes();
    let mut other = Reader::default();
    bytes.iter().for_each(|byte| other.read(&[*byte]));
    assert_eq!(outcomes, other.outcomes(), "in single bytes it is the same");
    outcomes
}

/// `Action` of what runs; `-` no action, `L` too long a line, `N` too many lines.
fn runs(bytes: impl AsRef<[u8]>) -> String {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Runs(packet) => String::from_utf8_lossy(packet.action().unwrap_or_default()).into_owned(),
        Outcome::NoAction => "-".to_owned(),
        Outcome::LineTooLong => "L".to_owned(),
        Outcome::TooManyLines => "N".to_owned(),
    };
    outcomes(bytes.as_ref()).iter().map(word).collect::<Vec<_>>().join(" ")
}

fn packet(bytes: &[u8]) -> Packet {
    match outcomes(bytes).into_iter().next() {
        Some(Outcome::Runs(packet)) => packet,
        other => panic!("{other:?}"),
    }
}

const C: &str = "Action: C\r\nCommand: x\r\n\r\n";

#[test]
fn packets_end_where_asterisk_ends_them() {
    for (bytes, expected) in [
        ("Action: P\r\n\0\r\n", "P C"),
        ("Action: P\r\n\0junk: x\r\n", "P C"),
        ("\0Action: P\r\n", "- C"),
        ("Action: P\r\nX: a\0\r\n\0\n", "P C"),
        ("Action: P\r\n\r\r\n", "P"),
        ("Action: P\r\n \r\n", "P"),
        ("Action: P\r\n\t\r\n", "P"),
        ("Action: P\n\n", "P C"),
        ("Action: P\r\n\n", "P C"),
        ("Action: P\n\r\n", "P C"),
        ("\r\n\r\n", "- - C"),
        ("Action: P\r\n", "P"),
        ("Action: P", "PAction: C"),
    ] {
        assert_eq!(runs(format!("{bytes}{C}")), expected, "{bytes:?}");
    }
    assert_eq!(runs("Action: P\r\nActionID: x\r\n"), "", "unfinished");
    assert_eq!(runs("Action: P\rX: 1\r\r\r\n\r\n"), "P\rX: 1\r\r");
}

#[test]
fn long_lines_leave_their_last_byte() {
    let line = |len: usize, rest: &str| format!("Action: P\r\n{}{rest}{C}", "y".repeat(len));
    for (len, rest, expected) in [
        (1_022, "\r\n\r\n", "P C"),
        (1_023, "\n\r\n", "P C"),
        (1_023, "\r\n", "L C"),
        (2_046, "\r\n", "L C"),
        (3_069, "\r\n", "L C"),
        (1_024, "\r\n\r\n", "L C"),
        (1_025, "\r\n\r\n", "L C"),
        (2_045, "\r\n\r\n", "L C"),
        (1_022, "\r\r\n", "L C"),
        (1_021, "\r\r\n\r\n", "P C"),
        (1_023, "\0zzz\r\n", "L C"),
    ] {
        assert_eq!(runs(line(len, rest)), expected, "{len} {rest:?}");
    }
    assert_eq!(
        runs(format!("{}Action: C\r\n\r\n{C}", "X".repeat(1_023))),
        "L C",
        "the rest is a line of a refused packet"
    );
    assert_eq!(runs(format!("Action:{}Ping\r\n\r\n", " ".repeat(1_011))), "Ping");
}

#[test]
fn too_many_lines_refuse_the_packet_and_keep_the_other_fault() {
    let lines = |count: usize| "x\r\n".repeat(count);
    assert_eq!(runs(format!("Action: P\r\n{}\r\n{C}", lines(127))), "P C");
    assert_eq!(runs(format!("Action: P\r\n{}\r\n{C}", lines(128))), "N C");
    assert_eq!(runs(format!("{}Action: P\r\n\r\n{C}", lines(128))), "N C");
    let long = "y".repeat(1_500);
    assert_eq!(runs(format!("Action: P\r\n{}{long}\r\n\r\n{C}{C}", lines(128))), "N L C");
}

#[test]
fn headers_are_found_as_asterisk_finds_them() {
    for (bytes, expected) in [
        (" Action: P", "-"),
        ("\tAction: P", "-"),
        ("Action : P", "-"),
        ("Action:P", "P"),
        ("Action:\x01\x0b\x1f\t P", "P"),
        ("Action:\u{a0}P", "\u{a0}P"),
        ("Action:\x7fP", "\x7fP"),
        ("Action: P ", "P "),
        ("aCtIoN: pInG", "pInG"),
        ("Action: P\r\nAction: Q", "P"),
        ("Action:\r\nAction: Q", "Q"),
        ("Action: \x01\r\nAction: Q", "Q"),
        ("Action: \0P\r\nAction: Q", "Q"),
        ("Action: Q\0P", "Q"),
        ("Action:\r\n P", "-"),
        ("Action-000000: x\r\nAction: U", "U"),
        ("Response: Success\r\nEvent: x\r\nAction: P", "P"),
    ] {
        assert_eq!(runs(format!("{bytes}\r\n\r\n")), expected, "{bytes:?}");
    }
    let two = packet(b"Action: P\r\nActionID:\r\nActionID: 2\r\nX: \x02 v \r\n\r\n");
    assert_eq!((two.get("ActionID"), two.get("x")), (None, Some(&b"v "[..])), "the first, even when it is empty");
}

#[test]
fn variables_are_split_as_asterisk_splits_them() {
    let set = |lines: &str| {
        let packet = packet(format!("Action: O\r\n{lines}\r\n\r\n").as_bytes());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        packet.variables().iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect::<Vec<_>>()
    };
    assert_eq!(set("Variable: A=1,\"C,c\"=3,D\\,d=4,(E,e)=5,F"), ["A=1", "C,c=3", "D,d=4", "(E,e)=5"]);
    assert_eq!(set("Variable: A=1\r\nvariable:A=2\r\nVariables: B=1\r\nVariable : C=1"), ["A=1", "A=2"]);
    assert_eq!(set("Variable: A=1|B=2, C =\x20x,=y"), ["A=1|B=2", " C = x"]);
    assert_eq!(set("Variable: A=\"x,B=1"), ["A=x,B=1"], "an open quote swallows the rest");
    let many = set(&format!("Variable: {}", vec!["A=\"1\""; 70].join(",")));
    assert_eq!((many.len(), many.get(63).map(String::as_str)), (64, Some(&*["A=\"1\""; 7].join(","))));
}
