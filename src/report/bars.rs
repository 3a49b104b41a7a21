//! [`Bars`]: one chart of what happened how often, for a page that is no report.

use jiff::Timestamp;

use super::bins::{Series, width_for};
use super::chart::{Chart, Frame};
use super::html::Page;
use super::text;

/// Keys that have a row of their own.
const ROWS_MAX: usize = 12;

/// How often something was, over time, for each key.
#[derive(Clone, Debug, Default)]
pub struct Bars(Series);

impl Bars {
    /// So often more.
    pub fn add(&mut self, key: &str, time: Timestamp, count: u64) {
        self.0.add(&text::key(key), time, count);
    }

    /// Draws them for that time.
    pub fn draw(
        &self,
        page: &mut Page,
        (id, title): (&'static str, &'static str),
        (first, last): (Timestamp, Timestamp),
    ) {
        let (width, mut series) = (width_for(first.as_second(), last.as_second()), self.0.clone());
        series.widen(width);
        Chart::new(id, title, &series, ROWS_MAX).draw(page, &Frame { width, first, last, silent: Vec::new() });
    }
}
