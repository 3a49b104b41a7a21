//! [`Snapshot`]: what is in force. A reload puts another one in its place.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::Identities;
use crate::networks::NetworkAcl;
use crate::policy::Policy;
use crate::tls::{ClientCertificates, PeerCertificate};
use crate::upstream::Connector;

/// Everything that a reload changes, as one value.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts reloads.
    pub generation: u64,
    /// What may be done.
    pub policy: Arc<Policy>,
    /// Who may do it.
    pub identities: Arc<Identities>,
    /// `sha256:…` of the policy file.
    pub digest: String,
    /// What each listener asks of a connection, by its address in the policy file. A listener that is gone is not here.
    pub listeners: HashMap<String, Entrance>,
    /// Each Asterisk of the policy, by its name.
    pub upstreams: BTreeMap<String, Arc<Connector>>,
    /// From accept to a successful login.
    pub login_timeout: Duration,
    /// From the first byte of a packet to its end, after login.
    pub packet_timeout: Duration,
}

/// What a listener asks of a connection before the login, and as long as it lasts.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// Who may connect.
    pub networks: NetworkAcl,
    /// Whom it believes who the peer is.
    pub proxies: Option<NetworkAcl>,
    /// Which client certificates it lets in; None: it asks for none.
    pub certificates: Option<ClientCertificates>,
}

impl Entrance {
    pub(super) fn allows(&self, peer: IpAddr, proxy: Option<IpAddr>) -> bool {
        let is_believed = |proxy| self.proxies.as_ref().is_some_and(|proxies| proxies.allows(proxy));
        self.networks.allows(peer) && proxy.is_none_or(is_believed)
    }

    /// Verifies what the handshake verified once more.
    pub(super) fn check(&self, certificate: &PeerCertificate) -> Result<(), &'static str> {
        let certificates = self.certificates.as_ref().ok_or("tls.certificate-unknown-ca")?;
        certificates.check(certificate)
    }
}
