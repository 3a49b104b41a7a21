//! [`Diagnostics`]: what is wrong with a policy file, as people read it: file, line, column, the line with a mark under the
//! place, and what to write instead. Lines are shown only as [`Hidden`] allows.

use std::fmt;
use std::path::{Path, PathBuf};

use super::hidden::{Hidden, printable};
use crate::policy::spec::Problem;

/// Of more than these, only the number is told.
const SHOWN_MAX: usize = 100;
/// A longer line is not shown: it would not fit where it is read.
const LINE_LEN_MAX: usize = 400;

/// Whether it makes the policy unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Error,
    /// It is worth a look.
    Warning,
}

/// Whether a text is for a terminal with colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// It is.
    Colour,
    /// It is for anything else.
    Plain,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// The file.
    pub path: PathBuf,
    /// Line from 1; 0 for the file as a whole.
    pub line: u32,
    /// Column from 1, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The line, as far as it may be shown.
    pub source: Option<String>,
    /// Where the mark begins under `source`, from 1, and how long it is.
    mark: (usize, usize),
}

/// Any number of problems, by place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// How many more there are.
    omitted: usize,
    is_unreadable: bool,
}

impl Diagnostics {
    /// A file that cannot be read at all.
    pub(super) fn of_file(path: &Path, why: String) -> Self {
        let problem = Problem { at: crate::policy::spec::Position::default(), message: why, help: None };
        Self { is_unreadable: true, ..Self::new(Severity::Error, path, ("", &Hidden::default()), vec![problem]) }
    }

    /// Whether the file itself could not be read: then nothing is known of what it says.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    /// Problems of a text, of which not everything may be shown.
    pub(super) fn new(
        severity: Severity,
        path: &Path,
        (text, hidden): (&str, &Hidden),
        mut problems: Vec<Problem>,
    ) -> Self {
        problems.sort_by(|a, b| (a.at, &a.message).cmp(&(b.at, &b.message)));
        problems.dedup();
        let omitted = problems.len().saturating_sub(SHOWN_MAX);
        problems.truncate(SHOWN_MAX);
        let lines: Vec<&str> = text.lines().collect();
        let diagnostic = |problem: Problem| {
            let index = usize::try_from(problem.at.line).unwrap_or(usize::MAX).checked_sub(1);
            let line = index.and_then(|index| lines.get(index)).filter(|line| line.len() <= LINE_LEN_MAX);
            let column = usize::try_from(problem.at.column).unwrap_or(usize::MAX);
            let shown = line.map(|line| hidden.show(problem.at.line, line, column, width(line, column)));
            Diagnostic {
                severity,
                path: path.to_owned(),
                line: problem.at.line,
                column: problem.at.column,
                message: problem.message.chars().map(printable).collect(),
                help: problem.help.map(|help| help.chars().map(printable).collect()),
                mark: shown.as_ref().map_or((1, 1), |shown| (shown.column, shown.width)),
                source: shown.map(|shown| shown.text),
            }
        };
        Self { list: problems.into_iter().map(diagnostic).collect(), omitted, is_unreadable: false }
    }

    /// Both, one behind the other.
    pub(super) fn with(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        self.omitted = self.omitted.saturating_add(other.omitted);
        self
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.list.len().saturating_add(self.omitted)
    }

    /// How many errors and how many warnings are shown.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let errors = self.list.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        (errors, self.list.len() - errors)
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// For people.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        let mut text = String::new();
        for (number, diagnostic) in self.list.iter().enumerate() {
            text.push_str(if number == 0 { "" } else { "\n\n" });
            diagnostic.render(paint, &mut text);
        }
        if self.omitted > 0 {
            text.push_str(&format!("\n\n… and {} more", self.omitted));
        }
        text
    }

    /// For programs: a list of objects.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        self.list.iter().map(Diagnostic::to_json).collect()
    }
}

/// How much of the line belongs to what begins at `column`.
fn width(line: &str, column: usize) -> usize {
    let rest: Vec<char> = line.chars().skip(column.saturating_sub(1)).collect();
    let closing = match rest.first() {
        Some('"') => Some('"'),
        Some('\'') => Some('\''),
        Some('[') => Some(']'),
        Some('{') => Some('}'),
        _ => None,
    };
    let quoted = closing.and_then(|closing| rest.iter().skip(1).position(|character| *character == closing));
    if let Some(behind) = quoted {
        return behind + 2;
    }
    let ends = |pair: &&[char]| {
        let next = pair.get(1).copied().unwrap_or(' ');
        match pair.first() {
            Some(',' | ']' | '}') => true,
            Some(':') => next == ' ',
            Some(' ') => next == '#',
            _ => false,
        }
    };
    let padded: Vec<char> = rest.iter().copied().chain([' ']).collect();
    let end = padded.windows(2).position(|pair| ends(&pair)).unwrap_or(rest.len());
    let blanks = rest.iter().take(end).rev().take_while(|character| character.is_whitespace()).count();
    (end - blanks).max(1)
}

impl Severity {
    const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl Diagnostic {
    fn render(&self, paint: Paint, text: &mut String) {
        let coloured = |text: &str, code: &str| match paint {
            Paint::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
            Paint::Plain => text.to_owned(),
        };
        let colour = match self.severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
        };
        let path: String = self.path.display().to_string().chars().map(printable).collect();
        let severity = coloured(self.severity.word(), colour);
        if self.line == 0 {
            text.push_str(&format!("{severity}: {path}: {}", self.message));
        } else {
            let margin = " ".repeat(self.line.to_string().len());
            let message = coloured(&self.message, "1");
            let arrow = coloured("-->", "34");
            text.push_str(&format!("{severity}: {message}\n{margin}{arrow} {path}:{}:{}", self.line, self.column));
        }
        let margin = " ".repeat(self.line.to_string().len());
        let bar = coloured("|", "34");
        if let Some(source) = &self.source {
            let number = coloured(&self.line.to_string(), "34");
            let (column, width) = self.mark;
            let mark = coloured(&"^".repeat(width), colour);
            let before = " ".repeat(column.saturating_sub(1));
            text.push_str(&format!("\n{margin} {bar}\n{number} {bar} {source}\n{margin} {bar} {before}{mark}"));
        }
        if let Some(help) = &self.help {
            text.push_str(&format!("\n{margin} {} help: {help}", coloured("=", "34")));
        }
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "severity": self.severity.word(),
            "path": self.path.display().to_string(),
            "line": self.line,
            "column": self.column,
            "message": self.message,
            "help": self.help,
            "source": self.source,
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.render(Paint::Plain, &mut text);
        f.write_str(&text)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Paint::Plain))
    }
}
