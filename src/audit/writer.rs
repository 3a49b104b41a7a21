//! [`Writer`]: the one that gives records their place. It runs on a thread of its own: takes what is waiting, writes it,
//! answers those who wait for that, syncs once if anybody waits for it, and answers them.
//!
//! INVARIANT: nobody is told of a seq that is not in the chain, and no one who waits for durability is answered `Ok`
//! before a sync that covers all of his records has succeeded. While the gate is closed nothing is accepted.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, oneshot};

use super::chain::{Head, Stamp, TimeText};
use super::draft::Draft;
use super::journal::{Incident, Journal};
use super::kind::Kind;
use super::redact::Redactor;
use super::segment::Storage;
use super::syslog::Copy;
use super::{AuditUnavailable, json};
use crate::policy::QuotaState;

/// How many requests may wait.
pub(super) const QUEUE_LEN_MAX: usize = 4_096;
/// How many are taken at once.
const BATCH_LEN_MAX: usize = 4_096;
/// How much is written at once.
const WRITE_LEN_MAX: usize = 1024 * 1024;
/// How often a closed gate is tried.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// How many of each kind.
pub(super) type Counts = BTreeMap<Kind, u64>;

/// Appends a member with counts.
pub(super) fn encode_counts(out: &mut Vec<u8>, counts: &Counts) {
    json::key(out, "counts");
    for (index, (kind, count)) in counts.iter().enumerate() {
        out.push(if index == 0 { b'{' } else { b',' });
        json::string(out, kind.name());
        out.push(b':');
        json::display(out, count);
    }
    out.extend_from_slice(if counts.is_empty() { b"{}" } else { b"}" });
}

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    Synced,
    Written,
}

/// The seq of the first record.
pub(super) type Answer = oneshot::Sender<Result<u64, AuditUnavailable>>;

/// Records that belong together.
#[derive(Debug)]
pub(super) struct Batch {
    /// Their members, one behind the other.
    pub(super) members: Vec<u8>,
    /// Where each ends, and of what kind it is.
    pub(super) ends: Vec<(usize, Kind)>,
    pub(super) durability: Durability,
    pub(super) answer: Answer,
}

/// What the writer is asked.
#[derive(Debug)]
pub(super) enum Request {
    Append(Batch),
    Checkpoint(SaveState, Answer),
    Stop(Answer),
}

/// Says what a checkpoint holds.
pub(super) struct SaveState(pub(super) Box<dyn FnOnce() -> QuotaState + Send>);

impl std::fmt::Debug for SaveState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SaveState")
    }
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
struct Clock {
    text: TimeText,
    /// What `mono` counts from.
    started: Instant,
}

impl Clock {
    fn stamp(&mut self, now: Now) -> Stamp<'_> {
        let mono = now.steady.saturating_duration_since(self.started).as_micros();
        Stamp { time: self.text.at(now.wall), mono: u64::try_from(mono).unwrap_or(u64::MAX) }
    }
}

/// Why nothing is accepted, since when, and what it cost.
#[derive(Debug)]
struct Closed {
    since: SystemTime,
    probe_at: Instant,
    cause: String,
    /// Records that were not taken.
    refused: Counts,
    /// First and last seq of records that are in the chain, but whose callers were told that they are not durable: what
    /// they say was allowed has not been forwarded.
    unconfirmed: Vec<(u64, u64)>,
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
    journal: Journal<S>,
    head: Head,
    boot_id: String,
    clock: Clock,
    closed: Option<Closed>,
    /// The last checkpoint.
    checkpoint: Option<u64>,
    /// What is being written; kept for its room.
    out: Vec<u8>,
    /// Where records go, too.
    copy: Copy,
}

/// Takes requests until it is told to stop, or until nobody can ask any more.
pub(super) fn run<S: Storage>(mut writer: Writer<S>, mut requests: mpsc::Receiver<Request>) {
    let mut batch = Vec::new();
    while requests.blocking_recv_many(&mut batch, BATCH_LEN_MAX) > 0 {
        if let Some(answer) = writer.process(&mut batch, Now::read()) {
            // A caller that has gone does not want to know.
            answer.send(writer.stop(Now::read())).ok();
            return;
        }
    }
    if writer.stop(Now::read()).is_err() {
        tracing::error!("the audit log could not be closed in good order");
    }
}

impl<S: Storage> Writer<S> {
    pub(super) fn new(journal: Journal<S>, head: Head, boot_id: String) -> Self {
        Self {
            journal,
            head,
            boot_id,
            clock: Clock { text: TimeText::default(), started: Instant::now() },
            closed: None,
            checkpoint: None,
            out: Vec::new(),
            copy: Copy::default(),
        }
    }

    pub(super) fn with_copy(self, copy: Copy) -> Self {
        Self { copy, ..self }
    }

    /// Processes requests in order, up to a stop, whose answer is given back.
    pub(super) fn process(&mut self, requests: &mut Vec<Request>, now: Now) -> Option<Answer> {
        self.try_to_open(now);
        let mut out = std::mem::take(&mut self.out);
        let mut waiters = Vec::new();
        let mut synced = Vec::new();
        let mut head = self.head;
        let mut stop = None;
        for request in requests.drain(..) {
            match request {
                Request::Append(batch) if self.closed.is_none() && stop.is_none() => {
                    waiters.push(self.seal(&mut head, &mut out, batch, now));
                }
                Request::Append(batch) => self.refuse(&batch.ends, batch.answer),
                Request::Checkpoint(_, answer) if self.checkpoint == Some(head.seq) => {
                    answer.send(Ok(head.seq)).ok();
                }
                Request::Checkpoint(save, answer) if self.closed.is_none() && stop.is_none() => {
                    waiters.push(self.seal(&mut head, &mut out, checkpoint(save, answer), now));
                    self.checkpoint = Some(head.seq);
                }
                Request::Checkpoint(_, answer) => drop(answer.send(Err(AuditUnavailable))),
                Request::Stop(answer) => stop = Some(answer),
            }
            if out.len() >= WRITE_LEN_MAX {
                self.write(head, &mut out, now, (&mut waiters, &mut synced));
                head = self.head;
            }
        }
        self.write(head, &mut out, now, (&mut waiters, &mut synced));
        self.out = out;
        self.confirm(synced, now);
        if let Err(error) = self.copy.flush() {
            self.close(&error, now);
        }
        self.note_incidents(now);
        stop
    }

    /// Records a draft of the log's own, durably.
    pub(super) fn commit(&mut self, draft: &Draft, now: Now) -> io::Result<u64> {
        self.append_own(draft, now)?;
        self.journal.sync()?;
        self.copy.flush()?;
        Ok(self.head.seq)
    }

    /// The last record. A closed gate is tried once more.
    pub(super) fn stop(&mut self, now: Now) -> Result<u64, AuditUnavailable> {
        if let Some(closed) = &mut self.closed {
            closed.probe_at = now.steady;
            self.try_to_open(now);
        }
        if self.closed.is_some() {
            return Err(AuditUnavailable);
        }
        self.commit(&Draft::new(Kind::Stop), now).map_err(|error| {
            self.close(&error, now);
            AuditUnavailable
        })
    }

    fn seal(&mut self, head: &mut Head, out: &mut Vec<u8>, batch: Batch, now: Now) -> Waiter {
        let first = head.seq + 1;
        let stamp = self.clock.stamp(now);
        let mut start = 0;
        for &(end, kind) in &batch.ends {
            let members = batch.members.get(start..end).unwrap_or_default();
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
        let Batch { ends, durability, answer, .. } = batch;
        Waiter { first, last: head.seq, ends, durability, answer }
    }

    /// Writes what is sealed, up to `head`; answers those who wait for that and keeps the others for the sync.
    fn write(&mut self, head: Head, out: &mut Vec<u8>, now: Now, waiting: (&mut Vec<Waiter>, &mut Vec<Waiter>)) {
        let (waiters, synced) = waiting;
        if out.is_empty() {
            return;
        }
        let written = self.journal.append(out, self.head.seq + 1);
        written.as_ref().ok().inspect(|()| self.copy.take(out));
        out.clear();
        match written {
            Ok(()) => self.head = head,
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
                Durability::Written => drop(waiter.answer.send(Ok(waiter.first))),
            }
        }
    }

    /// Answers those who wait for durability, after one sync for all of them.
    fn confirm(&mut self, synced: Vec<Waiter>, now: Now) {
        if synced.is_empty() {
            return;
        }
        match self.journal.sync().and_then(|()| self.copy.flush()) {
            Ok(()) => {
                for waiter in synced {
                    waiter.answer.send(Ok(waiter.first)).ok();
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

    fn close(&mut self, error: &io::Error, now: Now) {
        if self.closed.is_none() {
            tracing::error!(%error, "the audit log cannot be written; actions are refused until it can be");
        }
        let closed = self.closed.get_or_insert_with(|| Closed {
            since: now.wall,
            probe_at: now.steady,
            cause: error.to_string(),
            refused: Counts::new(),
            unconfirmed: Vec::new(),
        });
        closed.probe_at = now.steady + PROBE_INTERVAL;
    }

    /// Tells a caller that nothing of what he asked is in the chain.
    fn refuse(&mut self, records: &[(usize, Kind)], answer: Answer) {
        if let Some(closed) = &mut self.closed {
            for (_, kind) in records {
                *closed.refused.entry(*kind).or_default() += 1;
            }
        }
        answer.send(Err(AuditUnavailable)).ok();
    }

    /// Where the gate is closed and it is time, tries to record the outage; if that is durable, the gate is open.
    fn try_to_open(&mut self, now: Now) {
        let Some(closed) = self.closed.as_ref().filter(|closed| closed.probe_at <= now.steady) else { return };
        let since = self.clock.text.at(closed.since).to_owned();
        let until = self.clock.text.at(now.wall).to_owned();
        let draft = Draft::new(Kind::Outage).with(|out| {
            json::text(out, "reason", "audit.unavailable");
            json::text(out, "cause", &closed.cause);
            json::text(out, "since", &since);
            json::text(out, "until", &until);
            encode_counts(out, &closed.refused);
            encode_ranges(out, &closed.unconfirmed);
        });
        match self.commit(&draft, now) {
            Ok(_) => {
                tracing::warn!("the audit log can be written again");
                self.closed = None;
            }
            Err(error) => self.close(&error, now),
        }
    }

    /// Puts on record what happened to segments.
    fn note_incidents(&mut self, now: Now) {
        if self.closed.is_some() {
            return;
        }
        while let Some(lost) = self.copy.take_lost() {
            let (since, until) = (self.clock.text.at(lost.since).to_owned(), self.clock.text.at(lost.until).to_owned());
            if let Err(error) = self.append_own(&lost.draft(&since, &until), now) {
                self.close(&error, now);
            }
        }
        for incident in self.journal.take_incidents() {
            let draft = Draft::new(Kind::Recovery).with(|out| match &incident {
                Incident::SetAside(file) => {
                    json::text(out, "reason", "audit.set-aside");
                    json::text(out, "file", file);
                }
                Incident::Changed(file, change) => {
                    json::text(out, "reason", "audit.file-changed");
                    json::text(out, "file", file);
                    json::text(out, "change", change.name());
                }
            });
            if let Err(error) = self.append_own(&draft, now) {
                self.close(&error, now);
            }
        }
    }

    fn append_own(&mut self, draft: &Draft, now: Now) -> io::Result<()> {
        let mut members = Vec::new();
        let mut out = Vec::new();
        let mut head = self.head;
        // The log's own records hold no packet.
        draft.encode(&mut members, &Redactor::new(&[]));
        head.seal(&mut out, self.clock.stamp(now), &[&members]);
        self.journal.append(&out, head.seq)?;
        self.copy.take(&out);
        self.head = head;
        Ok(())
    }
}

/// How the members of a connect record begin.
const CONNECT: &[u8] = b",\"kind\":\"connect\"";

fn checkpoint(SaveState(save): SaveState, answer: Answer) -> Batch {
    let mut members = Vec::new();
    json::plain(&mut members, "kind", Kind::Checkpoint.name());
    json::key(&mut members, "quotas");
    // Numbers and texts in lists: nothing of it can fail. JSON that is not this module's own escapes less than it does,
    // but names of identities and actions have no control characters.
    json::display(&mut members, serde_json::to_string(&save()).unwrap_or_default());
    let ends = vec![(members.len(), Kind::Checkpoint)];
    Batch { members, ends, durability: Durability::Synced, answer }
}

fn encode_ranges(out: &mut Vec<u8>, ranges: &[(u64, u64)]) {
    if ranges.is_empty() {
        return;
    }
    json::key(out, "unconfirmed");
    for (index, (first, last)) in ranges.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"[[" } else { b",[" });
        json::display(out, first);
        out.push(b',');
        json::display(out, last);
        out.push(b']');
    }
    out.push(b']');
}
