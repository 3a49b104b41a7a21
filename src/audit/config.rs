//! What the policy file says about the log, and why a log cannot be opened.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::chain::BadRecord;
use super::pseudonym::Pseudonyms;
use super::recover::RecoverError;
use super::segment::DirectoryError;
use super::signing::KeyError;
use super::syslog::SyslogConfig;

/// Which packets are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packets {
    /// Actions, and what amiwall itself does.
    Actions,
    /// What goes to the client too.
    #[default]
    Both,
}

/// When whoever waits for a record is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After an `fdatasync` that covers it.
    Synced,
    /// When `write(2)` has returned. A sync covers it within about a second.
    Written,
}

impl Durability {
    /// The word of the policy file and of the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Written => "written",
        }
    }
}

/// What is done while the log cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing passes that is not on record.
    #[default]
    Refuse,
    /// Everything passes as before; what is missing is recorded as a gap when the log can be written again.
    Continue,
}

/// What of the log is kept. What is not is taken out segment by segment, the oldest first, and that is a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// For so many days.
    pub days: Option<u32>,
    /// As long as there is so much space.
    pub space: Option<KeepSpace>,
}

/// How much space a log may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepSpace {
    /// As long as no more than so many percent of the file system are in use, by whatever it is.
    Percent(u8),
    /// The log itself is at most so many bytes.
    Bytes(u64),
}

/// What is done with a log in which good records follow a bad one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBroken {
    /// amiwall does not start.
    #[default]
    Refuse,
    /// It is moved to a folder of its own, a new log is begun, and its first record says so.
    SetAside,
}

/// What whoever starts amiwall takes upon himself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartOptions {
    /// What is done with a broken log.
    pub on_broken: OnBroken,
    /// Whether a log is signed on whose end has no signature of the key: because signing was switched on, or the key was
    /// changed.
    pub sign_from_here: bool,
}

/// What the policy file says under `audit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    /// Where the segments are. Made if it is not there.
    pub directory: PathBuf,
    /// Which packets are recorded.
    pub packets: Packets,
    /// Events that are not recorded, by name, without case.
    pub except_events: Vec<String>,
    /// What is hidden: `[action or event.]header`, and names of variables; `default` is the list that is built in, and `!`
    /// before a pattern shows what another one hides.
    pub redact: Vec<String>,
    /// Of what only a pseudonym is shown.
    pub pseudonyms: Option<Pseudonyms>,
    /// Where lines for those who shut out addresses are written.
    pub security_log: Option<PathBuf>,
    /// Where records are sent, too.
    pub syslog: Option<SyslogConfig>,
    /// At how many bytes another segment is begun.
    pub segment_size: u64,
    /// At what age another segment is begun.
    pub segment_age: Option<Duration>,
    /// Whether segments that are complete are compressed.
    pub compress: bool,
    /// What is kept.
    pub keep: Keep,
    /// The private key that signs checkpoints.
    pub signing_key: Option<PathBuf>,
    /// A file, best on another machine, to which checkpoints are copied.
    pub anchor: Option<PathBuf>,
    /// What is done while the log cannot be written.
    pub on_failure: OnFailure,
    /// What an action waits for before it is forwarded.
    pub actions: Durability,
    /// What an answer or an event waits for before it is passed on.
    pub responses: Durability,
}

impl AuditConfig {
    /// 256 MiB.
    pub const DEFAULT_SEGMENT_SIZE: u64 = 256 * 1024 * 1024;

    /// The default of every key, in this directory.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            packets: Packets::default(),
            except_events: Vec::new(),
            redact: Self::default_redact(),
            pseudonyms: None,
            security_log: None,
            syslog: None,
            segment_size: Self::DEFAULT_SEGMENT_SIZE,
            segment_age: None,
            compress: false,
            keep: Keep::default(),
            signing_key: None,
            anchor: None,
            on_failure: OnFailure::default(),
            actions: Durability::Synced,
            responses: Durability::Written,
        }
    }

    /// What is hidden where the policy file does not say.
    #[must_use]
    pub fn default_redact() -> Vec<String> {
        vec![super::redact::DEFAULT.to_owned()]
    }
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The log is damaged, not just cut off.
    #[error(
        "the audit log is broken: {}:{line}: {problem}; good records follow, so this is no crash. \
         `amiwall audit verify {}` says more; `amiwall run --set-broken-log-aside` keeps it in a folder of its own, \
         begins a new log and records that",
        segment.display(), segment.parent().unwrap_or(segment).display()
    )]
    Broken {
        /// The segment's path.
        segment: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong there.
        problem: BadRecord,
    },
    /// The directory or a file in it cannot be used.
    #[error("cannot use the audit directory `{}`: {error}", directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// The key that signs checkpoints.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The end of the log is not signed.
    #[error(
        "the end of the audit log in `{}` is not signed with `signing_key`: {problem}; amiwall does not vouch for what it \
         may not have written. If signing was switched on or the key was changed, start once with \
         `amiwall run --sign-from-here`, which is put on record. If not, somebody has written to the log",
        directory.display()
    )]
    Unsigned {
        /// The directory.
        directory: PathBuf,
        /// What is wrong.
        problem: BadRecord,
    },
    /// The log cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The security log cannot be opened.
    #[error("cannot write the security log `{}`: {error}; `audit.security_log` names it", path.display())]
    SecurityLog {
        /// Its path.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// Another process writes to the log.
    #[error("the audit directory `{}` is in use by another amiwall (process {holder})", directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
        /// Its process id, as its lock file says.
        holder: String,
    },
}

impl AuditError {
    pub(super) fn of_io(config: &AuditConfig, error: io::Error) -> Self {
        Self::Io { directory: config.directory.clone(), error }
    }

    pub(super) fn of_directory(config: &AuditConfig, error: DirectoryError) -> Self {
        match error {
            DirectoryError::Io(error) => Self::of_io(config, error),
            DirectoryError::Locked(holder) => Self::Locked { directory: config.directory.clone(), holder },
        }
    }

    pub(super) fn of_recovery(config: &AuditConfig, error: RecoverError) -> Self {
        match error {
            RecoverError::Io(error) => Self::of_io(config, error),
            RecoverError::Broken { segment, line, problem } => {
                Self::Broken { segment: config.directory.join(segment), line, problem }
            }
        }
    }
}
