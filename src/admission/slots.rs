//! [`HashSlots`]: who may compute argon2, and when. An address waits for its own turn first and has at most one login in the
//! line for a slot, so that neither one address nor one with many connections takes all the slots or the whole line.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::networks::host_network;

/// Argon2 computations at once, shared fairly between addresses. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HashSlots {
    slots: Arc<Semaphore>,
    turns: Arc<Mutex<HashMap<IpAddr, Line>>>,
}

/// Those of one address.
#[derive(Debug)]
struct Line {
    turn: Arc<Semaphore>,
    /// How many hold this line, waiting or not: without any it is forgotten.
    holders: usize,
}

/// One login of an address, whose turn it is.
#[derive(Debug)]
pub struct Turn {
    slots: Arc<Semaphore>,
    place: Place,
    turn: OwnedSemaphorePermit,
}

/// A slot. It has to be kept until the hash is computed, whether or not anybody still waits for it.
#[derive(Debug)]
pub struct HashSlot {
    _slot: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
    _place: Place,
}

/// A place in the line of an address.
#[derive(Debug)]
struct Place {
    turns: Arc<Mutex<HashMap<IpAddr, Line>>>,
    network: IpAddr,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HashSlots {
    /// So many at once.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(count)), turns: Arc::default() }
    }

    /// Waits until no other login of that address (IPv6: /64) is in the line, in the order in which they came.
    pub async fn turn(&self, peer: IpAddr) -> Option<Turn> {
        let network = host_network(peer);
        let (place, turn) = {
            let mut turns = lock(&self.turns);
            let new = || Line { turn: Arc::new(Semaphore::new(1)), holders: 0 };
            let line = turns.entry(network).or_insert_with(new);
            line.holders += 1;
            (Place { turns: self.turns.clone(), network }, line.turn.clone())
        };
        let turn = turn.acquire_owned().await.ok()?;
        Some(Turn { slots: self.slots.clone(), place, turn })
    }

    /// How many slots are free, and how many addresses have a login in the line.
    #[must_use]
    pub fn free(&self) -> (usize, usize) {
        (self.slots.available_permits(), lock(&self.turns).len())
    }
}

impl Turn {
    /// Waits for a slot.
    pub async fn slot(self) -> Option<HashSlot> {
        let Self { slots, place, turn } = self;
        let slot = slots.acquire_owned().await.ok()?;
        Some(HashSlot { _slot: slot, _turn: turn, _place: place })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut turns = lock(&self.turns);
        if let Some(line) = turns.get_mut(&self.network) {
            line.holders = line.holders.saturating_sub(1);
            if line.holders == 0 {
                turns.remove(&self.network);
            }
        }
    }
}
