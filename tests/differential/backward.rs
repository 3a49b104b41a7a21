//! From Asterisk to the client: whatever bytes come, a client sees no packet that the policy filters, no other client's
//! answer, and no more packets than there are, however it reads lines.

use std::sync::Arc;
use std::time::Instant;

use amiwall::ami::{Decoder, EventMask, Reply};
use amiwall::identity::ClientName;
use amiwall::policy::{Followed, View};
use amiwall::upstream::{ActionIds, Correlation, IdPrefix, Routed, Sent};

use crate::forward::{Counts, Difference, Wall, cut};
use crate::random::Random;

/// Actions that the client has sent, and their ids beside them.
const SENT: u64 = 3;

/// A longer line is no packet's; Asterisk's own are much shorter.
const LINE_MAX: usize = 256 * 1_024;

/// The ids that stand in the streams: `aw-<session>-<number>` of the client, and of another one.
pub(crate) fn own(number: u64) -> String {
    IdPrefix::from_random(OWN).id(number)
}
pub(crate) fn others(number: u64) -> String {
    IdPrefix::from_random(OTHERS).id(number)
}
const OWN: u128 = 0xA;
const OTHERS: u128 = 0xB;

/// What one session makes of what comes, as `session/outbound.rs` does.
struct Session {
    correlation: Correlation,
    ids: ActionIds,
    view: Arc<View>,
    followed: Followed,
    /// What the client wishes to see.
    mask: EventMask,
}

/// The classes that are in a mask: none for all of them.
type Wished = Option<&'static [&'static [u8]]>;

/// What a client may send as its mask, and what it means.
const MASKS: [(&[u8], Wished); 5] = [
    (b"on", None),
    (b"on", None),
    (b"call", Some(&[b"call"])),
    (b"agent,user", Some(&[b"agent", b"user"])),
    (b"off", Some(&[])),
];

impl Session {
    fn new(wall: &Wall, mask: EventMask) -> Self {
        let view = wall.policy.view(&ClientName::for_explain("watcher"));
        let mut correlation = Correlation::new(IdPrefix::from_random(OWN));
        for number in 0..SENT {
            let id = correlation.send(Sent {
                record_id: format!("r{number}"),
                client_id: (number > 0).then(|| format!("mine-{number}").into_bytes()),
                key: "command".to_owned(),
                is_blocking: false,
                is_unanswered: false,
                is_own: false,
                read_at: Instant::now(),
                at: Instant::now(),
            });
            assert_eq!(id, own(number));
        }
        let ids = ActionIds::default();
        ids.remember(&others(0), b"theirs");
        Self { correlation, ids, view, followed: Followed::default(), mask }
    }

    /// What is written to the client for one packet.
    fn take(&mut self, reply: Reply, out: &mut Vec<u8>) {
        let (reply, is_answer) = match self.correlation.route(reply, &self.ids) {
            Routed::Answer { reply, .. } => (reply, true),
            Routed::Broadcast(reply) => (reply, false),
            Routed::Orphan(_) | Routed::Own(_) => return,
        };
        if let Some(shown) = self.view.show(&reply, is_answer, self.mask, &mut self.followed) {
            shown.encode(out);
        }
    }
}

/// Sends `bytes` from Asterisk, cut as `seed` says.
pub(crate) fn client_view(wall: &Wall, seed: u64, bytes: &[u8]) -> Result<Counts, Difference> {
    let mut random = Random::of_seed(seed);
    let (mask, wished) = MASKS[random.below(MASKS.len())];
    let mask = EventMask::parse(mask).map_err(|_| "a mask is refused")?;
    let (mut session, mut decoder, mut out) = (Session::new(wall, mask), Decoder::upstream(), Vec::new());
    'stream: for part in cut(&mut random, bytes) {
        decoder.feed(part);
        while let Some(packet) = decoder.next_message() {
            // A session ends at what cannot be a packet.
            let Ok(message) = packet else { break 'stream };
            session.take(Reply::from(message), &mut out);
        }
    }
    let sent = packets(bytes, |line| line.is_empty());
    let seen = packets(&out, |line| line.is_empty());
    let is_packet = |packet: &&Vec<Vec<u8>>| packet.iter().all(|line| line.len() <= LINE_MAX);
    let expected: Vec<Vec<Vec<u8>>> =
        sent.iter().take_while(is_packet).filter_map(|packet| visible(packet, wished)).collect();
    if expected != seen {
        return Err(format!("the client should see {}, and sees {}", text(&expected), text(&seen)));
    }
    // Many clients trim what they read, so a line of blanks ends a packet for them.
    let trimmed = packets(&out, |line| line.trim_ascii().is_empty());
    if trimmed.len() != seen.len() {
        return Err(format!("a client that trims lines sees {}", text(&trimmed)));
    }
    let forwarded = u64::try_from(seen.len()).unwrap_or_default();
    let all = u64::try_from(sent.len()).unwrap_or_default();
    Ok(Counts { forwarded, refused: all - forwarded, compared: all })
}

fn text(packets: &[Vec<Vec<u8>>]) -> String {
    let lines = |packet: &Vec<Vec<u8>>| packet.iter().map(|line| line.escape_ascii().to_string()).collect::<Vec<_>>();
    format!("{:?}", packets.iter().map(lines).collect::<Vec<_>>())
}

/// Lines end at LF, one CR before it goes with it; an empty line ends a packet; what is not ended is none.
fn packets(bytes: &[u8], is_end: impl Fn(&[u8]) -> bool) -> Vec<Vec<Vec<u8>>> {
    let (mut packets, mut packet) = (Vec::new(), Vec::new());
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    lines.pop();
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !is_end(line) {
            packet.push(line.to_vec());
        } else if !packet.is_empty() {
            packets.push(std::mem::take(&mut packet));
        }
    }
    packets
}

/// A packet of Asterisk's as `watcher` of `policy.yaml` may see it, said from the policy's text; `wished`: its mask.
fn visible(lines: &[Vec<u8>], wished: Wished) -> Option<Vec<Vec<u8>>> {
    let clean = |line: &Vec<u8>| -> Vec<u8> {
        line.iter().map(|byte| if *byte < b' ' || *byte == 0x7f { b' ' } else { *byte }).collect()
    };
    let lines: Vec<Vec<u8>> = lines.iter().map(clean).filter(|line| line.iter().any(|byte| *byte != b' ')).collect();
    let (kind, name) = header(lines.first()?)?;
    let get =
        |wanted: &str| lines.iter().filter_map(|line| header(line)).find(|(name, _)| *name == wanted.to_lowercase());
    let id = get("ActionID").map(|(_, id)| id).filter(|id| !id.is_empty());
    let number = id.and_then(|id| (0..SENT).find(|number| own(*number).as_bytes() == id));
    let privilege = get("Privilege").map_or(&b""[..], |(_, value)| value);
    let classes: Vec<&[u8]> =
        privilege.split(|byte| *byte == b',').filter(|class| !matches!(*class, b"" | b"all" | b"<none>")).collect();
    let may_see = match kind.as_str() {
        "response" => number.is_some(),
        "event" => {
            let is_denied = classes.contains(&&b"dtmf"[..]) || name.trim_ascii().eq_ignore_ascii_case(b"VarSet");
            let is_in = !classes.is_empty() && classes.iter().all(|class| matches!(*class, b"call" | b"agent"));
            // Without a class it is for whoever has not switched events off.
            let is_wished = wished.is_none_or(|mask| match classes.as_slice() {
                [] => !mask.is_empty(),
                classes => classes.iter().all(|class| mask.contains(class)),
            });
            // Also what answers: Asterisk sends these two by mask.
            let is_everybodys = name == b"OriginateResponse" || name == b"UserEvent";
            let is_asked_for = number.is_some() && (is_wished || !is_everybodys);
            !is_denied && (is_asked_for || (is_wished && (is_in || name == b"UserEvent")))
        }
        _ => false,
    };
    // An id of amiwall's own is the client's again, or goes; any other stays.
    let replaced: Option<Option<Vec<u8>>> = match (number, id) {
        (Some(0), _) => Some(None),
        (Some(number), _) => Some(Some(format!("mine-{number}").into_bytes())),
        (None, Some(id)) if id == others(0).as_bytes() => Some(Some(b"theirs".to_vec())),
        (None, Some(id)) => is_amiwalls(id).then_some(None),
        (None, None) => None,
    };
    let show = |line: &Vec<u8>| {
        let Some((name, value)) = header(line) else { return Some(line.clone()) };
        let value = match &replaced {
            Some(id) if name == "actionid" => id.as_deref()?,
            _ if name == "calleridnum" => b"***",
            _ => value,
        };
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or_default();
        Some([&line[..colon], b": ", value].concat())
    };
    may_see.then(|| lines.iter().filter_map(show).collect())
}

/// `aw-`, 32 hex digits and `-`: an id of this or another process.
fn is_amiwalls(id: &[u8]) -> bool {
    let is_mark = |(at, byte): (usize, &u8)| match at {
        0..3 => byte == b"aw-".get(at).unwrap_or(&0),
        35 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    id.len() >= 36 && id.iter().take(36).enumerate().all(is_mark)
}

/// A line's name in lower case and its value behind one blank, if it has a name.
fn header(line: &[u8]) -> Option<(String, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(colon);
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    let value = value.strip_prefix(b": ").or_else(|| value.strip_prefix(b":"))?;
    is_name.then(|| (String::from_utf8_lossy(name).to_lowercase(), value))
}
