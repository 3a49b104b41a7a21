//! Logs with any content, chained as the writer does it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::super::chain::{Head, Stamp};
use super::super::segment::segment_name;

/// Writes a log record by record.
pub(crate) struct Forge {
    directory: PathBuf,
    head: Head,
    file: Option<File>,
}

impl Forge {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), head: Head::GENESIS, file: None }
    }

    /// What is written next stands in a new segment.
    pub(crate) fn rotate(&mut self) {
        self.file = None;
    }

    /// Writes a record with these members (`"kind":"event",…`) at a time of 2026-11-`day`, one second a record; `mono` is
    /// a tenth of a second a record. Returns its seq.
    pub(crate) fn record(&mut self, day: u64, members: &str) -> u64 {
        let seq = self.head.seq + 1;
        let second = seq % 86_400;
        let time = format!("2026-11-{day:02}T{:02}:{:02}:{:02}.000000Z", second / 3_600, second / 60 % 60, second % 60);
        let mut line = Vec::new();
        self.head.seal(&mut line, Stamp { time: &time, mono: seq * 100_000 }, &[b",", members.as_bytes()]);
        let path = self.directory.join(segment_name(seq));
        let file = self
            .file
            .get_or_insert_with(|| OpenOptions::new().append(true).create_new(true).open(path).expect("a new segment"));
        file.write_all(&line).expect("written");
        seq
    }

    /// Writes bytes that are no record yet.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.file.as_mut().expect("a segment").write_all(bytes).expect("written");
    }

    /// The line that the next record would have.
    pub(crate) fn next_line(&self, members: &str) -> Vec<u8> {
        let mut line = Vec::new();
        let mut head = self.head;
        let time = "2026-11-30T00:00:00.000000Z";
        head.seal(&mut line, Stamp { time, mono: 0 }, &[b",", members.as_bytes()]);
        line
    }

    /// Takes it that the line of [`Forge::next_line`] was written by hand.
    pub(crate) fn skip(&mut self, members: &str) {
        let mut head = self.head;
        head.seal(&mut Vec::new(), Stamp { time: "2026-11-30T00:00:00.000000Z", mono: 0 }, &[b",", members.as_bytes()]);
        self.head = head;
    }
}
