//! [`QuotaState`]: what of the limits survives a restart, as it stands in `checkpoint` records; and [`Past`], what the
//! records behind the last checkpoint add to it.

use serde::{Deserialize, Serialize};

use super::Pause;

/// What of the limits survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaState {
    /// The day of the counts, in days since 1970-01-01.
    pub day: i64,
    /// What was let through in that day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_day: Vec<DayCount>,
    /// What is of one identity.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<ClientQuotas>,
    /// Calls that were not over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<SavedCall>,
    /// Identities that an administrator has locked, in lower case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locked: Vec<String>,
    /// What an administrator has stopped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paused: Vec<Pause>,
    /// When it was saved, in seconds since the epoch.
    pub saved: i64,
}

/// A call that was not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedCall {
    /// Who made it.
    pub identity: String,
    /// Where.
    pub upstream: String,
    /// Its `ChannelId`.
    pub channel: String,
    /// How many seconds before it was let through.
    pub age: u64,
}

/// What of one identity's limits survives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientQuotas {
    /// Whose.
    pub identity: String,
    /// How many seconds before each destination was called last. Which it was is not kept: after a restart a repeated
    /// call counts once more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<u64>,
    /// How many seconds before each refusal was that counts for a `trip`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<u64>,
    /// The prefixes of numbers of which the first call was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub called: Vec<String>,
    /// That it may do nothing for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Suspended>,
}

/// A suspension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// The trip's place in the policy.
    pub limit: String,
    /// For how many seconds more; until it is resumed, if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

/// How many actions were let through in a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCount {
    /// Whose; nobody's for what all identities share.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub identity: String,
    /// The action's name in lower case.
    pub action: String,
    /// How many.
    pub count: u32,
}

impl QuotaState {
    /// Whether there is nothing to keep.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let is_nobody = self.clients.is_empty() && self.locked.is_empty() && self.paused.is_empty();
        is_nobody && self.per_day.is_empty() && self.calls.is_empty()
    }
}

/// What a record behind the last checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// When, in seconds since the epoch.
    pub wall: i64,
    /// The identity; nobody's if it is empty.
    pub identity: String,
    /// What happened.
    pub event: PastEvent,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PastEvent {
    /// An action was let through; its name in lower case.
    Allowed {
        /// The action's name in lower case.
        action: String,
        /// What it dialled, where the record shows it.
        destination: Option<Vec<u8>>,
        /// The upstream and the `ChannelId` of a call.
        call: Option<(String, String)>,
    },
    /// An action was refused for a limit; its name in lower case.
    Refused {
        /// The action's name in lower case.
        action: String,
        /// The limit that had no room, as [`super::Reason::Limits`] tells it.
        limit: String,
    },
    /// The identity was locked, or unlocked.
    Locked(bool),
    /// An action was stopped, or let go on, for the identity or for everybody.
    Paused {
        /// Its name, or `*`.
        action: String,
        /// Whether it was stopped.
        is_on: bool,
    },
    /// The identity was resumed.
    Resumed,
    /// The identity was suspended.
    Tripped {
        /// How.
        suspended: Suspended,
        /// Because of the first call to a number with this prefix.
        first_call: Option<String>,
    },
}
