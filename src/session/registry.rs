//! [`Sessions`]: who is logged in, for the administrator who asks, ends a session, or stops an action.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Live, lock};
use crate::identity::Now;
use crate::policy::{Denial, Reason, Refused, RuleId};

/// What is remembered of the last actions of a session, and as much of its last refusals.
const RECENT_MAX: usize = 8;
/// What is remembered of the last refusals of all.
const REFUSALS_MAX: usize = 64;
/// So much of an action's name is shown: it may be any text.
const NAME_CHARS_MAX: usize = 64;
/// What packets that were judged get to be recorded and sent: longer than a record may take.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(6);
/// What a session that is ended for that gets to be so.
const KICK_TIMEOUT: Duration = Duration::from_secs(1);

/// Every session that is logged in.
#[derive(Default)]
pub struct Sessions {
    live: Mutex<HashMap<String, Arc<Live>>>,
    refusals: Mutex<VecDeque<Arc<Recent>>>,
    /// Why the last session at an upstream could not be had, by its name; none where it could.
    upstreams: Mutex<BTreeMap<String, Option<String>>>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

/// One session, as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionInfo {
    /// Its name in the audit log.
    pub id: String,
    /// Who it is.
    pub identity: String,
    /// From where.
    pub peer: String,
    /// The proxy that says so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub proxy: String,
    /// The listener, as the policy spells it.
    pub listener: String,
    /// Which Asterisk.
    pub upstream: String,
    /// When it was logged in, in seconds since 1970.
    pub since: i64,
    /// Actions that were forwarded.
    pub forwarded: u64,
    /// Packets that were refused, but for a limit.
    pub refused: u64,
    /// Actions that were refused for a limit, a suspension or a pause.
    pub limited: u64,
    /// Packets of Asterisk that it got.
    pub sent: u64,
    /// How many of those are events that answer none of its actions.
    pub events: u64,
    /// Bytes from the client, without those of TLS.
    pub bytes_in: u64,
    /// Bytes to the client.
    pub bytes_out: u64,
    /// The last action that was forwarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Recent>,
    /// Packets that wait for the client to read them.
    pub queued: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// Actions that Asterisk has not answered.
    pub outstanding: usize,
}

/// What came of a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recent {
    /// In milliseconds since 1970.
    pub time_ms: i64,
    /// Whose.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub identity: String,
    /// In which session.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub session: String,
    /// From where.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub peer: String,
    /// The action's name; empty for what was none.
    pub name: String,
    /// As in the audit log: `allow`, `deny`, `limit`.
    pub decision: String,
    /// The reason code of a refusal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The rule, or the limit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Where it stands in the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// What is counted and remembered of one session.
#[derive(Debug)]
pub(super) struct Tally {
    since: i64,
    pub(super) limited: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    forwarded: Mutex<VecDeque<Forwarded>>,
    refusals: Mutex<VecDeque<Arc<Recent>>>,
    /// An administrator wants it to end.
    pub(super) kicked: CancellationToken,
}

/// An action that was forwarded. Its place is used again for a later one: nothing is allocated for a packet.
#[derive(Debug)]
struct Forwarded {
    at: Instant,
    name: String,
    rule: RuleId,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            since: Now::read().wall,
            limited: AtomicU64::new(0),
            events: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            forwarded: Mutex::default(),
            refusals: Mutex::default(),
            kicked: CancellationToken::new(),
        }
    }
}

impl Tally {
    /// An action was sent to Asterisk.
    pub(super) fn forwarded(&self, name: &[u8], rule: &RuleId, at: Instant) {
        let mut forwarded = lock(&self.forwarded);
        let oldest = if forwarded.len() < RECENT_MAX { None } else { forwarded.pop_front() };
        let mut name_of = oldest.map(|oldest| oldest.name).unwrap_or_default();
        name_of.clear();
        name_of.push_str(std::str::from_utf8(name).unwrap_or_default());
        forwarded.push_back(Forwarded { at, name: name_of, rule: rule.clone() });
    }

    fn last_forwarded(&self) -> Vec<Recent> {
        let now = now_ms();
        let of = |action: &Forwarded| Recent {
            time_ms: now - i64::try_from(action.at.elapsed().as_millis()).unwrap_or(now),
            name: shortened(action.name.as_bytes()),
            decision: "allow".to_owned(),
            rule: action.rule.path.to_string(),
            line: Some(action.rule.line).filter(|line| *line > 0),
            ..Recent::default()
        };
        lock(&self.forwarded).iter().map(of).collect()
    }
}

impl Sessions {
    /// It is listed until what this gives is dropped.
    pub(super) fn enter(&self, live: &Arc<Live>) -> Entered {
        lock(&self.live).insert(live.context().session.clone(), live.clone());
        Entered(live.clone())
    }

    /// Every session, in the order in which they were logged in.
    #[must_use]
    pub fn list(&self) -> Vec<SessionInfo> {
        let mut all: Vec<SessionInfo> = self.all().iter().map(|live| live.info()).collect();
        all.sort_by(|one, other| (one.since, one.id.len(), &one.id).cmp(&(other.since, other.id.len(), &other.id)));
        all
    }

    /// Its last actions and refusals, the oldest first; nothing if there is no such session.
    #[must_use]
    pub fn recent(&self, id: &str) -> Vec<Recent> {
        let Some(live) = lock(&self.live).get(id).cloned() else { return Vec::new() };
        let refusals: Vec<Recent> = lock(&live.tally.refusals).iter().map(|refusal| (**refusal).clone()).collect();
        let mut all = live.tally.last_forwarded();
        all.extend(refusals);
        all.sort_by_key(|recent| recent.time_ms);
        all
    }

    /// The last refusals of all sessions, also of those that are over, the oldest first.
    #[must_use]
    pub fn refusals(&self) -> Vec<Recent> {
        lock(&self.refusals).iter().map(|refusal| (**refusal).clone()).collect()
    }

    /// Has a session end at once, and waits until it sends nothing more; whose it is, if there is one of that name.
    pub async fn kick(&self, id: &str) -> Option<String> {
        let live = lock(&self.live).get(id).cloned()?;
        live.end_for_admin().await;
        Some(live.client.as_str().to_owned())
    }

    /// Waits until whatever was judged before this was asked is sent or refused: what is of that identity, or all if it is
    /// empty. A session that cannot get rid of it, since Asterisk does not read, is ended, and what it had waiting with it.
    pub async fn settle(&self, identity: &str) {
        let is_meant = |live: &Arc<Live>| identity.is_empty() || live.client.as_str().eq_ignore_ascii_case(identity);
        let numbered = self.all().into_iter().filter(is_meant).map(|live| (live.batch(), live));
        let under_way: Vec<(u64, Arc<Live>)> = numbered.filter(|(batch, _)| is_open(*batch)).collect();
        let all = async {
            for (batch, live) in &under_way {
                live.until(|_| live.batch() != *batch).await;
            }
        };
        if tokio::time::timeout(SETTLE_TIMEOUT, all).await.is_ok() {
            return;
        }
        for (_, live) in under_way.iter().filter(|(batch, live)| live.batch() == *batch) {
            tracing::warn!(session = live.context().session, "is ended: what was judged before could not be sent");
            live.end_for_admin().await;
        }
    }

    /// How it stands with the upstreams, by name: why no session could be had, or none if one could.
    #[must_use]
    pub fn upstreams(&self) -> BTreeMap<String, Option<String>> {
        lock(&self.upstreams).clone()
    }

    /// A session at that upstream could be had, or not, and why.
    pub fn note_upstream(&self, name: &str, trouble: Option<String>) {
        lock(&self.upstreams).insert(name.to_owned(), trouble);
    }

    /// A packet of a session was refused.
    pub(super) fn note_refusal(&self, live: &Live, denial: &Denial) {
        let is_limit = matches!(denial.reason(), Reason::Limits { .. });
        if is_limit {
            live.tally.limited.fetch_add(1, Ordering::Relaxed);
        }
        let limit = if let Reason::Limits { limit, .. } = denial.reason() { limit.clone() } else { String::new() };
        let name = match denial.refused() {
            Refused::Action(action) => shortened(action.name()),
            // Somebody may have put a secret anywhere in it.
            Refused::Packet(_) => String::new(),
        };
        let recent = Arc::new(Recent {
            time_ms: now_ms(),
            identity: live.client.as_str().to_owned(),
            session: live.context().session.clone(),
            peer: live.context().peer.map(|peer| peer.to_string()).unwrap_or_default(),
            name,
            decision: if is_limit { "limit" } else { "deny" }.to_owned(),
            reason: denial.reason().code(),
            rule: denial.rule().map_or(limit, |rule| rule.path.to_string()),
            line: denial.rule().map(|rule| rule.line).filter(|line| *line > 0),
        });
        push(&live.tally.refusals, recent.clone(), RECENT_MAX);
        push(&self.refusals, recent, REFUSALS_MAX);
    }

    fn all(&self) -> Vec<Arc<Live>> {
        lock(&self.live).values().cloned().collect()
    }
}

impl Live {
    /// Packets are being judged, recorded and forwarded until this is dropped.
    pub(super) fn judging(&self) -> Judging<'_> {
        // Ordered with the pauses: either they are seen behind this, or who puts one on sees this.
        self.batch.fetch_add(1, Ordering::SeqCst);
        Judging(self)
    }

    /// Nothing of what is judged now will be sent. It is yet to be answered.
    pub(super) fn give_up_batch(&self) {
        self.batch.fetch_add(2, Ordering::SeqCst);
        self.progress.notify_waiters();
    }

    /// Its task drops what it was at as soon as it is polled, and is not among the sessions then.
    async fn end_for_admin(&self) {
        self.tally.kicked.cancel();
        let is_listed = || lock(&self.shared.sessions.live).contains_key(&self.context().session);
        let over = self.until(|_| !is_open(self.batch()) && !is_listed());
        drop(tokio::time::timeout(KICK_TIMEOUT, over).await);
    }

    fn batch(&self) -> u64 {
        self.batch.load(Ordering::SeqCst)
    }

    pub(super) fn is_judging(&self) -> bool {
        is_open(self.batch())
    }

    fn info(&self) -> SessionInfo {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let context = self.context();
        let (queued, queued_bytes) = self.queue.depth();
        let limited = load(&self.tally.limited);
        SessionInfo {
            id: context.session.clone(),
            identity: self.client.as_str().to_owned(),
            peer: context.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            proxy: context.proxy.map(|proxy| proxy.to_string()).unwrap_or_default(),
            listener: context.listener.clone(),
            upstream: self.upstream.clone(),
            since: self.tally.since,
            forwarded: load(&self.forwarded),
            refused: load(&self.refused).saturating_sub(limited),
            limited,
            sent: load(&self.sent),
            events: load(&self.tally.events),
            bytes_in: load(&self.tally.bytes_in),
            bytes_out: load(&self.tally.bytes_out),
            last: self.tally.last_forwarded().pop(),
            queued,
            queued_bytes,
            outstanding: lock(&self.correlation).outstanding(),
        }
    }
}

/// Whether packets of a session are on their way, by [`Live::batch`].
const fn is_open(batch: u64) -> bool {
    batch % 2 == 1
}

/// See [`Live::judging`].
pub(super) struct Judging<'a>(&'a Live);

impl Drop for Judging<'_> {
    fn drop(&mut self) {
        self.0.batch.fetch_add(1, Ordering::SeqCst);
        self.0.progress.notify_waiters();
    }
}

/// See [`Sessions::enter`].
pub(super) struct Entered(Arc<Live>);

impl Drop for Entered {
    fn drop(&mut self) {
        lock(&self.0.shared.sessions.live).remove(&self.0.context().session);
        self.0.progress.notify_waiters();
    }
}

fn push(recent: &Mutex<VecDeque<Arc<Recent>>>, one: Arc<Recent>, max: usize) {
    let mut recent = lock(recent);
    if recent.len() >= max {
        recent.pop_front();
    }
    recent.push_back(one);
}

fn shortened(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(NAME_CHARS_MAX).collect()
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
