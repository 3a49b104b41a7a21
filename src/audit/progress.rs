//! [`Progress`]: what callers know of the writer without asking it, because it may hang.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a record may take. Longer, and it counts as one that could not be written.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether the log can be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogState {
    /// It cannot: actions are refused.
    #[default]
    Closed,
    /// The disk does not answer.
    Hangs,
    /// It can.
    Open,
}

/// The longest that a caller writes to the segment while the write-ahead file is synced: a disk that takes longer may hang,
/// and with it whoever writes.
const SYNC_TIME_MAX: Duration = Duration::from_millis(10);

/// What the writer is at.
#[derive(Debug)]
pub(super) struct Progress {
    base: Instant,
    /// Since when it works on one batch, in milliseconds after the base, plus one; 0: it waits for requests.
    busy_since: AtomicU64,
    /// Records that callers gave up before the writer has seen them.
    lost: AtomicU64,
    /// The writer waits for the disk.
    is_syncing: AtomicBool,
    /// It does so for the segment, and not for the write-ahead file.
    is_segment: AtomicBool,
    /// The writer has panicked.
    has_panicked: AtomicBool,
    /// Nothing is taken: the last that was to be written could not be.
    is_closed: AtomicBool,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            base: Instant::now(),
            busy_since: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            is_syncing: AtomicBool::new(false),
            is_segment: AtomicBool::new(false),
            has_panicked: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        }
    }
}

impl Progress {
    /// Works from now on, until this is dropped.
    pub(super) fn busy(&self, now: Instant) -> Busy<'_> {
        self.busy_since.store(self.millis(now) + 1, Ordering::Relaxed);
        Busy(self)
    }

    /// A sync runs while this is there. Notes it if the thread panics then: nothing may be written behind its back.
    pub(super) fn syncing(&self, is_ahead: bool) -> Syncing<'_> {
        self.is_segment.store(!is_ahead, Ordering::Relaxed);
        self.is_syncing.store(true, Ordering::Release);
        Syncing(self)
    }

    /// Whether a sync runs.
    pub(super) fn is_syncing(&self) -> bool {
        self.is_syncing.load(Ordering::Acquire)
    }

    /// Whether what is written now may have to wait for the disk.
    pub(super) fn is_in_the_way(&self) -> bool {
        self.is_syncing() && (self.is_segment.load(Ordering::Relaxed) || self.is_busy_for(SYNC_TIME_MAX))
    }

    /// Whether it has panicked.
    pub(super) fn has_panicked(&self) -> bool {
        self.has_panicked.load(Ordering::Acquire)
    }

    /// The gate was closed, or opened.
    pub(super) fn set_closed(&self, is_closed: bool) {
        self.is_closed.store(is_closed, Ordering::Relaxed);
    }

    /// Whether what is asked now would be recorded.
    pub(super) fn state(&self) -> LogState {
        if self.has_panicked() || self.is_closed.load(Ordering::Relaxed) {
            LogState::Closed
        } else if self.hangs() {
            LogState::Hangs
        } else {
            LogState::Open
        }
    }

    /// Whether it has been at one batch for too long, so that nobody need begin to wait.
    pub(super) fn hangs(&self) -> bool {
        self.is_busy_for(WRITE_TIMEOUT)
    }

    fn is_busy_for(&self, time: Duration) -> bool {
        let since = self.busy_since.load(Ordering::Relaxed);
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        since != 0 && self.millis(Instant::now()).saturating_sub(since) > time
    }

    /// Counts records that the writer will not see.
    pub(super) fn lose(&self, records: usize) {
        self.lost.fetch_add(u64::try_from(records).unwrap_or_default(), Ordering::Relaxed);
    }

    /// How many there were since this was asked last.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.base).as_millis()).unwrap_or(u64::MAX)
    }
}

/// See [`Progress::syncing`].
#[derive(Debug)]
pub(super) struct Syncing<'p>(&'p Progress);

impl Drop for Syncing<'_> {
    fn drop(&mut self) {
        self.0.is_syncing.store(false, Ordering::Release);
        if std::thread::panicking() {
            self.0.has_panicked.store(true, Ordering::Release);
        }
    }
}

/// While this is there, the writer works.
#[derive(Debug)]
pub(super) struct Busy<'p>(&'p Progress);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy_since.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_long_batch_is_a_hang() {
        let progress = Progress::default();
        assert!(!progress.hangs());
        let later = Progress { base: Instant::now().checked_sub(Duration::from_mins(1)).expect("a time"), ..progress };
        let busy = later.busy(later.base);
        assert!(later.hangs());
        drop(busy);
        assert!(!later.hangs());
        let _busy = later.busy(Instant::now());
        assert!(!later.hangs());
    }
}
