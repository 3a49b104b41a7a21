//! [`LoginMemory`]: what outlives a reload. Secrets that were right are remembered as keyed hashes, so that a client which
//! logs in for every action does not pay argon2 each time. Failures lock out an address, and an identity from that address:
//! never an identity as such, or anybody could lock out the dialer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use super::{ClientName, Identities, Identity, Locks, NOBODY, Now, StoredSecret};
use crate::networks::host_network;

/// Addresses whose failures are counted; beyond it the oldest are forgotten.
const FAILURES_MAX: usize = 65_536;

/// Addresses from which a secret was right; the oldest one goes.
const ADDRESSES_MAX: usize = 64;

/// A lock-out is not longer than this, so that the clock can be counted on.
const LOCKOUT_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A keyed hash.
type Token = [u8; 32];

/// A secret that was right: its keyed hash, and from where it came.
#[derive(Debug)]
struct Remembered {
    token: Token,
    addresses: Vec<IpAddr>,
}

/// Settings of the lock-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedLogins {
    /// Failures ...
    pub count: u32,
    /// ... in this time ...
    pub per: Duration,
    /// ... lock out for this time.
    pub lockout: Duration,
}

impl Default for FailedLogins {
    fn default() -> Self {
        Self { count: 5, per: Duration::from_secs(60), lockout: Duration::from_secs(300) }
    }
}

/// Failures of an address (IPv6: /64), or of an identity (lower case) from that address.
type FailureKey = (IpAddr, Option<String>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    since: Instant,
    locked_until: Option<Instant>,
}

/// Remembered secrets, failed logins, session counts, locks.
pub struct LoginMemory {
    key: hmac::Key,
    settings: Mutex<FailedLogins>,
    /// By the keyed hash of (identity, stored secret): there are never more than the policy has secrets.
    remembered: Mutex<HashMap<Token, Remembered>>,
    failures: Mutex<HashMap<FailureKey, Failures>>,
    sessions: Mutex<HashMap<String, u32>>,
    locks: Locks,
}

impl std::fmt::Debug for LoginMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginMemory").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LoginMemory {
    /// Empty, with a key of its own.
    #[must_use]
    pub fn new(failed_logins: FailedLogins) -> Self {
        let mut key = [0; 32];
        let has_random = aws_lc_rs::rand::fill(&mut key).is_ok();
        assert!(has_random, "the system has no random numbers");
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            settings: Mutex::new(failed_logins),
            remembered: Mutex::default(),
            failures: Mutex::default(),
            sessions: Mutex::default(),
            locks: Locks::default(),
        }
    }

    /// Applies other settings, at a reload. Who is locked out stays so.
    pub fn set_failed_logins(&self, failed_logins: FailedLogins) {
        *lock(&self.settings) = failed_logins;
    }

    /// Who is locked by an administrator.
    #[must_use]
    pub const fn locks(&self) -> &Locks {
        &self.locks
    }

    /// How many sessions the identity of that name has.
    #[must_use]
    pub fn sessions_of(&self, name: &str) -> u32 {
        lock(&self.sessions).get(&name.to_ascii_lowercase()).copied().unwrap_or_default()
    }

    /// HMAC over the parts, each with its length before it.
    fn keyed_hash(&self, parts: &[&[u8]]) -> Token {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut token = [0; 32];
        token.copy_from_slice(context.sign().as_ref());
        token
    }

    fn slot(&self, identity: &Identity, stored: &StoredSecret) -> Token {
        self.keyed_hash(&[identity.name.as_bytes(), stored.bytes()])
    }

    fn token(&self, identity: &Identity, stored: &StoredSecret, secret: &[u8]) -> Token {
        self.keyed_hash(&[identity.name.as_bytes(), stored.bytes(), secret])
    }

    /// Which secret of the identity this one was found to be. As much is looked up for every name: `count` secrets.
    pub(super) fn remembers(&self, identity: Option<&Identity>, secret: &[u8], count: usize) -> Option<usize> {
        let mut which = None;
        let secrets = identity.map_or(&[][..], |identity| &identity.secrets);
        for index in 0..count {
            let (name, stored) = match (identity, secrets.get(index)) {
                (Some(identity), Some(stored)) => (identity.name.as_bytes(), stored.bytes()),
                // Never found: nobody was ever right.
                _ => (NOBODY.as_bytes(), &b""[..]),
            };
            let (slot, token) = (self.keyed_hash(&[name, stored]), self.keyed_hash(&[name, stored, secret]));
            if lock(&self.remembered).get(&slot).is_some_and(|known| known.token == token) {
                which = Some(index);
            }
        }
        which
    }

    /// Whether that secret of the identity was right before from this address.
    pub(super) fn was_right_from(&self, identity: &Identity, which: usize, peer: IpAddr) -> bool {
        let slot = identity.secrets.get(which).map(|stored| self.slot(identity, stored));
        let remembered = lock(&self.remembered);
        let known = slot.and_then(|slot| remembered.get(&slot));
        known.is_some_and(|known| known.addresses.contains(&host_network(peer)))
    }

    /// Remembers that `secret` is that one of the identity's.
    pub(super) fn remember(&self, identity: &Identity, which: usize, secret: &[u8], peer: IpAddr) {
        let Some(stored) = identity.secrets.get(which) else { return };
        let (slot, token) = (self.slot(identity, stored), self.token(identity, stored, secret));
        let new = || Remembered { token, addresses: Vec::new() };
        lock(&self.remembered).entry(slot).or_insert_with(new).token = token;
        self.add_address(identity, which, peer);
    }

    /// Remembers that a secret that is remembered was right from this address too.
    pub(super) fn add_address(&self, identity: &Identity, which: usize, peer: IpAddr) {
        let Some(slot) = identity.secrets.get(which).map(|stored| self.slot(identity, stored)) else { return };
        let mut remembered = lock(&self.remembered);
        let Some(known) = remembered.get_mut(&slot) else { return };
        let address = host_network(peer);
        if !known.addresses.contains(&address) {
            if known.addresses.len() >= ADDRESSES_MAX {
                known.addresses.remove(0);
            }
            known.addresses.push(address);
        }
    }

    /// Forgets the remembered secrets of identities that are not the same in `identities` as they were.
    pub fn forget_changed(&self, identities: &Identities) {
        let slots: std::collections::HashSet<Token> = identities
            .iter()
            .flat_map(|identity| identity.secrets.iter().map(|stored| self.slot(identity, stored)))
            .collect();
        lock(&self.remembered).retain(|slot, _| slots.contains(slot));
    }

    /// Whether the address, or the identity from that address, is locked out.
    pub(super) fn is_locked(&self, peer: IpAddr, identity: &str, now: Now) -> bool {
        let failures = lock(&self.failures);
        let is_locked = |key: &FailureKey| {
            let locked = failures.get(key).and_then(|failures| failures.locked_until);
            locked.is_some_and(|until| now.monotonic < until)
        };
        let [address, identity] = keys(peer, identity).map(|key| is_locked(&key));
        address || identity
    }

    /// Counts a failure. What is tried during a lock-out is not counted, or one client that keeps trying would keep its
    /// neighbours out for ever.
    pub(super) fn failed(&self, peer: IpAddr, identity: &str, now: Now) {
        let settings = *lock(&self.settings);
        let mut failures = lock(&self.failures);
        if failures.len() >= FAILURES_MAX {
            make_room(&mut failures, &settings, now);
        }
        for key in keys(peer, identity) {
            let entry = failures.entry(key).or_insert(Failures { count: 0, since: now.monotonic, locked_until: None });
            if now.monotonic.duration_since(entry.since) >= settings.per {
                (entry.count, entry.since) = (0, now.monotonic);
            }
            entry.count = entry.count.saturating_add(1);
            if entry.count >= settings.count {
                let until = now.monotonic.checked_add(settings.lockout.min(LOCKOUT_MAX));
                // When it is over, counting begins anew.
                (entry.count, entry.locked_until) = (0, until);
            }
        }
    }

    /// Counts a session of that identity, unless it has `max` already. The count falls when the guard is dropped.
    #[must_use]
    pub fn enter(self: &Arc<Self>, client: &ClientName, max: Option<u32>) -> Option<SessionGuard> {
        let name = client.as_str().to_ascii_lowercase();
        let mut sessions = lock(&self.sessions);
        let count = sessions.entry(name.clone()).or_default();
        if max.is_some_and(|max| *count >= max) {
            return None;
        }
        *count += 1;
        drop(sessions);
        Some(SessionGuard { memory: self.clone(), name })
    }
}

/// Forgets what is over; where that is not enough, the older half of the rest.
fn make_room(failures: &mut HashMap<FailureKey, Failures>, settings: &FailedLogins, now: Now) {
    let is_over = |entry: &Failures| {
        entry.locked_until.is_none_or(|until| now.monotonic >= until)
            && now.monotonic.duration_since(entry.since) >= settings.per
    };
    failures.retain(|_, entry| !is_over(entry));
    if failures.len() >= FAILURES_MAX {
        let mut times: Vec<Instant> = failures.values().map(|entry| entry.since).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        failures.retain(|_, entry| entry.since > median);
    }
}

fn keys(peer: IpAddr, identity: &str) -> [FailureKey; 2] {
    let address = host_network(peer);
    [(address, None), (address, Some(identity.to_ascii_lowercase()))]
}

/// One counted session.
#[derive(Debug)]
pub struct SessionGuard {
    memory: Arc<LoginMemory>,
    name: String,
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        let mut sessions = lock(&self.memory.sessions);
        if let Some(count) = sessions.get_mut(&self.name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                sessions.remove(&self.name);
            }
        }
    }
}
