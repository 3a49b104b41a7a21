//! Accepting connections. Each that comes is accepted, so that a newcomer always has its chance (`admission`); the address is
//! judged before the handshake, and the handshake is done in the connection's own task: the accept loop never waits for a
//! peer.

mod caught;
mod lanes;
mod proxy_header;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::{Admission, Ticket};
use crate::audit::{Draft, SecurityEvent, SecurityKind, SessionContext, SessionCounts, best_effort};
use crate::networks::NetworkAcl;
use crate::session::{self, Accepted, Shared};
use crate::tls::{self, PeerCertificate, ServerTls};
use crate::upstream::Connector;

use caught::caught;
pub use lanes::Lanes;

/// How long nothing is accepted after the system ran out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a listener speaks.
#[derive(Clone, Debug)]
pub enum Transport {
    /// TLS.
    Tls(ServerTls),
    /// Plain text, on loopback or because the policy says so.
    Plaintext,
}

/// One listener, as the policy file describes it.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it speaks.
    pub transport: Transport,
    /// Who may connect.
    pub networks: NetworkAcl,
    /// Proxies, that say in a header of the PROXY protocol whose connection each is.
    pub proxies: Option<NetworkAcl>,
    /// The upstream of its clients.
    pub upstream: String,
}

/// One listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    config: watch::Receiver<Arc<ListenerConfig>>,
    upstream: watch::Receiver<Arc<Connector>>,
    admission: Arc<Admission>,
    lanes: Lanes,
}

/// What a connection needs, cloned for its task.
struct Connection {
    config: Arc<ListenerConfig>,
    upstream: Arc<Connector>,
    shared: Arc<Shared>,
    handshake_timeout: Duration,
    peer: SocketAddr,
    /// The proxy that passes on the peer's connection.
    proxy: Option<SocketAddr>,
    at: Instant,
}

impl Listener {
    /// Will accept at that socket.
    #[must_use]
    pub const fn new(
        socket: TcpListener,
        config: watch::Receiver<Arc<ListenerConfig>>,
        upstream: watch::Receiver<Arc<Connector>>,
        admission: Arc<Admission>,
        lanes: Lanes,
    ) -> Self {
        Self { socket, config, upstream, admission, lanes }
    }

    /// Where it listens, with the real port.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until `stop`, not before the upstream was reached once: there is no banner to greet with.
    pub async fn run(self, shared: Arc<Shared>, sessions: TaskTracker, stop: CancellationToken) {
        let mut banner = self.upstream.borrow().banner();
        tokio::select! {
            () = stop.cancelled() => return,
            reached = banner.wait_for(Option::is_some) => if reached.is_err() { return },
        }
        let mut is_failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    if std::mem::take(&mut is_failing) {
                        tracing::info!("connections are accepted again");
                    }
                    self.spawn(stream, peer, &shared, &sessions);
                }
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    // Told once: it may go on for as long as somebody wants it to.
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!("cannot accept connections: {error}");
                    }
                    // What holds descriptors may be strangers who wait for nothing.
                    self.admission.make_room();
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>, sessions: &TaskTracker) {
        shared.metrics.accepted.add(1);
        // From here on it belongs to the thread that serves it.
        let (Ok(stream), Some(lane)) = (stream.into_std(), self.lanes.pick()) else { return };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let connection = Connection {
            config: self.config.borrow().clone(),
            upstream: self.upstream.borrow().clone(),
            shared: shared.clone(),
            handshake_timeout: self.admission.limits().handshake_timeout,
            peer,
            proxy: None,
            at: Instant::now(),
        };
        if connection.config.proxies.as_ref().is_some_and(|proxies| proxies.allows(peer.ip())) {
            // Who it is, is in a header: until that is read it counts for no address.
            match self.admission.enter(None) {
                Ok(ticket) => sessions.spawn_on(connection.behind_proxy(stream, ticket), lane),
                Err(no_room) => sessions.spawn(connection.refuse(no_room.code())),
            };
            return;
        }
        if !connection.config.networks.allows(peer.ip()) {
            sessions.spawn(connection.refuse("networks.listener"));
            return;
        }
        match self.admission.enter(Some(peer.ip())) {
            Ok(ticket) => {
                let serving = async move {
                    if let Ok(stream) = TcpStream::from_std(stream) {
                        connection.guarded(stream, ticket).await;
                    }
                };
                sessions.spawn_on(serving, lane)
            }
            Err(no_room) => sessions.spawn(connection.refuse(no_room.code())),
        };
    }
}

/// Errors of `accept` that the peer caused (accept(2)): the next connection is not affected.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
    )
}

impl Connection {
    fn context(&self) -> SessionContext {
        SessionContext {
            peer: Some(self.peer),
            proxy: self.proxy,
            listener: self.config.address.to_string(),
            upstream: self.config.upstream.clone(),
            policy: self.shared.snapshot.borrow().digest.clone(),
            ..SessionContext::default()
        }
    }

    /// Serves it once it is known whose connection it is.
    async fn behind_proxy(mut self, stream: std::net::TcpStream, mut ticket: Ticket) {
        let Ok(mut stream) = TcpStream::from_std(stream) else { return };
        match Box::pin(self.learn_peer(&mut stream, &mut ticket)).await {
            Ok(()) => self.guarded(stream, ticket).await,
            Err(Unserved::Shutdown) => {}
            Err(Unserved::Refused(reason)) => {
                drop((stream, ticket));
                Box::pin(self.refuse(reason)).await;
            }
        }
    }

    /// Reads who the peer is before it is judged: until then it counts for no address, so that one client does not keep
    /// out others behind the same proxy.
    async fn learn_peer(&mut self, stream: &mut TcpStream, ticket: &mut Ticket) -> Result<(), Unserved> {
        let mut gives_way = ticket.gives_way();
        let header = tokio::select! {
            biased;
            () = self.shared.shutdown.cancelled() => return Err(Unserved::Shutdown),
            why = gives_way.told() => return Err(Unserved::Refused(why.code())),
            header = timeout_at(self.at + self.handshake_timeout, proxy_header::read(stream)) => header,
        };
        let Ok(header) = header else { return Err(Unserved::Refused("proxy.timeout")) };
        if let Some(client) = header.map_err(|_| Unserved::Refused("proxy.header"))? {
            self.proxy = Some(std::mem::replace(&mut self.peer, client));
        }
        if !self.config.networks.allows(self.peer.ip()) {
            return Err(Unserved::Refused("networks.listener"));
        }
        ticket.count_for(self.peer.ip()).map_err(|no_room| Unserved::Refused(no_room.code()))
    }

    /// A panic in it ends this session alone, and is on record.
    fn guarded(self, stream: TcpStream, ticket: Ticket) -> impl Future<Output = ()> + Send {
        let (context, shared) = (Box::new(self.context()), self.shared.clone());
        let serving = Box::pin(self.serve(stream, ticket));
        async move {
            if caught(serving).await.is_err() {
                Box::pin(record_panic(&context, &shared)).await;
            }
        }
    }

    /// Closes without a byte, on record.
    async fn refuse(self, reason: &'static str) {
        self.shared.metrics.refused.count(reason);
        let listener = self.config.address.to_string();
        let kind = match reason {
            "networks.listener" => Some(SecurityKind::FailedAcl),
            "limits.unauthenticated_per_address" => Some(SecurityKind::SessionLimit),
            // A scan of ports ends so, and a client with an old certificate.
            _ => None,
        };
        if let Some(kind) = kind {
            let event = SecurityEvent { kind, account: None, session: "", listener: &listener, peer: self.peer };
            self.shared.audit.tell_security(&event);
        }
        let draft = Draft::refuse(self.peer, self.proxy, &listener, reason);
        best_effort(self.shared.audit.append_unauthenticated(self.peer.ip(), draft).await);
    }

    /// On the heap each stage by itself, and gone when it is over: a connection may last for months, and what it needs to
    /// come about is more than what it needs then. For the same reason this is no `async fn`: those keep two of each
    /// argument.
    fn serve(self, stream: TcpStream, ticket: Ticket) -> impl Future<Output = ()> + Send {
        let keepalive =
            socket2::TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
        let options =
            socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive).and_then(|()| stream.set_nodelay(true));
        async move {
            if options.is_err() {
                return; // The peer is gone already.
            }
            let shared = self.shared.clone();
            let tls = match &self.config.transport {
                Transport::Plaintext => return session::run(self.accepted(stream, None, ticket), shared).await,
                Transport::Tls(tls) => tls,
            };
            let handshake = Box::pin(self.shake_hands(tls, stream, &ticket)).await;
            let session = match handshake {
                Ok((stream, certificate)) => session::run(self.accepted(stream, certificate, ticket), shared),
                Err(Unserved::Shutdown) => return,
                Err(Unserved::Refused(reason)) => {
                    drop(ticket);
                    if let ("tls.crl-expired", Some(clients)) = (reason, &tls.clients) {
                        clients.tell_expired(&self.config.address.to_string());
                    }
                    return Box::pin(self.refuse(reason)).await;
                }
            };
            session.await;
        }
    }

    async fn shake_hands(
        &self,
        tls: &ServerTls,
        stream: TcpStream,
        ticket: &Ticket,
    ) -> Result<(Box<TlsStream<TcpStream>>, Option<PeerCertificate>), Unserved> {
        let (deadline, mut gives_way) = (self.at + self.handshake_timeout, ticket.gives_way());
        let accepting = tokio_rustls::TlsAcceptor::from(tls.config.clone()).accept(stream);
        let handshake = async {
            match timeout_at(deadline, accepting).await {
                Err(_) => Err("tls.handshake-timeout"),
                Ok(Err(error)) => Err(tls::refusal_of(&error)),
                Ok(Ok(stream)) => Ok(Box::new(stream)),
            }
        };
        let handshake = tokio::select! {
            biased;
            () = self.shared.shutdown.cancelled() => return Err(Unserved::Shutdown),
            why = gives_way.told() => return Err(Unserved::Refused(why.code())),
            handshake = handshake => handshake,
        };
        let stream = handshake.map_err(Unserved::Refused)?;
        let certificate = peer_certificate(&stream).map_err(|()| Unserved::Refused("tls.certificate"))?;
        Ok((stream, certificate))
    }

    fn accepted<S>(self, stream: S, certificate: Option<PeerCertificate>, ticket: Ticket) -> Accepted<S> {
        let listener = self.config.address.to_string();
        Accepted {
            stream,
            peer: self.peer,
            proxy: self.proxy,
            certificate,
            listener,
            upstream: self.upstream,
            at: self.at,
            ticket,
        }
    }
}

async fn record_panic(context: &SessionContext, shared: &Shared) {
    let peer = context.peer.map(|peer| peer.to_string()).unwrap_or_default();
    tracing::error!("a session of {peer} ended by a panic");
    best_effort(shared.audit.append(vec![Draft::end(context, "panic", &SessionCounts::default())]).await);
}

/// Why a connection does not come to a session.
enum Unserved {
    /// The process ends.
    Shutdown,
    /// For that reason.
    Refused(&'static str),
}

fn peer_certificate<S>(stream: &TlsStream<S>) -> Result<Option<PeerCertificate>, ()> {
    let chain = stream.get_ref().1.peer_certificates();
    chain.map(|chain| PeerCertificate::from_chain(chain).map_err(|_| ())).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::{ConnectionLimits, NoRoom};

    fn future_len<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// As for the stages of a session: what was measured, and a tenth more.
    #[test]
    fn what_a_session_is_in_is_small() {
        let (guarded, serve, proxied) =
            (future_len(Connection::guarded), future_len(Connection::serve), future_len(Connection::behind_proxy));
        let lens = format!("{guarded} for a task, {serve} for its connection, {proxied} behind a proxy");
        assert!(guarded <= 80 && serve <= 440 && proxied <= 624, "{lens}");
    }

    #[test]
    fn connections_are_counted_by_address_and_by_ipv6_network() {
        let admission =
            Admission::new(ConnectionLimits { unauthenticated_per_address: 1, ..ConnectionLimits::default() });
        let enter = |address: &str| admission.enter(Some(address.parse().expect("an address"))).expect("room");
        let first = enter("2001:db8::1");
        let (second, _other) = (enter("2001:db8::2"), enter("2001:db8:0:1::1"));
        let full = Some(NoRoom::UnauthenticatedPerAddress);
        assert_eq!((first.gives_way().why(), second.gives_way().why()), (full, None));
        let mapped = enter("::ffff:192.0.2.1");
        let _same = enter("192.0.2.1");
        assert_eq!(mapped.gives_way().why(), full);
    }
}
