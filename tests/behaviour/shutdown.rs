//! The end of the process while much goes on.

use std::collections::HashMap;

use amiwall::sim::{Sim, SimConfig, SimHandle};
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, Client, is_pong};
use crate::program::{self, Program};

/// Pipelines until the connection ends; the ids of the answers.
async fn pipeline(mut client: Client, name: usize) -> Vec<String> {
    let pings = (0..5_000).map(|n| format!("Action: Ping\r\nActionID: {name}.{n}\r\n\r\n"));
    client.send(pings.collect::<String>()).await;
    let rest = client.rest().await;
    assert!(rest.is_empty() || rest.ends_with("\r\n\r\n"), "a part of a packet: {rest}");
    rest.lines().filter_map(|line| line.strip_prefix("ActionID: ").map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_drains_under_load() {
    let bench = Bench::new().await;
    let mut clients = Vec::new();
    for name in 0..20 {
        clients.push(tokio::spawn(pipeline(bench.login().await, name)));
    }
    bench.sim.wait_for(|executed| executed.len() > 1_000).await;
    let (address, sim) = (bench.address, bench.sim.clone());
    let records = bench.records().await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody is accepted any more");
    let mut answered: HashMap<String, Vec<String>> = HashMap::new();
    for (name, client) in clients.into_iter().enumerate() {
        answered.insert(name.to_string(), client.await.expect("no panic"));
    }
    let mut taken: HashMap<String, Vec<String>> = HashMap::new();
    for record in records.iter().filter(|record| record["kind"] == "action") {
        let headers = record["headers"].as_array().expect("headers");
        let id = headers.iter().find(|header| header[0] == "ActionID").expect("an id")[1].as_str().expect("text");
        let client = id.split('.').next().expect("a client").to_owned();
        taken.entry(client).or_default().push(id.to_owned());
    }
    for (client, taken) in &taken {
        assert_eq!(taken, &answered[client], "each action that was taken has its answer, in order");
    }
    let all: usize = taken.values().map(Vec::len).sum();
    assert_eq!(all, sim.executed().iter().filter(|action| action.is("Ping")).count());
    let of = |kind: &str| records.iter().filter(|record| record["kind"] == kind).count();
    assert!(all < 20 * 5_000 && of("response") == all, "{all} were taken, {} answered", of("response"));
    let reasons: Vec<_> = records.iter().filter(|record| record["kind"] == "end").map(|end| &end["reason"]).collect();
    assert_eq!(reasons, ["shutdown"; 20]);
    assert_eq!(records.last().expect("a record")["kind"], "stop");
}

#[tokio::test]
async fn who_is_not_logged_in_does_not_hold_up_the_end() {
    let bench = Bench::new().await;
    let mut silent = bench.connect().await;
    let records = bench.records().await;
    assert_eq!(silent.rest().await, "");
    let end = records.iter().find(|record| record["kind"] == "end").expect("its end is on record");
    assert_eq!(end["reason"], "shutdown");
    assert_eq!(records.last().expect("a record")["kind"], "stop");
}

/// A program that was told to end while Asterisk owes its client an answer.
async fn draining() -> (Program, SimHandle, Client) {
    let sim = Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"upstream-secret")).await.expect("it binds");
    let (upstream, asterisk) = (sim.local_addr(), sim.handle());
    tokio::spawn(sim.run(CancellationToken::new()));
    let program = Program::start(&program::policy(upstream, upstream), |_| ()).await;
    let mut client = program.login(0).await;
    asterisk.stop_answering();
    client.send("Action: Ping\r\n\r\n").await;
    asterisk.wait_for(|executed| executed.iter().any(|action| action.is("Ping"))).await;
    program.signal(Signal::TERM);
    program.until_recorded(1, |record| record["name"] == "drain").await;
    (program, asterisk, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_during_drain() {
    let (program, asterisk, mut client) = draining().await;
    std::fs::write(program.path("policy.yaml"), "version: [").expect("it is written");
    for _ in 0..3 {
        program.signal(Signal::HUP);
    }
    asterisk.resume_answering();
    assert!(is_pong(&client.rest().await));
    let records = program.ended().await;
    assert_eq!(records.iter().filter(|record| record["kind"] == "policy").count(), 1);
    assert_eq!(records.last().expect("a record")["kind"], "stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sigterms() {
    let (program, asterisk, mut client) = draining().await;
    program.signal(Signal::TERM);
    program.signal(Signal::INT);
    asterisk.resume_answering();
    assert!(is_pong(&client.rest().await));
    let records = program.ended().await;
    assert_eq!(records.iter().filter(|record| record["name"] == "drain").count(), 1);
    assert_eq!(records.last().expect("a record")["kind"], "stop");
}
