//! What a report is made of: sections of tables and charts. HTML and CSV are written from the same ones.

use jiff::Timestamp;

use super::chart::Chart;
use super::text;

/// One field of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// A word of the log that is compared letter by letter: a code, a path, a digest.
    Code(String),
    Count(u64),
    None,
    /// Words that need room.
    Prose(String),
    /// The place of a record in the log.
    Seq(u64),
    Span(i64),
    Text(String),
    Time(Timestamp),
}

impl Cell {
    /// Text, or nothing.
    pub(super) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::None } else { Self::Text(text) }
    }

    /// Words that need room, or nothing.
    pub(super) fn prose(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::None } else { Self::Prose(text) }
    }

    /// A code, or nothing.
    pub(super) fn code(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::None } else { Self::Code(text) }
    }

    pub(super) fn time(time: Option<Timestamp>) -> Self {
        time.map_or(Self::None, Self::Time)
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Code(text) | Self::Prose(text) | Self::Text(text) => text::visible(text),
            Self::Count(0) => "–".to_owned(),
            Self::Count(count) => text::thousands(*count),
            Self::None => String::new(),
            Self::Seq(seq) => seq.to_string(),
            Self::Span(seconds) => text::span(*seconds),
            Self::Time(time) => text::time(*time),
        }
    }

    /// For programs: numbers bare, spans in seconds, times as the log has them.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Code(text) | Self::Prose(text) | Self::Text(text) => text::visible(text),
            Self::Count(count) | Self::Seq(count) => count.to_string(),
            Self::None => String::new(),
            Self::Span(seconds) => seconds.to_string(),
            Self::Time(time) => crate::audit::time_text(*time),
        }
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Self::Count(_) | Self::Seq(_) | Self::Span(_))
    }
}

/// One table.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// The name of its CSV file, and its anchor.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// From which records it comes, so that a reader can look them up. Words in backticks are code.
    pub(super) source: String,
    /// What the reader has to know of it beside that.
    pub(super) note: String,
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// How many rows the page shows; the CSV file has all.
    pub(super) rows_shown: usize,
    /// What stands there when there is no row.
    pub(super) empty: &'static str,
}

/// Rows of one table on the page.
pub(super) const ROWS_SHOWN: usize = 60;

/// A part of the report.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) intro: String,
    pub(super) charts: Vec<Chart>,
    pub(super) tables: Vec<Table>,
}

/// A number of the summary, and where it leads.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) note: String,
    pub(super) section: &'static str,
}
