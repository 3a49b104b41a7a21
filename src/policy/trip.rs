//! [`Trip`]: an identity that runs into its limits again and again, or calls where it has never called, is suspended: that
//! is what a stolen secret looks like.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::RuleId;
use super::prefixes;
use super::spec::{Problem, TripSpec};
use super::window::{Millis, Window};

/// The longest suspension that ends by itself.
const LASTS_MAX: Duration = Duration::from_secs(366 * 86_400);

/// `trip:` of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trip {
    pub(super) rule: RuleId,
    /// How many refusals for a limit, in what time.
    exceeded: Option<Window>,
    /// Prefixes of numbers, of which the first call is one too many.
    first_call: Vec<String>,
    /// How long the identity is suspended; until somebody says otherwise, if there is none.
    lasts: Option<Duration>,
}

/// That an identity was suspended, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tripped {
    /// `roles.x.trip`.
    pub limit: String,
    /// How many refusals there were.
    pub count: u32,
    /// For how many seconds; until it is resumed, if there are none.
    pub seconds: Option<u64>,
    /// The prefix of the number, where it was the first call to such a one.
    pub first_call: Option<String>,
}

/// An identity that is suspended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suspension {
    pub(super) limit: Arc<str>,
    /// Until when; until it is resumed, if there is none.
    pub(super) until: Option<Millis>,
}

/// What one identity ran into lately.
#[derive(Debug, Default)]
pub(super) struct Refusals(VecDeque<Millis>);

impl Trip {
    pub(super) fn compile(spec: &TripSpec, role: &str) -> Result<Self, Vec<Problem>> {
        let problem = |at, message: String, help: &str| Problem { at, message, help: Some(help.to_owned()) };
        let help = "how many refusals in what time: `20/hour`";
        let exceeded = spec.exceeded.as_ref().map(|exceeded| {
            exceeded.text.parse::<Window>().map_err(|error| problem(exceeded.at, error.to_string(), help))
        });
        let exceeded = match exceeded.transpose() {
            Ok(None) if spec.first_call.is_empty() => {
                let message = "`trip` needs `exceeded`, `first_call` or both".to_owned();
                Err(problem(spec.at, message, "trip: { exceeded: 20/hour, first_call: [\"00\"], for: 2h }"))
            }
            exceeded => exceeded,
        };
        let first_call = prefixes::compile(&spec.first_call);
        let lasts = match &spec.lasts {
            Some((at, lasts)) if *lasts > LASTS_MAX || lasts.subsec_nanos() != 0 => {
                Err(problem(*at, "this is no time for a suspension".to_owned(), "whole seconds, at most a year"))
            }
            lasts => Ok(lasts.as_ref().map(|(_, lasts)| *lasts)),
        };
        match (exceeded, first_call, lasts) {
            (Ok(exceeded), Ok(first_call), Ok(lasts)) => {
                let rule = RuleId { path: format!("roles.{role}.trip").into(), line: spec.at.line };
                Ok(Self { rule, exceeded, first_call, lasts })
            }
            (exceeded, first_call, lasts) => {
                let others = exceeded.err().into_iter().chain(lasts.err());
                Err(others.chain(first_call.err().into_iter().flatten()).collect())
            }
        }
    }

    /// The prefix of one of the numbers that are dialled, if it is the first call to such a one and that sets this off.
    pub(super) fn first_call(&self, used: &BTreeSet<String>, numbers: &[Vec<u8>]) -> Option<&str> {
        prefixes::first_call(&self.first_call, used, numbers)
    }

    pub(super) const fn has_first_call(&self) -> bool {
        !self.first_call.is_empty()
    }

    /// What it does when it is set off.
    pub(super) fn suspend(&self, now: Millis, first_call: Option<&str>) -> (Suspension, Tripped) {
        let lasts = |lasts: Duration| now.saturating_add(Millis::try_from(lasts.as_millis()).unwrap_or(Millis::MAX));
        let suspension = Suspension { limit: self.rule.path.clone(), until: self.lasts.map(lasts) };
        let count = self.exceeded.filter(|_| first_call.is_none()).map_or(1, |window| window.count);
        let seconds = self.lasts.map(|lasts| lasts.as_secs());
        let (limit, first_call) = (self.rule.path.to_string(), first_call.map(str::to_owned));
        (suspension, Tripped { limit, count, seconds, first_call })
    }
}

impl Suspension {
    /// How much longer; `None` if nobody knows.
    pub(super) fn remaining(&self, now: Millis) -> Option<Duration> {
        let left = self.until?.saturating_sub(now);
        Some(Duration::from_millis(u64::try_from(left).unwrap_or_default()))
    }

    pub(super) fn is_over(&self, now: Millis) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Refusals {
    /// How long ago each was, in seconds.
    pub(super) fn ages(&self, now: Millis) -> Vec<u64> {
        self.0.iter().map(|at| u64::try_from(now.saturating_sub(*at) / 1_000).unwrap_or_default()).collect()
    }

    /// Those of before a restart, so long ago.
    pub(super) fn restore(&mut self, ages: &[u64], now: Millis, ago: Millis) {
        let millis = |age: u64| Millis::try_from(age.saturating_mul(1_000)).unwrap_or(Millis::MAX);
        self.0.extend(ages.iter().map(|age| now.saturating_sub(millis(*age).saturating_add(ago))));
    }

    /// One more; which of the trips it sets off, the longest first.
    pub(super) fn add(&mut self, trips: &[Trip], now: Millis) -> Option<(Suspension, Tripped)> {
        let longest = trips.iter().filter_map(|trip| trip.exceeded).map(|window| window.count).max()?;
        self.0.push_back(now);
        while self.0.len() > usize::try_from(longest).unwrap_or(usize::MAX) {
            self.0.pop_front();
        }
        let is_exceeded = |window: Window| {
            let count = self.0.iter().rev().take_while(|at| **at > now.saturating_sub(window.length)).count();
            count >= usize::try_from(window.count).unwrap_or(usize::MAX)
        };
        let off = trips.iter().filter(|trip| trip.exceeded.is_some_and(is_exceeded));
        let trip = off.max_by_key(|trip| trip.lasts.unwrap_or(Duration::MAX))?;
        self.0.clear();
        Some(trip.suspend(now, None))
    }
}
