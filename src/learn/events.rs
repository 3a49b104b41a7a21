//! Which events an identity was shown, as `events.allow` would name them.

use std::collections::{BTreeMap, BTreeSet};

use crate::ami::PrivilegeClass;
use crate::catalogue::{self, EventEntry, EventUse};

/// One element of `events.allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnedEvent {
    /// The event's name, or a privilege class.
    pub name: String,
    /// How many events that were.
    pub count: u64,
    /// Which classes an event has.
    pub classes: String,
    /// Whether a policy can name it.
    pub is_nameable: bool,
}

/// Names of events; a class where all events that have it were seen, so that it shows nothing more.
pub(super) fn propose(seen: &BTreeMap<String, u64>) -> Vec<LearnedEvent> {
    let whole: Vec<PrivilegeClass> = PrivilegeClass::ALL.into_iter().filter(|class| is_whole(*class, seen)).collect();
    let is_within = |entry: &EventEntry| !entry.classes.is_empty() && entry.classes.iter().all(|c| whole.contains(c));
    let by_class = whole.iter().map(|class| LearnedEvent {
        name: class.label().to_owned(),
        count: events_of(*class).filter_map(|entry| seen.get(entry.name)).sum(),
        classes: "all events of this class".to_owned(),
        is_nameable: true,
    });
    let by_name =
        seen.iter().filter(|(name, _)| !catalogue::event(name).is_some_and(is_within)).map(|(name, count)| {
            let classes = catalogue::event(name).map(|entry| {
                let labels: Vec<&str> = entry.classes.iter().map(|class| class.label()).collect();
                labels.join(", ")
            });
            LearnedEvent {
                name: name.clone(),
                count: *count,
                classes: classes.unwrap_or_else(|| "not in the catalogue".to_owned()),
                is_nameable: true,
            }
        });
    by_class.chain(by_name).collect()
}

/// Of the events that answered an own action: those that come anyhow, and those that have to be allowed, because nothing
/// else makes amiwall ask Asterisk for their class.
pub(super) fn answers(
    answers: &BTreeMap<String, u64>,
    seen: &BTreeMap<String, u64>,
) -> (Vec<(String, u64)>, Vec<LearnedEvent>) {
    let classes = |name: &str| catalogue::event(name).map(|entry| entry.classes.as_slice()).unwrap_or_default();
    let is_asked_for = |class: &PrivilegeClass| seen.keys().any(|name| classes(name).contains(class));
    let (mut come, mut allowed) = (Vec::new(), Vec::new());
    for (name, count) in answers.iter().filter(|(name, _)| !seen.contains_key(*name)) {
        if classes(name).iter().all(is_asked_for) {
            come.push((name.clone(), *count));
        } else {
            let note = "the answer to its own action; allowed, since no other event of its class is".to_owned();
            allowed.push(LearnedEvent { name: name.clone(), count: *count, classes: note, is_nameable: true });
        }
    }
    (come, allowed)
}

fn events_of(class: PrivilegeClass) -> impl Iterator<Item = &'static EventEntry> {
    catalogue::events().filter(move |entry| entry.used_as != EventUse::Answer && entry.classes.contains(&class))
}

/// Whether all events of a class were seen. One event is named by its name.
fn is_whole(class: PrivilegeClass, seen: &BTreeMap<String, u64>) -> bool {
    let names: BTreeSet<&str> = events_of(class).map(|entry| entry.name).collect();
    names.len() > 1 && names.iter().all(|name| seen.contains_key(*name))
}
