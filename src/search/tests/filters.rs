//! What each filter finds.

use std::ops::ControlFlow;
use std::path::Path;

use super::{directory, quiet, write_log};
use crate::audit::{Trail, VerifyError, compress_closed};
use crate::search::{Filter, Query, csv_row, search, table_row};

/// The seqs of what is found, with and without the prefilter, the check and compression.
fn seqs(query: &Query) -> Vec<u64> {
    let dir = directory();
    write_log(dir.path());
    let found = found_in(dir.path(), query, false).expect("whole");
    assert_eq!(found_in(dir.path(), query, true).expect("whole"), found);
    assert!(compress_closed(dir.path()).expect("compressed").segments == 2);
    assert_eq!(found_in(dir.path(), query, false).expect("whole"), found);
    assert_eq!(found_slowly(dir.path(), query), found, "the prefilter hides or adds something");
    found
}

fn found_in(dir: &Path, query: &Query, is_unchecked: bool) -> Result<Vec<u64>, VerifyError> {
    let trail = Trail::open(dir)?.within(query.since.as_deref(), query.until.as_deref())?;
    let mut trail = if is_unchecked { trail.unchecked() } else { trail };
    let mut found = Vec::new();
    search(&mut trail, &mut Filter::new(query.clone()), &mut quiet(), |record| {
        found.push(record.record.seq);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn found_slowly(dir: &Path, query: &Query) -> Vec<u64> {
    let filter = Filter::new(query.clone());
    let in_time = |time: String| {
        query.since.as_ref().is_none_or(|since| *since <= time)
            && query.until.as_ref().is_none_or(|until| *until >= time)
    };
    let records = crate::audit::read(dir).expect("a log").map(|record| record.expect("whole"));
    let text = |time: jiff::Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    records.filter(|record| filter.matches(record) && in_time(text(record.time))).map(|record| record.seq).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn every_filter_finds_what_it_says() {
    let all: Vec<u64> = (1..=17).collect();
    assert_eq!(seqs(&Query::default()), all);
    assert_eq!(seqs(&Query { identity: some("alice"), kind: some("end"), ..Query::default() }), [14]);
    assert_eq!(seqs(&Query { identity: some("ali"), ..Query::default() }), [0; 0]);
    assert_eq!(seqs(&Query { action: some("ORIGINATE"), ..Query::default() }), [4, 11]);
    assert_eq!(seqs(&Query { action: some("hangup"), ..Query::default() }), [9, 10]);
    assert_eq!(seqs(&Query { action: some("error"), ..Query::default() }), [12]);
    assert_eq!(seqs(&Query { kind: some("login"), ..Query::default() }), [3, 16]);
    assert_eq!(seqs(&Query { decision: some("deny"), ..Query::default() }), [11, 16]);
    assert_eq!(seqs(&Query { decision: some("would-deny"), ..Query::default() }), [13]);
    assert_eq!(seqs(&Query { reason: some("params"), ..Query::default() }), [11]);
    assert_eq!(seqs(&Query { reason: some("arams"), ..Query::default() }), [0; 0]);
    assert_eq!(seqs(&Query { session: some("5e2b9c01-2"), ..Query::default() }), (2..=14).collect::<Vec<u64>>());
    assert_eq!(seqs(&Query { session: some("5e2b9c01-15"), ..Query::default() }), [15, 16]);
    assert_eq!(seqs(&Query { uniqueid: some("170.2"), ..Query::default() }), [7, 9]);
    assert_eq!(seqs(&Query { uniqueid: some("170"), ..Query::default() }), [0; 0]);
    let peer = |text: &str| Query { peer: Some(text.parse().expect("a network")), ..Query::default() };
    assert_eq!(seqs(&peer("2001:db8::/32")), [15, 16]);
    assert_eq!(seqs(&peer("203.0.113.7")), (2..=14).collect::<Vec<u64>>());
    assert_eq!(seqs(&peer("203.0.113.70")), [0; 0]);
}

#[test]
fn numbers_channels_and_texts_are_found_in_every_form() {
    let number = |text: &str| seqs(&Query { number: Some(text.parse().expect("a number")), ..Query::default() });
    assert_eq!(number("+49"), [0; 0]);
    assert_eq!(number("49891234"), [4]);
    assert_eq!(number("0049-89 1234"), [13]);
    assert_eq!(number("09005551234"), [11]);
    assert_eq!(number("5550"), [4]);
    assert_eq!(number("1001"), [4, 6, 8, 10, 13]);
    let channel = |text: &str| seqs(&Query { channel: some(text), ..Query::default() });
    assert_eq!(channel("pjsip/1001"), [4, 6, 8, 10, 13]);
    assert_eq!(channel("PJSIP/1001-0000002a"), [6, 8, 10, 13]);
    assert_eq!(channel("PJSIP/100"), [0; 0]);
    let text = |text: &str| seqs(&Query { text: some(text), ..Query::default() });
    assert_eq!(text("QUEUED"), [5]);
    assert_eq!(text("j\u{fc}rgen"), [13]);
    assert_eq!(text("\"al\""), [4]);
    assert_eq!(text("\u{1b}[2j"), [9, 10]);
    assert_eq!(text("roles.dial"), [4, 11]);
    // Hashes are no content.
    assert!(text("\"hash\"").is_empty() && text("prev").is_empty());
}

#[test]
fn times_are_inclusive_and_leave_out_segments() {
    let between = |since: &str, until: &str| {
        let time = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        seqs(&Query { since: time(since), until: time(until), ..Query::default() })
    };
    assert_eq!(between("2026-11-21T00:00:06.000000Z", "2026-11-21T00:00:08.000000Z"), [6, 7, 8]);
    assert_eq!(between("2026-11-22T00:00:00.000000Z", ""), (11..=17).collect::<Vec<u64>>());
    assert_eq!(between("", "2026-11-20T23:59:59.000000Z"), (1..=5).collect::<Vec<u64>>());
    assert_eq!(between("2026-12-01T00:00:00.000000Z", ""), [0; 0]);
    // What is left out is not read: a bad record there is not seen, and nothing is taken for a gap.
    let dir = directory();
    write_log(dir.path());
    std::fs::write(dir.path().join("audit-00000000000000000001.jsonl"), "rubbish\n").expect("written");
    let late = Query { since: some("2026-11-22T00:00:00.000000Z"), ..Query::default() };
    assert_eq!(found_in(dir.path(), &late, false).expect("not seen"), (11..=17).collect::<Vec<u64>>());
    assert!(found_in(dir.path(), &Query::default(), false).is_err());
}

#[test]
fn a_broken_log_gives_what_stands_before_the_break() {
    let dir = directory();
    write_log(dir.path());
    let path = dir.path().join("audit-00000000000000000006.jsonl");
    let text = std::fs::read_to_string(&path).expect("a segment");
    std::fs::write(&path, text.replacen("170.2", "170.9", 1)).expect("written");
    let mut found = Vec::new();
    let mut trail = Trail::open(dir.path()).expect("a log");
    let outcome = search(&mut trail, &mut Filter::new(Query::default()), &mut quiet(), |record| {
        found.push(record.record.seq);
        ControlFlow::Continue(())
    });
    assert_eq!(found, [1, 2, 3, 4, 5, 6]);
    let Err(VerifyError::Broken { segment, line: 2, good: 6, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(segment, path);
    assert!(trail.next_record().expect("over").is_none());
    // Who asks not to check is not told.
    assert_eq!(found_in(dir.path(), &Query::default(), true).expect("unchecked").len(), 17);
    // A segment that is gone, and one that ends inside a record.
    std::fs::write(&path, &text.as_bytes()[..text.len() - 20]).expect("written");
    assert!(found_in(dir.path(), &Query::default(), true).is_err());
    std::fs::remove_file(&path).expect("removed");
    assert!(found_in(dir.path(), &Query::default(), false).is_err());
}

#[test]
fn nothing_of_a_packet_reaches_the_terminal_as_it_is() {
    let dir = directory();
    write_log(dir.path());
    let mut trail = Trail::open(dir.path()).expect("a log");
    search(&mut trail, &mut Filter::new(Query::default()), &mut quiet(), |found| {
        for width in [60, 80, 200] {
            let row = table_row(&found.record, width);
            assert!(!row.chars().any(|c| c.is_control() && c != '\n'), "{row:?}");
            assert!(row.lines().all(|line| line.chars().count() <= width), "{row}");
        }
        let csv = csv_row(&found.record);
        assert!(!csv.chars().any(char::is_control), "{csv:?}");
        ControlFlow::Continue(())
    })
    .expect("whole");
}
