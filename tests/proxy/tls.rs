//! TLS listeners and client certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use amiwall::config::Config;
use amiwall::daemon::Daemon;
use amiwall::sim::{Sim, SimConfig};
use amiwall::tls::{self, IssueOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::harness::write_private;

struct TlsBench {
    daemon: Daemon,
    directory: tempfile::TempDir,
    other: tempfile::TempDir,
}

impl TlsBench {
    /// A TLS listener that takes client certificates as `client_certificate` says.
    async fn new(client_certificate: &str) -> Self {
        let sim =
            Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"upstream-secret")).await.expect("the simulator binds");
        let upstream = sim.local_addr();
        tokio::spawn(sim.run(CancellationToken::new()));
        let (directory, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        for folder in [&directory, &other] {
            let options = IssueOptions { client_name: "machine.example".to_owned(), ..IssueOptions::default() };
            tls::issue(&folder.path().join("certs"), &options).expect("certificates");
        }
        write_private(&directory.path().join("upstream.secret"), "upstream-secret");
        write_private(&directory.path().join("both.secret"), "right");
        let path = directory.path().join("policy.yaml");
        let policy = format!(
            r#"version: 1
listeners:
  - address: "127.0.0.1:0"
    tls: {{ certificate: certs/server.crt, key: certs/server.key, client_ca: certs/ca.crt, client_certificate: {client_certificate} }}
upstreams:
  pbx: {{ address: "{upstream}", username: amiwall, secret: {{ file: upstream.secret }} }}
audit: {{ directory: audit }}
limits: {{ handshake_timeout: 1s, failed_logins: {{ rate: 100/minute }} }}
roles:
  all: {{ allow: [Ping] }}
identities:
  machine: {{ roles: [all], certificate: {{ san: machine.example }} }}
  both: {{ roles: [all], certificate: {{ san: machine.example }}, secret: {{ file: both.secret }} }}
  other: {{ roles: [all], certificate: {{ san: other.example }} }}
"#
        );
        std::fs::write(&path, policy).expect("the policy is written");
        let config = Config::load(&path).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        let daemon = Daemon::start(&config).await.expect("the proxy starts");
        Self { daemon, directory, other }
    }

    fn certs(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("certs")
    }

    /// All that a client with that certificate gets for these bytes; nothing when the handshake fails.
    async fn exchange(&self, certificate: Option<&Path>, bytes: &str) -> String {
        let ca = Self::certs(&self.directory).join("ca.crt");
        let files = certificate.map(|folder| (folder.join("client.crt"), folder.join("client.key")));
        let identity = files.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        let connector = TlsConnector::from(Arc::clone(&tls::client_config(&ca, identity).expect("a client")));
        let stream = TcpStream::connect(self.daemon.addresses()[0]).await.expect("it connects");
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        let Ok(mut stream) = connector.connect(name, stream).await else { return String::new() };
        // A server that refuses the certificate says so only after its side of the handshake.
        let mut seen = Vec::new();
        if stream.write_all(bytes.as_bytes()).await.is_ok() {
            stream.read_to_end(&mut seen).await.ok();
        }
        String::from_utf8_lossy(&seen).into_owned()
    }
}

const LOGOFF: &str = "Action: Logoff\r\n\r\n";

fn login(name: &str, secret: &str) -> String {
    format!("Action: Login\r\nUsername: {name}\r\nSecret: {secret}\r\nEvents: off\r\n\r\nAction: Ping\r\n\r\n{LOGOFF}")
}

#[tokio::test]
async fn a_certificate_is_enough_alone_or_needed_with_the_secret() {
    let bench = TlsBench::new("optional").await;
    let mine = TlsBench::certs(&bench.directory);
    let alone = bench.exchange(Some(&mine), &login("machine", "ignored")).await;
    assert!(
        alone.contains("Authentication accepted") && alone.contains("Ping: Pong") && alone.contains("Goodbye"),
        "{alone}"
    );
    assert!(bench.exchange(Some(&mine), &login("both", "right")).await.contains("Authentication accepted"));
    for (certificate, name, secret) in
        [(Some(&mine), "both", "wrong"), (None, "both", "right"), (None, "machine", ""), (Some(&mine), "other", "x")]
    {
        let answer = bench.exchange(certificate.map(PathBuf::as_path), &login(name, secret)).await;
        assert!(answer.ends_with("Response: Error\r\nMessage: Authentication failed\r\n\r\n"), "{name}: {answer}");
    }
}

#[tokio::test]
async fn certificates_of_another_authority_do_not_get_as_far_as_the_banner() {
    let bench = TlsBench::new("optional").await;
    assert_eq!(bench.exchange(Some(&TlsBench::certs(&bench.other)), LOGOFF).await, "");
    assert!(bench.exchange(None, LOGOFF).await.starts_with("Asterisk Call Manager/"));
    let required = TlsBench::new("required").await;
    assert_eq!(required.exchange(None, LOGOFF).await, "");
    let mine = TlsBench::certs(&required.directory);
    assert!(required.exchange(Some(&mine), LOGOFF).await.starts_with("Asterisk Call Manager/"));
}

#[tokio::test]
async fn who_does_not_shake_hands_is_closed_at_the_deadline_and_plain_text_at_once() {
    let bench = TlsBench::new("optional").await;
    let address = bench.daemon.addresses()[0];
    let (mut silent, mut plain) = (
        TcpStream::connect(address).await.expect("it connects"),
        TcpStream::connect(address).await.expect("it connects"),
    );
    plain.write_all(login("both", "right").as_bytes()).await.expect("it is written");
    let (mut nothing, mut alert) = (Vec::new(), Vec::new());
    plain.read_to_end(&mut alert).await.ok();
    silent.read_to_end(&mut nothing).await.ok();
    assert_eq!(nothing, b"");
    assert!(!String::from_utf8_lossy(&alert).contains("Asterisk"), "no banner in plain text");
    bench.daemon.stop().await;
    let records = crate::harness::records_in(&bench.directory.path().join("audit"));
    let reasons: Vec<_> = records.iter().filter_map(|record| record["reason"].as_str()).collect();
    assert!(reasons.contains(&"tls.handshake-timeout") && reasons.contains(&"tls.handshake"), "{reasons:?}");
}
