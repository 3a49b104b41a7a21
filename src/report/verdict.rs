//! [`Verdict`]: whether the log is whole, and what was looked at to say so.

use jiff::Timestamp;

use crate::audit::{LoggedRecord, VerifyError};

/// Whether signatures were checked. The one place where what a verifier says of them comes in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Signatures {
    /// Nobody gave a key.
    #[default]
    NoKey,
    /// Keys were given, but this version cannot check signatures.
    NotChecked {
        /// What was given.
        keys: Vec<String>,
    },
}

impl Signatures {
    /// In words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::NoKey => "not checked: no public key was given".to_owned(),
            Self::NotChecked { keys } => {
                format!("not checked: this version cannot. The key that was given: {}", keys.join(", "))
            }
        }
    }
}

/// What the chain of hashes says.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Where the log breaks, and how; none if it is whole.
    pub broken: Option<String>,
    /// How many records are right.
    pub records: u64,
    pub(super) inside: u64,
    pub(super) first: Option<(u64, Timestamp)>,
    pub(super) last: Option<(u64, Timestamp)>,
    /// The hash of the last record.
    pub head: String,
    pub(super) last_kind: String,
}

impl Verdict {
    pub(super) fn take(&mut self, record: &LoggedRecord) {
        self.records += 1;
        self.first.get_or_insert((record.seq, record.time));
        self.last = Some((record.seq, record.time));
        self.head.clone_from(&record.hash);
        self.last_kind.clone_from(&record.kind);
    }

    /// Takes the error that ended the reading, if it is one of the log.
    pub(super) fn take_error(&mut self, error: VerifyError) -> Result<(), VerifyError> {
        if !matches!(error, VerifyError::Broken { .. }) {
            return Err(error);
        }
        self.broken = Some(error.to_string());
        Ok(())
    }

    /// What the reader must not take it for.
    pub(super) fn caveats(&self) -> Vec<String> {
        let mut caveats = Vec::new();
        if self.broken.is_some() {
            caveats.push(
                "Nothing behind the place where the log breaks was read, so nothing of it is in this report. What stands \
                 before it follows one record from the other, but whoever broke the log may have begun anew there."
                    .to_owned(),
            );
        }
        caveats.push(
            "Who can write the files can make the whole chain anew from the place that he changes. The head, \
             compared with one that was kept where he cannot reach it, proves that he did not."
                .to_owned(),
        );
        if self.broken.is_none() && self.last_kind != "stop" {
            caveats.push(format!(
                "The last record is `{}`, not `stop`: amiwall was running when the log was read, or did not stop in good \
                 order, or the end was cut off. The chain alone cannot tell these apart.",
                self.last_kind
            ));
        }
        if let Some((seq, _)) = self.first.filter(|(seq, _)| *seq > 1) {
            caveats.push(format!(
                "The log begins with record {seq}: the {} before it were taken out, and nothing is said of them here.",
                super::text::thousands(seq - 1)
            ));
        }
        caveats
            .push("It says what passed amiwall. What reached Asterisk by another way is not in this log.".to_owned());
        caveats
    }
}
