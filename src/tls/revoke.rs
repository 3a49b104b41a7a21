//! A revocation list of the authority that `amiwall certs` made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

use super::authority::Authority;
use super::issue::{LEAF_LIFE, write};
use super::{TlsError, certificates, now, pem_error, read_pem, trust};

/// A list that was written.
#[derive(Clone, Debug)]
pub struct Revoked {
    /// Its file.
    pub path: PathBuf,
    /// Whether there was none before.
    pub is_first: bool,
    /// How many certificates it names.
    pub entries: usize,
    /// Those that were asked for.
    pub certificates: Vec<RevokedCertificate>,
}

/// A certificate that was to be revoked.
#[derive(Clone, Debug)]
pub struct RevokedCertificate {
    /// Its serial number, lower-case hex.
    pub serial: String,
    /// Whose it is.
    pub subject: String,
    /// Whether the list named it before.
    pub was_there: bool,
}

/// Writes `crl.pem` into the authority's folder: what was revoked before, and the certificates in these files. It is valid
/// as long as a certificate that was issued today.
///
/// # Errors
/// If there is no authority, it did not issue one of the certificates, or a file cannot be read or written.
pub fn revoke(folder: &Path, files: &[PathBuf]) -> Result<Revoked, TlsError> {
    let authority = Authority::of(folder)?;
    let path = folder.join("crl.pem");
    let is_first = !path.exists();
    let (mut revoked, number) = if is_first { (BTreeMap::new(), 0) } else { before(&path, &authority)? };
    let mut certificates_now = Vec::new();
    for file in files {
        let chain = certificates(file)?;
        let Some(leaf) = chain.first() else { continue };
        let leaf = parse(file, leaf)?;
        if !authority.has_issued(&leaf) {
            let why = format!("was not issued by the authority in {}", folder.display());
            return Err(TlsError::Pem { path: file.clone(), why });
        }
        let was_there = revoked.contains_key(leaf.raw_serial());
        let (serial, subject) = (trust::number(leaf.raw_serial()), leaf.subject().to_string());
        certificates_now.push(RevokedCertificate { serial, subject, was_there });
        revoked.entry(leaf.raw_serial().to_vec()).or_insert_with(ASN1Time::now);
    }
    let entries = revoked.len();
    let revoked_certs = revoked.into_iter().map(|(serial, revoked_at)| RevokedCertParams {
        serial_number: SerialNumber::from(serial),
        revocation_time: revoked_at.to_datetime(),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: SystemTime::now().into(),
        next_update: (SystemTime::now() + LEAF_LIFE).into(),
        // The time: greater than that of a list that was lost.
        crl_number: SerialNumber::from(u64::try_from(now()).unwrap_or_default().max(number.saturating_add(1))),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let pem = params.signed_by(&authority.issuer).and_then(|list| list.pem());
    let pem = pem.map_err(|error| TlsError::Issue(error.to_string()))?;
    write(folder, &path, (&pem, 0o644), true).map_err(|source| TlsError::Write { path: path.clone(), source })?;
    Ok(Revoked { path, is_first, entries, certificates: certificates_now })
}

/// Serial numbers, and when they were revoked.
type Entries = BTreeMap<Vec<u8>, ASN1Time>;

/// What the list that is there names, and its number.
fn before(path: &Path, authority: &Authority) -> Result<(Entries, u64), TlsError> {
    let unusable = |why: String| TlsError::Pem { path: path.to_owned(), why };
    let der = CertificateRevocationListDer::from_pem_slice(&read_pem(path)?)
        .map_err(|error| pem_error(path, "revocation list", &error))?;
    let (_, list) = CertificateRevocationList::from_der(&der).map_err(|error| unusable(error.to_string()))?;
    if !authority.has_issued_list(&list) {
        return Err(unusable("is not a list of the authority (`ca.crt`) in this folder".to_owned()));
    }
    let entries = list.iter_revoked_certificates();
    let entries = entries.map(|one| (one.raw_serial().to_vec(), one.revocation_date)).collect();
    Ok((entries, list.crl_number().and_then(|number| number.try_into().ok()).unwrap_or_default()))
}

fn parse<'d>(path: &Path, der: &'d [u8]) -> Result<X509Certificate<'d>, TlsError> {
    let parsed = X509Certificate::from_der(der);
    parsed
        .map(|(_, certificate)| certificate)
        .map_err(|error| TlsError::Pem { path: path.to_owned(), why: error.to_string() })
}
