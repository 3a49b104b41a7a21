//! How many packets went and were refused in each minute of the last hour.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Web;
use crate::report::Html;
use crate::session::Shared;

const MINUTES: usize = 60;
const MINUTE: Duration = Duration::from_secs(60);
/// The drawing, in its own units.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 132.0;
const LEFT: f64 = 44.0;
const BASE: f64 = 108.0;
const TOP: f64 = 10.0;

/// What went and what was refused.
type Count = (u64, u64);

/// The last hour.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<Hour>);

#[derive(Debug, Default)]
struct Hour {
    /// Totals at the end of the last whole minute.
    last: Count,
    minutes: VecDeque<Count>,
}

/// Looks at the counters every minute; never ends.
pub(in crate::daemon::http) async fn sample(web: Arc<Web>, shared: Arc<Shared>) {
    let mut minutes = tokio::time::interval(MINUTE);
    minutes.tick().await;
    loop {
        minutes.tick().await;
        web.rates.take(shared.metrics.packets());
    }
}

impl Rates {
    fn take(&self, now: Count) {
        let mut hour = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = since(now, hour.last);
        hour.last = now;
        if hour.minutes.len() >= MINUTES {
            hour.minutes.pop_front();
        }
        hour.minutes.push_back(minute);
    }

    /// Each minute, the one that is not over at the end.
    fn minutes(&self, now: Count) -> Vec<Count> {
        let hour = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = hour.minutes.iter().rev().take(MINUTES - 1).rev();
        whole.copied().chain([since(now, hour.last)]).collect()
    }

    pub(super) fn draw(&self, page: &mut Html, now: Count) {
        let minutes = self.minutes(now);
        let (allowed, refused) = minutes.iter().fold((0, 0), |sum, minute| (sum.0 + minute.0, sum.1 + minute.1));
        let peak = minutes.iter().map(|(allowed, refused)| allowed + refused).max().unwrap_or(0);
        page.open("figure", &[]);
        page.element("figcaption", &[], "Packets of clients in the last hour, by minute");
        page.open(
            "svg",
            &[("viewBox", &format!("0 0 {WIDTH} {HEIGHT}")), ("role", "img"), ("aria-labelledby", "rate-desc")],
        );
        let told = format!("{allowed} went and {refused} were refused in the last hour; at most {peak} in a minute.");
        page.element("desc", &[("id", "rate-desc")], &told);
        line(page, "grid", TOP);
        line(page, "axis", BASE);
        words(page, (LEFT - 6.0, TOP + 4.0, "end"), &peak.to_string());
        words(page, (LEFT - 6.0, BASE + 4.0, "end"), "0");
        for (ago, at) in [("60 min ago", LEFT), ("30 min ago", (LEFT + WIDTH) / 2.0)] {
            words(page, (at, BASE + 18.0, if at > LEFT { "middle" } else { "start" }), ago);
        }
        words(page, (WIDTH, BASE + 18.0, "end"), "now");
        let slot = (WIDTH - LEFT) / MINUTES as f64;
        let tall =
            |count: u64| if count == 0 { 0.0 } else { ((BASE - TOP) * count as f64 / peak.max(1) as f64).max(1.5) };
        for (ago, (allowed, refused)) in minutes.iter().rev().enumerate() {
            let x = WIDTH - slot * (ago as f64 + 1.0) + 1.0;
            let (low, high) = (tall(*allowed), tall(*refused));
            bar(page, "allow", (x, BASE - low, slot - 2.0, low));
            bar(page, "deny", (x, BASE - low - high, slot - 2.0, high));
        }
        page.close("svg");
        page.open("p", &[("class", "legend")]);
        for (class, word, count) in [("swatch", "let pass", allowed), ("swatch deny", "refused", refused)] {
            page.open("span", &[]);
            page.element("span", &[("class", class)], "");
            page.text(&format!("{count} {word}"));
            page.close("span");
        }
        page.close("p");
        page.close("figure");
    }
}

/// What was counted of an identity that is gone is not taken for less than nothing.
const fn since(now: Count, last: Count) -> Count {
    (now.0.saturating_sub(last.0), now.1.saturating_sub(last.1))
}

fn line(page: &mut Html, class: &str, y: f64) {
    let (left, right, y) = (LEFT.to_string(), WIDTH.to_string(), y.to_string());
    page.empty("line", &[("class", class), ("x1", &left), ("x2", &right), ("y1", &y), ("y2", &y)]);
}

fn words(page: &mut Html, (x, y, anchor): (f64, f64, &str), text: &str) {
    page.element("text", &[("x", &x.to_string()), ("y", &y.to_string()), ("text-anchor", anchor)], text);
}

fn bar(page: &mut Html, class: &str, (x, y, width, height): (f64, f64, f64, f64)) {
    if height > 0.0 {
        let numbers = [x, y, width, height].map(|number| format!("{number:.2}"));
        let [x, y, width, height] = &numbers;
        page.empty("rect", &[("class", class), ("x", x), ("y", y), ("width", width), ("height", height)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let rates = Rates::default();
        assert_eq!(rates.minutes((5, 1)), [(5, 1)]);
        (1..=100).for_each(|minute| rates.take((minute * 10, minute)));
        let minutes = rates.minutes((1_003, 100));
        assert_eq!((minutes.len(), minutes[0], minutes[59]), (60, (10, 1), (3, 0)));
        // A reload took an identity away, and its counts with it.
        rates.take((7, 0));
        assert_eq!(rates.minutes((9, 0))[58..], [(0, 0), (2, 0)]);
        let mut page = Html::default();
        rates.draw(&mut page, (9, 0));
        let text = page.into_text();
        assert!(text.contains("at most 11 in a minute") && text.matches("<rect").count() == 117, "{text}");
    }
}
