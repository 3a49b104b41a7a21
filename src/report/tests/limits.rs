//! A report does not grow with its log.

use serde_json::json;

use super::{Log, options, report, table};
use crate::report::bounded::{ENTRIES_MAX, KEYS_MAX};

/// Everything in it is new in each record.
const RECORDS: u64 = 24_000;

#[test]
fn no_table_grows_without_end() {
    let mut log = Log::new("2026-11-02T00:00:00Z");
    log.start("2026-11-02T00:00:00Z");
    for n in 0..RECORDS / 2 {
        let time = format!("2026-11-{:02}T{:02}:00:00Z", 2 + n % 20, n % 24);
        let long = format!("{n}-{}", "x".repeat(if n < 100 { 3_000 } else { 5 }));
        let action = json!({"id": long, "identity": long, "name": long, "decision": "limit", "reason": long, "rule": long, "limit": long});
        log.put_at(&time, 0, "action", action);
        let login = json!({"session": long, "identity": long, "claimed": long, "peer": format!("10.{}.{}.{}:1", n >> 16, n >> 8 & 255, n & 255), "decision": if n % 2 == 0 { "allow" } else { "deny" }, "reason": long});
        log.put_at(&time, 0, "login", login);
        if n < 3_000 {
            log.put_at(
                &time,
                0,
                "policy",
                json!({"outcome": "refused", "problem": long, "changes": vec![long.clone(); 40]}),
            );
            log.put_at(&time, 0, "limit", json!({"identity": long}));
            log.put_at(&time, 0, "outage", json!({"cause": "x", "since": time, "until": time}));
            log.put_at(&time, 0, &format!("kind-{n}"), json!({}));
            log.put_at(&time, 0, "start", json!({"version": long, "redact": [long]}));
        }
    }
    let dir = log.save();
    let report = report(dir.path(), options());
    for (name, csv) in report.csv() {
        let (rows, most) = (csv.lines().count(), if name.ends_with("-over-time.csv") { 150_000 } else { KEYS_MAX + 3 });
        assert!(rows <= most, "{name}: {rows} rows");
        assert!(csv.lines().all(|line| line.len() < 8_000), "{name}: a long line");
    }
    assert_eq!(table(&report, "identities").len(), KEYS_MAX + 2);
    assert_eq!(table(&report, "policies").len(), ENTRIES_MAX + 1);
    let page = report.html();
    assert!(page.contains("The first 10000 are told apart") && page.contains("The first 1000 of 3,000 are listed."));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}
