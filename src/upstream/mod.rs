//! The other side: one Asterisk session for each client.
//!
//! The only way out is [`Outlet::forward`], which takes nothing but a
//! [`Recorded<Permit>`](crate::audit::Recorded): what has no durable record
//! cannot be sent.

mod connection;
mod correlation;
mod identifiers;
mod tracker;

use std::collections::BTreeMap;

use crate::secret::Secret;

pub use connection::{Connector, Inlet, Outlet, UpstreamError};
pub use correlation::{Correlation, Routed, Sent};
pub use identifiers::{ActionIds, IdPrefix};
pub use tracker::track;

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

impl UpstreamConfig {
    /// The account for an identity: its own, else that of the first of its roles that has one, else the common one.
    #[must_use]
    pub fn login_for<'a>(&'a self, identity: &str, mut roles: impl Iterator<Item = &'a str>) -> &'a UpstreamLogin {
        let own = self.logins.get(identity);
        own.or_else(|| roles.find_map(|role| self.logins.get(role))).unwrap_or(&self.login)
    }
}
