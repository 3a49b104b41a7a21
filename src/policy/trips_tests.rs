//! Destinations and suspensions: over threads, reloads and restarts.

use super::quota_tests::{NOON, limits, per_day, policy};
use super::tests::{Rig, client, spanned};
use super::*;
use crate::ami::{Action, Message};
use crate::policy::Permit;
use crate::policy::spec::{ClientSpec, LimitSpec, PolicySpec, Position, RoleSpec, TripSpec};

fn destinations(window: &str) -> LimitSpec {
    LimitSpec { action: spanned("Originate"), distinct_destinations: Some(spanned(window)), ..LimitSpec::default() }
}

fn call(channel: &str, exten: &str) -> Decision {
    let headers = [("Action", &b"Originate"[..]), ("Channel", channel.as_bytes()), ("Exten", exten.as_bytes())];
    let action = Action::try_from(Message::compose(&headers)).expect("an action");
    Decision::Allow(Permit::new(action, RuleId { path: "roles.r.allow[0]".into(), line: 1 }, Vec::new()))
}

impl Rig {
    fn call(&self, limits: &ClientLimits, name: &str, exten: &str) -> Decision {
        let asking = Asking { client: &client(name), upstream: "pbx", wall: self.wall.load(Ordering::Relaxed) };
        self.buckets.take(limits, &self.shared, asking, call("PJSIP/1001", exten))
    }

    fn may_call(&self, limits: &ClientLimits, exten: &str) -> bool {
        matches!(self.call(limits, "alice", exten), Decision::Allow(_))
    }
}

fn code(decision: &Decision) -> String {
    let Decision::Deny(denial) = decision else { return "allowed".to_owned() };
    denial.reason().code()
}

#[test]
fn any_hour_has_so_many_destinations() {
    let rig = Rig::at(NOON);
    let limits = limits(&[destinations("3/hour")]);
    for exten in ["1", "2", "1", "3", "2", "3"] {
        assert!(rig.may_call(&limits, exten), "{exten}: one that was called already is no other");
        rig.pass(60);
    }
    let Decision::Deny(denial) = rig.call(&limits, "alice", "4") else { panic!("allowed") };
    assert_eq!(denial.reason().code(), "limits.distinct_destinations");
    assert_eq!(
        denial.message(),
        "Rate limit exceeded, retry in 3360 s",
        "when 1, last called 4 minutes ago, is forgotten"
    );
    assert!(rig.may_call(&limits, "1"));
    rig.pass(3_479);
    assert!(!rig.may_call(&limits, "4"));
    rig.pass(1);
    assert!(rig.may_call(&limits, "4"), "2 is forgotten");
    assert!(!rig.may_call(&limits, "5"));
}

#[test]
fn a_call_counts_by_both_its_ends() {
    let rig = Rig::at(NOON);
    let limits = limits(&[destinations("2/hour")]);
    let take = |channel: &str, exten: &str| {
        let asking = Asking { client: &client("alice"), upstream: "pbx", wall: NOON };
        matches!(rig.buckets.take(&limits, &rig.shared, asking, call(channel, exten)), Decision::Allow(_))
    };
    assert!(take("PJSIP/1@trunk", "100") && take("PJSIP/2@trunk", "100"));
    assert!(!take("PJSIP/3@trunk", "100"), "the channel is dialled too");
    assert!(!take("PJSIP/1@trunk", "101"));
}

#[test]
fn threads_call_no_more_destinations_than_there_may_be() {
    let rig = Rig::at(NOON);
    let limits = limits(&[destinations("50/hour")]);
    let passed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let (rig, limits) = (&rig, &limits);
                scope.spawn(move || (0..40).filter(|m| rig.may_call(limits, &format!("{n}{m:02}"))).count())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(passed, 50);
}

#[test]
fn destinations_are_counted_over_a_restart() {
    let policy = policy(&[destinations("4/hour")], &[]);
    let limits = policy.limits(&client("alice"));
    let rig = Rig::at(NOON);
    assert!(rig.may_call(limits, "1") && rig.may_call(limits, "2"));
    rig.pass(1_800);
    let saved = rig.buckets.save(NOON + 1_800);
    let past = |wall, exten: &str| Past {
        wall,
        identity: "alice".to_owned(),
        event: PastEvent::Allowed {
            action: "originate".to_owned(),
            destination: Some(destination(|name| match name {
                "Channel" => Some(b"PJSIP/1001"),
                "Exten" => Some(exten.as_bytes()),
                _ => None,
            })),
            call: None,
        },
    };
    let since = [past(NOON + 1_800, "3"), past(NOON + 1_810, "3")];
    let after = |wall| {
        let rig = Rig::at(wall);
        rig.buckets.restore(&saved, &since, &policy, wall);
        (1..=9).filter(|exten| rig.may_call(limits, &format!("{exten}"))).count()
    };
    // 3 is known from its record; 1 and 2 are counted, but nobody knows which they were.
    assert_eq!(after(NOON + 1_820), 2, "one more, and 3 again");
    assert_eq!(after(NOON), 2, "a clock that was set back makes nothing younger than now");
    assert_eq!(after(NOON + 3_600), 4, "1 and 2 are an hour old: three more, and 3 again");
    assert_eq!(after(NOON + 9_000), 4);
}

fn tripping(lasts: Option<u64>) -> ClientLimits {
    let lasts = lasts.map(|seconds| (Position::default(), Duration::from_secs(seconds)));
    let trip = TripSpec {
        at: Position { line: 9, column: 5 },
        exceeded: Some(spanned("3/hour")),
        lasts,
        ..TripSpec::default()
    };
    let limits = vec![
        per_day("Originate", "2"),
        LimitSpec { action: spanned("*"), rate: Some(spanned("1000/hour")), ..LimitSpec::default() },
    ];
    let role = RoleSpec { name: spanned("r"), limits, trip: Some(trip), ..RoleSpec::default() };
    ClientLimits::compile(&[&role]).expect("limits")
}

#[test]
fn who_runs_into_his_limits_again_and_again_is_suspended() {
    let rig = Rig::at(NOON);
    let limits = tripping(Some(7_200));
    let codes: Vec<String> = (0..7).map(|_| code(&rig.take(&limits, "alice", "Originate"))).collect();
    let (allowed, over, tripped) = ("allowed", "limits.per_day", "limits.tripped");
    assert_eq!(codes, [allowed, allowed, over, over, over, tripped, tripped]);
    let expected = Tripped { limit: "roles.r.trip".to_owned(), count: 3, seconds: Some(7_200), first_call: None };
    assert_eq!(rig.buckets.take_tripped(&client("bob")), []);
    assert_eq!(rig.buckets.take_tripped(&client("alice")), [expected]);
    assert_eq!(rig.buckets.take_tripped(&client("alice")), []);
    assert_eq!(code(&rig.take(&limits, "alice", "Ping")), "limits.tripped", "nothing is let through");
    assert_eq!(code(&rig.take(&limits, "alice", "Logoff")), "allowed", "but going");
    assert_eq!(code(&rig.take(&limits, "bob", "Ping")), "allowed");
    let without = ClientLimits::default();
    assert_eq!(code(&rig.take(&without, "alice", "Ping")), "limits.tripped", "a reload does not resume anybody");
    rig.set_wall(NOON + 86_400);
    assert_eq!(code(&rig.take(&limits, "alice", "Ping")), "limits.tripped", "nor does setting the clock");
    rig.set_wall(NOON);
    rig.pass(7_199);
    let Decision::Deny(denial) = rig.take(&limits, "alice", "Ping") else { panic!("allowed") };
    assert_eq!(denial.message(), "Rate limit exceeded, retry in 1 s");
    rig.pass(1);
    assert_eq!(code(&rig.take(&limits, "alice", "Ping")), "allowed");
}

#[test]
fn refusals_that_are_far_apart_suspend_nobody() {
    let rig = Rig::at(NOON);
    let limits = tripping(None);
    assert_eq!(rig.count(&limits, "alice", "Originate", 2), 2);
    for _ in 0..20 {
        assert_eq!(code(&rig.take(&limits, "alice", "Originate")), "limits.per_day");
        rig.pass(1_800);
    }
    // What is refused for another reason is no reason either.
    assert_eq!(rig.count(&limits, "bob", "Ping", 1_010), 1_000);
    assert_eq!(rig.buckets.take_tripped(&client("bob")), []);
}

#[test]
fn a_suspension_without_a_time_ends_when_somebody_says_so() {
    let rig = Rig::at(NOON);
    let limits = tripping(None);
    assert_eq!(rig.count(&limits, "alice", "Originate", 5), 2);
    rig.pass(400 * 86_400);
    let Decision::Deny(denial) = rig.take(&limits, "alice", "Ping") else { panic!("allowed") };
    assert_eq!((denial.reason().code().as_str(), denial.message()), ("limits.tripped", "Permission denied"));
    assert!(!rig.buckets.resume(&client("bob")));
    assert!(rig.buckets.resume(&client("alice")));
    assert_eq!(code(&rig.take(&limits, "alice", "Ping")), "allowed");
    assert!(!rig.buckets.resume(&client("alice")));
}

#[test]
fn a_suspension_survives_a_restart() {
    let limits = tripping(Some(7_200));
    let policy = Policy::default();
    let rig = Rig::at(NOON);
    assert_eq!(rig.count(&limits, "alice", "Originate", 5), 2);
    rig.pass(600);
    let saved = rig.buckets.save(NOON + 600);
    let json = serde_json::to_string(&saved).expect("JSON");
    assert_eq!(serde_json::from_str::<QuotaState>(&json).expect("what was written"), saved);
    let after = |saved: &QuotaState, since: &[Past], wall| {
        let rig = Rig::at(wall);
        rig.buckets.restore(saved, since, &policy, wall);
        code(&rig.take(&limits, "alice", "Ping"))
    };
    assert_eq!(after(&saved, &[], NOON + 7_000), "limits.tripped");
    assert_eq!(after(&saved, &[], NOON - 90_000), "limits.tripped");
    assert_eq!(after(&saved, &[], NOON + 7_300), "allowed");
    let past = |event| Past { wall: NOON, identity: "alice".to_owned(), event };
    let tripped = past(PastEvent::Tripped {
        suspended: Suspended { limit: "roles.r.trip".to_owned(), seconds: None },
        first_call: None,
    });
    let resumed = past(PastEvent::Resumed);
    assert_eq!(after(&QuotaState::default(), std::slice::from_ref(&tripped), NOON + 9_000_000), "limits.tripped");
    assert_eq!(after(&QuotaState::default(), &[tripped.clone(), resumed.clone()], NOON), "allowed");
    assert_eq!(after(&saved, &[resumed.clone(), tripped], NOON), "limits.tripped");
    assert_eq!(after(&saved, &[resumed], NOON), "allowed");
}

#[test]
fn the_first_call_to_a_class_of_numbers_waits_for_somebody_to_look() {
    let trip = TripSpec { first_call: vec![spanned("00"), spanned("+")], ..TripSpec::default() };
    let role = RoleSpec { name: spanned("r"), trip: Some(trip), ..RoleSpec::default() };
    let limits = ClientLimits::compile(&[&role]).expect("limits");
    let rig = Rig::at(NOON);
    assert!(rig.may_call(&limits, "100"));
    assert_eq!(code(&rig.call(&limits, "alice", "0049123")), "limits.tripped");
    assert_eq!(code(&rig.call(&limits, "alice", "100")), "limits.tripped");
    let tripped =
        Tripped { limit: "roles.r.trip".to_owned(), count: 1, seconds: None, first_call: Some("00".to_owned()) };
    assert_eq!(rig.buckets.take_tripped(&client("alice")), [tripped]);
    assert!(rig.buckets.resume(&client("alice")));
    assert!(rig.may_call(&limits, "0049123") && rig.may_call(&limits, "0033123"), "that class is known now");
    assert!(rig.may_call(&limits, "100"));
    let saved = rig.buckets.save(NOON);
    let after = Rig::at(NOON);
    after.buckets.restore(&saved, &[], &Policy::default(), NOON);
    assert!(after.may_call(&limits, "0049123"), "after a restart too");
    assert_eq!(code(&after.call(&limits, "alice", "+49123")), "limits.tripped", "another class is not");
    assert_eq!(code(&after.call(&limits, "bob", "0049123")), "limits.tripped", "nor is it known of anybody else");
    let past = Past {
        wall: NOON,
        identity: "alice".to_owned(),
        event: PastEvent::Tripped {
            suspended: Suspended { limit: "roles.r.trip".to_owned(), seconds: None },
            first_call: Some("00".to_owned()),
        },
    };
    let after = Rig::at(NOON);
    after.buckets.restore(&QuotaState::default(), &[past], &Policy::default(), NOON);
    assert_eq!(code(&after.call(&limits, "alice", "0049123")), "limits.tripped");
    assert!(after.buckets.resume(&client("alice")) && after.may_call(&limits, "0049123"));
}

#[test]
fn a_call_that_is_sent_on_is_a_first_call_too() {
    let trip = TripSpec { first_call: vec![spanned("00")], ..TripSpec::default() };
    let role = RoleSpec { name: spanned("r"), trip: Some(trip), ..RoleSpec::default() };
    let limits = ClientLimits::compile(&[&role]).expect("limits");
    let rig = Rig::at(NOON);
    let redirect = |rig: &Rig, exten: &str| {
        let headers = [("Action", &b"Redirect"[..]), ("Channel", b"PJSIP/1-1"), ("Exten", exten.as_bytes())];
        let action = Action::try_from(Message::compose(&headers)).expect("an action");
        let permit = Permit::new(action, RuleId { path: "roles.r.allow[0]".into(), line: 1 }, Vec::new());
        let asking = Asking { client: &client("alice"), upstream: "pbx", wall: NOON };
        code(&rig.buckets.take(&limits, &rig.shared, asking, Decision::Allow(permit)))
    };
    assert_eq!(redirect(&rig, "100"), "allowed");
    assert_eq!(redirect(&rig, "0049"), "limits.tripped");
    assert_eq!(rig.buckets.take_tripped(&client("alice"))[0].first_call.as_deref(), Some("00"));
    let saved = rig.buckets.save(NOON);
    let after = Rig::at(NOON);
    after.buckets.restore(&saved, &[], &Policy::default(), NOON);
    assert_eq!(redirect(&after, "100"), "limits.tripped");
    assert!(after.buckets.resume(&client("alice")));
    assert_eq!(redirect(&after, "0049"), "allowed");
}

#[test]
fn what_is_no_trip_is_refused_with_what_is_wrong() {
    let problems = |trip: TripSpec| {
        let role = RoleSpec { name: spanned("r"), trip: Some(trip), ..RoleSpec::default() };
        let problems = ClientLimits::compile(&[&role]).expect_err("a problem");
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    assert_eq!(problems(TripSpec::default()), ["`trip` needs `exceeded`, `first_call` or both"]);
    let many = TripSpec {
        exceeded: Some(spanned("20000/hour")),
        first_call: vec![spanned("00"), spanned("0x"), spanned("")],
        lasts: Some((Position::default(), Duration::from_millis(1))),
        ..TripSpec::default()
    };
    assert_eq!(
        problems(many),
        [
            "`20000` is too many to remember: 10000 is the most",
            "this is no time for a suspension",
            "`0x` is not how a number begins",
            "`` is not how a number begins"
        ]
    );
}

#[test]
fn what_others_have_used_up_suspends_nobody() {
    let trip = TripSpec { exceeded: Some(spanned("2/hour")), ..TripSpec::default() };
    let own = LimitSpec { action: spanned("Originate"), rate: Some(spanned("1000/second")), ..LimitSpec::default() };
    let role = RoleSpec { name: spanned("r"), trip: Some(trip), limits: vec![own], ..RoleSpec::default() };
    let bob = ClientLimits::compile(&[&role]).expect("limits");
    let rig = Rig::new(&[("Originate", "3/hour")]);
    assert_eq!(rig.count(&ClientLimits::default(), "alice", "Originate", 10), 3);
    for _ in 0..5 {
        assert_eq!(code(&rig.take(&bob, "bob", "Originate")), "limits.rate");
    }
    assert_eq!(code(&rig.take(&bob, "bob", "Ping")), "allowed");
}

#[test]
fn refusals_are_counted_over_a_restart() {
    let trip = TripSpec { exceeded: Some(spanned("3/hour")), ..TripSpec::default() };
    let role = RoleSpec {
        name: spanned("r"),
        trip: Some(trip),
        limits: vec![per_day("Originate", "1")],
        ..RoleSpec::default()
    };
    let alice = ClientSpec { name: spanned("alice"), roles: vec![spanned("r")], ..ClientSpec::default() };
    let spec = PolicySpec { roles: vec![role], clients: vec![alice], ..PolicySpec::default() };
    let policy = Policy::compile(spec).expect("a policy").0;
    let limits = policy.limits(&client("alice"));
    let rig = Rig::at(NOON);
    assert_eq!(rig.count(limits, "alice", "Originate", 2), 1, "one refusal");
    let saved = rig.buckets.save(NOON);
    let refused_for = |action: &str, limit: &str| Past {
        wall: NOON + 1,
        identity: "alice".to_owned(),
        event: PastEvent::Refused { action: action.to_owned(), limit: limit.to_owned() },
    };
    let refused = |action: &str| refused_for(action, "roles.r.limits.Originate.per_day");
    let after = |since: &[Past], wall| {
        let rig = Rig::at(wall);
        rig.buckets.restore(&saved, since, &policy, wall);
        assert_eq!(code(&rig.take(limits, "alice", "Originate")), "limits.per_day");
        code(&rig.take(limits, "alice", "Ping"))
    };
    assert_eq!(after(&[refused("originate")], NOON + 2), "limits.tripped", "one before, one since, one now");
    assert_eq!(after(&[refused("ping")], NOON + 2), "allowed");
    assert_eq!(after(&[refused_for("originate", "limits.actions.Originate")], NOON + 2), "allowed", "not its own");
    assert_eq!(after(&[refused("originate")], NOON + 3_600), "allowed", "the first is an hour ago");
    let rig = Rig::at(NOON);
    rig.buckets.restore(&saved, &[refused("originate"), refused("originate")], &policy, NOON + 2);
    assert_eq!(code(&rig.take(limits, "alice", "Ping")), "limits.tripped");
}
