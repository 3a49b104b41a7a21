//! What is counted into: a counter, a gauge, a histogram; each an atomic add.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// It is this now.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// So much more, or less.
    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, Ordering::Relaxed);
    }

    /// What it is.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one owner contributes to a gauge. It is taken back when the owner goes.
#[derive(Debug, Default)]
pub struct Share {
    gauge: Arc<Gauge>,
    mine: AtomicI64,
}

impl Share {
    /// Nothing yet.
    #[must_use]
    pub const fn of(gauge: Arc<Gauge>) -> Self {
        Self { gauge, mine: AtomicI64::new(0) }
    }

    /// It is this now.
    pub fn set(&self, value: usize) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        let before = self.mine.swap(value, Ordering::Relaxed);
        if before != value {
            self.gauge.add(value - before);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// How long things took.
#[derive(Debug)]
pub struct Histogram {
    /// Upper bounds in nanoseconds, rising.
    bounds: &'static [u64],
    /// How many were in each, and above the last bound.
    counts: Box<[AtomicU64]>,
    /// Nanoseconds.
    sum: AtomicU64,
}

impl Histogram {
    /// Of these bounds, in nanoseconds.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// One took so long.
    pub fn observe(&self, time: Duration) {
        self.observe_each(time, 1);
    }

    /// Each of so many took so long.
    pub fn observe_each(&self, time: Duration, count: usize) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let bucket = self.bounds.iter().position(|bound| nanos <= *bound).unwrap_or(self.bounds.len());
        if let Some(bucket) = self.counts.get(bucket) {
            bucket.fetch_add(count, Ordering::Relaxed);
        }
        self.sum.fetch_add(nanos.saturating_mul(count), Ordering::Relaxed);
    }

    /// Each bound in nanoseconds, with how many were not above it; then all, and their sum in nanoseconds.
    pub(super) fn read(&self) -> (Vec<(u64, u64)>, u64, u64) {
        let mut all = 0;
        let mut below = Vec::with_capacity(self.bounds.len());
        let mut bounds = self.bounds.iter();
        for count in &self.counts {
            all += count.load(Ordering::Relaxed);
            below.extend(bounds.next().map(|bound| (*bound, all)));
        }
        (below, all, self.sum.load(Ordering::Relaxed))
    }
}

/// Counters of a closed list of words. With a lock: for what happens once a connection, and not for each packet.
#[derive(Debug, Default)]
pub struct Labelled(Mutex<BTreeMap<&'static str, u64>>);

impl Labelled {
    /// With these at 0: of a counter that was not there before, Prometheus does not see the first step.
    #[must_use]
    pub fn with(words: &[&'static str]) -> Self {
        Self(Mutex::new(words.iter().map(|word| (*word, 0)).collect()))
    }

    /// One more.
    pub fn count(&self, word: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(word).or_default() += 1;
    }

    /// All of them, by word.
    #[must_use]
    pub fn values(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Seconds since the epoch.
#[must_use]
pub fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
