//! Several Asterisks: a listener's, and an identity's own.

use std::net::SocketAddr;

use amiwall::sim::{Sim, SimConfig, SimHandle};
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, Client, DENIED, Extra, ROLE, is_pong};

const PING: &str = "Action: Ping\r\n\r\n";
const ORIGINATE: &str =
    "Action: Originate\r\nChannel: Local/1000@test\r\nApplication: Wait\r\nData: 1\r\nAsync: true\r\n\r\n";

struct Second {
    sim: SimHandle,
    address: SocketAddr,
    stop: CancellationToken,
}

impl Second {
    async fn new() -> Self {
        let config = SimConfig { call_length: std::time::Duration::from_secs(3_600), ..second() };
        let sim = Sim::bind("127.0.0.1:0", config).await.expect("it binds");
        let (handle, address, stop) = (sim.handle(), sim.local_addr(), CancellationToken::new());
        tokio::spawn(sim.run(stop.clone()));
        Self { sim: handle, address, stop }
    }

    /// A policy with it as a second upstream, whose identity `away` goes there.
    fn extra(&self) -> Extra {
        let other = format!(
            " }}\n  other: {{ address: \"{}\", username: amiwall, secret: {{ file: upstream.secret }}",
            self.address
        );
        Extra {
            upstream: other,
            listener: "    upstream: pbx\n".to_owned(),
            identities: "  away: { roles: [tester], upstream: other, secret: { file: tester.secret } }\n".to_owned(),
            ..Extra::default()
        }
    }

    fn count(&self, name: &str) -> usize {
        count(&self.sim, name)
    }
}

fn count(sim: &SimHandle, name: &str) -> usize {
    sim.executed().iter().filter(|action| action.is(name)).count()
}

/// Another banner tells one from the other.
fn second() -> SimConfig {
    SimConfig { banner: "Asterisk Call Manager/8.0.2".to_owned(), ..SimConfig::with_secret(b"upstream-secret") }
}

async fn login(bench: &Bench, name: &str) -> (Client, String) {
    // The banner is the one of the listener's Asterisk: nobody knows yet who comes.
    let mut client = bench.connect().await;
    client.send(format!("Action: Login\r\nUsername: {name}\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n")).await;
    if client.greets().await {
        let answer = client.packet().await;
        return (client, answer);
    }
    (client, String::new())
}

#[tokio::test]
async fn an_identity_goes_to_its_own_asterisk_whichever_listener_it_came_through() {
    let other = Second::new().await;
    let bench = Bench::with(other.extra()).await;
    let (mut here, answer) = login(&bench, "tester").await;
    assert!(answer.contains("accepted"), "{answer}");
    assert!(is_pong(&here.ask(PING).await));
    assert_eq!((count(&bench.sim, "Ping"), other.count("Ping")), (1, 0));
    let (mut away, answer) = login(&bench, "away").await;
    assert!(answer.contains("accepted"), "{answer}");
    assert!(is_pong(&away.ask(PING).await));
    assert_eq!((count(&bench.sim, "Ping"), other.count("Ping")), (1, 1));
    let records = bench.records().await;
    let upstreams = |kind: &str, identity: &str| -> Vec<&str> {
        let of = records.iter().filter(|record| record["kind"] == kind && record["identity"] == identity);
        of.map(|record| record["upstream"].as_str().expect("an upstream")).collect()
    };
    for kind in ["login", "action", "response", "end"] {
        assert_eq!(upstreams(kind, "away"), ["other"], "{kind}");
        assert_eq!(upstreams(kind, "tester"), ["pbx"], "{kind}");
    }
}

#[tokio::test]
async fn nobody_is_let_in_through_another_asterisk_than_the_own() {
    let other = Second::new().await;
    let bench = Bench::with(other.extra()).await;
    other.stop.cancel();
    other.sim.drop_sessions();
    other.sim.wait_for_sessions(|count| *count == 0).await;
    // amiwall's own, to learn the banner.
    bench.sim.wait_for(|executed| executed.iter().any(|action| action.is("Logoff"))).await;
    let logins = count(&bench.sim, "Login");
    let (_, answer) = login(&bench, "away").await;
    assert_eq!(answer, "", "closed without an answer");
    assert_eq!(count(&bench.sim, "Login"), logins, "the listener's Asterisk was asked");
    let (mut here, answer) = login(&bench, "tester").await;
    assert!(answer.contains("accepted") && is_pong(&here.ask(PING).await));
    // The other way round: the listener's is gone, the own is there.
    let other = Second::new().await;
    let bench = Bench::with(other.extra()).await;
    let (mut away, answer) = login(&bench, "away").await;
    assert!(answer.contains("accepted"), "{answer}");
    bench.stop_asterisk();
    bench.sim.wait_for_sessions(|count| *count == 0).await;
    assert!(is_pong(&away.ask(PING).await), "it is not its Asterisk that is gone");
    assert_eq!(login(&bench, "tester").await.1, "");
    assert!(login(&bench, "away").await.1.contains("accepted"));
    let records = bench.records().await;
    let end = records.iter().find(|record| record["reason"] == "upstream.unreachable").expect("an end");
    assert_eq!((&end["identity"], &end["upstream"]), (&"tester".into(), &"pbx".into()));
}

#[tokio::test]
async fn a_session_ends_when_its_identity_gets_another_asterisk() {
    let other = Second::new().await;
    let mut bench = Bench::with(other.extra()).await;
    let (mut away, mut here) = (login(&bench, "away").await.0, login(&bench, "tester").await.0);
    bench.reload(|extra| extra.identities = extra.identities.replace("upstream: other", "upstream: pbx")).await;
    assert_eq!(away.rest().await, "");
    assert!(is_pong(&here.ask(PING).await));
    let (mut back, answer) = login(&bench, "away").await;
    assert!(answer.contains("accepted") && is_pong(&back.ask(PING).await));
    let records = bench.records().await;
    let end = records.iter().find(|record| record["kind"] == "end" && record["upstream"] == "other").expect("an end");
    assert_eq!(end["reason"], "policy-revoked");
}

#[tokio::test]
async fn a_session_ends_when_its_asterisk_is_its_own_no_more_or_out_of_the_policy() {
    for is_out in [false, true] {
        let other = Second::new().await;
        let mut extra = other.extra();
        if is_out {
            // Its listener's Asterisk is to be another one.
            extra.listener = "    upstream: other\n".to_owned();
            extra.identities = String::new();
        }
        let mut bench = Bench::with(extra).await;
        let name = if is_out { "tester" } else { "away" };
        let mut away = Client::connect(bench.address).await;
        away.line().await;
        let login = format!("Action: Login\r\nUsername: {name}\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n");
        let answer = away.ask(&login).await;
        assert!(answer.contains("accepted"), "{answer}");
        assert!(is_pong(&away.ask(PING).await));
        assert_eq!(other.count("Ping"), 1);
        bench
            .reload(|extra| {
                extra.identities = extra.identities.replace("upstream: other, ", "");
                if is_out {
                    (extra.upstream, extra.listener) = Default::default();
                }
            })
            .await;
        assert_eq!(away.rest().await, "");
        let records = bench.records().await;
        let end = records.iter().find(|record| record["kind"] == "end" && record["upstream"] == "other");
        assert_eq!(end.expect("an end")["reason"], "policy-revoked");
    }
}

#[tokio::test]
async fn calls_are_watched_where_they_are() {
    let other = Second::new().await;
    let role = format!("{ROLE}    limits: {{ Originate: {{ concurrent: 1 }} }}\n");
    let bench = Bench::with(Extra { role, ..other.extra() }).await;
    let (mut away, _) = login(&bench, "away").await;
    // Both are watched by now, or it is told that they are not.
    let mut answer = away.ask(ORIGINATE).await;
    while answer.contains("Asterisk is not reachable") {
        answer = away.ask(ORIGINATE).await;
    }
    assert!(answer.contains("successfully queued"), "{answer}");
    assert!(away.ask(ORIGINATE).await.contains("retry in 5 s"));
    assert_eq!((count(&bench.sim, "Originate"), other.count("Originate")), (0, 1));
    // With the Asterisk nobody sees the calls.
    other.stop.cancel();
    other.sim.drop_sessions();
    let (mut here, _) = login(&bench, "tester").await;
    let mut answer = here.ask(ORIGINATE).await;
    while answer.contains("Asterisk is not reachable") {
        answer = here.ask(ORIGINATE).await;
    }
    assert!(answer.contains("successfully queued"), "{answer}");
    let denied = here.ask("Action: Command\r\nCommand: core show channels\r\n\r\n").await;
    assert_eq!(denied, DENIED);
}
