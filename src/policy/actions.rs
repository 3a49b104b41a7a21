//! The rules of one identity, by action, and the order in which they are asked. Deciding is looking up: nothing is
//! compiled, substituted or allocated for a rule that is only asked.
//!
//! Order: what is never forwarded; what a deny rule names; what needs no rule; what no rule allows; what no rule can
//! allow; then any one allow rule that fits.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use crate::ami::{Action, Limits, Violation};
use crate::catalogue::{self, ActionEntry, Danger};

use super::by_value::ByValue;
use super::decision::{Decision, Denial, Permit, Reason, RuleId};
use super::params::{self, Rule};
use super::set::SetRules;
use super::spec::RoleSpec;
use super::{ClientLimits, View};

/// A session's own event filters cannot be taken away again and cost CPU on every event: never forwarded.
pub(super) const NEVER_FORWARDED: &str = "filter";

/// What amiwall answers itself needs no rule; this stands where the rule would.
static SESSION_RULE: LazyLock<Arc<str>> = LazyLock::new(|| "session".into());

/// The rules about one action.
#[derive(Debug, Default)]
pub(super) struct ActionRules {
    pub(super) allow: Vec<Arc<Rule>>,
    /// Which of them may allow a packet, where there are many.
    pub(super) by_value: Option<Arc<ByValue>>,
    pub(super) deny: Vec<Arc<Rule>>,
    /// What the catalogue or the policy's own declarations know of the action.
    pub(super) entry: Option<&'static ActionEntry>,
    /// Where nobody knows the action: all parameters that the rules name.
    pub(super) names: Vec<String>,
    pub(super) set: SetRules,
}

impl ActionRules {
    /// The first rule that allows an action with these parameters.
    pub(super) fn first_that_allows(&self, params: &[params::Param<'_>]) -> Option<&Arc<Rule>> {
        match &self.by_value {
            Some(by_value) => by_value.first(&self.allow, params),
            None => self.allow.iter().find(|rule| rule.allows(params)),
        }
    }
}

/// What one identity may do.
#[derive(Debug, Default)]
pub(super) struct ClientPolicy {
    /// By the action's name in lower case.
    pub(super) actions: HashMap<String, ActionRules>,
    /// All roles of the identity, those that they include among them.
    pub(super) roles: Vec<Arc<RoleSpec>>,
    pub(super) view: Arc<View>,
    pub(super) limits: ClientLimits,
    pub(super) shadow: Option<Shadow>,
}

/// What an identity in shadow mode may do beyond its rules.
#[derive(Debug)]
pub(super) struct Shadow {
    /// `identities.bob.mode`.
    pub(super) rule: RuleId,
    /// Actions that can run code, in lower case.
    pub(super) also: HashSet<String>,
}

impl Shadow {
    /// Whether a refusal is only noted. What is explicitly denied, could be read in more than one way, or can run code is
    /// refused in shadow mode too; and so is what nobody knows.
    fn lets_pass(&self, reason: &Reason, entry: Option<&'static ActionEntry>, kept: &[params::Param<'_>]) -> bool {
        let is_rule = matches!(reason, Reason::ActionsUnlisted | Reason::Params(_));
        // What a site's own action does that dials is not known.
        let is_own = |entry: &ActionEntry| catalogue::action(&entry.key).is_none();
        let is_grave = |entry: &ActionEntry| match entry.danger {
            Some(Danger::CodeExec) => true,
            Some(Danger::Cost) => is_own(entry),
            _ => false,
        };
        let is_harmless = |entry: &ActionEntry| !is_grave(entry) || self.also.contains(&entry.key);
        is_rule && entry.is_some_and(is_harmless) && params::are_plain(entry, kept)
    }
}

impl ClientPolicy {
    /// Judges an action whose record will have this id.
    pub(super) fn decide(&self, action: Action, record_id: &str) -> Decision {
        if action.key() == NEVER_FORWARDED {
            return deny(action, Reason::ActionsNever, None);
        }
        let rules = self.actions.get(action.key());
        let entry = entry_of(rules, action.key());
        let names = rules.map_or(&[][..], |rules| &rules.names);
        let params::Params { kept, dropped } = params::params(&action, entry, names);
        let (rule, would_deny) = match (judge(rules, entry, &kept), &self.shadow) {
            (Ok(rule), _) => (rule, None),
            (Err((reason, None)), Some(shadow)) if shadow.lets_pass(&reason, entry, &kept) => {
                (shadow.rule.clone(), Some(reason))
            }
            (Err((reason, rule)), _) => return deny(action, reason, rule),
        };
        let action = if dropped.is_empty() {
            action
        } else {
            action.retain(|name| !dropped.iter().any(|other| other.eq_ignore_ascii_case(name)))
        };
        let sent = rules.filter(|rules| !rules.set.is_empty()).map(|rules| rules.set.apply(&action, record_id));
        let mut permit = Permit::new(action, rule, dropped);
        if let Some((sent, set)) = sent {
            permit = permit.with_sent(sent, set);
        }
        if !is_local(entry) && self.lines_at_asterisk(permit.action()) > Limits::CLIENT.lines_max {
            return deny(permit.into_action(), Reason::Message(Violation::TooManyLines.code()), None);
        }
        Decision::Allow(match would_deny {
            None => permit,
            Some(reason) => permit.in_spite_of(reason),
        })
    }

    /// How many lines there are with all that amiwall may still add: its `ActionID`, and the ids of a call that is counted.
    fn lines_at_asterisk(&self, action: &Action) -> usize {
        let is_call = action.key() == "originate" && self.limits.has_concurrent();
        let ids = [("ActionID", true), ("ChannelId", is_call), ("OtherChannelId", is_call)];
        let missing = ids.iter().filter(|(name, is_added)| *is_added && action.message().get(name).is_none());
        action.message().len() + missing.count()
    }

    /// Whether some action of that name could be allowed.
    pub(super) fn may_ever(&self, key: &str) -> bool {
        let rules = self.actions.get(key);
        let is_denied = rules.is_some_and(|rules| rules.deny.iter().any(|rule| rule.params.is_none()));
        let entry = entry_of(rules, key);
        let is_shadowed =
            self.shadow.as_ref().is_some_and(|shadow| shadow.lets_pass(&Reason::ActionsUnlisted, entry, &[]));
        let is_allowed = is_local(entry) || rules.is_some_and(|rules| !rules.allow.is_empty()) || is_shadowed;
        key != NEVER_FORWARDED && is_allowed && !is_denied
    }
}

/// What is known of an action.
pub(super) fn entry_of(rules: Option<&ActionRules>, key: &str) -> Option<&'static ActionEntry> {
    rules.map_or_else(|| catalogue::action(key), |rules| rules.entry)
}

/// Whether amiwall answers the action itself.
fn is_local(entry: Option<&ActionEntry>) -> bool {
    entry.is_some_and(|entry| entry.is_local)
}

/// A refusal for an identity that is not in the policy, or by no rule in particular.
pub(super) fn deny(action: Action, reason: Reason, rule: Option<RuleId>) -> Decision {
    Decision::Deny(Denial::of_action(action, reason, rule))
}

type Outcome = Result<RuleId, (Reason, Option<RuleId>)>;

fn judge(rules: Option<&ActionRules>, entry: Option<&'static ActionEntry>, kept: &[params::Param<'_>]) -> Outcome {
    let (allow, denies) = rules.map_or((&[][..], &[][..]), |rules| (&rules.allow, &rules.deny));
    // A bare deny is the stronger reason, wherever it stands.
    let bare = denies.iter().find(|rule| rule.params.is_none());
    if let Some(rule) = bare.or_else(|| denies.iter().find(|rule| rule.denies(kept))) {
        let named = rule.params.iter().flatten().next().map(|param| param.name.clone());
        return Err((named.map_or(Reason::ActionsDenied, Reason::ParamsDenied), Some(rule.id.clone())));
    }
    if is_local(entry) {
        return Ok(RuleId { path: SESSION_RULE.clone(), line: 0 });
    }
    if allow.is_empty() {
        return Err((Reason::ActionsUnlisted, None));
    }
    if let Some(name) = params::never_allowed(entry, kept) {
        return Err((Reason::Params(name.to_owned()), None));
    }
    if let Some(rule) = rules.and_then(|rules| rules.first_that_allows(kept)) {
        return Ok(rule.id.clone());
    }
    // Only who is refused is told how near he was.
    let closest = allow.iter().filter_map(|rule| rule.misfit(kept)).min();
    Err((closest.map_or(Reason::ActionsUnlisted, |misfit| Reason::Params(misfit.name.to_owned())), None))
}
