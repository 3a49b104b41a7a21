//! How often something may be done, in words.

use crate::policy::spec::{LimitSpec, Spanned, TripSpec};

/// One entry of `limits`.
pub(super) fn limit(limit: &LimitSpec) -> String {
    let what = if limit.action.text == "*" { "packets of any kind" } else { &limit.action.text };
    let rate = limit.rate.as_ref().map(|rate| rate.text.clone());
    let burst = limit.burst.as_ref().map(|burst| format!("{} at once", burst.text));
    let most = most(limit);
    let per_day = limit.per_day.as_ref().map(|per_day| format!("{} a day (UTC)", per_day.text));
    let destinations =
        limit.distinct_destinations.as_ref().map(|window| format!("{} different destinations", window.text));
    let concurrent = limit.concurrent.as_ref().map(|concurrent| format!("{} calls at once", concurrent.text));
    let hours = (!limit.hours.is_empty()).then(|| format!("only {}", windows(&limit.hours)));
    let all = [rate, burst, most, per_day, destinations, concurrent, hours];
    format!("{what}: {}", all.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// What a bucket lets through between two moments: what may come at once, and what there is room for meanwhile.
fn most(limit: &LimitSpec) -> Option<String> {
    let (count, unit) = limit.rate.as_ref()?.text.split_once('/')?;
    let count = count.parse::<u64>().ok()?;
    let burst = limit.burst.as_ref().map_or(Some(count), |burst| burst.text.parse().ok())?;
    Some(format!("at most {} in any {unit}", count.saturating_add(burst)))
}

/// `trip` of a role.
pub(super) fn trip(trip: &TripSpec) -> String {
    let lasts =
        trip.lasts.map_or_else(|| "until it is resumed".to_owned(), |(_, lasts)| format!("for {} s", lasts.as_secs()));
    let exceeded = trip.exceeded.as_ref().map(|exceeded| match exceeded.text.split_once('/') {
        Some((count, "hour")) => format!("{count} refusals within an hour"),
        Some((count, unit)) => format!("{count} refusals within a {unit}"),
        None => format!("{} refusals", exceeded.text),
    });
    let prefixes = trip.first_call.iter().map(|prefix| format!("the first call to {}…", prefix.text));
    let why = exceeded.into_iter().chain(prefixes).collect::<Vec<_>>().join(" or ");
    format!("suspended after {why}, {lasts}")
}

/// `hours`.
pub(super) fn windows(hours: &[Spanned]) -> String {
    hours.iter().map(|window| window.text.as_str()).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Spanned {
        Spanned { text: text.to_owned(), ..Spanned::default() }
    }

    #[test]
    fn a_rate_tells_its_true_maximum() {
        let told = |rate: &str, burst: Option<&str>| {
            limit(&LimitSpec {
                action: text("Originate"),
                rate: Some(text(rate)),
                burst: burst.map(text),
                ..LimitSpec::default()
            })
        };
        assert_eq!(told("10/minute", None), "Originate: 10/minute, at most 20 in any minute");
        assert_eq!(told("10/minute", Some("3")), "Originate: 10/minute, 3 at once, at most 13 in any minute");
        assert_eq!(told("9/hour", Some("1")), "Originate: 9/hour, 1 at once, at most 10 in any hour");
    }

    #[test]
    fn a_trip_is_a_sentence() {
        let told = |exceeded: &str| trip(&TripSpec { exceeded: Some(text(exceeded)), ..TripSpec::default() });
        assert_eq!(told("2/hour"), "suspended after 2 refusals within an hour, until it is resumed");
        assert_eq!(told("2/minute"), "suspended after 2 refusals within a minute, until it is resumed");
    }
}
