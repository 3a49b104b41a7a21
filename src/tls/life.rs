//! How long what is in a file of certificates is valid.

use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use super::{TlsError, read_pem};

/// One certificate or revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// `certificate` or `revocation list`.
    pub what: &'static str,
    /// Whose it is.
    pub subject: String,
    /// Its begin, in seconds since the epoch.
    pub not_before: i64,
    /// Its end, in seconds since the epoch; none, if it has none.
    pub not_after: Option<i64>,
}

/// What a PEM file holds that ends some day; nothing, where it holds something else (a key, a secret).
///
/// # Errors
/// If it cannot be read, or what looks like a certificate is none.
pub fn lives(path: &Path) -> Result<Vec<Life>, TlsError> {
    let pem = read_pem(path)?;
    let bad = |why: String| TlsError::Pem { path: path.to_owned(), why: format!("is not a certificate: {why}") };
    let mut lives = Vec::new();
    for der in CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok) {
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|error| bad(error.to_string()))?;
        lives.push(Life {
            what: "certificate",
            subject: certificate.subject().to_string(),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: Some(certificate.validity().not_after.timestamp()),
        });
    }
    for der in CertificateRevocationListDer::pem_slice_iter(&pem).filter_map(Result::ok) {
        let (_, list) = CertificateRevocationList::from_der(&der).map_err(|error| bad(error.to_string()))?;
        lives.push(Life {
            what: "revocation list",
            subject: list.issuer().to_string(),
            not_before: list.last_update().timestamp(),
            not_after: list.next_update().map(|end| end.timestamp()),
        });
    }
    Ok(lives)
}
