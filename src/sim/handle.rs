//! [`SimHandle`]: what a test sees of the simulated Asterisk, and how it makes it misbehave.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::quirks::Request;
use super::world::{Outgoing, World};
use crate::ami::Message;

/// An action that was executed: it had passed Asterisk's own checks.
#[derive(Clone, Debug)]
pub struct ExecutedAction {
    /// The session, counted from 1 in the order of the connections.
    pub session: u64,
    /// Who was logged in; nobody at `Login`, `Challenge` and some `Logoff`s.
    pub user: Option<String>,
    /// The packet as Asterisk read it.
    pub request: Request,
}

impl ExecutedAction {
    /// Whether it is this action, compared without case.
    #[must_use]
    pub fn is(&self, action: &str) -> bool {
        self.request.action().eq_ignore_ascii_case(action.as_bytes())
    }
}

/// A storm of events.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Events a second; 0 is as fast as the sessions take them.
    pub rate_per_s: u32,
    /// How many events.
    pub count: u64,
    /// About how many bytes each has.
    pub size: usize,
}

/// Observes and controls a [`super::Sim`]. Cheap to clone.
#[derive(Clone)]
pub struct SimHandle(Arc<World>);

impl SimHandle {
    pub(super) const fn new(world: Arc<World>) -> Self {
        Self(world)
    }

    /// All actions that were executed so far, in order (the last 50,000 at least).
    #[must_use]
    pub fn executed(&self) -> Vec<ExecutedAction> {
        self.0.with_log(<[ExecutedAction]>::to_vec)
    }

    /// Waits until `is_met` says yes to what was executed, and returns it. The actions of one session are in order; the
    /// answer to an action may still be under way.
    pub async fn wait_for(&self, mut is_met: impl FnMut(&[ExecutedAction]) -> bool) -> Vec<ExecutedAction> {
        let mut changes = self.0.log_len.subscribe();
        loop {
            changes.mark_unchanged();
            let met = self.0.with_log(|log| is_met(log).then(|| log.to_vec()));
            if let Some(log) = met {
                return log;
            }
            // The sender lives as long as this handle.
            if changes.changed().await.is_err() {
                return Vec::new();
            }
        }
    }

    /// How many sessions are open, logged in or not.
    #[must_use]
    pub fn sessions(&self) -> usize {
        *self.0.session_count.borrow()
    }

    /// Waits until the number of open sessions is one that `is_met` says yes to.
    pub async fn wait_for_sessions(&self, is_met: impl FnMut(&usize) -> bool) {
        let mut changes = self.0.session_count.subscribe();
        // The sender lives as long as this handle, so waiting cannot fail.
        drop(changes.wait_for(is_met).await);
    }

    /// Broadcasts an event to the sessions that want the classes of its `Privilege`.
    pub fn emit(&self, event: &Message) {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        let privilege = String::from_utf8_lossy(event.get("Privilege").unwrap_or(b"all")).into_owned();
        self.0.send(&Outgoing::Event { privilege: privilege.into(), bytes: bytes.into() });
    }

    /// Sends these bytes, whatever they are, to all open sessions, between two packets.
    pub fn raw(&self, bytes: &[u8]) {
        self.0.send(&Outgoing::Raw(bytes.into()));
    }

    /// Broadcasts `UserEvent`s named `Storm` with a running `Sequence` from 1, until all are queued for all sessions. It
    /// waits for sessions that take them slowly; who does not read at all is dropped by the write timeout.
    pub async fn storm(&self, storm: Storm) {
        let begin = Instant::now();
        for sequence in 1..=storm.count {
            if storm.rate_per_s > 0 {
                let due = Duration::from_secs_f64(sequence as f64 / f64::from(storm.rate_per_s));
                tokio::time::sleep_until(begin + due).await;
            }
            let outgoing = self.storm_event(sequence, storm.size);
            for queue in self.0.queues() {
                // An error says that the session is over.
                drop(queue.send(outgoing.clone()).await);
            }
        }
    }

    fn storm_event(&self, sequence: u64, size: usize) -> Outgoing {
        let event =
            self.0.event("UserEvent", "user,all").header("UserEvent", "Storm").header("Sequence", sequence.to_string());
        let len = event.clone().end().len() + b"Padding: \r\n".len();
        let event = event.header("Padding", vec![b'x'; size.saturating_sub(len)]);
        Outgoing::Event { privilege: "user,all".into(), bytes: event.end().into() }
    }

    /// From here on nothing is written, banners and events included: each session executes one more action and waits
    /// with its answer.
    pub fn stop_answering(&self) {
        self.0.is_answering.send_replace(false);
    }

    /// Sends what was held back, and goes on.
    pub fn resume_answering(&self) {
        self.0.is_answering.send_replace(true);
    }

    /// Closes all sessions, in the middle of whatever they do.
    pub fn drop_sessions(&self) {
        self.0.drop_sessions();
    }
}

impl fmt::Debug for SimHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimHandle").field("sessions", &self.sessions()).finish_non_exhaustive()
    }
}
