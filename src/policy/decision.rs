//! [`Decision`]: what is to happen to a packet, with what it needs to happen to it. A [`Permit`] holds the action by
//! value, so what was judged is what is sent; a [`Denial`] always has a [`Reason`].

use std::fmt;
use std::time::Duration;

use crate::ami::{Action, ActionError, Malformed, Message, Violation};

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
    /// Asterisk is away, and its client is kept: `upstream.held`.
    UpstreamHeld,
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
            Self::Limits { what, .. } => what.code().to_owned(),
            Self::Message(violation) => format!("message.{violation}"),
            Self::Params(name) | Self::ParamsDenied(name) => format!("params.{name}"),
            Self::UpstreamHeld => "upstream.held".to_owned(),
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
    /// An administrator has stopped it.
    Paused,
    /// So many in a day of UTC.
    PerDay,
    /// So many in a time.
    Rate,
    /// The identity is suspended.
    Tripped,
}

impl Limited {
    /// The code as it stands in the audit log.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Concurrent => "limits.concurrent",
            Self::Destinations => "limits.distinct_destinations",
            Self::Hours => "limits.hours",
            Self::Paused => "limits.paused",
            Self::PerDay => "limits.per_day",
            Self::Rate => "limits.rate",
            Self::Tripped => "limits.tripped",
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

impl Decision {
    /// How records and tests call it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Allow(Permit { would_deny: None, .. }) => "allow",
            Self::Allow(_) => "would-deny",
            Self::Deny(Denial { reason: Reason::Limits { .. }, .. }) => "limit",
            Self::Deny(_) => "deny",
        }
    }
}

/// An action that may be forwarded, exactly as it stands here.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// As it was judged.
    action: Action,
    rule: RuleId,
    dropped: Vec<String>,
    /// As it is sent, and what of it was set, where a role sets something or a limit needs it.
    sent: Option<Box<(Action, Vec<String>)>>,
    /// What of that is for a limit.
    own: Vec<(&'static str, String)>,
    would_deny: Option<Reason>,
}

impl Permit {
    /// Only [`super::Policy::decide`] mints one.
    pub(super) const fn new(action: Action, rule: RuleId, dropped: Vec<String>) -> Self {
        Self { action, rule, dropped, sent: None, own: Vec::new(), would_deny: None }
    }

    /// What is sent is not quite what was judged.
    pub(super) fn with_sent(mut self, action: Action, set: Vec<String>) -> Self {
        self.sent = Some(Box::new((action, set)));
        self
    }

    /// Only shadow mode lets it pass.
    pub(super) fn in_spite_of(mut self, reason: Reason) -> Self {
        self.would_deny = Some(reason);
        self
    }

    /// What is allowed, exactly as it is to be sent.
    #[must_use]
    pub fn action(&self) -> &Action {
        self.sent.as_ref().map_or(&self.action, |sent| &sent.0)
    }

    /// The names of parameters that amiwall has set.
    #[must_use]
    pub fn set(&self) -> &[String] {
        self.sent.as_ref().map_or(&[], |sent| &sent.1)
    }

    /// Why it would be refused if the identity were not in shadow mode.
    #[must_use]
    pub const fn would_deny(&self) -> Option<&Reason> {
        self.would_deny.as_ref()
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
    pub(super) fn with(mut self, own: Vec<(&'static str, String)>) -> Self {
        if own.is_empty() {
            return self;
        }
        let headers: Vec<(&str, &[u8])> = own.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let names = own.iter().map(|(name, _)| (*name).to_owned());
        let set = self.set().iter().cloned().chain(names).collect();
        self.sent = Some(Box::new((self.action().with(&headers), set)));
        Self { own, ..self }
    }

    /// The action as it was judged, and what a limit has put in.
    pub(super) fn into_judged(self) -> (Action, Vec<(&'static str, String)>) {
        (self.action, self.own)
    }

    /// Gives the action back as it was judged, to be judged anew.
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

    /// When there is room again, if a limit refuses it and knows.
    pub const fn retry(&self) -> Option<Duration> {
        if let Reason::Limits { retry, .. } = &self.reason { *retry } else { None }
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
        Reason::Limits { what, retry: Some(retry), .. } => {
            let why = if *what == Limited::Hours { "Not permitted at this time" } else { "Rate limit exceeded" };
            format!("{why}, retry in {} s", retry.as_millis().div_ceil(1_000).max(1))
        }
        Reason::AuditUnavailable => "Temporarily unavailable, retry later".to_owned(),
        Reason::UpstreamHeld | Reason::UpstreamLost => "Asterisk is not reachable".to_owned(),
        Reason::Message(code) if *code == Violation::TooManyLines.code() => {
            Violation::TooManyLines.message().to_owned()
        }
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
