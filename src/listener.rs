//! Accepting connections: permit before accept, network list, handshake in the session's own task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::networks::NetworkAcl;

/// How a listener speaks.
#[derive(Clone, Debug)]
pub enum Transport {
    /// TLS.
    Tls(Arc<rustls::ServerConfig>),
    /// Plain text, on loopback or because the policy says so.
    Plaintext,
}

/// One listener, as the policy file describes it.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it speaks.
    pub transport: Transport,
    /// Who may connect.
    pub networks: NetworkAcl,
    /// The upstream of its clients.
    pub upstream: String,
}

/// `limits:` of the whole proxy, but for rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once.
    pub connections: u32,
    /// Connections at once from one address (IPv6: /64).
    pub connections_per_address: u32,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From accept to a successful login.
    pub login_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            connections_per_address: 50,
            handshake_timeout: Duration::from_secs(10),
            login_timeout: Duration::from_secs(30),
        }
    }
}
