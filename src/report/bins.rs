//! [`Series`]: how often something was, over time, for each key. Bins begin as hours and are joined to days, weeks and more
//! as the time gets longer, so their number has a limit whatever the log says.

use std::collections::BTreeMap;

use jiff::Timestamp;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// Widths of bins, and how many of each there may be before the next width is taken.
const WIDTHS: [(i64, i64); 4] = [(HOUR, 96), (DAY, 124), (WEEK, 260), (4 * WEEK, 260)];
/// Weeks begin on Monday; the epoch was a Thursday.
const MONDAY: i64 = 3 * DAY;
/// Keys that have a series of their own.
const SERIES_MAX: usize = 1_000;

/// Counts by the second at which their bin begins.
pub(super) type Counts = BTreeMap<i64, u64>;

/// Counts over time for each key.
#[derive(Clone, Debug)]
pub(super) struct Series {
    width: i64,
    range: Option<(i64, i64)>,
    keys: BTreeMap<String, Counts>,
    /// Of all keys that came when there was no room for more.
    others: Counts,
}

impl Default for Series {
    fn default() -> Self {
        Self { width: HOUR, range: None, keys: BTreeMap::new(), others: Counts::new() }
    }
}

impl Series {
    pub(super) fn add(&mut self, key: &str, time: Timestamp, count: u64) {
        let second = time.as_second();
        let (first, last) = self.range.map_or((second, second), |(a, b)| (a.min(second), b.max(second)));
        self.range = Some((first, last));
        self.widen(width_for(first, last));
        let counts = if self.keys.len() < SERIES_MAX || self.keys.contains_key(key) {
            self.keys.entry(key.to_owned()).or_default()
        } else {
            &mut self.others
        };
        *counts.entry(bin(second, self.width)).or_default() += count;
    }

    /// Joins bins until they are at least that wide.
    pub(super) fn widen(&mut self, width: i64) {
        if width <= self.width {
            return;
        }
        self.width = width;
        for counts in self.keys.values_mut().chain([&mut self.others]) {
            let mut wider = Counts::new();
            for (start, count) in std::mem::take(counts) {
                *wider.entry(bin(start, width)).or_default() += count;
            }
            *counts = wider;
        }
    }

    /// The keys with most, the largest first; what the others have together; and how many others those are.
    pub(super) fn largest(&self, max: usize) -> (Vec<(&str, &Counts)>, Counts, usize) {
        let sum = |counts: &Counts| counts.values().sum::<u64>();
        let mut keys: Vec<(&str, &Counts)> = self.keys.iter().map(|(key, counts)| (key.as_str(), counts)).collect();
        keys.sort_by_key(|(_, counts)| std::cmp::Reverse(sum(counts)));
        let rest = keys.split_off(max.min(keys.len()));
        let mut others = self.others.clone();
        for (start, count) in rest.iter().flat_map(|(_, counts)| counts.iter()) {
            *others.entry(*start).or_default() += count;
        }
        (keys, others, rest.len())
    }
}

/// The bin of a second: when it begins.
pub(super) const fn bin(second: i64, width: i64) -> i64 {
    (second + MONDAY).div_euclid(width) * width - MONDAY
}

/// How wide bins have to be for that time.
pub(super) fn width_for(first: i64, last: i64) -> i64 {
    let length = last.saturating_sub(first);
    let fitting = WIDTHS.into_iter().find(|(width, most)| length / width < *most);
    fitting.map_or_else(
        || {
            let mut width = 8 * WEEK;
            while length / width >= 260 {
                width *= 2;
            }
            width
        },
        |(width, _)| width,
    )
}

/// `hour`, `day`, `week`, `8 weeks`.
pub(super) fn width_name(width: i64) -> String {
    match width {
        HOUR => "hour".to_owned(),
        DAY => "day".to_owned(),
        WEEK => "week (from Monday)".to_owned(),
        _ => format!("{} weeks", width / WEEK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn bins_widen_with_the_time_and_lose_nothing() {
        let mut series = Series::default();
        series.add("a", at("2026-11-02T00:00:00Z"), 1);
        series.add("a", at("2026-11-02T00:59:59Z"), 1);
        series.add("a", at("2026-11-02T01:00:00Z"), 1);
        assert_eq!(series.keys["a"].values().copied().collect::<Vec<_>>(), [2, 1]);
        series.add("a", at("2026-11-20T00:00:00Z"), 4);
        assert_eq!(series.keys["a"].values().copied().collect::<Vec<_>>(), [3, 4]);
        series.add("b", at("2028-01-01T00:00:00Z"), 1);
        assert_eq!(series.width, WEEK);
        // 2026-11-02 was a Monday.
        assert_eq!(series.keys["a"].first_key_value(), Some((&at("2026-11-02T00:00:00Z").as_second(), &3)));
        for second in [Timestamp::MIN.as_second(), Timestamp::MAX.as_second()] {
            series.add("c", Timestamp::from_second(second).expect("a time"), 1);
        }
        let (largest, others, more) = series.largest(1);
        assert_eq!((largest[0].0, largest[0].1.values().sum::<u64>(), more), ("a", 7, 2));
        assert_eq!(others.values().sum::<u64>(), 3);
        assert!(series.keys["a"].len() + others.len() < 10);
    }

    #[test]
    fn there_are_never_more_than_so_many_series() {
        let mut series = Series::default();
        (0..5_000).for_each(|key| series.add(&key.to_string(), at("2026-11-02T00:00:00Z"), 1));
        assert_eq!((series.keys.len(), series.others.values().sum::<u64>()), (SERIES_MAX, 4_000));
    }
}
