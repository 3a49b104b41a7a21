//! What passes, and how it ends.

use amiwall::config::Config;
use amiwall::daemon::Daemon;
use amiwall::sim::{Sim, SimConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::harness::{Certificates, Connect, GREETING, greet_and_wait, greeting, patiently, rest, server};

#[tokio::test]
async fn bytes_pass_unchanged_both_ways_and_a_half_close_is_kept() {
    let certs = Certificates::new();
    let sent: Vec<u8> = (0..700_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let expected = sent.clone();
    let address = server(certs.server(None), move |mut stream| {
        let expected = expected.clone();
        async move {
            stream.write_all(GREETING.as_bytes()).await.expect("written");
            stream.flush().await.expect("written");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.expect("a clean end");
            // Only now, after the client's end, and more than fits into any buffer.
            let answer = if bytes == expected { bytes } else { b"other bytes came".to_vec() };
            stream.write_all(&answer).await.expect("written");
            stream.shutdown().await.expect("an end");
        }
    })
    .await;
    let connect = Connect::start(address, &["--ca", &certs.file("ca.crt")]).await;
    let mut client = connect.client().await;
    greeting(&mut client).await;
    client.write_all(&sent).await.expect("written");
    client.shutdown().await.expect("half closed");
    let mut back = Vec::new();
    patiently("the answer", client.read_to_end(&mut back)).await.expect("an answer");
    assert!(back == sent, "{} bytes came back", back.len());
}

/// A whole session in one write, as scripts send it, with a certificate and a secret.
#[tokio::test]
async fn a_client_without_tls_has_its_session_with_amiwall() {
    let sim = Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"upstream-secret")).await.expect("it binds");
    let upstream = sim.local_addr();
    tokio::spawn(sim.run(CancellationToken::new()));
    let certs = Certificates::new();
    let policy = format!(
        r#"version: 1
listeners:
  - address: "127.0.0.1:0"
    tls: {{ certificate: server.crt, key: server.key, client_ca: ca.crt, client_certificate: required }}
upstreams:
  pbx: {{ address: "{upstream}", username: amiwall, secret: {{ file: secret }} }}
audit: {{ directory: audit }}
roles:
  tester: {{ allow: [Ping] }}
identities:
  tester: {{ roles: [tester], certificate: {{ san: client.example }}, secret: {{ file: secret }} }}
"#
    );
    std::fs::write(certs.path("policy.yaml"), policy).expect("written");
    std::fs::write(certs.path("secret"), "upstream-secret\n").expect("written");
    let config = Config::load(&certs.path("policy.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
    let daemon = Daemon::start(&config).await.expect("the proxy starts");
    let (ca, certificate, key) = (certs.file("ca.crt"), certs.file("client.crt"), certs.file("client.key"));
    let identity = ["--ca", &ca, "--certificate", &certificate, "--key", &key];
    let mut connect = Connect::start(daemon.addresses()[0], &identity).await;
    let mut client = connect.client().await;
    let session = "Action: Login\r\nUsername: tester\r\nSecret: upstream-secret\r\n\r\nAction: Ping\r\nActionID: 1\r\n\r\n\
                   Action: SIPpeers\r\nActionID: 2\r\n\r\nAction: Logoff\r\n\r\n";
    client.write_all(session.as_bytes()).await.expect("written");
    client.shutdown().await.expect("half closed");
    let said = rest(&mut client).await;
    assert!(said.starts_with("Asterisk Call Manager/"), "{said}");
    for part in [
        "Message: Authentication accepted\r\n",
        "ActionID: 1\r\nPing: Pong\r\n",
        "ActionID: 2\r\nMessage: Permission denied\r\n",
        "Response: Goodbye\r\n",
    ] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    assert!(connect.until_said("connected to").await.contains("TLS 1.3"));
    connect.until_said(": ended").await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_session_that_is_over_ends_the_client_that_goes_on_talking() {
    let certs = Certificates::new();
    let address = server(certs.server(None), |mut stream| async move {
        stream.write_all(GREETING.as_bytes()).await.expect("written");
        stream.flush().await.expect("written");
        let mut first = [0; 5];
        stream.read_exact(&mut first).await.expect("a word");
        stream.write_all(b"Response: Goodbye\r\n\r\n").await.expect("written");
        stream.shutdown().await.expect("an end");
    })
    .await;
    let connect = Connect::start(address, &["--ca", &certs.file("ca.crt")]).await;
    let mut client = connect.client().await;
    greeting(&mut client).await;
    client.write_all(&[b'x'; 300_000]).await.ok();
    // It has not closed its side.
    assert_eq!(rest(&mut client).await, "Response: Goodbye\r\n\r\n");
}

#[tokio::test]
async fn so_many_clients_at_once_and_no_more() {
    const CLIENTS_MAX: usize = 64;
    let certs = Certificates::new();
    let address = server(certs.server(None), greet_and_wait).await;
    let mut connect = Connect::start(address, &["--ca", &certs.file("ca.crt")]).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS_MAX {
        let mut client = connect.client().await;
        greeting(&mut client).await;
        clients.push(client);
    }
    assert_eq!(rest(&mut connect.client().await).await, "");
    connect.until_said("closed, since 64 clients are connected").await;
    // One that leaves makes room; that is seen by trying.
    clients.pop();
    let again = async {
        let mut first = [0; 1];
        while connect.client().await.read(&mut first).await.ok() != Some(1) {}
    };
    patiently("room", again).await;
    clients[0].write_all(b"still carried").await.expect("it is open");
}

#[tokio::test]
async fn a_signal_ends_it_and_both_ends_hear_of_it() {
    let certs = Certificates::new();
    let (heard, mut ends) = tokio::sync::mpsc::channel(1);
    let address = server(certs.server(None), move |mut stream| {
        let heard = heard.clone();
        async move {
            stream.write_all(GREETING.as_bytes()).await.expect("written");
            stream.flush().await.expect("written");
            // An end without `close_notify` is an error.
            heard.send(stream.read(&mut [0; 1]).await.map_err(|error| error.to_string())).await.expect("a listener");
        }
    })
    .await;
    let mut connect = Connect::start(address, &["--ca", &certs.file("ca.crt")]).await;
    let mut client = connect.client().await;
    greeting(&mut client).await;
    connect.terminate();
    assert_eq!(patiently("the server's end", ends.recv()).await, Some(Ok(0)));
    assert_eq!(rest(&mut client).await, "");
    let status = patiently("the program's end", connect.child.wait()).await.expect("a status");
    assert_eq!(status.code(), Some(0));
}
