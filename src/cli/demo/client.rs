//! A client of the demo: TLS, and packets as text.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::Failure;

/// Longer than any answer of the demo takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection.
pub(super) struct Client {
    stream: TlsStream<tokio::net::TcpStream>,
    read: Vec<u8>,
}

/// Connects from an address of this machine; `None` when the connection is closed without a word.
pub(super) async fn connect(
    from: IpAddr,
    to: SocketAddr,
    tls: &Arc<rustls::ClientConfig>,
) -> Result<Option<Client>, Failure> {
    let failed = |error: std::io::Error| Failure::incomplete(format!("a client of the demo cannot connect: {error}"));
    let socket = TcpSocket::new_v4().map_err(failed)?;
    socket.bind(SocketAddr::new(from, 0)).map_err(failed)?;
    let stream = socket.connect(to).await.map_err(failed)?;
    let name =
        rustls::pki_types::ServerName::try_from("localhost").map_err(|error| Failure::incomplete(error.to_string()))?;
    let handshake = timeout(PATIENCE, TlsConnector::from(tls.clone()).connect(name, stream)).await;
    Ok(handshake.ok().and_then(Result::ok).map(|stream| Client { stream, read: Vec::new() }))
}

impl Client {
    /// Sends one packet and gives the next answer, events left out.
    pub(super) async fn ask(&mut self, packet: &str) -> Result<String, Failure> {
        self.send(packet).await?;
        loop {
            let answer = self.packet().await?;
            if !answer.starts_with("Event: ") {
                return Ok(answer);
            }
        }
    }

    pub(super) async fn send(&mut self, packet: &str) -> Result<(), Failure> {
        let bytes = format!("{}\r\n\r\n", packet.trim_end().replace('\n', "\r\n"));
        let sent = self.stream.write_all(bytes.as_bytes()).await;
        sent.map_err(|error| Failure::incomplete(format!("a client of the demo cannot write: {error}")))
    }

    /// The banner.
    pub(super) async fn banner(&mut self) -> Result<String, Failure> {
        self.until("\r\n").await
    }

    /// The next packet.
    pub(super) async fn packet(&mut self) -> Result<String, Failure> {
        self.until("\r\n\r\n").await
    }

    async fn until(&mut self, end: &str) -> Result<String, Failure> {
        loop {
            let found = memchr::memmem::find(&self.read, end.as_bytes());
            if let Some(at) = found {
                let taken: Vec<u8> = self.read.drain(..at + end.len()).collect();
                return Ok(String::from_utf8_lossy(&taken).into_owned());
            }
            let mut buffer = vec![0; 4_096];
            let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await;
            match read {
                Ok(Ok(len)) if len > 0 => self.read.extend_from_slice(buffer.get(..len).unwrap_or_default()),
                Ok(_) => return Err(Failure::incomplete("amiwall closed the connection of a client of the demo")),
                Err(_) => return Err(Failure::incomplete("amiwall did not answer a client of the demo")),
            }
        }
    }
}

/// The value of a header in a packet.
pub(super) fn header<'p>(packet: &'p str, name: &str) -> &'p str {
    let value = |line: &'p str| line.strip_prefix(name)?.strip_prefix(": ");
    packet.lines().find_map(value).unwrap_or_default()
}
