//! [`ClientState`]: what is left of one identity's limits, and whether it is suspended.

use std::collections::BTreeSet;

use governor::clock::Clock;

use super::bucket::{Bucket, BucketSet};
use super::limits::{Bound, Limit};
use super::quota::Quota;
use super::quota_state::{ClientQuotas, Suspended};
use super::trip::{Refusals, Suspension};
use super::window::{Destinations, Millis, Window};

/// Of one identity.
pub(super) struct ClientState<C: Clock> {
    pub(super) buckets: BucketSet<C>,
    pub(super) refusals: Bucket<C>,
    pub(super) destinations: Destinations,
    pub(super) exceeded: Refusals,
    pub(super) suspension: Option<Suspension>,
    /// The prefixes of which the first call was made.
    pub(super) called: BTreeSet<String>,
}

/// How long what was dialled has to be remembered.
pub(super) fn longest_window<'l>(limits: impl Iterator<Item = &'l Limit>) -> Option<Millis> {
    let windows = limits.filter_map(|limit| match limit.bound {
        Bound::Destinations(Window { length, .. }) => Some(length),
        Bound::Concurrent(_) | Bound::Hours(_) | Bound::PerDay(_) | Bound::Rate(_) => None,
    });
    windows.max()
}

impl<C: Clock + Clone> ClientState<C> {
    pub(super) fn new(clock: &C) -> Self {
        Self {
            buckets: BucketSet::new(),
            refusals: Bucket::new("refusals".into(), Quota::REFUSALS, clock),
            destinations: Destinations::default(),
            exceeded: Refusals::default(),
            suspension: None,
            called: BTreeSet::new(),
        }
    }

    /// The suspension that is in force.
    pub(super) fn suspension(&mut self, now: Millis) -> Option<&Suspension> {
        self.suspension.take_if(|suspension| suspension.is_over(now));
        self.suspension.as_ref()
    }

    pub(super) fn save(&self, identity: &str, now: Millis) -> Option<ClientQuotas> {
        let suspended = self.suspension.as_ref().filter(|suspension| !suspension.is_over(now));
        let suspended = suspended.map(|suspension| Suspended {
            limit: suspension.limit.to_string(),
            seconds: suspension.remaining(now).map(|remaining| remaining.as_secs() + 1),
        });
        let destinations = self.destinations.ages(now);
        let refusals = self.exceeded.ages(now);
        let called: Vec<String> = self.called.iter().cloned().collect();
        let is_any = suspended.is_some() || !(destinations.is_empty() && called.is_empty() && refusals.is_empty());
        is_any.then(|| ClientQuotas { identity: identity.to_owned(), destinations, refusals, called, suspended })
    }

    /// `ago`: how long ago it was saved.
    pub(super) fn restore(&mut self, saved: &ClientQuotas, now: Millis, ago: Millis) {
        for age in &saved.destinations {
            let age = Millis::try_from(age.saturating_mul(1_000)).unwrap_or(Millis::MAX);
            // What is forgotten is seen when the next is added, with the window of the limit.
            self.destinations.add(None, now.saturating_sub(age.saturating_add(ago)), Millis::MAX);
        }
        self.exceeded.restore(&saved.refusals, now, ago);
        self.called.extend(saved.called.iter().cloned());
        if let Some(suspended) = &saved.suspended {
            self.suspend(&suspended.limit, suspended.seconds, now, ago);
        }
    }

    pub(super) fn suspend(&mut self, limit: &str, seconds: Option<u64>, now: Millis, ago: Millis) {
        let until = |seconds: u64| {
            let millis = Millis::try_from(seconds.saturating_mul(1_000)).unwrap_or(Millis::MAX);
            now.saturating_sub(ago).saturating_add(millis)
        };
        self.suspension = Some(Suspension { limit: limit.into(), until: seconds.map(until) });
    }
}
