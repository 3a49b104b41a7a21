//! [`Pauses`]: the actions that an administrator has stopped, for everybody or for one identity. As a lock, a pause is no part
//! of the policy: it is put on in a hurry, outlives reloads and restarts, and is taken off by an administrator alone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Decision, Denial, Limited, Reason};
use crate::identity::ClientName;

/// The name that stands for every action.
const EVERY: &str = "*";
/// Going is always right.
const NEVER_PAUSED: &str = "logoff";

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The action's name, or `*`.
    pub action: String,
    /// Whose; everybody's if it is empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub identity: String,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, identity } = self;
        if identity.is_empty() { write!(f, "pause {action}") } else { write!(f, "pause {action} of {identity}") }
    }
}

impl Pause {
    /// Neither has letter case.
    fn key(&self) -> (String, String) {
        (self.action.to_ascii_lowercase(), self.identity.to_ascii_lowercase())
    }
}

/// What is paused.
#[derive(Debug, Default)]
pub struct Pauses {
    all: Mutex<BTreeMap<(String, String), Pause>>,
    /// Whether it is worth to look.
    is_any: AtomicBool,
    /// One more with every change.
    version: AtomicU64,
}

impl Pauses {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Pause>> {
        // The map is whole at any time.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts one on, or takes it off; whether that changes anything.
    pub fn set(&self, pause: &Pause, is_on: bool) -> bool {
        let mut all = self.lock();
        let is_new =
            if is_on { all.insert(pause.key(), pause.clone()).is_none() } else { all.remove(&pause.key()).is_some() };
        self.is_any.store(!all.is_empty(), Ordering::SeqCst);
        self.version.fetch_add(1, Ordering::SeqCst);
        is_new
    }

    /// Exactly this one, as it is spelled, if it is on.
    #[must_use]
    pub fn find(&self, pause: &Pause) -> Option<Pause> {
        self.lock().get(&pause.key()).cloned()
    }

    /// Those that are on, by action.
    #[must_use]
    pub fn all(&self) -> Vec<Pause> {
        self.lock().values().cloned().collect()
    }

    /// Another number whenever they have changed: what was judged before is to be judged again.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Refuses what is allowed and paused.
    pub fn judge(&self, client: &ClientName, decision: Decision) -> Decision {
        if !self.is_any.load(Ordering::SeqCst) {
            return decision;
        }
        match decision {
            Decision::Allow(permit) => match self.of(permit.action().key(), client) {
                Some(pause) => {
                    let reason = Reason::Limits { what: Limited::Paused, limit: pause.to_string(), retry: None };
                    Decision::Deny(Denial::of_action(permit.into_action(), reason, None))
                }
                None => Decision::Allow(permit),
            },
            Decision::Deny(denial) => Decision::Deny(denial),
        }
    }

    /// The pause that stops an action (its name in lower case) of an identity.
    fn of(&self, action: &str, client: &ClientName) -> Option<Pause> {
        if action == NEVER_PAUSED {
            return None;
        }
        let (all, identity) = (self.lock(), client.as_str().to_ascii_lowercase());
        let keys = [(action, ""), (EVERY, ""), (action, identity.as_str()), (EVERY, identity.as_str())];
        keys.into_iter().find_map(|(action, whose)| all.get(&(action.to_owned(), whose.to_owned())).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::act;
    use crate::policy::{Permit, RuleId};

    fn pause(action: &str, identity: &str) -> Pause {
        Pause { action: action.to_owned(), identity: identity.to_owned() }
    }

    fn allowed(name: &str) -> Decision {
        Decision::Allow(Permit::new(act(name, &[]), RuleId { path: "roles.r.allow[0]".into(), line: 1 }, Vec::new()))
    }

    #[test]
    fn what_is_paused_is_refused_and_nothing_else() {
        let pauses = Pauses::default();
        let judged = |name: &str, who: &str| match pauses.judge(&ClientName::for_explain(who), allowed(name)) {
            Decision::Allow(_) => "allow".to_owned(),
            Decision::Deny(denial) => {
                let Reason::Limits { limit, .. } = denial.reason() else { panic!("{denial:?}") };
                format!("{} {limit}: {}", denial.reason().code(), denial.message())
            }
        };
        assert_eq!(judged("Originate", "alice"), "allow");
        assert!(pauses.set(&pause("Originate", ""), true));
        assert!(!pauses.set(&pause("ORIGINATE", ""), true));
        assert_eq!(judged("originate", "alice"), "limits.paused pause ORIGINATE: Permission denied");
        assert_eq!(judged("Ping", "alice"), "allow");
        assert!(pauses.set(&pause("originate", ""), false));
        assert!(!pauses.set(&pause("Originate", ""), false));
        assert_eq!(judged("Originate", "alice"), "allow");
        assert!(pauses.set(&pause("*", "Alice"), true));
        assert_eq!(judged("Ping", "alice"), "limits.paused pause * of Alice: Permission denied");
        assert_eq!((judged("Ping", "bob"), judged("Logoff", "alice")), ("allow".to_owned(), "allow".to_owned()));
        assert_eq!(pauses.all(), [pause("*", "Alice")]);
    }

    #[test]
    fn every_change_has_another_number() {
        let pauses = Pauses::default();
        let first = pauses.version();
        pauses.set(&pause("Ping", ""), true);
        let second = pauses.version();
        pauses.set(&pause("Ping", ""), false);
        assert!(first != second && second != pauses.version() && pauses.version() != first);
    }
}
