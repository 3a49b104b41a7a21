//! [`Follow`]: what is written to a log from now on, over rotation, compression and segments that were given up.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::chain::{BadRecord, Head, Record};
use super::compress::SegmentReader;
use super::lines::{Line, Lines};
use super::segment::{Segment, list_segments};
use super::trail::{Place, RawRecord, follow};
use super::verify::VerifyError;

/// Reads on behind a record of a log.
#[derive(Debug)]
pub struct Follow {
    directory: PathBuf,
    /// The last record that was read.
    head: Option<Head>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    segment: Segment,
    /// Device and number of the file.
    identity: (u64, u64),
    lines: Lines<SegmentReader>,
}

impl Follow {
    /// Goes on behind the record with that seq and hash; from the first one, if there is none yet.
    #[must_use]
    pub fn behind(directory: &Path, last: Option<(u64, [u8; 64])>) -> Self {
        let head = last.map(|(seq, hash)| Head { seq, hash });
        Self { directory: directory.to_owned(), head, open: None }
    }

    /// Gives every record that was written since, and returns when there is no more.
    ///
    /// # Errors
    /// If what is there does not follow what was read, or cannot be read.
    pub fn poll(&mut self, mut found: impl FnMut(RawRecord<'_>)) -> Result<(), VerifyError> {
        loop {
            if let Some(open) = &mut self.open {
                let path = self.directory.join(&open.segment.name);
                let failed = |error| VerifyError::Io { path: path.clone(), error };
                while open.lines.read().map_err(failed)? == Line::Whole {
                    let (line, number) = (open.lines.line(), open.lines.number);
                    let place = Place { segment: open.segment.first, offset: open.lines.start };
                    match next(&mut self.head, line, place, open.segment.first) {
                        Ok(Some(record)) => found(record),
                        Ok(None) => {}
                        Err(problem) => {
                            return Err(VerifyError::Broken { segment: path, line: number, problem, good: 0 });
                        }
                    }
                }
                open.lines.retry().map_err(failed)?;
            }
            if !self.go_on()? {
                return Ok(());
            }
        }
    }

    /// Opens the segment that has the next record, if it is not the one that is open. False: it is.
    fn go_on(&mut self) -> Result<bool, VerifyError> {
        let expected = self.head.map_or(u64::MAX, |head| head.seq + 1);
        let failed = |path: &Path, error| VerifyError::Io { path: path.to_owned(), error };
        let mut segments = list_segments(&self.directory).map_err(|error| failed(&self.directory, error))?;
        if self.head.is_none() {
            segments.truncate(1);
        }
        let Some(segment) = segments.into_iter().rev().find(|segment| segment.first <= expected) else {
            return Ok(false);
        };
        let path = self.directory.join(&segment.name);
        if let Some(open) = &self.open {
            // Compressed, or given up, it has no more than it had; another file of that name may.
            let is_same_segment = open.segment.first == segment.first;
            let is_same_file = match fs::metadata(&path) {
                Ok(file) => (file.dev(), file.ino()) == open.identity,
                // It was renamed a moment ago: the next poll finds it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(failed(&path, error)),
            };
            if is_same_segment && (is_same_file || segment.is_compressed()) {
                return Ok(false);
            }
        }
        let reader = match SegmentReader::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            reader => reader.map_err(|error| failed(&path, error))?,
        };
        let identity = reader.identity().map_err(|error| failed(&path, error))?;
        self.open = Some(Open { segment, identity, lines: Lines::new(reader) });
        Ok(true)
    }
}

/// What the line is behind `head`; none if it was read before.
fn next<'l>(
    head: &mut Option<Head>,
    line: &'l [u8],
    place: Place,
    first: u64,
) -> Result<Option<RawRecord<'l>>, BadRecord> {
    let (record, _) = Record::parse(line).ok_or(BadRecord::Shape)?;
    if let Some(head) = head
        && record.seq <= head.seq
    {
        let is_known = record.seq < head.seq || record.head() == *head;
        return if is_known { Ok(None) } else { Err(BadRecord::Prev) };
    }
    *head = Some(follow(*head, line, first)?);
    Ok(Some(record.raw(line, place)))
}
