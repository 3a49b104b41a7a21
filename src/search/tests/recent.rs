//! Reading from the end, for so long and no longer.

use std::time::{Duration, Instant};

use super::super::{Filter, Query, at, calls_since, recent};
use super::{directory, write_log};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn names(found: &super::super::Recent) -> Vec<String> {
    found.found.iter().map(|found| format!("{} {}", found.record.seq, found.record.name)).collect()
}

#[test]
fn the_last_come_first_over_segments_and_page_by_page() {
    let dir = directory();
    write_log(dir.path());
    let actions = || Filter::new(Query { kind: Some("action".to_owned()), ..Query::default() });
    let all = recent(dir.path(), &mut actions(), (u64::MAX, 10), soon()).expect("a log");
    assert_eq!(names(&all), ["13 BlindTransfer", "11 originate", "4 Originate"]);
    assert!(!all.is_more && !all.is_cut);
    let first = recent(dir.path(), &mut actions(), (u64::MAX, 2), soon()).expect("a log");
    assert_eq!((names(&first), first.is_more, first.is_cut), (names(&all)[..2].to_vec(), true, false));
    let second = recent(dir.path(), &mut actions(), (11, 2), soon()).expect("a log");
    assert_eq!((names(&second), second.is_more), (names(&all)[2..].to_vec(), false));
    let of_a_day =
        Query { since: Some("2026-11-21".to_owned()), until: Some("2026-11-22".to_owned()), ..Query::default() };
    let of_a_day = recent(dir.path(), &mut Filter::new(of_a_day), (u64::MAX, 50), soon()).expect("a log");
    assert_eq!(of_a_day.found.iter().map(|found| found.record.seq).collect::<Vec<_>>(), [10, 9, 8, 7, 6]);
}

#[test]
fn when_the_time_is_over_it_says_so() {
    let dir = directory();
    write_log(dir.path());
    let late = Instant::now();
    let found = recent(dir.path(), &mut Filter::new(Query::default()), (u64::MAX, 10), late).expect("a log");
    assert!(found.found.is_empty() && found.is_cut, "{found:?}");
    assert!(!calls_since(dir.path(), "2026", late, |_, _, _| ()).expect("a log"));
}

#[test]
fn each_call_is_told_once_with_whose_it_is() {
    let dir = directory();
    write_log(dir.path());
    let mut calls = Vec::new();
    let mut told = |identity: &str, time: &str, decision: &str| {
        calls.push(format!("{identity} {} {decision}", time.get(..10).unwrap_or_default()));
    };
    assert!(calls_since(dir.path(), "2026-11-20T", soon(), &mut told).expect("a log"));
    assert!(calls_since(dir.path(), "2026-11-23T", soon(), &mut told).expect("a log"));
    calls.sort();
    assert_eq!(calls, ["alice 2026-11-20 allow", "alice 2026-11-22 deny", "alice 2026-11-22 would-deny"]);
}

#[test]
fn one_record_is_found_by_its_number() {
    let dir = directory();
    write_log(dir.path());
    for seq in [1, 5, 6, 11, 17] {
        assert_eq!(at(dir.path(), seq, soon()).expect("a log").expect("a record").record.seq, seq);
    }
    assert!(at(dir.path(), 1_000, soon()).expect("a log").is_none());
}
