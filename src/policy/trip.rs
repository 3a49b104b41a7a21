//! [`Trip`]: an identity that runs into its limits again and again is suspended: that is what a stolen secret looks like.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::RuleId;
use super::spec::{Problem, TripSpec};
use super::window::{Millis, Window};

/// The longest suspension that ends by itself.
const LASTS_MAX: Duration = Duration::from_secs(366 * 86_400);

/// `trip:` of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trip {
    pub(super) rule: RuleId,
    /// How many refusals for a limit, in what time.
    exceeded: Window,
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
        let exceeded = spec.exceeded.text.parse::<Window>();
        let exceeded = exceeded
            .map_err(|error| problem(spec.exceeded.at, error.to_string(), "how many refusals in what time: `20/hour`"));
        let lasts = match &spec.lasts {
            Some((at, lasts)) if *lasts > LASTS_MAX || lasts.subsec_nanos() != 0 => {
                Err(problem(*at, "this is no time for a suspension".to_owned(), "whole seconds, at most a year"))
            }
            lasts => Ok(lasts.as_ref().map(|(_, lasts)| *lasts)),
        };
        match (exceeded, lasts) {
            (Ok(exceeded), Ok(lasts)) => {
                let rule = RuleId { path: format!("roles.{role}.trip").into(), line: spec.at.line };
                Ok(Self { rule, exceeded, lasts })
            }
            (exceeded, lasts) => Err([exceeded.err(), lasts.err()].into_iter().flatten().collect()),
        }
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
    /// One more; which of the trips it sets off, the longest first.
    pub(super) fn add(&mut self, trips: &[Trip], now: Millis) -> Option<(Suspension, Tripped)> {
        let longest = trips.iter().map(|trip| trip.exceeded.count).max()?;
        self.0.push_back(now);
        while self.0.len() > usize::try_from(longest).unwrap_or(usize::MAX) {
            self.0.pop_front();
        }
        let is_off = |trip: &&Trip| {
            let count = self.0.iter().rev().take_while(|at| **at > now.saturating_sub(trip.exceeded.length)).count();
            count >= usize::try_from(trip.exceeded.count).unwrap_or(usize::MAX)
        };
        let trip = trips.iter().filter(is_off).max_by_key(|trip| trip.lasts.unwrap_or(Duration::MAX))?;
        self.0.clear();
        let lasts = |lasts: Duration| now.saturating_add(Millis::try_from(lasts.as_millis()).unwrap_or(Millis::MAX));
        let suspension = Suspension { limit: trip.rule.path.clone(), until: trip.lasts.map(lasts) };
        let seconds = trip.lasts.map(|lasts| lasts.as_secs());
        Some((suspension, Tripped { limit: trip.rule.path.to_string(), count: trip.exceeded.count, seconds }))
    }
}
