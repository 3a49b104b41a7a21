//! How values are generalised, one parameter at a time.

use super::{Log, Options, client, patterns};

/// The patterns that come of these values of one parameter, which the draft must all allow.
#[track_caller]
fn learned<V: AsRef<str>>(action: &str, param: &str, values: impl IntoIterator<Item = V>) -> Vec<String> {
    learned_with(&[], action, param, values)
}

#[track_caller]
fn learned_with<V: AsRef<str>>(
    attributes: &[(&str, &str)],
    action: &str,
    param: &str,
    values: impl IntoIterator<Item = V>,
) -> Vec<String> {
    let mut log = Log::new();
    for value in values {
        log.allowed("alice", action, &[(param, value.as_ref())]);
    }
    let options = Options { clients: vec![client("alice", "x", attributes)], ..Options::default() };
    let draft = log.learn_with(&options).expect("a draft");
    assert!(draft.roles[0].check.refused.is_empty(), "{}", draft.to_yaml());
    patterns(&draft.roles[0], action, param)
}

#[test]
fn few_values_are_listed() {
    assert_eq!(learned("QueueStatus", "Queue", ["sales", "support", "sales"]), ["sales", "support"]);
    assert_eq!(learned("QueueStatus", "Queue", ["a*b", "c?d", r"e\f", "g{h}"]), [r"a\*b", r"c\?d", r"e\\f", r"g\{h\}"]);
    assert_eq!(learned("Originate", "Exten", ["*98", "_x", "100"]), ["100", r"\*98", r"\_x"]);
}

#[test]
fn names_that_come_again_are_listed_and_others_are_a_wildcard() {
    let names: Vec<String> = ('a'..='t').map(|c| format!("queue-{c}")).collect();
    let thrice = names.iter().chain(&names).chain(&names);
    assert_eq!(learned("QueueStatus", "Queue", thrice).len(), 20);
    assert_eq!(learned("QueueStatus", "Queue", &names), ["*-*"]);
}

#[test]
fn numbers_are_dialplan_patterns() {
    let national = (0..40).map(|n| format!("1{}55{}550{:03}", 2 + n % 8, 2 + n % 8, n * 17 % 1000));
    assert_eq!(learned("Originate", "Exten", national), ["_1NXXNXXXXXX"]);
    let extensions = (0..40).map(|n| format!("{}", 1000 + n * 7));
    assert_eq!(learned("Originate", "Exten", extensions), ["_1[0-2]XX"]);
    let mixed = (0..20).map(|n| format!("+4930{:04}", n * 391)).chain(["911".to_owned(), "s".to_owned()]);
    assert_eq!(learned("Originate", "Exten", mixed), ["911", "_+4930XXXX", "s"]);
}

#[test]
fn a_channel_keeps_its_technology_and_what_it_dials_into() {
    let phones = (0..30).map(|n| format!("PJSIP/{}", 1000 + n));
    assert_eq!(learned("Originate", "Channel", phones), ["PJSIP/100?", "PJSIP/101?", "PJSIP/102?"]);
    let locals = (0..30).map(|n| format!("Local/{}@internal/n", 1000 + 3 * n));
    assert_eq!(learned("Originate", "Channel", locals), ["Local/10??@internal/n"]);
    let trunk = (0..30).map(|n| format!("SIP/trunk-a/1212555{:04}", n * 31));
    assert_eq!(learned("Originate", "Channel", trunk), ["SIP/trunk-a/12125550???"]);
    let existing = (0..300).map(|n| format!("PJSIP/{}-{n:08x}", 1000 + n % 40));
    assert_eq!(learned("Hangup", "Channel", existing), ["PJSIP/10??-*"]);
    let halves = (0..300).map(|n| format!("Local/1001@out-{:08x};{}", n, 1 + n % 2));
    assert_eq!(learned("Hangup", "Channel", halves), ["Local/1001@out-*;?"]);
    let unique = (0..300).map(|n| format!("1700000{n:03}.{n}"));
    assert_eq!(learned("Hangup", "Channel", unique), ["*.*"], "a word such as `all` has no dot");
}

#[test]
fn kinds_of_the_catalogue_stand_for_many_values() {
    assert_eq!(learned("Originate", "Timeout", (1..20).map(|n| format!("{}", n * 1000))), ["integer"]);
    assert_eq!(learned("Originate", "Timeout", ["30000", "45000"]), ["30000", "45000"]);
    assert_eq!(learned("Originate", "Async", ["true", "false"]), ["boolean"]);
    assert_eq!(learned("Originate", "Async", ["true"]), ["true"]);
    assert_eq!(learned("Originate", "Timeout", (0..400).map(|n| n.to_string())), ["integer"]);
}

#[test]
fn what_is_run_is_only_ever_listed() {
    let contexts: Vec<String> = (0..30).map(|n| format!("campaign-{n}")).collect();
    assert_eq!(learned("Originate", "Context", &contexts).len(), 30);
    assert_eq!(learned("Originate", "Application", ["Playback", "Wait"]), ["Playback", "Wait"]);
    let mut log = Log::new();
    for n in 0..60 {
        log.allowed("alice", "Originate", &[("Channel", "PJSIP/1"), ("Context", &format!("campaign-{n:02}"))]);
    }
    let draft = log.learn();
    assert_eq!(patterns(&draft.roles[0], "Originate", "Context").len(), 50);
    assert_eq!(draft.roles[0].check.refused.get("params.Context").map(|(count, _)| *count), Some(10));
    assert!(draft.to_yaml().contains("NOT covered: 10 values"), "{}", draft.to_yaml());
}

#[test]
fn commands_are_words() {
    assert_eq!(learned("Command", "Command", ["core show channels", "Core  Show channels"]), ["core show channels"]);
    let queues = (0..40).map(|n| format!("queue show team{n}")).chain(["core show uptime".to_owned()]);
    assert_eq!(learned("Command", "Command", queues), ["core show uptime", "queue show *"]);
    let channels = (0..40).map(|n| format!("channel request hangup PJSIP/{n:03}-a{n}"));
    assert_eq!(learned("Command", "Command", channels), ["channel request hangup pjsip/0??-*"]);
}

#[test]
fn variables_are_a_map_of_names() {
    let lists = (0..30).map(|n| format!("campaign=spring,lead=L{n},note="));
    assert_eq!(learned("Originate", "Variable", lists), ["campaign: spring", "lead: *", "note: *"]);
    assert_eq!(learned("Status", "Variables", ["a,b", "b,c"]), ["a", "b", "c"]);
}

#[test]
fn caller_ids_are_a_name_and_a_number() {
    assert_eq!(
        learned("Originate", "CallerID", ["Alice Smith <1001>", "\"Alice Smith\" <1001>", "1002", "Bob"]),
        ["<1002>", "Alice Smith <1001>", "Bob"]
    );
    let many = (0..30).map(|n| format!("Agent {} <{}>", char::from(b'a' + n % 26), 1000 + u32::from(n)));
    assert_eq!(learned("Originate", "CallerID", many), ["* * <*>"]);
}

#[test]
fn numbers_that_grow_are_words() {
    assert_eq!(learned("SendText", "Message", (0..30).map(|n| format!("call {n}"))), ["call *"]);
    assert_eq!(learned("SendText", "Message", (10..40).map(|n| format!("call {n}"))), ["call ??"]);
    assert_eq!(learned("Originate", "Channel", (90..110).map(|n| format!("PJSIP/{n}"))), ["PJSIP/10?", "PJSIP/9?"]);
    let mut penalties = (0..30).map(|n| n.to_string()).collect::<Vec<_>>();
    penalties.push("x".to_owned());
    assert_eq!(learned("QueueAdd", "Penalty", &penalties)[8..12], ["8", "9", "10", "11"]);
}

#[test]
fn attributes_of_the_identity_are_seen() {
    let own = [("extension", "1001"), ("name", "Alice Smith"), ("digit", "1")];
    let learned = |action, param, values: &[&str]| learned_with(&own, action, param, values);
    assert_eq!(learned("Originate", "Channel", &["PJSIP/1001"]), ["PJSIP/{extension}"]);
    assert_eq!(learned("Originate", "Channel", &["PJSIP/10011"]), ["PJSIP/10011"]);
    assert_eq!(learned("Originate", "CallerID", &["Alice Smith <1001>"]), ["{name} <{extension}>"]);
    assert_eq!(learned("Originate", "Exten", &["1001", "1002"]), ["1002", "{extension}"]);
    assert_eq!(learned("Originate", "Priority", &["1"]), ["1"], "too short to mean anything");
    assert_eq!(learned("Originate", "Context", &["1001"]), ["1001"], "what is run stays as it is");
    let channels: Vec<String> = (0..40).map(|n| format!("PJSIP/1001-{n:08x}")).collect();
    let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
    assert_eq!(learned("Hangup", "Channel", &channels), ["PJSIP/{extension}-*"]);
}

#[test]
fn a_value_with_a_function_or_an_expansion_stays_as_it_is() {
    let values: Vec<String> = (0..20).map(|n| format!("note {n} (x)")).collect();
    assert_eq!(learned("UserEvent", "Note", &values).len(), 20);
    let mut log = Log::new();
    log.allowed("alice", "Originate", &[("Channel", "PJSIP/1"), ("Application", "NoOp"), ("Data", "${EXTEN}")]);
    let draft = log.learn();
    assert_eq!(patterns(&draft.roles[0], "Originate", "Data"), [r"$\{EXTEN\}"]);
    assert_eq!(draft.roles[0].check.allowed, 1);
}

#[test]
fn a_hostile_channel_is_no_work() {
    let channels = (0..40).map(|n| format!("PJSIP/{}", format!("{}.", n % 4).repeat(100)));
    assert_eq!(learned("Originate", "Channel", channels).len(), 4);
    let digits = |n: u64| (0..60).map(|at| format!("{}.", (n.pow(3) >> (at % 20)) & 3)).collect::<String>();
    let channels = (0..40).map(|n| format!("PJSIP/{}", digits(n)));
    assert_eq!(learned("Originate", "Channel", channels).len(), 1);
}
