//! Calls at once, counted on a session of amiwall's own.

use std::time::Duration;

use amiwall::sim::SimConfig;

use crate::harness::{Bench, Client, Extra, ROLE};

const ORIGINATE: &str =
    "Action: Originate\r\nChannel: Local/1000@test\r\nApplication: Wait\r\nData: 1\r\nAsync: true\r\n\r\n";
const NO_ROOM: &str = "Message: Rate limit exceeded, retry in 5 s\r\n";
const NOT_WATCHED: &str = "Message: Asterisk is not reachable\r\n";

/// With calls that last until somebody hangs them up.
async fn bench(count: u32) -> Bench {
    let mut config = SimConfig::with_secret(b"upstream-secret");
    config.login_failure_delay = Duration::ZERO;
    config.call_length = Duration::from_secs(3_600);
    let role = format!("{ROLE}    limits: {{ Originate: {{ concurrent: {count} }} }}\n");
    Bench::with_sim(Extra { role, ..Extra::default() }, config).await
}

/// Asks again until the answer is another one.
async fn originate_until_not(bench: &Bench, refusal: &str) -> String {
    loop {
        let answer = bench.login().await.ask(ORIGINATE).await;
        if !answer.contains(refusal) {
            return answer;
        }
    }
}

/// Somebody at Asterisk ends all calls.
async fn hang_up_all(bench: &Bench) {
    let mut operator = Client::connect(bench.upstream).await;
    operator.line().await;
    operator.send("Action: Login\r\nUsername: amiwall\r\nSecret: upstream-secret\r\nEvents: off\r\n\r\n").await;
    operator.packet().await;
    operator.ask("Action: Hangup\r\nChannel: /^Local.*/\r\n\r\n").await;
}

#[tokio::test]
async fn calls_of_a_client_that_logs_off_at_once_are_counted_until_they_are_over() {
    let bench = bench(2).await;
    assert!(originate_until_not(&bench, NOT_WATCHED).await.contains("successfully queued"));
    let mut client = bench.login().await;
    assert!(client.ask(ORIGINATE).await.contains("successfully queued"));
    drop(client);
    for _ in 0..3 {
        assert!(bench.login().await.ask(ORIGINATE).await.contains(NO_ROOM));
    }
    hang_up_all(&bench).await;
    assert!(originate_until_not(&bench, NO_ROOM).await.contains("successfully queued"));
    let records = bench.records().await;
    let of = |reason: &str| records.iter().filter(|record| record["reason"] == reason).count();
    assert!(of("limits.concurrent") >= 3);
    let allowed = records.iter().find(|record| record["name"] == "Originate" && record["decision"] == "allow");
    let headers = allowed.expect("a call")["headers"].to_string();
    assert!(headers.contains(r#"["ChannelId","#) && headers.contains(r#"["OtherChannelId","#), "{headers}");
}

#[tokio::test]
async fn a_call_that_fails_gives_its_place_back() {
    let bench = bench(1).await;
    let busy = |extra: &str| ORIGINATE.replace("1000", "1005").replace("Async: true\r\n", extra);
    originate_until_not(&bench, NOT_WATCHED).await;
    hang_up_all(&bench).await;
    for _ in 0..3 {
        // Busy: with an answer that says so, or with an event.
        for extra in ["", "Async: true\r\n"] {
            loop {
                let answer = bench.login().await.ask(&busy(extra)).await;
                if !answer.contains(NO_ROOM) {
                    break;
                }
            }
        }
    }
    assert!(originate_until_not(&bench, NO_ROOM).await.contains("successfully queued"));
    assert!(bench.login().await.ask(ORIGINATE).await.contains(NO_ROOM));
}

#[tokio::test]
async fn a_session_that_breaks_is_made_again_and_forgets_no_call() {
    let bench = bench(1).await;
    originate_until_not(&bench, NOT_WATCHED).await;
    bench.sim.drop_sessions();
    // Either nobody watches, or the call is known; never is there room.
    let mut is_known = 0;
    while is_known < 3 {
        let answer = bench.login().await.ask(ORIGINATE).await;
        assert!(answer.contains(NO_ROOM) || answer.contains(NOT_WATCHED), "{answer}");
        is_known += usize::from(answer.contains(NO_ROOM));
    }
}

#[tokio::test]
async fn the_calls_of_an_asterisk_that_was_started_anew_are_over() {
    let bench = bench(1).await;
    originate_until_not(&bench, NOT_WATCHED).await;
    assert!(bench.login().await.ask(ORIGINATE).await.contains(NO_ROOM));
    let bench = bench.restart_asterisk().await;
    loop {
        let mut client = Client::connect(bench.address).await;
        client.line().await;
        client.send("Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n").await;
        client.send(ORIGINATE).await;
        client.send("Action: Logoff\r\n\r\n").await;
        if client.rest().await.contains("successfully queued") {
            break;
        }
    }
}

#[tokio::test]
async fn calls_are_counted_over_a_restart_of_amiwall() {
    let bench = bench(1).await;
    originate_until_not(&bench, NOT_WATCHED).await;
    let bench = bench.restart().await;
    assert!(originate_until_not(&bench, NOT_WATCHED).await.contains(NO_ROOM));
    hang_up_all(&bench).await;
    assert!(originate_until_not(&bench, NO_ROOM).await.contains("successfully queued"));
}

#[tokio::test]
async fn a_reload_keeps_count() {
    let mut bench = bench(1).await;
    originate_until_not(&bench, NOT_WATCHED).await;
    bench.reload(|extra| extra.role = extra.role.replace("concurrent: 1", "concurrent: 2")).await;
    let mut client = bench.login().await;
    assert!(client.ask(ORIGINATE).await.contains("successfully queued"));
    assert!(client.ask(ORIGINATE).await.contains(NO_ROOM));
}
