//! [`Pulse`]: what the writer answers when it is asked whether it lives.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::AuditUnavailable;
use super::handle::Audit;
use super::segment::Storage;
use super::writer::{Request, Writer};

/// How the writer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// The log cannot be written now: the disk is full, or has failed. It is tried again and again.
    Closed,
    /// It can.
    Open,
    /// It is not known yet: the writer waits for the disk.
    Waiting,
}

impl Audit {
    /// Asks the writer how it does. A full disk is an answer, and so is one that hangs: a new process would find the same disk.
    ///
    /// # Errors
    /// If the writer is gone, or has not answered after that time for no reason that is known.
    pub async fn pulse(&self, patience: Duration) -> Result<Pulse, AuditUnavailable> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.request_of_its_own(Request::Pulse(answer)).await?;
            answered.await.map_err(|_| AuditUnavailable)
        };
        match timeout(patience, asked).await {
            Ok(pulse) => pulse,
            Err(_) if self.is_at_disk() => Ok(Pulse::Waiting),
            Err(_) => Err(AuditUnavailable),
        }
    }
}

impl<S: Storage> Writer<S> {
    pub(super) fn answer_pulse(&self, answer: oneshot::Sender<Pulse>) {
        let pulse = if self.closed.is_some() { Pulse::Closed } else { Pulse::Open };
        // Who asked may have given up.
        answer.send(pulse).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::faulty::{faulty, fill, hold, hold_no_more, panic_in_sync};
    use super::*;
    use crate::audit::Draft;

    const SOON: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_full_disk_is_told_and_is_no_silence() {
        let dir = tempfile::tempdir().expect("a folder");
        let (audit, plan) = faulty(dir.path());
        assert_eq!(audit.pulse(LONG).await, Ok(Pulse::Open));
        fill(&plan);
        assert_eq!(audit.commit(Draft::draining(0)).await, Err(AuditUnavailable));
        assert_eq!(audit.pulse(LONG).await, Ok(Pulse::Closed));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_disk_that_hangs_is_told_and_is_no_silence() {
        let dir = tempfile::tempdir().expect("a folder");
        let (audit, plan) = faulty(dir.path());
        let held = hold(&plan);
        let writing = tokio::spawn({
            let audit = audit.clone();
            async move { audit.commit(Draft::draining(0)).await }
        });
        let held = tokio::task::spawn_blocking(move || {
            held.wait();
            held
        });
        let held = held.await.expect("a sync has begun");
        assert_eq!(audit.pulse(SOON).await, Ok(Pulse::Waiting));
        hold_no_more(&plan);
        held.release();
        writing.await.expect("no panic").expect("it is written");
        assert_eq!(audit.pulse(LONG).await, Ok(Pulse::Open));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_writer_that_hangs_for_another_reason_has_no_pulse() {
        let dir = tempfile::tempdir().expect("a folder");
        let (audit, _plan) = faulty(dir.path());
        let (release, released) = std::sync::mpsc::channel::<()>();
        let wait = move || {
            // A test that has ended releases it.
            released.recv().ok();
            crate::policy::QuotaState::default()
        };
        audit.keep_quotas(wait).await.expect("a writer");
        // The checkpoint at its end asks for the quotas, and waits.
        let closing = tokio::spawn(audit.clone().close());
        while audit.pulse(SOON).await == Ok(Pulse::Open) {}
        assert_eq!(audit.pulse(SOON).await, Err(AuditUnavailable));
        drop(release);
        closing.await.expect("no panic").expect("it is closed");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_writer_that_has_panicked_has_no_pulse() {
        let dir = tempfile::tempdir().expect("a folder");
        let (audit, plan) = faulty(dir.path());
        panic_in_sync(&plan);
        assert_eq!(audit.commit(Draft::draining(0)).await, Err(AuditUnavailable));
        assert_eq!(audit.pulse(LONG).await, Err(AuditUnavailable));
    }
}
