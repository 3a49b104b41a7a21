use std::sync::atomic::{AtomicI64, Ordering};

use governor::clock::FakeRelativeClock;

use super::*;
use crate::ami::{Action, Message};
use crate::policy::spec::{LimitSpec, Position, RoleSpec, Spanned};
use crate::policy::{Permit, RuleId};

pub(super) fn spanned(text: &str) -> Spanned {
    Spanned { text: text.to_owned(), at: Position { line: 5, column: 9 } }
}

fn limit(action: &str, rate: &str, burst: Option<&str>) -> LimitSpec {
    LimitSpec { action: spanned(action), rate: Some(spanned(rate)), burst: burst.map(spanned), ..LimitSpec::default() }
}

fn role(name: &str, limits: &[(&str, &str, Option<&str>)]) -> RoleSpec {
    let limits = limits.iter().map(|(action, rate, burst)| limit(action, rate, *burst)).collect();
    RoleSpec { name: spanned(name), limits, ..RoleSpec::default() }
}

fn client_limits(limits: &[(&str, &str, Option<&str>)]) -> ClientLimits {
    ClientLimits::compile(&[&role("r", limits)]).expect("limits")
}

pub(super) fn shared_limits(limits: &[(&str, &str)]) -> SharedLimits {
    let specs: Vec<_> = limits.iter().map(|(action, rate)| limit(action, rate, None)).collect();
    SharedLimits::compile(&specs).expect("limits")
}

pub(super) fn client(name: &str) -> ClientName {
    ClientName::for_explain(name)
}

fn action(name: &str) -> Action {
    Action::try_from(Message::compose(&[("Action", name.as_bytes())])).expect("an action")
}

pub(super) fn allowed(name: &str) -> Decision {
    Decision::Allow(Permit::new(action(name), RuleId { path: "roles.r.allow[0]".into(), line: 1 }, Vec::new()))
}

fn denied(name: &str) -> Decision {
    Decision::Deny(Denial::of_action(action(name), Reason::ActionsUnlisted, None))
}

/// Buckets by a clock that only the test moves.
pub(super) struct Rig {
    pub(super) clock: FakeRelativeClock,
    /// The wall clock, in seconds since the epoch.
    pub(super) wall: AtomicI64,
    pub(super) buckets: Buckets<FakeRelativeClock>,
    pub(super) shared: SharedLimits,
}

impl Rig {
    pub(super) fn new(shared: &[(&str, &str)]) -> Self {
        let clock = FakeRelativeClock::default();
        let (buckets, shared) = (Buckets::with_clock(clock.clone()), shared_limits(shared));
        Self { buckets, clock, wall: AtomicI64::new(0), shared }
    }

    pub(super) fn take(&self, limits: &ClientLimits, name: &str, action: &str) -> Decision {
        let asking = Asking { client: &client(name), upstream: "pbx", wall: self.wall.load(Ordering::Relaxed) };
        self.buckets.take(limits, &self.shared, asking, allowed(action))
    }

    /// How many of so many actions at once are let through.
    pub(super) fn count(&self, limits: &ClientLimits, name: &str, action: &str, tries: usize) -> usize {
        (0..tries).filter(|_| matches!(self.take(limits, name, action), Decision::Allow(_))).count()
    }
}

pub(super) fn refusal(decision: Decision) -> (String, Duration) {
    let Decision::Deny(denial) = decision else { panic!("allowed") };
    let Reason::Limits { limit: bucket, retry, .. } = denial.reason() else { panic!("{:?}", denial.reason()) };
    (bucket.clone(), retry.expect("a time"))
}

#[test]
fn as_many_pass_as_the_limit_says() {
    let rig = Rig::new(&[]);
    let limits = client_limits(&[("Originate", "10/minute", Some("3"))]);
    assert_eq!(rig.count(&limits, "alice", "originate", 20), 3);
    let (bucket, retry) = refusal(rig.take(&limits, "alice", "ORIGINATE"));
    assert_eq!((bucket.as_str(), retry), ("roles.r.limits.Originate", Duration::from_secs(6)));
    rig.clock.advance(Duration::from_millis(5_999));
    assert_eq!(rig.count(&limits, "alice", "Originate", 5), 0);
    rig.clock.advance(Duration::from_millis(1));
    assert_eq!(rig.count(&limits, "alice", "Originate", 5), 1);
    rig.clock.advance(Duration::from_secs(3_600));
    assert_eq!(rig.count(&limits, "alice", "Originate", 20), 3, "no more is saved up than the burst");
    assert_eq!(rig.count(&limits, "alice", "Ping", 1_000), 1_000);
    assert_eq!(rig.count(&limits, "bob", "Originate", 20), 3, "everybody has buckets of their own");
}

#[test]
fn the_denial_says_which_limit_and_when_to_come_again() {
    let rig = Rig::new(&[]);
    let limits = client_limits(&[("Ping", "1/minute", None)]);
    assert_eq!(rig.count(&limits, "alice", "Ping", 1), 1);
    let Decision::Deny(denial) = rig.take(&limits, "alice", "Ping") else { panic!("allowed") };
    assert_eq!(denial.reason().code(), "limits.rate");
    assert_eq!(denial.message(), "Rate limit exceeded, retry in 60 s");
    assert_eq!(denial.rule(), Some(&RuleId { path: "roles.r.limits.Ping".into(), line: 5 }));
}

#[test]
fn a_refusal_by_a_wider_bucket_charges_no_narrower_one() {
    let rig = Rig::new(&[("Originate", "2/minute")]);
    let limits = client_limits(&[("Originate", "3/hour", None)]);
    assert_eq!(rig.count(&limits, "bob", "Originate", 5), 2, "bob uses up what is shared");
    for _ in 0..50 {
        assert_eq!(refusal(rig.take(&limits, "alice", "Originate")).0, "limits.actions.Originate");
    }
    rig.clock.advance(Duration::from_secs(60));
    assert_eq!(rig.count(&limits, "alice", "Originate", 2), 2);
    rig.clock.advance(Duration::from_secs(30));
    assert_eq!(rig.count(&limits, "alice", "Originate", 5), 1, "all of her three an hour were left");
}

#[test]
fn a_throttled_client_does_not_drain_what_is_shared() {
    let rig = Rig::new(&[("Originate", "10/minute")]);
    let narrow = client_limits(&[("Originate", "1/hour", None)]);
    assert_eq!(rig.count(&narrow, "alice", "Originate", 1_000), 1);
    assert_eq!(rig.count(&ClientLimits::default(), "bob", "Originate", 20), 9);
}

#[test]
fn the_star_counts_every_packet_refused_ones_too() {
    let rig = Rig::new(&[]);
    let limits = client_limits(&[("*", "10/hour", None), ("Originate", "1/hour", None)]);
    let take = |decision| {
        rig.buckets.take(&limits, &rig.shared, Asking { client: &client("alice"), upstream: "pbx", wall: 0 }, decision)
    };
    for _ in 0..4 {
        assert_eq!(take(denied("Command")), denied("Command"), "a denial stays what it is");
    }
    assert_eq!(rig.count(&limits, "alice", "Originate", 3), 1);
    // 4 were denied, 1 passed, 2 were refused for their rate.
    assert_eq!(rig.count(&limits, "alice", "Ping", 100), 3);
    assert_eq!(refusal(take(allowed("Ping"))).0, "roles.r.limits.*");
    assert_eq!(take(denied("Command")), denied("Command"));
}

#[test]
fn limits_of_several_roles_apply_together() {
    let (slow, burst) = (role("slow", &[("Ping", "60/hour", None)]), role("burst", &[("ping", "10/second", None)]));
    for roles in [[&slow, &burst, &slow], [&burst, &slow, &burst]] {
        let rig = Rig::new(&[]);
        let limits = ClientLimits::compile(&roles).expect("limits");
        let mut passed = 0;
        for _ in 0..10 {
            passed += rig.count(&limits, "alice", "Ping", 100);
            rig.clock.advance(Duration::from_secs(1));
        }
        assert_eq!(passed, 60, "ten at once, and sixty all in all");
    }
}

#[test]
fn the_longest_wait_is_told() {
    let rig = Rig::new(&[]);
    let limits = client_limits(&[("Ping", "1/second", None), ("*", "1/hour", None)]);
    assert_eq!(rig.count(&limits, "alice", "Ping", 1), 1);
    let expected = ("roles.r.limits.*".to_owned(), Duration::from_secs(3_600));
    assert_eq!(refusal(rig.take(&limits, "alice", "Ping")), expected);
}

#[test]
fn threads_get_no_more_than_there_is() {
    let rig = Rig::new(&[("Originate", "100/hour")]);
    let limits = client_limits(&[("Originate", "60/hour", None), ("*", "1000000/hour", None)]);
    let passed: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let name = if n % 2 == 0 { "alice" } else { "bob" };
                let (rig, limits) = (&rig, &limits);
                scope.spawn(move || rig.count(limits, name, "Originate", 500))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(passed.iter().sum::<usize>(), 100);
    let of = |first: usize| passed.iter().skip(first).step_by(2).sum::<usize>();
    assert!(of(0) <= 60 && of(1) <= 60, "{passed:?}");
}

#[test]
fn tokens_survive_a_reload_unless_the_quota_changed() {
    let rig = Rig::new(&[("Originate", "2/hour")]);
    let old = client_limits(&[("Ping", "5/hour", None)]);
    assert_eq!(rig.count(&old, "alice", "Ping", 9), 5);
    assert_eq!(rig.count(&old, "alice", "Originate", 9), 2);
    // Another line of the file is no other limit.
    let mut moved = role("r", &[("Ping", "5/hour", None)]);
    moved.limits[0].action.at.line = 50;
    let moved = ClientLimits::compile(&[&moved]).expect("limits");
    rig.buckets.prune([(&client("alice"), &moved)], &rig.shared);
    assert_eq!(rig.count(&moved, "alice", "Ping", 9), 0);
    assert_eq!(rig.count(&moved, "alice", "Originate", 9), 0);
    let changed = client_limits(&[("Ping", "6/hour", None)]);
    assert_eq!(rig.count(&changed, "alice", "Ping", 9), 6);
    // Sessions that still have the old policy do not get a fresh bucket by alternating with others.
    assert_eq!(rig.count(&old, "alice", "Ping", 9), 0);
    assert_eq!(rig.count(&changed, "alice", "Ping", 9), 0);
}

#[test]
fn what_left_the_policy_is_forgotten() {
    let rig = Rig::new(&[("Originate", "2/hour")]);
    let limits = client_limits(&[("Ping", "5/hour", None), ("*", "9/hour", None)]);
    for name in ["alice", "bob"] {
        rig.count(&limits, name, "Ping", 1);
        rig.count(&limits, name, "Originate", 1);
    }
    let kept = client_limits(&[("*", "9/hour", None)]);
    rig.buckets.prune([(&client("alice"), &kept)], &SharedLimits::default());
    let state = rig.buckets.lock();
    assert_eq!(state.clients.keys().map(ClientName::as_str).collect::<Vec<_>>(), ["alice"]);
    assert_eq!(state.clients[&client("alice")].buckets.len(), 1);
    assert_eq!(state.shared.len(), 0);
}

#[test]
fn refusals_have_a_bucket_of_their_own() {
    let rig = Rig::new(&[]);
    let limits = client_limits(&[("*", "5/second", None)]);
    let alice = client("alice");
    for _ in 0..100 {
        assert_eq!(rig.buckets.charge_refusal(&alice), None);
    }
    assert_eq!(rig.buckets.charge_refusal(&alice), Some(Duration::from_millis(50)));
    assert_eq!(rig.buckets.charge_refusal(&client("bob")), None);
    assert_eq!(rig.count(&limits, "alice", "Ping", 9), 5);
    rig.clock.advance(Duration::from_millis(100));
    assert_eq!([(); 3].map(|()| rig.buckets.charge_refusal(&alice).is_none()), [true, true, false]);
}

#[test]
fn the_largest_quota_does_not_overflow() {
    let rig = Rig::new(&[]);
    let limits = client_limits(&[("Ping", "1/hour", Some("1000000")), ("*", "1000000/second", None)]);
    assert_eq!(rig.count(&limits, "alice", "Ping", 2_000), 2_000);
    rig.clock.advance(Duration::from_secs(10 * 365 * 86_400));
    assert_eq!(rig.count(&limits, "alice", "Ping", 10), 10);
}

#[test]
fn all_problems_are_told_at_once() {
    let bad = role(
        "r",
        &[("Ping", "0/minute", Some("0")), ("A*", "1/hour", None), ("X", "1/hour", None), ("x", "2/hour", None)],
    );
    let problems = ClientLimits::compile(&[&bad, &bad]).expect_err("problems");
    assert_eq!(problems.len(), 8, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.at.line == 5 && problem.help.is_some()));
    assert_eq!(SharedLimits::compile(&[limit("*", "1/hour", None)]).expect_err("one").len(), 1);
}
