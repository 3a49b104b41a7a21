//! The admin socket: an administrator of this machine tells the running amiwall something about an identity, has it reload
//! its policy, or asks who is locked.
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
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::DaemonError;
use crate::audit::Draft;
use crate::identity::ClientName;
use crate::session::Shared;

/// How long a peer gets to say what it wants, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an administrator waits for an answer: its record may wait for the disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// No request is longer.
const LINE_MAX: u64 = 4096;
/// No answer is longer: what is wrong with a policy, or the names of those who are locked.
const ANSWER_MAX: u64 = 1 << 20;
/// What is waited for when no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Peers at once.
const CONNECTIONS_MAX: usize = 64;

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
    /// The policy file is read again, as on SIGHUP.
    Reload,
    /// Who is locked or suspended.
    Status,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What is asked for.
    pub request: Verb,
    /// Of whom, where it is about somebody.
    #[serde(default, skip_serializing_if = "String::is_empty")]
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
    /// The policy in that file is in force now.
    Reloaded {
        /// The file.
        policy: String,
    },
    /// Who cannot act now.
    Status {
        /// Identities that an administrator has locked, in lower case.
        locked: Vec<String>,
        /// Identities that a `trip` has suspended.
        suspended: Vec<String>,
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

/// Where the answer to a reload goes: the policy file that is in force, or why it is not.
pub(super) type ReloadAnswer = oneshot::Sender<Result<String, String>>;

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

    /// Serves until it is dropped.
    pub(super) async fn serve(self, shared: Arc<Shared>, reloads: mpsc::Sender<ReloadAnswer>) {
        let (places, turn) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), Arc::new(Mutex::new(())));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (shared, reloads, turn) = (shared.clone(), reloads.clone(), turn.clone());
                    connections.spawn(async move {
                        serve_one(stream, &shared, &reloads, &turn).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin socket cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Who says nothing holds up nobody; what is asked is done one after the other.
async fn serve_one(mut stream: UnixStream, shared: &Shared, reloads: &mpsc::Sender<ReloadAnswer>, turn: &Mutex<()>) {
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
        let _turn = turn.lock().await;
        match serde_json::from_slice(&line) {
            Ok(Request { request: Verb::Reload, .. }) => reload(uid, reloads).await,
            Ok(Request { request: Verb::Status, .. }) => status(shared),
            Ok(Request { identity, .. }) if identity.is_empty() => {
                Answer::Refused { message: "this is no request: it names no `identity`".to_owned() }
            }
            Ok(request) => perform(&request, uid, shared).await,
            Err(error) => Answer::Refused { message: format!("this is no request: {error}") },
        }
    };
    let Ok(mut line) = serde_json::to_vec(&answer) else { return };
    line.push(b'\n');
    let sent = timeout(PATIENCE, stream.write_all(&line)).await;
    drop(sent);
}

/// Has the process reload its policy, as SIGHUP does, and waits for what comes of it.
async fn reload(uid: u32, reloads: &mpsc::Sender<ReloadAnswer>) -> Answer {
    tracing::info!(uid, "a reload is asked for at the admin socket");
    let (sender, answer) = oneshot::channel();
    let outcome = if reloads.send(sender).await.is_ok() { answer.await.ok() } else { None };
    match outcome {
        Some(Ok(policy)) => Answer::Reloaded { policy },
        Some(Err(message)) => Answer::Refused { message },
        None => Answer::Failed { message: "amiwall is about to end, and reloads no more".to_owned() },
    }
}

/// Who cannot act now.
fn status(shared: &Shared) -> Answer {
    let snapshot = shared.snapshot.borrow();
    let names = snapshot.identities.iter().map(|identity| identity.name.clone());
    let mut suspended: Vec<_> =
        names.filter(|name| shared.buckets.is_suspended(&ClientName::for_explain(name))).collect();
    suspended.sort();
    Answer::Status { locked: shared.memory.locks().names(), suspended }
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
        Verb::Reload | Verb::Status => return Answer::Refused { message: "this is about no identity".to_owned() },
    };
    let sessions = shared.memory.sessions_of(&identity);
    if request.request == Verb::Lock {
        // At once: the disk may hang just now.
        locks.set(&identity, true);
    }
    let recorded = shared.audit.commit(Draft::admin(&identity, name, outcome, uid)).await;
    match request.request {
        Verb::Unlock if recorded.is_ok() => _ = locks.set(&identity, false),
        Verb::Resume if recorded.is_ok() => _ = shared.buckets.resume(&client),
        Verb::Lock | Verb::Unlock | Verb::Resume | Verb::Reload | Verb::Status => {}
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
    let sent = stream.write_all(&line);
    let mut answer = Vec::new();
    let read = BufReader::new(stream.take(ANSWER_MAX)).read_until(b'\n', &mut answer);
    // Who may not ask is told so before he has written anything.
    if answer.is_empty() {
        sent?;
        read?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&answer)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_ask_is_told_so_and_not_of_a_broken_pipe() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("admin.sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).expect("it listens");
        let refused = Answer::Refused { message: "only some may ask".to_owned() };
        let line = serde_json::to_vec(&refused).expect("an answer");
        let server = std::thread::spawn(move || {
            for _ in 0..50 {
                let (mut stream, _) = listener.accept().expect("it connects");
                stream.write_all(&line).and_then(|()| stream.write_all(b"\n")).expect("it is written");
            }
        });
        let request = Request { request: Verb::Lock, identity: "alice".repeat(500) };
        for _ in 0..50 {
            assert_eq!(ask(&socket, &request).expect("an answer"), refused);
        }
        server.join().expect("no panic");
    }
}
