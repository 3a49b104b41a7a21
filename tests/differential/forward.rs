//! From the client to Asterisk: what is forwarded is, read by Asterisk, what was judged and recorded, and nothing else.

use std::path::Path;

use amiwall::ami::{Action, Decoder, Limits, Message};
use amiwall::catalogue;
use amiwall::config::{self, Files};
use amiwall::identity::ClientName;
use amiwall::policy::{Decision, Policy};
use amiwall::upstream::IdPrefix;

use crate::oracle;
use crate::random::Random;
use crate::reader::{Outcome, Packet, Reader};

/// A difference, for people.
pub(crate) type Difference = String;

/// The identities of the policy.
pub(crate) const CLIENTS: [&str; 4] = ["dialer", "open", "listed", "shadow"];

/// What came of an input, so that a run can say that it tried something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) forwarded: u64,
    pub(crate) refused: u64,
    /// Packets that were understood before anything was malformed, and compared with Asterisk's reading of the input.
    pub(crate) compared: u64,
}

/// The whole way of a packet, without sockets.
#[derive(Debug)]
pub(crate) struct Wall {
    pub(crate) policy: Policy,
}

impl Wall {
    /// With the policy beside this file.
    pub(crate) fn new() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(POLICY);
        let checked = config::check(&path, Files::Skip).unwrap_or_else(|problems| panic!("{problems}"));
        Self { policy: checked.policy }
    }

    /// Judges as a session does; the id is that of its record. Nothing for what amiwall answers itself.
    pub(crate) fn judge(&self, client: &ClientName, message: Message, record_id: &str) -> Option<Decision> {
        let action = Action::try_from(message).ok()?;
        let is_local = catalogue::action(action.key()).is_some_and(|entry| entry.is_local);
        (!is_local).then(|| self.policy.decide(client, action, record_id))
    }

    /// Sends `bytes`, cut as `seed` says, as one of the clients.
    pub(crate) fn asterisk_view(&self, seed: u64, bytes: &[u8]) -> Result<Counts, Difference> {
        let mut random = Random::of_seed(seed);
        let name = random.one_of(&CLIENTS);
        let client = ClientName::for_explain(name);
        let (read, is_whole) = decode(&mut random, bytes);
        let mut counts = Counts { compared: compare_readings(&read, is_whole, bytes)?, ..Counts::default() };
        let ids = IdPrefix::from_random(u128::from(seed));
        let mut asterisk = Reader::default();
        for (number, message) in (0_u64..).zip(read) {
            let record_id = format!("5e2b9c01-37.{number}");
            let Some(Decision::Allow(permit)) = message.and_then(|message| self.judge(&client, message, &record_id))
            else {
                counts.refused += 1;
                continue;
            };
            let (id, mut sent) = (ids.id(number), Vec::new());
            permit.action().encode(&id, &mut sent);
            for part in cut(&mut random, &sent) {
                asterisk.read(part);
            }
            let outcomes = asterisk.outcomes();
            let [Outcome::Runs(packet)] = outcomes.as_slice() else {
                return Err(format!("{name}: one packet was sent, Asterisk made of it {outcomes:?}"));
            };
            if !asterisk.is_between_packets() {
                return Err(format!("{name}: something is left behind the packet"));
            }
            same(permit.action().message(), &id, packet).map_err(|difference| format!("{name}: {difference}"))?;
            if let Some(objection) = oracle::objection(name, packet, &record_id) {
                return Err(format!("{name}: {objection}: {packet:?}"));
            }
            counts.forwarded += 1;
        }
        Ok(counts)
    }
}

/// From the folder of the crate, which may be `fuzz/`.
#[cfg(not(fuzzing))]
pub(crate) const POLICY: &str = "tests/differential/policy.yaml";
#[cfg(fuzzing)]
pub(crate) const POLICY: &str = "../tests/differential/policy.yaml";

/// The bytes in pieces.
pub(crate) fn cut<'b>(random: &mut Random, mut bytes: &'b [u8]) -> Vec<&'b [u8]> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let (part, rest) = bytes.split_at(random.cut(bytes.len()));
        parts.push(part);
        bytes = rest;
    }
    parts
}

/// What amiwall's decoder makes of the bytes: messages, `None` for what is malformed; and whether nothing was.
pub(crate) fn decode(random: &mut Random, bytes: &[u8]) -> (Vec<Option<Message>>, bool) {
    let mut decoder = Decoder::client(Limits::CLIENT);
    let mut read = Vec::new();
    for part in cut(random, bytes) {
        decoder.feed(part);
        while let Some(packet) = decoder.next_message() {
            read.push(packet.ok());
        }
    }
    let is_whole = read.iter().all(Option::is_some) && !decoder.is_mid_packet();
    (read, is_whole)
}

/// Up to the first packet that amiwall finds malformed, it has read the client as Asterisk would have.
fn compare_readings(read: &[Option<Message>], is_whole: bool, bytes: &[u8]) -> Result<u64, Difference> {
    let mut asterisk = Reader::default();
    asterisk.read(bytes);
    let outcomes = asterisk.outcomes();
    let mut compared = 0;
    for (number, message) in read.iter().map_while(Option::as_ref).enumerate() {
        let has_action = message.get_all("Action").any(|value| !value.is_empty());
        let same = match outcomes.get(number) {
            Some(Outcome::Runs(packet)) => has_action && same_headers(message, packet),
            Some(Outcome::NoAction) => !has_action,
            Some(Outcome::LineTooLong | Outcome::TooManyLines) | None => false,
        };
        if !same {
            let lines = String::from_utf8_lossy(message.lines());
            return Err(format!("packet {number}: amiwall reads {lines:?}, Asterisk {:?}", outcomes.get(number)));
        }
        compared += 1;
    }
    if is_whole && outcomes.len() != read.len() {
        return Err(format!("amiwall reads {} packets, Asterisk {}", read.len(), outcomes.len()));
    }
    Ok(compared)
}

fn same_headers(message: &Message, packet: &Packet) -> bool {
    let ours = message.headers().map(|header| (header.name_bytes(), header.value));
    ours.eq(packet.headers())
}

/// Whether Asterisk's packet is the judged one: the same headers, in the same order, but for the `ActionID` behind `Action`.
fn same(judged: &Message, id: &str, packet: &Packet) -> Result<(), Difference> {
    let is_moved = |name: &str| name.eq_ignore_ascii_case("Action") || name.eq_ignore_ascii_case("ActionID");
    let action = judged.get("Action").unwrap_or_default();
    let first = [(&b"Action"[..], action), (b"ActionID", id.as_bytes())];
    let rest = judged.headers().filter(|header| !is_moved(header.name()));
    let expected = first.into_iter().chain(rest.map(|header| (header.name_bytes(), header.value)));
    if !expected.eq(packet.headers()) || packet.action() != Some(action) {
        let lines = String::from_utf8_lossy(judged.lines());
        return Err(format!("judged and recorded {lines:?}, Asterisk reads {packet:?}"));
    }
    let is_found =
        |name: &str| is_moved(name) || packet.get(name) == judged.get(name).filter(|value| !value.is_empty());
    if judged.headers().all(|header| is_found(header.name())) { Ok(()) } else { Err("a look-up differs".to_owned()) }
}
