//! A revocation list of the authority that `amiwall certs` made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use super::issue::{LEAF_LIFE, kept_authority, write};
use super::{TlsError, certificates, now, pem_error, read_pem};

/// Writes `crl.pem` into the authority's folder: what was revoked before, and the certificates in these files. It is valid
/// as long as a certificate that was issued today.
///
/// # Errors
/// If there is no authority, it did not issue one of the certificates, or a file cannot be read or written.
pub fn revoke(folder: &Path, files: &[PathBuf]) -> Result<PathBuf, TlsError> {
    let failed = |error: rcgen::Error| TlsError::Issue(error.to_string());
    let Some(issuer) = kept_authority(folder)? else {
        return Err(TlsError::Issue(format!("there is no authority (ca.crt, ca.key) in {}", folder.display())));
    };
    let path = folder.join("crl.pem");
    let mut revoked = BTreeMap::new();
    if path.exists() {
        let der = CertificateRevocationListDer::from_pem_slice(&read_pem(&path)?)
            .map_err(|error| pem_error(&path, "revocation list", &error))?;
        let (_, list) = CertificateRevocationList::from_der(&der)
            .map_err(|error| TlsError::Pem { path: path.clone(), why: error.to_string() })?;
        for one in list.iter_revoked_certificates() {
            revoked.insert(one.raw_serial().to_vec(), one.revocation_date.to_datetime());
        }
    }
    let authority = certificates(&folder.join("ca.crt"))?;
    for file in files {
        let chain = certificates(file)?;
        let (Some(leaf), Some(authority)) = (chain.first(), authority.first()) else { continue };
        let (leaf, authority) = (parse(file, leaf)?, parse(&path, authority)?);
        if leaf.issuer().as_raw() != authority.subject().as_raw() {
            let why = format!("was not issued by the authority in {}", folder.display());
            return Err(TlsError::Pem { path: file.clone(), why });
        }
        revoked.entry(leaf.raw_serial().to_vec()).or_insert_with(|| SystemTime::now().into());
    }
    let revoked_certs = revoked.into_iter().map(|(serial, revocation_time)| RevokedCertParams {
        serial_number: SerialNumber::from(serial),
        revocation_time,
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: SystemTime::now().into(),
        next_update: (SystemTime::now() + LEAF_LIFE).into(),
        // Each is greater than the one before.
        crl_number: SerialNumber::from(u64::try_from(now()).unwrap_or_default()),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let pem = params.signed_by(&issuer).and_then(|list| list.pem()).map_err(failed)?;
    write(folder, &path, (&pem, 0o644), true).map_err(|source| TlsError::Write { path: path.clone(), source })?;
    Ok(path)
}

fn parse<'d>(path: &Path, der: &'d [u8]) -> Result<X509Certificate<'d>, TlsError> {
    let parsed = X509Certificate::from_der(der);
    parsed
        .map(|(_, certificate)| certificate)
        .map_err(|error| TlsError::Pem { path: path.to_owned(), why: error.to_string() })
}
