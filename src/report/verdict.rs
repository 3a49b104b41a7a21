//! [`Verdict`]: whether the log is whole, and what was looked at to say so.

use jiff::Timestamp;

use crate::audit::{LoggedRecord, VerifyError};

/// What is known of the log beside its chain: signatures, and what was kept elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Signatures {
    /// Nobody gave a key, or anything that was kept elsewhere.
    #[default]
    NotChecked,
    /// All that was given is as it should be.
    Good {
        /// The names of the keys.
        keys: Vec<String>,
        /// How many checkpoints are signed with them, and the last record that a signature covers.
        signed: Option<(u64, u64)>,
        /// How many records are as somebody kept them elsewhere.
        anchored: u64,
    },
    /// It is not: why.
    Bad(String),
}

impl Signatures {
    /// In words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::NotChecked => "not checked: no public key was given".to_owned(),
            Self::Bad(why) => format!("BAD: {why}"),
            Self::Good { keys, signed, anchored } => {
                let mut parts = Vec::new();
                if let Some((count, through)) = signed {
                    let count = super::text::thousands(*count);
                    let through = super::text::thousands(*through);
                    parts.push(format!("good: {count} checkpoints, up to record {through}, by {}", keys.join(", ")));
                }
                if *anchored > 0 {
                    parts
                        .push(format!("{} records are as they were kept elsewhere", super::text::thousands(*anchored)));
                }
                parts.join("; ")
            }
        }
    }

    const fn has_keys(&self) -> bool {
        matches!(self, Self::Good { signed: Some(_), .. })
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
    /// The first record that says that a start found some missing.
    pub(super) missing: Option<u64>,
    /// It was read to its end, whatever `broken` says.
    pub(super) is_read_whole: bool,
}

impl Verdict {
    pub(super) fn take(&mut self, record: &LoggedRecord) {
        self.records += 1;
        self.first.get_or_insert((record.seq, record.time));
        self.last = Some((record.seq, record.time));
        self.head.clone_from(&record.hash);
        self.last_kind.clone_from(&record.kind);
        if record.reason == "audit.records-missing" {
            self.missing.get_or_insert(record.seq);
        }
    }

    /// Takes the error that ended the reading, if it is one of the log.
    pub(super) fn take_error(&mut self, error: VerifyError) -> Result<(), VerifyError> {
        if !matches!(error, VerifyError::Broken { .. }) {
            return Err(error);
        }
        self.broken = Some(error.to_string());
        Ok(())
    }

    /// Takes what is known beside the chain: a whole chain that is not signed as it should be is no good either.
    pub(super) fn take_signatures(&mut self, signatures: &Signatures) {
        if let Signatures::Bad(why) = signatures
            && self.broken.is_none()
        {
            self.broken = Some(why.clone());
            self.is_read_whole = true;
        }
    }

    /// What the reader must not take it for.
    pub(super) fn caveats(&self, signatures: &Signatures) -> Vec<String> {
        let mut caveats = Vec::new();
        if self.is_read_whole {
            caveats.push(
                "Each record follows the one before it, and all of them are in this report. But the signatures or the copies \
                 that were kept elsewhere do not fit: what stands from that place on may have been made by somebody else."
                    .to_owned(),
            );
        } else if self.broken.is_some() {
            caveats.push(
                "Nothing behind the place where the log breaks was read, so nothing of it is in this report. What stands \
                 before it follows one record from the other, but whoever broke the log may have begun anew there."
                    .to_owned(),
            );
        }
        caveats.push(if signatures.has_keys() {
            "Who has the private key, or cuts off the end back to a checkpoint, leaves signatures that are good. Only a \
             checkpoint that was kept where he cannot reach it (`--anchor`) shows that."
                .to_owned()
        } else {
            "Who can write the files can make the whole chain anew from the place that he changes. A public key (`--key`), \
             or a checkpoint that was kept where he cannot reach it (`--anchor`), shows that."
                .to_owned()
        });
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
