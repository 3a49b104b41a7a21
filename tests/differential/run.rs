//! Many random inputs, over all processors.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::answers;
use crate::backward;
use crate::forward::{Counts, Difference, Wall};
use crate::grammar;
use crate::random::Random;
use crate::scoped;

/// Inputs between two looks at what the others do.
const CHUNK: u64 = 1_000;

/// How long and how much.
struct Size {
    inputs: u64,
    time: Option<Duration>,
    threads: usize,
    seed: u64,
}

pub(crate) fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The seed that was asked for, or a new one.
pub(crate) fn first_seed() -> u64 {
    variable("AMIWALL_TEST_SEED").unwrap_or_else(|| RandomState::new().hash_one(0_u8))
}

impl Size {
    fn read(reduced: u64, full: u64) -> Self {
        let is_full = variable("AMIWALL_TEST_FULL") == Some(1);
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self {
            inputs: variable("AMIWALL_TEST_INPUTS").unwrap_or(if is_full { full } else { reduced }),
            time: variable("AMIWALL_TEST_SECONDS").map(Duration::from_secs),
            threads: variable("AMIWALL_TEST_THREADS").and_then(|count| count.try_into().ok()).unwrap_or(threads),
            seed: first_seed(),
        }
    }
}

/// Tries inputs until there are enough or the time is over; a difference ends the run and names the input. An input is
/// known by its own seed, so that `AMIWALL_TEST_INPUTS=1` with it is that input alone.
#[expect(clippy::print_stderr, reason = "the numbers of a test")]
fn inputs(
    name: &str,
    size: &Size,
    one: impl Fn(u64, &[u8]) -> Result<Counts, Difference> + Sync,
    make: fn(&mut Random) -> Vec<u8>,
) {
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (found, total) = (Mutex::new(None), Mutex::new((Counts::default(), 0_u64)));
    let started = Instant::now();
    let worker = || {
        let (mut counts, mut tried) = (Counts::default(), 0);
        while !is_over.load(Ordering::Relaxed) && size.time.is_none_or(|time| started.elapsed() < time) {
            let from = next.fetch_add(CHUNK, Ordering::Relaxed);
            for number in from..(from + CHUNK).min(size.inputs) {
                let seed = size.seed.wrapping_add(number);
                let bytes = make(&mut Random::of_seed(seed));
                match one(seed, &bytes) {
                    Ok(more) => counts.add(more),
                    Err(difference) => {
                        is_over.store(true, Ordering::Relaxed);
                        found.lock().expect("no panic").get_or_insert((seed, bytes, difference));
                        break;
                    }
                }
                tried += 1;
            }
            if from + CHUNK >= size.inputs {
                break;
            }
        }
        let mut total = total.lock().expect("no panic");
        total.0.add(counts);
        total.1 += tried;
    };
    thread::scope(|scope| {
        for _ in 0..size.threads {
            scope.spawn(worker);
        }
    });
    if let Some((seed, bytes, difference)) = found.into_inner().expect("no panic") {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{name}: {difference}\nAMIWALL_TEST_SEED={seed} AMIWALL_TEST_INPUTS=1\nbytes: {hex}");
    }
    let (counts, tried) = total.into_inner().expect("no panic");
    let Counts { forwarded, refused, compared } = counts;
    let rate = f64::from(u32::try_from(tried).unwrap_or(u32::MAX)) / started.elapsed().as_secs_f64();
    eprintln!(
        "{name}: {tried} inputs, {rate:.0} a second, seed {}: {forwarded} passed, {refused} did not, {compared} compared",
        size.seed
    );
    assert!(tried < 1_000 || (forwarded > tried / 20 && refused > tried / 20), "too little of it meant anything");
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.forwarded += more.forwarded;
        self.refused += more.refused;
        self.compared += more.compared;
    }
}

#[test]
fn asterisk_runs_what_was_judged_and_nothing_else() {
    let wall = Wall::new();
    let one = |seed, bytes: &[u8]| wall.asterisk_view(seed, bytes);
    inputs("asterisk_view", &Size::read(100_000, 100_000_000), one, grammar::stream);
}

#[test]
fn a_client_sees_what_it_may_see_and_nothing_else() {
    let wall = Wall::new();
    let one = |seed, bytes: &[u8]| backward::client_view(&wall, seed, bytes);
    inputs("client_view", &Size::read(50_000, 20_000_000), one, answers::stream);
}

#[test]
fn a_client_sees_no_call_out_of_its_scope() {
    let wall = Wall::new();
    let one = |seed, bytes: &[u8]| scoped::scoped_view(&wall, seed, bytes);
    inputs("scoped_view", &Size::read(50_000, 10_000_000), one, answers::stream);
}
