//! [`Hours`]: when something may be done: `mon-fri 08:00-20:00 Europe/Madrid`, any of several such windows.
//!
//! A window is of the clock on the wall at its place, so summer time changes nothing about it: the hour that a clock
//! skips is not there, the one that it repeats is there twice. A window over midnight belongs to the day on which it
//! begins. Rules of time zones come from the system, or from what amiwall was built with where the system has none.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use super::spec::{Problem, Spanned};

const HELP: &str = "write days, hours and a time zone, such as `mon-fri 08:00-20:00 Europe/Madrid`";
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES: u16 = 24 * 60;

/// Windows, any of which is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hours(Vec<Window>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    /// From Monday.
    days: [bool; 7],
    /// In minutes since midnight.
    start: u16,
    /// Exclusive; at most 24 hours. Before `start`: on the next day.
    end: u16,
    zone: TimeZone,
}

impl Hours {
    /// Reads windows.
    pub(super) fn compile(texts: &[Spanned]) -> Result<Self, Vec<Problem>> {
        let mut windows = Vec::with_capacity(texts.len());
        let mut problems = Vec::new();
        for Spanned { text, at } in texts {
            match Window::parse(text) {
                Ok(window) => windows.push(window),
                Err(message) => problems.push(Problem { at: *at, message, help: Some(HELP.to_owned()) }),
            }
        }
        if problems.is_empty() { Ok(Self(windows)) } else { Err(problems) }
    }

    /// Whether it is such a time; if not, how long until it is.
    pub(super) fn ask(&self, wall: i64) -> Result<(), Duration> {
        let Ok(now) = Timestamp::from_second(wall) else { return Err(Duration::MAX) };
        if self.0.iter().any(|window| window.holds(now)) {
            return Ok(());
        }
        let next = self.0.iter().filter_map(|window| window.next(now)).min();
        let wait = next.map(|next| next.as_second().saturating_sub(wall));
        Err(wait.and_then(|wait| u64::try_from(wait).ok()).map_or(Duration::MAX, Duration::from_secs))
    }
}

impl Window {
    fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let (Some(days), Some(hours), Some(zone), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(format!("`{}` is not days, hours and a time zone", text.escape_debug()));
        };
        let (start, end) =
            hours.split_once('-').ok_or_else(|| format!("`{}` is not `08:00-20:00`", hours.escape_debug()))?;
        let (start, end) = (parse_time(start)?, parse_time(end)?);
        if start == end || start == MINUTES {
            return Err(format!("`{hours}` holds no time"));
        }
        let zone = TimeZone::get(zone).map_err(|_| format!("`{}` is not a time zone", zone.escape_debug()))?;
        Ok(Self { days: parse_days(days)?, start, end, zone })
    }

    fn is_on(&self, day: Weekday) -> bool {
        let index = usize::try_from(day.to_monday_zero_offset()).unwrap_or_default();
        self.days.get(index).copied().unwrap_or_default()
    }

    fn holds(&self, now: Timestamp) -> bool {
        let now = now.to_zoned(self.zone.clone());
        let minute = u16::try_from(i32::from(now.hour()) * 60 + i32::from(now.minute())).unwrap_or_default();
        let (today, yesterday) = (self.is_on(now.weekday()), self.is_on(now.weekday().previous()));
        if self.start < self.end {
            return today && (self.start..self.end).contains(&minute);
        }
        (today && minute >= self.start) || (yesterday && minute < self.end)
    }

    /// When it begins next.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let today = now.to_zoned(self.zone.clone()).date();
        let start = i8::try_from(self.start / 60).ok().zip(i8::try_from(self.start % 60).ok());
        let (hour, minute) = start?;
        let begin = Time::new(hour, minute, 0, 0).ok()?;
        let days = (0..=7).filter_map(|ahead| today.checked_add(jiff::Span::new().days(ahead)).ok());
        let starts = days.filter(|date| self.is_on(date.weekday()));
        let mut starts = starts.filter_map(|date| self.zone.to_timestamp(date.to_datetime(begin)).ok());
        starts.find(|start| *start > now)
    }
}

/// `08:00`, up to `24:00`, in minutes.
fn parse_time(text: &str) -> Result<u16, String> {
    let number = |text: &str, max: u16| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| is_number && *number <= max)
    };
    let parts = text.split_once(':').and_then(|(hour, minute)| number(hour, 24).zip(number(minute, 59)));
    let minutes = parts.map(|(hour, minute)| hour * 60 + minute).filter(|minutes| *minutes <= MINUTES);
    minutes.ok_or_else(|| format!("`{}` is not a time of day, `00:00` to `24:00`", text.escape_debug()))
}

/// `mon`, `mon-fri`, `fri-mon`, `mon,wed`, `daily`.
fn parse_days(text: &str) -> Result<[bool; 7], String> {
    if text == "daily" {
        return Ok([true; 7]);
    }
    let day = |text: &str| {
        let day = DAYS.iter().position(|day| *day == text);
        day.ok_or_else(|| format!("`{}` is no day: {} or daily", text.escape_debug(), DAYS.join(", ")))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let len = (last + 7 - first) % 7;
        for index in first..=first + len {
            if let Some(is_on) = days.get_mut(index % 7) {
                *is_on = true;
            }
        }
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(texts: &[&str]) -> Hours {
        let spanned: Vec<Spanned> =
            texts.iter().map(|text| Spanned { text: (*text).to_owned(), ..Spanned::default() }).collect();
        Hours::compile(&spanned).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn wall(time: &str) -> i64 {
        time.parse::<Timestamp>().expect("a time").as_second()
    }

    fn is_open(hours: &Hours, time: &str) -> bool {
        hours.ask(wall(time)).is_ok()
    }

    #[test]
    fn a_window_is_of_its_days_and_hours() {
        // 2026-11-21 is a Saturday.
        let office = hours(&["mon-fri 08:00-20:00 UTC"]);
        for (time, expected) in [
            ("2026-11-20T08:00:00Z", true),
            ("2026-11-20T07:59:59Z", false),
            ("2026-11-20T19:59:59Z", true),
            ("2026-11-20T20:00:00Z", false),
            ("2026-11-21T12:00:00Z", false),
            ("2026-11-23T12:00:00Z", true),
        ] {
            assert_eq!(is_open(&office, time), expected, "{time}");
        }
        assert_eq!(office.ask(wall("2026-11-20T20:00:00Z")), Err(Duration::from_secs(60 * 3_600)));
        let any = hours(&["sat 10:00-12:00 UTC", "mon,wed-thu 00:00-24:00 UTC"]);
        assert!(is_open(&any, "2026-11-21T11:00:00Z") && is_open(&any, "2026-11-25T23:59:59Z"));
        assert!(!is_open(&any, "2026-11-24T11:00:00Z"));
    }

    #[test]
    fn a_window_over_midnight_is_of_the_day_on_which_it_begins() {
        let night = hours(&["fri 22:00-06:00 UTC"]);
        for (time, expected) in [
            ("2026-11-20T21:59:59Z", false),
            ("2026-11-20T22:00:00Z", true),
            ("2026-11-21T05:59:59Z", true),
            ("2026-11-21T06:00:00Z", false),
            ("2026-11-20T05:00:00Z", false),
            ("2026-11-21T23:00:00Z", false),
        ] {
            assert_eq!(is_open(&night, time), expected, "{time}");
        }
        let weekend = hours(&["sat-mon 23:00-01:00 UTC"]);
        assert!(is_open(&weekend, "2026-11-24T00:30:00Z") && !is_open(&weekend, "2026-11-25T00:30:00Z"));
    }

    #[test]
    fn hours_are_those_of_the_clock_on_the_wall_at_their_place() {
        let madrid = hours(&["daily 08:00-20:00 Europe/Madrid"]);
        for (time, expected) in [
            // UTC+1 in winter, UTC+2 in summer.
            ("2026-01-15T06:59:59Z", false),
            ("2026-01-15T07:00:00Z", true),
            ("2026-07-15T05:59:59Z", false),
            ("2026-07-15T06:00:00Z", true),
            ("2026-07-15T18:00:00Z", false),
            // The day on which summer time begins, and the one on which it ends.
            ("2026-03-29T06:00:00Z", true),
            ("2026-10-25T06:30:00Z", false),
            ("2026-10-25T07:00:00Z", true),
        ] {
            assert_eq!(is_open(&madrid, time), expected, "{time}");
        }
        // Between 02:00 and 03:00 there is nothing on 29 March, and two hours on 25 October.
        let night = hours(&["sun 02:00-03:00 Europe/Madrid"]);
        let open = |day: &str| (0..180).filter(|minute| night.ask(wall(day) + minute * 60).is_ok()).count();
        assert_eq!((open("2026-03-29T00:00:00Z"), open("2026-10-25T00:00:00Z")), (0, 120));
        assert_eq!(night.ask(wall("2026-11-21T00:00:00Z")), Err(Duration::from_secs(25 * 3_600)));
    }

    #[test]
    fn what_is_no_window_is_refused_with_what_is_wrong() {
        for (text, expected) in [
            ("", "`` is not days, hours and a time zone"),
            ("mon-fri 08:00-20:00", "`mon-fri 08:00-20:00` is not days, hours and a time zone"),
            ("mon-fri 08:00-20:00 Europe/Madird", "`Europe/Madird` is not a time zone"),
            ("mon-fri 0800-2000 UTC", "`0800` is not a time of day, `00:00` to `24:00`"),
            ("mon-fri 08:00-24:01 UTC", "`24:01` is not a time of day, `00:00` to `24:00`"),
            ("mon-fri 8:00-20:00 UTC", "`8:00` is not a time of day, `00:00` to `24:00`"),
            ("mon-fri 08:00 UTC", "`08:00` is not `08:00-20:00`"),
            ("mon-fri 08:00-08:00 UTC", "`08:00-08:00` holds no time"),
            ("mon-fri 24:00-08:00 UTC", "`24:00-08:00` holds no time"),
            ("Mon 08:00-20:00 UTC", "`Mon` is no day: mon, tue, wed, thu, fri, sat, sun or daily"),
            ("mon- 08:00-20:00 UTC", "`` is no day: mon, tue, wed, thu, fri, sat, sun or daily"),
        ] {
            let spanned = Spanned { text: text.to_owned(), ..Spanned::default() };
            let problems = Hours::compile(&[spanned]).expect_err("a problem");
            assert_eq!(problems[0].message, expected);
        }
    }
}
