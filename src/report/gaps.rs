//! Where the log is silent or was not whole: outages, crashes, times without amiwall, silences, clocks that were set, and
//! what was taken out.

use jiff::Timestamp;

use super::bounded::Listing;
use super::table::{Cell, ROWS_SHOWN, Section, Table};
use super::text;
use crate::audit::LoggedRecord;

/// Longer without a record is listed: a log with checkpoints has one each minute.
const SILENCE_MIN: i64 = 120;
/// The longest silences that are kept.
const SILENCES_MAX: usize = 200;
/// A wall clock that goes that much apart from the other one was set.
const CLOCK_STEP_MIN: i64 = 1;

/// A time about which the log says little or nothing.
#[derive(Clone, Debug)]
struct Gap {
    what: &'static str,
    kind: &'static str,
    seq: u64,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    more: String,
}

/// The record before.
#[derive(Clone, Debug)]
struct Before {
    time: Timestamp,
    mono: u64,
    kind: String,
    seq: u64,
}

/// Everything that is told of gaps.
#[derive(Clone, Debug, Default)]
pub(super) struct Gaps {
    before: Option<Before>,
    gaps: Listing<Gap>,
    silences: Vec<(i64, Before, u64)>,
    silence_count: u64,
    clock: Listing<(Timestamp, u64, &'static str, i64, String)>,
    prunes: Listing<(Timestamp, u64, String, Option<u64>)>,
    pub(super) outages: u64,
    pub(super) outage_seconds: i64,
    pub(super) crashes: u64,
    pub(super) starts: u64,
    pub(super) checkpoints: u64,
    unconfirmed: u64,
}

impl Gaps {
    pub(super) fn take(&mut self, record: &LoggedRecord, is_inside: bool) {
        // What a start has found stands before it.
        let is_found =
            record.kind == "recovery" && self.before.as_ref().is_some_and(|before| record.mono < before.mono);
        let before = if is_found { None } else { self.put_before(record) };
        if !is_inside {
            return;
        }
        match record.kind.as_str() {
            "start" => self.take_start(record, before),
            _ => self.take_running(record, before),
        }
        match record.kind.as_str() {
            "checkpoint" => self.checkpoints += 1,
            "outage" => self.take_outage(record),
            "recovery" => self.take_recovery(record),
            "clock" => {
                let seconds = record.step_ms.unwrap_or_default() / 1_000;
                self.clock.push((record.time, record.seq, "clock", seconds, "somebody set the clock".to_owned()));
            }
            "prune" => self.prunes.push((record.time, record.seq, words(record), record.bytes)),
            _ => {}
        }
    }

    fn put_before(&mut self, record: &LoggedRecord) -> Option<Before> {
        self.before.replace(Before {
            time: record.time,
            mono: record.mono,
            kind: if record.kind == "stop" { "stop".to_owned() } else { String::new() },
            seq: record.seq,
        })
    }

    fn take_start(&mut self, record: &LoggedRecord, before: Option<Before>) {
        self.starts += 1;
        let Some(before) = before else { return };
        let is_stopped = before.kind == "stop";
        self.crashes += u64::from(!is_stopped);
        let (what, more) = if is_stopped {
            ("not running", "stopped in good order, then started")
        } else {
            ("ended without a stop", "crashed, was killed, or the machine lost power; then started")
        };
        self.gaps.push(Gap {
            what,
            kind: "start",
            seq: record.seq,
            from: Some(before.time),
            until: Some(record.time),
            more: more.to_owned(),
        });
    }

    fn take_running(&mut self, record: &LoggedRecord, before: Option<Before>) {
        let Some(before) = before.filter(|before| before.mono <= record.mono) else { return };
        let steady = i64::try_from((record.mono - before.mono) / 1_000_000).unwrap_or(i64::MAX);
        let wall = text::seconds_between(before.time, record.time);
        let step = wall.saturating_sub(steady);
        // A clock that is slewed, or a quartz that drifts, goes apart slowly.
        if step.abs() > CLOCK_STEP_MIN + steady / 1_000 && record.kind != "clock" {
            self.clock.push((
                record.time,
                record.seq,
                "seen",
                step,
                "the two clocks went apart between two records".into(),
            ));
        }
        if steady > SILENCE_MIN {
            self.silence_count += 1;
            let at = self.silences.partition_point(|(longer, ..)| *longer >= steady);
            self.silences.insert(at, (steady, before, record.seq));
            self.silences.truncate(SILENCES_MAX);
        }
    }

    fn take_outage(&mut self, record: &LoggedRecord) {
        // Asterisk's, and each session's own: the log is whole.
        if record.reason.starts_with("upstream.") {
            return;
        }
        let (from, until) = (record.since.parse().ok(), record.until.parse().ok());
        // A record of its beginning alone has no end; the one of its end counts.
        if until.is_some() || record.reason == "audit.unavailable" {
            self.outages += 1;
        }
        if let (Some(from), Some(until)) = (from, until) {
            self.outage_seconds += text::seconds_between(from, until);
        }
        let unconfirmed = record.unconfirmed.iter().map(|(first, last)| last.saturating_sub(*first).saturating_add(1));
        let unconfirmed = unconfirmed.fold(0, u64::saturating_add);
        self.unconfirmed = self.unconfirmed.saturating_add(unconfirmed);
        let mut more = vec![format!("cause: {}", record.cause)];
        if !record.counts.is_empty() {
            let counts: Vec<String> = record.counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            more.push(format!("not recorded and so refused: {}", counts.join(", ")));
        }
        if unconfirmed > 0 {
            more.push(format!("{unconfirmed} records are in the log, but what they allowed was not passed on"));
        }
        let more = more.join("; ");
        self.gaps.push(Gap {
            what: "the log could not be written",
            kind: "outage",
            seq: record.seq,
            from,
            until,
            more,
        });
    }

    fn take_recovery(&mut self, record: &LoggedRecord) {
        let what = match record.reason.as_str() {
            "audit.torn" => "torn by a crash",
            "audit.replayed" => "records were put to their place after a power cut",
            "audit.records-missing" => "records are missing",
            "audit.unsigned" => "what was not signed was accepted",
            "audit.file-changed" => "a file was changed under amiwall",
            _ => "a file was set aside",
        };
        let (from, more) = (Some(record.time), words(record));
        self.gaps.push(Gap { what, kind: "recovery", seq: record.seq, from, until: None, more });
    }

    /// Times for which there is nothing to show, for charts.
    pub(super) fn silent_times(&self) -> Vec<(Timestamp, Timestamp)> {
        self.gaps.entries.iter().filter_map(|gap| Some((gap.from?, gap.until?))).collect()
    }

    pub(super) const fn silence_count(&self) -> u64 {
        self.silence_count
    }

    pub(super) const fn clock_steps(&self) -> u64 {
        self.clock.count
    }

    pub(super) fn section(&self) -> Section {
        let unconfirmed = match self.unconfirmed {
            0 => String::new(),
            count => format!(
                " {} records of outages are in the log although what they allowed was not passed on; the numbers of this \
                 report count them as allowed.",
                text::thousands(count)
            ),
        };
        Section {
            id: "gaps",
            title: "Gaps and outages",
            intro: format!(
                "While the log cannot be written, amiwall refuses actions, so an outage is a time without service, not a \
                 time without a record (unless the policy says `on_failure: continue`).{unconfirmed}"
            ),
            charts: Vec::new(),
            tables: vec![self.gaps(), self.silences(), self.clock(), self.prunes()],
        }
    }

    fn gaps(&self) -> Table {
        let row = |gap: &Gap| {
            let length = gap.from.zip(gap.until).map(|(from, until)| text::seconds_between(from, until));
            vec![
                Cell::text(gap.what),
                Cell::time(gap.from),
                Cell::time(gap.until),
                length.map_or(Cell::None, Cell::Span),
                Cell::prose(gap.more.clone()),
                Cell::code(gap.kind),
                Cell::Seq(gap.seq),
            ]
        };
        Table {
            id: "outages",
            title: "Outages, crashes and restarts",
            source:
                "`outage` and `recovery` records, and each `start` record with the record before it: a `stop`, or none."
                    .to_owned(),
            note: self.gaps.note(),
            columns: vec!["what", "from", "until", "length", "more", "kind", "seq"],
            rows: self.gaps.entries.iter().map(row).collect(),
            rows_shown: ROWS_SHOWN,
            empty: "None: the log could be written throughout, and amiwall ran without a break.",
        }
    }

    fn silences(&self) -> Table {
        let row = |(seconds, before, seq): &(i64, Before, u64)| {
            vec![Cell::Span(*seconds), Cell::Time(before.time), Cell::Seq(before.seq), Cell::Seq(*seq)]
        };
        let heartbeat = if self.checkpoints > 0 {
            "The log has `checkpoint` records. If this amiwall writes one each minute, a longer silence means that it did \
             not get to run: a suspended machine, a hanging disk."
        } else {
            "The log has no `checkpoint` records, so a silence may simply mean that nothing happened."
        };
        let kept = if self.silence_count > self.silences.len() as u64 {
            format!("The longest {SILENCES_MAX} of {} are listed. ", text::thousands(self.silence_count))
        } else {
            String::new()
        };
        Table {
            id: "silences",
            title: "More than two minutes without a record",
            source:
                "any two records that follow each other while amiwall ran; the time is the difference of their `mono`."
                    .to_owned(),
            note: format!("{kept}{heartbeat}"),
            columns: vec!["length", "since", "after seq", "before seq"],
            rows: self.silences.iter().map(row).collect(),
            rows_shown: 15,
            empty: "None.",
        }
    }

    fn clock(&self) -> Table {
        let row = |(time, seq, kind, step, more): &(Timestamp, u64, &'static str, i64, String)| {
            let step = if *step == 0 { Cell::None } else { Cell::Span(*step) };
            vec![Cell::Time(*time), step, Cell::prose(more.clone()), Cell::code(*kind), Cell::Seq(*seq)]
        };
        Table {
            id: "clock-steps",
            title: "Clock steps",
            source: "`clock` records; and (kind: seen) two records that follow each other whose `time` and `mono` differ by \
                     more than a second. The order of the log is that of `seq`, whatever the clock did."
                .to_owned(),
            note: self.clock.note(),
            columns: vec!["time (after)", "step", "more", "kind", "seq"],
            rows: self.clock.entries.iter().map(row).collect(),
            rows_shown: 20,
            empty: "None: the wall clock was not set while amiwall ran.",
        }
    }

    fn prunes(&self) -> Table {
        let row = |(time, seq, more, bytes): &(Timestamp, u64, String, Option<u64>)| {
            let bytes = bytes.map_or(Cell::None, Cell::Count);
            vec![Cell::Time(*time), Cell::prose(more.clone()), bytes, Cell::Seq(*seq)]
        };
        Table {
            id: "prunes",
            title: "What was taken out of the log",
            source: "`prune` records: old segments that were removed as the policy says.".to_owned(),
            note: self.prunes.note(),
            columns: vec!["time", "what", "bytes", "seq"],
            rows: self.prunes.entries.iter().map(row).collect(),
            rows_shown: 20,
            empty: "Nothing was.",
        }
    }
}

/// What a record says beside its kind, in short.
fn words(record: &LoggedRecord) -> String {
    let bytes = record.bytes.map(|bytes| format!("{bytes} bytes")).unwrap_or_default();
    let count = record.count.map(|count| format!("{count} records")).unwrap_or_default();
    let through = record.through.map(|seq| format!("up to record {seq}")).unwrap_or_default();
    let available = record.available.map(|bytes| format!("{bytes} bytes are left")).unwrap_or_default();
    let parts = [
        &record.reason,
        &record.cause,
        &record.change,
        &record.at,
        &record.problem,
        &record.file,
        &record.name,
        &bytes,
        &count,
        &through,
        &available,
    ];
    parts.into_iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("; ")
}
