//! The other side: one Asterisk session for each client.

use std::collections::BTreeMap;

use crate::secret::Secret;

/// One account on Asterisk.
#[derive(Clone, Debug)]
pub struct UpstreamLogin {
    /// `Username`.
    pub username: String,
    /// `Secret`.
    pub secret: Secret,
}

/// One Asterisk, as the policy file describes it.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Its name in the policy file.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// The account for everybody that has none of its own.
    pub login: UpstreamLogin,
    /// Accounts by role or identity name.
    pub logins: BTreeMap<String, UpstreamLogin>,
}
