use super::*;

struct Session {
    correlation: Correlation,
    ids: ActionIds,
}

impl Session {
    fn new() -> Self {
        Self { correlation: Correlation::new(IdPrefix::from_random(9)), ids: ActionIds::default() }
    }

    fn send(&mut self, client_id: Option<&str>) -> String {
        self.send_as(client_id, false)
    }

    fn send_as(&mut self, client_id: Option<&str>, is_own: bool) -> String {
        self.correlation.send(Sent {
            record_id: "r".into(),
            client_id: client_id.map(|id| id.as_bytes().to_vec()),
            key: "ping".into(),
            is_blocking: false,
            is_unanswered: false,
            is_own,
            read_at: Instant::now(),
            at: Instant::now(),
        })
    }

    /// What the client gets for a packet, or what became of it.
    fn route(&mut self, headers: &[(&str, &str)]) -> Vec<String> {
        let mut message = Message::new();
        for (name, value) in headers {
            message.push(name, value.as_bytes()).expect("a header");
        }
        let text = |message: &Message| String::from_utf8_lossy(message.lines()).replace("\r\n", "|");
        match self.correlation.route(Reply::from(message), &self.ids) {
            Routed::Answer { reply, before, behind, .. } => {
                before.iter().chain([reply.message()]).chain(&behind).map(text).collect()
            }
            Routed::Broadcast(reply) => vec![format!("broadcast {}", text(reply.message()))],
            Routed::Orphan(_) => vec!["orphan".into()],
            Routed::Own(due) => std::iter::once("own".to_owned()).chain(due.iter().map(text)).collect(),
        }
    }
}

fn local(text: &str) -> Message {
    Message::compose(&[("Local", text.as_bytes())])
}

#[test]
fn answers_get_the_clients_own_id_back_or_none() {
    let mut session = Session::new();
    let (with, without) = (session.send(Some("mine ")), session.send(None));
    assert_eq!(session.route(&[("Response", "Success"), ("ActionID", &with)]), ["Response: Success|ActionID: mine |"]);
    assert_eq!(session.route(&[("Response", "Success"), ("ActionID", &without)]), ["Response: Success|"]);
    assert_eq!(session.correlation.outstanding(), 0);
}

#[test]
fn a_response_that_nobody_here_asked_for_is_an_orphan() {
    let mut session = Session::new();
    let id = session.send(Some("a"));
    let other = IdPrefix::from_random(10).id(0);
    for foreign in [other.as_str(), "a", "", "aw-x"] {
        assert_eq!(session.route(&[("Response", "Success"), ("ActionID", foreign)]), ["orphan"]);
    }
    let not_sent_yet = IdPrefix::from_random(9).id(5);
    assert_eq!(session.route(&[("Response", "Success"), ("ActionID", &not_sent_yet)]), ["orphan"]);
    assert_eq!(session.route(&[("Output", "x"), ("Response", "Success"), ("ActionID", &id)]), ["orphan"]);
    assert_eq!(session.correlation.outstanding(), 1);
}

#[test]
fn two_and_three_answers_to_one_action_are_passed() {
    let mut session = Session::new();
    let id = session.send(Some("a"));
    for _ in 0..3 {
        assert_eq!(session.route(&[("Response", "Error"), ("ActionID", &id)]), ["Response: Error|ActionID: a|"]);
    }
}

#[test]
fn own_answers_keep_their_place() {
    let mut session = Session::new();
    assert_eq!(session.correlation.answer_in_turn(local("now")), Some(local("now")));
    let first = session.send(Some("1"));
    assert_eq!(session.correlation.answer_in_turn(local("after 1")), None);
    let second = session.send(Some("2"));
    assert_eq!(session.correlation.answer_in_turn(local("after 2")), None);
    assert_eq!(
        session.route(&[("Response", "Success"), ("ActionID", &first)]),
        ["Response: Success|ActionID: 1|", "Local: after 1|"]
    );
    assert_eq!(
        session.route(&[("Response", "Success"), ("ActionID", &second)]),
        ["Response: Success|ActionID: 2|", "Local: after 2|"]
    );
}

#[test]
fn an_action_without_an_answer_does_not_hold_up_what_is_behind_it() {
    let mut session = Session::new();
    session.send(Some("1"));
    assert_eq!(session.correlation.answer_in_turn(local("after 1")), None);
    let second = session.send(Some("2"));
    assert_eq!(
        session.route(&[("Response", "Success"), ("ActionID", &second)]),
        ["Local: after 1|", "Response: Success|ActionID: 2|"]
    );
    assert_eq!(session.correlation.outstanding(), 0);
}

#[test]
fn what_is_neither_a_response_nor_an_event_reaches_nobody() {
    let mut session = Session::new();
    session.correlation.send(Sent {
        record_id: "r".into(),
        client_id: None,
        key: "iaxnetstats".into(),
        is_blocking: false,
        is_unanswered: true,
        is_own: false,
        read_at: Instant::now(),
        at: Instant::now(),
    });
    assert_eq!(session.route(&[("Uniqueid", "1.1"), ("Value", "the end of an event")]), ["orphan"]);
}

#[test]
fn own_answers_wait_for_the_end_of_a_list() {
    let mut session = Session::new();
    let id = session.send(Some("l"));
    assert_eq!(session.correlation.answer_in_turn(local("behind")), None);
    assert_eq!(session.route(&[("Response", "Success"), ("ActionID", &id), ("EventList", "start")]).len(), 1);
    assert_eq!(session.route(&[("Event", "Status"), ("ActionID", &id)]), ["Event: Status|ActionID: l|"]);
    assert_eq!(session.correlation.outstanding(), 1);
    let end = session.route(&[("Event", "StatusComplete"), ("ActionID", &id), ("EventList", "Complete")]);
    assert_eq!(end.last().map(String::as_str), Some("Local: behind|"));
    assert_eq!(session.correlation.outstanding(), 0);
}

#[test]
fn another_clients_broadcast_id_is_shown_as_that_clients_own() {
    let mut session = Session::new();
    let other = IdPrefix::from_random(11);
    session.ids.remember(&other.id(3), b"theirs");
    let event =
        |id: &str| [("Event".to_owned(), "OriginateResponse".to_owned()), ("ActionID".to_owned(), id.to_owned())];
    let mut route = |id: &str| {
        let headers = event(id);
        let borrowed: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        session.route(&borrowed)
    };
    assert_eq!(route(&other.id(3)), ["broadcast Event: OriginateResponse|ActionID: theirs|"]);
    assert_eq!(route(&other.id(4)), ["broadcast Event: OriginateResponse|"]);
    assert_eq!(route("not ours"), ["broadcast Event: OriginateResponse|ActionID: not ours|"]);
}

#[test]
fn old_actions_are_forgotten_and_open_ones_are_not() {
    let mut session = Session::new();
    let open = session.send(Some("open"));
    for _ in 0..2_000 {
        session.send(None);
    }
    assert_eq!(session.correlation.outstanding(), 2_001);
    assert_eq!(session.route(&[("Event", "Late"), ("ActionID", &open)]), ["Event: Late|ActionID: open|"]);
    assert_eq!(session.correlation.abandon().len(), 2_001);
    session.send(None);
    assert!(session.correlation.entries.len() <= RECENT_MAX + 1);
    assert_eq!(session.route(&[("Response", "Success"), ("ActionID", &open)]), ["orphan"]);
}

#[test]
fn an_answer_behind_an_action_of_amiwalls_own_is_not_lost() {
    let mut session = Session::new();
    let first = session.send(Some("1"));
    assert_eq!(session.correlation.answer_in_turn(local("behind 1")), None);
    let own = session.send_as(None, true);
    assert_eq!(session.correlation.answer_in_turn(local("behind own")), None);
    assert_eq!(session.correlation.outstanding(), 1);
    assert_eq!(
        session.route(&[("Response", "Success"), ("ActionID", &own)]),
        ["own", "Local: behind 1|", "Local: behind own|"],
        "the answer to the own action tells that the one before it is over"
    );
    assert_eq!(session.route(&[("Response", "Success"), ("ActionID", &first)]), ["Response: Success|ActionID: 1|"]);
}
