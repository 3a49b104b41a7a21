//! A writer over the disk in memory, driven call by call, with a time of the test's own.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;

use super::super::chain::Head;
use super::super::journal::Journal;
use super::super::put::Encoded;
use super::super::redact::Redactor;
use super::super::writer::{Batch, Now, Request, Writer};
use super::super::{AuditUnavailable, Durability, Kind};
use super::disk::{Disk, State};
use super::*;

/// What was answered to a record of this name.
pub(super) type Answered = (String, Durability, Result<u64, AuditUnavailable>);

pub(super) struct Bench {
    writer: Writer<Disk>,
    pub(super) state: Arc<Mutex<State>>,
    now: Now,
    next: u32,
}

impl Bench {
    /// None if the first record cannot be written: then amiwall does not start.
    pub(super) fn new(state: State, segment_size: u64) -> (Arc<Mutex<State>>, Option<Self>) {
        let state = Arc::new(Mutex::new(state));
        let mut journal = Journal::new(Disk(Arc::clone(&state)), segment_size, None);
        journal.write_ahead();
        let config = AuditConfig { segment_size, ..AuditConfig::new("nowhere") };
        let mut writer = Writer::new(journal, Head::GENESIS, "0b007001".to_owned(), &config).expect("a writer");
        let now = Now { wall: SystemTime::UNIX_EPOCH, steady: Instant::now() };
        let is_started = writer.commit(&Draft::new(Kind::Start), now).is_ok();
        let bench = is_started.then(|| Self { writer, state: Arc::clone(&state), now, next: 0 });
        (state, bench)
    }

    pub(super) fn later(&mut self, by: Duration) {
        self.now.wall += by;
        self.now.steady += by;
        self.writer.tick(self.now);
    }

    /// Records that come at once, each with a name of its own and about this much in it.
    pub(super) fn process(&mut self, records: &[(Durability, usize)]) -> Vec<Answered> {
        let (mut requests, waiting): (Vec<Request>, Vec<_>) =
            records.iter().map(|record| self.request(*record)).unzip();
        assert!(self.writer.process(&mut requests, self.now).is_none(), "nobody has stopped it");
        waiting
            .into_iter()
            .map(|(name, durability, mut answer)| (name, durability, answer.try_recv().expect("an answer at once")))
            .collect()
    }

    #[expect(clippy::type_complexity, reason = "taken apart at once")]
    fn request(
        &mut self,
        (durability, size): (Durability, usize),
    ) -> (Request, (String, Durability, oneshot::Receiver<Result<u64, AuditUnavailable>>)) {
        self.next += 1;
        let name = format!("e{}", self.next);
        let value = "x".repeat(size);
        let message = Message::compose(&[("Event", name.as_bytes()), ("Value", value.as_bytes())]);
        let session = session();
        let draft = Draft::reply(&session, None, &message, None);
        let mut members = Vec::new();
        draft.encode(&mut members, &Redactor::new(&[]));
        let ends = vec![(members.len(), draft.kind())];
        let (answer, answered) = oneshot::channel();
        (
            Request::Append(Batch { records: Encoded { members, ends }, durability, answer }),
            (name, durability, answered),
        )
    }
}

/// The names of all records of a log.
pub(super) fn names(dir: &Path) -> std::collections::BTreeSet<String> {
    let read = super::super::read(dir).expect("a log");
    read.map(|record| record.expect("a record").name).collect()
}

/// A directory that costs no disk, where there is one.
pub(super) fn quick_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| directory())
}
