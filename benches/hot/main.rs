//! The hot path, step by step: `cargo bench --bench hot` times each step with criterion. As `list` and `count NAME TIMES` it
//! is what `tests/steps/instructions.sh` runs under callgrind, which counts instructions, the same on every day.

#![expect(clippy::print_stdout, reason = "this program talks to who calls it")]

mod packets;
mod record;
mod rules;
mod workloads;

use std::error::Error;
use std::time::{Duration, Instant};

use criterion::Criterion;

use workloads::{ALL, Workload};

type Failure = Box<dyn Error>;

/// What is made when it is first used is made by then.
const WARM_UP: u64 = 20;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["list"] => {
            ALL.iter().for_each(|(name, _)| println!("{name}"));
            Ok(())
        }
        ["count", name, times] => count(name, times.parse()?),
        _ => time(),
    }
}

/// Runs one workload and nothing else.
fn count(name: &str, times: u64) -> Result<(), Failure> {
    let (_, make) = ALL.iter().find(|(other, _)| *other == name).ok_or_else(|| format!("there is no {name}"))?;
    let mut workload = make()?;
    workload(WARM_UP)?;
    counted(&mut workload, times)
}

/// What is counted. callgrind knows it by its name, so that neither the way here is in the count, nor the random numbers
/// that a log begins with: they need now more instructions, now less.
#[inline(never)]
fn counted(workload: &mut Workload, times: u64) -> Result<(), Failure> {
    workload(times)
}

/// Times all workloads whose name has in it what the command line says.
fn time() -> Result<(), Failure> {
    // Each record that is written takes its room on the disk, so it is not done for long.
    let criterion =
        Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let mut criterion = criterion.configure_from_args();
    for (name, make) in ALL {
        let mut workload = make()?;
        let mut outcome = Ok(());
        criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let begun = Instant::now();
                outcome = workload(times);
                begun.elapsed()
            });
        });
        outcome?;
    }
    criterion.final_summary();
    Ok(())
}
