use super::*;
use crate::policy::spec::{EventsSpec, Position};

fn spanned(text: &str) -> Spanned {
    Spanned { text: text.to_owned(), at: Position { line: 1, column: 1 } }
}

fn role(allow: &[&str], deny: &[&str], mask: &[(&str, &str)]) -> RoleSpec {
    let events = EventsSpec {
        allow: allow.iter().map(|text| spanned(text)).collect(),
        deny: deny.iter().map(|text| spanned(text)).collect(),
        mask: mask.iter().map(|(name, style)| (spanned(name), spanned(style))).collect(),
        scope: Vec::new(),
    };
    RoleSpec { name: spanned("r"), events, ..RoleSpec::default() }
}

fn view(allow: &[&str], deny: &[&str]) -> View {
    View::compile(&[&role(allow, deny, &[])], &|_| None).expect("a view")
}

fn reply(headers: &[(&str, &str)]) -> Reply {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    Reply::from(Message::compose(&headers))
}

fn event(name: &str, privilege: &str) -> Reply {
    reply(&[("Event", name), ("Privilege", privilege), ("Channel", "PJSIP/1")])
}

fn shows(view: &View, reply: &Reply) -> bool {
    view.show(reply, false, EventMask::ALL, &mut Followed::default()).is_some()
}

fn answers(view: &View, reply: &Reply) -> bool {
    view.show(reply, true, EventMask::NONE, &mut Followed::default()).is_some()
}

#[test]
fn an_event_passes_when_all_its_classes_are_allowed() {
    let view = view(&["call", "user"], &[]);
    assert!(shows(&view, &event("Hangup", "call,all")));
    assert!(shows(&view, &event("X", "user,call,all")));
    assert!(!shows(&view, &event("UserEvent", "system,user,all")));
    assert!(!shows(&view, &event("X", "call,unheard-of,all")));
    assert!(!shows(&view, &event("X", "Call,all")));
}

#[test]
fn an_event_passes_by_its_name_as_it_is_spelled() {
    let view = view(&["UserEvent", "AOC-D"], &[]);
    assert!(shows(&view, &event("UserEvent", "system,user,all")));
    assert!(shows(&view, &event("AOC-D", "aoc,all")));
    assert!(!shows(&view, &event("userevent", "system,user,all")));
    assert!(!shows(&view, &event("UserEventX", "user,all")));
}

#[test]
fn an_event_without_a_class_passes_only_by_its_name() {
    let view = view(&["call", "Known"], &[]);
    for headers in [&[("Event", "X")][..], &[("Event", "X"), ("Privilege", "<none>")]] {
        assert!(!shows(&view, &reply(headers)), "{headers:?}");
    }
    for privilege in ["all", "", ",", "<none>,all"] {
        assert!(!shows(&view, &event("X", privilege)), "{privilege:?}");
        assert!(shows(&view, &event("Known", privilege)), "{privilege:?}");
    }
}

#[test]
fn deny_wins_and_ignores_case() {
    for view in [view(&["call", "VarSet"], &["varSET", "security"]), view(&["VarSet", "call"], &["security", "VarSet"])]
    {
        for name in ["VarSet", "VARSET", "varset", "VarSet "] {
            assert!(!shows(&view, &event(name, "call,all")), "{name}");
        }
        assert!(shows(&view, &event("Hangup", "call,all")));
        assert!(!shows(&view, &event("Hangup", "call,security,all")));
    }
    let by_class = view(&["FullyBooted", "call"], &["system"]);
    assert!(!shows(&by_class, &event("FullyBooted", "system,all")));
}

#[test]
fn only_the_first_headers_tell_kind_name_and_class() {
    let view = view(&["user"], &["VarSet"]);
    let forged = [("Privilege", "user,all"), ("Event", "Harmless")];
    assert!(!shows(&view, &reply(&[("Event", "X"), ("Privilege", "system,user,all"), forged[0], forged[1]])));
    assert!(!shows(&view, &reply(&[("Event", "VarSet"), ("Privilege", "user,all"), forged[1]])));
    assert!(shows(&view, &reply(&[("Event", "UserEvent"), ("Privilege", "user,all"), ("Event", "VarSet")])));
    // A later `Response` does not make an answer of an event, nor a later `Event` an event of an answer.
    assert!(!shows(&view, &reply(&[("Event", "VarSet"), ("Response", "Success")])));
    assert!(answers(&view, &reply(&[("Response", "Success"), ("Event", "VarSet")])));
}

#[test]
fn answers_pass_without_allow_but_not_against_deny() {
    let view = view(&[], &["VarSet", "security"]);
    assert!(answers(&view, &reply(&[("Event", "Status")])));
    let response = event("OriginateResponse", "call,all");
    assert!(view.show(&response, true, EventMask::ALL, &mut Followed::default()).is_some());
    assert!(!answers(&view, &reply(&[("Event", "varset")])));
    assert!(!answers(&view, &event("X", "security,all")));
    for packet in [reply(&[("Response", "VarSet"), ("Privilege", "security,all")]), reply(&[("Output", "x")])] {
        assert!(answers(&view, &packet));
        assert!(!shows(&view, &packet), "nobody asked");
    }
}

#[test]
fn the_client_narrows_what_it_sees_and_never_widens_it() {
    let view = view(&["call", "agent", "Bare"], &[]);
    let calls = EventMask::of([PrivilegeClass::Call]);
    assert!(view.show(&event("Hangup", "call,all"), false, calls, &mut Followed::default()).is_some());
    assert!(view.show(&event("AgentCalled", "agent,all"), false, calls, &mut Followed::default()).is_none());
    assert!(view.show(&event("X", "system,all"), false, EventMask::ALL, &mut Followed::default()).is_none());
    assert!(view.show(&event("Bare", "<none>"), false, calls, &mut Followed::default()).is_some());
    assert!(view.show(&event("Bare", "<none>"), false, EventMask::NONE, &mut Followed::default()).is_none());
    assert!(
        view.show(&event("Hangup", "call,all"), true, EventMask::NONE, &mut Followed::default()).is_some(),
        "what is sent to who asked alone is always wanted"
    );
    for everybodys in [event("OriginateResponse", "call,all"), event("UserEvent", "user,all")] {
        let seen = |mask| view.show(&everybodys, true, mask, &mut Followed::default()).is_some();
        assert!(seen(EventMask::ALL) && !seen(EventMask::NONE) && !seen(EventMask::of([PrivilegeClass::Agent])));
    }
}

#[test]
fn roles_add_up_in_any_order() {
    let (one, other) =
        (role(&["call"], &["VarSet"], &[("A", "last4")]), role(&["VarSet", "agent"], &[], &[("a", "hide")]));
    for roles in [[&one, &other], [&other, &one]] {
        let view = View::compile(&roles, &|_| None).expect("a view");
        assert!(shows(&view, &event("AgentCalled", "agent,call,all")));
        assert!(!shows(&view, &event("VarSet", "call,all")));
        let packet = reply(&[("Event", "Hangup"), ("Privilege", "call,all"), ("A", "123456")]);
        let shown = view.show(&packet, false, EventMask::ALL, &mut Followed::default()).expect("shown");
        assert_eq!(shown.get("A"), Some(&b"***"[..]));
    }
}

#[test]
fn masks_hold_for_answers_and_cost_nothing_elsewhere() {
    let view = View::compile(&[&role(&["call"], &[], &[("CallerIDNum", "last4")])], &|_| None).expect("a view");
    let answer = reply(&[("Response", "Success"), ("CallerIDNum", "5550123")]);
    let shown = view.show(&answer, true, EventMask::NONE, &mut Followed::default()).expect("shown");
    assert_eq!(shown.lines(), b"Response: Success\r\nCallerIDNum: ***0123\r\n");
    let plain = event("Hangup", "call,all");
    assert!(matches!(view.show(&plain, false, EventMask::ALL, &mut Followed::default()), Some(Cow::Borrowed(_))));
}

#[test]
fn the_subscription_is_what_may_be_seen() {
    let classes = |allow: &[&str], deny: &[&str]| view(allow, deny).subscription(EventMask::ALL);
    assert_eq!(classes(&["call", "agent"], &["agent"]), EventMask::of([PrivilegeClass::Call]));
    assert_eq!(classes(&[], &[]), EventMask::NONE);
    assert_eq!(View::default().subscription(EventMask::ALL), EventMask::NONE);
    assert_eq!(classes(&["call", "NobodyKnowsThis"], &[]), EventMask::ALL);
    let mut scoped = role(&["agent"], &[], &[]);
    scoped.events.scope = vec![(spanned("Queue"), vec![spanned("sales")])];
    let scoped = View::compile(&[&scoped], &|_| None).expect("a view");
    assert_eq!(scoped.subscription(EventMask::NONE), EventMask::of([PrivilegeClass::Call]), "Hangup has to arrive");
}

#[test]
fn all_problems_are_told_at_once() {
    let mut role = role(&["calls", "Queue*", "call", ""], &["Var Set", "all"], &[("A", "last5")]);
    role.events.allow[1].at = Position { line: 9, column: 4 };
    let problems = View::compile(&[&role], &|_| None).expect_err("six problems");
    assert_eq!(problems.len(), 6, "{problems:?}");
    assert!(problems[0].help.as_ref().is_some_and(|help| help.contains("system, call, log")));
    assert_eq!(problems[1].at, Position { line: 9, column: 4 });
}

#[test]
fn list_commands_lists_what_the_client_may_run() {
    let answer = reply(&[
        ("Response", "Success"),
        ("ActionID", "7"),
        ("Command", "Execute Asterisk CLI Command.  (Priv: command,all)"),
        ("Ping", "Keepalive command.  (Priv: <none>)"),
        ("Originate", "Originate a call.  (Priv: originate,all)"),
    ]);
    let listed = View::list_commands(&answer, |name| name == "Ping");
    assert_eq!(listed.lines(), b"Response: Success\r\nActionID: 7\r\nPing: Keepalive command.  (Priv: <none>)\r\n");
}
