//! Leaf values: durations, sizes, counts, dates; and the section `limits:`.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Limits;
use super::fields::{Fields, Problems};
use super::node::{Node, Value};
use crate::identity::FailedLogins;
use crate::policy::spec::{LimitSpec, Spanned};

/// `10s`, `5m`, `24h`, `200ms`; not 0.
pub(super) fn duration(node: &Node, problems: &mut Problems) -> Option<Duration> {
    let text = node.text(problems)?;
    let digits = text.text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.text.split_at_checked(digits)?;
    let millis = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let total = millis.and_then(|millis: u64| number.parse::<u64>().ok()?.checked_mul(millis));
    // A year is longer than anything here may last.
    let duration = total.filter(|total| (1..=366 * 86_400_000).contains(total)).map(Duration::from_millis);
    if duration.is_none() {
        let help = Some("a number and a unit: 200ms, 10s, 5m, 24h, 30d; not 0".to_owned());
        problems.error(text.at, format!("`{}` is no duration", text.text), help);
    }
    duration
}

/// `256MiB`, `64KiB`, `1GiB`.
pub(super) fn size(node: &Node, problems: &mut Problems) -> Option<u64> {
    let text = node.text(problems)?;
    let digits = text.text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.text.split_at_checked(digits)?;
    let shift = match unit {
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        _ => None,
    };
    let size = shift.and_then(|shift| number.parse::<u64>().ok()?.checked_mul(1 << shift)).filter(|size| *size > 0);
    if size.is_none() {
        problems.error(text.at, format!("`{}` is no size", text.text), Some("such as 64KiB, 256MiB, 1GiB".to_owned()));
    }
    size
}

/// A whole number from 1.
pub(super) fn count(node: &Node, problems: &mut Problems) -> Option<u32> {
    let text = node.text(problems)?;
    let number = text.text.parse::<NonZeroU32>().ok();
    if number.is_none() {
        let help = (text.text == "0").then(|| "0 is not \"unlimited\"; leave the key out for the default".to_owned());
        problems.error(text.at, format!("`{}` is no number from 1", text.text), help);
    }
    number.map(NonZeroU32::get)
}

/// `true` or `false`.
pub(super) fn boolean(node: &Node, problems: &mut Problems) -> Option<bool> {
    let text = node.text(problems)?;
    match text.text.as_str() {
        "true" => Some(true),
        "false" => Some(false),
        other => {
            problems.error(text.at, format!("expected true or false, found `{other}`"), None);
            None
        }
    }
}

/// A date (its first second, or with `end_of_day` the first one behind it, UTC) or an RFC 3339 time: seconds since the epoch.
pub(super) fn instant(node: &Node, end_of_day: bool, problems: &mut Problems) -> Option<i64> {
    let text = node.text(problems)?;
    if let Ok(time) = text.text.parse::<jiff::Timestamp>() {
        return Some(time.as_second());
    }
    // Without the length, jiff would take the date out of a time without a zone.
    let date = text.text.parse::<jiff::civil::Date>().ok().filter(|_| text.text.len() == "2027-01-31".len());
    let seconds = date.and_then(|date| {
        let date = if end_of_day { date.tomorrow().ok()? } else { date };
        jiff::tz::Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok().map(jiff::Timestamp::as_second)
    });
    if seconds.is_none() {
        let help = Some("such as 2027-01-31 (that day included, UTC) or 2027-01-31T18:00:00Z".to_owned());
        problems.error(text.at, format!("`{}` is no date", text.text), help);
    }
    seconds
}

/// One of some words.
pub(super) fn word<'w>(node: &Node, words: &[&'w str], problems: &mut Problems) -> Option<&'w str> {
    let text = node.text(problems)?;
    let word = words.iter().find(|word| **word == text.text).copied();
    if word.is_none() {
        problems.error(text.at, format!("expected one of {}, found `{}`", words.join(", "), text.text), None);
    }
    word
}

/// A list of texts.
pub(super) fn texts(node: &Node, problems: &mut Problems) -> Vec<Spanned> {
    node.list(problems).iter().filter_map(|element| element.text(problems)).collect()
}

/// `limits:`.
pub(super) fn limits(node: &Node, problems: &mut Problems) -> Limits {
    let known = [
        "connections",
        "connections_per_address",
        "unauthenticated",
        "unauthenticated_per_address",
        "handshake_timeout",
        "login_timeout",
        "packet_timeout",
        "failed_logins",
        "actions",
    ];
    let fields = Fields::of(node, "`limits`", &known, &[], problems);
    let mut limits = Limits::default();
    let connections = &mut limits.connections;
    for (key, limit) in [
        ("connections", &mut connections.connections),
        ("connections_per_address", &mut connections.connections_per_address),
        ("unauthenticated", &mut connections.unauthenticated),
        ("unauthenticated_per_address", &mut connections.unauthenticated_per_address),
    ] {
        if let Some(number) = fields.take(key).and_then(|node| count(node, problems)) {
            *limit = number;
        }
    }
    for (key, limit) in [
        ("handshake_timeout", &mut connections.handshake_timeout),
        ("login_timeout", &mut connections.login_timeout),
        ("packet_timeout", &mut connections.packet_timeout),
    ] {
        if let Some(time) = fields.take(key).and_then(|node| duration(node, problems)) {
            *limit = time;
        }
    }
    if let Some(failed) = fields.take("failed_logins").and_then(|node| failed_logins(node, problems)) {
        limits.failed_logins = failed;
    }
    limits.shared = fields.take("actions").map(|node| rates(node, problems)).unwrap_or_default();
    limits
}

fn failed_logins(node: &Node, problems: &mut Problems) -> Option<FailedLogins> {
    let fields = Fields::of(node, "`failed_logins`", &["rate", "lockout"], &[], problems);
    let rate = fields.need("rate", problems).and_then(|node| node.text(problems));
    let lockout = fields.take("lockout").map(|node| duration(node, problems));
    let rate = rate?;
    let parts = rate.text.split_once('/').and_then(|(count, unit)| {
        let per = match unit {
            "second" => 1,
            "minute" => 60,
            "hour" => 3_600,
            _ => return None,
        };
        Some((count.parse::<NonZeroU32>().ok()?.get(), Duration::from_secs(per)))
    });
    let Some((count, per)) = parts else {
        problems.error(rate.at, format!("`{}` is no rate", rate.text), Some("such as 5/minute or 20/hour".to_owned()));
        return None;
    };
    let lockout = lockout.unwrap_or_else(|| Some(FailedLogins::default().lockout))?;
    Some(FailedLogins { count, per, lockout })
}

/// Limits by action: `Originate: { rate: 10/minute, burst: 3, per_day: 200 }`.
pub(super) fn rates(node: &Node, problems: &mut Problems) -> Vec<LimitSpec> {
    let mut limits = Vec::new();
    for (action, value) in node.map(problems) {
        if let Value::Scalar(_) | Value::Empty = value.value {
            let help = Some(format!("write `{}: {{ rate: 10/minute }}`", action.text));
            problems.error(value.at, "expected `{ rate: … }`", help);
            continue;
        }
        let known = ["rate", "burst", "per_day", "hours", "distinct_destinations", "concurrent"];
        let fields = Fields::of(value, format!("the limit of `{}`", action.text), &known, &[], problems);
        if known.iter().all(|key| fields.take(key).is_none()) {
            fields.need("rate", problems);
        }
        let mut text = |key| fields.take(key).and_then(|node| node.text(problems));
        let (rate, burst, per_day) = (text("rate"), text("burst"), text("per_day"));
        let (distinct_destinations, concurrent) = (text("distinct_destinations"), text("concurrent"));
        let hours = fields.take("hours").map(|node| windows(node, problems)).unwrap_or_default();
        limits.push(LimitSpec {
            action: action.clone(),
            rate,
            burst,
            per_day,
            hours,
            distinct_destinations,
            concurrent,
        });
    }
    limits
}

/// `hours:`, one window or a list of them.
pub(super) fn windows(node: &Node, problems: &mut Problems) -> Vec<Spanned> {
    let windows = texts(node, problems);
    if windows.is_empty() {
        let help = Some("`hours: mon-fri 08:00-20:00 Europe/Madrid`; leave the key out for any time".to_owned());
        problems.error(node.at, "`hours` without a window", help);
    }
    windows
}
