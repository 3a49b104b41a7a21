//! An index that is right, old, foreign, damaged or lying.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{directory, members, quiet, write_log};
use crate::audit::compress_closed;
use crate::audit::tests::forge::Forge;
use crate::search::{Calls, Index, IndexError, Kept, Subject};

fn open(file: &Path, dir: &Path) -> Result<(Index, Kept), IndexError> {
    Index::open(file, dir, &mut quiet())
}

fn find(index: &Index, dir: &Path, text: &str) -> Result<Vec<u64>, IndexError> {
    let subject = Subject { text: text.to_owned(), ..Subject::default() };
    let calls = Calls::new(dir, index)?.find(&subject)?;
    Ok(calls.iter().map(|call| call.action.seq).collect())
}

fn dial(log: &mut Forge, number: &str) -> u64 {
    let headers = format!(r#"["Action","Originate"],["Channel","PJSIP/1"],["Exten","{number}"]"#);
    log.record(20, &members("action", &format!("5e2b9c01-2.{number}"), "Originate", &headers, r#","decision":"allow""#))
}

fn answer(log: &mut Forge, number: &str) -> u64 {
    let headers = r#"["Response","Success"]"#;
    log.record(20, &members("response", &format!("5e2b9c01-2.{number}"), "", headers, r#","outcome":"Success""#))
}

/// A log and an index of it.
fn indexed() -> (tempfile::TempDir, PathBuf) {
    let dir = directory();
    write_log(dir.path());
    let file = dir.path().join("calls.index");
    assert_eq!(open(&file, dir.path()).expect("an index").1, Kept::Extended(17));
    (dir, file)
}

#[test]
fn an_index_grows_with_its_log() {
    let dir = directory();
    let file = dir.path().join("calls.index");
    let mut log = Forge::new(dir.path());
    dial(&mut log, "100");
    let (index, kept) = open(&file, dir.path()).expect("an index");
    assert_eq!((kept, find(&index, dir.path(), "100").expect("found")), (Kept::Extended(1), vec![1]));
    // The answer comes when the index was closed, in another segment, and the first one is compressed since.
    log.rotate();
    answer(&mut log, "100");
    dial(&mut log, "200");
    compress_closed(dir.path()).expect("compressed");
    let (index, kept) = open(&file, dir.path()).expect("an index");
    assert_eq!(kept, Kept::Extended(2));
    assert_eq!(find(&index, dir.path(), "200").expect("found"), [3]);
    let subject = Subject { text: "100".to_owned(), ..Subject::default() };
    let calls = Calls::new(dir.path(), &index).expect("a log").find(&subject).expect("found");
    assert_eq!(calls[0].answer.as_ref().expect("joined").seq, 2);
    assert_eq!(open(&file, dir.path()).expect("an index").1, Kept::Extended(0));
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_index_of_another_log_is_made_anew() {
    let (dir, file) = indexed();
    let other = directory();
    let mut log = Forge::new(other.path());
    for _ in 0..20 {
        dial(&mut log, "300");
    }
    let (index, kept) = open(&file, other.path()).expect("an index");
    assert!(matches!(&kept, Kept::Rebuilt(why) if why.contains("record 17 of the log is another one")), "{kept:?}");
    assert_eq!(find(&index, other.path(), "300").expect("found").len(), 1, "all have one id, and the last counts");
    drop(index);
    // And back, to a log that is shorter.
    let (index, kept) = open(&file, dir.path()).expect("an index");
    assert!(matches!(&kept, Kept::Rebuilt(why) if why.contains("does not have the last record")), "{kept:?}");
    assert_eq!(find(&index, dir.path(), "49891234").expect("found"), [4]);
}

#[test]
fn what_an_index_lies_about_or_has_lost_is_noticed() {
    for lie in [
        "UPDATE entry SET offset = offset + 1 WHERE seq > 0",
        "UPDATE entry SET offset = 0 WHERE seq > 0",
        "UPDATE entry SET segment = 7 WHERE seq > 0",
        "UPDATE entry SET segment = 11 WHERE seq > 0",
        "UPDATE entry SET seq = seq + 100 WHERE seq > 0",
        "DELETE FROM entry WHERE seq = 4",
        "DELETE FROM entry WHERE seq = 0",
        "DROP TABLE entry",
    ] {
        let (dir, file) = indexed();
        rusqlite::Connection::open(&file).expect("a database").execute_batch(lie).expect("done");
        let outcome =
            open(&file, dir.path()).and_then(|(index, kept)| Ok((find(&index, dir.path(), "49891234")?, kept)));
        let is_noticed = match &outcome {
            Err(IndexError::Wrong(_) | IndexError::Sql(_)) => true,
            Ok((_, Kept::Rebuilt(_))) => true,
            Ok(_) | Err(_) => false,
        };
        assert!(is_noticed, "{lie}: {outcome:?}");
        let (index, _) = Index::rebuild(&file, dir.path(), "it lies".to_owned(), &mut quiet()).expect("an index");
        assert_eq!(find(&index, dir.path(), "49891234").expect("found"), [4]);
    }
}

#[test]
fn a_damaged_index_is_made_anew_and_other_files_are_left_alone() {
    let (dir, file) = indexed();
    let whole = fs::read(&file).expect("an index");
    // The head says that it is ours; the rest is rubbish, or missing.
    for damaged in [[&whole[..100], &vec![0xA5; whole.len() - 100]].concat(), whole[..whole.len() / 2].to_vec()] {
        fs::write(&file, damaged).expect("written");
        let outcome = open(&file, dir.path()).and_then(|(index, _)| find(&index, dir.path(), "49891234"));
        assert!(
            matches!(&outcome, Ok(found) if found == &[4])
                || matches!(outcome, Err(IndexError::Wrong(_) | IndexError::Sql(_)))
        );
        let (index, _) = Index::rebuild(&file, dir.path(), "damaged".to_owned(), &mut quiet()).expect("an index");
        assert_eq!(find(&index, dir.path(), "49891234").expect("found"), [4]);
    }
    let foreign = dir.path().join("policy.yaml");
    for text in ["version: 1\n".to_owned(), "x".repeat(4_096)] {
        fs::write(&foreign, &text).expect("written");
        assert!(matches!(open(&foreign, dir.path()), Err(IndexError::NotAnIndex(_))));
        let rebuilt = Index::rebuild(&foreign, dir.path(), String::new(), &mut quiet());
        assert!(matches!(rebuilt, Err(IndexError::NotAnIndex(_))));
        assert_eq!(fs::read_to_string(&foreign).expect("there"), text);
    }
    let database = dir.path().join("other.sqlite");
    rusqlite::Connection::open(&database).expect("a database").execute_batch("CREATE TABLE t (a)").expect("made");
    assert!(matches!(open(&database, dir.path()), Err(IndexError::NotAnIndex(_))));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("set");
    assert!(matches!(open(&file, dir.path()), Err(IndexError::Writable(_))));
}

#[test]
fn a_broken_log_is_told_and_not_indexed() {
    let (dir, file) = indexed();
    let path = dir.path().join("audit-00000000000000000011.jsonl");
    let text = fs::read_to_string(&path).expect("a segment");
    fs::write(&path, text.replacen("client-closed", "client-clOsed", 1)).expect("written");
    assert!(matches!(open(&file, dir.path()), Err(IndexError::Log(_))));
}
