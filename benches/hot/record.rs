//! Records: what one costs from the draft to the `write(2)`, in the caller's own thread.

use std::net::{Ipv4Addr, SocketAddr};

use amiwall::audit::{Audit, AuditConfig, Draft, Frame, SessionContext};
use amiwall::policy::Decision;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::packets::{ANSWER, EVENT, ORIGINATE, action, reply};
use crate::workloads::Workload;
use crate::{Failure, rules};

/// A log on disk, which `written` is enough for: no thread has a part in that.
struct Log {
    /// None once it is closed.
    audit: Option<Audit>,
    frame: Frame,
    runtime: Runtime,
    _folder: TempDir,
}

impl Log {
    fn open() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let audit = Audit::open(&AuditConfig::new(folder.path().join("audit")))?;
        let frame = Frame::from(SessionContext {
            // The boot's part of it is random, and all of these have one length.
            session: "5e2b9c01-37".to_owned(),
            identity: Some("crm".to_owned()),
            peer: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 40_001))),
            proxy: None,
            listener: "0.0.0.0:5039".to_owned(),
            upstream: "pbx".to_owned(),
            policy: format!("sha256:{}", "0123456789abcdef".repeat(4)),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(Self { audit: Some(audit), frame, runtime, _folder: folder })
    }

    fn append<'m>(&'m self, times: u64, draft: impl Fn(&'m Frame) -> Draft<'m>) -> Result<(), Failure> {
        let audit = self.audit.as_ref().ok_or("the log is closed")?;
        self.runtime.block_on(async {
            for _ in 0..times {
                audit.append([draft(&self.frame)]).await?;
            }
            Ok(())
        })
    }
}

impl Drop for Log {
    /// Waits for the log's thread, which would else do more or less before the process ends.
    fn drop(&mut self) {
        if let Some(audit) = self.audit.take() {
            self.runtime.block_on(audit.close()).ok();
        }
    }
}

/// The record of an Originate that is allowed.
pub(crate) fn of_action() -> Result<Workload, Failure> {
    let log = Log::open()?;
    let decision = rules::of_rules(1)?.decide(&rules::client(), action(ORIGINATE)?, "5e2b9c01-37.1");
    if !matches!(decision, Decision::Allow(_)) {
        return Err("the action is not allowed".into());
    }
    Ok(Box::new(move |times| log.append(times, |frame| Draft::action(frame, "5e2b9c01-37.1", &decision))))
}

/// The record of an event.
pub(crate) fn of_event() -> Result<Workload, Failure> {
    let (log, event) = (Log::open()?, reply(EVENT)?);
    Ok(Box::new(move |times| log.append(times, |frame| Draft::reply(frame, None, event.message(), None))))
}

/// The record of the answer to a Ping.
pub(crate) fn of_response() -> Result<Workload, Failure> {
    let (log, answer) = (Log::open()?, reply(ANSWER)?);
    Ok(Box::new(move |times| {
        let draft = |frame| Draft::reply(frame, Some("5e2b9c01-37.1"), answer.message(), Some(180));
        log.append(times, |frame| draft(frame).answering(Some("ping")))
    }))
}
