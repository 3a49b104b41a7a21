//! How often: [`Quota`] (what is allowed), [`ClientLimits`] and [`SharedLimits`] (the policy's quotas) and [`Buckets`]
//! (what is left of them, which survives reloads).
//!
//! An action is charged to its own buckets of the client, then to the client's `"*"`, then to the bucket it shares with
//! all clients, and to none of them unless all have room: a client that is throttled does not use up what others share.
//! `governor` charges as it asks, so its limiters work here on a [`Slot`] that only keeps what *would* be charged; the
//! charge counts when [`Bucket::commit`] says so. All of it happens under one mutex, so what was asked still holds when it
//! is charged, in whatever order threads come. `"*"` counts a refused packet too, as far as it has room.
//!
//! A bucket is known by its place in the policy and its quota: one whose quota is changed by a reload starts anew (full),
//! every other keeps its tokens.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::RateLimiter;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};

use super::quota::Quota;
use super::spec::{LimitSpec, Problem, RoleSpec};
use super::{Decision, Denial, Reason, RuleId};
use crate::identity::ClientName;

/// The name that stands for every packet.
const EVERY: &str = "*";

/// The limits of one identity: those of all its roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLimits {
    /// By the action's name in lower case.
    actions: HashMap<String, Vec<Limit>>,
    every: Vec<Limit>,
}

/// The limits that all clients share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedLimits {
    /// By the action's name in lower case.
    actions: HashMap<String, Limit>,
}

/// One limit of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Limit {
    rule: RuleId,
    quota: Quota,
}

/// The state of all rate limits. It survives reloads.
pub struct Buckets<C: Clock = DefaultClock> {
    clock: C,
    state: Mutex<State<C>>,
}

struct State<C: Clock> {
    clients: HashMap<ClientName, ClientBuckets<C>>,
    shared: BucketSet<C>,
}

struct ClientBuckets<C: Clock> {
    limits: BucketSet<C>,
    refusals: Bucket<C>,
}

struct BucketSet<C: Clock>(Vec<Bucket<C>>);

struct Bucket<C: Clock> {
    /// The limit's place in the policy; with `quota`, what the bucket is known by.
    path: Arc<str>,
    quota: Quota,
    slot: Slot,
    limiter: RateLimiter<NotKeyed, Slot, C, NoOpMiddleware<C::Instant>>,
}

/// What a limiter remembers, in nanoseconds since the bucket was made. Used only under the mutex of [`Buckets`], so no
/// order between its two numbers is needed.
#[derive(Clone, Debug, Default)]
struct Slot(Arc<SlotState>);

#[derive(Debug, Default)]
struct SlotState {
    /// When the bucket will be full again (GCRA's theoretical arrival time).
    charged: AtomicU64,
    /// What `charged` will be if the last question was meant; 0 if the answer was no.
    proposed: AtomicU64,
}

/// The bucket that has no room for longest.
struct Exhausted<'l> {
    limit: &'l Limit,
    retry: Duration,
}

impl ClientLimits {
    /// The limits of an identity with these roles, whose includes are among them. Those of several roles on one action
    /// apply together; a role that is there twice counts once.
    ///
    /// # Errors
    /// Everything that is wrong with any of the roles' `limits`.
    pub fn compile(roles: &[&RoleSpec]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut limits = Self::default();
        for role in roles {
            for (action, limit) in read_limits(&role.limits, &format!("roles.{}.limits", role.name.text), &mut problems)
            {
                let of_action =
                    if action == EVERY { &mut limits.every } else { limits.actions.entry(action).or_default() };
                if !of_action.contains(&limit) {
                    of_action.push(limit);
                }
            }
        }
        if problems.is_empty() { Ok(limits) } else { Err(problems) }
    }

    fn of_action(&self, key: &str) -> &[Limit] {
        self.actions.get(key).map_or(&[], Vec::as_slice)
    }

    fn all(&self) -> impl Iterator<Item = &Limit> {
        self.actions.values().flatten().chain(&self.every)
    }
}

impl SharedLimits {
    /// Reads `limits.actions`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(specs: &[LimitSpec]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        for spec in specs.iter().filter(|spec| spec.action.text == EVERY) {
            problems.push(Problem {
                at: spec.action.at,
                message: "`*` cannot be shared: one client could use up what all others need".to_owned(),
                help: Some("limit `*` in a role, for each client on its own".to_owned()),
            });
        }
        let actions = read_limits(specs, "limits.actions", &mut problems).into_iter().collect();
        if problems.is_empty() { Ok(Self { actions }) } else { Err(problems) }
    }
}

impl Buckets {
    /// No bucket has been charged yet.
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
        Self { clock, state: Mutex::new(State { clients: HashMap::new(), shared: BucketSet(Vec::new()) }) }
    }

    /// Charges a decision: `"*"` for every packet, the action's buckets for an allowed one, narrowest first, only when
    /// every bucket has room. An allowed action that finds no room becomes a denial with [`Reason::LimitsRate`], which
    /// tells the bucket that has no room for longest.
    pub fn take(
        &self,
        limits: &ClientLimits,
        shared: &SharedLimits,
        client: &ClientName,
        decision: Decision,
    ) -> Decision {
        let (own_limits, shared_limit) = match &decision {
            Decision::Allow(permit) => {
                let key = permit.action().key();
                (limits.of_action(key), shared.actions.get(key))
            }
            Decision::Deny(_) => (&[][..], None),
        };
        if own_limits.is_empty() && limits.every.is_empty() && shared_limit.is_none() {
            return decision;
        }
        let mut state = self.lock();
        let State { clients, shared } = &mut *state;
        let own = clients.entry(client.clone()).or_insert_with(|| ClientBuckets::new(&self.clock));
        let mut exhausted: Option<Exhausted<'_>> = None;
        for limit in own_limits.iter().chain(&limits.every) {
            exhausted = Exhausted::longest(exhausted, limit, own.limits.bucket(limit, &self.clock).propose());
        }
        if let Some(limit) = shared_limit {
            exhausted = Exhausted::longest(exhausted, limit, shared.bucket(limit, &self.clock).propose());
        }
        if exhausted.is_none() {
            own_limits.iter().for_each(|limit| own.limits.bucket(limit, &self.clock).commit());
            shared_limit.into_iter().for_each(|limit| shared.bucket(limit, &self.clock).commit());
        }
        limits.every.iter().for_each(|limit| own.limits.bucket(limit, &self.clock).commit());
        drop(state);
        match (decision, exhausted) {
            (Decision::Allow(permit), Some(exhausted)) => {
                let rule = exhausted.limit.rule.clone();
                let reason = Reason::LimitsRate { bucket: rule.path.to_string(), retry: exhausted.retry };
                Decision::Deny(Denial::of_action(permit.into_action(), reason, Some(rule)))
            }
            (decision, _) => decision,
        }
    }

    /// Charges a refusal (or another packet that costs no one but us) to the client's own bucket (20/s, burst 100);
    /// says how long to wait before its next packet is read.
    pub fn charge_refusal(&self, client: &ClientName) -> Option<Duration> {
        let mut state = self.lock();
        let own = state.clients.entry(client.clone()).or_insert_with(|| ClientBuckets::new(&self.clock));
        let outcome = own.refusals.propose();
        own.refusals.commit();
        outcome.err()
    }

    /// Forgets what is no longer in the policy: clients that are not among `clients`, and limits that none of them has.
    /// Called at every reload, so that the state is bounded by the policy in force.
    pub fn prune<'p>(
        &self,
        clients: impl IntoIterator<Item = (&'p ClientName, &'p ClientLimits)>,
        shared: &SharedLimits,
    ) {
        let clients: HashMap<&ClientName, &ClientLimits> = clients.into_iter().collect();
        let mut state = self.lock();
        state.clients.retain(|name, own| {
            let limits = clients.get(name);
            own.limits.0.retain(|bucket| limits.is_some_and(|limits| limits.all().any(|limit| bucket.is_of(limit))));
            limits.is_some()
        });
        state.shared.0.retain(|bucket| shared.actions.values().any(|limit| bucket.is_of(limit)));
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

impl<C: Clock + Clone> ClientBuckets<C> {
    fn new(clock: &C) -> Self {
        Self { limits: BucketSet(Vec::new()), refusals: Bucket::new("refusals".into(), Quota::REFUSALS, clock) }
    }
}

impl<C: Clock + Clone> BucketSet<C> {
    /// The bucket of a limit: a full one, if there was none.
    fn bucket(&mut self, limit: &Limit, clock: &C) -> &Bucket<C> {
        let at = self.0.iter().position(|bucket| bucket.is_of(limit)).unwrap_or(self.0.len());
        if at == self.0.len() {
            self.0.push(Bucket::new(Arc::clone(&limit.rule.path), limit.quota, clock));
        }
        #[expect(clippy::indexing_slicing, reason = "`at` was found, or is the place of what was pushed")]
        &self.0[at]
    }
}

impl<C: Clock + Clone> Bucket<C> {
    fn new(path: Arc<str>, quota: Quota, clock: &C) -> Self {
        let slot = Slot::default();
        let limiter = RateLimiter::new(quota.for_governor(), slot.clone(), clock.clone());
        Self { path, quota, slot, limiter }
    }
}

impl<C: Clock> Bucket<C> {
    fn is_of(&self, limit: &Limit) -> bool {
        self.quota == limit.quota && *self.path == *limit.rule.path
    }

    /// Whether there is room, without charging; if not, how long until there is.
    fn propose(&self) -> Result<(), Duration> {
        self.slot.0.proposed.store(0, Ordering::Relaxed);
        self.limiter.check().map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }

    /// Charges what was proposed, if there was room.
    fn commit(&self) {
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

impl<'l> Exhausted<'l> {
    /// The one to wait longer for; of two alike, the narrower, which was asked first.
    fn longest(so_far: Option<Self>, limit: &'l Limit, outcome: Result<(), Duration>) -> Option<Self> {
        match (so_far, outcome) {
            (so_far, Ok(())) => so_far,
            (Some(longest), Err(retry)) if longest.retry >= retry => Some(longest),
            (_, Err(retry)) => Some(Self { limit, retry }),
        }
    }
}

/// The limits of one block by the action's name in lower case.
fn read_limits(specs: &[LimitSpec], path: &str, problems: &mut Vec<Problem>) -> Vec<(String, Limit)> {
    let mut limits: Vec<(String, Limit)> = Vec::with_capacity(specs.len());
    for spec in specs {
        let name = spec.action.text.as_str();
        let key = name.to_ascii_lowercase();
        if limits.iter().any(|(other, _)| *other == key) {
            problems.push(Problem {
                at: spec.action.at,
                message: format!("`{}` is limited twice here", name.escape_debug()),
                help: Some("names of actions are compared without case; keep one of the two".to_owned()),
            });
            continue;
        }
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        if !is_name || (name.contains(['*', '?']) && name != EVERY) {
            problems.push(Problem {
                at: spec.action.at,
                message: format!("`{}` is not an action's name", name.escape_debug()),
                help: Some("write an action's name, or `*` for every packet of the client".to_owned()),
            });
        }
        match Quota::compile(spec) {
            Ok(quota) => {
                let rule = RuleId { path: format!("{path}.{name}").into(), line: spec.action.at.line };
                limits.push((key, Limit { rule, quota }));
            }
            Err(found) => problems.extend(found),
        }
    }
    limits
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
