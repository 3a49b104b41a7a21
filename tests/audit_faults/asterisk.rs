//! The least that amiwall takes for an Asterisk, and the least of a client. Every action carries a `Mark`, a number by
//! which it is found again: in what Asterisk received, in what the client was answered, and in the log.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

type OnMark = Arc<dyn Fn(u64) + Send + Sync>;

/// Starts one that calls `on_mark` for each marked action, before it answers.
pub(crate) async fn asterisk(on_mark: impl Fn(u64) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let on_mark: OnMark = Arc::new(on_mark);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let on_mark = Arc::clone(&on_mark);
            // A session ends when amiwall ends it, or is killed.
            tokio::spawn(async move { serve(stream, &on_mark).await.ok() });
        }
    });
    address
}

async fn serve(stream: TcpStream, on_mark: &OnMark) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut reader = BufReader::new(read);
    write.write_all(b"Asterisk Call Manager/7.0.3\r\n").await?;
    while let Some(packet) = read_packet(&mut reader).await? {
        let id = header(&packet, "ActionID").map(|id| format!("ActionID: {id}\r\n")).unwrap_or_default();
        if let Some(mark) = header(&packet, "Mark") {
            on_mark(mark.parse().expect("a mark is a number"));
        }
        let answer = match header(&packet, "Action") {
            Some("Login") => format!(
                "Response: Success\r\n{id}Message: Authentication accepted\r\n\r\nEvent: FullyBooted\r\n\
                 Privilege: system,all\r\nUptime: 1\r\nLastReload: 1\r\nStatus: Fully Booted\r\n\r\n"
            ),
            Some("Events") => format!("Response: Success\r\n{id}Events: On\r\n\r\n"),
            Some("CoreShowChannels") => format!(
                "Response: Success\r\n{id}EventList: start\r\nMessage: Channels will follow\r\n\r\n\
                 Event: CoreShowChannelsComplete\r\n{id}EventList: Complete\r\nListItems: 0\r\n\r\n"
            ),
            Some("Ping") => format!("Response: Success\r\n{id}Ping: Pong\r\nTimestamp: 1.000000\r\n\r\n"),
            _ => format!("Response: Success\r\n{id}Message: Event Sent\r\n\r\n"),
        };
        write.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// None when the peer has gone.
async fn read_packet(reader: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Option<String>> {
    let mut packet = String::new();
    loop {
        if reader.read_line(&mut packet).await? == 0 {
            return Ok(None);
        }
        if packet.ends_with("\r\n\r\n") {
            return Ok(Some(packet));
        }
    }
}

pub(crate) fn header<'p>(packet: &'p str, name: &str) -> Option<&'p str> {
    packet.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What a client was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Refused,
}

/// A client that has logged in.
pub(crate) struct Client {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Client {
    /// None if amiwall is gone.
    pub(crate) async fn login(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (read, writer) = stream.into_split();
        let mut client = Self { reader: BufReader::new(read), writer };
        let mut banner = String::new();
        client.reader.read_line(&mut banner).await.ok()?;
        let login = "Action: Login\r\nUsername: client\r\nSecret: s3cret\r\nEvents: off\r\n\r\n";
        client.writer.write_all(login.as_bytes()).await.ok()?;
        let answer = client.packet().await?;
        assert!(answer.contains("Authentication accepted"), "{answer}");
        Some(client)
    }

    /// Sends an action with this mark.
    pub(crate) async fn send(&mut self, mark: u64) -> Option<()> {
        let action = format!("Action: UserEvent\r\nActionID: m{mark}\r\nUserEvent: Try\r\nMark: {mark}\r\n\r\n");
        self.writer.write_all(action.as_bytes()).await.ok()
    }

    /// The next answer to a marked action; none if amiwall is gone.
    pub(crate) async fn answer(&mut self) -> Option<(u64, Answer)> {
        loop {
            let packet = self.packet().await?;
            let Some(mark) = header(&packet, "ActionID").and_then(|id| id.strip_prefix('m')) else { continue };
            let is_done = header(&packet, "Response") == Some("Success");
            let answer = if is_done { Answer::Done } else { Answer::Refused };
            return Some((mark.parse().expect("a mark"), answer));
        }
    }

    /// Sends an action and waits for its answer.
    pub(crate) async fn act(&mut self, mark: u64) -> Option<Answer> {
        self.send(mark).await?;
        let (answered, answer) = self.answer().await?;
        assert_eq!(answered, mark);
        Some(answer)
    }

    async fn packet(&mut self) -> Option<String> {
        read_packet(&mut self.reader).await.ok().flatten()
    }
}
