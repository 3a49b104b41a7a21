//! One TCP session with Asterisk: connect, banner, login with amiwall's own credentials, then an [`Inlet`] to read from and
//! an [`Outlet`] to write to.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::stream::{self, Reading, Writing};
use super::{UpstreamConfig, UpstreamError, UpstreamLogin};
use crate::ami::{Banner, Decoder, EventMask, Message, Reply, ReplyKind};
use crate::audit::Recorded;
use crate::metrics::UpstreamMetrics;
use crate::policy::Permit;

/// From `connect` to the banner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From our Login to its answer: Asterisk takes a second to say no.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Log-ins in flight: Asterisk accepts 50 connections that are not logged in and drops the rest silently (`authlimit`).
const LOGINS_IN_FLIGHT_MAX: usize = 20;
/// Bytes read from Asterisk at once.
const READ_LEN: usize = 16 * 1_024;
thread_local! {
    /// What is read to; an idle session holds none.
    static BUFFER: RefCell<[u8; READ_LEN]> = const { RefCell::new([0; READ_LEN]) };
}

/// A write to Asterisk that takes longer ends the session.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// A peer that does not read may keep TLS from saying that it closes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Packets that may come before the answer to our Login (a busy system sends its first events with it).
const PACKETS_BEFORE_LOGIN_MAX: usize = 10_000;

/// Opens sessions with one Asterisk. Shared by all clients of that upstream.
#[derive(Debug)]
pub struct Connector {
    config: watch::Sender<Arc<UpstreamConfig>>,
    login_slots: Semaphore,
    banner: watch::Sender<Option<Banner>>,
    metrics: Arc<UpstreamMetrics>,
}

impl Connector {
    /// Of that Asterisk, not yet reached.
    #[must_use]
    pub fn new(config: Arc<UpstreamConfig>) -> Self {
        let (config, (banner, _)) = (watch::Sender::new(config), watch::channel(None));
        Self { config, login_slots: Semaphore::new(LOGINS_IN_FLIGHT_MAX), banner, metrics: Arc::default() }
    }

    /// What it was last told to be.
    #[must_use]
    pub fn config(&self) -> Arc<UpstreamConfig> {
        self.config.borrow().clone()
    }

    /// Another address or other accounts, from the next session on.
    pub fn set_config(&self, config: Arc<UpstreamConfig>) {
        self.config.send_replace(config);
    }

    /// The banner, once Asterisk was reached.
    #[must_use]
    pub fn banner(&self) -> watch::Receiver<Option<Banner>> {
        self.banner.subscribe()
    }

    /// What is counted of it.
    #[must_use]
    pub fn metrics(&self) -> &UpstreamMetrics {
        &self.metrics
    }

    /// Connects once, to learn the banner and to try the credentials.
    ///
    /// # Errors
    /// If Asterisk is not there or does not let us in. The banner is learned even when the login fails.
    pub async fn probe(&self) -> Result<(), UpstreamError> {
        let config = self.config();
        let (_inlet, mut outlet) = self.attach(&config.login, EventMask::NONE).await?;
        outlet.log_off().await.map_err(|source| UpstreamError::of_io(&config, source))
    }

    /// Opens a session for a client that is authenticated.
    ///
    /// # Errors
    /// If Asterisk is not there or does not let us in.
    pub async fn attach(&self, login: &UpstreamLogin, mask: EventMask) -> Result<(Inlet, Outlet), UpstreamError> {
        let attached = self.open(login, mask).await;
        match &attached {
            Ok(_) => self.metrics.succeeded(),
            Err(error) => self.metrics.failed(error.kind()),
        }
        attached
    }

    async fn open(&self, login: &UpstreamLogin, mask: EventMask) -> Result<(Inlet, Outlet), UpstreamError> {
        let config = self.config();
        let _slot = self
            .login_slots
            .acquire()
            .await
            .map_err(|_| UpstreamError::of_io(&config, std::io::ErrorKind::Other.into()))?;
        let too_late = |seconds: Duration| UpstreamError::Timeout {
            name: config.name.clone(),
            address: config.address.clone(),
            seconds: seconds.as_secs(),
            is_tls: config.tls.is_some(),
        };
        let stream = timeout(CONNECT_TIMEOUT, connect(&config)).await.map_err(|_| too_late(CONNECT_TIMEOUT))??;
        let opened = timeout(CONNECT_TIMEOUT, stream::open(stream, &config)).await;
        let (reader, writer) = opened.map_err(|_| too_late(CONNECT_TIMEOUT))??;
        let mut inlet = Inlet { reader, decoder: Decoder::upstream(), session: None };
        let banner = timeout(CONNECT_TIMEOUT, read_banner(&mut inlet, &config)).await;
        self.banner.send_replace(Some(banner.map_err(|_| too_late(CONNECT_TIMEOUT))??));
        let mut outlet = Outlet { writer, buffer: Vec::new(), written: 0 };
        let logged_in = timeout(LOGIN_TIMEOUT, log_in(&mut inlet, &mut outlet, login, mask)).await;
        match logged_in.map_err(|_| too_late(LOGIN_TIMEOUT))? {
            Ok(None) => {
                inlet.session = Some(Counted::new(self.metrics.clone()));
                Ok((inlet, outlet))
            }
            Ok(Some(answer)) => {
                let (name, address) = (config.name.clone(), config.address.clone());
                Err(UpstreamError::Login { name, address, username: login.username.clone(), answer })
            }
            Err(source) => Err(UpstreamError::of_io(&config, source)),
        }
    }
}

async fn connect(config: &UpstreamConfig) -> Result<TcpStream, UpstreamError> {
    let stream = TcpStream::connect(&config.address).await.map_err(|source| UpstreamError::of_io(config, source))?;
    let keepalive =
        socket2::TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
    let socket = socket2::SockRef::from(&stream);
    socket
        .set_tcp_keepalive(&keepalive)
        .and_then(|()| stream.set_nodelay(true))
        .map_err(|e| UpstreamError::of_io(config, e))?;
    Ok(stream)
}

/// Reads the one line of the greeting; what has come behind it is for the decoder.
async fn read_banner(inlet: &mut Inlet, config: &UpstreamConfig) -> Result<Banner, UpstreamError> {
    let mut read = Vec::with_capacity(Banner::LEN_MAX + 1);
    let end = loop {
        let end = memchr::memchr(b'\n', &read);
        if let Some(end) = end.or_else(|| (read.len() > Banner::LEN_MAX).then_some(read.len())) {
            break end;
        }
        let outcome = inlet.reader.read_buf(&mut read).await.and_then(|len| match len {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        });
        outcome.map_err(|source| UpstreamError::of_io(config, source))?;
    };
    let (line, behind) = read.split_at(end);
    inlet.decoder.feed(behind.get(1..).unwrap_or_default());
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Banner::parse(line).map_err(|source| UpstreamError::Banner {
        name: config.name.clone(),
        address: config.address.clone(),
        source,
    })
}

/// Logs in; `Some` holds Asterisk's words when it says no.
async fn log_in(
    inlet: &mut Inlet,
    outlet: &mut Outlet,
    login: &UpstreamLogin,
    mask: EventMask,
) -> std::io::Result<Option<String>> {
    let mut packet = Message::new();
    let (username, events) = (login.username.as_bytes(), mask.to_text());
    for (name, value) in [
        ("Action", &b"Login"[..]),
        ("Username", username),
        ("Secret", login.secret.expose()),
        ("Events", events.as_bytes()),
    ] {
        let not_sendable =
            |_| std::io::Error::new(std::io::ErrorKind::InvalidInput, "the account has a control byte in it");
        packet.push(name, value).map_err(not_sendable)?;
    }
    outlet.write(&packet).await?;
    for _ in 0..PACKETS_BEFORE_LOGIN_MAX {
        let Some(reply) = inlet.next().await? else { return Err(std::io::ErrorKind::UnexpectedEof.into()) };
        if reply.kind() == ReplyKind::Response {
            let message = reply.message().get("Message").unwrap_or_default();
            let is_in = reply.name() == b"Success";
            return Ok((!is_in).then(|| String::from_utf8_lossy(message).into_owned()));
        }
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "no answer to the login among the first packets"))
}

/// What comes from Asterisk.
#[derive(Debug)]
pub struct Inlet {
    reader: Reading,
    decoder: Decoder,
    /// None before the login, and when Asterisk has gone.
    session: Option<Counted>,
}

/// A session that is counted as long as it is there.
#[derive(Debug)]
struct Counted(Arc<UpstreamMetrics>);

impl Counted {
    fn new(metrics: Arc<UpstreamMetrics>) -> Self {
        metrics.sessions.add(1);
        Self(metrics)
    }

    /// Asterisk has closed it.
    fn lost(self) {
        let metrics = self.0.clone();
        // Not counted any more: of those that are lost together one is the last.
        drop(self);
        metrics.lost();
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sessions.add(-1);
    }
}

impl Inlet {
    /// The next packet; `None` when Asterisk has closed. An unfinished packet before the end is dropped. Cancel-safe.
    ///
    /// # Errors
    /// If the connection broke, or Asterisk sent what cannot be a packet.
    pub async fn next(&mut self) -> std::io::Result<Option<Reply>> {
        loop {
            // A socket that always has something to read would keep this task from ever giving way.
            tokio::task::consume_budget().await;
            if let Some(reply) = self.decoded()? {
                return Ok(Some(reply));
            }
            let read = self.read_some().await;
            if !matches!(read, Ok(true))
                && let Some(session) = self.session.take()
            {
                session.lost();
            }
            if !read? {
                return Ok(None);
            }
        }
    }

    /// Feeds what has arrived to the decoder; `false` at the end of the stream.
    async fn read_some(&mut self) -> std::io::Result<bool> {
        let (reader, decoder) = (&mut self.reader, &mut self.decoder);
        // Not `try_read`: only this knows that a read which did not fill the buffer has left nothing behind.
        let len = std::future::poll_fn(|cx| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut *reader).poll_read(cx, &mut buffer))?;
                decoder.feed(buffer.filled());
                Poll::Ready(Ok::<_, std::io::Error>(buffer.filled().len()))
            })
        });
        Ok(len.await? > 0)
    }

    /// The next packet among the bytes that were already read.
    ///
    /// # Errors
    /// If Asterisk sent what cannot be a packet.
    pub fn decoded(&mut self) -> std::io::Result<Option<Reply>> {
        let malformed = |_| std::io::Error::new(std::io::ErrorKind::InvalidData, "a packet from Asterisk is too long");
        self.decoder.next_message().transpose().map(|message| message.map(Reply::from)).map_err(malformed)
    }
}

/// What goes to Asterisk.
#[derive(Debug)]
pub struct Outlet {
    writer: Writing,
    /// Packets that are encoded and not yet written, but for the first `written` bytes.
    buffer: Vec<u8>,
    written: usize,
}

impl Outlet {
    /// Encodes an action whose record is durable, under amiwall's own `ActionID`. [`Outlet::flush`] sends it.
    pub fn forward(&mut self, permit: &Recorded<Permit>, id: &str) {
        permit.get().action().encode(id, &mut self.buffer);
    }

    /// Whether all that was encoded is sent.
    #[must_use]
    pub const fn is_flushed(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Sends what was encoded, in one piece. Cancel-safe: a later call goes on where this one was stopped.
    ///
    /// # Errors
    /// If the connection broke, or Asterisk has not read for 30 seconds.
    pub async fn flush(&mut self) -> std::io::Result<()> {
        let deadline = tokio::time::Instant::now() + WRITE_TIMEOUT;
        while let Some(rest) = self.buffer.get(self.written..).filter(|rest| !rest.is_empty()) {
            let written = tokio::time::timeout_at(deadline, self.writer.write(rest)).await;
            match written.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?? {
                0 => return Err(std::io::ErrorKind::WriteZero.into()),
                len => self.written += len,
            }
        }
        if self.writer.is_buffered() {
            let flushed = tokio::time::timeout_at(deadline, self.writer.flush()).await;
            flushed.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        }
        (self.buffer, self.written) = (Vec::new(), 0);
        Ok(())
    }

    /// Sets which events Asterisk sends on this session: amiwall's own action, made of a mask and nothing else.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn set_mask(&mut self, mask: EventMask, id: &str) -> std::io::Result<()> {
        let mask = mask.to_text();
        let packet = [("Action", &b"Events"[..]), ("ActionID", id.as_bytes()), ("EventMask", mask.as_bytes())];
        self.write(&Message::compose(&packet)).await
    }

    /// Asks for all channels: amiwall's own action, without a parameter.
    ///
    /// # Errors
    /// If the connection broke.
    pub(super) async fn list_channels(&mut self, id: &str) -> std::io::Result<()> {
        self.write(&Message::compose(&[("Action", b"CoreShowChannels"), ("ActionID", id.as_bytes())])).await
    }

    /// Ends the session as a client should.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn log_off(&mut self) -> std::io::Result<()> {
        self.write(&Message::compose(&[("Action", b"Logoff")])).await
    }

    /// Closes this side; what is not sent yet is lost.
    pub async fn close(&mut self) {
        drop(timeout(CLOSE_TIMEOUT, self.writer.shutdown()).await);
    }

    async fn write(&mut self, message: &Message) -> std::io::Result<()> {
        message.encode(&mut self.buffer);
        self.flush().await
    }
}
