use super::*;
use crate::policy::spec::Position;

fn spanned(text: &str) -> Spanned {
    Spanned { text: text.to_owned(), at: Position { line: 1, column: 1 } }
}

fn scope(headers: &[(&str, &[&str])]) -> Result<Scope, Vec<Problem>> {
    let spec: Vec<_> =
        headers.iter().map(|(name, texts)| (spanned(name), texts.iter().map(|text| spanned(text)).collect())).collect();
    let mut problems = Vec::new();
    let attributes = |name: &str| (name == "tenant").then_some("t1");
    let scope = Scope::compile(&spec, &attributes, &mut problems);
    if problems.is_empty() { Ok(scope.expect("a scope")) } else { Err(problems) }
}

fn message(headers: &[(&str, &str)]) -> Message {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    Message::compose(&headers)
}

#[test]
fn one_header_that_matches_is_enough_whichever_leg_it_is_of() {
    let scopes = [scope(&[("Channel", &["PJSIP/{tenant}-*"]), ("Queue", &["t1", "t1-vip"])]).expect("a scope")];
    let holds = |headers: &[(&str, &str)]| holds(&scopes, &message(headers), &mut Followed::default());
    assert!(holds(&[("Event", "X"), ("Channel", "PJSIP/t1-100-01"), ("Context", "other")]));
    assert!(holds(&[("Event", "X"), ("destchannel", "PJSIP/t1-100-01")]));
    assert!(holds(&[("Event", "X"), ("Queue", "t1-vip")]));
    for other in [("Channel", "PJSIP/t2-1"), ("Queue", "t1-x"), ("Queues", "t1"), ("Channel", ""), ("X", "PJSIP/t1-1")]
    {
        assert!(!holds(&[("Event", "X"), other]), "{other:?}");
    }
    assert!(holds(&[("Event", "FullyBooted")]));
    assert!(!holds(&[("Event", "Shutdown")]));
}

#[test]
fn scopes_of_several_roles_hold_together() {
    let scopes =
        [scope(&[("Queue", &["a", "b"])]).expect("a scope"), scope(&[("Queue", &["b", "c"])]).expect("a scope")];
    let holds = |queue| holds(&scopes, &message(&[("Event", "X"), ("Queue", queue)]), &mut Followed::default());
    assert_eq!(["a", "b", "c"].map(holds), [false, true, false]);
}

#[test]
fn so_many_calls_are_followed_and_no_more() {
    let scopes = [scope(&[("Queue", &["a"])]).expect("a scope")];
    let mut followed = Followed::default();
    let id = |number: usize| format!("1.{number}");
    for number in 0..=FOLLOWED_MAX {
        assert!(holds(&scopes, &message(&[("Event", "X"), ("Queue", "a"), ("Linkedid", &id(number))]), &mut followed));
    }
    let mut knows = |number| holds(&scopes, &message(&[("Event", "X"), ("Linkedid", &id(number))]), &mut followed);
    assert!(!knows(0) && knows(1) && knows(FOLLOWED_MAX));
    let long = "9".repeat(LINKEDID_LEN_MAX + 1);
    assert!(holds(&scopes, &message(&[("Event", "X"), ("Queue", "a"), ("Linkedid", &long)]), &mut followed));
    assert!(!holds(&scopes, &message(&[("Event", "X"), ("Linkedid", &long)]), &mut followed), "nor is it kept");
}

#[test]
fn what_is_wrong_is_told_at_once() {
    let problems =
        scope(&[("Bad Name", &["x"]), ("Queue", &[]), ("Context", &["{nobody}", "["])]).expect_err("problems");
    assert_eq!(problems.len(), 3, "{problems:?}");
}
