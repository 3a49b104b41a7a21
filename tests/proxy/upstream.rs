//! Something that only looks like Asterisk: too busy, too loud, silent.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use amiwall::sim::SimConfig;

use crate::fake;
use crate::harness::{Bench, Client, Extra};

/// Lets everybody in, and then does with the connection what `then` says. The first connection is amiwall's probe and only
/// logs off.
fn fake_asterisk(then: impl Fn(TcpStream) + Send + Clone + 'static) -> SocketAddr {
    fake::asterisk(move |_, mut stream| {
        fake::let_in(&mut stream);
        then(stream);
    })
}

async fn bench(upstream: SocketAddr) -> Bench {
    Bench::in_front_of(Some(upstream), Extra::default(), SimConfig::with_secret(b"unused")).await
}

#[tokio::test]
async fn an_asterisk_that_never_pauses_holds_up_nobody_else() {
    let flood = |mut stream: TcpStream| {
        let packets = b"Event: X\r\nPrivilege: dtmf,all\r\nA: b\r\n\r\n".repeat(1_000);
        while stream.write_all(&packets).is_ok() {}
    };
    let bench = bench(fake_asterisk(flood)).await;
    let _flooded = (bench.login().await, bench.login().await);
    for _ in 0..20 {
        let mut client = Client::connect(bench.address).await;
        assert_eq!(client.line().await, "Asterisk Call Manager/11.0.0\r\n");
    }
    bench.daemon.stop().await;
}

#[tokio::test]
async fn a_list_of_many_megabytes_reaches_a_client_that_reads() {
    const ITEMS: usize = 60_000;
    let answer = |mut stream: TcpStream| {
        let action = fake::packet(&stream);
        let Some(id) = action.iter().find_map(|line| line.strip_prefix("ActionID: ")) else { return };
        let item = format!("Event: CoreShowChannel\r\nActionID: {id}\r\nX: {}\r\n\r\n", "x".repeat(300));
        let start = format!("Response: Success\r\nActionID: {id}\r\nEventList: start\r\n\r\n");
        let end = format!("Event: CoreShowChannelsComplete\r\nActionID: {id}\r\nEventList: Complete\r\n\r\n");
        stream.write_all((start + &item.repeat(ITEMS) + &end).as_bytes()).ok();
        fake::packet(&stream);
    };
    let bench = bench(fake_asterisk(answer)).await;
    let mut client = bench.login().await;
    client.send("Action: CoreShowChannels\r\n\r\n").await;
    client.half_close().await;
    let rest = client.rest().await;
    assert_eq!(rest.matches("Event: CoreShowChannel\r\n").count(), ITEMS);
    assert!(rest.ends_with("Event: CoreShowChannelsComplete\r\nEventList: Complete\r\n\r\n"));
}

#[tokio::test]
async fn a_client_that_goes_while_asterisk_is_silent_is_seen_to_go() {
    let silent = |stream: TcpStream| {
        // Reads everything and answers nothing.
        while !fake::packet(&stream).is_empty() {}
    };
    let extra = Extra { identity: "    sessions: 1\n".to_owned(), ..Extra::default() };
    let bench = Bench::in_front_of(Some(fake_asterisk(silent)), extra, SimConfig::with_secret(b"unused")).await;
    let mut client = bench.login().await;
    client.send("Action: Ping\r\n\r\n".repeat(140)).await;
    // The connection is torn down, not only half closed.
    client.reset();
    loop {
        let mut next = bench.connect().await;
        let answer =
            next.ask("Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n").await;
        if answer.contains("accepted") {
            break;
        }
    }
}
