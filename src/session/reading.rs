//! What is read from a client, and when: a batch of packets, as many as Asterisk would read; nothing while it is refused too
//! often. Whatever is waited for, it is seen that the client goes.

use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::time::{Instant, sleep};

use super::client_io::ClientReader;
use super::{Live, SessionEnd};
use crate::ami::{Malformed, Message};

/// Packets judged and recorded together.
const BATCH_MAX: usize = 64;
/// Bytes that are read from a client while it has to wait.
const READ_AHEAD_MAX: usize = 64 * 1_024;
/// What a client that has closed its side gets for actions that Asterisk has not answered (an Originate rings for 30 s).
const CLOSED_TIMEOUT: Duration = Duration::from_secs(60);

/// What was read: a message, or what is wrong with it.
pub(super) type Packet = Result<Message, Malformed>;

/// Waits for that. Meanwhile what the client sends is read, so far as there is room, so that its end is seen; a client that
/// has gone gets some time for what is outstanding, since it may only have closed its sending side.
pub(super) async fn read_until<S: AsyncRead + Unpin>(
    reader: &mut ClientReader<S>,
    ready: impl Future<Output = ()>,
) -> Result<(), SessionEnd> {
    tokio::pin!(ready);
    loop {
        let is_closed = reader.is_closed;
        let closed_for_long = async {
            if is_closed {
                sleep(CLOSED_TIMEOUT).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let has_room = !is_closed && reader.decoder.waiting_len() < READ_AHEAD_MAX;
        tokio::select! {
            biased;
            () = &mut ready => return Ok(()),
            () = closed_for_long => return Err(SessionEnd::ClientClosed),
            read = reader.read(), if has_room => if read.is_err() { return Err(SessionEnd::ClientClosed) },
        }
    }
}

/// Reads at least one packet.
pub(super) async fn read_batch<S: AsyncRead + Unpin>(
    live: &Live,
    reader: &mut ClientReader<S>,
) -> Result<Vec<Packet>, SessionEnd> {
    let mut begun: Option<Instant> = None;
    loop {
        // What was read and not judged is as if it had not come.
        if live.stopping.is_cancelled() {
            std::future::pending::<()>().await;
        }
        let mut packets: Vec<Packet> = reader.put_back.drain(..).collect();
        if !packets.is_empty() {
            return Ok(packets);
        }
        while packets.len() < BATCH_MAX
            && let Some(packet) = reader.decoder.next_message()
        {
            let is_last = packet.as_ref().is_ok_and(ends_batch);
            packets.push(packet);
            if is_last {
                break;
            }
        }
        if !packets.is_empty() {
            return Ok(packets);
        }
        if reader.is_closed {
            live.finish_within(CLOSED_TIMEOUT).await;
            return Err(SessionEnd::ClientClosed);
        }
        let time = live.shared.snapshot().packet_timeout;
        let deadline = reader.decoder.is_mid_packet().then(|| *begun.get_or_insert_with(Instant::now) + time);
        let packet_timeout = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = live.stopping.cancelled() => std::future::pending().await,
            // Before what is read: bytes that never stop coming do not put it off.
            () = packet_timeout => return Err(SessionEnd::PacketTimeout),
            read = reader.read() => match read {
                // Whole packets before a half-close are answered, as Asterisk does; an unfinished one is dropped.
                Ok(_) => {}
                Err(_) => return Err(SessionEnd::ClientClosed),
            },
        }
    }
}

/// Whether Asterisk (or amiwall in its place) reads nothing behind this packet until it is over.
fn ends_batch(message: &Message) -> bool {
    let action = message.get("Action").unwrap_or_default();
    let is = |name: &str| action.eq_ignore_ascii_case(name.as_bytes());
    is("WaitEvent") || is("Logoff") || (is("Originate") && !is_async(message))
}

pub(super) fn is_named(message: &Message, name: &str) -> bool {
    message.get("Action").is_some_and(|action| action.eq_ignore_ascii_case(name.as_bytes()))
}

/// manager.c, `action_originate`: `Async` is read by `ast_true`, which knows these words in any letter case.
pub(super) fn is_async(message: &Message) -> bool {
    let is_true = |value: &[u8]| {
        ["yes", "true", "y", "t", "1", "on"].iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
    };
    message.get("Async").is_some_and(is_true)
}

/// Lets a client that is refused too often wait. One that has gone, and left nothing to be judged, has no place to hold.
pub(super) async fn slow_down<S: AsyncRead + Unpin>(
    reader: &mut ClientReader<S>,
    wait: Duration,
) -> Result<(), SessionEnd> {
    if wait.is_zero() {
        return Ok(());
    }
    let over = sleep(wait);
    tokio::pin!(over);
    while !reader.is_closed || reader.has_unjudged() {
        let has_room = !reader.is_closed && reader.decoder.waiting_len() < READ_AHEAD_MAX;
        tokio::select! {
            biased;
            () = &mut over => break,
            read = reader.read(), if has_room => if read.is_err() { return Err(SessionEnd::ClientClosed) },
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::super::client_io::ClientIo;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_slowed_down_and_goes_holds_no_place() {
        let wait = Duration::from_secs(3);
        let (mut client, stream) = tokio::io::duplex(1_024);
        let (mut reader, _writer) = ClientIo::new(stream).split();
        let begun = Instant::now();
        client.write_all(b"Action: Ping\r\n\r\n").await.expect("room");
        slow_down(&mut reader, wait).await.expect("it is there");
        assert_eq!((begun.elapsed().as_secs(), reader.decoder.waiting_len()), (3, 16));
        drop(client);
        // What it has left is judged, and not sooner.
        slow_down(&mut reader, wait).await.expect("it has only closed");
        assert_eq!(begun.elapsed().as_secs(), 6);
        assert!(reader.decoder.next_message().is_some());
        slow_down(&mut reader, wait).await.expect("it has only closed");
        assert_eq!(begun.elapsed().as_secs(), 6);
    }
}
