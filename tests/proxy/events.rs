//! What a client sees.

use amiwall::ami::Message;

use crate::harness::{Bench, ROLE, is_pong, records_in_partial};

fn event(name: &str, privilege: &str, more: &[(&str, &str)]) -> Message {
    let mut message = Message::compose(&[("Event", name.as_bytes()), ("Privilege", privilege.as_bytes())]);
    for (name, value) in more {
        message.push(name, value.as_bytes()).expect("a header");
    }
    message
}

#[tokio::test]
async fn events_pass_when_all_their_classes_are_allowed() {
    let bench = Bench::with_role(&format!("{ROLE}      deny: [VarSet]\n")).await;
    let mut client = bench.login_with("").await;
    for (name, privilege) in [
        ("Registry", "system,all"),
        ("VoicemailPasswordChange", "system,user,all"),
        ("VarSet", "call,all"),
        ("New", "<none>"),
    ] {
        bench.sim.emit(&event(name, privilege, &[("X", "hidden")]));
    }
    bench.sim.emit(&event("Newchannel", "call,all", &[("Channel", "Local/1000@test-1;1"), ("AccountCode", "")]));
    assert_eq!(
        client.packet().await,
        "Event: Newchannel\r\nPrivilege: call,all\r\nChannel: Local/1000@test-1;1\r\nAccountCode: \r\n\r\n"
    );
}

#[tokio::test]
async fn later_headers_of_an_event_do_not_change_what_it_is() {
    let bench = Bench::with_role(&format!("{ROLE}      deny: [VarSet]\n")).await;
    let mut client = bench.login_with("").await;
    bench.sim.emit(&event("VarSet", "dialplan,all", &[("Event", "Newchannel"), ("Privilege", "call,all")]));
    bench.sim.emit(&event("Hangup", "call,all", &[]));
    assert!(client.packet().await.starts_with("Event: Hangup\r\n"));
}

#[tokio::test]
async fn masks_hold_for_events_and_answers() {
    let role = format!("{ROLE}      mask: {{ CallerIDNum: last4, \"*PIN*\": hide }}\n");
    let bench = Bench::with_role(&role).await;
    let mut client = bench.login_with("").await;
    let sent = event("Newchannel", "call,all", &[("CallerIDNum", "5551234567"), ("AgentPIN", "0000")]);
    bench.sim.emit(&sent);
    let seen = client.packet().await;
    assert!(seen.contains("CallerIDNum: ******4567\r\n") && !seen.contains("0000"), "{seen}");
}

#[tokio::test]
async fn a_client_narrows_what_it_sees_and_never_widens_it() {
    let bench = Bench::new().await;
    let mut client = bench.login_with("").await;
    assert_eq!(
        client.ask("Action: Events\r\nEventMask: user\r\n\r\n").await,
        "Response: Success\r\nEvents: On\r\n\r\n"
    );
    bench.sim.emit(&event("Hangup", "call,all", &[]));
    bench.sim.emit(&event("UserEvent", "user,all", &[("UserEvent", "one")]));
    assert!(client.packet().await.contains("UserEvent: one"));
    assert_eq!(client.ask("Action: Events\r\nEventMask: on\r\n\r\n").await, "Response: Success\r\nEvents: On\r\n\r\n");
    bench.sim.wait_for(|executed| executed.iter().filter(|action| action.is("Events")).count() >= 2).await;
    assert!(is_pong(&client.ask("Action: Ping\r\n\r\n").await));
    bench.sim.emit(&event("Registry", "system,all", &[]));
    bench.sim.emit(&event("Hangup", "call,all", &[]));
    assert!(client.packet().await.starts_with("Event: Hangup\r\n"));
    assert_eq!(
        client.ask("Action: Events\r\nEventMask: off\r\n\r\n").await,
        "Response: Success\r\nEvents: Off\r\n\r\n"
    );
    bench.sim.emit(&event("Hangup", "call,all", &[]));
    assert!(is_pong(&client.ask("Action: Ping\r\n\r\n").await), "no event although events are off");
    assert_eq!(
        client.ask("Action: Events\r\nActionID: e\r\n\r\n").await,
        "Response: Error\r\nActionID: e\r\nMessage: Invalid event mask\r\n\r\n"
    );
}

#[tokio::test]
async fn wait_event_gives_its_answer_the_event_and_the_end() {
    let bench = Bench::new().await;
    let mut client = bench.login_with("").await;
    client.send("Action: WaitEvent\r\nActionID: w\r\nTimeout: 60\r\n\r\n").await;
    bench.sim.emit(&event("Registry", "system,all", &[]));
    bench.sim.emit(&event("Hangup", "call,all", &[("Cause", "16")]));
    let mut seen = String::new();
    // The event may come before the action is read: then it is delivered at once and a second one ends the wait.
    while !seen.contains("Waiting for Event completed.") {
        if seen.contains("Event: Hangup") {
            bench.sim.emit(&event("Hangup", "call,all", &[("Cause", "17")]));
        }
        seen.push_str(&client.packet().await);
    }
    assert!(
        seen.ends_with("Response: Success\r\nActionID: w\r\nMessage: Waiting for Event completed.\r\n\r\n"),
        "{seen}"
    );
    assert!(client.packet().await.starts_with("Event: Hangup\r\n"));
    assert_eq!(client.packet_of("Event: WaitEventComplete").await, "Event: WaitEventComplete\r\nActionID: w\r\n\r\n");
}

#[tokio::test]
async fn wait_event_ends_when_the_client_sends_more_and_when_its_time_is_over() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    client.send("Action: WaitEvent\r\nTimeout: 1\r\n\r\n").await;
    assert!(client.packet().await.contains("Waiting for Event completed."));
    assert_eq!(client.packet().await, "Event: WaitEventComplete\r\n\r\n");
    client.send("Action: WaitEvent\r\n\r\n").await;
    // What came in one read with the WaitEvent would not end the wait (Asterisk's own behaviour): the Ping has to be later.
    let waits = |bench: &Bench| {
        let records = records_in_partial(&bench.audit_directory());
        records.iter().filter(|record| record["name"] == "WaitEvent").count() == 2
    };
    while !waits(&bench) {
        tokio::task::yield_now().await;
    }
    client.send("Action: Ping\r\n\r\n").await;
    assert!(client.packet().await.contains("Waiting for Event completed."));
    assert_eq!(client.packet().await, "Event: WaitEventComplete\r\n\r\n");
    assert!(is_pong(&client.packet().await));
}

#[tokio::test]
async fn a_call_is_seen_by_who_made_it_and_by_others_with_the_makers_own_id() {
    let bench = Bench::new().await;
    let (mut maker, mut other) = (bench.login_with("").await, bench.login_with("").await);
    maker
        .send("Action: Originate\r\nActionID: my call\r\nChannel: Local/1000@test\r\nApplication: Wait\r\nData: 1\r\nAsync: true\r\n\r\n")
        .await;
    assert!(
        maker
            .packet_of("Response: Success")
            .await
            .contains("ActionID: my call\r\nMessage: Originate successfully queued")
    );
    for client in [&mut maker, &mut other] {
        let response = client.packet_of("Event: OriginateResponse").await;
        assert!(response.contains("\r\nActionID: my call\r\n") && response.contains("Response: Success"), "{response}");
    }
}

#[tokio::test]
async fn a_user_event_shows_the_senders_own_id() {
    let bench = Bench::new().await;
    let (mut sender, mut other) = (bench.login().await, bench.login_with("").await);
    sender.send("Action: UserEvent\r\nActionID: u 1\r\nUserEvent: Hello\r\nFrom: b\r\n\r\n").await;
    assert!(sender.packet().await.contains("ActionID: u 1\r\nMessage: Event Sent"));
    let seen = other.packet_of("Event: UserEvent").await;
    assert!(
        seen.contains("UserEvent: Hello\r\n") && seen.contains("ActionID: u 1\r\n") && seen.contains("From: b\r\n"),
        "{seen}"
    );
}

#[tokio::test]
async fn fully_booted_comes_behind_the_login_answer_when_it_may_be_seen() {
    let bench = Bench::with_role(&ROLE.replace("allow: [call, user]", "allow: [system]")).await;
    let mut client = bench.login_with("").await;
    assert!(client.packet().await.starts_with("Event: FullyBooted\r\nPrivilege: system,all\r\n"));
}

#[tokio::test]
async fn a_forged_answer_from_asterisks_side_reaches_nobody() {
    let bench = Bench::new().await;
    let mut client = bench.login_with("").await;
    bench.sim.raw(
        b"Response: Success\r\nActionID: guessed\r\nMessage: forged\r\n\r\nResponse: Success\r\n\r\nFoo: bar\r\n\r\n",
    );
    bench.sim.raw(b"Event: Newexten\r\nPrivilege: call,all\r\nAppData: a\rb\0c\r\n\r\n");
    assert_eq!(client.packet().await, "Event: Newexten\r\nPrivilege: call,all\r\nAppData: a b c\r\n\r\n");
}

#[tokio::test]
async fn a_list_is_cut_to_what_is_in_scope_and_counts_what_is_left() {
    let bench = Bench::with_role(&format!("{ROLE}      where: {{ Queue: sales }}\n")).await;
    let mut client = bench.login_with("").await;
    client.send("Action: QueueStatus\r\nActionID: q\r\n\r\n").await;
    let mut queues = Vec::new();
    let end = loop {
        let packet = client.packet().await;
        if packet.starts_with("Event: QueueStatusComplete") {
            break packet;
        }
        queues.extend(packet.lines().filter_map(|line| line.strip_prefix("Queue: ")).map(str::to_owned));
    };
    assert!(queues.len() > 1 && queues.iter().all(|queue| queue == "sales"), "{queues:?}");
    assert!(end.contains(&format!("\r\nListItems: {}\r\n", queues.len())), "{end}");
    // The next list is counted anew.
    client.send("Action: CoreShowChannels\r\n\r\n").await;
    assert!(client.packet_of("Event: CoreShowChannelsComplete").await.contains("ListItems: 0"));
}

#[tokio::test]
async fn denied_items_of_a_list_are_not_counted() {
    let bench = Bench::with_role(&format!("{ROLE}      deny: [QueueMember]\n")).await;
    let mut client = bench.login_with("").await;
    client.send("Action: QueueStatus\r\n\r\n").await;
    assert!(client.packet_of("Event: QueueStatusComplete").await.contains("ListItems: 2\r\n"), "two QueueParams");
}

#[tokio::test]
async fn a_call_is_followed_by_its_linkedid() {
    let role = format!("{ROLE}      where: {{ Context: \"tenant1-*\", AccountCode: tenant1 }}\n");
    let bench = Bench::with_role(&role).await;
    let mut client = bench.login_with("").await;
    let call = |name: &str, context: &str, linkedid: &str| {
        let unique = format!("{context}.{linkedid}");
        let ids = [("Uniqueid", unique.as_str()), ("Linkedid", linkedid)];
        event(name, "call,all", &[&[("Channel", "PJSIP/x-1"), ("Context", context)], &ids[..]].concat())
    };
    bench.sim.emit(&call("Newchannel", "from-trunk", "1.1"));
    bench.sim.emit(&call("Newexten", "tenant2-in", "2.1"));
    bench.sim.emit(&call("Newexten", "tenant1-in", "1.1"));
    bench.sim.emit(&call("Newchannel", "from-trunk", "1.1"));
    bench.sim.emit(&event("BridgeCreate", "call,all", &[("BridgeUniqueid", "b")]));
    bench.sim.emit(&event(
        "DialBegin",
        "call,all",
        &[("DestAccountCode", "tenant1"), ("DestUniqueid", "3.1"), ("DestLinkedid", "3.1")],
    ));
    let forged = [("UserEvent", "x"), ("Context", "tenant1-x"), ("Uniqueid", "2.1"), ("Linkedid", "2.1")];
    bench.sim.emit(&event("UserEvent", "call,all", &forged));
    bench.sim.emit(&call("Hangup", "from-trunk", "2.1"));
    bench.sim.emit(&call("Hangup", "from-trunk", "3.1"));
    for expected in ["Newexten", "Newchannel", "DialBegin", "Hangup"] {
        let packet = client.packet().await;
        assert!(packet.starts_with(&format!("Event: {expected}\r\n")) && !packet.contains("2.1"), "{packet}");
    }
}
