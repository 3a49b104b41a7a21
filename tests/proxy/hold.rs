//! Clients that are kept while Asterisk is started anew.

use amiwall::sim::ExecutedAction;

use crate::harness::{Bench, Client, DENIED, Extra, ROLE, is_pong, records_in_partial};

const PING: &str = "Action: Ping\r\n\r\n";
const NOT_REACHABLE: &str = "Response: Error\r\nMessage: Asterisk is not reachable\r\n\r\n";
const LOGIN: &str = "Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n";

fn extra(hold: &str) -> Extra {
    let role = ROLE.replace("allow: [call, user]", "allow: [call, user, FullyBooted]");
    Extra { upstream: format!(", hold: {hold}"), role, ..Extra::default() }
}

async fn bench(hold: &str) -> Bench {
    Bench::with(extra(hold)).await
}

/// Waits until so many records have that reason.
async fn until_recorded(bench: &Bench, reason: &str, count: usize) {
    let is_so = |record: &serde_json::Value| record["reason"] == reason;
    while records_in_partial(&bench.audit_directory()).iter().filter(|record| is_so(record)).count() < count {
        tokio::task::yield_now().await;
    }
}

fn value(action: &ExecutedAction, name: &str) -> String {
    String::from_utf8_lossy(action.request.get(name)).into_owned()
}

#[tokio::test]
async fn a_client_is_kept_gets_errors_meanwhile_and_goes_on() {
    let bench = bench("60s").await;
    let mut client = bench.login_with("Events: on\r\n").await;
    let mut silent = bench.login().await;
    assert!(client.packet().await.starts_with("Event: FullyBooted\r\n"));
    assert!(is_pong(&client.ask(PING).await));
    bench.sim.stop_answering();
    client.send("Action: Ping\r\nActionID: lost\r\n\r\n").await;
    let executed = bench.sim.wait_for(|executed| executed.iter().filter(|one| one.is("Ping")).count() == 2).await;
    let old_id = value(executed.last().expect("a Ping"), "ActionID");
    bench.stop_asterisk();
    // What was outstanding, what comes, and what needs no Asterisk.
    let lost = "Response: Error\r\nActionID: lost\r\nMessage: Asterisk is not reachable\r\n\r\n";
    assert_eq!(client.packet().await, lost);
    until_recorded(&bench, "upstream.held", 2).await;
    assert_eq!(client.ask("Action: CoreStatus\r\nActionID: 7\r\n\r\n").await, lost.replace("lost", "7"));
    assert_eq!(client.ask("Action: Command\r\nCommand: core stop now\r\n\r\n").await, DENIED);
    let user = "Action: Events\r\nEventMask: user,system\r\n\r\n";
    assert_eq!(client.ask(user).await, "Response: Success\r\nEvents: On\r\n\r\n");
    // Who comes now finds Asterisk gone.
    let mut late = bench.connect().await;
    late.send(LOGIN).await;
    assert_eq!(late.rest().await, "");

    let bench = bench.restart_asterisk().await;
    assert!(client.packet().await.starts_with("Event: FullyBooted\r\n"));
    let pong = client.ask("Action: Ping\r\nActionID: again\r\n\r\n").await;
    assert!(pong.starts_with("Response: Success\r\nActionID: again\r\nPing: Pong\r\n"), "{pong}");
    until_recorded(&bench, "upstream.back", 2).await;
    assert!(is_pong(&silent.ask(PING).await));
    // The mask is the one that was asked for meanwhile; ids are others.
    let executed = bench.sim.executed();
    let masks: Vec<String> = executed.iter().filter(|one| one.is("Login")).map(|one| value(one, "Events")).collect();
    assert!(masks.len() == 2 && masks.contains(&"off".to_owned()) && masks.iter().any(|mask| mask.contains("user")));
    assert!(masks.iter().all(|mask| !mask.contains("call")), "{masks:?}");
    let id = executed.iter().find(|one| one.is("Ping")).map(|one| value(one, "ActionID")).expect("a Ping");
    let prefix = |id: &str| id.rsplit_once('-').map(|(prefix, _)| prefix.to_owned());
    assert_ne!(prefix(&id), prefix(&old_id));
    let forged = format!("Response: Success\r\nActionID: {old_id}\r\nMessage: FORGED\r\n\r\n");
    bench.sim.raw(forged.as_bytes());
    assert!(is_pong(&client.ask(PING).await), "an id of before the outage is nobody's");

    let records = bench.records().await;
    let of = |reason: &str| records.iter().filter(|record| record["reason"] == reason).collect::<Vec<_>>();
    let back = of("upstream.back");
    assert!(
        back.iter().all(|record| record["kind"] == "outage" && record["since"].as_str() < record["until"].as_str())
    );
    let outages: Vec<_> = of("upstream.held").into_iter().filter(|record| record["kind"] == "outage").collect();
    let unanswered: Vec<_> = outages.iter().map(|record| record["unanswered"].as_u64().expect("a number")).collect();
    assert!(unanswered == [0, 1] || unanswered == [1, 0], "{unanswered:?}");
    assert_eq!(outages[0]["identity"], "tester");
    let refused = of("upstream.held").into_iter().find(|record| record["kind"] == "action").expect("a refusal");
    assert_eq!((&refused["name"], &refused["decision"]), (&"CoreStatus".into(), &"deny".into()));
    let lost = records.iter().find(|record| record["origin"] == "amiwall" && record["kind"] == "response");
    assert_eq!(lost.expect("the error is on record")["headers"][1][1], "lost");
}

#[tokio::test]
async fn a_call_that_is_waited_for_holds_up_nothing_behind_it() {
    let bench = bench("60s").await;
    let mut client = bench.login().await;
    bench.sim.stop_answering();
    let originate =
        "Action: Originate\r\nActionID: call\r\nChannel: Local/1000@test\r\nApplication: Wait\r\nData: 1\r\n\r\n";
    client.send(format!("{originate}{PING}")).await;
    bench.sim.wait_for(|executed| executed.iter().any(|one| one.is("Originate"))).await;
    bench.stop_asterisk();
    assert!(client.packet().await.contains("ActionID: call\r\nMessage: Asterisk is not reachable"));
    assert_eq!(client.packet().await, NOT_REACHABLE);
    let mut bench = bench.restart_asterisk().await;
    until_recorded(&bench, "upstream.back", 1).await;
    assert!(is_pong(&client.ask(PING).await));
    // Once more, under another policy.
    bench.stop_asterisk();
    until_recorded(&bench, "upstream.held", 3).await;
    bench.reload(|extra| extra.role = "    allow: [CoreStatus]\n".to_owned()).await;
    assert_eq!(client.ask(PING).await, DENIED);
    assert_eq!(client.ask("Action: CoreStatus\r\n\r\n").await, NOT_REACHABLE);
    let bench = bench.restart_asterisk().await;
    until_recorded(&bench, "upstream.back", 2).await;
    assert!(client.ask("Action: CoreStatus\r\n\r\n").await.starts_with("Response: Success\r\n"));
    assert_eq!(client.ask(PING).await, DENIED);
}

#[tokio::test]
async fn a_client_may_go_while_asterisk_is_away_and_is_answered() {
    let bench = bench("60s").await;
    let (mut polite, mut closing) = (bench.login().await, bench.login().await);
    bench.stop_asterisk();
    until_recorded(&bench, "upstream.held", 2).await;
    polite.send(format!("{PING}Action: Logoff\r\n\r\n")).await;
    let goodbye = "Response: Goodbye\r\nMessage: Thanks for all the fish.\r\n\r\n";
    assert_eq!(polite.rest().await, format!("{NOT_REACHABLE}{goodbye}"));
    closing.send(PING).await;
    closing.half_close().await;
    assert_eq!(closing.rest().await, NOT_REACHABLE);
    assert_eq!(ends(bench).await, ["client-closed", "logged-off"]);
}

async fn ends(bench: Bench) -> Vec<String> {
    let records = bench.records().await;
    let ends = records.iter().filter(|record| record["kind"] == "end");
    let mut ends: Vec<String> = ends.map(|record| record["reason"].as_str().expect("a reason").to_owned()).collect();
    ends.sort();
    ends
}

#[tokio::test]
async fn when_the_time_is_over_the_session_ends_as_without_hold() {
    let bench = bench("300ms").await;
    let mut client = bench.login().await;
    assert!(is_pong(&client.ask(PING).await));
    bench.stop_asterisk();
    assert_eq!(client.rest().await, "");
    assert_eq!(ends(bench).await, ["upstream.lost"]);
}

#[tokio::test]
async fn what_ends_a_session_ends_it_while_asterisk_is_away() {
    let mut bench = Bench::with(Extra {
        identities: "  other: { roles: [tester], secret: { file: tester.secret } }\n".to_owned(),
        ..extra("1h")
    })
    .await;
    let _kept = bench.login().await;
    let mut revoked = bench.connect().await;
    revoked.send(LOGIN.replace("tester\r\n", "other\r\n")).await;
    assert!(revoked.packet().await.contains("accepted"));
    bench.stop_asterisk();
    until_recorded(&bench, "upstream.held", 2).await;
    bench.reload(|extra| extra.identities.clear()).await;
    assert_eq!(revoked.rest().await, "");
    // The process ends at once, too: it waits for sessions that have something to finish.
    assert_eq!(ends(bench).await, ["policy-revoked", "shutdown"]);
}

#[tokio::test]
async fn without_hold_nobody_is_kept() {
    let bench = Bench::new().await;
    let mut client: Client = bench.login().await;
    bench.stop_asterisk();
    assert_eq!(client.rest().await, "");
    assert_eq!(ends(bench).await, ["upstream.lost"]);
}
