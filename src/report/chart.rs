//! Charts: one row of bars for each key, all over the same time. Drawn as SVG with classes alone, in one colour, so that it
//! reads the same on a screen, in print and in shades of grey.

use jiff::Timestamp;

use super::bins::{Counts, Series, bin, width_name};
use super::html::Page;
use super::table::{Cell, Table};
use super::text;

/// Where the bars are, in the units of the drawing.
const WIDTH: f64 = 760.0;
const LEFT: f64 = 176.0;
const RIGHT: f64 = 748.0;
const TOP: f64 = 8.0;
const ROW: f64 = 40.0;
const BAR: f64 = 30.0;
/// Labels of the time axis, at most.
const TICKS_MAX: i64 = 9;
/// Bins that are drawn; a record with a time far outside leaves the chart without bars.
const BINS_MAX: i64 = 2_000;
/// Characters of a key beside its row.
const LABEL_LEN_MAX: usize = 20;

/// The time that all charts of a report show.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Of a bin, in seconds.
    pub(super) width: i64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// Times without records, or without service.
    pub(super) silent: Vec<(Timestamp, Timestamp)>,
}

impl Frame {
    fn start(&self) -> i64 {
        bin(self.first.as_second(), self.width)
    }

    fn bins(&self) -> i64 {
        (bin(self.last.as_second(), self.width) - self.start()) / self.width + 1
    }

    /// Where a second is.
    fn x(&self, second: i64) -> f64 {
        let share = (second - self.start()) as f64 / (self.bins() * self.width) as f64;
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }
}

/// One chart.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    id: &'static str,
    title: &'static str,
    rows: Vec<(String, Counts)>,
}

impl Chart {
    /// The largest of a series, a row for all others, and one for all together.
    pub(super) fn new(id: &'static str, title: &'static str, series: &Series, max: usize) -> Self {
        let (largest, others, count) = series.largest(max);
        let mut all = others.clone();
        for (start, count) in largest.iter().flat_map(|(_, counts)| counts.iter()) {
            *all.entry(*start).or_default() += count;
        }
        let mut rows: Vec<(String, Counts)> = Vec::new();
        if largest.len() + count > 1 {
            rows.push(("all together".to_owned(), all));
        }
        rows.extend(largest.into_iter().map(|(key, counts)| (key.to_owned(), counts.clone())));
        if !others.is_empty() {
            rows.push((if count > 0 { format!("{count} others") } else { "others".to_owned() }, others));
        }
        Self { id, title, rows }
    }

    pub(super) fn draw(&self, page: &mut Page, frame: &Frame) {
        page.open("figure", &[]);
        page.element("figcaption", &[("class", "chart-title")], self.title);
        if self.rows.is_empty() || frame.bins() > BINS_MAX {
            let why = if self.rows.is_empty() {
                "Nothing to draw."
            } else {
                "The times in the log are too far apart to draw."
            };
            page.element("p", &[("class", "empty")], why);
            page.close("figure");
            return;
        }
        let height = TOP + ROW * self.rows.len() as f64 + 26.0;
        let (title, desc) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        page.open(
            "svg",
            &[
                ("viewBox", &format!("0 0 {WIDTH} {height:.0}")),
                ("role", "img"),
                ("aria-labelledby", &format!("{title} {desc}")),
            ],
        );
        page.element("title", &[("id", &title)], self.title);
        page.element("desc", &[("id", &desc)], &self.description(frame));
        self.silences(page, frame, height);
        self.axis(page, frame, height);
        for (at, (label, counts)) in self.rows.iter().enumerate() {
            draw_row(page, frame, TOP + ROW * at as f64, (label, counts));
        }
        page.close("svg");
        let hatched =
            if frame.silent.is_empty() { "" } else { " Shaded: amiwall did not run, or could not write the log." };
        let note = format!(
            "One bar for each {}, UTC. Each row has its own scale: the number at its upper left is its tallest bar, the one \
             below the name its sum.{hatched}",
            width_name(frame.width)
        );
        page.element("p", &[("class", "source")], &note);
        page.close("figure");
    }

    /// What the drawing shows, for whoever cannot see it.
    fn description(&self, frame: &Frame) -> String {
        let mut text = format!("Bars from {} to {} (UTC). ", text::time(frame.first), text::time(frame.last));
        for (label, counts) in &self.rows {
            let (sum, peak) = (counts.values().sum::<u64>(), counts.iter().max_by_key(|(_, count)| **count));
            let peak = peak.and_then(|(start, count)| Some((Timestamp::from_second(*start).ok()?, count)));
            let peak =
                peak.map_or_else(String::new, |(at, count)| format!(", at most {count} from {}", text::time(at)));
            text.push_str(&format!("{}: {sum} in all{peak}. ", label));
        }
        text
    }

    fn silences(&self, page: &mut Page, frame: &Frame, height: f64) {
        for (from, until) in &frame.silent {
            let (from, until) = (frame.x(from.as_second()), frame.x(until.as_second()));
            let width = (until - from).max(1.6);
            rect(page, "silent", [from, TOP, width, height - TOP - 26.0]);
        }
    }

    fn axis(&self, page: &mut Page, frame: &Frame, height: f64) {
        let bottom = height - 26.0;
        let is_short = frame.width < 86_400;
        let (step, unit) = if is_short { (3_600, 24) } else { (86_400, 7) };
        let span = frame.bins() * frame.width;
        let candidates = [1, 2, 3, 4, 6, 12, unit, unit * 2, unit * 4, unit * 8, unit * 16, unit * 52];
        let fitting = candidates.into_iter().map(|count| count * step).find(|step| span / step <= TICKS_MAX);
        let step = fitting.unwrap_or(span / TICKS_MAX).max(frame.width);
        let mut second = bin(frame.start() + step - 1, step);
        while second <= frame.start() + span {
            let x = frame.x(second);
            // A label at the very end would stand over the one before, or outside.
            if second >= frame.start() && x < RIGHT - 26.0 {
                line(page, "grid", [x, TOP, x, bottom + 4.0]);
                let format = if is_short { "%m-%d %H:%M" } else { "%Y-%m-%d" };
                let label = Timestamp::from_second(second).map(|time| time.strftime(format).to_string());
                words(page, ("tick", "middle"), (x, bottom + 17.0), &label.unwrap_or_default());
            }
            second += step;
        }
    }
}

fn draw_row(page: &mut Page, frame: &Frame, top: f64, (label, counts): (&str, &Counts)) {
    let base = top + ROW - 4.0;
    let peak = counts.values().copied().max().unwrap_or(0);
    let sum: u64 = counts.values().sum();
    let mut name: String = label.chars().take(LABEL_LEN_MAX).collect();
    if name.len() < label.len() {
        name.push('…');
    }
    words(page, ("name", "start"), (4.0, base - 14.0), &name);
    words(page, ("sum", "start"), (4.0, base - 2.0), &text::thousands(sum));
    words(page, ("peak", "end"), (LEFT - 6.0, base - BAR + 8.0), &text::thousands(peak));
    words(page, ("peak", "end"), (LEFT - 6.0, base), "0");
    line(page, "grid", [LEFT, base - BAR, RIGHT, base - BAR]);
    line(page, "axis", [LEFT, base, RIGHT, base]);
    let slot = (RIGHT - LEFT) / frame.bins() as f64;
    let gap = (slot * 0.18).min(2.0);
    for (start, count) in counts.iter().filter(|(_, count)| **count > 0) {
        // What is not nothing is seen.
        let tall = (BAR * (*count as f64) / (peak.max(1) as f64)).max(1.0);
        let last = frame.start() + (frame.bins() - 1) * frame.width;
        let x = frame.x((*start).clamp(frame.start(), last));
        rect(page, "bar", [x + gap / 2.0, base - tall, slot - gap, tall]);
    }
}

fn rect(page: &mut Page, class: &str, [x, y, width, height]: [f64; 4]) {
    page.empty(
        "rect",
        &[
            ("class", class),
            ("x", &format!("{x:.2}")),
            ("y", &format!("{y:.2}")),
            ("width", &format!("{width:.2}")),
            ("height", &format!("{height:.2}")),
        ],
    );
}

fn line(page: &mut Page, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    page.empty(
        "line",
        &[
            ("class", class),
            ("x1", &format!("{x1:.2}")),
            ("y1", &format!("{y1:.2}")),
            ("x2", &format!("{x2:.2}")),
            ("y2", &format!("{y2:.2}")),
        ],
    );
}

fn words(page: &mut Page, (class, anchor): (&str, &str), (x, y): (f64, f64), text: &str) {
    let (x, y) = (format!("{x:.2}"), format!("{y:.2}"));
    page.element("text", &[("class", class), ("text-anchor", anchor), ("x", &x), ("y", &y)], text);
}

/// The numbers of a chart, for the CSV alone.
pub(super) fn series_table(id: &'static str, series: &Series, frame: &Frame) -> Table {
    let (largest, others, _) = series.largest(usize::MAX);
    let mut rows = Vec::new();
    let others = (!others.is_empty()).then_some(("(all others)", &others));
    for (key, counts) in largest.into_iter().chain(others) {
        for (start, count) in counts {
            let start = Cell::time(Timestamp::from_second(*start).ok());
            rows.push(vec![start, Cell::Span(frame.width), Cell::text(key), Cell::Count(*count)]);
        }
    }
    Table { id, columns: vec!["from", "seconds", "identity", "count"], rows, ..Table::default() }
}
