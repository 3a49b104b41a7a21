//! What holds for every policy and every action.

use proptest::prelude::*;

use super::super::{Decision, Effect, Explanation, Policy, Verdict};
use super::{Role, act, client, decide, rule, spec};
use crate::identity::ClientName;
use crate::policy::spec::{PolicySpec, RuleSpec};

const ACTIONS: [&str; 5] = ["Originate", "Getvar", "QueueAdd", "Ping", "SiteThing"];
const PARAMS: [&str; 6] = ["Channel", "Exten", "Variable", "Queue", "Penalty", "Other"];
const TEXTS: [&str; 10] = ["1", "a", "A", "*", "**", "1*", "Local/1@x", "_1X", "a=1", "f(x)"];

type Entry = (usize, Option<Vec<(usize, usize)>>);

fn entry() -> impl Strategy<Value = Entry> {
    let params = prop::collection::vec((0..PARAMS.len(), 0..TEXTS.len()), 0..3);
    (0..ACTIONS.len(), prop::option::of(params))
}

fn rule_of((action, params): &Entry) -> RuleSpec {
    let params: Option<Vec<_>> =
        params.as_ref().map(|params| params.iter().map(|&(name, text)| (PARAMS[name], TEXTS[text])).collect());
    rule(ACTIONS[*action], params.as_deref())
}

fn role_spec(allow: &[Entry], deny: &[Entry]) -> PolicySpec {
    let mut role = Role::new("r");
    role.0.allow = allow.iter().map(rule_of).collect();
    role.0.deny = deny.iter().map(rule_of).collect();
    spec(vec![role], vec![client("alice", &["r"], &[])])
}

/// The policy of all entries that make one.
fn policy(allow: &[Entry], deny: &[Entry]) -> Policy {
    let is_good = |allow: &[Entry], deny: &[Entry]| Policy::compile(role_spec(allow, deny)).is_ok();
    let allow: Vec<_> = allow.iter().filter(|entry| is_good(&[(*entry).clone()], &[])).cloned().collect();
    let deny: Vec<_> = deny.iter().filter(|entry| is_good(&[], &[(*entry).clone()])).cloned().collect();
    Policy::compile(role_spec(&allow, &deny)).expect("each entry alone is good").0
}

fn headers() -> impl Strategy<Value = (usize, Vec<(usize, String)>)> {
    let value = prop::sample::select(vec!["", "1", "a", "12", "Local/1@x", "a=1", "f(x)=1", "f(x)", "1-2", "b c"]);
    let by_name = prop::collection::btree_map(0..PARAMS.len(), value.prop_map(str::to_owned), 0..4);
    (0..ACTIONS.len(), by_name.prop_map(|map| map.into_iter().collect()))
}

fn outcome(policy: &Policy, (action, headers): &(usize, Vec<(usize, String)>)) -> Decision {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (PARAMS[*name], value.as_str())).collect();
    decide(policy, act(ACTIONS[*action], &headers))
}

fn is_allowed(decision: &Decision) -> bool {
    matches!(decision, Decision::Allow(_))
}

proptest! {
    #[test]
    fn what_is_not_listed_is_denied(
        allow in prop::collection::vec(entry(), 0..4),
        deny in prop::collection::vec(entry(), 0..3),
        action in headers(),
    ) {
        let is_listed = allow.iter().any(|(name, _)| *name == action.0);
        let decision = outcome(&policy(&allow, &deny), &action);
        prop_assert!(is_listed || !is_allowed(&decision));
    }

    #[test]
    fn one_more_deny_never_allows_more(
        allow in prop::collection::vec(entry(), 0..4),
        deny in prop::collection::vec(entry(), 0..3),
        more in entry(),
        action in headers(),
    ) {
        // For an action that the catalogue lacks, naming a parameter makes it one that is judged, not dropped.
        let with_more = [&deny[..], &[more]].concat();
        let (before, after) = (outcome(&policy(&allow, &deny), &action), outcome(&policy(&allow, &with_more), &action));
        prop_assert!(is_allowed(&before) || !is_allowed(&after));
    }

    #[test]
    fn order_changes_nothing(
        (allow, shuffled_allow) in prop::collection::vec(entry(), 0..5).prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
        (deny, shuffled_deny) in prop::collection::vec(entry(), 0..4).prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
        action in headers(),
    ) {
        let (one, other) = (outcome(&policy(&allow, &deny), &action), outcome(&policy(&shuffled_allow, &shuffled_deny), &action));
        prop_assert_eq!(is_allowed(&one), is_allowed(&other));
        if let (Decision::Allow(one), Decision::Allow(other)) = (&one, &other) {
            prop_assert_eq!(one.action(), other.action());
        }
    }

    #[test]
    fn explain_and_decide_tell_one_story(
        allow in prop::collection::vec(entry(), 0..4),
        deny in prop::collection::vec(entry(), 0..3),
        action in headers(),
    ) {
        let policy = policy(&allow, &deny);
        let texts: Vec<(&str, &str)> = action.1.iter().map(|(name, value)| (PARAMS[*name], value.as_str())).collect();
        let Explanation { decision, considered, unallowable } =
            policy.explain(&ClientName::for_explain("alice"), act(ACTIONS[action.0], &texts));
        prop_assert_eq!(&decision, &outcome(&policy, &action));
        let fits = |effect| considered.iter().any(|one| one.effect == effect && !matches!(one.verdict, Verdict::Differs(_)));
        let is_unallowable = unallowable.is_some();
        prop_assert_eq!(is_allowed(&decision), !fits(Effect::Deny) && fits(Effect::Allow) && !is_unallowable);
        let rule = match &decision {
            Decision::Allow(permit) => Some(permit.rule()),
            Decision::Deny(denial) => denial.rule(),
        };
        let decides: Vec<_> = considered.iter().filter(|one| one.verdict == Verdict::Decides).map(|one| &one.rule).collect();
        prop_assert_eq!(decides, rule.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_is_permitted_is_permitted_again(allow in prop::collection::vec(entry(), 1..4), action in headers()) {
        let policy = policy(&allow, &[]);
        if let Decision::Allow(permit) = outcome(&policy, &action) {
            let sent = permit.action().clone();
            let Decision::Allow(again) = decide(&policy, permit.into_action()) else { panic!("denied") };
            prop_assert_eq!(again.action(), &sent);
            prop_assert!(again.dropped().is_empty());
        }
    }
}

proptest! {
    #[test]
    fn no_wildcard_lets_a_function_or_an_expansion_pass(
        before in "[a-z,=()]{0,4}",
        what in prop::sample::select(vec!["${x}", "$[1]"]),
        behind in "[a-z,=()]{0,4}",
    ) {
        let anything = [("Channel?", "**"), ("Data?", "**"), ("Variable?.**", "**")];
        let roles = vec![Role::new("r").allow_bare("Originate").allow("Originate", &anything)
            .allow_bare("Getvar").allow("Getvar", &[("Variable", "**")])
            .allow_bare("Status").allow("Status", &[("Variables", "**")])
            .allow_bare("Command").allow("Command", &[("Command", "**")])];
        let policy = Policy::compile(spec(roles, vec![client("alice", &["r"], &[])])).expect("a policy").0;
        let value = format!("{before}{what}{behind}");
        let named = format!("a=1,{value}=1");
        for (action, param, value) in [
            ("Originate", "Data", &value), ("Originate", "Variable", &named), ("Getvar", "Variable", &value),
            ("Status", "Variables", &value), ("Command", "Command", &value),
        ] {
            prop_assert!(!is_allowed(&decide(&policy, act(action, &[(param, value)]))), "{action} {param}: {value}");
        }
    }
}
