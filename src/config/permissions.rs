//! Files and folders that other users can read or change. What they can change is theirs, whatever the policy says.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::fields::Problems;
use super::folder_of;
use crate::policy::spec::Position;

/// Bits of a mode: what the group and others may write; and that what is in a folder is its owner's alone.
const WRITABLE: u32 = 0o022;
const STICKY: u32 = 0o1_000;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode())
}

/// Where systemd has put the credentials of this service, if it has some.
pub(super) fn credentials_folder() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// A file with a secret that others can read is worth a warning.
pub(super) fn check_secret(path: &Path, at: Position, problems: &mut Problems) {
    // There the mode does not tell who may: systemd uses access lists, and shows the folder to the service alone.
    let is_credential = || credentials_folder().is_some_and(|folder| path.starts_with(folder));
    if mode(path) & 0o077 != 0 && !is_credential() {
        let help = Some(format!("chmod 600 {}", path.display()));
        problems.warn(at, format!("{} can be read by other users", path.display()), help);
    }
}

/// So is a file without secrets that says who is let in.
pub(super) fn check_trusted(path: &Path, at: Position, problems: &mut Problems) {
    if mode(path) & WRITABLE != 0 {
        let help = Some(format!("chmod go-w {}", path.display()));
        problems.warn(at, format!("{} can be changed by other users", path.display()), help);
    }
}

/// A policy that others may write is not the operator's own, and neither is one that they can replace, or replace files
/// that it names.
pub(super) fn check_policy(path: &Path, reads: &BTreeSet<PathBuf>, problems: &mut Problems) {
    if mode(path) & WRITABLE != 0 {
        let help = format!("chmod go-w {}", path.display());
        problems.warn(Position::default(), "the policy file can be changed by other users", Some(help));
    }
    let mut folders = BTreeMap::new();
    for file in [path].into_iter().chain(reads.iter().map(PathBuf::as_path)) {
        let folder = folder_of(file);
        // The folder of a bare name is the one that amiwall was started in.
        folders.entry(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }).or_insert(file);
    }
    for (folder, file) in folders {
        let mode = mode(folder);
        if mode & WRITABLE != 0 && mode & STICKY == 0 {
            let (folder, file) = (folder.display(), file.display());
            let message = format!("other users can replace {file}: they can write to the folder {folder}");
            problems.warn(Position::default(), message, Some(format!("chmod go-w {folder}")));
        }
    }
}
