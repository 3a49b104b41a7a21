//! The hub: the enforcement point, and the only module that sees both sides.
//!
//! A session is in one task (`stages.rs`): login (`login.rs`), then four things at once until one of them ends it: client to
//! Asterisk (`reading.rs` takes packets, `inbound.rs` judges, records and forwards them), Asterisk to the queue and the
//! queue to the client (`outbound.rs`), and the watch over policy and shutdown. They share `Live` and call nothing sideways.
//! What happens when Asterisk goes away is in `outage.rs`.

mod client_io;
mod counts;
mod inbound;
mod local;
mod login;
mod outage;
mod outbound;
mod queue;
mod reading;
mod registry;
mod snapshot;
mod stages;
mod watch;
mod woken;

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::admission::{HashSlots, NoRoom, Ticket};
use crate::ami::{EventMask, Message};
use crate::audit::{Audit, Frame};
use crate::identity::{ClientName, LoginMemory, SessionGuard};
use crate::metrics::{IdentityMetrics, Metrics, Share};
use crate::policy::Buckets;
use crate::tls::PeerCertificate;
use crate::upstream::{ActionIds, Connector, Correlation, IdPrefix, Inlet, Outlet, TlsFault};

pub use counts::metrics;
pub use registry::{Recent, SessionInfo, Sessions};
pub use snapshot::{Entrance, Snapshot};
pub use stages::run;

use queue::{Held, Outgoing, Queue, QueueFull};
use registry::Tally;

/// What outstanding actions and queued packets get before a session that has to end is closed.
const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// What all sessions share.
#[derive(Debug)]
pub struct Shared {
    /// The policy in force.
    pub snapshot: tokio::sync::watch::Receiver<Arc<Snapshot>>,
    /// The audit log.
    pub audit: Audit,
    /// Remembered secrets, failed logins, session counts.
    pub memory: Arc<LoginMemory>,
    /// What is left of the limits.
    pub buckets: Arc<Buckets>,
    /// Broadcast ids.
    pub action_ids: ActionIds,
    /// Argon2 computations at once.
    pub hash_slots: HashSlots,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Those that are logged in.
    pub sessions: Sessions,
    /// Cancelled when the process ends.
    pub shutdown: CancellationToken,
}

impl Shared {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }
}

/// A connection that was accepted and has done its handshake.
#[derive(Debug)]
pub struct Accepted<S> {
    /// The stream.
    pub stream: S,
    /// The peer, canonical.
    pub peer: std::net::SocketAddr,
    /// The proxy that says so.
    pub proxy: Option<std::net::SocketAddr>,
    /// The client's certificate, verified.
    pub certificate: Option<PeerCertificate>,
    /// The listener's address in the policy file.
    pub listener: String,
    /// Where its clients go.
    pub upstream: Arc<Connector>,
    /// When it was accepted: the login deadline counts from here.
    pub at: tokio::time::Instant,
    /// Its place.
    pub ticket: Ticket,
}

/// Why a session ended: the `reason` of its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionEnd {
    AuditFailed,
    /// It would not be let in any more, for that reason.
    Certificate(&'static str),
    ClientClosed,
    ClientViolation,
    /// To a newcomer, for that limit.
    GaveWay(NoRoom),
    KickedByAdmin,
    LockedByAdmin,
    LoginFailed,
    LoginTimeout,
    LoggedOff,
    PacketTimeout,
    PolicyRevoked,
    Shutdown,
    SlowClient,
    UpstreamLost,
    UpstreamRefused,
    /// It did not show over TLS that it is the right one.
    UpstreamTls(TlsFault),
    UpstreamUnreachable,
}

impl SessionEnd {
    const fn code(self) -> &'static str {
        match self {
            Self::AuditFailed => "audit.unavailable",
            Self::Certificate(reason) => reason,
            Self::ClientClosed => "client-closed",
            Self::ClientViolation => "client-violation",
            Self::GaveWay(why) => why.code(),
            Self::KickedByAdmin => "kicked-by-admin",
            Self::LockedByAdmin => "locked-by-admin",
            Self::LoginFailed => "login-failed",
            Self::LoginTimeout => "login-timeout",
            Self::LoggedOff => "logged-off",
            Self::PacketTimeout => "packet-timeout",
            Self::PolicyRevoked => "policy-revoked",
            Self::Shutdown => "shutdown",
            Self::SlowClient => "slow-client",
            Self::UpstreamLost => "upstream.lost",
            Self::UpstreamRefused => "upstream.refused",
            Self::UpstreamTls(fault) => fault.code(),
            Self::UpstreamUnreachable => "upstream.unreachable",
        }
    }
}

/// What the parts of a logged-in session share. All locks are held for moments and never across an await.
struct Live {
    shared: Arc<Shared>,
    client: ClientName,
    /// The upstream's name.
    upstream: String,
    /// Whether it is the identity's own.
    is_own_upstream: bool,
    context: Mutex<Arc<Frame>>,
    queue: Queue,
    correlation: Mutex<Correlation>,
    /// Something in `correlation` was answered.
    progress: Notify,
    mask: Mutex<EventMask>,
    /// The mask that Asterisk was last told.
    subscribed: Mutex<EventMask>,
    /// A WaitEvent was read: events are held back here until it is answered.
    held: Mutex<Option<Held>>,
    event_held: Notify,
    /// No further packet is taken from the client.
    stopping: CancellationToken,
    /// Odd while packets are on their way from the client to the record and to Asterisk; one more whenever that begins or
    /// ends.
    batch: AtomicU64,
    /// Packets that were judged.
    actions: AtomicU64,
    forwarded: AtomicU64,
    refused: AtomicU64,
    /// Packets from Asterisk that were passed on.
    sent: AtomicU64,
    /// Actions that were given up when Asterisk was lost.
    abandoned: AtomicU64,
    /// What is counted of the identity.
    counts: Arc<IdentityMetrics>,
    /// How many actions wait for Asterisk.
    outstanding: Share,
    /// How long the session is kept when Asterisk goes away; as it was at the login.
    hold: Option<Duration>,
    /// See [`Live::is_away`].
    is_away: AtomicBool,
    went_away: Notify,
    tally: Tally,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    fn context(&self) -> Arc<Frame> {
        lock(&self.context).clone()
    }

    /// As [`Live::context`], under that policy: the record of a packet names the one that judged it.
    fn context_under(&self, snapshot: &Snapshot) -> Arc<Frame> {
        let context = self.context();
        if context.policy == snapshot.digest {
            return context;
        }
        Arc::new(context.under(&snapshot.digest))
    }

    fn mask(&self) -> EventMask {
        *lock(&self.mask)
    }

    /// Puts an answer of amiwall's own in its place behind the answers of earlier actions.
    fn answer(&self, answer: Message) -> Result<(), QueueFull> {
        let due = lock(&self.correlation).answer_in_turn(answer);
        due.map_or(Ok(()), |message| self.queue.push(Outgoing { message, record: None }))
    }

    /// Waits until nothing is on its way to Asterisk, and Asterisk has answered all that was forwarded.
    async fn idle(&self) {
        self.until(|correlation| correlation.outstanding() == 0 && !self.is_judging()).await;
    }

    async fn until(&self, is_so: impl Fn(&Correlation) -> bool) {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if is_so(&lock(&self.correlation)) {
                return;
            }
            progress.await;
        }
    }

    /// Takes no more, waits for what is outstanding and queued, at most [`FINISH_TIMEOUT`].
    async fn finish(&self) {
        self.finish_within(FINISH_TIMEOUT).await;
    }

    async fn finish_within(&self, time: Duration) {
        self.stopping.cancel();
        let all = async {
            self.idle().await;
            self.queue.drained().await;
        };
        let outcome = tokio::time::timeout(time, all).await;
        drop(outcome);
    }
}

/// What a login gives.
struct LoggedIn {
    client: ClientName,
    mask: EventMask,
    inlet: Inlet,
    outlet: Outlet,
    prefix: IdPrefix,
    hold: Option<Duration>,
    is_own_upstream: bool,
    guard: SessionGuard,
}
