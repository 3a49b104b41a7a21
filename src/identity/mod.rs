//! Who: may this peer be that identity?
//!
//! Unknown name, wrong secret, wrong address, expired: each does the same work and ends in a [`LoginRefusal`] that is for the
//! record only. [`Identities::prepare`] looks everything up, [`Verification::finish`] does the hashing (on another thread)
//! and decides; it alone mints a [`ClientName`].

mod locks;
mod memory;
mod secrets;
mod verification;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::ami::Challenge;
use crate::networks::NetworkAcl;
use crate::tls::PeerCertificate;

pub use locks::Locks;
pub use memory::{FailedLogins, LoginMemory, SessionGuard};
pub use secrets::{Argon2idLine, HashError, StoredSecret, hash_secret};
pub use verification::Verification;

/// The longest name that Asterisk compares (manager.c, `username[80]`).
const NAME_LEN_MAX: usize = 79;

/// The name under which all names that nobody has are counted. No Login can carry it, and it is as long as a name.
const NOBODY: &str = "\nnobody";

/// The name of an identity that has authenticated. Minted by [`Verification::finish`] alone (and for `explain` and the
/// policy's tests, which judge without a client), so that nothing is looked up in a policy for a peer that is nobody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientName(Arc<str>);

impl ClientName {
    fn of(identity: &Identity) -> Self {
        Self(identity.name.as_str().into())
    }

    /// The name as the policy spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name for `explain`, `test` and the policy's own tests, which judge without a client.
    #[must_use]
    pub fn for_explain(name: &str) -> Self {
        Self(name.into())
    }
}

/// Which certificate is the identity's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateMatch {
    /// An exact name of the subject alternative name.
    San(String),
    /// SHA-256 of the subject public key info, lower-case hex.
    SpkiSha256(String),
}

impl CertificateMatch {
    /// Whether the certificate is the one that is meant. Names are whole names: no wildcards, no CN.
    fn matches(&self, certificate: &PeerCertificate) -> bool {
        match self {
            // DNS names have no letter case, e-mail addresses and URIs have.
            Self::San(wanted) if !wanted.contains([':', '@']) => {
                certificate.names.iter().any(|name| name.eq_ignore_ascii_case(wanted))
            }
            Self::San(wanted) => certificate.names.contains(wanted),
            Self::SpkiSha256(wanted) => certificate.spki_sha256 == *wanted,
        }
    }
}

/// What the policy says about one identity.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its secrets, any of which is right. None where a certificate alone is enough.
    pub secrets: Vec<StoredSecret>,
    /// Whether MD5 challenge logins are accepted; needs a recoverable secret.
    pub challenge: bool,
    /// The certificate that is needed, alone or with a secret.
    pub certificate: Option<CertificateMatch>,
    /// From where.
    pub networks: NetworkAcl,
    /// Valid from (seconds since the epoch).
    pub valid_from: Option<i64>,
    /// Valid until (seconds since the epoch, exclusive).
    pub valid_until: Option<i64>,
    /// Sessions at once.
    pub sessions_max: Option<u32>,
    /// The upstream that its clients go to, whichever listener they came through.
    pub upstream: Option<String>,
}

impl Identity {
    /// One who has these secrets, and no other condition.
    #[must_use]
    pub fn new(name: String, secrets: Vec<StoredSecret>) -> Self {
        Self {
            name,
            secrets,
            challenge: false,
            certificate: None,
            networks: NetworkAcl::default(),
            valid_from: None,
            valid_until: None,
            sessions_max: None,
            upstream: None,
        }
    }

    /// Everything but the secret.
    fn check(&self, peer: IpAddr, certificate: Option<&PeerCertificate>, now: i64) -> Result<(), LoginRefusal> {
        if !self.networks.allows(peer) {
            return Err(LoginRefusal::Networks);
        }
        if self.valid_from.is_some_and(|from| now < from) || self.valid_until.is_some_and(|until| now >= until) {
            return Err(LoginRefusal::Expired);
        }
        // The handshake refuses an expired one whoever shows it; a session does not outlive that.
        if certificate.is_some_and(|certificate| now > certificate.not_after) {
            return Err(LoginRefusal::Certificate);
        }
        match (&self.certificate, certificate) {
            (None, _) => Ok(()),
            (Some(wanted), Some(certificate)) if wanted.matches(certificate) => Ok(()),
            (Some(_), _) => Err(LoginRefusal::Certificate),
        }
    }
}

/// What a client said in its Login.
#[derive(Debug)]
pub struct LoginAttempt<'a> {
    /// `Username`.
    pub username: Option<&'a [u8]>,
    /// `Secret`.
    pub secret: Option<&'a [u8]>,
    /// `AuthType: MD5` (any case) was given; then `Secret` is ignored.
    pub is_md5: bool,
    /// `Key`.
    pub key: Option<&'a [u8]>,
    /// The challenge of this connection, if one was asked for.
    pub challenge: Option<&'a Challenge>,
    /// From where.
    pub peer: IpAddr,
    /// With which certificate.
    pub certificate: Option<&'a PeerCertificate>,
}

/// Both clocks: validity is of the wall clock, lock-outs are of the one that never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Seconds since the epoch.
    pub wall: i64,
    /// The monotonic clock.
    pub monotonic: Instant,
}

impl Now {
    /// Reads both.
    #[must_use]
    pub fn read() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), monotonic: Instant::now() }
    }
}

/// Why a login was refused; for the record, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it; LoginRefusal::code is what is documented")]
pub enum LoginRefusal {
    Certificate,
    Connections,
    ConnectionsPerAddress,
    Expired,
    Locked,
    LockedByAdmin,
    Networks,
    Secret,
    Sessions,
    UnknownIdentity,
}

impl LoginRefusal {
    /// The stable reason code of the audit log.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Certificate => "login.certificate",
            Self::Connections => "limits.connections",
            Self::ConnectionsPerAddress => "limits.connections_per_address",
            Self::Expired => "login.expired",
            Self::Locked => "login.locked",
            Self::LockedByAdmin => "login.locked-by-admin",
            Self::Networks => "login.networks",
            Self::Secret => "login.secret",
            Self::Sessions => "login.sessions",
            Self::UnknownIdentity => "login.unknown-identity",
        }
    }
}

/// All identities of one policy.
#[derive(Debug)]
pub struct Identities {
    /// By name in lower case: Asterisk compares user names without case.
    by_name: HashMap<String, Arc<Identity>>,
    /// Stands for every name that is not there, so that the same is done with it.
    nobody: Arc<Identity>,
    /// The work that every plain login does.
    work: secrets::Work,
}

impl Default for Identities {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Identities {
    /// Takes the identities; names are unique without case (the configuration has checked it).
    #[must_use]
    pub fn new(identities: Vec<Identity>) -> Self {
        let work = secrets::Work::of(&identities);
        let by_name =
            identities.into_iter().map(|identity| (identity.name.to_ascii_lowercase(), Arc::new(identity))).collect();
        Self { by_name, nobody: Arc::new(Identity::new(NOBODY.to_owned(), Vec::new())), work }
    }

    /// The identity of that name.
    #[must_use]
    pub fn get(&self, client: &ClientName) -> Option<&Identity> {
        self.by_name.get(&client.as_str().to_ascii_lowercase()).map(Arc::as_ref)
    }

    /// Whether there is an identity of the name that a login claims.
    #[must_use]
    pub fn has(&self, username: &[u8]) -> bool {
        self.find(Some(username)).is_some()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Identity> {
        self.by_name.values().map(Arc::as_ref)
    }

    fn find(&self, username: Option<&[u8]>) -> Option<&Arc<Identity>> {
        let username = std::str::from_utf8(username?).ok().filter(|name| name.len() <= NAME_LEN_MAX)?;
        self.by_name.get(&username.to_ascii_lowercase())
    }

    /// Whether some identity may log in by challenge (then `Challenge` is answered).
    #[must_use]
    pub fn any_challenge(&self) -> bool {
        self.by_name.values().any(|identity| identity.challenge)
    }

    /// Whether a session of `client` from `peer` with `certificate` is still right now; asked again at every reload.
    ///
    /// # Errors
    /// The reason why it is not.
    pub fn recheck(
        &self,
        client: &ClientName,
        peer: IpAddr,
        certificate: Option<&PeerCertificate>,
        now: Now,
    ) -> Result<(), LoginRefusal> {
        let identity = self.get(client).ok_or(LoginRefusal::UnknownIdentity)?;
        identity.check(peer, certificate, now.wall)
    }

    /// When a session of `client` with `certificate` is over if nothing else changes, in seconds since the epoch.
    #[must_use]
    pub fn valid_until(&self, client: &ClientName, certificate: Option<&PeerCertificate>) -> Option<i64> {
        let identity = self.get(client).and_then(|identity| identity.valid_until);
        let certificate = certificate.map(|certificate| certificate.not_after.saturating_add(1));
        identity.into_iter().chain(certificate).min()
    }

    /// Begins to judge a login.
    #[must_use]
    pub fn prepare(&self, memory: &Arc<LoginMemory>, attempt: &LoginAttempt<'_>, now: Now) -> Verification {
        let found = self.find(attempt.username);
        let identity = (found.unwrap_or(&self.nobody), found.is_some());
        Verification::new(identity, &self.work, memory, attempt, now)
    }
}

#[cfg(test)]
mod tests;
