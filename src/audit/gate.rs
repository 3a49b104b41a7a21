//! The gate: while the log cannot be written nothing is accepted. [`Closed`] is why, since when, and what it cost.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use super::draft::Draft;
use super::json;
use super::kind::Kind;
use super::segment::Storage;
use super::writer::{Answer, Now, Writer};
use super::{AuditUnavailable, reserve};

/// How often a closed gate is tried.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// How many of each kind.
pub(super) type Counts = BTreeMap<Kind, u64>;

/// Appends a member with counts.
pub(super) fn encode_counts(out: &mut Vec<u8>, counts: &Counts) {
    json::key(out, "counts");
    for (index, (kind, count)) in counts.iter().enumerate() {
        out.push(if index == 0 { b'{' } else { b',' });
        json::string(out, kind.name());
        out.push(b':');
        json::display(out, count);
    }
    out.extend_from_slice(if counts.is_empty() { b"{}" } else { b"}" });
}

/// Appends a member with ranges of seq, if there are any.
pub(super) fn encode_ranges(out: &mut Vec<u8>, ranges: &[(u64, u64)]) {
    if ranges.is_empty() {
        return;
    }
    json::key(out, "unconfirmed");
    for (index, (first, last)) in ranges.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"[[" } else { b",[" });
        json::display(out, first);
        out.push(b',');
        json::display(out, last);
        out.push(b']');
    }
    out.push(b']');
}

/// The gate is closed.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) since: SystemTime,
    pub(super) probe_at: Instant,
    cause: String,
    /// Records that were not taken.
    refused: Counts,
    /// First and last seq of records that are in the chain, but whose callers were told that they are not durable: what
    /// they say was allowed has not been forwarded.
    pub(super) unconfirmed: Vec<(u64, u64)>,
}

impl Closed {
    pub(super) fn new(cause: &io::Error, since: SystemTime, steady: Instant) -> Self {
        let probe_at = steady + PROBE_INTERVAL;
        Self { since, probe_at, cause: cause.to_string(), refused: Counts::new(), unconfirmed: Vec::new() }
    }

    /// It was tried, in vain.
    pub(super) fn tried(&mut self, steady: Instant) {
        self.probe_at = steady + PROBE_INTERVAL;
    }

    pub(super) fn refuse(&mut self, records: &[(usize, Kind)]) {
        for (_, kind) in records {
            *self.refused.entry(*kind).or_default() += 1;
        }
    }

    /// That it closes: written into the reserve where there is one, so that the log says so even if nothing follows.
    pub(super) fn beginning(&self, since: &str) -> Draft<'static> {
        Draft::new(Kind::Outage).with(|out| {
            json::text(out, "reason", "audit.closed");
            json::text(out, "cause", &self.cause);
            json::text(out, "since", since);
        })
    }

    /// That it opens, and what it cost. `continued`: what was not taken was passed on all the same.
    pub(super) fn end(&self, since: &str, until: &str, continued: bool) -> Draft<'static> {
        Draft::new(Kind::Outage).with(|out| {
            json::text(out, "reason", "audit.unavailable");
            json::text(out, "cause", &self.cause);
            json::text(out, "since", since);
            json::text(out, "until", until);
            encode_counts(out, &self.refused);
            encode_ranges(out, &self.unconfirmed);
            encode_continued(out, continued);
        })
    }
}

/// Appends the member that says that nothing was held back.
pub(super) fn encode_continued(out: &mut Vec<u8>, continued: bool) {
    if continued {
        json::key(out, "continued");
        out.extend_from_slice(b"true");
    }
}

impl<S: Storage> Writer<S> {
    /// Closes the gate.
    pub(super) fn close(&mut self, error: &io::Error, now: Now) {
        if let Some(closed) = &mut self.closed {
            return closed.tried(now.steady);
        }
        let closed = Closed::new(error, now.wall, now.steady);
        let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        tracing::error!(%error, "{}", self.housekeeping.closing());
        if is_full && let Some(directory) = self.journal.directory() {
            // With what was kept back the log can say that it is full, and its end.
            reserve::release(directory).ok();
            let since = self.clock.text.at(now.wall).to_owned();
            if self.commit(&closed.beginning(&since), now).is_err() {
                tracing::error!("not even the reserve is enough to record that");
            }
        }
        self.closed = Some(closed);
        self.progress.set_closed(true);
    }

    /// Tells a caller that nothing of what he asked is in the chain.
    pub(super) fn refuse(&mut self, records: &[(usize, Kind)], answer: Answer) {
        if let Some(closed) = &mut self.closed {
            closed.refuse(records);
        }
        answer.send(Err(AuditUnavailable)).ok();
    }

    /// Where the gate is closed and it is time, tries to record the outage; if that is durable, the gate is open.
    pub(super) fn try_to_open(&mut self, now: Now) {
        let Some(closed) = self.closed.as_ref().filter(|closed| closed.probe_at <= now.steady) else { return };
        let since = self.clock.text.at(closed.since).to_owned();
        let until = self.clock.text.at(now.wall).to_owned();
        let draft = closed.end(&since, &until, self.housekeeping.continues());
        let opened = self.journal.directory().map_or(Ok(()), reserve::keep).and_then(|()| self.commit(&draft, now));
        match opened {
            Ok(_) => {
                tracing::warn!("the audit log can be written again");
                self.closed = None;
                self.progress.set_closed(false);
                // What was not signed before the gate closed is older than that by now.
                self.sign(now);
            }
            Err(error) => self.close(&error, now),
        }
    }
}
