//! What an identity's secret is stored as, and the work that a plain login costs: the same for everybody.

use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};

use super::Identity;
use crate::secret::Secret;

/// Costs above these are refused: a login must not take the machine down.
const MEMORY_KIB_MAX: u32 = 256 * 1_024;
const PASSES_MAX: u32 = 10;
const LANES_MAX: u32 = 8;

/// One secret of an identity.
#[derive(Clone, Debug)]
pub enum StoredSecret {
    /// A PHC string of argon2id, made by `StoredSecret::argon2id`.
    Argon2id(String),
    /// The secret itself, which MD5 challenge logins need.
    Recoverable(Secret),
}

/// Why a secret cannot be hashed, or a hash not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Not what `amiwall hash-secret` prints.
    #[error("not an argon2id line; `amiwall hash-secret` prints one")]
    NotArgon2id,
    /// It costs too much.
    #[error("the costs of this argon2id line are too high (at most m={MEMORY_KIB_MAX}, t={PASSES_MAX}, p={LANES_MAX})")]
    TooCostly,
    /// The secret cannot be sent in a Login.
    #[error("{0}")]
    Unsendable(&'static str),
    /// The system gave no random salt.
    #[error("the system has no random numbers")]
    Random,
}

impl StoredSecret {
    /// Takes a PHC string.
    ///
    /// # Errors
    /// If it is none of argon2id, or would cost too much to verify.
    pub fn argon2id(text: &str) -> Result<Self, HashError> {
        let costs = costs(text).ok_or(HashError::NotArgon2id)?;
        if costs.memory_kib > MEMORY_KIB_MAX || costs.passes > PASSES_MAX || costs.lanes > LANES_MAX {
            return Err(HashError::TooCostly);
        }
        Ok(Self::Argon2id(text.to_owned()))
    }

    /// Whether the secret is this one. Hashes for [`StoredSecret::Argon2id`].
    pub(super) fn is(&self, secret: &[u8]) -> bool {
        match self {
            Self::Argon2id(phc) => verify(phc, secret),
            Self::Recoverable(own) => own.matches(secret),
        }
    }

    /// What tells this stored secret from another.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Argon2id(phc) => phc.as_bytes(),
            Self::Recoverable(own) => own.expose(),
        }
    }
}

fn verify(phc: &str, secret: &[u8]) -> bool {
    Argon2::default().verify_password(secret, phc).is_ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Costs {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`.
fn costs(phc: &str) -> Option<Costs> {
    let mut fields = phc.strip_prefix("$argon2id$v=19$")?.split('$');
    let mut numbers = fields.next()?.split(',');
    let mut number = |name: &str| numbers.next()?.strip_prefix(name)?.parse::<u32>().ok().filter(|number| *number > 0);
    let costs = Costs { memory_kib: number("m=")?, passes: number("t=")?, lanes: number("p=")? };
    let is_base64 =
        |text: &str| text.len() >= 11 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    let (salt, hash) = (fields.next()?, fields.next()?);
    (numbers.next().is_none() && fields.next().is_none() && is_base64(salt) && is_base64(hash)).then_some(costs)
}

/// A new argon2id line (m = 19 MiB, t = 2, p = 1: OWASP's minimum set).
///
/// # Errors
/// If AMI cannot carry the secret, or there is no random salt.
pub fn hash_secret(secret: &Secret) -> Result<String, HashError> {
    let bytes = secret.expose();
    let is_blank = |byte: Option<&u8>| byte.is_some_and(|byte| *byte == b' ' || *byte == b'\t');
    if bytes.is_empty() {
        return Err(HashError::Unsendable("an empty secret lets nobody in"));
    }
    if is_blank(bytes.first()) || is_blank(bytes.last()) {
        return Err(HashError::Unsendable("a secret cannot begin or end with a blank: AMI does not carry it"));
    }
    if bytes.iter().any(|byte| *byte < 0x20 || *byte == 0x7F) {
        return Err(HashError::Unsendable("a secret cannot have control characters: AMI does not carry them"));
    }
    if bytes.len() > 1_000 {
        return Err(HashError::Unsendable("a secret cannot be longer than 1,000 bytes: AMI does not carry it"));
    }
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| HashError::Random)?;
    let hash = Argon2::default().hash_password_with_salt(bytes, &salt).map_err(|_| HashError::Random)?;
    Ok(hash.to_string())
}

/// How much hashing every plain login does: as many argon2 hashes as the identity with most of them has, at the costs of
/// the dearest one, so that the time tells nothing about a name.
#[derive(Clone, Debug)]
pub(super) struct Work {
    hashes: usize,
    /// A line with the costs of the dearest identity's, of a secret that nobody knows.
    dummy: String,
}

impl Default for Work {
    fn default() -> Self {
        Self::of(&[])
    }
}

impl Work {
    pub(super) fn of(identities: &[Identity]) -> Self {
        let argon2 = |identity: &Identity| {
            identity.secrets.iter().filter(|secret| matches!(secret, StoredSecret::Argon2id(_))).count()
        };
        let hashes = identities.iter().map(argon2).max().unwrap_or(0).max(1);
        let all = identities.iter().flat_map(|identity| &identity.secrets);
        let dearest = all.filter_map(|secret| match secret {
            StoredSecret::Argon2id(phc) => costs(phc),
            StoredSecret::Recoverable(_) => None,
        });
        let Costs { memory_kib, passes, lanes } =
            dearest.max().unwrap_or(Costs { memory_kib: 19_456, passes: 2, lanes: 1 });
        // Salt and hash are of no secret: 16 and 32 bytes of base64.
        let (salt, hash) = ("YW1pd2FsbC1kdW1teS1zYQ", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        Self { hashes, dummy: format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}") }
    }

    /// Does what is left of the work after `done` hashes.
    pub(super) fn complete(&self, done: usize, secret: &[u8]) {
        for _ in done..self.hashes {
            let matched = verify(&self.dummy, secret);
            debug_assert!(!matched);
        }
    }
}
