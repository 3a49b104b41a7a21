//! [`Audit`]: what the rest of amiwall has of the log.

use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use super::checkpoint::SaveState;
use super::flood::{Admission, Flood};
use super::journal::Journal;
use super::opening::{recovery_records, start_record};
use super::progress::Progress;
use super::recover::{RecoverError, Recovered, recover, set_aside};
use super::redact::Redactor;
use super::security::{SecurityEvent, SecurityLog};
use super::segment::{Directory, Storage};
use super::syslog::Mirror;
use super::writer::{self, Inline, Now, QUEUE_LEN_MAX, Request, Writer};
use super::{
    AuditConfig, AuditError, AuditUnavailable, Draft, Durability, Frame, LogState, OnBroken, OnFailure, Packets,
    Recorded, SigningKey, StartOptions, adopt, reserve, security,
};
use crate::metrics::AuditMetrics;
use crate::policy::{Decision, QuotaState};

/// How often the writer looks after things.
const TICK: Duration = Duration::from_secs(1);

/// The audit log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Audit {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    boot_id: String,
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) redactor: Redactor,
    security: Option<SecurityLog>,
    pub(super) packets: Packets,
    pub(super) except_events: Vec<String>,
    actions: Durability,
    responses: Durability,
    pub(super) on_failure: OnFailure,
    pub(super) progress: Arc<Progress>,
    metrics: Arc<AuditMetrics>,
    pub(super) inline: Arc<dyn Inline>,
    /// Requests that were passed on although their records were not taken.
    pub(super) unrecorded: AtomicU64,
    flood: Mutex<Flood>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Audit {
    /// Opens the log in the configured directory, goes on where it ends, and begins with a durable `start` record.
    ///
    /// # Errors
    /// If the directory cannot be used or written, another process writes there, or the log is broken.
    pub fn open(config: &AuditConfig) -> Result<Self, AuditError> {
        Self::open_with(config, StartOptions::default())
    }

    /// As [`Audit::open`], but says what is done with a log that is broken, or not signed.
    ///
    /// # Errors
    /// As for [`Audit::open`].
    pub fn open_with(config: &AuditConfig, options: StartOptions) -> Result<Self, AuditError> {
        // What may be wrong with the settings is told before anything of the log is touched.
        let key = config.signing_key.as_deref().map(SigningKey::load).transpose()?;
        if let Some(path) = &config.security_log {
            // A wrong path is told at start, not in the night of an attack.
            security::append(path).map_err(|error| AuditError::SecurityLog { path: path.clone(), error })?;
        }
        let directory = Directory::open(&config.directory).map_err(|e| AuditError::of_directory(config, e))?;
        let mut recovered = match recover(&directory) {
            Err(RecoverError::Broken { segment, line, problem }) if options.on_broken == OnBroken::SetAside => {
                set_aside(&directory, format!("{segment}:{line}"), problem).map_err(|e| AuditError::of_io(config, e))?
            }
            other => other.map_err(|e| AuditError::of_recovery(config, e))?,
        };
        if let Some(key) = key {
            let doubt = adopt::doubt(&config.directory, key.public());
            recovered.unsigned = doubt.map_err(|error| AuditError::Unreadable(error.to_string()))?;
        }
        if let Some(problem) = recovered.unsigned.take_if(|_| !options.sign_from_here) {
            return Err(AuditError::Unsigned { directory: config.directory.clone(), problem });
        }
        let file = match &recovered.segment {
            Some((name, _)) => Some(directory.reopen(name).map_err(|e| AuditError::of_io(config, e))?),
            None => None,
        };
        Self::start(config, directory, file, recovered)
    }

    /// Starts the writer over what was found in a directory.
    pub(super) fn start<S: Storage>(
        config: &AuditConfig,
        storage: S,
        file: Option<S::File>,
        recovered: Recovered,
    ) -> Result<Self, AuditError> {
        let failed = |error| AuditError::of_io(config, error);
        let mut random = [0; 4];
        aws_lc_rs::rand::fill(&mut random).map_err(|error| failed(std::io::Error::other(error)))?;
        let boot_id = format!("{:08x}", u32::from_be_bytes(random));
        let mut journal = Journal::new(storage, config.segment_size, config.segment_age);
        let found = recovery_records(&recovered);
        if let (Some(file), Some((name, len))) = (file, recovered.segment) {
            journal.go_on(file, name, len, recovered.began.unwrap_or_else(SystemTime::now));
        }
        journal.write_ahead();
        // Without it a full disk could not be recorded.
        journal.directory().map_or(Ok(()), reserve::keep).map_err(failed)?;
        let copy = Mirror::open(config.syslog.as_ref()).map_err(failed)?;
        let mut writer = Writer::new(journal, recovered.head, boot_id.clone(), config)?.with_copy(copy);
        // Before anybody can rely on the log: it works, or amiwall does not start.
        let started = start_record(config, &boot_id, writer.checkpoints.signer());
        for draft in found.iter().chain([&started]) {
            writer.commit(draft, Now::read()).map_err(failed)?;
        }
        writer.sign(Now::read());
        Self::spawn(config, writer, boot_id).map_err(failed)
    }

    fn spawn<S: Storage>(config: &AuditConfig, writer: Writer<S>, boot_id: String) -> std::io::Result<Self> {
        let (requests, receiver) = mpsc::channel(QUEUE_LEN_MAX);
        let (progress, metrics) = (writer.progress.clone(), writer.metrics.clone());
        let writer = Arc::new(Mutex::new(writer));
        let (inline, of_thread) = (writer.clone(), progress.clone());
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let thread = thread.spawn(move || writer::run(&writer, &of_thread, receiver))?;
        let shared = Shared {
            boot_id,
            requests,
            redactor: Redactor::new(&config.redact).with_pseudonyms(config.pseudonyms.as_ref()),
            security: config.security_log.as_deref().map(SecurityLog::open).transpose()?,
            packets: config.packets,
            except_events: config.except_events.clone(),
            actions: config.actions,
            responses: config.responses,
            on_failure: config.on_failure,
            progress,
            metrics,
            inline,
            unrecorded: AtomicU64::new(0),
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

    /// Whether what is asked now would be recorded.
    #[must_use]
    pub fn state(&self) -> LogState {
        if self.shared.requests.is_closed() { LogState::Closed } else { self.shared.progress.state() }
    }

    /// The id of the session whose connect record has this seq.
    #[must_use]
    pub fn session_id(&self, connect_seq: u64) -> String {
        format!("{}-{connect_seq}", self.shared.boot_id)
    }

    /// What is counted of it.
    #[must_use]
    pub fn metrics(&self) -> &AuditMetrics {
        &self.shared.metrics
    }

    /// How many requests wait for the writer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.requests.max_capacity() - self.shared.requests.capacity()
    }

    /// Records decisions on actions of one session, in order; returns when all are durable, or as `audit.actions` says.
    ///
    /// # Errors
    /// If they could not be made durable: nothing may be forwarded then. The decisions are handed back. With
    /// `audit.on_failure: continue` this is no error, and the log tells the gap later.
    pub async fn record(
        &self,
        session: &Frame,
        decisions: Vec<(String, Decision)>,
    ) -> Result<Vec<(String, Recorded<Decision>)>, (AuditUnavailable, Vec<(String, Decision)>)> {
        let drafts = decisions.iter().map(|(id, decision)| Draft::action(session, id, decision));
        match self.put(drafts, self.shared.actions).await {
            Ok(_) => Ok(decisions.into_iter().map(|(id, value)| (id, Recorded { value })).collect()),
            Err(refusal) => Err((refusal, decisions)),
        }
    }

    /// Appends records in order; returns when they are written (`write(2)` returned), or as `audit.responses` says, with the
    /// seq of the first (0 where the settings leave all of them out of the log). A full queue lets the caller wait.
    ///
    /// # Errors
    /// If they could not be written: nothing of it may be passed on.
    pub async fn append<'m>(&self, drafts: impl IntoIterator<Item = Draft<'m>>) -> Result<u64, AuditUnavailable> {
        self.put(drafts, self.shared.responses).await
    }

    /// Appends a record and returns when it is durable, with its seq.
    ///
    /// # Errors
    /// If it could not be made durable.
    pub async fn commit(&self, draft: Draft<'_>) -> Result<u64, AuditUnavailable> {
        self.put([draft], Durability::Synced).await
    }

    /// Says what whole checkpoints hold. `state` is asked by the writer, when the record's place in the log is known: all
    /// that is on record before it must have been charged before it was recorded, and so is in the state.
    ///
    /// # Errors
    /// If the writer is gone.
    pub async fn keep_quotas(&self, state: impl Fn() -> QuotaState + Send + 'static) -> Result<(), AuditUnavailable> {
        self.request_of_its_own(Request::Quotas(SaveState(Box::new(state)))).await
    }

    /// Lets the writer do what is to be done once a second, until nobody else has this log: sync what is only written, look
    /// after its file, its disk and the clock, sign, and begin or take out segments.
    pub fn keep(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::downgrade(&self.shared);
        async move {
            let mut interval = tokio::time::interval(TICK);
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                interval.tick().await;
                let Some(requests) = shared.upgrade().map(|shared| shared.requests.clone()) else { return };
                if requests.send(Request::Tick).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Appends a record that a peer which is not logged in has caused. Only the first few of an address and minute are
    /// written; the others are counted (`None`), and the count is written when the minute is over. A session whose
    /// connect record was only counted has no id yet: commit another [`Draft::connect`] when it has logged in.
    ///
    /// # Errors
    /// If it could not be written.
    pub async fn append_unauthenticated(
        &self,
        peer: IpAddr,
        draft: Draft<'_>,
    ) -> Result<Option<u64>, AuditUnavailable> {
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
        let encoded = self.shared.encode(drafts);
        if is_written {
            self.shared.flood.lock().unwrap_or_else(PoisonError::into_inner).charge(encoded.last_len());
        }
        let first = self.send(encoded, self.shared.responses).await?;
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

    /// Asks the writer for what is no record.
    pub(super) async fn request_of_its_own(&self, request: Request) -> Result<(), AuditUnavailable> {
        self.shared.requests.send(request).await.map_err(|_| AuditUnavailable)
    }

    /// Whether the writer waits for the disk.
    pub(super) fn is_at_disk(&self) -> bool {
        self.shared.progress.is_syncing()
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
