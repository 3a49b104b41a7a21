//! IPv6 on both sides. A machine without `::1` cannot run these, and they fail there: what was not tried is not known to work.

use std::net::SocketAddr;

use amiwall::sim::{Sim, SimConfig};
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, Client, Extra, is_pong};

const PING: &str = "Action: Ping\r\n\r\n";
const LOGIN: &str = "Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n";

/// In front of an Asterisk on `::1`.
async fn bench(extra: Extra) -> Bench {
    let config = SimConfig::with_secret(b"upstream-secret");
    let sim = Sim::bind("[::1]:0", config).await.expect("the machine has ::1");
    let upstream = sim.local_addr();
    tokio::spawn(sim.run(CancellationToken::new()));
    Bench::in_front_of(Some(upstream), extra, SimConfig::with_secret(b"unused")).await
}

fn extra(address: &str, more: &str) -> Extra {
    Extra { address: address.to_owned(), listener: more.to_owned(), ..Extra::default() }
}

async fn greets(address: SocketAddr) -> bool {
    Client::connect(address).await.greets().await
}

#[tokio::test]
async fn a_client_reaches_asterisk_over_ipv6_on_both_sides() {
    let extra = Extra { identity: "    networks: { allow: [\"::1\"] }\n".to_owned(), ..extra("[::1]:0", "") };
    let bench = bench(extra).await;
    assert!(bench.address.is_ipv6() && bench.upstream.is_ipv6());
    assert!(is_pong(&bench.login().await.ask(PING).await));
    let records = bench.records().await;
    let login = records.iter().find(|record| record["kind"] == "login").expect("a login");
    assert!(login["peer"].as_str().expect("a peer").starts_with("[::1]:"), "{login}");
    assert!(login["listener"].as_str().expect("a listener").starts_with("[::1]:"), "{login}");
}

#[tokio::test]
async fn networks_of_ipv6_keep_out_who_is_not_in_them() {
    let bench = bench(extra("[::1]:0", "    networks: { allow: [\"2001:db8::/32\"] }\n")).await;
    assert!(!greets(bench.address).await);
    let records = bench.records().await;
    let refusal = records.iter().find(|record| record["kind"] == "refuse").expect("a refusal");
    assert!(refusal["peer"].as_str().expect("a peer").starts_with("[::1]:"), "{refusal}");
}

/// Who comes over IPv4 to a listener for both has an address of IPv4, in lists and in records.
#[tokio::test]
async fn a_mapped_address_is_the_one_of_ipv4() {
    let more = "    unsafe_plaintext: true\n    networks: { allow: [127.0.0.0/8] }\n";
    let bench = bench(extra("[::]:0", more)).await;
    let port = bench.address.port();
    let mut client = Client::connect(SocketAddr::from(([127, 0, 0, 1], port))).await;
    client.line().await;
    assert!(client.ask(LOGIN).await.contains("accepted"));
    assert!(is_pong(&client.ask(PING).await));
    assert!(!greets(format!("[::1]:{port}").parse().expect("an address")).await);
    let records = bench.records().await;
    let login = records.iter().find(|record| record["kind"] == "login").expect("a login");
    assert!(login["peer"].as_str().expect("a peer").starts_with("127.0.0.1:"), "{login}");
}

#[tokio::test]
async fn an_address_has_as_many_connections_over_ipv6_as_it_may_have() {
    let limits = "  connections_per_address: 2\n".to_owned();
    let bench = bench(Extra { limits, ..extra("[::1]:0", "") }).await;
    let _two = (bench.login().await, bench.login().await);
    let mut third = Client::connect(bench.address).await;
    if third.greets().await {
        third.send(LOGIN).await;
        assert!(!third.rest().await.contains("accepted"));
    }
}
