//! [`Days`]: what was let through in the current day of UTC, for `per_day`.
//!
//! The day is the wall clock's, but never an earlier one than was seen: a clock that is set back gives nobody a quota
//! twice. What is counted is the identity's action, not the limit, so that neither a reload that moves or changes a limit
//! nor a second role gives more. Actions of the whole proxy are counted under the empty name, which no identity has.

use std::collections::BTreeMap;
use std::time::Duration;

use super::quota_state::{DayCount, QuotaState};
use super::window::Millis;

const DAY_SECONDS: i64 = 86_400;
/// A clock that has been behind for so long is believed: it was ahead before. What was counted stays counted.
const BELIEVED_AFTER: Millis = 86_400_000;

/// The counts of one day.
#[derive(Debug, Default)]
pub(super) struct Days {
    /// Days since 1970-01-01.
    day: Option<i64>,
    /// Since when, by the steady clock, the wall clock shows an earlier day.
    behind_since: Option<Millis>,
    /// By identity and the action's name in lower case.
    counts: BTreeMap<(String, String), u32>,
}

impl Days {
    /// Begins the day of this time, if it is a later one.
    pub(super) fn open(&mut self, wall: i64, steady: Millis) {
        let today = wall.div_euclid(DAY_SECONDS);
        let Some(day) = self.day else {
            self.day = Some(today);
            return;
        };
        if today >= day {
            self.behind_since = None;
            if today > day {
                self.day = Some(today);
                self.counts.clear();
            }
        } else if steady.saturating_sub(*self.behind_since.get_or_insert(steady)) >= BELIEVED_AFTER {
            self.behind_since = None;
            self.day = Some(today);
        }
    }

    /// How many were let through today.
    pub(super) fn count(&self, identity: &str, action: &str) -> u32 {
        self.counts.get(&(identity.to_owned(), action.to_owned())).copied().unwrap_or_default()
    }

    /// One more was.
    pub(super) fn add(&mut self, identity: &str, action: &str) {
        let count = self.counts.entry((identity.to_owned(), action.to_owned())).or_default();
        *count = count.saturating_add(1);
    }

    /// Until the next day begins.
    pub(super) fn until_next(&self, wall: i64) -> Duration {
        let next = self.day.map_or(wall, |day| day.saturating_add(1).saturating_mul(DAY_SECONDS));
        Duration::from_secs(u64::try_from(next.saturating_sub(wall)).unwrap_or_default())
    }

    pub(super) fn save(&self, state: &mut QuotaState) {
        state.day = self.day.unwrap_or_default();
        let counts = self.counts.iter();
        state.per_day = counts
            .map(|((identity, action), count)| DayCount {
                identity: identity.clone(),
                action: action.clone(),
                count: *count,
            })
            .collect();
    }

    pub(super) fn restore(&mut self, state: &QuotaState) {
        self.day = Some(state.day);
        let counts = state.per_day.iter();
        self.counts = counts.map(|count| ((count.identity.clone(), count.action.clone()), count.count)).collect();
    }
}
