//! Requests to a running amiwall, as files in the directory of its log: who may write there may tell it something.
//!
//! A file needs no socket, no port and no protocol of its own; the directory is its owner's alone, so the file system says
//! who may ask; a request that comes while amiwall is down is there when it starts; and a signal only says "look".

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::segment::LOCK_FILE;

/// How the name of a request ends.
const SUFFIX: &str = ".resume";
/// Longer than the name of any identity.
const LEN_MAX: u64 = 256;

/// A request to resume an identity.
#[derive(Debug)]
pub struct ResumeRequest {
    path: PathBuf,
    /// Whom.
    pub identity: String,
}

impl ResumeRequest {
    /// Asks whoever writes the log in that directory.
    ///
    /// # Errors
    /// If the request cannot be written there.
    pub fn write(directory: &Path, identity: &str) -> io::Result<Self> {
        let path = directory.join(format!("request-{}{SUFFIX}", std::process::id()));
        // Made whole under another name first: half a name is somebody else's.
        let draft = path.with_extension("draft");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(identity.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        Ok(Self { path, identity: identity.to_owned() })
    }

    /// All that wait in the directory.
    ///
    /// # Errors
    /// If the directory or one of them cannot be read.
    pub fn waiting(directory: &Path) -> io::Result<Vec<Self>> {
        let mut waiting = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with("request-") && name.ends_with(SUFFIX) && fs::metadata(&path)?.len() <= LEN_MAX {
                waiting.push(Self { identity: fs::read_to_string(&path)?, path });
            }
        }
        waiting.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(waiting)
    }

    /// Whether nobody has taken it yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.path.exists()
    }

    /// It was done.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn done(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }
}

/// The process that writes the log in that directory, if one does.
///
/// # Errors
/// If its lock cannot be looked at.
pub fn writer_of(directory: &Path) -> io::Result<Option<i32>> {
    let path = directory.join(LOCK_FILE);
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // The number in a lock that nobody holds may be any process's by now.
    match lock.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => fs::read_to_string(&path)?.trim().parse().map(Some).map_err(io::Error::other),
    }
}
