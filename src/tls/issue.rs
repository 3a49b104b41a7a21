//! Making certificates: an authority, a server certificate and a client certificate, for a start and for tests. An
//! organisation's own authority does as well.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use super::TlsError;

const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
/// What browsers and operating systems accept at the most.
const LEAF_LIFE: Duration = Duration::from_secs(825 * 24 * 3_600);
/// Clocks differ.
const BACKDATED: Duration = Duration::from_secs(3_600);

/// What to issue.
#[derive(Clone, Debug)]
pub struct IssueOptions {
    /// Names and addresses of the server.
    pub server_names: Vec<String>,
    /// The DNS name in the client certificate, to be used as `certificate: { san: … }`.
    pub client_name: String,
    /// Whether files that are there are replaced.
    pub replace: bool,
}

impl Default for IssueOptions {
    fn default() -> Self {
        let names = ["localhost", "127.0.0.1", "::1"];
        Self {
            server_names: names.map(str::to_owned).to_vec(),
            client_name: "client.example".to_owned(),
            replace: false,
        }
    }
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Issued {
    /// All files, certificates and keys.
    pub files: Vec<PathBuf>,
}

/// Writes `ca`, `server` and `client`, each as `.crt` and `.key`, into a folder; keys can be read by their owner only.
///
/// # Errors
/// If a file is there already or cannot be written, or a name is none.
pub fn issue(folder: &Path, options: &IssueOptions) -> Result<Issued, TlsError> {
    let failed = |error: rcgen::Error| TlsError::Issue(error.to_string());
    let ca_key = KeyPair::generate().map_err(failed)?;
    let ca_params = authority();
    let ca = ca_params.self_signed(&ca_key).map_err(failed)?;
    let ca_key_pem = ca_key.serialize_pem();
    let issuer = Issuer::new(ca_params, ca_key);
    let leaf = |names: Vec<String>, name: &str, purpose| {
        let key = KeyPair::generate()?;
        let certificate = leaf_params(names, name, purpose)?.signed_by(&key, &issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    };
    let common_name = options.server_names.first().map_or("amiwall", String::as_str).to_owned();
    let server =
        leaf(options.server_names.clone(), &common_name, ExtendedKeyUsagePurpose::ServerAuth).map_err(failed)?;
    let client = leaf(vec![options.client_name.clone()], &options.client_name, ExtendedKeyUsagePurpose::ClientAuth)
        .map_err(failed)?;
    let files = [
        ("ca.crt", ca.pem(), 0o644),
        ("ca.key", ca_key_pem, 0o600),
        ("server.crt", server.0, 0o644),
        ("server.key", server.1, 0o600),
        ("client.crt", client.0, 0o644),
        ("client.key", client.1, 0o600),
    ];
    let paths: Vec<PathBuf> = files.iter().map(|(name, ..)| folder.join(name)).collect();
    if let Some(path) = paths.iter().find(|path| path.exists() && !options.replace) {
        return Err(TlsError::Exists(path.clone()));
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
    made.map_err(|source| TlsError::Write { path: folder.to_owned(), source })?;
    for ((_, pem, mode), path) in files.iter().zip(&paths) {
        write(path, pem, *mode, options.replace).map_err(|source| TlsError::Write { path: path.clone(), source })?;
    }
    Ok(Issued { files: paths })
}

fn write(path: &Path, text: &str, mode: u32, replace: bool) -> std::io::Result<()> {
    if replace && path.exists() {
        std::fs::remove_file(path)?; // A new file gets the mode.
    }
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(text.as_bytes())
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "amiwall certificate authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_life(&mut params, AUTHORITY_LIFE);
    params
}

fn leaf_params(
    names: Vec<String>,
    common_name: &str,
    purpose: ExtendedKeyUsagePurpose,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    set_life(&mut params, LEAF_LIFE);
    Ok(params)
}

fn set_life(params: &mut CertificateParams, life: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + life).into();
}
