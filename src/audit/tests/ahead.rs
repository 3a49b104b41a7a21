//! The write-ahead file: what it makes durable, what a start does with it, and what happens when it fails.

use std::fs;
use std::time::Duration;

use super::super::wal::{WAL_FILE, WAL_LEN};
use super::super::{Durability, verify};
use super::bench::{Bench, names, quick_directory};
use super::disk::{Fault, Injection, State};
use super::faulty::{Plan, faulty_over};
use super::random::Random;
use super::*;

/// What is on the disk of a log now, as if the power went; of its segment only the first so many bytes.
fn power_cut(dir: &Path, len: Option<u64>) -> tempfile::TempDir {
    let left = directory();
    let segment = segments(dir).pop().expect("a segment");
    for file in [&segment, &dir.join(WAL_FILE)] {
        fs::copy(file, left.path().join(file.file_name().expect("a name"))).expect("copied");
    }
    if let Some(len) = len {
        let copy = fs::OpenOptions::new().write(true).open(segments(left.path()).pop().expect("it")).expect("it");
        copy.set_len(len).expect("cut");
    }
    left
}

/// Where the line of this record begins.
fn start_of(dir: &Path, seq: usize) -> u64 {
    let text = fs::read_to_string(segments(dir).pop().expect("a segment")).expect("UTF-8");
    text.split_inclusive('\n').take(seq - 1).map(|line| line.len() as u64).sum()
}

#[test]
fn the_segment_is_synced_once_a_second_and_the_write_ahead_file_for_each_batch() {
    let mut state = State::default();
    state.has_wal = true;
    let (state, bench) = Bench::new(state, 1 << 20);
    let mut bench = bench.expect("it has started");
    for _ in 0..3 {
        let before = state.lock().expect("the disk").calls;
        let answers = bench.process(&[(Durability::Written, 10), (Durability::Synced, 10)]);
        assert!(answers.iter().all(|(_, _, answer)| answer.is_ok()));
        // To the segment, to the write-ahead file, and a sync of that: nothing else is waited for.
        assert_eq!(state.lock().expect("the disk").calls - before, 3);
    }
    assert_eq!(state.lock().expect("the disk").synced_ahead, 3);
    // What is too long for it, or has no more room in it, is synced where it belongs, and it begins anew.
    bench.process(&[(Durability::Synced, WAL_LEN)]);
    assert_eq!(state.lock().expect("the disk").synced_ahead, 3);
    for _ in 0..12 {
        bench.process(&[(Durability::Synced, WAL_LEN / 5)]);
    }
    assert_eq!(state.lock().expect("the disk").synced_ahead, 3 + 8 + 2);
    bench.later(Duration::from_secs(1));
    bench.process(&[(Durability::Synced, 10)]);
    assert_eq!(state.lock().expect("the disk").synced_ahead, 3 + 8 + 2 + 1);
}

/// A sync of the segment fails while the write-ahead file has some of it: what comes then is longer than that.
#[tokio::test]
async fn it_begins_anew_with_the_segment_that_comes_after_one_that_failed() {
    for seed in 0..20 {
        let mut state = State::default();
        (state.has_wal, state.random) = (true, Some(Random::of_seed(seed)));
        let (state, bench) = Bench::new(state, 1 << 20);
        let mut bench = bench.expect("it has started");
        bench.process(&[(Durability::Synced, 10)]);
        let at = state.lock().expect("the disk").calls + 1;
        state.lock().expect("the disk").injection = Some(Injection { fault: Fault::Error(5), at, forever: false });
        bench.later(Duration::from_secs(1));
        let answers = bench.process(&[(Durability::Synced, 2_000)]);
        let [(name, _, Ok(_))] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(state.lock().expect("the disk").synced_ahead, 2);
        let dir = quick_directory();
        state.lock().expect("the disk").survive(dir.path());
        open(dir.path()).close().await.expect("closed");
        assert!(names(dir.path()).contains(name), "seed {seed}: durable, and lost");
    }
}

#[tokio::test]
async fn what_only_the_write_ahead_file_has_is_put_to_its_place() {
    let dir = directory();
    let audit = open(dir.path());
    for name in ["One", "Two", "Three", "Four"] {
        audit.commit(event(name)).await.expect("recorded");
    }
    assert_eq!(kinds(dir.path()), ["start", "event", "event", "event", "event"]);
    let whole = fs::read(segments(dir.path()).pop().expect("a segment")).expect("read");
    // The segment may have lost anything behind its last sync, that of the start.
    for (len, lost) in [(start_of(dir.path(), 2), 4), (start_of(dir.path(), 4), 2), (start_of(dir.path(), 4) + 7, 2)] {
        let left = power_cut(dir.path(), Some(len));
        open(left.path()).close().await.expect("closed");
        verify(left.path()).expect("whole");
        let text = fs::read(segments(left.path()).pop().expect("a segment")).expect("read");
        assert!(text.starts_with(&whole), "byte for byte");
        let replayed: Vec<_> =
            records(left.path()).into_iter().filter(|record| record["reason"] == "audit.replayed").collect();
        assert_eq!((replayed.len(), &replayed[0]["count"]), (1, &serde_json::json!(lost)));
    }
    // Nothing was lost: nothing is said.
    let left = power_cut(dir.path(), None);
    open(left.path()).close().await.expect("closed");
    assert_eq!(kinds(left.path())[5..], ["start", "stop"]);
    audit.close().await.expect("closed");
}

#[tokio::test]
async fn what_does_not_follow_the_log_is_not_put_there() {
    let dir = directory();
    let audit = open(dir.path());
    for name in ["One", "Two", "Three"] {
        audit.commit(event(name)).await.expect("recorded");
    }
    let wal = fs::read(dir.path().join(WAL_FILE)).expect("read");
    assert_eq!(wal.len(), WAL_LEN);
    let end = wal.iter().position(|byte| *byte == 0).expect("an end");
    let text = std::str::from_utf8(&wal[..end]).expect("UTF-8");
    let second = text.find("Two").expect("it is there");
    let changed = text.replace("Two", "Xwo");
    let without_first = text.split_once('\n').expect("lines").1.to_owned();
    let torn = text.split_at(second).0.to_owned();
    let none = String::new;
    let cases = [
        (changed, 1, Some(4)),
        (without_first, 0, Some(4)),
        (torn, 1, None),
        ("\n".repeat(9), 0, None),
        (none(), 0, None),
    ];
    for (wal, kept, missing) in cases {
        let left = power_cut(dir.path(), Some(start_of(dir.path(), 2)));
        fs::write(left.path().join(WAL_FILE), &wal).expect("written");
        open(left.path()).close().await.expect("closed");
        verify(left.path()).expect("whole");
        let events = kinds(left.path()).iter().filter(|kind| *kind == "event").count();
        assert_eq!(events, kept, "{wal:?}");
        // What it has, and what is nowhere, is told, and kept.
        let told = records(left.path()).into_iter().find(|record| record["reason"] == "audit.records-missing");
        assert_eq!(told.as_ref().map(|record| record["through"].as_u64().expect("a seq")), missing, "{wal:?}");
        let aside = fs::read(left.path().join("audit.wal.torn-1")).ok();
        assert_eq!(aside, missing.map(|_| wal.into_bytes()));
    }
    // The same where there is no segment.
    let left = power_cut(dir.path(), None);
    fs::remove_file(segments(left.path()).pop().expect("a segment")).expect("removed");
    open(left.path()).close().await.expect("closed");
    assert_eq!(records(left.path())[0]["reason"], "audit.records-missing");
    // No more is read of it than amiwall has written.
    let left = power_cut(dir.path(), None);
    fs::OpenOptions::new().write(true).open(left.path().join(WAL_FILE)).expect("it").set_len(1 << 40).expect("a hole");
    open(left.path()).close().await.expect("closed");
    // One that is a link leads nowhere.
    let left = power_cut(dir.path(), Some(start_of(dir.path(), 2)));
    fs::rename(left.path().join(WAL_FILE), left.path().join("elsewhere")).expect("moved");
    std::os::unix::fs::symlink("elsewhere", left.path().join(WAL_FILE)).expect("a link");
    let refused = Audit::open(&AuditConfig::new(left.path())).expect_err("a link");
    assert!(refused.to_string().contains(WAL_FILE), "{refused}");
    audit.close().await.expect("closed");
}

#[tokio::test]
async fn a_write_ahead_file_that_fails_is_given_up_and_nothing_is_lost() {
    let dir = directory();
    let (audit, plan) = faulty_over(&AuditConfig::new(dir.path()), Plan { has_wal: true, ..Plan::default() });
    audit.commit(event("One")).await.expect("recorded");
    assert!(dir.path().join(WAL_FILE).exists());
    plan.lock().expect("the plan").failing_syncs = 1;
    audit.commit(event("Two")).await.expect("durable in its segment");
    assert!(!dir.path().join(WAL_FILE).exists());
    audit.commit(event("Three")).await.expect("recorded");
    audit.close().await.expect("closed");
    assert_eq!(plan.lock().expect("the plan").misused, Vec::<String>::new());
    assert_eq!(segments(dir.path()).len(), 1, "the segment has not failed");
    assert_eq!(kinds(dir.path()), ["start", "event", "event", "event", "stop"]);
}

#[tokio::test]
async fn a_write_ahead_file_that_fails_stays_until_its_records_are_durable_elsewhere() {
    let dir = directory();
    let (audit, plan) = faulty_over(&AuditConfig::new(dir.path()), Plan { has_wal: true, ..Plan::default() });
    audit.commit(event("One")).await.expect("recorded");
    {
        let mut plan = plan.lock().expect("the plan");
        (plan.failing_syncs, plan.fail_create) = (2, true);
    }
    audit.commit(event("Two")).await.expect_err("neither it nor the segment, nor another one");
    let left = power_cut(dir.path(), Some(start_of(dir.path(), 2)));
    open(left.path()).close().await.expect("closed");
    assert!(records(left.path()).iter().any(|record| record["name"] == "One"), "it was durable there");
    audit.close().await.ok();
}

#[tokio::test]
async fn a_write_ahead_file_that_is_removed_is_made_again_and_goes_with_the_end() {
    let dir = directory();
    let audit = open(dir.path());
    let keeping = tokio::spawn(audit.keep());
    let wal = dir.path().join(WAL_FILE);
    // Another length is as bad.
    fs::OpenOptions::new().write(true).open(&wal).expect("it").set_len(7).expect("cut");
    while fs::metadata(&wal).map_or(0, |file| file.len()) != WAL_LEN as u64 {
        audit.commit(event("One")).await.expect("recorded");
        tokio::task::yield_now().await;
    }
    fs::remove_file(&wal).expect("removed");
    while !wal.exists() {
        audit.commit(event("One")).await.expect("recorded");
        tokio::task::yield_now().await;
    }
    keeping.abort();
    audit.close().await.expect("closed");
    assert!(!wal.exists());
}
