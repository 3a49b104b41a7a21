//! [`Page`]: Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write as _};

use super::{Histogram, Labelled};

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// What is answered to one request: families, each with its samples.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    /// The family that is being written.
    family: &'static str,
}

impl Page {
    /// Begins a family. Its samples follow, if it has any.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.family = name;
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// A sample of the family.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let name = self.family;
        self.write_sample(name, "", labels, value);
    }

    /// All samples of a family of counters with one label.
    pub fn labelled(&mut self, name: &'static str, help: &str, label: &str, counted: &Labelled) {
        self.family(name, Kind::Counter, help);
        for (word, count) in counted.values() {
            self.sample(&[(label, word)], count);
        }
    }

    /// All samples of a histogram, in seconds.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let (below, all, sum) = histogram.read();
        for (bound, count) in below {
            let bound = seconds(bound);
            self.write_sample(name, "_bucket", &[labels, &[("le", bound.as_str())]].concat(), count);
        }
        self.write_sample(name, "_bucket", &[labels, &[("le", "+Inf")]].concat(), all);
        self.write_sample(name, "_sum", labels, seconds(sum));
        self.write_sample(name, "_count", labels, all);
    }

    /// The text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    fn write_sample(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        for (index, (label, value)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' | '"' => self.text.extend(['\\', c]),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.line(format_args!(" {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        self.text.write_fmt(line).unwrap_or_default();
        self.text.push('\n');
    }
}

/// Nanoseconds as seconds, exactly.
fn seconds(nanos: u64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
