//! The power goes at any call: of what was synced nothing is lost, and the log can be continued.

use std::time::Duration;

use super::super::{AuditError, Durability, verify};
use super::bench::{Bench, names, quick_directory};
use super::disk::{Fault, Injection, State};
use super::random::{Random, report, size};
use super::*;

#[derive(Debug, Default)]
struct Numbers {
    acknowledged: usize,
    torn: usize,
    refused: usize,
    /// Records that only the write-ahead file had.
    replayed: u64,
    synced_ahead: usize,
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let mut random = Random::new("T3");
    let rounds = size(500, 10_000);
    let mut numbers = Numbers::default();
    for _ in 0..rounds {
        cut_power(random.next(), &mut numbers);
    }
    let Numbers { acknowledged, torn, refused, replayed, synced_ahead } = numbers;
    report(&format!(
        "T3 power cut: {rounds} rounds, {acknowledged} acknowledged records, 0 lost; {torn} torn tails kept; \
         {refused} of {refused} corruptions in the middle refused; {synced_ahead} syncs of the write-ahead file, \
         {replayed} records only there"
    ));
    assert!(acknowledged > rounds && torn > 0 && refused > 0 && replayed > 0 && synced_ahead > rounds);
}

fn cut_power(seed: u64, numbers: &mut Numbers) {
    let mut random = Random::of_seed(seed);
    let mut state = State::default();
    state.random = Some(Random::of_seed(random.next()));
    state.has_wal = random.below(4) > 0;
    state.power_cut = Some(1 + random.below(150));
    // Now and then a sync or something else fails before it, at once or for a while.
    if random.one_in(3) {
        let (at, forever) = (1 + random.below(100), random.one_in(4));
        state.injection = Some(Injection { fault: Fault::Error([5, 28, 30][random.below(3)]), at, forever });
    }
    let segment_size = [1, 3_000, 20_000][random.below(3)];
    let (mut state, acknowledged) = run(&mut random, state, segment_size);
    let dir = quick_directory();
    state.survive(dir.path());
    reopen(dir.path(), seed);
    let logged = names(dir.path());
    let lost: Vec<&String> = acknowledged.iter().filter(|name| !logged.contains(*name)).collect();
    assert!(lost.is_empty(), "seed {seed}: acknowledged, but lost: {lost:?}");
    numbers.acknowledged += acknowledged.len();
    numbers.synced_ahead += state.synced_ahead;
    numbers.replayed += replayed(dir.path());
    numbers.torn += keeps_its_torn_tail(dir.path(), seed);
    if random.one_in(10) {
        numbers.refused += usize::from(refuses_corruption(dir.path(), &mut random, seed));
    }
}

/// Lets a writer work until the power goes; gives what it has acknowledged as durable.
fn run(random: &mut Random, state: State, segment_size: u64) -> (State, Vec<String>) {
    let mut acknowledged = Vec::new();
    let (state, bench) = Bench::new(state, segment_size);
    if let Some(mut bench) = bench {
        while !bench.state.lock().expect("the disk").is_off() {
            let batch: Vec<(Durability, usize)> = (0..=random.below(12))
                .map(|_| {
                    let durability = if random.one_in(3) { Durability::Synced } else { Durability::Written };
                    (durability, if random.one_in(8) { random.below(6_000) } else { random.below(200) })
                })
                .collect();
            let answers = bench.process(&batch);
            // An answer that comes after the power went is heard by nobody, but a lie all the same.
            let synced = answers.into_iter().filter(|(_, durability, _)| *durability == Durability::Synced);
            acknowledged.extend(synced.filter(|(_, _, answer)| answer.is_ok()).map(|(name, ..)| name));
            bench.later(Duration::from_millis(400));
        }
    }
    let state = std::mem::take(&mut *state.lock().expect("the disk"));
    assert_eq!(state.misused, 0, "a file was used after a failed sync");
    (state, acknowledged)
}

fn start(dir: &Path) -> Result<(), AuditError> {
    let audit = Audit::open(&AuditConfig::new(dir))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(audit.close()).expect("closed");
    Ok(())
}

/// What a power cut left is continued, and is whole afterwards.
fn reopen(dir: &Path, seed: u64) {
    if let Err(error) = start(dir) {
        panic!("seed {seed}: a power cut is no tampering: {error}");
    }
    let summary = verify(dir).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert_eq!((summary.torn, summary.last_kind.as_str()), (None, "stop"), "seed {seed}");
}

/// How many records were put to their place.
fn replayed(dir: &Path) -> u64 {
    let all = super::super::read(dir).expect("a log").map(|record| record.expect("a record"));
    all.filter(|record| record.reason == "audit.replayed").filter_map(|record| record.count).sum()
}

/// How many tails were set aside: each is a file, and on record.
fn keeps_its_torn_tail(dir: &Path, seed: u64) -> usize {
    let all = super::super::read(dir).expect("a log").map(|record| record.expect("a record"));
    let torn = all.filter(|record| record.reason == "audit.torn");
    let recorded: Vec<(String, u64)> = torn.map(|record| (record.file, record.bytes.expect("a number"))).collect();
    for (file, bytes) in &recorded {
        let kept = std::fs::metadata(dir.join(file)).unwrap_or_else(|error| panic!("seed {seed}: {file}: {error}"));
        assert_eq!(kept.len(), *bytes, "seed {seed}");
    }
    recorded.len()
}

/// A byte of a record that was followed by others is changed, or a block of it is gone although what was written later is
/// there: that is no power cut.
fn refuses_corruption(dir: &Path, random: &mut Random, seed: u64) -> bool {
    let last = segments(dir).pop().expect("a segment");
    let mut text = std::fs::read(&last).expect("a segment");
    // The last start is followed by a stop, so it and all before it had been synced.
    let Some(start_at) = memchr::memmem::rfind(&text, b"\"kind\":\"start\"") else { return false };
    let Some(end) = text[..start_at].iter().rposition(|b| *b == b'\n') else { return false };
    let at = random.below(end);
    let block_end = (at / 512 + 1) * 512;
    if random.one_in(2) && block_end <= end {
        text[at..block_end].fill(0);
    } else {
        text[at] ^= 1 << random.below(7);
    }
    std::fs::write(&last, text).expect("written");
    let error = start(dir).expect_err("it is broken");
    assert!(matches!(error, AuditError::Broken { .. }), "seed {seed}: byte {at}: {error}");
    true
}
