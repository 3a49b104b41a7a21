//! Clients that are kept while Asterisk comes and goes, with the built program.

use std::collections::HashSet;

use amiwall::sim::{Sim, SimConfig, SimHandle};
use tokio_util::sync::CancellationToken;

use crate::harness::{Client, is_pong};
use crate::program::{self, Program};

const ROUNDS: usize = 5;

struct Asterisk {
    sim: SimHandle,
    stop: CancellationToken,
}

impl Asterisk {
    async fn start(address: &str) -> (Self, String) {
        let sim = loop {
            // An earlier one may still be letting go of its address.
            if let Ok(sim) = Sim::bind(address, SimConfig::with_secret(b"upstream-secret")).await {
                break sim;
            }
            tokio::task::yield_now().await;
        };
        let (handle, address, stop) = (sim.handle(), sim.local_addr().to_string(), CancellationToken::new());
        tokio::spawn(sim.run(stop.clone()));
        (Self { sim: handle, stop }, address)
    }

    async fn end(self) {
        self.stop.cancel();
        self.sim.drop_sessions();
        self.sim.wait_for_sessions(|count| *count == 0).await;
    }
}

/// Pings until it is told to stop; each answer is for its own action, and a pong or that Asterisk is away. How many of each.
async fn ping(mut client: Client, stop: CancellationToken) -> (Client, usize, usize) {
    let (mut pongs, mut errors) = (0, 0);
    for number in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let answer = client.ask(&format!("Action: Ping\r\nActionID: {number}\r\n\r\n")).await;
        assert!(answer.contains(&format!("\r\nActionID: {number}\r\n")), "{answer}");
        let is_away = answer.contains("Message: Asterisk is not reachable");
        assert!(is_away != answer.contains("Ping: Pong"), "{answer}");
        errors += usize::from(is_away);
        pongs += usize::from(!is_away);
    }
    (client, pongs, errors)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_kept_while_asterisk_flaps() {
    let (mut asterisk, address) = Asterisk::start("127.0.0.1:0").await;
    let upstream = address.parse().expect("an address");
    let policy = program::policy(upstream, upstream)
        .replace("secret: { file: secret } }\n  second", "secret: { file: secret }, hold: 60s }\n  second");
    assert!(policy.contains("hold: 60s"));
    let program = Program::start(&policy, |_| ()).await;
    let stop = CancellationToken::new();
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(tokio::spawn(ping(program.login(0).await, stop.clone())));
    }
    for round in 1..=ROUNDS {
        let pings = |executed: &[amiwall::sim::ExecutedAction]| executed.iter().filter(|one| one.is("Ping")).count();
        asterisk.sim.wait_for(|executed| pings(executed) > 20).await;
        asterisk.end().await;
        program
            .until_recorded(4 * round, |record| record["kind"] == "outage" && record["reason"] == "upstream.held")
            .await;
        (asterisk, _) = Asterisk::start(&address).await;
        program.until_recorded(4 * round, |record| record["reason"] == "upstream.back").await;
    }
    stop.cancel();
    for client in clients {
        let (mut client, pongs, errors) = client.await.expect("no client is let go, or gets what is another's");
        assert!(pongs > 0 && errors > 0, "{pongs} {errors}");
        assert!(is_pong(&client.ask("Action: Ping\r\n\r\n").await));
    }
    let records = program.stop().await;
    let sessions: HashSet<&str> = records
        .iter()
        .filter(|record| record["kind"] == "login")
        .map(|record| record["session"].as_str().expect("a session"))
        .collect();
    assert_eq!(sessions.len(), 4, "nobody logged in again");
    let allowed = records.iter().filter(|record| record["kind"] == "action" && record["decision"] == "allow").count();
    let answered = records.iter().filter(|record| record["kind"] == "response").count();
    assert_eq!(allowed, answered, "each action that was allowed has an outcome");
}
