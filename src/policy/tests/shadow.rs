//! `mode: shadow`: what an enforced policy would refuse passes, and is noted; but not everything.

use super::super::spec::{ActionSpec, ShadowSpec};
use super::super::{Decision, Policy};
use super::{Params, Role, act, client, decide, spanned, spec};

fn shadowed(role: Role, also: &[&str]) -> Policy {
    let mut alice = client("alice", &["r"], &[]);
    alice.shadow = Some(ShadowSpec { also: also.iter().map(|name| spanned(name)).collect(), ..ShadowSpec::default() });
    Policy::compile(spec(vec![role], vec![alice])).expect("a policy").0
}

/// `allow`, `would-deny` or `deny`, and the reason.
fn outcome(policy: &Policy, name: &str, headers: Params<'_>) -> String {
    let decision = decide(policy, act(name, headers));
    let reason = match &decision {
        Decision::Allow(permit) => permit.would_deny(),
        Decision::Deny(denial) => Some(denial.reason()),
    };
    let reason = reason.map(|reason| format!(" {}", reason.code())).unwrap_or_default();
    format!("{}{reason}", decision.word())
}

#[test]
fn what_is_not_listed_passes_and_is_noted() {
    let policy = shadowed(Role::new("r").allow("QueueStatus", &[("Queue", "sales")]).allow_bare("Ping"), &[]);
    assert_eq!(outcome(&policy, "Ping", &[]), "allow");
    assert_eq!(outcome(&policy, "QueueStatus", &[("Queue", "sales")]), "allow");
    assert_eq!(outcome(&policy, "QueueStatus", &[("Queue", "boss")]), "would-deny params.Queue");
    assert_eq!(outcome(&policy, "Hangup", &[("Channel", "x")]), "would-deny actions.unlisted");
    assert!(policy.may_ever(&crate::identity::ClientName::for_explain("alice"), "Hangup"));
    let Decision::Allow(permit) = decide(&policy, act("Hangup", &[("Channel", "x")])) else { panic!("denied") };
    assert_eq!(permit.rule().path.as_ref(), "identities.alice.mode");
}

#[test]
fn a_deny_is_a_deny() {
    let policy =
        shadowed(Role::new("r").allow_bare("Ping").deny_bare("Hangup").deny("QueueAdd", &[("Queue", "boss")]), &[]);
    assert_eq!(outcome(&policy, "Hangup", &[("Channel", "x")]), "deny actions.denied");
    assert_eq!(outcome(&policy, "QueueAdd", &[("Queue", "boss")]), "deny params.Queue");
    assert_eq!(outcome(&policy, "QueueAdd", &[("Queue", "sales")]), "would-deny actions.unlisted");
    assert_eq!(outcome(&policy, "Filter", &[]), "deny actions.never");
}

#[test]
fn what_can_run_code_has_to_be_named() {
    let call = [("Channel", "PJSIP/1"), ("Context", "x"), ("Exten", "1"), ("Priority", "1")];
    assert_eq!(outcome(&shadowed(Role::new("r"), &[]), "Originate", &call), "deny actions.unlisted");
    let policy = shadowed(Role::new("r"), &["ORIGINATE"]);
    assert_eq!(outcome(&policy, "Originate", &call), "would-deny actions.unlisted");
    assert_eq!(outcome(&policy, "Command", &[("Command", "core show channels")]), "deny actions.unlisted");
}

#[test]
fn what_a_site_s_own_action_dials_has_to_be_named() {
    let outcome_of = |kind: &str, also: &[&str]| {
        let mut alice = client("alice", &["r"], &[]);
        let also = also.iter().map(|name| spanned(name)).collect();
        alice.shadow = Some(ShadowSpec { also, ..ShadowSpec::default() });
        let mut spec = spec(vec![Role::new("r").allow("UcmDial", &[("Number", "12")])], vec![alice]);
        let params = vec![(spanned("Number"), spanned(kind))];
        spec.actions = vec![ActionSpec { name: spanned("UcmDial"), params }];
        outcome(&Policy::compile(spec).expect("a policy").0, "UcmDial", &[("Number", "0049")])
    };
    for kind in ["dialable", "dial", "data"] {
        assert_eq!(outcome_of(kind, &[]), "deny params.Number", "{kind}");
        assert_eq!(outcome_of(kind, &["ucmdial"]), "would-deny params.Number", "{kind}");
    }
    assert_eq!(outcome_of("text", &[]), "would-deny params.Number");
}

#[test]
fn what_could_be_read_in_two_ways_does_not_pass() {
    let policy = shadowed(Role::new("r").allow("Originate", &[("Channel", "PJSIP/1")]), &["Originate"]);
    let long = "9".repeat(300);
    assert_eq!(outcome(&policy, "Originate", &[("Channel", &long)]), "deny params.Channel");
    let function = [("Channel", "PJSIP/2"), ("Variable", "f(x)=1")];
    assert!(outcome(&policy, "Originate", &function).starts_with("deny params."));
    assert_eq!(outcome(&policy, "Originate", &[("Channel", "PJSIP/2")]), "would-deny params.Channel");
}

#[test]
fn what_nobody_knows_does_not_pass() {
    assert_eq!(outcome(&shadowed(Role::new("r"), &[]), "SiteThing", &[("X", "1")]), "deny actions.unlisted");
}

#[test]
fn an_unknown_name_is_told() {
    let mut alice = client("alice", &["r"], &[]);
    alice.shadow = Some(ShadowSpec { also: vec![spanned("Orignate")], ..ShadowSpec::default() });
    let problems = Policy::compile(spec(vec![Role::new("r")], vec![alice])).expect_err("a problem");
    assert_eq!(problems[0].message, "Asterisk has no action `Orignate`");
    assert_eq!(problems[0].help.as_deref(), Some("did you mean `Originate`?"));
}
