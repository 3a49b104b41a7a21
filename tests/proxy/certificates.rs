//! Client certificates that are refused, each with its reason, and those of open sessions.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use amiwall::config::Config;
use amiwall::daemon::Daemon;
use amiwall::sim::{Sim, SimConfig};
use amiwall::tls::{self, IssueOptions};
use rcgen::{CertificateParams, CertificateRevocationListParams, Issuer, KeyPair, KeyUsagePurpose, SerialNumber};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::harness::{records_in, write_private};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const LOGIN: &str = "Action: Login\r\nUsername: machine\r\nEvents: off\r\n\r\n";
const PING: &str = "Action: Ping\r\n\r\n";

/// An authority for clients.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self(Issuer::new(params, key), pem)
    }

    /// `NAME.crt` and `NAME.key` of that serial number, valid to that day.
    fn issue(&self, folder: &Path, name: &str, serial: u64, not_after: SystemTime) {
        let mut params = CertificateParams::new(vec!["machine.example".to_owned()]).expect("a name");
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = (SystemTime::now() - 10 * DAY).into();
        params.not_after = not_after.into();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        std::fs::write(folder.join(format!("{name}.crt")), certificate.pem()).expect("written");
        write_private(&folder.join(format!("{name}.key")), &key.serialize_pem());
    }

    /// A list of revoked serial numbers.
    fn list(&self, serials: &[u64], next_update: SystemTime) -> String {
        self.numbered_list(1, serials, next_update)
    }

    /// As [`Authority::list`], of that number.
    fn numbered_list(&self, number: u64, serials: &[u64], next_update: SystemTime) -> String {
        let revoked = serials.iter().map(|serial| rcgen::RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: SystemTime::now().into(),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: (SystemTime::now() - 5 * DAY).into(),
            next_update: next_update.into(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).expect("a list").pem().expect("PEM")
    }
}

fn in_days(days: u32) -> SystemTime {
    SystemTime::now() + days * DAY
}

struct Bench {
    daemon: Daemon,
    directory: tempfile::TempDir,
    authority: Authority,
}

impl Bench {
    /// A listener that demands certificates of its authority: `one` (1) and `two` (2) are good ones, `old` has expired, and
    /// `foreign` is of another authority.
    async fn new(list: impl FnOnce(&Authority) -> String) -> Self {
        let sim = Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"upstream-secret")).await.expect("a simulator");
        let upstream = sim.local_addr();
        tokio::spawn(sim.run(CancellationToken::new()));
        let directory = tempfile::tempdir().expect("a folder");
        let folder = directory.path();
        tls::issue(&folder.join("certs"), &IssueOptions::default()).expect("certificates");
        let (authority, other) = (Authority::new("clients"), Authority::new("others"));
        std::fs::write(folder.join("clients.crt"), &authority.1).expect("written");
        std::fs::write(folder.join("crl.pem"), list(&authority)).expect("written");
        authority.issue(folder, "one", 1, in_days(10));
        authority.issue(folder, "two", 2, in_days(10));
        authority.issue(folder, "old", 3, SystemTime::now() - DAY);
        other.issue(folder, "foreign", 1, in_days(10));
        write_private(&folder.join("upstream.secret"), "upstream-secret");
        let policy = format!(
            r#"version: 1
listeners:
  - address: "127.0.0.1:0"
    tls:
      certificate: certs/server.crt
      key: certs/server.key
      client_ca: clients.crt
      client_crl: crl.pem
      client_certificate: required
upstreams:
  pbx: {{ address: "{upstream}", username: amiwall, secret: {{ file: upstream.secret }} }}
audit: {{ directory: audit }}
roles:
  all: {{ allow: [Ping] }}
identities:
  machine: {{ roles: [all], certificate: {{ san: machine.example }} }}
"#
        );
        std::fs::write(folder.join("policy.yaml"), policy).expect("the policy is written");
        let config = Config::load(&folder.join("policy.yaml")).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        let daemon = Daemon::start(&config).await.expect("the proxy starts");
        Self { daemon, directory, authority }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn load(&self) -> Result<Config, String> {
        Config::load(&self.file("policy.yaml")).map_err(|diagnostics| diagnostics.to_string())
    }

    /// Another list, and a reload.
    async fn reload(&mut self, list: &str) {
        std::fs::write(self.file("crl.pem"), list).expect("written");
        let config = self.load().unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        self.daemon.reload(&config).await.expect("it is taken");
    }

    async fn connect(&self, name: Option<&str>) -> Client {
        let files = name.map(|name| (self.file(&format!("{name}.crt")), self.file(&format!("{name}.key"))));
        let identity = files.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        let config = tls::client_config(&self.file("certs/ca.crt"), identity).expect("a client");
        let stream = TcpStream::connect(self.daemon.addresses()[0]).await.expect("it connects");
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        Client(TlsConnector::from(config).connect(name, stream).await.expect("the server's side is right"))
    }

    async fn login(&self, name: &str) -> Client {
        let mut client = self.connect(Some(name)).await;
        client.0.write_all(LOGIN.as_bytes()).await.expect("it is written");
        assert!(client.until("accepted\r\n\r\n").await, "{name} is let in");
        client
    }

    /// The reasons of connections that were refused, and of sessions that ended.
    async fn reasons(self, kind: &str) -> Vec<String> {
        self.daemon.stop().await;
        let records = records_in(&self.directory.path().join("audit"));
        let of_kind = records.iter().filter(|record| record["kind"] == kind);
        of_kind.map(|record| record["reason"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

struct Client(TlsStream<TcpStream>);

impl Client {
    /// Whether that comes before the connection ends.
    async fn until(&mut self, text: &str) -> bool {
        let (mut seen, mut buffer) = (String::new(), [0; 4_096]);
        while !seen.contains(text) {
            match self.0.read(&mut buffer).await {
                Ok(0) | Err(_) => return false,
                Ok(len) => seen += &String::from_utf8_lossy(&buffer[..len]),
            }
        }
        true
    }

    async fn is_served(&mut self) -> bool {
        self.0.write_all(PING.as_bytes()).await.is_ok() && self.until("Ping: Pong").await
    }
}

#[tokio::test]
async fn each_certificate_that_is_refused_has_its_reason() {
    let bench = Bench::new(|authority| authority.list(&[2], in_days(30))).await;
    assert!(bench.load().expect("a policy").warnings.is_empty());
    for name in [Some("foreign"), Some("old"), Some("two"), None] {
        assert!(!bench.connect(name).await.until("Asterisk").await, "{name:?}");
    }
    assert!(bench.login("one").await.is_served().await);
    let mut reasons = bench.reasons("refuse").await;
    reasons.sort();
    let expected =
        ["tls.certificate-expired", "tls.certificate-missing", "tls.certificate-revoked", "tls.certificate-unknown-ca"];
    assert_eq!(reasons, expected);
}

#[tokio::test]
async fn an_expired_list_lets_nobody_in_and_is_warned_of() {
    let bench = Bench::new(|authority| authority.list(&[], SystemTime::now() - DAY)).await;
    let warnings = bench.load().expect("a policy").warnings.to_string();
    assert!(warnings.contains("crl.pem: the revocation list of `CN=clients") && warnings.contains("expired on"));
    assert!(!bench.connect(Some("one")).await.until("Asterisk").await);
    std::fs::write(bench.file("crl.pem"), bench.authority.list(&[], in_days(6))).expect("written");
    assert!(bench.load().expect("a policy").warnings.to_string().contains("expires on"));
    assert_eq!(bench.reasons("refuse").await, ["tls.crl-expired"]);
}

#[tokio::test]
async fn without_a_list_of_its_authority_no_certificate_is_let_in() {
    let bench = Bench::new(|_| Authority::new("others").list(&[], in_days(30))).await;
    let warnings = bench.load().expect("a policy").warnings.to_string();
    assert!(warnings.contains("has no revocation list of `CN=clients"), "{warnings}");
    assert!(!bench.connect(Some("one")).await.until("Asterisk").await);
    // One that calls itself so, and that another key signed.
    let mut bench = bench;
    bench.reload(&Authority::new("clients").list(&[], in_days(30))).await;
    assert!(!bench.connect(Some("one")).await.until("Asterisk").await);
    assert_eq!(bench.reasons("refuse").await, ["tls.crl-unusable", "tls.crl-unusable"]);
}

#[tokio::test]
async fn of_several_lists_of_an_authority_the_newest_counts_wherever_it_stands() {
    for is_first in [true, false] {
        let bench = Bench::new(|authority| {
            let (old, new) = ([], [2]);
            let old = authority.numbered_list(7, &old, SystemTime::now() - DAY);
            let new = authority.numbered_list(8, &new, in_days(10));
            if is_first { new + &old } else { old + &new }
        });
        let bench = bench.await;
        assert!(bench.connect(Some("one")).await.until("Asterisk").await, "the old list does not count");
        assert!(!bench.connect(Some("two")).await.until("Asterisk").await, "it is revoked");
        assert_eq!(bench.reasons("refuse").await, ["tls.certificate-revoked"]);
    }
}

#[tokio::test]
async fn a_session_whose_certificate_is_revoked_ends_and_no_other() {
    let mut bench = Bench::new(|authority| authority.list(&[], in_days(30))).await;
    let (mut one, mut two) = (bench.login("one").await, bench.login("two").await);
    assert!(one.is_served().await && two.is_served().await);
    let list = bench.authority.list(&[1], in_days(30));
    bench.reload(&list).await;
    assert!(!one.until("nothing more").await, "it is closed");
    assert!(two.is_served().await);
    // A list that has expired still says what was revoked, and ends no other session.
    let list = bench.authority.list(&[1], SystemTime::now() - DAY);
    bench.reload(&list).await;
    assert!(two.is_served().await);
    let list = bench.authority.list(&[1, 2], SystemTime::now() - DAY);
    bench.reload(&list).await;
    assert!(!two.until("nothing more").await, "it is closed");
    bench.daemon.stop().await;
    let records = records_in(&bench.directory.path().join("audit"));
    let of_kind = |kind| records.iter().filter(move |record| record["kind"] == kind);
    assert!(of_kind("end").all(|record| record["reason"] == "tls.certificate-revoked"));
    // Which certificate it was can be looked for.
    let shown = |kind| of_kind(kind).map(|record| record["certificate_serial"].clone()).collect::<Vec<_>>();
    assert_eq!((shown("login"), shown("end")), (vec!["1".into(), "2".into()], vec!["1".into(), "2".into()]));
    for record in of_kind("login").chain(of_kind("end")) {
        assert!(record["certificate_spki_sha256"].as_str().is_some_and(|hash| hash.len() == 64), "{record}");
    }
}

#[tokio::test]
async fn a_session_ends_when_its_authority_is_no_longer_trusted() {
    let mut bench = Bench::new(|authority| authority.list(&[], in_days(30))).await;
    let mut one = bench.login("one").await;
    let other = Authority::new("clients");
    std::fs::write(bench.file("clients.crt"), &other.1).expect("written");
    bench.reload(&other.list(&[], in_days(30))).await;
    assert!(!one.until("nothing more").await, "it is closed");
    assert_eq!(bench.reasons("end").await, ["tls.certificate-unknown-ca"]);
}

#[tokio::test]
async fn a_broken_list_is_no_policy_and_the_old_one_stays_in_force() {
    let bench = Bench::new(|authority| authority.list(&[2], in_days(30))).await;
    let mut one = bench.login("one").await;
    let half = bench.authority.list(&[1], in_days(30)).replacen("MII", "MIJ", 1).replacen("MIH", "MIG", 1);
    for broken in ["", "no PEM", &bench.authority.1, &half] {
        std::fs::write(bench.file("crl.pem"), broken).expect("written");
        let error = bench.load().expect_err("no policy");
        assert!(error.contains("policy.yaml:8:") && error.contains("crl.pem"), "{error}");
    }
    assert!(one.is_served().await && bench.login("one").await.is_served().await);
    assert!(!bench.connect(Some("two")).await.until("Asterisk").await, "it is still revoked");
}

#[tokio::test]
async fn an_older_list_is_not_taken_and_each_that_is_stands_in_the_record() {
    let (first, second) = ([1], [1, 2]);
    let mut bench = Bench::new(|authority| authority.numbered_list(0xff, &first, in_days(30))).await;
    let list = |number, serials: &[u64]| bench.authority.numbered_list(number, serials, in_days(30));
    let (old, new, empty) = (list(0xff, &first), list(0x100, &second), list(2, &[]));
    bench.reload(&new).await;
    for back in [&old, &empty] {
        std::fs::write(bench.file("crl.pem"), back).expect("written");
        let config = bench.load().expect("a policy");
        let error = bench.daemon.reload(&config).await.expect_err("an older list").to_string();
        assert!(error.contains("crl.pem: an older list") && error.contains("number 100, 2 entries"), "{error}");
        assert!(!bench.connect(Some("two")).await.until("Asterisk").await, "it is still revoked");
    }
    // The older one first, where a verifier looks first.
    bench.reload(&format!("{old}{new}")).await;
    assert!(!bench.connect(Some("two")).await.until("Asterisk").await, "the newest of the file counts");
    // A start knows of no list before.
    let directory = bench.directory;
    bench.daemon.stop().await;
    std::fs::write(directory.path().join("crl.pem"), &old).expect("written");
    let config = Config::load(&directory.path().join("policy.yaml")).expect("a policy");
    Daemon::start(&config).await.expect("it starts").stop().await;
    let records = records_in(&directory.path().join("audit"));
    let records: Vec<_> = records.iter().filter(|record| record["kind"] == "policy").collect();
    let crl = |index: usize| {
        let files = records[index]["files"].as_array().expect("files");
        files.iter().find(|file| file["key"] == "client_crl").expect("the list").clone()
    };
    assert_eq!(
        (crl(0)["lists"][0]["number"].as_str(), crl(1)["lists"][0]["number"].as_str()),
        (Some("ff"), Some("100"))
    );
    assert_eq!((&crl(0)["path"], &crl(1)["lists"][0]["entries"]), (&"crl.pem".into(), &2.into()));
    assert_eq!(records[1]["changes"][0], "changed client_crl of 127.0.0.1:0: 2 entries, was 1");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, old.as_bytes());
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((crl(3)["sha256"].as_str(), &crl(3)["lists"][0]["number"]), (Some(digest.as_str()), &"ff".into()));
    assert!(crl(0)["lists"][0]["next_update"].as_str().is_some_and(|date| date.len() == 20 && date.ends_with('Z')));
    let secret = records[0]["files"].as_array().and_then(|files| files.last()).expect("files");
    assert_eq!(secret, &serde_json::json!({ "path": "upstream.secret" }));
}
