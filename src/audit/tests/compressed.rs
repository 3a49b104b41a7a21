//! A log with compressed segments is the log that it was.

use std::fs;
use std::io::Write as _;

use super::super::segment::list_segments;
use super::super::{BadRecord, VerifyError, compress, compress_closed, read, replay, verify};
use super::*;

/// A closed log of several segments.
async fn log() -> tempfile::TempDir {
    let dir = directory();
    let audit = Audit::open(&AuditConfig { segment_size: 1_000, ..AuditConfig::new(dir.path()) }).expect("a log");
    for number in 0..10 {
        audit.append(vec![event(&number.to_string())]).await.expect("written");
    }
    audit.close().await.expect("closed");
    dir
}

fn names(dir: &Path) -> Vec<String> {
    list_segments(dir).expect("a directory").into_iter().map(|segment| segment.name).collect()
}

#[tokio::test]
async fn closed_segments_are_compressed_and_read_as_before() {
    let dir = log().await;
    let (before, plain) = (verify(dir.path()).expect("whole"), names(dir.path()));
    let done = compress_closed(dir.path()).expect("compressed");
    assert_eq!(done.segments, u64::try_from(plain.len() - 1).expect("small"));
    assert!(done.after < done.before);
    let compressed = names(dir.path());
    assert!(compressed.iter().rev().skip(1).all(|name| name.ends_with(".jsonl.zst")), "{compressed:?}");
    assert_eq!(compressed.last(), plain.last(), "the last segment may be open");
    assert_eq!(verify(dir.path()).expect("whole"), before);
    assert_eq!(read(dir.path()).expect("a log").filter(Result::is_ok).count(), 12);
    replay(dir.path(), |_, _| true).expect("read");
    assert_eq!(compress_closed(dir.path()).expect("nothing to do").segments, 0);
    // amiwall goes on in the last segment; if that is gone with its stop, behind the compressed one.
    open(dir.path()).close().await.expect("closed");
    verify(dir.path()).expect("whole");
    fs::remove_file(dir.path().join(names(dir.path()).pop().expect("a segment"))).expect("removed");
    open(dir.path()).close().await.expect("closed");
    assert_eq!(verify(dir.path()).expect("whole").last_kind, "stop");
}

#[tokio::test]
async fn a_crash_at_any_point_leaves_the_same_log() {
    let dir = log().await;
    let before = verify(dir.path()).expect("whole");
    let name = names(dir.path()).remove(0);
    let plain = fs::read(dir.path().join(&name)).expect("a segment");
    // While it is written, …
    fs::write(dir.path().join(format!("{name}.zst.tmp")), b"half").expect("written");
    assert_eq!(verify(dir.path()).expect("whole"), before);
    compress(dir.path(), &name).expect("compressed");
    assert!(!dir.path().join(&name).exists() && !dir.path().join(format!("{name}.zst.tmp")).exists());
    // … and before the plain one is removed: then that one counts, whatever the other holds.
    fs::write(dir.path().join(&name), &plain).expect("written");
    fs::write(dir.path().join(format!("{name}.zst")), b"rubbish").expect("written");
    assert_eq!(verify(dir.path()).expect("whole"), before);
    assert_eq!(compress_closed(dir.path()).expect("compressed").segments, before.segments as u64 - 1);
    assert_eq!(verify(dir.path()).expect("whole"), before);
}

#[tokio::test]
async fn open_suspect_and_foreign_files_are_left_alone() {
    let dir = log().await;
    let all = names(dir.path());
    let suspect = format!("{}.suspect", all[1]);
    fs::rename(dir.path().join(&all[1]), dir.path().join(&suspect)).expect("renamed");
    for name in [all.last().expect("a segment"), &suspect, "../x", "audit.lock"] {
        let error = compress(dir.path(), name).expect_err("refused");
        assert!(error.to_string().contains(name), "{error}");
    }
    compress_closed(dir.path()).expect("compressed");
    assert!(dir.path().join(&suspect).exists() && verify(dir.path()).is_ok());
}

#[tokio::test]
async fn a_damaged_file_is_named() {
    let dir = log().await;
    compress_closed(dir.path()).expect("compressed");
    let name = names(dir.path()).remove(1);
    let path = dir.path().join(&name);
    let whole = fs::read(&path).expect("a segment");
    for at in 0..whole.len() {
        fs::write(&path, &whole[..at]).expect("written");
        let Err(VerifyError::Broken { segment, .. }) = verify(dir.path()) else { panic!("cut at {at}") };
        assert!(at == 0 || segment.ends_with(&name), "{at}: {}", segment.display());
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        fs::write(&path, &flipped).expect("written");
        // Some bits mean nothing; what is read is then what was written, or it is found.
        if let Err(error) = verify(dir.path()) {
            assert!(matches!(error, VerifyError::Broken { .. }) && error.to_string().contains(&name), "{error}");
        }
    }
    // A start does not go on behind it.
    fs::write(&path, &whole[..whole.len() / 2]).expect("written");
    for name in names(dir.path()).into_iter().skip(2) {
        fs::remove_file(dir.path().join(name)).expect("removed");
    }
    let error = Audit::open(&AuditConfig::new(dir.path())).expect_err("refused").to_string();
    assert!(error.contains(&name) && error.contains("cut off or damaged"), "{error}");
}

#[test]
fn a_file_that_wants_much_memory_is_refused() {
    let dir = directory();
    let path = dir.path().join("audit-00000000000000000001.jsonl.zst");
    let mut encoder =
        zstd::stream::write::Encoder::new(fs::File::create(&path).expect("a file"), 1).expect("an encoder");
    encoder.window_log(27).expect("a window");
    for _ in 0..16 {
        encoder.write_all(&vec![0; 1 << 20]).expect("written");
    }
    encoder.finish().expect("written");
    let Err(VerifyError::Broken { problem: BadRecord::Compressed(problem), .. }) = verify(dir.path()) else {
        panic!("read")
    };
    assert!(problem.contains("memory"), "{problem}");
}
