//! [`Queue`]: what is on its way to one client, bounded in bytes. Who fills it never waits: Asterisk cuts off a session that
//! is not read for 100 ms, so a client that does not keep up is let go instead.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::ami::Message;

/// Bytes that may wait for one client.
pub(super) const QUEUE_LEN_MAX: usize = 8 * 1_024 * 1_024;
/// Packets taken out at once, so that one write to the log and one to the client carry many.
const BATCH_MAX: usize = 256;

/// One packet for the client.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The packet as the client gets it.
    pub(super) message: Message,
    /// How it is recorded; none for an answer of amiwall's own, which the record of its action tells.
    pub(super) record: Option<OutgoingRecord>,
}

/// What the record of a packet from Asterisk says beside the packet.
#[derive(Debug, Default)]
pub(super) struct OutgoingRecord {
    /// The `id` of the action that it answers.
    pub(super) id: Option<String>,
    /// From the sending of the action to its answer.
    pub(super) latency_us: Option<u64>,
    /// It is recorded and not delivered.
    pub(super) is_dropped: bool,
}

impl OutgoingRecord {
    pub(super) const fn dropped() -> Self {
        Self { id: None, latency_us: None, is_dropped: true }
    }
}

impl Outgoing {
    pub(super) fn is_delivered(&self) -> bool {
        self.record.as_ref().is_none_or(|record| !record.is_dropped)
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
}

/// A queue with one reader.
#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    filled: Notify,
    drained: Notify,
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a packet at the end. One packet is always taken, however long it is.
    pub(super) fn push(&self, outgoing: Outgoing) -> Result<(), QueueFull> {
        let mut inner = self.lock();
        let len = outgoing.message.lines().len();
        if inner.len > 0 && inner.len + len > QUEUE_LEN_MAX {
            return Err(QueueFull);
        }
        inner.len += len;
        inner.waiting.push_back(outgoing);
        drop(inner);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes what waits, as soon as there is something. [`Queue::written`] has to follow.
    pub(super) async fn take(&self) -> Vec<Outgoing> {
        loop {
            {
                let mut inner = self.lock();
                if !inner.waiting.is_empty() {
                    let count = inner.waiting.len().min(BATCH_MAX);
                    let batch: Vec<Outgoing> = inner.waiting.drain(..count).collect();
                    inner.len -= batch.iter().map(|outgoing| outgoing.message.lines().len()).sum::<usize>();
                    inner.is_writing = true;
                    if inner.waiting.is_empty() {
                        inner.waiting = VecDeque::new();
                    }
                    return batch;
                }
            }
            self.filled.notified().await;
        }
    }

    /// The batch that was taken has been written.
    pub(super) fn written(&self) {
        self.lock().is_writing = false;
        self.drained.notify_waiters();
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

    async fn futures_pending(future: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())).await
    }
}
