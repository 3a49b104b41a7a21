//! `set:`: what is put into an action that is forwarded.

use super::super::spec::{SetSpec, SetValueSpec};
use super::super::{Decision, Permit, Policy};
use crate::ami::{Action, Message};

use super::{Params, Role, act, client, decide, spanned, spec};

fn set(action: &str, params: &[(&str, SetValueSpec)]) -> SetSpec {
    let params = params.iter().map(|(name, value)| (spanned(name), value.clone())).collect();
    SetSpec { action: spanned(action), params }
}

fn text(text: &str) -> SetValueSpec {
    SetValueSpec::Text(spanned(text))
}

fn at_most(text: &str) -> SetValueSpec {
    SetValueSpec::AtMost(spanned(text))
}

fn variables(list: &[(&str, &str)]) -> SetValueSpec {
    SetValueSpec::Variables(list.iter().map(|(name, value)| (spanned(name), spanned(value))).collect())
}

fn role(sets: Vec<SetSpec>) -> Role {
    let mut role = Role::new("r").allow_bare("Originate").allow_bare("Ping");
    role.0.set = sets;
    role
}

fn sent(policy: &Policy, headers: Params<'_>) -> (String, Permit) {
    let Decision::Allow(permit) = decide(policy, act("Originate", headers)) else { panic!("denied") };
    (String::from_utf8_lossy(permit.action().message().lines()).into_owned(), permit)
}

fn problems(roles: Vec<Role>) -> Vec<String> {
    let names: Vec<String> = roles.iter().map(|role| role.0.name.text.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let compiled = Policy::compile(spec(roles, vec![client("alice", &names, &[("extension", "1001")])]));
    compiled.err().unwrap_or_default().into_iter().map(|problem| problem.message).collect()
}

fn originate(params: &[(&str, SetValueSpec)]) -> Policy {
    super::alice(role(vec![set("originate", params)]))
}

#[test]
fn a_text_takes_the_place_of_what_the_client_sent() {
    let policy = originate(&[("account", text("{identity}-{extension}"))]);
    let (bytes, permit) = sent(&policy, &[("ACCOUNT", "boss"), ("Channel", "PJSIP/1")]);
    assert_eq!(bytes, "Action: Originate\r\nActionID: x\r\nAccount: alice-1001\r\nChannel: PJSIP/1\r\n");
    assert_eq!(permit.set(), ["Account"]);
    assert_eq!(permit.into_action().get("Account"), Some(&b"boss"[..]), "what was judged can be judged again");
    let (bytes, _) = sent(&policy, &[("Channel", "PJSIP/1")]);
    assert!(bytes.contains("\r\nAccount: alice-1001\r\n"), "{bytes}");
    let Decision::Allow(ping) = decide(&policy, act("Ping", &[])) else { panic!("denied") };
    assert!(ping.set().is_empty(), "other actions stay as they are");
}

#[test]
fn a_timeout_is_never_longer_and_never_none() {
    let policy = originate(&[("Timeout", at_most("20000"))]);
    for (value, expected) in [("1000", "1000"), ("20000", "20000"), ("20001", "20000"), ("0", "20000")] {
        let (bytes, permit) = sent(&policy, &[("Channel", "PJSIP/1"), ("Timeout", value)]);
        assert!(bytes.contains(&format!("\r\nTimeout: {expected}\r\n")), "{value}: {bytes}");
        assert_eq!(permit.set().is_empty(), value == expected);
    }
    assert!(sent(&policy, &[("Channel", "PJSIP/1")]).0.contains("Timeout: 20000"), "Asterisk would wait 30 s");
    let longer = originate(&[("Timeout", at_most("60000"))]);
    assert!(!sent(&longer, &[("Channel", "PJSIP/1")]).0.contains("Timeout"), "Asterisk's 30 s are less");
}

#[test]
fn variables_take_the_place_of_those_of_their_names() {
    let policy = originate(&[("Variable", variables(&[("__wall_id", "{audit_id}"), ("who", "{identity}")]))]);
    let (bytes, _) =
        sent(&policy, &[("Variable", "a=1,wall_id=x,_who=y,b=2"), ("Channel", "PJSIP/1"), ("Variable", "__wall_id=z")]);
    let expected = "Action: Originate\r\nActionID: x\r\nVariable: __wall_id=0b007001-7.1,who=alice\r\nVariable: a=1,b=2\r\nChannel: PJSIP/1\r\n";
    assert_eq!(bytes, expected);
    let (bytes, _) = sent(&policy, &[("Channel", "PJSIP/1")]);
    assert!(bytes.contains("Variable: __wall_id="), "{bytes}");
}

#[test]
fn what_is_set_is_not_judged_and_what_is_sent_is() {
    let mut listed = Role::new("r").allow("Originate", &[("Channel", "PJSIP/1")]);
    listed.0.set = vec![set("Originate", &[("Account", text("x"))])];
    let policy = super::alice(listed);
    assert!(matches!(decide(&policy, act("Originate", &[("Channel", "PJSIP/1")])), Decision::Allow(_)));
    let with_account = act("Originate", &[("Channel", "PJSIP/1"), ("Account", "x")]);
    assert!(matches!(decide(&policy, with_account), Decision::Deny(_)), "setting is no leave to send");
}

#[test]
fn roles_that_agree_add_up_and_others_are_an_error() {
    let named = |name: &str, params: &[(&str, SetValueSpec)]| {
        let mut role = role(vec![set("Originate", params)]);
        role.0.name = spanned(name);
        role
    };
    let both = |a: &[(&str, SetValueSpec)], b: &[(&str, SetValueSpec)]| problems(vec![named("a", a), named("b", b)]);
    assert_eq!(both(&[("Timeout", at_most("2000"))], &[("Timeout", at_most("1000"))]), [""; 0]);
    assert_eq!(both(&[("Account", text("x"))], &[("Account", text("x")), ("Async", text("true"))]), [""; 0]);
    assert_eq!(
        both(&[("Account", text("x"))], &[("Account", text("y"))]),
        ["another role sets `Account` to something else"]
    );
    assert_eq!(
        both(&[("Variable", variables(&[("a", "1")]))], &[("Variable", variables(&[("a", "2")]))]),
        ["another role sets the variable `a` to something else"]
    );
}

#[test]
fn a_variable_stays_the_one_that_was_judged_when_another_before_it_goes() {
    // ` secret` is not `secret`, which the rule denies; at the start of a header Asterisk would take it for that.
    let policy = originate(&[("Variable", variables(&[("campaign", "ours")]))]);
    for (list, expected) in [
        ("campaign=x, secret=1", ", secret=1"),
        ("campaign=x,_campaign=y, secret=1,b=2", ", secret=1,b=2"),
        ("a=1, secret=1,campaign=x", "a=1, secret=1"),
        ("campaign=x,secret=1", "secret=1"),
    ] {
        let (bytes, _) = sent(&policy, &[("Variable", list)]);
        let expected =
            format!("Action: Originate\r\nActionID: x\r\nVariable: campaign=ours\r\nVariable: {expected}\r\n");
        assert_eq!(bytes, expected);
    }
}

#[test]
fn what_cannot_be_set_is_told() {
    for (params, expected) in [
        (("Acount", text("x")), "`Originate` has no parameter `Acount`"),
        (("Account", text("{nothing}")), "an identity with this role lacks the attribute `nothing`"),
        (("Account", text("{identity")), "a `{` without its `}`"),
        (("Account", text("a\nb")), "this cannot be a header's value"),
        (("Account", text("")), "this cannot be a header's value"),
        (("Data", text("${x}")), "an identity with this role lacks the attribute `x`"),
        (("Timeout", at_most("0")), "`0` is no such number"),
        (("Account", at_most("1")), "`Account` is set to a text"),
        (("Variable", text("a=1")), "`Variable` is a list of variables: write their names and values"),
        (("Variable", variables(&[("f(x)", "1")])), "`f(x)` is no name for a variable"),
        (("Variable", variables(&[("x", "1,y=2")])), "Asterisk would split or expand this value"),
    ] {
        let told = problems(vec![role(vec![set("Originate", &[params])])]);
        assert_eq!(told, [expected]);
    }
    assert_eq!(problems(vec![role(vec![set("Orignate", &[])])]), ["Asterisk has no action `Orignate`"]);
    assert_eq!(
        problems(vec![role(vec![set("Events", &[])])]),
        ["`Events` is answered by amiwall; nothing of it is forwarded"]
    );
}

#[test]
fn a_header_that_is_set_fits_into_a_line() {
    // "Variable: A0=" and three more of them with the commas between.
    let lengths = [250, 250, 250, 250];
    let list = |last: usize| -> Vec<(String, String)> {
        let lengths = lengths.iter().take(3).copied().chain([last]);
        lengths.enumerate().map(|(n, len)| (format!("A{n}"), "x".repeat(len))).collect()
    };
    let variables_of = |list: &[(String, String)]| {
        let list: Vec<(&str, &str)> = list.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        variables(&list)
    };
    let longest = 1_022 - "Variable: ".len() - 4 * "A0=".len() - 3 - 750;
    let policy = originate(&[("Variable", variables_of(&list(longest)))]);
    let (bytes, _) = sent(&policy, &[("Channel", "PJSIP/1")]);
    assert_eq!(bytes.lines().map(str::len).max(), Some(1_022));
    let told = "`Variable` with all that is set is longer than a line of Asterisk's (1022 bytes)";
    let set = |list: &[(String, String)]| vec![set("Originate", &[("Variable", variables_of(list))])];
    assert_eq!(problems(vec![role(set(&list(longest + 1)))]), [told]);
    let mut other = role(set(&list(longest)[3..]));
    other.0.name = spanned("other");
    assert_eq!(problems(vec![role(set(&list(longest)[..3])), other]), [""; 0]);
    let mut other = role(set(&[("B".to_owned(), "x".repeat(longest + 2))]));
    other.0.name = spanned("other");
    assert_eq!(problems(vec![role(set(&list(longest)[..3])), other]), [told], "two roles together");
}

#[test]
fn what_is_added_makes_no_packet_longer_than_asterisk_reads() {
    let set = set("Originate", &[("Account", text("a")), ("Timeout", at_most("1000"))]);
    let concurrent = crate::policy::spec::LimitSpec {
        action: spanned("Originate"),
        concurrent: Some(spanned("2")),
        ..Default::default()
    };
    let outcome = |role: Role, id: Option<&str>, lines: usize| {
        let mut headers = vec![("Action", &b"Originate"[..]), ("Channel", b"PJSIP/1")];
        headers.extend(id.map(|id| ("ActionID", id.as_bytes())));
        headers.resize(lines, ("Variable", b"a=1"));
        let action = Action::try_from(Message::compose(&headers)).expect("an action");
        match decide(&super::alice(role), action) {
            Decision::Allow(permit) => format!("{} lines", permit.action().message().len()),
            Decision::Deny(denial) => format!("{}: {}", denial.reason().code(), denial.message()),
        }
    };
    let refused = "message.too-many-lines: Too many lines in message or allocation failure";
    let plain = || role(Vec::new());
    assert_eq!(outcome(plain(), Some("x"), 128), "128 lines");
    assert_eq!(outcome(plain(), None, 128), refused, "amiwall's own ActionID");
    assert_eq!(outcome(role(vec![set.clone()]), Some("x"), 126), "128 lines");
    assert_eq!(outcome(role(vec![set]), Some("x"), 127), refused);
    let counted = |lines| {
        let mut role = plain();
        role.0.limits = vec![concurrent.clone()];
        outcome(role, Some("x"), lines)
    };
    assert_eq!(counted(126), "126 lines", "and the two ids of the call");
    assert_eq!(counted(127), refused);
}
