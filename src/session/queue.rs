//! [`Queue`]: what is on its way to one client, bounded in bytes. Who fills it never waits: Asterisk cuts off a session that
//! is not read for 100 ms, so a client that does not keep up is let go instead.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::ami::Message;
use crate::audit::Frame;
use crate::metrics::Share;
use crate::upstream::Sent;

/// Bytes that may wait for one client.
pub(super) const QUEUE_LEN_MAX: usize = 8 * 1_024 * 1_024;
/// Above this the reader of Asterisk's side gives the client a moment, as long as it keeps reading.
const QUEUE_LEN_HIGH: usize = QUEUE_LEN_MAX / 2;
/// Packets, and bytes, taken out at once, so that one write to the log and one to the client carry many.
const BATCH_MAX: usize = 256;
const BATCH_LEN_MAX: usize = 64 * 1_024;
/// The longest that Asterisk's side is not read: Asterisk cuts a session off after 100 ms.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// A client that has taken nothing for so long does not keep reading.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// One packet for the client.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The packet as the client gets it.
    pub(super) message: Message,
    /// How it is recorded; none for an answer of amiwall's own, which the record of its action tells.
    pub(super) record: Option<OutgoingRecord>,
}

/// Where a packet for the client comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Asterisk.
    Asterisk,
    /// amiwall, in the place of an Asterisk that is gone.
    Amiwall,
    /// Asterisk, and it is recorded and not delivered.
    Withheld,
}

/// What the record of a packet to the client says beside the packet.
#[derive(Debug)]
pub(super) struct OutgoingRecord {
    /// The session, under the policy that judged the packet.
    pub(super) context: Arc<Frame>,
    /// The action that it answers.
    pub(super) sent: Option<Arc<Sent>>,
    /// From the sending of the action to its answer.
    pub(super) latency_us: Option<u64>,
    pub(super) source: Source,
}

impl OutgoingRecord {
    /// Of a packet that answers nothing.
    pub(super) const fn new(context: Arc<Frame>, source: Source) -> Self {
        Self { context, sent: None, latency_us: None, source }
    }

    /// Of an answer to that action.
    pub(super) fn answering(self, sent: Arc<Sent>) -> Self {
        Self { sent: Some(sent), ..self }
    }
}

impl Outgoing {
    pub(super) fn is_from_asterisk(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.source == Source::Asterisk)
    }

    /// Whether it is the response to an action; the events of its list are none.
    pub(super) fn is_answer(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.latency_us.is_some())
    }

    pub(super) fn is_delivered(&self) -> bool {
        self.record.as_ref().is_none_or(|record| record.source != Source::Withheld)
    }
}

/// Events that are held back while a WaitEvent waits for one, bounded as the queue is.
#[derive(Debug, Default)]
pub(super) struct Held {
    packets: Vec<Outgoing>,
    len: usize,
}

impl Held {
    pub(super) fn push(&mut self, outgoing: Outgoing) -> Result<(), QueueFull> {
        self.len += outgoing.message.lines().len();
        self.packets.push(outgoing);
        if self.len > QUEUE_LEN_MAX { Err(QueueFull) } else { Ok(()) }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub(super) fn into_packets(self) -> Vec<Outgoing> {
        self.packets
    }
}

/// The client does not read fast enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueFull;

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Outgoing>,
    len: usize,
    /// A batch was taken out and is not yet written.
    is_writing: bool,
    /// When the client last took a batch, or the first packet began to wait for it.
    progress_at: Option<Instant>,
}

/// A queue with one reader.
#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    filled: Notify,
    drained: Notify,
    /// What waits here, of all that waits.
    share: Share,
}

impl Queue {
    /// An empty one.
    pub(super) fn new(share: Share) -> Self {
        Self { share, ..Self::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a packet at the end. One packet is always taken, however long it is.
    pub(super) fn push(&self, outgoing: Outgoing) -> Result<(), QueueFull> {
        self.push_all([outgoing])
    }

    /// As [`Queue::push`], for packets that have come together.
    pub(super) fn push_all(&self, packets: impl IntoIterator<Item = Outgoing>) -> Result<(), QueueFull> {
        let mut inner = self.lock();
        let is_idle = inner.len == 0 && !inner.is_writing;
        for outgoing in packets {
            let len = outgoing.message.lines().len();
            if inner.len > 0 && inner.len + len > QUEUE_LEN_MAX {
                return Err(QueueFull);
            }
            inner.len += len;
            inner.waiting.push_back(outgoing);
        }
        if inner.len == 0 {
            return Ok(());
        }
        if is_idle {
            inner.progress_at = Some(Instant::now());
        }
        self.share.set(inner.len);
        drop(inner);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes what waits, as soon as there is something. [`Queue::written`] has to follow.
    pub(super) async fn take(&self) -> VecDeque<Outgoing> {
        loop {
            {
                let mut inner = self.lock();
                if !inner.waiting.is_empty() {
                    let (count, len) = batch_of(&inner.waiting);
                    inner.len -= len;
                    self.share.set(inner.len);
                    inner.is_writing = true;
                    if count == inner.waiting.len() {
                        return std::mem::take(&mut inner.waiting);
                    }
                    return inner.waiting.drain(..count).collect();
                }
            }
            self.filled.notified().await;
        }
    }

    /// The batch that was taken has been written.
    pub(super) fn written(&self) {
        let mut inner = self.lock();
        inner.is_writing = false;
        inner.progress_at = Some(Instant::now());
        drop(inner);
        self.drained.notify_waiters();
    }

    /// Gives a client that keeps reading a moment when much waits for it: a long list comes faster from Asterisk than over
    /// a network. Asterisk's side is read again soon enough.
    pub(super) async fn pause(&self) {
        let deadline = Instant::now() + PAUSE_MAX;
        loop {
            let written = self.drained.notified();
            {
                let inner = self.lock();
                let is_stalled = inner.progress_at.is_none_or(|at| at.elapsed() > STALLED_AFTER);
                if inner.len < QUEUE_LEN_HIGH || is_stalled {
                    return;
                }
            }
            if timeout_at(deadline, written).await.is_err() {
                return;
            }
        }
    }

    /// Whether there is so much that [`Queue::pause`] may wait.
    pub(super) fn is_high(&self) -> bool {
        self.lock().len >= QUEUE_LEN_HIGH
    }

    /// How many packets wait, and their bytes.
    pub(super) fn depth(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.waiting.len(), inner.len)
    }

    /// Waits until nothing is on its way.
    pub(super) async fn drained(&self) {
        loop {
            let drained = self.drained.notified();
            {
                let inner = self.lock();
                if inner.waiting.is_empty() && !inner.is_writing {
                    return;
                }
            }
            drained.await;
        }
    }
}

/// How many of the first packets make a batch, and their bytes: one at least.
fn batch_of(waiting: &VecDeque<Outgoing>) -> (usize, usize) {
    let mut sum = 0;
    let lens = waiting.iter().map(|outgoing| outgoing.message.lines().len()).take(BATCH_MAX);
    let fitting = lens.take_while(|len| {
        let is_first = sum == 0;
        let fits = is_first || sum + len <= BATCH_LEN_MAX;
        sum += if fits { *len } else { 0 };
        fits
    });
    let count = fitting.count();
    (count, sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(len: usize) -> Outgoing {
        Outgoing { message: Message::compose(&[("X", &vec![b'x'; len])]), record: None }
    }

    #[tokio::test]
    async fn it_is_bounded_in_bytes_and_takes_one_packet_of_any_length() {
        let queue = Queue::default();
        assert_eq!(queue.push(outgoing(QUEUE_LEN_MAX + 1)), Ok(()));
        assert_eq!(queue.push(outgoing(1)), Err(QueueFull));
        assert_eq!(queue.take().await.len(), 1);
        assert_eq!(queue.push(outgoing(1)), Ok(()));
    }

    #[tokio::test]
    async fn it_is_drained_when_what_was_taken_is_written() {
        let queue = Queue::default();
        queue.push(outgoing(1)).expect("room");
        let batch = queue.take().await;
        let drained = queue.drained();
        tokio::pin!(drained);
        assert!(futures_pending(&mut drained).await, "the batch is not written yet");
        queue.written();
        drained.await;
        drop(batch);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_not_had_a_moment_yet_is_given_one() {
        let queue = Queue::default();
        queue.push(outgoing(QUEUE_LEN_HIGH + 1)).expect("room");
        let begun = Instant::now();
        queue.pause().await;
        assert_eq!(begun.elapsed().as_millis() / 10, PAUSE_MAX.as_millis() / 10);
        tokio::time::advance(STALLED_AFTER + PAUSE_MAX).await;
        let begun = Instant::now();
        queue.pause().await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "it does not keep reading");
    }

    async fn futures_pending(future: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())).await
    }
}
