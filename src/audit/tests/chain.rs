//! Whoever changes a log without making all of it anew is found out.

use std::fs;

use proptest::prelude::*;

use super::super::{BadRecord, VerifyError, verify};
use super::*;

/// A log of 12 records in several segments, as name and bytes.
fn log() -> Vec<(String, Vec<u8>)> {
    let dir = directory();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let config = AuditConfig { segment_size: 1_000, ..AuditConfig::new(dir.path()) };
        let audit = Audit::open(&config).expect("a log");
        for number in 0..10 {
            audit.append(vec![event(&number.to_string())]).await.expect("written");
        }
        audit.close().await.expect("closed");
    });
    let name = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    let read = |path: PathBuf| (name(&path), fs::read(&path).expect("a segment"));
    segments(dir.path()).into_iter().map(read).collect()
}

fn verify_files(files: &[(String, Vec<u8>)]) -> Result<super::super::Summary, VerifyError> {
    let dir = directory();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).expect("written");
    }
    verify(dir.path())
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

/// The lines of the log as they are after `change`, spread over the segments as they were before, the rest in the last.
fn with_lines(log: &[(String, Vec<u8>)], change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<Vec<u8>> = log.iter().flat_map(|(_, bytes)| lines(bytes)).collect();
    change(&mut all);
    let mut rest = all.into_iter();
    let mut files: Vec<(String, Vec<u8>)> = log
        .iter()
        .map(|(name, bytes)| (name.clone(), rest.by_ref().take(lines(bytes).len()).flatten().collect()))
        .collect();
    files.last_mut().expect("a segment").1.extend(rest.flatten());
    files
}

fn is_broken(files: &[(String, Vec<u8>)]) -> bool {
    matches!(verify_files(files), Err(VerifyError::Broken { .. }))
}

#[test]
fn an_untouched_log_is_whole() {
    let log = log();
    let summary = verify_files(&log).expect("whole");
    assert_eq!((summary.records, summary.segments), (12, log.len()));
    assert!(log.len() > 3 && summary.first_time < summary.last_time);
}

#[test]
fn every_flipped_bit_is_found_with_its_line() {
    let log = log();
    let last_segment = log.len() - 1;
    for (segment, (name, bytes)) in log.iter().enumerate() {
        // Each byte once, each time another bit.
        for at in 0..bytes.len() {
            let mut files = log.clone();
            files[segment].1[at] ^= 1 << (at % 8);
            let is_last_byte = segment == last_segment && at + 1 == bytes.len();
            match verify_files(&files) {
                Err(VerifyError::Broken { segment, line, .. }) => {
                    let expected = bytes[..at].iter().filter(|b| **b == b'\n').count() + 1;
                    assert!(segment.ends_with(name));
                    assert_eq!(line, u64::try_from(expected).expect("small"), "{name} at {at}");
                }
                // Without its newline the last record of all is one that is being written.
                Ok(summary) => assert!(is_last_byte && summary.torn.is_some(), "{name} at {at}"),
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn a_dropped_a_doubled_and_a_swapped_record_are_found() {
    let log = log();
    for at in 0..12 {
        let dropped = with_lines(&log, |lines| drop(lines.remove(at)));
        // That the end was cut off shows only in the head, which is not that of before.
        if at == 11 {
            let [was, is] = [&log, &dropped].map(|files| verify_files(files).expect("whole"));
            assert!(was.head != is.head && is.last_kind != "stop");
        } else {
            assert!(is_broken(&dropped));
        }
        assert!(is_broken(&with_lines(&log, |lines| lines.insert(at, lines[at].clone()))));
        for other in 0..at {
            assert!(is_broken(&with_lines(&log, |lines| lines.swap(at, other))));
        }
    }
}

#[test]
fn an_inserted_record_is_found_even_with_a_hash_of_its_own() {
    let log = log();
    for at in 0..12 {
        let forged = |lines: &mut Vec<Vec<u8>>| {
            let mut head = super::super::chain::Record::read(lines[at].trim_ascii_end()).expect("a record").head();
            let mut line = Vec::new();
            head.seal(
                &mut line,
                super::super::chain::Stamp { time: "2026-11-21T02:00:00.000000Z", mono: 0 },
                &[b",\"kind\":\"event\""],
            );
            lines.insert(at + 1, line);
        };
        let files = with_lines(&log, forged);
        assert_eq!(is_broken(&files), at < 11, "only behind the end is there nothing that it contradicts");
    }
}

#[test]
fn a_missing_a_swapped_and_a_foreign_segment_are_found() {
    let (log, other) = (log(), log());
    let last = log.len() - 1;
    for at in 0..=last {
        let mut missing = log.clone();
        missing.remove(at);
        assert_eq!(is_broken(&missing), at < last);
        let mut foreign = log.clone();
        foreign[at].1.clone_from(&other[at].1);
        assert!(is_broken(&foreign) || last == 0);
        if at > 0 {
            let mut swapped = log.clone();
            let (one, two) = (swapped[at - 1].1.clone(), swapped[at].1.clone());
            (swapped[at - 1].1, swapped[at].1) = (two, one);
            assert!(is_broken(&swapped));
            let mut joined = log.clone();
            let tail = joined.remove(at).1;
            joined[at - 1].1.extend(tail);
            assert_eq!(verify_files(&joined).expect("whole").records, 12);
        }
    }
}

#[test]
fn a_renamed_segment_is_found() {
    let mut log = log();
    log[0].0 = "audit-00000000000000000000.jsonl".to_owned();
    let Err(VerifyError::Broken { problem, line, good, .. }) = verify_files(&log) else { panic!("whole") };
    assert_eq!((problem, line, good), (BadRecord::Name { expected: 0, found: 1 }, 1, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_cut_anywhere_is_found_or_shows_as_a_torn_end(segment in any::<prop::sample::Index>(), at in any::<prop::sample::Index>()) {
        let mut files = log();
        let last = files.len() - 1;
        let segment = segment.index(files.len());
        let len = files[segment].1.len();
        let at = at.index(len);
        let is_at_line_end = at == 0 || files[segment].1[at - 1] == b'\n';
        files[segment].1.truncate(at);
        match verify_files(&files) {
            Err(VerifyError::Broken { .. }) => prop_assert!(segment < last),
            Ok(summary) => prop_assert!(segment == last && summary.torn.is_some() != is_at_line_end && summary.records < 12),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn a_changed_stretch_is_found(segment in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), new in prop::collection::vec(any::<u8>(), 1..20)) {
        let mut files = log();
        let original = verify_files(&files).expect("whole");
        let segment = segment.index(files.len());
        let at = at.index(files[segment].1.len());
        let end = (at + new.len()).min(files[segment].1.len());
        let before = files.clone();
        files[segment].1.splice(at..end, new);
        if files != before {
            let is_found = match verify_files(&files) {
                Ok(summary) => summary.head != original.head || summary.torn.is_some(),
                Err(_) => true,
            };
            prop_assert!(is_found);
        }
    }
}
