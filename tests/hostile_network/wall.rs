//! A proxy with a plain and a TLS listener in front of a simulated Asterisk, and peers with addresses of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use amiwall::admission::Occupancy;
use amiwall::config::Config;
use amiwall::daemon::Daemon;
use amiwall::sim::{Sim, SimConfig};
use amiwall::tls::{self, IssueOptions};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How fast who trickles does so.
const PACE: Duration = Duration::from_millis(20);

pub(crate) const BANNER: &str = "Asterisk Call Manager/11.0.0\r\n";
pub(crate) const LOGIN: &str = "Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n";
pub(crate) const WRONG: &str = "Action: Login\r\nUsername: tester\r\nSecret: wrong\r\n\r\n";
pub(crate) const PING: &str = "Action: Ping\r\n\r\n";
pub(crate) const LOGOFF: &str = "Action: Logoff\r\n\r\n";

pub(crate) struct Wall {
    pub(crate) daemon: Daemon,
    directory: tempfile::TempDir,
}

/// Writes what a proxy needs into a folder; `limits` and `identities` are lines of the policy.
pub(crate) async fn lay_out(directory: &Path, limits: &str, identities: &str, listeners: &str) {
    let sim = Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"upstream-secret")).await.expect("the simulator binds");
    let upstream = sim.local_addr();
    tokio::spawn(sim.run(CancellationToken::new()));
    for (name, text) in [("upstream.secret", "upstream-secret\n"), ("tester.secret", "tester-secret\n")] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(directory.join(name), text).expect("the file is written");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(directory.join(name), mode).expect("its mode is set");
    }
    let policy = format!(
        r#"version: 1
listeners:
{listeners}
upstreams:
  pbx: {{ address: "{upstream}", username: amiwall, secret: {{ file: upstream.secret }} }}
audit: {{ directory: audit }}
limits:
{limits}
roles:
  tester: {{ allow: [Ping] }}
identities:
  tester: {{ roles: [tester], secret: {{ file: tester.secret }}, challenge: true }}
{identities}"#
    );
    std::fs::write(directory.join("policy.yaml"), policy).expect("the policy is written");
}

impl Wall {
    pub(crate) async fn new(limits: &str) -> Self {
        Self::with(limits, "").await
    }

    /// With more identities than `tester`.
    pub(crate) async fn with(limits: &str, identities: &str) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        tls::issue(&directory.path().join("certs"), &IssueOptions::default()).expect("certificates");
        let listeners = "  - { address: \"127.0.0.1:0\", plaintext: true }\n  - { address: \"127.0.0.2:0\", tls: { certificate: certs/server.crt, key: certs/server.key } }";
        lay_out(directory.path(), limits, identities, listeners).await;
        let config = Config::load(&directory.path().join("policy.yaml"));
        let config = config.unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        let daemon = Daemon::start(&config).await.expect("the proxy starts");
        Self { daemon, directory }
    }

    pub(crate) fn plain(&self) -> SocketAddr {
        self.daemon.addresses()[0]
    }

    pub(crate) fn tls(&self) -> SocketAddr {
        self.daemon.addresses()[1]
    }

    /// A plain connection from 127.0.0.`host`.
    pub(crate) async fn connect(&self, host: u8) -> Peer<TcpStream> {
        Peer::new(connect(self.plain(), host).await)
    }

    pub(crate) fn tls_client(&self) -> Arc<rustls::ClientConfig> {
        tls::client_config(&self.directory.path().join("certs/ca.crt"), None).expect("a client")
    }

    pub(crate) async fn connect_tls(&self, host: u8) -> Peer<TlsStream<TcpStream>> {
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        let stream = connect(self.tls(), host).await;
        Peer::new(TlsConnector::from(self.tls_client()).connect(name, stream).await.expect("a handshake"))
    }

    /// A plain connection that is logged in.
    pub(crate) async fn login(&self, host: u8) -> Peer<TcpStream> {
        let mut peer = self.connect(host).await;
        peer.log_in().await;
        peer
    }

    /// Waits until the counts are so.
    pub(crate) async fn until(&self, is_so: impl Fn(Occupancy, usize) -> bool) {
        let all = async {
            loop {
                let (occupancy, slots) = self.daemon.occupancy();
                if is_so(occupancy, slots) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, all).await;
        assert!(outcome.is_ok(), "it stays at {:?}", self.daemon.occupancy());
    }

    pub(crate) fn audit(&self) -> PathBuf {
        self.directory.path().join("audit")
    }

    /// What is in the audit log by now.
    pub(crate) fn records(&self) -> String {
        read_log(&self.audit())
    }

    /// Stops the proxy and gives its audit log, which is whole.
    pub(crate) async fn stop(self) -> String {
        self.daemon.stop().await;
        let audit = self.directory.path().join("audit");
        amiwall::audit::verify(&audit).unwrap_or_else(|error| panic!("{error}"));
        read_log(&audit)
    }

    /// Stops the proxy and gives (kind, reason) of all audit records.
    pub(crate) async fn reasons(self) -> Vec<(String, String)> {
        let text = self.stop().await;
        let record = |line: &str| {
            let record: serde_json::Value = serde_json::from_str(line).expect("a record");
            let word = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
            (word("kind"), word("reason"))
        };
        text.lines().map(record).collect()
    }
}

fn read_log(audit: &Path) -> String {
    let paths = std::fs::read_dir(audit).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    let segments = paths.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    segments.map(|path| std::fs::read_to_string(path).expect("a segment")).collect()
}

pub(crate) fn count(reasons: &[(String, String)], kind: &str, reason: &str) -> usize {
    reasons.iter().filter(|record| record.0 == kind && record.1 == reason).count()
}

pub(crate) async fn connect(to: SocketAddr, host: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 0, 0, host], 0))).expect("a loopback address");
    let stream = socket.connect(to).await.expect("it connects");
    stream.set_nodelay(true).expect("an option");
    stream
}

pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.expect("it is written");
        self.stream.flush().await.expect("it is written");
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 4_096];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await;
        // A reset is an end too.
        let len = read.unwrap_or_else(|_| panic!("nothing came")).unwrap_or(0);
        self.read.extend_from_slice(&buffer[..len]);
        len > 0
    }

    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end.as_bytes()) {
                let taken: Vec<u8> = self.read.drain(..at + end.len()).collect();
                return String::from_utf8_lossy(&taken).into_owned();
            }
            assert!(self.more().await, "closed; before: {}", self.read.escape_ascii());
        }
    }

    pub(crate) async fn log_in(&mut self) {
        assert_eq!(self.until("\r\n").await, BANNER);
        self.send(LOGIN).await;
        let answer = self.until("\r\n\r\n").await;
        assert!(answer.contains("Authentication accepted"), "{answer}");
    }

    pub(crate) async fn ping(&mut self) {
        self.send(PING).await;
        let answer = self.until("\r\n\r\n").await;
        assert!(answer.contains("Ping: Pong"), "{answer}");
    }

    /// All until it is closed.
    pub(crate) async fn rest(&mut self) -> String {
        String::from_utf8_lossy(&self.rest_bytes().await).into_owned()
    }

    pub(crate) async fn rest_bytes(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.read)
    }

    /// Sends one byte after the other, slowly, until the other side has had enough.
    pub(crate) async fn trickle(&mut self, byte: u8) {
        let mut pace = tokio::time::interval(PACE);
        let mut buffer = [0; 4_096];
        let all = async {
            loop {
                tokio::select! {
                    read = self.stream.read(&mut buffer) => if read.unwrap_or(0) == 0 { return },
                    _ = pace.tick() => if self.stream.write_all(&[byte]).await.is_err() { return },
                }
                if self.stream.flush().await.is_err() {
                    return;
                }
            }
        };
        assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "it was never cut");
    }
}
