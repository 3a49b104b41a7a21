//! What one identity did, counted from its records in memory that does not grow with the log.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;

use super::params::{ParamSet, ParamSets};
use super::reading::Attribute;
use crate::audit::LoggedRecord;
use crate::catalogue::{self, EventUse};

/// So many names of actions, of events and of reasons are kept for an identity.
const NAMES_MAX: usize = 512;
/// So many addresses are.
const ADDRESSES_MAX: usize = 64;

/// How often, when, and from where last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often.
    pub count: u64,
    /// When first.
    pub first: Timestamp,
    /// When last.
    pub last: Timestamp,
    /// From where last.
    pub peer: Option<IpAddr>,
}

impl Tally {
    pub(super) fn add(&mut self, record: &LoggedRecord) {
        if self.count == 0 {
            self.first = record.time;
        }
        self.count += 1;
        self.last = record.time;
        self.peer = address(record).or(self.peer);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if self.count == 0 {
            self.clone_from(other);
            return;
        }
        self.count += other.count;
        self.first = self.first.min(other.first);
        if other.last > self.last {
            (self.last, self.peer) = (other.last, other.peer);
        }
    }
}

fn address(record: &LoggedRecord) -> Option<IpAddr> {
    record.peer.parse::<SocketAddr>().ok().map(|peer| peer.ip().to_canonical())
}

/// What one identity did.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage {
    /// By the action's name in lower case.
    pub(super) actions: BTreeMap<String, ActionUsage>,
    /// By event name: those that came without being asked for.
    pub(super) events: BTreeMap<String, u64>,
    /// By event name: those that answered an action of its own, though everybody might see them.
    pub(super) answers: BTreeMap<String, u64>,
    /// By action and reason code.
    pub(super) refused: BTreeMap<(String, String), u64>,
    /// By address.
    pub(super) addresses: BTreeMap<IpAddr, u64>,
    /// Addresses, events, refusals and actions beyond what is kept.
    pub(super) has_more: bool,
}

/// What was done with one action.
#[derive(Clone, Debug)]
pub(super) struct ActionUsage {
    /// Its name as the catalogue, or who used it first, spells it.
    pub(super) name: String,
    pub(super) sets: ParamSets,
    /// Parameters that the policy has set itself.
    pub(super) set_by_policy: BTreeSet<String>,
    /// How often only shadow mode let it pass.
    pub(super) would_deny: u64,
}

impl Usage {
    /// Whether there is nothing to propose anything from.
    pub(super) fn is_nothing(&self) -> bool {
        self.actions.is_empty() && self.events.is_empty() && self.refused.is_empty()
    }

    /// Takes in a record of the identity.
    pub(super) fn add(&mut self, record: &LoggedRecord, attributes: &[Attribute]) {
        match (record.kind.as_str(), record.decision.as_str()) {
            ("action", "allow" | "would-deny") => self.action(record, attributes),
            ("action", _) => {
                let key = (record.name.clone(), record.reason.clone());
                self.has_more |= !count(&mut self.refused, key, NAMES_MAX);
            }
            // What answers an action passes with the action.
            ("event", "") if record.direction == "to-client" && record.id.is_empty() => {
                self.has_more |= !count(&mut self.events, record.name.clone(), NAMES_MAX);
            }
            ("event", "") if record.direction == "to-client" && is_for_all(&record.name) => {
                count(&mut self.answers, record.name.clone(), NAMES_MAX);
            }
            _ => {}
        }
    }

    fn action(&mut self, record: &LoggedRecord, attributes: &[Attribute]) {
        if let Some(address) = address(record) {
            self.has_more |= !count(&mut self.addresses, address, ADDRESSES_MAX);
        }
        let key = record.name.to_ascii_lowercase();
        let entry = catalogue::action(&key);
        if entry.is_some_and(|entry| entry.is_local) {
            return;
        }
        if self.actions.len() >= NAMES_MAX && !self.actions.contains_key(&key) {
            self.has_more = true;
            return;
        }
        let name = entry.map_or(record.name.as_str(), |entry| entry.name);
        let action = self.actions.entry(key).or_insert_with(|| ActionUsage {
            name: name.to_owned(),
            sets: ParamSets::default(),
            set_by_policy: BTreeSet::new(),
            would_deny: 0,
        });
        action.would_deny += u64::from(record.decision == "would-deny");
        action.set_by_policy.extend(record.set.iter().cloned());
        action.sets.add(&ParamSet::of(record, entry), record, attributes);
    }
}

/// Whether events of that name are sent to everybody who may see their classes.
fn is_for_all(name: &str) -> bool {
    catalogue::event(name).is_some_and(|entry| entry.used_as == EventUse::Event)
}

/// Counts one more of the key. False: there are too many keys already.
fn count<K: Ord>(map: &mut BTreeMap<K, u64>, key: K, keys_max: usize) -> bool {
    let has_room = map.len() < keys_max || map.contains_key(&key);
    if has_room {
        *map.entry(key).or_default() += 1;
    }
    has_room
}
