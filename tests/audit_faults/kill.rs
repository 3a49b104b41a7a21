//! `SIGKILL` at any moment: nothing that was answered or received is missing from the log, and amiwall comes back.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use amiwall::audit::{VerifyError, verify};

use crate::asterisk::{Client, asterisk};
use crate::log::{lines_with, marks, segments};
use crate::random::{Random, report, size};
use crate::wall::{Wall, write_policy};

/// How many logs are tried at once.
const WORKERS: usize = 6;
/// After so many kills a log is left, so that reading it stays quick.
const KILLS_PER_LOG: usize = 15;
const CLIENTS: usize = 4;
/// How many actions a client has on their way.
const WINDOW: usize = 8;

#[derive(Debug, Default)]
struct Numbers {
    rounds: usize,
    received: usize,
    answered: usize,
    torn: usize,
    slowest: Duration,
}

type Marks = Arc<Mutex<BTreeSet<u64>>>;

fn lock(marks: &Marks) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
    marks.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_amiwall_has_lost_nothing_that_was_answered_or_received() {
    let mut random = Random::new("T2");
    let logs = size(300, 10_000).div_ceil(KILLS_PER_LOG);
    let next = Arc::new(AtomicU64::new(0));
    let seeds: Arc<Vec<u64>> = Arc::new((0..logs).map(|_| random.next()).collect());
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (next, seeds) = (Arc::clone(&next), Arc::clone(&seeds));
            tokio::spawn(async move {
                let mut numbers = Numbers::default();
                let take = || usize::try_from(next.fetch_add(1, Ordering::Relaxed)).expect("it fits");
                while let Some(seed) = seeds.get(take()) {
                    try_log(*seed, &mut numbers).await;
                }
                numbers
            })
        })
        .collect();
    let mut sum = Numbers::default();
    for worker in workers {
        let numbers = worker.await.expect("every round holds");
        sum.rounds += numbers.rounds;
        sum.received += numbers.received;
        sum.answered += numbers.answered;
        sum.torn += numbers.torn;
        sum.slowest = sum.slowest.max(numbers.slowest);
    }
    let Numbers { rounds, received, answered, torn, slowest } = sum;
    report(&format!(
        "T2 kill -9: {rounds} rounds, {received} actions received, {answered} answered, 0 missing; {torn} torn tails kept; \
         slowest start {} ms",
        slowest.as_millis()
    ));
    assert!(received > rounds, "hardly anything was tried: {received} actions");
}

/// Kills one amiwall after the other over the same log.
async fn try_log(seed: u64, numbers: &mut Numbers) {
    let mut random = Random::of_seed(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("audit");
    let (received, answered) = (Marks::default(), Marks::default());
    let seen = Arc::clone(&received);
    let upstream = asterisk(move |mark| {
        lock(&seen).insert(mark);
    })
    .await;
    // Small segments, so that a new one is begun now and then when the kill comes.
    let policy = write_policy(folder.path(), upstream, &log, "segment: { size: 256KiB }");
    let next_mark = Arc::new(AtomicU64::new(1));
    let mut wall = Wall::start(&policy).await;
    for _ in 0..KILLS_PER_LOG {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(load(wall.address, Arc::clone(&next_mark), Arc::clone(&answered))))
            .collect();
        // The moment of the kill is the subject: any one, and nothing is waited for.
        let delay = u64::try_from(1 + random.below(500)).expect("it fits");
        tokio::time::sleep(Duration::from_millis(delay)).await;
        wall.kill().await;
        for client in clients {
            client.await.expect("a client does not panic");
        }
        if random.one_in(7) {
            tear(&log, &mut random);
        }
        let torn = torn_bytes(&log);
        let recoveries = lines_with(&log, r#""reason":"audit.torn""#).len();
        wall = Wall::start(&policy).await;
        numbers.slowest = numbers.slowest.max(wall.start);
        let recovered = lines_with(&log, r#""reason":"audit.torn""#);
        assert_eq!(recovered.len() - recoveries, usize::from(torn.is_some()), "a torn tail is on record");
        if let Some(bytes) = torn {
            let last = recovered.last().expect("a record");
            assert!(last.contains(&format!(r#""bytes":{bytes}"#)), "{bytes}: {last}");
            numbers.torn += 1;
        }
        check(&log, &received, &answered);
        numbers.rounds += 1;
    }
    wall.kill().await;
    numbers.received += lock(&received).len();
    numbers.answered += lock(&answered).len();
}

/// Acts until amiwall is gone, with several actions on their way.
async fn load(address: SocketAddr, next_mark: Arc<AtomicU64>, answered: Marks) -> Option<()> {
    let mut client = Client::login(address).await?;
    for _ in 0..WINDOW {
        client.send(next_mark.fetch_add(1, Ordering::Relaxed)).await?;
    }
    loop {
        let (mark, _) = client.answer().await?;
        lock(&answered).insert(mark);
        client.send(next_mark.fetch_add(1, Ordering::Relaxed)).await?;
    }
}

/// Leaves the start of a record at the end, as a write does that the kill has cut.
fn tear(log: &Path, random: &mut Random) {
    let last = segments(log).pop().expect("a segment");
    let text = std::fs::read(&last).expect("a segment");
    let start = text.strip_suffix(b"\n").unwrap_or_default().iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    if !text.ends_with(b"\n") {
        return;
    }
    let record = &text[start..];
    let piece = &record[..1 + random.below(record.len() - 1)];
    OpenOptions::new().append(true).open(last).expect("a segment").write_all(piece).expect("written");
}

fn torn_bytes(log: &Path) -> Option<u64> {
    match verify(log) {
        Ok(summary) => summary.torn.map(|(_, bytes)| bytes),
        // Killed before the first record.
        Err(VerifyError::Empty(_)) => None,
        Err(error) => panic!("a kill broke the log: {error}"),
    }
}

fn check(log: &Path, received: &Marks, answered: &Marks) {
    let summary = verify(log).expect("the chain is whole");
    assert_eq!(summary.torn, None, "nothing is left torn");
    let logged = marks(log);
    for (what, marks) in [("received", received), ("answered", answered)] {
        let missing: Vec<u64> = lock(marks).difference(&logged).copied().collect();
        assert!(missing.is_empty(), "{what}, but not on record: {missing:?}");
    }
}
