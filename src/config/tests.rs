//! A policy file is written into a folder of its own, with the files that it names, and read.

mod cross;
mod dangers;
mod golden;
mod hostile;
mod secrets;
mod values;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;

/// A hash of `s3cret`.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$DGaIERxvigyAAOeRC7otaw$/3kYMf8y4WmspFYKJaAKxKlu2vwKHuXDY+Da0IGefis";

/// A folder with a policy and a secret.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        folder.write("pbx.secret", "pbx-secret\n");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        self.set_mode(name, 0o600);
        path
    }

    fn set_mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).expect("a mode");
    }

    fn load(&self, text: impl AsRef<[u8]>) -> Result<Config, Diagnostics> {
        Config::load(&self.write("policy.yaml", text))
    }
}

/// What is read of a policy without certificates.
fn load(text: &str) -> Result<Config, Diagnostics> {
    Folder::new().load(text)
}

/// `line:column message` of each problem, the folder left out.
fn short(diagnostics: &Diagnostics) -> Vec<String> {
    let line = |diagnostic: &Diagnostic| format!("{}:{} {}", diagnostic.line, diagnostic.column, diagnostic.message);
    diagnostics.iter().map(line).collect()
}

/// The only error of a text.
fn error(text: &str) -> String {
    let diagnostics = load(text).expect_err("an error");
    let errors: Vec<&Diagnostic> = diagnostics.iter().filter(|one| one.severity == Severity::Error).collect();
    assert_eq!(errors.len(), 1, "{diagnostics}");
    errors[0].message.clone()
}

/// The warnings of a text.
fn warnings(text: &str) -> Vec<String> {
    let config = load(text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    config.warnings.iter().map(|one| one.message.clone()).collect()
}

/// A valid policy.
fn minimal() -> String {
    format!(
        "version: 1\n\
         listeners:\n  - {{ address: \"127.0.0.1:5039\", plaintext: true }}\n\
         upstreams:\n  pbx: {{ address: 127.0.0.1:5038, username: amiwall, secret: {{ file: pbx.secret }} }}\n\
         audit: {{ directory: audit }}\n\
         networks:\n  office: [10.20.0.0/16]\n\
         roles:\n  wallboard: {{ allow: [Ping] }}\n\
         identities:\n  alice: {{ roles: [wallboard], secret: \"{HASH}\" }}\n"
    )
}

/// A valid policy in which something stands in place of something else.
fn with(old: &str, new: &str) -> String {
    let text = minimal();
    assert!(text.contains(old), "{old}");
    text.replacen(old, new, 1)
}

#[test]
fn reads_everything_that_it_knows() {
    let config = load(&minimal()).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].upstream, "pbx");
    assert_eq!(config.upstreams["pbx"].login.secret.expose(), b"pbx-secret");
    assert!(config.audit.directory.ends_with("audit"));
    assert!(config.digest.starts_with("sha256:") && config.digest.len() == 71);
}

#[test]
fn the_shipped_example_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/example.yaml");
    let checked = check(&path, Files::Skip).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert!(checked.warnings.is_empty(), "{}", checked.warnings);
    assert_eq!(checked.clients.len(), 3);
    // As it would be installed.
    let folder = Folder::new();
    crate::tls::issue(&folder.path("certs"), &crate::tls::IssueOptions::default()).expect("certificates");
    folder.write("certs/pbx.secret", "one");
    folder.write("certs/legacy-dialer.secret", "two");
    let text = std::fs::read_to_string(path).expect("the example");
    let text = text.replace("../certs", "certs").replace("{ env: AMIWALL_DIAL_SECRET }", "{ file: certs/pbx.secret }");
    let config = folder.load(text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    assert_eq!((config.limits.connections, config.failed_logins.count), (1_000, 5));
    assert_eq!(config.audit.except_events, ["RTCPSent", "RTCPReceived"]);
    assert!(config.identities.any_challenge());
}
