//! An Asterisk that costs next to nothing: it answers what the scenarios send, and streams events when it is told to.

use std::error::Error;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval};

use crate::packet::{self, Packets};

/// Bytes of events that are written at once.
const BURST_LEN: usize = 32 * 1024;

/// Serves for ever, each connection in a task of one thread. The port is told on standard output.
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // A peer that goes in the middle is no business of a backend.
            drop(serve(stream).await);
        });
    }
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(b"Asterisk Call Manager/9.0.0\r\n").await?;
    let mut packets = Packets::default();
    let mut answers = Vec::new();
    loop {
        if stream.read_buf(packets.room()).await? == 0 {
            return Ok(());
        }
        while let Some(packet) = packets.next() {
            let action = packet::header(packet, "Action").unwrap_or_default();
            let id = packet::header(packet, "ActionID").unwrap_or_default();
            answer(&mut answers, action, id);
            if action == b"Logoff" {
                return stream.write_all(&answers).await;
            }
            if packet::header(packet, "UserEvent") == Some(b"flood") {
                let number = |name| packet::header(packet, name).and_then(packet::number).unwrap_or_default();
                let (count, rate) = (number("Count"), number("Rate"));
                stream.write_all(&answers).await?;
                answers.clear();
                if rate == 0 { flood(&mut stream, count).await? } else { paced(&mut stream, count, rate).await? }
            }
        }
        stream.write_all(&answers).await?;
        answers.clear();
    }
}

fn answer(out: &mut Vec<u8>, action: &[u8], id: &[u8]) {
    let rest: &[u8] = match action {
        b"Ping" => b"Ping: Pong\r\nTimestamp: 1795226400.123456\r\n",
        b"Login" => b"Message: Authentication accepted\r\n",
        b"Originate" => b"Message: Originate successfully queued\r\n",
        b"Logoff" => b"Message: Thanks for all the fish.\r\n",
        b"UserEvent" => b"Message: Event Sent\r\n",
        _ => b"Message: Done\r\n",
    };
    out.extend_from_slice(if action == b"Logoff" { b"Response: Goodbye\r\n" } else { b"Response: Success\r\n" });
    if !id.is_empty() {
        out.extend_from_slice(b"ActionID: ");
        out.extend_from_slice(id);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(b"\r\n");
}

async fn flood(stream: &mut TcpStream, count: u64) -> std::io::Result<()> {
    let mut out = Vec::with_capacity(BURST_LEN + 1024);
    for seq in 0..count {
        packet::event(&mut out, seq, 0);
        if out.len() >= BURST_LEN || seq + 1 == count {
            stream.write_all(&out).await?;
            out.clear();
        }
    }
    Ok(())
}

/// Each event carries when it was sent, on the clock that all processes of a machine share.
async fn paced(stream: &mut TcpStream, count: u64, rate: u64) -> std::io::Result<()> {
    let mut due = interval(Duration::from_nanos(1_000_000_000 / rate));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut out = Vec::new();
    for seq in 0..count {
        due.tick().await;
        packet::event(&mut out, seq, packet::monotonic_us());
        stream.write_all(&out).await?;
        out.clear();
    }
    Ok(())
}
