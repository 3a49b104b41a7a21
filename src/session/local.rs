//! What amiwall answers itself, with Asterisk's own words and semantics: refusals, `Events`, `WaitEvent`, `Challenge`,
//! `Login` on a session that is logged in, `Logoff`. None of these packets reaches Asterisk.

use std::time::{Duration, Instant};

use tokio::io::AsyncRead;
use tokio::sync::Mutex;

use super::client_io::ClientReader;
use super::queue::{Held, Outgoing, QueueFull};
use super::{Live, SessionEnd, lock};
use crate::ami::{Action, EventMask, Message, Violation};
use crate::policy::{Denial, Reason};
use crate::upstream::{Outlet, Sent};

/// `Response: Success`, the client's `ActionID`, and more headers.
pub(super) fn success(id: Option<&[u8]>, headers: &[(&str, &[u8])]) -> Message {
    answer("Success", id, headers)
}

/// `Response: Error`, the client's `ActionID`, and why.
pub(super) fn error(id: Option<&[u8]>, message: &str) -> Message {
    answer("Error", id, &[("Message", message.as_bytes())])
}

/// The answer to a refused packet.
pub(super) fn refusal(denial: &Denial) -> Message {
    error(denial.action_id(), denial.message())
}

/// manager.c, `action_logoff`.
pub(super) fn goodbye(id: Option<&[u8]>) -> Message {
    answer("Goodbye", id, &[("Message", b"Thanks for all the fish.")])
}

fn answer(response: &str, id: Option<&[u8]>, headers: &[(&str, &[u8])]) -> Message {
    let mut message = Message::compose(&[("Response", response.as_bytes())]);
    if let Some(id) = id {
        message.push_lossy("ActionID", id);
    }
    for (name, value) in headers {
        message.push_lossy(name, value);
    }
    message
}

/// Whether a browser was made to talk to us: such a connection is closed.
pub(super) fn is_http(denial: &Denial) -> bool {
    *denial.reason() == Reason::Message(Violation::Http.code())
}

/// `Events`: what the client wishes to see from now on (manager.c, `action_events`).
pub(super) fn events(live: &Live, action: &Action) -> Result<(), QueueFull> {
    let answer = match EventMask::parse(action.get("EventMask").unwrap_or_default()) {
        Err(_) => error(action.id(), "Invalid event mask"),
        Ok(mask) => {
            *lock(&live.mask) = mask;
            success(action.id(), &[("Events", if mask.is_none() { b"Off" } else { b"On" })])
        }
    };
    live.answer(answer)
}

/// Tells Asterisk which events this session needs: the client's wish within what its roles may see.
pub(super) async fn subscribe(live: &Live, outlet: &Mutex<Outlet>) -> std::io::Result<()> {
    let mut outlet = outlet.lock().await;
    if live.is_away() {
        // It is told when it is back.
        return Ok(());
    }
    let mask = live.subscription();
    let id = lock(&live.correlation).send(Sent {
        record_id: String::new(),
        client_id: None,
        key: "events".to_owned(),
        is_blocking: false,
        is_unanswered: false,
        is_own: true,
        read_at: Instant::now(),
        at: Instant::now(),
    });
    let told = outlet.set_mask(mask, &id).await;
    if told.is_err() && live.goes_away() { Ok(()) } else { told }
}

/// `WaitEvent`: holds events back until there is one, the time is over, or the client sends more; then gives the answer,
/// the events, and the end (manager.c, `action_waitevent`). Of what the client has sent, `seen` bytes were there before.
pub(super) async fn wait_event<S: AsyncRead + Unpin>(
    live: &Live,
    reader: &mut ClientReader<S>,
    (action, seen): (&Action, usize),
) -> Result<(), SessionEnd> {
    let has_sent_more = reader.decoder.waiting_len() > seen;
    let time_is_over = async {
        match wait_time(action.get("Timeout").unwrap_or(b"-1")) {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let mut is_broken = false;
    tokio::select! {
        () = std::future::ready(()), if has_sent_more => {}
        () = an_event(live) => {}
        () = time_is_over => {}
        () = live.stopping.cancelled() => {}
        // Who has only closed its side gets answers to what it sent before, behind this one.
        read = reader.read() => is_broken = read.is_err(),
    }
    let held = lock(&live.held).take().unwrap_or_default().into_packets();
    let local = |message| Outgoing { message, record: None };
    let first = local(success(action.id(), &[("Message", b"Waiting for Event completed.")]));
    let mut end = Message::compose(&[("Event", b"WaitEventComplete")]);
    if let Some(id) = action.id() {
        end.push_lossy("ActionID", id);
    }
    for outgoing in std::iter::once(first).chain(held).chain([local(end)]) {
        live.queue.push(outgoing).map_err(|QueueFull| SessionEnd::SlowClient)?;
    }
    if is_broken {
        live.finish().await;
        return Err(SessionEnd::ClientClosed);
    }
    Ok(())
}

/// From here on events are held back: a WaitEvent was read, and is yet to be recorded and answered.
pub(super) fn hold(live: &Live) {
    *lock(&live.held) = Some(Held::default());
}

/// Lets go what is held back for a WaitEvent that was refused.
pub(super) fn release(live: &Live) -> Result<(), SessionEnd> {
    let held = lock(&live.held).take().unwrap_or_default().into_packets();
    held.into_iter().try_for_each(|outgoing| live.queue.push(outgoing)).map_err(|QueueFull| SessionEnd::SlowClient)
}

/// Waits until an event is held back. A notification may be left over from an earlier WaitEvent, so the events count.
async fn an_event(live: &Live) {
    while lock(&live.held).as_ref().is_none_or(Held::is_empty) {
        live.event_held.notified().await;
    }
}

/// How long to wait; `None` is forever. Read as `%i` reads it: decimal, `0x` hexadecimal, `0` octal; what is no number is
/// as if absent, which is forever, as is anything below 0.
fn wait_time(text: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (radix, digits) = match (text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")), text.strip_prefix('0')) {
        (Some(hex), _) => (16, hex),
        (None, Some(octal)) if !octal.is_empty() => (8, octal),
        (None, _) => (10, text),
    };
    let len = digits.bytes().take_while(|digit| char::from(*digit).is_digit(radix)).count();
    let value = digits.get(..len).and_then(|digits| u32::from_str_radix(digits, radix).ok())?;
    (!is_negative).then(|| Duration::from_secs(value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_times_are_read_as_asterisk_reads_them() {
        let seconds = |text: &str| wait_time(text.as_bytes()).map(|time| time.as_secs());
        assert_eq!(seconds("5"), Some(5));
        assert_eq!(seconds("0x10"), Some(16));
        assert_eq!(seconds("010"), Some(8));
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("7x"), Some(7));
        assert_eq!((seconds("-1"), seconds("-5"), seconds(""), seconds("x")), (None, None, None, None));
    }
}
