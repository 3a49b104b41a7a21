//! Which records a period has, and what is known from before it; gaps, clocks and bins.

use serde_json::json;

use super::{Log, at, fact, options, report, row, table};
use crate::report::Options;

/// Two days, with a crash, an outage, a silence and a clock that was set.
fn two_days() -> Log {
    let mut log = Log::new("2026-11-02T08:00:00Z");
    log.start("2026-11-02T08:00:00Z");
    log.put("2026-11-02T08:00:00Z", "policy", json!({"outcome": "loaded", "trigger": "start", "policy": "sha256:one"}));
    log.put(
        "2026-11-02T08:01:00Z",
        "login",
        json!({"session": "b-1", "identity": "alice", "decision": "allow", "claimed": "alice"}),
    );
    log.action("2026-11-02T08:01:01Z", "alice", "Originate", "allow");
    log.put("2026-11-02T08:03:00Z", "checkpoint", json!({}));
    log.action("2026-11-02T08:30:00Z", "alice", "Originate", "allow");
    log.put(
        "2026-11-02T08:40:00Z",
        "outage",
        json!({"cause": "disk full", "since": "2026-11-02T08:35:00Z", "until": "2026-11-02T08:40:00Z",
               "counts": {"action": 3}, "unconfirmed": [[5, 6]]}),
    );
    // The wall clock goes back an hour.
    log.put_at("2026-11-02T07:40:01Z", 2_401_000_000, "clock", json!({"step_ms": -3_600_000}));
    // A crash: no stop.
    log.start("2026-11-03T09:00:00Z");
    log.put(
        "2026-11-03T09:00:00Z",
        "policy",
        json!({"outcome": "loaded", "trigger": "start", "policy": "sha256:two", "changes": ["role x: Ping added"]}),
    );
    log.action("2026-11-03T09:00:01Z", "alice", "Originate", "allow");
    log.put("2026-11-03T09:00:02Z", "stop", json!({}));
    log
}

#[test]
fn an_asterisk_that_was_away_is_no_gap_of_the_log() {
    let mut log = Log::new("2026-11-02T08:00:00Z");
    log.start("2026-11-02T08:00:00Z");
    let times = json!({"reason": "upstream.back", "session": "b-1", "since": "2026-11-02T08:01:00Z",
                       "until": "2026-11-02T08:02:00Z"});
    log.put("2026-11-02T08:01:00Z", "outage", json!({"reason": "upstream.held", "session": "b-1", "unanswered": 2}));
    log.put("2026-11-02T08:02:00Z", "outage", times);
    log.put("2026-11-02T08:02:01Z", "stop", json!({}));
    let dir = log.save();
    let report = report(dir.path(), options());
    assert_eq!(fact(&report, "outages of the log"), "0");
}

#[test]
fn what_a_start_has_found_hides_no_gap_and_makes_none() {
    let mut log = Log::new("2026-11-02T08:00:00Z");
    log.start("2026-11-02T08:00:00Z");
    log.put_at("2026-11-02T08:10:00Z", 600_000_000, "stop", json!({}));
    // Signing was switched on.
    log.put_at("2026-11-02T08:20:00Z", 50, "recovery", json!({"reason": "audit.unsigned", "problem": "it is new"}));
    log.start("2026-11-02T08:20:00Z");
    log.put_at("2026-11-02T08:30:00Z", 600_000_000, "checkpoint", json!({}));
    // The power went.
    log.put_at("2026-11-02T08:40:00Z", 50, "recovery", json!({"reason": "audit.replayed", "count": 3}));
    log.put_at("2026-11-02T08:40:00Z", 60, "recovery", json!({"reason": "audit.records-missing", "through": 9}));
    log.start("2026-11-02T08:40:00Z");
    let dir = log.save();
    let report = report(dir.path(), options());
    let gaps = table(&report, "outages");
    let of_starts = |row: &&Vec<String>| row[0] == "not running" || row[0] == "ended without a stop";
    let gaps: Vec<_> = gaps.iter().filter(of_starts).map(|row| (row[0].as_str(), row[3].as_str())).collect();
    assert_eq!(gaps, [("not running", "600"), ("ended without a stop", "600")]);
    assert_eq!(report.verdict.missing, Some(7));
}

#[test]
fn gaps_are_found() {
    let dir = two_days().save();
    let report = report(dir.path(), options());
    let gaps = table(&report, "outages");
    let whats: Vec<&str> = gaps.iter().skip(1).map(|row| row[0].as_str()).collect();
    assert_eq!(whats, ["the log could not be written", "ended without a stop"]);
    assert_eq!((gaps[1][3].as_str(), gaps[1][6].as_str()), ("300", "7"));
    let silences = table(&report, "silences");
    assert_eq!(silences.iter().skip(1).map(|row| row[0].as_str()).collect::<Vec<_>>(), ["1620", "600"]);
    let steps = table(&report, "clock-steps");
    assert_eq!(
        steps.iter().skip(1).map(|row| (row[1].as_str(), row[3].as_str())).collect::<Vec<_>>(),
        [("-3600", "clock")]
    );
    let alice = row(&report, "sessions-by-identity", "alice");
    assert_eq!((alice[0].as_str(), alice[7].as_str()), ("1", "1"));
    assert_eq!(
        ["outages of the log", "starts of amiwall", "calls passed to Asterisk"].map(|f| fact(&report, f)),
        ["1", "2", "3"]
    );
    let page = report.html();
    assert!(page.contains("2 records of outages are in the log") && page.contains("role x: Ping added"));
}

#[test]
fn a_period_has_its_records_and_knows_what_was_before() {
    let dir = two_days().save();
    let only = |from: &str, until: &str| {
        report(dir.path(), Options { from: Some(at(from)), until: Some(at(until)), ..options() })
    };
    let first = only("2026-11-02T08:05:00Z", "2026-11-02T23:59:59Z");
    assert_eq!(fact(&first, "calls passed to Asterisk"), "1");
    // The session began before: it is not counted as begun, but it is there.
    let alice = row(&first, "sessions-by-identity", "alice");
    assert_eq!((alice[0].as_str(), alice[1].as_str(), alice[6].as_str()), ("0", "1", "1"));
    let page = first.html();
    assert!(page.contains("<code>sha256:one</code> was in force") && page.contains("before the period"));
    // The verdict is about the whole log all the same.
    assert_eq!(first.verdict().records, two_days().seq);
    let empty = only("2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z");
    assert_eq!((fact(&empty, "calls passed to Asterisk"), empty.verdict().inside), ("0".to_owned(), 0));
    let page = empty.html();
    assert!(page.contains("There is no record in this period.") && page.contains("no record)"));
    assert!(empty.csv().iter().all(|(_, text)| !text.is_empty()));
}

#[test]
fn a_pruned_log_says_so() {
    let mut log = two_days();
    log.put("2026-11-03T09:00:03Z", "prune", json!({"reason": "keep.days", "bytes": 77}));
    let dir = log.save();
    let report = report(dir.path(), options());
    assert_eq!(table(&report, "prunes")[1][1..], ["keep.days; 77 bytes", "77", "13"]);
    let mut verdict = report.verdict().clone();
    verdict.first = Some((5_001, at("2026-11-02T08:00:00Z")));
    assert!(
        verdict
            .caveats(&super::super::Signatures::NotChecked)
            .iter()
            .any(|text| text.contains("record 5001: the 5,000 before it were taken out"))
    );
}

#[test]
fn a_chart_has_a_bar_for_each_hour_of_a_short_period() {
    let mut log = Log::new("2026-11-02T00:00:00Z");
    log.start("2026-11-02T00:00:00Z");
    for (hour, count) in [(3, 2), (9, 5)] {
        (0..count).for_each(|n| log.action(&format!("2026-11-02T{hour:02}:00:0{n}Z"), "<alice>", "Originate", "allow"));
    }
    let dir = log.save();
    let report = report(dir.path(), options());
    let bins = table(&report, "calls-over-time");
    assert_eq!(
        bins[1..],
        [
            ["2026-11-02T03:00:00.000000Z", "3600", "<alice>", "2"],
            ["2026-11-02T09:00:00.000000Z", "3600", "<alice>", "5"]
        ]
    );
    let page = report.html();
    let chart = page.split("<svg").nth(1).expect("a chart").split("</svg>").next().expect("its end");
    assert_eq!(chart.matches("class=\"bar\"").count(), 2);
    assert!(chart.contains("&lt;alice&gt;") && chart.contains("<title id=") && chart.contains("<desc id="));
}
