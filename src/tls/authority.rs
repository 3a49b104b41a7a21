//! [`Authority`]: the one that `amiwall certs` made, and what it has signed.

use std::path::Path;

use rcgen::{Issuer, KeyPair};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use super::issue::{kept_authority, no_authority};
use super::{TlsError, certificates, provider};

/// Who issues, its name, and its public key.
pub(super) struct Authority {
    pub(super) issuer: Issuer<'static, KeyPair>,
    name: Vec<u8>,
    key: Vec<u8>,
}

impl Authority {
    /// The one in a folder.
    pub(super) fn of(folder: &Path) -> Result<Self, TlsError> {
        let Some(issuer) = kept_authority(folder)? else { return Err(no_authority(folder)) };
        let authority = certificates(&folder.join("ca.crt"))?;
        let ca = authority.first().and_then(|authority| X509Certificate::from_der(authority).ok());
        let (name, key) = ca
            .map(|(_, ca)| (ca.subject().as_raw().to_vec(), ca.public_key().subject_public_key.data.to_vec()))
            .unwrap_or_default();
        Ok(Self { issuer, name, key })
    }

    pub(super) fn has_issued(&self, certificate: &X509Certificate<'_>) -> bool {
        let (message, signature) = (certificate.tbs_certificate.as_ref(), &certificate.signature_value.data);
        certificate.issuer().as_raw() == self.name && self.has_signed(message, signature)
    }

    pub(super) fn has_issued_list(&self, list: &CertificateRevocationList<'_>) -> bool {
        let (message, signature) = (list.tbs_cert_list.as_ref(), &list.signature_value.data);
        list.issuer().as_raw() == self.name && self.has_signed(message, signature)
    }

    /// The name alone tells nothing: all authorities that amiwall makes have the same.
    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithms = provider().signature_verification_algorithms;
        algorithms.all.iter().any(|one| one.verify_signature(&self.key, message, signature).is_ok())
    }
}
