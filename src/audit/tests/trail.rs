//! Checkpoints, signatures, anchors, old segments, the clock: what makes the log evidence.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use super::super::chain::Head;
use super::super::journal::Journal;
use super::super::put::Encoded;
use super::super::segment::Directory;
use super::super::writer::{Batch, Now, Request, Writer};
use super::super::{
    Anchors, BadRecord, Durability, Evidence, Keep, KeepSpace, OnFailure, SigningKey, VerifyError, VerifyingKey,
    verify, verify_against,
};
use super::faulty::{faulty, faulty_with, hold, hold_no_more};
use super::*;

/// A writer over a real directory, with a time of the test's own.
struct Bench {
    writer: Writer<Directory>,
    now: Now,
    dir: tempfile::TempDir,
    key: VerifyingKey,
}

impl Bench {
    fn new(change: impl FnOnce(&mut AuditConfig)) -> Self {
        let dir = directory();
        let log = dir.path().join("log");
        let private = dir.path().join("audit.key");
        let key = SigningKey::create(&private, &dir.path().join("audit.pub")).expect("a key");
        let mut config = AuditConfig { signing_key: Some(private), ..AuditConfig::new(log) };
        change(&mut config);
        let storage = Directory::open(&config.directory).expect("a directory");
        let journal = Journal::new(storage, config.segment_size, config.segment_age);
        let writer = Writer::new(journal, Head::GENESIS, "0b007001".to_owned(), &config).expect("a writer");
        Self { writer, now: Now { wall: SystemTime::now(), steady: Instant::now() }, dir, key }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Some seconds pass, and at the end of each the writer is told.
    fn seconds(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now.wall += Duration::from_secs(1);
            self.now.steady += Duration::from_secs(1);
            assert!(self.writer.process(&mut vec![Request::Tick], self.now).is_none());
        }
    }

    fn append(&mut self, count: usize) {
        for number in 0..count {
            let mut members = Vec::new();
            let draft = event(&number.to_string());
            draft.encode(&mut members, &super::super::redact::Redactor::new(&[]));
            let ends = vec![(members.len(), draft.kind())];
            let (answer, mut answered) = tokio::sync::oneshot::channel();
            let batch = Batch { records: Encoded { members, ends }, durability: Durability::Written, answer };
            assert!(self.writer.process(&mut vec![Request::Append(batch)], self.now).is_none());
            answered.try_recv().expect("an answer").expect("written");
        }
    }

    fn evidence(&self) -> Evidence {
        Evidence { keys: vec![self.key.clone()], anchors: Anchors::default() }
    }

    fn verify(&self) -> Result<super::super::Summary, VerifyError> {
        verify_against(&self.log(), &self.evidence(), &mut |_, _| ())
    }
}

pub(super) fn problem<T: std::fmt::Debug>(outcome: Result<T, VerifyError>) -> BadRecord {
    match outcome.expect_err("broken") {
        VerifyError::Broken { problem, .. } => problem,
        other @ (VerifyError::Empty(_) | VerifyError::Io { .. }) => panic!("{other}"),
    }
}

/// Makes a chain anew from its lines without seq, prev and hash, as somebody without the key can.
pub(super) fn rechain(path: &Path, mut change: impl FnMut(usize, &mut String)) {
    let text = fs::read_to_string(path).expect("a segment");
    let (mut head, mut out) = (Head::GENESIS, Vec::new());
    for (index, line) in text.lines().enumerate() {
        let mut line = line.to_owned();
        change(index, &mut line);
        let record: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let start = line.find(",\"kind\":").expect("a kind");
        let end = line.rfind(",\"prev\":").expect("a prev");
        let stamp = super::super::chain::Stamp {
            time: record["time"].as_str().expect("a time"),
            mono: record["mono"].as_u64().expect("a number"),
        };
        head.seal(&mut out, stamp, &[&line.as_bytes()[start..end]]);
    }
    fs::write(path, out).expect("written");
}

#[test]
fn under_load_a_checkpoint_is_signed_each_second_and_without_any_each_minute() {
    let mut bench = Bench::new(|_| ());
    bench.seconds(1);
    for _ in 0..5 {
        bench.append(10);
        bench.seconds(1);
    }
    let count = |bench: &Bench| kinds(&bench.log()).iter().filter(|kind| *kind == "checkpoint").count();
    assert_eq!(count(&bench), 5);
    bench.seconds(30);
    assert_eq!(count(&bench), 5, "nothing happened, and the last is less than a minute old");
    bench.seconds(90);
    assert_eq!(count(&bench), 7, "silence is on record each minute");
    let summary = bench.verify().expect("whole");
    assert_eq!((summary.signatures, summary.signed_through), (7, Some(summary.records - 1)));
}

#[test]
fn a_chain_that_was_made_anew_without_the_key_is_found() {
    let mut bench = Bench::new(|_| ());
    for _ in 0..200 {
        bench.append(1);
        bench.seconds(1);
    }
    let segment = segments(&bench.log()).remove(0);
    let good = fs::read(&segment).expect("a segment");
    bench.verify().expect("whole");
    // One value is another, and every hash behind it is right.
    rechain(&segment, |index, line| {
        *line = if index == 10 { line.replace("PJSIP/1", "PJSIP/2") } else { line.clone() }
    });
    assert!(verify(&bench.log()).is_ok(), "the chain alone shows nothing");
    assert!(matches!(problem(bench.verify()), BadRecord::Signature { .. }));
    // Without the signatures that no longer fit.
    fs::write(&segment, &good).expect("written");
    rechain(&segment, |index, line| {
        if index >= 10
            && let Some(at) = line.find(",\"note\":")
        {
            let end = line.rfind(",\"prev\":").expect("a prev");
            line.replace_range(at..end, "");
        }
    });
    assert!(verify(&bench.log()).is_ok());
    assert!(matches!(problem(bench.verify()), BadRecord::Unsigned { since: 9.., .. }));
    // With none at all.
    rechain(&segment, |_, line| {
        if let Some(at) = line.find(",\"note\":") {
            let end = line.rfind(",\"prev\":").expect("a prev");
            line.replace_range(at..end, "");
        }
    });
    assert!(matches!(problem(bench.verify()), BadRecord::Unsigned { since: 1, .. }));
    // With another key.
    fs::write(&segment, &good).expect("written");
    let other = Bench::new(|_| ());
    assert!(matches!(
        problem(verify_against(&bench.log(), &other.evidence(), &mut |_, _| ())),
        BadRecord::Signature { .. }
    ));
}

#[test]
fn a_forged_end_in_many_short_runs_is_found() {
    let mut bench = Bench::new(|_| ());
    bench.append(1);
    bench.seconds(1);
    let segment = segments(&bench.log()).remove(0);
    let mut text = fs::read_to_string(&segment).expect("a segment");
    let last = text.lines().last().expect("a record").to_owned();
    let at = last.find(",\"kind\":").expect("a kind");
    for _ in 0..30 {
        text += &format!("{},\"kind\":\"start\",\"prev\":\"\",\"hash\":\"\"}}\n", last.get(..at).expect("a start"));
    }
    fs::write(&segment, text).expect("written");
    rechain(&segment, |_, _| ());
    assert!(matches!(problem(bench.verify()), BadRecord::Unsigned { .. }));
}

#[test]
fn an_end_that_was_cut_off_is_found_with_what_was_kept_elsewhere() {
    let kept = directory();
    let anchor = kept.path().join("anchor");
    let mut bench = Bench::new(|config| config.anchor = Some(anchor.clone()));
    for _ in 0..5 {
        bench.append(3);
        bench.seconds(1);
    }
    let (answer, _answered) = tokio::sync::oneshot::channel();
    bench.writer.process(&mut vec![Request::Stop(answer)], bench.now).expect("a stop");
    bench.writer.stop(bench.now).expect("stopped");
    let evidence = Evidence { anchors: Anchors::load(&anchor).expect("anchors"), ..bench.evidence() };
    let check = || verify_against(&bench.log(), &evidence, &mut |_, _| ());
    assert_eq!(check().expect("whole").anchored, 6, "five checkpoints and the end");
    let segment = segments(&bench.log()).remove(0);
    let good = fs::read_to_string(&segment).expect("a segment");
    let lines: Vec<&str> = good.lines().collect();
    // Back to a checkpoint: nothing in the log itself shows it.
    fs::write(&segment, lines[..8].join("\n") + "\n").expect("written");
    assert!(bench.verify().is_ok());
    assert!(matches!(problem(check()), BadRecord::Rollback { last: 8, anchor: 12, .. }));
    // Made anew by somebody who even has the key.
    fs::write(&segment, &good).expect("written");
    rechain(&segment, |index, line| *line = if index == 0 { line.replace("PJSIP/1", "PJSIP/2") } else { line.clone() });
    let chain_only = Evidence { keys: Vec::new(), ..evidence.clone() };
    assert_eq!(problem(verify_against(&bench.log(), &chain_only, &mut |_, _| ())), BadRecord::Anchor { seq: 4 });
}

#[test]
fn anchors_are_found_behind_what_syslog_puts_before_them() {
    let mut bench = Bench::new(|_| ());
    bench.append(3);
    bench.seconds(1);
    let text = fs::read_to_string(segments(&bench.log()).remove(0)).expect("a segment");
    let path = bench.dir.path().join("syslog");
    let lines: Vec<String> = text.lines().map(|line| format!("<109>1 2026 host amiwall 7 - - {line}\r")).collect();
    fs::write(&path, lines.join("\n")).expect("written");
    assert_eq!(Anchors::load(&path).expect("anchors").len(), 1);
    fs::write(&path, "nothing\n").expect("written");
    assert!(matches!(Anchors::load(&path), Err(VerifyError::Io { .. })));
}

#[test]
fn a_segment_ends_with_a_checkpoint_by_size_and_by_age() {
    let mut by_size = Bench::new(|config| config.segment_size = 2_000);
    by_size.append(20);
    let mut by_age = Bench::new(|config| config.segment_age = Some(Duration::from_secs(60)));
    for _ in 0..4 {
        by_age.append(1);
        by_age.seconds(61);
    }
    for bench in [by_size, by_age] {
        let segments = segments(&bench.log());
        assert!(segments.len() > 3, "{segments:?}");
        for segment in &segments[..segments.len() - 1] {
            let text = fs::read_to_string(segment).expect("a segment");
            assert!(text.lines().last().expect("a record").contains("\"kind\":\"checkpoint\""), "{text}");
        }
        bench.verify().expect("whole");
    }
}

#[test]
fn old_segments_go_and_the_chain_shows_why() {
    let keep = Keep { days: None, space: Some(KeepSpace::Bytes(4_000)) };
    let mut bench = Bench::new(|config| (config.segment_size, config.keep) = (1_500, keep));
    for _ in 0..40 {
        bench.append(2);
        bench.seconds(1);
    }
    let first = super::super::segment::list_segments(&bench.log()).expect("a directory").remove(0).first;
    assert!(first > 1);
    let summary = bench.verify().expect("whole");
    assert_eq!(summary.pruned, Some(first - 1));
    let prunes: Vec<_> = records(&bench.log()).into_iter().filter(|record| record["kind"] == "prune").collect();
    assert!(prunes.iter().any(|prune| prune["through"] == first - 1), "{prunes:?}");
    // One segment more is gone, and nothing says so.
    fs::remove_file(&segments(&bench.log())[0]).expect("a segment");
    assert!(matches!(problem(bench.verify()), BadRecord::Begin { .. }));
    assert!(matches!(problem(verify(&bench.log())), BadRecord::Begin { .. }));
}

#[test]
fn a_step_of_the_clock_is_on_record() {
    let mut bench = Bench::new(|_| ());
    bench.seconds(3);
    bench.now.wall += Duration::from_secs(3_600);
    bench.seconds(1);
    bench.now.wall -= Duration::from_secs(7_200);
    bench.seconds(1);
    let steps: Vec<_> = records(&bench.log()).iter().filter_map(|record| record["step_ms"].as_i64()).collect();
    assert_eq!(steps, [3_600_000, -7_200_000]);
    bench.verify().expect("whole");
}

#[test]
fn a_file_that_is_removed_while_nothing_is_written_is_noticed() {
    let mut bench = Bench::new(|_| ());
    bench.append(1);
    bench.seconds(1);
    fs::remove_file(segments(&bench.log()).remove(0)).expect("a segment");
    bench.seconds(2);
    assert!(records(&bench.log()).iter().any(|record| record["reason"] == "audit.file-changed"));
    bench.verify().expect("whole");
}

#[tokio::test]
async fn a_writer_that_hangs_is_not_waited_for_and_what_it_did_is_on_record() {
    let dir = directory();
    let (audit, plan) = faulty(dir.path());
    let hold = hold(&plan);
    let session = session();
    let held = tokio::spawn({
        let (audit, session) = (audit.clone(), session.clone());
        async move { audit.record(&session, vec![("1".to_owned(), decision())]).await }
    });
    tokio::task::yield_now().await;
    hold.wait();
    // The deadline passes, for him and for one who comes later.
    tokio::time::pause();
    assert!(held.await.expect("no panic").is_err());
    assert!(audit.commit(event("A")).await.is_err());
    tokio::time::resume();
    hold_no_more(&plan);
    hold.release();
    assert!(audit.commit(event("B")).await.is_ok());
    audit.close().await.expect("closed");
    let records = records(dir.path());
    let action = records.iter().find(|record| record["kind"] == "action").expect("an action");
    let outage = records.iter().find(|record| record["reason"] == "audit.unconfirmed").expect("an outage");
    assert_eq!(outage["unconfirmed"], serde_json::json!([[action["seq"], action["seq"]]]));
}

#[tokio::test]
async fn told_to_continue_everything_passes_and_the_gap_is_on_record() {
    let dir = directory();
    let config = AuditConfig { on_failure: OnFailure::Continue, ..AuditConfig::new(dir.path()) };
    let (audit, plan) = faulty_with(&config);
    plan.lock().expect("the plan").room = Some(0);
    let recorded = audit.record(&session(), vec![("1".to_owned(), decision())]).await.expect("passed on");
    assert_eq!((&*recorded[0].0, recorded[0].1.get()), ("1", &decision()));
    let first = audit.commit(event("A")).await.expect("passed on");
    let second = audit.commit(event("B")).await.expect("passed on");
    assert!(first != second && first > 1 << 62, "no seq of the log, and no two alike");
    plan.lock().expect("the plan").room = None;
    audit.close().await.expect("closed");
    let records = records(dir.path());
    let outage = records.iter().find(|record| record["kind"] == "outage").expect("an outage");
    assert_eq!((&outage["continued"], &outage["counts"]["action"]), (&true.into(), &1.into()));
    assert!(verify(dir.path()).is_ok());
}

#[tokio::test]
async fn a_writer_that_has_panicked_lets_nothing_pass_whatever_it_was_told() {
    let dir = directory();
    let config = AuditConfig { on_failure: OnFailure::Continue, ..AuditConfig::new(dir.path()) };
    let (audit, plan) = faulty_with(&config);
    plan.lock().expect("the plan").panic_in_sync = true;
    assert!(audit.record(&session(), vec![("1".to_owned(), decision())]).await.is_err());
    assert!(audit.append(vec![event("A")]).await.is_err());
}

#[test]
fn segments_that_are_complete_are_compressed_and_go_like_others() {
    let keep = Keep { days: None, space: Some(KeepSpace::Bytes(20_000)) };
    let mut bench = Bench::new(|config| (config.segment_size, config.compress, config.keep) = (1_500, true, keep));
    let compressed = |bench: &Bench| segments(&bench.log()).iter().any(|path| path.extension() == Some("zst".as_ref()));
    // The thread that compresses takes its time; without it this would go on for ever.
    while !compressed(&bench) {
        bench.append(5);
        std::thread::yield_now();
    }
    bench.verify().expect("whole");
    while bench.verify().expect("whole").pruned.is_none() {
        bench.append(5);
        bench.seconds(10);
    }
}

#[test]
fn a_prune_that_nobody_signed_hides_nothing() {
    let mut bench = Bench::new(|config| config.segment_size = 1_500);
    for _ in 0..20 {
        bench.append(2);
        bench.seconds(1);
    }
    bench.append(1);
    let files = segments(&bench.log());
    let kept = files.last().expect("a segment");
    let first: serde_json::Value =
        serde_json::from_str(fs::read_to_string(kept).expect("UTF-8").lines().next().expect("a record")).expect("JSON");
    for file in &files[..files.len() - 1] {
        fs::remove_file(file).expect("removed");
    }
    let text = fs::read_to_string(kept).expect("a segment");
    let last: serde_json::Value = serde_json::from_str(text.lines().last().expect("a record")).expect("JSON");
    let hash = last["hash"].as_str().expect("a hash").as_bytes().try_into().expect("64 digits");
    let mut head = Head { seq: last["seq"].as_u64().expect("a number"), hash };
    let mut out = text.into_bytes();
    let members = format!(
        ",\"kind\":\"prune\",\"through\":{},\"through_hash\":{}",
        first["seq"].as_u64().expect("a number") - 1,
        first["prev"]
    );
    let stamp = super::super::chain::Stamp { time: last["time"].as_str().expect("a time"), mono: 1 };
    head.seal(&mut out, stamp, &[members.as_bytes()]);
    fs::write(kept, out).expect("written");
    assert!(verify(&bench.log()).is_ok(), "without a key anybody can say so");
    assert!(matches!(problem(bench.verify()), BadRecord::Begin { .. }));
}

#[test]
fn a_clock_that_is_a_year_ahead_takes_nothing() {
    let keep = Keep { days: Some(30), space: None };
    let mut bench = Bench::new(|config| (config.segment_size, config.keep) = (1_500, keep));
    for _ in 0..20 {
        bench.append(2);
        bench.seconds(1);
    }
    let before = segments(&bench.log()).len();
    bench.now.steady += Duration::from_secs(4_000);
    bench.now.wall += Duration::from_secs(4_000 + 400 * 86_400);
    bench.seconds(30);
    assert!(segments(&bench.log()).len() >= before, "nothing was taken out");
    // A day later somebody would have noticed.
    bench.now.steady += Duration::from_secs(90_000);
    bench.now.wall += Duration::from_secs(90_000);
    bench.seconds(30);
    assert!(segments(&bench.log()).len() < before);
    bench.verify().expect("whole");
}

#[test]
fn what_is_no_file_or_no_number_stops_no_reader() {
    let mut bench = Bench::new(|_| ());
    bench.append(2);
    let pipe = bench.log().join("audit-00000000000000000003.jsonl");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).expect("a pipe");
    assert!(matches!(verify(&bench.log()), Err(VerifyError::Io { .. })));
    fs::remove_file(&pipe).expect("removed");
    std::os::unix::fs::symlink("/dev/zero", &pipe).expect("a link");
    assert!(matches!(verify(&bench.log()), Err(VerifyError::Io { .. })));
    fs::remove_file(&pipe).expect("removed");
    let segment = segments(&bench.log()).remove(0);
    let mut out = Vec::new();
    let mut head = Head { seq: u64::MAX - 2, ..Head::GENESIS };
    head.seal(&mut out, super::super::chain::Stamp { time: "T", mono: u64::MAX }, &[b",\"kind\":\"event\""]);
    fs::write(&segment, out).expect("written");
    assert_eq!(problem(verify(&bench.log())), BadRecord::Shape);
}
