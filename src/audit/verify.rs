//! Reads a log from its first record to its last, in constant memory, and finds the first record that is not what the
//! chain says.

use std::io;
use std::path::{Path, PathBuf};

use super::chain::{BadRecord, Record};
use super::read::{Step, Walk};

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
    verify_watched(directory, &mut |_, _| {})
}

/// The same, and tells now and then how many segments are read, of how many.
///
/// # Errors
/// As [`verify`].
pub fn verify_watched(directory: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Summary, VerifyError> {
    let mut walk = Walk::begin(directory)?;
    let mut summary = Summary { segments: walk.segment_count(), ..Summary::default() };
    while let Some(step) = walk.next()? {
        summary.add(&step);
        if summary.records.is_multiple_of(1 << 12) {
            let (done, all) = walk.progress();
            progress(done, all);
        }
    }
    summary.head = String::from_utf8_lossy(&walk.head.hash).into_owned();
    summary.torn = walk.torn;
    Ok(summary)
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
