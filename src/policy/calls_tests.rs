//! Calls at once: over lost events, restarts of either side, and threads.

use super::quota_tests::{NOON, limits, policy};
use super::tests::{Rig, client, spanned};
use super::*;
use crate::ami::{Action, Message};
use crate::policy::spec::{ClientSpec, LimitSpec, PolicySpec, RoleSpec, RuleSpec, ValueSpec};
use crate::policy::{LiveChannel, Permit, SavedCall};

const PBX: &str = "pbx";

fn concurrent(count: &str) -> LimitSpec {
    LimitSpec { action: spanned("Originate"), concurrent: Some(spanned(count)), ..LimitSpec::default() }
}

fn call(headers: &[(&str, &[u8])]) -> Decision {
    let headers = [&[("Action", &b"Originate"[..])], headers].concat();
    let action = Action::try_from(Message::compose(&headers)).expect("an action");
    Decision::Allow(Permit::new(action, RuleId { path: "roles.r.allow[0]".into(), line: 1 }, Vec::new()))
}

fn channel(unique_id: &str, linked_id: &str) -> LiveChannel {
    LiveChannel { unique_id: unique_id.as_bytes().to_vec(), linked_id: linked_id.as_bytes().to_vec() }
}

impl Rig {
    /// At an upstream whose calls are watched, of which there are none.
    fn tracked() -> Self {
        let rig = Self::at(NOON);
        rig.list(&[]);
        rig
    }

    fn originate(&self, limits: &ClientLimits, headers: &[(&str, &[u8])]) -> Decision {
        let wall = self.wall.load(Ordering::Relaxed);
        self.buckets.take(limits, &self.shared, Asking { client: &client("alice"), upstream: PBX, wall }, call(headers))
    }

    /// The `ChannelId` of a call that is let through.
    fn dial(&self, limits: &ClientLimits) -> Option<String> {
        let Decision::Allow(permit) = self.originate(limits, &[("Channel", b"PJSIP/1")]) else { return None };
        Some(String::from_utf8_lossy(permit.action().get("ChannelId").expect("an id")).into_owned())
    }

    fn is_full(&self, limits: &ClientLimits) -> bool {
        let full = self.dial(limits);
        if let Some(id) = &full {
            self.buckets.call_released(PBX, id.as_bytes());
        }
        full.is_none()
    }

    fn list(&self, channels: &[LiveChannel]) {
        self.buckets.channels_are(PBX, channels, self.buckets.begin_listing());
    }

    fn new_channel(&self, unique_id: &str, linked_id: &str) {
        self.buckets.channel_is_new(PBX, &channel(unique_id, linked_id));
    }
}

fn outcome(decision: Decision) -> String {
    let Decision::Deny(denial) = decision else { return "allowed".to_owned() };
    format!("{}: {}", denial.reason().code(), denial.message())
}

#[test]
fn a_call_counts_until_its_last_channel_has_hung_up() {
    let rig = Rig::tracked();
    let limits = limits(&[concurrent("1")]);
    let id = rig.dial(&limits).expect("there is room");
    let refused = outcome(rig.originate(&limits, &[("Channel", b"PJSIP/1")]));
    assert_eq!(refused, "limits.concurrent: Rate limit exceeded, retry in 5 s");
    // A Local channel's halves, the phone that is called behind it, and another call.
    rig.new_channel(&id, &id);
    rig.new_channel("7.2", &id);
    rig.new_channel("7.3", "7.2");
    rig.new_channel("8.1", "8.1");
    for gone in [id.as_str(), "7.2", "8.1"] {
        assert!(rig.is_full(&limits), "the phone still talks");
        rig.buckets.channel_hung_up(PBX, gone.as_bytes());
    }
    assert!(rig.is_full(&limits));
    rig.buckets.channel_hung_up(PBX, b"7.3");
    assert!(!rig.is_full(&limits));
    assert!(rig.buckets.save(NOON).calls.is_empty());
}

#[test]
fn a_call_that_fails_is_over_at_once() {
    let rig = Rig::tracked();
    let limits = limits(&[concurrent("1")]);
    let id = rig.dial(&limits).expect("there is room");
    rig.buckets.call_sent(PBX, id.as_bytes(), "aw-1");
    rig.buckets.call_failed(PBX, b"aw-2");
    assert!(rig.is_full(&limits));
    rig.buckets.call_failed("other", b"aw-1");
    assert!(rig.is_full(&limits));
    rig.buckets.call_failed(PBX, b"aw-1");
    let id = rig.dial(&limits).expect("there is room again");
    rig.buckets.call_sent(PBX, id.as_bytes(), "aw-3");
    rig.new_channel("7.2", &id);
    rig.buckets.call_failed(PBX, b"aw-3");
    assert!(rig.is_full(&limits), "a channel of it is still there");
    rig.buckets.channel_hung_up(PBX, b"7.2");
    assert!(!rig.is_full(&limits));
}

#[test]
fn a_call_is_judged_anew_as_the_client_sent_it() {
    let rules = || RuleSpec {
        action: spanned("Originate"),
        params: Some(vec![(spanned("Channel"), ValueSpec::AnyOf(vec![spanned("Local/1@x")]))]),
    };
    let role =
        RoleSpec { name: spanned("r"), allow: vec![rules()], limits: vec![concurrent("5")], ..RoleSpec::default() };
    let alice = ClientSpec { name: spanned("alice"), roles: vec![spanned("r")], ..ClientSpec::default() };
    let spec = PolicySpec { roles: vec![role], clients: vec![alice], ..PolicySpec::default() };
    let policy = Policy::compile(spec).expect("a policy").0;
    let rig = Rig::tracked();
    let asking = Asking { client: &client("alice"), upstream: PBX, wall: NOON };
    let headers = [("Action", &b"Originate"[..]), ("Channel", b"Local/1@x")];
    let action = Action::try_from(Message::compose(&headers)).expect("an action");
    let decision = policy.decide(&client("alice"), action, "1.1");
    let decision = rig.buckets.take(policy.limits(&client("alice")), policy.shared_limits(), asking, decision);
    let Decision::Allow(permit) = decision else { panic!("no room") };
    let expected = permit.action().message().clone();
    assert!(permit.action().get("ChannelId").is_some() && permit.action().get("OtherChannelId").is_some());
    let Decision::Allow(anew) = policy.decide_anew(&client("alice"), permit.clone(), "1.1") else { panic!("denied") };
    assert_eq!(anew.action().message(), &expected);
    assert!(matches!(policy.decide_anew(&client("alice"), anew, "1.1"), Decision::Allow(_)));
    assert!(matches!(Policy::default().decide_anew(&client("alice"), permit, "1.1"), Decision::Deny(_)));
}

#[test]
fn while_nobody_watches_no_call_is_let_through() {
    let rig = Rig::at(NOON);
    let limits = limits(&[concurrent("5")]);
    let lost = "upstream.lost: Asterisk is not reachable";
    assert_eq!(outcome(rig.originate(&limits, &[])), lost, "nobody has listed the channels yet");
    rig.list(&[]);
    assert!(rig.dial(&limits).is_some());
    rig.buckets.lost_track(PBX);
    assert_eq!(outcome(rig.originate(&limits, &[])), lost);
    assert_eq!(rig.count(&limits, "alice", "Ping", 3), 3, "what makes no calls is not held up");
    rig.list(&[]);
    assert!(rig.dial(&limits).is_some());
}

#[test]
fn a_list_finds_a_hangup_that_nobody_saw_and_a_call_that_never_was() {
    let rig = Rig::tracked();
    let limits = limits(&[concurrent("1")]);
    let seen = rig.dial(&limits).expect("there is room");
    rig.new_channel(&seen, &seen);
    rig.pass(10);
    rig.list(&[channel("x", "x"), channel("y", &seen)]);
    assert!(rig.is_full(&limits), "a channel that came of it was not seen to begin, but is there");
    rig.pass(10);
    rig.list(&[channel("x", "x")]);
    let never = rig.dial(&limits).expect("the call is over");
    for _ in 0..9 {
        rig.list(&[]);
        assert!(rig.is_full(&limits), "it may be on its way");
        rig.pass(10);
    }
    rig.list(&[]);
    assert!(rig.is_full(&limits));
    rig.pass(1);
    rig.list(&[]);
    let id = rig.dial(&limits).expect("it never came to be");
    assert_ne!(id, never);
    // A channel that begins while the list is written is not on it.
    let asked = rig.buckets.begin_listing();
    rig.pass(1);
    rig.new_channel(&id, &id);
    rig.buckets.channels_are(PBX, &[], asked);
    assert!(rig.is_full(&limits));
}

#[test]
fn a_call_has_an_id_of_asterisks_own_shape() {
    let rig = Rig::tracked();
    let limits = limits(&[concurrent("9")]);
    let ids = |headers: &[(&str, &[u8])]| {
        let Decision::Allow(permit) = rig.originate(&limits, headers) else { panic!("no room") };
        let action = permit.action();
        let text = |name| action.get(name).map(|id| String::from_utf8_lossy(id).into_owned());
        let names: Vec<&str> =
            action.message().headers().map(|header| header.name()).filter(|n| n.ends_with("Id")).collect();
        (text("ChannelId"), text("OtherChannelId"), names.len())
    };
    let (Some(id), None, 1) = ids(&[("Channel", b"PJSIP/1"), ("ChannelId", b"")]) else { panic!("one id") };
    let (seconds, number) = id.split_once('.').expect("two numbers");
    assert_eq!((seconds, number.len(), id.len()), (NOON.to_string().as_str(), 9, 20));
    number.parse::<u32>().expect("a number");
    let (Some(one), Some(other), 2) = ids(&[("Channel", b"local/1@x")]) else { panic!("two ids") };
    assert!(one != id && other != one && other.starts_with(seconds));
    let given = ids(&[("Channel", b"Local/1@x"), ("ChannelId", b"mine"), ("OtherChannelId", b"theirs")]);
    assert_eq!(given, (Some("mine".to_owned()), Some("theirs".to_owned()), 2));
    let again = outcome(rig.originate(&limits, &[("Channel", b"PJSIP/1"), ("ChannelId", b"mine")]));
    assert!(again.starts_with("limits.concurrent"), "one id is one call");
    let unbound = rig.originate(&ClientLimits::default(), &[("Channel", b"Local/1@x")]);
    assert!(matches!(unbound, Decision::Allow(permit) if permit.action().get("ChannelId").is_none()));
}

#[test]
fn threads_make_no_more_calls_than_there_may_be() {
    let rig = Rig::tracked();
    let limits = limits(&[concurrent("10")]);
    let made: usize = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..100).filter(|_| rig.dial(&limits).is_some()).count())).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(made, 10);
}

#[test]
fn calls_are_counted_over_a_restart_of_amiwall() {
    let policy = policy(&[concurrent("2")], &[]);
    let limits = policy.limits(&client("alice"));
    let rig = Rig::tracked();
    let first = rig.dial(limits).expect("there is room");
    rig.new_channel(&first, &first);
    rig.pass(3_600);
    let saved = rig.buckets.save(NOON + 3_600);
    let expected =
        SavedCall { identity: "alice".to_owned(), upstream: PBX.to_owned(), channel: first.clone(), age: 3_600 };
    assert_eq!(saved.calls, [expected]);
    let since = [Past {
        wall: NOON + 3_601,
        identity: "alice".to_owned(),
        event: PastEvent::Allowed {
            action: "originate".to_owned(),
            destination: None,
            call: Some((PBX.to_owned(), "second".to_owned())),
        },
    }];
    let after = |channels: &[LiveChannel]| {
        let rig = Rig::at(NOON + 3_602);
        rig.buckets.restore(&saved, &since, &policy, NOON + 3_602);
        assert!(rig.dial(limits).is_none(), "nobody watches yet");
        rig.list(channels);
        let room = (0..3).filter(|_| rig.dial(limits).is_some()).count();
        (room, rig)
    };
    let (room, rig) = after(&[channel(&first, &first)]);
    assert_eq!(room, 0, "the old call is there, the new one may be on its way");
    rig.pass(120);
    rig.list(&[channel(&first, &first)]);
    assert!(rig.dial(limits).is_some(), "it never came to be");
    assert_eq!(after(&[]).0, 1, "the old call is over");
    assert_eq!(after(&[channel("x", &first), channel("second", "second")]).0, 0);
}

#[test]
fn calls_at_an_upstream_that_is_gone_are_forgotten() {
    let rig = Rig::tracked();
    let limits = limits(&[concurrent("1")]);
    rig.dial(&limits).expect("there is room");
    rig.buckets.retain_upstreams(|name| name == PBX);
    assert!(rig.is_full(&limits));
    rig.buckets.retain_upstreams(|name| name != PBX);
    assert!(rig.dial(&limits).is_none(), "nobody watches it any more");
    rig.list(&[]);
    assert!(!rig.is_full(&limits));
}
