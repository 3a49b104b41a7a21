//! Deadlines: they count from the first moment, and no byte puts them off.

use crate::wall::{LOGIN, LOGOFF, PING, Peer, Wall, connect, count};

/// Lets `limits` have one deadline that comes and others that do not.
fn only(short: &str) -> String {
    let all = ["handshake_timeout", "login_timeout", "packet_timeout"];
    all.iter().map(|key| format!("  {key}: {}\n", if *key == short { "1s" } else { "10m" })).collect()
}

#[tokio::test]
async fn handshake_timeout() {
    let wall = Wall::new(&only("handshake_timeout")).await;
    assert_eq!(Peer::new(connect(wall.tls(), 9).await).rest().await, "");
    assert_eq!(count(&wall.reasons().await, "refuse", "tls.handshake-timeout"), 1);
}

#[tokio::test]
async fn login_timeout() {
    let wall = Wall::new(&only("login_timeout")).await;
    let (mut plain, mut tls) = (wall.connect(9).await, wall.connect_tls(9).await);
    plain.rest().await;
    tls.rest().await;
    assert_eq!(count(&wall.reasons().await, "end", "login-timeout"), 2);
}

#[tokio::test]
async fn slow_loris_before_tls() {
    let wall = Wall::new(&only("handshake_timeout")).await;
    let mut peer = Peer::new(connect(wall.tls(), 9).await);
    // A record of a handshake that is 16 KiB long.
    peer.send("\u{16}\u{3}\u{1}\u{3f}\u{7f}\u{1}").await;
    peer.trickle(0).await;
    assert_eq!(count(&wall.reasons().await, "refuse", "tls.handshake-timeout"), 1);
}

#[tokio::test]
async fn slow_loris_in_tls() {
    let wall = Wall::new(&only("handshake_timeout")).await;
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    let mut tls = rustls::ClientConnection::new(wall.tls_client(), name).expect("a client");
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).expect("a hello");
    let mut peer = Peer::new(connect(wall.tls(), 9).await);
    // The server answers, and waits for an encrypted record that is said to be 16 KiB long.
    hello.extend_from_slice(&[0x17, 3, 3, 0x40, 0]);
    tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &hello).await.expect("it is written");
    peer.trickle(0).await;
    assert_eq!(count(&wall.reasons().await, "refuse", "tls.handshake-timeout"), 1);
}

#[tokio::test]
async fn slow_loris_before_login() {
    let wall = Wall::new(&only("login_timeout")).await;
    let mut peer = wall.connect(9).await;
    peer.send("Action: Login\r\nUsername: ").await;
    peer.trickle(b'a').await;
    assert_eq!(count(&wall.reasons().await, "end", "login-timeout"), 1);
}

#[tokio::test]
async fn slow_loris_after_login() {
    let wall = Wall::new(&only("packet_timeout")).await;
    let mut idle = wall.login(8).await;
    let mut peer = wall.login(9).await;
    peer.send("Action: Ping\r\nActionID: ").await;
    peer.trickle(b'a').await;
    // Who is silent between packets is not cut, however long.
    idle.ping().await;
    drop(idle);
    assert_eq!(count(&wall.reasons().await, "end", "packet-timeout"), 1);
}

#[tokio::test]
async fn who_streams_before_login_is_closed_at_64_kib() {
    let wall = Wall::new(&only("none")).await;
    let mut peer = wall.connect(9).await;
    // One line that never ends. The close may overtake what is still being written.
    let written = tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &vec![b'x'; 128 * 1_024]).await;
    drop(written);
    peer.rest().await;
    assert_eq!(count(&wall.reasons().await, "end", "client-violation"), 1);
}

#[tokio::test]
async fn tiny_writes() {
    let wall = Wall::new(&only("none")).await;
    let session = format!("{LOGIN}{PING}{LOGOFF}");
    let (mut plain, mut tls) = (wall.connect(9).await, wall.connect_tls(9).await);
    for byte in session.chars() {
        plain.send(byte.encode_utf8(&mut [0; 4])).await;
        tls.send(byte.encode_utf8(&mut [0; 4])).await;
    }
    for rest in [plain.rest().await, tls.rest().await] {
        assert!(rest.contains("accepted") && rest.contains("Ping: Pong") && rest.contains("Goodbye"), "{rest}");
    }
}
