//! [`Quota`]: how often something may be done, and how much of it at once. A quota of 0 cannot be written: it would have
//! to mean "never" or "unlimited", and whoever reads it would have to guess.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::spec::{LimitSpec, Problem, Spanned};
use super::window::COUNT_MAX;

/// Highest count of a rate and highest burst. It keeps `burst × period` far below what nanoseconds in 64 bits can hold.
const MAX_COUNT: u32 = 1_000_000;
/// How to write a rate.
const HELP: &str = "write a count and `second`, `minute` or `hour`, such as `10/minute`";

/// So many in a time, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota(governor::Quota);

/// Why a text is not a quota.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// The count is 0.
    #[error("a limit of 0 is neither never nor unlimited: leave the action out of `allow`, or leave the limit out")]
    Zero,
    /// The count is higher than anything that could be meant.
    #[error("`{0}` is too high: {MAX_COUNT} is the most")]
    TooHigh(String),
    /// The count is higher than what is remembered.
    #[error("`{0}` is too many to remember: {COUNT_MAX} is the most")]
    TooMany(String),
    /// The count is not a whole number.
    #[error("`{0}` is not a whole number")]
    NoNumber(String),
    /// There is no `/`.
    #[error("`{0}` does not say in what time")]
    NoUnit(String),
    /// What stands behind the `/` is no unit.
    #[error("`{0}` is not a unit of a rate")]
    UnknownUnit(String),
}

impl Quota {
    /// What refusals are charged to: 20 a second, 100 at once.
    pub(super) const REFUSALS: Self = Self(
        governor::Quota::per_second(NonZeroU32::MIN.saturating_add(19)).allow_burst(NonZeroU32::MIN.saturating_add(99)),
    );

    /// The same rate with another number at once.
    #[must_use]
    pub const fn with_burst(self, burst: NonZeroU32) -> Self {
        Self(self.0.allow_burst(burst))
    }

    /// The rate and the burst of one entry of `limits`.
    pub(super) fn compile(spec: &LimitSpec) -> Result<Option<Self>, Vec<Problem>> {
        let problem =
            |at, error: QuotaError, help: &str| Problem { at, message: error.to_string(), help: Some(help.to_owned()) };
        let Some(rate) = &spec.rate else {
            let without = |burst: &Spanned| Problem {
                at: burst.at,
                message: "`burst` without `rate` bounds nothing".to_owned(),
                help: Some("add `rate: 10/minute`".to_owned()),
            };
            return spec.burst.as_ref().map_or(Ok(None), |burst| Err(vec![without(burst)]));
        };
        let rate = rate.text.parse::<Self>().map_err(|error| problem(rate.at, error, HELP));
        let burst = spec.burst.as_ref().map(|burst| {
            parse_count(&burst.text)
                .map_err(|error| problem(burst.at, error, "write how many may come at once, such as `3`"))
        });
        match (rate, burst.transpose()) {
            (Ok(rate), Ok(burst)) => Ok(Some(burst.map_or(rate, |burst| rate.with_burst(burst)))),
            (rate, burst) => Err([rate.err(), burst.err()].into_iter().flatten().collect()),
        }
    }

    pub(super) const fn for_governor(self) -> governor::Quota {
        self.0
    }
}

impl FromStr for Quota {
    type Err = QuotaError;

    /// Reads `10/minute`; the burst is the count.
    fn from_str(text: &str) -> Result<Self, QuotaError> {
        let (count, unit) = text.split_once('/').ok_or_else(|| QuotaError::NoUnit(text.to_owned()))?;
        let seconds = match unit {
            "second" => 1,
            "minute" => 60,
            "hour" => 3_600,
            _ => return Err(QuotaError::UnknownUnit(unit.to_owned())),
        };
        let burst = parse_count(count)?;
        // Rounded up: never more than was said.
        let period = Duration::from_nanos((seconds * 1_000_000_000_u64).div_ceil(u64::from(burst.get())));
        let quota = governor::Quota::with_period(period).ok_or_else(|| QuotaError::TooHigh(count.to_owned()))?;
        Ok(Self(quota.allow_burst(burst)))
    }
}

pub(super) fn parse_count(text: &str) -> Result<NonZeroU32, QuotaError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(QuotaError::NoNumber(text.to_owned()));
    }
    let count = text.parse::<u32>().ok().filter(|count| *count <= MAX_COUNT);
    NonZeroU32::new(count.ok_or_else(|| QuotaError::TooHigh(text.to_owned()))?).ok_or(QuotaError::Zero)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::spec::{Position, Spanned};

    #[test]
    fn rates_are_read() {
        for (text, period_ms, burst) in [("10/minute", 6_000, 10), ("50/second", 20, 50), ("200/hour", 18_000, 200)] {
            let Quota(quota) = text.parse().expect("a quota");
            assert_eq!(quota.replenish_interval(), Duration::from_millis(period_ms), "{text}");
            assert_eq!(quota.burst_size().get(), burst, "{text}");
        }
        let Quota(thirds) = "3/second".parse().expect("a quota");
        assert!(thirds.replenish_interval() * 3 >= Duration::from_secs(1));
    }

    #[test]
    fn what_is_no_rate_is_refused_with_what_is_wrong() {
        for (text, expected) in [
            ("0/minute", QuotaError::Zero),
            ("00/minute", QuotaError::Zero),
            ("10", QuotaError::NoUnit("10".into())),
            ("10/min", QuotaError::UnknownUnit("min".into())),
            ("10/Minute", QuotaError::UnknownUnit("Minute".into())),
            ("10/", QuotaError::UnknownUnit("".into())),
            ("/minute", QuotaError::NoNumber("".into())),
            ("-1/minute", QuotaError::NoNumber("-1".into())),
            ("+1/minute", QuotaError::NoNumber("+1".into())),
            ("1.5/minute", QuotaError::NoNumber("1.5".into())),
            (" 1/minute", QuotaError::NoNumber(" 1".into())),
            ("1000001/second", QuotaError::TooHigh("1000001".into())),
            ("4294967296/second", QuotaError::TooHigh("4294967296".into())),
        ] {
            assert_eq!(text.parse::<Quota>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_bad_rate_and_a_bad_burst_are_told_together() {
        let spanned = |text: &str, column| Spanned { text: text.to_owned(), at: Position { line: 3, column } };
        let spec = LimitSpec {
            action: spanned("X", 1),
            rate: Some(spanned("0/hour", 2)),
            burst: Some(spanned("0", 3)),
            ..LimitSpec::default()
        };
        let problems = Quota::compile(&spec).expect_err("two problems");
        let columns: Vec<u32> = problems.iter().map(|problem| problem.at.column).collect();
        assert_eq!(columns, [2, 3]);
    }
}
