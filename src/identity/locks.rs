//! [`Locks`]: the identities that an administrator has locked. A lock is no part of the policy: it is put on in a hurry,
//! outlives reloads and restarts, and is taken off by an administrator alone.

use std::collections::BTreeSet;

use tokio::sync::watch;

/// Who is locked. Names have no letter case here.
#[derive(Debug, Default)]
pub struct Locks(watch::Sender<BTreeSet<String>>);

impl Locks {
    /// Whether the identity of that name is locked.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.borrow().contains(&name.to_ascii_lowercase())
    }

    /// Puts a lock on, or takes it off; whether that changes anything.
    pub fn set(&self, name: &str, is_locked: bool) -> bool {
        let name = name.to_ascii_lowercase();
        self.0.send_if_modified(|names| if is_locked { names.insert(name) } else { names.remove(&name) })
    }

    /// The names, in lower case.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.borrow().iter().cloned().collect()
    }

    /// To be told of every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<BTreeSet<String>> {
        self.0.subscribe()
    }
}
