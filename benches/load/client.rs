//! A client that checks all that it gets while it measures.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::packet::{self, Packets};

pub(crate) type Failure = Box<dyn Error>;

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// Where and how to connect.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) port: u16,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

/// TLS as the table in `docs/performance.md` says: 1.3, AES-256-GCM, X25519, no resumption.
pub(crate) fn tls(ca: &std::path::Path) -> Result<Arc<rustls::ClientConfig>, Failure> {
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384];
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca)?)?;
    let builder = rustls::ClientConfig::builder_with_provider(provider.into());
    let mut config =
        builder.with_protocol_versions(&[&rustls::version::TLS13])?.with_root_certificates(roots).with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config.into())
}

pub(crate) struct Client {
    stream: Box<dyn Stream>,
    packets: Packets,
}

impl Client {
    /// Connects, takes the banner and logs in.
    pub(crate) async fn log_in(target: &Target) -> Result<Self, Failure> {
        Self::log_in_as("bench", target).await
    }

    /// As [`Client::log_in`], as another identity: all have the same secret.
    pub(crate) async fn log_in_as(name: &str, target: &Target) -> Result<Self, Failure> {
        let mut client = Self::connect(target).await?;
        let login = format!("Action: Login\r\nUsername: {name}\r\nSecret: bench-secret\r\nActionID: in\r\n\r\n");
        client.send(login.as_bytes()).await?;
        client.answer(b"in").await?;
        Ok(client)
    }

    /// Connects and takes the banner.
    pub(crate) async fn connect(target: &Target) -> Result<Self, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", target.port)).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &target.tls {
            None => Box::new(stream),
            Some(config) => {
                let connector = tokio_rustls::TlsConnector::from(config.clone());
                Box::new(connector.connect("localhost".try_into()?, stream).await?)
            }
        };
        let mut client = Self { stream, packets: Packets::default() };
        loop {
            if let Some(line) = client.packets.line() {
                return if line.starts_with(b"Asterisk Call Manager/") { Ok(client) } else { Err("no banner".into()) };
            }
            client.read().await?;
        }
    }

    pub(crate) async fn log_off(mut self) -> Result<(), Failure> {
        self.send(b"Action: Logoff\r\nActionID: out\r\n\r\n").await?;
        self.answer(b"out").await?;
        Ok(())
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// The next packet. Whoever stops waiting for it loses nothing.
    pub(crate) async fn packet(&mut self) -> Result<Vec<u8>, Failure> {
        loop {
            if let Some(packet) = self.packets.next() {
                return Ok(packet.to_vec());
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Failure> {
        if self.stream.read_buf(self.packets.room()).await? == 0 {
            return Err("the connection was closed".into());
        }
        Ok(())
    }

    /// The next answer has to be this one, and a good one. Events before it are not looked at.
    async fn answer(&mut self, id: &[u8]) -> Result<(), Failure> {
        loop {
            while let Some(packet) = self.packets.next() {
                if packet.starts_with(b"Event: ") {
                    continue;
                }
                let is_good = packet.starts_with(b"Response: Success") || packet.starts_with(b"Response: Goodbye");
                if !is_good || packet::header(packet, "ActionID") != Some(id) {
                    return Err(format!("not the answer to {}: {}", text(id), text(packet)).into());
                }
                return Ok(());
            }
            self.read().await?;
        }
    }

    /// Sends `count` actions, so many of them outstanding; gives how long each took if `latencies` are wanted.
    pub(crate) async fn drive(
        &mut self,
        action: &str,
        outstanding: u64,
        count: u64,
        latencies: &mut Option<Vec<f64>>,
    ) -> Result<(), Failure> {
        let (mut sent, mut answered) = (0, 0);
        let mut out = Vec::new();
        while answered < count {
            // Half of the window at once, as a pipelining client does it.
            if sent < count && sent - answered <= outstanding / 2 {
                while sent < count && sent - answered < outstanding {
                    drop(write!(out, "{action}ActionID: a{sent}\r\n\r\n"));
                    sent += 1;
                }
                let at = Instant::now();
                self.send(&out).await?;
                out.clear();
                if let Some(latencies) = latencies {
                    self.answer(format!("a{answered}").as_bytes()).await?;
                    latencies.push(at.elapsed().as_secs_f64() * 1e6);
                    answered += 1;
                    continue;
                }
            }
            self.answer(format!("a{answered}").as_bytes()).await?;
            answered += 1;
        }
        Ok(())
    }

    /// Takes `count` events, each of which has to be the next one. Gives their bytes, and their delays if they say when
    /// they were sent.
    pub(crate) async fn take_events(&mut self, count: u64) -> Result<(u64, Vec<f64>), Failure> {
        let (mut next, mut len) = (0, 0);
        let mut delays = Vec::new();
        while next < count {
            while let Some(packet) = self.packets.next() {
                if !packet.starts_with(b"Event: ") {
                    continue;
                }
                len += u64::try_from(packet.len())? + 2;
                let uniqueid = packet::header(packet, "Uniqueid").and_then(|id| id.strip_prefix(b"1795226400."));
                if uniqueid.and_then(packet::number) != Some(next) {
                    return Err(format!("not event {next}: {}", text(packet)).into());
                }
                let sent = packet::header(packet, "AccountCode").and_then(packet::number).unwrap_or_default();
                if sent > 0 {
                    #[expect(clippy::cast_precision_loss, reason = "microseconds of a run are few")]
                    delays.push(packet::monotonic_us().saturating_sub(sent) as f64);
                }
                next += 1;
            }
            if next < count {
                self.read().await?;
            }
        }
        Ok((len, delays))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
