//! What holds for every log: the draft allows what was learned from, and no wildcard lets a delimiter pass that was not
//! there.

use proptest::prelude::*;

use super::{Log, act, installed, outcome};
use crate::policy::CallerId;
use crate::policy::pattern::is_delimiter;

/// Parameters with values of every kind that a wide policy allows.
const PARAMS: [(&str, &[&str]); 10] = [
    ("Originate", &["Channel", "Exten", "Context", "CallerID", "Variable"]),
    ("Originate", &["Channel", "Timeout", "Async", "Account"]),
    ("Hangup", &["Channel", "Cause"]),
    ("QueueStatus", &["Queue", "Member"]),
    ("UserEvent", &["UserEvent", "Note", "Odd?"]),
    ("Status", &["Channel", "Variables"]),
    ("Command", &["Command"]),
    ("SiteThing", &["Place", "Why"]),
    ("PlayDTMF", &["Channel", "Digit"]),
    ("QueueAdd", &["Queue", "Interface", "MemberName"]),
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        "[0-9]{1,12}",
        "PJSIP/[0-9]{4}(-[0-9a-f]{8})?",
        "Local/[0-9]{3,5}@(in|out)(/n)?",
        "[a-z]{1,6}",
        "[A-Z][a-z]{2,5} [A-Z][a-z]{2,5}( <[0-9]{4}>)?",
        "[a-c]{1,2}=[a-z0-9]{0,4}(,[a-c]=[0-9]{1,3})?",
        "core show [a-z]{1,6}( [a-z0-9/]{1,4})?",
        "[ -~]{1,10}",
        "[*#+_]{0,2}[0-9]{1,5}",
        "(J\u{fc}rgen|\u{20ac}|\u{202e})[0-9]{0,3}",
    ];
    let bytes = "x[0-9]{0,2}".prop_map(|text| [text.as_bytes(), b"\xff\xe2\x82"].concat());
    prop_oneof![10 => text.prop_map(String::into_bytes), 1 => bytes]
}

/// Words that a pattern cannot spell, because they are the names of types.
fn is_type_name(value: &[u8]) -> bool {
    matches!(value, b"integer" | b"boolean")
}

type Call = (&'static str, Vec<(&'static str, Vec<u8>)>);

/// Calls of one or two actions, so that some parameters have many values, with any of their parameters.
fn calls() -> impl Strategy<Value = Vec<Call>> {
    let actions = prop::collection::vec(prop::sample::select(PARAMS.to_vec()), 1..3);
    let call = |(action, names): (&'static str, &'static [&'static str])| {
        let params = prop::collection::vec(prop::option::weighted(0.7, value()), names.len());
        params.prop_map(move |values| {
            let params = names.iter().zip(values);
            (action, params.filter_map(|(name, value)| Some((*name, value?))).collect())
        })
    };
    actions
        .prop_flat_map(move |actions| prop::collection::vec(prop::sample::select(actions).prop_flat_map(call), 1..60))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_draft_allows_every_action_that_it_was_learned_from(calls in calls()) {
        let mut log = Log::new();
        let mut allowed = Vec::new();
        for (name, params) in &calls {
            let headers: Vec<(&str, &[u8])> = params.iter().map(|(name, value)| (*name, value.as_slice())).collect();
            let action = act(name, &headers);
            let is_sayable = |value: &[u8]| !is_type_name(value) && std::str::from_utf8(value).is_ok();
            // A caller id that could be read in two ways passes a bare allow only.
            let is_clear = |(name, value): &(&str, Vec<u8>)| *name != "CallerID" || CallerId::read(value).is_some();
            if log.action("alice", action.clone()) && params.iter().all(|(_, value)| is_sayable(value)) && params.iter().all(is_clear) {
                allowed.push(action);
            }
        }
        let draft = log.learn();
        let checked = installed(&draft, "");
        for action in allowed {
            let shown = format!("{}: {:?}", action.key(), String::from_utf8_lossy(action.message().lines()));
            let outcome = outcome(&checked, "alice", action);
            prop_assert!(outcome == "allow", "{outcome} of {shown}\n{}", draft.to_yaml());
        }
        for unseen in ["Reload", "DBPut", "Redirect"] {
            prop_assert_eq!(outcome(&checked, "alice", act(unseen, &[])), "actions.unlisted");
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn more_values_than_are_kept_are_allowed_all_the_same(
        param in prop::sample::select(vec![("Originate", "Channel"), ("Hangup", "Channel"), ("QueueStatus", "Queue"), ("PlayDTMF", "Digit"), ("Originate", "Timeout")]),
        shape in prop::sample::select(vec!["PJSIP/[0-9]{3,5}-[0-9a-f]{4}", "[0-9]{5,8}", "[1-9][0-9]{3,8}", "[a-z]{1,3}/[a-z]{1,4}@x", "[a-f0-9-]{4,9}"]).prop_flat_map(|shape| prop::collection::vec(shape, 270..330)),
    ) {
        let mut log = Log::new();
        for value in &shape {
            log.action("alice", act(param.0, &[(param.1, value.as_bytes())]));
        }
        for role in log.learn().roles {
            // Too many technologies, or extensions with names, are no list and no pattern: that is said.
            let is_said = role.rules.iter().flat_map(|rule| rule.params.iter().flatten()).all(|param| param.notes.iter().any(|note| note.contains("NOT covered")));
            prop_assert!(role.check.refused.is_empty() || is_said, "{:?} of {:?}: {:?}", role.check, param, role.rules);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_wildcard_lets_a_delimiter_pass_that_was_not_seen(
        param in prop::sample::select(vec![("Originate", "Channel"), ("Hangup", "Channel"), ("QueueStatus", "Queue"), ("UserEvent", "Note"), ("Originate", "Exten")]),
        values in prop::collection::vec("(PJSIP|SIP)/[a-z0-9.-]{1,6}|[a-z0-9-]{1,8}|[0-9]{3,6}", 1..40),
        at in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        delimiter in prop::sample::select((0x20..0x7Fu8).filter(|byte| is_delimiter(*byte) && *byte != b'/').collect::<Vec<_>>()),
    ) {
        let mut log = Log::new();
        for value in &values {
            log.action("alice", act(param.0, &[(param.1, value.as_bytes())]));
        }
        let checked = installed(&log.learn(), "");
        let mut value = at.get(&values).clone().into_bytes();
        value.insert(place.index(value.len() + 1), delimiter);
        let outcome = outcome(&checked, "alice", act(param.0, &[(param.1, &value)]));
        prop_assert!(outcome != "allow", "{} is allowed", String::from_utf8_lossy(&value));
    }
}
