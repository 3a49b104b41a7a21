//! [`Writer`]: the one that gives records their place. A thread takes what is waiting, writes it, answers those who wait for
//! that, syncs once if anybody waits for it, and answers them. What needs no sync is written by its caller ([`Inline`])
//! when the writer is free: to wake a thread costs more than to write.
//!
//! INVARIANT: nobody is told of a seq that is not in the chain, and no one who waits for durability is answered `Ok`
//! before a sync that covers all of his records has succeeded. While the gate is closed nothing is accepted. Only the
//! thread syncs.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use tokio::sync::{mpsc, oneshot};

use super::chain::{Head, Stamp, TimeText};
use super::checkpoint::{Checkpoints, Extent, SaveState};
use super::draft::Draft;
use super::gate::Closed;
use super::housekeeping::Housekeeping;
use super::journal::{Journal, Syncing};
use super::kind::Kind;
use super::progress::Progress;
use super::put::Encoded;
use super::redact::Redactor;
use super::segment::Storage;
use super::syslog::Mirror;
use super::{AuditConfig, AuditUnavailable, Durability, KeyError, Pulse};
use crate::metrics::AuditMetrics;

/// How many requests may wait.
pub(super) const QUEUE_LEN_MAX: usize = 4_096;
/// How many are taken at once.
const BATCH_LEN_MAX: usize = 4_096;
/// How often a caller looks whether the writer is free, in all some microseconds: to wake the thread costs more.
const LOCK_TRIES: usize = 100;
/// How much is written at once.
const WRITE_LEN_MAX: usize = 1024 * 1024;
/// The seq of the first record.
pub(super) type Answer = oneshot::Sender<Result<u64, AuditUnavailable>>;

/// What a caller wants on record.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) records: Encoded,
    pub(super) durability: Durability,
    pub(super) answer: Answer,
}

/// What the writer is asked.
#[derive(Debug)]
pub(super) enum Request {
    Append(Batch),
    /// Records with these seqs are in the chain, but who wanted them had given up waiting.
    Abandoned(u64, u64),
    /// What whole checkpoints hold from now on.
    Quotas(SaveState),
    /// Another second has passed.
    Tick,
    /// How the writer does.
    Pulse(oneshot::Sender<Pulse>),
    Stop(Answer),
}

/// What time it is, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) wall: SystemTime,
    pub(super) steady: Instant,
}

impl Now {
    pub(super) fn read() -> Self {
        Self { wall: SystemTime::now(), steady: Instant::now() }
    }
}

/// Says when a record is taken.
pub(super) struct Clock {
    pub(super) text: TimeText,
    /// What `mono` counts from.
    started: Instant,
}

impl Clock {
    pub(super) fn stamp(&mut self, now: Now) -> Stamp<'_> {
        let mono = now.steady.saturating_duration_since(self.started).as_micros();
        Stamp { time: self.text.at(now.wall), mono: u64::try_from(mono).unwrap_or(u64::MAX) }
    }
}

/// A caller whose records are in the batch.
struct Waiter {
    first: u64,
    last: u64,
    ends: Vec<(usize, Kind)>,
    durability: Durability,
    answer: Answer,
}

/// The writer's state.
pub(super) struct Writer<S: Storage> {
    pub(super) journal: Journal<S>,
    pub(super) head: Head,
    boot_id: String,
    pub(super) clock: Clock,
    pub(super) closed: Option<Closed>,
    pub(super) checkpoints: Checkpoints,
    pub(super) housekeeping: Housekeeping,
    pub(super) progress: Arc<Progress>,
    pub(super) metrics: Arc<AuditMetrics>,
    /// Records that are durable, but whose callers had given up waiting.
    pub(super) abandoned: Vec<(u64, u64)>,
    /// What is being written; kept for its room.
    out: Vec<u8>,
    /// Where records go, too.
    pub(super) copy: Mirror,
    /// Nothing comes behind the last record.
    has_stopped: bool,
}

/// What is done when the writer has synced.
pub(super) struct Begun<F> {
    pub(super) syncing: Option<Syncing<F>>,
    synced: Vec<Waiter>,
    has_ticked: bool,
    stop: Option<Answer>,
}

/// Takes requests until it is told to stop, or until nobody can ask any more. A writer that has panicked, here or in a
/// caller's hands, takes none.
pub(super) fn run<S: Storage>(writer: &Mutex<Writer<S>>, progress: &Progress, mut requests: mpsc::Receiver<Request>) {
    let mut batch = Vec::new();
    let Ok(metrics) = writer.lock().map(|writer| writer.metrics.clone()) else { return };
    while requests.blocking_recv_many(&mut batch, BATCH_LEN_MAX) > 0 {
        let _busy = progress.busy(Instant::now());
        let Ok(mut locked) = writer.lock() else { return };
        let begun = locked.begin(&mut batch, Now::read());
        drop(locked);
        let outcome = begun.syncing.as_ref().map(|syncing| metrics.sync(|| syncing.run()));
        let Ok(mut locked) = writer.lock() else { return };
        if let Some(answer) = locked.finish(begun, outcome, Now::read()) {
            // A caller that has gone does not want to know.
            answer.send(locked.stop(Now::read())).ok();
            return;
        }
    }
    if writer.lock().is_ok_and(|mut writer| writer.stop(Now::read()).is_err()) {
        tracing::error!("the audit log could not be closed in good order");
    }
}

/// The writer, for callers who need no sync.
pub(super) trait Inline: Send + Sync + std::fmt::Debug {
    /// Appends records; the seq of the first. `None`: nothing was done, and the thread has to do it.
    fn append(&self, records: &Encoded) -> Option<u64>;
}

impl<S: Storage> Inline for Mutex<Writer<S>> {
    fn append(&self, records: &Encoded) -> Option<u64> {
        // Another caller has it for as long as a write takes. Not waited for: the thread may be at a disk that hangs.
        let mut writer = (0..LOCK_TRIES).find_map(|_| {
            let locked = self.try_lock().ok();
            if locked.is_none() {
                std::hint::spin_loop();
            }
            locked
        })?;
        writer.append_now(records, Now::read())
    }
}

impl<S: Storage> std::fmt::Debug for Writer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer")
    }
}

impl<S: Storage> Writer<S> {
    pub(super) fn new(
        journal: Journal<S>,
        head: Head,
        boot_id: String,
        config: &AuditConfig,
    ) -> Result<Self, KeyError> {
        let progress = journal.progress();
        Ok(Self {
            journal,
            head,
            boot_id,
            clock: Clock { text: TimeText::default(), started: Instant::now() },
            closed: None,
            checkpoints: Checkpoints::new(config)?,
            housekeeping: Housekeeping::new(config),
            progress,
            metrics: Arc::default(),
            abandoned: Vec::new(),
            out: Vec::new(),
            copy: Mirror::default(),
            has_stopped: false,
        })
    }

    pub(super) fn with_copy(self, copy: Mirror) -> Self {
        Self { copy, ..self }
    }

    /// Takes requests in order, up to a stop, and writes what they ask. A sync is to be done then, without the writer, and
    /// [`Writer::finish`].
    pub(super) fn begin(&mut self, requests: &mut Vec<Request>, now: Now) -> Begun<S::File> {
        self.try_to_open(now);
        self.turn_segment(now);
        let mut out = std::mem::take(&mut self.out);
        let mut waiters = Vec::new();
        let mut synced = Vec::new();
        let mut head = self.head;
        let (mut stop, mut has_ticked) = (None, false);
        for request in requests.drain(..) {
            match request {
                Request::Append(batch) if self.closed.is_none() && stop.is_none() => {
                    let first = self.seal(&mut head, &mut out, &batch.records, now);
                    let Batch { records, durability, answer } = batch;
                    waiters.push(Waiter { first, last: head.seq, ends: records.ends, durability, answer });
                }
                Request::Append(batch) => self.refuse(&batch.records.ends, batch.answer),
                Request::Abandoned(first, last) => self.abandoned.push((first, last)),
                Request::Quotas(save) => self.checkpoints.quotas = Some(save),
                Request::Tick => has_ticked = true,
                Request::Pulse(answer) => self.answer_pulse(answer),
                Request::Stop(answer) => stop = Some(answer),
            }
            if out.len() >= WRITE_LEN_MAX {
                self.write(head, &mut out, now, (&mut waiters, &mut synced));
                head = self.head;
            }
        }
        self.write(head, &mut out, now, (&mut waiters, &mut synced));
        self.out = out;
        let syncing = if synced.is_empty() { None } else { self.journal.begin_sync(self.head.seq + 1) };
        Begun { syncing, synced, has_ticked, stop }
    }

    /// Answers those who waited for the sync, and does what is to be done from time to time. A stop's answer is given back.
    pub(super) fn finish(
        &mut self,
        begun: Begun<S::File>,
        outcome: Option<io::Result<()>>,
        now: Now,
    ) -> Option<Answer> {
        let Begun { syncing, synced, has_ticked, stop } = begun;
        if !synced.is_empty() {
            let synced_by_now = match syncing.zip(outcome) {
                Some((syncing, outcome)) => self.journal.end_sync(&syncing, outcome),
                None => self.journal.sync(),
            };
            self.confirm(synced, synced_by_now, now);
        }
        if let Err(error) = self.copy.flush() {
            self.close(&error, now);
        }
        if has_ticked {
            self.tick(now);
        }
        self.note_incidents(now);
        stop
    }

    /// Both at once, for tests.
    #[cfg(test)]
    pub(super) fn process(&mut self, requests: &mut Vec<Request>, now: Now) -> Option<Answer> {
        let begun = self.begin(requests, now);
        let outcome = begun.syncing.as_ref().map(Syncing::run);
        self.finish(begun, outcome, now)
    }

    /// Appends records if a mere write does it.
    fn append_now(&mut self, records: &Encoded, now: Now) -> Option<u64> {
        let is_free = self.closed.is_none() && !self.has_stopped && !self.copy.is_on();
        if !is_free || !self.journal.can_append(records.members.len() + records.ends.len() * FRAME_LEN_MAX, now.wall) {
            return None;
        }
        let (mut out, mut head) = (std::mem::take(&mut self.out), self.head);
        let first = self.seal(&mut head, &mut out, records, now);
        let (written, len) = (self.journal.append(&out, first), out.len());
        out.clear();
        self.out = out;
        // What went wrong, the thread will find too, and close the gate.
        written.ok()?;
        self.advance(head, len);
        Some(first)
    }

    /// Records a draft of the log's own, durably.
    pub(super) fn commit(&mut self, draft: &Draft<'_>, now: Now) -> io::Result<u64> {
        self.append_own(draft, now)?;
        self.sync()?;
        self.copy.flush()?;
        Ok(self.head.seq)
    }

    /// The last record. A closed gate is tried once more.
    pub(super) fn stop(&mut self, now: Now) -> Result<u64, AuditUnavailable> {
        self.has_stopped = true;
        if let Some(closed) = &mut self.closed {
            closed.probe_at = now.steady;
            self.try_to_open(now);
        }
        if self.closed.is_some() {
            return Err(AuditUnavailable);
        }
        let stopped = self.end_with_checkpoint(now).and_then(|()| {
            let line = self.append_own(&Draft::new(Kind::Stop), now)?;
            self.sync()?;
            self.copy.flush()?;
            // The end itself, which no signature covers before the next start.
            self.checkpoints.copy(&line);
            Ok(self.head.seq)
        });
        self.checkpoints.finish();
        self.journal.end();
        stopped.map_err(|error: io::Error| {
            self.close(&error, now);
            AuditUnavailable
        })
    }

    /// Gives records their place behind `head`; the seq of the first.
    fn seal(&mut self, head: &mut Head, out: &mut Vec<u8>, records: &Encoded, now: Now) -> u64 {
        let first = head.seq + 1;
        let stamp = self.clock.stamp(now);
        let mut start = 0;
        for &(end, kind) in &records.ends {
            let members = records.members.get(start..end).unwrap_or_default();
            if kind == Kind::Connect {
                // Only here is it known what the session is called.
                let session = format!(",\"session\":\"{}-{}\"", self.boot_id, head.seq + 1);
                let (name, rest) = members.split_at_checked(CONNECT.len()).unwrap_or((members, &[]));
                head.seal(out, stamp, &[name, session.as_bytes(), rest]);
            } else {
                head.seal(out, stamp, &[members]);
            }
            start = end;
        }
        first
    }

    /// Writes what is sealed, up to `head`; answers those who wait for that and keeps the others for the sync.
    fn write(&mut self, head: Head, out: &mut Vec<u8>, now: Now, waiting: (&mut Vec<Waiter>, &mut Vec<Waiter>)) {
        let (waiters, synced) = waiting;
        if out.is_empty() {
            return;
        }
        let written = self.journal.append(out, self.head.seq + 1);
        written.as_ref().ok().inspect(|()| self.copy.take(out));
        let len = out.len();
        out.clear();
        match written {
            Ok(()) => self.advance(head, len),
            Err(error) => {
                self.close(&error, now);
                for waiter in waiters.drain(..) {
                    self.refuse(&waiter.ends, waiter.answer);
                }
            }
        }
        for waiter in waiters.drain(..) {
            match waiter.durability {
                Durability::Synced => synced.push(waiter),
                Durability::Written => self.tell(waiter),
            }
        }
    }

    /// Answers those who wait for durability, after one sync for all of them.
    fn confirm(&mut self, synced: Vec<Waiter>, outcome: io::Result<()>, now: Now) {
        match outcome.and_then(|()| self.copy.flush()) {
            Ok(()) => {
                for waiter in synced {
                    self.tell(waiter);
                }
            }
            Err(error) => {
                self.close(&error, now);
                for waiter in synced {
                    if let Some(closed) = &mut self.closed {
                        closed.unconfirmed.push((waiter.first, waiter.last));
                    }
                    waiter.answer.send(Err(AuditUnavailable)).ok();
                }
            }
        }
    }

    /// Tells a caller that his records are what he asked for. One who has gone will not forward what they allow.
    fn tell(&mut self, waiter: Waiter) {
        let is_action = waiter.ends.iter().any(|(_, kind)| *kind == Kind::Action);
        if waiter.answer.send(Ok(waiter.first)).is_err() && is_action {
            self.abandoned.push((waiter.first, waiter.last));
        }
    }

    /// Signs the end as it is now, if there is a key.
    pub(super) fn sign(&mut self, now: Now) {
        if self.checkpoints.signer().is_some()
            && let Err(error) = self.checkpoint(Extent::Signature, now)
        {
            self.close(&error, now);
        }
    }

    /// Appends a record of the log's own, and gives its line.
    pub(super) fn append_own(&mut self, draft: &Draft<'_>, now: Now) -> io::Result<Vec<u8>> {
        let mut members = Vec::new();
        let mut out = Vec::new();
        let mut head = self.head;
        // The log's own records hold no packet.
        draft.encode(&mut members, &Redactor::new(&[]));
        head.seal(&mut out, self.clock.stamp(now), &[&members]);
        self.journal.append(&out, head.seq)?;
        self.copy.take(&out);
        self.advance(head, out.len());
        Ok(out)
    }
}

/// What a record has beside its members is shorter.
const FRAME_LEN_MAX: usize = 512;
/// How the members of a connect record begin.
const CONNECT: &[u8] = b",\"kind\":\"connect\"";
