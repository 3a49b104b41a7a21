//! Hostile streams: packets of the protocol's own vocabulary, broken in the ways that readers differ in.

use crate::random::Random;

const ACTIONS: &[&[u8]] = &[
    b"Ping",
    b"Originate",
    b"originate",
    b"Command",
    b"Setvar",
    b"Getvar",
    b"UserEvent",
    b"MessageSend",
    b"PJSIPNotify",
    b"Hangup",
    b"QueueStatus",
    b"Status",
    b"UpdateConfig",
    b"SiteThing",
    b"DBPut",
    b"Login",
    b"Events",
    b"Filter",
    b"Nobody",
    b"\xc5\xbfetvar",
];
const NAMES: &[&[u8]] = &[
    b"Action",
    b"ActionID",
    b"Channel",
    b"Exten",
    b"Context",
    b"Priority",
    b"Variable",
    b"Timeout",
    b"Async",
    b"Account",
    b"Application",
    b"Data",
    b"CallerID",
    b"Command",
    b"Queue",
    b"Member",
    b"UserEvent",
    b"Text",
    b"Value",
    b"Family",
    b"Key",
    b"Val",
    b"Destination",
    b"To",
    b"Body",
    b"Name",
    b"Number",
    b"Action-000000",
    b"Cat-000000",
    b"Var-000001",
    b"Value-000001",
    b"ChannelId",
    b"Variables",
    b"Event",
    b"Privilege",
    b"Response",
    b"X",
    b"id",
    b"SuppressEvents",
    b"Cause",
    b"EarlyMedia",
    b"PreDialGoSub",
    b"Codecs",
];
const VALUES: &[&[u8]] = &[
    b"",
    b"1",
    b"true",
    b"PJSIP/1001",
    b"click",
    b"5551234567",
    b"15551234567",
    b"9001234567",
    b"Local/911@outbound/n",
    b"System",
    b"core show channels",
    b"queue show sales",
    b"core  show\tchannels",
    b"core \"stop\" now",
    b"sales",
    b"note",
    b"Forged",
    b"BLOCKED",
    b"CALLERID",
    b"PJSIP/1001-00000001",
    b"/.*/",
    b"30000",
    b"99999",
    b"5x",
    b"Alice Smith <1001>",
    b"Alice <1002>",
    b"campaign_id=7",
    b"lead_id=9,campaign_id=7",
    b"BLOCKED=1",
    b"a=1,b=2",
    b"a=1, BLOCKED=2",
    b"campaign=x, BLOCKED=2",
    b"campaign=1,lead_id=2",
    b"__BLOCKED=1",
    b"F(x)=1",
    b"a=\"x\",b=1",
    b"a=\\,b",
    b"a=(1,2",
    b"a=[1,2],b=3",
    b"=1",
    b"a",
    b"a=1,,b=2",
    b"__AMIWALL_ID=me",
    b"x=1|BLOCKED=2",
    b"caf\xc3\xa9",
    b"\xff\xfe",
    b"Ping",
    b"Command",
    b"Originate",
    b"a: b",
];
/// What may stand behind a colon, before a line's end, or be a line's end.
const BLANKS: &[&[u8]] = &[b" ", b"", b"  ", b"\t", b"\x01", b"\x0b ", b" \x1f", b"\xa0", b"\0", b"\r"];
const TRAILS: &[&[u8]] = &[b" ", b"\t", b"\r", b"\0", b"\0x", b"\x7f", b"\x85", b"\xe2\x80\xa8"];
pub(crate) const ENDS: &[&[u8]] =
    &[b"\r\n", b"\n", b"\r\r\n", b"\r", b"\n\r", b"\r\n\r\n", b"\0\r\n", b"\0\n", b"\n\n", b"\x0b", b"\xc2\x85"];
const LINES: &[&[u8]] = &[
    b"",
    b" ",
    b"\t",
    b"\0",
    b"\0junk: x",
    b"\r",
    b"no colon",
    b": value",
    b" Action: Command",
    b"Action : Command",
    b"\xef\xbb\xbfAction: Command",
    b"GET / HTTP/1.1",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2",
    b"Action:",
    b"Action: \x01",
    b"\x0cAction: Ping",
    b"A\xc4\xb1d: 1",
];

/// The names and values of a packet's lines.
pub(crate) type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// What packets are made of.
#[derive(Debug)]
pub(crate) struct Words {
    /// The lines of a packet, before anything is broken.
    pub(crate) template: fn(&mut Random) -> Lines,
    /// What else may stand in a value.
    pub(crate) values: &'static [&'static [u8]],
}

const WORDS: Words = Words { template, values: VALUES };

/// A stream of some packets.
pub(crate) fn stream(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + random.below(3) {
        packet(random, &WORDS, &mut bytes);
    }
    if random.one_in(3) {
        for _ in 0..1 + random.below(3) {
            break_bytes(random, &mut bytes);
        }
    }
    bytes
}

/// A number of faults per thousand: most packets are nearly right, so that they come far.
pub(crate) fn packet(random: &mut Random, words: &Words, out: &mut Vec<u8>) {
    let faults = [0, 0, 5, 40, 250][random.below(5)];
    let mut lines = (words.template)(random);
    if random.one_in(3) {
        for _ in 0..random.below(4) {
            lines.push((random.one_of(NAMES).to_vec(), random.one_of(words.values).to_vec()));
        }
    }
    if random.one_in(40) {
        let count = [126, 127, 128, 129, 130, 30][random.below(6)];
        while lines.len() < count {
            lines.push((format!("H{}", lines.len()).into_bytes(), b"1".to_vec()));
        }
    }
    if random.one_in(4) {
        for at in (1..lines.len()).rev() {
            lines.swap(at, random.below(at + 1));
        }
    }
    let end: &[u8] = if random.one_in(4) { b"\n" } else { b"\r\n" };
    let is_short = lines.len() < 50;
    for (name, value) in lines {
        let fault = |random: &mut Random| random.below(1_000) < faults;
        if fault(random) {
            out.extend_from_slice(random.one_of(LINES));
            out.extend_from_slice(random.one_of(ENDS));
        }
        out.extend(
            name.iter().map(|byte| if byte.is_ascii_alphabetic() && random.one_in(60) { byte ^ 0x20 } else { *byte }),
        );
        out.extend_from_slice(if fault(random) {
            random.one_of(&[b"".as_slice(), b" :", b"::", b"\0:"])
        } else {
            b":"
        });
        let (is_long, is_tight) = (is_short && random.one_in(100), is_short && random.one_in(12));
        out.extend_from_slice(match () {
            () if fault(random) || (is_tight && !is_long) => random.one_of(BLANKS),
            // What is just short enough as it comes may be too long with the blank that is put behind its colon.
            () if is_long && random.one_in(2) => b"",
            () => b" ",
        });
        out.extend_from_slice(&value);
        if fault(random) {
            out.extend_from_slice(random.one_of(TRAILS));
        }
        if is_long {
            lengthen(random, out);
        }
        out.extend_from_slice(if fault(random) { random.one_of(ENDS) } else { end });
    }
    out.extend_from_slice(if random.below(1_000) < faults { random.one_of(ENDS) } else { end });
}

/// An action that some identity may do, or nearly.
fn template(random: &mut Random) -> Lines {
    let mut lines: Vec<(&[u8], &[u8])> = match random.below(8) {
        0 | 1 => vec![
            (b"Action", b"Originate"),
            (b"Channel", b"PJSIP/1001"),
            (b"Context", b"click"),
            (b"Exten", b"5551234567"),
            (b"Priority", b"1"),
            (b"Async", b"true"),
        ],
        2 => vec![(b"Action", b"Command"), (b"Command", b"queue show sales")],
        3 => vec![(b"Action", b"UserEvent"), (b"UserEvent", b"note"), (b"Text", b"hello")],
        4 => vec![(b"Action", b"MessageSend"), (b"To", b"pjsip:1001"), (b"Body", b"x")],
        5 => vec![(b"Action", b"Getvar"), (b"Variable", b"CALLERID")],
        _ => vec![(b"Action", random.one_of(ACTIONS)), (random.one_of(NAMES), random.one_of(VALUES))],
    };
    if random.one_in(2) {
        lines.push((b"ActionID", b"7"));
    }
    if random.one_in(2) {
        lines.extend((0..1 + random.below(2)).map(|_| (&b"Variable"[..], random.one_of(VALUES))));
    }
    if random.one_in(8) {
        let at = random.below(lines.len());
        lines[at].1 = random.one_of(VALUES);
    }
    lines.into_iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// Makes the line that is being written about as long as Asterisk's buffer, or a multiple.
fn lengthen(random: &mut Random, out: &mut Vec<u8>) {
    let start = out.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let len = (1_020 + random.below(7)) * [1, 1, 1, 2, 3][random.below(5)];
    let filler = random.one_of(&[b"y".as_slice(), b"y", b"y", b" ", b"a=1,", b"\0"]);
    while out.len() - start < len {
        out.extend_from_slice(filler);
    }
    out.truncate(start + len);
}

pub(crate) fn break_bytes(random: &mut Random, bytes: &mut Vec<u8>) {
    const HOSTILE: &[u8] = b"\0\r\n\t \x01\x0b:,\x7f\x85\xa0\xff=\"\\()";
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    let byte = HOSTILE[random.below(HOSTILE.len())];
    match random.below(5) {
        0 => bytes[at] = byte,
        1 => bytes.insert(at, byte),
        2 => {
            bytes.remove(at);
        }
        3 => bytes[at] = random.next().to_le_bytes()[0],
        _ => {
            let to = at + random.below((bytes.len() - at).min(60));
            let copy = bytes[at..to].to_vec();
            let place = random.below(bytes.len());
            bytes.splice(place..place, copy);
        }
    }
}
