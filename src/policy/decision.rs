//! [`Decision`]: what is to happen to a packet, with what it needs to happen to it. A [`Permit`] holds the action by
//! value, so what was judged is what is sent; a [`Denial`] always has a [`Reason`].

use std::fmt;
use std::time::Duration;

use crate::ami::{Action, ActionError, Malformed, Message};

/// Where in the policy file a rule stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuleId {
    /// `roles.click-to-dial.allow[0]`.
    pub path: std::sync::Arc<str>,
    /// The line in the policy file, from 1; 0 for a built-in rule.
    pub line: u32,
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

/// Why something was refused: a closed list of stable codes (`docs/reference.md`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Before login there are no actions but the login's: `actions.before-login`.
    ActionsBeforeLogin,
    /// A deny rule names the action: `actions.denied`.
    ActionsDenied,
    /// amiwall never forwards this action (`Filter`): `actions.never`.
    ActionsNever,
    /// No rule allows the action: `actions.unlisted`.
    ActionsUnlisted,
    /// The audit log cannot be written: `audit.unavailable`.
    AuditUnavailable,
    /// A limit has no room: `limits.<what>`. Tells which, and when there is room again.
    Limits {
        /// Which kind of limit.
        what: Limited,
        /// `limits.actions.Originate`, `roles.x.limits.Originate`, `roles.x.limits.*`.
        limit: String,
        /// When to try again, if that is known.
        retry: Option<Duration>,
    },
    /// The packet could not be understood in one way only: `message.<violation>`.
    Message(&'static str),
    /// A parameter is not what any rule allows: `params.<name>`.
    Params(String),
    /// A deny rule names this parameter's value: `params.<name>`, decided by a deny.
    ParamsDenied(String),
    /// Asterisk is not there: `upstream.lost`.
    UpstreamLost,
}

impl Reason {
    /// The code as it stands in the audit log.
    #[must_use]
    pub fn code(&self) -> String {
        match self {
            Self::ActionsBeforeLogin => "actions.before-login".to_owned(),
            Self::ActionsDenied => "actions.denied".to_owned(),
            Self::ActionsNever => "actions.never".to_owned(),
            Self::ActionsUnlisted => "actions.unlisted".to_owned(),
            Self::AuditUnavailable => "audit.unavailable".to_owned(),
            Self::Limits { what, .. } => format!("limits.{}", what.word()),
            Self::Message(violation) => format!("message.{violation}"),
            Self::Params(name) | Self::ParamsDenied(name) => format!("params.{name}"),
            Self::UpstreamLost => "upstream.lost".to_owned(),
        }
    }
}

/// The kinds of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// So many calls at once.
    Concurrent,
    /// So many different destinations in a time.
    Destinations,
    /// Not at this time.
    Hours,
    /// So many in a day of UTC.
    PerDay,
    /// So many in a time.
    Rate,
    /// The identity is suspended.
    Tripped,
}

impl Limited {
    /// What stands behind `limits.` in the code.
    const fn word(self) -> &'static str {
        match self {
            Self::Concurrent => "concurrent",
            Self::Destinations => "distinct_destinations",
            Self::Hours => "hours",
            Self::PerDay => "per_day",
            Self::Rate => "rate",
            Self::Tripped => "tripped",
        }
    }
}

/// What was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// An action.
    Action(Action),
    /// A packet that is not an action: what of it was well formed.
    Packet(Message),
}

/// The outcome of judging one packet.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Forward it.
    Allow(Permit),
    /// Refuse it.
    Deny(Denial),
}

/// An action that may be forwarded, exactly as it stands here.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    action: Action,
    rule: RuleId,
    dropped: Vec<String>,
    /// Headers that amiwall has put in, which no rule has judged.
    own: Vec<(&'static str, String)>,
}

impl Permit {
    /// Only [`super::Policy::decide`] mints one.
    pub(super) const fn new(action: Action, rule: RuleId, dropped: Vec<String>) -> Self {
        Self { action, rule, dropped, own: Vec::new() }
    }

    /// What is allowed.
    #[must_use]
    pub const fn action(&self) -> &Action {
        &self.action
    }

    /// The rule that allows it.
    #[must_use]
    pub const fn rule(&self) -> &RuleId {
        &self.rule
    }

    /// The names of headers that were removed before judging.
    #[must_use]
    pub fn dropped(&self) -> &[String] {
        &self.dropped
    }

    /// The same permit, with headers of amiwall's own: what they stand for is bounded by a limit, not by a rule.
    pub(super) fn with(self, own: Vec<(&'static str, String)>) -> Self {
        let headers: Vec<(&str, &[u8])> = own.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        Self { action: self.action.with(&headers), own, ..self }
    }

    /// The action as it was judged, and what amiwall has put in.
    pub(super) fn into_judged(self) -> (Action, Vec<(&'static str, String)>) {
        let is_own = |name: &str| self.own.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        if self.own.is_empty() { (self.action, self.own) } else { (self.action.retain(|name| !is_own(name)), self.own) }
    }

    /// Gives the action back, to be judged anew.
    #[must_use]
    pub fn into_action(self) -> Action {
        self.action
    }
}

/// A packet that is refused, and why.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    refused: Refused,
    reason: Reason,
    rule: Option<RuleId>,
    message: String,
}

impl Denial {
    /// A refused action. The client is told Asterisk's own `Permission denied`, or when to come again.
    pub(super) fn of_action(action: Action, reason: Reason, rule: Option<RuleId>) -> Self {
        let message = client_message(&reason);
        Self { refused: Refused::Action(action), reason, rule, message }
    }

    /// A packet that the decoder refused.
    pub fn of_malformed(malformed: Malformed) -> Self {
        let Malformed { violation, partial, .. } = malformed;
        // Asterisk looks for the action first, and says so first (manager.c, `process_message`).
        let has_action = partial.get("Action").is_some_and(|name| !name.is_empty());
        let is_about_length = violation.message().starts_with("Too many") || violation.code() == "line-too-long";
        let message =
            if has_action || is_about_length { violation.message() } else { ActionError::MissingAction.message() };
        Self {
            refused: Refused::Packet(partial),
            reason: Reason::Message(violation.code()),
            rule: None,
            message: message.to_owned(),
        }
    }

    /// A message that is not an action.
    pub fn of_message(error: &ActionError, message: Message) -> Self {
        Self {
            refused: Refused::Packet(message),
            reason: Reason::Message(error.code()),
            rule: None,
            message: error.message().to_owned(),
        }
    }

    /// An action before login: Asterisk's own refusal, whatever it is (manager.c, `process_message`).
    pub fn before_login(action: Action) -> Self {
        Self::of_action(action, Reason::ActionsBeforeLogin, None)
    }

    /// An allowed action that cannot be forwarded after all: the audit log or Asterisk is not there.
    pub fn of_unavailable(action: Action, reason: Reason) -> Self {
        Self::of_action(action, reason, None)
    }

    /// What was refused.
    #[must_use]
    pub const fn refused(&self) -> &Refused {
        &self.refused
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The rule that decided, where one did.
    #[must_use]
    pub const fn rule(&self) -> Option<&RuleId> {
        self.rule.as_ref()
    }

    /// What the client is told in `Message:`.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The client's `ActionID`, for the answer.
    #[must_use]
    pub fn action_id(&self) -> Option<&[u8]> {
        let message = match &self.refused {
            Refused::Action(action) => action.message(),
            Refused::Packet(message) => message,
        };
        message.get("ActionID").filter(|id| !id.is_empty())
    }
}

fn client_message(reason: &Reason) -> String {
    match reason {
        Reason::Limits { retry: Some(retry), .. } => {
            format!("Rate limit exceeded, retry in {} s", retry.as_millis().div_ceil(1_000).max(1))
        }
        Reason::AuditUnavailable => "Temporarily unavailable, retry later".to_owned(),
        Reason::UpstreamLost => "Asterisk is not reachable".to_owned(),
        Reason::ActionsBeforeLogin
        | Reason::ActionsDenied
        | Reason::ActionsNever
        | Reason::ActionsUnlisted
        | Reason::Limits { retry: None, .. }
        | Reason::Message(_)
        | Reason::Params(_)
        | Reason::ParamsDenied(_) => "Permission denied".to_owned(),
    }
}
