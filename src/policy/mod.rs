//! May: the decision point. Pure: no I/O, no clock. One file for each key of the policy file.

mod actions;
mod alike;
mod bind;
mod bucket;
mod buckets;
mod by_value;
mod caller_id;
mod calls;
mod charge;
mod client_state;
mod command;
mod compile;
mod days;
mod dead;
mod decision;
mod explain;
mod followed;
mod hours;
mod include;
mod limits;
mod mask;
mod originate;
mod params;
pub mod pattern;
mod pauses;
mod prefixes;
mod quota;
mod quota_state;
mod report;
mod scope;
mod set;
pub mod spec;
#[cfg(test)]
mod tests;
mod tracking;
mod trip;
mod value;
mod variables;
mod view;
mod window;

use std::collections::HashMap;
use std::sync::Arc;

use crate::ami::Action;
use crate::catalogue;
use crate::identity::ClientName;

pub use buckets::{Asking, Buckets};
pub use calls::LiveChannel;
pub use decision::{Decision, Denial, Limited, Permit, Reason, Refused, RuleId};
pub use explain::{Considered, Difference, Effect, Explanation, Mismatch, Told, Verdict};
pub use followed::Followed;
pub use limits::{ClientLimits, SharedLimits};
pub use pauses::{Pause, Pauses};
pub use quota::{Quota, QuotaError};
pub use quota_state::{ClientQuotas, DayCount, Past, PastEvent, QuotaState, SavedCall, Suspended};
pub use tracking::Asked;
pub use trip::Tripped;
pub use view::View;

// How a value is read, for who proposes rules and who looks at them.
pub(crate) use bind::probe;
pub(crate) use caller_id::CallerId;
pub(crate) use originate::{is_boolean, is_integer, needs_exact};
pub(crate) use variables::{elements, split_value};

/// What an Originate with these headers dials.
pub fn destination<'v>(value: impl Fn(&str) -> Option<&'v [u8]>) -> Vec<u8> {
    window::destination(value)
}

/// What every identity may do and see.
#[derive(Debug, Default)]
pub struct Policy {
    /// By the identity's name as the policy spells it.
    clients: HashMap<Arc<str>, actions::ClientPolicy>,
    shared_limits: SharedLimits,
    no_limits: ClientLimits,
}

impl Policy {
    /// Judges an action. Total: every action of every client gets a decision; what no rule allows is denied.
    /// `Events`, `WaitEvent` and `Logoff`, which amiwall answers itself, need no rule but can be denied by one.
    /// `record_id` is what the action's record will be called: a role may have it put into the action.
    pub fn decide(&self, client: &ClientName, action: Action, record_id: &str) -> Decision {
        match self.client(client) {
            Some(rules) => rules.decide(action, record_id),
            None => actions::deny(action, Reason::ActionsUnlisted, None),
        }
    }

    /// Judges again what another policy has allowed. What amiwall itself has put into it stays, unjudged, as it was.
    pub fn decide_anew(&self, client: &ClientName, permit: Permit, record_id: &str) -> Decision {
        let (action, own) = permit.into_judged();
        match self.decide(client, action, record_id) {
            Decision::Allow(permit) => Decision::Allow(permit.with(own)),
            Decision::Deny(denial) => Decision::Deny(denial),
        }
    }

    /// Whether some action of that name (as Asterisk spells it) could be allowed for the client: for `ListCommands`.
    #[must_use]
    pub fn may_ever(&self, client: &ClientName, action: &str) -> bool {
        self.client(client).is_some_and(|rules| rules.may_ever(&action.to_ascii_lowercase()))
    }

    /// The action of that name as Asterisk spells it, if there is one: of the catalogue, or of a rule. Else the one that may
    /// be meant.
    ///
    /// # Errors
    /// If nobody knows it.
    pub fn action_named(&self, name: &str) -> Result<String, Option<&'static str>> {
        let key = name.to_ascii_lowercase();
        if let Some(entry) = catalogue::action(&key) {
            return Ok(entry.name.to_owned());
        }
        let rules = self.clients.values().find_map(|client| client.actions.get(&key));
        let name = rules.map(|rules| rules.entry.map_or(name, |entry| entry.name).to_owned());
        name.ok_or_else(|| catalogue::nearest_action(&key))
    }

    fn client(&self, client: &ClientName) -> Option<&actions::ClientPolicy> {
        self.clients.get(client.as_str())
    }

    /// All identities, with their limits.
    pub fn clients(&self) -> impl Iterator<Item = (ClientName, &ClientLimits)> {
        self.clients.iter().map(|(name, client)| (ClientName::for_explain(name), &client.limits))
    }

    /// How often the client may do what it may do. An unknown client may do nothing, however seldom.
    #[must_use]
    pub fn limits(&self, client: &ClientName) -> &ClientLimits {
        self.client(client).map_or(&self.no_limits, |client| &client.limits)
    }

    /// `limits.actions`, shared by all clients.
    #[must_use]
    pub const fn shared_limits(&self) -> &SharedLimits {
        &self.shared_limits
    }

    /// Whether any limit of it survives a restart.
    #[must_use]
    pub fn has_quotas(&self) -> bool {
        let own = self.clients.values().flat_map(|client| client.limits.all());
        let has_trips = self.clients.values().any(|client| !client.limits.trips().is_empty());
        has_trips || limits::has_quota(own.chain(self.shared_limits.all()))
    }

    /// Whether calls have to be watched at the upstreams.
    #[must_use]
    pub fn has_concurrent(&self) -> bool {
        self.clients.values().any(|client| client.limits.has_concurrent())
    }

    /// Whether a quota that survives a restart counts the client's actions of that name (in lower case).
    #[must_use]
    pub fn is_counted(&self, client: &ClientName, action: &str) -> bool {
        let own = self.limits(client).of_action(action);
        limits::has_quota(own.iter().chain(self.shared_limits.of_action(action)))
    }

    /// Every rule that some identity has, in the order of the file.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleId> {
        let rules = self.clients.values().flat_map(|client| client.actions.values());
        let mut rules: Vec<RuleId> =
            rules.flat_map(|rules| rules.deny.iter().chain(&rules.allow)).map(|rule| rule.id.clone()).collect();
        rules.sort_unstable_by(|a, b| (a.line, &a.path).cmp(&(b.line, &b.path)));
        rules.dedup();
        rules
    }

    /// Names of actions, in lower case, that rules of the client name and the catalogue does not. None: there is no such
    /// client.
    #[must_use]
    pub fn own_actions(&self, client: &ClientName) -> Option<Vec<String>> {
        let names = self.client(client)?.actions.keys();
        Some(names.filter(|key| catalogue::action(key).is_none()).cloned().collect())
    }

    /// The names of the client's roles, those that they include among them.
    pub fn roles<'p>(&'p self, client: &ClientName) -> impl Iterator<Item = &'p str> + use<'p> {
        let roles = self.client(client).map_or(&[][..], |client| &client.roles);
        roles.iter().map(|role| role.name.text.as_str())
    }

    /// What the client may see of what Asterisk sends. Nothing but answers, for an unknown client.
    #[must_use]
    pub fn view(&self, client: &ClientName) -> Arc<View> {
        self.client(client).map_or_else(Arc::default, |client| client.view.clone())
    }
}
