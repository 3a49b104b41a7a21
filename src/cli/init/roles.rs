//! What the first client may do: a role to begin with, and what it takes of Asterisk's account.

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Role {
    /// Look at calls and queues, do nothing.
    Wallboard,
    /// Call from its own phone.
    ClickToDial,
    /// Count calls and callers.
    Monitoring,
}

impl Role {
    pub(super) const ALL: [Self; 3] = [Self::Wallboard, Self::ClickToDial, Self::Monitoring];

    /// Its name in the policy and on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Wallboard => "wallboard",
            Self::ClickToDial => "click-to-dial",
            Self::Monitoring => "monitoring",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Its part of the policy; `@CONTEXT@` is filled in.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Wallboard => include_str!("roles/wallboard.yaml"),
            Self::ClickToDial => include_str!("roles/click-to-dial.yaml"),
            Self::Monitoring => include_str!("roles/monitoring.yaml"),
        }
    }

    /// `read` and `write` of amiwall's account.
    pub(super) const fn classes(self) -> (&'static str, &'static str) {
        match self {
            Self::Wallboard => ("read = call,agent", "write = reporting"),
            Self::ClickToDial => ("read = call", "write = originate"),
            Self::Monitoring => ("read =", "write = reporting"),
        }
    }

    /// An action that it may not run, to be tried.
    pub(super) const fn refused(self) -> &'static str {
        match self {
            Self::Wallboard | Self::ClickToDial => "CoreSettings",
            Self::Monitoring => "ListCommands",
        }
    }
}
