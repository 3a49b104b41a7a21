//! [`Wal`]: the write-ahead file, which makes records durable before their segment is synced. A segment grows, so each sync
//! of it is one of the file system's own journal too. This file was written once, with zeros; to write over them and sync
//! that is a good deal cheaper. It holds what the segment's last sync has not covered, byte for byte, and begins anew with
//! the next one: at the latest after a second. Only a start after a power cut reads it.
//!
//! INVARIANT: what it has is in the chain: records come here when they are in their segment, and in its order.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use super::chain::{Head, Record};
use super::lines::{Line, Lines};
use super::segment::{Directory, SegmentFile, open_regular, sync_directory};

/// Its name; no segment's begins like that.
pub(super) const WAL_FILE: &str = "audit.wal";
/// A tenth of a second of more actions than an Asterisk takes.
pub(super) const WAL_LEN: usize = 1024 * 1024;
/// What is longer costs less in its segment alone.
const BATCH_LEN_MAX: usize = WAL_LEN / 4;

/// The file, and how far it is written.
pub(super) struct Wal<F> {
    file: Arc<F>,
    at: usize,
}

impl<F: SegmentFile> Wal<F> {
    /// Over a file that is [`WAL_LEN`] long, durably.
    pub(super) fn new(file: F) -> Self {
        Self { file: Arc::new(file), at: 0 }
    }

    /// To be synced, and looked after.
    pub(super) const fn file(&self) -> &Arc<F> {
        &self.file
    }

    pub(super) const fn has_room(&self, len: usize) -> bool {
        len <= BATCH_LEN_MAX && self.at + len <= WAL_LEN
    }

    /// Puts whole records behind what it has. They are durable when the file was synced.
    pub(super) fn put(&mut self, records: &[u8]) -> io::Result<()> {
        let mut rest = records;
        while !rest.is_empty() {
            match self.file.write_at(rest, self.at + records.len() - rest.len()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.at += records.len();
        Ok(())
    }

    /// Begins anew: all that it has is durable in its segment.
    pub(super) fn clear(&mut self) {
        self.at = 0;
    }
}

impl Directory {
    /// Makes the write-ahead file anew, durably: of bytes that are really written.
    pub(super) fn make_wal(&self) -> io::Result<File> {
        let path = self.path().join(WAL_FILE);
        self.remove_wal()?;
        let make = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(&vec![0; WAL_LEN])?;
            file.sync_all()?;
            sync_directory(self.path())?;
            Ok(file)
        };
        make().inspect_err(|_: &io::Error| drop(std::fs::remove_file(&path)))
    }

    /// Keeps it under a free name, `audit.wal.torn-<n>`, and gives that.
    pub(super) fn set_wal_aside(&self) -> io::Result<String> {
        let mut free = (1_u32..).map(|number| format!("{WAL_FILE}.torn-{number}"));
        let torn = free.find(|torn| !self.path().join(torn).exists()).unwrap_or_default();
        std::fs::rename(self.path().join(WAL_FILE), self.path().join(&torn))?;
        sync_directory(self.path())?;
        Ok(torn)
    }

    /// Removes it: nothing in it is needed.
    pub(super) fn remove_wal(&self) -> io::Result<()> {
        match std::fs::remove_file(self.path().join(WAL_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

/// What a start finds in the write-ahead file of a log.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// How many records follow the last one, and their lines.
    pub(super) count: u64,
    pub(super) lines: Vec<u8>,
    /// It has later records, too, up to this one: what is between is nowhere.
    pub(super) beyond: Option<u64>,
}

/// Looks for records that follow the last one of the log, which becomes the last of them.
pub(super) fn following(directory: &Path, head: &mut Head) -> io::Result<Found> {
    let (first, mut found) = (head.seq, Found::default());
    let what = |error: io::Error| {
        let text = format!("{WAL_FILE}: {error}: it is not as amiwall made it; move it away, and start again");
        io::Error::new(error.kind(), text)
    };
    let file = match open_regular(OpenOptions::new().read(true), &directory.join(WAL_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        file => file.map_err(what)?,
    };
    // amiwall makes it so long, and no longer.
    let mut lines = Lines::new(BufReader::new(file.take(u64::try_from(WAL_LEN).unwrap_or(u64::MAX))));
    while lines.read().map_err(what)? == Line::Whole {
        // What is in the segment comes before that; what is behind is of a time before the file began anew.
        if head.follow(lines.line()).is_ok() {
            found.lines.extend_from_slice(lines.line());
            found.lines.push(b'\n');
        } else if let Ok(record) = Record::read(lines.line()) {
            found.beyond = found.beyond.max(Some(record.seq).filter(|seq| *seq > head.seq));
        }
    }
    found.count = head.seq - first;
    Ok(found)
}
