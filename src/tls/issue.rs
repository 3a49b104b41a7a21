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
use x509_parser::extensions::GeneralName;
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
type File = (String, String, u32);

/// Writes `ca`, `server` and `client`, each as `.crt` and `.key`, into a folder; keys can be read by their owner only. With
/// an authority that is there, a client certificate is renewed if it is there, and none is made that nobody asked for.
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
    let common_name = options.server_names.first().map_or("amiwall", String::as_str);
    let server = (options.server_names.clone(), common_name, ExtendedKeyUsagePurpose::ServerAuth);
    files.extend(leaf(&issuer, "server", server).map_err(failed)?);
    if !authority_kept || folder.join("client.crt").exists() {
        files.extend(client(&issuer, "client", &options.client_name).map_err(failed)?);
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
    made.map_err(|source| TlsError::Write { path: folder.to_owned(), source })?;
    write_all(folder, &files, options.replace).map(|files| Issued { files, authority_kept })
}

/// Writes a certificate for one more client, `client-NAME.crt` and `client-NAME.key`, and nothing else, into the folder of
/// an authority. `replace` says whether it may be there.
///
/// # Errors
/// If there is no authority, or as [`issue`].
pub fn issue_client(folder: &Path, name: &str, replace: bool) -> Result<Issued, TlsError> {
    check_name(name)?;
    let Some(issuer) = kept_authority(folder)? else { return Err(no_authority(folder)) };
    let files = client(&issuer, &format!("client-{name}"), name);
    let files = files.map_err(|error: rcgen::Error| TlsError::Issue(error.to_string()))?;
    if let Some(path) = files.iter().map(|(name, ..)| folder.join(name)).find(|path| path.exists() && !replace) {
        return Err(TlsError::Exists(path));
    }
    write_all(folder, &files, replace).map(|files| Issued { files, authority_kept: true })
}

/// The names and addresses that a certificate is for.
///
/// # Errors
/// If it cannot be read.
pub fn names_in(path: &Path) -> Result<Vec<String>, TlsError> {
    let unusable = |why: String| TlsError::Pem { path: path.to_owned(), why };
    let chain = certificates(path)?;
    let leaf = chain.first().ok_or_else(|| unusable("holds no certificate".to_owned()))?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| unusable(error.to_string()))?;
    let names = leaf.subject_alternative_name().map_err(|error| unusable(error.to_string()))?;
    let names = names.map(|names| names.value.general_names.iter().filter_map(server_name).collect());
    Ok(names.unwrap_or_default())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a certificate of amiwall's has no other kinds of names")]
fn server_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(v4), _) => Some(std::net::Ipv4Addr::from(v4).to_string()),
            (_, Ok(v6)) => Some(std::net::Ipv6Addr::from(v6).to_string()),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn no_authority(folder: &Path) -> TlsError {
    TlsError::Issue(format!("there is no authority (ca.crt, ca.key) in {}", folder.display()))
}

fn client(issuer: &Issuer<'_, KeyPair>, file: &str, name: &str) -> Result<[File; 2], rcgen::Error> {
    leaf(issuer, file, (vec![name.to_owned()], name, ExtendedKeyUsagePurpose::ClientAuth))
}

pub(super) fn leaf(
    issuer: &Issuer<'_, KeyPair>,
    file: &str,
    (names, common_name, purpose): (Vec<String>, &str, ExtendedKeyUsagePurpose),
) -> Result<[File; 2], rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = leaf_params(names, common_name, purpose)?.signed_by(&key, issuer)?;
    Ok([(format!("{file}.crt"), certificate.pem(), 0o644), (format!("{file}.key"), key.serialize_pem(), 0o600)])
}

fn write_all(folder: &Path, files: &[File], replace: bool) -> Result<Vec<PathBuf>, TlsError> {
    let written = files.iter().map(|(name, text, mode)| {
        let path = folder.join(name);
        match write(folder, &path, (text, *mode), replace) {
            Ok(()) => Ok(path),
            Err(source) => Err(TlsError::Write { path, source }),
        }
    });
    written.collect()
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
    let files =
        vec![("ca.crt".to_owned(), certificate.pem(), 0o644), ("ca.key".to_owned(), key.serialize_pem(), 0o600)];
    Ok((Issuer::new(params, key), files))
}

/// The authority in the folder, if there is one: made here, and with its key.
pub(super) fn kept_authority(folder: &Path) -> Result<Option<Issuer<'static, KeyPair>>, TlsError> {
    let (path, key_path) = (folder.join("ca.crt"), folder.join("ca.key"));
    if !path.exists() && !key_path.exists() {
        return Ok(None);
    }
    let kept = |why: String| TlsError::Kept { path: path.clone(), why };
    if !path.exists() || !key_path.exists() {
        let why = "of `ca.crt` and `ca.key` only one is there; work in the folder where both are kept, with `crl.pem`";
        return Err(TlsError::Kept { path: folder.to_owned(), why: why.to_owned() });
    }
    let cannot = |why: &str| kept(format!("{why} (choose another folder, or move it and `ca.key` away)"));
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
