//! [`Bucket`]: one rate limit's state.
//!
//! `governor` charges as it asks, so its limiters work here on a [`Slot`] that only keeps what *would* be charged; the
//! charge counts when [`Bucket::commit`] says so. A bucket is known by its place in the policy and its quota: one whose
//! quota is changed by a reload starts anew (full), every other keeps its tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};

use super::limits::{Bound, Limit};
use super::quota::Quota;

/// The buckets of one client, or those that all share.
pub(super) struct BucketSet<C: Clock>(Vec<Bucket<C>>);

pub(super) struct Bucket<C: Clock> {
    /// The limit's place in the policy; with `quota`, what the bucket is known by.
    path: Arc<str>,
    quota: Quota,
    slot: Slot,
    limiter: RateLimiter<NotKeyed, Slot, C, NoOpMiddleware<C::Instant>>,
}

/// What a limiter remembers, in nanoseconds since the bucket was made. Used only under the mutex of [`super::Buckets`],
/// so no order between its two numbers is needed.
#[derive(Clone, Debug, Default)]
struct Slot(Arc<SlotState>);

#[derive(Debug, Default)]
struct SlotState {
    /// When the bucket will be full again (GCRA's theoretical arrival time).
    charged: AtomicU64,
    /// What `charged` will be if the last question was meant; 0 if the answer was no.
    proposed: AtomicU64,
}

impl<C: Clock> BucketSet<C> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Keeps the buckets of these limits.
    pub(super) fn retain(&mut self, limits: &[&Limit]) {
        self.0.retain(|bucket| {
            limits.iter().any(|limit| matches!(limit.bound, Bound::Rate(quota) if bucket.is_of(limit, quota)))
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<C: Clock + Clone> BucketSet<C> {
    /// The bucket of a limit: a full one, if there was none.
    pub(super) fn bucket(&mut self, limit: &Limit, quota: Quota, clock: &C) -> &Bucket<C> {
        let at = self.0.iter().position(|bucket| bucket.is_of(limit, quota)).unwrap_or(self.0.len());
        if at == self.0.len() {
            self.0.push(Bucket::new(Arc::clone(&limit.rule.path), quota, clock));
        }
        #[expect(clippy::indexing_slicing, reason = "`at` was found, or is the place of what was pushed")]
        &self.0[at]
    }
}

impl<C: Clock + Clone> Bucket<C> {
    pub(super) fn new(path: Arc<str>, quota: Quota, clock: &C) -> Self {
        let slot = Slot::default();
        let limiter = RateLimiter::new(quota.for_governor(), slot.clone(), clock.clone());
        Self { path, quota, slot, limiter }
    }
}

impl<C: Clock> Bucket<C> {
    fn is_of(&self, limit: &Limit, quota: Quota) -> bool {
        self.quota == quota && *self.path == *limit.rule.path
    }

    /// Whether there is room, without charging; if not, how long until there is.
    pub(super) fn propose(&self) -> Result<(), Duration> {
        self.slot.0.proposed.store(0, Ordering::Relaxed);
        self.limiter.check().map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }

    /// Charges what was proposed, if there was room.
    pub(super) fn commit(&self) {
        let proposed = self.slot.0.proposed.swap(0, Ordering::Relaxed);
        if proposed != 0 {
            self.slot.0.charged.store(proposed, Ordering::Relaxed);
        }
    }
}

impl StateStore for Slot {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let charged = self.0.charged.load(Ordering::Relaxed);
        let (outcome, next) = measure((charged != 0).then(|| Nanos::new(charged)))?;
        self.0.proposed.store(next.as_u64(), Ordering::Relaxed);
        Ok(outcome)
    }
}
