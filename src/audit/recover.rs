//! What a start finds: the end of the chain in the last segment, and what a crash left behind it.
//!
//! Only what stands at the very end may be bad, because only that can be a record that nobody was promised. It is kept
//! in a file of its own. A bad record with a good one behind it is corruption or tampering: then amiwall does not start.
//!
//! A power cut may leave good records behind a bad one too: of what was not synced, any block may be missing. It reads as
//! NULs. That is an end like any other, unless what stands behind it proves that it had been synced.

use std::fs;
use std::io::{self, Write as _};
use std::time::SystemTime;

use super::chain::{BadRecord, Head, Record};
use super::compress::SegmentReader;
use super::kind::Kind;
use super::lines::{Line, Lines};
use super::read::is_damage;
use super::segment::{Directory, Segment, list_segments, segment_name};
use super::wal;

/// Where to go on.
#[derive(Debug)]
pub(super) struct Recovered {
    /// The last record.
    pub(super) head: Head,
    /// The segment to go on in, with its length; none for a new log.
    pub(super) segment: Option<(String, u64)>,
    /// When that segment's first record was written, as far as it says.
    pub(super) began: Option<SystemTime>,
    /// How many records a power cut had kept out of it, which the write-ahead file had.
    pub(super) replayed: u64,
    /// The write-ahead file, which was kept since it has records up to this one, of which some before are missing.
    pub(super) missing: Option<(String, u64)>,
    /// What was set aside: the file and its length.
    pub(super) set_aside: Option<(String, u64)>,
    /// A segment whose sync had failed, of which this start made a copy.
    pub(super) copied: Option<String>,
    /// A broken log that was moved out of the way.
    pub(super) broken: Option<BrokenLog>,
    /// What was wrong with the signatures at its end, but was accepted.
    pub(super) unsigned: Option<BadRecord>,
}

/// A broken log that was moved out of the way, at the word of whoever started amiwall.
#[derive(Debug)]
pub(super) struct BrokenLog {
    /// The folder where it is now.
    pub(super) folder: String,
    /// The segment and line where it is broken.
    pub(super) at: String,
    pub(super) problem: BadRecord,
}

impl Recovered {
    const fn nothing() -> Self {
        Self {
            head: Head::GENESIS,
            segment: None,
            began: None,
            replayed: 0,
            missing: None,
            set_aside: None,
            copied: None,
            broken: None,
            unsigned: None,
        }
    }
}

/// Moves a broken log out of the way and begins a new one.
pub(super) fn set_aside(directory: &Directory, at: String, problem: BadRecord) -> io::Result<Recovered> {
    let folder = directory.set_log_aside()?;
    tracing::error!(folder, at, %problem, "the audit log is broken and was set aside; a new one begins");
    Ok(Recovered { broken: Some(BrokenLog { folder, at, problem }), ..Recovered::nothing() })
}

/// Why a log cannot be continued.
#[derive(Debug)]
pub(super) enum RecoverError {
    /// A bad record, and a good one behind it.
    Broken {
        segment: String,
        line: u64,
        problem: BadRecord,
    },
    Io(io::Error),
}

impl From<io::Error> for RecoverError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What one segment holds.
struct Scan {
    head: Option<Head>,
    /// The time of its first record.
    began: Option<SystemTime>,
    /// Where its last good record ends.
    good_end: u64,
    /// Where the file ends, without the NULs behind its last line.
    end: u64,
    len: u64,
}

/// Finds the end of the chain, and makes the last segment whole.
pub(super) fn recover(directory: &Directory) -> Result<Recovered, RecoverError> {
    let mut recovered = Recovered::nothing();
    let segments = list_segments(directory.path())?;
    let mut following = u64::MAX;
    for segment in segments.iter().rev() {
        let scan = scan(directory, segment, following)?;
        following = segment.first;
        if recovered.segment.is_none() {
            recovered.began = scan.began;
            tidy(directory, segment, &scan, &mut recovered)?;
        }
        // A segment may have been made and the machine have crashed before its first record was in it.
        if let Some(head) = scan.head {
            recovered.head = head;
            break;
        }
    }
    if let Some((name, 0)) = &recovered.segment
        && *name != segment_name(recovered.head.seq + 1)
    {
        let problem = BadRecord::Seq { expected: recovered.head.seq + 1, found: 0 };
        return Err(RecoverError::Broken { segment: name.clone(), line: 1, problem });
    }
    replay(directory, &mut recovered)?;
    Ok(recovered)
}

/// Puts what only the write-ahead file has to its place. If it has more, of which something is missing, it is kept.
fn replay(directory: &Directory, recovered: &mut Recovered) -> io::Result<()> {
    let mut head = recovered.head;
    let mut found = wal::following(directory.path(), &mut head)?;
    if let Some((name, len)) = &mut recovered.segment {
        if found.count > 0 {
            let mut segment = directory.reopen(name)?;
            segment.write_all(&found.lines)?;
            segment.sync_all()?;
            *len += u64::try_from(found.lines.len()).unwrap_or_default();
            (recovered.replayed, recovered.head) = (found.count, head);
            tracing::warn!(
                records = found.count,
                "a power cut had kept records out of the audit log; they were in its write-ahead file"
            );
        }
    } else if found.count > 0 {
        // The segment that they were in is gone.
        found.beyond = found.beyond.max(Some(head.seq));
    }
    if let Some(through) = found.beyond {
        let file = directory.set_wal_aside()?;
        let last = recovered.head.seq;
        tracing::error!(
            last,
            through,
            file,
            "records of the audit log are missing: the write-ahead file has later ones"
        );
        recovered.missing = Some((file, through));
    }
    Ok(())
}

/// `following` is the first seq of the next segment: what a given-up segment has of that does not count.
fn scan(directory: &Directory, segment: &Segment, following: u64) -> Result<Scan, RecoverError> {
    let path = directory.path().join(&segment.name);
    let len = fs::metadata(&path)?.len();
    let mut lines = Lines::new(SegmentReader::open(&path)?);
    let mut scan = Scan { head: None, began: None, good_end: 0, end: 0, len };
    let mut bad: Option<Bad> = None;
    loop {
        let read = match lines.read() {
            Err(e) if is_damage(segment, &e) => {
                return Err(broken(segment, lines.number, BadRecord::compressed(&e)));
            }
            read => read?,
        };
        // What is compressed was closed whole: nothing in it can be a record that was being written.
        if let Some(Bad { line, problem, .. }) = bad.take_if(|_| read != Line::Whole && segment.is_compressed()) {
            return Err(broken(segment, line, problem));
        }
        if read == Line::End {
            return Ok(scan);
        }
        if read == Line::Torn && segment.is_compressed() {
            return Err(broken(segment, lines.number, BadRecord::Torn));
        }
        scan.end = lines.next;
        if read == Line::Torn {
            return Ok(scan);
        }
        let hole = has_hole(lines.line(), lines.next);
        match (Record::read(lines.line()), &mut bad) {
            (Ok(record), _) if segment.is_suspect() && record.seq >= following => return Ok(scan),
            (Ok(record), Some(bad)) => {
                if !bad.has_hole || bad.was_synced(&record) {
                    return Err(broken(segment, bad.line, bad.problem.clone()));
                }
            }
            (Ok(record), None) => {
                if scan.head.is_none() {
                    let time: Option<jiff::Timestamp> =
                        std::str::from_utf8(record.time).ok().and_then(|t| t.parse().ok());
                    scan.began = time.map(SystemTime::from);
                }
                scan.head =
                    Some(follow(scan.head, lines.line(), segment).map_err(|p| broken(segment, lines.number, p))?);
                scan.good_end = lines.next;
            }
            (Err(_), Some(bad)) => bad.has_hole |= hole,
            (Err(problem), None) => {
                bad = Some(Bad { line: lines.number, problem, has_hole: hole, synced: None });
            }
        }
    }
}

/// The first bad record, and what was found behind it.
struct Bad {
    line: u64,
    problem: BadRecord,
    /// A block was missing there.
    has_hole: bool,
    /// The time of a batch behind it that was synced before anything else was written.
    synced: Option<u64>,
}

impl Bad {
    /// Whether a good record behind it proves that the bad one had been synced: there is a later one than one that
    /// is always synced by itself, whatever else the settings say of syncs.
    fn was_synced(&mut self, record: &Record<'_>) -> bool {
        if self.synced.is_some_and(|mono| mono != record.mono) {
            return true;
        }
        if [Kind::Checkpoint, Kind::Start].iter().any(|kind| kind.name().as_bytes() == record.kind) {
            self.synced = Some(record.mono);
        }
        false
    }
}

/// The smallest block that a disk writes.
const BLOCK_LEN: u64 = 512;

/// Whether a block of a line that ends at `end`, with its newline, was never written: there are NULs up to the end of a
/// block, and no record has one.
fn has_hole(line: &[u8], end: u64) -> bool {
    line.iter().rev().zip(1..).any(|(byte, back)| *byte == 0 && (end - back).is_multiple_of(BLOCK_LEN))
}

fn broken(segment: &Segment, line: u64, problem: BadRecord) -> RecoverError {
    RecoverError::Broken { segment: segment.name.clone(), line, problem }
}

/// The first record of the segment is taken as the file name says; `amiwall audit verify` reads the segments before it.
fn follow(head: Option<Head>, line: &[u8], segment: &Segment) -> Result<Head, BadRecord> {
    if let Some(mut head) = head {
        head.follow(line)?;
        return Ok(head);
    }
    let head = Record::read(line)?.head();
    if head.seq == segment.first { Ok(head) } else { Err(BadRecord::Name { expected: segment.first, found: head.seq }) }
}

/// Leaves a last segment that ends with a whole record.
fn tidy(directory: &Directory, segment: &Segment, scan: &Scan, recovered: &mut Recovered) -> io::Result<()> {
    if segment.is_compressed() {
        // It was closed; the segment behind it is gone, or was not made yet. A new one goes on.
        return Ok(());
    }
    if segment.is_suspect() {
        // The crash came before its records were written again. Nothing is trusted to be on disk but what is copied now.
        let name = segment_name(segment.first);
        directory.copy_start(&segment.name, &name, scan.good_end)?;
        recovered.copied = Some(segment.name.clone());
        recovered.segment = Some((name, scan.good_end));
        return Ok(());
    }
    if scan.end > scan.good_end {
        let torn = directory.set_tail_aside(&segment.name, scan.good_end, scan.end)?;
        recovered.set_aside = Some((torn, scan.end - scan.good_end));
    } else if scan.len > scan.good_end {
        directory.cut(&directory.reopen(&segment.name)?, scan.good_end)?;
    }
    recovered.segment = Some((segment.name.clone(), scan.good_end));
    Ok(())
}
