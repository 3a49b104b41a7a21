//! How records are printed, and how a search ends.

use std::io::{IsTerminal as _, Write};
use std::ops::ControlFlow;

use super::super::{Exit, Failure, say};
use crate::audit::VerifyError;
use crate::search::{Found, csv_header, csv_row, json_safe, table_header, table_row};

/// What a line has where nobody says how wide it may be.
const WIDTH: usize = 80;

/// How records are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum RecordFormat {
    /// For people.
    #[default]
    Table,
    /// The lines of the log as they are.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Prints records, with a head before the first one.
#[derive(Debug)]
pub(super) struct Printer<W> {
    to: W,
    format: RecordFormat,
    width: usize,
    has_head: bool,
}

impl<W: Write> Printer<W> {
    pub(super) const fn new(to: W, format: RecordFormat, width: usize) -> Self {
        Self { to, format, width, has_head: false }
    }

    /// Prints a record. Breaks if nobody reads it any more.
    pub(super) fn print(&mut self, found: &Found) -> ControlFlow<()> {
        if !self.has_head {
            self.has_head = true;
            match self.format {
                RecordFormat::Json => {}
                RecordFormat::Csv => self.line(csv_header().as_bytes(), b"\r\n")?,
                RecordFormat::Table => self.line(table_header(self.width).as_bytes(), b"\n")?,
            }
        }
        match self.format {
            RecordFormat::Json => self.line(json_safe(&found.line).as_bytes(), b"\n"),
            RecordFormat::Csv => self.line(csv_row(&found.record).as_bytes(), b"\r\n"),
            RecordFormat::Table => self.line(table_row(&found.record, self.width).as_bytes(), b"\n"),
        }
    }

    fn line(&mut self, text: &[u8], end: &[u8]) -> ControlFlow<()> {
        let written = self.to.write_all(text).and_then(|()| self.to.write_all(end));
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Lets what is printed be seen. Breaks if nobody reads it any more.
    pub(super) fn flush(&mut self) -> ControlFlow<()> {
        if self.to.flush().is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// The width of the terminal that standard output is.
pub(super) fn width() -> usize {
    let stdout = std::io::stdout();
    let size = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok()).flatten();
    size.map_or(WIDTH, |size| usize::from(size.ws_col)).max(WIDTH / 2)
}

/// How a search ends that has found so many.
pub(super) fn end(found: u64, outcome: Result<(), VerifyError>) -> Result<Exit, Failure> {
    match outcome {
        Ok(()) => Ok(if found > 0 { Exit::Ok } else { Exit::Denied }),
        Err(error @ VerifyError::Broken { .. }) => {
            let text = format!(
                "broken: {error}\nwhat stands there and behind it was not read; what was found before is right"
            );
            say(&mut std::io::stderr(), &text);
            Ok(Exit::BrokenChain)
        }
        Err(error @ (VerifyError::Empty(_) | VerifyError::Io { .. })) => Err(Failure::incomplete(error.to_string())),
    }
}
