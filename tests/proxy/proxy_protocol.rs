//! Headers of the PROXY protocol: who is believed, and what follows from it.

use crate::harness::{Bench, Client, Extra};

const CLIENT: &str = "PROXY TCP4 203.0.113.7 10.0.0.5 51234 5039\r\n";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const BANNER: &str = "Asterisk Call Manager/11.0.0\r\n";
const LOGIN: &str = "Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n";

/// Version 2 for the same client.
fn v2() -> Vec<u8> {
    let addresses = [203, 0, 113, 7, 10, 0, 0, 5, 0xC8, 0x22, 0x13, 0xAF];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &addresses].concat()
}

/// A listener that believes what comes from 127.0.0.1, with more settings of it and of the limits.
async fn bench(listener: &str, limits: &str) -> Bench {
    let listener = format!("    proxy_protocol: {{ from: [127.0.0.1] }}\n{listener}");
    Bench::with(Extra { listener, limits: limits.to_owned(), ..Extra::default() }).await
}

/// What a peer gets that sends these bytes and then waits.
async fn answer(bench: &Bench, bytes: &[u8]) -> String {
    let mut client = Client::connect(bench.address).await;
    client.send(bytes).await;
    client.rest().await
}

fn member<'r>(record: &'r serde_json::Value, name: &str) -> &'r str {
    record[name].as_str().unwrap_or_default()
}

#[tokio::test]
async fn the_client_of_a_whole_header_is_the_peer_everywhere() {
    let bench = bench("    networks: { allow: [203.0.113.0/24] }\n", "").await;
    for header in [CLIENT.as_bytes().to_vec(), v2()] {
        let mut client = Client::connect(bench.address).await;
        // The header and what follows it in one piece: none of it is lost.
        client.send([&header[..], LOGIN.as_bytes(), b"Action: Logoff\r\n\r\n"].concat()).await;
        let all = client.rest().await;
        assert!(all.contains("Authentication accepted") && all.contains("Goodbye"), "{all}");
    }
    let records = bench.records().await;
    let of = |kind: &str| records.iter().filter(|one| one["kind"] == kind).cloned().collect::<Vec<_>>();
    assert_eq!(of("connect").len(), 2);
    for record in of("connect").iter().chain(&of("login")).chain(&of("end")) {
        assert_eq!(member(record, "peer"), "203.0.113.7:51234", "{record}");
    }
    assert!(of("connect").iter().all(|record| member(record, "proxy").starts_with("127.0.0.1:")));
}

#[tokio::test]
async fn a_header_may_come_in_any_pieces() {
    let bench = bench("", "").await;
    for header in [CLIENT.as_bytes().to_vec(), v2()] {
        for cut in 1..header.len() {
            let mut client = Client::connect(bench.address).await;
            let (first, second) = header.split_at(cut);
            client.send(first).await;
            tokio::task::yield_now().await;
            client.send(second).await;
            assert_eq!(client.line().await, BANNER, "cut at {cut}");
        }
    }
}

#[tokio::test]
async fn a_header_that_lies_or_is_missing_ends_the_connection_on_record() {
    let bench = bench("", "").await;
    let mut too_long = v2();
    too_long[14] = 0xFF;
    let mut too_short = v2();
    too_short[15] = 4;
    let udp = CLIENT.replace("TCP4", "UDP4");
    let hostile: [&[u8]; 5] = [&too_long, &too_short, udp.as_bytes(), LOGIN.as_bytes(), b"\x16\x03\x01\x02\0"];
    for bytes in hostile {
        assert_eq!(answer(&bench, bytes).await, "", "{}", bytes.escape_ascii());
    }
    let records = bench.records().await;
    let refused: Vec<_> = records.iter().filter(|one| one["kind"] == "refuse").collect();
    assert_eq!(refused.len(), hostile.len());
    for record in refused {
        assert_eq!(member(record, "reason"), "proxy.header");
        assert!(member(record, "peer").starts_with("127.0.0.1:"), "{record}");
    }
    assert!(!records.iter().any(|one| one["kind"] == "connect"));
}

#[tokio::test]
async fn from_any_other_address_a_header_is_not_believed() {
    let listener = "    proxy_protocol: { from: [192.0.2.1] }\n    networks: { allow: [127.0.0.1] }\n".to_owned();
    let bench = Bench::with(Extra { listener, ..Extra::default() }).await;
    let mut client = Client::connect(bench.address).await;
    client.send(format!("{CLIENT}{LOGIN}Action: Logoff\r\n\r\n")).await;
    let all = client.rest().await;
    assert!(all.starts_with(BANNER), "{all}");
    let records = bench.records().await;
    let connect = records.iter().find(|one| one["kind"] == "connect").expect("it is let in by its own address");
    assert!(member(connect, "peer").starts_with("127.0.0.1:") && connect["proxy"].is_null(), "{connect}");
}

#[tokio::test]
async fn a_connection_of_the_proxy_itself_is_judged_by_its_own_address() {
    let open = bench("", "").await;
    for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
        let mut client = Client::connect(open.address).await;
        client.send(header).await;
        assert_eq!(client.line().await, BANNER);
    }
    let connects = open.records().await.into_iter().filter(|one| one["kind"] == "connect").collect::<Vec<_>>();
    assert!(connects.len() == 2 && connects.iter().all(|one| member(one, "peer").starts_with("127.0.0.1:")));
    let closed = bench("    networks: { allow: [203.0.113.0/24] }\n", "").await;
    assert_eq!(answer(&closed, LOCAL).await, "");
    assert!(closed.records().await.iter().any(|one| one["reason"] == "networks.listener"));
}

#[tokio::test]
async fn networks_and_connections_per_address_are_about_the_client_in_the_header() {
    let bench =
        bench("    networks: { allow: [203.0.113.0/24, 127.0.0.1] }\n", "  unauthenticated_per_address: 1\n").await;
    let elsewhere = CLIENT.replace("203.0.113.7", "198.51.100.1");
    assert_eq!(answer(&bench, elsewhere.as_bytes()).await, "");
    let mut first = Client::connect(bench.address).await;
    first.send(CLIENT).await;
    assert_eq!(first.line().await, BANNER);
    let mut second = Client::connect(bench.address).await;
    second.send(CLIENT).await;
    assert_eq!(second.line().await, BANNER);
    assert_eq!(first.rest().await, "", "the older one of that address gives way");
    // Connections whose header is not there yet count for nobody.
    let silent = (Client::connect(bench.address).await, Client::connect(bench.address).await);
    let mut other = Client::connect(bench.address).await;
    other.send(CLIENT.replace("203.0.113.7", "203.0.113.8")).await;
    assert_eq!(other.line().await, BANNER);
    drop((second, other, silent));
    let records = bench.records().await;
    let refused: Vec<_> = records.iter().filter(|one| one["kind"] == "refuse").collect();
    assert_eq!((member(refused[0], "peer"), member(refused[0], "reason")), ("198.51.100.1:51234", "networks.listener"));
    assert!(member(refused[0], "proxy").starts_with("127.0.0.1:"), "{refused:?}");
    let gone = records.iter().find(|one| one["kind"] == "end").expect("an end");
    assert_eq!(member(gone, "reason"), "limits.unauthenticated_per_address");
}

#[tokio::test]
async fn the_deadline_of_a_header_is_counted_from_the_accept() {
    let bench = bench("", "  handshake_timeout: 1s\n").await;
    assert_eq!(answer(&bench, b"").await, "");
    assert_eq!(answer(&bench, &v2()[..20]).await, "");
    let records = bench.records().await;
    assert_eq!(records.iter().filter(|one| one["reason"] == "proxy.timeout").count(), 2);
}

#[tokio::test]
async fn sessions_end_when_their_proxy_is_no_longer_believed() {
    let mut bench = bench("", "").await;
    let mut client = Client::connect(bench.address).await;
    client.send(format!("{CLIENT}{LOGIN}")).await;
    assert_eq!(client.line().await, BANNER);
    assert!(client.packet().await.contains("Authentication accepted"));
    bench.reload(|extra| extra.listener = "    proxy_protocol: { from: [192.0.2.1] }\n".to_owned()).await;
    client.rest().await;
    assert!(bench.records().await.iter().any(|one| one["kind"] == "end" && one["reason"] == "policy-revoked"));
}
