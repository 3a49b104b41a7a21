//! [`Pseudonyms`]: numbers of persons, of which the log says only whether two are the same. Whoever has the key can find
//! a number again; without it nobody can, though there are few enough numbers to try them all.

use std::fmt;

use aws_lc_rs::{digest, hmac};

/// How many bytes of the code stand in the log.
const TOKEN_LEN: usize = 16;
/// The shortest key.
const KEY_LEN_MIN: usize = 16;

/// The key's text is too short, or no hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key of pseudonyms is at least {} hex digits; `amiwall audit pseudonym --new FILE` makes one", KEY_LEN_MIN * 2)]
pub struct BadKey;

/// The key of pseudonyms.
#[derive(Clone)]
pub struct PseudonymKey {
    key: hmac::Key,
    id: String,
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PseudonymKey({})", self.id)
    }
}

/// Two keys with one id are one: the id is a hash of the key.
impl PartialEq for PseudonymKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for PseudonymKey {}

impl PseudonymKey {
    /// Of the text of a key file: hex digits.
    ///
    /// # Errors
    /// If it is no hex or too short.
    pub fn parse(text: &[u8]) -> Result<Self, BadKey> {
        let (pairs, rest) = text.trim_ascii().as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        let bytes = bytes.filter(|bytes| rest.is_empty() && bytes.len() >= KEY_LEN_MIN).ok_or(BadKey)?;
        let id = hex(digest::digest(&digest::SHA256, &bytes).as_ref(), 4);
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), id })
    }

    /// The text of a new key file.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn generate() -> Result<String, aws_lc_rs::error::Unspecified> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes)?;
        Ok(hex(&bytes, bytes.len()) + "\n")
    }

    /// What the log calls the key: 8 hex digits of its SHA-256.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What stands for a number: 32 hex digits of its HMAC-SHA-256, taken without blanks and hyphens.
    #[must_use]
    pub fn token(&self, number: &[u8]) -> String {
        let normal: Vec<u8> = number.iter().copied().filter(|b| !b.is_ascii_whitespace() && *b != b'-').collect();
        hex(hmac::sign(&self.key, &normal).as_ref(), TOKEN_LEN)
    }
}

fn byte(pair: &[u8; 2]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let [high, low] = *pair;
    Some((digit(high)? << 4) | digit(low)?)
}

fn hex(bytes: &[u8], len: usize) -> String {
    bytes.iter().take(len).map(|byte| format!("{byte:02x}")).collect()
}

/// What is pseudonymised, and with which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pseudonyms {
    /// `[action or event.]header`.
    pub values: Vec<String>,
    /// The key in force.
    pub key: PseudonymKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_hmac_of_the_number_without_blanks_and_hyphens() {
        let key =
            PseudonymKey::parse(b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n").expect("a key");
        assert_eq!(key.id(), "630dcd29");
        let token = key.token(b"+49301");
        assert_eq!(token, "aa62ded9a85eb2f9287eb1a655c9a740");
        assert_eq!(key.token(b"+49 30-1"), token);
        assert_ne!(key.token(b"0049301"), token);
        assert!(!format!("{key:?}").contains("0001"));
    }

    #[test]
    fn a_key_is_long_and_hex() {
        assert!(PseudonymKey::parse(PseudonymKey::generate().expect("random numbers").as_bytes()).is_ok());
        for bad in
            ["", "00", "0001020304050607", "x00102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f1"]
        {
            assert!(PseudonymKey::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
