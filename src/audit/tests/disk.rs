//! A disk in memory that keeps what a disk keeps: what was synced, and of the rest what the test says. Each of its calls
//! can fail, and at each of them the power can go.
//!
//! It does in the same steps what [`Directory`](super::super::segment::Directory) does with the system's calls: an entry of
//! a directory is lost until the directory was synced. After an error of a sync the pages count as clean, as in the kernel:
//! what of them is not on the platter never gets there, and reading shows it all the same.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::super::segment::{Change, SegmentFile, Storage};
use super::super::wal::{WAL_FILE, WAL_LEN};
use super::random::Random;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Error(i32),
    /// A write takes less than it was given. Other calls do what they should.
    ShortWrite,
}

/// When it goes wrong: at this call, counted from 1, and with `forever` at all that follow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Injection {
    pub(super) fault: Fault,
    pub(super) at: usize,
    pub(super) forever: bool,
}

#[derive(Debug, Default)]
struct Inode {
    on_platter: Vec<u8>,
    /// What the process reads.
    seen: Vec<u8>,
    /// What the platter does not have for sure.
    pending: Vec<Pending>,
    sync_has_failed: bool,
}

#[derive(Clone, Debug)]
enum Pending {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Clone, Debug)]
enum NameChange {
    Add(String, usize),
    Remove(String),
    Rename(String, String),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Add(name, inode) => drop(names.insert(name.clone(), *inode)),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    names_on_platter: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
    /// How many calls there were.
    pub(super) calls: usize,
    pub(super) injection: Option<Injection>,
    /// At which call the power goes.
    pub(super) power_cut: Option<usize>,
    pub(super) random: Option<Random>,
    /// Writes and syncs of files whose sync had failed.
    pub(super) misused: usize,
    /// It lets a write-ahead file be made.
    pub(super) has_wal: bool,
    /// Syncs of it.
    pub(super) synced_ahead: usize,
}

impl State {
    /// Counts a call. Its error, if it is to fail.
    fn call(&mut self) -> Result<Option<Fault>, io::Error> {
        self.calls += 1;
        if self.is_off() {
            return Err(io::Error::other("the power is off"));
        }
        let hits = |i: &Injection| self.calls == i.at || (i.forever && self.calls > i.at);
        match self.injection.filter(hits).map(|injection| injection.fault) {
            Some(Fault::Error(code)) => Err(io::Error::from_raw_os_error(code)),
            other => Ok(other),
        }
    }

    pub(super) fn is_off(&self) -> bool {
        self.power_cut.is_some_and(|at| self.calls >= at)
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.call()?;
        for change in self.pending_names.drain(..) {
            change.apply(&mut self.names_on_platter);
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.call()?;
        if !self.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change_names(NameChange::Remove(name.to_owned()));
        self.sync_names()
    }

    fn random(&mut self) -> &mut Random {
        self.random.get_or_insert_with(|| Random::of_seed(1))
    }

    /// What of a file's unsynced changes got onto the platter: the first few, in blocks, of which some may be missing.
    fn land(&mut self, index: usize) {
        let pending = std::mem::take(&mut self.inodes[index].pending);
        let random = self.random();
        let block = [512, 4096][random.below(2)];
        let reorders = random.one_in(2);
        let landing = pending.len() - random.below(pending.len() + 1);
        let mut platter = std::mem::take(&mut self.inodes[index].on_platter);
        let random = self.random();
        for (place, change) in pending.iter().take(landing).enumerate() {
            match change {
                Pending::Truncate(len) => platter.resize(*len, 0),
                Pending::Write(offset, bytes) => {
                    let is_torn = !reorders && place + 1 == landing;
                    land_write(&mut platter, (*offset, bytes), block, |_| match (reorders, is_torn) {
                        (true, _) => !random.one_in(3),
                        (false, true) => !random.one_in(4),
                        (false, false) => true,
                    });
                    if is_torn {
                        continue;
                    }
                }
            }
        }
        self.inodes[index].on_platter = platter;
    }

    /// Writes what is on the platter when the power has gone to a directory.
    pub(super) fn survive(&mut self, directory: &Path) {
        let mut names = self.names_on_platter.clone();
        let pending = std::mem::take(&mut self.pending_names);
        let landing = self.random().below(pending.len() + 1);
        for change in pending.iter().take(landing) {
            change.apply(&mut names);
        }
        for index in 0..self.inodes.len() {
            self.land(index);
        }
        for (name, inode) in names {
            std::fs::write(directory.join(name), &self.inodes[inode].on_platter).expect("written");
        }
    }

    /// Writes what the process reads to a directory.
    pub(super) fn copy(&self, directory: &Path) {
        for (name, inode) in &self.names {
            std::fs::write(directory.join(name), &self.inodes[*inode].seen).expect("written");
        }
    }
}

/// Writes those blocks of the platter that `lands` says; the others stay as they are, or are a hole.
fn land_write(
    platter: &mut Vec<u8>,
    (offset, bytes): (usize, &[u8]),
    block: usize,
    mut lands: impl FnMut(usize) -> bool,
) {
    let mut at = offset;
    while at < offset + bytes.len() {
        let end = ((at / block + 1) * block).min(offset + bytes.len());
        if lands(at) {
            if platter.len() < end {
                platter.resize(end, 0);
            }
            platter[at..end].copy_from_slice(&bytes[at - offset..end - offset]);
        }
        at = end;
    }
}

/// The disk, as the log's directory.
pub(super) struct Disk(pub(super) Arc<Mutex<State>>);

pub(super) struct DiskFile {
    state: Arc<Mutex<State>>,
    inode: usize,
}

impl Disk {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("the disk")
    }
}

impl Storage for Disk {
    type File = DiskFile;

    fn create(&mut self, name: &str) -> io::Result<DiskFile> {
        let mut state = self.state();
        state.call()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change_names(NameChange::Add(name.to_owned(), inode));
        if let Err(error) = state.sync_names() {
            state.remove(name).ok();
            return Err(error);
        }
        Ok(DiskFile { state: Arc::clone(&self.0), inode })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.state().remove(name)
    }

    fn set_aside(&self, name: &str) -> io::Result<Option<String>> {
        let mut state = self.state();
        state.call()?;
        if !state.names.contains_key(name) {
            return Ok(None);
        }
        let mut free =
            (1_u32..).map(|n| if n == 1 { format!("{name}.suspect") } else { format!("{name}.suspect-{n}") });
        let suspect = free.find(|suspect| !state.names.contains_key(suspect)).expect("a free name");
        state.change_names(NameChange::Rename(name.to_owned(), suspect.clone()));
        state.sync_names()?;
        Ok(Some(suspect))
    }

    fn check(&mut self, name: &str, file: &DiskFile, len: u64) -> io::Result<Option<Change>> {
        let mut state = self.state();
        state.call()?;
        let seen = state.inodes[file.inode].seen.len();
        Ok(match state.names.get(name) {
            None => Some(Change::Removed),
            Some(inode) if *inode != file.inode => Some(Change::Replaced),
            Some(_) => (u64::try_from(seen).expect("small") != len).then_some(Change::Resized),
        })
    }

    fn restore(&mut self, name: &str, _: &DiskFile, _: u64) -> io::Result<DiskFile> {
        panic!("nobody has touched {name}")
    }

    fn create_wal(&self) -> io::Result<DiskFile> {
        if !self.state().has_wal {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.remove_wal()?;
        let mut state = self.state();
        state.call()?;
        let zeros = vec![0; WAL_LEN];
        let inode = state.inodes.len();
        state.inodes.push(Inode { on_platter: zeros.clone(), seen: zeros, ..Inode::default() });
        state.change_names(NameChange::Add(WAL_FILE.to_owned(), inode));
        if let Err(error) = state.sync_names() {
            state.remove(WAL_FILE).ok();
            return Err(error);
        }
        Ok(DiskFile { state: Arc::clone(&self.0), inode })
    }

    fn remove_wal(&self) -> io::Result<()> {
        match self.state().remove(WAL_FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn has_wal(&self, file: &DiskFile) -> io::Result<bool> {
        let mut state = self.state();
        state.call()?;
        Ok(state.names.get(WAL_FILE) == Some(&file.inode))
    }

    fn directory(&self) -> Option<&Path> {
        None
    }
}

impl DiskFile {
    /// Writes at the end, or there.
    fn put(&self, bytes: &[u8], offset: Option<usize>) -> io::Result<usize> {
        let mut state = self.state.lock().expect("the disk");
        let fault = state.call();
        // What is written when the power goes may land too.
        let is_off = state.is_off();
        let len = match &fault {
            Ok(Some(Fault::ShortWrite)) => bytes.len().div_ceil(3),
            Err(_) if !is_off => return fault.map(|_| 0),
            Ok(_) | Err(_) => bytes.len(),
        };
        let inode = &mut state.inodes[self.inode];
        let is_misused = inode.sync_has_failed;
        let offset = offset.unwrap_or(inode.seen.len());
        inode.pending.push(Pending::Write(offset, bytes[..len].to_vec()));
        inode.seen.resize(inode.seen.len().max(offset + len), 0);
        inode.seen[offset..offset + len].copy_from_slice(&bytes[..len]);
        state.misused += usize::from(is_misused);
        fault.map(|_| len)
    }
}

impl SegmentFile for DiskFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes, None)
    }

    fn write_at(&self, bytes: &[u8], offset: usize) -> io::Result<usize> {
        self.put(bytes, Some(offset))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock().expect("the disk");
        state.misused += usize::from(state.inodes[self.inode].sync_has_failed);
        let fault = state.call();
        if state.is_off() {
            return fault.map(drop);
        }
        if fault.is_err() {
            state.land(self.inode);
            state.inodes[self.inode].sync_has_failed = true;
            return fault.map(drop);
        }
        let inode = &mut state.inodes[self.inode];
        if !inode.sync_has_failed {
            inode.on_platter.clone_from(&inode.seen);
        }
        inode.pending.clear();
        let is_ahead = state.names.get(WAL_FILE) == Some(&self.inode);
        state.synced_ahead += usize::from(is_ahead);
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock().expect("the disk");
        state.call()?;
        let len = usize::try_from(len).expect("small");
        let inode = &mut state.inodes[self.inode];
        inode.seen.truncate(len);
        inode.pending.push(Pending::Truncate(len));
        Ok(())
    }
}
