//! The bodies of the fuzz targets: each takes any bytes and fails when a property does not hold. `fuzz/` runs them with
//! coverage, the tests over the committed corpora.

use std::sync::OnceLock;

use amiwall::ami::{Decoder, Limits, Message};

use crate::forward::{Wall, cut};
use crate::random::Random;
use crate::{backward, scoped, targets_log, targets_policy};

/// Fails when a property does not hold.
type Target = fn(&[u8]);

/// Each target by its name, which is that of its corpus.
pub(crate) const TARGETS: [(&str, Target); 9] = [
    ("asterisk_view", asterisk_view),
    ("audit_chain", targets_log::audit_chain),
    ("config_load", targets_log::config_load),
    ("correlation", targets_policy::correlation),
    ("decide", targets_policy::decide),
    ("decode", decode),
    ("networks", targets_policy::networks),
    ("pattern", targets_policy::pattern),
    ("round_trip", round_trip),
];

/// The first eight bytes are a seed, for cuts and choices.
pub(crate) fn seed(data: &[u8]) -> (u64, &[u8]) {
    match data.split_first_chunk() {
        Some((seed, rest)) => (u64::from_le_bytes(*seed), rest),
        None => (0, data),
    }
}

pub(crate) fn wall() -> &'static Wall {
    static WALL: OnceLock<Wall> = OnceLock::new();
    WALL.get_or_init(Wall::new)
}

/// In both directions: what arrives is what was judged.
fn asterisk_view(data: &[u8]) {
    let (seed, bytes) = seed(data);
    let there = wall().asterisk_view(seed, bytes);
    assert!(there.is_ok(), "{there:?}");
    let back = backward::client_view(wall(), seed, bytes);
    assert!(back.is_ok(), "{back:?}");
    let back = scoped::scoped_view(wall(), seed, bytes);
    assert!(back.is_ok(), "{back:?}");
}

/// Any cut of the bytes gives the same packets, and no more than a line and a packet is kept.
fn decode(data: &[u8]) {
    let (seed, bytes) = seed(data);
    for new in [|| Decoder::client(Limits::CLIENT), || Decoder::client(Limits::LOGIN), Decoder::upstream] {
        let (mut whole, mut pieces) = (new(), new());
        let (mut all, mut one_by_one) = (Vec::new(), Vec::new());
        whole.feed(bytes);
        while let Some(packet) = whole.next_message() {
            all.push(packet);
        }
        for part in cut(&mut Random::of_seed(seed), bytes) {
            pieces.feed(part);
            while let Some(packet) = pieces.next_message() {
                one_by_one.push(packet);
            }
            assert!(pieces.waiting_len() <= Limits::UPSTREAM.line_len_max + 1, "it keeps more than a line");
        }
        assert_eq!(all, one_by_one);
        assert_eq!((whole.is_mid_packet(), whole.lines_begun()), (pieces.is_mid_packet(), pieces.lines_begun()));
    }
}

/// What is decoded and encoded is decoded to the same; encoding again gives the same bytes.
fn round_trip(data: &[u8]) {
    for new in [|| Decoder::client(Limits::CLIENT), Decoder::upstream] {
        let mut decoder = new();
        decoder.feed(data);
        while let Some(packet) = decoder.next_message() {
            let Ok(message) = packet else { continue };
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            let mut again = new();
            again.feed(&bytes);
            let read = again.next_message();
            // From Asterisk an empty packet is none.
            let expected = (!message.is_empty() || read.is_some()).then_some(Ok(message));
            assert_eq!(read, expected);
            assert!(again.next_message().is_none() && !again.is_mid_packet());
            let headers = expected.iter().flatten().flat_map(Message::headers);
            assert!(headers.into_iter().all(|header| header.value.iter().all(|byte| *byte >= b' ')));
        }
    }
}

/// Every target over its corpus, and over what is made of it.
#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Random, TARGETS};

    /// Inputs made of each of a corpus.
    const MADE: usize = 30;

    #[test]
    fn every_target_holds_over_its_corpus() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        for (name, target) in TARGETS {
            let mut files: Vec<_> = fs::read_dir(corpora.join(name))
                .unwrap_or_else(|error| panic!("fuzz/corpus/{name}: {error}"))
                .map(|entry| entry.expect("an entry").path())
                .collect();
            files.sort();
            assert!(files.len() >= 3, "the corpus of {name} has {} files", files.len());
            for file in files {
                let data = fs::read(&file).expect("a file");
                let mut random = Random::of_seed(u64::try_from(data.len()).expect("it fits"));
                target(&data);
                for _ in 0..MADE {
                    target(&changed(&data, &mut random));
                }
            }
        }
    }

    fn changed(data: &[u8], random: &mut Random) -> Vec<u8> {
        let mut data = data.to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(data.len());
            match random.below(4) {
                _ if data.is_empty() => {}
                0 => data.truncate(at),
                1 => data[at] ^= 1 << random.below(8),
                2 => data.insert(at, random.next().to_le_bytes()[0]),
                _ => drop(data.remove(at)),
            }
        }
        data
    }
}
