//! The files that a policy names decide who gets in as much as its text does: what is another in them at a reload.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::audit::{FileUser, PolicyFile};
use crate::listener::{ListenerConfig, Transport};
use crate::tls::{RevocationList, TrustFile};
use crate::upstream::UpstreamConfig;

/// The files of listeners and of upstreams, and of the others that are read the paths.
pub(super) fn files(
    folder: &Path,
    listeners: &[ListenerConfig],
    upstreams: &BTreeMap<String, UpstreamConfig>,
    reads: &BTreeSet<PathBuf>,
) -> Vec<PolicyFile> {
    let shown = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
    let of = |user: FileUser, files: &[TrustFile]| -> Vec<PolicyFile> {
        let files = files.iter();
        files.map(|file| PolicyFile { path: shown(&file.path), used_by: Some((user.clone(), file.clone())) }).collect()
    };
    let mut files = Vec::new();
    for listener in listeners {
        let Transport::Tls(tls) = &listener.transport else { continue };
        files.extend(of(FileUser::Listener(listener.address.to_string()), &tls.files));
    }
    for (name, upstream) in upstreams {
        let Some(tls) = &upstream.tls else { continue };
        files.extend(of(FileUser::Upstream(name.clone()), &tls.client.files));
    }
    let told: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
    let others = reads.iter().map(|path| shown(path)).filter(|path| !told.contains(path));
    files.extend(others.map(|path| PolicyFile { path, used_by: None }));
    files
}

fn used(files: &[PolicyFile]) -> impl Iterator<Item = (&FileUser, &TrustFile)> {
    files.iter().filter_map(|file| file.used_by.as_ref()).map(|(user, file)| (user, file))
}

/// The file that a listener or upstream has for the same.
fn same<'f>(files: &'f [PolicyFile], user: &FileUser, key: &str) -> Option<&'f TrustFile> {
    used(files).find(|(of, file)| *of == user && file.key == key).map(|(_, file)| file)
}

/// What is another in the files of listeners and upstreams that stay, in words.
#[must_use]
pub fn file_changes(old: &[PolicyFile], new: &[PolicyFile]) -> Vec<String> {
    let changed = used(new).filter_map(|(listener, file)| {
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
    used(new).filter_map(|(listener, file)| {
        let before = same(old, listener, file.key).filter(|before| file.entries() < before.entries())?;
        let (path, now, before) = (file.path.display(), entries(file.entries()), before.entries());
        Some(format!("{path}: the revocation list of {listener} has {now}, the one before had {before}: who is not in it any more is let in again"))
    })
}

/// A revocation list that is older than the one of the same authority that the listener has: who is revoked would not be
/// any more. In words, if there is one.
#[must_use]
pub fn older_list(old: &[PolicyFile], new: &[PolicyFile]) -> Option<String> {
    used(new).find_map(|(listener, file)| {
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
