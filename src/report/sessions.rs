//! Sessions: how many, how long, how many at once, from `login`, `end` and `start` records.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::bounded::{Bounded, others_note};
use super::meaning::meaning;
use super::table::{Cell, ROWS_SHOWN, Section, Table};
use super::text;
use crate::audit::LoggedRecord;

/// Sessions that are followed at one time.
const OPEN_MAX: usize = 100_000;

#[derive(Clone, Debug)]
struct Open {
    identity: String,
    time: Timestamp,
    mono: u64,
}

#[derive(Clone, Debug, Default)]
struct Usage {
    count: u64,
    now: u64,
    most: u64,
    most_at: Option<Timestamp>,
    seconds: u64,
    longest: u64,
    longest_session: String,
    /// Without an `end` record: they ended with amiwall itself.
    lost: u64,
}

impl Usage {
    fn note_most(&mut self, time: Timestamp) {
        if self.now > self.most {
            (self.most, self.most_at) = (self.now, Some(time));
        }
    }
}

/// Everything that is told of sessions. It follows them before the period too, to know which are open in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions {
    open: BTreeMap<String, Open>,
    usage: Bounded<String, Usage>,
    all: Usage,
    reasons: Bounded<String, u64>,
    is_inside: bool,
    /// Sessions that there was no room to follow.
    not_followed: u64,
}

impl Sessions {
    pub(super) fn take(&mut self, record: &LoggedRecord, is_inside: bool) {
        if is_inside && !self.is_inside {
            self.is_inside = true;
            self.all.note_most(record.time);
            self.usage.values_mut().for_each(|usage| usage.note_most(record.time));
        }
        match record.kind.as_str() {
            "login" if record.decision == "allow" => self.begin(record, is_inside),
            "end" => self.end(record, is_inside),
            "start" => self.lose(is_inside),
            _ => {}
        }
    }

    fn begin(&mut self, record: &LoggedRecord, is_inside: bool) {
        let identity = text::key(&record.identity);
        if self.open.len() >= OPEN_MAX {
            self.not_followed += 1;
            return;
        }
        let open = Open { identity: identity.clone(), time: record.time, mono: record.mono };
        if self.open.insert(text::key(&record.session), open).is_some() {
            return;
        }
        for usage in [self.usage.row(&identity), &mut self.all] {
            usage.now += 1;
            if is_inside {
                usage.count += 1;
                usage.note_most(record.time);
            }
        }
    }

    fn end(&mut self, record: &LoggedRecord, is_inside: bool) {
        if is_inside {
            *self.reasons.row(&text::key(&record.reason)) += 1;
        }
        let Some(open) = self.open.remove(&text::key(&record.session)) else { return };
        // The clock that nobody sets tells how long it was.
        let seconds = record.mono.saturating_sub(open.mono) / 1_000_000;
        for usage in [self.usage.row(&open.identity), &mut self.all] {
            usage.now = usage.now.saturating_sub(1);
            if is_inside {
                usage.seconds += seconds;
                if seconds >= usage.longest {
                    usage.longest = seconds;
                    usage.longest_session = text::key(&record.session);
                }
            }
        }
    }

    /// amiwall started: whatever session was still open ended with the process before.
    fn lose(&mut self, is_inside: bool) {
        for open in std::mem::take(&mut self.open).into_values() {
            for usage in [self.usage.row(&open.identity), &mut self.all] {
                usage.now = usage.now.saturating_sub(1);
                usage.lost += u64::from(is_inside);
            }
        }
    }

    pub(super) const fn count(&self) -> u64 {
        self.all.count
    }

    pub(super) const fn most(&self) -> u64 {
        self.all.most
    }

    pub(super) fn section(&self) -> Section {
        let open = match self.open.values().map(|open| open.time).min() {
            None => "None is open at the end of the period.".to_owned(),
            Some(oldest) => format!(
                "Open at the end of the period: {}, the oldest since {}.",
                text::thousands(self.open.len() as u64),
                text::time(oldest)
            ),
        };
        let lost = match self.all.lost {
            0 => String::new(),
            lost => format!(
                " {} have no `end` record: amiwall was started anew while they were open (lost).",
                text::thousands(lost)
            ),
        };
        let not_followed = match self.not_followed {
            0 => String::new(),
            count => format!(" {} were not followed, because {OPEN_MAX} were open.", text::thousands(count)),
        };
        Section {
            id: "sessions",
            title: "Sessions",
            intro: format!("A session begins with a good log-in. {open}{lost}{not_followed}"),
            charts: Vec::new(),
            tables: vec![self.by_identity(), self.by_reason()],
        }
    }

    fn by_identity(&self) -> Table {
        let row = |(identity, usage): (Option<&str>, &Usage)| {
            // Of sessions that have not ended, nothing is known yet.
            let ended = |seconds: u64| {
                let has_ended = !usage.longest_session.is_empty();
                if has_ended { Cell::Span(i64::try_from(seconds).unwrap_or(i64::MAX)) } else { Cell::None }
            };
            vec![
                Cell::text(identity.unwrap_or("(all others)")),
                Cell::Count(usage.count),
                Cell::Count(usage.most),
                Cell::time(usage.most_at),
                ended(usage.longest),
                Cell::code(usage.longest_session.clone()),
                ended(usage.seconds),
                Cell::Count(usage.now),
                Cell::Count(usage.lost),
            ]
        };
        let mut rows = Vec::new();
        let usage = self.usage.by_size(|usage| (usage.count, usage.most));
        let was_there = |usage: &Usage| usage.count + usage.most + usage.seconds + usage.lost > 0;
        let usage: Vec<_> = usage.into_iter().filter(|(_, usage)| was_there(usage)).collect();
        if usage.len() > 1 {
            rows.push(row((Some("all together"), &self.all)));
        }
        rows.extend(usage.into_iter().map(|(identity, usage)| row((identity.map(String::as_str), usage))));
        Table {
            id: "sessions-by-identity",
            title: "By identity",
            source: "`login` records with the `decision` allow, and the `end` record of the same `session`; how long it was \
                     is the difference of their `mono`. Longest and all together are of sessions that ended in the period."
                .to_owned(),
            note: others_note(self.usage.has_others()),
            columns: vec![
                "identity",
                "sessions begun",
                "most at once",
                "then",
                "longest",
                "longest session",
                "all together",
                "open at the end",
                "lost",
            ],
            rows,
            rows_shown: ROWS_SHOWN,
            empty: "Nobody was logged in in this period.",
        }
    }

    fn by_reason(&self) -> Table {
        let row = |(reason, count): (Option<&String>, &u64)| {
            let reason = reason.map_or("(all others)", String::as_str);
            vec![Cell::code(reason), Cell::prose(meaning(reason)), Cell::Count(*count)]
        };
        Table {
            id: "session-ends",
            title: "How sessions ended",
            source: "`end` records by `reason`; with those of connections that never logged in.".to_owned(),
            note: String::new(),
            columns: vec!["reason", "means", "count"],
            rows: self.reasons.by_size(|count| *count).into_iter().map(row).collect(),
            rows_shown: ROWS_SHOWN,
            empty: "No session ended in this period.",
        }
    }
}
