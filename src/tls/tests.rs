use std::path::PathBuf;

use rustls::HandshakeKind;
use rustls::pki_types::CertificateRevocationListDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use x509_parser::revocation_list::CertificateRevocationList;

use super::*;

struct Folder {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        let path = directory.path().join("certs");
        issue(&path, &IssueOptions::default()).expect("certificates");
        Self { path, _directory: directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn server(folder: &Folder, client_ca: Option<&Folder>, required: bool) -> Result<Arc<ServerConfig>, TlsError> {
    let ca = client_ca.map(|folder| folder.file("ca.crt"));
    server_tls(&ServerTlsFiles {
        certificate: &folder.file("server.crt"),
        key: &folder.file("server.key"),
        client_ca: ca.as_deref(),
        client_crl: None,
        client_certificate_required: required,
        tls13_only: false,
    })
    .map(|tls| tls.config)
}

fn client(trusts: &Folder, shows: Option<&Folder>) -> Arc<ClientConfig> {
    let files = shows.map(|folder| (folder.file("client.crt"), folder.file("client.key")));
    client_config(&trusts.file("ca.crt"), files.as_ref().map(|(c, k)| (c.as_path(), k.as_path()))).expect("a client")
}

/// Shakes hands over a pipe; what the server learned of the client, or that it failed.
async fn handshake(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
) -> Result<(Option<PeerCertificate>, HandshakeKind), String> {
    let (near, far) = tokio::io::duplex(64 * 1_024);
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    let served = async {
        let mut stream = TlsAcceptor::from(server).accept(near).await.map_err(|error| error.to_string())?;
        stream.write_all(b"hello").await.map_err(|error| error.to_string())?;
        stream.shutdown().await.map_err(|error| error.to_string())?;
        let chain = stream.get_ref().1.peer_certificates();
        Ok(chain.map(|chain| PeerCertificate::from_chain(chain).expect("a certificate")))
    };
    let connected = async {
        let mut stream = TlsConnector::from(client).connect(name, far).await.map_err(|error| error.to_string())?;
        let kind = stream.get_ref().1.handshake_kind().ok_or("no handshake")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.map_err(|error| error.to_string())?;
        (text == "hello").then_some(kind).ok_or_else(|| "nothing came".to_owned())
    };
    let (served, connected): (Result<_, String>, Result<_, String>) = tokio::join!(served, connected);
    Ok((served?, connected?))
}

#[tokio::test]
async fn a_session_is_never_resumed() {
    let folder = Folder::new();
    let (server, client) = (server(&folder, None, false).expect("a server"), client(&folder, None));
    for _ in 0..3 {
        let (certificate, kind) = handshake(server.clone(), client.clone()).await.expect("a handshake");
        assert_eq!((certificate, kind), (None, HandshakeKind::Full));
    }
}

#[tokio::test]
async fn both_versions_are_offered_unless_the_older_one_is_refused() {
    let folder = Folder::new();
    let mut old = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("a version")
        .with_root_certificates(
            roots(&folder.file("ca.crt"), certificates(&folder.file("ca.crt")).expect("certificates")).expect("roots"),
        )
        .with_no_client_auth();
    old.resumption = Resumption::in_memory_sessions(8);
    let old = Arc::new(old);
    let both = server(&folder, None, false).expect("a server");
    for _ in 0..2 {
        let (_, kind) = handshake(both.clone(), old.clone()).await.expect("TLS 1.2");
        assert_eq!(kind, HandshakeKind::Full);
    }
    let files = ServerTlsFiles {
        certificate: &folder.file("server.crt"),
        key: &folder.file("server.key"),
        client_ca: None,
        client_crl: None,
        client_certificate_required: false,
        tls13_only: true,
    };
    assert!(handshake(server_tls(&files).expect("a server").config, old).await.is_err());
}

#[tokio::test]
async fn client_certificates_are_verified() {
    let (folder, other) = (Folder::new(), Folder::new());
    let optional = server(&folder, Some(&folder), false).expect("a server");
    let required = server(&folder, Some(&folder), true).expect("a server");
    let (certificate, _) = handshake(required.clone(), client(&folder, Some(&folder))).await.expect("a handshake");
    let certificate = certificate.expect("a certificate");
    assert_eq!(certificate.names, ["client.example"]);
    assert_eq!(certificate.spki_sha256.len(), 64);
    assert!(handshake(optional.clone(), client(&folder, None)).await.is_ok_and(|(none, _)| none.is_none()));
    assert!(handshake(required.clone(), client(&folder, None)).await.is_err(), "none, where one is required");
    for config in [optional, required] {
        assert!(handshake(config, client(&folder, Some(&other))).await.is_err(), "of another authority");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let (folder, other) = (Folder::new(), Folder::new());
    let error = |certificate: &Path, key: &Path| {
        let files = ServerTlsFiles {
            certificate,
            key,
            client_ca: None,
            client_crl: None,
            client_certificate_required: false,
            tls13_only: false,
        };
        server_tls(&files).expect_err("refused").to_string()
    };
    let (certificate, key) = (folder.file("server.crt"), folder.file("server.key"));
    assert!(error(&certificate, &other.file("server.key")).contains("the key is not the one of the certificate"));
    assert!(error(&key, &key).contains("holds no certificate"));
    assert!(error(&certificate, &certificate).contains("private key"));
    assert!(error(Path::new("/dev/zero"), &key).contains("/dev/zero: is no regular file"));
    assert!(error(&folder.file("server.crt"), Path::new("/dev/zero")).contains("/dev/zero: is no regular file"));
    let large = folder.file("large.crt");
    std::fs::write(&large, "#".repeat(1_024 * 1_024 + 1)).expect("written");
    assert!(error(&large, &key).contains("is larger than 1048576 bytes"));
    assert!(error(&folder.file("nowhere.crt"), &key).contains("cannot be read"));
    assert!(
        issue(&folder.path, &IssueOptions::default()).expect_err("refused").to_string().contains("is there already")
    );
}

#[test]
fn keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    for name in ["ca.key", "server.key", "client.key"] {
        let mode = std::fs::metadata(folder.file(name)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn who_trusts_an_authority_goes_on_doing_so_when_certificates_are_renewed() {
    let folder = Folder::new();
    let (ca, before) = (folder.file("ca.crt"), client(&folder, Some(&folder)));
    let read = |name: &str| std::fs::read(folder.file(name)).expect("a file");
    let old = [read("ca.crt"), read("ca.key"), read("server.crt")];
    let renewed = issue(&folder.path, &IssueOptions { replace: true, ..IssueOptions::default() }).expect("renewed");
    assert!(renewed.authority_kept && !renewed.files.contains(&ca));
    assert!(old[0] == read("ca.crt") && old[1] == read("ca.key") && old[2] != read("server.crt"));
    let server = server(&folder, Some(&folder), true).expect("a server");
    assert!(handshake(server.clone(), before).await.is_ok(), "an old client and a new server");
    assert!(handshake(server, client(&folder, Some(&folder))).await.is_ok());
}

#[test]
fn an_authority_that_cannot_sign_is_not_replaced() {
    let (folder, other) = (Folder::new(), Folder::new());
    let again = || issue(&folder.path, &IssueOptions { replace: true, ..IssueOptions::default() });
    let error = || again().expect_err("refused").to_string();
    std::fs::copy(other.file("ca.key"), folder.file("ca.key")).expect("copied");
    assert!(error().contains("`ca.key` is not its key"));
    std::fs::copy(folder.file("server.crt"), folder.file("ca.crt")).expect("copied");
    assert!(error().contains("was not made by"));
    std::fs::remove_file(folder.file("ca.key")).expect("removed");
    assert!(error().contains("only one is there"));
    for name in ["*.example.net", "two words", ""] {
        let options = IssueOptions { server_names: vec![name.to_owned()], ..IssueOptions::default() };
        let nowhere = folder.path.join("nowhere");
        assert!(issue(&nowhere, &options).expect_err("refused").to_string().contains("neither a host name"));
        assert!(!nowhere.exists(), "{name}");
    }
}

#[test]
fn a_name_of_one_kind_never_passes_for_another() {
    use rcgen::{CertificateParams, KeyPair, SanType};
    let text = |text: &str| text.try_into().expect("a name");
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![
        SanType::DnsName(text("Host.example")),
        SanType::DnsName(text("spiffe://example/alice")),
        SanType::DnsName(text("alice@example.net")),
        SanType::DnsName(text("*.example.net")),
        SanType::Rfc822Name(text("Bob@example.net")),
        SanType::Rfc822Name(text("host.example")),
        SanType::URI(text("spiffe://example/Bob")),
        SanType::URI(text("other.example")),
        SanType::IpAddress("10.0.0.1".parse().expect("an address")),
    ];
    let certificate = params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
    let peer = PeerCertificate::from_chain(&[certificate.der().clone()]).expect("a certificate");
    assert_eq!(peer.names, ["Host.example", "Bob@example.net", "spiffe://example/Bob"]);
    assert!(PeerCertificate::from_chain(&[CertificateDer::from(b"no certificate".to_vec())]).is_err());
}

#[test]
fn a_certificate_that_is_not_valid_now_is_refused() {
    let folder = Folder::new();
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("parameters");
    std::fs::write(folder.file("server.key"), key.serialize_pem()).expect("written");
    for (from, until, expected) in [(2001, 2002, "expired on"), (3001, 3002, "is not valid before")] {
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(until, 1, 1));
        let pem = params.self_signed(&key).expect("a certificate").pem();
        std::fs::write(folder.file("server.crt"), pem).expect("written");
        let error = server(&folder, None, false).expect_err("refused").to_string();
        assert!(error.contains(expected) && error.contains("server.crt") && error.contains("amiwall certs"), "{error}");
    }
}

#[tokio::test]
async fn what_was_revoked_stays_revoked_in_the_next_list() {
    let (folder, other) = (Folder::new(), Folder::new());
    let server = |folder: &Folder| {
        let files = ServerTlsFiles {
            certificate: &folder.file("server.crt"),
            key: &folder.file("server.key"),
            client_ca: Some(&folder.file("ca.crt")),
            client_crl: Some(&folder.file("crl.pem")),
            client_certificate_required: true,
            tls13_only: false,
        };
        let tls = server_tls(&files).expect("a server");
        assert!(tls.warnings.is_empty(), "{:?}", tls.warnings);
        tls.config
    };
    revoke(&folder.path, &[]).expect("a first list");
    assert!(handshake(server(&folder), client(&folder, Some(&folder))).await.is_ok());
    // The certificate that is revoked is replaced then, and shown once more from a copy.
    let copy = Folder::new();
    for name in ["client.crt", "client.key"] {
        std::fs::copy(folder.file(name), copy.file(name)).expect("a copy");
    }
    revoke(&folder.path, &[folder.file("client.crt")]).expect("a list");
    revoke(&folder.path, &[]).expect("a new list");
    issue(&folder.path, &IssueOptions { replace: true, ..IssueOptions::default() }).expect("certificates");
    let refused = handshake(server(&folder), client(&folder, Some(&copy))).await.expect_err("refused");
    assert!(refused.contains("Revoked"), "{refused}");
    assert!(handshake(server(&folder), client(&folder, Some(&folder))).await.is_ok());
    let failure = |folder: &Path, files: &[PathBuf]| revoke(folder, files).expect_err("refused").to_string();
    assert!(failure(&folder.path, &[folder.file("client.key")]).contains("holds no certificate"));
    // All authorities that amiwall makes have one name: only the signature tells whose certificate and whose list it is.
    let another = Folder::new();
    let said = failure(&folder.path, &[another.file("client.crt")]);
    assert!(said.contains("was not issued by the authority in"), "{said}");
    std::fs::copy(folder.file("crl.pem"), another.file("crl.pem")).expect("a copy");
    let said = failure(&another.path, &[another.file("client.crt")]);
    assert!(said.contains("is not a list of the authority"), "{said}");
    assert!(failure(&other.path.join("none"), &[]).contains("there is no authority"));
}

#[tokio::test]
async fn one_more_client_leaves_the_rest_alone() {
    let folder = Folder::new();
    let read = |name: &str| std::fs::read(folder.file(name)).ok();
    let names = ["ca.crt", "ca.key", "server.crt", "server.key", "client.crt", "client.key"];
    let before = names.map(read);
    let issued = issue_client(&folder.path, "crm.example", false).expect("a certificate");
    assert_eq!(issued.files, [folder.file("client-crm.example.crt"), folder.file("client-crm.example.key")]);
    assert!(names.map(read) == before, "nothing else is written");
    let client = client_config(&folder.file("ca.crt"), Some((&issued.files[0], &issued.files[1]))).expect("a client");
    let server = server(&folder, Some(&folder), true).expect("a server");
    let (certificate, _) = handshake(server, client).await.expect("a handshake");
    assert_eq!(certificate.expect("a certificate").names, ["crm.example"]);
    let first = read("client-crm.example.crt");
    assert!(issue_client(&folder.path, "crm.example", false).expect_err("refused").to_string().contains("--force"));
    assert!(read("client-crm.example.crt") == first);
    issue_client(&folder.path, "crm.example", true).expect("renewed");
    assert!(read("client-crm.example.crt") != first && names.map(read) == before);
    for name in ["../client", "a/b", "*.example", ""] {
        assert!(issue_client(&folder.path, name, true).is_err(), "{name}");
    }
}

#[test]
fn an_authority_can_be_kept_alone() {
    let (folder, place) = (Folder::new(), tempfile::tempdir().expect("a folder"));
    let apart = place.path();
    assert!(issue_client(apart, "a.example", false).expect_err("none").to_string().contains("there is no authority"));
    std::fs::copy(folder.file("ca.crt"), apart.join("ca.crt")).expect("copied");
    let error = issue_client(apart, "a.example", false).expect_err("no key").to_string();
    assert!(error.contains("work in the folder where both are kept") && !error.contains("away"), "{error}");
    std::fs::copy(folder.file("ca.key"), apart.join("ca.key")).expect("copied");
    issue_client(apart, "a.example", false).expect("a certificate");
    let list = revoke(apart, &[apart.join("client-a.example.crt")]).expect("a list");
    assert_eq!((list.is_first, list.entries), (true, 1));
    // A server's certificate brings no client with it.
    issue(apart, &IssueOptions::default()).expect("a server");
    assert!(apart.join("server.crt").exists() && !apart.join("client.crt").exists());
}

#[test]
fn a_list_says_what_is_in_it_and_its_number_never_goes_back() {
    let folder = Folder::new();
    let crl = folder.file("crl.pem");
    let number = || {
        let pem = CertificateRevocationListDer::from_pem_file(&crl).expect("a list");
        let (_, list) = CertificateRevocationList::from_der(&pem).expect("a list");
        RevocationList::of(&list)
    };
    let client = [folder.file("client.crt")];
    let first = revoke(&folder.path, &client).expect("a list");
    let one = &first.certificates[0];
    assert_eq!(
        (first.is_first, first.entries, one.was_there, one.subject.as_str()),
        (true, 1, false, "CN=client.example")
    );
    let before = number();
    assert_eq!(before.entries, 1);
    // Several in one second, too.
    let again = revoke(&folder.path, &client).expect("a list");
    assert!(!again.is_first && again.entries == 1 && again.certificates[0].was_there);
    let after = number();
    assert!(before.is_older_than(&after) && !after.is_older_than(&before));
    let seconds = u64::from_str_radix(&before.number, 16).expect("a number");
    assert!(seconds.abs_diff(u64::try_from(now()).expect("after 1970")) < 3_600, "the time, if a list was lost");
    let peer = PeerCertificate::from_chain(&certificates(&client[0]).expect("a chain")).expect("a certificate");
    assert_eq!(peer.serial, one.serial);
    assert!(trust::number(&[0x7f; 30]).len() == 40 && trust::number(&[0, 0]) == "0" && trust::number(&[0, 10]) == "a");
}

#[test]
fn a_certificate_says_which_names_it_is_for() {
    let folder = Folder::new();
    assert_eq!(names_in(&folder.file("server.crt")).expect("names"), ["localhost", "127.0.0.1", "::1"]);
    assert_eq!(names_in(&folder.file("client.crt")).expect("names"), ["client.example"]);
    assert!(names_in(&folder.file("server.key")).expect_err("none").to_string().contains("holds no certificate"));
}

/// When the certificate in a file ends.
fn end_of(path: &Path) -> i64 {
    let chain = certificates(path).expect("a certificate");
    X509Certificate::from_der(&chain[0]).expect("it is read").1.validity().not_after.timestamp()
}

#[test]
fn a_certificate_is_renewed_when_a_third_of_its_life_is_left_or_when_it_must_be() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    issue_client(&folder.path, "one.example", false).expect("a client");
    let read = |name: &str| std::fs::read_to_string(folder.file(name)).expect("a file");
    let before = ["server.crt", "server.key", "client.crt", "client-one.example.key", "ca.crt", "ca.key"].map(read);
    let fresh = renew(&folder.path, true, false).expect("it is looked at");
    let stems: Vec<_> = fresh.iter().map(|one| (one.certificate.clone(), one.new_end)).collect();
    let paths = ["server.crt", "client.crt", "client-one.example.crt"].map(|name| (folder.file(name), None));
    assert_eq!(stems, paths, "they are new");
    assert_eq!(read("server.crt"), before[0]);

    // It has a day left of a hundred.
    let old_end = now() + 86_400;
    let issuer = issue::kept_authority(&folder.path).expect("an authority").expect("an authority");
    let names = ["short.example", "192.0.2.7"].map(str::to_owned).to_vec();
    let mut params = rcgen::CertificateParams::new(names).expect("names");
    params.not_before = (SystemTime::now() - std::time::Duration::from_secs(99 * 86_400)).into();
    params.not_after = (UNIX_EPOCH + std::time::Duration::from_secs(u64::try_from(old_end).expect("a time"))).into();
    let key = rcgen::KeyPair::generate().expect("a key");
    let short = params.signed_by(&key, &issuer).expect("signed");
    std::fs::write(folder.file("server.crt"), short.pem()).expect("written");
    std::fs::write(folder.file("server.key"), key.serialize_pem()).expect("written");
    let set_mode =
        |name: &str, mode| std::fs::set_permissions(folder.file(name), std::fs::Permissions::from_mode(mode));
    set_mode("server.key", 0o640).expect("a mode");
    let renewed = renew(&folder.path, false, false).expect("it is renewed");
    let [one] = renewed.as_slice() else { panic!("{renewed:?}") };
    assert_eq!((one.old_end, one.new_end), (old_end, Some(end_of(&folder.file("server.crt")))));
    assert_eq!(one.names, ["short.example", "192.0.2.7"]);
    assert_eq!(names_in(&folder.file("server.crt")).expect("names"), one.names);
    assert!(one.new_end > Some(now() + 800 * 86_400), "{one:?}");
    let mode = |name: &str| std::fs::metadata(folder.file(name)).expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode("server.key"), mode("server.crt")), (0o640, 0o644), "they keep their modes");
    server(&folder, None, false).expect("certificate and key are a pair");
    assert_eq!((read("client.crt"), read("ca.key")), (before[2].clone(), before[5].clone()), "nothing else is touched");

    let key = read("client-one.example.key");
    let forced = renew(&folder.path, true, true).expect("all of them");
    assert!(forced.len() == 3 && forced.iter().all(|one| one.new_end.is_some()), "{forced:?}");
    assert_ne!(read("client-one.example.key"), key, "with another key");
    let left: Vec<_> =
        std::fs::read_dir(&folder.path).expect("a folder").map(|e| e.expect("an entry").file_name()).collect();
    assert_eq!(left.len(), 8, "nothing is left over: {left:?}");
}

#[test]
fn a_key_that_is_renewed_is_never_wider_than_for_its_owner_and_group() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, elsewhere) = (Folder::new(), tempfile::tempdir().expect("a folder"));
    let mode = |path: &Path| std::fs::symlink_metadata(path).expect("a file").permissions().mode() & 0o777;
    let set_mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
    let key = folder.file("server.key");
    set_mode(&key, 0o666).expect("a mode");
    renew(&folder.path, false, true).expect("it is renewed");
    assert_eq!(mode(&key), 0o640);
    // A link to a file that everybody reads: it is the link that is replaced.
    let target = elsewhere.path().join("server.key");
    std::fs::rename(&key, &target).expect("it is moved");
    set_mode(&target, 0o644).expect("a mode");
    std::os::unix::fs::symlink(&target, &key).expect("a link");
    renew(&folder.path, false, true).expect("it is renewed");
    assert!(std::fs::symlink_metadata(&key).expect("a file").is_file());
    assert_eq!((mode(&key), mode(&target)), (0o600, 0o644));
}

#[test]
fn what_the_authority_has_not_issued_is_not_renewed() {
    let (one, other) = (Folder::new(), tempfile::tempdir().expect("a folder"));
    let error = renew(other.path(), false, true).expect_err("there is no authority").to_string();
    assert!(error.contains("there is no authority"), "{error}");
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.distinguished_name.push(rcgen::DnType::CommonName, "somebody else");
    std::fs::write(one.file("server.crt"), params.self_signed(&key).expect("signed").pem()).expect("written");
    let error = renew(&one.path, false, true).expect_err("it is another's").to_string();
    assert!(error.contains("was not issued by the authority in this folder"), "{error}");
    // Another one that amiwall has made, too: it has the same name.
    std::fs::copy(Folder::new().file("server.crt"), one.file("server.crt")).expect("copied");
    let error = renew(&one.path, false, true).expect_err("it is another's").to_string();
    assert!(error.contains("was not issued by the authority in this folder"), "{error}");
}
