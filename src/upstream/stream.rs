//! The two sides of a connection with Asterisk, in plain text or over TLS: a closed set of kinds, so that plain text costs
//! what it did before there was TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{UpstreamConfig, UpstreamError};

/// What is read from.
#[derive(Debug)]
pub(super) enum Reading {
    Plain(OwnedReadHalf),
    Tls(ReadHalf<TlsStream<TcpStream>>),
}

/// What is written to. Over TLS, what was written has to be flushed.
#[derive(Debug)]
pub(super) enum Writing {
    Plain(OwnedWriteHalf),
    Tls(WriteHalf<TlsStream<TcpStream>>),
}

/// Makes the two sides of a connection: with TLS, once Asterisk's certificate is verified. There is no other way past this,
/// so that what is to be spoken over TLS is never spoken in plain text.
pub(super) async fn open(stream: TcpStream, config: &UpstreamConfig) -> Result<(Reading, Writing), UpstreamError> {
    let Some(tls) = &config.tls else {
        let (reader, writer) = stream.into_split();
        return Ok((Reading::Plain(reader), Writing::Plain(writer)));
    };
    let connecting = TlsConnector::from(tls.client.config.clone()).connect(tls.name.clone(), stream);
    let stream = connecting.await.map_err(|source| UpstreamError::of_io(config, source))?;
    let (reader, writer) = tokio::io::split(stream);
    Ok((Reading::Tls(reader), Writing::Tls(writer)))
}

impl Writing {
    /// Whether what was written may wait to be flushed.
    pub(super) const fn is_buffered(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl AsyncRead for Reading {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(reader) => Pin::new(reader).poll_read(cx, buffer),
            Self::Tls(reader) => Pin::new(reader).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Writing {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(writer) => Pin::new(writer).poll_write(cx, bytes),
            Self::Tls(writer) => Pin::new(writer).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(writer) => Pin::new(writer).poll_flush(cx),
            Self::Tls(writer) => Pin::new(writer).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(writer) => Pin::new(writer).poll_shutdown(cx),
            Self::Tls(writer) => Pin::new(writer).poll_shutdown(cx),
        }
    }
}
