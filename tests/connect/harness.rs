//! The program, certificates for it, and servers of all kinds.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use amiwall::tls::{self, IssueOptions, ServerTlsFiles};
use rustix::process::{Pid, Signal};
use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStderr, Command};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Long enough for a busy machine; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const GREETING: &str = "Asterisk Call Manager/7.0.3\r\n";

pub(crate) async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} took too long"))
}

/// Certificates for `localhost` and its addresses, and for one client.
pub(crate) struct Certificates(pub(crate) tempfile::TempDir);

impl Certificates {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        tls::issue(folder.path(), &IssueOptions::default()).expect("certificates");
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    pub(crate) fn server(&self, client_ca: Option<&Path>) -> Arc<ServerConfig> {
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
pub(crate) struct Connect {
    pub(crate) child: Child,
    address: SocketAddr,
    pub(crate) says: Lines<BufReader<ChildStderr>>,
}

impl Connect {
    pub(crate) async fn start(server: SocketAddr, args: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0", server, args).await
    }

    pub(crate) async fn start_on(listen: &str, server: SocketAddr, args: &[&str]) -> Self {
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

    pub(crate) async fn client(&self) -> TcpStream {
        patiently("connecting", TcpStream::connect(self.address)).await.expect("it listens")
    }

    pub(crate) fn terminate(&self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).expect("it runs");
        rustix::process::kill_process(pid, Signal::TERM).expect("a signal");
    }

    /// The line that says this.
    pub(crate) async fn until_said(&mut self, text: &str) -> String {
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
pub(crate) async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    patiently("the end", stream.read_to_end(&mut bytes)).await.expect("an end");
    String::from_utf8(bytes).expect("UTF-8")
}

pub(crate) async fn greeting(client: &mut TcpStream) {
    let mut bytes = vec![0; GREETING.len()];
    patiently("the greeting", client.read_exact(&mut bytes)).await.expect("a greeting");
    assert_eq!(bytes, GREETING.as_bytes());
}

/// A server that does this with each connection, once hands are shaken.
pub(crate) async fn server<F: Future<Output = ()> + Send>(
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
pub(crate) async fn plain_server<F: Future<Output = ()> + Send + 'static>(role: fn(TcpStream) -> F) -> SocketAddr {
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
pub(crate) async fn greet_and_wait(mut stream: TlsStream<TcpStream>) {
    stream.write_all(GREETING.as_bytes()).await.expect("written");
    stream.flush().await.expect("written");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.ok();
    stream.shutdown().await.ok();
}

/// A certificate for `localhost` that has expired, of an authority that `ca.crt` then is.
pub(crate) fn expired(folder: &Path) -> Arc<ServerConfig> {
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
