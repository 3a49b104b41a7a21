//! Reads a log from its first record to its last, in constant memory, and finds the first record that is not what the
//! chain says.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::chain::{BadRecord, Hash, Head, Record};
use super::read::{Step, Walk};
use super::signing::VerifyingKey;

/// How long the end of a log may be unsigned: a heartbeat comes each minute.
const UNSIGNED_MAX_MICROS: u64 = 120 * 1_000_000;

/// How often amiwall may have started without a signature since: each run signs as soon as it has started.
const UNSIGNED_MAX_RUNS: u32 = 3;

/// What a log is held against, beside itself.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The public keys whose signatures are good. None: signatures are not looked at.
    pub keys: Vec<VerifyingKey>,
    /// What was kept elsewhere.
    pub anchors: Anchors,
}

/// Checkpoints that were kept where whoever has the log cannot change them.
#[derive(Clone, Debug, Default)]
pub struct Anchors {
    /// In the order of seq.
    kept: Vec<(Head, String)>,
}

impl Anchors {
    /// Reads checkpoints (and the first and last records of runs) from a file: each is a line of the log, whole, with
    /// anything before it, such as syslog's header.
    ///
    /// # Errors
    /// If the file cannot be read or has none.
    pub fn load(path: &Path) -> Result<Self, VerifyError> {
        let failed = |error| VerifyError::Io { path: path.to_owned(), error };
        let mut anchors = Self::default();
        let mut reader = BufReader::new(File::open(path).map_err(failed)?);
        let mut line = Vec::new();
        while reader.by_ref().take(ANCHOR_LEN_MAX).read_until(b'\n', &mut line).map_err(failed)? > 0 {
            anchors.add(&line);
            line.clear();
        }
        if anchors.kept.is_empty() {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "there is no checkpoint in it")));
        }
        Ok(anchors.and(Self::default()))
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.kept.extend(others.kept);
        self.kept.sort_unstable_by_key(|(head, _)| head.seq);
        self
    }

    fn add(&mut self, line: &[u8]) {
        let Some(start) = memchr::memmem::find(line, b"{\"seq\":") else { return };
        let Ok(record) = Record::read(line.get(start..).unwrap_or_default().trim_ascii_end()) else { return };
        if matches!(record.kind, b"checkpoint" | b"start" | b"stop") {
            self.kept.push((record.head(), String::from_utf8_lossy(record.time).into_owned()));
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

/// Longer than any checkpoint but one with very many quotas, of which there is another.
const ANCHOR_LEN_MAX: u64 = 16 * 1024 * 1024;

/// What a whole log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many records.
    pub records: u64,
    /// In how many segments.
    pub segments: usize,
    /// Bytes of all records.
    pub bytes: u64,
    /// The time of the first record.
    pub first_time: String,
    /// The time of the last record.
    pub last_time: String,
    /// The seq of the last record.
    pub last_seq: u64,
    /// The hash of the last record. Kept elsewhere, it proves later that nothing was cut off or made anew.
    pub head: String,
    /// The kind of the last record: `stop`, unless amiwall is running, has crashed, or the end was cut off.
    pub last_kind: String,
    /// The last segment ends inside a record: its path, and how many bytes are no record.
    pub torn: Option<(PathBuf, u64)>,
    /// The last seq that was taken out, with what was before it, as a `prune` record says.
    pub pruned: Option<u64>,
    /// Up to here the log was signed only afterwards, at the word of whoever started amiwall.
    pub adopted: Option<u64>,
    /// How many checkpoints were signed with a key that was given.
    pub signatures: u64,
    /// The last record that a signature covers, if keys were given.
    pub signed_through: Option<u64>,
    /// How many records are as somebody kept them elsewhere.
    pub anchored: u64,
}

/// Why a log is not whole.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The first record that is not what the chain says.
    #[error("{}:{line}: {problem}", segment.display())]
    Broken {
        /// The segment's path.
        segment: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong there.
        problem: BadRecord,
        /// How many records before it are right.
        good: u64,
    },
    /// There is no segment in the directory.
    #[error("there is no audit log in `{}`", .0.display())]
    Empty(PathBuf),
    /// The directory or a file in it cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
}

/// Verifies the chain of the log in a directory, and nothing beside it.
///
/// # Errors
/// If the log is broken, is not there, or cannot be read.
pub fn verify(directory: &Path) -> Result<Summary, VerifyError> {
    verify_against(directory, &Evidence::default(), &mut |_, _| ())
}

/// Verifies the log in a directory against what is known of it. `progress` is told now and then how many segments
/// were read, of how many.
///
/// # Errors
/// If the log is broken, is not there, or cannot be read.
pub fn verify_against(
    directory: &Path,
    evidence: &Evidence,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Summary, VerifyError> {
    let mut walk = Walk::begin(directory)?;
    let mut summary = Summary { segments: walk.segment_count(), ..Summary::default() };
    let mut witness = Witness::new(evidence);
    loop {
        let pruned = walk.pruned;
        let Some(step) = walk.next()? else { break };
        summary.add(&step);
        if let Err(problem) = witness.see(&step, pruned) {
            return Err(walk.broken(problem));
        }
        if summary.records.is_multiple_of(1 << 12) {
            let (done, all) = walk.progress();
            progress(done, all);
        }
    }
    summary.head = String::from_utf8_lossy(&walk.head.hash).into_owned();
    summary.last_seq = walk.head.seq;
    summary.signatures = witness.signatures;
    summary.signed_through = witness.tail.signed_through.filter(|_| !evidence.keys.is_empty());
    summary.anchored = witness.anchored;
    summary.adopted = witness.adopted;
    summary.pruned = walk.pruned.map(|head| head.seq);
    if let Some(pruned) = walk.pruned.filter(|_| !witness.has_prune()) {
        return Err(walk.broken_begin(BadRecord::Begin { first: pruned.seq + 1 }));
    }
    witness.end(&walk.head).map_err(|problem| walk.broken_end(problem))?;
    summary.torn = walk.torn;
    Ok(summary)
}

/// Holds records against what is known beside the chain.
pub(super) struct Witness<'e> {
    evidence: &'e Evidence,
    next_anchor: usize,
    anchored: u64,
    tail: Tail,
    signatures: u64,
    /// The seq of the first `prune` record of what is missing at the beginning.
    prunes: Option<u64>,
    /// The last record up to which the log was signed only afterwards, at somebody's word.
    adopted: Option<u64>,
}

/// What no signature covers yet.
#[derive(Default)]
struct Tail {
    signed_through: Option<u64>,
    /// In microseconds, by whichever clock says more: of the runs that are over.
    before: u64,
    /// How many those are.
    runs: u32,
    /// When the current run's first and latest record were made, on both clocks.
    since: Option<(u64, Vec<u8>)>,
    last: Option<(u64, Vec<u8>)>,
}

impl<'e> Witness<'e> {
    pub(super) fn new(evidence: &'e Evidence) -> Self {
        let (tail, prunes, adopted) = (Tail::default(), None, None);
        Self { evidence, next_anchor: 0, anchored: 0, tail, signatures: 0, prunes, adopted }
    }

    /// How many good signatures were seen.
    pub(super) const fn signatures(&self) -> u64 {
        self.signatures
    }

    pub(super) fn see(&mut self, step: &Step<'_>, pruned: Option<Head>) -> Result<(), BadRecord> {
        let record = &step.record;
        while let Some((anchor, _)) = self.evidence.anchors.kept.get(self.next_anchor) {
            if anchor.seq > record.seq {
                break;
            }
            // What was pruned cannot be held against anything.
            if anchor.seq == record.seq {
                if *anchor != record.head() {
                    return Err(BadRecord::Anchor { seq: record.seq });
                }
                self.anchored += 1;
            }
            self.next_anchor += 1;
        }
        match record.kind {
            b"checkpoint" => self.checkpoint(step)?,
            b"prune" => {
                let prune: PruneMembers = serde_json::from_slice(step.text).map_err(|_| BadRecord::Shape)?;
                let hash: Option<Hash> = prune.through_hash.as_bytes().try_into().ok();
                let head = hash.map(|hash| Head { seq: prune.through, hash });
                let is_it = head.is_some() && head == pruned;
                self.prunes = if is_it && self.prunes.is_none() { Some(record.seq) } else { self.prunes };
            }
            b"start" => self.tail.restart(),
            b"recovery" if memchr::memmem::find(step.text, b",\"reason\":\"audit.unsigned\"").is_some() => {
                self.adopted = Some(record.seq - 1);
            }
            _ => {}
        }
        if !self.evidence.keys.is_empty() {
            self.tail.add(record);
        }
        Ok(())
    }

    fn checkpoint(&mut self, step: &Step<'_>) -> Result<(), BadRecord> {
        if self.evidence.keys.is_empty() {
            return Ok(());
        }
        let members: CheckpointMembers<'_> = serde_json::from_slice(step.text).map_err(|_| BadRecord::Shape)?;
        let Some(note) = members.note else { return Ok(()) };
        let hash = step.record.prev_hash().ok_or(BadRecord::Shape)?;
        let head = Head { seq: step.record.seq - 1, hash };
        if !self.evidence.keys.iter().any(|key| key.has_signed(&note, &head)) {
            let signer = note.lines().next().unwrap_or_default().chars().take(40).collect();
            return Err(BadRecord::Signature { signer });
        }
        self.signatures += 1;
        self.tail = Tail { signed_through: Some(head.seq), ..Tail::default() };
        Ok(())
    }

    /// Whether a record says that the beginning was taken out. Where there are keys, one that is signed: anybody can write
    /// behind the last signature.
    fn has_prune(&self) -> bool {
        let is_signed =
            |seq| self.evidence.keys.is_empty() || self.tail.signed_through.is_some_and(|through| seq <= through);
        self.prunes.is_some_and(is_signed)
    }

    pub(super) fn end(&self, last: &Head) -> Result<(), BadRecord> {
        if let Some((anchor, time)) = self.evidence.anchors.kept.get(self.next_anchor) {
            let time = time.clone();
            return Err(BadRecord::Rollback { last: last.seq, anchor: anchor.seq, time });
        }
        if self.evidence.keys.is_empty() {
            return Ok(());
        }
        let micros = self.tail.before.saturating_add(self.tail.run());
        if micros > UNSIGNED_MAX_MICROS || self.tail.runs > UNSIGNED_MAX_RUNS || self.tail.signed_through.is_none() {
            let since = self.tail.signed_through.unwrap_or_default() + 1;
            return Err(BadRecord::Unsigned { since, seconds: micros / 1_000_000 });
        }
        Ok(())
    }
}

impl Tail {
    fn add(&mut self, record: &Record<'_>) {
        let (mono, time) = self.last.get_or_insert_with(|| (record.mono, record.time.to_vec()));
        // The latest of each: a record that claims to be older does not make the others so. Times sort as their texts do.
        *mono = record.mono.max(*mono);
        if record.time > time.as_slice() {
            time.clear();
            time.extend_from_slice(record.time);
        }
        if self.since.is_none() {
            self.since = Some((record.mono, record.time.to_vec()));
        }
    }

    /// How long the current run goes on.
    fn run(&self) -> u64 {
        let (Some((mono, time)), Some((last_mono, last_time))) = (&self.since, &self.last) else { return 0 };
        let wall = |text: &[u8]| -> Option<jiff::Timestamp> { std::str::from_utf8(text).ok()?.parse().ok() };
        let passed = wall(time).zip(wall(last_time)).map(|(first, last)| last.duration_since(first).as_micros());
        let by_wall = passed.and_then(|micros| u64::try_from(micros).ok()).unwrap_or_default();
        last_mono.saturating_sub(*mono).max(by_wall)
    }

    /// Another run: the monotonic clock begins anew, and what is between the two is nobody's.
    fn restart(&mut self) {
        self.before = self.before.saturating_add(self.run());
        (self.since, self.last) = (None, None);
        self.runs += 1;
    }
}

#[derive(serde::Deserialize)]
struct CheckpointMembers<'r> {
    #[serde(borrow, default)]
    note: Option<Cow<'r, str>>,
}

#[derive(serde::Deserialize)]
struct PruneMembers {
    through: u64,
    through_hash: String,
}

impl Summary {
    fn add(&mut self, step: &Step<'_>) {
        let Record { time, kind, .. } = step.record;
        if self.records == 0 {
            self.first_time = String::from_utf8_lossy(time).into_owned();
        }
        self.last_time.clear();
        self.last_time.push_str(std::str::from_utf8(time).unwrap_or_default());
        self.last_kind.clear();
        self.last_kind.push_str(std::str::from_utf8(kind).unwrap_or_default());
        self.records += 1;
        self.bytes += step.bytes;
    }
}
