//! What files decide who is let in: what an operator can compare them by, without their content.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

/// More octets than these no serial number or number of a list has (RFC 5280).
const NUMBER_LEN_MAX: usize = 20;

/// A file of a listener, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustFile {
    /// What it is: `certificate`, `client_ca` or `client_crl`.
    pub key: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// The revocation lists in it.
    pub lists: Vec<RevocationList>,
    /// When the first thing in it ends, in seconds since the epoch, if that can be told.
    pub ends: Option<i64>,
}

impl TrustFile {
    pub(super) fn new(key: &'static str, path: &Path, bytes: &[u8]) -> Self {
        Self { key, path: path.to_owned(), sha256: sha256(bytes), lists: Vec::new(), ends: None }
    }

    /// The same file, of these certificates.
    pub(super) fn of_certificates(self, chain: &[CertificateDer<'_>]) -> Self {
        let ends = chain.iter().filter_map(|der| X509Certificate::from_der(der).ok());
        let ends = ends.map(|(_, certificate)| certificate.validity().not_after.timestamp()).min();
        Self { ends, ..self }
    }

    /// How many certificates its lists name.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.lists.iter().map(|list| list.entries).sum()
    }
}

/// What tells one revocation list of an authority from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// Its authority's name, encoded.
    issuer: Vec<u8>,
    /// Its number in lower-case hex, without zeros in front; empty: it has none.
    pub number: String,
    /// When it was made, in seconds since the epoch.
    pub this_update: i64,
    /// When it ends, `2030-12-31T23:59:59Z`.
    pub next_update: String,
    /// How many certificates it names.
    pub entries: usize,
}

impl RevocationList {
    pub(super) fn of(list: &CertificateRevocationList<'_>) -> Self {
        Self {
            issuer: list.issuer().as_raw().to_vec(),
            number: list.crl_number().map(|value| number(&value.to_bytes_be())).unwrap_or_default(),
            this_update: list.last_update().timestamp(),
            next_update: list.next_update().map(date).unwrap_or_default(),
            entries: list.iter_revoked_certificates().count(),
        }
    }

    /// Whether this one is of the same authority as another, and was made before it.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        let is_numbered = !self.number.is_empty() && !other.number.is_empty();
        self.issuer == other.issuer
            && if is_numbered { self.age() < other.age() } else { self.this_update < other.this_update }
    }

    /// Greater for what was made later, of lists with numbers.
    pub(super) fn age(&self) -> (usize, &str, i64) {
        (self.number.len(), &self.number, self.this_update)
    }
}

fn date(time: ASN1Time) -> String {
    let time = time.to_datetime();
    let (month, day) = (u8::from(time.month()), time.day());
    let (hour, minute, second) = time.to_hms();
    format!("{:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", time.year())
}

/// A number of big-endian bytes in hex. Who made it may have made it long.
pub(super) fn number(bytes: &[u8]) -> String {
    let digits = hex(bytes.get(bytes.len().saturating_sub(NUMBER_LEN_MAX)..).unwrap_or_default());
    match digits.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
