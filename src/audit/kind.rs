//! [`Kind`]: the closed list of what a record can be about.

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A packet from a client, with the decision on it.
    Action,
    /// Somebody who runs amiwall told it something.
    Admin,
    /// How long the chain was and where it ended, signed where there is a key; some hold the state of quotas too.
    Checkpoint,
    /// Somebody set the machine's clock.
    Clock,
    /// A connection was accepted.
    Connect,
    /// A session ended.
    End,
    /// A packet from Asterisk that is an event.
    Event,
    /// A limit was reached by something other than an action.
    Limit,
    /// An attempt to log in, with its outcome.
    Login,
    /// The log could not be written for a while, or Asterisk was away from a session that was kept for it.
    Outage,
    /// A policy was loaded, or failed to.
    Policy,
    /// Old segments were taken out, as the policy says.
    Prune,
    /// The log was made whole after a crash or a failed sync.
    Recovery,
    /// A connection was refused.
    Refuse,
    /// A packet to a client that is not an event.
    Response,
    /// amiwall started.
    Start,
    /// amiwall stopped in good order.
    Stop,
}

impl Kind {
    /// The word in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Admin => "admin",
            Self::Checkpoint => "checkpoint",
            Self::Clock => "clock",
            Self::Connect => "connect",
            Self::End => "end",
            Self::Event => "event",
            Self::Limit => "limit",
            Self::Login => "login",
            Self::Outage => "outage",
            Self::Policy => "policy",
            Self::Prune => "prune",
            Self::Recovery => "recovery",
            Self::Refuse => "refuse",
            Self::Response => "response",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}
