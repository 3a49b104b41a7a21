//! A log read record by record.

use super::super::{LoggedValue, VerifyError, read};
use super::{action, directory, event, open, segments, session};
use crate::audit::Draft;
use crate::policy::{Decision, Denial, Reason};

#[tokio::test]
async fn records_come_as_they_were_written() {
    let dir = directory();
    let audit = open(dir.path());
    let message = action(&[("Action", b"Getvar"), ("Variable", b"J\xfcrgen"), ("Secret", b"x")]);
    let decision = Decision::Deny(Denial::of_unavailable(message, Reason::UpstreamLost));
    audit.append(vec![Draft::action(&session(), "1.2", &decision), event("Hangup")]).await.expect("written");
    audit.close().await.expect("closed");
    let records: Vec<_> = read(dir.path()).expect("a log").map(|record| record.expect("a record")).collect();
    let kinds: Vec<&str> = records.iter().map(|record| record.kind.as_str()).collect();
    assert_eq!(kinds, ["start", "action", "event", "stop"]);
    assert_eq!(records.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let record = &records[1];
    assert_eq!((record.identity.as_str(), record.peer.as_str()), ("alice", "203.0.113.7:51234"));
    assert_eq!((record.decision.as_str(), record.reason.as_str()), ("deny", "upstream.lost"));
    let values: Vec<&LoggedValue> = record.headers.iter().map(|header| &header.value).collect();
    assert_eq!(values[1..], [&LoggedValue::Bytes(b"J\xfcrgen".to_vec()), &LoggedValue::Hidden]);
    assert_eq!((records[0].packets.as_str(), records[2].name.as_str()), ("both", "Hangup"));
    let events = read(dir.path()).expect("a log").of_kinds(&["event"]);
    assert_eq!(events.map(|record| record.expect("a record").seq).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn the_first_error_is_the_last_element() {
    let dir = directory();
    let audit = open(dir.path());
    audit.append(vec![event("One"), event("Two"), event("Three")]).await.expect("written");
    audit.close().await.expect("closed");
    let segment = &segments(dir.path())[0];
    let text = std::fs::read_to_string(segment).expect("UTF-8");
    std::fs::write(segment, text.replacen("\"Two\"", "\"Six\"", 1)).expect("written");
    // Records that nobody asked for are checked all the same.
    let mut stops = read(dir.path()).expect("a log").of_kinds(&["stop"]);
    assert!(matches!(stops.next(), Some(Err(VerifyError::Broken { line: 3, good: 2, .. }))));
    assert!(stops.next().is_none());
    let mut all = read(dir.path()).expect("a log");
    assert_eq!(all.by_ref().filter(Result::is_ok).count(), 2);
    assert!(all.next().is_none());
}
