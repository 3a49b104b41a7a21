//! Accepting connections. There has to be room before one is accepted, the address is judged before the handshake, and the
//! handshake is done in the connection's own task: the accept loop never waits for a peer.

mod proxy_header;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::{Draft, SecurityEvent, SecurityKind, SessionContext, SessionCounts, best_effort};
use crate::networks::NetworkAcl;
use crate::session::{self, Accepted, Shared};
use crate::tls::{self, PeerCertificate, ServerTls};
use crate::upstream::Connector;

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

/// `limits:` of the whole proxy, but for rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once.
    pub connections: u32,
    /// Connections at once from one address (IPv6: /64).
    pub connections_per_address: u32,
    /// From accept to the end of the TLS handshake; the header of a proxy is within that time, too.
    pub handshake_timeout: Duration,
    /// From accept to a successful login.
    pub login_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            connections_per_address: 50,
            handshake_timeout: Duration::from_secs(10),
            login_timeout: Duration::from_secs(30),
        }
    }
}

/// The connections of all listeners, counted.
#[derive(Debug)]
pub struct Connections {
    limits: watch::Sender<ConnectionLimits>,
    counts: Mutex<Counts>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    total: u32,
    by_address: HashMap<IpAddr, u32>,
}

impl Connections {
    /// None yet.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits: watch::Sender::new(limits), counts: Mutex::default(), freed: Notify::new() })
    }

    /// Other limits, at a reload. Connections that are open stay.
    pub fn set_limits(&self, limits: ConnectionLimits) {
        self.limits.send_replace(limits);
        self.freed.notify_waiters();
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            if self.counts().total < self.limits.borrow().connections {
                return;
            }
            freed.await;
        }
    }

    /// Counts a connection, for nobody's address yet.
    fn enter(self: &Arc<Self>) -> ConnectionGuard {
        self.counts().total += 1;
        ConnectionGuard { connections: self.clone(), network: None }
    }
}

/// One IPv6 customer has a /64.
fn address_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

/// One counted connection.
#[derive(Debug)]
struct ConnectionGuard {
    connections: Arc<Connections>,
    network: Option<IpAddr>,
}

impl ConnectionGuard {
    /// Counts it for the address that it is of, unless that has as many as it may.
    fn is_admitted(&mut self, peer: IpAddr) -> bool {
        let network = address_key(peer);
        let mut counts = self.connections.counts();
        let of_address = counts.by_address.entry(network).or_default();
        if *of_address >= self.connections.limits.borrow().connections_per_address {
            return false;
        }
        *of_address += 1;
        self.network = Some(network);
        true
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut counts = self.connections.counts();
        counts.total = counts.total.saturating_sub(1);
        if let Some(network) = self.network
            && let Some(count) = counts.by_address.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&network);
            }
        }
        drop(counts);
        self.connections.freed.notify_one();
    }
}

/// One listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    config: watch::Receiver<Arc<ListenerConfig>>,
    upstream: watch::Receiver<Arc<Connector>>,
    connections: Arc<Connections>,
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
    /// Binds.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn bind(
        config: watch::Receiver<Arc<ListenerConfig>>,
        upstream: watch::Receiver<Arc<Connector>>,
        connections: Arc<Connections>,
    ) -> io::Result<Self> {
        let address = config.borrow().address;
        Ok(Self { socket: TcpListener::bind(address).await?, config, upstream, connections })
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
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.spawn(stream, peer, &shared, &sessions),
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.connections.room().await;
        self.socket.accept().await
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>, sessions: &TaskTracker) {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let connection = Connection {
            config: self.config.borrow().clone(),
            upstream: self.upstream.borrow().clone(),
            shared: shared.clone(),
            handshake_timeout: self.connections.limits.borrow().handshake_timeout,
            peer,
            proxy: None,
            at: Instant::now(),
        };
        let mut guard = self.connections.enter();
        if connection.config.proxies.as_ref().is_some_and(|proxies| proxies.allows(peer.ip())) {
            sessions.spawn(connection.behind_proxy(stream, guard));
            return;
        }
        match connection.admit(&mut guard) {
            Ok(()) => sessions.spawn(connection.guarded(stream, guard)),
            Err(reason) => sessions.spawn(connection.refuse(reason)),
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

    /// Whether its peer may connect, and once more.
    fn admit(&self, guard: &mut ConnectionGuard) -> Result<(), &'static str> {
        if !self.config.networks.allows(self.peer.ip()) {
            return Err("networks.listener");
        }
        if guard.is_admitted(self.peer.ip()) { Ok(()) } else { Err("limits.connections_per_address") }
    }

    /// Reads who the peer is before it is judged: until then it counts for no address, so that one client does not keep
    /// out others behind the same proxy.
    async fn behind_proxy(mut self, mut stream: TcpStream, mut guard: ConnectionGuard) {
        let header = timeout_at(self.at + self.handshake_timeout, proxy_header::read(&mut stream)).await;
        let admitted = match header {
            Err(_) => Err("proxy.timeout"),
            Ok(Err(_)) => Err("proxy.header"),
            Ok(Ok(client)) => {
                if let Some(client) = client {
                    self.proxy = Some(std::mem::replace(&mut self.peer, client));
                }
                self.admit(&mut guard)
            }
        };
        match admitted {
            Ok(()) => self.guarded(stream, guard).await,
            Err(reason) => {
                drop((stream, guard));
                self.refuse(reason).await;
            }
        }
    }

    async fn guarded(self, stream: TcpStream, guard: ConnectionGuard) {
        let (context, shared, peer) = (self.context(), self.shared.clone(), self.peer);
        // A task of its own, so that a panic ends this session alone and is on record.
        let task = tokio::spawn(self.serve(stream));
        if task.await.is_err_and(|error| error.is_panic()) {
            tracing::error!("a session of {peer} ended by a panic");
            best_effort(shared.audit.append(vec![Draft::end(&context, "panic", &SessionCounts::default())]).await);
        }
        drop(guard);
    }

    /// Closes without a byte, on record.
    async fn refuse(self, reason: &'static str) {
        let listener = self.config.address.to_string();
        let kind = match reason {
            "networks.listener" => Some(SecurityKind::FailedAcl),
            "limits.connections_per_address" => Some(SecurityKind::SessionLimit),
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

    async fn serve(self, stream: TcpStream) {
        let keepalive =
            socket2::TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
        let options =
            socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive).and_then(|()| stream.set_nodelay(true));
        if options.is_err() {
            return; // The peer is gone already.
        }
        match &self.config.transport {
            Transport::Plaintext => {
                let shared = self.shared.clone();
                session::run(self.accepted(stream, None), shared).await;
            }
            Transport::Tls(tls) => {
                let acceptor = tokio_rustls::TlsAcceptor::from(tls.config.clone());
                let handshake = timeout_at(self.at + self.handshake_timeout, acceptor.accept(stream)).await;
                let reason = match handshake {
                    Err(_) => "tls.handshake-timeout",
                    Ok(Err(error)) => tls::refusal_of(&error),
                    Ok(Ok(stream)) => match peer_certificate(&stream) {
                        Err(()) => "tls.certificate",
                        Ok(certificate) => {
                            let shared = self.shared.clone();
                            session::run(self.accepted(stream, certificate), shared).await;
                            return;
                        }
                    },
                };
                if let ("tls.crl-expired", Some(clients)) = (reason, &tls.clients) {
                    clients.tell_expired(&self.config.address.to_string());
                }
                self.refuse(reason).await;
            }
        }
    }

    fn accepted<S>(self, stream: S, certificate: Option<PeerCertificate>) -> Accepted<S> {
        let listener = self.config.address.to_string();
        Accepted {
            stream,
            peer: self.peer,
            proxy: self.proxy,
            certificate,
            listener,
            upstream: self.upstream,
            at: self.at,
        }
    }
}

fn peer_certificate<S>(stream: &tokio_rustls::server::TlsStream<S>) -> Result<Option<PeerCertificate>, ()> {
    let chain = stream.get_ref().1.peer_certificates();
    chain.map(|chain| PeerCertificate::from_chain(chain).map_err(|_| ())).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_address_and_by_ipv6_network() {
        let limits = ConnectionLimits { connections_per_address: 2, ..ConnectionLimits::default() };
        let connections = Connections::new(limits);
        let enter = |address: &str| {
            let mut guard = connections.enter();
            guard.is_admitted(address.parse().expect("an address")).then_some(guard)
        };
        let first = enter("2001:db8::1").expect("room");
        let _second = enter("2001:db8::2").expect("room");
        assert!(enter("2001:db8::3").is_none() && enter("2001:db8:0:1::3").is_some());
        let _mapped = (enter("::ffff:192.0.2.1").expect("room"), enter("192.0.2.1").expect("room"));
        assert!(enter("192.0.2.1").is_none());
        drop(first);
        assert!(enter("2001:db8::3").is_some());
        assert_eq!(connections.counts().total, 3);
    }
}
