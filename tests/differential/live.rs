//! The same against a real Asterisk: streams of which Asterisk, read by itself, would do what the identity may not, through
//! a whole amiwall; what Asterisk then did is told by its own events, database, files and log. Run by
//! `tests/steps/hostile.sh`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use amiwall::audit::{LoggedValue, read};

use crate::forward::cut;
use crate::live_canaries::{Beside, Fire, KINDS, Said};
use crate::live_session::{End, Session};
use crate::live_streams;
use crate::random::Random;
use crate::run::{first_seed, variable};

/// Streams between two looks at what Asterisk did.
const BATCH: u64 = 250;
const THREADS: u64 = 8;
/// Enough for each canary to show on Asterisk itself.
const SELF_TEST: u64 = 500;

/// Where streams are sent to.
struct Target {
    address: String,
    user: &'static str,
    secret: &'static str,
}

#[derive(Debug, Default)]
struct Tally {
    answered: AtomicU64,
    closed: AtomicU64,
}

impl Target {
    /// One stream, over a connection of its own.
    fn attack(&self, seed: u64, bytes: &[u8], tally: &Tally) {
        let done = Session::open(&self.address, self.user, self.secret, "off").and_then(|mut session| {
            let pieces = cut(&mut Random::of_seed(seed), bytes);
            session.attack(&pieces)
        });
        let end = done.unwrap_or_else(|error| panic!("{error}: {}", described(seed, bytes)));
        let counter = if end == End::Answered { &tally.answered } else { &tally.closed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn attack_all(&self, seeds: std::ops::Range<u64>, tally: &Tally) {
        let next = AtomicU64::new(seeds.start);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while let seed = next.fetch_add(1, Ordering::Relaxed)
                        && seed < seeds.end
                    {
                        self.attack(seed, &live_streams::stream(seed), tally);
                    }
                });
            }
        });
    }

    /// Whether one stream alone makes Asterisk do what it should not.
    fn fires(&self, beside: &mut Beside, seed: u64, bytes: &[u8]) -> bool {
        // What has shown once shows no more: another name each time.
        let renamed = live_streams::renamed(bytes, seed, beside.looks());
        self.attack(seed, &renamed, &Tally::default());
        !beside.look().expect("Asterisk").is_empty()
    }

    /// The stream of a batch that does it, as short as can be.
    fn culprit(&self, beside: &mut Beside, seeds: std::ops::Range<u64>) -> String {
        let fires = |beside: &mut Beside, seed| self.fires(beside, seed, &live_streams::stream(seed));
        let Some(seed) = seeds.clone().find(|seed| fires(beside, *seed)) else {
            return format!("none of the seeds {seeds:?} does it alone");
        };
        let mut bytes = live_streams::stream(seed);
        let mut size = bytes.len() / 2;
        while size > 0 {
            let mut at = 0;
            while at < bytes.len() {
                let mut shorter = bytes.clone();
                shorter.drain(at..(at + size).min(bytes.len()));
                if self.fires(beside, seed, &shorter) { bytes = shorter } else { at += size }
            }
            size /= 2;
        }
        described(seed, &bytes)
    }
}

fn described(seed: u64, bytes: &[u8]) -> String {
    format!("AMIWALL_TEST_SEED={seed} AMIWALL_TEST_INPUTS=1\nbytes: {}", bytes.escape_ascii())
}

fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: tests/steps/hostile.sh runs this"))
}

#[test]
#[ignore = "needs a real Asterisk: tests/steps/hostile.sh"]
#[expect(clippy::print_stderr, reason = "the numbers of a test")]
fn hostile_streams_make_a_real_asterisk_do_nothing_that_is_not_allowed() {
    let run = PathBuf::from(environment("ASTERISK_RUN"));
    let direct = Target { address: environment("ASTERISK_AMI"), user: "admin", secret: "adminpw" };
    let through = Target { address: environment("AMIWALL_PLAIN"), user: "hostile", secret: "canarypw" };
    let is_full = variable("AMIWALL_TEST_FULL") == Some(1);
    let count = variable("AMIWALL_TEST_INPUTS").unwrap_or(if is_full { 200_000 } else { 2_000 });
    let first = first_seed().min(u64::MAX - count);
    let mut beside = Beside::open(&direct.address, run).expect("Asterisk");
    assert!(beside.look().expect("Asterisk").is_empty(), "something happens without being asked");
    let (started, tally) = (Instant::now(), Tally::default());
    for from in (first..first + count).step_by(usize::try_from(BATCH).expect("it fits")) {
        let seeds = from..(from + BATCH).min(first + count);
        through.attack_all(seeds.clone(), &tally);
        let fires = beside.look().expect("Asterisk");
        if let Some(Fire { kind, text }) = fires.first() {
            let culprit = through.culprit(&mut beside, seeds);
            panic!("{} CANARIES SHOW, the first is a {kind}: {text:?}\n{culprit}", fires.len());
        }
    }
    let seconds = started.elapsed().as_secs();
    let (executed, recorded) = compare_with_record(&mut beside);
    eprintln!(
        "hostile: {count} streams in {seconds} s, seed {first}: {} answered in step, {} closed, {executed} actions run by \
         Asterisk, {recorded} on record, 0 canaries",
        tally.answered.load(Ordering::Relaxed),
        tally.closed.load(Ordering::Relaxed),
    );
    self_test(&direct, &mut beside, first);
}

/// What the audit log says of what was allowed.
#[derive(Debug, Default)]
struct Recorded {
    /// Actions by name, and those of them that were answered. The rest may not have been sent: a session ended for what
    /// stood beside them.
    allowed: BTreeMap<String, u64>,
    answered: BTreeMap<String, u64>,
    /// What a `UserEvent` tells everybody.
    said: BTreeMap<Said, u64>,
}

impl Recorded {
    fn read(folder: &Path) -> Self {
        let (mut recorded, mut names) = (Self::default(), BTreeMap::new());
        for record in read(folder).expect("a log").map(|record| record.expect("a record")) {
            if record.kind == "response"
                && let Some(name) = names.remove(&record.id)
            {
                *recorded.answered.entry(name).or_default() += 1;
            }
            if record.kind != "action" || record.decision != "allow" {
                continue;
            }
            let name = record.name.to_lowercase();
            if name == "userevent" {
                let texts = record.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("Text"));
                let text = texts.map(|header| match &header.value {
                    LoggedValue::Bytes(value) => ("text".to_owned(), value.iter().copied().map(char::from).collect()),
                    LoggedValue::Hidden | LoggedValue::Length(_) | LoggedValue::Pseudonym { .. } => panic!("hidden"),
                });
                *recorded.said.entry(text.collect()).or_default() += 1;
            }
            *recorded.allowed.entry(name.clone()).or_default() += 1;
            names.insert(record.id, name);
        }
        recorded
    }
}

/// Asterisk ran no action that is not on record as allowed, and what it then said to everybody is what is on record.
fn compare_with_record(beside: &mut Beside) -> (u64, u64) {
    let recorded = Recorded::read(&PathBuf::from(environment("AMIWALL_RUN")).join("audit"));
    let mut executed = beside.executed().expect("Asterisk's log");
    // What amiwall says for itself: it logs in, says which events it wants, and logs off.
    for own in ["Login", "Challenge", "Events", "Logoff"] {
        executed.remove(own);
    }
    for (name, count) in &executed {
        let of = |counts: &BTreeMap<String, u64>| counts.get(&name.to_lowercase()).copied().unwrap_or_default();
        let (answered, allowed) = (of(&recorded.answered), of(&recorded.allowed));
        assert!(
            (answered..=allowed).contains(count),
            "{name}: run {count} times, on record {allowed}, {answered} answered"
        );
    }
    for (text, count) in &beside.said {
        let on_record = recorded.said.get(text).copied().unwrap_or_default();
        assert!(*count <= on_record, "Asterisk told {text:?} {count} times, on record it is {on_record} times");
    }
    assert!(executed.len() == 2 && beside.said.len() > 3, "too little of it meant anything: {executed:?}");
    (executed.values().sum(), recorded.allowed.values().sum())
}

/// The same streams, sent to Asterisk itself with all rights, make every canary show: they can.
#[expect(clippy::print_stderr, reason = "the numbers of a test")]
fn self_test(direct: &Target, beside: &mut Beside, first: u64) {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let tally = Tally::default();
    direct.attack_all(first..first + SELF_TEST, &tally);
    for Fire { kind, .. } in beside.look().expect("Asterisk") {
        *kinds.entry(kind).or_default() += 1;
    }
    eprintln!("self-test: {SELF_TEST} of the same streams to Asterisk itself: {kinds:?}");
    for kind in KINDS {
        assert!(kinds.contains_key(kind), "no {kind} showed on Asterisk itself: {kinds:?}");
    }
}
