//! The built program under strace, which lets its system calls fail: a file whose sync has failed is never used again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use amiwall::audit::verify;
use tokio::process::Command;

use crate::asterisk::{Answer, Client, asterisk};
use crate::log::{lines_with, marks, segments};
use crate::random::{report, size};
use crate::wall::{Wall, command, write_policy};

/// Enough of either: actions that were done, and outages that ended or were tried to end.
const DONE_WANTED: usize = 60;
const OUTAGES_WANTED: usize = 8;

/// What fails: one call, or every so many, of the writer's thread.
const INJECTIONS: [&str; 8] = [
    "fdatasync:error=EIO:when=5",
    "fdatasync:error=ENOSPC:when=9",
    "fdatasync:error=EIO:when=3+7",
    "fdatasync:error=EIO:when=4+2",
    "fdatasync:error=EDQUOT:when=6+11",
    "fsync:error=EIO:when=1+3",
    "rename:error=EIO:when=1",
    "ftruncate:error=EIO:when=1",
];

#[derive(Debug, Default)]
struct Numbers {
    failed_syncs: usize,
    suspects: usize,
    done: usize,
    refused: usize,
    /// The fault came while amiwall started, which it said.
    not_started: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs strace: tests/steps/trail-faults.sh has it"]
async fn a_file_whose_sync_has_failed_is_never_used_again() {
    let mut numbers = Numbers::default();
    let more: Vec<String> = (1..size(0, 60)).map(|n| format!("fdatasync:error=EIO:when={n}+{}", 2 + n % 9)).collect();
    for injection in INJECTIONS.into_iter().chain(more.iter().map(String::as_str)) {
        try_injection(injection, &mut numbers).await;
    }
    let Numbers { failed_syncs, suspects, done, refused, not_started } = numbers;
    assert!(failed_syncs > 10 && suspects > 10, "{numbers:?}");
    report(&format!(
        "T6 failing syncs: {failed_syncs} injected by strace, 0 writes or syncs of those files afterwards; \
         {suspects} files set aside, {done} actions done, {refused} refused, \
         all received ones on record; {not_started} faulty starts refused"
    ));
}

async fn try_injection(injection: &str, numbers: &mut Numbers) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("audit");
    let trace = folder.path().join("trace");
    let received = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&received);
    let upstream = asterisk(move |mark| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(mark);
    })
    .await;
    let policy = write_policy(folder.path(), upstream, &log, "segment: { size: 16KiB }");
    // The first start makes the directory without strace, so that what fails is in the middle of work.
    let first = Wall::start(&policy).await;
    let id = first.id();
    assert!(first.stop(id).await);
    let wall = Wall::start_with(strace(injection, &trace, &policy)).await;
    let wall = match wall {
        Ok(wall) => wall,
        Err(said) => {
            assert!(said.contains("audit directory"), "{injection}: {said}");
            numbers.not_started += 1;
            return;
        }
    };
    let mut client = Client::login(wall.address).await.expect("a session");
    let mut done = BTreeSet::new();
    let begin = Instant::now();
    let mut marks_sent = 0..;
    // Where each way to open fails as well, no action is ever done, and the tries are counted.
    while done.len() < DONE_WANTED && lines_with(&log, r#""reason":"audit.unavailable""#).len() < OUTAGES_WANTED {
        assert!(begin.elapsed() < Duration::from_secs(60), "{injection}: nothing goes on");
        let mark = marks_sent.next().expect("another mark");
        match client.act(mark).await.unwrap_or_else(|| panic!("{injection}: the session ended")) {
            Answer::Done => drop(done.insert(mark)),
            Answer::Refused => numbers.refused += 1,
        }
    }
    let lock = std::fs::read_to_string(log.join("audit.lock")).expect("a lock");
    wall.stop(lock.trim().parse().expect("an id")).await;
    let received = received.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let logged = marks(&log);
    assert!(done.is_subset(&received), "{injection}: done, but not received");
    assert!(
        received.is_subset(&logged),
        "{injection}: received, but not on record: {:?}",
        received.difference(&logged)
    );
    verify(&log).unwrap_or_else(|error| panic!("{injection}: {error}"));
    let text = std::fs::read_to_string(&trace).expect("a trace");
    numbers.failed_syncs += failed_syncs(&text, injection);
    numbers.done += done.len();
    numbers.suspects += segments(&log).iter().filter(|path| path.to_string_lossy().contains(".suspect")).count();
}

/// How long a sync hangs, and how soon whoever waits for it has an answer all the same.
const HANG: Duration = Duration::from_secs(14);
const ANSWER_WITHIN: Duration = Duration::from_secs(9);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs strace: tests/steps/trail-faults.sh has it"]
async fn whoever_waits_for_a_sync_that_hangs_is_refused_in_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, trace) = (folder.path().join("audit"), folder.path().join("trace"));
    let received = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&received);
    let upstream = asterisk(move |mark| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(mark);
    })
    .await;
    let policy = write_policy(folder.path(), upstream, &log, "");
    let injection = format!("fdatasync:delay_enter={}:when=8", HANG.as_micros());
    let wall = Wall::start_with(strace(&injection, &trace, &policy)).await.expect("it starts");
    let mut client = Client::login(wall.address).await.expect("a session");
    let (mut slowest, mut refused) = (Duration::ZERO, BTreeSet::new());
    let begin = Instant::now();
    // From the first that is refused to the first that is done again: it works when the disk does.
    for mark in 0.. {
        assert!(begin.elapsed() < HANG + Duration::from_secs(20), "the disk works, and actions are refused");
        let asked = Instant::now();
        let answer = client.act(mark).await.expect("the session stays");
        slowest = slowest.max(asked.elapsed());
        if answer == Answer::Refused {
            refused.insert(mark);
        } else if !refused.is_empty() {
            break;
        }
        assert!(mark < 2_000 || !refused.is_empty(), "no sync hangs");
    }
    assert!(slowest < ANSWER_WITHIN, "an answer took {slowest:?}");
    assert!(begin.elapsed() >= HANG, "an action was done while the sync hung");
    let lock = std::fs::read_to_string(log.join("audit.lock")).expect("a lock");
    wall.stop(lock.trim().parse().expect("an id")).await;
    let received = received.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(received.is_disjoint(&refused), "refused, but received: {refused:?}");
    assert!(received.is_subset(&marks(&log)), "received, but not on record");
    verify(&log).expect("the chain is whole");
    report(&format!(
        "T4 hanging sync: {} actions refused, the slowest within {} ms of a sync of {} s; 0 of them forwarded",
        refused.len(),
        slowest.as_millis(),
        HANG.as_secs()
    ));
}

/// amiwall under strace. It ends when strace does.
fn strace(injection: &str, trace: &Path, policy: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "0", "-e", "trace=fdatasync,fsync,write,openat,rename,ftruncate"]);
    strace.arg("-e").arg(format!("inject={injection}"));
    strace.arg("-o").arg(trace).args(["setpriv", "--pdeathsig", "KILL"]);
    let run = command(policy);
    strace.arg(run.as_std().get_program()).args(run.as_std().get_args());
    strace
}

/// How many syncs of segments have failed. Panics if such a file was written or synced afterwards.
fn failed_syncs(trace: &str, injection: &str) -> usize {
    let mut unfinished: BTreeMap<&str, String> = BTreeMap::new();
    // Descriptors of files whose sync has failed, until another file has that number.
    let mut suspects: BTreeSet<String> = BTreeSet::new();
    let mut failed = 0;
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(begin) = call.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, begin.trim_end().to_owned());
            continue;
        }
        let call = match call.split_once("resumed>") {
            Some((_, end)) if call.starts_with("<...") => unfinished.remove(thread).unwrap_or_default() + end,
            _ => call.to_owned(),
        };
        let Some((name, arguments)) = call.split_once('(') else { continue };
        if name == "openat" {
            let opened = call.rsplit_once(" = ").and_then(|(_, result)| result.split_once('<'));
            suspects.remove(opened.map_or("", |(number, _)| number));
            continue;
        }
        let Some((number, file)) = arguments.split_once('<') else { continue };
        if !["write", "fdatasync", "fsync"].contains(&name) || !file.contains(".jsonl") {
            continue;
        }
        assert!(!suspects.contains(number), "{injection}: used after its sync failed: {call}");
        if name != "write" && call.contains(" = -1 ") {
            failed += 1;
            suspects.insert(number.to_owned());
        }
    }
    failed
}
