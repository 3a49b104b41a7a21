//! [`Diagnostics`]: what is wrong with a policy file, as people read it: file, line, column, the line with a mark under the
//! place, and what to write instead. Lines that may hold a secret are shown with their value masked.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::policy::spec::Problem;

/// Whether it makes the policy unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Error,
    /// It is worth a look.
    Warning,
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
}

/// Any number of problems, by place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// A file that cannot be read at all.
    pub(super) fn of_file(path: &Path, why: String) -> Self {
        Self(vec![Diagnostic {
            severity: Severity::Error,
            path: path.to_owned(),
            line: 0,
            column: 0,
            message: why,
            help: None,
            source: None,
        }])
    }

    pub(super) fn errors(path: &Path, text: &str, problems: Vec<Problem>) -> Self {
        Self::new(Severity::Error, path, text, problems)
    }

    pub(super) fn warnings(path: &Path, text: &str, problems: Vec<Problem>) -> Self {
        Self::new(Severity::Warning, path, text, problems)
    }

    fn new(severity: Severity, path: &Path, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| (a.at, &a.message).cmp(&(b.at, &b.message)));
        problems.dedup();
        let lines: Vec<&str> = text.lines().collect();
        let line_of = |problem: &Problem| {
            let index = usize::try_from(problem.at.line).ok()?.checked_sub(1)?;
            lines.get(index).map(|line| shown(line))
        };
        let diagnostic = |problem: Problem| Diagnostic {
            severity,
            path: path.to_owned(),
            line: problem.at.line,
            column: problem.at.column,
            source: line_of(&problem),
            message: problem.message,
            help: problem.help,
        };
        Self(problems.into_iter().map(diagnostic).collect())
    }

    /// Both, one behind the other.
    pub(super) fn with(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Diagnostic> {
        self.0.iter()
    }
}

/// A line as it may be shown: what follows a `secret:` that is no path and no variable is hidden.
fn shown(line: &str) -> String {
    let Some((before, value)) = line.split_once("secret:") else { return line.to_owned() };
    let value = value.trim();
    let is_reference = value.starts_with('{') || value.is_empty() || value.starts_with('#');
    if is_reference { line.to_owned() } else { format!("{before}secret: …") }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let path = self.path.display();
        if self.line == 0 {
            write!(f, "{severity}: {path}: {}", self.message)?;
        } else {
            write!(f, "{severity}: {}\n  --> {path}:{}:{}", self.message, self.line, self.column)?;
        }
        if let Some(source) = &self.source {
            let margin = self.line.to_string();
            let blank = " ".repeat(margin.len());
            // Tabs keep their width under the mark.
            let before = source.chars().take(usize::try_from(self.column).unwrap_or(1).saturating_sub(1));
            let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "\n{blank} |\n{margin} | {source}\n{blank} | {indent}^")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, diagnostic) in self.0.iter().enumerate() {
            let gap = if number == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{diagnostic}")?;
        }
        let errors = self.0.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        if errors > 1 {
            write!(f, "\n\n{errors} errors")?;
        }
        Ok(())
    }
}
