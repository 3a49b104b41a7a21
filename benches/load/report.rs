//! The table.

use crate::stats::{Results, median, quantile, ratios};
use crate::targets::Kind;

const KINDS: [Kind; 6] = [Kind::Direct, Kind::Haproxy, Kind::Stunnel, Kind::Synced, Kind::Written, Kind::ActionsOnly];

/// Medians with quartiles, and the median of the ratios to HAProxy in the same round.
pub(crate) fn print(results: &Results) {
    println!("| | | median | quartiles | to HAProxy |");
    println!("|---|---|---:|---:|---:|");
    for what in results.measured() {
        let units = results.of(what, Kind::Haproxy);
        for kind in KINDS {
            let values = results.of(what, kind);
            if values.is_empty() {
                continue;
            }
            let ratio = if units.is_empty() || kind == Kind::Direct {
                String::new()
            } else {
                format!("{:.2}", median(&ratios(values, units)))
            };
            println!(
                "| {what} | {} | {} | {} to {} | {ratio} |",
                kind.name(),
                three_digits(median(values)),
                three_digits(quantile(values, 0.25)),
                three_digits(quantile(values, 0.75))
            );
        }
    }
}

/// As many as mean something.
fn three_digits(value: f64) -> String {
    let decimals = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.decimals$}")
}

/// What is measured once in a run: the costs that grow, or should not, with something.
#[derive(Default)]
pub(crate) struct Once(Vec<Row>);

struct Row {
    what: String,
    kind: Kind,
    value: f64,
    beside: String,
}

impl Once {
    /// `beside` says what to compare the value with.
    pub(crate) fn add(&mut self, what: String, kind: Kind, value: f64, beside: String) {
        self.0.push(Row { what, kind, value, beside });
    }

    pub(crate) fn print(&self) {
        if self.0.is_empty() {
            return;
        }
        println!("\nOnce per run:\n\n| | | value | beside |\n|---|---|---:|---:|");
        for Row { what, kind, value, beside } in &self.0 {
            println!("| {what} | {} | {} | {beside} |", kind.name(), three_digits(*value));
        }
    }
}
