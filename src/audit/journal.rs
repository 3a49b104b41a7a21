//! [`Journal`]: the segment that is being written, and what to do when the disk fails.
//!
//! INVARIANT: `unsynced` holds every byte of the log that no successful sync has covered. So a segment whose sync failed
//! can be given up at any time: the kernel may have dropped its pages and call the next sync a success, therefore that
//! file is never written or synced again. That the write-ahead file has them too only makes them durable.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::progress::Progress;
use super::segment::{Change, SegmentFile, Storage, segment_name};
use super::wal::Wal;

/// How much may wait in memory for a sync; more, and one is done.
const UNSYNCED_LEN_MAX: usize = 16 * 1024 * 1024;

/// The segment in use.
struct Open<F> {
    file: Arc<F>,
    name: String,
    /// Up to here it holds whole records of the chain, and nothing else counts.
    len: u64,
    /// When its first record was written.
    began: SystemTime,
}

/// The log's files, from the writer's side.
pub(super) struct Journal<S: Storage> {
    storage: S,
    segment_size: u64,
    segment_age: Option<Duration>,
    open: Option<Open<S::File>>,
    unsynced: Vec<u8>,
    unsynced_first: u64,
    /// None: each sync is one of the segment.
    wal: Option<Wal<S::File>>,
    /// There is one that failed. It goes when what it has is durable in a segment.
    has_failed_wal: bool,
    /// How much of `unsynced` is durable there.
    ahead: usize,
    /// A segment that has been given up, but still has its name.
    given_up: Option<String>,
    /// What happened to segments, of which there is no record yet.
    incidents: Vec<Incident>,
    /// Told when a sync begins and ends.
    progress: Arc<Progress>,
}

/// A sync of what has been written, which is done without the journal: meanwhile more may be appended.
pub(super) struct Syncing<F> {
    file: Arc<F>,
    /// Whether that is the write-ahead file, and not the segment.
    is_ahead: bool,
    /// How much of `unsynced` it covers, the seq of the first of that, and of what is behind it.
    len: usize,
    first: u64,
    next: u64,
    progress: Arc<Progress>,
}

impl<F: SegmentFile> Syncing<F> {
    /// Does it. [`Journal::end_sync`] has to be told what came of it.
    pub(super) fn run(&self) -> io::Result<()> {
        let _syncing = self.progress.syncing(self.is_ahead);
        self.file.sync()
    }
}

/// What happened to a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incident {
    /// It was set aside under this name, and its last records were written again elsewhere.
    SetAside(String),
    /// Somebody else did this to it.
    Changed(String, Change),
}

impl<S: Storage> Journal<S> {
    pub(super) fn new(storage: S, segment_size: u64, segment_age: Option<Duration>) -> Self {
        Self {
            storage,
            // An empty segment is never full.
            segment_size: segment_size.max(1),
            segment_age,
            open: None,
            unsynced: Vec::new(),
            unsynced_first: 0,
            wal: None,
            has_failed_wal: false,
            ahead: 0,
            given_up: None,
            incidents: Vec::new(),
            progress: Arc::default(),
        }
    }

    /// What callers may know of the writer without asking it.
    pub(super) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Goes on in a segment that was there, and is synced.
    pub(super) fn go_on(&mut self, file: S::File, name: String, len: u64, began: SystemTime) {
        self.open = Some(Open { file: Arc::new(file), name, len, began });
    }

    /// Makes records durable in a write-ahead file from now on, if it can be made.
    pub(super) fn write_ahead(&mut self) {
        match self.storage.create_wal() {
            Ok(file) => self.wal = Some(Wal::new(file)),
            Err(error) => tracing::warn!(%error, "the audit log has no write-ahead file, and is slower without"),
        }
        self.ahead = 0;
    }

    /// Everything is durable, and nothing more comes.
    pub(super) fn end(&mut self) {
        if self.wal.take().is_some() && self.unsynced.is_empty() {
            // A start reads it in vain.
            self.storage.remove_wal().ok();
        }
    }

    /// After an error it is not to be trusted: each sync is one of the segment from now on.
    fn lose_wal(&mut self, error: &io::Error) {
        tracing::error!(%error, "the write-ahead file of the audit log failed; going on without");
        (self.wal, self.ahead, self.has_failed_wal) = (None, 0, true);
    }

    /// The directory, if it is a real one.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.storage.directory()
    }

    /// Whether another segment should be begun.
    pub(super) fn is_full(&self, now: SystemTime) -> bool {
        self.open.as_ref().is_some_and(|open| {
            let age = now.duration_since(open.began).unwrap_or_default();
            open.len >= self.segment_size || self.segment_age.is_some_and(|most| age >= most && open.len > 0)
        })
    }

    /// Makes the segment durable; what is appended next begins another one.
    pub(super) fn end_segment(&mut self) -> io::Result<()> {
        self.sync()?;
        self.open = None;
        Ok(())
    }

    /// Sees whether the segment is still where a reader looks for it, though nothing was written.
    pub(super) fn watch(&mut self) -> io::Result<()> {
        self.sync()?;
        self.is_in_place()?;
        if let Some(wal) = &self.wal
            && !self.storage.has_wal(wal.file())?
        {
            tracing::warn!("the write-ahead file of the audit log is gone; it is made again");
            self.wal = None;
            self.write_ahead();
        }
        Ok(())
    }

    /// What happened to segments since this was asked last.
    pub(super) fn take_incidents(&mut self) -> Vec<Incident> {
        std::mem::take(&mut self.incidents)
    }

    /// Writes whole records, of which the first has this seq. All of them or, on an error, none.
    pub(super) fn append(&mut self, records: &[u8], first_seq: u64) -> io::Result<()> {
        if self.unsynced.len() > UNSYNCED_LEN_MAX {
            self.sync()?;
        }
        self.open_any(first_seq)?;
        let open = self.open.as_mut().ok_or_else(no_segment)?;
        if let Err(error) = write_all(&*open.file, records) {
            // What was written of it is not of the chain; if it cannot be taken back, the file is not to be trusted.
            if open.file.truncate(open.len).is_err() {
                self.give_up();
            }
            return Err(error);
        }
        open.len += len(records);
        if self.unsynced.is_empty() {
            self.unsynced_first = first_seq;
        }
        self.unsynced.extend_from_slice(records);
        Ok(())
    }

    /// Whether so much can be appended by a mere write: nothing has to be synced, begun or mended before.
    pub(super) fn can_append(&self, len: usize, now: SystemTime) -> bool {
        self.open.is_some() && self.unsynced.len() + len <= UNSYNCED_LEN_MAX && !self.is_full(now)
    }

    /// Whether everything is durable that was appended.
    pub(super) const fn is_synced(&self) -> bool {
        self.unsynced.is_empty()
    }

    /// Makes everything durable that was appended, if need be in another segment; and sees whether the segment is still
    /// where a reader looks for it.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match self.begin_segment_sync(self.unsynced_first) {
            Some(syncing) => {
                let outcome = syncing.run();
                self.end_sync(&syncing, outcome)
            }
            None if self.unsynced.is_empty() => Ok(()),
            None => self.open_any(self.unsynced_first),
        }
    }

    /// A sync of all that was appended, if there is anything and a segment with it: in the write-ahead file, where that has
    /// room. `next` is the seq of what comes next.
    /// Two at once are not allowed: of an error of the disk the kernel tells only one of them.
    pub(super) fn begin_sync(&mut self, next: u64) -> Option<Syncing<S::File>> {
        let syncing = self.begin_segment_sync(next)?;
        Some(match self.put_ahead() {
            Some(file) => Syncing { file, is_ahead: true, ..syncing },
            None => syncing,
        })
    }

    fn begin_segment_sync(&self, next: u64) -> Option<Syncing<S::File>> {
        let open = self.open.as_ref().filter(|_| !self.unsynced.is_empty())?;
        let (file, progress) = (open.file.clone(), self.progress.clone());
        let (len, first) = (self.unsynced.len(), self.unsynced_first);
        Some(Syncing { file, is_ahead: false, len, first, next, progress })
    }

    /// What the write-ahead file does not have yet is put there; none if it has no room.
    fn put_ahead(&mut self) -> Option<Arc<S::File>> {
        let wal = self.wal.as_mut()?;
        let records = self.unsynced.get(self.ahead..).filter(|records| wal.has_room(records.len()))?;
        match wal.put(records) {
            Ok(()) => Some(wal.file().clone()),
            Err(error) => {
                self.lose_wal(&error);
                None
            }
        }
    }

    /// Takes the outcome of a sync. What it covers is durable when this returns `Ok`, in this segment or in another.
    pub(super) fn end_sync(&mut self, syncing: &Syncing<S::File>, outcome: io::Result<()>) -> io::Result<()> {
        if syncing.is_ahead {
            return self.end_ahead(syncing, outcome);
        }
        let Some(open) = self.open.as_ref().filter(|open| Arc::ptr_eq(&open.file, &syncing.file)) else {
            // The segment was given up meanwhile: what is not known to be durable is still in `unsynced`.
            return self.sync();
        };
        if let Err(error) = outcome {
            tracing::error!(segment = open.name, %error, "a sync of the audit log failed; going on in a new segment");
            self.give_up();
        } else if self.is_in_place()? {
            self.unsynced.drain(..syncing.len.min(self.unsynced.len()));
            self.unsynced_first = syncing.next;
            self.begin_wal_anew();
            return Ok(());
        }
        self.open_any(self.unsynced_first)
    }

    fn end_ahead(&mut self, syncing: &Syncing<S::File>, outcome: io::Result<()>) -> io::Result<()> {
        if let Err(error) = outcome {
            self.lose_wal(&error);
            return self.sync();
        }
        // Meanwhile they may have become durable in a new segment.
        if self.unsynced_first == syncing.first && self.unsynced.len() >= syncing.len {
            self.ahead = syncing.len;
        }
        Ok(())
    }

    /// Nothing of what it has is needed any more.
    fn begin_wal_anew(&mut self) {
        self.ahead = 0;
        if let Some(wal) = &mut self.wal {
            wal.clear();
        } else if std::mem::take(&mut self.has_failed_wal) {
            self.storage.remove_wal().ok();
        }
    }

    /// False if the segment had to be given up. One that was removed or replaced is put back: it is still open.
    fn is_in_place(&mut self) -> io::Result<bool> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let Some(change) = self.storage.check(&open.name, &open.file, open.len)? else { return Ok(true) };
        let change_name = change.name();
        tracing::error!(segment = open.name, change = change_name, "somebody has changed the audit log under amiwall");
        let name = open.name.clone();
        if change == Change::Resized {
            self.give_up();
        } else {
            open.file = Arc::new(self.storage.restore(&name, &open.file, open.len)?);
        }
        self.incidents.push(Incident::Changed(name, change));
        Ok(self.open.is_some())
    }

    fn give_up(&mut self) {
        self.given_up = self.open.take().map(|open| open.name);
    }

    /// Sees to it that there is an open segment.
    fn open_any(&mut self, first_seq: u64) -> io::Result<()> {
        if self.open.is_some() {
            return Ok(());
        }
        if let Some(name) = &self.given_up {
            let gone = || Incident::Changed(name.clone(), Change::Removed);
            self.incidents.push(self.storage.set_aside(name)?.map_or_else(gone, Incident::SetAside));
            self.given_up = None;
        }
        let first = if self.unsynced.is_empty() { first_seq } else { self.unsynced_first };
        self.open = Some(self.begin(segment_name(first))?);
        self.unsynced.clear();
        self.begin_wal_anew();
        Ok(())
    }

    /// A disk that had failed altogether may have kept an earlier try's name, which would be in the way for ever.
    fn create(&mut self, name: &str) -> io::Result<S::File> {
        match self.storage.create(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.incidents.extend(self.storage.set_aside(name)?.map(Incident::SetAside));
                self.storage.create(name)
            }
            created => created,
        }
    }

    /// A new segment that begins with what is not synced yet, synced.
    fn begin(&mut self, name: String) -> io::Result<Open<S::File>> {
        let file = self.create(&name)?;
        let fill = || {
            if self.unsynced.is_empty() {
                return Ok(());
            }
            write_all(&file, &self.unsynced)?;
            let _syncing = self.progress.syncing(false);
            file.sync()
        };
        if let Err(error) = fill() {
            drop(file);
            self.given_up = self.storage.remove(&name).is_err().then_some(name);
            return Err(error);
        }
        Ok(Open { file: Arc::new(file), name, len: len(&self.unsynced), began: SystemTime::now() })
    }
}

fn len(records: &[u8]) -> u64 {
    u64::try_from(records.len()).unwrap_or(u64::MAX)
}

fn no_segment() -> io::Error {
    io::Error::other("no segment is open")
}

/// A short write is not an error: what is left is written behind it.
fn write_all(file: &impl SegmentFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
