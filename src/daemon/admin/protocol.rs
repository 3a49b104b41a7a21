//! What is said at the admin socket, and [`ask`], which says it: one request and one answer, each one line of JSON.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audit::LogState;
use crate::policy::Pause;
use crate::session::{Recent, SessionInfo};

/// How long an administrator waits for an answer: its record may wait for the disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// No answer is longer: some thousand sessions.
const ANSWER_MAX: u64 = 16 << 20;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// The session ends.
    Kick,
    /// The identity's sessions end, and it cannot log in.
    Lock,
    /// How things stand, in one answer.
    Overview,
    /// No such action goes to Asterisk, of one identity or of any.
    Pause,
    /// The policy file is read again, as on SIGHUP.
    Reload,
    /// A suspension by a `trip` ends.
    Resume,
    /// Who is logged in.
    Sessions,
    /// Who is locked or suspended, and what is paused.
    Status,
    /// The identity can log in again.
    Unlock,
    /// The action goes to Asterisk again.
    Unpause,
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
    /// Of which action, where it is about one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// Of which session, where it is about one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub session: String,
}

impl Request {
    /// About nobody.
    #[must_use]
    pub const fn new(request: Verb) -> Self {
        Self { request, identity: String::new(), action: String::new(), session: String::new() }
    }

    /// About that identity.
    #[must_use]
    pub fn of(request: Verb, identity: &str) -> Self {
        Self { identity: identity.to_owned(), ..Self::new(request) }
    }
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
    /// It was not done, or is not on record.
    Failed {
        /// Why.
        message: String,
    },
    /// How things stand.
    Overview(Box<Overview>),
    /// It is done, and on record.
    Paused {
        /// What it is about, as Asterisk and the policy spell it.
        pause: Pause,
        /// What came of it: that of the record.
        outcome: String,
        /// What is paused now.
        paused: Vec<Pause>,
    },
    /// What was asked for cannot be done.
    Refused {
        /// Why.
        message: String,
    },
    /// The policy in that file is in force now.
    Reloaded {
        /// The file.
        policy: String,
    },
    /// Who is logged in.
    Sessions {
        /// Each, in the order in which they were logged in.
        sessions: Vec<SessionInfo>,
        /// Connections that are not logged in.
        unauthenticated: usize,
    },
    /// Who and what cannot act now.
    Status {
        /// Identities that an administrator has locked, in lower case.
        locked: Vec<String>,
        /// Identities that a `trip` has suspended.
        suspended: Vec<String>,
        /// Actions that an administrator has stopped.
        paused: Vec<Pause>,
    },
}

/// How things stand. What is counted is counted from the beginning of a session: rates are the difference of two answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overview {
    /// Of amiwall.
    pub version: String,
    /// Another one after each start.
    pub boot: String,
    /// When this was said, in milliseconds since 1970.
    pub time_ms: i64,
    /// The digest of the policy in force.
    pub policy: String,
    /// Who is logged in.
    pub sessions: Vec<SessionInfo>,
    /// Connections that are not logged in.
    pub unauthenticated: usize,
    /// The last refusals of all sessions, also of those that are over, the oldest first.
    pub refusals: Vec<Recent>,
    /// The last actions and refusals of the session that was asked for, the oldest first.
    pub recent: Vec<Recent>,
    /// Identities that an administrator has locked, in lower case.
    pub locked: Vec<String>,
    /// Identities that a `trip` has suspended.
    pub suspended: Vec<String>,
    /// Actions that an administrator has stopped.
    pub paused: Vec<Pause>,
    /// Whether the audit log can be written.
    pub audit: LogState,
    /// Of each Asterisk why no session could be had, or none if one could when it was last tried.
    pub upstreams: BTreeMap<String, Option<String>>,
}

/// Asks the amiwall that listens there.
///
/// # Errors
/// If nobody listens there, or there is no answer that can be read.
pub fn ask(socket: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
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
        let request = Request::of(Verb::Lock, &"alice".repeat(500));
        for _ in 0..50 {
            assert_eq!(ask(&socket, &request).expect("an answer"), refused);
        }
        server.join().expect("no panic");
    }
}
