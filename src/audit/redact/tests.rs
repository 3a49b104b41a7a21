//! What is hidden, packet by packet.

use std::sync::LazyLock;

use super::super::AuditConfig;
use super::super::packet;
use super::*;

/// Knows what all the tests before have shown it.
static OLD: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(&AuditConfig::default_redact()));

/// The values of a message that answers an action.
fn answer(asked: Option<&str>, headers: &[(&str, &str)]) -> Vec<String> {
    let redactor = Redactor::new(&AuditConfig::default_redact());
    let values = values(&redactor, asked, headers);
    assert_eq!(recorded(&OLD, asked, headers), values, "what is remembered of names");
    values
}

/// The values as they stand in a record.
fn recorded(redactor: &Redactor, asked: Option<&str>, headers: &[(&str, &str)]) -> Vec<String> {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let message = Message::compose(&headers);
    let mut out = Vec::new();
    packet::encode_values(&mut out, &message, asked, redactor);
    let pairs: Vec<Vec<String>> = serde_json::from_slice(&out).expect("pairs");
    pairs.into_iter().map(|pair| pair[1].clone()).collect()
}

fn values(redactor: &Redactor, asked: Option<&str>, headers: &[(&str, &str)]) -> Vec<String> {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let message = Message::compose(&headers);
    let within = redactor.within(&message, asked);
    let values: Vec<String> =
        message.headers().map(|header| String::from_utf8_lossy(&within.value(header)).into_owned()).collect();
    let texts: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (*name, std::str::from_utf8(value).expect("UTF-8"))).collect();
    if redactor.pseudonyms.is_none() {
        // For the first time, and when the names are known.
        assert_eq!(recorded(redactor, asked, &texts), values);
        assert_eq!(recorded(redactor, asked, &texts), values);
    }
    values
}

fn shown(headers: &[(&str, &str)]) -> Vec<String> {
    answer(None, headers)
}

#[test]
fn login_secrets_are_hidden_and_only_in_login() {
    assert_eq!(
        shown(&[("aCTION", "logIN"), ("SECRET", "x"), ("Key", "y"), ("Username", "a")])[1..],
        ["[redacted]", "[redacted]", "[redacted]"]
    );
    assert_eq!(shown(&[("Action", "DBGet"), ("Family", "f"), ("Key", "colour")])[2], "colour");
}

#[test]
fn login_secrets_are_hidden_even_if_the_policy_hides_nothing() {
    let message = Message::compose(&[("Action", b"Login"), ("Secret", b"x"), ("Key", b"y")]);
    let redactor = Redactor::new(&[]);
    let within = redactor.within(&message, None);
    assert!(message.headers().skip(1).all(|header| within.value(header) == HIDDEN));
}

#[test]
fn digits_of_dtmf_events_are_hidden() {
    assert_eq!(shown(&[("Event", "DTMFEnd"), ("Channel", "c"), ("Digit", "5")])[1..], ["c", "[redacted]"]);
    assert_eq!(shown(&[("Action", "PlayDTMF"), ("Digit", "5")])[1], "[redacted]");
    assert_eq!(shown(&[("Response", "Success"), ("Ping", "Pong")])[1], "Pong");
    assert_eq!(shown(&[("Action", "Ping"), ("Ping", "1234")])[1], "[redacted]");
}

#[test]
fn variables_are_hidden_by_name() {
    let list = |value| shown(&[("Action", "Originate"), ("Variable", value)]).pop().expect("a value");
    assert_eq!(list("a=1,PIN=2,b=3"), "a=1,PIN=[redacted],b=3");
    assert_eq!(list("__userpin=2=2,34,b=3"), "__userpin=[redacted],b=3");
    assert_eq!(list("a=1,PIN=\"2,b=3\",c=4"), "a=1,PIN=[redacted]");
    assert_eq!(list("a=1\\,PIN=2,b=3"), "a=1\\,PIN=[redacted]");
    assert_eq!(list("a=1,b=2,3"), "a=1,b=2,3");
    let of_event = |name, value| shown(&[("Event", "Newstate"), (name, value)]).pop().expect("a value");
    assert_eq!(of_event("ChanVariable", "PIN=12,34=5"), "PIN=[redacted]");
    assert_eq!(of_event("DestChanVariable(PJSIP/1)", "Pin=12"), "Pin=[redacted]");
    assert_eq!(of_event("Variable", "colour=12"), "colour=12");
}

#[test]
fn a_value_is_hidden_by_the_name_beside_it() {
    for first in [("Action", "Setvar"), ("Event", "VarSet"), ("Response", "Success")] {
        let asked = Some("getvar");
        assert_eq!(answer(asked, &[first, ("Variable", "_PIN"), ("Value", "1")])[1..], ["_PIN", "[redacted]"]);
        assert_eq!(answer(asked, &[first, ("Value", "1"), ("Variable", "DIALSTATUS")])[1..], ["1", "DIALSTATUS"]);
        assert_eq!(answer(asked, &[first, ("Value", "1"), ("Variable", "DB(a/b)")])[1], "[redacted]");
    }
    assert_eq!(shown(&[("Action", "Setvar"), ("Variable", "colour"), ("Value", "1")])[2], "1");
    assert_eq!(shown(&[("Event", "VarSet"), ("Variable", "choice"), ("Value", "1")])[2], "[redacted]");
}

#[test]
fn a_database_value_is_hidden_by_its_family_and_key() {
    let val = |first, family, key| shown(&[first, ("Family", family), ("Key", key), ("Val", "1")])[2..].to_vec();
    for first in [("Action", "DBPut"), ("Event", "DBGetResponse")] {
        assert_eq!(val(first, "cidname", "30123"), ["30123", "1"]);
        assert_eq!(val(first, "user", "secret"), ["secret", "[redacted]"]);
        assert_eq!(val(first, "pin", "1001"), ["1001", "[redacted]"]);
    }
    let typing_error = shown(&[("Action", "Lgoin"), ("Key", "0123456789abcdef")]);
    assert_eq!(typing_error[1], "[redacted]");
}

#[test]
fn what_configuration_files_hold_keeps_its_names_alone() {
    let config = [("Action", "UpdateConfig"), ("Cat-000001", "1001"), ("Var-000001", "auth"), ("Value-000001", "1")];
    assert_eq!(shown(&config)[1..], ["1001", "auth", "[redacted]"]);
    let line = |asked| answer(asked, &[("Response", "Success"), ("Line-000000-000001", "1001=1234,Bob")])[1].clone();
    assert_eq!(line(Some("getconfig")), "1001=[redacted]");
    assert_eq!(line(None), "1001=[redacted]");
    assert_eq!(answer(Some("getconfigjson"), &[("Response", "Success"), ("JSON", "{}")])[1], "[redacted]");
}

#[test]
fn an_answer_is_judged_by_what_it_answers() {
    let output = |asked| answer(asked, &[("Response", "Success"), ("Message", "Command output"), ("Output", "a: 1")]);
    assert_eq!(output(Some("command"))[1..], ["Command output", "[redacted]"]);
    assert_eq!(output(Some("coresettings"))[2], "a: 1");
    // Nobody knows what it answers.
    assert_eq!(output(None)[1..], ["Command output", "[redacted]"]);
    let text = [("Action", "SendText"), ("Channel", "PJSIP/1"), ("Message", "hello")];
    assert_eq!(shown(&text)[1..], ["PJSIP/1", "[redacted]"]);
}

#[test]
fn the_destination_and_the_application_stay() {
    let originate = [
        ("Action", "Originate"),
        ("Channel", "PJSIP/0301234567@trunk"),
        ("CallerID", "\"Alice\" <1001>"),
        ("Application", "Dial"),
        ("Data", "PJSIP/0301234568@trunk,30,D(1234)"),
    ];
    let expected = ["PJSIP/0301234567@trunk", "\"Alice\" <1001>", "Dial", "PJSIP/0301234568@trunk,[redacted]"];
    assert_eq!(shown(&originate)[1..], expected);
    let data = |application, data| {
        shown(&[("Event", "Newexten"), ("Exten", "1"), ("Application", application), ("AppData", data)])[3].clone()
    };
    assert_eq!(data("Authenticate", "1234"), "[redacted]");
    assert_eq!(data("Set", "PIN=1234"), "PIN=[redacted]");
    assert_eq!(data("Goto", "default,100,1"), "default,100,1");
    assert_eq!(data("Answer", ""), "");
}

#[test]
fn the_policy_hides_more_and_shows_what_it_says() {
    let list = ["default", "Account", "!VarSet.choice", "!SendText.Message"].map(str::to_owned);
    let redactor = Redactor::new(&list);
    let of = |headers: &[(&str, &str)]| values(&redactor, None, headers).pop().expect("a value");
    assert_eq!(of(&[("Event", "VarSet"), ("Variable", "choice"), ("Value", "1")]), "1");
    assert_eq!(of(&[("Event", "VarSet"), ("Variable", "other"), ("Value", "1")]), "[redacted]");
    assert_eq!(of(&[("Action", "SendText"), ("Message", "hello")]), "hello");
    assert_eq!(of(&[("Action", "Originate"), ("Account", "a")]), "[redacted]");
    let stubborn = Redactor::new(&["!Login.Secret".to_owned()]);
    assert_eq!(values(&stubborn, None, &[("Action", "Login"), ("Secret", "x")])[1], "[redacted]");
}
