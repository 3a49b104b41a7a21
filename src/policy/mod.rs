//! May: the decision point. Pure: no I/O, no clock. One file for each key of the policy file.

mod decision;
pub mod spec;

use crate::ami::{Action, EventMask, Message, Reply};
use crate::identity::ClientName;

pub use decision::{Decision, Denial, Permit, Reason, Refused, RuleId};

/// What every identity may do and see.
#[derive(Debug, Default)]
pub struct Policy {}

impl Policy {
    /// Judges an action. Total: every action of every client gets a decision; what no rule allows is denied.
    /// `Events`, `WaitEvent` and `Logoff`, which amiwall answers itself, need no rule but can be denied by one.
    pub fn decide(&self, _client: &ClientName, _action: Action) -> Decision {
        todo!()
    }

    /// Whether some action of that name (as Asterisk spells it) could be allowed for the client: for `ListCommands`.
    #[must_use]
    pub fn may_ever(&self, _client: &ClientName, _action: &str) -> bool {
        todo!()
    }

    /// What the client may see of what Asterisk sends. Nothing, for an unknown client.
    #[must_use]
    pub fn view(&self, _client: &ClientName) -> std::sync::Arc<View> {
        todo!()
    }
}

/// What one identity may see.
#[derive(Debug)]
pub struct View {}

impl View {
    /// The packet as the client may see it, with its masks applied, or nothing. `is_answer`: it answers an action that
    /// was allowed (then `events.allow` is not asked). `mask`: what the client wishes to see of other events.
    #[must_use]
    pub fn show<'r>(&self, _reply: &'r Reply, _is_answer: bool, _mask: EventMask) -> Option<std::borrow::Cow<'r, Message>> {
        todo!()
    }

    /// The classes that the upstream session has to be subscribed to, so that everything that may be seen arrives.
    #[must_use]
    pub fn classes(&self) -> EventMask {
        todo!()
    }
}

/// The state of all rate limits. It survives reloads.
#[derive(Debug, Default)]
pub struct Buckets {}

impl Buckets {
    /// Charges a decision: `"*"` for every packet, the action's buckets for an allowed one, narrowest first, only when
    /// every bucket has room. An allowed action that finds no room becomes a denial with [`Reason::LimitsRate`].
    pub fn take(&self, _policy: &Policy, _client: &ClientName, _decision: Decision) -> Decision {
        todo!()
    }

    /// Charges a refusal (or another packet that costs no one but us) to the client's own bucket (20/s, burst 100);
    /// says how long to wait before its next packet is read.
    pub fn charge_refusal(&self, _client: &ClientName) -> Option<std::time::Duration> {
        todo!()
    }
}
