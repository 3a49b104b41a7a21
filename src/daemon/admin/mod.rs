//! The admin socket: an administrator of this machine tells the running amiwall something about an identity, a session or an
//! action, has it reload its policy, or asks how things stand.
//!
//! One request and one answer, each one line of JSON (`protocol.rs`), then the connection is closed. Who may ask is who runs
//! amiwall, and root: the mode of the socket says so, and the kernel, which names the peer. What changes something
//! (`verbs.rs`) is done one after the other, each on record with the number of the user who asked.

mod protocol;
mod verbs;

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::DaemonError;
use crate::admission::Admission;
use crate::session::Shared;

pub use protocol::{Answer, Overview, Request, Verb, ask};
pub(super) use verbs::look;

/// How long a peer gets to say what it wants, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// No request is longer.
const LINE_MAX: u64 = 4096;
/// What is waited for when no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Peers at once.
const CONNECTIONS_MAX: usize = 64;

/// Where the answer to a reload goes: the policy file that is in force, or why it is not.
pub(super) type ReloadAnswer = oneshot::Sender<Result<String, String>>;

/// What an administrator may look at.
#[derive(Debug)]
pub(super) struct Sights {
    pub(super) shared: Arc<Shared>,
    pub(super) admission: Arc<Admission>,
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

    /// Serves until it is dropped.
    pub(super) async fn serve(self, sights: Sights, reloads: mpsc::Sender<ReloadAnswer>) {
        let sights = Arc::new(sights);
        let (places, turn) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), Arc::new(Mutex::new(())));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (sights, reloads, turn) = (sights.clone(), reloads.clone(), turn.clone());
                    connections.spawn(async move {
                        serve_one(stream, &sights, &reloads, &turn).await;
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
async fn serve_one(mut stream: UnixStream, sights: &Sights, reloads: &mpsc::Sender<ReloadAnswer>, turn: &Mutex<()>) {
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
            Ok(request) => answer(&request, uid, sights, (reloads, turn)).await,
            Err(error) => Answer::Refused { message: format!("this is no request: {error}") },
        }
    };
    let Ok(mut line) = serde_json::to_vec(&answer) else { return };
    line.push(b'\n');
    let sent = timeout(PATIENCE, stream.write_all(&line)).await;
    drop(sent);
}

async fn answer(
    request: &Request,
    uid: u32,
    sights: &Sights,
    (reloads, turn): (&mpsc::Sender<ReloadAnswer>, &Mutex<()>),
) -> Answer {
    let shared = &sights.shared;
    match request.request {
        // Whoever only looks waits for nobody.
        Verb::Overview => verbs::overview(request, sights),
        Verb::Sessions => verbs::sessions(sights),
        Verb::Status => verbs::status(shared),
        Verb::Kick => verbs::kick(request, uid, shared, turn).await,
        Verb::Pause | Verb::Unpause => verbs::pause(request, uid, shared, turn).await,
        Verb::Reload => {
            let _turn = turn.lock().await;
            reload(uid, reloads).await
        }
        Verb::Lock | Verb::Resume | Verb::Unlock => {
            let _turn = turn.lock().await;
            verbs::perform(request, uid, shared).await
        }
    }
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
