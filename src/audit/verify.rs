//! Reads a log from its first record to its last, in constant memory, and finds the first record that is not what the
//! chain says.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::chain::{BadRecord, Head, Record};
use super::lines::{Line, Lines};
use super::segment::{Segment, list_segments};

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
    /// The hash of the last record. Kept elsewhere, it proves later that nothing was cut off or made anew.
    pub head: String,
    /// The kind of the last record: `stop`, unless amiwall is running, has crashed, or the end was cut off.
    pub last_kind: String,
    /// The last segment ends inside a record: its path, and how many bytes are no record.
    pub torn: Option<(PathBuf, u64)>,
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

/// Verifies the log in a directory.
///
/// # Errors
/// If the log is broken, is not there, or cannot be read.
pub fn verify(directory: &Path) -> Result<Summary, VerifyError> {
    let failed = |error| VerifyError::Io { path: directory.to_owned(), error };
    let segments = list_segments(directory).map_err(failed)?;
    if segments.is_empty() {
        return Err(VerifyError::Empty(directory.to_owned()));
    }
    let mut walk = Walk { head: Head::GENESIS, summary: Summary::default() };
    for (index, segment) in segments.iter().enumerate() {
        let path = directory.join(&segment.name);
        let following = segments.get(index + 1);
        walk.segment(&path, segment, following).map_err(|stop| match stop {
            Stop::Broken { line, problem } => {
                VerifyError::Broken { segment: path.clone(), line, problem, good: walk.summary.records }
            }
            Stop::Io(error) => VerifyError::Io { path: path.clone(), error },
        })?;
    }
    let Walk { head, mut summary } = walk;
    summary.segments = segments.len();
    summary.head = String::from_utf8_lossy(&head.hash).into_owned();
    Ok(summary)
}

struct Walk {
    head: Head,
    summary: Summary,
}

enum Stop {
    Broken { line: u64, problem: BadRecord },
    Io(io::Error),
}

impl Walk {
    fn segment(&mut self, path: &Path, segment: &Segment, following: Option<&Segment>) -> Result<(), Stop> {
        let file = File::open(path).map_err(Stop::Io)?;
        let mut lines = Lines::new(BufReader::with_capacity(256 * 1024, file));
        loop {
            let read = lines.read().map_err(Stop::Io)?;
            // A segment that was given up counts up to where the next one begins; that one has the rest again.
            let is_superseded = segment.is_suspect() && following.is_some_and(|next| self.head.seq + 1 == next.first);
            if is_superseded || read == Line::End {
                return Ok(());
            }
            if read == Line::Torn && following.is_none() {
                self.summary.torn = Some((path.to_owned(), lines.next - lines.start));
                return Ok(());
            }
            let followed = if read == Line::Torn { Err(BadRecord::Torn) } else { self.follow(lines.line()) };
            let is_named = |()| self.is_named(segment, lines.number);
            followed.and_then(is_named).map_err(|problem| Stop::Broken { line: lines.number, problem })?;
            self.summary.bytes += lines.next - lines.start;
        }
    }

    fn follow(&mut self, line: &[u8]) -> Result<(), BadRecord> {
        let Record { time, kind, .. } = self.head.follow(line)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if self.summary.records == 0 {
            self.summary.first_time = text(time);
        }
        self.summary.last_time.clear();
        self.summary.last_time.push_str(std::str::from_utf8(time).unwrap_or_default());
        self.summary.last_kind.clear();
        self.summary.last_kind.push_str(std::str::from_utf8(kind).unwrap_or_default());
        self.summary.records += 1;
        Ok(())
    }

    fn is_named(&self, segment: &Segment, line: u64) -> Result<(), BadRecord> {
        if line == 1 && self.head.seq != segment.first {
            return Err(BadRecord::Name { expected: segment.first, found: self.head.seq });
        }
        Ok(())
    }
}
