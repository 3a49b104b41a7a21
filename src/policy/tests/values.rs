//! How values are read: what is dialled, variables, functions, lengths, channels, caller ids, commands.

use super::super::Policy;
use super::{Role, act, alice, check, check_values, is_by_deny};

fn originate(params: super::Params<'_>) -> Policy {
    alice(Role::new("r").allow("Originate", params))
}

fn any_originate() -> Policy {
    alice(Role::new("r").allow_bare("Originate"))
}

fn denying(params: super::Params<'_>) -> Policy {
    alice(Role::new("r").allow_bare("Originate").deny("Originate", params))
}

#[test]
fn allow_compares_with_case_and_deny_without() {
    let policy = originate(&[("Context", "Internal")]);
    check_values(&policy, "Originate", "Context", &["Internal"], &["internal", "INTERNAL", "Internal2"]);
    assert!(is_by_deny(&denying(&[("Context", "Internal")]), act("Originate", &[("Context", "iNTERNAL")])));
}

#[test]
fn what_is_dialled_is_only_what_it_looks_like() {
    let odd = ["1-900", "1 900", "s", "conf-1", "1900@x", "1900&1901", "\u{661}"];
    check_values(&any_originate(), "Originate", "Exten", &["1900", "*98#", "+1a"], &odd);
    check_values(&originate(&[("Exten", "**")]), "Originate", "Exten", &["1900"], &odd);
    check_values(&originate(&[("Exten", "s|1-900")]), "Originate", "Exten", &["s", "1-900"], &["S", "i", "1900"]);
    let named = originate(&[("Exten", "conf-**")]);
    check_values(&named, "Originate", "Exten", &["conf-1", "conf-"], &["conf", "conf-1@x", "conf-1 2", "1"]);
    let redirect = alice(Role::new("r").allow_bare("Redirect"));
    check_values(&redirect, "Redirect", "ExtraExten", &["1900"], &["1-900"]);
}

#[test]
fn a_deny_sees_through_the_dashes_that_asterisk_skips() {
    let role = Role::new("r").allow("Originate", &[("Exten", "1-900-5")]).deny("Originate", &[("Exten", "_1900.")]);
    assert!(is_by_deny(&alice(role), act("Originate", &[("Exten", "1-900-5")])));
}

#[test]
fn a_deny_sees_other_spellings_of_booleans_and_numbers() {
    assert!(is_by_deny(&denying(&[("Async", "true")]), act("Originate", &[("Async", "On")])));
    assert!(is_by_deny(&denying(&[("Async", "false")]), act("Originate", &[("Async", "anything")])));
    assert!(is_by_deny(&denying(&[("Priority", "1")]), act("Originate", &[("Priority", "001")])));
    assert!(!is_by_deny(&denying(&[("Async", "true")]), act("Originate", &[("Async", "no")])));
}

#[test]
fn over_long_values_are_refused_under_every_allow() {
    let policy = any_originate();
    for (name, kept) in [
        ("Channel", 255),
        ("CallerID", 255),
        ("Exten", 79),
        ("Context", 79),
        ("ChannelId", 149),
        ("OtherChannelId", 149),
    ] {
        check_values(&policy, "Originate", name, &[&"1".repeat(kept)], &[&"1".repeat(kept + 1)]);
    }
    let long = "1".repeat(80);
    check_values(&originate(&[("Exten", &long)]), "Originate", "Exten", &[], &[&long]);
}

#[test]
fn priorities_and_timeouts_are_whole() {
    let policy = any_originate();
    check_values(&policy, "Originate", "Priority", &["1", "start"], &["1abc", "-1", "1 2"]);
    check_values(&policy, "Originate", "Timeout", &["30000"], &["5x", "-5", "0x5", "99999999999"]);
    check_values(&originate(&[("Timeout", "**")]), "Originate", "Timeout", &["1"], &["1x"]);
}

#[test]
fn local_channels_are_read_as_asterisk_reads_them() {
    let long = format!("Local/{}@internal", "9".repeat(80));
    let unclear = ["Local/911@outbound@internal", "Local/1@a/x@internal", "Local/1@a/n/n", "Local/@a", &long];
    check_values(&any_originate(), "Originate", "Channel", &["Local/1", "local/1@a/n", "PJSIP/a/sip:b@c"], &unclear);
    let internal = originate(&[("Channel", "Local/**@internal")]);
    check_values(&internal, "Originate", "Channel", &["Local/1@internal"], &unclear);
    check_values(&originate(&[("Channel", "Local/*@a")]), "Originate", "Channel", &["Local/1@a"], &["Local/1@a/n"]);
    let queue = alice(Role::new("r").allow_bare("QueueAdd"));
    check_values(&queue, "QueueAdd", "Interface", &["Local/1@a/n"], &["Local/1@a@b"]);
}

#[test]
fn a_deny_sees_other_spellings_of_local_channels() {
    let denied = |rule, channel| is_by_deny(&denying(&[("Channel", rule)]), act("Originate", &[("Channel", channel)]));
    assert!(denied("Local/*@outbound", "lOcAl/1@OUTBOUND/n"));
    assert!(denied("Local/*@default", "Local/1"));
    assert!(denied("Local/1900*@x", "Local/1-900-5@x/n"));
    assert!(denied("Local/*@*/n", "Local/1/n"));
    assert!(!denied("Local/*@outbound", "Local/1@internal") && !denied("Local/**", "PJSIP/1"));
}

#[test]
fn a_deny_of_a_channel_sees_regular_expressions() {
    let policy = alice(Role::new("r").allow_bare("Hangup").deny("Hangup", &[("Channel", "PJSIP/boss-*")]));
    assert!(is_by_deny(&policy, act("Hangup", &[("Channel", "/^PJSIP/")])));
    check(&policy, "Hangup", &[("Channel", "PJSIP/alice-1")], "allow");
}

#[test]
fn caller_ids_are_judged_by_name_and_number() {
    let policy = originate(&[("CallerID", "{name} <{extension}>")]);
    let good = ["Alice Smith <1001>", "\"Alice Smith\" <1001>"];
    check_values(&policy, "Originate", "CallerID", &good, &["Alice Smith <911>", "Bob <1001>", "1001", "a <1> <1001>"]);
    let typed = originate(&[("CallerID", "callerid")]);
    check_values(&typed, "Originate", "CallerID", &["Bob <911>", "911"], &["Bob <sip:x>", "a < b"]);
    assert!(is_by_deny(&denying(&[("CallerID", "* <911>")]), act("Originate", &[("CallerID", "X <9-1-1>")])));
}

#[test]
fn a_list_of_variables_is_complete_and_its_names_optional() {
    let policy = originate(&[("Channel?", "*"), ("Variable?.campaign_id", "*"), ("Variable?.lead", "a|b")]);
    let good = ["campaign_id=7", "lead=a,campaign_id=", "lead=a,lead=b"];
    let bad = [
        "lead=c",
        "lead=a,lead=c",
        "Lead=a",
        "_lead=a",
        "campaign_id=a b",
        "other=1",
        "lead=a,other=1",
        "lead",
        "lead=a,",
        "lead=a,lead=\"a\"",
        "lead=\\a",
        "lead=(a",
    ];
    check_values(&policy, "Originate", "Variable", &good, &bad);
    check(&policy, "Originate", &[], "allow");
    check(&policy, "Originate", &[("Variable", "lead=a"), ("Variable", "lead=b")], "allow");
    check(&policy, "Originate", &[("Variable", "lead=a"), ("Variable", "other=b")], "params.Variable");
    check(&policy, "Originate", &[("Variable", ""), ("Variable", "other=b")], "params.Variable");
    check(&policy, "Originate", &[("Variable", ""), ("Variable", "lead=b")], "allow");
}

#[test]
fn long_lists_of_variables_are_refused() {
    let list = |count| vec!["a=1"; count].join(",");
    check_values(&any_originate(), "Originate", "Variable", &[&list(63)], &[&list(64)]);
}

#[test]
fn functions_and_expansions_need_their_exact_text() {
    let policy = any_originate();
    check_values(
        &policy,
        "Originate",
        "Variable",
        &["a=(1)", "a=1,b=2"],
        &["F(x)=1", "a=${b}", "a=$[1+1]", "G(a,b)=1"],
    );
    check_values(&policy, "Originate", "Data", &["a(b)"], &["${x}", "$[1]", "a${x}b"]);
    let getvar = alice(Role::new("r").allow_bare("Getvar").allow("Getvar", &[("Variable", "CHANNEL(state)|**")]));
    check_values(
        &getvar,
        "Getvar",
        "Variable",
        &["a", "CHANNEL(state)"],
        &["CHANNEL(name)", "F(x)", "${a}", "channel(state)"],
    );
    let setvar = alice(Role::new("r").allow_bare("Setvar"));
    check_values(&setvar, "Setvar", "Variable", &["a"], &["F(x)"]);
    let status = alice(Role::new("r").allow_bare("Status").allow("Status", &[("Variables", "a|b|F(x,y)")]));
    check_values(&status, "Status", "Variables", &["a,c", "a,F(x,y)"], &["F(x)", "c,F(x,y)", "a,\"b\"", "a,,b"]);
    let exact = originate(&[("Variable?.F(x)", "1|${y}".replace("{y}", r"\{y\}").as_str()), ("Data?", r"$\{x\}|**")]);
    check_values(&exact, "Originate", "Variable", &["F(x)=1", "F(x)=${y}"], &["F(x)=${z}", "F(y)=1"]);
    check_values(&exact, "Originate", "Data", &["${x}", "y"], &["${y}"]);
}

#[test]
fn a_deny_of_a_variable_sees_what_is_inherited() {
    let policy = denying(&[("Variable.x", "**")]);
    let denied = |list| is_by_deny(&policy, act("Originate", &[("Variable", "a=1"), ("Variable", list)]));
    assert!(denied("x=1") && denied("X=1") && denied("b=1,_x=") && denied("__x=1"));
    assert!(!denied("y=1") && !denied("___x=1"));
    let setvar = alice(Role::new("r").allow_bare("Setvar").deny("Setvar", &[("Variable", "x")]));
    assert!(is_by_deny(&setvar, act("Setvar", &[("Variable", "__X")])));
    let status = alice(Role::new("r").allow_bare("Status").deny("Status", &[("Variables", "x*")]));
    assert!(is_by_deny(&status, act("Status", &[("Variables", "a,xyz")])));
}

#[test]
fn commands_are_compared_in_words() {
    let policy = alice(
        Role::new("r")
            .allow("Command", &[("Command", "core show channels|queue show *|pjsip show endpoints|core show **")])
            .deny("Command", &[("Command", "core show settings")]),
    );
    let good = ["core show channels", " CORE  show   Channels", "queue show sales", "core show hints x"];
    let bad =
        ["queue show", "queue show a b", "core stop now", "\"queue\" show a", "queue\\ show a", "queue show ${x}"];
    // Leading blanks are gone before a value is judged; the decoder's tests show it.
    check_values(&policy, "Command", "Command", &good, &bad);
    assert!(is_by_deny(&policy, act("Command", &[("Command", "Core show  settings x")])));
    let any = alice(Role::new("r").allow_bare("Command"));
    check_values(&any, "Command", "Command", &["anything at all"], &["a \"b\"", "a\\b", "${x}"]);
    let many = |count| vec!["x"; count].join(" ");
    check_values(&any, "Command", "Command", &[&many(63)], &[&many(64)]);
}
