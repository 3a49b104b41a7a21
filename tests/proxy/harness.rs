//! A proxy and a simulated Asterisk over real sockets, and a client that speaks bytes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use amiwall::config::Config;
use amiwall::daemon::Daemon;
use amiwall::sim::{Sim, SimConfig, SimHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What most tests let their identity do.
pub(crate) const ROLE: &str = r#"
    allow:
      - Ping
      - CoreShowChannels
      - CoreStatus
      - ListCommands
      - QueueStatus
      - UserEvent
      - Getvar: { "Channel?": "**", Variable: "LAB*" }
      - Hangup: { Channel: "Local/**" }
      - Originate:
          Channel: "Local/1???@test"
          "Application?": [Wait, Echo]
          "Data?": integer
          "Timeout?": integer
          "Async?": boolean
          "Variable?": { WAIT: "*", campaign: "*" }
    events:
      allow: [call, user]
"#;

/// A running proxy in front of a simulated Asterisk.
pub(crate) struct Bench {
    pub(crate) sim: SimHandle,
    pub(crate) daemon: Daemon,
    pub(crate) address: SocketAddr,
    pub(crate) upstream: SocketAddr,
    stop_sim: CancellationToken,
    directory: tempfile::TempDir,
    extra: Extra,
}

/// Parts of the policy that a test changes.
#[derive(Clone)]
pub(crate) struct Extra {
    pub(crate) address: String,
    pub(crate) role: String,
    pub(crate) upstream: String,
    pub(crate) listener: String,
    pub(crate) limits: String,
    pub(crate) identity: String,
    pub(crate) identities: String,
    /// Beside the other sections.
    pub(crate) top: String,
}

impl Default for Extra {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:0".to_owned(),
            role: ROLE.to_owned(),
            upstream: String::new(),
            listener: String::new(),
            limits: String::new(),
            identity: String::new(),
            identities: String::new(),
            top: String::new(),
        }
    }
}

fn policy(extra: &Extra, upstream: SocketAddr) -> String {
    let Extra { address, role, upstream: accounts, listener, limits, identity, identities, top } = extra;
    format!(
        r#"version: 1
listeners:
  - address: "{address}"
    plaintext: true
{listener}
upstreams:
  pbx: {{ address: "{upstream}", username: amiwall, secret: {{ file: upstream.secret }}{accounts} }}
audit: {{ directory: audit }}
limits:
  login_timeout: 20s
{limits}
roles:
  tester:
{role}
identities:
  tester:
    roles: [tester]
    secret: {{ file: tester.secret }}
    challenge: true
{identity}
{identities}
{top}
"#
    )
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Extra::default()).await
    }

    pub(crate) async fn with_role(role: &str) -> Self {
        Self::with(Extra { role: role.to_owned(), ..Extra::default() }).await
    }

    pub(crate) async fn with(extra: Extra) -> Self {
        let mut config = SimConfig::with_secret(b"upstream-secret");
        config.login_failure_delay = Duration::ZERO;
        config.call_length = Duration::from_millis(50);
        Self::with_sim(extra, config).await
    }

    pub(crate) async fn with_sim(extra: Extra, config: SimConfig) -> Self {
        Self::in_front_of(None, extra, config).await
    }

    /// In front of something that only looks like Asterisk.
    pub(crate) async fn in_front_of(other: Option<SocketAddr>, extra: Extra, config: SimConfig) -> Self {
        let sim = Sim::bind("127.0.0.1:0", config).await.expect("the simulator binds");
        let (handle, stop_sim) = (sim.handle(), CancellationToken::new());
        let upstream = other.unwrap_or_else(|| sim.local_addr());
        tokio::spawn(sim.run(stop_sim.clone()));
        let directory = tempfile::tempdir().expect("a folder");
        write_private(&directory.path().join("upstream.secret"), "upstream-secret\n");
        write_private(&directory.path().join("tester.secret"), "tester-secret\n");
        let path = directory.path().join("policy.yaml");
        std::fs::write(&path, policy(&extra, upstream)).expect("the policy is written");
        let config = Config::load(&path).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        let daemon = Daemon::start(&config).await.expect("the proxy starts");
        let address = daemon.addresses()[0];
        Self { sim: handle, daemon, address, upstream, stop_sim, directory, extra }
    }

    /// Rewrites the policy and reloads.
    pub(crate) async fn reload(&mut self, change: impl FnOnce(&mut Extra)) {
        change(&mut self.extra);
        let path = self.policy_path();
        std::fs::write(&path, policy(&self.extra, self.upstream)).expect("the policy is written");
        let config = Config::load(&path).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        self.daemon.reload(&config).await.expect("it is taken");
    }

    pub(crate) fn policy_path(&self) -> PathBuf {
        self.directory.path().join("policy.yaml")
    }

    pub(crate) fn audit_directory(&self) -> PathBuf {
        self.directory.path().join("audit")
    }

    /// Stops the proxy and starts another one on the same folder.
    pub(crate) async fn restart(self) -> Self {
        let Self { sim, daemon, upstream, stop_sim, directory, extra, .. } = self;
        daemon.stop().await;
        let path = directory.path().join("policy.yaml");
        let config = Config::load(&path).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        let daemon = Daemon::start(&config).await.expect("the proxy starts");
        let address = daemon.addresses()[0];
        Self { sim, daemon, address, upstream, stop_sim, directory, extra }
    }

    /// Asterisk is started anew: without sessions, without calls.
    pub(crate) async fn restart_asterisk(mut self) -> Self {
        self.stop_asterisk();
        self.sim.wait_for_sessions(|count| *count == 0).await;
        let config = SimConfig::with_secret(b"upstream-secret");
        let sim = loop {
            // The old one may still be letting go of its address.
            if let Ok(sim) = Sim::bind(&self.upstream.to_string(), config.clone()).await {
                break sim;
            }
            tokio::task::yield_now().await;
        };
        (self.sim, self.stop_sim) = (sim.handle(), CancellationToken::new());
        tokio::spawn(sim.run(self.stop_sim.clone()));
        self
    }

    pub(crate) fn stop_asterisk(&self) {
        self.stop_sim.cancel();
        self.sim.drop_sessions();
    }

    /// A connection that has read the banner.
    pub(crate) async fn connect(&self) -> Client {
        let mut client = Client::connect(self.address).await;
        assert_eq!(client.line().await, "Asterisk Call Manager/11.0.0\r\n");
        client
    }

    /// A connection that is logged in, with `Events: off`.
    pub(crate) async fn login(&self) -> Client {
        self.login_with("Events: off\r\n").await
    }

    pub(crate) async fn login_with(&self, headers: &str) -> Client {
        let mut client = self.connect().await;
        client.send(&format!("Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\n{headers}\r\n")).await;
        assert_eq!(client.packet().await, "Response: Success\r\nMessage: Authentication accepted\r\n\r\n");
        client
    }

    /// The names of the actions that Asterisk has run for clients: amiwall's own Login, Events and Logoff left out.
    pub(crate) fn executed(&self) -> Vec<String> {
        let own = ["login", "events", "logoff"];
        let executed = self.sim.executed();
        let names = executed.iter().map(|action| String::from_utf8_lossy(action.request.action()).into_owned());
        names.filter(|name| !own.contains(&name.to_ascii_lowercase().as_str())).collect()
    }

    /// Stops the proxy and gives the audit records, whose chain has been verified.
    pub(crate) async fn records(self) -> Vec<serde_json::Value> {
        self.daemon.stop().await;
        amiwall::audit::verify(&self.directory.path().join("audit")).unwrap_or_else(|error| panic!("{error}"));
        records_in(&self.directory.path().join("audit"))
    }
}

/// All records in the segments of a folder.
pub(crate) fn records_in(directory: &Path) -> Vec<serde_json::Value> {
    let mut segments: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    segments.sort();
    let text: String = segments.iter().map(|path| std::fs::read_to_string(path).expect("a segment")).collect();
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

/// The whole records that are on disk while the proxy runs; a line that is being written is left out.
pub(crate) fn records_in_partial(directory: &Path) -> Vec<serde_json::Value> {
    let segments = std::fs::read_dir(directory).expect("the folder is there");
    let paths = segments.map(|entry| entry.expect("an entry").path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "jsonl");
    let text: String = paths.filter(is_segment).map(|path| std::fs::read_to_string(path).expect("a segment")).collect();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

pub(crate) fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).expect("the file is written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode is set");
}

/// A client of the wire.
pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("it connects");
        stream.set_nodelay(true).expect("an option");
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("it is written");
    }

    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.expect("it is closed");
    }

    /// Tears the connection down.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().expect("an option");
    }

    /// One line with its end.
    pub(crate) async fn line(&mut self) -> String {
        self.until(b"\r\n").await
    }

    /// One packet with the empty line that ends it.
    pub(crate) async fn packet(&mut self) -> String {
        self.until(b"\r\n\r\n").await
    }

    /// The next packet that begins with that line; others are skipped.
    pub(crate) async fn packet_of(&mut self, first_line: &str) -> String {
        loop {
            let packet = self.packet().await;
            if packet.starts_with(&format!("{first_line}\r\n")) {
                return packet;
            }
        }
    }

    /// Sends an action and gives the next packet.
    pub(crate) async fn ask(&mut self, action: &str) -> String {
        self.send(action).await;
        self.packet().await
    }

    async fn until(&mut self, end: &[u8]) -> String {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end) {
                let taken: Vec<u8> = self.read.drain(..at + end.len()).collect();
                return String::from_utf8_lossy(&taken).into_owned();
            }
            assert!(self.read_more().await, "closed; before: {}", self.read.escape_ascii());
        }
    }

    /// Whether something comes before the connection is closed.
    pub(crate) async fn greets(&mut self) -> bool {
        self.read_more().await
    }

    async fn read_more(&mut self) -> bool {
        let mut buffer = vec![0; 65_536];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await;
        let len = read.unwrap_or_else(|_| panic!("nothing came; before: {}", self.read.escape_ascii())).unwrap_or(0);
        self.read.extend_from_slice(&buffer[..len]);
        len > 0
    }

    /// Everything until the connection is closed.
    pub(crate) async fn rest(&mut self) -> String {
        while self.read_more().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }
}

/// Denied with Asterisk's words.
pub(crate) const DENIED: &str = "Response: Error\r\nMessage: Permission denied\r\n\r\n";
/// The answer to a Ping has a time in it.
pub(crate) fn is_pong(packet: &str) -> bool {
    packet.starts_with("Response: Success\r\n") && packet.contains("Ping: Pong\r\nTimestamp: ")
}
