//! An error at every single call that the writer makes, once and for ever.

use std::time::Duration;

use super::super::{Durability, verify};
use super::bench::{Bench, names, quick_directory};
use super::disk::{Fault, Injection, State};
use super::random::{is_full, report};
use super::*;

const FAULTS: [(&str, Fault); 4] = [
    ("EIO", Fault::Error(5)),
    ("ENOSPC", Fault::Error(28)),
    ("EROFS", Fault::Error(30)),
    ("a short write", Fault::ShortWrite),
];

/// What a run of the script came to.
struct Run {
    /// Accepted records, each with what its caller had waited for.
    accepted: Vec<(String, Durability)>,
    /// For each batch, whether what had to be durable was.
    durable: Vec<bool>,
    /// How many calls there were up to the end of the fault.
    calls: usize,
    state: State,
}

/// Twenty batches over several segments, with two seconds between them; the fault is over before the last two.
fn run(injection: Option<Injection>, (segment_size, has_wal): (u64, bool)) -> Run {
    let mut state = State::default();
    (state.injection, state.has_wal) = (injection, has_wal);
    let (state, bench) = Bench::new(state, segment_size);
    let (mut accepted, mut durable, mut calls) = (Vec::new(), Vec::new(), 0);
    if let Some(mut bench) = bench {
        for batch in 0..20_usize {
            if batch == 18 {
                let mut state = bench.state.lock().expect("the disk");
                (state.injection, calls) = (None, state.calls);
            }
            bench.later(Duration::from_secs(2));
            let records =
                [(Durability::Written, 40), (Durability::Synced, 90 * (batch % 5)), (Durability::Written, 10)];
            let answers = bench.process(&records);
            durable.push(answers[1].2.is_ok());
            accepted
                .extend(answers.into_iter().filter(|a| a.2.is_ok()).map(|(name, durability, _)| (name, durability)));
        }
    }
    let state = std::mem::take(&mut *state.lock().expect("the disk"));
    Run { accepted, durable, calls, state }
}

#[test]
fn an_error_at_any_call_loses_nothing_that_was_accepted() {
    let mut tried = 0;
    let sizes = if is_full() { vec![1, 1_000, 4_000, 1 << 20] } else { vec![4_000] };
    for setting in sizes.into_iter().flat_map(|size| [(size, true), (size, false)]) {
        let calls = run(None, setting).calls;
        for at in 1..=calls {
            for (name, fault) in FAULTS {
                for forever in [false, true] {
                    let what = format!(
                        "{name} at call {at} of {calls}, for ever: {forever}, (segment size, write-ahead): {setting:?}"
                    );
                    check(run(Some(Injection { fault, at, forever }), setting), fault, forever, &what);
                    tried += 1;
                }
            }
        }
    }
    report(&format!("T4 error at every call: {tried} faults, 0 accepted records missing, every gate opened again"));
    assert!(tried > 400, "{tried}");
}

fn check(run: Run, fault: Fault, forever: bool, what: &str) {
    let Run { accepted, durable, state, .. } = run;
    assert_eq!(state.misused, 0, "{what}: a file was used after a failed sync");
    let (seen, mut left) = (quick_directory(), state);
    left.copy(seen.path());
    if durable.is_empty() {
        // It did not start, and said so; the next start finds nothing in its way.
        assert!(fault != Fault::ShortWrite, "{what}: a short write is no error");
        return restart(seen.path(), what);
    }
    // Nothing but what failed for ever keeps the gate closed, and that only while it fails.
    let refusals = durable.iter().filter(|is_durable| !*is_durable).count();
    match (fault, forever) {
        (Fault::ShortWrite, _) => assert_eq!(refusals, 0, "{what}"),
        (Fault::Error(_), false) => assert!(refusals <= 1, "{what}: {durable:?}"),
        (Fault::Error(_), true) => assert!(!durable[17], "{what}: accepted while nothing works"),
    }
    assert!(durable[18..].iter().all(|is_durable| *is_durable), "{what}: the gate stays closed: {durable:?}");
    restart(seen.path(), what);
    let logged = names(seen.path());
    let missing: Vec<&String> = accepted.iter().map(|(name, _)| name).filter(|name| !logged.contains(*name)).collect();
    assert!(missing.is_empty(), "{what}: accepted, but not on record: {missing:?}");
    // And after a power cut on top of it, at least what was durable.
    let survived = quick_directory();
    left.survive(survived.path());
    restart(survived.path(), what);
    let logged = names(survived.path());
    for (name, durability) in &accepted {
        assert!(*durability == Durability::Written || logged.contains(name), "{what}: {name} was durable, and is lost");
    }
}

fn restart(dir: &Path, what: &str) {
    let audit = Audit::open(&AuditConfig::new(dir)).unwrap_or_else(|error| panic!("{what}: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(audit.close()).expect("closed");
    let summary = verify(dir).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(summary.torn, None, "{what}");
}
