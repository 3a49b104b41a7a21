//! [`Gather`]: what the sessions of one thread ask the writer for in the same moment goes there together: one request and one
//! wait for all of them, instead of one for each. The thread is one with a runtime of its own, which runs what is ready in the
//! order in which it became so: the task that gathers comes behind all others.
//!
//! What need not be durable is gathered only while the disk is at work: to write it costs less than to wait for others.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, oneshot};

use super::handle::{Audit, Shared};
use super::put::{Encoded, Untaken};
use super::writer::Request;
use super::{Draft, Durability, Kind};

thread_local! {
    static HERE: RefCell<Option<Arc<Gather>>> = const { RefCell::new(None) };
}

/// What a caller is told: the seq of the first of its records.
pub(super) type Outcome = Result<u64, Untaken>;

/// Records of one thread that have not gone to the log yet.
#[derive(Debug)]
pub(super) struct Gather {
    /// The log they are for.
    log: Weak<Shared>,
    open: Mutex<Open>,
    filled: Notify,
    /// Who has not been told yet.
    unanswered: AtomicUsize,
}

/// Records by what is waited for.
#[derive(Debug, Default)]
struct Open {
    written: Gathered,
    synced: Gathered,
}

/// Records that are waited for together.
#[derive(Debug, Default)]
struct Gathered {
    records: Encoded,
    waiting: Vec<Waiting>,
}

/// Who waits for some of the records.
#[derive(Debug)]
struct Waiting {
    /// How many records are before his.
    before: usize,
    answer: oneshot::Sender<Outcome>,
}

impl Gather {
    /// That of this thread, if it has one for this log.
    pub(super) fn here(log: &Arc<Shared>) -> Option<Arc<Self>> {
        let is_for = |gather: &&Arc<Self>| std::ptr::eq(gather.log.as_ptr(), Arc::as_ptr(log));
        HERE.with_borrow(|here| here.as_ref().filter(is_for).cloned())
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what of these belongs on record, and has to be durable. `None`: that is nothing, and nothing is to be waited for.
    pub(super) fn push<'m>(
        &self,
        log: &Shared,
        drafts: impl IntoIterator<Item = Draft<'m>>,
    ) -> Option<oneshot::Receiver<Outcome>> {
        let mut open = self.lock();
        let answered = open.synced.add(|records| log.encode_behind(records, drafts));
        drop(open);
        self.count(answered)
    }

    /// Takes records that have to be written, and not more.
    pub(super) fn push_written(&self, records: &Encoded) -> Option<oneshot::Receiver<Outcome>> {
        let answered = self.lock().written.add(|gathered| gathered.append(records));
        self.count(answered)
    }

    fn count(&self, answered: Option<oneshot::Receiver<Outcome>>) -> Option<oneshot::Receiver<Outcome>> {
        self.unanswered.fetch_add(usize::from(answered.is_some()), Ordering::Relaxed);
        self.filled.notify_one();
        answered
    }

    /// Whether nothing of this thread is on its way to the log: what is written now comes behind all of it.
    pub(super) fn is_idle(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) == 0
    }
}

impl Gathered {
    fn add(&mut self, add: impl FnOnce(&mut Encoded)) -> Option<oneshot::Receiver<Outcome>> {
        let before = self.records.ends.len();
        add(&mut self.records);
        if self.records.ends.len() == before {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        self.waiting.push(Waiting { before, answer });
        Some(answered)
    }
}

impl Audit {
    /// Gathers what the sessions of this thread ask the writer for, as long as there is this log. To be run in a thread whose
    /// runtime does one thing at a time.
    pub fn gather(&self) -> impl Future<Output = ()> + Send + use<> {
        let log = Arc::downgrade(&self.shared);
        async move {
            let (open, filled, unanswered) = (Mutex::default(), Notify::new(), AtomicUsize::new(0));
            let gather = Arc::new(Gather { log: log.clone(), open, filled, unanswered });
            HERE.set(Some(gather.clone()));
            loop {
                gather.filled.notified().await;
                let Some(shared) = log.upgrade() else { return };
                let Open { written, synced } = std::mem::take(&mut *gather.lock());
                // The end of a session has to be written only, and stands behind its actions.
                for (gathered, durability) in [(synced, Durability::Synced), (written, Durability::Written)] {
                    if !gathered.waiting.is_empty() {
                        let (audit, gather) = (Self { shared: shared.clone() }, gather.clone());
                        // Not waited for: what comes meanwhile is for the next request.
                        tokio::spawn(async move {
                            let count = gathered.waiting.len();
                            audit.ask_for(gathered, durability).await;
                            gather.unanswered.fetch_sub(count, Ordering::Relaxed);
                        });
                    }
                }
            }
        }
    }

    /// Tells everybody what came of it. Who has gone will not forward what his records allow: that is on record, too.
    async fn ask_for(self, Gathered { records, waiting }: Gathered, durability: Durability) {
        let ends = waiting.iter().skip(1).map(|next| next.before).chain([records.ends.len()]);
        let his = waiting.iter().zip(ends).map(|(Waiting { before, .. }, end)| {
            let has_action = |records: &[(usize, Kind)]| records.iter().any(|(_, kind)| *kind == Kind::Action);
            (end - before, records.ends.get(*before..end).is_some_and(has_action))
        });
        let his: Vec<(usize, bool)> = his.collect();
        let outcome = self.request(records, durability).await;
        for (Waiting { before, answer }, (count, has_action)) in waiting.into_iter().zip(his) {
            let told = answer.send(outcome.map(|first| first + before as u64));
            if let (Err(Ok(first)), true) = (told, has_action) {
                let last = first + count as u64 - 1;
                // Without a writer there is nobody to note it.
                self.request_of_its_own(Request::Abandoned(first, last)).await.ok();
            }
        }
    }
}
