//! What amiwall counts of itself while it runs, for a Prometheus to read (`daemon/http`).
//!
//! Plain atomics of this module's own: of the well-kept libraries, `prometheus-client` takes a lock with each observation of
//! a histogram, and here that would be one for each action. Whoever counts holds what it counts into, so that nothing is
//! looked up by name on a packet's way. Labels have values of closed lists (reason codes) or of the policy (identities), so
//! that no stranger can make new ones.

mod cells;
mod identity;
mod page;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use cells::{Counter, Gauge, Histogram, Labelled, Share, unix_now};
pub use identity::{ActionNumber, IdentityMetrics, Outcome};
pub use page::{Kind, Page};

/// Bounds of what takes microseconds, in nanoseconds.
const QUICK: &[u64] = &[1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 10_000_000];
/// Bounds of what waits for a disk or for Asterisk, in nanoseconds.
const SLOW: &[u64] = &[
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// What sessions, listeners and the process count.
#[derive(Debug)]
pub struct Metrics {
    /// Connections that the listeners took from the system.
    pub accepted: Counter,
    /// Those that were closed before there was a session, by reason.
    pub refused: Labelled,
    /// Log-ins, by what came of them.
    pub logins: Labelled,
    /// Sessions that are over, by reason.
    pub ended: Labelled,
    /// Reloads of the policy, by what came of them.
    pub reloads: Labelled,
    /// From a packet's being read to its decision.
    pub decide: Histogram,
    /// From the decision to its being on record.
    pub record: Histogram,
    /// From an action's being sent to Asterisk's first answer.
    pub answer: Histogram,
    /// From an action's being read to Asterisk's first answer.
    pub whole: Histogram,
    /// Actions that wait for Asterisk, over all sessions.
    pub outstanding: Arc<Gauge>,
    /// Bytes that wait for clients, over all sessions.
    pub queued: Arc<Gauge>,
    /// The names of the actions that Asterisk has, by their numbers.
    names: Box<[&'static str]>,
    identities: Mutex<BTreeMap<String, Arc<IdentityMetrics>>>,
}

impl Metrics {
    /// Nothing was counted yet. `names` are those of actions, by number.
    #[must_use]
    pub fn new(names: impl Iterator<Item = &'static str>) -> Self {
        Self {
            accepted: Counter::default(),
            refused: Labelled::default(),
            logins: Labelled::default(),
            ended: Labelled::default(),
            reloads: Labelled::with(&["refused", "taken"]),
            decide: Histogram::new(QUICK),
            record: Histogram::new(SLOW),
            answer: Histogram::new(SLOW),
            whole: Histogram::new(SLOW),
            outstanding: Arc::default(),
            queued: Arc::default(),
            names: names.collect(),
            identities: Mutex::default(),
        }
    }

    fn identities(&self) -> MutexGuard<'_, BTreeMap<String, Arc<IdentityMetrics>>> {
        self.identities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is counted of an identity of the policy, to be held by its session. `own` are actions that its rules name and
    /// the catalogue does not.
    #[must_use]
    pub fn identity(&self, name: &str, own: impl Iterator<Item = String>) -> Arc<IdentityMetrics> {
        let mut identities = self.identities();
        let new = || Arc::new(IdentityMetrics::new(self.names.len()));
        let found = identities.entry(name.to_owned()).or_insert_with(new).clone();
        drop(identities);
        found.know(own);
        found
    }

    /// Another policy is in force: `own` says which actions of their own the rules of an identity name, or that there is no
    /// such identity any more. What was counted of one that is gone goes.
    pub fn keep_identities(&self, own: impl Fn(&str) -> Option<Vec<String>>) {
        self.identities().retain(|name, identity| {
            let names = own(name);
            let is_there = names.is_some();
            identity.know(names.into_iter().flatten());
            is_there
        });
    }

    /// Packets of all identities: how many were let pass, and how many were refused.
    #[must_use]
    pub fn packets(&self) -> (u64, u64) {
        let mut totals = Default::default();
        self.identities().values().for_each(|identity| identity.add_to(&mut totals));
        let [allow, would_deny, deny, limit, unrecorded] = totals;
        (allow + would_deny, deny + limit + unrecorded)
    }

    /// Writes what was counted.
    pub fn write(&self, page: &mut Page) {
        page.family("amiwall_connections_accepted_total", Kind::Counter, "Connections that listeners took.");
        page.sample(&[], self.accepted.value());
        let by_reason = [
            ("amiwall_connections_refused_total", "Connections closed before there was a session.", &self.refused),
            (
                "amiwall_sessions_ended_total",
                "Sessions that are over, those that never logged in among them.",
                &self.ended,
            ),
        ];
        for (name, help, counted) in by_reason {
            page.labelled(name, help, "reason", counted);
        }
        page.labelled("amiwall_logins_total", "Log-ins by what came of them.", "outcome", &self.logins);
        page.labelled("amiwall_reloads_total", "Reloads of the policy.", "outcome", &self.reloads);
        let stages = [
            ("amiwall_decide_seconds", "From a packet's being read to its decision.", &self.decide),
            ("amiwall_record_seconds", "From the decision to its being on record.", &self.record),
            ("amiwall_answer_seconds", "From an action's being sent to Asterisk's first answer.", &self.answer),
            ("amiwall_action_seconds", "From an action's being read to Asterisk's first answer.", &self.whole),
        ];
        for (name, help, histogram) in stages {
            page.family(name, Kind::Histogram, help);
            page.histogram(name, &[], histogram);
        }
        page.family("amiwall_outstanding_actions", Kind::Gauge, "Actions that wait for Asterisk's answer.");
        page.sample(&[], self.outstanding.value());
        page.family("amiwall_client_queue_bytes", Kind::Gauge, "Bytes that wait for clients to read them.");
        page.sample(&[], self.queued.value());
        let identities: Vec<_> = self.identities().iter().map(|(name, one)| (name.clone(), one.clone())).collect();
        identity::write(page, &self.names, &identities);
    }
}

/// What the audit log counts.
#[derive(Debug)]
pub struct AuditMetrics {
    /// Records that were written.
    pub records: Counter,
    /// Their bytes.
    pub bytes: Counter,
    /// How long syncs took.
    pub syncs: Histogram,
    /// Syncs that failed.
    pub sync_errors: Counter,
    /// When a sync last succeeded.
    pub synced_at: Gauge,
    /// When a checkpoint was last written.
    pub checkpoint_at: Gauge,
    /// What can still be written to the file system of the log.
    pub space_available: Gauge,
    /// What could be written to it if it were empty.
    pub space_total: Gauge,
}

impl Default for AuditMetrics {
    fn default() -> Self {
        Self {
            records: Counter::default(),
            bytes: Counter::default(),
            syncs: Histogram::new(SLOW),
            sync_errors: Counter::default(),
            synced_at: Gauge::default(),
            checkpoint_at: Gauge::default(),
            space_available: Gauge::default(),
            space_total: Gauge::default(),
        }
    }
}

impl AuditMetrics {
    /// Counts a sync: how long it takes, and what comes of it.
    ///
    /// # Errors
    /// That of the sync.
    pub fn sync(&self, sync: impl FnOnce() -> std::io::Result<()>) -> std::io::Result<()> {
        let begun = std::time::Instant::now();
        let outcome = sync();
        self.syncs.observe(begun.elapsed());
        match &outcome {
            Ok(()) => self.synced_at.set(unix_now()),
            Err(_) => self.sync_errors.add(1),
        }
        outcome
    }

    /// Writes what was counted.
    pub fn write(&self, page: &mut Page) {
        let counters = [
            ("amiwall_audit_records_total", "Records that were written to the audit log.", &self.records),
            ("amiwall_audit_bytes_total", "Bytes that were written to the audit log.", &self.bytes),
            ("amiwall_audit_sync_errors_total", "Syncs of the audit log that failed.", &self.sync_errors),
        ];
        for (name, help, counter) in counters {
            page.family(name, Kind::Counter, help);
            page.sample(&[], counter.value());
        }
        page.family("amiwall_audit_sync_seconds", Kind::Histogram, "How long syncs of the audit log took.");
        page.histogram("amiwall_audit_sync_seconds", &[], &self.syncs);
        let times = [
            ("amiwall_audit_last_sync_timestamp_seconds", "When a sync last succeeded.", &self.synced_at),
            (
                "amiwall_audit_last_checkpoint_timestamp_seconds",
                "When a checkpoint was last written.",
                &self.checkpoint_at,
            ),
            (
                "amiwall_audit_space_available_bytes",
                "What can still be written to the log's disk.",
                &self.space_available,
            ),
            (
                "amiwall_audit_space_size_bytes",
                "What could be written to the log's disk if it were empty.",
                &self.space_total,
            ),
        ];
        for (name, help, gauge) in times {
            page.family(name, Kind::Gauge, help);
            // 0: not known yet. A time of 1970 would set off every alert.
            if gauge.value() != 0 {
                page.sample(&[], gauge.value());
            }
        }
    }
}

/// What is counted of one upstream.
#[derive(Debug, Default)]
pub struct UpstreamMetrics {
    /// Sessions that are open.
    pub sessions: Arc<Gauge>,
    /// Attempts to open one that failed, by reason.
    pub failures: Labelled,
    /// Whether the last attempt succeeded, the reason of the last that did not, and when that was.
    last: Mutex<Last>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Last {
    is_up: bool,
    failure: Option<(&'static str, i64)>,
}

impl UpstreamMetrics {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asterisk let us in.
    pub fn succeeded(&self) {
        self.last().is_up = true;
    }

    /// It did not.
    pub fn failed(&self, reason: &'static str) {
        self.failures.count(reason);
        *self.last() = Last { is_up: false, failure: Some((reason, unix_now())) };
    }

    /// A session with it was lost, which is not among `sessions` any more. With others open, Asterisk is there.
    pub fn lost(&self) {
        self.failures.count("lost");
        let mut last = self.last();
        *last = Last { is_up: last.is_up && self.sessions.value() > 0, failure: Some(("lost", unix_now())) };
    }

    /// Whether it was there when it was last tried.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.last().is_up
    }

    /// The reason of the last failure, and when it was.
    #[must_use]
    pub fn last_failure(&self) -> Option<(&'static str, i64)> {
        self.last().failure
    }
}

#[cfg(test)]
mod tests;
