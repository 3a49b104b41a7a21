//! [`Frame`]: what the records of a session's packets repeat, made into their bytes once.

use std::ops::Deref;

use super::draft::SessionContext;
use super::json;

/// The context of a session, and how it stands in the records of its packets.
#[derive(Clone, Debug)]
pub struct Frame {
    context: SessionContext,
    session: Box<[u8]>,
    peers: Box<[u8]>,
    policy: Box<[u8]>,
}

impl From<SessionContext> for Frame {
    fn from(context: SessionContext) -> Self {
        let bytes = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            out.into_boxed_slice()
        };
        let session = bytes(&|out| json::text_if_any(out, "session", &context.session));
        let peers = bytes(&|out| context.encode_peers(out));
        let policy = bytes(&|out| json::text_if_any(out, "policy", &context.policy));
        Self { context, session, peers, policy }
    }
}

impl Deref for Frame {
    type Target = SessionContext;

    fn deref(&self) -> &SessionContext {
        &self.context
    }
}

impl Frame {
    /// The same session under another policy, of that digest.
    #[must_use]
    pub fn under(&self, policy: &str) -> Self {
        Self::from(SessionContext { policy: policy.to_owned(), ..self.context.clone() })
    }

    /// The member `session`.
    pub(super) const fn session(&self) -> &[u8] {
        &self.session
    }

    /// The members that say who talks to whom.
    pub(super) const fn peers(&self) -> &[u8] {
        &self.peers
    }

    /// The member `policy`.
    pub(super) const fn policy(&self) -> &[u8] {
        &self.policy
    }
}
