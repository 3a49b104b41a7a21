//! The hash chain: how a record gets its place, and how a line is checked. `docs/audit-format.md` describes the bytes.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;

use super::json;
use super::trail::{Place, RawRecord};

/// Hex digits of a SHA-256.
const HEX_LEN: usize = 64;

/// Numbers of records and microseconds are less.
pub(super) const NUMBER_MAX: u64 = 1 << 62;

/// A SHA-256 in lower-case hex.
pub(super) type Hash = [u8; HEX_LEN];

/// The last record of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Its seq; 0 before the first record.
    pub(super) seq: u64,
    /// Its hash; zeros before the first record.
    pub(super) hash: Hash,
}

impl Head {
    /// Before the first record.
    pub(super) const GENESIS: Self = Self { seq: 0, hash: [b'0'; HEX_LEN] };

    /// Appends the next record as a line to `out`, and becomes it. `members` is what stands between the times and prev.
    pub(super) fn seal(&mut self, out: &mut Vec<u8>, stamp: Stamp<'_>, members: &[&[u8]]) {
        let start = out.len();
        self.seq += 1;
        out.extend_from_slice(b"{\"seq\":");
        json::digits(out, self.seq);
        out.extend_from_slice(b",\"time\":\"");
        out.extend_from_slice(stamp.time.as_bytes());
        out.extend_from_slice(b"\",\"mono\":");
        json::digits(out, stamp.mono);
        for part in members {
            out.extend_from_slice(part);
        }
        out.extend_from_slice(b",\"prev\":\"");
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(b"\"}");
        self.hash = sha256(&[out.get(start..).unwrap_or_default()]);
        out.truncate(out.len() - 1);
        out.extend_from_slice(b",\"hash\":\"");
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(b"\"}\n");
    }

    /// Takes the next line of a log.
    pub(super) fn follow<'l>(&mut self, line: &'l [u8]) -> Result<Record<'l>, BadRecord> {
        let record = Record::read(line)?;
        if record.seq != self.seq + 1 {
            return Err(BadRecord::Seq { expected: self.seq + 1, found: record.seq });
        }
        if record.prev != self.hash {
            return Err(BadRecord::Prev);
        }
        *self = record.head();
        Ok(record)
    }
}

/// When a record was taken, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp<'t> {
    /// The wall clock's text: see [`TimeText`].
    pub(super) time: &'t str,
    /// Microseconds since amiwall started, on a clock that nobody sets.
    pub(super) mono: u64,
}

/// What is wrong with a line of a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// The record is not the one that somebody kept elsewhere.
    #[error("record {seq} is another one than the copy that was kept elsewhere: the chain was made anew")]
    Anchor {
        /// Its seq.
        seq: u64,
    },
    /// The beginning is missing.
    #[error("the log begins with record {first}, and no `prune` record says that what was before it was taken out")]
    Begin {
        /// The first seq that is there.
        first: u64,
    },
    /// The compressed segment cannot be unpacked from here on.
    #[error("the compressed segment is cut off or damaged: {0}")]
    Compressed(String),
    /// The hash is not that of the record.
    #[error("the record does not have the hash that it says")]
    Hash,
    /// The segment's first record is not the one that its file name says.
    #[error("the file name says that the first record is {expected}, but it is {found}")]
    Name {
        /// In the file name.
        expected: u64,
        /// In the record.
        found: u64,
    },
    /// The line does not have the shape of a record.
    #[error("the line is not a record")]
    Shape,
    /// The record before it is not the one that was there when it was written.
    #[error("the record does not follow the one before it (`prev` is another hash)")]
    Prev,
    /// Somebody has kept a later record elsewhere.
    #[error(
        "the log ends with record {last}, but a copy of record {anchor} ({time}) was kept elsewhere: its end was cut off, \
         or an older log was put in its place"
    )]
    Rollback {
        /// The last seq that is there.
        last: u64,
        /// The seq of what was kept.
        anchor: u64,
        /// The time of what was kept.
        time: String,
    },
    /// A record is missing, or one is too many.
    #[error("the record's seq is {found} where {expected} has to follow")]
    Seq {
        /// The seq before it, plus one.
        expected: u64,
        /// What it says.
        found: u64,
    },
    /// A checkpoint has no signature, or one that is not good.
    #[error(
        "the checkpoint is not signed with a key that was given, but says that it is of `{signer}`: another key, or records \
         before it were changed"
    )]
    Signature {
        /// The name in its note.
        signer: String,
    },
    /// Checkpoints are missing.
    #[error(
        "from record {since} on nothing is signed, over {seconds} s: these records may have been made without the key"
    )]
    Unsigned {
        /// The first seq that no signature covers.
        since: u64,
        /// How long it goes on like that.
        seconds: u64,
    },
    /// The file ends inside a line, and another segment follows.
    #[error("the segment ends inside a record")]
    Torn,
}

impl BadRecord {
    pub(super) fn compressed(error: &std::io::Error) -> Self {
        Self::Compressed(error.to_string())
    }
}

/// A line whose own hash is right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'l> {
    pub(super) seq: u64,
    pub(super) time: &'l [u8],
    pub(super) mono: u64,
    pub(super) kind: &'l [u8],
    prev: &'l [u8],
    hash: Hash,
}

impl<'l> Record<'l> {
    /// This record as the end of a chain.
    pub(super) const fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash }
    }

    /// The hash of the record before it.
    pub(super) fn prev_hash(&self) -> Option<Hash> {
        self.prev.try_into().ok()
    }

    /// For readers outside of this module.
    pub(super) const fn raw(&self, text: &'l [u8], place: Place) -> RawRecord<'l> {
        RawRecord { seq: self.seq, time: self.time, mono: self.mono, kind: self.kind, text, place, hash: self.hash }
    }

    /// Reads a line (without its newline) and checks its own hash.
    pub(super) fn read(line: &'l [u8]) -> Result<Self, BadRecord> {
        Self::parse(line).ok_or(BadRecord::Shape).and_then(|(record, hashed)| {
            if sha256(&[hashed, b"}"]) == record.hash { Ok(record) } else { Err(BadRecord::Hash) }
        })
    }

    /// Reads a line without checking its hash; gives also the bytes that the hash is of.
    pub(super) fn parse(line: &'l [u8]) -> Option<(Self, &'l [u8])> {
        let (rest, hash) = line.strip_suffix(b"\"}")?.split_last_chunk::<HEX_LEN>()?;
        let hashed = rest.strip_suffix(b",\"hash\":\"")?;
        let (rest, prev) = hashed.strip_suffix(b"\"")?.split_last_chunk::<HEX_LEN>()?;
        let rest = rest.strip_suffix(b",\"prev\":\"")?.strip_prefix(b"{\"seq\":")?;
        let is_hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if !hash.iter().chain(prev).all(is_hex) {
            return None;
        }
        let (seq, rest) = rest.split_at_checked(rest.iter().position(|b| *b == b',')?)?;
        let (time, rest) = until_quote(rest.strip_prefix(b",\"time\":\"")?)?;
        let rest = rest.strip_prefix(b",\"mono\":")?;
        let (mono, rest) = rest.split_at_checked(rest.iter().position(|b| *b == b',')?)?;
        let (kind, _) = until_quote(rest.strip_prefix(b",\"kind\":\"")?)?;
        let number = |digits| {
            let number: u64 = std::str::from_utf8(digits).ok().filter(|n: &&str| !n.starts_with('+'))?.parse().ok()?;
            // Nobody has so many; what is less can be added to.
            (number < NUMBER_MAX).then_some(number)
        };
        let seq = number(seq).filter(|_| !seq.starts_with(b"0"))?;
        let mono = number(mono)?;
        Some((Self { seq, time, mono, kind, prev, hash: *hash }, hashed))
    }
}

fn until_quote(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (value, rest) = text.split_at_checked(text.iter().position(|b| *b == b'"')?)?;
    Some((value, rest.get(1..)?))
}

fn sha256(parts: &[&[u8]]) -> Hash {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hex = [b'0'; HEX_LEN];
    let digest = context.finish();
    for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(digest.as_ref()) {
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        *pair = [digit(byte >> 4), digit(byte & 0xF)];
    }
    hex
}

/// UTC as RFC 3339 with microseconds. The text of a second is made once.
#[derive(Debug, Default)]
pub(super) struct TimeText {
    second: Option<i64>,
    text: String,
}

impl TimeText {
    /// The text of a time.
    pub(super) fn at(&mut self, time: SystemTime) -> &str {
        // A clock before 1970 is wrong in any case; seq keeps the order.
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = i64::try_from(since.as_secs()).unwrap_or_default();
        if self.second != Some(second) {
            let stamp = jiff::Timestamp::from_second(second).unwrap_or_default();
            self.text = stamp.to_string();
            self.second = Some(second);
        }
        self.text.truncate("2026-11-21T02:00:00".len());
        self.text.push('.');
        let mut unit = 100_000;
        while unit > 0 {
            let digit = u8::try_from(since.subsec_micros() / unit % 10).unwrap_or_default();
            self.text.push(char::from(b'0' + digit));
            unit /= 10;
        }
        self.text.push('Z');
        &self.text
    }
}

/// A time as the log writes it.
#[must_use]
pub fn time_text(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_sealed_record_is_followed() {
        let mut out = Vec::new();
        let mut head = Head::GENESIS;
        head.seal(&mut out, Stamp { time: "T", mono: 7 }, &[b",\"kind\":\"start\"", b",\"a\":1"]);
        head.seal(&mut out, Stamp { time: "U", mono: 8 }, &[b",\"kind\":\"stop\""]);
        let mut reader = Head::GENESIS;
        let lines: Vec<&[u8]> = out.split(|&b| b == b'\n').collect();
        let record = reader.follow(lines[0]).expect("a record");
        assert_eq!((record.seq, record.time, record.mono, record.kind), (1, &b"T"[..], 7, &b"start"[..]));
        reader.follow(lines[1]).expect("a record");
        assert_eq!(reader, head);
        let mut genesis = Head::GENESIS;
        assert_eq!(genesis.follow(lines[1]).err(), Some(BadRecord::Seq { expected: 1, found: 2 }));
        assert_eq!(Head { seq: 1, ..Head::GENESIS }.follow(lines[1]).err(), Some(BadRecord::Prev));
    }

    #[test]
    fn hashes_are_those_of_sha256sum() {
        let hash = sha256(&[b"a", b"bc"]);
        assert_eq!(&hash, b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn times_have_microseconds() {
        let mut text = TimeText::default();
        let time = UNIX_EPOCH + Duration::new(1_795_226_400, 123_456_789);
        assert_eq!(text.at(time), "2026-11-21T02:00:00.123456Z");
        assert_eq!(text.at(time + Duration::from_millis(900)), "2026-11-21T02:00:01.023456Z");
        assert_eq!(text.at(time + Duration::from_millis(901)), "2026-11-21T02:00:01.024456Z");
    }
}
