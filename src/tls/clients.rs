//! Which client certificates are let in: authorities, revocation lists, and why one is not.
//!
//! With revocation lists, every certificate of a chain but the authority's own needs a list that says it is not revoked,
//! and the list has to be of today: who can keep a list away must not be able to bring a revoked certificate back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Once};

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use super::{
    PeerCertificate, RevocationList, ServerTlsFiles, TlsError, TrustFile, certificates_in, now, provider, read_pem,
    roots,
};

/// The extension that says for which part of an authority's certificates a list is (`issuingDistributionPoint`).
const ISSUED_FOR: &str = "2.5.29.28";
/// When the end of a revocation list is worth a warning.
const WARN_BEFORE: i64 = 7 * 24 * 3_600;

/// What a listener asks of client certificates.
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    /// As in the handshake, but for the dates of revocation lists.
    open: Arc<dyn ClientCertVerifier>,
    told: Arc<Once>,
}

impl ClientCertificates {
    /// Whether the certificate of an open session would be let in now. A revocation list that has expired ends no session:
    /// it still says what was revoked, and new connections are refused anyway.
    ///
    /// # Errors
    /// The reason code.
    pub fn check(&self, certificate: &PeerCertificate) -> Result<(), &'static str> {
        let Some((leaf, rest)) = certificate.chain.split_first() else { return Err("tls.certificate") };
        let verified = self.open.verify_client_cert(leaf, rest, UnixTime::now());
        verified.map(drop).map_err(|error| refusal(&error))
    }

    /// Says once that clients are refused because a revocation list has expired since it was loaded.
    pub fn tell_expired(&self, listener: &str) {
        self.told.call_once(|| {
            tracing::error!("a revocation list (`client_crl`) of the listener {listener} has expired: client certificates are refused; put a new one in its place and reload");
        });
    }
}

/// Why a handshake failed, as a code.
#[must_use]
pub fn refusal_of(error: &std::io::Error) -> &'static str {
    error.get_ref().and_then(|inner| inner.downcast_ref()).map_or("tls.handshake", refusal)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the errors of another crate may grow")]
fn refusal(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::NoCertificatesPresented => "tls.certificate-missing",
        rustls::Error::InvalidCertRevocationList(_) => "tls.crl-unusable",
        rustls::Error::InvalidCertificate(why) => match why {
            Certificate::Revoked => "tls.certificate-revoked",
            Certificate::ExpiredRevocationList | Certificate::ExpiredRevocationListContext { .. } => "tls.crl-expired",
            Certificate::UnknownRevocationStatus => "tls.crl-unusable",
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. } => "tls.certificate-expired",
            Certificate::UnknownIssuer | Certificate::BadSignature => "tls.certificate-unknown-ca",
            _ => "tls.certificate",
        },
        _ => "tls.handshake",
    }
}

/// What comes of an authority and its revocation lists.
pub(super) struct Verifiers {
    /// For handshakes.
    pub(super) handshake: Arc<dyn ClientCertVerifier>,
    /// What open sessions are held to.
    pub(super) clients: ClientCertificates,
    /// What is worth a look.
    pub(super) warnings: Vec<String>,
    /// What was read.
    pub(super) files: Vec<TrustFile>,
}

/// Reads the authorities in a file and the revocation lists that the listener has.
pub(super) fn verifiers(authority: &Path, files: &ServerTlsFiles<'_>) -> Result<Verifiers, TlsError> {
    let pem = read_pem(authority)?;
    let authorities = certificates_in(authority, &pem)?;
    let mut read = vec![TrustFile::new("client_ca", authority, &pem).of_certificates(&authorities)];
    let (mut lists, mut warnings) = (Vec::new(), Vec::new());
    if let Some(path) = files.client_crl {
        let pem = read_pem(path)?;
        lists = revocation_lists(path, &pem)?;
        let mut file = TrustFile::new("client_crl", path, &pem);
        warnings = look(&mut file, &lists, &authorities)?;
        // Of several lists of one authority the verifier asks the first.
        let mut dated: Vec<_> = file.lists.iter().zip(lists).collect();
        dated.sort_by(|(a, _), (b, _)| b.age().cmp(&a.age()));
        lists = dated.into_iter().map(|(_, list)| list).collect();
        read.push(file);
    }
    let roots = Arc::new(roots(authority, authorities)?);
    let failed = |error: rustls::server::VerifierBuilderError| match (error, files.client_crl) {
        (rustls::server::VerifierBuilderError::InvalidCrl(error), Some(path)) => {
            TlsError::Pem { path: path.to_owned(), why: rustls::Error::InvalidCertRevocationList(error).to_string() }
        }
        (error, _) => TlsError::Authority { path: authority.to_owned(), why: error.to_string() },
    };
    let builder = || {
        let builder = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).with_crls(lists.clone());
        if files.client_certificate_required { builder } else { builder.allow_unauthenticated() }
    };
    let handshake = builder().enforce_revocation_expiration().build().map_err(failed)?;
    let open = builder().build().map_err(failed)?;
    Ok(Verifiers {
        handshake,
        clients: ClientCertificates { open, told: Arc::new(Once::new()) },
        warnings,
        files: read,
    })
}

fn revocation_lists(path: &Path, pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let lists = super::pem_items(path, "revocation list", pem)?;
    newest(path, lists)
}

fn parsed<'l>(
    path: &Path,
    list: &'l CertificateRevocationListDer<'_>,
) -> Result<CertificateRevocationList<'l>, TlsError> {
    let parsed = CertificateRevocationList::from_der(list);
    let failed = |error| TlsError::Pem { path: path.to_owned(), why: format!("is not a revocation list: {error}") };
    parsed.map(|(_, list)| list).map_err(failed)
}

/// Of several lists of one authority for the same part of its certificates the newest one. The verifier takes the first
/// that it finds, so that an older one before it would bring back what was revoked since.
fn newest(
    path: &Path,
    lists: Vec<CertificateRevocationListDer<'static>>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let mut newest = BTreeMap::new();
    for list in lists {
        let (part, age) = {
            let list = parsed(path, &list)?;
            let scope = list.extensions().iter().find(|extension| extension.oid.to_id_string() == ISSUED_FOR);
            let part = (list.issuer().as_raw().to_vec(), scope.map(|scope| scope.value.to_vec()));
            (part, (list.last_update().timestamp(), list.crl_number().cloned()))
        };
        if newest.get(&part).is_none_or(|(kept, _)| *kept <= age) {
            newest.insert(part, (age, list));
        }
    }
    Ok(newest.into_values().map(|(_, list)| list).collect())
}

/// What the lists of a file are. Warns of those that have expired or soon will, and of authorities without one.
fn look(
    file: &mut TrustFile,
    lists: &[CertificateRevocationListDer<'_>],
    authorities: &[CertificateDer<'_>],
) -> Result<Vec<String>, TlsError> {
    let TrustFile { path, lists: known, ends, .. } = file;
    let mut warnings = Vec::new();
    let mut issuers = Vec::new();
    for list in lists {
        let list = parsed(path, list)?;
        let issuer = list.issuer().to_string();
        let Some(end) = list.next_update() else {
            let why = format!("the revocation list of `{issuer}` does not say when it ends (nextUpdate)");
            return Err(TlsError::Pem { path: path.to_owned(), why });
        };
        known.push(RevocationList::of(&list));
        issuers.push(list.issuer().as_raw().to_vec());
        let left = end.timestamp() - now();
        *ends = Some(ends.map_or(end.timestamp(), |earlier| earlier.min(end.timestamp())));
        let shown = path.display();
        if left < 0 {
            warnings.push(format!(
                "{shown}: the revocation list of `{issuer}` expired on {end}: its client certificates are refused"
            ));
        } else if left < WARN_BEFORE {
            warnings.push(format!(
                "{shown}: the revocation list of `{issuer}` expires on {end}: then its client certificates are refused"
            ));
        }
    }
    for certificate in authorities {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { continue };
        if !issuers.iter().any(|issuer| issuer == certificate.subject().as_raw()) {
            let subject = certificate.subject();
            let shown = path.display();
            warnings
                .push(format!("{shown}: has no revocation list of `{subject}`: its client certificates are refused"));
        }
    }
    Ok(warnings)
}
