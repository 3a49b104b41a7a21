//! The stages of a session: the login, then four things at once until one of them ends it, then the farewell.
//!
//! Most clients are idle most of the time, so a session's memory is what it has while it waits. Each stage is on the heap by
//! itself and gone when it is over, and what a stage seldom needs is in a box that is made then.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::client_io::ClientIo;
use super::outbound::ToClient;
use super::queue::Queue;
use super::registry::Tally;
use super::woken::Woken;
use super::{Accepted, Live, LoggedIn, SessionEnd, Shared, inbound, lock, login, outage, watch};
use crate::admission::Ticket;
use crate::audit::{Draft, Frame, SessionContext, SessionCounts, best_effort};
use crate::metrics::Share;
use crate::tls::PeerCertificate;
use crate::upstream::{Correlation, Outlet};

/// Runs one session to its end; the end is on record.
pub fn run<S>(accepted: Accepted<S>, shared: Arc<Shared>) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let logging_in = Box::pin(log_in(accepted, shared.clone()));
    async move {
        let logged_in = logging_in.await;
        if let Some(running) = logged_in.map(|logged_in| Box::pin(run_live(logged_in, shared))) {
            running.await;
        }
    }
}

/// A client that is logged in.
struct Client<S> {
    io: ClientIo<S>,
    logged_in: LoggedIn,
    context: Arc<Frame>,
    certificate: Option<PeerCertificate>,
    /// Kept to the end.
    ticket: Ticket,
}

/// Serves a client until it is logged in. The end of one that is not is on record. No `async fn`: those keep two of each
/// argument.
fn log_in<S>(accepted: Accepted<S>, shared: Arc<Shared>) -> impl Future<Output = Option<Client<S>>> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
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
    let mut pre_auth = login::PreAuth { shared, context, certificate, upstream, is_own_upstream, at, ticket };
    let mut io = ClientIo::new(stream);
    async move {
        match login::run(&mut pre_auth, &mut io).await {
            Ok(logged_in) => {
                let login::PreAuth { context, certificate, ticket, .. } = pre_auth;
                Some(Client { io, logged_in, context: Arc::new(Frame::from(context)), certificate, ticket })
            }
            Err(end) => {
                // In a box of its own: who waits does not need it yet.
                Box::pin(turn_away(pre_auth, io, end)).await;
                None
            }
        }
    }
}

async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(pre_auth: login::PreAuth, mut io: ClientIo<S>, end: SessionEnd) {
    let login::PreAuth { shared, context, ticket, .. } = pre_auth;
    shared.metrics.ended.count(end.code());
    // Who gave way is not waited for, or it would go on holding what somebody else needs.
    if !matches!(end, SessionEnd::GaveWay(_)) {
        io.close().await;
    }
    drop(io);
    drop(ticket);
    if let Some(peer) = context.peer
        && !context.session.is_empty()
    {
        let draft = Draft::end(&context, end.code(), &SessionCounts::default());
        // A session with a name is never only counted.
        best_effort(match &context.identity {
            Some(_) => shared.audit.append(vec![draft]).await.map(|_| ()),
            None => shared.audit.append_unauthenticated(peer.ip(), draft).await.map(|_| ()),
        });
    }
}

/// Serves a client that is logged in, to the end. What its parts need for the whole time is lent to them, for the same
/// reason.
fn run_live<S>(client: Client<S>, shared: Arc<Shared>) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Client { io, logged_in, context, certificate, ticket } = client;
    let LoggedIn { client: name, mask, inlet, outlet, prefix, hold, is_own_upstream, guard } = logged_in;
    let own = shared.snapshot().policy.own_actions(&name).unwrap_or_default();
    let live = Arc::new(Live {
        counts: shared.metrics.identity(name.as_str(), own.into_iter()),
        outstanding: Share::of(shared.metrics.outstanding.clone()),
        queue: Queue::new(Share::of(shared.metrics.queued.clone())),
        shared,
        client: name,
        upstream: context.upstream.clone(),
        is_own_upstream,
        context: Mutex::new(context),
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
    let entered = live.shared.sessions.enter(&live);
    let ((mut reader, writer), outlet) = (io.split(), tokio::sync::Mutex::new(outlet));
    let mut outbound = ToClient::new(writer);
    async move {
        let end = {
            let from_client = pin!(inbound::run(&live, &mut reader, &outlet));
            // Gone before what is judged is given up: who waits for that finds nothing left of the session.
            let mut inlet = Some(inlet);
            let from_upstream = pin!(outage::follow(&live, &mut inlet, &outlet));
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
        drop(reader);
        live.shared.metrics.ended.count(end.code());
        drop(entered);
        if end == SessionEnd::UpstreamLost {
            live.shared.sessions.note_upstream(&live.upstream, Some("the session was lost".to_owned()));
        }
        live.take_leave(end, (&outlet, &mut outbound)).await;
        live.record_end(end, certificate.as_ref()).await;
        drop((guard, outlet, outbound));
        drop(ticket);
    }
}

impl Live {
    /// Closes both sides, at the same time: whichever of them does not read, the end is on record within a second.
    async fn take_leave<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        end: SessionEnd,
        (outlet, outbound): (&tokio::sync::Mutex<Outlet>, &mut ToClient<S>),
    ) {
        let log_off = async {
            let mut outlet = outlet.lock().await;
            // What an administrator has stopped does not go out with the farewell.
            if outlet.is_flushed() || !matches!(end, SessionEnd::KickedByAdmin | SessionEnd::LockedByAdmin) {
                return outlet.log_off().await;
            }
            Ok(())
        };
        drop(tokio::join!(outbound.close(), tokio::time::timeout(Duration::from_secs(1), log_off)));
    }

    async fn record_end(&self, end: SessionEnd, certificate: Option<&PeerCertificate>) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = SessionCounts {
            forwarded: load(&self.forwarded),
            refused: load(&self.refused),
            sent: load(&self.sent),
            unanswered: load(&self.abandoned) + lock(&self.correlation).outstanding() as u64,
        };
        let draft = Draft::end(&self.context(), end.code(), &counts).with_certificate(certificate);
        best_effort(self.shared.audit.append(vec![draft]).await);
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;
    use tokio_rustls::server::TlsStream;

    use super::*;

    type Stream = Box<TlsStream<TcpStream>>;

    fn future_len<A, B, F>(_: impl FnOnce(A, B) -> F) -> usize {
        size_of::<F>()
    }

    /// Of one compiler: what was measured, and a tenth more. Who needs more has a look at what is kept while it waits.
    #[test]
    fn who_waits_costs_little() {
        let (run, stranger, client) =
            (future_len(run::<Stream>), future_len(log_in::<Stream>), future_len(run_live::<Stream>));
        let live = size_of::<Live>();
        let lens =
            format!("{run} with every stage in a box, {stranger} not logged in, {client} logged in, {live} shared");
        assert!(run <= 48 && stranger <= 1_960 && client <= 3_370 && live <= 780, "{lens}");
    }
}
