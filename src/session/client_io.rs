//! The client's stream: read into a decoder without holding a buffer while idle, write under a deadline.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::reading::Packet;
use crate::ami::{Decoder, Limits};

/// Bytes read from a client at once.
const READ_LEN: usize = 4 * 1_024;
/// Bytes that are read before login, in all: some logins are tried with less than 4 KiB each.
const LOGIN_BYTES_MAX: usize = 64 * 1_024;
thread_local! {
    static BUFFER: RefCell<[u8; READ_LEN]> = const { RefCell::new([0; READ_LEN]) };
}

/// A write to a client that takes longer ends its session.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a close may take (a TLS close_notify to a peer that does not read).
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The stream and its decoder before login, when only one side speaks at a time.
#[derive(Debug)]
pub(super) struct ClientIo<S> {
    stream: S,
    pub(super) decoder: Decoder,
    /// Bytes read so far.
    taken: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ClientIo<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, decoder: Decoder::client(Limits::LOGIN), taken: 0 }
    }

    /// Feeds what has arrived to the decoder; `false` at the end of the stream. Cancel-safe.
    pub(super) async fn read(&mut self) -> io::Result<bool> {
        let len = read(&mut self.stream, &mut self.decoder).await?;
        self.taken += len;
        Ok(len > 0)
    }

    /// Whether the peer has sent more than anybody needs to log in.
    pub(super) const fn has_said_enough(&self) -> bool {
        self.taken > LOGIN_BYTES_MAX
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        write(&mut self.stream, bytes).await
    }

    pub(super) async fn close(&mut self) {
        close(&mut self.stream).await;
    }

    /// After login both sides speak when they like.
    pub(super) fn split(self) -> (ClientReader<S>, ClientWriter<S>) {
        let (reader, writer) = tokio::io::split(self.stream);
        let mut decoder = self.decoder;
        decoder.set_limits(Limits::CLIENT);
        let taken = self.taken as u64;
        let reader = ClientReader { reader, decoder, put_back: VecDeque::new(), is_closed: false, taken };
        (reader, ClientWriter { writer })
    }
}

/// The reading side.
#[derive(Debug)]
pub(super) struct ClientReader<S> {
    reader: ReadHalf<S>,
    pub(super) decoder: Decoder,
    /// Packets that were taken from the decoder and are to be judged later.
    pub(super) put_back: VecDeque<Packet>,
    /// The client has closed its side. What it sent before is still served.
    pub(super) is_closed: bool,
    /// Bytes read so far.
    pub(super) taken: u64,
}

impl<S: AsyncRead + Unpin> ClientReader<S> {
    /// As [`ClientIo::read`].
    pub(super) async fn read(&mut self) -> io::Result<bool> {
        let len = read(&mut self.reader, &mut self.decoder).await?;
        self.taken += len as u64;
        self.is_closed = len == 0;
        Ok(len > 0)
    }

    /// Whether something was read that is not judged yet.
    pub(super) fn has_unjudged(&self) -> bool {
        !self.put_back.is_empty() || self.decoder.waiting_len() > 0
    }
}

/// The writing side.
#[derive(Debug)]
pub(super) struct ClientWriter<S> {
    writer: WriteHalf<S>,
}

impl<S: AsyncWrite + Unpin> ClientWriter<S> {
    /// Writes all of it, or fails after [`WRITE_TIMEOUT`].
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        write(&mut self.writer, bytes).await
    }

    pub(super) async fn close(&mut self) {
        close(&mut self.writer).await;
    }
}

async fn read<R: AsyncRead + Unpin>(reader: &mut R, decoder: &mut Decoder) -> io::Result<usize> {
    std::future::poll_fn(|cx| {
        // Of the thread: an idle session holds no buffer.
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            match Pin::new(&mut *reader).poll_read(cx, &mut buffer) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {
                    decoder.feed(buffer.filled());
                    Poll::Ready(Ok(buffer.filled().len()))
                }
            }
        })
    })
    .await
}

async fn write<W: AsyncWrite + Unpin>(writer: &mut W, bytes: &[u8]) -> io::Result<()> {
    let all = async {
        writer.write_all(bytes).await?;
        writer.flush().await
    };
    timeout(WRITE_TIMEOUT, all).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn close<W: AsyncWrite + Unpin>(writer: &mut W) {
    let outcome = timeout(CLOSE_TIMEOUT, writer.shutdown()).await;
    drop(outcome);
}
