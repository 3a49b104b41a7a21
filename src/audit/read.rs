//! Reading a log, record by record in the order of the chain, in memory that does not grow with the log. Every record is
//! checked as it is read: what comes out is what was written, up to the first error.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

use super::chain::{self, BadRecord, Head};
use super::compress::SegmentReader;
use super::lines::{Line, Lines};
use super::segment::{Segment, list_segments};
use super::verify::VerifyError;

/// What stands for a hidden value, or for the hidden part of one.
pub const REDACTED: &str = "[redacted]";

/// Begins to read the log in a directory.
///
/// # Errors
/// If there is no log, or the directory cannot be read.
pub fn read(directory: &Path) -> Result<Records, VerifyError> {
    Ok(Records { walk: Some(Walk::begin(directory)?), kinds: &[] })
}

/// The records of a log, in order. The first error is the last element; bytes behind the last whole record of the last
/// segment are the end.
#[derive(Debug)]
pub struct Records {
    /// None when the end or an error was reached.
    walk: Option<Walk>,
    /// Kinds that are wanted; all, if empty.
    kinds: &'static [&'static str],
}

impl Records {
    /// Only records of these kinds. The others are checked all the same, but not parsed.
    #[must_use]
    pub const fn of_kinds(mut self, kinds: &'static [&'static str]) -> Self {
        self.kinds = kinds;
        self
    }
}

impl Iterator for Records {
    type Item = Result<LoggedRecord, VerifyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.walk.as_mut()?.next_record(self.kinds);
        if !matches!(read, Ok(Some(_))) {
            self.walk = None;
        }
        read.transpose()
    }
}

/// One record: what `docs/audit-format.md` says of each member. A member that the record lacks is empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are those of the members")]
pub struct LoggedRecord {
    pub seq: u64,
    #[serde(deserialize_with = "time")]
    pub time: Timestamp,
    pub mono: u64,
    pub kind: String,
    pub session: String,
    pub id: String,
    pub identity: String,
    pub peer: String,
    pub proxy: String,
    pub listener: String,
    pub upstream: String,
    pub direction: String,
    pub name: String,
    pub headers: Vec<LoggedHeader>,
    pub decision: String,
    pub reason: String,
    pub rule: String,
    pub line: Option<u64>,
    pub limit: String,
    pub retry_ms: Option<u64>,
    pub dropped: Vec<String>,
    pub set: Vec<String>,
    pub outcome: String,
    pub latency_us: Option<u64>,
    pub origin: String,
    pub policy: String,
    pub boot: String,
    pub version: String,
    pub packets: String,
    pub except_events: Vec<String>,
    pub redact: Vec<String>,
    pub pseudonymise: Vec<String>,
    pub actions: String,
    pub responses: String,
    pub changes: Vec<String>,
    pub file: String,
    pub trigger: String,
    pub problem: String,
    pub identities: Option<u64>,
    pub method: String,
    pub claimed: Option<String>,
    pub claimed_length: Option<u64>,
    pub forwarded: Option<u64>,
    pub refused: Option<u64>,
    pub sent: Option<u64>,
    pub unanswered: Option<u64>,
    pub count: Option<u64>,
    pub counts: BTreeMap<String, u64>,
    pub seconds: Option<u64>,
    pub first_call: String,
    pub since: String,
    pub until: String,
    pub cause: String,
    pub unconfirmed: Vec<(u64, u64)>,
    pub change: String,
    pub node: String,
    pub signer: String,
    pub on_failure: String,
    pub continued: bool,
    pub available: Option<u64>,
    pub step_ms: Option<i64>,
    pub segments: Option<u64>,
    pub through: Option<u64>,
    pub sessions: Option<u64>,
    pub uid: Option<u64>,
    pub user: String,
    pub action: String,
    pub at: String,
    pub note: String,
    pub bytes: Option<u64>,
    pub hash: String,
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// One header of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedHeader {
    /// Its name; empty for a line without one.
    pub name: String,
    /// What the log has of its value.
    pub value: LoggedValue,
}

/// What the log has of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedValue {
    /// The bytes. Where [`REDACTED`] stands among them, that part is hidden.
    Bytes(Vec<u8>),
    /// Nothing: it was hidden as a whole.
    Hidden,
    /// How many bytes it had.
    Length(u64),
    /// What stands for it, and the id of the key by which it was made: two values are the same if both are.
    Pseudonym {
        /// 32 hex digits.
        token: String,
        /// 8 hex digits.
        key: String,
    },
}

impl<'de> Deserialize<'de> for LoggedHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(HeaderVisitor)
    }
}

/// `["Channel","PJSIP/1"]`, `["CallerIDName","J\u00fcrgen","latin1"]`, `["Secret",7,"length"]`.
struct HeaderVisitor;

/// A text or a length. By hand, because most of a log is this.
enum RawValue {
    Text(String),
    Length(u64),
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;
        impl Visitor<'_> for RawVisitor {
            type Value = RawValue;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a length")
            }

            fn visit_str<E>(self, text: &str) -> Result<RawValue, E> {
                Ok(RawValue::Text(text.to_owned()))
            }

            fn visit_u64<E>(self, length: u64) -> Result<RawValue, E> {
                Ok(RawValue::Length(length))
            }
        }
        deserializer.deserialize_any(RawVisitor)
    }
}

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = LoggedHeader;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a header's name and value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<LoggedHeader, A::Error> {
        let missing = || A::Error::custom("a header has a name and a value");
        let name = elements.next_element::<String>()?.ok_or_else(missing)?;
        let raw = elements.next_element::<RawValue>()?.ok_or_else(missing)?;
        let form = elements.next_element::<String>()?;
        let value = match (raw, form.as_deref()) {
            (RawValue::Text(text), None) if text == REDACTED => LoggedValue::Hidden,
            (RawValue::Text(text), None) => LoggedValue::Bytes(text.into_bytes()),
            (RawValue::Text(text), Some("latin1")) => {
                let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
                LoggedValue::Bytes(bytes.map_err(|_| A::Error::custom("a character is no byte"))?)
            }
            (RawValue::Text(token), Some("pseudonym")) => {
                let key = elements.next_element::<String>()?.ok_or_else(missing)?;
                LoggedValue::Pseudonym { token, key }
            }
            (RawValue::Length(length), Some("length")) => LoggedValue::Length(length),
            (RawValue::Text(_) | RawValue::Length(_), _) => {
                return Err(A::Error::custom("a header's value has a form that is not known"));
            }
        };
        Ok(LoggedHeader { name, value })
    }
}

/// Whether the error is in what a compressed segment holds, not in reading the file.
pub(super) fn is_damage(segment: &Segment, error: &io::Error) -> bool {
    segment.is_compressed() && error.raw_os_error().is_none()
}

/// The way along the chain, line by line.
#[derive(Debug)]
pub(super) struct Walk {
    directory: PathBuf,
    segments: Vec<Segment>,
    /// The segment that is read.
    index: usize,
    lines: Option<Lines<SegmentReader>>,
    /// The last record that was right.
    pub(super) head: Head,
    /// How many were right.
    records: u64,
    /// The number of the last line that was one.
    last_line: u64,
    /// The last segment ends inside a record: its path, and how many bytes are no record.
    pub(super) torn: Option<(PathBuf, u64)>,
    /// What was before the first record, if that is not the first of the log.
    pub(super) pruned: Option<Head>,
}

/// One line of the log, which follows the one before it.
#[derive(Debug)]
pub(super) struct Step<'w> {
    pub(super) record: chain::Record<'w>,
    /// The whole line without its newline.
    pub(super) text: &'w [u8],
    /// Its length with the newline.
    pub(super) bytes: u64,
}

impl Walk {
    pub(super) fn begin(directory: &Path) -> Result<Self, VerifyError> {
        let failed = |error| VerifyError::Io { path: directory.to_owned(), error };
        let segments = list_segments(directory).map_err(failed)?;
        if segments.is_empty() {
            return Err(VerifyError::Empty(directory.to_owned()));
        }
        let directory = directory.to_owned();
        let (head, index, lines) = (Head::GENESIS, 0, None);
        Ok(Self { directory, segments, index, lines, head, records: 0, last_line: 0, torn: None, pruned: None })
    }

    /// Begins with the segment that is so many from the end; none if there are not so many.
    pub(super) fn begin_back(directory: &Path, back: usize) -> Result<Option<Self>, VerifyError> {
        let mut walk = match Self::begin(directory) {
            Err(VerifyError::Empty(_)) => return Ok(None),
            begun => begun?,
        };
        let Some(first) = walk.segments.len().checked_sub(back) else { return Ok(None) };
        walk.segments.drain(..first);
        Ok(Some(walk))
    }

    pub(super) const fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// How many segments are read, of how many.
    pub(super) fn progress(&self) -> (u64, u64) {
        let count = |count| u64::try_from(count).unwrap_or_default();
        (count(self.index), count(self.segments.len()))
    }

    /// The next line; none behind the last one.
    pub(super) fn next(&mut self) -> Result<Option<Step<'_>>, VerifyError> {
        if !self.advance()? {
            return Ok(None);
        }
        let (Some(lines), Some(segment)) = (&self.lines, self.segments.get(self.index)) else { return Ok(None) };
        if self.records == 0 && segment.first > 1 {
            // Old segments may have been taken out; that a `prune` record says so is for `verify` to see.
            let record = chain::Record::read(lines.line()).ok();
            self.pruned = record.and_then(|record| Some(Head { seq: segment.first - 1, hash: record.prev_hash()? }));
            self.head = self.pruned.unwrap_or(Head::GENESIS);
        }
        let record = match self.head.follow(lines.line()) {
            Ok(record) => record,
            Err(problem) => return Err(self.broken(problem)),
        };
        self.records += 1;
        self.last_line = lines.number;
        if lines.number == 1 && self.head.seq != segment.first {
            return Err(self.broken(BadRecord::Name { expected: segment.first, found: self.head.seq }));
        }
        Ok(Some(Step { record, text: lines.line(), bytes: lines.next - lines.start }))
    }

    /// Reads up to the next whole line. False: there is none.
    fn advance(&mut self) -> Result<bool, VerifyError> {
        while let Some(segment) = self.segments.get(self.index) {
            let path = self.directory.join(&segment.name);
            let failed = |error| VerifyError::Io { path: path.clone(), error };
            if self.lines.is_none() {
                self.lines = Some(Lines::new(SegmentReader::open(&path).map_err(failed)?));
            }
            let Some(lines) = &mut self.lines else { return Ok(false) };
            let read = match lines.read() {
                Ok(read) => read,
                Err(error) if is_damage(segment, &error) => return Err(self.broken(BadRecord::compressed(&error))),
                Err(error) => return Err(failed(error)),
            };
            let following = self.segments.get(self.index + 1);
            // A segment that was given up counts up to where the next one begins; that one has the rest again.
            let is_superseded = segment.is_suspect() && following.is_some_and(|next| self.head.seq + 1 == next.first);
            match read {
                _ if is_superseded => {}
                Line::Whole => return Ok(true),
                Line::Torn if following.is_some() => return Err(self.broken(BadRecord::Torn)),
                Line::Torn => self.torn = Some((path, lines.next - lines.start)),
                Line::End => {}
            }
            self.lines = None;
            self.index += 1;
        }
        Ok(false)
    }

    /// The next record of one of the kinds, read. A line whose hash is right but that is no record is as broken as any
    /// other.
    fn next_record(&mut self, kinds: &[&str]) -> Result<Option<LoggedRecord>, VerifyError> {
        loop {
            let Some(step) = self.next()? else { return Ok(None) };
            if !kinds.is_empty() && !kinds.iter().any(|kind| kind.as_bytes() == step.record.kind) {
                continue;
            }
            if let Ok(record) = serde_json::from_slice(step.text) {
                return Ok(Some(record));
            }
            self.records -= 1;
            return Err(self.broken(BadRecord::Shape));
        }
    }

    /// What is wrong with the first line.
    pub(super) fn broken_begin(&self, problem: BadRecord) -> VerifyError {
        let segment = self.segments.first().map(|segment| self.directory.join(&segment.name));
        VerifyError::Broken { segment: segment.unwrap_or_default(), line: 1, problem, good: 0 }
    }

    /// What is wrong with the end.
    pub(super) fn broken_end(&self, problem: BadRecord) -> VerifyError {
        let segment = self.segments.last().map(|segment| self.directory.join(&segment.name));
        VerifyError::Broken { segment: segment.unwrap_or_default(), line: self.last_line, problem, good: self.records }
    }

    /// What is wrong with the line that was read last.
    pub(super) fn broken(&self, problem: BadRecord) -> VerifyError {
        let segment = self.segments.get(self.index).map(|segment| self.directory.join(&segment.name));
        let line = self.lines.as_ref().map_or(0, |lines| lines.number);
        VerifyError::Broken { segment: segment.unwrap_or_default(), line, problem, good: self.records }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(json: &str) -> Result<LoggedHeader, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn every_form_of_a_value_is_read() {
        let value = |json| header(json).expect("a header").value;
        assert_eq!(value(r#"["A","b\u001b"]"#), LoggedValue::Bytes(b"b\x1b".to_vec()));
        assert_eq!(value(r#"["A","J\u00fcrgen","latin1"]"#), LoggedValue::Bytes(b"J\xfcrgen".to_vec()));
        assert_eq!(value(r#"["A","J\u00fcrgen"]"#), LoggedValue::Bytes("J\u{fc}rgen".into()));
        assert_eq!(value(r#"["A",7,"length"]"#), LoggedValue::Length(7));
        assert_eq!(value(r#"["A","[redacted]"]"#), LoggedValue::Hidden);
        let pseudonym = LoggedValue::Pseudonym { token: "0a".into(), key: "1b".into() };
        assert_eq!(value(r#"["A","0a","pseudonym","1b"]"#), pseudonym);
        for bad in [
            r#"["A"]"#,
            r#"["A",7]"#,
            r#"["A","\u20ac","latin1"]"#,
            r#"["A","b","other"]"#,
            r#"["A","b","pseudonym"]"#,
            "[]",
        ] {
            assert!(header(bad).is_err(), "{bad}");
        }
    }
}
