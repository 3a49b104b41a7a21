//! What is counted of one identity. Its sessions hold it, so that a packet looks up nothing but the number of its action.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::{Counter, Kind, Labelled, Page};

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was allowed.
    Allow,
    /// Only shadow mode let it pass.
    WouldDeny,
    /// It was refused.
    Deny,
    /// A limit had no room for it.
    Limit,
    /// It was refused because the log could not be written.
    Unrecorded,
}

const OUTCOMES: [&str; 5] = ["allow", "would-deny", "deny", "limit", "unrecorded"];

/// Which action a packet is.
#[derive(Clone, Copy, Debug)]
pub enum ActionNumber<'k> {
    /// One of Asterisk's, by its number.
    Known(usize),
    /// By its key: one of the policy's own, or a name that the client made up.
    Unknown(&'k str),
    /// It is none.
    Malformed,
}

/// How many of one action came to each outcome.
type Row = [Counter; OUTCOMES.len()];

/// What is counted of one identity.
#[derive(Debug)]
pub struct IdentityMetrics {
    /// By the number of the action; a row is made when the action first occurs.
    known: Box<[OnceLock<Box<Row>>]>,
    /// Actions that only the policy names.
    own: RwLock<Vec<(String, Arc<Row>)>>,
    other: Row,
    malformed: Row,
    /// Refusals for a limit, by its kind.
    pub limits: Labelled,
    /// Events that it was sent.
    pub events: Counter,
    /// Answers that it was sent.
    pub answers: Counter,
    /// Bytes that it was sent.
    pub bytes: Counter,
}

impl IdentityMetrics {
    pub(super) fn new(actions: usize) -> Self {
        Self {
            known: (0..actions).map(|_| OnceLock::new()).collect(),
            own: RwLock::default(),
            other: Row::default(),
            malformed: Row::default(),
            // Who is suspended is told at once.
            limits: Labelled::with(&["limits.tripped"]),
            events: Counter::default(),
            answers: Counter::default(),
            bytes: Counter::default(),
        }
    }

    /// The policy names these, which Asterisk's documentation does not.
    pub(super) fn know(&self, own: impl Iterator<Item = String>) {
        let mut known = self.own.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *known);
        known.extend(own.map(|name| {
            let row = before.iter().find(|(other, _)| *other == name).map(|(_, row)| row.clone());
            (name, row.unwrap_or_default())
        }));
    }

    /// One more.
    pub fn count(&self, action: ActionNumber<'_>, outcome: Outcome) {
        let add = |row: &Row| row.get(outcome as usize).into_iter().for_each(|counter| counter.add(1));
        match action {
            ActionNumber::Known(number) => {
                add(self.known.get(number).map_or(&self.other, |row| row.get_or_init(Box::default)));
            }
            ActionNumber::Unknown(key) => {
                let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
                add(own.iter().find(|(name, _)| name == key).map_or(&self.other, |(_, row)| row));
            }
            ActionNumber::Malformed => add(&self.malformed),
        }
    }

    /// Packets by outcome, over all actions.
    pub(super) fn add_to(&self, totals: &mut [u64; OUTCOMES.len()]) {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let rows = self.known.iter().filter_map(OnceLock::get).map(Box::as_ref);
        for row in rows.chain(own.iter().map(|(_, row)| row.as_ref())).chain([&self.other, &self.malformed]) {
            for (total, counter) in totals.iter_mut().zip(row) {
                *total += counter.value();
            }
        }
    }

    fn write_actions(&self, page: &mut Page, identity: &str, names: &[&str]) {
        let mut write = |action: &str, row: &Row| {
            for (outcome, counter) in OUTCOMES.iter().zip(row).filter(|(_, counter)| counter.value() > 0) {
                page.sample(&[("identity", identity), ("action", action), ("decision", outcome)], counter.value());
            }
        };
        for (name, row) in names.iter().zip(&self.known) {
            if let Some(row) = row.get() {
                write(name, row);
            }
        }
        for (name, row) in self.own.read().unwrap_or_else(PoisonError::into_inner).iter() {
            write(name, row);
        }
        write("other", &self.other);
        write("malformed", &self.malformed);
    }
}

/// Writes what was counted of all identities.
pub(super) fn write(page: &mut Page, names: &[&str], identities: &[(String, Arc<IdentityMetrics>)]) {
    page.family(
        "amiwall_actions_total",
        Kind::Counter,
        "Packets of logged-in clients, by identity, action and decision.",
    );
    for (identity, one) in identities {
        one.write_actions(page, identity, names);
    }
    page.family("amiwall_limits_total", Kind::Counter, "Refusals for a limit, by identity and kind of limit.");
    for (identity, one) in identities {
        for (limit, count) in one.limits.values() {
            page.sample(&[("identity", identity), ("limit", limit)], count);
        }
    }
    page.family("amiwall_client_packets_total", Kind::Counter, "Packets from Asterisk that clients were sent.");
    for (identity, one) in identities {
        page.sample(&[("identity", identity), ("kind", "event")], one.events.value());
        page.sample(&[("identity", identity), ("kind", "answer")], one.answers.value());
    }
    page.family("amiwall_client_bytes_total", Kind::Counter, "Bytes of packets that clients were sent.");
    for (identity, one) in identities {
        page.sample(&[("identity", identity)], one.bytes.value());
    }
}
