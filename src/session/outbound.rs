//! Asterisk to client: [`read_upstream`] takes what Asterisk sends, at once and always, and queues what the client may see;
//! [`ToClient`] records what is queued and writes it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::io::AsyncWrite;

use super::client_io::ClientWriter;
use super::queue::{Outgoing, OutgoingRecord, Queue, QueueFull, Source};
use super::{Live, SessionEnd, lock};
use crate::ami::{EventMask, ListFrame, Message, Reply, ReplyKind, Rewrite};
use crate::audit::{Draft, Frame};
use crate::policy::{Followed, View};
use crate::upstream::{Inlet, Routed, Sent};

/// While the log cannot be written, it is tried again after this time.
const AUDIT_RETRY: Duration = Duration::from_millis(500);

/// After so many packets from Asterisk others of the thread have a turn: it may have megabytes for one session.
const TURN_MAX: usize = 128;

/// What the client may see, looked up when the policy changes, and what it wishes to see.
struct CurrentView {
    generation: u64,
    view: Arc<View>,
    mask: EventMask,
    /// What is judged by it is recorded under it.
    context: Arc<Frame>,
    followed: Followed,
}

/// Reads from Asterisk until it closes ([`SessionEnd::UpstreamLost`]); never waits for the client.
pub(super) async fn read_upstream(live: &Live, inlet: &mut Inlet) -> SessionEnd {
    let snapshot = live.shared.snapshot();
    let mut current = CurrentView {
        generation: snapshot.generation,
        view: snapshot.policy.view(&live.client),
        mask: live.mask(),
        context: live.context_under(&snapshot),
        followed: Followed::default(),
    };
    drop(snapshot);
    let mut in_turn = 0;
    loop {
        if in_turn >= TURN_MAX {
            in_turn = 0;
            tokio::task::yield_now().await;
        }
        match inlet.next().await {
            Ok(Some(reply)) => {
                current.refresh(live);
                let mut taken = Vec::new();
                let mut next = Ok(Some(reply));
                // What has come with it is for the client at once, too.
                while let Ok(Some(reply)) = next {
                    if take(live, &mut current, &mut taken, reply).is_err() {
                        return SessionEnd::SlowClient;
                    }
                    in_turn += 1;
                    next = inlet.decoded();
                }
                if live.queue.push_all(taken).is_err() {
                    return SessionEnd::SlowClient;
                }
                if next.is_err() {
                    return SessionEnd::UpstreamLost;
                }
                if live.queue.is_high() {
                    Box::pin(live.queue.pause()).await;
                }
            }
            Ok(None) | Err(_) => return SessionEnd::UpstreamLost,
        }
    }
}

impl CurrentView {
    fn refresh(&mut self, live: &Live) {
        self.mask = live.mask();
        let snapshot = live.shared.snapshot.borrow();
        if snapshot.generation != self.generation {
            self.generation = snapshot.generation;
            self.view = snapshot.policy.view(&live.client);
            self.context = live.context_under(&snapshot);
            // What was in scope may not be any more.
            self.followed.unfollow();
        }
    }
}

/// Takes what the client may see of one packet, and what is due with it.
fn take(live: &Live, current: &mut CurrentView, taken: &mut Vec<Outgoing>, reply: Reply) -> Result<(), QueueFull> {
    if reply.kind() == ReplyKind::Response && reply.name() == b"Error" {
        // Of an Originate there is no call then; others are not known there.
        reply.action_id().into_iter().for_each(|id| live.shared.buckets.call_failed(&live.upstream, id));
    }
    let local = |message| Outgoing { message, record: None };
    let (routed, outstanding) = {
        let mut correlation = lock(&live.correlation);
        (correlation.route(reply, &live.shared.action_ids), correlation.outstanding())
    };
    live.outstanding.set(outstanding);
    match routed {
        Routed::Own(due) => {
            taken.extend(due.into_iter().map(local));
            live.progress.notify_waiters();
        }
        Routed::Orphan(reply) => {
            let record = OutgoingRecord::new(current.context.clone(), Source::Withheld);
            taken.push(Outgoing { message: reply.into_message(), record: Some(record) });
        }
        Routed::Broadcast(reply) => {
            let masked = match current.view.show(&reply, false, current.mask, &mut current.followed) {
                None => return Ok(()),
                Some(Cow::Owned(masked)) => Some(masked),
                Some(Cow::Borrowed(_)) => None,
            };
            let record = OutgoingRecord::new(current.context.clone(), Source::Asterisk);
            let message = masked.unwrap_or_else(|| reply.into_message());
            let outgoing = Outgoing { message, record: Some(record) };
            // Events are held back while a WaitEvent waits for one.
            match lock(&live.held).as_mut() {
                Some(held) => {
                    live.event_held.notify_one();
                    held.push(outgoing)?;
                }
                None => taken.push(outgoing),
            }
        }
        Routed::Answer { reply, sent, withheld, before, behind } => {
            taken.extend(before.into_iter().map(local));
            let shown = shown_answer(live, current, &reply, &sent);
            if shown.is_none() && reply.kind() == ReplyKind::Event {
                lock(&live.correlation).count_withheld(&sent);
            }
            if let Some(message) = shown {
                let message = if withheld == 0 { message } else { recounted(&reply, message, withheld) };
                let latency = (reply.kind() == ReplyKind::Response).then(|| answered(live, &sent).as_micros());
                let latency_us = latency.and_then(|micros| u64::try_from(micros).ok());
                let record = OutgoingRecord::new(current.context.clone(), Source::Asterisk);
                let record = OutgoingRecord { latency_us, ..record.answering(sent) };
                taken.push(Outgoing { message, record: Some(record) });
            }
            taken.extend(behind.into_iter().map(local));
            live.progress.notify_waiters();
        }
    }
    Ok(())
}

/// How long Asterisk took for it, counted.
fn answered(live: &Live, sent: &Sent) -> Duration {
    let now = Instant::now();
    let latency = now.saturating_duration_since(sent.at);
    live.shared.metrics.answer.observe(latency);
    live.shared.metrics.whole.observe(now.saturating_duration_since(sent.read_at));
    latency
}

/// The end of a list tells how many items there were: those that were not passed on are none.
fn recounted(reply: &Reply, message: Message, withheld: u64) -> Message {
    if reply.list_frame() != Some(ListFrame::End) {
        return message;
    }
    message.rewrite(|header| {
        let is_count = ["ListItems", "Items", "Total"].into_iter().any(|name| header.is(name));
        let count =
            std::str::from_utf8(header.value).ok().filter(|_| is_count).and_then(|text| text.parse::<u64>().ok());
        count
            .map_or(Rewrite::Keep, |count| Rewrite::Set(count.saturating_sub(withheld).to_string().into_bytes().into()))
    })
}

fn shown_answer(live: &Live, current: &mut CurrentView, reply: &Reply, sent: &Sent) -> Option<Message> {
    if sent.key == "listcommands" && reply.kind() == ReplyKind::Response {
        let snapshot = live.shared.snapshot();
        return Some(View::list_commands(reply, |action| snapshot.policy.may_ever(&live.client, action)));
    }
    current.view.show(reply, true, current.mask, &mut current.followed).map(Cow::into_owned)
}

/// The writing side of the client.
pub(super) struct ToClient<S> {
    writer: ClientWriter<S>,
}

impl<S: AsyncWrite + Unpin> ToClient<S> {
    pub(super) const fn new(writer: ClientWriter<S>) -> Self {
        Self { writer }
    }

    /// Records and writes what is queued, until the client cannot be written to.
    pub(super) async fn run(&mut self, live: &Live) -> SessionEnd {
        loop {
            let batch = live.queue.take().await;
            // In a box of its own, as what handles a client's packets.
            Box::pin(record(live, &batch)).await;
            let len = batch.iter().map(|outgoing| outgoing.message.lines().len() + 2).sum();
            let mut bytes = Vec::with_capacity(len);
            let (mut events, mut answers) = (0, 0);
            for outgoing in batch.iter().filter(|outgoing| outgoing.is_delivered()) {
                outgoing.message.encode(&mut bytes);
                if outgoing.is_from_asterisk() {
                    *(if outgoing.is_answer() { &mut answers } else { &mut events }) += 1;
                }
            }
            live.sent.fetch_add(events + answers, Ordering::Relaxed);
            live.counts.events.add(events);
            live.counts.answers.add(answers);
            live.counts.bytes.add(u64::try_from(bytes.len()).unwrap_or_default());
            live.tally.events.fetch_add(events, Ordering::Relaxed);
            live.tally.bytes_out.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            let written = self.writer.write(&bytes).await;
            Queue::written(&live.queue);
            match written {
                // More waits, and others of the thread do, too.
                Ok(()) if batch.len() >= TURN_MAX => tokio::task::yield_now().await,
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => return SessionEnd::SlowClient,
                Err(_) => return SessionEnd::ClientClosed,
            }
        }
    }

    pub(super) async fn close(&mut self) {
        self.writer.close().await;
    }
}

/// Returns when the batch is written to the log. While that cannot be done nothing is passed on: the queue fills, and a
/// full queue ends the session.
async fn record(live: &Live, batch: &VecDeque<Outgoing>) {
    loop {
        if live.shared.audit.append(batch.iter().filter_map(draft_of)).await.is_ok() {
            return;
        }
        tokio::time::sleep(AUDIT_RETRY).await;
    }
}

/// What is recorded of a packet for the client.
fn draft_of(outgoing: &Outgoing) -> Option<Draft<'_>> {
    let record = outgoing.record.as_ref()?;
    let (context, message) = (&record.context, &outgoing.message);
    let (id, action) = record.sent.as_ref().map(|sent| (sent.record_id.as_str(), sent.key.as_str())).unzip();
    Some(match record.source {
        Source::Withheld => Draft::withheld(context, None, message, "upstream.orphan"),
        Source::Amiwall => Draft::local_reply(context, id, message).answering(action),
        Source::Asterisk => Draft::reply(context, id, message, record.latency_us).answering(action),
    })
}
