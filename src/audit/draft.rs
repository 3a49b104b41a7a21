//! [`Draft`]: a record before it has its place in the chain.

use std::net::SocketAddr;

use crate::ami::Message;

/// What every record of a session repeats.
#[derive(Clone, Debug, Default)]
pub struct SessionContext {
    /// `<boot id>-<seq of its connect record>`.
    pub session: String,
    /// The identity, after login.
    pub identity: Option<String>,
    /// The client's address.
    pub peer: Option<SocketAddr>,
    /// The listener's address as the policy spells it.
    pub listener: String,
    /// The upstream's name.
    pub upstream: String,
    /// The digest of the policy in force: `sha256:…`.
    pub policy: String,
}

/// A record before it has its seq, time and hash.
#[derive(Debug)]
pub struct Draft {}

impl Draft {
    /// A packet from Asterisk that is passed to the client (`response` or `event`). `id` joins it to an action.
    #[must_use]
    pub fn reply(_session: &SessionContext, _id: Option<&str>, _message: &Message, _latency_us: Option<u64>) -> Self {
        todo!()
    }
}
