//! TLS towards clients and Asterisk: configurations without resumption (a resumed session is not verified again), and what
//! a client's certificate says.

mod authority;
mod clients;
mod issue;
mod life;
mod renew;
mod revoke;
mod trust;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use clients::Verifiers;
pub use clients::{ClientCertificates, refusal_of};
pub use issue::{IssueOptions, Issued, issue, issue_client, names_in};
pub use life::{Life, lives};
pub use renew::{Renewed, renew};
pub use revoke::{Revoked, RevokedCertificate, revoke};
pub use trust::{RevocationList, TrustFile};

/// What identities may be bound to in a client's certificate. The chain was verified by the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// DNS, URI and e-mail names of the subject alternative name, exactly as they stand there. A name that does not look as
    /// its kind does is left out, and so is a wildcard: a DNS name never passes for a URI or an e-mail address.
    pub names: Vec<String>,
    /// Its serial number in lower-case hex, without zeros in front, at most 40 digits.
    pub serial: String,
    /// SHA-256 of the subject public key info, lower-case hex.
    pub spki_sha256: String,
    /// The end of its validity, seconds since the epoch.
    pub not_after: i64,
    /// It and those between it and the authority, as they were shown: to be verified again when the policy changes.
    pub chain: Vec<CertificateDer<'static>>,
}

/// How a listener speaks TLS.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// For the handshake.
    pub config: Arc<ServerConfig>,
    /// What it asks of client certificates, if it asks for any.
    pub clients: Option<ClientCertificates>,
    /// What is worth a look.
    pub warnings: Vec<String>,
    /// The files that it was made of, but for the key.
    pub files: Vec<TrustFile>,
}

/// How amiwall speaks TLS to a server.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// For the handshake.
    pub config: Arc<ClientConfig>,
    /// The files that it was made of, but for the key.
    pub files: Vec<TrustFile>,
}

/// The files and choices of one TLS listener.
#[derive(Clone, Debug)]
pub struct ServerTlsFiles<'a> {
    /// PEM chain.
    pub certificate: &'a Path,
    /// PEM key.
    pub key: &'a Path,
    /// PEM bundle of authorities whose client certificates are accepted.
    pub client_ca: Option<&'a Path>,
    /// PEM bundle of revocation lists of those authorities. Needs `client_ca`.
    pub client_crl: Option<&'a Path>,
    /// Whether a client certificate is demanded.
    pub client_certificate_required: bool,
    /// Whether TLS 1.2 is refused.
    pub tls13_only: bool,
}

/// Why a TLS configuration cannot be made. Each says which file, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The authority cannot be used.
    #[error("{path}: cannot be used as an authority for client certificates: {why}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The peer's certificate cannot be parsed.
    #[error("the certificate cannot be parsed: {0}")]
    Certificate(String),
    /// A file that is to be written is there already.
    #[error(
        "{0} is there already; choose another folder, give --force to replace it, or --client NAME for one more client"
    )]
    Exists(PathBuf),
    /// The certificate is not valid now.
    #[error("{path}: the certificate {why}; issue a new one (`amiwall certs`)")]
    Expired {
        /// The file.
        path: PathBuf,
        /// `expired on …`, `is not valid before …`.
        why: String,
    },
    /// A client's configuration cannot be made.
    #[error("cannot be a TLS client: {0}")]
    Client(String),
    /// The authority that is there cannot be used again.
    #[error("{path} is there and cannot be used: {why}")]
    Kept {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Making a certificate failed.
    #[error("cannot make a certificate: {0}")]
    Issue(String),
    /// Certificate and key are not a pair, or not usable.
    #[error("{certificate} and {key} cannot be used together: {why}")]
    Pair {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file cannot be read as PEM.
    #[error("{path}: {why}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl TlsError {
    /// The file that something is wrong with, where it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Authority { path, .. } | Self::Expired { path, .. } | Self::Kept { path, .. } => Some(path),
            Self::Pem { path, .. } => Some(path),
            Self::Exists(path) => Some(path),
            Self::Pair { key, .. } => Some(key),
            Self::Certificate(_) | Self::Client(_) | Self::Issue(_) | Self::Write { .. } => None,
        }
    }
}

const PRIVATE_KEY: &str = "private key";
/// The largest certificate or key file that is read: a bundle of all public authorities is a fifth of it.
const FILE_LEN_MAX: u64 = 1_024 * 1_024;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Loads a listener's TLS configuration: no tickets, no session storage, no early data.
///
/// # Errors
/// If a file cannot be read, is not what it should be, is not valid now, or certificate and key do not belong together.
pub fn server_tls(files: &ServerTlsFiles<'_>) -> Result<ServerTls, TlsError> {
    let pem = read_pem(files.certificate)?;
    let chain = certificates_in(files.certificate, &pem)?;
    let mut read = vec![TrustFile::new("certificate", files.certificate, &pem).of_certificates(&chain)];
    check_validity(files.certificate, &chain)?;
    let key = private_key(files.key)?;
    let pair = |error: rustls::Error| TlsError::Pair {
        certificate: files.certificate.to_owned(),
        key: files.key.to_owned(),
        why: if matches!(error, rustls::Error::InconsistentKeys(_)) {
            "the key is not the one of the certificate".to_owned()
        } else {
            error.to_string()
        },
    };
    let versions: &[&rustls::SupportedProtocolVersion] =
        if files.tls13_only { &[&rustls::version::TLS13] } else { &[&rustls::version::TLS13, &rustls::version::TLS12] };
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions).map_err(pair)?;
    let (builder, clients, warnings) = match files.client_ca {
        None => (builder.with_no_client_auth(), None, Vec::new()),
        Some(path) => {
            let Verifiers { handshake, clients, warnings, files } = clients::verifiers(path, files)?;
            read.extend(files);
            (builder.with_client_cert_verifier(handshake), Some(clients), warnings)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(ServerTls { config: Arc::new(config), clients, warnings, files: read })
}

/// How amiwall speaks TLS to a server: trusts `ca`, shows `identity` (certificate and key).
///
/// # Errors
/// As [`server_tls`].
pub fn client_tls(ca: &Path, identity: Option<(&Path, &Path)>) -> Result<ClientTls, TlsError> {
    let mut files = vec![TrustFile::new("ca", ca, &read_pem(ca)?)];
    if let Some((certificate, _)) = identity {
        let pem = read_pem(certificate)?;
        check_validity(certificate, &certificates_in(certificate, &pem)?)?;
        files.push(TrustFile::new("certificate", certificate, &pem));
    }
    Ok(ClientTls { config: client_config(ca, identity)?, files })
}

/// A client's TLS configuration, without resumption: a resumed session's server is not verified again.
///
/// # Errors
/// As [`server_tls`].
pub fn client_config(ca: &Path, identity: Option<(&Path, &Path)>) -> Result<Arc<ClientConfig>, TlsError> {
    let pair = |error: rustls::Error| TlsError::Client(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_root_certificates(roots(ca, certificates(ca)?)?);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            builder.with_client_auth_cert(certificates(certificate)?, private_key(key)?).map_err(pair)?
        }
    };
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the errors of another crate may grow")]
fn pem_error(path: &Path, what: &str, error: &rustls::pki_types::pem::Error) -> TlsError {
    use rustls::pki_types::pem::Error::NoItemsFound;
    let why = match error {
        NoItemsFound if what == PRIVATE_KEY => {
            format!("holds no {what} in PEM form (an encrypted one is of no use here)")
        }
        NoItemsFound => format!("holds no {what} in PEM form"),
        other => format!("is not a {what} in PEM form: {other}"),
    };
    TlsError::Pem { path: path.to_owned(), why }
}

/// Reads a file of limited size, which may hold a key. What is no regular file is not even opened: a FIFO would wait for
/// its writer, and a device has no end.
fn read_pem(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let unusable = |why: String| TlsError::Pem { path: path.to_owned(), why };
    let unreadable = |error: std::io::Error| unusable(format!("cannot be read: {error}"));
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unusable("is no regular file".to_owned()));
    }
    // Reading does not move the key about in memory, unless the file grows meanwhile.
    let capacity = usize::try_from(metadata.len().min(FILE_LEN_MAX)).unwrap_or_default() + 1;
    let mut pem = Zeroizing::new(Vec::with_capacity(capacity));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_LEN_MAX + 1).read_to_end(&mut pem).map_err(unreadable)?;
    if u64::try_from(pem.len()).unwrap_or(u64::MAX) > FILE_LEN_MAX {
        return Err(unusable(format!("is larger than {FILE_LEN_MAX} bytes")));
    }
    Ok(pem)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates_in(path, &read_pem(path)?)
}

/// What of one kind, at least one, is in what was read of a file.
fn pem_items<T: PemObject>(path: &Path, kind: &'static str, pem: &[u8]) -> Result<Vec<T>, TlsError> {
    let failed = |error| pem_error(path, kind, &error);
    let items: Result<Vec<_>, _> = T::pem_slice_iter(pem).collect();
    let items = items.map_err(failed)?;
    if items.is_empty() {
        return Err(failed(rustls::pki_types::pem::Error::NoItemsFound));
    }
    Ok(items)
}

/// The certificates in what was read of a file.
fn certificates_in(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    pem_items(path, "certificate", pem)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read_pem(path)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| pem_error(path, PRIVATE_KEY, &error))
}

fn roots(path: &Path, certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let failed = |error: rustls::Error| TlsError::Authority { path: path.to_owned(), why: error.to_string() };
        roots.add(certificate).map_err(failed)?;
    }
    Ok(roots)
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(now).unwrap_or(i64::MAX)
}

fn check_validity(path: &Path, chain: &[CertificateDer<'_>]) -> Result<(), TlsError> {
    let Some(leaf) = chain.first() else { return Ok(()) };
    let (_, leaf) = X509Certificate::from_der(leaf)
        .map_err(|error| TlsError::Pem { path: path.to_owned(), why: format!("is not a certificate: {error}") })?;
    let now = now();
    let validity = leaf.validity();
    let why = if now > validity.not_after.timestamp() {
        format!("expired on {}", validity.not_after)
    } else if now < validity.not_before.timestamp() {
        format!("is not valid before {}", validity.not_before)
    } else {
        return Ok(());
    };
    Err(TlsError::Expired { path: path.to_owned(), why })
}

impl PeerCertificate {
    /// Reads the certificate, the first of a chain, that the handshake has verified.
    ///
    /// # Errors
    /// If it cannot be parsed.
    pub fn from_chain(chain: &[CertificateDer<'static>]) -> Result<Self, TlsError> {
        let failed = |error: String| TlsError::Certificate(error);
        let der = chain.first().ok_or_else(|| failed("there is none".to_owned()))?;
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| failed(error.to_string()))?;
        let names = certificate.subject_alternative_name().map_err(|error| failed(error.to_string()))?;
        let names =
            names.map(|names| names.value.general_names.iter().filter_map(name_of).collect()).unwrap_or_default();
        let spki_sha256 = trust::sha256(certificate.public_key().raw);
        let serial = trust::number(certificate.raw_serial());
        Ok(Self {
            names,
            serial,
            spki_sha256,
            not_after: certificate.validity().not_after.timestamp(),
            chain: chain.to_vec(),
        })
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the kinds of names of another crate may grow; only these count")]
fn name_of(name: &GeneralName<'_>) -> Option<String> {
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let (name, is_kind) = match name {
        GeneralName::DNSName(name) => (name, name.bytes().all(is_host)),
        GeneralName::RFC822Name(name) => (name, name.contains('@') && !name.contains(':')),
        GeneralName::URI(name) => (name, name.contains(':')),
        _ => return None,
    };
    (is_kind && !name.is_empty()).then(|| (*name).to_owned())
}

#[cfg(test)]
mod tests;
