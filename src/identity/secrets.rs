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
}

impl std::fmt::Debug for Argon2idLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Argon2idLine").field("costs", &self.costs).finish_non_exhaustive()
    }
}

impl Argon2idLine {
    fn is_of(&self, secret: &[u8]) -> bool {
        let Ok(line) = PasswordHash::new(&self.text) else { return false };
        let (Ok(params), Some(salt), Some(hash)) = (Params::try_from(&line), line.salt, line.hash) else {
            return false;
        };
        let mut computed = vec![0; hash.len()];
        compute(params, secret, salt.as_ref(), &mut computed) && Secret::new(computed).matches(hash.as_ref())
    }
}

/// Computes argon2id; false when there is no memory for it.
fn compute(params: Params, secret: &[u8], salt: &[u8], hash: &mut [u8]) -> bool {
    let count = params.block_count();
    let mut memory = Vec::new();
    if memory.try_reserve_exact(count.max(MEMORY_BLOCKS_MIN)).is_err() {
        return false;
    }
    memory.resize(count, Block::new());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(secret, salt, hash, &mut memory).is_ok()
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
        let lengths = (hash.salt.map_or(0, |salt| salt.len()), hash.hash.map_or(0, |hash| hash.len()));
        let params = Params::try_from(&hash).map_err(|_| HashError::NotArgon2id)?;
        let is_plain = params.keyid().is_empty() && params.data().is_empty();
        if hash.algorithm.as_str() != "argon2id" || hash.version != Some(Version::V0x13.into()) || !is_plain {
            return Err(HashError::NotArgon2id);
        }
        if lengths.0 < SALT_LEN_MIN || lengths.1 < HASH_LEN_MIN {
            return Err(HashError::TooShort);
        }
        let costs = Costs { memory_kib: params.m_cost(), passes: params.t_cost() };
        if costs.memory_kib > MEMORY_KIB_MAX || costs.passes > PASSES_MAX || params.p_cost() > LANES_MAX {
            return Err(HashError::TooCostly);
        }
        Ok(Self::Argon2id(Argon2idLine { text: text.to_owned(), costs }))
    }

    /// Whether the secret is this one; an empty one never is. Hashes for [`StoredSecret::Argon2id`].
    pub(super) fn is(&self, secret: &[u8]) -> bool {
        let is_it = match self {
            Self::Argon2id(line) => line.is_of(secret),
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
        Self { total: total.unwrap_or_else(|| Costs::DEFAULT.total()), memory_kib }
    }

    /// Does what is left of the work after hashes that cost `done`.
    pub(super) fn complete(self, done: u64, secret: &[u8]) {
        for costs in self.rest(done) {
            let Ok(params) = Params::new(costs.memory_kib, costs.passes, 1, None) else { continue };
            let mut hash = [0; Params::DEFAULT_OUTPUT_LEN];
            // Out of memory, it is out of memory for known names too.
            compute(params, secret, b"amiwall-dummy-sa", &mut hash);
            std::hint::black_box(hash);
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
