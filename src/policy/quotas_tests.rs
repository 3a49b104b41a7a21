//! Quotas: over days, clocks, threads and restarts.

use std::sync::atomic::Ordering;

use super::tests::{Rig, allowed, client, refusal, spanned};
use super::*;
use crate::policy::spec::{ClientSpec, LimitSpec, PolicySpec, RoleSpec};

const DAY: i64 = 86_400;
/// 2026-11-21, noon.
pub(super) const NOON: i64 = 20_778 * DAY + DAY / 2;

pub(super) fn per_day(action: &str, count: &str) -> LimitSpec {
    LimitSpec { action: spanned(action), per_day: Some(spanned(count)), ..LimitSpec::default() }
}

pub(super) fn limits(specs: &[LimitSpec]) -> ClientLimits {
    let role = RoleSpec { name: spanned("r"), limits: specs.to_vec(), ..RoleSpec::default() };
    ClientLimits::compile(&[&role]).expect("limits")
}

/// A policy in which `alice` has these limits.
pub(super) fn policy(specs: &[LimitSpec], shared: &[LimitSpec]) -> Policy {
    let role = RoleSpec { name: spanned("r"), limits: specs.to_vec(), ..RoleSpec::default() };
    let alice = ClientSpec { name: spanned("alice"), roles: vec![spanned("r")], ..ClientSpec::default() };
    let spec =
        PolicySpec { roles: vec![role], clients: vec![alice], shared_limits: shared.to_vec(), actions: Vec::new() };
    Policy::compile(spec).expect("a policy").0
}

impl Rig {
    pub(super) fn at(wall: i64) -> Self {
        let rig = Self::new(&[]);
        rig.wall.store(wall, Ordering::Relaxed);
        rig
    }

    pub(super) fn set_wall(&self, wall: i64) {
        self.wall.store(wall, Ordering::Relaxed);
    }

    /// Both clocks go on.
    pub(super) fn pass(&self, seconds: i64) {
        self.wall.fetch_add(seconds, Ordering::Relaxed);
        self.clock.advance(Duration::from_secs(seconds.unsigned_abs()));
    }
}

#[test]
fn a_day_of_utc_has_so_many_and_no_more() {
    let rig = Rig::at(NOON);
    let limits = limits(&[per_day("Originate", "5")]);
    assert_eq!(rig.count(&limits, "alice", "originate", 9), 5);
    let Decision::Deny(denial) = rig.take(&limits, "alice", "Originate") else { panic!("allowed") };
    assert_eq!(denial.reason().code(), "limits.per_day");
    assert_eq!(denial.message(), "Rate limit exceeded, retry in 43200 s");
    assert_eq!(denial.rule().map(|rule| &*rule.path), Some("roles.r.limits.Originate.per_day"));
    assert_eq!(rig.count(&limits, "alice", "Ping", 9), 9, "other actions have none");
    assert_eq!(rig.count(&limits, "bob", "Originate", 9), 5, "everybody has his own");
    rig.pass(DAY / 2 - 1);
    assert_eq!(rig.count(&limits, "alice", "Originate", 9), 0);
    rig.pass(1);
    assert_eq!(rig.count(&limits, "alice", "Originate", 9), 5);
    rig.pass(7 * DAY);
    assert_eq!(rig.count(&limits, "alice", "Originate", 9), 5, "nothing is saved up");
}

#[test]
fn a_clock_that_is_set_never_gives_a_quota_twice() {
    let rig = Rig::at(NOON);
    let limits = limits(&[per_day("Originate", "5")]);
    assert_eq!(rig.count(&limits, "alice", "Originate", 3), 3);
    rig.set_wall(NOON - DAY);
    assert_eq!(rig.count(&limits, "alice", "Originate", 9), 2, "yesterday counts as today");
    rig.set_wall(NOON + DAY);
    assert_eq!(rig.count(&limits, "alice", "Originate", 9), 5);
    for wall in [NOON, NOON + DAY, NOON - 30 * DAY, NOON + DAY] {
        rig.set_wall(wall);
        assert_eq!(rig.count(&limits, "alice", "Originate", 9), 0);
    }
}

#[test]
fn a_clock_that_was_years_ahead_does_not_hold_a_quota_up_for_years() {
    let rig = Rig::at(NOON + 4_000 * DAY);
    let limits = limits(&[per_day("Originate", "5")]);
    assert_eq!(rig.count(&limits, "alice", "Originate", 9), 5);
    rig.set_wall(NOON);
    assert_eq!(rig.count(&limits, "alice", "Originate", 9), 0);
    rig.pass(DAY);
    assert_eq!(rig.count(&limits, "alice", "Originate", 9), 0, "the clock is believed, and what was counted stays");
    rig.pass(DAY / 2);
    assert_eq!(rig.count(&limits, "alice", "Originate", 9), 5);
}

#[test]
fn a_quota_is_charged_only_if_all_have_room() {
    let rig = Rig::at(NOON);
    let mut both = per_day("Originate", "3");
    both.rate = Some(spanned("1/minute"));
    let limits = limits(&[both]);
    let rate_refusals = (0..50).filter(|_| refusal(rig.take(&limits, "alice", "Originate")).0.ends_with("Originate"));
    assert_eq!(rig.count(&limits, "alice", "Originate", 1), 1);
    assert_eq!(rate_refusals.count(), 50);
    for expected in [1, 1, 0] {
        rig.pass(60);
        assert_eq!(rig.count(&limits, "alice", "Originate", 9), expected);
    }
    assert!(refusal(rig.take(&limits, "alice", "Originate")).0.ends_with("per_day"), "the longer wait is told");
}

#[test]
fn several_roles_bound_one_count_and_the_strictest_wins() {
    let roles = ["3", "7"].map(|count| RoleSpec {
        name: spanned(count),
        limits: vec![per_day("Originate", count)],
        ..RoleSpec::default()
    });
    let rig = Rig::at(NOON);
    let limits = ClientLimits::compile(&[&roles[0], &roles[1]]).expect("limits");
    assert_eq!(rig.count(&limits, "alice", "Originate", 9), 3);
    let wide = ClientLimits::compile(&[&roles[1]]).expect("limits");
    rig.buckets.prune([(&client("alice"), &wide)], &rig.shared);
    assert_eq!(rig.count(&wide, "alice", "Originate", 9), 4, "a reload gives the difference, not a new day");
}

#[test]
fn threads_get_no_more_than_the_day_has() {
    let mut rig = Rig::at(NOON);
    rig.shared = SharedLimits::compile(&[per_day("Originate", "90")]).expect("limits");
    let limits = limits(&[per_day("Originate", "60")]);
    let passed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let name = if n % 2 == 0 { "alice" } else { "bob" };
                let (rig, limits) = (&rig, &limits);
                scope.spawn(move || rig.count(limits, name, "Originate", 200))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(passed, 90);
    let state = rig.buckets.save(rig.wall.load(Ordering::Relaxed));
    assert!(state.per_day.iter().all(|count| count.count <= if count.identity.is_empty() { 90 } else { 60 }));
}

#[test]
fn a_restart_goes_on_with_what_was_saved_and_what_was_let_through_since() {
    let policy = policy(&[per_day("Originate", "10")], &[per_day("originate", "15")]);
    let rig = Rig::at(NOON);
    let take = |rig: &Rig, name: &str| {
        let asking = Asking { client: &client(name), upstream: "pbx", wall: rig.wall.load(Ordering::Relaxed) };
        rig.buckets.take(policy.limits(&client(name)), policy.shared_limits(), asking, allowed("Originate"))
    };
    let count = |rig: &Rig, name: &str| (0..20).filter(|_| matches!(take(rig, name), Decision::Allow(_))).count();
    for _ in 0..4 {
        assert!(matches!(take(&rig, "alice"), Decision::Allow(_)));
    }
    let saved = serde_json::to_string(&rig.buckets.save(rig.wall.load(Ordering::Relaxed))).expect("JSON");
    let saved: QuotaState = serde_json::from_str(&saved).expect("what was written");
    let past = |wall, identity: &str, action: &str| Past {
        wall,
        identity: identity.to_owned(),
        event: PastEvent::Allowed { action: action.to_owned(), destination: None, call: None },
    };
    let since = [past(NOON, "alice", "originate"), past(NOON, "alice", "ping"), past(NOON, "bob", "originate")];
    let after = |wall| {
        let rig = Rig::at(wall);
        rig.buckets.restore(&saved, &since, &policy, wall);
        rig
    };
    let rig = after(NOON);
    assert_eq!(count(&rig, "alice"), 5, "4 and 1 of her 10 are used");
    assert_eq!(count(&rig, "bob"), 4, "of the 15 of all, 4 + 1 + 1 + 5 are used");
    assert_eq!(count(&after(NOON - DAY), "alice"), 5, "a clock that was set back meanwhile gives no more");
    assert_eq!(count(&after(NOON + DAY), "alice"), 10);
    let next_day = Rig::at(NOON + DAY);
    next_day.buckets.restore(&saved, &[past(NOON + DAY, "alice", "originate")], &policy, NOON + DAY);
    assert_eq!(count(&next_day, "alice"), 9, "what was let through since midnight is of the new day");
}

#[test]
fn what_is_no_quota_is_refused_with_what_is_wrong() {
    let problems = |spec: LimitSpec| {
        let role = RoleSpec { name: spanned("r"), limits: vec![spec], ..RoleSpec::default() };
        let problems = ClientLimits::compile(&[&role]).expect_err("a problem");
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    assert_eq!(problems(per_day("*", "5")), ["only a rate and hours can be of `*`"]);
    assert!(problems(per_day("Originate", "0"))[0].starts_with("a limit of 0"));
    assert_eq!(problems(per_day("Originate", "many")), ["`many` is not a whole number"]);
    let burst = LimitSpec { action: spanned("Ping"), burst: Some(spanned("3")), ..LimitSpec::default() };
    assert_eq!(problems(burst), ["`burst` without `rate` bounds nothing"]);
}

#[test]
fn outside_its_hours_an_identity_may_only_go() {
    let hours = vec![spanned("daily 08:00-12:00 UTC")];
    let role = RoleSpec {
        name: spanned("r"),
        limits: vec![LimitSpec { action: spanned("Originate"), hours: hours.clone(), ..LimitSpec::default() }],
        ..RoleSpec::default()
    };
    let rig = Rig::at(NOON - 1);
    let by_rule = ClientLimits::compile(&[&role]).expect("limits");
    let bob = ClientSpec { name: spanned("bob"), hours, ..ClientSpec::default() };
    let by_identity = ClientLimits::of_client(&bob, &[]).expect("limits");
    assert_eq!((rig.count(&by_rule, "alice", "Originate", 3), rig.count(&by_identity, "bob", "Ping", 3)), (3, 3));
    rig.pass(1);
    assert_eq!((rig.count(&by_rule, "alice", "Originate", 3), rig.count(&by_identity, "bob", "Ping", 3)), (0, 0));
    assert_eq!((rig.count(&by_rule, "alice", "Ping", 3), rig.count(&by_identity, "bob", "Logoff", 1)), (3, 1));
    let Decision::Deny(denial) = rig.take(&by_identity, "bob", "Ping") else { panic!("allowed") };
    assert_eq!(denial.reason().code(), "limits.hours");
    assert_eq!(denial.message(), "Not permitted at this time, retry in 72000 s");
    assert_eq!(denial.rule().map(|rule| &*rule.path), Some("identities.bob.hours"));
}
