//! [`Buckets`]: what is left of the policy's limits. It survives reloads, and what is a quota survives restarts.
//!
//! An action is charged to its own limits of the client, then to the client's `"*"`, then to those it shares with all
//! clients, and to none of them unless all have room: a client that is throttled does not use up what others share.
//! All of it happens under one mutex, so what was asked still holds when it is charged, in whatever order threads come.
//! `"*"` counts a refused packet too, as far as it has room.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, Reference as _};

use super::bucket::{Bucket, BucketSet};
use super::days::Days;
use super::limits::{Bound, ClientLimits, Limit, SharedLimits, has_quota};
use super::quota::Quota;
use super::quota_state::{Past, PastEvent, QuotaState};
use super::{Decision, Denial, Limited, Policy, Reason};
use crate::identity::ClientName;

/// Under this name is counted what all clients share.
const SHARED: &str = "";

/// The state of all limits.
pub struct Buckets<C: Clock = DefaultClock> {
    clock: C,
    made: C::Instant,
    state: Mutex<State<C>>,
}

/// Whose packet it is, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Whose.
    pub client: &'a ClientName,
    /// The wall clock, in seconds since the epoch.
    pub wall: i64,
}

struct State<C: Clock> {
    clients: HashMap<ClientName, ClientState<C>>,
    shared: BucketSet<C>,
    days: Days,
}

struct ClientState<C: Clock> {
    buckets: BucketSet<C>,
    refusals: Bucket<C>,
}

/// The limit that has no room for longest.
struct Exhausted<'l> {
    limit: &'l Limit,
    what: Limited,
    retry: Duration,
}

impl Buckets {
    /// Nothing has been charged yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(DefaultClock::default())
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Clock + Clone> Buckets<C> {
    /// As [`Buckets::new`], by another clock.
    #[must_use]
    pub fn with_clock(clock: C) -> Self {
        let state = State { clients: HashMap::new(), shared: BucketSet::new(), days: Days::default() };
        Self { made: clock.now(), clock, state: Mutex::new(state) }
    }

    /// Charges a decision: `"*"` for every packet, the action's limits for an allowed one, narrowest first, only when
    /// every one has room. An allowed action that finds no room becomes a denial with [`Reason::Limits`], which tells the
    /// limit that has no room for longest.
    pub fn take(
        &self,
        limits: &ClientLimits,
        shared: &SharedLimits,
        asking: Asking<'_>,
        decision: Decision,
    ) -> Decision {
        let (action, own, shared) = match &decision {
            Decision::Allow(permit) => {
                let key = permit.action().key();
                (key, limits.of_action(key), shared.of_action(key))
            }
            Decision::Deny(_) => ("", &[][..], &[][..]),
        };
        if own.is_empty() && limits.every().is_empty() && shared.is_empty() {
            return decision;
        }
        let mut state = self.lock();
        state.days.open(asking.wall, self.steady());
        let mut charge = Charge { state: &mut state, clock: &self.clock, asking, action };
        let own = own.iter().chain(limits.every()).map(|limit| (asking.client.as_str(), limit));
        let all: Vec<(&str, &Limit)> = own.chain(shared.iter().map(|limit| (SHARED, limit))).collect();
        let exhausted = all.iter().fold(None, |longest, (whose, limit)| charge.ask(longest, whose, limit));
        if exhausted.is_none() && matches!(decision, Decision::Allow(_)) {
            charge.commit(&all);
        } else {
            charge.commit_every(limits.every());
        }
        drop(state);
        match (decision, exhausted) {
            (Decision::Allow(permit), Some(Exhausted { limit, what, retry })) => {
                let rule = limit.rule.clone();
                let reason = Reason::Limits { what, limit: rule.path.to_string(), retry };
                Decision::Deny(Denial::of_action(permit.into_action(), reason, Some(rule)))
            }
            (decision, _) => decision,
        }
    }

    /// Charges a refusal (or another packet that costs no one but us) to the client's own bucket (20/s, burst 100);
    /// says how long to wait before its next packet is read.
    pub fn charge_refusal(&self, client: &ClientName) -> Option<Duration> {
        let mut state = self.lock();
        let own = state.client(client, &self.clock);
        let outcome = own.refusals.propose();
        own.refusals.commit();
        outcome.err()
    }

    /// Forgets what is no longer in the policy: clients that are not among `clients`, and limits that none of them has.
    /// Called at every reload, so that the state is bounded by the policy in force. What was counted of a day stays.
    pub fn prune<'p>(
        &self,
        clients: impl IntoIterator<Item = (&'p ClientName, &'p ClientLimits)>,
        shared: &SharedLimits,
    ) {
        let clients: HashMap<&ClientName, &ClientLimits> = clients.into_iter().collect();
        let mut state = self.lock();
        state.clients.retain(|name, own| {
            let Some(limits) = clients.get(name) else { return false };
            let all: Vec<&Limit> = limits.all().collect();
            own.buckets.retain(&all);
            true
        });
        let all: Vec<&Limit> = shared.all().collect();
        state.shared.retain(&all);
    }

    /// What survives a restart.
    pub fn save(&self) -> QuotaState {
        let mut saved = QuotaState::default();
        self.lock().days.save(&mut saved);
        saved
    }

    /// Goes on with what was saved, and with what was let through after that, in order. What was counted twice (it was
    /// charged before it was saved and recorded behind it) stays so: it is only what was under way at that moment.
    pub fn restore(&self, saved: &QuotaState, since: &[Past], policy: &Policy) {
        let steady = self.steady();
        let mut state = self.lock();
        if !saved.is_empty() {
            state.days.restore(saved);
        }
        for past in since {
            let client = ClientName::for_explain(&past.identity);
            let PastEvent::Allowed { action } = &past.event;
            state.days.open(past.wall, steady);
            for (whose, limits) in [
                (past.identity.as_str(), policy.limits(&client).of_action(action)),
                (SHARED, policy.shared_limits().of_action(action)),
            ] {
                if has_quota(limits.iter()) {
                    state.days.add(whose, action);
                }
            }
        }
    }

    fn steady(&self) -> Duration {
        self.clock.now().duration_since(self.made).into()
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        // Each bucket is whole at any time, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Clock> fmt::Debug for Buckets<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets").finish_non_exhaustive()
    }
}

impl<C: Clock + Clone> State<C> {
    fn client(&mut self, client: &ClientName, clock: &C) -> &mut ClientState<C> {
        self.clients.entry(client.clone()).or_insert_with(|| ClientState {
            buckets: BucketSet::new(),
            refusals: Bucket::new("refusals".into(), Quota::REFUSALS, clock),
        })
    }

    fn bucket(&mut self, whose: (&str, &ClientName), limit: &Limit, quota: Quota, clock: &C) -> &Bucket<C> {
        let (whose, client) = whose;
        if whose == SHARED {
            return self.shared.bucket(limit, quota, clock);
        }
        self.client(client, clock).buckets.bucket(limit, quota, clock)
    }
}

/// One packet that is charged.
struct Charge<'s, C: Clock> {
    state: &'s mut State<C>,
    clock: &'s C,
    asking: Asking<'s>,
    action: &'s str,
}

impl<C: Clock + Clone> Charge<'_, C> {
    /// Whether a limit has room, without charging; if not, and it has none for longer than the longest so far, that one.
    /// Of two alike the narrower, which was asked first, is told.
    fn ask<'l>(&mut self, longest: Option<Exhausted<'l>>, whose: &str, limit: &'l Limit) -> Option<Exhausted<'l>> {
        let Asking { client, wall } = self.asking;
        let (what, outcome) = match &limit.bound {
            // Going is always right.
            Bound::Hours(_) if self.action == "logoff" => return longest,
            Bound::Hours(hours) => (Limited::Hours, hours.ask(wall)),
            Bound::PerDay(max) => {
                let days = &self.state.days;
                let has_room = days.count(whose, self.action) < *max;
                (Limited::PerDay, if has_room { Ok(()) } else { Err(days.until_next(wall)) })
            }
            Bound::Rate(quota) => {
                (Limited::Rate, self.state.bucket((whose, client), limit, *quota, self.clock).propose())
            }
        };
        match (longest, outcome) {
            (longest, Ok(())) => longest,
            (Some(longest), Err(retry)) if longest.retry >= retry => Some(longest),
            (_, Err(retry)) => Some(Exhausted { limit, what, retry }),
        }
    }

    /// Charges what was asked; a quota that several limits bound, once.
    fn commit(&mut self, limits: &[(&str, &Limit)]) {
        for (whose, limit) in limits {
            if let Bound::Rate(quota) = limit.bound {
                self.state.bucket((whose, self.asking.client), limit, quota, self.clock).commit();
            }
        }
        let is_per_day = |limit: &Limit| matches!(limit.bound, Bound::PerDay(_));
        for counted in [self.asking.client.as_str(), SHARED] {
            if limits.iter().any(|(whose, limit)| *whose == counted && is_per_day(limit)) {
                self.state.days.add(counted, self.action);
            }
        }
    }

    /// Charges what counts refused packets too.
    fn commit_every(&mut self, every: &[Limit]) {
        for limit in every {
            if let Bound::Rate(quota) = limit.bound {
                self.state.client(self.asking.client, self.clock).buckets.bucket(limit, quota, self.clock).commit();
            }
        }
    }
}

#[cfg(test)]
#[path = "quotas_tests.rs"]
mod quota_tests;
#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
