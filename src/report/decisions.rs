//! Calls and other actions, and what was refused, from `action` records.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::bins::Series;
use super::bounded::{Bounded, Names, others_note};
use super::chart::{Chart, Frame, series_table};
use super::meaning::meaning_of_refusal;
use super::table::{Cell, ROWS_SHOWN, Section, Table};
use super::text;
use crate::audit::LoggedRecord;

/// Of two records with one id only the last counts (the policy changed in between); they stand close to each other. So
/// many are held back to see whether another comes.
const HELD_MAX: usize = 256;
/// Series that a chart shows by name.
const SERIES_SHOWN: usize = 8;

/// The name for whoever has not logged in.
pub(super) const NOBODY: &str = "(not logged in)";

/// What was allowed, let pass in shadow mode, and refused.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    allowed: u64,
    shadow: u64,
    refused: u64,
}

impl Tally {
    fn add(&mut self, decision: &str) {
        match decision {
            "allow" => self.allowed += 1,
            "would-deny" => self.shadow += 1,
            _ => self.refused += 1,
        }
    }

    fn cells(self) -> [Cell; 3] {
        [self.allowed, self.shadow, self.refused].map(Cell::Count)
    }
}

/// When something was first and last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
}

impl Seen {
    pub(super) fn add(&mut self, time: Timestamp) {
        self.first.get_or_insert(time);
        self.last = Some(time);
    }

    pub(super) fn cells(self) -> [Cell; 2] {
        [Cell::time(self.first), Cell::time(self.last)]
    }
}

#[derive(Clone, Debug, Default)]
struct Doer {
    calls: Tally,
    others: Tally,
    seen: Seen,
}

#[derive(Clone, Debug, Default)]
struct Refusal {
    count: u64,
    shadow: u64,
    identities: Names,
    line: Option<u64>,
    seen: Seen,
}

/// What of an action record is counted.
#[derive(Clone, Debug)]
struct Judged {
    id: String,
    time: Timestamp,
    identity: String,
    name: String,
    decision: String,
    reason: String,
    rule: String,
    line: Option<u64>,
    limit: String,
}

/// Everything that is told of decisions.
#[derive(Clone, Debug, Default)]
pub(super) struct Decisions {
    held: VecDeque<Judged>,
    doers: Bounded<String, Doer>,
    refusals: Bounded<(String, String, String), Refusal>,
    limits: Bounded<(String, String), (u64, Seen)>,
    calls: Series,
    refused: Series,
    total_calls: Tally,
    total_others: Tally,
    /// Records that another one with the same id replaced.
    replaced: u64,
}

impl Decisions {
    pub(super) fn take(&mut self, record: &LoggedRecord) {
        let identity = if record.identity.is_empty() { NOBODY } else { &record.identity };
        let judged = Judged {
            id: record.id.clone(),
            time: record.time,
            identity: text::key(identity),
            name: text::key(&record.name),
            decision: record.decision.clone(),
            reason: text::key(&record.reason),
            rule: text::key(&record.rule),
            line: record.line,
            limit: text::key(&record.limit),
        };
        let earlier = (!judged.id.is_empty()).then(|| self.held.iter().position(|held| held.id == judged.id)).flatten();
        if let Some(at) = earlier {
            self.held.remove(at);
            self.replaced += 1;
        }
        self.held.push_back(judged);
        if self.held.len() > HELD_MAX {
            self.count_first();
        }
    }

    /// Actions before login that were only counted.
    pub(super) fn take_counted(&mut self, time: Timestamp, count: u64) {
        let doer = self.doers.row(&NOBODY.to_owned());
        doer.others.refused += count;
        doer.seen.add(time);
        self.total_others.refused += count;
        self.refused.add(NOBODY, time, count);
    }

    fn count_first(&mut self) {
        let Some(judged) = self.held.pop_front() else { return };
        let doer = self.doers.row(&judged.identity);
        doer.seen.add(judged.time);
        let is_call = judged.name.eq_ignore_ascii_case("Originate");
        let (own, total) =
            if is_call { (&mut doer.calls, &mut self.total_calls) } else { (&mut doer.others, &mut self.total_others) };
        own.add(&judged.decision);
        total.add(&judged.decision);
        if judged.decision == "allow" {
            if is_call {
                self.calls.add(&judged.identity, judged.time, 1);
            }
            return;
        }
        if judged.decision == "would-deny" {
            if is_call {
                self.calls.add(&judged.identity, judged.time, 1);
            }
        } else {
            self.refused.add(&judged.identity, judged.time, 1);
        }
        let refusal = self.refusals.row(&(judged.reason, judged.rule, judged.name));
        *(if judged.decision == "would-deny" { &mut refusal.shadow } else { &mut refusal.count }) += 1;
        refusal.identities.add(&judged.identity);
        refusal.line = judged.line;
        refusal.seen.add(judged.time);
        if judged.decision == "limit" {
            let (count, seen) = self.limits.row(&(judged.limit, judged.identity));
            *count += 1;
            seen.add(judged.time);
        }
    }

    /// Counts what was held back.
    pub(super) fn finish(&mut self) {
        while !self.held.is_empty() {
            self.count_first();
        }
    }

    /// Calls allowed (with those that only shadow mode allowed), calls refused, other actions allowed, and refused.
    pub(super) const fn totals(&self) -> [u64; 4] {
        let (calls, others) = (self.total_calls, self.total_others);
        [calls.allowed + calls.shadow, calls.refused, others.allowed + others.shadow, others.refused]
    }

    /// Calls and other actions that passed only because of shadow mode.
    pub(super) const fn in_shadow(&self) -> u64 {
        self.total_calls.shadow + self.total_others.shadow
    }

    pub(super) fn identities(&self) -> usize {
        self.doers.len()
    }

    pub(super) fn activity(&mut self, frame: &Frame) -> Section {
        self.calls.widen(frame.width);
        let replaced = match self.replaced {
            0 => String::new(),
            count => {
                format!(" {count} were judged twice, because the policy changed meanwhile; the last decision counts.")
            }
        };
        Section {
            id: "activity",
            title: "Who did what",
            intro: "A call is an `Originate` action, which makes Asterisk place a call. An allowed one was passed to \
                    Asterisk; whether anybody answered is told by the answers in the log, not here."
                .to_owned()
                + &replaced,
            charts: vec![Chart::new("calls-chart", "Calls passed to Asterisk, by identity", &self.calls, SERIES_SHOWN)],
            tables: vec![self.doers(), series_table("calls-over-time", &self.calls, frame)],
        }
    }

    fn doers(&self) -> Table {
        let row = |(identity, doer): (Option<&String>, &Doer)| {
            let mut row = vec![Cell::text(identity.map_or("(all others)", String::as_str))];
            row.extend(doer.calls.cells());
            row.extend(doer.others.cells());
            row.extend(doer.seen.cells());
            row
        };
        let size = |doer: &Doer| (doer.calls.allowed + doer.calls.shadow, doer.calls.refused, doer.others.allowed);
        Table {
            id: "identities",
            title: "Actions by identity",
            source:
                "`action` records by `identity`; calls have the `name` Originate. Allowed: `decision` allow; shadow: \
                     would-deny (passed, but a rule would refuse it); refused: deny or limit."
                    .to_owned(),
            note: others_note(self.doers.has_others()),
            columns: vec![
                "identity",
                "calls allowed",
                "calls in shadow",
                "calls refused",
                "other actions allowed",
                "others in shadow",
                "others refused",
                "first",
                "last",
            ],
            rows: self.doers.by_size(size).into_iter().map(row).collect(),
            rows_shown: ROWS_SHOWN,
            empty: "No action of any client is on record in this period.",
        }
    }

    pub(super) fn refusals(&mut self, frame: &Frame) -> Section {
        self.refused.widen(frame.width);
        Section {
            id: "refusals",
            title: "What was refused",
            intro:
                "None of these reached Asterisk, unless they are counted under shadow: then a rule would have refused \
                    them, but the identity is in shadow mode and they passed."
                    .to_owned(),
            charts: vec![Chart::new("refusals-chart", "Refused actions, by identity", &self.refused, SERIES_SHOWN)],
            tables: vec![
                self.top_refusals(),
                self.limits_reached(),
                series_table("refusals-over-time", &self.refused, frame),
            ],
        }
    }

    fn top_refusals(&self) -> Table {
        let row = |(key, refusal): (Option<&(String, String, String)>, &Refusal)| {
            let (reason, rule, name) = key.map_or(("(all others)", "", ""), |(a, b, c)| (a.as_str(), b, c));
            let rule = match refusal.line {
                Some(line) if !rule.is_empty() => format!("{rule} (line {line})"),
                Some(_) | None => rule.to_owned(),
            };
            let mut row = vec![
                Cell::code(if reason.is_empty() { "(none)" } else { reason }),
                Cell::prose(meaning_of_refusal(reason, !rule.is_empty())),
                Cell::text(name),
                Cell::code(rule),
                Cell::Count(refusal.count),
                Cell::Count(refusal.shadow),
                Cell::text(refusal.identities.list()),
            ];
            row.extend(refusal.seen.cells());
            row
        };
        Table {
            id: "refusals-by-reason",
            title: "Reasons of refusals",
            source:
                "`action` records with the `decision` deny, limit or would-deny, by `reason`, `rule` and `name`. The \
                     line of the rule is that of the policy in force when the last of them was judged."
                    .to_owned(),
            note: others_note(self.refusals.has_others()),
            columns: vec!["reason", "means", "action", "rule", "refused", "in shadow", "by", "first", "last"],
            rows: self.refusals.by_size(|refusal| refusal.count + refusal.shadow).into_iter().map(row).collect(),
            rows_shown: 40,
            empty: "Nothing was refused in this period.",
        }
    }

    fn limits_reached(&self) -> Table {
        let row = |(key, (count, seen)): (Option<&(String, String)>, &(u64, Seen))| {
            let (limit, identity) = key.map_or(("(all others)", ""), |(a, b)| (a.as_str(), b));
            let mut row = vec![Cell::code(limit), Cell::text(identity), Cell::Count(*count)];
            row.extend(seen.cells());
            row
        };
        Table {
            id: "limits-reached",
            title: "Limits that were reached",
            source: "`action` records with the `decision` limit, by `limit` and `identity`; they are among the refusals above."
                .to_owned(),
            note: others_note(self.limits.has_others()),
            columns: vec!["limit", "identity", "refused", "first", "last"],
            rows: self.limits.by_size(|(count, _)| *count).into_iter().map(row).collect(),
            rows_shown: ROWS_SHOWN,
            empty: "No limit was reached in this period.",
        }
    }
}
