//! [`Wal`]: the write-ahead file, which makes records durable before their segment is synced. A segment grows, so each sync
//! of it is one of the file system's own journal too. This file was written once, with zeros; to write over them and sync
//! that is a good deal cheaper. It holds what the segment's last sync has not covered, byte for byte, and begins anew with
//! the next one: at the latest after a second. Only a start after a power cut reads it.
//!
//! INVARIANT: what it has is in the chain: records come here when they are in their segment, and in its order.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use super::chain::Head;
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

    /// Removes it: nothing in it is needed.
    pub(super) fn remove_wal(&self) -> io::Result<()> {
        match std::fs::remove_file(self.path().join(WAL_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

/// The records in the write-ahead file of a log that follow its last one: how many, and their lines.
pub(super) fn following(directory: &Path, head: &mut Head) -> io::Result<(u64, Vec<u8>)> {
    let (first, mut found) = (head.seq, Vec::new());
    let file = match open_regular(OpenOptions::new().read(true), &directory.join(WAL_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, found)),
        file => file.map_err(|error| io::Error::new(error.kind(), format!("{WAL_FILE}: {error}")))?,
    };
    let mut lines = Lines::new(BufReader::new(file));
    while lines.read()? == Line::Whole {
        // What is in the segment comes before that. What is behind is of a time before the file began anew, if anything.
        if head.follow(lines.line()).is_ok() {
            found.extend_from_slice(lines.line());
            found.push(b'\n');
        } else if !found.is_empty() {
            break;
        }
    }
    Ok((head.seq - first, found))
}
