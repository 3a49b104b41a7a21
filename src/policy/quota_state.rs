//! [`QuotaState`]: what of the limits survives a restart, as it stands in `checkpoint` records; and [`Past`], what the
//! records behind the last checkpoint add to it.

use serde::{Deserialize, Serialize};

/// What of the limits survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaState {
    /// The day of the counts, in days since 1970-01-01.
    pub day: i64,
    /// What was let through in that day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_day: Vec<DayCount>,
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
        self.per_day.is_empty()
    }
}

/// What a record behind the last checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// When, in seconds since the epoch.
    pub wall: i64,
    /// The identity.
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
    },
}
