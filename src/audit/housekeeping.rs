//! [`Housekeeping`]: what the writer does once a second beside writing: it looks after its file, its disk, its old
//! segments and the clock, and signs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::chain::Head;
use super::checkpoint::Extent;
use super::draft::Draft;
use super::gate::{encode_continued, encode_ranges};
use super::journal::Incident;
use super::kind::Kind;
use super::reserve::Room;
use super::segment::Storage;
use super::writer::{Now, Writer};
use super::{AuditConfig, Keep, OnFailure, json, keep};
use crate::metrics::unix_now;

/// How often old segments and the room on disk are looked at.
const KEEP_INTERVAL: Duration = Duration::from_secs(10);
/// Nothing goes because of its age so long after a start, when the clock may not be right yet, and so long after somebody
/// has set it: a clock that is a year ahead would take the whole log.
const AGE_PAUSE_AT_START: Duration = Duration::from_secs(3_600);
const AGE_PAUSE_AFTER_STEP: Duration = Duration::from_secs(86_400);
/// A step of the wall clock that is worth a record.
const CLOCK_STEP_MIN: Duration = Duration::from_secs(1);

/// The writer's other duties.
#[derive(Debug)]
pub(super) struct Housekeeping {
    keep: Keep,
    on_failure: OnFailure,
    segment_size: u64,
    compress: bool,
    /// Held by whoever renames or removes segments that are complete.
    complete: Arc<Mutex<()>>,
    kept_at: Option<Instant>,
    is_room_low: bool,
    ticked: Option<Now>,
    /// Until then nothing goes because of its age.
    age_pause_until: Option<Instant>,
}

impl Housekeeping {
    pub(super) fn new(config: &AuditConfig) -> Self {
        Self {
            keep: config.keep,
            on_failure: config.on_failure,
            segment_size: config.segment_size,
            compress: config.compress,
            complete: Arc::default(),
            kept_at: None,
            is_room_low: false,
            ticked: None,
            age_pause_until: None,
        }
    }

    pub(super) fn continues(&self) -> bool {
        self.on_failure == OnFailure::Continue
    }

    /// What it means that the log cannot be written.
    pub(super) fn closing(&self) -> &'static str {
        if self.continues() {
            "the audit log cannot be written; everything passes UNRECORDED until it can be, as `on_failure` says"
        } else {
            "the audit log cannot be written; actions are refused until it can be"
        }
    }

    /// How far the wall clock was set since the last time, in milliseconds, if that is much.
    fn clock_step(&mut self, now: Now) -> Option<i64> {
        let Some(before) = self.ticked.replace(now) else {
            self.age_pause_until = Some(now.steady + AGE_PAUSE_AT_START);
            return None;
        };
        let passed = now.steady.saturating_duration_since(before.steady);
        let expected = before.wall.checked_add(passed)?;
        let (step, sign) = match now.wall.duration_since(expected) {
            Ok(ahead) => (ahead, 1),
            Err(behind) => (behind.duration(), -1),
        };
        let millis = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        if step > CLOCK_STEP_MIN {
            self.age_pause_until = Some(now.steady + AGE_PAUSE_AFTER_STEP).max(self.age_pause_until);
        }
        (step > CLOCK_STEP_MIN).then_some(millis * sign)
    }

    /// What is kept, as far as the clock can be relied on.
    fn keep_now(&self, steady: Instant) -> Keep {
        let is_paused = self.age_pause_until.is_none_or(|until| steady < until);
        Keep { days: self.keep.days.filter(|_| !is_paused), ..self.keep }
    }

    fn is_time_to_keep(&mut self, steady: Instant) -> bool {
        let is_over = |at: Instant| steady.saturating_duration_since(at) >= KEEP_INTERVAL;
        let is_due = self.kept_at.is_none_or(is_over);
        if is_due {
            self.kept_at = Some(steady);
        }
        is_due
    }

    /// What there is to say of the room: that it is low, or not any more.
    fn room_changed(&mut self, room: Room) -> Option<&'static str> {
        // A segment more fits, and there is time to do something about it.
        let low = self.segment_size.saturating_mul(2);
        let was_low = std::mem::replace(&mut self.is_room_low, room.available < low);
        match (was_low, self.is_room_low) {
            (false, true) => Some("audit.space-low"),
            (true, false) => Some("audit.space-back"),
            (true, true) | (false, false) => None,
        }
    }

    /// Compresses what is complete, on a thread of its own.
    fn compress(&self, directory: &Path) {
        let (directory, complete): (PathBuf, _) = (directory.to_owned(), self.complete.clone());
        let work = move || {
            let Ok(_guard) = complete.try_lock() else { return };
            if let Err(error) = super::compress_closed(&directory).map(drop) {
                tracing::warn!(%error, "segments of the audit log cannot be compressed");
            }
        };
        if let Err(error) = std::thread::Builder::new().name("compress".to_owned()).spawn(work) {
            tracing::warn!(%error, "no thread to compress segments of the audit log");
        }
    }
}

impl<S: Storage> Writer<S> {
    /// So many bytes were written, up to `head`.
    pub(super) fn advance(&mut self, head: Head, len: usize) {
        self.metrics.records.add(head.seq - self.head.seq);
        self.metrics.bytes.add(u64::try_from(len).unwrap_or_default());
        self.head = head;
    }

    /// Makes durable what was written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let metrics = self.metrics.clone();
        metrics.sync(|| self.journal.sync())
    }

    /// Once a second.
    pub(super) fn tick(&mut self, now: Now) {
        let step = self.housekeeping.clock_step(now);
        if self.closed.is_some() {
            return;
        }
        let done = self.note_clock(step, now).and_then(|()| {
            if !self.journal.is_synced() {
                self.sync()?;
            }
            self.journal.watch()?;
            // Also where there was nothing to sync: all that was written is on the disk.
            self.metrics.synced_at.set(unix_now());
            if let Some(extent) = self.checkpoints.due(&self.head, now.steady) {
                self.checkpoint(extent, now)?;
            }
            if self.housekeeping.is_time_to_keep(now.steady) { self.keep(now) } else { Ok(()) }
        });
        if let Err(error) = done {
            self.close(&error, now);
        }
    }

    fn note_clock(&mut self, step: Option<i64>, now: Now) -> io::Result<()> {
        let Some(step) = step else { return Ok(()) };
        tracing::warn!("the machine's clock was set by {step} ms");
        self.append_own(&Draft::new(Kind::Clock).with(|out| json::number(out, "step_ms", step)), now).map(drop)
    }

    /// Writes a checkpoint; when it is durable, its copy goes elsewhere.
    pub(super) fn checkpoint(&mut self, extent: Extent, now: Now) -> io::Result<()> {
        let draft = self.checkpoints.draft(&self.head, extent, now.steady);
        let line = self.append_own(&draft, now)?;
        self.sync()?;
        self.metrics.checkpoint_at.set(unix_now());
        self.checkpoints.copy(&line);
        Ok(())
    }

    /// The last record of a segment, or of the log but for `stop`, is a checkpoint.
    pub(super) fn end_with_checkpoint(&mut self, now: Now) -> io::Result<()> {
        if self.checkpoints.at_end(&self.head) { self.checkpoint(Extent::Whole, now) } else { Ok(()) }
    }

    /// Begins another segment, if it is time.
    pub(super) fn turn_segment(&mut self, now: Now) {
        if self.closed.is_some() || !self.journal.is_full(now.wall) {
            return;
        }
        match self.end_with_checkpoint(now).and_then(|()| self.journal.end_segment()) {
            Ok(()) => {
                if let Some(directory) = self.journal.directory().filter(|_| self.housekeeping.compress) {
                    self.housekeeping.compress(directory);
                }
            }
            Err(error) => self.close(&error, now),
        }
    }

    /// Looks at the room on disk, and takes out what need not be kept.
    fn keep(&mut self, now: Now) -> io::Result<()> {
        let Some(directory) = self.journal.directory().map(Path::to_owned) else { return Ok(()) };
        let room = Room::of(&directory)?;
        for (gauge, bytes) in [(&self.metrics.space_available, room.available), (&self.metrics.space_total, room.total)]
        {
            gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        if let Some(reason) = self.housekeeping.room_changed(room) {
            tracing::warn!(directory = %directory.display(), available = room.available, "{reason}");
            let draft = Draft::new(Kind::Outage).with(|out| {
                json::text(out, "reason", reason);
                json::number(out, "available", room.available);
            });
            self.append_own(&draft, now)?;
        }
        let complete = self.housekeeping.complete.clone();
        // Whoever compresses a segment would bring it back.
        let Ok(_guard) = complete.try_lock() else { return Ok(()) };
        match keep::due(&directory, &self.housekeeping.keep_now(now.steady), now.wall) {
            Ok(None) => {}
            Ok(Some(prune)) => {
                self.commit(&prune_record(&prune), now)?;
                // Only a signed record says that it was amiwall who took them out.
                if self.checkpoints.signer().is_some() {
                    self.checkpoint(Extent::Signature, now)?;
                }
                if let Err(error) = keep::remove(&directory, &prune.names) {
                    tracing::warn!(%error, "old segments of the audit log cannot be removed");
                }
            }
            Err(error) => tracing::warn!(%error, "it cannot be seen which segments of the audit log are old"),
        }
        Ok(())
    }

    /// Puts on record what happened to segments, and what callers were not there to hear.
    pub(super) fn note_incidents(&mut self, now: Now) {
        if self.closed.is_some() {
            return;
        }
        let mut drafts: Vec<Draft<'static>> = self.journal.take_incidents().iter().map(incident_record).collect();
        while let Some(lost) = self.copy.take_lost() {
            let (since, until) = (self.clock.text.at(lost.since).to_owned(), self.clock.text.at(lost.until).to_owned());
            drafts.push(lost.draft(&since, &until));
        }
        let (abandoned, lost) = (std::mem::take(&mut self.abandoned), self.progress.take_lost());
        if !abandoned.is_empty() || lost > 0 {
            let continued = self.housekeeping.continues();
            drafts.push(Draft::new(Kind::Outage).with(|out| {
                json::text(out, "reason", "audit.unconfirmed");
                encode_ranges(out, &abandoned);
                if lost > 0 {
                    json::number(out, "count", lost);
                }
                encode_continued(out, continued);
            }));
        }
        for draft in drafts {
            if let Err(error) = self.append_own(&draft, now) {
                return self.close(&error, now);
            }
        }
    }
}

fn prune_record(prune: &keep::Prune) -> Draft<'static> {
    Draft::new(Kind::Prune).with(|out| {
        json::text(out, "reason", prune.reason);
        json::number(out, "segments", prune.names.len());
        json::number(out, "bytes", prune.bytes);
        json::number(out, "through", prune.through);
        json::text(out, "through_hash", std::str::from_utf8(&prune.hash).unwrap_or_default());
    })
}

fn incident_record(incident: &Incident) -> Draft<'static> {
    Draft::new(Kind::Recovery).with(|out| match incident {
        Incident::SetAside(file) => {
            json::text(out, "reason", "audit.set-aside");
            json::text(out, "file", file);
        }
        Incident::Changed(file, change) => {
            json::text(out, "reason", "audit.file-changed");
            json::text(out, "file", file);
            json::text(out, "change", change.name());
        }
    })
}
