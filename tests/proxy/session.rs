//! What a client that may do it sees is what Asterisk would show it.

use crate::harness::{Bench, DENIED, is_pong};

#[tokio::test]
async fn the_clients_action_id_comes_back_byte_for_byte_or_not_at_all() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    let long = "x".repeat(900);
    for id in ["1", "a: b:c", "\u{e4}\u{20ac}", "%s%n", &long] {
        let pong = client.ask(&format!("Action: Ping\r\nActionID: {id}\r\n\r\n")).await;
        assert!(pong.starts_with(&format!("Response: Success\r\nActionID: {id}\r\nPing: Pong\r\n")), "{pong}");
    }
    let pong = client.ask("Action: Ping\r\n\r\n").await;
    assert!(is_pong(&pong) && !pong.contains("ActionID"), "{pong}");
}

#[tokio::test]
async fn a_typed_in_session_works() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    for line in ["action: login\n", "username: TESTER\n", "secret:tester-secret\n", "events:off\n", "\n"] {
        client.send(line).await;
    }
    assert!(client.packet().await.contains("Authentication accepted"));
    for byte in b"action:ping\n\n" {
        client.send([*byte]).await;
    }
    assert!(is_pong(&client.packet().await));
    client.send("Action: Logoff\n\n").await;
    assert_eq!(client.rest().await, "Response: Goodbye\r\nMessage: Thanks for all the fish.\r\n\r\n");
}

#[tokio::test]
async fn answers_keep_the_order_of_pipelined_actions_refusals_among_them() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    client
        .send(
            "Action: Ping\r\n\r\nAction: Command\r\nCommand: core stop now\r\n\r\nAction: CoreShowChannels\r\nActionID: l\r\n\r\n\
             Action: Events\r\nEventMask: off\r\n\r\nAction: Nonsense\r\n\r\n\r\nAction: Ping\r\nActionID: last\r\n\r\n",
        )
        .await;
    assert!(is_pong(&client.packet().await));
    assert_eq!(client.packet().await, DENIED);
    assert!(client.packet().await.contains("EventList: start"));
    assert!(client.packet().await.starts_with("Event: CoreShowChannelsComplete\r\nActionID: l\r\n"));
    assert_eq!(client.packet().await, "Response: Success\r\nEvents: Off\r\n\r\n");
    assert_eq!(client.packet().await, DENIED);
    assert_eq!(client.packet().await, "Response: Error\r\nMessage: Missing action in request\r\n\r\n");
    assert!(client.packet().await.contains("ActionID: last\r\nPing: Pong"));
    assert_eq!(bench.executed(), ["Ping", "CoreShowChannels", "Ping"]);
}

#[tokio::test]
async fn five_hundred_pipelined_pings_are_answered_in_order() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    let pings: String = (0..500).map(|n| format!("Action: Ping\r\nActionID: {n}\r\n\r\n")).collect();
    client.send(pings).await;
    for n in 0..500 {
        assert!(client.packet().await.contains(&format!("ActionID: {n}\r\n")));
    }
}

#[tokio::test]
async fn whole_packets_before_a_half_close_are_answered_and_an_unfinished_one_is_dropped() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    client.send("Action: Ping\r\nActionID: 1\r\n\r\nAction: Ping\r\nActionID: 2\r\n\r\nAction: CoreStatus\r\n").await;
    client.half_close().await;
    let rest = client.rest().await;
    assert_eq!(rest.matches("Ping: Pong").count(), 2, "{rest}");
    assert_eq!(bench.executed(), ["Ping", "Ping"]);
}

#[tokio::test]
async fn what_stands_behind_a_waitevent_is_answered_after_a_half_close_too() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    client
        .send("Action: WaitEvent\r\nTimeout: 60\r\n\r\nAction: Ping\r\nActionID: 2\r\n\r\nAction: Logoff\r\n\r\n")
        .await;
    client.half_close().await;
    let rest = client.rest().await;
    let places =
        ["Event: WaitEventComplete", "ActionID: 2\r\nPing: Pong", "Response: Goodbye"].map(|text| rest.find(text));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{rest}");
    assert_eq!(bench.executed(), ["Ping"]);
}

#[tokio::test]
async fn nothing_behind_a_logoff_is_run() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    client.send("Action: Ping\r\n\r\nAction: Logoff\r\nActionID: 9\r\n\r\nAction: CoreStatus\r\n\r\n").await;
    let rest = client.rest().await;
    assert!(rest.ends_with("Response: Goodbye\r\nActionID: 9\r\nMessage: Thanks for all the fish.\r\n\r\n"), "{rest}");
    assert_eq!(bench.executed(), ["Ping"]);
}

#[tokio::test]
async fn a_synchronous_originate_holds_up_what_is_behind_it_undecided() {
    let mut bench = Bench::new().await;
    let mut client = bench.login().await;
    client
        .send(
            "Action: Originate\r\nActionID: o\r\nChannel: Local/1004@test\r\nApplication: Wait\r\nData: 1\r\nTimeout: 1500\r\n\r\n\
             Action: CoreStatus\r\nActionID: p\r\n\r\n",
        )
        .await;
    bench.sim.wait_for(|executed| executed.iter().any(|action| action.is("Originate"))).await;
    // The policy that is in force when its bytes would be written decides.
    bench.reload(|extra| extra.role = extra.role.replace("      - CoreStatus\n", "")).await;
    let answer = client.packet().await;
    assert!(answer.contains("ActionID: o\r\n"), "{answer}");
    assert_eq!(client.packet().await, "Response: Error\r\nActionID: p\r\nMessage: Permission denied\r\n\r\n");
    assert_eq!(bench.executed(), ["Originate"]);
}

#[tokio::test]
async fn list_commands_lists_what_the_policy_allows() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    let list = client.ask("Action: ListCommands\r\nActionID: c\r\n\r\n").await;
    assert!(list.starts_with("Response: Success\r\nActionID: c\r\n") && list.contains("\r\nPing: "), "{list}");
    assert!(!list.contains("\r\nCommand: ") && !list.contains("\r\nModuleLoad: "), "{list}");
}

#[tokio::test]
async fn a_second_login_changes_nothing_and_a_challenge_is_answered() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    let again = client.ask("Action: Login\r\nActionID: 9\r\nUsername: other\r\nSecret: nope\r\n\r\n").await;
    assert_eq!(again, "Response: Success\r\nActionID: 9\r\nMessage: Already authenticated\r\n\r\n");
    assert!(
        client.ask("Action: Challenge\r\nAuthType: MD5\r\n\r\n").await.starts_with("Response: Success\r\nChallenge: ")
    );
    assert_eq!(client.ask("Action: Command\r\nCommand: core stop now\r\n\r\n").await, DENIED);
    assert!(bench.executed().is_empty());
}

#[tokio::test]
async fn unknown_headers_are_dropped_before_asterisk_and_on_record() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    assert!(is_pong(&client.ask("id: 7\r\nAction: Ping\r\nSuppressEvents: yes\r\nEmpty:\r\n\r\n").await));
    let executed = bench.sim.executed();
    let ping = executed.iter().find(|action| action.is("Ping")).expect("it was run");
    assert_eq!((ping.request.get("id"), ping.request.get("SuppressEvents")), (&b""[..], &b""[..]));
    let records = bench.records().await;
    let record =
        records.iter().find(|record| record["name"] == "Ping" && record["kind"] == "action").expect("a record");
    assert_eq!(record["dropped"].as_array().map(Vec::len), Some(3), "{record}");
}

#[tokio::test]
async fn a_lost_asterisk_answers_what_is_outstanding_and_ends_the_session() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    bench.sim.stop_answering();
    client.send("Action: Ping\r\nActionID: 1\r\n\r\nAction: Ping\r\n\r\n").await;
    bench.sim.wait_for(|executed| executed.iter().filter(|action| action.is("Ping")).count() >= 1).await;
    bench.stop_asterisk();
    let rest = client.rest().await;
    assert!(rest.contains("Response: Error\r\nActionID: 1\r\nMessage: Asterisk is not reachable\r\n\r\n"), "{rest}");
    let records = bench.records().await;
    assert!(records.iter().any(|record| record["kind"] == "end" && record["reason"] == "upstream.lost"));
}

#[tokio::test]
async fn good_credentials_while_asterisk_is_gone_close_the_connection_without_an_answer() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    bench.stop_asterisk();
    client.send("Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\n\r\n").await;
    assert_eq!(client.rest().await, "");
}
