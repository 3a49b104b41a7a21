//! Space on disk: how much there is, and a little that is kept back, so that the log can still say that it is full.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The file that keeps space back.
const RESERVE_FILE: &str = "audit.reserve";
/// Enough for the records of a closed gate and of the end.
const RESERVE_LEN: usize = 1024 * 1024;

/// How much room a file system has for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes that we can still write.
    pub(super) available: u64,
    /// Of how many that we could write on an empty one.
    pub(super) total: u64,
}

impl Room {
    /// Of the file system that has this directory.
    pub(super) fn of(directory: &Path) -> io::Result<Self> {
        let stat = rustix::fs::statvfs(directory)?;
        let used = stat.f_blocks.saturating_sub(stat.f_bfree);
        let unit = stat.f_frsize;
        Ok(Self {
            available: stat.f_bavail.saturating_mul(unit),
            total: stat.f_bavail.saturating_add(used).saturating_mul(unit),
        })
    }

    /// Percent of it that are in use.
    pub(super) fn used_percent(self) -> u64 {
        let used = u128::from(self.total.saturating_sub(self.available));
        u64::try_from(used * 100 / u128::from(self.total.max(1))).unwrap_or(100)
    }
}

/// Makes the reserve, if it is not there: of bytes that are really written, since a hole keeps nothing back.
pub(super) fn keep(directory: &Path) -> io::Result<()> {
    let path = directory.join(RESERVE_FILE);
    if fs::metadata(&path).is_ok_and(|file| file.len() >= u64::try_from(RESERVE_LEN).unwrap_or_default()) {
        return Ok(());
    }
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(&vec![0; RESERVE_LEN])?;
        file.sync_all()
    };
    write().inspect_err(|_| drop(fs::remove_file(&path)))
}

/// Gives the space back.
pub(super) fn release(directory: &Path) -> io::Result<()> {
    match fs::remove_file(directory.join(RESERVE_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
