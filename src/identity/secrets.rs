//! What an identity's secret is stored as, and the work that a plain login costs: the same for everybody.

use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, PasswordHasher as _, Version};

use super::Identity;
use crate::secret::Secret;

/// Costs above these are refused: a login must not take the machine down.
const MEMORY_KIB_MAX: u32 = 256 * 1_024;
const PASSES_MAX: u32 = 10;
const LANES_MAX: u32 = 8;
/// What is asked for at least, of which no more is touched than is needed: so much, glibc's `malloc` always takes from the
/// kernel and gives back at once. Less it would come to keep in each of its arenas, as often as there are any: logins
/// would leave the process with a gigabyte.
const MEMORY_BLOCKS_MIN: usize = 33 * 1_024;
/// Fewer bytes of salt or hash make a secret easier to find than it needs to be.
const SALT_LEN_MIN: usize = 8;
const HASH_LEN_MIN: usize = 16;

/// A PHC string of argon2id that was checked. It is not shown: who has it can try secrets on it.
#[derive(Clone)]
pub struct Argon2idLine {
    text: String,
    costs: Costs,
    lanes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl std::fmt::Debug for Argon2idLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Argon2idLine").field("costs", &self.costs).finish_non_exhaustive()
    }
}

impl Argon2idLine {
    /// The line itself, which is as good as a secret.
    #[must_use]
    pub fn as_text(&self) -> &str {
        &self.text
    }
}

/// One secret of an identity.
#[derive(Clone, Debug)]
pub enum StoredSecret {
    /// A PHC string of argon2id, from [`StoredSecret::argon2id`].
    Argon2id(Argon2idLine),
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
    /// It is easier to break than it should be.
    #[error("salt or hash of this argon2id line is too short (at least {SALT_LEN_MIN} and {HASH_LEN_MIN} bytes)")]
    TooShort,
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
        let hash = PasswordHash::new(text).map_err(|_| HashError::NotArgon2id)?;
        let salt = hash.salt.as_ref().map_or(&[][..], |salt| salt.as_ref()).to_vec();
        let expected = hash.hash.as_ref().map_or(&[][..], |hash| hash.as_ref()).to_vec();
        let params = Params::try_from(&hash).map_err(|_| HashError::NotArgon2id)?;
        let is_plain = params.keyid().is_empty() && params.data().is_empty();
        if hash.algorithm.as_str() != "argon2id" || hash.version != Some(Version::V0x13.into()) || !is_plain {
            return Err(HashError::NotArgon2id);
        }
        if salt.len() < SALT_LEN_MIN || expected.len() < HASH_LEN_MIN {
            return Err(HashError::TooShort);
        }
        let costs = Costs { memory_kib: params.m_cost(), passes: params.t_cost() };
        if costs.memory_kib > MEMORY_KIB_MAX || costs.passes > PASSES_MAX || params.p_cost() > LANES_MAX {
            return Err(HashError::TooCostly);
        }
        let lanes = params.p_cost();
        Ok(Self::Argon2id(Argon2idLine { text: text.to_owned(), costs, lanes, salt, hash: expected }))
    }

    /// Whether the secret is this one; an empty one never is. Hashes for [`StoredSecret::Argon2id`].
    pub(super) fn is(&self, secret: &[u8]) -> bool {
        let is_it = match self {
            Self::Argon2id(line) => {
                let hash = line.costs.hash(line.lanes, secret, &line.salt, line.hash.len());
                hash.is_some_and(|hash| hash.matches(&line.hash))
            }
            Self::Recoverable(own) => own.matches(secret),
        };
        is_it && !secret.is_empty()
    }

    /// What tells this stored secret from another.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Argon2id(line) => line.text.as_bytes(),
            Self::Recoverable(own) => own.expose(),
        }
    }

    /// What [`StoredSecret::is`] costs, in KiB written.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Self::Argon2id(line) => line.costs.total(),
            Self::Recoverable(_) => 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Costs {
    memory_kib: u32,
    passes: u32,
}

impl Costs {
    /// What [`hash_secret`] takes.
    const DEFAULT: Self = Self { memory_kib: Params::DEFAULT_M_COST, passes: Params::DEFAULT_T_COST };

    fn total(self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }

    /// One way to hash, for secrets that there are and for names that there are not.
    fn hash(self, lanes: u32, secret: &[u8], salt: &[u8], len: usize) -> Option<Secret> {
        #[cfg(test)]
        HASHED_KIB.set(HASHED_KIB.get() + self.total());
        let params = Params::new(self.memory_kib, self.passes, lanes, Some(len)).ok()?;
        let mut hash = vec![0; len];
        let (mut memory, count) = (Vec::new(), params.block_count());
        // Out of memory, it is out of memory for every name.
        memory.try_reserve_exact(count.max(MEMORY_BLOCKS_MIN)).ok()?;
        memory.resize(count, Block::new());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into_with_memory(secret, salt, &mut hash, &mut memory).ok()?;
        Some(Secret::new(hash))
    }
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

/// How much hashing every refused plain login does: as much as the identity with the dearest secrets costs, so that the time
/// tells nothing about a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// KiB written, over all hashes.
    total: u64,
    /// The memory of the dearest hash.
    memory_kib: u32,
    /// Keys of challenge logins: as many as the identity with the most recoverable secrets has.
    keys: usize,
    /// Secrets that are looked for in the memory, likewise.
    secrets: usize,
}

impl Default for Work {
    fn default() -> Self {
        Self::of(&[])
    }
}

impl Work {
    pub(super) fn of(identities: &[Identity]) -> Self {
        let of_one = |identity: &Identity| identity.secrets.iter().map(StoredSecret::cost).sum::<u64>();
        let total = identities.iter().map(of_one).max().filter(|total| *total > 0);
        let memory = identities.iter().flat_map(|identity| &identity.secrets).filter_map(|secret| match secret {
            StoredSecret::Argon2id(line) => Some(line.costs.memory_kib),
            StoredSecret::Recoverable(_) => None,
        });
        let memory_kib = memory.max().unwrap_or(Costs::DEFAULT.memory_kib);
        let keys = identities.iter().filter(|identity| identity.challenge).map(|identity| {
            identity.secrets.iter().filter(|secret| matches!(secret, StoredSecret::Recoverable(_))).count()
        });
        let (total, keys) = (total.unwrap_or_else(|| Costs::DEFAULT.total()), keys.max().unwrap_or_default());
        let secrets = identities.iter().map(|identity| identity.secrets.len()).max().unwrap_or_default();
        Self { total, memory_kib, keys, secrets }
    }

    pub(super) const fn secrets(self) -> usize {
        self.secrets
    }

    pub(super) const fn keys(self) -> usize {
        self.keys
    }

    /// Does what is left of the work after hashes that cost `done`.
    pub(super) fn complete(self, done: u64, secret: &[u8]) {
        for costs in self.rest(done) {
            let hash = costs.hash(1, secret, b"amiwall-dummy-sa", Params::DEFAULT_OUTPUT_LEN);
            std::hint::black_box(hash.is_some_and(|hash| hash.matches(&[0; Params::DEFAULT_OUTPUT_LEN])));
        }
    }

    /// The hashes that cost what is left, but for less than argon2's smallest memory.
    pub(super) fn rest(self, done: u64) -> impl Iterator<Item = Costs> {
        let mut left = self.total.saturating_sub(done);
        std::iter::from_fn(move || {
            let memory_kib = u32::try_from(left).unwrap_or(u32::MAX).min(self.memory_kib);
            if memory_kib < Params::MIN_M_COST {
                return None;
            }
            let passes = u32::try_from(left / u64::from(memory_kib)).unwrap_or(PASSES_MAX).min(PASSES_MAX);
            let costs = Costs { memory_kib, passes };
            left = left.saturating_sub(costs.total());
            Some(costs)
        })
    }
}

#[cfg(test)]
thread_local! {
    /// KiB that this thread has hashed.
    pub(super) static HASHED_KIB: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}
