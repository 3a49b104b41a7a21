//! The last records, and the ones that come.

use std::fs;

use super::{START, directory, write_log};
use crate::audit::tests::forge::Forge;
use crate::audit::{BadRecord, Follow, VerifyError, compress_closed};
use crate::search::{Filter, Query, last};

fn poll(follow: &mut Follow) -> Vec<u64> {
    let mut seen = Vec::new();
    follow.poll(|record| seen.push(record.seq)).expect("whole");
    seen
}

const STOP: &str = r#""kind":"stop""#;

#[test]
fn the_last_records_are_found_from_behind() {
    let dir = directory();
    write_log(dir.path());
    let last_of = |query: Query, count| {
        let (found, head) = last(dir.path(), &mut Filter::new(query), count).expect("whole");
        assert_eq!(head.expect("a record").0, 17);
        found.iter().map(|found| found.record.seq).collect::<Vec<u64>>()
    };
    assert_eq!(last_of(Query::default(), 3), [15, 16, 17]);
    assert_eq!(last_of(Query::default(), 0), [0; 0]);
    assert_eq!(last_of(Query::default(), 9), (9..=17).collect::<Vec<u64>>());
    assert_eq!(last_of(Query::default(), 99).len(), 17);
    let refused = Query { decision: Some("deny".to_owned()), ..Query::default() };
    assert_eq!(last_of(refused.clone(), 1), [16]);
    assert_eq!(last_of(refused, 99), [11, 16]);
    // What is further back is not read.
    fs::write(dir.path().join("audit-00000000000000000001.jsonl"), "rubbish\n").expect("written");
    assert_eq!(last_of(Query::default(), 7).len(), 7);
}

#[test]
fn new_records_are_seen_over_rotation_and_compression() {
    let dir = directory();
    let mut log = Forge::new(dir.path());
    log.record(20, START);
    let (_, head) = last(dir.path(), &mut Filter::new(Query::default()), 10).expect("whole");
    let mut follow = Follow::behind(dir.path(), head);
    assert_eq!(poll(&mut follow), [0; 0]);
    log.record(20, STOP);
    assert_eq!(poll(&mut follow), [2]);
    // A record comes in pieces.
    let line = log.next_line(STOP);
    let (one, two) = line.split_at(30);
    log.raw(one);
    assert_eq!(poll(&mut follow), [0; 0]);
    log.raw(two);
    log.skip(STOP);
    assert_eq!(poll(&mut follow), [3]);
    log.record(20, STOP);
    log.rotate();
    log.record(20, STOP);
    log.rotate();
    log.record(20, STOP);
    assert_eq!(poll(&mut follow), [4, 5, 6]);
    log.record(20, STOP);
    log.rotate();
    log.record(20, STOP);
    assert_eq!(compress_closed(dir.path()).expect("compressed").segments, 3);
    assert_eq!(poll(&mut follow), [7, 8], "the file that was open is gone");
    log.record(20, STOP);
    assert_eq!(poll(&mut follow), [9]);
    assert_eq!(poll(&mut follow), [0; 0]);
}

#[test]
fn a_segment_that_was_given_up_is_not_shown_twice() {
    let dir = directory();
    let mut log = Forge::new(dir.path());
    log.record(20, START);
    let mut follow = Follow::behind(dir.path(), None);
    assert_eq!(poll(&mut follow), [1]);
    for _ in 0..2 {
        log.record(20, STOP);
    }
    assert_eq!(poll(&mut follow), [2, 3]);
    // A sync failed: records 2 and 3 are written again to a new file.
    let first = dir.path().join("audit-00000000000000000001.jsonl");
    let text = fs::read_to_string(&first).expect("a segment");
    let again: String = text.split_inclusive('\n').skip(1).collect();
    fs::rename(&first, dir.path().join("audit-00000000000000000001.jsonl.suspect")).expect("renamed");
    let second = dir.path().join("audit-00000000000000000002.jsonl");
    let line = String::from_utf8(log.next_line(STOP)).expect("UTF-8");
    fs::write(&second, format!("{again}{line}")).expect("written");
    log.skip(STOP);
    assert_eq!(poll(&mut follow), [4]);
    // Somebody removed the file, and amiwall put it back whole: another file, the same records.
    fs::remove_file(&second).expect("removed");
    assert_eq!(poll(&mut follow), [0; 0]);
    let next = String::from_utf8(log.next_line(STOP)).expect("UTF-8");
    fs::write(&second, format!("{again}{line}{next}\0\0\0")).expect("written");
    assert_eq!(poll(&mut follow), [5]);
}

#[test]
fn a_record_that_does_not_follow_is_told() {
    let dir = directory();
    let mut log = Forge::new(dir.path());
    log.record(20, START);
    let mut follow = Follow::behind(dir.path(), None);
    assert_eq!(poll(&mut follow), [1]);
    log.skip(STOP);
    log.record(20, STOP);
    let broken = follow.poll(|_| {});
    assert!(
        matches!(broken, Err(VerifyError::Broken { problem: BadRecord::Seq { expected: 2, found: 3 }, .. })),
        "{broken:?}"
    );
    // The log was made anew from before where the reader was.
    let mut follow = Follow::behind(dir.path(), Some((1, [b'0'; 64])));
    let broken = follow.poll(|_| {});
    assert!(matches!(broken, Err(VerifyError::Broken { problem: BadRecord::Prev, .. })), "{broken:?}");
}
