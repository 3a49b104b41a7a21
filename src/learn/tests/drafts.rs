//! Whole drafts: what stands in them, what they leave out and say so, and which logs are no ground for one.

use super::{Log, Options, act, client, installed, learn, outcome, patterns};
use crate::audit::VerifyError;
use crate::learn::{Edge, LearnError};
use crate::policy::spec::RoleSpec;

/// A day of a dialer: 40 calls, some look-ups, one attempt at something else.
fn day_of_a_dialer() -> Log {
    let mut log = Log::new();
    for n in 0..40 {
        let number = format!("1212555{:04}", n * 211);
        let mut call = vec![
            ("Channel", "PJSIP/1001"),
            ("Context", "campaign"),
            ("Exten", number.as_str()),
            ("Priority", "1"),
            ("Variable", "campaign=spring,lead=L77"),
        ];
        if n % 2 == 0 {
            call.push(("Async", "true"));
        }
        log.allowed("alice", "Originate", &call);
        log.event("alice", "DialBegin", None);
    }
    log.allowed("alice", "Originate", &[("Channel", "PJSIP/1001"), ("Application", "Wait"), ("Data", "1")]);
    log.allowed("alice", "QueueStatus", &[]);
    log.allowed("alice", "QueueStatus", &[("Queue", "sales")]);
    log.allowed("alice", "Ping", &[]);
    log.allowed("alice", "SiteThing", &[("Place", "here")]);
    log.event("alice", "QueueParams", Some("1.2"));
    log.event("alice", "Hangup", None);
    assert!(!log.action("alice", act("Originate", &[("Channel", b"PJSIP/1"), ("Data", b"$[1+1]")])));
    log.allowed("bob", "CoreShowChannels", &[]);
    log
}

/// The text without times, which are of the day of the test.
fn without_days(yaml: &str) -> String {
    let day = jiff::Timestamp::now().to_string();
    let lines = yaml.lines().filter(|line| !line.starts_with("# It rests on"));
    lines.map(|line| line.replace(day.split_at(10).0, "DAY")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_draft_is_what_a_person_would_write() {
    let mut log = day_of_a_dialer();
    let options = Options { clients: vec![client("alice", "x", &[("extension", "1001")])], ..Options::default() };
    let draft = log.learn_with(&options).expect("a draft");
    let expected = include_str!("dialer.yaml");
    assert_eq!(without_days(&draft.to_yaml()), expected.trim_end(), "\n{}", draft.to_yaml());
    let again = learn(log.directory(), &options).expect("a draft");
    assert_eq!(again.to_yaml(), draft.to_yaml(), "the same log makes the same draft");
}

#[test]
fn the_yaml_says_what_was_judged() {
    let draft = day_of_a_dialer().learn();
    let checked = installed(&draft, "");
    let roles: Vec<RoleSpec> = draft.roles.iter().map(super::LearnedRole::spec).collect();
    assert_eq!(without_positions(&checked.roles), without_positions(&roles));
    let call = |exten: &[u8]| {
        act(
            "Originate",
            &[
                ("Channel", b"PJSIP/1001"),
                ("Context", b"campaign"),
                ("Exten", exten),
                ("Priority", b"1"),
                ("Variable", b"lead=L77"),
            ],
        )
    };
    assert_eq!(outcome(&checked, "alice", call(b"12125559999")), "allow");
    assert_eq!(outcome(&checked, "alice", call(b"12129009999")), "params.Exten");
    assert_eq!(outcome(&checked, "bob", call(b"12125559999")), "actions.unlisted");
    // Each was seen with something else, but never both of them.
    let mixed = act("Originate", &[("Channel", b"PJSIP/1001"), ("Application", b"Wait"), ("Context", b"campaign")]);
    assert!(outcome(&checked, "alice", mixed).starts_with("params."));
}

fn without_positions(roles: &[RoleSpec]) -> String {
    let text = format!("{roles:?}");
    let parts = text.split("at: Position { ").map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
    parts.collect()
}

#[test]
fn what_is_hidden_is_not_learned() {
    let mut log = Log::new();
    log.allowed("alice", "SiteThing", &[("Place", "here"), ("Why", "x")]);
    log.allowed("bob", "DBPut", &[("Family", "f"), ("Key", "pin"), ("Val", "1234")]);
    let variables = "campaign=spring,USERPIN=1234";
    log.allowed("bob", "Originate", &[("Channel", "PJSIP/1"), ("Context", "c"), ("Variable", variables)]);
    let draft = log.learn();
    let yaml = draft.to_yaml();
    assert!(!yaml.contains("1234") && !yaml.contains("[redacted]"), "{yaml}");
    assert_eq!(patterns(&draft.roles[1], "Originate", "Variable"), ["campaign: spring"]);
    assert!(yaml.contains("# USERPIN:  # hidden in 1 call"), "{yaml}");
    assert!(draft.roles[1].spec().allow.iter().all(|rule| rule.action.text != "DBPut"), "not without its value");
    assert!(yaml.contains("# NOT a rule yet: what `Val` may be cannot be learned"), "{yaml}");
    assert_eq!((draft.roles[1].check.hidden, draft.roles[1].check.allowed), (2, 0));
    installed(&draft, "");
}

#[test]
fn a_hostile_name_stays_in_its_comment() {
    let mut log = Log::new();
    log.action("alice", act("Nothing\u{2028}roles: # \u{202e}", &[]));
    log.allowed("alice", "UserEvent", &[("UserEvent", "x\u{202e}\" : [*a]"), ("Odd?", "1"), ("#", "{}")]);
    log.event("alice", "all lower", None);
    log.event("alice", "lower", None);
    let draft = log.learn();
    let checked = installed(&draft, "");
    let event = act("UserEvent", &[("UserEvent", "x\u{202e}\" : [*a]".as_bytes()), ("Odd?", b"1"), ("#", b"{}")]);
    assert_eq!(outcome(&checked, "alice", event), "allow");
    assert!(draft.to_yaml().contains("No policy can name the event `lower`"), "{}", draft.to_yaml());
}

#[test]
fn what_the_policy_sets_is_the_policys() {
    let mut log = day_of_a_dialer();
    log.write();
    let segment = log.directory().join("audit-00000000000000000001.jsonl");
    let record = r#"{"seq":9,"time":"2026-11-21T02:00:00Z","kind":"action","identity":"alice","name":"Originate","#
        .to_owned()
        + r#""headers":[["Action","Originate"],["Channel","PJSIP/1"],["Account","amiwall"]],"decision":"would-deny","#
        + r#""reason":"params.Channel","set":["Account"]}"#;
    let record: crate::audit::LoggedRecord = serde_json::from_str(&record).expect("a record");
    assert!(segment.is_file());
    let mut usage = crate::learn::usage::Usage::default();
    usage.add(&record, &[]);
    let role = crate::learn::LearnedRole::of("alice", &usage, &[]);
    let notes = role.rules[0].notes.join("\n");
    assert!(notes.contains("once only because of shadow mode") && notes.contains("the policy sets Account"), "{notes}");
    assert!(role.rules[0].params.iter().flatten().all(|param| param.name != "Account"));
}

#[test]
fn only_the_time_and_the_identity_that_are_asked_for_count() {
    let mut log = day_of_a_dialer();
    let of = |identity: &str| Options { identity: Some(identity.to_owned()), ..Options::default() };
    let draft = log.learn_with(&of("BOB")).expect("a draft");
    assert_eq!(draft.roles.iter().map(|role| role.name.as_str()).collect::<Vec<_>>(), ["learned-bob"]);
    match learn(log.directory(), &of("carol")) {
        Err(error @ LearnError::Nobody { .. }) => {
            assert_eq!(
                error.to_string(),
                "the log has no action of `carol` in this time; it has actions of alice, bob"
            );
        }
        other => panic!("{other:?}"),
    }
    let since = |edge| Options { since: Some(Edge::since(edge).expect("a time")), ..Options::default() };
    let until = |edge| Options { until: Some(Edge::until(edge).expect("a time")), ..Options::default() };
    let roles = |options: &Options| learn(log.directory(), options).expect("a draft").roles.len();
    assert_eq!(
        (roles(&since("1h")), roles(&since("2100-01-01")), roles(&until("1h")), roles(&until("2100-01-01"))),
        (2, 0, 0, 2)
    );
    let nothing = learn(log.directory(), &until("1h")).expect("a draft");
    assert!(nothing.to_yaml().ends_with("roles: {}\n"), "{}", nothing.to_yaml());
}

#[test]
fn a_torn_tail_is_the_end_and_a_broken_chain_teaches_nothing() {
    let mut log = day_of_a_dialer();
    log.write();
    let segment = log.directory().join("audit-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&segment).expect("a segment");
    std::fs::write(&segment, format!("{text}{{\"seq\":99,\"ti")).expect("written");
    assert_eq!(learn(log.directory(), &Options::default()).expect("a draft").roles.len(), 2);
    std::fs::write(&segment, text.replacen("PJSIP/1001", "PJSIP/1002", 1)).expect("written");
    match learn(log.directory(), &Options::default()) {
        Err(LearnError::Log(VerifyError::Broken { line: 2, .. })) => {}
        other => panic!("{other:?}"),
    }
    std::fs::remove_file(&segment).expect("removed");
    assert!(matches!(learn(log.directory(), &Options::default()), Err(LearnError::Log(VerifyError::Empty(_)))));
}

#[test]
fn memory_is_bounded_by_what_is_kept() {
    let mut log = Log::new();
    for n in 0..600 {
        let headers = [(format!("H{n}"), format!("v{n}")), ("Same".to_owned(), format!("w{n}"))];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        log.allowed("alice", "UserEvent", &headers);
    }
    let draft = log.learn();
    assert!(draft.roles[0].rules.len() <= 9, "{} rules", draft.roles[0].rules.len());
    let params: usize = draft.roles[0].rules.iter().flat_map(|rule| rule.params.iter().map(Vec::len)).sum();
    assert!(params <= 9 * 128, "{params} parameters");
    assert!(draft.roles[0].check.refused.values().all(|(count, _)| *count > 0));
    assert!(draft.to_yaml().contains("NOT covered"), "what is left out is said");
    installed(&draft, "");
}

#[test]
fn an_event_class_stands_for_all_its_events_only() {
    let mut log = Log::new();
    log.allowed("alice", "Ping", &[]);
    for entry in crate::catalogue::events().filter(|entry| {
        entry.classes.contains(&crate::ami::PrivilegeClass::Agi) && entry.used_as != crate::catalogue::EventUse::Answer
    }) {
        log.event("alice", entry.name, None);
    }
    log.event("alice", "Hangup", None);
    let names = |log: &mut Log| {
        let role = log.learn().roles.remove(0).spec();
        role.events.allow.into_iter().map(|event| event.text).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut log), ["agi", "Hangup"]);
}

#[test]
fn an_event_that_only_answered_its_own_action_is_told_and_not_allowed() {
    let mut log = Log::new();
    log.allowed("alice", "Ping", &[]);
    log.event("alice", "OriginateResponse", Some("1.2"));
    log.event("alice", "OriginateResponse", Some("1.2"));
    log.event("alice", "CoreShowChannel", Some("1.2"));
    // Nothing else would make amiwall ask Asterisk for it.
    let allowed = |draft: &crate::learn::Draft| {
        let allowed = draft.roles[0].spec().events.allow;
        allowed.into_iter().map(|event| event.text).collect::<Vec<_>>()
    };
    let draft = log.learn();
    assert_eq!(allowed(&draft), ["OriginateResponse"], "{}", draft.to_yaml());
    assert!(!draft.to_yaml().contains("Saw"));
    log.event("alice", "Hangup", None);
    let draft = log.learn();
    assert_eq!(allowed(&draft), ["Hangup"]);
    let yaml = draft.to_yaml();
    assert!(
        yaml.contains("    # Saw `OriginateResponse` 2 times as the answer to its own action: that needs no\n"),
        "{yaml}"
    );
    assert!(!yaml.contains("CoreShowChannel"), "the items of a list are no events that a policy could allow");
}

#[test]
fn what_was_refused_since_it_can_run_code_is_told_with_the_way_to_watch_it() {
    let mut log = Log::new();
    log.allowed("alice", "Ping", &[]);
    log.refused("alice", "Command");
    log.refused("alice", "Hangup");
    let yaml = log.learn().to_yaml();
    let told = "  #   Command once (actions.unlisted)\n  #     It can run code: while you watch, it passes only if you name it under `shadow_also`";
    assert!(yaml.contains(told) && yaml.matches("shadow_also").count() == 1, "{yaml}");
}
