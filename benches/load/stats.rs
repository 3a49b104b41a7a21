//! Numbers, by what was measured of whom, in the order of rounds.

use std::collections::BTreeMap;

use crate::targets::Kind;

/// One record, written and synced: microseconds.
pub(crate) const SYNC: &str = "fdatasync of one 300-byte record, µs";

#[derive(Default)]
pub(crate) struct Results(BTreeMap<(&'static str, Kind), Vec<f64>>);

impl Results {
    pub(crate) fn add(&mut self, what: &'static str, kind: Kind, value: f64) {
        self.0.entry((what, kind)).or_default().push(value);
    }

    pub(crate) fn of(&self, what: &'static str, kind: Kind) -> &[f64] {
        self.0.get(&(what, kind)).map_or(&[], Vec::as_slice)
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
