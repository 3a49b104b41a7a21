//! Transcripts.

use std::ops::ControlFlow;

use super::{CONNECT, END, START, directory, quiet, write_log};
use crate::audit::tests::forge::Forge;
use crate::audit::{VerifyError, compress_closed};
use crate::search::{Transcript, TranscriptError, clock};

#[test]
fn a_session_reads_as_a_dialogue() {
    let dir = directory();
    write_log(dir.path());
    compress_closed(dir.path()).expect("compressed");
    let transcript = Transcript::of(dir.path(), "5e2b9c01-2", &mut quiet()).expect("a session");
    assert_eq!((transcript.identity.as_str(), transcript.upstream.as_str()), ("alice", "pbx"));
    assert_eq!((transcript.actions, transcript.refused, transcript.responses, transcript.events), (3, 1, 2, 5));
    assert_eq!(transcript.duration, 1_200_000);
    assert_eq!(transcript.end.as_ref().expect("over").reason, "client-closed");
    let mut text = String::new();
    let shown = transcript.each(dir.path(), &mut quiet(), |entry| {
        text += &(entry.to_text("5e2b9c01-2") + "\n");
        ControlFlow::Continue(())
    });
    shown.expect("whole");
    assert!(text.starts_with("      0.000     connect"), "{text}");
    for part in [
        "      0.200 --> action Originate #1  allow  roles.dial.allow[0] (line 31)\n",
        "                  Exten: +49 89-1234\n",
        "(set by the policy: ChannelId)",
        "      0.300 <-- response Success #1 after 1.2 ms\n",
        "      0.400 <-- event Newchannel\n",
        "--> action originate #2  deny  params.Channel  roles.dial.deny[0]\n",
        "<-- response Error #2 (amiwall's own)\n",
        "Cause-txt: Normal \\u{1b}[2JClearing\n",
        "Name: J\u{fc}rgen \\u{1b}]0;x\\u{7}\n",
        "      1.200     end  client-closed\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("2001:db8") && !text.chars().any(|c| c.is_control() && c != '\n'));
}

#[test]
fn what_is_no_session_is_not_found() {
    let dir = directory();
    write_log(dir.path());
    for id in ["5e2b9c01-1", "5e2b9c01-99", "ffffffff-2", "5e2b9c01", "", "\u{1b}-2"] {
        let error = Transcript::of(dir.path(), id, &mut quiet()).expect_err("no session");
        assert!(matches!(error, TranscriptError::NotFound(_)), "{id}: {error}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
}

#[test]
fn a_session_that_a_crash_ended_has_no_end() {
    let dir = directory();
    let mut log = Forge::new(dir.path());
    log.record(20, START);
    log.record(20, CONNECT);
    log.record(20, START);
    log.record(20, END);
    let transcript = Transcript::of(dir.path(), "5e2b9c01-2", &mut quiet()).expect("a session");
    assert!(transcript.end.is_none() && transcript.identity.is_empty());
}

#[test]
fn a_break_within_a_session_is_told_when_it_is_shown() {
    let dir = directory();
    write_log(dir.path());
    let path = dir.path().join("audit-00000000000000000006.jsonl");
    let text = std::fs::read_to_string(&path).expect("a segment");
    std::fs::write(&path, text.replacen("170.2", "170.9", 1)).expect("written");
    let transcript = Transcript::of(dir.path(), "5e2b9c01-2", &mut quiet()).expect("a session");
    let mut shown = 0;
    let outcome = transcript.each(dir.path(), &mut quiet(), |_| {
        shown += 1;
        ControlFlow::Continue(())
    });
    assert!(matches!(outcome, Err(VerifyError::Broken { line: 2, .. })) && shown == 5);
}

#[test]
fn times_read_as_on_a_clock() {
    assert_eq!(clock(1_234_567), "1.234");
    assert_eq!(clock(61_000_000), "1:01.000");
    assert_eq!(clock(3_723_000_000), "1:02:03.000");
}
