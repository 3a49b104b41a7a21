//! [`Trail`]: a log line by line, for searching. It can begin and leave out segments where the question allows, can leave
//! out the check, and says where each line stands, so that a line can be found again.

use std::io;
use std::path::{Path, PathBuf};

use super::chain::{BadRecord, Head, Record};
use super::compress::SegmentReader;
use super::lines::{Line, Lines};
use super::read::is_damage;
use super::segment::{Segment, list_segments};
use super::verify::VerifyError;

/// Where a record stands in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The first seq of its segment.
    pub segment: u64,
    /// Where its line begins among the segment's uncompressed bytes.
    pub offset: u64,
}

/// A record as it stands in the log.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'t> {
    /// Its seq.
    pub seq: u64,
    /// Its time, as the text of the log: times sort as their texts do.
    pub time: &'t [u8],
    /// Microseconds since amiwall started.
    pub mono: u64,
    /// Its kind.
    pub kind: &'t [u8],
    /// The line without its newline.
    pub text: &'t [u8],
    /// Where it stands.
    pub place: Place,
    /// Its hash, as far as the line says so.
    pub hash: [u8; 64],
}

/// Reads a log's lines in order. After an error nothing comes any more.
#[derive(Debug)]
pub struct Trail {
    directory: PathBuf,
    segments: Vec<Segment>,
    /// The segment that is read, and behind the last one that is.
    index: usize,
    end: usize,
    lines: Option<Lines<SegmentReader>>,
    /// The last record that was right. None: a segment was left out, so the next one's first record is taken as it is.
    head: Option<Head>,
    is_checked: bool,
    good: u64,
    /// Bytes of the segments' files that lie behind, and of all that are read.
    bytes_done: u64,
    bytes_all: u64,
}

impl Trail {
    /// Begins with the first record.
    ///
    /// # Errors
    /// If there is no log, or the directory cannot be read.
    pub fn open(directory: &Path) -> Result<Self, VerifyError> {
        let failed = |error| VerifyError::Io { path: directory.to_owned(), error };
        let segments = list_segments(directory).map_err(failed)?;
        if segments.is_empty() {
            return Err(VerifyError::Empty(directory.to_owned()));
        }
        let mut trail = Self {
            directory: directory.to_owned(),
            end: segments.len(),
            segments,
            index: 0,
            lines: None,
            head: None,
            is_checked: true,
            good: 0,
            bytes_done: 0,
            bytes_all: 0,
        };
        trail.measure();
        Ok(trail)
    }

    /// Takes every line as it is: neither its hash nor its place in the chain is checked.
    #[must_use]
    pub const fn unchecked(mut self) -> Self {
        self.is_checked = false;
        self
    }

    /// Leaves out the segments that end before the one with this record.
    #[must_use]
    pub fn from_seq(mut self, seq: u64) -> Self {
        self.index = self.segments.iter().rposition(|segment| segment.first <= seq).unwrap_or_default();
        self.measure();
        self
    }

    /// Reads one segment only, counted from the last one; none if there are not so many.
    #[must_use]
    pub fn from_last(mut self, number: usize) -> Option<Self> {
        self.index = self.segments.len().checked_sub(number + 1)?;
        self.end = self.index + 1;
        self.measure();
        Some(self)
    }

    /// Leaves out the segments that begin after `until`, and those before one that begins before `since`: texts as in
    /// the log. A clock that was set back by more than what the caller adds to both can hide records from this.
    ///
    /// # Errors
    /// If the beginning of a segment cannot be read.
    pub fn within(mut self, since: Option<&str>, until: Option<&str>) -> Result<Self, VerifyError> {
        if since.is_none() && until.is_none() {
            return Ok(self);
        }
        let mut times = Vec::with_capacity(self.segments.len());
        for segment in &self.segments {
            times.push(first_time(&self.directory.join(&segment.name))?);
        }
        let follows = |at: usize| times.get(at + 1).and_then(|time| time.as_deref());
        let is_before = |at: usize| since.is_some_and(|since| follows(at).is_some_and(|next| next < since.as_bytes()));
        let is_after = |at: usize| {
            let own = times.get(at).and_then(|time| time.as_deref());
            until.is_some_and(|until| own.is_some_and(|own| own > until.as_bytes()))
        };
        // A clock that was set can leave gaps between them; what is read is one stretch of the chain.
        let is_kept = |at: &usize| !is_before(*at) && !is_after(*at);
        let first = (self.index..self.end).find(is_kept);
        self.end = (self.index..self.end).rfind(is_kept).map_or(self.index, |last| last + 1);
        self.index = first.unwrap_or(self.end);
        self.measure();
        Ok(self)
    }

    /// How many bytes of the files lie behind, and how many there are.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let in_segment = self.lines.as_ref().map_or(0, |lines| lines.next);
        let is_plain = self.segments.get(self.index).is_some_and(|segment| !segment.is_compressed());
        (self.bytes_done + if is_plain { in_segment } else { 0 }, self.bytes_all)
    }

    /// The next record; none behind the last one. An end that is not a whole record counts as not written.
    ///
    /// # Errors
    /// If the log is broken or cannot be read.
    pub fn next_record(&mut self) -> Result<Option<RawRecord<'_>>, VerifyError> {
        match self.advance() {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => {
                self.end = 0;
                return Err(error);
            }
        }
        let (Some(lines), Some(segment)) = (&self.lines, self.segments.get(self.index)) else { return Ok(None) };
        let text = lines.line();
        let place = Place { segment: segment.first, offset: lines.start };
        Ok(Record::parse(text).map(|(record, _)| record.raw(text, place)))
    }

    fn measure(&mut self) {
        let len =
            |segment: &Segment| std::fs::metadata(self.directory.join(&segment.name)).map_or(0, |file| file.len());
        self.bytes_all = self.segments.get(self.index..self.end).unwrap_or_default().iter().map(len).sum();
    }

    /// Reads up to the next line that counts, and checks it. False: there is none.
    fn advance(&mut self) -> Result<bool, VerifyError> {
        while let Some(segment) = self.segments.get(self.index).filter(|_| self.index < self.end) {
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
            let following = self.segments.get(self.index + 1).map(|next| next.first);
            let is_last = following.is_none();
            let expected = self.head.map_or(segment.first, |head| head.seq + 1);
            let is_superseded = segment.is_suspect() && following == Some(expected);
            match read {
                _ if is_superseded => {}
                Line::Whole => {
                    self.check()?;
                    return Ok(true);
                }
                Line::Torn if !is_last => return Err(self.broken(BadRecord::Torn)),
                Line::Torn | Line::End => {}
            }
            self.bytes_done += std::fs::metadata(&path).map_or(0, |file| file.len());
            self.lines = None;
            self.index += 1;
        }
        Ok(false)
    }

    /// Checks the line that was read.
    fn check(&mut self) -> Result<(), VerifyError> {
        let (Some(lines), Some(segment)) = (&self.lines, self.segments.get(self.index)) else { return Ok(()) };
        let checked = if self.is_checked {
            follow(self.head, lines.line(), segment.first)
        } else {
            Record::parse(lines.line()).map(|(record, _)| record.head()).ok_or(BadRecord::Shape)
        };
        let is_first = lines.number == 1;
        let problem = match checked {
            Ok(head) if is_first && head.seq != segment.first => {
                BadRecord::Name { expected: segment.first, found: head.seq }
            }
            Ok(head) => {
                self.head = Some(head);
                self.good += 1;
                return Ok(());
            }
            Err(problem) => problem,
        };
        Err(self.broken(problem))
    }

    /// The error for a line that is no record, though its hash is right.
    #[must_use]
    pub fn malformed(&self) -> VerifyError {
        self.broken(BadRecord::Shape)
    }

    fn broken(&self, problem: BadRecord) -> VerifyError {
        let segment = self.segments.get(self.index).map(|segment| self.directory.join(&segment.name));
        let line = self.lines.as_ref().map_or(0, |lines| lines.number);
        VerifyError::Broken { segment: segment.unwrap_or_default(), line, problem, good: self.good }
    }
}

/// The record that follows `head`. Where nothing is known of what stands before a segment, its first record is taken as
/// it is, but for the first of all.
pub(super) fn follow(head: Option<Head>, line: &[u8], first: u64) -> Result<Head, BadRecord> {
    match head.or_else(|| (first <= 1).then_some(Head::GENESIS)) {
        Some(mut head) => {
            head.follow(line)?;
            Ok(head)
        }
        None => Record::read(line).map(|record| record.head()),
    }
}

/// The time of a segment's first record; none if it has none, or another than a record: reading it will tell.
fn first_time(path: &Path) -> Result<Option<Vec<u8>>, VerifyError> {
    let failed = |error| VerifyError::Io { path: path.to_owned(), error };
    let mut lines = Lines::new(SegmentReader::open(path).map_err(failed)?);
    match lines.read() {
        Ok(Line::Whole) => Ok(Record::parse(lines.line()).map(|(record, _)| record.time.to_vec())),
        Ok(Line::End | Line::Torn) => Ok(None),
        Err(error) if error.raw_os_error().is_none() => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Reads single records of a log by their places, best in the order of the log: a compressed segment is read only
/// forwards.
#[derive(Debug)]
pub struct Places {
    directory: PathBuf,
    segments: Vec<Segment>,
    open: Option<(u64, Lines<SegmentReader>)>,
}

impl Places {
    /// Opens a log.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn open(directory: &Path) -> io::Result<Self> {
        Ok(Self { directory: directory.to_owned(), segments: list_segments(directory)?, open: None })
    }

    /// The record with that seq at that place, if it stands there and its hash is right.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn record(&mut self, seq: u64, place: Place) -> io::Result<Option<Vec<u8>>> {
        let is_open = self.open.as_ref().is_some_and(|(at, lines)| *at == place.segment && lines.next <= place.offset);
        if !is_open {
            // Of several files with one first seq the last one counts, but one that was given up may hold more.
            let Some(segment) = self.segments.iter().rev().find(|segment| segment.first == place.segment) else {
                return Ok(None);
            };
            let reader = SegmentReader::open(&self.directory.join(&segment.name))?;
            self.open = Some((place.segment, Lines::new(reader)));
        }
        let Some((_, lines)) = &mut self.open else { return Ok(None) };
        match lines.skip_to(place.offset).and_then(|()| lines.read()) {
            Ok(Line::Whole) => {}
            Ok(Line::End | Line::Torn) => return Ok(None),
            Err(error) if error.raw_os_error().is_none() => return Ok(None),
            Err(error) => return Err(error),
        }
        let found = Record::read(lines.line()).ok().filter(|record| record.seq == seq);
        Ok(found.map(|_| lines.line().to_vec()))
    }
}
