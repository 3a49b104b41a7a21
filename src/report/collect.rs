//! Reads the log once and gives each record to all who count something.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::bins::{width_for, width_name};
use super::changes::Changes;
use super::chart::Frame;
use super::decisions::Decisions;
use super::gaps::Gaps;
use super::logins::Logins;
use super::sessions::Sessions;
use super::table::{Cell, Fact, ROWS_SHOWN, Section, Table};
use super::text;
use super::verdict::Verdict;
use super::{Options, Report};
use crate::audit::{LoggedRecord, VerifyError};

/// Kinds that are told apart; there are fewer.
const KINDS_MAX: usize = 64;

#[derive(Debug, Default)]
struct Collector {
    verdict: Verdict,
    kinds: BTreeMap<String, u64>,
    /// The first and last time within the period.
    times: Option<(Timestamp, Timestamp)>,
    decisions: Decisions,
    logins: Logins,
    sessions: Sessions,
    changes: Changes,
    gaps: Gaps,
}

pub(super) fn collect(
    records: impl Iterator<Item = Result<LoggedRecord, VerifyError>>,
    directory: &Path,
    options: Options,
) -> Result<Report, VerifyError> {
    let mut collector = Collector::default();
    for record in records {
        match record {
            Ok(record) => collector.take(&record, &options),
            Err(error) => collector.verdict.take_error(error)?,
        }
    }
    collector.verdict.take_signatures(&options.signatures);
    Ok(collector.into_report(directory, options))
}

impl Collector {
    fn take(&mut self, record: &LoggedRecord, options: &Options) {
        self.verdict.take(record);
        if options.until.is_some_and(|until| record.time > until) {
            return;
        }
        let is_inside = options.from.is_none_or(|from| record.time >= from);
        // What was so before the period still is when it begins.
        self.sessions.take(record, is_inside);
        self.changes.take(record, is_inside);
        self.gaps.take(record, is_inside);
        if !is_inside {
            return;
        }
        self.verdict.inside += 1;
        let (first, last) = self.times.unwrap_or((record.time, record.time));
        self.times = Some((first.min(record.time), last.max(record.time)));
        if self.kinds.len() < KINDS_MAX || self.kinds.contains_key(&record.kind) {
            *self.kinds.entry(text::key(&record.kind)).or_default() += 1;
        }
        match record.kind.as_str() {
            "action" => self.decisions.take(record),
            "login" => self.logins.take_login(record),
            "refuse" => {
                self.logins.take_refuse(record);
                if let Some(count) = record.counts.get("action") {
                    self.decisions.take_counted(record.time, *count);
                }
            }
            _ => {}
        }
    }

    fn into_report(mut self, directory: &Path, options: Options) -> Report {
        self.decisions.finish();
        let first = options.from.or_else(|| self.times.map(|(first, _)| first)).unwrap_or(options.made);
        let last = options.until.or_else(|| self.times.map(|(_, last)| last)).unwrap_or(first);
        // Where the period is longer than the log, the charts show what there is.
        let (first_shown, last_shown) = self.times.unwrap_or((first, last));
        let width = width_for(first_shown.as_second(), last_shown.as_second());
        let silent = self.gaps.silent_times();
        let frame = Frame { width, first: first_shown, last: last_shown, silent };
        let facts = self.facts(&frame);
        let sections = vec![
            self.decisions.activity(&frame),
            self.decisions.refusals(&frame),
            self.logins.section(),
            self.sessions.section(),
            self.changes.policies(),
            self.changes.suspensions(),
            self.gaps.section(),
            self.changes.left_out(),
            self.basis(),
        ];
        let digest = self.changes.digest().to_owned();
        Report { options, directory: directory.to_owned(), verdict: self.verdict, frame, facts, sections, digest }
    }

    fn facts(&self, frame: &Frame) -> Vec<Fact> {
        let fact =
            |label, value: u64, note: String, section| Fact { label, value: text::thousands(value), note, section };
        let [calls, calls_refused, others, others_refused] = self.decisions.totals();
        let shadow = match self.decisions.in_shadow() {
            0 => String::new(),
            count => format!("{} in shadow mode", text::count(count, "action passed", "actions passed")),
        };
        let outages = text::span(self.gaps.outage_seconds);
        vec![
            fact("calls passed to Asterisk", calls, shadow, "activity"),
            fact("calls refused", calls_refused, String::new(), "refusals"),
            fact("other actions passed", others, String::new(), "activity"),
            fact("other actions refused", others_refused, String::new(), "refusals"),
            fact("sessions", self.sessions.count(), format!("at most {} at once", self.sessions.most()), "sessions"),
            fact(
                "failed log-ins",
                self.logins.failed,
                format!("{} turned away", text::count(self.logins.turned_away, "connection", "connections")),
                "logins",
            ),
            fact("policy loads", self.changes.policy_count(), format!("{} refused", self.changes.refused), "changes"),
            fact(
                "suspensions",
                self.changes.trips,
                text::count(self.changes.admin, "act of an administrator", "acts of administrators"),
                "suspensions-section",
            ),
            fact(
                "outages of the log",
                self.gaps.outages,
                if self.gaps.outages == 0 { String::new() } else { format!("{outages} in all") },
                "gaps",
            ),
            fact("starts of amiwall", self.gaps.starts, format!("{} without a stop before", self.gaps.crashes), "gaps"),
            fact(
                "clock steps",
                self.gaps.clock_steps(),
                format!("{} of more than 2 min", text::count(self.gaps.silence_count(), "silence", "silences")),
                "gaps",
            ),
            fact(
                "identities that acted",
                self.decisions.identities() as u64,
                format!("charts: one bar for each {}", width_name(frame.width)),
                "activity",
            ),
        ]
    }

    /// How many records of each kind there are, as `audit search` would count them.
    fn basis(&self) -> Section {
        let about = |kind: &str| match kind {
            "action" => "a packet from a client, with the decision on it",
            "admin" => "an administrator told amiwall something",
            "checkpoint" => "the state of the log at that moment",
            "clock" => "the wall clock was set",
            "connect" => "a connection was accepted",
            "end" => "a session or connection ended",
            "event" => "an event from Asterisk that a client was shown",
            "limit" => "an identity was suspended",
            "login" => "an attempt to log in",
            "outage" => "the log could not be written, or Asterisk was away from a session",
            "policy" => "a policy was loaded or refused",
            "prune" => "old segments were taken out",
            "recovery" => "a file of the log was set aside",
            "refuse" => "a connection was turned away, or several were counted",
            "response" => "an answer to a client",
            "start" => "amiwall started",
            "stop" => "amiwall stopped in good order",
            _ => "not known to this version",
        };
        let row = |(kind, count): (&String, &u64)| {
            vec![Cell::code(kind.clone()), Cell::text(about(kind)), Cell::Count(*count)]
        };
        let table = Table {
            id: "kinds",
            title: "Records by kind",
            source: "all records of the period.".to_owned(),
            note: String::new(),
            columns: vec!["kind", "is", "records"],
            rows: self.kinds.iter().map(row).collect(),
            rows_shown: ROWS_SHOWN,
            empty: "There is no record in this period.",
        };
        Section {
            id: "basis",
            title: "What this report was made from",
            intro:
                "Each table says from which records it comes. `amiwall audit search` lists those records one by one."
                    .to_owned(),
            charts: Vec::new(),
            tables: vec![table],
        }
    }
}
