//! A directory whose disk does as it is told.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use super::super::recover::recover;
use super::super::segment::{Change, Directory, SegmentFile, Storage};
use super::super::{Audit, AuditConfig};

/// What goes wrong, and what has happened.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is told by itself")]
pub(crate) struct Plan {
    /// Bytes that can still be written before the disk is full.
    pub(super) room: Option<usize>,
    /// The most that one write takes.
    pub(super) short_write: Option<usize>,
    pub(super) fail_create: bool,
    pub(super) has_wal: bool,
    pub(super) fail_truncate: bool,
    /// How many of the next syncs fail.
    pub(super) failing_syncs: u32,
    pub(super) panic_in_sync: bool,
    pub(super) syncs: u32,
    /// Files that were written or synced although a sync of them had failed.
    pub(super) misused: Vec<String>,
    /// Each sync says that it has begun, and waits.
    pub(super) hold: Option<Held>,
}

/// The writer's end of a held sync.
#[derive(Clone, Debug)]
pub(super) struct Held {
    begin: Sender<()>,
    released: Arc<Mutex<Receiver<()>>>,
}

/// The test's end of a held sync.
#[derive(Debug)]
pub(crate) struct Hold {
    begun: Receiver<()>,
    release: Sender<()>,
}

impl Hold {
    /// Returns when a sync has begun.
    pub(crate) fn wait(&self) {
        self.begun.recv_timeout(std::time::Duration::from_secs(30)).expect("a sync");
    }

    /// Lets it end.
    pub(crate) fn release(&self) {
        self.release.send(()).expect("a writer");
    }
}

pub(super) struct Faulty {
    directory: Directory,
    plan: Arc<Mutex<Plan>>,
}

impl Faulty {
    pub(super) const fn new(directory: Directory, plan: Arc<Mutex<Plan>>) -> Self {
        Self { directory, plan }
    }
}

/// A new log over a faulty disk, and the plan of it. `start` is on record before any fault.
pub(crate) fn faulty(dir: &Path) -> (Audit, Arc<Mutex<Plan>>) {
    faulty_with(&AuditConfig::new(dir))
}

/// As [`faulty`], with settings.
pub(super) fn faulty_with(config: &AuditConfig) -> (Audit, Arc<Mutex<Plan>>) {
    faulty_over(config, Plan::default())
}

/// As [`faulty_with`], over a disk that does so from the start.
pub(super) fn faulty_over(config: &AuditConfig, plan: Plan) -> (Audit, Arc<Mutex<Plan>>) {
    let directory = Directory::open(&config.directory).expect("a directory");
    let recovered = recover(&directory).expect("a log");
    let plan = Arc::new(Mutex::new(plan));
    let storage = Faulty::new(directory, Arc::clone(&plan));
    (Audit::start(config, storage, None, recovered).expect("a log"), plan)
}

/// From now on the disk has room for so many bytes more; for any number, if there is none.
pub(crate) fn leave_room(plan: &Mutex<Plan>, room: Option<usize>) {
    plan.lock().expect("the plan").room = room;
}

/// Holds every sync from now on.
pub(crate) fn hold(plan: &Mutex<Plan>) -> Hold {
    let (begin, begun) = channel();
    let (release, released) = channel();
    plan.lock().expect("the plan").hold = Some(Held { begin, released: Arc::new(Mutex::new(released)) });
    Hold { begun, release }
}

/// Holds no sync from now on.
pub(crate) fn hold_no_more(plan: &Mutex<Plan>) {
    plan.lock().expect("the plan").hold = None;
}

/// The disk is full from now on.
pub(crate) fn fill(plan: &Mutex<Plan>) {
    plan.lock().expect("the plan").room = Some(0);
}

/// The next sync panics.
pub(crate) fn panic_in_sync(plan: &Mutex<Plan>) {
    plan.lock().expect("the plan").panic_in_sync = true;
}

pub(super) struct FaultyFile {
    file: std::fs::File,
    name: String,
    plan: Arc<Mutex<Plan>>,
    is_suspect: AtomicBool,
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl Storage for Faulty {
    type File = FaultyFile;

    fn create(&mut self, name: &str) -> io::Result<FaultyFile> {
        if self.plan.lock().expect("the plan").fail_create {
            return Err(full());
        }
        let file = self.directory.create(name)?;
        Ok(FaultyFile { file, name: name.to_owned(), plan: Arc::clone(&self.plan), is_suspect: AtomicBool::new(false) })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.directory.remove(name)
    }

    fn set_aside(&self, name: &str) -> io::Result<Option<String>> {
        self.directory.set_aside(name)
    }

    fn check(&mut self, name: &str, file: &FaultyFile, len: u64) -> io::Result<Option<Change>> {
        self.directory.check(name, &file.file, len)
    }

    fn restore(&mut self, name: &str, file: &FaultyFile, len: u64) -> io::Result<FaultyFile> {
        let file = self.directory.restore(name, &file.file, len)?;
        Ok(FaultyFile { file, name: name.to_owned(), plan: Arc::clone(&self.plan), is_suspect: AtomicBool::new(false) })
    }

    /// Each sync is one of the segment, unless the plan says otherwise.
    fn create_wal(&self) -> io::Result<FaultyFile> {
        if !self.plan.lock().expect("the plan").has_wal {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let file = self.directory.create_wal()?;
        let name = "audit.wal".to_owned();
        Ok(FaultyFile { file, name, plan: Arc::clone(&self.plan), is_suspect: AtomicBool::new(false) })
    }

    fn remove_wal(&self) -> io::Result<()> {
        Storage::remove_wal(&self.directory)
    }

    fn has_wal(&self, file: &FaultyFile) -> io::Result<bool> {
        self.directory.has_wal(&file.file)
    }

    fn directory(&self) -> Option<&Path> {
        None
    }
}

impl SegmentFile for FaultyFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut plan = self.plan.lock().expect("the plan");
        if self.is_suspect.load(Ordering::Relaxed) {
            plan.misused.push(self.name.clone());
        }
        let mut len = bytes.len().min(plan.short_write.unwrap_or(usize::MAX));
        if let Some(room) = &mut plan.room {
            if *room == 0 {
                return Err(full());
            }
            len = len.min(*room);
            *room -= len;
        }
        SegmentFile::write(&self.file, &bytes[..len])
    }

    fn write_at(&self, bytes: &[u8], offset: usize) -> io::Result<usize> {
        if self.is_suspect.load(Ordering::Relaxed) {
            self.plan.lock().expect("the plan").misused.push(self.name.clone());
        }
        SegmentFile::write_at(&self.file, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        let held = {
            let mut plan = self.plan.lock().expect("the plan");
            plan.syncs += 1;
            if self.is_suspect.load(Ordering::Relaxed) {
                plan.misused.push(self.name.clone());
            }
            assert!(!plan.panic_in_sync, "told to");
            if plan.failing_syncs > 0 {
                plan.failing_syncs -= 1;
                self.is_suspect.store(true, Ordering::Relaxed);
                return Err(io::Error::other("told to fail"));
            }
            plan.hold.clone()
        };
        if let Some(Held { begin, released }) = held {
            begin.send(()).ok();
            // A test that has ended releases everything.
            released.lock().expect("the release").recv().ok();
        }
        self.file.sync()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        if self.plan.lock().expect("the plan").fail_truncate {
            return Err(io::Error::other("told to fail"));
        }
        self.file.truncate(len)
    }
}
