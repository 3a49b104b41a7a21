//! The record: an append-only, hash-chained log that is written before anything is passed on.

mod draft;

use std::sync::Arc;

use crate::policy::{Decision, Denial, Permit};

pub use draft::{Draft, SessionContext};

/// The log cannot be written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct AuditUnavailable;

/// Something whose record is durable. Only [`Audit::record`] mints one, after `fdatasync`.
#[must_use]
#[derive(Debug)]
pub struct Recorded<T> {
    value: T,
}

impl<T> Recorded<T> {
    /// What is on record.
    #[must_use]
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// What was on record, for other use: it has to be recorded anew to be forwarded.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

/// A recorded decision, told apart.
#[derive(Debug)]
pub enum Split {
    /// To be forwarded.
    Forward(Recorded<Permit>),
    /// To be refused.
    Refuse(Recorded<Denial>),
}

impl Recorded<Decision> {
    /// Tells the two outcomes apart.
    #[must_use]
    pub fn split(self) -> Split {
        match self.value {
            Decision::Allow(value) => Split::Forward(Recorded { value }),
            Decision::Deny(value) => Split::Refuse(Recorded { value }),
        }
    }
}

/// The audit log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Audit {}

impl Audit {
    /// Records decisions on actions of one session, in order; returns when all are durable.
    ///
    /// # Errors
    /// If they could not be made durable: nothing may be forwarded then. The decisions are handed back.
    pub async fn record(
        &self,
        _session: &Arc<SessionContext>,
        _decisions: Vec<(String, Decision)>,
    ) -> Result<Vec<Recorded<Decision>>, (AuditUnavailable, Vec<Decision>)> {
        todo!()
    }

    /// Appends records in order; returns when they are written (`write(2)` returned), with the seq of the first.
    ///
    /// # Errors
    /// If they could not be written: nothing of it may be passed on.
    pub async fn append(&self, _drafts: Vec<Draft>) -> Result<u64, AuditUnavailable> {
        todo!()
    }

    /// Appends a record and returns when it is durable, with its seq.
    ///
    /// # Errors
    /// If it could not be made durable.
    pub async fn commit(&self, _draft: Draft) -> Result<u64, AuditUnavailable> {
        todo!()
    }
}
