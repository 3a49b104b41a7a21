//! Who: may this peer be that identity?

use std::net::IpAddr;
use std::sync::Arc;

use crate::ami::Challenge;
use crate::networks::NetworkAcl;
use crate::secret::Secret;
use crate::tls::PeerCertificate;

/// The name of an identity that has authenticated. Minted by [`Verification::finish`] alone (and by tests of policy,
/// through `ClientName::for_explain`), so that nothing is looked up in a policy for a peer that is nobody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientName(Arc<str>);

impl ClientName {
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

/// One secret of an identity.
#[derive(Clone, Debug)]
pub enum StoredSecret {
    /// A PHC string of argon2id.
    Argon2id(String),
    /// The secret itself, which MD5 challenge logins need.
    Recoverable(Secret),
}

/// Which certificate is the identity's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateMatch {
    /// An exact name of the subject alternative name.
    San(String),
    /// SHA-256 of the subject public key info, lower-case hex.
    SpkiSha256(String),
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

/// Why a login was refused; for the record, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it; LoginRefusal::code is what is documented")]
pub enum LoginRefusal {
    Certificate,
    Expired,
    Locked,
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
            Self::Expired => "login.expired",
            Self::Locked => "login.locked",
            Self::Networks => "login.networks",
            Self::Secret => "login.secret",
            Self::Sessions => "login.sessions",
            Self::UnknownIdentity => "login.unknown-identity",
        }
    }
}

/// All identities of one policy.
#[derive(Debug, Default)]
pub struct Identities {}

/// What outlives a reload: remembered secrets, failed logins, session counts.
#[derive(Debug)]
pub struct LoginMemory {}

/// Settings of the lock-out.
#[derive(Clone, Copy, Debug)]
pub struct FailedLogins {
    /// Failures ...
    pub count: u32,
    /// ... in this time ...
    pub per: std::time::Duration,
    /// ... lock out for this time.
    pub lockout: std::time::Duration,
}

/// A login that is being judged. Owned, so that the hashing can be done on another thread.
#[derive(Debug)]
pub struct Verification {}

impl LoginMemory {
    /// Empty.
    #[must_use]
    pub fn new(_failed_logins: FailedLogins) -> Self {
        todo!()
    }

    /// Applies other settings, at a reload.
    pub fn set_failed_logins(&self, _failed_logins: FailedLogins) {
        todo!()
    }

    /// Counts a session of that identity, unless it has `max` already. The count falls when the guard is dropped.
    #[must_use]
    pub fn enter(self: &Arc<Self>, _client: &ClientName, _max: Option<u32>) -> Option<SessionGuard> {
        todo!()
    }

    /// Forgets the remembered secrets of identities that are not the same in `identities` as they were.
    pub fn forget_changed(&self, _identities: &Identities) {
        todo!()
    }
}

/// One counted session.
#[derive(Debug)]
pub struct SessionGuard {}

impl Identities {
    /// Takes the identities; names are unique without case (the configuration has checked it).
    #[must_use]
    pub fn new(_identities: Vec<Identity>) -> Self {
        todo!()
    }

    /// The identity of that name.
    #[must_use]
    pub fn get(&self, _client: &ClientName) -> Option<&Identity> {
        todo!()
    }

    /// Whether some identity may log in by challenge (then `Challenge` is answered).
    #[must_use]
    pub fn any_challenge(&self) -> bool {
        todo!()
    }

    /// Whether a session of `client` from `peer` with `certificate` is still right now; asked again at every reload.
    ///
    /// # Errors
    /// The reason why it is not.
    pub fn recheck(&self, _client: &ClientName, _peer: IpAddr, _certificate: Option<&PeerCertificate>, _now: i64) -> Result<(), LoginRefusal> {
        todo!()
    }

    /// Begins to judge a login. `now` is seconds since the epoch.
    #[must_use]
    pub fn prepare(&self, _memory: &Arc<LoginMemory>, _attempt: &LoginAttempt<'_>, _now: i64) -> Verification {
        todo!()
    }
}

impl Verification {
    /// Whether [`Verification::finish`] computes an argon2 hash, for which a slot is needed.
    #[must_use]
    pub fn needs_hashing(&self) -> bool {
        todo!()
    }

    /// Judges. May take some 30 ms of CPU and 19 MiB where [`Verification::needs_hashing`] says so.
    ///
    /// # Errors
    /// The reason, for the record only.
    pub fn finish(self) -> Result<ClientName, LoginRefusal> {
        todo!()
    }
}
