//! Clients that go in odd ways, or do not read.

use std::time::Duration;

use amiwall::sim::{Sim, SimConfig, Storm};
use tokio_util::sync::CancellationToken;

use crate::fake;
use crate::harness::{Bench, Client, Extra, is_pong};
use crate::program::{self, Program};

const PING: &str = "Action: Ping\r\n\r\n";

/// One connection, one session: the next client gets in when nothing is left of the one before.
fn one_at_a_time() -> Extra {
    Extra { limits: "  connections_per_address: 1\n".to_owned(), ..Extra::default() }
}

/// Logs in, as soon as there is room.
async fn login(bench: &Bench, events: &str) -> Client {
    loop {
        let mut client = Client::connect(bench.address).await;
        if client.greets().await {
            client.line().await;
            let login = format!("Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\n{events}\r\n");
            let answer = client.ask(&login).await;
            if answer.contains("Too many connections") {
                continue;
            }
            assert!(answer.contains("accepted"), "{answer}");
            return client;
        }
    }
}

#[tokio::test]
async fn half_close() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    let originate =
        "Action: Originate\r\nActionID: 2\r\nChannel: Local/1000@test\r\nApplication: Wait\r\nData: 1\r\n\r\n";
    let list = "Action: CoreShowChannels\r\nActionID: 3\r\n\r\n";
    let denied = "Action: Command\r\nActionID: 4\r\nCommand: core show uptime\r\n\r\n";
    client.send(format!("Action: Ping\r\nActionID: 1\r\n\r\n{originate}{list}{denied}Action: Pi")).await;
    client.half_close().await;
    let rest = client.rest().await;
    let ids: Vec<&str> = rest.lines().filter_map(|line| line.strip_prefix("ActionID: ")).collect();
    // The list may have the channel of the call in it.
    assert_eq!((ids.first(), ids.get(1), ids.last()), (Some(&"1"), Some(&"2"), Some(&"4")), "{rest}");
    assert!(rest.contains("Event: CoreShowChannelsComplete\r\nActionID: 3\r\n"), "{rest}");
    assert_eq!(bench.executed(), ["Ping", "Originate", "CoreShowChannels"]);
    bench.sim.wait_for_sessions(|count| *count == 0).await;
    let records = bench.records().await;
    let end: Vec<_> = records.iter().filter(|record| record["kind"] == "end").collect();
    assert_eq!((end.len(), end[0]["reason"].as_str()), (1, Some("client-closed")));
}

#[tokio::test]
async fn half_close_before_a_late_answer() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    bench.sim.stop_answering();
    client.send(PING).await;
    client.half_close().await;
    bench.sim.wait_for(|executed| executed.iter().any(|action| action.is("Ping"))).await;
    // Longer than a session gets that is at its end for another reason.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    bench.sim.resume_answering();
    assert!(is_pong(&client.rest().await));
}

#[tokio::test]
async fn abortive_close() {
    let bench = Bench::with(one_at_a_time()).await;
    // In the middle of a packet.
    let mut client = login(&bench, "Events: off\r\n").await;
    client.send("Action: UserEvent\r\nUserEvent: half").await;
    client.reset();
    // Of answers.
    let mut client = login(&bench, "Events: off\r\n").await;
    client.send(PING.repeat(500)).await;
    assert!(client.greets().await);
    client.reset();
    // Of a list.
    let mut client = login(&bench, "Events: off\r\n").await;
    client.send("Action: QueueStatus\r\n\r\n").await;
    client.line().await;
    client.reset();
    // Of a WaitEvent.
    let mut client = login(&bench, "").await;
    client.send("Action: WaitEvent\r\n\r\n").await;
    client.reset();
    // Of a storm.
    let mut client = login(&bench, "").await;
    let storm = tokio::spawn({
        let sim = bench.sim.clone();
        async move { sim.storm(Storm { rate_per_s: 0, count: 20_000, size: 500 }).await }
    });
    client.packet_of("Event: UserEvent").await;
    client.reset();
    let mut last = login(&bench, "Events: off\r\n").await;
    assert!(is_pong(&last.ask(PING).await));
    storm.await.expect("no panic");
    bench.sim.wait_for_sessions(|count| *count == 1).await;
    let executed = bench.executed();
    assert!(!executed.contains(&"UserEvent".to_owned()), "half a packet");
    let records = bench.records().await;
    // Who logs in before the end of the one before is seen comes again.
    let ends = records.iter().filter(|record| record["kind"] == "end" && record["reason"] != "login-failed");
    let reasons: Vec<_> = ends.map(|end| &end["reason"]).collect();
    assert_eq!(reasons[..5], ["client-closed"; 5], "{reasons:?}");
    let of = |kind: &str| records.iter().filter(|record| record["kind"] == kind && record["name"] == "Ping").count();
    let run = executed.iter().filter(|name| *name == "Ping").count();
    assert!(of("action") >= run, "{run} were run");
}

#[tokio::test]
async fn abortive_close_while_asterisk_is_silent() {
    let bench = Bench::with(one_at_a_time()).await;
    let mut client = login(&bench, "Events: off\r\n").await;
    bench.sim.stop_answering();
    client.send(format!("{PING}Action: WaitEvent\r\n\r\n")).await;
    let has_come = |executed: &[amiwall::sim::ExecutedAction]| executed.iter().any(|action| action.is("Ping"));
    bench.sim.wait_for(has_come).await;
    client.reset();
    let is_gone = async {
        while bench.daemon.occupancy().0.connections > 0 {
            tokio::task::yield_now().await;
        }
    };
    // Far more than it takes: a session that stays, stays for ever.
    tokio::time::timeout(Duration::from_secs(60), is_gone).await.expect("the session has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_reader_in_an_event_storm() {
    const EVENTS: u64 = 12_000;
    let mut config = SimConfig::with_secret(b"upstream-secret");
    // Of a busy machine.
    config.write_timeout = Duration::from_secs(60);
    let sim = Sim::bind("127.0.0.1:0", config).await.expect("it binds");
    let (address, asterisk) = (sim.local_addr(), sim.handle());
    tokio::spawn(sim.run(CancellationToken::new()));
    let program = Program::start(&program::policy(address, address), |_| ()).await;
    let slow = program.login_with(0, "").await;
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut client = program.login_with(0, "").await;
        others.push(tokio::spawn(async move {
            for sequence in 1..=EVENTS {
                let event = client.packet_of("Event: UserEvent").await;
                assert!(event.contains(&format!("\r\nSequence: {sequence}\r\n")), "{sequence}: {event}");
            }
            client
        }));
    }
    let before = program.peak_memory();
    // As fast as clients on a busy machine still take them.
    asterisk.storm(Storm { rate_per_s: 3_000, count: EVENTS, size: 2_500 }).await;
    for other in others {
        let mut client = other.await.expect("all events, in order");
        client.send("Action: Ping\r\nActionID: last\r\n\r\n").await;
        assert!(client.packet_of("Response: Success").await.contains("ActionID: last\r\nPing: Pong"));
    }
    program.until_recorded(1, |record| record["kind"] == "end" && record["reason"] == "slow-client").await;
    let grown = program.peak_memory() - before;
    // The queue of 8 MiB, with what each packet costs beside its bytes; the storm has 30 MB.
    assert!(grown < 48 * 1_024, "{grown} KiB");
    drop(slow);
    let records = program.stop().await;
    let ends = |reason: &str| records.iter().filter(|r| r["kind"] == "end" && r["reason"] == reason).count();
    assert_eq!(ends("slow-client"), 1);
}

#[tokio::test]
async fn tiny_answers_of_a_client_that_is_gone_are_for_nobody() {
    // The client resets while Asterisk writes half an answer: it is completed for nobody, and the next one gets its own.
    let upstream = fake::asterisk(|_, mut stream| {
        fake::let_in(&mut stream);
        fake::answer_pings(&mut stream);
    });
    let bench = Bench::in_front_of(Some(upstream), one_at_a_time(), SimConfig::with_secret(b"unused")).await;
    for number in 0..20 {
        let mut client = login(&bench, "Events: off\r\n").await;
        client.send(format!("Action: Ping\r\nActionID: {number}\r\n\r\n").repeat(3)).await;
        assert!(client.packet().await.contains(&format!("ActionID: {number}\r\n")));
        client.reset();
    }
}
