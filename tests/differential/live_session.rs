//! A session with amiwall or Asterisk, over a socket: blocking, with a deadline for each wait.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Nothing takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of waiting for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Answered,
    Closed,
}

#[derive(Debug)]
pub(crate) struct Session {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Session {
    /// Logs in.
    pub(crate) fn open(address: &str, user: &str, secret: &str, events: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut session = Self { stream, read: Vec::new() };
        let login = format!(
            "Action: Login\r\nActionID: login\r\nUsername: {user}\r\nSecret: {secret}\r\nEvents: {events}\r\n\r\n"
        );
        session.write(login.as_bytes())?;
        let deadline = Instant::now() + PATIENCE;
        while let Some(packet) = session.packet(deadline)? {
            if packet.contains("ActionID: login\r\n") {
                return match packet.contains("Response: Success\r\n") {
                    true => Ok(session),
                    false => Err(io::Error::other(packet)),
                };
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The same socket, to write to it while another thread reads.
    pub(crate) fn writer(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// Sends a stream in pieces and a `Ping` behind it, and reads until that is answered or the session is closed.
    pub(crate) fn attack(&mut self, pieces: &[&[u8]]) -> io::Result<End> {
        let ping: &[u8] = b"\r\n\r\nAction: Ping\r\nActionID: hostile-last\r\n\r\n";
        for piece in pieces.iter().chain([&ping]) {
            match self.write(piece) {
                Err(error) if is_closed(&error) => break,
                result => result?,
            }
        }
        let deadline = Instant::now() + PATIENCE;
        while let Some(packet) = self.packet(deadline)? {
            if packet.contains("ActionID: hostile-last\r\n") && packet.contains("Ping: Pong\r\n") {
                return Ok(End::Answered);
            }
        }
        Ok(End::Closed)
    }

    /// The next packet with its line ends, or none if the session is closed.
    pub(crate) fn packet(&mut self, deadline: Instant) -> io::Result<Option<String>> {
        loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let packet: Vec<u8> = self.read.drain(..at + 4).collect();
                let end = packet.len() - 2;
                // Asterisk's bytes need not be UTF-8; each is a character here, so that none is lost.
                return Ok(Some(packet[..end].iter().copied().map(char::from).collect()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let bytes = self.read.escape_ascii();
                return Err(io::Error::other(format!("neither an answer nor the end came in time, but {bytes}")));
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut buffer = [0; 16_384];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(len) => self.read.extend_from_slice(&buffer[..len]),
                Err(error) if is_closed(&error) => return Ok(None),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}
