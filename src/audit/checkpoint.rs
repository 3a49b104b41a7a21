//! [`Checkpoints`]: when a checkpoint is due and what it holds, and its copy elsewhere.
//!
//! A checkpoint says how long the chain was and where it ended, signed if there is a key. Under load there is one each
//! second, so that little can be taken off the end of a log unseen; without any there is one each minute, so that silence
//! is a record too. One each minute, and the last of each segment, also hold the state of quotas: a start reads the log
//! back to such a one.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use super::chain::Head;
use super::draft::Draft;
use super::kind::Kind;
use super::signing::SigningKey;
use super::{AuditConfig, KeyError, json};
use crate::policy::QuotaState;

/// While there are records, one is signed this often.
const SIGN_INTERVAL: Duration = Duration::from_secs(1);
/// How often there is one, whatever happens.
const WHOLE_INTERVAL: Duration = Duration::from_secs(60);
/// How many copies may wait for the other place.
const ANCHOR_QUEUE_LEN: usize = 64;
/// What the other place gets at the end.
const ANCHOR_TIMEOUT: Duration = Duration::from_secs(2);

/// Says what a checkpoint holds of quotas.
pub(super) struct SaveState(pub(super) Box<dyn Fn() -> QuotaState + Send>);

impl std::fmt::Debug for SaveState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SaveState")
    }
}

/// How much a checkpoint holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// The head, signed.
    Signature,
    /// The state of quotas too.
    Whole,
}

/// All about the checkpoints of one log.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    key: Option<SigningKey>,
    anchor: Option<Anchor>,
    pub(super) quotas: Option<SaveState>,
    /// The seq of the last one, when it was, and when the last one was that is whole.
    last: u64,
    at: Option<Instant>,
    whole_at: Option<Instant>,
}

impl Checkpoints {
    pub(super) fn new(config: &AuditConfig) -> Result<Self, KeyError> {
        let key = config.signing_key.as_deref().map(SigningKey::load).transpose()?;
        Ok(Self { key, anchor: config.anchor.as_deref().map(Anchor::new), ..Self::default() })
    }

    /// The name of the key that signs.
    pub(super) fn signer(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.public().name())
    }

    /// Which one is due now, if any is. `steady` is asked once a second.
    pub(super) fn due(&mut self, head: &Head, steady: Instant) -> Option<Extent> {
        let is_over = |at: Instant, interval| steady.saturating_duration_since(at) >= interval;
        if is_over(*self.whole_at.get_or_insert(steady), WHOLE_INTERVAL) {
            return Some(Extent::Whole);
        }
        let is_due = self.at.is_none_or(|at| is_over(at, SIGN_INTERVAL));
        (self.key.is_some() && head.seq > self.last && is_due).then_some(Extent::Signature)
    }

    /// Whether the last record of a segment or of the log should be one.
    pub(super) const fn at_end(&self, head: &Head) -> bool {
        (self.key.is_some() || self.quotas.is_some()) && head.seq > self.last
    }

    /// The record that follows this head.
    pub(super) fn draft(&mut self, head: &Head, extent: Extent, steady: Instant) -> Draft<'static> {
        (self.last, self.at) = (head.seq + 1, Some(steady));
        if extent == Extent::Whole {
            self.whole_at = Some(steady);
        }
        let quotas = self.quotas.as_ref().filter(|_| extent == Extent::Whole).map(|SaveState(save)| save());
        Draft::new(Kind::Checkpoint).with(|out| {
            if let Some(quotas) = quotas {
                json::key(out, "quotas");
                // Numbers and texts in lists: nothing of it can fail. JSON that is not this module's own escapes less than
                // it does, but names of identities and actions have no control characters.
                json::display(out, serde_json::to_string(&quotas).unwrap_or_default());
            }
            if let Some(key) = &self.key {
                json::text(out, "note", &key.note(head));
            }
        })
    }

    /// Copies a checkpoint, which is durable here, to the other place.
    pub(super) fn copy(&mut self, line: &[u8]) {
        if let Some(anchor) = &mut self.anchor {
            anchor.send(line);
        }
    }

    /// Waits a moment for the other place.
    pub(super) fn finish(&mut self) {
        if let Some(anchor) = self.anchor.take() {
            anchor.finish();
        }
    }
}

/// The other place: a file that may be on a network, so it is written by a thread of its own, and nobody waits for it.
#[derive(Debug)]
struct Anchor {
    lines: SyncSender<Vec<u8>>,
    /// Its other end is gone when the thread is.
    over: Receiver<()>,
    path: PathBuf,
}

impl Anchor {
    fn new(path: &Path) -> Self {
        let (lines, to_write) = sync_channel::<Vec<u8>>(ANCHOR_QUEUE_LEN);
        let (running, over) = sync_channel::<()>(1);
        let file = path.to_owned();
        let write = move || {
            let _running = running;
            for line in to_write {
                if let Err(error) = append(&file, &line) {
                    tracing::warn!(anchor = %file.display(), %error, "a checkpoint could not be copied");
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("anchor".to_owned()).spawn(write) {
            tracing::error!(%error, "no thread to copy checkpoints");
        }
        Self { lines, over, path: path.to_owned() }
    }

    fn send(&self, line: &[u8]) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.lines.try_send(line.to_vec()) {
            tracing::warn!(anchor = %self.path.display(), "checkpoints cannot be copied as fast as they come");
        }
    }

    fn finish(self) {
        let Self { lines, over, path } = self;
        drop(lines);
        if over.recv_timeout(ANCHOR_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(anchor = %path.display(), "the last checkpoints may not have been copied");
        }
    }
}

/// Opened each time: it may be moved away, or be on a file system that comes and goes.
fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(line)?;
    file.sync_data()
}
