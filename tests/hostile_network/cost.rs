//! What a stranger, and a client that may do little, can make amiwall send and write for what they send themselves.
//!
//! Answers are bounded by ten times the request and a constant of each connection: the banner, and that the shortest packet
//! (an empty line, two bytes) gets an answer of Asterisk's length. A connection gets twenty answers, so that is 1.2 kB, of
//! which an address cannot take part in anybody else's name: it takes a TCP handshake. Records are bounded by the minute:
//! the first ten of a kind and address, then counts; 256 KiB over all addresses.

use crate::wall::{Peer, Wall, connect};

/// What one connection may get beyond ten times what it sends.
const ALLOWANCE: usize = 1_200;

/// Sends this often, closes its sending side, and says how many bytes came until it was closed.
async fn answers(wall: &Wall, host: u8, packet: &str, times: usize) -> usize {
    let mut peer = Peer::new(connect(wall.plain(), host).await);
    let sent = tokio::io::AsyncWriteExt::write_all(&mut peer.stream, packet.repeat(times).as_bytes()).await;
    drop(sent);
    tokio::io::AsyncWriteExt::shutdown(&mut peer.stream).await.ok();
    peer.rest_bytes().await.len()
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "what was measured")]
async fn nobody_is_sent_ten_times_what_he_sends_before_login() {
    let wall = Wall::new("  unauthenticated_per_address: 100\n").await;
    let long = format!("Action: Login\r\nUsername: {}\r\n\r\n", "x".repeat(900));
    let packets = [
        ("nothing", ""),
        ("empty line", "\r\n"),
        ("one letter", "a\r\n\r\n"),
        ("no action", "a:b\r\n\r\n"),
        ("empty action", "Action:\r\n\r\n"),
        ("action before login", "Action:a\r\n\r\n"),
        ("challenge", "Action:Challenge\r\nAuthType:MD5\r\n\r\n"),
        ("challenge of no type", "Action:Challenge\r\n\r\n"),
        ("with an id", "Action:a\r\nActionID:12345678901234567890\r\n\r\n"),
        ("goodbye", "Action:Logoff\r\n\r\n"),
        ("login", "Action:Login\r\n\r\n"),
        ("long login", &long),
        ("a browser", "GET / HTTP/1.0\r\n\r\n"),
    ];
    for (number, (name, packet)) in packets.into_iter().enumerate() {
        let host = 20 + u8::try_from(number).expect("few");
        for times in [1, 20, 100] {
            let (sent, got) = (packet.len() * times, answers(&wall, host, packet, times).await);
            println!("{name:22} {sent:6} bytes sent, {got:5} got");
            assert!(got <= 10 * sent.min(20 * packet.len()) + ALLOWANCE, "{name}: {got} for {sent}");
        }
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "what was measured")]
async fn a_hello_is_answered_with_less_than_ten_times_its_bytes() {
    let wall = Wall::new("  handshake_timeout: 1s\n").await;
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let provider = std::sync::Arc::new(rustls::crypto::CryptoProvider {
            kx_groups: vec![rustls::crypto::aws_lc_rs::kx_group::SECP256R1],
            cipher_suites: rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES
                .iter()
                .copied()
                .filter(|suite| suite.version() == version)
                .take(2)
                .collect(),
            ..rustls::crypto::aws_lc_rs::default_provider()
        });
        let config = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]);
        let config = config.expect("a version").with_root_certificates(rustls::RootCertStore::empty());
        let config = config.with_no_client_auth();
        let mut tls = rustls::ClientConnection::new(config.into(), name.clone()).expect("a client");
        let mut hello = Vec::new();
        tls.write_tls(&mut hello).expect("a hello");
        let mut peer = Peer::new(connect(wall.tls(), 9).await);
        tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &hello).await.expect("it is written");
        let got = peer.rest_bytes().await.len();
        println!("{:?}: {} bytes sent, {got} got", version, hello.len());
        assert!(got > 500 && got < 10 * hello.len(), "{got} for {}", hello.len());
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "what was measured")]
async fn a_stranger_gets_so_many_records_in_a_minute() {
    let wall = Wall::new("  unauthenticated_per_address: 100\n").await;
    let before = wall.records().len();
    let (mut sent, mut got) = (0, 0);
    for _ in 0..200 {
        let packet = format!("Action: Ping\r\nActionID: {}\r\n\r\n", "x".repeat(60));
        got += answers(&wall, 9, &packet, 20).await;
        sent += 20 * packet.len();
    }
    let records = wall.stop().await.len() - before;
    println!("200 connections, 4,000 refusals: {sent} bytes sent, {got} got, {records} written");
    // Ten of each kind at most two times, as a minute may end meanwhile, and one count.
    assert!(records < 64 * 1_024, "{records}");
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "what was measured")]
async fn what_a_client_is_refused_costs_a_small_answer_and_one_record() {
    let wall = Wall::new("  unauthenticated_per_address: 100\n").await;
    let mut peer = wall.login(9).await;
    let before = wall.records().len();
    // As many as are read without delay.
    let packet = "Action:a\r\n\r\n";
    peer.send(&packet.repeat(100)).await;
    let mut got = 0;
    for _ in 0..100 {
        got += peer.until("\r\n\r\n").await.len();
    }
    drop(peer);
    let records = wall.stop().await.len() - before;
    let sent = 100 * packet.len();
    println!("100 refusals: {sent} bytes sent, {got} got, {records} written");
    assert!(got < 10 * sent && records < 100 * 1_024, "{got} and {records} for {sent}");
}
