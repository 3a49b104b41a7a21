//! `amiwall explain`.

use super::{POLICY, Ran, amiwall, folder};

fn explain(args: &[&str], packet: &str) -> Ran {
    let folder = folder(&[("crm.yaml", POLICY)]);
    amiwall(folder.path(), &[&["explain", "crm.yaml", "--as", "carla"], args].concat(), packet)
}

const CALL: &str = "Action: Originate\r\nChannel: PJSIP/1001\r\nContext: out\r\nExten: 2345678\r\nPriority: 1\r\n";

#[test]
fn explain_tells_the_rule_that_allows_and_what_is_removed() {
    let ran = explain(&["--from", "10.1.2.3"], &format!("{CALL}id: 7\r\n\r\n"));
    assert_eq!(
        ran.stdout,
        "allowed: carla may send this Originate
  --> crm.yaml:11 roles.crm.allow[1]
   |
11 |       - Originate:
   |
removed before judging, since Asterisk does not know them: id

rules about this action:
  roles.crm.deny[0] crm.yaml:17: does not fire
      Exten `2345678` is not what the rule says (crm.yaml:17)
  roles.crm.allow[1] crm.yaml:11: decides
"
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn explain_tells_the_deny_that_wins_and_the_allow_that_lost() {
    let call = CALL.replace("2345678", "9110000").replace("\r\n", "\n");
    let ran = explain(&[], &call);
    assert_eq!(
        ran.stdout,
        "denied: a deny rule names this Exten (params.Exten)
  --> crm.yaml:17 roles.crm.deny[0]
   |
17 |       - Originate: { Exten: _911. }
   |
the client is told: Permission denied

rules about this action:
  roles.crm.deny[0] crm.yaml:17: decides
  roles.crm.allow[1] crm.yaml:11: would allow it, but a deny wins
"
    );
    assert_eq!(ran.code, Some(3));
}

#[test]
fn explain_tells_everything_that_does_not_fit() {
    let ran =
        explain(&[], "Action: originate\nChannel: SIP/1001\nContext: out\nExten: 2345678\nApplication: System\n\n");
    assert_eq!(
        ran.stdout,
        "denied: no rule allows it with this Channel (params.Channel)
the client is told: Permission denied

rules about this action:
  roles.crm.deny[0] crm.yaml:17: does not fire
      Exten `2345678` is not what the rule says (crm.yaml:17)
  roles.crm.allow[1] crm.yaml:11: does not fit
      Channel `SIP/1001` is not what the rule says (crm.yaml:12); to allow it: \"SIP/1001\" beside what is there
      Application `System` is not on the rule's list of parameters; to allow it: \"Application?\": \"System\"
      Priority is missing (crm.yaml:15); for what may be without it: \"Priority?\"
"
    );
}

#[test]
fn explain_tells_what_no_rule_could_allow() {
    let long = "9".repeat(300);
    let ran = explain(&[], &format!("Action: Originate\nChannel: {long}\n\n"));
    assert!(
        ran.stdout.contains("no rule can allow this Channel: it is longer than what Asterisk keeps"),
        "{}",
        ran.stdout
    );
    let ran = explain(&[], "Action: Ping\nPing : x\n\n");
    assert!(ran.stdout.starts_with("refused, whoever sends it: message."), "{}", ran.stdout);
    let ran = explain(&[], "Action: Hangup\nChannel: x\n\n");
    assert!(ran.stdout.starts_with("denied: no rule of the identity's roles allows this action (actions.unlisted)"));
}

#[test]
fn explain_takes_several_packets_and_events() {
    let ran = explain(&["--format", "json"], &format!("{CALL}\r\nAction: Ping\r\n\r\nAction: Hangup\r\n\r\n"));
    let value: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let decisions: Vec<_> = value["packets"].as_array().expect("packets").iter().map(|p| &p["decision"]).collect();
    assert_eq!(decisions, ["allow", "allow", "deny"]);
    assert_eq!(value["packets"][0]["considered"][1]["verdict"], "decides");
    assert_eq!(ran.code, Some(3));
    let ran =
        explain(&["--events"], "Event: Newchannel\nPrivilege: call,all\n\nEvent: VarSet\nPrivilege: dialplan,all\n");
    assert_eq!(
        ran.stdout,
        "carla sees\n  Event: Newchannel\n  Privilege: call,all\n\n\ncarla does not see this: no `events.allow` of its roles has `VarSet`, or all of its classes\n"
    );
}

#[test]
fn an_event_that_is_withheld_has_a_reason() {
    let events = "events: { allow: [call], deny: [VarSet, dialplan], where: { Channel: \"PJSIP/{extension}-*\" } }";
    let folder = folder(&[("crm.yaml", &POLICY.replace("events: { allow: [call] }", events))]);
    let explain = |args: &[&str], packet: &str| {
        amiwall(folder.path(), &[&["explain", "crm.yaml", "--as", "carla", "--events"], args].concat(), packet).stdout
    };
    for (packet, why) in [
        ("Event: VarSet\nPrivilege: call,all\nChannel: PJSIP/1001-1\n", "`VarSet` is in roles.crm.events.deny"),
        ("Event: Newexten\nPrivilege: dialplan,all\n", "`dialplan` is in roles.crm.events.deny"),
        (
            "Event: Newchannel\nPrivilege: call,all\nChannel: PJSIP/1002-1\n",
            "it is about none of what roles.crm.events.where names",
        ),
    ] {
        assert_eq!(explain(&[], packet), format!("carla does not see this: {why} (crm.yaml:18)\n"));
        let value: serde_json::Value = serde_json::from_str(&explain(&["--format", "json"], packet)).expect("JSON");
        assert_eq!((&value["packets"][0]["why"], &value["packets"][0]["line"]), (&why.into(), &18.into()));
    }
    let seen = explain(&[], "Event: Newchannel\nPrivilege: call,all\nChannel: PJSIP/1001-1\n");
    assert!(seen.starts_with("carla sees\n"), "{seen}");
}

/// As `run` does: what answers an action needs no `events.allow`.
#[test]
fn an_event_that_answers_an_action_is_told_apart() {
    let folder = folder(&[("crm.yaml", &POLICY.replace("[call]", "[Newchannel]"))]);
    let explain = |args: &[&str], packet: &str| {
        amiwall(folder.path(), &[&["explain", "crm.yaml", "--as", "carla", "--events"], args].concat(), packet)
    };
    let ran = explain(&[], "Event: OriginateResponse\nPrivilege: call,all\n\nEvent: Hangup\nPrivilege: call,all\n");
    let expected = "carla sees this only as the answer to its own Originate\n\n\
                    carla does not see this: no `events.allow` of its roles has `Hangup`, or all of its classes\n";
    assert_eq!((ran.stdout.as_str(), ran.code), (expected, Some(3)));
    let ran = explain(&["--format", "json"], "Event: Status\n");
    let value: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(value["packets"][0]["decision"], "answer-only");
    assert!(explain(&[], "Response: Success\n").stdout.contains("only as the answer to an action of its own"));

    let tests = "version: 1
tests:
  - { as: carla, event: { Event: OriginateResponse, Privilege: 'call,all' }, answers: originate, expect: shown }
  - { as: carla, event: { Event: OriginateResponse, Privilege: 'call,all' }, expect: hidden }
  - { as: carla, event: { Event: OriginateResponse, Privilege: 'call,all' }, expect: shown }
  - { as: carla, event: { Event: OriginateResponse, Privilege: 'call,all' }, answers: Hangup, expect: shown }
  - { as: carla, event: { Event: Hangup, Privilege: 'call,all' }, answers: Originate, expect: shown }
";
    std::fs::write(folder.path().join("crm.test.yaml"), tests).expect("a file");
    let ran = amiwall(folder.path(), &["test", "crm.yaml"], "");
    assert_eq!(
        ran.stdout,
        "FAILED crm.test.yaml:5: carla, Event: OriginateResponse
  expected shown; got hidden: it is shown only as the answer to its own Originate (say so: `answers: Originate`)
FAILED crm.test.yaml:6: carla, Event: OriginateResponse
  expected shown; got hidden: carla may never send `Hangup`
FAILED crm.test.yaml:7: carla, Event: Hangup
  expected shown; got hidden: no `events.allow` of its roles has `Hangup`, or all of its classes
no test is decided by roles.crm.allow[0] (line 10), roles.crm.allow[1] (line 11), roles.crm.deny[0] (line 17)
crm.yaml: 2 passed, 3 failed
"
    );
    std::fs::write(folder.path().join("crm.yaml"), POLICY.replace("[call]", "[agent]")).expect("a file");
    let ran = explain(&[], "Event: OriginateResponse\nPrivilege: call,all\n");
    assert!(
        ran.stdout.contains("no event of its class is allowed, so that Asterisk is asked for none"),
        "{}",
        ran.stdout
    );
    let tests = "version: 1\ntests: [{ as: carla, send: { Action: Ping }, answers: Ping, expect: allow }]\n";
    std::fs::write(folder.path().join("crm.test.yaml"), tests).expect("a file");
    let ran = amiwall(folder.path(), &["test", "crm.yaml"], "");
    assert!(ran.stderr.starts_with("error: only an `event` answers an action"), "{}", ran.stderr);
}

#[test]
fn explain_tells_who_would_not_be_let_in() {
    for (from, reason) in [("10.2.0.1", "login.networks"), ("192.0.2.1", "networks.listener")] {
        let ran = explain(&["--from", from], CALL);
        let line = format!("carla would not be let in from {from}: {reason}\n");
        assert!(ran.stdout.starts_with(&line), "{}", ran.stdout);
        assert_eq!(ran.code, Some(3));
    }
    let ran = explain(&["--as", "carl"], CALL);
    assert_eq!(ran.code, Some(2), "`--as` twice is a mistake");
    let folder = folder(&[("crm.yaml", POLICY)]);
    let ran = amiwall(folder.path(), &["explain", "crm.yaml", "--as", "carl"], CALL);
    assert_eq!((ran.code, ran.stderr.trim()), (Some(1), "the policy has no identity `carl`; did you mean `carla`?"));
}
