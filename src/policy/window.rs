//! [`Window`]: so many in a sliding time, `20/hour`; and [`Destinations`], what was dialled in it.
//!
//! Unlike a bucket, which lets through twice its count around an hour's edge, a sliding window holds for every hour that one
//! may choose. It remembers each of what it counts, so the count is bounded.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::str::FromStr;

use super::quota::{QuotaError, parse_count};

/// Highest count: what has to be remembered of one identity.
pub(super) const COUNT_MAX: u32 = 10_000;

/// Milliseconds of a steady clock; below 0 before the process began.
pub(super) type Millis = i64;

/// So many in a sliding time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) count: u32,
    pub(super) length: Millis,
}

impl FromStr for Window {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Self, QuotaError> {
        let (count, unit) = text.split_once('/').ok_or_else(|| QuotaError::NoUnit(text.to_owned()))?;
        let length = match unit {
            "minute" => 60_000,
            "hour" => 3_600_000,
            _ => return Err(QuotaError::UnknownUnit(unit.to_owned())),
        };
        let parsed = parse_count(count).map(NonZeroU32::get)?;
        if parsed > COUNT_MAX {
            return Err(QuotaError::TooMany(count.to_owned()));
        }
        Ok(Self { count: parsed, length })
    }
}

/// Where one identity has called lately.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    /// When each was called last.
    latest: HashMap<Vec<u8>, Millis>,
    /// Counts those whose name was not kept over a restart.
    unnamed: u64,
}

impl Destinations {
    /// Whether a call there has room; if not, how long until one has.
    pub(super) fn ask(&self, window: Window, destination: &[u8], now: Millis) -> Result<(), Millis> {
        let since = now.saturating_sub(window.length);
        let is_lately = |at: &Millis| *at > since;
        if self.latest.get(destination).is_some_and(is_lately) {
            return Ok(());
        }
        let lately = self.latest.values().copied().filter(is_lately);
        let (count, oldest) = lately.fold((0_u32, now), |(count, oldest), at| (count + 1, oldest.min(at)));
        if count < window.count { Ok(()) } else { Err(oldest - since) }
    }

    /// There is a call. What is older than `length` is forgotten.
    pub(super) fn add(&mut self, destination: Option<Vec<u8>>, at: Millis, length: Millis) {
        let destination = destination.unwrap_or_else(|| {
            self.unnamed += 1;
            // No header has such a byte.
            format!("\0{}", self.unnamed).into_bytes()
        });
        let latest = self.latest.entry(destination).or_insert(at);
        *latest = at.max(*latest);
        self.latest.retain(|_, seen| *seen > at.saturating_sub(length));
    }

    /// How long ago each was called, in seconds.
    pub(super) fn ages(&self, now: Millis) -> Vec<u64> {
        let ages = self.latest.values().map(|at| u64::try_from(now.saturating_sub(*at) / 1_000).unwrap_or_default());
        let mut ages: Vec<u64> = ages.filter(|age| *age <= 3_600).collect();
        ages.sort_unstable();
        ages
    }
}

/// What an Originate dials, as one text: the channel and what it is connected to. Two calls with the same text dial the
/// same; two with different texts count as two, even where only the spelling differs.
pub(super) fn destination<'v>(value: impl Fn(&str) -> Option<&'v [u8]>) -> Vec<u8> {
    let mut destination = Vec::new();
    for name in ["Channel", "Exten", "Context", "Application", "Data"] {
        destination.extend_from_slice(value(name).unwrap_or_default());
        destination.push(b'\n');
    }
    destination
}
