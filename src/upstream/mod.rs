//! The other side: one Asterisk session for each client.
//!
//! The only way out is [`Outlet::forward`], which takes nothing but a
//! [`Recorded<Permit>`](crate::audit::Recorded): what has no durable record
//! cannot be sent.

mod connection;
mod correlation;
mod error;
mod identifiers;
mod stream;
mod tracker;

use std::collections::BTreeMap;
use std::time::Duration;

use rustls::pki_types::ServerName;

use crate::secret::Secret;
use crate::tls::ClientTls;

pub use connection::{Connector, Inlet, Outlet};
pub use correlation::{Correlation, Routed, Sent};
pub use error::{TlsFault, UpstreamError};
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

/// How an Asterisk on another machine is spoken to. Its certificate is always verified.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// Whom amiwall believes, and what it shows.
    pub client: ClientTls,
    /// The name or address that Asterisk's certificate has to be for.
    pub name: ServerName<'static>,
}

/// One Asterisk, as the policy file describes it.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Its name in the policy file.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// None: plain text.
    pub tls: Option<UpstreamTls>,
    /// The account for everybody that has none of its own.
    pub login: UpstreamLogin,
    /// Accounts by role or identity name.
    pub logins: BTreeMap<String, UpstreamLogin>,
    /// How long a client is kept when this Asterisk goes away. None: it goes too.
    pub hold: Option<Duration>,
}

impl UpstreamConfig {
    /// Whether a session that was opened under the other one could have been opened under this one.
    fn is_same_place(&self, other: &Self) -> bool {
        let tls = |config: &Self| config.tls.as_ref().map(|tls| (tls.name.clone(), tls.client.files.clone()));
        self.address == other.address && tls(self) == tls(other)
    }

    /// The account for an identity: its own, else that of the first of its roles that has one, else the common one.
    #[must_use]
    pub fn login_for<'a>(&'a self, identity: &str, mut roles: impl Iterator<Item = &'a str>) -> &'a UpstreamLogin {
        let own = self.logins.get(identity);
        own.or_else(|| roles.find_map(|role| self.logins.get(role))).unwrap_or(&self.login)
    }
}
