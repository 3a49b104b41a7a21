//! `amiwall connect`, as its users meet it: the built binary between a client in plain text and a server with TLS.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on fails")]

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use amiwall::config::Config;
use amiwall::daemon::Daemon;
use amiwall::sim::{Sim, SimConfig};
use amiwall::tls::{self, IssueOptions, ServerTlsFiles};
use rustix::process::{Pid, Signal};
use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStderr, Command};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(30);
const GREETING: &str = "Asterisk Call Manager/7.0.3\r\n";

async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} took too long"))
}

/// Certificates for `localhost` and its addresses, and for one client.
struct Certificates(tempfile::TempDir);

impl Certificates {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        tls::issue(folder.path(), &IssueOptions::default()).expect("certificates");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    fn server(&self, client_ca: Option<&Path>) -> Arc<ServerConfig> {
        let crl = self.path("crl.pem");
        let files = ServerTlsFiles {
            certificate: &self.path("server.crt"),
            key: &self.path("server.key"),
            client_ca,
            client_crl: (client_ca.is_some() && crl.exists()).then_some(crl.as_path()),
            client_certificate_required: client_ca.is_some(),
            tls13_only: false,
        };
        tls::server_tls(&files).expect("a server").config
    }
}

/// A running `amiwall connect`.
struct Connect {
    child: Child,
    address: SocketAddr,
    says: Lines<BufReader<ChildStderr>>,
}

impl Connect {
    async fn start(server: SocketAddr, args: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0", server, args).await
    }

    async fn start_on(listen: &str, server: SocketAddr, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_amiwall"));
        command.args(["connect", &server.to_string(), "--listen", listen]).args(args);
        let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
        let mut says = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let line = patiently("the start", says.next_line()).await.expect("a line").expect("it listens");
        let (address, rest) =
            line.strip_prefix("listening on ").and_then(|line| line.split_once(", ")).expect("an address");
        assert_eq!(rest, format!("for {server} over TLS"));
        let address = address.parse().expect("an address");
        Self { child, address, says }
    }

    async fn client(&self) -> TcpStream {
        patiently("connecting", TcpStream::connect(self.address)).await.expect("it listens")
    }

    fn terminate(&self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).expect("it runs");
        rustix::process::kill_process(pid, Signal::TERM).expect("a signal");
    }

    /// The line that says this.
    async fn until_said(&mut self, text: &str) -> String {
        loop {
            let line = patiently(text, self.says.next_line()).await.expect("a line");
            let line = line.unwrap_or_else(|| panic!("it did not say {text}"));
            if line.contains(text) {
                return line;
            }
        }
    }
}

/// All that still comes, to the end.
async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    patiently("the end", stream.read_to_end(&mut bytes)).await.expect("an end");
    String::from_utf8(bytes).expect("UTF-8")
}

async fn greeting(client: &mut TcpStream) {
    let mut bytes = vec![0; GREETING.len()];
    patiently("the greeting", client.read_exact(&mut bytes)).await.expect("a greeting");
    assert_eq!(bytes, GREETING.as_bytes());
}

/// A server that does this with each connection, once hands are shaken.
async fn server<F: Future<Output = ()> + Send>(
    config: Arc<ServerConfig>,
    role: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + 'static,
) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(config);
        loop {
            let (stream, _) = socket.accept().await.expect("a connection");
            let (acceptor, role) = (acceptor.clone(), role.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    role(stream).await;
                }
            });
        }
    });
    address
}

/// A server that does this with each connection, without TLS.
async fn plain_server<F: Future<Output = ()> + Send + 'static>(role: fn(TcpStream) -> F) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = socket.accept().await.expect("a connection");
            tokio::spawn(role(stream));
        }
    });
    address
}

/// Greets, and keeps the connection until the client ends it.
async fn greet_and_wait(mut stream: TlsStream<TcpStream>) {
    stream.write_all(GREETING.as_bytes()).await.expect("written");
    stream.flush().await.expect("written");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.ok();
    stream.shutdown().await.ok();
}

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

/// A certificate for `localhost` that has expired, of an authority that `ca.crt` then is.
fn expired(folder: &Path) -> Arc<ServerConfig> {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let (key, ca_key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(folder.join("ca.crt"), ca.self_signed(&ca_key).expect("an authority").pem()).expect("written");
    let mut leaf = CertificateParams::new(["127.0.0.1".to_owned()]).expect("parameters");
    (leaf.not_before, leaf.not_after) = (rcgen::date_time_ymd(2001, 1, 1), rcgen::date_time_ymd(2002, 1, 1));
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).expect("a certificate");
    std::fs::write(folder.join("old.crt"), leaf.pem()).expect("written");
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    Arc::new(config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key).expect("a server"))
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
        stream.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    fails(asterisk, &args, "it speaks no TLS; is that a listener with `plaintext`, or Asterisk's own port?").await;
    let closes = plain_server(|mut stream: TcpStream| async move {
        // All that it is sent is read, so that the end is no reset.
        stream.shutdown().await.ok();
        stream.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    fails(closes, &args, "it closed the connection before TLS was agreed on; it lets nobody in from this address")
        .await;
    let mute = server(certs.server(None), |mut stream| async move {
        stream.shutdown().await.ok();
        stream.read_to_end(&mut Vec::new()).await.ok();
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
    let silent = plain_server(|mut stream: TcpStream| async move {
        stream.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    let mute = server(certs.server(None), |mut stream| async move {
        stream.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
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

#[tokio::test]
async fn another_address_than_loopback_is_taken_only_when_asked_for() {
    let certs = Certificates::new();
    let address = server(certs.server(None), greet_and_wait).await;
    let ca = certs.file("ca.crt");
    // Loopback, and yet not what `127.0.0.1` is written as: nobody else reaches it.
    let mapped = "[::ffff:127.0.0.1]:0";
    let connect = Connect::start_on(mapped, address, &["--ca", &ca, "--unsafe-listen"]).await;
    greeting(&mut connect.client().await).await;
    let mut refused = Command::new(env!("CARGO_BIN_EXE_amiwall"));
    refused.args(["connect", &address.to_string(), "--ca", &ca, "--listen", mapped]);
    let output = patiently("the refusal", refused.output()).await.expect("it runs");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("is not a loopback address") && said.contains("--unsafe-listen"), "{said}");
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

#[tokio::test]
async fn what_cannot_be_used_is_told_before_a_client_comes() {
    let (certs, other) = (Certificates::new(), Certificates::new());
    let ca = certs.file("ca.crt");
    let holder = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let taken = holder.local_addr().expect("an address").to_string();
    let (certificate, other_key) = (certs.file("client.crt"), other.file("client.key"));
    let old = Certificates::new();
    drop(expired(old.0.path()));
    let (old, key) = (old.file("old.crt"), certs.file("client.key"));
    let cases: [(&[&str], i32, &str); 8] = [
        (&["localhost:1", "--ca", &ca, "--certificate", &old, "--key", &key], 1, "expired on"),
        (&["localhost", "--ca", &ca], 2, "the port is missing"),
        (&["localhost:1", "--ca", &ca, "--name", "two words"], 2, "`two words` is neither a host name nor an address"),
        (&["localhost:1"], 2, "--ca <FILE>"),
        (&["localhost:1", "--ca", &ca, "--certificate", &certificate], 2, "--key <FILE>"),
        (&["localhost:1", "--ca", &other_key], 1, "client.key: holds no certificate in PEM form"),
        (
            &["localhost:1", "--ca", &ca, "--certificate", &certificate, "--key", &other_key],
            1,
            "cannot be a TLS client",
        ),
        (&["localhost:1", "--ca", &ca, "--listen", &taken], 1, "give another one with --listen"),
    ];
    for (args, code, why) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_amiwall")).arg("connect").args(args).output();
        let output = patiently(why, output).await.expect("it runs");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(said.contains(why), "{said}\n has not: {why}");
        assert_eq!(output.status.code(), Some(code), "{said}");
    }
}
