//! [`Buckets`]: what is left of the policy's limits. It survives reloads, and what is a quota survives restarts.
//!
//! An action is charged to its own limits of the client, then to the client's `"*"`, then to those it shares with all
//! clients, and to none of them unless all have room: a client that is throttled does not use up what others share.
//! All of it happens under one mutex, so what was asked still holds when it is charged, in whatever order threads come.
//! `"*"` counts a refused packet too, as far as it has room.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, Reference as _};

use super::bucket::{Bucket, BucketSet};
use super::calls::{Calls, NewCall};
use super::charge::{Charge, Exhausted, SHARED};
use super::client_state::{ClientState, longest_window};
use super::days::Days;
use super::limits::{self, ClientLimits, Limit, SharedLimits};
use super::pauses::Pauses;
use super::prefixes;
use super::quota::Quota;
use super::quota_state::{Past, PastEvent, QuotaState, SavedCall, Suspended};
use super::trip::{Refusals, Trip, Tripped};
use super::window::{Millis, destination};
use super::{Decision, Denial, Limited, Policy, Reason, RuleId};
use crate::ami::Action;
use crate::identity::ClientName;

/// The state of all limits.
pub struct Buckets<C: Clock = DefaultClock> {
    clock: C,
    made: C::Instant,
    state: Mutex<State<C>>,
    /// Whether it is worth to look whether a client is suspended.
    is_any_suspended: AtomicBool,
    pauses: Pauses,
}

/// Whose packet it is, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Whose.
    pub client: &'a ClientName,
    /// Where its actions go.
    pub upstream: &'a str,
    /// The wall clock, in seconds since the epoch.
    pub wall: i64,
}

pub(super) struct State<C: Clock> {
    pub(super) clients: HashMap<ClientName, ClientState<C>>,
    shared: BucketSet<C>,
    pub(super) days: Days,
    pub(super) calls: Calls,
    /// Suspensions that are not on record yet.
    tripped: Vec<(ClientName, Tripped)>,
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
        let mut calls = Calls::default();
        // Random, so that two amiwalls in front of one Asterisk do not give the same ids.
        calls.number_from(RandomState::new().hash_one(0));
        let (clients, shared) = (HashMap::new(), BucketSet::new());
        let state = State { clients, shared, days: Days::default(), calls, tripped: Vec::new() };
        let (made, state, is_any_suspended) = (clock.now(), Mutex::new(state), AtomicBool::new(false));
        Self { made, clock, state, is_any_suspended, pauses: Pauses::default() }
    }

    /// What an administrator has stopped.
    #[must_use]
    pub const fn pauses(&self) -> &Pauses {
        &self.pauses
    }

    /// Refuses what is paused, and charges a decision: `"*"` for every packet, the action's limits for an allowed one,
    /// narrowest first, only when every one has room. An allowed action that finds no room becomes a denial with [`Reason::Limits`], which tells the
    /// limit that has no room for longest.
    pub fn take(
        &self,
        limits: &ClientLimits,
        shared: &SharedLimits,
        asking: Asking<'_>,
        decision: Decision,
    ) -> Decision {
        let decision = self.pauses.judge(asking.client, decision);
        let (action, own, shared) = match &decision {
            Decision::Allow(permit) => {
                let key = permit.action().key();
                (key, limits.of_action(key), shared.of_action(key))
            }
            Decision::Deny(_) => ("", &[][..], &[][..]),
        };
        let is_bound = !(own.is_empty() && limits.every().is_empty() && limits.trips().is_empty() && shared.is_empty());
        if !is_bound && !self.is_any_suspended.load(Ordering::Relaxed) {
            return decision;
        }
        let now = self.now();
        let mut state = self.lock();
        state.days.open(asking.wall, now);
        if let Decision::Allow(permit) = &decision {
            self.note_first_call(&mut state, asking.client, (limits.trips(), permit.action()), now);
        }
        let suspension = state.client(asking.client, &self.clock).suspension(now).cloned();
        let (destination, channel_id) = match &decision {
            Decision::Allow(permit) if action == "originate" => {
                let get = |name: &str| permit.action().get(name);
                (destination(get), get("ChannelId").map(<[u8]>::to_vec))
            }
            Decision::Allow(_) | Decision::Deny(_) => (Vec::new(), None),
        };
        let mut charge = Charge { state: &mut state, clock: &self.clock, asking, action, destination, channel_id, now };
        let own_limits = own.iter().chain(limits.every()).map(|limit| (asking.client.as_str(), limit));
        let all: Vec<(&str, &Limit)> = own_limits.chain(shared.iter().map(|limit| (SHARED, limit))).collect();
        let exhausted = all.iter().fold(None, |longest, (whose, limit)| charge.ask(longest, whose, limit));
        let refusal = match (suspension, exhausted) {
            // Going is always right.
            (Some(suspension), _) if action != "logoff" => {
                let line = 0;
                let rule = RuleId { path: suspension.limit.clone(), line };
                Some((rule, Some(Limited::Tripped), suspension.remaining(now)))
            }
            (_, Some(Exhausted { limit, what, retry })) => {
                Some((limit.rule.clone(), what, (retry != Duration::MAX).then_some(retry)))
            }
            (_, None) => None,
        };
        let mut ids = Vec::new();
        if refusal.is_none() && matches!(decision, Decision::Allow(_)) {
            charge.commit(&all);
            if let (Decision::Allow(permit), true) = (&decision, own.iter().any(Limit::is_concurrent)) {
                ids = charge.reserve(permit.action());
            }
        } else {
            charge.commit_every(limits.every());
        }
        let is_own = |rule: &RuleId, what| what != Limited::Tripped && limits::is_own(&rule.path);
        if matches!(&refusal, Some((rule, Some(what), _)) if is_own(rule, *what)) && !own.is_empty() {
            self.note_refusal(&mut state, asking.client, limits.trips(), now);
        }
        drop(state);
        match (decision, refusal) {
            (Decision::Allow(permit), Some((rule, what, retry))) => {
                let limits = |what| Reason::Limits { what, limit: rule.path.to_string(), retry };
                let reason = what.map_or(Reason::UpstreamLost, limits);
                Decision::Deny(Denial::of_action(permit.into_action(), reason, Some(rule)))
            }
            (Decision::Allow(permit), None) if !ids.is_empty() => Decision::Allow(permit.with(ids)),
            (decision, _) => decision,
        }
    }

    /// One more refusal for a limit of the action itself. One too many suspends the client.
    fn note_refusal(&self, state: &mut State<C>, client: &ClientName, trips: &[Trip], now: Millis) {
        let own = state.client(client, &self.clock);
        if let Some((suspension, tripped)) = own.exceeded.add(trips, now) {
            own.suspension = Some(suspension);
            self.is_any_suspended.store(true, Ordering::Relaxed);
            state.tripped.push((client.clone(), tripped));
        }
    }

    /// A first call to a class of numbers suspends the client, who is called suspicious only once for each class. One who is
    /// suspended already calls nobody.
    fn note_first_call(
        &self,
        state: &mut State<C>,
        client: &ClientName,
        (trips, action): (&[Trip], &Action),
        now: Millis,
    ) {
        let own = state.client(client, &self.clock);
        if !trips.iter().any(Trip::has_first_call) || own.suspension(now).is_some() {
            return;
        }
        let numbers = prefixes::numbers(action);
        let found = trips.iter().find_map(|trip| {
            let class = trip.first_call(&own.called, &numbers)?;
            Some((class, trip.suspend(now, Some(class))))
        });
        if let Some((class, (suspension, tripped))) = found {
            own.called.insert(class.to_owned());
            own.suspension = Some(suspension);
            self.is_any_suspended.store(true, Ordering::Relaxed);
            state.tripped.push((client.clone(), tripped));
        }
    }

    /// What has suspended the client since this was asked last: it has to be put on record.
    pub fn take_tripped(&self, client: &ClientName) -> Vec<Tripped> {
        if !self.is_any_suspended.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut state = self.lock();
        state.tripped.extract_if(.., |(whose, _)| whose == client).map(|(_, tripped)| tripped).collect()
    }

    /// Whether the client is suspended now.
    pub fn is_suspended(&self, client: &ClientName) -> bool {
        let now = self.now();
        self.lock().clients.get_mut(client).is_some_and(|own| own.suspension(now).is_some())
    }

    /// Ends a suspension; whether there was one.
    pub fn resume(&self, client: &ClientName) -> bool {
        let mut state = self.lock();
        let is_any = state.clients.get_mut(client).is_some_and(|own| own.suspension.take().is_some());
        let now = self.now();
        let mut left = state.clients.values();
        let is_left = left.any(|own| own.suspension.as_ref().is_some_and(|suspension| !suspension.is_over(now)));
        self.is_any_suspended.store(is_left, Ordering::Relaxed);
        is_any
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

    /// What survives a restart; `wall` is now.
    pub fn save(&self, wall: i64) -> QuotaState {
        let (state, now) = (self.lock(), self.now());
        let mut saved = QuotaState { saved: wall, paused: self.pauses.all(), ..QuotaState::default() };
        state.days.save(&mut saved);
        let clients = state.clients.iter();
        saved.clients = clients.filter_map(|(name, own)| own.save(name.as_str(), now)).collect();
        saved.calls = state.calls.save(now);
        saved.clients.sort_by(|one, other| one.identity.cmp(&other.identity));
        saved
    }

    /// Goes on with what was saved, and with what happened after that, in order; `wall` is now. What was counted twice (it
    /// was charged before it was saved and recorded behind it) stays so: it is only what was under way at that moment.
    pub fn restore(&self, saved: &QuotaState, since: &[Past], policy: &Policy, wall: i64) {
        let now = self.now();
        // A clock that was set back meanwhile makes nothing younger than now.
        let ago = |then: i64| wall.saturating_sub(then).max(0).saturating_mul(1_000);
        let mut state = self.lock();
        if !saved.is_empty() {
            state.days.restore(saved);
        }
        for of_client in &saved.clients {
            let client = ClientName::for_explain(&of_client.identity);
            state.client(&client, &self.clock).restore(of_client, now, ago(saved.saved));
        }
        for SavedCall { identity, upstream, channel, age } in &saved.calls {
            let age =
                Millis::try_from(age.saturating_mul(1_000)).unwrap_or(Millis::MAX).saturating_add(ago(saved.saved));
            let call = NewCall { upstream, identity, id: channel.as_bytes(), timeout: None };
            state.calls.reserve(call, now.saturating_sub(age));
        }
        for past in since.iter().filter(|past| !past.identity.is_empty()) {
            let client = ClientName::for_explain(&past.identity);
            let own = state.client(&client, &self.clock);
            match &past.event {
                PastEvent::Refused { action, limit } => {
                    let limits_of = policy.limits(&client);
                    let at = now.saturating_sub(ago(past.wall));
                    let is_counted = limits::is_own(limit) && !limits_of.of_action(action).is_empty();
                    let trips = if is_counted { limits_of.trips() } else { &[][..] };
                    if let Some((suspension, _)) = own.exceeded.add(trips, at) {
                        own.suspension = Some(suspension);
                    }
                }
                PastEvent::Locked(_) | PastEvent::Paused { .. } => {}
                PastEvent::Resumed => (own.suspension, own.exceeded) = (None, Refusals::default()),
                PastEvent::Tripped { suspended: Suspended { limit, seconds }, first_call } => {
                    own.called.extend(first_call.clone());
                    own.suspend(limit, *seconds, now, ago(past.wall));
                }
                PastEvent::Allowed { action, destination, call } => {
                    let limits = policy.limits(&client).of_action(action);
                    if let Some(length) = longest_window(limits.iter()) {
                        own.destinations.add(destination.clone(), now.saturating_sub(ago(past.wall)), length);
                    }
                    if let (Some((upstream, id)), true) = (call, limits.iter().any(Limit::is_concurrent)) {
                        let call = NewCall { upstream, identity: &past.identity, id: id.as_bytes(), timeout: None };
                        state.calls.reserve(call, now.saturating_sub(ago(past.wall)));
                    }
                    state.days.open(past.wall, now);
                    for (whose, limits) in
                        [(past.identity.as_str(), limits), (SHARED, policy.shared_limits().of_action(action))]
                    {
                        if limits.iter().any(Limit::is_per_day) {
                            state.days.add(whose, action);
                        }
                    }
                }
            }
        }
        let is_any = state.clients.values().any(|own| own.suspension.is_some());
        self.is_any_suspended.store(is_any, Ordering::Relaxed);
    }

    /// Milliseconds since this was made, by the steady clock.
    pub(super) fn now(&self) -> Millis {
        let since: Duration = self.clock.now().duration_since(self.made).into();
        Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<C>> {
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
    pub(super) fn client(&mut self, client: &ClientName, clock: &C) -> &mut ClientState<C> {
        self.clients.entry(client.clone()).or_insert_with(|| ClientState::new(clock))
    }

    pub(super) fn bucket(&mut self, whose: (&str, &ClientName), limit: &Limit, quota: Quota, clock: &C) -> &Bucket<C> {
        let (whose, client) = whose;
        if whose == SHARED {
            return self.shared.bucket(limit, quota, clock);
        }
        self.client(client, clock).buckets.bucket(limit, quota, clock)
    }
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod calls_tests;
#[cfg(test)]
#[path = "quotas_tests.rs"]
mod quota_tests;
#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "trips_tests.rs"]
mod trips_tests;
