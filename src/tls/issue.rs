//! Making certificates: an authority, a server certificate and a client certificate, for a start and for tests. An
//! organisation's own authority does as well.
//!
//! An authority that is there is used and never replaced: whoever trusts it goes on doing so when certificates are renewed.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use rustls::pki_types::{IpAddr, ServerName};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{TlsError, certificates, check_validity};

const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
/// What browsers and operating systems accept at the most.
pub(super) const LEAF_LIFE: Duration = Duration::from_secs(825 * 24 * 3_600);
/// Clocks differ.
const BACKDATED: Duration = Duration::from_secs(3_600);

/// What to issue.
#[derive(Clone, Debug)]
pub struct IssueOptions {
    /// Names and addresses of the server.
    pub server_names: Vec<String>,
    /// The DNS name in the client certificate, to be used as `certificate: { san: … }`.
    pub client_name: String,
    /// Whether server and client certificates that are there are replaced.
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
    /// Whether the authority was there before.
    pub authority_kept: bool,
}

/// A file to be: its name, its text, its mode.
type File = (&'static str, String, u32);

/// Writes `ca`, `server` and `client`, each as `.crt` and `.key`, into a folder; keys can be read by their owner only.
///
/// # Errors
/// If a certificate is there already, a name is none, the authority that is there cannot be used, or writing fails.
pub fn issue(folder: &Path, options: &IssueOptions) -> Result<Issued, TlsError> {
    let failed = |error: rcgen::Error| TlsError::Issue(error.to_string());
    let leaves = ["server.crt", "server.key", "client.crt", "client.key"].map(|name| folder.join(name));
    if let Some(path) = leaves.iter().find(|path| path.exists() && !options.replace) {
        return Err(TlsError::Exists(path.clone()));
    }
    for name in options.server_names.iter().chain([&options.client_name]) {
        check_name(name)?;
    }
    let (issuer, mut files) = match kept_authority(folder)? {
        Some(issuer) => (issuer, Vec::new()),
        None => new_authority().map_err(failed)?,
    };
    let authority_kept = files.is_empty();
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
    files.extend([
        ("server.crt", server.0, 0o644),
        ("server.key", server.1, 0o600),
        ("client.crt", client.0, 0o644),
        ("client.key", client.1, 0o600),
    ]);
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
    made.map_err(|source| TlsError::Write { path: folder.to_owned(), source })?;
    for (name, text, mode) in &files {
        let path = folder.join(name);
        write(folder, &path, (text, *mode), options.replace).map_err(|source| TlsError::Write { path, source })?;
    }
    Ok(Issued { files: files.iter().map(|(name, ..)| folder.join(name)).collect(), authority_kept })
}

/// A file is whole or not there, and never in anybody's reach that it is not meant for.
pub(super) fn write(folder: &Path, path: &Path, (text, mode): (&str, u32), replace: bool) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    let moved = if replace { file.persist(path) } else { file.persist_noclobber(path) };
    moved.map(drop).map_err(|error| error.error)
}

/// Certificates without wildcards: amiwall reads none either.
fn check_name(name: &str) -> Result<(), TlsError> {
    match ServerName::try_from(name) {
        Ok(ServerName::DnsName(_) | ServerName::IpAddress(IpAddr::V4(_) | IpAddr::V6(_))) => Ok(()),
        Ok(_) | Err(_) => Err(TlsError::Issue(format!("`{name}` is neither a host name nor an address"))),
    }
}

fn new_authority() -> Result<(Issuer<'static, KeyPair>, Vec<File>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let params = authority();
    let certificate = params.self_signed(&key)?;
    let files = vec![("ca.crt", certificate.pem(), 0o644), ("ca.key", key.serialize_pem(), 0o600)];
    Ok((Issuer::new(params, key), files))
}

/// The authority in the folder, if there is one: made here, and with its key.
pub(super) fn kept_authority(folder: &Path) -> Result<Option<Issuer<'static, KeyPair>>, TlsError> {
    let (path, key_path) = (folder.join("ca.crt"), folder.join("ca.key"));
    if !path.exists() && !key_path.exists() {
        return Ok(None);
    }
    let cannot = |why: &str| TlsError::Kept { path: path.clone(), why: why.to_owned() };
    if !path.exists() || !key_path.exists() {
        return Err(cannot("of `ca.crt` and `ca.key` only one is there"));
    }
    let chain = certificates(&path)?;
    check_validity(&path, &chain)?;
    let text = std::fs::read_to_string(&key_path);
    let text =
        text.map(zeroize::Zeroizing::new).map_err(|error| cannot(&format!("`ca.key` cannot be read: {error}")))?;
    let key = KeyPair::from_pem(&text).map_err(|error| cannot(&format!("`ca.key` is not a private key: {error}")))?;
    let params = authority();
    let again = params.self_signed(&key).map_err(|error| cannot(&error.to_string()))?;
    let parse = |der| X509Certificate::from_der(der).map_err(|error| cannot(&error.to_string()));
    let [old] = chain.as_slice() else { return Err(cannot("it holds more than one certificate")) };
    let ((_, old), (_, again)) = (parse(old)?, parse(again.der())?);
    if old.subject().as_raw() != again.subject().as_raw() {
        return Err(cannot("it was not made by `amiwall certs`; let your authority sign the certificates"));
    }
    if old.public_key().raw != key.subject_public_key_info() {
        return Err(cannot("`ca.key` is not its key"));
    }
    Ok(Some(Issuer::new(params, key)))
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
