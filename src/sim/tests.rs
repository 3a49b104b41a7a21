//! Real sockets; what is expected is what Asterisk 22.10.1 was recorded to answer (the letters and numbers are those of
//! the recorded dialogues), with times and serial numbers replaced.

mod calls;
mod control;
mod protocol;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Sim, SimConfig, SimHandle};

/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running Asterisk, stopped when it goes out of scope.
struct Pbx {
    address: SocketAddr,
    sim: SimHandle,
    _stop: DropGuard,
}

/// Fast, and named as the recorded one.
fn config() -> SimConfig {
    SimConfig {
        system_name: Some("lab".to_owned()),
        login_failure_delay: Duration::ZERO,
        call_length: Duration::ZERO,
        ..SimConfig::with_secret(b"pw")
    }
}

async fn start(config: SimConfig) -> Pbx {
    let sim = Sim::bind("127.0.0.1:0", config).await.expect("a port");
    let (address, handle, shutdown) = (sim.local_addr(), sim.handle(), CancellationToken::new());
    tokio::spawn(sim.run(shutdown.clone()));
    Pbx { address, sim: handle, _stop: shutdown.drop_guard() }
}

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Pbx {
    /// A connection whose banner was read.
    async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        let mut client = Client { stream, buffer: Vec::new() };
        assert_eq!(client.line().await, "Asterisk Call Manager/11.0.0");
        client
    }

    async fn login(&self, user: &str, events: &str) -> Client {
        let mut client = self.connect().await;
        let answer = client.ask(&format!("Action: Login\r\nUsername: {user}\r\nSecret: pw\r\nEvents: {events}")).await;
        assert_eq!(answer, "Response: Success\r\nMessage: Authentication accepted\r\n\r\n");
        client
    }
}

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("written");
    }

    /// Sends one packet and reads one.
    async fn ask(&mut self, packet: &str) -> String {
        self.send(format!("{packet}\r\n\r\n")).await;
        self.packet().await
    }

    async fn until(&mut self, delimiter: &[u8]) -> Vec<u8> {
        loop {
            let found = self.buffer.windows(delimiter.len()).position(|window| window == delimiter);
            if let Some(at) = found {
                return self.buffer.drain(..at + delimiter.len()).collect();
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
            let read = read.unwrap_or_else(|_| panic!("nothing more after {}", self.buffer.escape_ascii()));
            assert_ne!(read.expect("bytes"), 0, "closed after {}", self.buffer.escape_ascii());
        }
    }

    async fn line(&mut self) -> String {
        String::from_utf8_lossy(&self.until(b"\r\n").await).trim_end().to_owned()
    }

    async fn packet(&mut self) -> String {
        String::from_utf8_lossy(&self.until(b"\r\n\r\n").await).into_owned()
    }

    /// The next packet that begins with this line, and the first lines of those before it.
    async fn packet_named(&mut self, first: &str) -> String {
        loop {
            let packet = self.packet().await;
            if packet.starts_with(&format!("{first}\r\n")) {
                return packet;
            }
        }
    }

    /// All that comes until the other side closes.
    async fn rest(&mut self) -> String {
        // A reset ends it as well as a proper end does.
        drop(tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut self.buffer)).await.expect("an end"));
        String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned()
    }
}

/// `answer` with the digits behind `header` replaced by `#`.
fn masked(answer: &str, headers: &[&str]) -> String {
    let mask = |line: &str| match line.split_once(": ") {
        Some((name, value)) if headers.contains(&name) => {
            let value: String = value.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
            format!("{name}: {}", value.replace("##", "#").replace("##", "#").replace("##", "#").replace("##", "#"))
        }
        _ => line.to_owned(),
    };
    answer.split("\r\n").map(mask).collect::<Vec<_>>().join("\r\n")
}
