//! How records come to the writer: made into their bytes, and then written at once, gathered with those of other sessions, or
//! sent to the writer's thread, which is waited for.

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::gather::{Gather, Outcome};
use super::handle::{Audit, Shared};
use super::progress::WRITE_TIMEOUT;
use super::writer::{Batch, Request};
use super::{AuditUnavailable, Draft, Durability, Kind, OnFailure, Packets};

/// Most records are shorter.
const RECORD_LEN: usize = 1_024;
/// What a thread keeps to make records in.
const SCRATCH_LEN_MAX: usize = 1_024 * 1_024;

thread_local! {
    /// Where records are made that are written at once.
    static SCRATCH: RefCell<Encoded> = const { RefCell::new(Encoded { members: Vec::new(), ends: Vec::new() }) };
}

/// What is given as the seq of what was not recorded but passed on.
const UNRECORDED: u64 = 1 << 63;

/// Records that belong together, before they have their place.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// Their members, one behind the other.
    pub(super) members: Vec<u8>,
    /// Where each ends, and of what kind it is.
    pub(super) ends: Vec<(usize, Kind)>,
}

impl Encoded {
    /// None of them; their room stays.
    pub(super) fn clear(&mut self) {
        self.members.clear();
        self.ends.clear();
    }

    /// Puts others behind them.
    pub(super) fn append(&mut self, others: &Self) {
        let before = self.members.len();
        self.members.extend_from_slice(&others.members);
        self.ends.extend(others.ends.iter().map(|(end, kind)| (before + end, *kind)));
    }

    /// How long the members of the last one are.
    pub(super) fn last_len(&self) -> usize {
        let begin = self.ends.iter().rev().nth(1).map_or(0, |(end, _)| *end);
        self.members.len() - begin
    }
}

/// What became of records.
enum Put {
    /// They are written: the seq of the first, or 0 where there are none.
    Done(u64),
    /// They go to the writer with others.
    Gathered(oneshot::Receiver<Outcome>),
    /// The writer has to be asked.
    Encoded(Encoded),
}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Untaken {
    /// It cannot be written now.
    Failed,
    /// There is no writer: it has ended, or panicked.
    Gone,
}

impl Audit {
    /// Puts records on record: with those of other sessions of this thread, where they are gathered and the writer has to be
    /// asked.
    pub(super) async fn put<'m>(
        &self,
        drafts: impl IntoIterator<Item = Draft<'m>>,
        durability: Durability,
    ) -> Result<u64, AuditUnavailable> {
        let gather = Gather::here(&self.shared);
        let put = match &gather {
            _ if durability == Durability::Written => self.put_inline(drafts, gather.as_deref()),
            Some(gather) => gather.push(&self.shared, drafts).map_or(Put::Done(0), Put::Gathered),
            None => match self.shared.encode(drafts) {
                records if records.ends.is_empty() => Put::Done(0),
                records => Put::Encoded(records),
            },
        };
        drop(gather);
        match put {
            Put::Done(seq) => Ok(seq),
            Put::Gathered(answered) => self.taken(answered.await.unwrap_or(Err(Untaken::Gone))),
            Put::Encoded(records) => self.taken(self.request(records, durability).await),
        }
    }

    /// Writes them at once, if the writer is free.
    fn put_inline<'m>(&self, drafts: impl IntoIterator<Item = Draft<'m>>, gather: Option<&Gather>) -> Put {
        SCRATCH.with_borrow_mut(|records| {
            records.clear();
            self.shared.encode_behind(records, drafts);
            // The end of a session overtakes nothing of it.
            let is_end = records.ends.iter().any(|(_, kind)| *kind == Kind::End);
            let waits = is_end && gather.is_some_and(|gather| !gather.is_idle());
            let put = if records.ends.is_empty() {
                Put::Done(0)
            } else if let Some(seq) = (!waits).then(|| self.append_inline(records)).flatten() {
                Put::Done(seq)
            } else if let Some(answered) = gather.and_then(|gather| gather.push_written(records)) {
                Put::Gathered(answered)
            } else {
                Put::Encoded(std::mem::take(records))
            };
            if records.members.capacity() > SCRATCH_LEN_MAX {
                *records = Encoded::default();
            }
            put
        })
    }

    pub(super) async fn send(&self, records: Encoded, durability: Durability) -> Result<u64, AuditUnavailable> {
        if records.ends.is_empty() {
            return Ok(0);
        }
        if durability == Durability::Written
            && let Some(seq) = self.append_inline(&records)
        {
            return Ok(seq);
        }
        self.taken(self.request(records, durability).await)
    }

    fn taken(&self, outcome: Result<u64, Untaken>) -> Result<u64, AuditUnavailable> {
        match outcome {
            Ok(seq) => Ok(seq),
            Err(Untaken::Failed) if self.shared.on_failure == OnFailure::Continue => {
                // No record has such a seq, and no two sessions get one name.
                Ok(UNRECORDED + self.shared.unrecorded.fetch_add(1, Ordering::Relaxed))
            }
            Err(Untaken::Failed | Untaken::Gone) => Err(AuditUnavailable),
        }
    }

    /// Without a thread there is no log, though it could be written to. On a disk that hangs, what is written behind a sync
    /// may wait for that: the thread has to wait then, not the one that serves all sessions.
    fn append_inline(&self, records: &Encoded) -> Option<u64> {
        let progress = &self.shared.progress;
        let is_free = !progress.is_in_the_way() && !progress.hangs();
        let can_write = is_free && !self.shared.requests.is_closed() && !progress.has_panicked();
        if can_write { self.shared.inline.append(records) } else { None }
    }

    pub(super) async fn request(&self, records: Encoded, durability: Durability) -> Result<u64, Untaken> {
        let shared = &self.shared;
        let count = records.ends.len();
        if shared.progress.hangs() {
            shared.progress.lose(count);
            return Err(Untaken::Failed);
        }
        let deadline = Instant::now() + WRITE_TIMEOUT;
        let (answer, mut answered) = oneshot::channel();
        let request = Request::Append(Batch { records, durability, answer });
        // A writer that has panicked has dropped its end of both channels: nothing passes.
        match timeout_at(deadline, shared.requests.send(request)).await {
            Ok(sent) => sent.map_err(|_| Untaken::Gone)?,
            Err(_) => {
                shared.progress.lose(count);
                return Err(Untaken::Failed);
            }
        }
        let outcome = match timeout_at(deadline, &mut answered).await {
            Ok(outcome) => outcome.map_err(|_| Untaken::Gone)?,
            Err(_) => {
                // Either the answer is there by now, or the writer will find nobody who wants it, and records that.
                answered.close();
                answered.try_recv().map_err(|_| Untaken::Failed)?
            }
        };
        outcome.map_err(|AuditUnavailable| Untaken::Failed)
    }
}

impl Shared {
    /// What of these belongs on record.
    pub(super) fn encode<'m>(&self, drafts: impl IntoIterator<Item = Draft<'m>>) -> Encoded {
        let mut records = Encoded::default();
        self.encode_behind(&mut records, drafts);
        records
    }

    /// As [`Shared::encode`], behind others.
    pub(super) fn encode_behind<'m>(&self, records: &mut Encoded, drafts: impl IntoIterator<Item = Draft<'m>>) {
        // A panic may have left a part of one.
        records.members.truncate(records.ends.last().map_or(0, |(end, _)| *end));
        for draft in drafts.into_iter().filter(|draft| self.is_recorded(draft)) {
            records.members.reserve(RECORD_LEN);
            draft.encode(&mut records.members, &self.redactor);
            records.ends.push((records.members.len(), draft.kind()));
        }
    }

    fn is_recorded(&self, draft: &Draft<'_>) -> bool {
        match draft.kind() {
            Kind::Event | Kind::Response if self.packets == Packets::Actions => false,
            Kind::Event => {
                let name = draft.event_name().unwrap_or_default();
                !self.except_events.iter().any(|except| name.eq_ignore_ascii_case(except.as_bytes()))
            }
            Kind::Response
            | Kind::Action
            | Kind::Admin
            | Kind::Checkpoint
            | Kind::Clock
            | Kind::Connect
            | Kind::End
            | Kind::Limit
            | Kind::Login
            | Kind::Outage
            | Kind::Policy
            | Kind::Prune
            | Kind::Recovery
            | Kind::Refuse
            | Kind::Start
            | Kind::Stop => true,
        }
    }
}
