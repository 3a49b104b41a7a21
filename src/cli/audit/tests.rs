//! The commands that read a log: exit codes, and what they print.

use std::ops::ControlFlow;
use std::path::Path;

use clap::Parser as _;

use super::output::{Printer, RecordFormat};
use super::{Exit, Failure, run, tail};
use crate::audit::{Follow, Trail};
use crate::search::tests::write_log;
use crate::search::{Filter, Query, search};

fn command(words: &[&str]) -> Result<Exit, Failure> {
    let cli = crate::cli::Cli::try_parse_from(["amiwall", "audit"].iter().chain(words)).expect("a command");
    let crate::cli::Command::Audit(args) = cli.command else { panic!("another command") };
    run(&args)
}

fn is_refused(words: &[&str]) -> bool {
    crate::cli::Cli::try_parse_from(["amiwall", "audit"].iter().chain(words)).is_err()
}

fn log() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    write_log(dir.path());
    dir
}

fn break_it(dir: &Path) {
    let path = dir.join("audit-00000000000000000006.jsonl");
    let text = std::fs::read_to_string(&path).expect("a segment");
    std::fs::write(&path, text.replacen("170.2", "170.9", 1)).expect("written");
}

#[test]
fn exit_codes_tell_found_from_nothing_from_broken_from_missing() {
    let dir = log();
    let path = dir.path().to_str().expect("a path");
    let index = dir.path().join("calls.index");
    let index = index.to_str().expect("a path");
    for (words, found) in [
        (vec!["search", path, "--kind", "stop"], true),
        (vec!["search", path, "--kind", "stop", "--to", "9999d"], false),
        (vec!["search", path, "--from", "2026-11-20", "--to", "2026-11-20"], true),
        (vec!["search", path, "--peer", "2001:db8::/32", "--format", "csv"], true),
        (vec!["search", path, "--identity", "bob", "--unverified", "--format", "json"], false),
        (vec!["who-originated", path, "+49 89 1234"], true),
        (vec!["who-originated", path, "+49 89 1234", "--from", "2026-11-21"], false),
        (vec!["who-originated", path, "170.2", "--index", index, "--format", "json"], true),
        (vec!["who-originated", path, "4711", "--index", index], false),
        (vec!["session", path, "5e2b9c01-2"], true),
        (vec!["session", path, "5e2b9c01-2", "--format", "json"], true),
        (vec!["tail", path, "-n", "2", "--decision", "deny"], true),
        (vec!["tail", path, "--number", "4711"], false),
    ] {
        let expected = if found { Exit::Ok } else { Exit::Denied };
        assert_eq!(command(&words).expect("done"), expected, "{words:?}");
    }
    assert_eq!(command(&["session", path, "5e2b9c01-9"]).expect_err("no session").exit, Exit::Denied);
    break_it(dir.path());
    for words in [
        &["search", path, "--kind", "action"][..],
        &["who-originated", path, "1001"],
        &["session", path, "5e2b9c01-2"],
        &["tail", path, "-n", "99"],
    ] {
        assert_eq!(command(words).expect("told"), Exit::BrokenChain, "{words:?}");
    }
    for words in [&["search", "/nowhere"][..], &["who-originated", "/nowhere", "1"], &["tail", "/nowhere", "-f"]] {
        assert_eq!(command(words).expect_err("missing").exit, Exit::Incomplete, "{words:?}");
    }
}

#[test]
fn what_means_nothing_is_refused() {
    for words in [
        ["search", "d", "--from", "yesterday"],
        ["search", "d", "--number", "abc"],
        ["search", "d", "--peer", "10.0.0.1/8"],
        ["search", "d", "--decision", "maybe"],
        ["search", "d", "--limit", "0"],
        ["tail", "d", "--to", "9999d9"],
    ] {
        assert!(is_refused(&words), "{words:?}");
    }
}

fn printed(dir: &Path, format: RecordFormat, query: Query) -> String {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, format, 80);
    let mut trail = Trail::open(dir).expect("a log");
    search(&mut trail, &mut Filter::new(query), &mut |_, _| {}, |found| printer.print(&found)).expect("whole");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn records_are_printed_for_people_programs_and_spreadsheets() {
    let dir = log();
    let refused = Query { decision: Some("deny".to_owned()), action: Some("originate".to_owned()), ..Query::default() };
    let json = printed(dir.path(), RecordFormat::Json, refused.clone());
    let segment = std::fs::read_to_string(dir.path().join("audit-00000000000000000011.jsonl")).expect("a segment");
    assert_eq!(json, segment.split_inclusive('\n').next().expect("a line"), "the line of the log, byte for byte");
    let csv = printed(dir.path(), RecordFormat::Csv, refused.clone());
    assert!(csv.starts_with("seq,time,kind,") && csv.lines().count() == 2 && csv.ends_with("\r\n"), "{csv}");
    assert!(
        csv.contains(",alice,203.0.113.7:51234,0.0.0.0:5039,pbx,originate,deny,params.Channel,roles.dial.deny[0],")
    );
    let table = printed(dir.path(), RecordFormat::Table, refused);
    let expected = "time (UTC)          identity   peer                  what           decision\n    \
                    rule or reason, and what the packet says\n\
                    2026-11-22 00:00:11 alice      203.0.113.7:51234     originate      deny\n    \
                    params.Channel  Channel=Local/09005551234@outside/n Application=Echo\n";
    assert_eq!(table, expected);
    assert_eq!(printed(dir.path(), RecordFormat::Csv, Query { kind: Some("x".into()), ..Query::default() }), "");
}

#[test]
fn following_prints_what_comes_and_stops_when_nobody_reads() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let dir = log();
    let mut filter = Filter::new(Query { kind: Some("login".to_owned()), ..Query::default() });
    let mut printer = Printer::new(Vec::new(), RecordFormat::Json, 80);
    let mut follow = Follow::behind(dir.path(), None);
    assert_eq!(tail::poll(&mut follow, &mut filter, &mut printer).expect("whole"), ControlFlow::Continue(()));
    let mut follow = Follow::behind(dir.path(), None);
    let mut closed = Printer::new(Closed, RecordFormat::Json, 80);
    assert_eq!(tail::poll(&mut follow, &mut filter, &mut closed).expect("whole"), ControlFlow::Break(()));
}
