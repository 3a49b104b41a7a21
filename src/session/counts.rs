//! What a session counts of its packets (`metrics`).

use std::sync::Arc;

use super::Live;
use crate::catalogue::{self, ActionEntry};
use crate::metrics::{ActionNumber, Metrics, Outcome};
use crate::policy::{Denial, Permit, Reason, Refused};

/// Of the actions of the catalogue.
#[must_use]
pub fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(catalogue::actions().map(|entry| entry.name)))
}

impl Live {
    /// Counts what is forwarded, or answered by amiwall. `entry` is that of the catalogue.
    pub(super) fn count_permit(&self, permit: &Permit, entry: Option<&ActionEntry>) {
        let outcome = if permit.would_deny().is_some() { Outcome::WouldDeny } else { Outcome::Allow };
        self.counts.count(number_of(permit.action().key(), entry), outcome);
    }

    /// Counts what is refused.
    pub(super) fn count_denial(&self, denial: &Denial) {
        let outcome = match denial.reason() {
            Reason::Limits { what, .. } => {
                self.counts.limits.count(what.code());
                Outcome::Limit
            }
            Reason::AuditUnavailable => Outcome::Unrecorded,
            Reason::ActionsBeforeLogin
            | Reason::ActionsDenied
            | Reason::ActionsNever
            | Reason::ActionsUnlisted
            | Reason::Message(_)
            | Reason::Params(_)
            | Reason::ParamsDenied(_)
            | Reason::UpstreamHeld
            | Reason::UpstreamLost => Outcome::Deny,
        };
        let number = match denial.refused() {
            Refused::Action(action) => number_of(action.key(), catalogue::action(action.key())),
            Refused::Packet(_) => ActionNumber::Malformed,
        };
        self.counts.count(number, outcome);
    }
}

fn number_of<'k>(key: &'k str, entry: Option<&ActionEntry>) -> ActionNumber<'k> {
    entry.and_then(|entry| entry.number).map_or(ActionNumber::Unknown(key), ActionNumber::Known)
}
