//! One client: a connection to amiwall of its own, and its bytes in both directions.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, copy, sink, split};
use tokio::net::{TcpStream, lookup_host, tcp};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::failure::NotReached;

/// How long one address of the server may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the handshake may take, and how long amiwall may take to greet.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may go on talking to a session that is over, and a server may take to hear that one is.
const LINGER: Duration = Duration::from_secs(5);

/// How often the same failure is told: clients try again every second, for as long as nobody mends it.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// The amiwall at the other end.
pub(super) struct Server {
    /// Its name or address.
    pub(super) host: String,
    /// The port of its listener.
    pub(super) port: u16,
    /// What has to be in its certificate.
    pub(super) name: ServerName<'static>,
    /// Whom to trust, and what to show.
    pub(super) config: Arc<ClientConfig>,
    /// Whether a client certificate is shown.
    pub(super) has_certificate: bool,
    /// What kept the last client out, and when that was told.
    pub(super) told: Mutex<Option<(String, Instant)>>,
}

impl Server {
    /// Says why a client was closed, unless that was said a moment ago.
    fn tell(&self, peer: SocketAddr, why: &NotReached) {
        let why = why.to_string();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_ref().is_some_and(|(last, at)| *last == why && at.elapsed() < TOLD_EVERY) {
            return;
        }
        tracing::error!("{peer}: closed, there is no way to {self}: {why} (told once a minute)");
        *told = Some((why, Instant::now()));
    }

    /// The next failure is news.
    fn forget_failure(&self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// As it is written on the command line.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A connection that amiwall has taken.
struct Opened {
    stream: TlsStream<TcpStream>,
    greeting: Vec<u8>,
}

/// Carries one client until either end closes, or all has to stop. A client is closed at once when amiwall cannot be
/// reached: it tries again then, as it does when Asterisk is down.
pub(super) async fn carry(mut client: TcpStream, peer: SocketAddr, server: &Server, stop: &CancellationToken) {
    let opened = tokio::select! {
        () = stop.cancelled() => return,
        opened = open(server) => opened,
    };
    let Opened { stream, greeting } = match opened {
        Ok(opened) => opened,
        Err(why) => return server.tell(peer, &why),
    };
    server.forget_failure();
    let version = stream.get_ref().1.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
    tracing::info!("{peer}: connected to {server} with {}", version.replace("TLSv1_", "TLS 1."));
    if prepare(&client).is_err() || client.write_all(&greeting).await.is_err() {
        return; // It is gone already.
    }
    let (mut client_in, mut client_out) = client.split();
    let (mut server_in, mut server_out) = split(stream);
    // What it has read from amiwall is in it, so it is never left and begun anew.
    let down = downwards(&mut server_in, &mut client_out);
    tokio::pin!(down);
    let ended = tokio::select! {
        () = stop.cancelled() => None,
        ended = upwards(&mut client_in, &mut server_out) => {
            // One of them is gone. What amiwall said before is still to be read, and amiwall to hear that it is over.
            drop(timeout(LINGER, server_out.shutdown()).await);
            drop(timeout(LINGER, &mut down).await);
            Some(ended)
        }
        ended = &mut down => Some(ended),
    };
    if ended.is_some() {
        // What the client has sent meanwhile is read, so that what it was sent is not lost by a reset.
        drop(timeout(LINGER, copy(&mut client_in, &mut sink())).await);
    }
    match ended {
        None | Some(Ok(())) => tracing::info!("{peer}: ended"),
        Some(Err(error)) => tracing::info!("{peer}: ended: {error}"),
    }
    // Most are closed by now; amiwall hears of the others that nothing is missing.
    drop(timeout(LINGER, server_out.shutdown()).await);
}

/// What the client says. That it has said all does not end it: the answers are still to come.
async fn upwards(client: &mut tcp::ReadHalf<'_>, server: &mut WriteHalf<TlsStream<TcpStream>>) -> io::Result<()> {
    copy(client, server).await?;
    server.shutdown().await?;
    std::future::pending().await
}

/// What amiwall says, to its end.
async fn downwards(server: &mut ReadHalf<TlsStream<TcpStream>>, client: &mut tcp::WriteHalf<'_>) -> io::Result<()> {
    let copied = copy(server, client).await.map(drop);
    // It may be gone.
    drop(client.shutdown().await);
    copied
}

/// Connects, shakes hands, and waits for the greeting: with TLS 1.3 that is when a client learns whether its certificate was
/// taken.
async fn open(server: &Server) -> Result<Opened, NotReached> {
    let stream = connect(server).await?;
    prepare(&stream).map_err(NotReached::Nobody)?;
    let failed = |error: io::Error| NotReached::of_tls(&error, server.has_certificate);
    let handshake = TlsConnector::from(server.config.clone()).connect(server.name.clone(), stream);
    let stream = timeout(ANSWER_TIMEOUT, handshake).await;
    let mut stream = stream.map_err(|_| NotReached::Silent { seconds: ANSWER_TIMEOUT.as_secs() })?.map_err(failed)?;
    let mut greeting = Vec::with_capacity(1_024);
    let read = timeout(ANSWER_TIMEOUT, stream.read_buf(&mut greeting)).await;
    match read.map_err(|_| NotReached::NoGreeting { seconds: ANSWER_TIMEOUT.as_secs() })?.map_err(failed)? {
        0 => Err(NotReached::Closed),
        _ => Ok(Opened { stream, greeting }),
    }
}

/// The first of its addresses that answers.
async fn connect(server: &Server) -> Result<TcpStream, NotReached> {
    let mut last = None;
    for address in lookup_host((server.host.as_str(), server.port)).await.map_err(NotReached::Address)? {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = Some(error),
            Err(_) => last = Some(io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time")),
        }
    }
    Err(last.map_or_else(|| NotReached::Address(io::Error::other("it has none")), NotReached::Nobody))
}

/// No packet waits for the next one, and a peer that is gone without a word is found out.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    let keepalive =
        socket2::TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
    stream.set_nodelay(true)
}
