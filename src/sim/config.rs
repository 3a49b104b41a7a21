//! What a simulated Asterisk is made of: users, queues, times.

use std::fmt;
use std::time::Duration;

use crate::ami::{EventMask, PrivilegeClass};

/// How the simulated Asterisk behaves. Every delay is a setting, so that tests need not wait for one.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// The greeting, without its line end.
    pub banner: String,
    /// Who may log in.
    pub users: Vec<SimUser>,
    /// `systemname` of asterisk.conf: a header of every broadcast event and the beginning of every unique id.
    pub system_name: Option<String>,
    /// How long a failed login takes (Asterisk: 1 s).
    pub login_failure_delay: Duration,
    /// How long a session may stay unauthenticated (`authtimeout`).
    pub auth_timeout: Duration,
    /// How many sessions may be unauthenticated at once (`authlimit`); what comes beyond is closed without a word.
    pub auth_limit: usize,
    /// How long one write may take before the session is dropped (`writetimeout`).
    pub write_timeout: Duration,
    /// The kernel's send buffer of a session, for tests of clients that do not read; the system's default otherwise.
    pub send_buffer: Option<usize>,
    /// How long a call that was answered lasts.
    pub call_length: Duration,
    /// The queues, in the order in which they are listed.
    pub queues: Vec<SimQueue>,
}

impl SimConfig {
    /// A PBX whose users all have this secret: `amiwall` may do everything, `wallboard`, `dialer`, `listener` and
    /// `actor` less.
    #[must_use]
    pub fn with_secret(secret: &[u8]) -> Self {
        use PrivilegeClass::{Agent, Call, Originate, Reporting};
        let user = |name: &str, read, write| SimUser { name: name.to_owned(), secret: secret.to_vec(), read, write };
        Self {
            users: vec![
                user("amiwall", EventMask::ALL, EventMask::ALL),
                user("wallboard", EventMask::of([Call, Agent, Reporting]), EventMask::of([Reporting])),
                user("dialer", EventMask::of([Call]), EventMask::of([Call, Originate])),
                user("listener", EventMask::ALL, EventMask::NONE),
                user("actor", EventMask::NONE, EventMask::ALL),
            ],
            ..Self::default()
        }
    }
}

impl Default for SimConfig {
    /// Asterisk's own times, two queues, and no user.
    fn default() -> Self {
        let member = |name: &str, location: &str, penalty| SimMember {
            name: name.to_owned(),
            location: location.to_owned(),
            penalty,
        };
        let members = vec![member("Agent/102", "Local/102@members", 1), member("Agent/101", "Local/101@members", 0)];
        Self {
            banner: "Asterisk Call Manager/11.0.0".to_owned(),
            users: Vec::new(),
            system_name: None,
            login_failure_delay: Duration::from_secs(1),
            auth_timeout: Duration::from_secs(30),
            auth_limit: 50,
            write_timeout: Duration::from_millis(100),
            send_buffer: None,
            call_length: Duration::from_secs(1),
            queues: vec![
                SimQueue { name: "sales".to_owned(), strategy: "ringall".to_owned(), members },
                SimQueue { name: "support".to_owned(), strategy: "rrmemory".to_owned(), members: Vec::new() },
            ],
        }
    }
}

/// An account of manager.conf.
#[derive(Clone)]
pub struct SimUser {
    /// Compared without case.
    pub name: String,
    /// Compared byte for byte.
    pub secret: Vec<u8>,
    /// `read`: which events it may see.
    pub read: EventMask,
    /// `write`: which actions it may run; any one class of an action suffices.
    pub write: EventMask,
}

impl fmt::Debug for SimUser {
    /// Shows no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A queue of queues.conf.
#[derive(Clone, Debug)]
pub struct SimQueue {
    /// Its name.
    pub name: String,
    /// Its ring strategy, as Asterisk spells it.
    pub strategy: String,
    /// Its static members.
    pub members: Vec<SimMember>,
}

/// A member of a queue.
#[derive(Clone, Debug)]
pub struct SimMember {
    /// The member's name.
    pub name: String,
    /// What is rung.
    pub location: String,
    /// Its penalty.
    pub penalty: u32,
}
