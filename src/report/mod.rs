//! The report: what a log says of a time, for somebody who has to judge it. One page of HTML without scripts and without
//! anything from elsewhere, and the same tables as CSV.
//!
//! The log is read once, in memory that does not grow with it: tables have a limit of keys (`bounded`), times are joined
//! (`bins`). Every value of the log may come from an attacker: `text` makes visible what cannot be seen, and the writers
//! (`html`, `csv`) escape everything that they are given.

mod bars;
mod bins;
mod bounded;
mod changes;
mod chart;
mod collect;
mod csv;
mod decisions;
mod gaps;
mod html;
mod logins;
mod meaning;
mod page;
mod sessions;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod verdict;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::audit::{self, VerifyError};
pub use bars::Bars;
use chart::Frame;
pub use html::Page as Html;
pub use meaning::{meaning_of_refusal, rows as reason_codes};
use table::{Fact, Section};
pub use verdict::{Signatures, Verdict};

/// What to report.
#[derive(Clone, Debug)]
pub struct Options {
    /// The heading.
    pub title: String,
    /// From when; from the beginning of the log, if none.
    pub from: Option<Timestamp>,
    /// Up to when; to the end of the log, if none.
    pub until: Option<Timestamp>,
    /// When the report is made.
    pub made: Timestamp,
    /// Who can do what, from a policy.
    pub rights: Option<Rights>,
    /// What is known of signatures.
    pub signatures: Signatures,
}

/// What a policy amounts to, in words.
#[derive(Clone, Debug)]
pub struct Rights {
    /// The file.
    pub file: PathBuf,
    /// `sha256:…` of it.
    pub digest: String,
    /// Each identity.
    pub identities: Vec<IdentityRights>,
}

/// What an identity can do, in words.
#[derive(Clone, Debug)]
pub struct IdentityRights {
    /// Its name.
    pub name: String,
    /// What is said of it: a word, and the lines that belong to it.
    pub topics: Vec<(String, Vec<String>)>,
}

/// A report, to be written as HTML and CSV.
#[derive(Debug)]
pub struct Report {
    options: Options,
    directory: PathBuf,
    verdict: Verdict,
    frame: Frame,
    facts: Vec<Fact>,
    sections: Vec<Section>,
    /// The digest of the policy that the log names last.
    digest: String,
}

impl Report {
    /// Reads the log in a directory. A broken log is reported up to where it breaks.
    ///
    /// # Errors
    /// If there is no log, or it cannot be read.
    pub fn of(directory: &Path, options: Options) -> Result<Self, VerifyError> {
        let records = audit::read(directory)?;
        collect::collect(records, directory, options)
    }

    /// Whether the chain is whole.
    #[must_use]
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// One file of HTML.
    #[must_use]
    pub fn html(&self) -> String {
        page::write(self)
    }

    /// One file of CSV for each table: its name, and its text.
    #[must_use]
    pub fn csv(&self) -> Vec<(String, String)> {
        let tables = self.sections.iter().flat_map(|section| &section.tables);
        tables.map(|table| (format!("{}.csv", table.id), csv::csv(table))).collect()
    }
}
