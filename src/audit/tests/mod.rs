//! Tests of the log as a whole, each over a directory of its own.

mod ahead;
#[path = "../../../tests/audit_faults/asterisk.rs"]
mod asterisk;
mod bench;
mod chain;
mod compressed;
mod disk;
mod durability;
mod every_call;
mod faults;
pub(crate) mod faulty;
pub(crate) mod forge;
mod gathered;
mod opening;
mod order;
mod power;
#[path = "../../../tests/audit_faults/random.rs"]
mod random;
mod reading;
mod records;
mod restart;
mod tamper;
mod trail;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Audit, AuditConfig, Draft, Frame, SessionContext};
use crate::ami::{Action, Message};
use crate::policy::{Decision, Denial, Reason};

/// A directory for a log.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn open(dir: &Path) -> Audit {
    Audit::open(&AuditConfig::new(dir)).expect("a log")
}

fn session() -> Arc<Frame> {
    let context = SessionContext {
        session: "5e2b9c01-37".to_owned(),
        identity: Some("alice".to_owned()),
        peer: Some("203.0.113.7:51234".parse().expect("an address")),
        proxy: None,
        listener: "0.0.0.0:5039".to_owned(),
        upstream: "pbx".to_owned(),
        policy: "sha256:abc".to_owned(),
    };
    Arc::new(Frame::from(context))
}

fn action(headers: &[(&str, &[u8])]) -> Action {
    Action::try_from(Message::compose(headers)).expect("an action")
}

/// A decision on an action, as only the policy mints others.
fn decision() -> Decision {
    Decision::Deny(Denial::of_unavailable(action(&[("Action", b"Ping")]), Reason::UpstreamLost))
}

fn event(name: &str) -> Draft<'static> {
    let message = Message::compose(&[("Event", name.as_bytes()), ("Channel", b"PJSIP/1")]);
    Draft::reply(kept(Frame::clone(&session())), None, kept(message), None)
}

/// A draft borrows its packet, and tests keep drafts.
pub(crate) fn kept<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// The segments of a log, in order.
pub(super) fn segments(dir: &Path) -> Vec<PathBuf> {
    super::segment::list_segments(dir).expect("a directory").into_iter().map(|s| dir.join(s.name)).collect()
}

/// All records of a log.
pub(super) fn records(dir: &Path) -> Vec<serde_json::Value> {
    let text = segments(dir).iter().map(|path| std::fs::read_to_string(path).expect("UTF-8")).collect::<String>();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

pub(super) fn kinds(dir: &Path) -> Vec<String> {
    records(dir).iter().map(|record| record["kind"].as_str().expect("a kind").to_owned()).collect()
}

#[expect(clippy::print_stderr, reason = "the result of a measurement")]
fn print(report: &str) {
    eprintln!("{report}");
}
