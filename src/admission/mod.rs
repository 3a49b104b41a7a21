//! Room for connections. Who is not logged in has a place in a pool of its own, so that strangers can never use up the
//! places of clients: when the pool is full the newcomer is let in, and of the address with most of them the oldest stranger
//! gives way; when one address has as many as it may, the oldest of that address. Whoever holds connections open, from
//! however many addresses or from the client's own, cannot keep out a client that logs in at once; and whoever opens new
//! ones all the time takes the places of his own, unless he has as many networks as there are places.

mod crowd;
mod slots;
mod way;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::networks::{host_network, neighbourhood};
use crowd::Crowd;
use way::{Telling, way};

pub use slots::{HashSlot, HashSlots, Turn};
pub use way::GivesWay;

/// `limits:` of the whole proxy, but for rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Logged-in sessions at once.
    pub connections: u32,
    /// Logged-in sessions at once from one address (IPv6: /64).
    pub connections_per_address: u32,
    /// Connections at once that are not logged in.
    pub unauthenticated: u32,
    /// Connections at once from one address (IPv6: /64) that are not logged in.
    pub unauthenticated_per_address: u32,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From accept to a successful login.
    pub login_timeout: Duration,
    /// From the first byte of a packet to its end, after login.
    pub packet_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            connections_per_address: 50,
            unauthenticated: 200,
            unauthenticated_per_address: 20,
            handshake_timeout: Duration::from_secs(10),
            login_timeout: Duration::from_secs(30),
            packet_timeout: Duration::from_secs(300),
        }
    }
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// As many are logged in as may be.
    Connections,
    /// As many are logged in from this address as may be.
    ConnectionsPerAddress,
    /// The pool of those who are not logged in is full, or this one gave way to a newcomer.
    Unauthenticated,
    /// As many of this address are not logged in as may be, and this one gave way to a newcomer of it, or every secret of
    /// the others is being verified.
    UnauthenticatedPerAddress,
}

impl NoRoom {
    /// The stable reason code of the audit log.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Connections => "limits.connections",
            Self::ConnectionsPerAddress => "limits.connections_per_address",
            Self::Unauthenticated => "limits.unauthenticated",
            Self::UnauthenticatedPerAddress => "limits.unauthenticated_per_address",
        }
    }
}

/// How many places are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Connections that are not logged in.
    pub unauthenticated: usize,
    /// Logged-in sessions.
    pub connections: usize,
    /// Addresses that are counted, for whatever reason.
    pub addresses: usize,
    /// Logins whose secret is being verified, or that wait for it.
    pub verifying: usize,
}

/// The connections of all listeners, counted.
#[derive(Debug)]
pub struct Admission {
    state: Mutex<State>,
    crowd: Crowd,
}

#[derive(Debug)]
struct State {
    limits: ConnectionLimits,
    /// Numbers strangers in the order in which they came.
    arrivals: u64,
    strangers: BTreeMap<u64, Stranger>,
    strangers_of: Counts,
    /// The same by the network around.
    strangers_near: Counts,
    clients: u32,
    clients_of: Counts,
}

/// A connection that is not logged in.
#[derive(Debug)]
struct Stranger {
    /// None: a proxy has not said yet whose it is.
    network: Option<IpAddr>,
    /// Its secret is being verified: work that was begun is finished.
    is_verified: bool,
    telling: Telling,
}

/// A stranger who is to be told that it gives way.
struct Displaced {
    stranger: Stranger,
    why: NoRoom,
}

/// How many of each address.
#[derive(Debug, Default)]
struct Counts(HashMap<IpAddr, u32>);

impl Counts {
    fn of(&self, network: IpAddr) -> u32 {
        self.0.get(&network).copied().unwrap_or_default()
    }

    fn add(&mut self, network: IpAddr) {
        *self.0.entry(network).or_default() += 1;
    }

    fn remove(&mut self, network: IpAddr) {
        if let Some(count) = self.0.get_mut(&network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&network);
            }
        }
    }
}

impl State {
    fn has_room_for(&self, network: IpAddr) -> bool {
        self.strangers_of.of(network) < self.limits.unauthenticated_per_address
    }

    fn forget(&mut self, number: u64) -> Option<Stranger> {
        let stranger = self.strangers.remove(&number)?;
        if let Some(network) = stranger.network {
            self.strangers_of.remove(network);
            self.strangers_near.remove(neighbourhood(network));
        }
        Some(stranger)
    }

    fn count(&mut self, network: IpAddr) {
        self.strangers_of.add(network);
        self.strangers_near.add(neighbourhood(network));
    }

    /// Takes a stranger out of the pool, whose secret is not being verified: the oldest one of `network`, or of the address
    /// that has most, and among equals of the network that has most. The oldest of all would be the client that is about to
    /// log in, if somebody opens connections faster than it can.
    fn displace(&mut self, network: Option<IpAddr>) -> Option<Stranger> {
        let share = |stranger: &Stranger| {
            let network = stranger.network;
            network.map_or((1, 1), |of| (self.strangers_of.of(of), self.strangers_near.of(neighbourhood(of))))
        };
        let may_go = |stranger: &Stranger| !stranger.is_verified && (network.is_none() || stranger.network == network);
        let may_go = self.strangers.iter().filter(|(_, stranger)| may_go(stranger));
        let chosen = may_go.max_by_key(|(number, stranger)| (share(stranger), Reverse(**number)));
        let number = chosen.map(|(number, _)| *number);
        self.forget(number?)
    }

    /// Makes room for one of that network, if it has as many as it may: its own oldest goes.
    fn make_room_in(&mut self, network: IpAddr) -> Result<Option<Displaced>, NoRoom> {
        if self.has_room_for(network) {
            return Ok(None);
        }
        let stranger = self.displace(Some(network)).ok_or(NoRoom::UnauthenticatedPerAddress)?;
        Ok(Some(Displaced { stranger, why: NoRoom::UnauthenticatedPerAddress }))
    }

    /// Makes room for one more, if the pool is full.
    fn make_room(&mut self) -> Result<Option<Displaced>, NoRoom> {
        if self.strangers.len() < usize::try_from(self.limits.unauthenticated).unwrap_or(usize::MAX) {
            return Ok(None);
        }
        let stranger = self.displace(None).ok_or(NoRoom::Unauthenticated)?;
        Ok(Some(Displaced { stranger, why: NoRoom::Unauthenticated }))
    }
}

impl Admission {
    /// Nobody is there yet.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        let state = State {
            limits,
            arrivals: 0,
            strangers: BTreeMap::new(),
            strangers_of: Counts::default(),
            strangers_near: Counts::default(),
            clients: 0,
            clients_of: Counts::default(),
        };
        Arc::new(Self { state: Mutex::new(state), crowd: Crowd::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Other limits, at a reload. Connections that are open stay.
    pub fn set_limits(&self, limits: ConnectionLimits) {
        self.state().limits = limits;
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> ConnectionLimits {
        self.state().limits
    }

    /// How many places are taken.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        let state = self.state();
        Occupancy {
            unauthenticated: state.strangers.len(),
            connections: usize::try_from(state.clients).unwrap_or(usize::MAX),
            addresses: state.strangers_of.0.len() + state.clients_of.0.len(),
            verifying: state.strangers.values().filter(|stranger| stranger.is_verified).count(),
        }
    }

    /// A place for a connection that was accepted; another stranger may have to give way for it. Where a proxy has not
    /// said yet whose it is, [`Ticket::count_for`] has to follow.
    ///
    /// # Errors
    /// If every secret in the pool, or of as many of its address as it may have, is being verified.
    pub fn enter(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Ticket, NoRoom> {
        let network = peer.map(host_network);
        let mut state = self.state();
        let own = network.map_or(Ok(None), |network| state.make_room_in(network));
        let displaced = own.and_then(|own| if own.is_some() { Ok(own) } else { state.make_room() });
        let displaced = displaced.inspect_err(|why| self.crowd.count(*why, network))?;
        let number = state.arrivals;
        state.arrivals += 1;
        let (telling, gives_way) = way();
        if let Some(network) = network {
            state.count(network);
        }
        state.strangers.insert(number, Stranger { network, is_verified: false, telling });
        drop(state);
        self.tell_displaced(displaced);
        Ok(Ticket { admission: self.clone(), network, number, is_client: false, gives_way })
    }

    /// Lets a stranger go: the process has run out of descriptors.
    pub fn make_room(&self) {
        let stranger = self.state().displace(None);
        self.tell_displaced(stranger.map(|stranger| Displaced { stranger, why: NoRoom::Unauthenticated }));
    }

    fn tell_displaced(&self, displaced: Option<Displaced>) {
        if let Some(Displaced { stranger, why }) = displaced {
            self.crowd.count(why, stranger.network);
            stranger.telling.tell(why);
        }
    }

    /// Says on standard error when strangers begin to crowd each other out, and when that is over; never ends.
    pub async fn tell_of_crowds(self: Arc<Self>) {
        self.crowd.tell().await;
    }
}

/// The place of one connection, from accept to its end.
#[derive(Debug)]
pub struct Ticket {
    admission: Arc<Admission>,
    network: Option<IpAddr>,
    number: u64,
    is_client: bool,
    gives_way: GivesWay,
}

impl Ticket {
    /// Told when this connection has to give way to a newcomer; never after [`Ticket::promote`].
    #[must_use]
    pub fn gives_way(&self) -> GivesWay {
        self.gives_way.clone()
    }

    /// It is now known whose connection it is; the oldest of that address may have to give way for it.
    ///
    /// # Errors
    /// If every secret of as many of that address as it may have is being verified, or this connection has given way.
    pub fn count_for(&mut self, peer: IpAddr) -> Result<(), NoRoom> {
        let network = host_network(peer);
        let mut state = self.admission.state();
        if !state.strangers.contains_key(&self.number) {
            return Err(NoRoom::Unauthenticated);
        }
        let displaced = state.make_room_in(network);
        let displaced = displaced.inspect_err(|why| self.admission.crowd.count(*why, Some(network)))?;
        if let Some(stranger) = state.strangers.get_mut(&self.number) {
            stranger.network = Some(network);
        }
        state.count(network);
        drop(state);
        self.network = Some(network);
        self.admission.tell_displaced(displaced);
        Ok(())
    }

    /// The secret waits to be verified: this connection does not give way, unless half the pool, or half of its address,
    /// is in that state. Else strangers who log in could close the pool, or their address, to everybody.
    pub fn await_verification(&self) {
        let mut state = self.admission.state();
        let is_half_free = |network: Option<IpAddr>| {
            let those = state.strangers.values().filter(|stranger| network.is_none() || stranger.network == network);
            let count = |(waiting, all), stranger: &Stranger| (waiting + usize::from(stranger.is_verified), all + 1);
            let (waiting, all) = those.fold((0, 0_usize), count);
            waiting < all.div_ceil(2)
        };
        if is_half_free(None) && is_half_free(self.network) {
            self.set_verified(&mut state, true);
        }
    }

    /// The secret is being verified, or no longer.
    pub fn verifies(&self, is_verified: bool) {
        self.set_verified(&mut self.admission.state(), is_verified);
    }

    fn set_verified(&self, state: &mut State, is_verified: bool) {
        if let Some(stranger) = state.strangers.get_mut(&self.number) {
            stranger.is_verified = is_verified;
        }
    }

    /// The secret was right: from the pool to the clients.
    ///
    /// # Errors
    /// If there is no room among the clients, or this connection has given way.
    pub fn promote(&mut self) -> Result<(), NoRoom> {
        let mut state = self.admission.state();
        if !state.strangers.contains_key(&self.number) {
            return Err(NoRoom::Unauthenticated);
        }
        if state.clients >= state.limits.connections {
            return Err(NoRoom::Connections);
        }
        if self.network.is_some_and(|network| state.clients_of.of(network) >= state.limits.connections_per_address) {
            return Err(NoRoom::ConnectionsPerAddress);
        }
        state.forget(self.number);
        state.clients += 1;
        if let Some(network) = self.network {
            state.clients_of.add(network);
        }
        self.is_client = true;
        Ok(())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        if self.is_client {
            state.clients = state.clients.saturating_sub(1);
            if let Some(network) = self.network {
                state.clients_of.remove(network);
            }
        } else {
            state.forget(self.number);
        }
    }
}

#[cfg(test)]
mod tests;
