//! [`Verification`]: one login, from what was said to who it is.

use std::net::IpAddr;
use std::sync::Arc;

use super::memory::Token;
use super::secrets::Work;
use super::{ClientName, Identity, LoginAttempt, LoginMemory, LoginRefusal, Now, StoredSecret};
use crate::secret::Secret;

/// How the secret is to be proved.
#[derive(Debug)]
enum Proof {
    /// The certificate was enough.
    Certificate,
    /// Judged already: by MD5 challenge, by the memory, or because nothing can make it right.
    Known(bool),
    /// By hashing.
    Plain(Secret),
}

/// A login that is being judged. Owned, so that the hashing can be done on another thread.
#[derive(Debug)]
pub struct Verification {
    identity: Option<Arc<Identity>>,
    /// What is wrong beside the secret.
    refusal: Option<LoginRefusal>,
    proof: Proof,
    work: Work,
    memory: Arc<LoginMemory>,
    peer: IpAddr,
    now: Now,
}

impl Verification {
    pub(super) fn new(
        identity: Option<&Arc<Identity>>,
        work: &Work,
        memory: &Arc<LoginMemory>,
        attempt: &LoginAttempt<'_>,
        now: Now,
    ) -> Self {
        let secret = attempt.secret.unwrap_or_default();
        let mut refusal = match identity {
            None => Some(LoginRefusal::UnknownIdentity),
            Some(identity) => identity.check(attempt.peer, attempt.certificate, now.wall).err(),
        };
        let needs_no_secret = identity.is_some_and(|identity| identity.secrets.is_empty());
        let is_remembered = !attempt.is_md5
            && identity.is_some_and(|identity| memory.remembers(identity, secret))
            && !secret.is_empty();
        let is_locked = memory.is_locked(attempt.peer, identity.map(|identity| identity.name.as_str()), now);
        let proof = if attempt.is_md5 {
            Proof::Known(identity.is_some_and(|identity| is_right_key(identity, attempt)))
        } else if needs_no_secret && refusal.is_none() {
            Proof::Certificate
        } else if is_remembered {
            Proof::Known(true)
        } else if is_locked {
            // No work for who is locked out; its answer comes as late as any other.
            Proof::Known(false)
        } else {
            Proof::Plain(Secret::new(secret.to_vec()))
        };
        if is_locked && !is_remembered && refusal.is_none() {
            refusal = Some(LoginRefusal::Locked);
        }
        let (work, memory) = (work.clone(), memory.clone());
        Self { identity: identity.cloned(), refusal, proof, work, memory, peer: attempt.peer, now }
    }

    /// Whether [`Verification::finish`] computes an argon2 hash, for which a slot is needed.
    #[must_use]
    pub const fn needs_hashing(&self) -> bool {
        matches!(self.proof, Proof::Plain(_))
    }

    /// Judges. May take some 30 ms of CPU and 19 MiB where [`Verification::needs_hashing`] says so.
    ///
    /// # Errors
    /// The reason, for the record only.
    pub fn finish(self) -> Result<ClientName, LoginRefusal> {
        let is_right = match &self.proof {
            Proof::Certificate => true,
            Proof::Known(is_right) => *is_right,
            Proof::Plain(secret) => self.hash(secret.expose()),
        };
        let outcome = match (&self.identity, self.refusal) {
            (None, _) => Err(LoginRefusal::UnknownIdentity),
            (Some(_), Some(refusal)) => Err(refusal),
            (Some(_), None) if !is_right => Err(LoginRefusal::Secret),
            (Some(identity), None) => Ok(ClientName::of(identity)),
        };
        match (&outcome, &self.proof, &self.identity) {
            (Err(refusal), _, identity) => {
                // Attempts from outside an identity's networks say nothing about that identity.
                let name = identity.as_ref().map(|identity| identity.name.as_str());
                let name = name.filter(|_| *refusal != LoginRefusal::Networks);
                self.memory.failed(self.peer, name, self.now);
            }
            (Ok(_), Proof::Plain(secret), Some(identity)) => self.memory.remember(identity, secret.expose()),
            (Ok(_), ..) => {}
        }
        outcome
    }

    /// Whether the secret is one of the identity's; the same work for every name.
    fn hash(&self, secret: &[u8]) -> bool {
        let secrets = self.identity.as_ref().map_or(&[][..], |identity| &identity.secrets);
        let mut is_right = false;
        let mut hashes = 0;
        for stored in secrets {
            hashes += usize::from(matches!(stored, StoredSecret::Argon2id(_)));
            is_right |= stored.is(secret) && !secret.is_empty();
        }
        self.work.complete(hashes, secret);
        is_right
    }
}

/// Whether `Key` proves a recoverable secret of the identity, by the challenge of this connection.
fn is_right_key(identity: &Identity, attempt: &LoginAttempt<'_>) -> bool {
    let (Some(challenge), Some(key), true) = (attempt.challenge, attempt.key, identity.challenge) else { return false };
    identity.secrets.iter().any(|stored| match stored {
        StoredSecret::Argon2id(_) => false,
        StoredSecret::Recoverable(secret) => Secret::new(challenge.key(secret.expose()).into_bytes()).matches(key),
    })
}

/// What is remembered of a right secret.
pub(super) fn token(memory: &LoginMemory, identity: &Identity, stored: &StoredSecret, secret: &[u8]) -> Token {
    memory.keyed_hash(&[identity.name.as_bytes(), stored.bytes(), secret])
}
