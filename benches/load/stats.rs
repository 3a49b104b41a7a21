//! Numbers, by what was measured of whom, in the order of rounds.

use std::collections::BTreeMap;

use crate::targets::Kind;

/// One record, written and synced: microseconds.
pub(crate) const SYNC: &str = "fdatasync of one 300-byte record, µs";

/// Pings of 32 clients with one outstanding each.
pub(crate) const ACTIONS: &str = "actions/s, 32 × 1";

/// What a bare group commit does on this disk.
pub(crate) const GROUP: &str = "group commit, 32 × 300-byte records, records/s";

#[derive(Default)]
pub(crate) struct Results(BTreeMap<(&'static str, Kind), Vec<f64>>);

impl Results {
    pub(crate) fn add(&mut self, what: &'static str, kind: Kind, value: f64) {
        self.0.entry((what, kind)).or_default().push(value);
    }

    pub(crate) fn of(&self, what: &'static str, kind: Kind) -> &[f64] {
        self.0.get(&(what, kind)).map_or(&[], Vec::as_slice)
    }

    /// What could be durable in the time of HAProxy's actions and of the disk's syncs, one after the other, and how near
    /// amiwall comes to it, round by round.
    pub(crate) fn add_bound(&mut self) {
        let bounds: Vec<f64> = self
            .of(ACTIONS, Kind::Haproxy)
            .iter()
            .zip(self.of(GROUP, Kind::Direct))
            .map(|(a, f)| a * f / (a + f))
            .collect();
        for part in ratios(self.of(ACTIONS, Kind::Synced), &bounds) {
            self.add("durable actions/s, 32 × 1, as a part of A·F/(A+F)", Kind::Synced, part);
        }
        for bound in bounds {
            self.add("A·F/(A+F), actions/s", Kind::Direct, bound);
        }
    }

    pub(crate) fn measured(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = self.0.keys().map(|(what, _)| *what).collect();
        names.dedup();
        names
    }
}

/// The value below which that part of all values is.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let at = ((sorted.len().saturating_sub(1)) as f64 * part).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Round by round.
pub(crate) fn ratios(values: &[f64], units: &[f64]) -> Vec<f64> {
    values.iter().zip(units).map(|(value, unit)| value / unit).collect()
}
