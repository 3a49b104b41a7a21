//! What holds for every log: the draft allows what was learned from, and no wildcard lets a delimiter pass that was not
//! there.

use proptest::prelude::*;

use super::{Log, act, installed, outcome};
use crate::policy::pattern::is_delimiter;

/// Parameters with values of every kind that a wide policy allows.
const PARAMS: [(&str, &str); 14] = [
    ("Originate", "Channel"),
    ("Originate", "Exten"),
    ("Originate", "Context"),
    ("Originate", "CallerID"),
    ("Originate", "Variable"),
    ("Originate", "Timeout"),
    ("Originate", "Async"),
    ("Hangup", "Channel"),
    ("QueueStatus", "Queue"),
    ("UserEvent", "Note"),
    ("Status", "Variables"),
    ("Command", "Command"),
    ("SiteThing", "Place"),
    ("PlayDTMF", "Digit"),
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
    matches!(value, b"integer" | b"boolean" | b"callerid")
}

fn calls() -> impl Strategy<Value = Vec<(usize, Vec<u8>)>> {
    // One or two parameters, so that some have many values.
    let params = prop::collection::vec(0..PARAMS.len(), 1..3);
    params.prop_flat_map(|params| prop::collection::vec((prop::sample::select(params), value()), 1..45))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_draft_allows_every_action_that_it_was_learned_from(calls in calls()) {
        let mut log = Log::new();
        let mut allowed = Vec::new();
        for (param, value) in calls.iter().filter(|(_, value)| !is_type_name(value)) {
            let (name, param) = PARAMS[*param];
            let action = act(name, &[(param, value)]);
            if log.action("alice", action.clone()) && std::str::from_utf8(value).is_ok() {
                allowed.push(action);
            }
        }
        let draft = log.learn();
        let checked = installed(&draft, "");
        for action in allowed {
            let shown = format!("{}: {:?}", action.key(), String::from_utf8_lossy(action.message().lines()));
            let outcome = outcome(&checked, "alice", action);
            // A caller id that could be read in two ways, under a bare allow: no rule can say it.
            let is_unclear = outcome == "params.CallerID";
            prop_assert!(outcome == "allow" || is_unclear, "{outcome} of {shown}\n{}", draft.to_yaml());
        }
        for unseen in ["Reload", "DBPut", "Redirect"] {
            prop_assert_eq!(outcome(&checked, "alice", act(unseen, &[])), "actions.unlisted");
        }
    }

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
