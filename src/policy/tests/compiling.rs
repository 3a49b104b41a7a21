//! What is wrong with a policy is said at once and in full, or there is no policy.

use std::sync::Arc;

use super::super::{Decision, Policy};
use super::{Role, act, client, problems, rule, spanned, spec};
use crate::identity::ClientName;
use crate::policy::spec::{PolicySpec, ValueSpec};

#[track_caller]
fn check_errors(spec: PolicySpec, expected: &[&str]) {
    let errors = Policy::compile(spec).expect_err("errors");
    let messages: Vec<&str> = errors.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages.len(), expected.len(), "{messages:#?}");
    for part in expected {
        assert!(messages.iter().any(|message| message.contains(part)), "`{part}` in {messages:#?}");
    }
}

#[track_caller]
fn check_error(role: Role, part: &str) {
    let name = role.0.name.text.clone();
    check_errors(spec(vec![role], vec![client("alice", &[&name], &[])]), &[part]);
}

#[test]
fn all_problems_are_reported_at_once() {
    let roles = vec![
        Role::new("a").include("nobody").allow("Originate", &[("Channel", "{x}"), ("Exten", "_sip")]),
        Role::new("b").allow_bare("Orginate"),
        Role::new("b"),
    ];
    let clients = vec![
        client("alice", &["a", "bb"], &[]),
        client("Alice", &["a"], &[("x", "y/z")]),
        client("bad/name", &[], &[]),
    ];
    let expected = [
        "there is no role `nobody`",
        "identity `alice` lacks the attribute `x`",
        "`s` has no meaning",
        "no action `Orginate`",
        "role `b` stands twice",
        "there is no role `bb`",
        "differ only in case",
        "the attribute `x` of `Alice` has a value",
        "`bad/name` is no name",
    ];
    check_errors(spec(roles, clients), &expected);
}

#[test]
fn helps_name_what_was_probably_meant() {
    let errors = problems(Role::new("r").allow_bare("Orginate")).expect_err("an error");
    assert_eq!(errors[0].help.as_deref(), Some("did you mean `Originate`?"));
    assert_eq!((errors[0].at.line, errors[0].at.column), (7, 3));
}

#[test]
fn attributes_that_a_rule_needs_are_there_and_not_empty() {
    let with = |attributes: &[(&str, &str)]| {
        let role = Role::new("r").allow("QueueStatus", &[("Queue", "{queue}-{identity}")]);
        spec(vec![role], vec![client("alice", &["r"], attributes)])
    };
    check_errors(with(&[]), &["lacks the attribute `queue`"]);
    check_errors(with(&[("queue", "")]), &["lacks the attribute `queue`"]);
    check_errors(with(&[("Queue", "sales")]), &["lacks the attribute `queue`"]);
    check_errors(with(&[("queue", "a"), ("identity", "bob")]), &["`identity` is no name for an attribute"]);
    let policy = Policy::compile(with(&[("queue", "sales"), ("unused", "")])).expect("a policy").0;
    super::check(&policy, "QueueStatus", &[("Queue", "sales-alice")], "allow");
}

#[test]
fn attributes_are_each_identitys_own() {
    let role = Role::new("r").allow("QueueStatus", &[("Queue", "{queue}")]).allow_bare("Ping");
    let clients = vec![client("alice", &["r"], &[("queue", "a")]), client("bob", &["r"], &[("queue", "b")])];
    let policy = Policy::compile(spec(vec![role], clients)).expect("a policy").0;
    super::check(&policy, "QueueStatus", &[("Queue", "a")], "allow");
    super::check(&policy, "QueueStatus", &[("Queue", "b")], "params.Queue");
    super::check(&policy, "Ping", &[], "allow");
}

#[test]
fn roles_do_not_include_each_other() {
    let roles = || vec![Role::new("a").include("b"), Role::new("b").include("c"), Role::new("c").include("b")];
    check_errors(spec(roles(), vec![client("alice", &["a"], &[])]), &["roles include each other: b → c → b"]);
    check_error(Role::new("r").include("r"), "r → r");
}

/// `r0` includes `r1` and so on, as many times as `count`; in a circle or not.
fn chain(count: usize, last: Option<usize>) -> Vec<Role> {
    let role = |number: usize| Role::new(&format!("r{number}"));
    let mut roles: Vec<Role> = (0..count).map(|number| role(number).include(&format!("r{}", number + 1))).collect();
    roles.push(last.iter().fold(role(count), |role, back_to| role.include(&format!("r{back_to}"))));
    roles
}

#[test]
fn a_long_way_through_roles_is_an_error_and_no_overflow() {
    let all = || vec![client("alice", &["r0"], &[])];
    assert!(Policy::compile(spec(chain(16, None), all())).is_ok());
    check_errors(spec(chain(17, None), all()), &["more than 16 deep"]);
    check_errors(spec(chain(20_000, None), all()), &["more than 16 deep"]);
    let mut backwards = chain(20_000, None);
    backwards.reverse();
    check_errors(spec(backwards, all()), &["more than 16 deep"]);
    let way = "r0 → r1 → r2 → r3 → r4 → r5 → … → r19996 → r19997 → r19998 → r19999 → r20000 → r0";
    check_errors(spec(chain(20_000, Some(0)), all()), &[way, "more than 16 deep"]);
}

#[test]
fn a_role_may_be_included_on_many_ways() {
    let wide = (0..300).fold(Role::new("wide"), |role, number| role.include(&format!("r{number}")));
    let mut roles: Vec<Role> =
        (0..300).map(|number| Role::new(&format!("r{number}")).include("last").include("last")).collect();
    roles.extend([wide, Role::new("last").allow_bare("Ping")]);
    let policy = Policy::compile(spec(roles, vec![client("alice", &["wide"], &[])])).expect("a policy").0;
    super::check(&policy, "Ping", &[], "allow");
}

#[test]
fn names_of_parameters_are_looked_at() {
    check_error(Role::new("r").allow("QueueAdd", &[("Queue", "a"), ("queue?", "b")]), "stands twice");
    check_error(Role::new("r").deny("QueueAdd", &[("Queue?", "a")]), "makes no sense in a deny rule");
    check_error(Role::new("r").deny("Originate", &[("Extn", "1")]), "`Originate` has no parameter `Extn`");
    check_error(Role::new("r").allow("Ping", &[("ActionID", "1")]), "always free");
    check_error(Role::new("r").allow("SiteThing", &[("a b", "1")]), "not the name of a parameter");
    check_error(Role::new("r").allow("Originate", &[("Extn", "1")]), "`Originate` has no parameter `Extn`");
    let warnings = problems(Role::new("r").allow("Originate", &[("Extn?", "1")])).expect("a policy");
    assert_eq!((warnings.len(), warnings[0].help.as_deref()), (1, Some("did you mean `Exten`?")));
}

#[test]
fn patterns_are_looked_at() {
    check_error(Role::new("r").allow("QueueAdd", &[("Queue", "{")]), "enclose the name of an attribute");
    check_error(Role::new("r").allow("QueueAdd", &[("Queue", "")]), "the pattern is empty");
    check_error(Role::new("r").deny("Originate", &[("Exten", "_X.1")]), "nothing may follow");
    check_error(Role::new("r").allow("Originate", &[("Variable", "a=*")]), "`Variable` holds a list");
    check_error(Role::new("r").allow("QueueAdd", &[("Queue.x", "1")]), "only a list of variables has a map");
    check_error(Role::new("r").allow("Originate", &[("Variable.lead?", "*")]), "not the name of a variable");
    let mut role = Role::new("r");
    let mut empty = rule("QueueAdd", Some(&[("Queue", "x")]));
    empty.params = Some(vec![(spanned("Queue"), ValueSpec::AnyOf(Vec::new()))]);
    role.0.allow.push(empty);
    check_error(role, "an empty list matches nothing");
    let warnings = problems(Role::new("r").deny("Originate", &[("Exten", "9*")])).expect("a policy");
    assert!(warnings[0].message.contains("is a key of the phone"));
}

#[test]
fn a_declared_action_is_one_like_others() {
    let declare = |name: &str, params: &[(&str, &str)]| {
        let params = params.iter().map(|(name, kind)| (spanned(name), spanned(kind))).collect();
        vec![crate::policy::spec::ActionSpec { name: spanned(name), params }]
    };
    let compiled = |role: Role, actions| {
        let mut spec = spec(vec![role], vec![client("alice", &["r"], &[])]);
        spec.actions = actions;
        Policy::compile(spec)
    };
    let ucm = || declare("UcmDial", &[("Channel", "text"), ("Number", "dialable")]);
    let (policy, warnings) = compiled(Role::new("r").allow_bare("ucmdial"), ucm()).expect("a policy");
    assert!(warnings.is_empty(), "{warnings:?}");
    super::check(&policy, "UcmDial", &[("Channel", "a"), ("Number", "123"), ("Other", "x")], "allow");
    super::check(&policy, "UcmDial", &[("Number", "1x")], "params.Number");
    let role = Role::new("r").allow("UcmDial", &[("Number", "_1X")]);
    super::check(&compiled(role, ucm()).expect("a policy").0, "UcmDial", &[("Number", "12"), ("Other", "x")], "allow");
    let typing_error = compiled(Role::new("r").deny("UcmDial", &[("Numbr", "1")]), ucm()).expect_err("a problem");
    assert_eq!(typing_error[0].message, "`UcmDial` has no parameter `Numbr`");
    for (actions, message) in [
        (declare("Ping", &[]), "the action `Ping` is known already"),
        (declare("a b", &[]), "the action `a b` and its parameters have letters, digits, `-` and `_` only"),
        (declare("X", &[("A", "number")]), "`number` is no kind of the parameter `A`"),
    ] {
        assert_eq!(compiled(Role::new("r"), actions).expect_err("a problem")[0].message, message);
    }
}

#[test]
fn patterns_of_other_languages_are_told() {
    let warnings = |name, text| problems(Role::new("r").allow("Originate", &[(name, text)])).expect("a policy");
    for (name, text) in [
        ("Exten", "1900."),
        ("Exten", "NXXNXXXXXX"),
        ("Exten", "[2-9]XX"),
        ("Context", "_X."),
        ("Context", "from-.*"),
        ("Channel", "PJSIP/XXXX"),
        ("Channel", "PJSIP/[0-9][0-9]"),
        ("Context", "^internal"),
    ] {
        assert_eq!(warnings(name, text).len(), 1, "{name}: {text}");
    }
    for (name, text) in [
        ("Exten", "_1900."),
        ("Exten", "1900"),
        ("Exten", "agents"),
        ("Exten", "*98"),
        ("Context", "_internal"),
        ("Context", "from-internal"),
        ("Channel", "PJSIP/1???"),
        ("Channel", "PJSIP/{extension}"),
    ] {
        let role = Role::new("r").allow("Originate", &[(name, text)]);
        let compiled = Policy::compile(spec(vec![role], vec![client("alice", &["r"], &[("extension", "1")])]));
        assert!(compiled.expect("a policy").1.is_empty(), "{name}: {text}");
    }
}

#[test]
fn a_typing_error_that_would_take_a_wall_away_is_an_error() {
    check_error(Role::new("r").allow_bare("Originate").deny_bare("Orginate"), "Asterisk has no action `Orginate`");
    let mut limited = Role::new("r").allow_bare("Originate");
    limited.0.limits = vec![crate::policy::spec::LimitSpec {
        action: spanned("orginate"),
        rate: Some(spanned("1/minute")),
        ..Default::default()
    }];
    check_error(limited, "Asterisk has no action `orginate`");
}

#[test]
fn what_has_no_effect_is_worth_a_warning() {
    for action in ["Events", "Logoff", "Filter"] {
        assert_eq!(problems(Role::new("r").allow_bare(action)).expect("a policy").len(), 1, "{action}");
    }
    assert_eq!(problems(Role::new("r").deny_bare("SiteThing")).expect("a policy").len(), 1);
    assert_eq!(problems(Role::new("r").allow("SiteThing", &[("A", "1")])).expect("a policy").len(), 1);
    assert!(problems(Role::new("r").allow_bare("Ping")).expect("a policy").is_empty());
}

#[test]
fn a_misspelt_action_is_told_with_what_was_meant_and_without_what_follows() {
    let compiled = |role: Role| Policy::compile(spec(vec![role], vec![client("alice", &["r"], &[])]));
    let told = |role: Role| {
        let problems = match compiled(role) {
            Ok((_, warnings)) => warnings,
            Err(errors) => errors,
        };
        problems.into_iter().map(|one| (one.message, one.help.unwrap_or_default())).collect::<Vec<_>>()
    };
    let meant = |action: &str, meant: &str| {
        vec![(format!("Asterisk has no action `{action}`"), format!("did you mean `{meant}`?"))]
    };
    assert_eq!(told(Role::new("r").allow_bare("Pnig")), meant("Pnig", "Ping"));
    let number = [("Exten", "_0XXXXXXXXX")];
    assert_eq!(told(Role::new("r").allow("Orignate", &number)), meant("Orignate", "Originate"));
    let both = Role::new("r").allow("Orignate", &number).deny("Originate", &[("Exten", "_00.")]);
    assert_eq!(told(both), meant("Orignate", "Originate"));
}

#[test]
fn a_regular_expression_is_called_so() {
    for (name, text) in [("Exten", "^0[0-9]{9}$"), ("Exten", "0[0-9]{2,4}"), ("Context", "^c[0-9]{3}")] {
        let role = Role::new("r").allow("Originate", &[(name, text)]);
        let problems = Policy::compile(spec(vec![role], vec![client("alice", &["r"], &[])])).expect_err("errors");
        let told: Vec<&str> = problems.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(told, [format!("`{text}` is a regular expression, which no pattern is")]);
    }
    let warned = problems(Role::new("r").allow("Originate", &[("Exten", "^0[0-9]+$")])).expect("a policy");
    assert!(warned.iter().any(|one| one.message.contains("no regular expression")), "{warned:?}");
}

#[test]
fn identities_share_what_has_no_attribute_in_it() {
    let call = [("Channel", "PJSIP/{extension}"), ("Context", "out"), ("Variable?.{extension}", "1")];
    let clients = [client("alice", &["r"], &[("extension", "1")]), client("bob", &["r"], &[("extension", "2")])];
    let policy =
        Policy::compile(spec(vec![Role::new("r").allow("Originate", &call)], clients.to_vec())).expect("a policy").0;
    let of = |name: &str| policy.clients[name].actions["originate"].allow[0].params.clone().expect("parameters");
    let is_shared: Vec<_> = of("alice").iter().zip(&of("bob")).map(|(one, other)| Arc::ptr_eq(one, other)).collect();
    assert_eq!(is_shared, [false, true, false]);
    for (name, own, other) in [("alice", "1", "2"), ("bob", "2", "1")] {
        let is_allowed = |channel: &str, variable: &str| {
            let (channel, variable) = (format!("PJSIP/{channel}"), format!("{variable}=1"));
            let call = act("Originate", &[("Channel", &channel), ("Context", "out"), ("Variable", &variable)]);
            matches!(policy.decide(&ClientName::for_explain(name), call, "1-1.1"), Decision::Allow(_))
        };
        assert!(is_allowed(own, own) && !is_allowed(other, own) && !is_allowed(own, other), "{name}");
    }
}
