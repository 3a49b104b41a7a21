//! An Asterisk that is spoken to over TLS: whom amiwall takes for it, and whom not.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use amiwall::config::Config;
use amiwall::sim::{Sim, SimConfig, SimHandle};
use amiwall::tls::{self, IssueOptions, ServerTlsFiles};
use amiwall::upstream::Connector;
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, Client, Extra, is_pong};

const LOGIN: &str = "Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n";
const PING: &str = "Action: Ping\r\n\r\n";

/// How the Asterisk speaks; none: in plain text.
type Speaks = Arc<Mutex<Option<Arc<ServerConfig>>>>;

/// A simulated Asterisk behind TLS, of which the test says how it speaks.
struct Asterisk {
    sim: SimHandle,
    address: SocketAddr,
    speaks: Speaks,
    folder: tempfile::TempDir,
}

/// Certificates for that name, of the authority in the folder.
fn issue(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let options = IssueOptions { server_names: vec![name.to_owned()], replace: true, ..IssueOptions::default() };
    tls::issue(folder, &options).expect("certificates");
    (folder.join("server.crt"), folder.join("server.key"))
}

fn server((certificate, key): &(PathBuf, PathBuf), client_ca: Option<&Path>) -> Arc<ServerConfig> {
    let files = ServerTlsFiles {
        certificate,
        key,
        client_ca,
        client_crl: None,
        client_certificate_required: client_ca.is_some(),
        tls13_only: false,
    };
    tls::server_tls(&files).expect("a server").config
}

async fn serve(listener: TcpListener, sim: SocketAddr, speaks: Speaks) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let config = speaks.lock().expect("no panic").clone();
        tokio::spawn(async move {
            let mut asterisk = TcpStream::connect(sim).await.expect("it connects");
            match config {
                None => _ = tokio::io::copy_bidirectional(&mut stream, &mut asterisk).await,
                Some(config) => {
                    let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await else { return };
                    tokio::io::copy_bidirectional(&mut stream, &mut asterisk).await.ok();
                }
            }
        });
    }
}

impl Asterisk {
    /// One whose certificate is for `localhost`, of its own authority.
    async fn new() -> Self {
        let config = SimConfig::with_secret(b"upstream-secret");
        let sim = Sim::bind("127.0.0.1:0", config).await.expect("the simulator binds");
        let (handle, behind) = (sim.handle(), sim.local_addr());
        tokio::spawn(sim.run(CancellationToken::new()));
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("it binds");
        let address = listener.local_addr().expect("an address");
        let speaks = Arc::new(Mutex::new(Some(server(&issue(folder.path(), "localhost"), None))));
        tokio::spawn(serve(listener, behind, speaks.clone()));
        Self { sim: handle, address, speaks, folder }
    }

    fn speaks(&self, config: Option<Arc<ServerConfig>>) {
        *self.speaks.lock().expect("no panic") = config;
    }

    fn logins(&self) -> usize {
        self.sim.executed().iter().filter(|action| action.is("Login")).count()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// amiwall in front of it.
    async fn bench(&self, more: &str) -> Bench {
        self.bench_that_trusts("ca.crt", more).await
    }

    async fn bench_that_trusts(&self, ca: &str, more: &str) -> Bench {
        let tls = format!(", tls: {{ ca: \"{}\", name: localhost{more} }}", self.file(ca).display());
        let extra = Extra { upstream: tls, ..Extra::default() };
        Bench::in_front_of(Some(self.address), extra, SimConfig::with_secret(b"unused")).await
    }
}

/// What the same policy would say at a start.
async fn probe(bench: &Bench) -> String {
    let config = Config::load(&bench.policy_path()).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let connector = Connector::new(Arc::new(config.upstreams["pbx"].clone()));
    connector.probe().await.map_or_else(|error| error.to_string(), |()| "there".to_owned())
}

#[tokio::test]
async fn a_client_talks_to_an_asterisk_behind_tls() {
    let asterisk = Asterisk::new().await;
    let bench = asterisk.bench("").await;
    let mut client = bench.login_with("Events: on\r\n").await;
    for _ in 0..3 {
        assert!(is_pong(&client.ask(PING).await));
    }
    // More than one record of TLS holds, both ways.
    let x = "x".repeat(900);
    client.send(format!("Action: UserEvent\r\nUserEvent: X\r\nA: {x}\r\nB: {x}\r\n\r\n").repeat(30)).await;
    for _ in 0..30 {
        assert!(client.packet_of("Event: UserEvent").await.contains(&format!("B: {x}\r\n")));
    }
    client.send("Action: Logoff\r\n\r\n").await;
    assert!(client.rest().await.ends_with("Message: Thanks for all the fish.\r\n\r\n"));
    // Its certificates are a part of the policy's record.
    let records = bench.records().await;
    let policy = records.iter().find(|record| record["kind"] == "policy").expect("a policy");
    let file =
        policy["files"].as_array().expect("files").iter().find(|file| file["key"] == "ca").expect("the authority");
    assert_eq!((&file["upstream"], file["sha256"].as_str().map(str::len)), (&"pbx".into(), Some(64)));
}

#[tokio::test]
async fn an_asterisk_that_does_not_prove_who_it_is_is_not_spoken_to() {
    let asterisk = Asterisk::new().await;
    let (authority, old) = expired();
    let both = std::fs::read_to_string(asterisk.file("ca.crt")).expect("an authority") + &authority;
    std::fs::write(asterisk.file("trusted.pem"), both).expect("it is written");
    let bench = asterisk.bench_that_trusts("trusted.pem", "").await;
    assert!(is_pong(&bench.login().await.ask(PING).await));
    let other = tempfile::tempdir().expect("a folder");
    let demanding = server(&issue(asterisk.folder.path(), "localhost"), Some(&asterisk.file("ca.crt")));
    let cases = [
        (Some(server(&issue(other.path(), "localhost"), None)), "upstream.tls-unknown-ca", "put the authority"),
        (Some(server(&issue(asterisk.folder.path(), "pbx.example"), None)), "upstream.tls-name", "tls.name"),
        (Some(old), "upstream.tls-expired", "is not valid today"),
        (None, "upstream.tls-plaintext", "never falls back to plain text"),
        (Some(demanding), "upstream.tls", "CertificateRequired"),
    ];
    let (logins, mut expected) = (asterisk.logins(), Vec::new());
    for (speaks, reason, words) in cases {
        asterisk.speaks(speaks);
        let mut client = Client::connect(bench.address).await;
        client.line().await;
        client.send(LOGIN).await;
        assert_eq!(client.rest().await, "", "{reason}: closed without an answer");
        let said = probe(&bench).await;
        assert!(said.contains(words) && said.starts_with("upstream `pbx` (127.0.0.1:"), "{reason}: {said}");
        assert_eq!(asterisk.logins(), logins, "{reason}: Asterisk got the secret");
        expected.push(reason);
    }
    // It is looked at anew for each session.
    asterisk.speaks(Some(server(&issue(asterisk.folder.path(), "localhost"), None)));
    assert!(is_pong(&bench.login().await.ask(PING).await));
    let records = bench.records().await;
    let ends = records.iter().filter(|record| record["kind"] == "end").filter_map(|record| record["reason"].as_str());
    let ends: Vec<&str> = ends.filter(|reason| reason.starts_with("upstream.")).collect();
    assert_eq!(ends, expected);
}

/// Another authority, as PEM, and a server whose certificate of it was a good one.
fn expired() -> (String, Arc<ServerConfig>) {
    let key = || KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "an authority");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = key();
    let pem = params.self_signed(&authority).expect("a certificate").pem();
    let issuer = Issuer::new(params, authority);
    let key = key();
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("parameters");
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2001, 1, 1), rcgen::date_time_ymd(2002, 1, 1));
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key.into());
    (pem, Arc::new(config.expect("a server")))
}

#[tokio::test]
async fn a_reload_reads_the_authority_anew_and_says_so() {
    let asterisk = Asterisk::new().await;
    std::fs::copy(asterisk.file("ca.crt"), asterisk.file("trusted.pem")).expect("it is copied");
    let mut bench = asterisk.bench_that_trusts("trusted.pem", "").await;
    let mut open = bench.login().await;
    std::fs::write(asterisk.file("trusted.pem"), expired().0).expect("it is written");
    bench.reload(|_| ()).await;
    let mut late = bench.connect().await;
    late.send(LOGIN).await;
    assert_eq!(late.rest().await, "");
    // What was verified when it was opened goes on.
    assert!(is_pong(&open.ask(PING).await));
    let records = bench.records().await;
    let reload = records.iter().find(|record| record["trigger"] == "reload").expect("a reload");
    assert_eq!(reload["changes"], serde_json::json!(["changed ca of upstream pbx"]));
}

#[tokio::test]
async fn amiwall_shows_asterisk_a_certificate_of_its_own() {
    let asterisk = Asterisk::new().await;
    let good = (asterisk.file("server.crt"), asterisk.file("server.key"));
    asterisk.speaks(Some(server(&good, Some(&asterisk.file("ca.crt")))));
    let (certificate, key) = (asterisk.file("client.crt"), asterisk.file("client.key"));
    let bench =
        asterisk.bench(&format!(", certificate: \"{}\", key: \"{}\"", certificate.display(), key.display())).await;
    assert!(is_pong(&bench.login().await.ask(PING).await));
}

#[tokio::test]
async fn plain_text_to_a_port_that_waits_for_tls_says_what_may_be_wrong() {
    let asterisk = Asterisk::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("it binds");
    let bench = asterisk.bench("").await;
    let mut config = Config::load(&bench.policy_path()).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let mut upstream = config.upstreams.remove("pbx").expect("it is there");
    upstream.address = silent.local_addr().expect("an address").to_string();
    // Who waits for TLS waits in silence. Without TLS amiwall waits for a banner.
    for (tls, words) in [(upstream.tls.clone(), "did not answer within 5 s"), (None, "the upstream needs `tls:`")] {
        let connector = Connector::new(Arc::new(amiwall::upstream::UpstreamConfig { tls, ..upstream.clone() }));
        let error = connector.probe().await.expect_err("nobody answers").to_string();
        assert!(error.ends_with(words), "{error}");
    }
}
