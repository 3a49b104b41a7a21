//! Each way in which a server is not the right one, and what is told of it.

use std::net::SocketAddr;

use amiwall::tls;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{
    Certificates, Connect, GREETING, expired, greet_and_wait, greeting, patiently, plain_server, rest, server,
};

/// Reads what comes, and says nothing.
async fn listen_to(mut stream: impl AsyncRead + Unpin) {
    stream.read_to_end(&mut Vec::new()).await.ok();
}

/// Each client is closed without a byte, and the program goes on; it says why, and says the same no second time.
async fn fails(server: SocketAddr, args: &[&str], why: &str) {
    let mut connect = Connect::start(server, args).await;
    for _ in 0..3 {
        assert_eq!(rest(&mut connect.client().await).await, "", "{why}");
    }
    connect.terminate();
    let mut told = Vec::new();
    while let Some(line) = patiently(why, connect.says.next_line()).await.expect("a line") {
        told.extend(line.contains("closed, there is no way to").then_some(line));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(why), "{told:?}\n has not: {why}");
}

#[tokio::test]
async fn a_server_that_is_not_the_right_one_is_told() {
    let (certs, other) = (Certificates::new(), Certificates::new());
    let good = server(certs.server(None), greet_and_wait).await;
    let (ca, other_ca) = (certs.file("ca.crt"), other.file("ca.crt"));
    fails(good, &["--ca", &other_ca], "its certificate is not of the authority in --ca").await;
    let why = "is for `localhost`, `127.0.0.1`, `::1`, and not for `pbx.example.net`; connect by a name that is in it";
    fails(good, &["--ca", &ca, "--name", "pbx.example.net"], why).await;
    let old = Certificates::new();
    let address = server(expired(old.0.path()), greet_and_wait).await;
    fails(address, &["--ca", &old.file("ca.crt")], "its certificate has expired").await;
    // What was wrong was wrong alone: with the right file and name it works.
    let connect = Connect::start(good, &["--ca", &ca, "--name", "localhost"]).await;
    greeting(&mut connect.client().await).await;
}

#[tokio::test]
async fn a_refused_client_certificate_is_told() {
    let (certs, other) = (Certificates::new(), Certificates::new());
    let ca = certs.file("ca.crt");
    let (certificate, key) = (certs.file("client.crt"), certs.file("client.key"));
    let mine = ["--ca", &ca, "--certificate", &certificate, "--key", &key];
    let trusting = server(certs.server(Some(&certs.path("ca.crt"))), greet_and_wait).await;
    fails(trusting, &["--ca", &ca], "it asks for a client certificate; give one with --certificate").await;
    let elsewhere = server(certs.server(Some(&other.path("ca.crt"))), greet_and_wait).await;
    fails(elsewhere, &mine, "it is not of an authority in the listener's `client_ca`").await;
    let connect = Connect::start(trusting, &mine).await;
    greeting(&mut connect.client().await).await;
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["client.crt", "client.key"] {
        std::fs::copy(certs.path(name), copy.path().join(name)).expect("a copy");
    }
    tls::revoke(certs.0.path(), &[certs.path("client.crt")]).expect("a list");
    let strict = server(certs.server(Some(&certs.path("ca.crt"))), greet_and_wait).await;
    let shown = |name: &str| copy.path().join(name).to_str().expect("UTF-8").to_owned();
    let revoked = ["--ca", &ca, "--certificate", &shown("client.crt"), "--key", &shown("client.key")];
    fails(strict, &revoked, "it is revoked").await;
}

#[tokio::test]
async fn what_is_no_amiwall_is_told() {
    let certs = Certificates::new();
    let ca = certs.file("ca.crt");
    let args = ["--ca", ca.as_str()];
    let asterisk = plain_server(|mut stream: TcpStream| async move {
        stream.write_all(GREETING.as_bytes()).await.ok();
        listen_to(stream).await;
    })
    .await;
    fails(asterisk, &args, "it speaks no TLS; is that a listener with `plaintext`, or Asterisk's own port?").await;
    let closes = plain_server(|mut stream: TcpStream| async move {
        // All that it is sent is read, so that the end is no reset.
        stream.shutdown().await.ok();
        listen_to(stream).await;
    })
    .await;
    fails(closes, &args, "it closed the connection before TLS was agreed on; it lets nobody in from this address")
        .await;
    let mute = server(certs.server(None), |mut stream| async move {
        stream.shutdown().await.ok();
        listen_to(stream).await;
    })
    .await;
    fails(mute, &args, "it closed the connection without a greeting").await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a socket").local_addr().expect("an address");
    fails(nobody, &args, "nobody answers there (Connection refused").await;
}

/// Nothing that a client could wait for is waited for for ever.
#[tokio::test]
async fn a_server_that_says_nothing_is_told() {
    let certs = Certificates::new();
    let ca = certs.file("ca.crt");
    let args = ["--ca", ca.as_str()];
    let silent = plain_server(listen_to).await;
    let mute = server(certs.server(None), listen_to).await;
    // At once: each waits for ten seconds.
    let ends = async |server: SocketAddr, why: &str| {
        let mut connect = Connect::start(server, &args).await;
        assert_eq!(rest(&mut connect.client().await).await, "", "{why}");
        connect.until_said(why).await;
    };
    tokio::join!(
        ends(silent, "it did not answer in TLS within 10 s"),
        ends(mute, "it speaks TLS and did not greet within 10 s")
    );
}
