//! [`Audit`]: what the rest of amiwall has of the log.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::flood::{Admission, Flood};
use super::journal::Journal;
use super::recover::{Recovered, recover};
use super::redact::Redactor;
use super::security::{SecurityEvent, SecurityLog};
use super::segment::{Directory, Storage};
use super::syslog::Copy;
use super::writer::{self, Batch, Durability, Now, QUEUE_LEN_MAX, Request, SaveState, Writer};
use super::{
    AuditConfig, AuditError, AuditUnavailable, Draft, Kind, Packets, Recorded, SessionContext, json, security,
};
use crate::policy::{Decision, QuotaState};

/// The audit log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Audit {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    boot_id: String,
    requests: mpsc::Sender<Request>,
    redactor: Redactor,
    security: Option<SecurityLog>,
    packets: Packets,
    except_events: Vec<String>,
    flood: Mutex<Flood>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Audit {
    /// Opens the log in the configured directory, goes on where it ends, and begins with a durable `start` record.
    ///
    /// # Errors
    /// If the directory cannot be used or written, another process writes there, or the log is broken.
    pub fn open(config: &AuditConfig) -> Result<Self, AuditError> {
        let directory = Directory::open(&config.directory).map_err(|e| AuditError::of_directory(config, e))?;
        let recovered = recover(&directory).map_err(|e| AuditError::of_recovery(config, e))?;
        let file = match &recovered.segment {
            Some((name, _)) => Some(directory.reopen(name).map_err(|e| AuditError::of_io(config, e))?),
            None => None,
        };
        if let Some(path) = &config.security_log {
            // A wrong path is told at start, not in the night of an attack.
            security::append(path).map_err(|error| AuditError::SecurityLog { path: path.clone(), error })?;
        }
        Self::start(config, directory, file, recovered).map_err(|e| AuditError::of_io(config, e))
    }

    /// Starts the writer over what was found in a directory.
    pub(super) fn start<S: Storage>(
        config: &AuditConfig,
        storage: S,
        file: Option<S::File>,
        recovered: Recovered,
    ) -> std::io::Result<Self> {
        let mut random = [0; 4];
        aws_lc_rs::rand::fill(&mut random).map_err(std::io::Error::other)?;
        let boot_id = format!("{:08x}", u32::from_be_bytes(random));
        let mut journal = Journal::new(storage, config.segment_size);
        let found = recovery_record(&recovered);
        if let (Some(file), Some((name, len))) = (file, recovered.segment) {
            journal.go_on(file, name, len);
        }
        let mut writer =
            Writer::new(journal, recovered.head, boot_id.clone()).with_copy(Copy::open(config.syslog.as_ref())?);
        // Before anybody can rely on the log: it works, or amiwall does not start.
        for draft in found.iter().chain([&start_record(config, &boot_id)]) {
            writer.commit(draft, Now::read())?;
        }
        Self::spawn(config, writer, boot_id)
    }

    fn spawn<S: Storage>(config: &AuditConfig, writer: Writer<S>, boot_id: String) -> std::io::Result<Self> {
        let (requests, receiver) = mpsc::channel(QUEUE_LEN_MAX);
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(|| writer::run(writer, receiver))?;
        let shared = Shared {
            boot_id,
            requests,
            redactor: Redactor::new(&config.redact).with_pseudonyms(config.pseudonyms.as_ref()),
            security: config.security_log.as_deref().map(SecurityLog::open).transpose()?,
            packets: config.packets,
            except_events: config.except_events.clone(),
            flood: Mutex::default(),
            thread: Mutex::new(Some(thread)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// 8 hex digits, random per start; they begin the ids of all sessions.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.shared.boot_id
    }

    /// The id of the session whose connect record has this seq.
    #[must_use]
    pub fn session_id(&self, connect_seq: u64) -> String {
        format!("{}-{connect_seq}", self.shared.boot_id)
    }

    /// Records decisions on actions of one session, in order; returns when all are durable.
    ///
    /// # Errors
    /// If they could not be made durable: nothing may be forwarded then. The decisions are handed back.
    pub async fn record(
        &self,
        session: &Arc<SessionContext>,
        decisions: Vec<(String, Decision)>,
    ) -> Result<Vec<Recorded<Decision>>, (AuditUnavailable, Vec<Decision>)> {
        let drafts = decisions.iter().map(|(id, decision)| Draft::action(session, id, decision)).collect();
        let outcome = self.send(drafts, Durability::Synced).await;
        let decisions = decisions.into_iter().map(|(_, decision)| decision);
        match outcome {
            Ok(_) => Ok(decisions.map(|value| Recorded { value }).collect()),
            Err(refusal) => Err((refusal, decisions.collect())),
        }
    }

    /// Appends records in order; returns when they are written (`write(2)` returned), with the seq of the first (0 where
    /// the settings leave all of them out of the log). A full queue lets the caller wait.
    ///
    /// # Errors
    /// If they could not be written: nothing of it may be passed on.
    pub async fn append(&self, drafts: Vec<Draft>) -> Result<u64, AuditUnavailable> {
        self.send(drafts, Durability::Written).await
    }

    /// Appends a record and returns when it is durable, with its seq.
    ///
    /// # Errors
    /// If it could not be made durable.
    pub async fn commit(&self, draft: Draft) -> Result<u64, AuditUnavailable> {
        self.send(vec![draft], Durability::Synced).await
    }

    /// Appends a `checkpoint` record and returns when it is durable, unless nothing was appended since the last one.
    /// `state` is asked by the writer, when the record's place in the log is known: all that is on record before it must
    /// have been charged before it was recorded, and so is in the state.
    ///
    /// # Errors
    /// If it could not be made durable.
    pub async fn checkpoint(
        &self,
        state: impl FnOnce() -> QuotaState + Send + 'static,
    ) -> Result<(), AuditUnavailable> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Checkpoint(SaveState(Box::new(state)), answer);
        self.shared.requests.send(request).await.map_err(|_| AuditUnavailable)?;
        answered.await.unwrap_or(Err(AuditUnavailable)).map(drop)
    }

    /// Appends a record that a peer which is not logged in has caused. Only the first few of an address and minute are
    /// written; the others are counted (`None`), and the count is written when the minute is over. A session whose
    /// connect record was only counted has no id yet: commit another [`Draft::connect`] when it has logged in.
    ///
    /// # Errors
    /// If it could not be written.
    pub async fn append_unauthenticated(&self, peer: IpAddr, draft: Draft) -> Result<Option<u64>, AuditUnavailable> {
        let now = Instant::now();
        let (mut drafts, admission) = {
            let mut flood = self.shared.flood.lock().unwrap_or_else(PoisonError::into_inner);
            (flood.take_expired(now), flood.admit(peer, draft.kind(), now))
        };
        if let Admission::Count { come_back: Some(at) } = admission {
            self.write_counts_at(at);
        }
        let before = u64::try_from(drafts.len()).unwrap_or_default();
        let is_written = admission == Admission::Write;
        drafts.extend(Some(draft).filter(|_| is_written));
        if drafts.is_empty() {
            return Ok(None);
        }
        let first = self.append(drafts).await?;
        Ok(is_written.then_some(first + before))
    }

    /// Tells those who shut out addresses; never waits.
    pub fn tell_security(&self, event: &SecurityEvent<'_>) {
        if let Some(log) = &self.shared.security {
            log.tell(event);
        }
    }

    /// Ends the log in good order: a `stop` record, a sync, and the writer is gone. Other clones are refused from now on.
    ///
    /// # Errors
    /// If the end could not be made durable.
    pub async fn close(self) -> Result<(), AuditUnavailable> {
        let counts = self.shared.flood.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Where these cannot be written the stop record cannot either, which is what is answered.
        self.append(counts).await.ok();
        let (answer, stopped) = oneshot::channel();
        self.shared.requests.send(Request::Stop(answer)).await.map_err(|_| AuditUnavailable)?;
        let outcome = stopped.await.map_err(|_| AuditUnavailable)?;
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It has answered and does nothing more, so this does not block.
            thread.join().map_err(|_| AuditUnavailable)?;
        }
        outcome.map(|_| ())
    }

    async fn send(&self, drafts: Vec<Draft>, durability: Durability) -> Result<u64, AuditUnavailable> {
        let shared = &self.shared;
        let mut members = Vec::with_capacity(1024);
        let mut ends = Vec::with_capacity(drafts.len());
        for draft in drafts.iter().filter(|draft| shared.is_recorded(draft)) {
            draft.encode(&mut members, &shared.redactor);
            ends.push((members.len(), draft.kind()));
        }
        drop(drafts);
        if ends.is_empty() {
            return Ok(0);
        }
        let (answer, answered) = oneshot::channel();
        let request = Request::Append(Batch { members, ends, durability, answer });
        // A writer that has panicked has dropped its end of both channels: nothing passes.
        shared.requests.send(request).await.map_err(|_| AuditUnavailable)?;
        answered.await.unwrap_or(Err(AuditUnavailable))
    }

    /// Comes back to write the counts of a window, if the log is still there then.
    fn write_counts_at(&self, at: Instant) {
        let shared = Arc::downgrade(&self.shared);
        tokio::spawn(async move {
            tokio::time::sleep_until(at).await;
            let Some(shared) = shared.upgrade() else { return };
            let counts = shared.flood.lock().unwrap_or_else(PoisonError::into_inner).take_expired(at);
            if (Self { shared }).append(counts).await.is_err() {
                tracing::warn!("counts of unauthenticated connections are not on record");
            }
        });
    }
}

impl Shared {
    fn is_recorded(&self, draft: &Draft) -> bool {
        match draft.kind() {
            Kind::Event | Kind::Response if self.packets == Packets::Actions => false,
            Kind::Event => {
                let name = draft.event_name().unwrap_or_default();
                !self.except_events.iter().any(|except| name.eq_ignore_ascii_case(except.as_bytes()))
            }
            Kind::Response
            | Kind::Action
            | Kind::Admin
            | Kind::Checkpoint
            | Kind::Connect
            | Kind::End
            | Kind::Limit
            | Kind::Login
            | Kind::Outage
            | Kind::Policy
            | Kind::Recovery
            | Kind::Refuse
            | Kind::Start
            | Kind::Stop => true,
        }
    }
}

fn start_record(config: &AuditConfig, boot_id: &str) -> Draft {
    Draft::new(Kind::Start).with(|out| {
        json::text(out, "boot", boot_id);
        json::text(out, "version", env!("CARGO_PKG_VERSION"));
        json::text(out, "packets", if config.packets == Packets::Both { "both" } else { "actions" });
        json::list(out, "except_events", config.except_events.iter().map(String::as_str));
        json::list(out, "redact", config.redact.iter().map(String::as_str));
        if let Some(pseudonyms) = &config.pseudonyms {
            json::list(out, "pseudonymise", pseudonyms.values.iter().map(String::as_str));
            json::text(out, "pseudonym_key", pseudonyms.key.id());
        }
    })
}

fn recovery_record(recovered: &Recovered) -> Option<Draft> {
    if recovered.set_aside.is_none() && recovered.copied.is_none() {
        return None;
    }
    Some(Draft::new(Kind::Recovery).with(|out| {
        if let Some((torn, len)) = &recovered.set_aside {
            json::text(out, "reason", "audit.torn");
            json::text(out, "file", torn);
            json::number(out, "bytes", len);
        }
        if let Some(copied) = &recovered.copied {
            json::text(out, "reason", "audit.set-aside");
            json::text(out, "file", copied);
        }
    }))
}
