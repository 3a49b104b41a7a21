//! The admin socket: an administrator of this machine tells the running amiwall something about an identity.
//!
//! One request and one answer, each one line of JSON, then the connection is closed. Who may ask is who runs amiwall, and
//! root: the mode of the socket says so, and the kernel, which names the peer. Requests are done one after the other, each
//! on record with the number of the user who asked.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::DaemonError;
use crate::audit::Draft;
use crate::identity::ClientName;
use crate::session::Shared;

/// How long a peer gets to say what it wants, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an administrator waits for an answer: its record may wait for the disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// No request is longer, and no answer.
const LINE_MAX: u64 = 4096;
/// What is waited for when no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// The identity's sessions end, and it cannot log in.
    Lock,
    /// It can log in again.
    Unlock,
    /// A suspension by a `trip` ends.
    Resume,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What is asked for.
    pub request: Verb,
    /// Of whom.
    pub identity: String,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done, and on record.
    Done {
        /// The name, as the policy spells it.
        identity: String,
        /// What came of it: that of the record.
        outcome: String,
        /// How many sessions the identity had.
        sessions: u32,
    },
    /// What was asked for cannot be done.
    Refused {
        /// Why.
        message: String,
    },
    /// It was not done, or is not on record.
    Failed {
        /// Why.
        message: String,
    },
}

/// A socket that is removed when nobody listens to it any more.
#[derive(Debug)]
pub(super) struct AdminSocket {
    path: PathBuf,
    listener: UnixListener,
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

impl AdminSocket {
    /// Listens there. A socket that a killed amiwall has left is replaced.
    pub(super) fn bind(path: &Path) -> Result<Self, DaemonError> {
        let bind = || {
            let is_left = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
            if is_left && BlockingStream::connect(path).is_err() {
                fs::remove_file(path)?;
            }
            let listener = UnixListener::bind(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            Ok(Self { path: path.to_owned(), listener })
        };
        bind().map_err(|source| DaemonError::Admin { path: path.to_owned(), source })
    }

    /// Serves one after the other.
    pub(super) async fn serve(self, shared: Arc<Shared>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => serve_one(stream, &shared).await,
                Err(error) => {
                    tracing::warn!(%error, "the admin socket cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn serve_one(mut stream: UnixStream, shared: &Shared) {
    let Ok(uid) = stream.peer_cred().map(|peer| peer.uid()) else { return };
    let answer = if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        tracing::warn!(uid, "a request of another user at the admin socket is refused");
        Answer::Refused { message: "only the user that amiwall runs as, and root, may ask".to_owned() }
    } else {
        let mut line = Vec::new();
        let mut reader = tokio::io::BufReader::new((&mut stream).take(LINE_MAX));
        if !matches!(timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await, Ok(Ok(1..))) {
            return;
        }
        match serde_json::from_slice(&line) {
            Ok(request) => perform(&request, uid, shared).await,
            Err(error) => Answer::Refused { message: format!("this is no request: {error}") },
        }
    };
    let Ok(mut line) = serde_json::to_vec(&answer) else { return };
    line.push(b'\n');
    let sent = timeout(PATIENCE, stream.write_all(&line)).await;
    drop(sent);
}

/// Does what is asked for. What gives an identity more is on record first; a lock is put on in any case.
async fn perform(request: &Request, uid: u32, shared: &Shared) -> Answer {
    let locks = shared.memory.locks();
    let asked = ClientName::for_explain(&request.identity);
    let identity = match shared.snapshot.borrow().identities.get(&asked) {
        Some(identity) => identity.name.clone(),
        // The identity is not in the policy any more, and its lock is.
        None if request.request == Verb::Unlock && locks.has(&request.identity) => request.identity.clone(),
        None => {
            let message = format!("there is no identity `{}` in the policy in force", request.identity.escape_debug());
            return Answer::Refused { message };
        }
    };
    let client = ClientName::for_explain(&identity);
    let (name, outcome) = match request.request {
        Verb::Lock => ("lock", if locks.has(&identity) { "locked-before" } else { "locked" }),
        Verb::Unlock => ("unlock", if locks.has(&identity) { "unlocked" } else { "not-locked" }),
        Verb::Resume => ("resume", if shared.buckets.is_suspended(&client) { "resumed" } else { "not-suspended" }),
    };
    let sessions = shared.memory.sessions_of(&identity);
    let recorded = shared.audit.commit(Draft::admin(&identity, name, outcome, uid)).await;
    match request.request {
        Verb::Lock => _ = locks.set(&identity, true),
        Verb::Unlock if recorded.is_ok() => _ = locks.set(&identity, false),
        Verb::Resume if recorded.is_ok() => _ = shared.buckets.resume(&client),
        Verb::Unlock | Verb::Resume => {}
    }
    match recorded {
        Ok(_) => {
            tracing::info!(identity, uid, "{name}: {outcome}");
            Answer::Done { identity, outcome: outcome.to_owned(), sessions }
        }
        Err(error) => {
            tracing::error!(identity, uid, %error, "{name} cannot be put on record");
            let what = if request.request == Verb::Lock {
                "the identity is locked, but a restart may forget that"
            } else {
                "nothing was changed"
            };
            Answer::Failed { message: format!("this cannot be put on record: {error}; {what}") }
        }
    }
}

/// Asks the amiwall that listens there.
///
/// # Errors
/// If nobody listens there, or there is no answer that can be read.
pub fn ask(socket: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = BlockingStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    BufReader::new(stream.take(LINE_MAX)).read_until(b'\n', &mut answer)?;
    Ok(serde_json::from_slice(&answer)?)
}
