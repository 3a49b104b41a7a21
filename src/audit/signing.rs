//! Signed checkpoints: an Ed25519 signature over the chain's head, in the shape of a C2SP signed note, so that programs
//! which know those (`c2sp.org/signed-note`, `c2sp.org/tlog-checkpoint`) can check it.
//!
//! A note's body is three lines: the name of the log, how many records it has, and the hash of the last of them in
//! base64. The name comes from the key, so that one key cannot speak for another's log.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use super::chain::{Hash, Head};

/// What stands before the 32 bytes of an Ed25519 public key in its SubjectPublicKeyInfo (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The type of an Ed25519 key in a signed note.
const NOTE_ED25519: u8 = 1;
/// How the line with a signature begins: an em dash and a blank.
const SIGNATURE_LINE: &str = "\u{2014} ";

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("cannot use the key `{}`: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// It has no Ed25519 key of the wanted kind.
    #[error("`{}` is no {wanted} of Ed25519 (PEM); `amiwall audit key DIR` makes a pair", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Private or public.
        wanted: &'static str,
    },
}

/// The private key of a log.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: VerifyingKey,
}

impl std::fmt::Debug for SigningKey {
    /// Shows nothing of the private half.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public.name)
    }
}

impl SigningKey {
    /// Reads a PKCS #8 key in PEM, as `amiwall audit key` and `openssl genpkey -algorithm ed25519` write it.
    ///
    /// # Errors
    /// If the file cannot be read or has no such key.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let shape = || KeyError::Shape { path: path.to_owned(), wanted: "private key" };
        let pem = fs::read(path).map_err(|error| KeyError::Io { path: path.to_owned(), error })?;
        let pem = zeroize::Zeroizing::new(pem);
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| shape())?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map_err(|_| shape())?;
        Self::of_pair(pair).ok_or_else(shape)
    }

    fn of_pair(pair: Ed25519KeyPair) -> Option<Self> {
        let public = VerifyingKey::of_bytes(pair.public_key().as_ref().try_into().ok()?);
        Some(Self { pair, public })
    }

    /// Makes a new pair and writes both halves: the private one for its owner only. No file is replaced.
    ///
    /// # Errors
    /// If one of them cannot be written.
    pub fn create(private: &Path, public: &Path) -> Result<VerifyingKey, KeyError> {
        let failed = |path: &Path, error| KeyError::Io { path: path.to_owned(), error };
        let random = |_| failed(private, io::Error::other("no randomness"));
        let pair = Ed25519KeyPair::generate().map_err(random)?;
        let der = pair.to_pkcs8().map_err(random)?;
        let write = |path: &Path, mode, label, der: &[u8]| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
            file.write_all(zeroize::Zeroizing::new(pem(label, der)).as_bytes())?;
            file.sync_all()
        };
        write(private, 0o600, "PRIVATE KEY", der.as_ref()).map_err(|error| failed(private, error))?;
        let spki = [&SPKI_PREFIX, pair.public_key().as_ref()].concat();
        write(public, 0o644, "PUBLIC KEY", &spki).map_err(|error| failed(public, error))?;
        let shape = || KeyError::Shape { path: private.to_owned(), wanted: "private key" };
        Self::of_pair(pair).map(|key| key.public).ok_or_else(shape)
    }

    /// Its public half.
    #[must_use]
    pub const fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// The signed note of a head.
    pub(super) fn note(&self, head: &Head) -> String {
        let mut note = self.public.body(head.seq, &head.hash);
        let signature = self.pair.sign(note.as_bytes());
        let id_and_signature = [&self.public.id, signature.as_ref()].concat();
        // Writing to a String cannot fail.
        writeln!(note, "\n{SIGNATURE_LINE}{} {}", self.public.name, BASE64.encode(id_and_signature)).ok();
        note
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The public key of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    bytes: [u8; 32],
    name: String,
    id: [u8; 4],
}

impl VerifyingKey {
    /// Reads a public key in PEM, as `amiwall audit key` and `openssl pkey -pubout` write it.
    ///
    /// # Errors
    /// If the file cannot be read or has no such key.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let shape = || KeyError::Shape { path: path.to_owned(), wanted: "public key" };
        let pem = fs::read(path).map_err(|error| KeyError::Io { path: path.to_owned(), error })?;
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(&pem).map_err(|_| shape())?;
        let bytes = spki.strip_prefix(&SPKI_PREFIX).and_then(|key| key.try_into().ok());
        bytes.map(Self::of_bytes).ok_or_else(shape)
    }

    fn of_bytes(bytes: [u8; 32]) -> Self {
        let mut name = String::from("amiwall/");
        for byte in digest(&SHA256, &bytes).as_ref().iter().take(8) {
            // Writing to a String cannot fail.
            write!(name, "{byte:02x}").ok();
        }
        let of_note = [name.as_bytes(), b"\n", &[NOTE_ED25519], &bytes].concat();
        let id = digest(&SHA256, &of_note).as_ref().first_chunk().copied().unwrap_or_default();
        Self { bytes, name, id }
    }

    /// The name under which it signs: of the log, as long as the log has one key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key as one line that programs for signed notes read.
    #[must_use]
    pub fn note_key(&self) -> String {
        let key = [&[NOTE_ED25519], &self.bytes[..]].concat();
        format!("{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), BASE64.encode(key))
    }

    fn body(&self, seq: u64, hash: &Hash) -> String {
        format!("{}\n{seq}\n{}\n", self.name, BASE64.encode(unhex(hash)))
    }

    /// Whether this is the key's signature of a head.
    pub(super) fn has_signed(&self, note: &str, head: &Head) -> bool {
        let body = self.body(head.seq, &head.hash);
        let signatures = note.strip_prefix(&body).and_then(|rest| rest.strip_prefix('\n')).unwrap_or_default();
        signatures.lines().filter_map(|line| line.strip_prefix(SIGNATURE_LINE)?.split_once(' ')).any(|(name, text)| {
            let decoded = BASE64.decode(text).unwrap_or_default();
            let signature = decoded.strip_prefix(&self.id).unwrap_or_default();
            let key = UnparsedPublicKey::new(&ED25519, self.bytes);
            name == self.name && key.verify(body.as_bytes(), signature).is_ok()
        })
    }
}

/// The bytes of a hash.
fn unhex(hash: &Hash) -> Vec<u8> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default();
    hash.as_chunks::<2>().0.iter().map(|[high, low]| digit(high) << 4 | digit(low)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(dir: &Path) -> (SigningKey, VerifyingKey) {
        SigningKey::create(&dir.join("audit.key"), &dir.join("audit.pub")).expect("a pair");
        let private = SigningKey::load(&dir.join("audit.key")).expect("a private key");
        (private, VerifyingKey::load(&dir.join("audit.pub")).expect("a public key"))
    }

    #[test]
    fn only_the_keys_own_note_of_that_very_head_is_good() {
        let dir = tempfile::tempdir().expect("a directory");
        let (private, public) = pair(dir.path());
        assert_eq!(private.public(), &public);
        let head = Head { seq: 42, hash: [b'a'; 64] };
        let note = private.note(&head);
        assert!(public.has_signed(&note, &head));
        assert!(!public.has_signed(&note, &Head { seq: 41, ..head }));
        assert!(!public.has_signed(&note, &Head { hash: [b'b'; 64], ..head }));
        assert!(!public.has_signed(&note.replace("\n42\n", "\n41\n"), &Head { seq: 41, ..head }));
        assert!(!public.has_signed("", &head) && !public.has_signed(&public.body(42, &head.hash), &head));
        let other = tempfile::tempdir().expect("a directory");
        assert!(!pair(other.path()).1.has_signed(&note, &head));
    }

    #[test]
    fn a_note_has_the_shape_of_a_checkpoint() {
        let dir = tempfile::tempdir().expect("a directory");
        let (private, public) = pair(dir.path());
        let note = private.note(&Head::GENESIS);
        let lines: Vec<&str> = note.lines().collect();
        assert_eq!(lines[..4], [public.name(), "0", &format!("{}=", "A".repeat(43)), ""]);
        assert!(lines[4].starts_with(&format!("\u{2014} {} ", public.name())) && note.ends_with("=\n"), "{note}");
        let parts: Vec<String> = public.note_key().splitn(3, '+').map(str::to_owned).collect();
        assert!(parts[0] == public.name() && parts[1].len() == 8 && parts[2].len() == 44, "{parts:?}");
    }

    #[test]
    fn keys_of_another_shape_are_refused_and_no_key_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let (private, public) = (dir.path().join("audit.key"), dir.path().join("audit.pub"));
        pair(dir.path());
        let before = fs::read(&private).expect("a key");
        assert!(matches!(SigningKey::create(&private, &public), Err(KeyError::Io { .. })));
        assert_eq!(fs::read(&private).expect("a key"), before);
        assert!(matches!(SigningKey::load(&public), Err(KeyError::Shape { .. })));
        assert!(matches!(VerifyingKey::load(&private), Err(KeyError::Shape { .. })));
        assert!(matches!(VerifyingKey::load(&dir.path().join("none")), Err(KeyError::Io { .. })));
        let shown = format!("{:?}", SigningKey::load(&private).expect("a key"));
        assert!(shown.starts_with("SigningKey(amiwall/") && shown.len() < 40, "{shown}");
    }
}
