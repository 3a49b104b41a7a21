//! [`Verification`]: one login, from what was said to who it is.
//!
//! What could tell something by the time it takes (a remembered secret, a certificate that is enough, an early end) is used
//! only where nothing else is wrong with the login, so that it shortens the way to a success and never to a refusal.

use std::net::IpAddr;
use std::sync::Arc;

use super::secrets::Work;
use super::{ClientName, Identity, LoginAttempt, LoginMemory, LoginRefusal, NOBODY, Now, StoredSecret};
use crate::secret::Secret;

/// How the secret is to be proved.
#[derive(Debug)]
enum Proof {
    /// The certificate was enough.
    Certificate,
    /// Nothing is looked at: the address is locked out.
    Locked,
    /// Judged already, by the memory or by MD5 challenge: which of the identity's secrets it is, if it is one.
    Known(Option<usize>),
    /// By hashing.
    Plain(Secret),
}

/// A login that is being judged. Owned, so that the hashing can be done on another thread.
#[derive(Debug)]
pub struct Verification {
    /// The identity of that name; for a name that nobody has, the one that nobody is.
    identity: Arc<Identity>,
    /// What is wrong beside the secret.
    refusal: Option<LoginRefusal>,
    proof: Proof,
    /// Whether a lock-out of the address does not matter: a certificate is no guess, and neither is a secret that was
    /// right before, from there.
    passes_lock: bool,
    work: Work,
    memory: Arc<LoginMemory>,
    peer: IpAddr,
    now: Now,
}

impl Verification {
    /// `identity` is none of the policy where `is_known` is false.
    pub(super) fn new(
        (identity, is_known): (&Arc<Identity>, bool),
        work: &Work,
        memory: &Arc<LoginMemory>,
        attempt: &LoginAttempt<'_>,
        now: Now,
    ) -> Self {
        let locked = memory.locks().has(&identity.name).then_some(LoginRefusal::LockedByAdmin);
        let wrong = identity.check(attempt.peer, attempt.certificate, now.wall).err().or(locked);
        let refusal = if is_known { wrong } else { Some(LoginRefusal::UnknownIdentity) };
        let sound = refusal.is_none().then_some(identity.as_ref());
        let proof = proof(sound, work, memory, attempt);
        let passes_lock = match (&proof, sound) {
            (Proof::Certificate, _) => true,
            (Proof::Known(Some(which)), Some(identity)) => memory.was_right_from(identity, *which, attempt.peer),
            (Proof::Known(_) | Proof::Locked | Proof::Plain(_), _) => false,
        };
        let (work, memory) = (*work, memory.clone());
        let identity = identity.clone();
        let mut new = Self { identity, refusal, proof, passes_lock, work, memory, peer: attempt.peer, now };
        if new.is_locked() {
            // No work for who is locked out; its answer comes as late as any other.
            new.proof = Proof::Locked;
        }
        new
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
        // Logins that began at the same time may have failed since: what is guessed in parallel counts like the rest.
        if matches!(self.proof, Proof::Locked) || self.is_locked() {
            return Err(LoginRefusal::Locked);
        }
        let which = match &self.proof {
            Proof::Certificate | Proof::Locked => None,
            Proof::Known(which) => *which,
            Proof::Plain(secret) => self.hash(secret.expose()),
        };
        let is_right = which.is_some() || matches!(self.proof, Proof::Certificate);
        if is_right && self.refusal.is_none() {
            if self.is_locked() {
                return Err(LoginRefusal::Locked);
            }
            if let Some(which) = which {
                self.remember(&self.identity, which);
            }
            return Ok(ClientName::of(&self.identity));
        }
        let refusal = self.refusal.unwrap_or(LoginRefusal::Secret);
        // Attempts from outside an identity's networks say nothing about that identity.
        let name = if refusal == LoginRefusal::Networks { NOBODY } else { &self.identity.name };
        self.memory.failed(self.peer, name, self.now);
        Err(refusal)
    }

    fn is_locked(&self) -> bool {
        !self.passes_lock && self.memory.is_locked(self.peer, &self.identity.name, self.now)
    }

    fn remember(&self, identity: &Identity, which: usize) {
        match (&self.proof, identity.secrets.get(which)) {
            (Proof::Plain(secret), _) => self.memory.remember(identity, which, secret.expose(), self.peer),
            // The secret of a challenge is the stored one; one that is remembered only adds an address.
            (Proof::Known(_), Some(StoredSecret::Recoverable(secret))) => {
                self.memory.remember(identity, which, secret.expose(), self.peer);
            }
            (Proof::Known(_), _) => self.memory.add_address(identity, which, self.peer),
            (Proof::Certificate | Proof::Locked, _) => {}
        }
    }

    /// Which of the identity's secrets it is; a refusal costs the same for every name.
    fn hash(&self, secret: &[u8]) -> Option<usize> {
        let (mut which, mut done) = (None, 0);
        for (index, stored) in self.identity.secrets.iter().enumerate() {
            done += stored.cost();
            if stored.is(secret) {
                which = Some(index);
                if self.refusal.is_none() {
                    return which;
                }
            }
        }
        self.work.complete(done, secret);
        which
    }
}

/// How a login is to be proved; `sound` is the identity, if nothing beside the secret is wrong.
fn proof(sound: Option<&Identity>, work: &Work, memory: &LoginMemory, attempt: &LoginAttempt<'_>) -> Proof {
    if sound.is_some_and(|identity| identity.secrets.is_empty() && identity.certificate.is_some()) {
        return Proof::Certificate;
    }
    if attempt.is_md5 {
        return Proof::Known(keyed_by(sound, work, attempt));
    }
    let secret = attempt.secret.unwrap_or_default();
    let remembered = memory.remembers(sound, secret, work.secrets());
    remembered.map_or_else(|| Proof::Plain(Secret::new(secret.to_vec())), |which| Proof::Known(Some(which)))
}

/// Which recoverable secret of the identity `Key` proves, by the challenge of this connection. As many keys are computed for
/// every name, known or not.
fn keyed_by(sound: Option<&Identity>, work: &Work, attempt: &LoginAttempt<'_>) -> Option<usize> {
    let (Some(challenge), Some(key)) = (attempt.challenge, attempt.key) else { return None };
    let proves = |secret: &[u8]| Secret::new(challenge.key(secret).into_bytes()).matches(key);
    let secrets = sound.filter(|identity| identity.challenge).map_or(&[][..], |identity| &identity.secrets);
    let (mut which, mut done) = (None, 0);
    for (index, stored) in secrets.iter().enumerate() {
        let StoredSecret::Recoverable(secret) = stored else { continue };
        done += 1;
        // With an empty secret the key is one that everybody can compute.
        if proves(secret.expose()) && !secret.expose().is_empty() {
            which = Some(index);
        }
    }
    for _ in done..work.keys() {
        std::hint::black_box(proves(b"amiwall-dummy-secret"));
    }
    which
}
