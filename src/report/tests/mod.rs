//! Reports of logs that are written here: by the audit writer, and by hand where a time or a value has to be chosen.

mod golden;
mod hostile;
mod limits;
mod periods;

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Options, Report, Signatures};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn options() -> Options {
    Options {
        title: "A report".to_owned(),
        from: None,
        until: None,
        made: at("2026-12-01T09:00:00Z"),
        rights: None,
        signatures: Signatures::NotChecked,
    }
}

fn report(dir: &Path, options: Options) -> Report {
    Report::of(dir, options).expect("a report")
}

/// The CSV of a table, as fields.
fn table(report: &Report, name: &str) -> Vec<Vec<String>> {
    let file = format!("{name}.csv");
    let csv = report.csv().into_iter().find(|(name, _)| *name == file).expect("a table").1;
    let fields = |line: &str| {
        let (mut fields, mut is_quoted) = (vec![String::new()], false);
        for c in line.chars() {
            match c {
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => fields.push(String::new()),
                c => fields.last_mut().expect("a field").push(c),
            }
        }
        fields
    };
    csv.split_terminator("\r\n").map(fields).collect()
}

/// The row of a table that begins with that, without its first field.
fn row(report: &Report, name: &str, first: &str) -> Vec<String> {
    let rows = table(report, name);
    let found = rows.iter().find(|row| row[0] == first);
    found.unwrap_or_else(|| panic!("no `{first}` in {rows:#?}"))[1..].to_vec()
}

/// The numbers of the summary by their labels.
fn fact(report: &Report, label: &str) -> String {
    let fact = report.facts.iter().find(|fact| fact.label == label).expect("a number of the summary");
    fact.value.clone()
}

/// A log written by hand, one record after the other.
struct Log {
    text: String,
    seq: u64,
    prev: String,
    /// Where a monotonic clock begins.
    begin: Timestamp,
}

impl Log {
    fn new(begin: &str) -> Self {
        Self { text: String::new(), seq: 0, prev: "0".repeat(64), begin: at(begin) }
    }

    /// Writes a record; its `mono` goes with the time unless it says another.
    fn put(&mut self, time: &str, kind: &str, members: Value) -> u64 {
        let mono = at(time).as_microsecond() - self.begin.as_microsecond();
        self.put_at(time, mono, kind, members)
    }

    #[expect(clippy::needless_pass_by_value, reason = "what `json!` makes")]
    fn put_at(&mut self, time: &str, mono: i64, kind: &str, members: Value) -> u64 {
        self.seq += 1;
        let members = members.as_object().expect("members").iter();
        let members: String = members.map(|(key, value)| format!(",\"{key}\":{value}")).collect();
        let head = format!("{{\"seq\":{},\"time\":\"{time}\",\"mono\":{mono},\"kind\":\"{kind}\"", self.seq);
        let record = format!("{head}{members},\"prev\":\"{}\"", self.prev);
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{record}}}").as_bytes());
        self.prev = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        self.text.push_str(&format!("{record},\"hash\":\"{}\"}}\n", self.prev));
        self.seq
    }

    fn start(&mut self, time: &str) {
        self.begin = at(time);
        let redact = json!(["*Secret*"]);
        let members =
            json!({"boot": "b", "version": "0.1.0", "packets": "both", "except_events": [], "redact": redact});
        self.put(time, "start", members);
    }

    fn action(&mut self, time: &str, identity: &str, name: &str, decision: &str) {
        let reason = if decision == "allow" { "" } else { "actions.unlisted" };
        let members = json!({"id": format!("s.{}", self.seq), "identity": identity, "name": name, "decision": decision, "reason": reason});
        self.put(time, "action", members);
    }

    fn save(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("audit-00000000000000000001.jsonl"), &self.text).expect("written");
        dir
    }
}
