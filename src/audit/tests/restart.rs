//! What a start finds, and what it does about it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::super::{AuditError, BadRecord, verify};
use super::*;

async fn run_once(dir: &Path, names: &[&str]) {
    let audit = open(dir);
    audit.append(names.iter().map(|name| event(name))).await.expect("written");
    audit.close().await.expect("closed");
}

fn append(path: &Path, bytes: &[u8]) {
    let mut text = fs::read(path).expect("a segment");
    text.extend_from_slice(bytes);
    fs::write(path, text).expect("written");
}

#[tokio::test]
async fn the_chain_goes_on_after_a_restart() {
    let dir = directory();
    for _ in 0..3 {
        run_once(dir.path(), &["A"]).await;
    }
    assert_eq!(kinds(dir.path()), ["start", "event", "stop"].repeat(3));
    let summary = verify(dir.path()).expect("whole");
    assert_eq!((summary.records, summary.segments, summary.last_kind.as_str()), (9, 1, "stop"));
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    let dir = directory();
    let log = dir.path().join("a/b");
    run_once(&log, &["A"]).await;
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode(&log), mode(&segments(&log)[0]), mode(&log.join("audit.lock"))), (0o700, 0o600, 0o600));
}

#[tokio::test]
async fn a_second_writer_is_refused() {
    let dir = directory();
    let audit = open(dir.path());
    let error = Audit::open(&AuditConfig::new(dir.path())).expect_err("in use");
    assert!(
        matches!(&error, AuditError::Locked { holder, .. } if *holder == std::process::id().to_string()),
        "{error}"
    );
    assert!(error.to_string().contains("in use by another amiwall"));
    audit.close().await.expect("closed");
    run_once(dir.path(), &["A"]).await;
}

#[tokio::test]
async fn a_torn_tail_is_kept_and_recorded_at_every_length() {
    let dir = directory();
    run_once(dir.path(), &["A"]).await;
    let segment = segments(dir.path()).remove(0);
    let whole = fs::read(&segment).expect("a segment");
    let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').expect("lines") + 1;
    for cut in (last + 1)..whole.len() {
        let dir = directory();
        let segment = dir.path().join(segment.file_name().expect("a name"));
        fs::write(&segment, &whole[..cut]).expect("written");
        let summary = verify(dir.path()).expect("torn, not broken");
        assert_eq!(summary.torn.map(|(_, bytes)| bytes), Some(u64::try_from(cut - last).expect("small")));
        run_once(dir.path(), &["B"]).await;
        let torn = dir.path().join(format!("{}.torn-1", segment.file_name().expect("a name").display()));
        assert_eq!(fs::read(torn).expect("kept"), &whole[last..cut]);
        assert_eq!(kinds(dir.path()), ["start", "event", "recovery", "start", "event", "stop"]);
        assert_eq!(verify(dir.path()).expect("whole").torn, None);
    }
}

#[tokio::test]
async fn a_last_record_that_is_bad_is_set_aside_too() {
    let dir = directory();
    run_once(dir.path(), &["A"]).await;
    append(&segments(dir.path())[0], b"{\"seq\":4,\"time\n\0\0\0\0");
    assert!(verify(dir.path()).is_err());
    run_once(dir.path(), &["B"]).await;
    append(&segments(dir.path())[0], b"{");
    run_once(dir.path(), &["C"]).await;
    assert!(verify(dir.path()).is_ok());
    assert_eq!(kinds(dir.path()).iter().filter(|kind| *kind == "recovery").count(), 2);
    assert!(
        fs::read_dir(dir.path())
            .expect("a directory")
            .any(|e| { e.expect("an entry").file_name().to_string_lossy().ends_with(".torn-2") })
    );
}

#[tokio::test]
async fn nuls_behind_the_last_record_are_its_end() {
    let dir = directory();
    run_once(dir.path(), &["A"]).await;
    append(&segments(dir.path())[0], &[0; 10_000]);
    assert_eq!(verify(dir.path()).expect("whole").torn, None);
    run_once(dir.path(), &["B"]).await;
    assert_eq!(kinds(dir.path()), ["start", "event", "stop"].repeat(2));
}

#[tokio::test]
async fn a_bad_record_before_a_good_one_stops_the_start() {
    let dir = directory();
    run_once(dir.path(), &["A", "B"]).await;
    let segment = segments(dir.path()).remove(0);
    let text = fs::read_to_string(&segment).expect("a segment");
    fs::write(&segment, text.replacen("\"A\"", "\"X\"", 1)).expect("written");
    let error = Audit::open(&AuditConfig::new(dir.path())).expect_err("broken");
    assert!(matches!(error, AuditError::Broken { line: 2, problem: BadRecord::Hash, .. }), "{error}");
    assert!(error.to_string().contains("000001.jsonl:2: "), "{error}");
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&segment, [lines[0], lines[2], lines[3], ""].join("\n")).expect("written");
    let error = Audit::open(&AuditConfig::new(dir.path())).expect_err("broken");
    assert!(matches!(error, AuditError::Broken { line: 2, problem: BadRecord::Seq { .. }, .. }), "{error}");
}

#[tokio::test]
async fn a_segment_without_a_record_is_filled() {
    let dir = directory();
    run_once(dir.path(), &["A"]).await;
    let next = dir.path().join("audit-00000000000000000004.jsonl");
    fs::write(&next, "").expect("written");
    run_once(dir.path(), &["B"]).await;
    assert_eq!(verify(dir.path()).expect("whole").segments, 2);
    fs::write(dir.path().join("audit-00000000000000000099.jsonl"), "").expect("written");
    assert!(matches!(Audit::open(&AuditConfig::new(dir.path())), Err(AuditError::Broken { .. })));
}

#[tokio::test]
async fn a_crash_between_a_failed_sync_and_the_new_segment_loses_nothing() {
    let dir = directory();
    run_once(dir.path(), &["A"]).await;
    let segment = segments(dir.path()).remove(0);
    let suspect = segment.with_extension("jsonl.suspect");
    fs::rename(&segment, &suspect).expect("renamed");
    run_once(dir.path(), &["B"]).await;
    assert_eq!(segments(dir.path()), [suspect, segment]);
    assert_eq!(verify(dir.path()).expect("whole").records, 7);
}
