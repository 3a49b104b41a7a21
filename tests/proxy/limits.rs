//! How often and how many.

use crate::harness::{Bench, Client, Extra, ROLE, is_pong};

const LOGIN: &str = "Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n";
const ORIGINATE: &str =
    "Action: Originate\r\nChannel: Local/1000@test\r\nApplication: Wait\r\nData: 1\r\nAsync: true\r\n\r\n";

#[tokio::test]
async fn an_originate_over_the_rate_is_told_when_to_come_again_and_does_not_reach_asterisk() {
    let bench = Bench::with_role(&format!("{ROLE}    limits: {{ Originate: {{ rate: 3/hour, burst: 3 }} }}\n")).await;
    let mut client = bench.login().await;
    for _ in 0..3 {
        assert!(client.ask(ORIGINATE).await.contains("Originate successfully queued"));
    }
    let refused = client.ask(ORIGINATE).await;
    assert!(refused.starts_with("Response: Error\r\nMessage: Rate limit exceeded, retry in "), "{refused}");
    assert!(is_pong(&client.ask("Action: Ping\r\n\r\n").await), "other actions have room");
    let mut second = bench.login().await;
    assert!(
        second.ask(ORIGINATE).await.contains("Rate limit exceeded"),
        "the limit is the identity's, not the session's"
    );
    assert_eq!(bench.executed().iter().filter(|name| *name == "Originate").count(), 3);
    let records = bench.records().await;
    let limited = records.iter().filter(|record| record["decision"] == "limit").count();
    assert_eq!(limited, 2);
}

#[tokio::test]
async fn a_limit_of_the_whole_proxy_is_shared() {
    let extra = Extra {
        limits: "  actions: { Originate: { rate: 2/hour } }\n".to_owned(),
        identities: "  other: { roles: [tester], secret: { file: tester.secret }, challenge: true }\n".to_owned(),
        ..Extra::default()
    };
    let bench = Bench::with(extra).await;
    let mut client = bench.login().await;
    assert!(client.ask(ORIGINATE).await.contains("queued") && client.ask(ORIGINATE).await.contains("queued"));
    let mut other = bench.connect().await;
    other.send("Action: Login\r\nUsername: other\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n").await;
    assert!(other.packet().await.contains("accepted"));
    assert!(other.ask(ORIGINATE).await.contains("Rate limit exceeded"));
}

#[tokio::test]
async fn connections_are_limited_per_address() {
    let extra = Extra { limits: "  unauthenticated_per_address: 2\n".to_owned(), ..Extra::default() };
    let bench = Bench::with(extra).await;
    let (mut first, mut second) = (bench.connect().await, bench.connect().await);
    let _third = bench.connect().await;
    assert_eq!(first.rest().await, "", "closed without a word more");
    second.send(LOGIN).await;
    assert!(second.packet().await.contains("Authentication accepted"));
    let records = bench.records().await;
    let gone = |record: &&serde_json::Value| record["reason"] == "limits.unauthenticated_per_address";
    assert_eq!(records.iter().filter(gone).count(), 1);
}

#[tokio::test]
async fn an_address_outside_the_listeners_networks_gets_not_a_byte() {
    let extra = Extra { listener: "    networks: { allow: [192.0.2.0/24] }\n".to_owned(), ..Extra::default() };
    let bench = Bench::with(extra).await;
    assert_eq!(Client::connect(bench.address).await.rest().await, "");
    let records = bench.records().await;
    assert!(records.iter().any(|record| record["kind"] == "refuse" && record["reason"] == "networks.listener"));
}

#[tokio::test]
async fn a_client_in_a_loop_is_slowed_down_and_hurts_nobody_else() {
    let bench = Bench::new().await;
    let (mut looping, mut other) = (bench.login().await, bench.login().await);
    looping.send("Action: Events\r\nEventMask: off\r\n\r\n".repeat(400)).await;
    looping.packet().await;
    for _ in 0..50 {
        assert!(is_pong(&other.ask("Action: Ping\r\n\r\n").await));
    }
    drop(looping);
}

#[tokio::test]
async fn whoever_wants_more_than_its_limit_gets_all_of_its_limit() {
    let bench = Bench::with_role(&format!("{ROLE}    limits: {{ Ping: {{ rate: 50/second, burst: 5 }} }}\n")).await;
    let mut client = bench.login().await;
    let mut outcomes = Vec::new();
    for _ in 0..10 {
        client.send("Action: Ping\r\n\r\n".repeat(64)).await;
        for _ in 0..64 {
            let answer = client.packet().await;
            assert!(is_pong(&answer) || answer.contains("Rate limit exceeded"), "{answer}");
            outcomes.push(is_pong(&answer));
        }
    }
    // It has been refused too often by now: behind each refusal it waits until the limit has room. Judged as they came,
    // five of each 64 would have been let through.
    let late = outcomes.get(320..).expect("320 more");
    let admitted = late.iter().filter(|is_pong| **is_pong).count();
    assert!(admitted >= 100, "{admitted} of {}", late.len());
}
