use super::*;
use crate::policy::spec::Position;

fn spanned(text: &str) -> Spanned {
    Spanned { text: text.to_owned(), at: Position { line: 1, column: 1 } }
}

fn scope(headers: &[(&str, &[&str])]) -> Result<Scope, Vec<Problem>> {
    let spec: Vec<_> =
        headers.iter().map(|(name, texts)| (spanned(name), texts.iter().map(|text| spanned(text)).collect())).collect();
    let mut problems = Vec::new();
    let attributes = |name: &str| (name == "tenant").then_some("t1");
    let scope = Scope::compile(&spec, &attributes, &mut problems);
    if problems.is_empty() { Ok(scope.expect("a scope")) } else { Err(problems) }
}

fn message(headers: &[(&str, &str)]) -> Message {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    Message::compose(&headers)
}

#[test]
fn one_header_that_matches_is_enough_whichever_leg_it_is_of() {
    let scopes = [scope(&[("Channel", &["PJSIP/{tenant}-*"]), ("Queue", &["t1", "t1-vip"])]).expect("a scope")];
    let holds = |headers: &[(&str, &str)]| holds(&scopes, &message(headers), true, &mut Followed::default());
    assert!(holds(&[("Event", "X"), ("Channel", "PJSIP/t1-100-01"), ("Context", "other")]));
    assert!(holds(&[("Event", "X"), ("destchannel", "PJSIP/t1-100-01")]));
    assert!(holds(&[("Event", "X"), ("Queue", "t1-vip")]));
    for other in [("Channel", "PJSIP/t2-1"), ("Queue", "t1-x"), ("Queues", "t1"), ("Channel", ""), ("X", "PJSIP/t1-1")]
    {
        assert!(!holds(&[("Event", "X"), other]), "{other:?}");
    }
    assert!(holds(&[("Event", "FullyBooted")]));
    assert!(!holds(&[("Event", "Shutdown")]));
}

#[test]
fn scopes_of_several_roles_hold_together() {
    let scopes =
        [scope(&[("Queue", &["a", "b"])]).expect("a scope"), scope(&[("Queue", &["b", "c"])]).expect("a scope")];
    let holds = |queue| holds(&scopes, &message(&[("Event", "X"), ("Queue", queue)]), true, &mut Followed::default());
    assert_eq!(["a", "b", "c"].map(holds), [false, true, false]);
}

/// What one client of tenant 1 sees, who knows of all classes.
struct Watcher {
    scopes: [Scope; 1],
    followed: Followed,
}

impl Watcher {
    fn new() -> Self {
        let scopes = [scope(&[("Context", &["t1-*"]), ("Queue", &["t1"])]).expect("a scope")];
        Self { scopes, followed: Followed::default() }
    }

    fn sees(&mut self, headers: &[(&str, &str)]) -> bool {
        holds(&self.scopes, &message(headers), true, &mut self.followed)
    }

    /// An event about one channel.
    fn sees_channel(&mut self, event: &str, context: &str, (unique, linked): (&str, &str)) -> bool {
        self.sees(&[("Event", event), ("Context", context), ("Uniqueid", unique), ("Linkedid", linked)])
    }
}

#[test]
fn what_a_client_writes_subscribes_it_to_nothing() {
    let mut watcher = Watcher::new();
    assert!(!watcher.sees_channel("Newchannel", "t2-in", ("7.7", "7.7")));
    for forged in [
        &[("Event", "UserEvent"), ("UserEvent", "x"), ("Context", "t1-a"), ("Uniqueid", "7.7"), ("Linkedid", "7.7")][..],
        &[("Event", "UserEvent"), ("Privilege", "user,all"), ("userevent", ""), ("DestContext", "t1-a")],
        &[("Event", "userevent"), ("UserEvent", "x"), ("Queue", "t1"), ("XUniqueid", "7.7"), ("XLinkedid", "7.7")],
        // A line end in a value makes a header.
        &[("Event", "Newexten"), ("Context", "t2-in"), ("Uniqueid", "7.8"), ("Linkedid", "7.7"), ("Context", "t1-a")],
    ] {
        assert!(!watcher.sees(forged), "{forged:?}");
        assert!(!watcher.sees_channel("Newstate", "t2-in", ("7.7", "7.7")), "{forged:?}");
    }
    // Nor does what it cannot see for certain to be of Asterisk's own, though it is shown itself.
    let linked = [("Context", "t1-a"), ("Uniqueid", "7.7"), ("Linkedid", "7.7")];
    assert!(watcher.sees(&[&[("Event", "OfSomeModule")], &linked[..]].concat()));
    let of_two =
        [("Event", "VarSet"), ("Context", "t1-a"), ("Uniqueid", "1.1"), ("Linkedid", "1.1"), ("Linkedid", "7.7")];
    assert!(watcher.sees(&of_two));
    assert!(!watcher.sees_channel("Newstate", "t2-in", ("7.7", "7.7")));
}

#[test]
fn a_user_event_of_the_dialplan_is_of_its_channel() {
    let mut watcher = Watcher::new();
    let user_event = |context, id| {
        [("Event", "UserEvent"), ("Context", context), ("Uniqueid", id), ("Linkedid", id), ("UserEvent", "x")]
    };
    assert!(watcher.sees(&user_event("t1-in", "1.1")));
    assert!(watcher.sees_channel("Newstate", "else", ("1.1", "1.1")));
    assert!(!watcher.sees(&[&user_event("t2-in", "2.1")[..], &[("Linkedid", "1.1"), ("Context", "t1-in")]].concat()));
}

#[test]
fn only_what_may_be_seen_is_followed() {
    let mut watcher = Watcher::new();
    let queued = [("Event", "QueueCallerJoin"), ("Queue", "t1"), ("Uniqueid", "1.1"), ("Linkedid", "1.1")];
    assert!(holds(&watcher.scopes, &message(&queued), false, &mut watcher.followed));
    assert!(!watcher.sees_channel("Newstate", "trunk", ("1.1", "1.1")));
    assert!(watcher.sees(&queued));
    assert!(watcher.sees_channel("Newstate", "trunk", ("1.1", "1.1")));
}

#[test]
fn the_id_of_a_call_that_is_over_means_nothing() {
    let mut watcher = Watcher::new();
    let own = ("1.1", "1.1");
    assert!(watcher.sees_channel("Newchannel", "t1-out", own));
    assert!(watcher.sees_channel("Hangup", "t1-out", own));
    // What is told later brings it not back, either.
    assert!(watcher.sees_channel("CEL", "t1-out", own));
    assert!(watcher.sees_channel("RTCPSent", "t1-out", own));
    assert!(!watcher.sees_channel("Newchannel", "t2-out", own), "somebody else's, by the same id");
    assert!(!watcher.sees_channel("Newstate", "t2-out", own));
    assert!(!watcher.sees_channel("Newchannel", "t2-out", ("2.2", "1.1")));
}

#[test]
fn a_call_that_is_transferred_goes_on() {
    let mut watcher = Watcher::new();
    assert!(watcher.sees_channel("Newchannel", "t1-out", ("1.1", "1.1")));
    assert!(watcher.sees_channel("Newchannel", "trunk", ("1.2", "1.1")));
    assert!(watcher.sees_channel("Hangup", "t1-out", ("1.1", "1.1")), "who has transferred it is gone");
    assert!(watcher.sees_channel("Newchannel", "else", ("1.3", "1.1")));
    assert!(watcher.sees_channel("Hangup", "trunk", ("1.2", "1.1")));
    // An older call that it becomes one with.
    assert!(!watcher.sees_channel("Newchannel", "trunk", ("0.1", "0.1")));
    assert!(watcher.sees_channel("BridgeEnter", "else", ("1.3", "0.1")));
    assert!(watcher.sees_channel("Hangup", "else", ("1.3", "0.1")));
    assert!(watcher.sees_channel("Hangup", "trunk", ("0.1", "0.1")));
    assert!(!watcher.sees_channel("Newchannel", "trunk", ("0.1", "0.1")));
}

#[test]
fn items_of_lists_are_of_channels_too() {
    let mut watcher = Watcher::new();
    assert!(!watcher.sees_channel("CoreShowChannel", "trunk", ("1.2", "1.1")));
    assert!(watcher.sees_channel("CoreShowChannel", "t1-out", ("1.1", "1.1")));
    assert!(watcher.sees_channel("Status", "trunk", ("1.2", "1.1")));
    let dial = [("Event", "DialBegin"), ("DestContext", "t1-in"), ("DestUniqueid", "3.2"), ("DestLinkedid", "3.1")];
    assert!(watcher.sees(&dial));
    assert!(watcher.sees_channel("Newstate", "trunk", ("3.2", "3.1")));
    let variables = [("Event", "Newstate"), ("ChanVariable", "a=b"), ("ChanVariable", "tenant=1")];
    let scopes = [scope(&[("ChanVariable", &["tenant=1"])]).expect("a scope")];
    assert!(holds(&scopes, &message(&variables), true, &mut Followed::default()));
}

#[test]
fn what_is_wrong_is_told_at_once() {
    let problems =
        scope(&[("Bad Name", &["x"]), ("Queue", &[]), ("Context", &["{nobody}", "["])]).expect_err("problems");
    assert_eq!(problems.len(), 3, "{problems:?}");
}
