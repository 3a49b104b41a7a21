//! A disk that runs full and has room again, with the built program on a real file system.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use amiwall::audit::{read, verify};

use crate::asterisk::{Answer, Client, asterisk};
use crate::log::marks;
use crate::random::{report, size};
use crate::wall::{Wall, write_policy};

/// How soon amiwall has to go on by itself.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// Fills the file system to its last byte.
fn fill(ballast: &Path) {
    let mut file = std::fs::File::create(ballast).expect("a file");
    let mut piece = vec![b'x'; 64 * 1024];
    while !piece.is_empty() {
        // A short write comes before the error; then the piece is halved.
        if file.write(&piece).is_err() {
            piece.truncate(piece.len() / 2);
        }
    }
}

/// How long the answer to an action that Asterisk got may wait for its own record.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Answered {
    sent: u64,
    done: BTreeSet<u64>,
    refused: BTreeSet<u64>,
}

impl Answered {
    /// None if there is no answer yet: what Asterisk said is on record before the client has it, so while the log cannot
    /// be written it waits.
    async fn act(&mut self, client: &mut Client) -> Option<Answer> {
        let mark = self.sent;
        self.sent += 1;
        client.send(mark).await.expect("the session stays");
        while !self.done.contains(&mark) && !self.refused.contains(&mark) {
            let (answered, answer) =
                tokio::time::timeout(ANSWER_WITHIN, client.answer()).await.ok()?.expect("the session stays");
            let set = if answer == Answer::Done { &mut self.done } else { &mut self.refused };
            set.insert(answered);
        }
        Some(if self.done.contains(&mark) { Answer::Done } else { Answer::Refused })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a small file system: tests/steps/trail-faults.sh makes one"]
async fn a_full_disk_refuses_actions_until_there_is_room_again() {
    let disk =
        PathBuf::from(std::env::var_os("AMIWALL_TEST_DISK").expect("AMIWALL_TEST_DISK names a small file system"));
    let folder = tempfile::tempdir().expect("a folder");
    let (log, ballast) = (disk.join("audit"), disk.join("ballast"));
    let received = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&received);
    let upstream = asterisk(move |mark| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(mark);
    })
    .await;
    let wall = Wall::start(&write_policy(folder.path(), upstream, &log, "segment: { size: 256KiB }")).await;
    let mut client = Client::login(wall.address).await.expect("a session");
    let mut answered = Answered::default();
    assert_eq!(answered.act(&mut client).await, Some(Answer::Done));
    let (rounds, held) = (size(3, 50), Duration::from_secs(if size(0, 1) == 1 { 60 } else { 2 }));
    let mut slowest = Duration::ZERO;
    for _ in 0..rounds {
        fill(&ballast);
        let begin = Instant::now();
        while answered.act(&mut client).await == Some(Answer::Done) {
            assert!(begin.elapsed() < Duration::from_secs(60), "the disk is full, and actions pass");
        }
        // That it stays full is the subject: over several tries of the gate, with a client that asks now and then.
        let begin = Instant::now();
        while begin.elapsed() < held {
            answered.act(&mut client).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::fs::remove_file(&ballast).expect("it is there");
        let begin = Instant::now();
        while answered.act(&mut client).await != Some(Answer::Done) {
            assert!(begin.elapsed() < OPEN_WITHIN, "there is room, and actions are refused");
        }
        slowest = slowest.max(begin.elapsed());
    }
    assert_eq!(answered.done.len() + answered.refused.len(), usize::try_from(answered.sent).expect("it fits"));
    let id = wall.id();
    assert!(wall.stop(id).await);
    let received = received.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Answered { done, refused, .. } = answered;
    assert_eq!(done, received, "what is refused does not reach Asterisk, and what is done does");
    let logged = marks(&log);
    assert!(received.is_subset(&logged), "received, but not on record: {:?}", received.difference(&logged));
    let summary = verify(&log).expect("the chain is whole");
    assert_eq!((summary.torn, summary.last_kind.as_str()), (None, "stop"));
    check_outages(&log, rounds, &refused, &logged);
    report(&format!(
        "T5 disk full: {rounds} times on {}, {} actions refused, 0 of them forwarded; open again within {} ms",
        disk.display(),
        refused.len(),
        slowest.as_millis()
    ));
}

/// Every outage has its start, its end, and how much was not taken.
fn check_outages(log: &Path, rounds: usize, refused: &BTreeSet<u64>, logged: &BTreeSet<u64>) {
    let all = read(log).expect("a log").map(|record| record.expect("a record"));
    let outages: Vec<_> = all.filter(|record| record.reason == "audit.unavailable").collect();
    assert!(outages.len() >= rounds, "{} outages of {rounds} are on record", outages.len());
    assert!(outages.iter().all(|outage| !outage.since.is_empty() && outage.since <= outage.until));
    assert!(outages.iter().all(|outage| !outage.cause.is_empty()));
    let counted: u64 = outages.iter().filter_map(|outage| outage.counts.get("action")).sum();
    // What is in the log although its sync had failed is not counted.
    let missing = refused.difference(logged).count();
    assert!(counted >= u64::try_from(missing).expect("it fits"), "{missing} were refused, {counted} are counted");
}
