//! What people changed: policies, suspensions and their end, and what the log was told to leave out.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::bounded::Listing;
use super::table::{Cell, ROWS_SHOWN, Section, Table};
use super::text;
use crate::audit::LoggedRecord;

/// Different ways to record that are told apart.
const SETTINGS_MAX: usize = 200;
/// Changes of one policy that are listed.
const CHANGES_MAX: usize = 20;

/// What a `start` record says of the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Settings {
    version: String,
    packets: String,
    except_events: String,
    redact: String,
    pseudonyms: String,
    promises: String,
}

#[derive(Clone, Debug)]
struct PolicyChange {
    time: Timestamp,
    seq: u64,
    trigger: String,
    outcome: String,
    digest: String,
    file: String,
    identities: Option<u64>,
    more: String,
}

#[derive(Clone, Debug)]
struct Suspension {
    time: Timestamp,
    seq: u64,
    what: &'static str,
    identity: String,
    limit: String,
    more: String,
}

/// Everything that is told of changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    policies: Listing<PolicyChange>,
    pub(super) refused: u64,
    suspensions: Listing<Suspension>,
    pub(super) trips: u64,
    pub(super) admin: u64,
    settings: BTreeMap<Settings, (Timestamp, Timestamp, u64)>,
    /// In force before the period: what its first records were made under.
    before: Option<(Settings, Timestamp)>,
    policy_before: Option<PolicyChange>,
    /// The policy in force at the end.
    digest: String,
}

impl Changes {
    pub(super) fn take(&mut self, record: &LoggedRecord, is_inside: bool) {
        match record.kind.as_str() {
            "policy" => self.take_policy(record, is_inside),
            "start" => self.take_start(record, is_inside),
            "limit" if is_inside => {
                self.trips += 1;
                let lasts = record.seconds.map_or_else(
                    || "until it is resumed".to_owned(),
                    |seconds| format!("for {}", text::span(i64::try_from(seconds).unwrap_or(i64::MAX))),
                );
                let why = match (record.first_call.as_str(), record.count) {
                    ("", Some(count)) => format!("{count} refusals"),
                    ("", None) => String::new(),
                    (prefix, _) => format!("the first call to {prefix}…"),
                };
                self.suspend(record, "suspended", &format!("{lasts}; {why}"));
            }
            "admin" if is_inside => {
                self.admin += 1;
                let action = if record.action.is_empty() { String::new() } else { format!(" {}", record.action) };
                self.suspend(record, "told by an admin", &format!("{}{action}: {}", record.name, record.outcome));
            }
            _ => {}
        }
    }

    fn suspend(&mut self, record: &LoggedRecord, what: &'static str, more: &str) {
        self.suspensions.push(Suspension {
            time: record.time,
            seq: record.seq,
            what,
            identity: text::key(&record.identity),
            limit: text::key(&record.limit),
            more: text::key(more),
        });
    }

    fn take_policy(&mut self, record: &LoggedRecord, is_inside: bool) {
        let mut more = text::key(&record.problem);
        for change in record.changes.iter().take(CHANGES_MAX) {
            more.push_str(if more.is_empty() { "" } else { "; " });
            more.push_str(&text::key(change));
        }
        if record.changes.len() > CHANGES_MAX {
            more.push_str(&format!("; and {} more", record.changes.len() - CHANGES_MAX));
        }
        let change = PolicyChange {
            time: record.time,
            seq: record.seq,
            trigger: text::key(&record.trigger),
            outcome: text::key(&record.outcome),
            digest: text::key(&record.policy),
            file: text::key(&record.file),
            identities: record.identities,
            more,
        };
        self.digest.clone_from(&change.digest);
        if is_inside {
            self.refused += u64::from(change.outcome == "refused");
            self.policies.push(change);
        } else {
            self.policy_before = Some(change);
        }
    }

    fn take_start(&mut self, record: &LoggedRecord, is_inside: bool) {
        let settings = Settings {
            version: text::key(&record.version),
            packets: text::key(&record.packets),
            except_events: text::key(&record.except_events.join(", ")),
            redact: text::key(&record.redact.join(", ")),
            pseudonyms: text::key(&record.pseudonymise.join(", ")),
            promises: text::key(&format!(
                "actions {}, answers {}, on failure {}",
                or_unknown(&record.actions),
                or_unknown(&record.responses),
                or_unknown(&record.on_failure)
            )),
        };
        if !is_inside {
            self.before = Some((settings, record.time));
        } else if self.settings.len() < SETTINGS_MAX || self.settings.contains_key(&settings) {
            let (_, last, count) = self.settings.entry(settings).or_insert((record.time, record.time, 0));
            *last = record.time;
            *count += 1;
        }
    }

    pub(super) const fn policy_count(&self) -> u64 {
        self.policies.count
    }

    /// The digest of the policy in force at the end of the period.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    pub(super) fn policies(&self) -> Section {
        let row = |change: &PolicyChange| {
            vec![
                Cell::Time(change.time),
                Cell::text(change.trigger.clone()),
                Cell::text(change.outcome.clone()),
                Cell::code(change.digest.clone()),
                Cell::text(change.file.clone()),
                change.identities.map_or(Cell::None, Cell::Count),
                Cell::prose(change.more.clone()),
                Cell::Seq(change.seq),
            ]
        };
        let before = self.policy_before.as_ref().map_or_else(String::new, |change| {
            format!("At the beginning of the period `{}` was in force. ", change.digest)
        });
        let table = Table {
            id: "policies",
            title: "Policies that were loaded or refused",
            source:
                "`policy` records. The digest is the SHA-256 of the file; where a file was refused, it is that of the \
                     policy that stayed in force."
                    .to_owned(),
            note: self.policies.note(),
            columns: vec!["time", "trigger", "outcome", "policy in force", "file", "identities", "what", "seq"],
            rows: self.policies.entries.iter().map(row).collect(),
            rows_shown: ROWS_SHOWN,
            empty: "The policy did not change in this period.",
        };
        Section {
            id: "changes",
            title: "Policy changes",
            intro: format!("{before}Each record of an action names the policy that it was judged by."),
            charts: Vec::new(),
            tables: vec![table],
        }
    }

    pub(super) fn suspensions(&self) -> Section {
        let row = |one: &Suspension| {
            vec![
                Cell::Time(one.time),
                Cell::text(one.what),
                Cell::text(one.identity.clone()),
                Cell::code(one.limit.clone()),
                Cell::prose(one.more.clone()),
                Cell::Seq(one.seq),
            ]
        };
        let table = Table {
            id: "suspensions",
            title: "Suspensions and acts of administrators",
            source:
                "`limit` records (an identity was suspended by a `trip`) and `admin` records (somebody resumed one)."
                    .to_owned(),
            note: self.suspensions.note(),
            columns: vec!["time", "what", "identity", "limit", "more", "seq"],
            rows: self.suspensions.entries.iter().map(row).collect(),
            rows_shown: ROWS_SHOWN,
            empty: "Nobody was suspended, and no administrator told amiwall anything.",
        };
        Section {
            id: "suspensions-section",
            title: "Suspensions",
            intro:
                "A `trip` of the policy suspends an identity that runs into its limits too often, or calls a class of \
                    numbers for the first time. Meanwhile all its actions are refused."
                    .to_owned(),
            charts: Vec::new(),
            tables: vec![table],
        }
    }

    pub(super) fn left_out(&self) -> Section {
        let row = |settings: &Settings, times: [Cell; 3]| {
            let packets = match settings.packets.as_str() {
                "both" => "both directions",
                "actions" => "only what clients send",
                other => other,
            };
            let mut row = vec![
                Cell::text(settings.version.clone()),
                Cell::text(packets),
                Cell::text(if settings.except_events.is_empty() { "none" } else { &settings.except_events }),
                Cell::text(if settings.redact.is_empty() { "nothing" } else { &settings.redact }),
                Cell::text(if settings.pseudonyms.is_empty() { "nothing" } else { &settings.pseudonyms }),
                Cell::text(settings.promises.clone()),
            ];
            row.extend(times);
            row
        };
        let mut rows = Vec::new();
        if let Some((settings, time)) = &self.before {
            rows.push(row(settings, [Cell::Time(*time), Cell::None, Cell::text("before the period")]));
        }
        rows.extend(self.settings.iter().map(|(settings, (first, last, count))| {
            row(settings, [Cell::Time(*first), Cell::Time(*last), Cell::Count(*count)])
        }));
        let table = Table {
            id: "left-out",
            title: "How the log was told to record",
            source: "`start` records: `packets`, `except_events`, `redact`, `pseudonymise`, `actions`, `responses`, \
                     `on_failure`."
                .to_owned(),
            note: String::new(),
            columns: vec![
                "version",
                "packets",
                "events left out",
                "values hidden",
                "pseudonyms instead of",
                "promised",
                "first start",
                "last start",
                "starts",
            ],
            rows,
            rows_shown: ROWS_SHOWN,
            empty: "The log has no start record before the end of the period: older segments were taken out.",
        };
        Section {
            id: "left-out-section",
            title: "What the log leaves out or hides",
            intro: "What is left out never was on record. A hidden value shows that it was there, not what it was. Of \
                    packets that came before log-in, or that could not be understood, only the names and lengths are kept."
                .to_owned(),
            charts: Vec::new(),
            tables: vec![table],
        }
    }
}

fn or_unknown(word: &str) -> &str {
    if word.is_empty() { "not said" } else { word }
}
