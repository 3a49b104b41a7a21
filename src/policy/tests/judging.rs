//! Which rule decides: allow and deny, complete lists, unknown headers, what needs no rule.

use super::super::{Decision, Policy, Reason};
use super::{Role, act, alice, check, client, decide, is_by_deny, spec};
use crate::identity::ClientName;

fn dialer() -> Policy {
    alice(Role::new("dial").allow(
        "Originate",
        &[
            ("Channel", "PJSIP/{extension}"),
            ("Context", "click-to-dial"),
            ("Exten", "_NXXNXXXXXX|_1NXXNXXXXXX"),
            ("Priority", "1"),
            ("Timeout?", "integer"),
            ("Async?", "boolean"),
        ],
    ))
}

const CALL: [(&str, &str); 4] =
    [("Channel", "PJSIP/1001"), ("Context", "click-to-dial"), ("Exten", "2125551212"), ("Priority", "1")];

fn call_with(changed: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut call: Vec<_> = CALL.into_iter().filter(|(name, _)| *name != changed).collect();
    call.push((changed, value));
    call
}

#[test]
fn what_no_rule_names_is_not_allowed() {
    check(&alice(Role::new("none")), "Ping", &[], "actions.unlisted");
    check(&dialer(), "Ping", &[], "actions.unlisted");
    check(&dialer(), "Nonsense", &[], "actions.unlisted");
    let nobody = ClientName::for_explain("nobody");
    for action in ["Originate", "Logoff"] {
        let Decision::Deny(denial) = dialer().decide(&nobody, act(action, &CALL), "1") else { panic!("allowed") };
        assert_eq!(denial.reason(), &Reason::ActionsUnlisted);
    }
}

#[test]
fn a_bare_allow_takes_any_parameters() {
    let policy = alice(Role::new("r").allow_bare("ping").allow_bare("QueueStatus"));
    check(&policy, "Ping", &[], "allow");
    check(&policy, "QUEUESTATUS", &[("Queue", "x"), ("Member", "any thing, at all")], "allow");
}

#[test]
fn a_list_of_parameters_is_complete() {
    let policy = dialer();
    check(&policy, "Originate", &CALL, "allow");
    check(&policy, "oRiGiNaTe", &call_with("tImEoUt", "30000"), "allow");
    check(&policy, "Originate", &call_with("Application", "System"), "params.Application");
    check(&policy, "Originate", &call_with("Channel", "PJSIP/1002"), "params.Channel");
    check(&policy, "Originate", &call_with("Channel", ""), "params.Channel");
    check(&policy, "Originate", &CALL[1..], "params.Channel");
    check(&policy, "Originate", &call_with("Async", "maybe"), "params.Async");
    check(&policy, "Originate", &call_with("Application", ""), "allow");
    check(&alice(Role::new("r").allow("Ping", &[])), "Ping", &[], "allow");
}

#[test]
fn two_rules_never_add_up() {
    let policy = alice(
        Role::new("r")
            .allow("QueueAdd", &[("Queue", "a"), ("Interface", "SIP/1")])
            .allow("QueueAdd", &[("Queue", "b"), ("Interface", "SIP/2")]),
    );
    check(&policy, "QueueAdd", &[("Queue", "a"), ("Interface", "SIP/1")], "allow");
    check(&policy, "QueueAdd", &[("Queue", "a"), ("Interface", "SIP/2")], "params.Interface");
}

#[test]
fn deny_wins_and_says_which_rule() {
    let role = || Role::new("r").allow_bare("Originate").allow_bare("Ping");
    let policy = alice(role().deny_bare("pInG").deny("Originate", &[("Exten", "_1900.|_011.")]));
    check(&policy, "Ping", &[], "actions.denied");
    check(&policy, "Originate", &[("Channel", "PJSIP/1"), ("Exten", "19005551212")], "params.Exten");
    check(&policy, "Originate", &[("Channel", "PJSIP/1"), ("Exten", "2125551212")], "allow");
    assert!(is_by_deny(&policy, act("Ping", &[])) && is_by_deny(&policy, act("Originate", &[("Exten", "0111")])));
    let Decision::Deny(denial) = decide(&policy, act("Originate", &[("Exten", "0111")])) else { panic!("allowed") };
    let rule = denial.rule().expect("a rule");
    assert_eq!((rule.to_string().as_str(), rule.line), ("roles.r.deny[1]", 7));
    assert_eq!(denial.action_id(), Some(&b"x"[..]));
}

#[test]
fn a_deny_fires_when_all_that_it_names_is_there() {
    let policy =
        alice(Role::new("r").allow_bare("Originate").deny("Originate", &[("Application", "system"), ("Data", "rm*")]));
    let is_denied = |headers| is_by_deny(&policy, act("Originate", headers));
    assert!(is_denied(&[("Channel", "PJSIP/1"), ("Application", "System"), ("Data", "RM /x")]));
    assert!(!is_denied(&[("Application", "System"), ("Data", "ls")]) && !is_denied(&[("Application", "System")]));
}

#[test]
fn roles_and_what_they_include_are_one() {
    let roles = vec![
        Role::new("a").include("b").allow_bare("Ping"),
        Role::new("b").allow_bare("CoreStatus").deny_bare("Hangup"),
        Role::new("c").allow_bare("Hangup").allow_bare("CoreSettings"),
    ];
    let policy = Policy::compile(spec(roles, vec![client("alice", &["a", "c"], &[])])).expect("a policy").0;
    for (name, expected) in
        [("Ping", "allow"), ("CoreStatus", "allow"), ("CoreSettings", "allow"), ("Hangup", "actions.denied")]
    {
        check(&policy, name, &[], expected);
    }
    let roles = policy.roles(&ClientName::for_explain("alice"));
    assert_eq!(roles.collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn what_is_judged_is_what_is_sent() {
    let mut call = CALL.to_vec();
    call.extend([("id", "7"), ("Channel2", "x"), ("Data", ""), ("Timeout", "30000")]);
    let Decision::Allow(permit) = decide(&dialer(), act("Originate", &call)) else { panic!("denied") };
    assert_eq!(permit.dropped(), ["id", "Channel2", "Data"]);
    let names: Vec<&str> = permit.action().message().headers().map(|header| header.name()).collect();
    assert_eq!(names, ["Action", "ActionID", "Channel", "Context", "Exten", "Priority", "Timeout"]);
    assert_eq!((permit.rule().to_string().as_str(), permit.rule().line), ("roles.dial.allow[0]", 7));
}

#[test]
fn unknown_headers_are_dropped_under_a_bare_allow_too() {
    let policy = alice(Role::new("r").allow_bare("Ping"));
    let Decision::Allow(permit) = decide(&policy, act("Ping", &[("id", "7"), ("Variable", "F(x)=1")])) else {
        panic!("denied")
    };
    assert_eq!((permit.dropped().len(), permit.action().message().len()), (2, 2));
}

#[test]
fn an_action_that_the_catalogue_lacks_has_the_parameters_of_its_rules() {
    let policy = alice(Role::new("r").allow("SiteThing", &[("A", "1")]).allow("SiteThing", &[("A", "2"), ("B", "*")]));
    check(&policy, "sitething", &[("A", "1"), ("id", "7")], "allow");
    check(&policy, "SiteThing", &[("A", "1"), ("B", "x")], "params.A");
    check(&policy, "SiteThing", &[("A", "2"), ("B", "x")], "allow");
}

#[test]
fn the_session_needs_no_rule() {
    let policy = alice(Role::new("none"));
    for name in ["Events", "WaitEvent", "Logoff", "Login", "Challenge"] {
        let Decision::Allow(permit) = decide(&policy, act(name, &[("id", "7")])) else { panic!("denied {name}") };
        assert_eq!((permit.rule().to_string().as_str(), permit.rule().line), ("session", 0));
        assert_eq!(permit.dropped(), ["id"]);
    }
    let policy = alice(Role::new("r").deny_bare("WaitEvent").deny("Events", &[("EventMask", "on")]));
    check(&policy, "WaitEvent", &[("Timeout", "1")], "actions.denied");
    check(&policy, "Events", &[("EventMask", "ON")], "params.EventMask");
    check(&policy, "Events", &[("EventMask", "off")], "allow");
}

#[test]
fn filters_are_never_forwarded() {
    let policy = alice(Role::new("r").allow_bare("Filter"));
    check(&policy, "fIlter", &[("Operation", "Add")], "actions.never");
}

#[test]
fn a_user_event_keeps_its_headers_and_cannot_look_like_another_event() {
    let policy = alice(Role::new("r").allow_bare("UserEvent"));
    check(&policy, "UserEvent", &[("UserEvent", "x"), ("Colour", "red"), ("Empty", "")], "allow");
    for name in ["Event", "privilege", "Response", "TimeStamp", "SystemName"] {
        check(&policy, "UserEvent", &[("UserEvent", "x"), (name, "y")], &format!("params.{name}"));
    }
    let Decision::Allow(permit) = decide(&policy, act("UserEvent", &[("UserEvent", "x"), ("Empty", "")])) else {
        panic!("denied")
    };
    assert!(permit.dropped().is_empty() && permit.action().message().get("Empty").is_some());
    let listed = alice(Role::new("r").allow("UserEvent", &[("UserEvent", "x"), ("Colour?", "*")]));
    check(&listed, "UserEvent", &[("UserEvent", "x"), ("Colour", "red")], "allow");
    check(&listed, "UserEvent", &[("UserEvent", "x"), ("Size", "1")], "params.Size");
    check(&listed, "UserEvent", &[("UserEvent", "x"), ("Size", "")], "params.Size");
}

#[test]
fn numbered_headers_are_judged_by_family_or_alone() {
    let rule = [("SrcFilename", "a.conf"), ("DstFilename", "a.conf"), ("Action-#", "append"), ("Cat-000000", "x")];
    let policy = alice(Role::new("r").allow("UpdateConfig", &rule));
    let files = [("SrcFilename", "a.conf"), ("DstFilename", "a.conf")];
    let with = |more: &[(&'static str, &'static str)]| [&files, more].concat();
    let good =
        [("Action-000000", "append"), ("action-000001", "append"), ("Cat-000000", "x"), ("Nonsense-000000", "y")];
    check(&policy, "UpdateConfig", &with(&good), "allow");
    check(&policy, "UpdateConfig", &with(&[("Action-000000", "append")]), "params.Cat-000000");
    check(&policy, "UpdateConfig", &with(&[("Action-000000", "delcat"), ("Cat-000000", "x")]), "params.Action-000000");
    check(&policy, "UpdateConfig", &with(&[good[0], good[2], ("Cat-000001", "x")]), "params.Cat-000001");
}

#[test]
fn the_reason_is_of_the_closest_rule() {
    let policy = alice(
        Role::new("r")
            .allow("QueueAdd", &[("Queue", "a"), ("Interface", "SIP/1"), ("Penalty", "1")])
            .allow("QueueAdd", &[("Queue", "b"), ("Interface", "SIP/2"), ("Penalty", "2")]),
    );
    let headers = [("Queue", "b"), ("Interface", "SIP/2"), ("Penalty", "9")];
    check(&policy, "QueueAdd", &headers, "params.Penalty");
}

#[test]
fn list_commands_asks_what_may_ever_be() {
    let policy = alice(
        Role::new("r")
            .allow("QueueStatus", &[("Queue", "a")])
            .allow_bare("Hangup")
            .allow_bare("Filter")
            .deny_bare("Hangup")
            .deny("QueueStatus", &[("Queue", "a")]),
    );
    let may = |name| policy.may_ever(&ClientName::for_explain("alice"), name);
    assert!(may("QueueStatus") && may("Logoff") && may("Events"));
    assert!(!may("Hangup") && !may("Ping") && !may("Filter"));
    assert!(!policy.may_ever(&ClientName::for_explain("nobody"), "Logoff"));
}
