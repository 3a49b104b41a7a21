//! The hub: the enforcement point, and the only module that sees both sides.
//!
//! A session is one task. Its way is login (`login.rs`), then four things at once until one of them ends it: client to
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
mod watch;
mod woken;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::admission::{HashSlots, NoRoom, Ticket};
use crate::ami::{EventMask, Message};
use crate::audit::{Audit, Draft, Frame, SessionContext, SessionCounts, best_effort};
use crate::identity::{ClientName, LoginMemory, SessionGuard};
use crate::metrics::{IdentityMetrics, Metrics, Share};
use crate::policy::Buckets;
use crate::tls::PeerCertificate;
use crate::upstream::{ActionIds, Connector, Correlation, IdPrefix, Inlet, Outlet, TlsFault};

pub use counts::metrics;
pub use registry::{Recent, SessionInfo, Sessions};
pub use snapshot::{Entrance, Snapshot};

use client_io::ClientIo;
use queue::{Held, Outgoing, Queue, QueueFull};
use registry::Tally;
use woken::Woken;

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

/// Runs one session to its end; the end is on record.
pub async fn run<S: AsyncRead + AsyncWrite + Unpin + Send>(accepted: Accepted<S>, shared: Arc<Shared>) {
    let Accepted { stream, peer, proxy, certificate, listener, upstream, at, ticket } = accepted;
    let context = SessionContext {
        peer: Some(peer),
        proxy,
        listener,
        upstream: upstream.config().name.clone(),
        policy: shared.snapshot().digest.clone(),
        ..SessionContext::default()
    };
    let is_own_upstream = false;
    let mut pre_auth = login::PreAuth { shared: &shared, context, certificate, upstream, is_own_upstream, at, ticket };
    let mut client = ClientIo::new(stream);
    let outcome = login::run(&mut pre_auth, &mut client).await;
    // The ticket is kept to the end.
    let login::PreAuth { context, certificate, ticket, .. } = pre_auth;
    match outcome {
        Ok(logged_in) => {
            Box::pin(run_live(client, logged_in, Arc::new(Frame::from(context)), certificate, &shared)).await;
            drop(ticket);
        }
        Err(end) => {
            shared.metrics.ended.count(end.code());
            // Who gave way is not waited for, or it would go on holding what somebody else needs.
            if !matches!(end, SessionEnd::GaveWay(_)) {
                client.close().await;
            }
            drop(client);
            drop(ticket);
            if !context.session.is_empty() {
                let draft = Draft::end(&context, end.code(), &SessionCounts::default());
                // A session with a name is never only counted.
                best_effort(match &context.identity {
                    Some(_) => shared.audit.append(vec![draft]).await.map(|_| ()),
                    None => shared.audit.append_unauthenticated(peer.ip(), draft).await.map(|_| ()),
                });
            }
        }
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

async fn run_live<S: AsyncRead + AsyncWrite + Unpin + Send>(
    client: ClientIo<S>,
    logged_in: LoggedIn,
    context: Arc<Frame>,
    certificate: Option<PeerCertificate>,
    shared: &Arc<Shared>,
) {
    let LoggedIn { client: name, mask, inlet, outlet, prefix, hold, is_own_upstream, guard } = logged_in;
    let own = shared.snapshot().policy.own_actions(&name).unwrap_or_default();
    let live = Arc::new(Live {
        counts: shared.metrics.identity(name.as_str(), own.into_iter()),
        outstanding: Share::of(shared.metrics.outstanding.clone()),
        shared: shared.clone(),
        client: name,
        upstream: context.upstream.clone(),
        is_own_upstream,
        context: Mutex::new(context),
        queue: Queue::new(Share::of(shared.metrics.queued.clone())),
        correlation: Mutex::new(Correlation::new(prefix)),
        progress: Notify::new(),
        mask: Mutex::new(mask),
        subscribed: Mutex::new(mask),
        held: Mutex::new(None),
        event_held: Notify::new(),
        stopping: CancellationToken::new(),
        batch: AtomicU64::new(0),
        actions: AtomicU64::new(0),
        forwarded: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        sent: AtomicU64::new(0),
        abandoned: AtomicU64::new(0),
        hold,
        is_away: AtomicBool::new(false),
        went_away: Notify::new(),
        tally: Tally::default(),
    });
    let entered = shared.sessions.enter(&live);
    let ((reader, writer), outlet) = (client.split(), tokio::sync::Mutex::new(outlet));
    let mut outbound = outbound::ToClient::new(writer);
    let end = {
        let from_client = pin!(inbound::run(&live, reader, &outlet));
        let from_upstream = pin!(outage::follow(&live, inlet, &outlet));
        let to_client = pin!(outbound.run(&live));
        let watch = pin!(watch::watch_over(&live, certificate.as_ref(), &outlet));
        // Who has to go sends nothing more in this turn; what is queued by the two sides is written in it.
        tokio::select! {
            biased;
            end = Woken::new(watch) => end,
            end = Woken::new(from_upstream) => end,
            end = Woken::new(from_client) => end,
            end = Woken::new(to_client) => end,
        }
    };
    shared.metrics.ended.count(end.code());
    drop(entered);
    if end == SessionEnd::UpstreamLost {
        shared.sessions.note_upstream(&live.upstream, Some("the session was lost".to_owned()));
    }
    // Both at once: whichever of them does not read, the end is on record within a second.
    let log_off = async {
        let mut outlet = outlet.lock().await;
        // What an administrator has stopped does not go out with the farewell.
        if outlet.is_flushed() || !matches!(end, SessionEnd::KickedByAdmin | SessionEnd::LockedByAdmin) {
            return outlet.log_off().await;
        }
        Ok(())
    };
    drop(tokio::join!(outbound.close(), tokio::time::timeout(Duration::from_secs(1), log_off)));
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counts = SessionCounts {
        forwarded: load(&live.forwarded),
        refused: load(&live.refused),
        sent: load(&live.sent),
        unanswered: load(&live.abandoned) + lock(&live.correlation).outstanding() as u64,
    };
    let draft = Draft::end(&live.context(), end.code(), &counts).with_certificate(certificate.as_ref());
    best_effort(shared.audit.append(vec![draft]).await);
    drop(guard);
}
