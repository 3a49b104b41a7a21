//! Something that only looks like Asterisk: too busy, too loud, silent.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use amiwall::sim::SimConfig;

use crate::harness::{Bench, Client, Extra};

/// Greets, lets everybody in, and then does with the connection what `then` says, on a thread of its own. The first
/// connection is amiwall's probe and only logs off.
fn fake_asterisk(then: impl Fn(TcpStream) + Send + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("it binds");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let then = then.clone();
            std::thread::spawn(move || {
                let mut writer = stream.try_clone().expect("a second handle");
                writer.write_all(b"Asterisk Call Manager/11.0.0\r\n").ok();
                read_packet(&stream);
                writer.write_all(b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n").ok();
                then(stream);
            });
        }
    });
    address
}

/// The lines of the next packet.
fn read_packet(stream: &TcpStream) -> Vec<String> {
    let mut lines = Vec::new();
    // One byte at a time, so that nothing behind the packet is taken.
    let mut reader = BufReader::with_capacity(1, stream);
    loop {
        let mut line = String::new();
        let len = reader.read_line(&mut line).unwrap_or_default();
        let line = line.trim_end();
        if len == 0 || line.is_empty() {
            return lines;
        }
        lines.push(line.to_owned());
    }
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
        let action = read_packet(&stream);
        let Some(id) = action.iter().find_map(|line| line.strip_prefix("ActionID: ")) else { return };
        let item = format!("Event: CoreShowChannel\r\nActionID: {id}\r\nX: {}\r\n\r\n", "x".repeat(300));
        let start = format!("Response: Success\r\nActionID: {id}\r\nEventList: start\r\n\r\n");
        let end = format!("Event: CoreShowChannelsComplete\r\nActionID: {id}\r\nEventList: Complete\r\n\r\n");
        stream.write_all((start + &item.repeat(ITEMS) + &end).as_bytes()).ok();
        read_packet(&stream);
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
        while !read_packet(&stream).is_empty() {}
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
