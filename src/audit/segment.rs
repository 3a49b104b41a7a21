//! The files of a log: their names, and the few operations on them that the writer needs. Each operation that changes a
//! directory is durable when it returns.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::compress::COMPRESSED;
use super::wal::{WAL_FILE, WAL_LEN};

pub(super) const LOCK_FILE: &str = "audit.lock";
const SUFFIX: &str = ".jsonl";

/// The name of the segment that begins with this record.
pub(super) fn segment_name(first_seq: u64) -> String {
    format!("audit-{first_seq:020}{SUFFIX}")
}

/// A segment file of a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    /// The seq of its first record.
    pub(super) first: u64,
    /// Which of several files with this first seq: those that were abandoned come first, the one in use last.
    order: u32,
    /// The file name.
    pub(super) name: String,
}

impl Segment {
    fn of_name(name: &str) -> Option<Self> {
        let (seq, rest) = name.strip_prefix("audit-")?.split_once(SUFFIX)?;
        if seq.len() != 20 || !seq.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let order = match rest.strip_prefix(".suspect") {
            None => (rest.is_empty() || rest == COMPRESSED).then_some(u32::MAX)?,
            Some("") => 0,
            Some(number) => number.strip_prefix('-')?.parse().ok().filter(|order| *order != u32::MAX)?,
        };
        let first = seq.parse().ok().filter(|first| *first < super::chain::NUMBER_MAX)?;
        Some(Self { first, order, name: name.to_owned() })
    }

    /// Whether it is in its compressed form, which is never written to.
    pub(super) fn is_compressed(&self) -> bool {
        self.name.ends_with(COMPRESSED)
    }

    /// Whether it was abandoned after an error of a sync: what it has of the segment that follows does not count.
    pub(super) const fn is_suspect(&self) -> bool {
        self.order != u32::MAX
    }
}

/// All segments of a directory, in the order of the chain.
pub(super) fn list_segments(directory: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        segments.extend(entry?.file_name().to_str().and_then(Segment::of_name));
    }
    segments.sort_unstable();
    // Of the two forms of a segment the plain one counts: its name sorts first.
    segments.dedup_by_key(|segment| (segment.first, segment.order));
    Ok(segments)
}

/// What the writer does with files; a trait so that tests can let each of it fail.
pub(super) trait Storage: Send + 'static {
    type File: SegmentFile;
    /// Makes a new, empty file; its name is durable.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;
    /// Removes a file that nothing was accepted in.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Sets a file aside under a free name that begins with `<name>.suspect`, durably, and gives that name; none if there
    /// is no such file any more.
    fn set_aside(&self, name: &str) -> io::Result<Option<String>>;
    /// Whether the file still has its name, and the length it was written to; makes sure of the lock.
    fn check(&mut self, name: &str, file: &Self::File, len: u64) -> io::Result<Option<Change>>;
    /// Gives a file whose name is gone, or names another file now, its name back: a copy, durably. The other file is
    /// kept as `<name>.replaced-<n>`.
    fn restore(&mut self, name: &str, file: &Self::File, len: u64) -> io::Result<Self::File>;
    /// Makes the write-ahead file anew: [`WAL_LEN`] zeros, durably.
    fn create_wal(&self) -> io::Result<Self::File>;
    /// Removes it.
    fn remove_wal(&self) -> io::Result<()>;
    /// Whether the write-ahead file still has its name, and its length.
    fn has_wal(&self, file: &Self::File) -> io::Result<bool>;
    /// The directory, if it is a real one, with a file system that can be full and old segments that can go.
    fn directory(&self) -> Option<&Path>;
}

/// What somebody else did to a file of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Its name, or the whole directory, is not there any more.
    Removed,
    /// Another file has its name.
    Replaced,
    /// It is shorter or longer than what was written.
    Resized,
}

impl Change {
    /// How the record says it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Replaced => "replaced",
            Self::Resized => "resized",
        }
    }
}

/// One open segment. It may be written to while it is synced.
pub(super) trait SegmentFile: Send + Sync {
    /// `write(2)` at the end of the file: may write less.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// `pwrite(2)`, of the write-ahead file: may write less.
    fn write_at(&self, bytes: &[u8], offset: usize) -> io::Result<usize>;
    /// `fdatasync(2)`.
    fn sync(&self) -> io::Result<()>;
    fn truncate(&self, len: u64) -> io::Result<()>;
}

impl SegmentFile for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut &*self, bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: usize) -> io::Result<usize> {
        FileExt::write_at(self, bytes, u64::try_from(offset).unwrap_or(u64::MAX))
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// The directory of a log, locked for one writer.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Held for its lock.
    lock: File,
}

/// Whether the directories above a log's are made too. Where they have gone, somebody wants none of it there any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Above {
    Leave,
    Make,
}

/// Why a directory cannot be used.
#[derive(Debug)]
pub(super) enum DirectoryError {
    Io(io::Error),
    /// With what the lock file says about who holds it.
    Locked(String),
}

impl From<DirectoryError> for io::Error {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Io(error) => error,
            DirectoryError::Locked(holder) => Self::other(format!("process {holder} writes an audit log there")),
        }
    }
}

impl From<io::Error> for DirectoryError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Directory {
    /// Makes the directory if it is not there, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, DirectoryError> {
        Self::open_in(path, Above::Make)
    }

    fn open_in(path: &Path, above: Above) -> Result<Self, DirectoryError> {
        if !path.is_dir() {
            DirBuilder::new().recursive(above == Above::Make).mode(0o700).create(path)?;
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                sync_directory(parent)?;
            }
        }
        let mut options = OpenOptions::new();
        let mut lock =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK_FILE))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                lock.read_to_string(&mut holder)?;
                return Err(DirectoryError::Locked(holder.trim().to_owned()));
            }
        }
        lock.set_len(0)?;
        lock.write_all(format!("{}\n", std::process::id()).as_bytes())?;
        Ok(Self { path: path.to_owned(), lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a segment to go on writing it. What a process that crashed has written of it is made durable first.
    pub(super) fn reopen(&self, name: &str) -> io::Result<File> {
        let file = open_regular(OpenOptions::new().read(true).append(true), &self.path.join(name))?;
        file.sync_all()?;
        Ok(file)
    }

    /// Keeps the bytes of a segment from `offset` to `end` in a file of their own, then cuts them off.
    pub(super) fn set_tail_aside(&self, name: &str, offset: u64, end: u64) -> io::Result<String> {
        let source = self.reopen(name)?;
        let (torn, mut copy) = self.create_free(|number| format!("{name}.torn-{number}"))?;
        copy_range(&source, &mut copy, offset, end)?;
        copy.sync_all()?;
        self.cut(&source, offset)?;
        Ok(torn)
    }

    /// Moves all that is not the lock to a free folder `broken-<n>`, durably, and gives its name.
    pub(super) fn set_log_aside(&self) -> io::Result<String> {
        let mut free = (1_u32..).map(|number| format!("broken-{number}"));
        let folder = free.find(|folder| !self.path.join(folder).exists()).unwrap_or_default();
        let to = self.path.join(&folder);
        DirBuilder::new().mode(0o700).create(&to)?;
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if name.to_str().is_some_and(|name| name.starts_with("audit-") || name == WAL_FILE) {
                fs::rename(self.path.join(&name), to.join(&name))?;
            }
        }
        sync_directory(&to)?;
        sync_directory(&self.path)?;
        Ok(folder)
    }

    /// Cuts a segment, durably.
    pub(super) fn cut(&self, segment: &File, len: u64) -> io::Result<()> {
        segment.set_len(len)?;
        segment.sync_all()?;
        sync_directory(&self.path)
    }

    /// Copies the first `len` bytes of a file to a new one, durably.
    pub(super) fn copy_start(&self, from: &str, to: &str, len: u64) -> io::Result<()> {
        let source = File::open(self.path.join(from))?;
        let mut copy = self.create_new(to)?;
        copy_range(&source, &mut copy, 0, len)?;
        copy.sync_all()
    }

    /// How the file of that name differs from this one.
    fn change(&self, name: &str, file: &File) -> io::Result<Option<Change>> {
        let named = match fs::symlink_metadata(self.path.join(name)) {
            Ok(named) => named,
            Err(error) if is_missing(&error) => return Ok(Some(Change::Removed)),
            Err(error) => return Err(error),
        };
        let open = file.metadata()?;
        let is_same = (named.dev(), named.ino()) == (open.dev(), open.ino());
        Ok((!is_same).then_some(Change::Replaced))
    }

    /// Makes the directory and the lock again, if they are gone: another process could take the lock that is found there.
    fn keep_lock(&mut self) -> io::Result<()> {
        if self.change(LOCK_FILE, &self.lock)?.is_some() {
            tracing::warn!(directory = %self.path.display(), "the lock of the audit log is gone; it is made again");
            *self = Self::open_in(&self.path, Above::Leave)?;
        }
        Ok(())
    }

    fn create_new(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        // Appending: if somebody truncates the file, what is written next makes its length wrong, and that is seen.
        let file = options.read(true).append(true).create_new(true).mode(0o600).open(self.path.join(name))?;
        if let Err(error) = sync_directory(&self.path) {
            self.remove(name).ok();
            return Err(error);
        }
        Ok(file)
    }

    fn create_free(&self, name: impl Fn(u32) -> String) -> io::Result<(String, File)> {
        let mut number = 1;
        loop {
            match self.create_new(&name(number)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                other => return other.map(|file| (name(number), file)),
            }
        }
    }
}

fn copy_range(source: &File, copy: &mut File, mut offset: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    while offset < end {
        let wanted = usize::try_from(end - offset).unwrap_or(usize::MAX).min(buffer.len());
        let read = source.read_at(buffer.get_mut(..wanted).unwrap_or_default(), offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        copy.write_all(buffer.get(..read).unwrap_or_default())?;
        offset += u64::try_from(read).unwrap_or_default();
    }
    Ok(())
}

/// Opens a file of the log: one that another name leads to, or that is a pipe or a device, is nobody's segment, and would
/// let a reader wait for ever.
pub(super) fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    let file = options.custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Storage for Directory {
    type File = File;

    fn create(&mut self, name: &str) -> io::Result<File> {
        self.keep_lock()?;
        self.create_new(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))?;
        sync_directory(&self.path)
    }

    fn set_aside(&self, name: &str) -> io::Result<Option<String>> {
        // The lock makes this process the only one that makes names here.
        let mut free =
            (1_u32..).map(|n| if n == 1 { format!("{name}.suspect") } else { format!("{name}.suspect-{n}") });
        let suspect = free.find(|suspect| !self.path.join(suspect).exists()).unwrap_or_default();
        match fs::rename(self.path.join(name), self.path.join(&suspect)) {
            Err(error) if is_missing(&error) => return Ok(None),
            renamed => renamed?,
        }
        sync_directory(&self.path)?;
        Ok(Some(suspect))
    }

    fn check(&mut self, name: &str, file: &File, len: u64) -> io::Result<Option<Change>> {
        self.keep_lock()?;
        let resized = || Ok((file.metadata()?.len() != len).then_some(Change::Resized));
        self.change(name, file)?.map_or_else(resized, |change| Ok(Some(change)))
    }

    fn restore(&mut self, name: &str, file: &File, len: u64) -> io::Result<File> {
        let path = self.path.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            let mut free = (1_u32..).map(|number| self.path.join(format!("{name}.replaced-{number}")));
            fs::rename(&path, free.find(|free| !free.exists()).unwrap_or_default())?;
        }
        let mut copy = self.create_new(name)?;
        if let Err(error) = copy_range(file, &mut copy, 0, len).and_then(|()| copy.sync_all()) {
            self.remove(name).ok();
            return Err(error);
        }
        Ok(copy)
    }

    fn create_wal(&self) -> io::Result<File> {
        self.make_wal()
    }

    fn remove_wal(&self) -> io::Result<()> {
        Self::remove_wal(self)
    }

    fn has_wal(&self, file: &File) -> io::Result<bool> {
        let has_len = file.metadata()?.len() == u64::try_from(WAL_LEN).unwrap_or_default();
        Ok(has_len && self.change(WAL_FILE, file)?.is_none())
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_in_the_order_of_the_chain() {
        let names = ["audit-00000000000000000007.jsonl", "audit-00000000000000000001.jsonl.suspect"];
        let others = ["audit-00000000000000000001.jsonl", "audit-00000000000000000001.jsonl.suspect-2"];
        let mut segments: Vec<Segment> =
            names.iter().chain(&others).filter_map(|name| Segment::of_name(name)).collect();
        segments.sort_unstable();
        let sorted: Vec<&str> = segments.iter().map(|segment| segment.name.as_str()).collect();
        assert_eq!(sorted, [names[1], others[1], others[0], names[0]]);
        assert_eq!(segment_name(7), names[0]);
        for other in ["audit.lock", "audit-7.jsonl", "audit-00000000000000000001.jsonl.torn-1", "audit-.jsonl"] {
            assert_eq!(Segment::of_name(other), None);
        }
    }
}
