//! The record: an append-only, hash-chained log that is written before anything is passed on.
//!
//! Callers encode their records themselves, in the caller's task (`draft`, `json`, `redact`); one thread gives them
//! their place (`writer`, `chain`) and has the files (`journal`, `segment`, `recover`). `read` reads a log, and `verify` says whether it is
//! whole.

mod adopt;
mod chain;
mod checkpoint;
mod compress;
mod config;
mod draft;
mod flood;
mod follow;
mod frame;
mod gate;
mod gather;
mod handle;
mod housekeeping;
mod journal;
mod json;
mod keep;
mod kind;
mod lines;
mod opening;
mod packet;
mod policy_record;
mod progress;
mod pseudonym;
mod pulse;
mod put;
mod read;
mod recover;
mod redact;
mod replay;
mod reserve;
mod security;
mod segment;
mod signing;
mod syslog;
#[cfg(test)]
pub(crate) mod tests;
mod trail;
mod verify;
mod wal;
mod writer;

use crate::policy::{Decision, Denial, Permit};

pub use chain::{BadRecord, time_text};
pub use compress::{Compressed, compress, compress_closed};
pub use config::{AuditConfig, AuditError, Durability, Keep, KeepSpace, OnBroken, OnFailure, Packets, StartOptions};
pub use draft::{Claimed, Draft, SessionContext, SessionCounts};
pub use follow::Follow;
pub use frame::Frame;
pub use handle::Audit;
pub use kind::Kind;
pub use policy_record::{FileUser, PolicyFacts, PolicyFile};
pub use progress::LogState;
pub use pseudonym::{BadKey, PseudonymKey, Pseudonyms};
pub use pulse::Pulse;
pub use read::{LoggedHeader, LoggedRecord, LoggedValue, REDACTED, Records, read};
pub use replay::{Replay, replay};
pub use security::{SecurityEvent, SecurityKind};
pub use signing::{KeyError, SigningKey, VerifyingKey};
pub use syslog::SyslogConfig;
pub use trail::{Place, Places, RawRecord, Trail};
pub use verify::{Anchors, Evidence, Summary, VerifyError, verify, verify_against};

/// The log cannot be written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct AuditUnavailable;

/// For records on which nothing waits: that one could not be written is said in the program's own messages, and the log
/// itself tells the gap by its `outage` record.
#[expect(clippy::needless_pass_by_value, reason = "an outcome is consumed where it is dealt with")]
pub fn best_effort<T>(outcome: Result<T, AuditUnavailable>) {
    if let Err(error) = outcome {
        tracing::error!("{error}");
    }
}

/// Something whose record is durable. Only [`Audit::record`] mints one, after `fdatasync`.
///
/// It cannot be made anywhere else, so what asks for one cannot be called before the record is on disk:
///
/// ```compile_fail,E0451
/// let forged = amiwall::audit::Recorded { value: 1 };
/// ```
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
