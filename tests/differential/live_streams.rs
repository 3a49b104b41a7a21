//! Hostile streams for a real Asterisk: the grammar of the model's streams, with packets in it whose effect can be seen.

use crate::grammar::{self, ENDS, Lines, Words};
use crate::random::Random;

/// In a stream, its seed takes this place: as long, so that no line becomes longer.
const TOKEN: &[u8] = b"TTTTTTTTTTTTTTTT";

/// Nothing that could end Asterisk, or hang up what shows: the same streams are sent to it with all rights.
const VALUES: &[&[u8]] = &[
    b"",
    b"1",
    b"true",
    b"Ping",
    b"DBPut",
    b"UserEvent",
    b"Setvar",
    b"Allowed",
    b"Forged",
    b"canary",
    b"TTTTTTTTTTTTTTTT",
    b"a: b",
    b"Action: DBPut",
    b"\xff\xfe",
    b"caf\xc3\xa9",
    b"a=1,b=2",
    b" ",
];

const ALLOWED: Words = Words { template: allowed, values: VALUES };
const CANARY: Words = Words { template: canary, values: VALUES };

/// What may stand between a packet that is allowed and one that is not, in the place of what ends the first.
const SEAMS: &[&[u8]] = &[
    b"\r\n",
    b"\0\r\n",
    b"\0junk: x\r\n",
    b"\r\r\n",
    b"\n\n",
    b"\n",
    b"\r",
    b"\r\n \r\n",
    b"\r\n\t\r\n",
    b"\r\n\0\r\n",
    b"\r\n\0\n",
    b"\x0b",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\r\n\r\n",
];

/// The stream of a seed.
pub(crate) fn stream(seed: u64) -> Vec<u8> {
    let mut random = Random::of_seed(seed);
    let mut bytes = Vec::new();
    for _ in 0..1 + random.below(3) {
        match random.below(4) {
            0 => grammar::packet(&mut random, &ALLOWED, &mut bytes),
            1 => grammar::packet(&mut random, &CANARY, &mut bytes),
            _ => smuggled(&mut random, &mut bytes),
        }
    }
    if random.one_in(3) {
        for _ in 0..1 + random.below(3) {
            grammar::break_bytes(&mut random, &mut bytes);
        }
    }
    replace(&mut bytes, TOKEN, &token(seed));
    bytes
}

/// The stream of a seed, or what is left of it, with canaries of another name.
pub(crate) fn renamed(bytes: &[u8], seed: u64, other: u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    replace(&mut bytes, token(seed).as_bytes(), &token(other));
    bytes
}

/// A canary inside of a packet that is allowed.
fn smuggled(random: &mut Random, out: &mut Vec<u8>) {
    let (mut carrier, mut inner) = (Vec::new(), Vec::new());
    grammar::packet(random, &ALLOWED, &mut carrier);
    grammar::packet(random, &CANARY, &mut inner);
    let ends = carrier.iter().enumerate().filter(|(_, byte)| matches!(byte, b'\n' | b' ')).map(|(at, _)| at + 1);
    let places: Vec<usize> = ends.collect();
    let at = places.get(random.below(places.len())).copied().unwrap_or(carrier.len());
    let mut seam = Vec::new();
    if random.one_in(4) {
        seam.resize((1_019 + random.below(8)) * (1 + random.below(3)), b'y');
        seam.extend_from_slice(random.one_of(ENDS));
    }
    seam.extend_from_slice(random.one_of(SEAMS));
    seam.append(&mut inner);
    carrier.splice(at..at, seam);
    out.append(&mut carrier);
}

fn replace(bytes: &mut [u8], old: &[u8], new: &str) {
    let mut from = 0;
    while let Some(at) = bytes[from..].windows(old.len()).position(|window| window == old) {
        bytes[from + at..from + at + old.len()].copy_from_slice(new.as_bytes());
        from += at + old.len();
    }
}

/// What a stream's canaries are called.
fn token(seed: u64) -> String {
    format!("{seed:016x}")
}

type Line = (&'static [u8], &'static [u8]);

fn owned(lines: Vec<Line>) -> Lines {
    lines.into_iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// What the identity may do.
fn allowed(random: &mut Random) -> Lines {
    let mut lines: Vec<Line> = match random.below(3) {
        0 => vec![(b"Action", b"Ping")],
        1 => vec![(b"Action", b"UserEvent"), (b"UserEvent", b"Allowed")],
        _ => vec![(b"Action", b"UserEvent"), (b"UserEvent", b"Allowed"), (b"Text", random.one_of(VALUES))],
    };
    if random.one_in(2) {
        lines.push((b"ActionID", b"7"));
    }
    owned(lines)
}

/// What it may not, one for each kind of effect.
fn canary(random: &mut Random) -> Lines {
    let mut lines: Vec<Line> = match random.below(7) {
        0 => vec![(b"Action", b"DBPut"), (b"Family", b"canary"), (b"Key", TOKEN), (b"Val", b"x")],
        1 => vec![(b"Action", b"Command"), (b"Command", b"database put command TTTTTTTTTTTTTTTT x")],
        2 => vec![
            (b"Action", b"Originate"),
            (b"Channel", b"Local/1005@test"),
            (b"Context", b"test"),
            (b"Exten", b"1005"),
            (b"Priority", b"1"),
            (b"CallerID", TOKEN),
            (b"Async", b"true"),
        ],
        3 => vec![(b"Action", b"Setvar"), (b"Variable", TOKEN), (b"Value", b"x")],
        4 => {
            vec![(b"Action", b"QueueAdd"), (b"Queue", b"emptyqueue"), (b"Interface", b"Local/TTTTTTTTTTTTTTTT@members")]
        }
        5 => vec![(b"Action", b"CreateConfig"), (b"Filename", b"TTTTTTTTTTTTTTTT.conf")],
        _ => vec![(b"Action", b"UserEvent"), (b"UserEvent", b"Forged"), (b"Text", TOKEN)],
    };
    if random.one_in(2) {
        lines.push((b"ActionID", b"8"));
    }
    owned(lines)
}
