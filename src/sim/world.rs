//! [`World`]: what all sessions of one simulated Asterisk share: who is connected, what was executed, the switch.
//!
//! INVARIANT: no lock is held across an await, and no code takes a second lock while it holds one. An event goes to each
//! authenticated session's bounded queue; a session that lets its queue fill is dropped, so nobody waits for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::SimConfig;
use super::answer::Answer;
use super::handle::ExecutedAction;
use super::quirks::Request;
use super::switch::Switch;

/// Packets that may wait for one session.
pub(super) const QUEUE_LEN_MAX: usize = 65_536;
/// Executed actions that are remembered; beyond it the older half is forgotten.
const LOG_LEN_MAX: usize = 100_000;

/// What waits for a session, beside its own answers.
#[derive(Clone, Debug)]
pub(super) enum Outgoing {
    /// An event, shown when the session's mask wants all classes of `privilege`.
    Event { privilege: Arc<str>, bytes: Arc<[u8]> },
    /// Bytes that are sent as they are.
    Raw(Arc<[u8]>),
}

/// The other end of a session.
struct Link {
    is_authenticated: bool,
    queue: mpsc::Sender<Outgoing>,
    stop: CancellationToken,
}

/// Shared by all sessions, calls and handles.
pub(super) struct World {
    pub(super) config: SimConfig,
    pub(super) address: SocketAddr,
    pub(super) started: Instant,
    pub(super) started_at: jiff::Timestamp,
    pub(super) is_answering: watch::Sender<bool>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    pub(super) log_len: watch::Sender<u64>,
    pub(super) session_count: watch::Sender<usize>,
    switch: Mutex<Switch>,
    log: Mutex<Vec<ExecutedAction>>,
    sessions: Mutex<BTreeMap<u64, Link>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(super) fn new(config: SimConfig, address: SocketAddr) -> Self {
        Self {
            config,
            address,
            started: Instant::now(),
            started_at: jiff::Timestamp::now(),
            is_answering: watch::Sender::new(true),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            log_len: watch::Sender::new(0),
            session_count: watch::Sender::new(0),
            switch: Mutex::default(),
            log: Mutex::default(),
            sessions: Mutex::default(),
        }
    }

    /// Registers a session, or refuses it when too many have not logged in.
    pub(super) fn connect(&self, id: u64, queue: mpsc::Sender<Outgoing>) -> Option<CancellationToken> {
        let mut sessions = lock(&self.sessions);
        if sessions.values().filter(|link| !link.is_authenticated).count() >= self.config.auth_limit {
            return None;
        }
        let stop = self.stop.child_token();
        sessions.insert(id, Link { is_authenticated: false, queue, stop: stop.clone() });
        self.session_count.send_replace(sessions.len());
        Some(stop)
    }

    /// From here on the session gets events.
    pub(super) fn authenticate(&self, id: u64) {
        if let Some(link) = lock(&self.sessions).get_mut(&id) {
            link.is_authenticated = true;
        }
    }

    /// The session is over.
    pub(super) fn disconnect(&self, id: u64) {
        let mut sessions = lock(&self.sessions);
        sessions.remove(&id);
        self.session_count.send_replace(sessions.len());
    }

    /// Ends all sessions.
    pub(super) fn drop_sessions(&self) {
        lock(&self.sessions).values().for_each(|link| link.stop.cancel());
    }

    /// The queues of all authenticated sessions.
    pub(super) fn queues(&self) -> Vec<mpsc::Sender<Outgoing>> {
        lock(&self.sessions).values().filter(|link| link.is_authenticated).map(|link| link.queue.clone()).collect()
    }

    /// Sends to all sessions; those that are not authenticated get raw bytes only.
    pub(super) fn send(&self, outgoing: &Outgoing) {
        for link in lock(&self.sessions).values() {
            let is_for_it = link.is_authenticated || matches!(outgoing, Outgoing::Raw(_));
            if is_for_it && link.queue.try_send(outgoing.clone()).is_err() {
                link.stop.cancel();
            }
        }
    }

    /// The beginning of a broadcast event (`__manager_event_sessions_va`).
    pub(super) fn event(&self, name: &str, privilege: &str) -> Answer {
        let event = Answer::event(name).header("Privilege", privilege);
        match &self.config.system_name {
            Some(system_name) => event.header("SystemName", system_name),
            None => event,
        }
    }

    /// Sends an event with these classes to who wants it.
    pub(super) fn publish(&self, privilege: &str, event: Answer) {
        self.send(&Outgoing::Event { privilege: privilege.into(), bytes: event.end().into() });
    }

    /// Works on channels, variables and the database.
    pub(super) fn with_switch<T>(&self, work: impl FnOnce(&mut Switch) -> T) -> T {
        work(&mut lock(&self.switch))
    }

    /// A unique id as Asterisk makes them.
    pub(super) fn unique_id(&self, number: u64) -> Vec<u8> {
        let prefix = self.config.system_name.as_ref().map_or_else(String::new, |name| format!("{name}-"));
        format!("{prefix}{}.{number}", unix_time().0).into_bytes()
    }

    /// Remembers that a session executed an action.
    pub(super) fn record(&self, session: u64, user: Option<&str>, request: &Request) {
        let mut log = lock(&self.log);
        if log.len() >= LOG_LEN_MAX {
            log.drain(..LOG_LEN_MAX / 2);
        }
        log.push(ExecutedAction { session, user: user.map(str::to_owned), request: request.clone() });
        self.log_len.send_modify(|count| *count += 1);
    }

    /// Looks at what was executed.
    pub(super) fn with_log<T>(&self, look: impl FnOnce(&[ExecutedAction]) -> T) -> T {
        look(&lock(&self.log))
    }
}

/// Seconds and microseconds since 1970.
pub(super) fn unix_time() -> (u64, u32) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.subsec_micros())
}
