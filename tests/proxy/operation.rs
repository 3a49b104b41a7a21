//! Reload, revocation, a slow client, the end of the process.

use amiwall::ami::Message;
use amiwall::sim::SimConfig;

use crate::harness::{Bench, DENIED, Extra, is_pong, records_in_partial};

#[tokio::test]
async fn a_reload_judges_live_sessions_by_the_new_policy() {
    let mut bench = Bench::new().await;
    let mut client = bench.login().await;
    assert!(is_pong(&client.ask("Action: Ping\r\n\r\n").await));
    bench.reload(|extra| extra.role = extra.role.replace("      - Ping\n", "")).await;
    assert_eq!(client.ask("Action: Ping\r\n\r\n").await, DENIED);
    bench
        .reload(|extra| {
            extra.role = extra.role.replace("    allow:\n      - Core", "    allow:\n      - Ping\n      - Core");
        })
        .await;
    assert!(is_pong(&client.ask("Action: Ping\r\n\r\n").await));
}

#[tokio::test]
async fn a_session_whose_network_or_identity_is_gone_ends() {
    let mut bench = Bench::new().await;
    let mut client = bench.login().await;
    bench.reload(|extra| extra.identity = "    networks: { allow: [192.0.2.1] }\n".to_owned()).await;
    assert_eq!(client.rest().await, "");
    bench.reload(|extra| extra.identity = String::new()).await;
    let mut client = bench.login().await;
    bench.reload(|extra| extra.listener = "    networks: { except: [127.0.0.1] }\n".to_owned()).await;
    assert_eq!(client.rest().await, "");
    let records = bench.records().await;
    let revoked =
        records.iter().filter(|record| record["kind"] == "end" && record["reason"] == "policy-revoked").count();
    assert_eq!(revoked, 2);
}

#[tokio::test]
async fn a_remembered_secret_does_not_outlive_its_change() {
    let mut bench = Bench::new().await;
    drop(bench.login().await);
    let secret = bench.policy_path().with_file_name("tester.secret");
    std::fs::write(&secret, "another-secret\n").expect("it is written");
    bench.reload(|_| {}).await;
    let mut client = bench.connect().await;
    client.send("Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\n\r\n").await;
    assert!(client.rest().await.contains("Authentication failed"));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go_and_nobody_else_is_held_up() {
    let bench = Bench::with_sim(Extra::default(), SimConfig::with_secret(b"upstream-secret")).await;
    let (slow, mut other) = (bench.login_with("").await, bench.login().await);
    let big = "x".repeat(60_000);
    let event = Message::compose(&[("Event", b"Newexten"), ("Privilege", b"call,all"), ("AppData", big.as_bytes())]);
    let ends = |bench: &Bench| {
        let records = records_in_partial(&bench.audit_directory());
        records.iter().filter(|record| record["kind"] == "end" && record["reason"] == "slow-client").count()
    };
    // 16 MB at the most: the kernel's buffers and the queue hold less.
    for _ in 0..2_000 {
        bench.sim.emit(&event);
        assert!(is_pong(&other.ask("Action: Ping\r\n\r\n").await));
        if ends(&bench) == 1 {
            break;
        }
    }
    assert_eq!(ends(&bench), 1, "the slow client's end is on record");
    assert_eq!(bench.sim.sessions(), 1, "its session with Asterisk is over too");
    drop(slow);
}

#[tokio::test]
async fn the_end_of_the_process_lets_outstanding_actions_finish() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    client.send("Action: Originate\r\nActionID: o\r\nChannel: Local/1004@test\r\nApplication: Wait\r\nData: 1\r\nTimeout: 1000\r\n\r\n").await;
    bench.sim.wait_for(|executed| executed.iter().any(|action| action.is("Originate"))).await;
    let records = bench.records();
    let (rest, records) = tokio::join!(client.rest(), records);
    assert!(rest.contains("ActionID: o\r\n"), "{rest}");
    assert_eq!(records.last().map(|record| record["kind"].clone()), Some("stop".into()));
}

#[tokio::test]
async fn a_client_that_a_policy_does_not_know_can_do_nothing() {
    let mut bench = Bench::new().await;
    let mut client = bench.login().await;
    bench
        .reload(|extra| {
            extra.identity = "    valid: { until: 2020-01-01 }\n".to_owned();
        })
        .await;
    assert_eq!(client.rest().await, "");
}
