//! The files that a policy names decide who gets in as much as its text does: what is another in them at a reload.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::audit::PolicyFile;
use crate::listener::{ListenerConfig, Transport};
use crate::tls::{RevocationList, TrustFile};

/// The files of listeners, and of the others that are read the paths.
pub(super) fn files(folder: &Path, listeners: &[ListenerConfig], reads: &BTreeSet<PathBuf>) -> Vec<PolicyFile> {
    let shown = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
    let mut files = Vec::new();
    for listener in listeners {
        let Transport::Tls(tls) = &listener.transport else { continue };
        files.extend(tls.files.iter().map(|file| PolicyFile {
            path: shown(&file.path),
            of_listener: Some((listener.address.to_string(), file.clone())),
        }));
    }
    let told: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
    let others = reads.iter().map(|path| shown(path)).filter(|path| !told.contains(path));
    files.extend(others.map(|path| PolicyFile { path, of_listener: None }));
    files
}

fn of_listeners(files: &[PolicyFile]) -> impl Iterator<Item = (&str, &TrustFile)> {
    files.iter().filter_map(|file| file.of_listener.as_ref()).map(|(listener, file)| (listener.as_str(), file))
}

/// The file that a listener has for the same.
fn same<'f>(files: &'f [PolicyFile], listener: &str, key: &str) -> Option<&'f TrustFile> {
    of_listeners(files).find(|(of, file)| *of == listener && file.key == key).map(|(_, file)| file)
}

/// What is another in the files of listeners that stay, in words.
#[must_use]
pub fn file_changes(old: &[PolicyFile], new: &[PolicyFile]) -> Vec<String> {
    let changed = of_listeners(new).filter_map(|(listener, file)| {
        let before = same(old, listener, file.key).filter(|before| before.sha256 != file.sha256)?;
        let what = format!("changed {} of {listener}", file.key);
        Some(match (file.entries(), before.entries()) {
            _ if file.lists.is_empty() => what,
            (now, before) if now == before => format!("{what}: {}, as before", entries(now)),
            (now, before) => format!("{what}: {}, was {before}", entries(now)),
        })
    });
    changed.collect()
}

/// Files of revocation lists that name fewer certificates than before, in words: they may be right, if their authority
/// drops what has expired, or made after the old ones were lost.
pub fn fewer_entries(old: &[PolicyFile], new: &[PolicyFile]) -> impl Iterator<Item = String> {
    of_listeners(new).filter_map(|(listener, file)| {
        let before = same(old, listener, file.key).filter(|before| file.entries() < before.entries())?;
        let (path, now, before) = (file.path.display(), entries(file.entries()), before.entries());
        Some(format!("{path}: the revocation list of {listener} has {now}, the one before had {before}: who is not in it any more is let in again"))
    })
}

/// A revocation list that is older than the one of the same authority that the listener has: who is revoked would not be
/// any more. In words, if there is one.
#[must_use]
pub fn older_list(old: &[PolicyFile], new: &[PolicyFile]) -> Option<String> {
    of_listeners(new).find_map(|(listener, file)| {
        let before = same(old, listener, file.key)?;
        let older = |in_force| newest(file).find(|list| list.is_older_than(in_force)).map(|list| (list, in_force));
        let (list, in_force) = newest(before).find_map(older)?;
        let shown = |list: &RevocationList| format!("number {}, {}", list.number, entries(list.entries));
        let (path, list, in_force) = (file.path.display(), shown(list), shown(in_force));
        Some(format!("{path}: an older list ({list}) than the one in force on {listener} ({in_force})"))
    })
}

/// Of several lists of one authority the newest, which is the one that counts.
fn newest(file: &TrustFile) -> impl Iterator<Item = &RevocationList> {
    file.lists.iter().filter(|list| !file.lists.iter().any(|other| list.is_older_than(other)))
}

fn entries(count: usize) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}
