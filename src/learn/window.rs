//! From when to when: `--since` and `--until`.

use jiff::{SignedDuration, Timestamp};

use super::{LearnError, Options};

/// One end of the time that is learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// At this time.
    At(Timestamp),
    /// So long before the last record of the log.
    BeforeLast(SignedDuration),
}

/// The text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write a time (2026-11-20T08:00:00Z), a date (2026-11-20, UTC) or how long before the last record (7d, 12h, 30m)"
)]
pub struct EdgeError;

impl Edge {
    /// Reads the beginning: a date is its first moment.
    ///
    /// # Errors
    /// If it is no time.
    pub fn since(text: &str) -> Result<Self, EdgeError> {
        Self::read(text, false)
    }

    /// Reads the end: a date is its last moment.
    ///
    /// # Errors
    /// If it is no time.
    pub fn until(text: &str) -> Result<Self, EdgeError> {
        Self::read(text, true)
    }

    fn read(text: &str, is_end: bool) -> Result<Self, EdgeError> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self::At(time));
        }
        // Without the length, jiff would take the date out of a time without a zone.
        if let Some(date) = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == "2026-11-20".len()) {
            let date = if is_end { date.tomorrow().map_err(|_| EdgeError)? } else { date };
            let start = jiff::tz::Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).map_err(|_| EdgeError)?;
            let moment = SignedDuration::from_micros(i64::from(is_end));
            return Ok(Self::At(start.checked_sub(moment).map_err(|_| EdgeError)?));
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or(EdgeError)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            _ => return Err(EdgeError),
        };
        let seconds = number.parse::<i64>().ok().and_then(|number| number.checked_mul(seconds)).ok_or(EdgeError)?;
        Ok(Self::BeforeLast(SignedDuration::from_secs(seconds)))
    }
}

/// Both ends, as times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    since: Timestamp,
    until: Timestamp,
}

impl Window {
    /// `last` is asked for the time of the last record if that is needed.
    pub(super) fn new(
        options: &Options,
        last: impl FnOnce() -> Result<String, LearnError>,
    ) -> Result<Self, LearnError> {
        let is_before_last = |edge: Option<Edge>| matches!(edge, Some(Edge::BeforeLast(_)));
        let last = if is_before_last(options.since) || is_before_last(options.until) {
            last()?.parse().unwrap_or(Timestamp::MAX)
        } else {
            Timestamp::MAX
        };
        let time = |edge: Edge| match edge {
            Edge::At(time) => time,
            // Longer ago than any time there is.
            Edge::BeforeLast(span) => last.checked_sub(span).unwrap_or(Timestamp::MIN),
        };
        Ok(Self {
            since: options.since.map_or(Timestamp::MIN, time),
            until: options.until.map_or(Timestamp::MAX, time),
        })
    }

    pub(super) fn holds(&self, time: Timestamp) -> bool {
        (self.since..=self.until).contains(&time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Edge {
        Edge::At(text.parse().expect("a time"))
    }

    #[test]
    fn times_dates_and_spans_are_read() {
        assert_eq!(Edge::since("2026-11-20T08:00:00+01:00"), Ok(at("2026-11-20T07:00:00Z")));
        assert_eq!(Edge::since("2026-11-20"), Ok(at("2026-11-20T00:00:00Z")));
        assert_eq!(Edge::until("2026-11-20"), Ok(at("2026-11-20T23:59:59.999999Z")));
        assert_eq!(Edge::since("7d"), Ok(Edge::BeforeLast(SignedDuration::from_hours(168))));
        assert_eq!(Edge::since("12h"), Ok(Edge::BeforeLast(SignedDuration::from_hours(12))));
        for bad in ["", "yesterday", "7", "d", "7 d", "-7d", "2026-11-20T08:00:00", "2026-13-01", "99999999999999999d"]
        {
            assert!(Edge::since(bad).is_err(), "{bad}");
        }
    }
}
