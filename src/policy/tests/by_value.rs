//! Many rules of one action: what is looked up has to come to the same as asking all of them.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::params::params;
use super::super::{Decision, Policy};
use super::{Role, act, client, decide, rule, spec};
use crate::ami::Action;
use crate::policy::spec::RuleSpec;

/// Known ones, one whose parameters have numbers, one that takes any parameter, and one that nobody knows.
const ACTIONS: [&str; 4] = ["Originate", "UpdateConfig", "UserEvent", "SiteThing"];
const NAMES: [&str; 8] = ["Channel", "channel", "Exten", "Context", "Action-#", "Action-000001", "Other", "Variable"];
/// Most of them are one value, so that there is something to look up.
const TEXTS: [&str; 12] = ["1", "2", "3", "12", "a", "A", "1", "2", "{extension}", "1*", "**", "integer"];
const VALUES: [&str; 10] = ["", "1", "2", "3", "12", "a", "A", "1001", "1x", "a=1"];

#[derive(Clone, Debug)]
struct Entry(Option<Vec<(usize, bool, Vec<usize>)>>);

fn entry() -> impl Strategy<Value = Entry> {
    let texts = prop::collection::vec(0..TEXTS.len(), 1..3);
    let name = prop_oneof![3 => 0..2_usize, 2 => 0..NAMES.len()];
    let params = prop::collection::vec((name, prop::bool::weighted(0.15), texts), 1..4);
    prop::option::weighted(0.97, params).prop_map(Entry)
}

fn rule_of(action: &str, Entry(params): &Entry) -> RuleSpec {
    let Some(params) = params else { return rule(action, None) };
    let texts = |texts: &[usize]| texts.iter().map(|text| TEXTS[*text]).collect::<Vec<_>>().join("|");
    let params = params
        .iter()
        .map(|(name, optional, list)| (format!("{}{}", NAMES[*name], if *optional { "?" } else { "" }), texts(list)));
    let params: Vec<(String, String)> = params.collect();
    let params: Vec<(&str, &str)> = params.iter().map(|(name, texts)| (name.as_str(), texts.as_str())).collect();
    rule(action, Some(&params))
}

fn compile(rules: Vec<RuleSpec>) -> Option<Policy> {
    let mut role = Role::new("r");
    role.0.allow = rules;
    Policy::compile(spec(vec![role], vec![client("alice", &["r"], &[("extension", "1001")])]))
        .ok()
        .map(|(policy, _)| policy)
}

/// The policy of all entries that make one.
fn policy(action: &str, entries: &[Entry]) -> Policy {
    let rules = entries.iter().map(|entry| rule_of(action, entry));
    compile(rules.filter(|rule| compile(vec![rule.clone()]).is_some()).collect()).expect("each rule alone is good")
}

/// The same policy, which asks all rules.
fn linear(mut policy: Policy) -> Policy {
    for rules in policy.clients.values_mut().flat_map(|client| client.actions.values_mut()) {
        rules.by_value = None;
    }
    policy
}

fn packet() -> impl Strategy<Value = Vec<(usize, usize)>> {
    let name = prop_oneof![2 => 0..2_usize, 1 => 0..NAMES.len()];
    prop::collection::vec((name, 0..VALUES.len()), 0..4)
}

fn action(name: &str, headers: &[(usize, usize)]) -> Action {
    // A family has members, and no header of its own.
    let name_of = |at: usize| if NAMES[at] == "Action-#" { "Action-000002" } else { NAMES[at] };
    let mut once: Vec<(&str, &str)> = Vec::new();
    for (param, value) in headers.iter().map(|(name, value)| (name_of(*name), VALUES[*value])) {
        let may_repeat = name == "Originate" && param == "Variable";
        if may_repeat || !once.iter().any(|(other, _)| other.eq_ignore_ascii_case(param)) {
            once.push((param, value));
        }
    }
    act(name, &once)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn what_is_looked_up_decides_as_if_all_rules_were_asked(
        name in prop::sample::select(ACTIONS.to_vec()),
        entries in prop::collection::vec(entry(), 9..30),
        packets in prop::collection::vec(packet(), 1..20),
    ) {
        let (policy, linear) = (policy(name, &entries), linear(policy(name, &entries)));
        for packet in &packets {
            // Which rule decides, the reason of a refusal, and what is dropped are in it.
            prop_assert_eq!(decide(&policy, action(name, packet)), decide(&linear, action(name, packet)));
        }
    }
}

/// A thousand rules, each for another mailbox, and some that none of them is like.
fn mailboxes(more: Vec<RuleSpec>) -> Policy {
    let of_one = |number| rule("MailboxCount", Some(&[("Mailbox", &format!("box-{number}"))]));
    compile((0..1_000).map(of_one).chain(more).collect()).expect("a policy")
}

/// How many rules are asked, and the rule that allows it.
fn asked(policy: &Policy, action: Action) -> (usize, Option<String>) {
    let rules = &policy.clients["alice"].actions[action.key()];
    let by_value = rules.by_value.as_ref().expect("there are many rules");
    let kept = params(&action, rules.entry, &rules.names).kept;
    let count = by_value.to_be_asked(&kept).iter().map(|list| list.len()).sum();
    let Decision::Allow(permit) = decide(policy, action) else { return (count, None) };
    (count, Some(permit.rule().path.to_string()))
}

#[test]
fn of_a_thousand_rules_only_those_are_asked_that_may_allow() {
    let mailbox = |name| act("MailboxCount", &[("Mailbox", name)]);
    let policy = mailboxes(Vec::new());
    assert_eq!(asked(&policy, mailbox("box-999")), (1, Some("roles.r.allow[999]".to_owned())));
    assert_eq!(asked(&policy, mailbox("BOX-999")), (0, None));
    assert_eq!(asked(&policy, act("MailboxCount", &[])), (0, None));
    let policy = mailboxes(vec![rule("MailboxCount", Some(&[("Mailbox", "box-*")]))]);
    assert_eq!(asked(&policy, mailbox("box-7")), (2, Some("roles.r.allow[7]".to_owned())));
    assert_eq!(asked(&policy, mailbox("box-1000")), (1, Some("roles.r.allow[1000]".to_owned())));
}

#[test]
fn the_parameter_that_tells_rules_apart_is_found() {
    let of_one = |number| {
        let channel = format!("PJSIP/{number}");
        rule("Originate", Some(&[("Context", "out"), ("Channel", &channel), ("Exten?", "1")]))
    };
    let policy = compile((0..20).map(of_one).collect()).expect("a policy");
    let call = act("Originate", &[("Context", "out"), ("Channel", "PJSIP/19")]);
    assert_eq!(asked(&policy, call), (1, Some("roles.r.allow[19]".to_owned())));
    let alike = compile(vec![rule("Originate", Some(&[("Context", "out")])); 20]).expect("a policy");
    assert!(alike.clients["alice"].actions["originate"].by_value.is_none(), "nothing tells them apart");
}

#[test]
fn a_family_of_names_is_asked_for_each_of_its_members() {
    let of_one = |number| rule("UpdateConfig", Some(&[("Action-#", &format!("{number}"))]));
    let policy = compile((0..20).map(of_one).collect()).expect("a policy");
    let Decision::Allow(permit) = decide(&policy, act("UpdateConfig", &[("Action-000001", "19")])) else {
        panic!("denied")
    };
    assert_eq!(&*permit.rule().path, "roles.r.allow[19]");
}

#[test]
fn identities_with_the_same_rules_share_what_is_looked_up() {
    let mut role = Role::new("r");
    for number in 0..20 {
        role = role.allow("MailboxCount", &[("Mailbox", &format!("box-{number}"))]);
        role = role.allow("Originate", &[("Channel", &format!("PJSIP/{number}-{{identity}}"))]);
    }
    let clients = ["alice", "bob"].map(|name| client(name, &["r"], &[])).to_vec();
    let policy = Policy::compile(spec(vec![role], clients)).expect("a policy").0;
    let of = |name: &str, action: &str| policy.clients[name].actions[action].by_value.clone().expect("many rules");
    assert!(Arc::ptr_eq(&of("alice", "mailboxcount"), &of("bob", "mailboxcount")));
    assert_ne!(of("alice", "originate"), of("bob", "originate"));
}
