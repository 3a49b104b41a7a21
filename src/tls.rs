//! TLS towards clients: server configurations without resumption, and what a client's certificate says.

use std::path::Path;
use std::sync::Arc;

/// What identities may be bound to in a client's certificate. The chain was verified by the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// DNS, URI and e-mail names of the subject alternative name, exactly as they stand there.
    pub names: Vec<String>,
    /// SHA-256 of the subject public key info, lower-case hex.
    pub spki_sha256: String,
    /// The end of its validity, seconds since the epoch.
    pub not_after: i64,
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
    /// Whether a client certificate is demanded.
    pub client_certificate_required: bool,
    /// Whether TLS 1.2 is refused.
    pub tls13_only: bool,
}

/// Why a TLS configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// placeholder
    #[error("{0}")]
    Files(String),
}

/// Loads a listener's TLS configuration.
///
/// # Errors
/// If a file cannot be read, is not what it should be, or certificate and key do not belong together.
pub fn server_config(_files: &ServerTlsFiles<'_>) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    todo!()
}

impl PeerCertificate {
    /// Reads a certificate that the handshake has verified.
    ///
    /// # Errors
    /// If it cannot be parsed.
    pub fn from_der(_der: &[u8]) -> Result<Self, TlsError> {
        todo!()
    }
}
