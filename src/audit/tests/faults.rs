//! What happens when the disk fails. The writer is driven directly, with a time of the test's own.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;

use super::super::chain::Head;
use super::super::journal::Journal;
use super::super::put::Encoded;
use super::super::redact::Redactor;
use super::super::segment::{Directory, DirectoryError};
use super::super::writer::{Batch, Now, Request, Writer};
use super::super::{AuditUnavailable, Durability, verify};
use super::faulty::{Faulty, Plan, faulty};
use super::*;

type Answered = oneshot::Receiver<Result<u64, AuditUnavailable>>;

/// A writer over a faulty disk.
struct Bench {
    writer: Writer<Faulty>,
    plan: Arc<Mutex<Plan>>,
    now: Now,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = directory();
        let plan = Arc::new(Mutex::new(Plan::default()));
        let storage = Faulty::new(Directory::open(dir.path()).expect("a directory"), Arc::clone(&plan));
        let config = AuditConfig::new(dir.path());
        let writer = Writer::new(Journal::new(storage, 1 << 20, None), Head::GENESIS, "0b007001".to_owned(), &config)
            .expect("a writer");
        let now = Now { wall: SystemTime::UNIX_EPOCH, steady: Instant::now() };
        Self { writer, plan, now, dir }
    }

    fn plan(&self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.plan.lock().expect("the plan"));
    }

    fn later(&mut self, seconds: u64) {
        self.now.wall += Duration::from_secs(seconds);
        self.now.steady += Duration::from_secs(seconds);
    }

    /// Processes one batch of requests and gives their answers.
    fn process(&mut self, requests: &[(&str, Durability)]) -> Vec<Result<u64, AuditUnavailable>> {
        let (mut requests, answers): (Vec<Request>, Vec<Answered>) =
            requests.iter().map(|(name, durability)| request(name, *durability)).unzip();
        assert!(self.writer.process(&mut requests, self.now).is_none());
        answers.into_iter().map(|mut answer| answer.try_recv().expect("an answer")).collect()
    }

    fn events(&self) -> Vec<String> {
        let names = records(self.dir.path());
        names.iter().map(|r| r["name"].as_str().or_else(|| r["kind"].as_str()).expect("a name").to_owned()).collect()
    }
}

fn request(name: &str, durability: Durability) -> (Request, Answered) {
    let mut members = Vec::new();
    let draft = event(name);
    draft.encode(&mut members, &Redactor::new(&[]));
    let ends = vec![(members.len(), draft.kind())];
    let (answer, answered) = oneshot::channel();
    (Request::Append(Batch { records: Encoded { members, ends }, durability, answer }), answered)
}

const SYNCED: Durability = Durability::Synced;
const WRITTEN: Durability = Durability::Written;

#[test]
fn short_writes_go_on_where_they_stopped() {
    let mut bench = Bench::new();
    bench.plan(|plan| plan.short_write = Some(7));
    assert_eq!(bench.process(&[("A", WRITTEN), ("B", SYNCED)]), [Ok(1), Ok(2)]);
    assert_eq!(verify(bench.dir.path()).expect("whole").records, 2);
}

#[test]
fn a_full_disk_closes_the_gate_until_a_record_is_durable_again() {
    let mut bench = Bench::new();
    assert_eq!(bench.process(&[("A", WRITTEN)]), [Ok(1)]);
    bench.plan(|plan| plan.room = Some(100));
    assert_eq!(bench.process(&[("B", WRITTEN), ("C", SYNCED)]), [Err(AuditUnavailable), Err(AuditUnavailable)]);
    // Nothing of what was refused stays, not even a fragment.
    let summary = verify(bench.dir.path()).expect("whole");
    assert_eq!((summary.records, summary.torn), (1, None));
    // Closed: not even tried before the time has come, then tried in vain.
    bench.plan(|plan| plan.room = None);
    assert_eq!(bench.process(&[("D", SYNCED)]), [Err(AuditUnavailable)]);
    bench.plan(|plan| plan.room = Some(0));
    bench.later(1);
    assert_eq!(bench.process(&[("E", SYNCED)]), [Err(AuditUnavailable)]);
    bench.plan(|plan| plan.room = None);
    bench.later(1);
    assert_eq!(bench.process(&[("F", SYNCED)]), [Ok(3)]);
    assert_eq!(bench.events(), ["A", "outage", "F"]);
    let outage = &records(bench.dir.path())[1];
    assert_eq!(outage["since"], "1970-01-01T00:00:00.000000Z");
    assert_eq!(outage["until"], "1970-01-01T00:00:02.000000Z");
    assert_eq!(outage["counts"], serde_json::json!({ "event": 4 }));
    assert!(verify(bench.dir.path()).is_ok());
}

#[test]
fn a_full_disk_at_every_byte_leaves_a_whole_chain() {
    for room in 0..1_200 {
        let mut bench = Bench::new();
        bench.plan(|plan| plan.room = Some(room));
        let first = bench.process(&[("A", WRITTEN), ("B", SYNCED)]);
        let second = bench.process(&[("C", SYNCED)]);
        bench.plan(|plan| plan.room = None);
        bench.later(5);
        assert!(bench.process(&[("D", SYNCED)])[0].is_ok());
        let accepted = first.iter().chain(&second).filter(|answer| answer.is_ok()).count();
        let events = bench.events();
        assert_eq!(events.iter().filter(|name| ["A", "B", "C"].contains(&name.as_str())).count(), accepted);
        let summary = verify(bench.dir.path()).expect("whole");
        assert_eq!((summary.records, summary.torn), (u64::try_from(events.len()).expect("small"), None));
    }
}

#[test]
fn a_fragment_that_cannot_be_taken_back_is_left_behind() {
    let mut bench = Bench::new();
    assert_eq!(bench.process(&[("A", WRITTEN)]), [Ok(1)]);
    bench.plan(|plan| (plan.room, plan.fail_truncate) = (Some(700), true));
    assert_eq!(bench.process(&[("B", WRITTEN), ("C", WRITTEN), ("D", WRITTEN)]), [Err(AuditUnavailable); 3]);
    bench.plan(|plan| *plan = Plan::default());
    bench.later(1);
    assert_eq!(bench.process(&[("E", SYNCED)]), [Ok(3)]);
    let summary = verify(bench.dir.path()).expect("whole");
    assert_eq!((summary.records, summary.segments), (4, 2));
}

#[test]
fn after_a_failed_sync_the_records_are_written_again_elsewhere() {
    let mut bench = Bench::new();
    assert_eq!(bench.process(&[("A", SYNCED), ("B", WRITTEN)]), [Ok(1), Ok(2)]);
    assert_eq!(bench.process(&[("C", WRITTEN)]), [Ok(3)]);
    bench.plan(|plan| plan.failing_syncs = 1);
    assert_eq!(bench.process(&[("D", SYNCED)]), [Ok(4)]);
    assert_eq!(bench.process(&[("E", SYNCED)]), [Ok(6)]);
    let names: Vec<PathBuf> = segments(bench.dir.path());
    let expected = ["audit-00000000000000000001.jsonl.suspect", "audit-00000000000000000003.jsonl"];
    assert_eq!(names, expected.map(|name| bench.dir.path().join(name)));
    let summary = verify(bench.dir.path()).expect("whole");
    assert_eq!(summary.records, 6);
    let recovery = &records(bench.dir.path())[6];
    assert_eq!((&recovery["kind"], &recovery["reason"]), (&"recovery".into(), &"audit.set-aside".into()));
    bench.plan(|plan| assert_eq!(plan.misused, Vec::<String>::new()));
}

#[test]
fn the_gate_stays_closed_while_records_cannot_be_written_again() {
    let mut bench = Bench::new();
    bench.process(&[("A", SYNCED)]);
    bench.plan(|plan| (plan.failing_syncs, plan.fail_create) = (1, true));
    assert_eq!(bench.process(&[("B", WRITTEN), ("C", SYNCED)]), [Ok(2), Err(AuditUnavailable)]);
    bench.later(1);
    assert_eq!(bench.process(&[("D", WRITTEN)]), [Err(AuditUnavailable)]);
    bench.plan(|plan| plan.fail_create = false);
    bench.later(1);
    assert_eq!(bench.process(&[("E", SYNCED)]), [Ok(5)]);
    let summary = verify(bench.dir.path()).expect("whole");
    assert_eq!((summary.records, summary.segments), (6, 2));
    // C is in the chain, since what came behind it might have been; the outage says that it was not forwarded.
    let outage = records(bench.dir.path()).into_iter().find(|r| r["kind"] == "outage").expect("an outage");
    assert_eq!(outage["unconfirmed"], serde_json::json!([[3, 3]]));
    bench.plan(|plan| assert_eq!(plan.misused, Vec::<String>::new()));
}

#[test]
fn every_sync_may_fail() {
    for failing in 0..12 {
        let mut bench = Bench::new();
        let mut accepted = Vec::new();
        for number in 0..12_u32 {
            bench.plan(|plan| plan.failing_syncs = u32::from(number == failing) * 3);
            let name = number.to_string();
            let answer = bench.process(&[(&name, SYNCED)])[0];
            accepted.extend(answer.ok().map(|_| name));
            bench.later(1);
        }
        assert!(verify(bench.dir.path()).is_ok());
        let events = bench.events();
        assert!(accepted.iter().all(|name| events.contains(name)), "{accepted:?} {events:?}");
        assert!(accepted.len() >= 10);
        bench.plan(|plan| assert_eq!(plan.misused, Vec::<String>::new()));
    }
}

#[tokio::test]
async fn a_panic_of_the_writer_closes_the_gate() {
    let dir = directory();
    let (audit, plan) = faulty(dir.path());
    plan.lock().expect("the plan").panic_in_sync = true;
    let (refusal, decisions) = audit.record(&session(), vec![("1".to_owned(), decision())]).await.expect_err("refused");
    assert_eq!((refusal, decisions), (AuditUnavailable, vec![("1".to_owned(), decision())]));
    assert_eq!(audit.append(vec![event("A")]).await, Err(AuditUnavailable));
    assert_eq!(audit.close().await, Err(AuditUnavailable));
}

/// What of a log's files is changed by somebody else, between two records.
type Meddling = fn(&Path, &Path);

#[test]
fn a_segment_that_is_removed_or_replaced_is_put_back() {
    let remove: Meddling = |_, segment| std::fs::remove_file(segment).expect("a file");
    let remove_all: Meddling = |dir, _| std::fs::remove_dir_all(dir).expect("a directory");
    let rename: Meddling = |_, segment| std::fs::rename(segment, segment.with_extension("1")).expect("a file");
    let replace: Meddling = |dir, segment| {
        std::fs::write(dir.join("other"), "other").expect("a file");
        std::fs::rename(dir.join("other"), segment).expect("a file");
    };
    for (meddle, change) in [(remove, "removed"), (remove_all, "removed"), (rename, "removed"), (replace, "replaced")] {
        let mut bench = Bench::new();
        assert_eq!(bench.process(&[("A", SYNCED)]), [Ok(1)]);
        meddle(bench.dir.path(), &segments(bench.dir.path())[0]);
        assert_eq!(bench.process(&[("B", WRITTEN), ("C", SYNCED)]), [Ok(2), Ok(3)]);
        assert_eq!(bench.process(&[("D", SYNCED)]), [Ok(5)]);
        assert_eq!(bench.events(), ["A", "B", "C", "recovery", "D"]);
        let recovery = &records(bench.dir.path())[3];
        assert_eq!((&recovery["reason"], &recovery["change"]), (&"audit.file-changed".into(), &change.into()));
        let summary = verify(bench.dir.path()).expect("whole");
        assert_eq!((summary.records, summary.segments), (5, 1));
        assert!(matches!(Directory::open(bench.dir.path()), Err(DirectoryError::Locked(_))), "the lock is held");
    }
}

#[test]
fn what_stood_in_the_place_of_a_segment_is_kept() {
    let mut bench = Bench::new();
    bench.process(&[("A", SYNCED)]);
    let segment = segments(bench.dir.path()).remove(0);
    for number in 1..3 {
        std::fs::remove_file(&segment).expect("a file");
        std::fs::write(&segment, "evidence").expect("a file");
        assert!(bench.process(&[("B", SYNCED)])[0].is_ok());
        let kept = format!("{}.replaced-{number}", segment.display());
        assert_eq!(std::fs::read_to_string(kept).expect("the other file"), "evidence");
    }
    assert!(verify(bench.dir.path()).is_ok());
}

#[test]
fn a_truncated_segment_is_noticed_and_what_can_be_kept_is_kept() {
    for (left, lost) in [(0, 3), (10, 3), (u64::MAX, 0)] {
        let mut bench = Bench::new();
        bench.process(&[("A", SYNCED), ("B", SYNCED), ("C", SYNCED)]);
        let file = std::fs::OpenOptions::new().write(true).open(&segments(bench.dir.path())[0]).expect("a segment");
        let len = file.metadata().expect("a file").len();
        file.set_len(left.min(len + 5)).expect("truncated");
        assert_eq!(bench.process(&[("D", WRITTEN), ("E", SYNCED)]), [Ok(4), Ok(5)]);
        assert_eq!(bench.process(&[("F", SYNCED)]), [Ok(8)]);
        let newest = std::fs::read_to_string(segments(bench.dir.path()).last().expect("a segment")).expect("UTF-8");
        let kept: Vec<serde_json::Value> =
            newest.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let seqs: Vec<u64> = kept.iter().filter_map(|record| record["seq"].as_u64()).collect();
        assert_eq!(seqs, [4, 5, 6, 7, 8]);
        assert_eq!((&kept[2]["reason"], &kept[2]["change"]), (&"audit.file-changed".into(), &"resized".into()));
        assert_eq!(kept[3]["reason"], "audit.set-aside");
        // What is lost is lost, and every reader is told.
        assert_eq!(verify(bench.dir.path()).is_err(), lost > 0, "{lost} lost");
    }
}

#[test]
fn the_gate_stays_closed_while_a_segment_cannot_be_put_back() {
    let mut bench = Bench::new();
    bench.process(&[("A", SYNCED)]);
    // Nothing can be made where the directory was.
    std::fs::remove_dir_all(bench.dir.path()).expect("a directory");
    std::fs::write(bench.dir.path(), "in the way").expect("a file");
    assert_eq!(bench.process(&[("B", SYNCED)]), [Err(AuditUnavailable)]);
    bench.later(1);
    assert_eq!(bench.process(&[("C", SYNCED)]), [Err(AuditUnavailable)]);
    std::fs::remove_file(bench.dir.path()).expect("a file");
    bench.later(1);
    assert!(bench.process(&[("D", SYNCED)])[0].is_ok());
    assert_eq!(bench.events()[..2], ["A", "B"]);
    assert_eq!(bench.events().last().map(String::as_str), Some("recovery"));
    assert!(verify(bench.dir.path()).is_ok());
}

#[test]
fn a_new_segment_is_made_even_where_the_directory_has_gone() {
    let mut bench = Bench::new();
    bench.process(&[("A", SYNCED)]);
    std::fs::remove_dir_all(bench.dir.path()).expect("a directory");
    bench.plan(|plan| plan.failing_syncs = 1);
    assert_eq!(bench.process(&[("B", SYNCED)]), [Ok(2)]);
    assert_eq!(bench.process(&[("C", SYNCED)]), [Ok(4)]);
    assert_eq!(bench.events(), ["B", "recovery", "C"]);
    assert_eq!(records(bench.dir.path())[1]["change"], "removed");
}
