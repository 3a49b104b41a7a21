//! Who placed a call.

use super::{directory, members, quiet, write_log};
use crate::audit::tests::forge::Forge;
use crate::audit::{Trail, compress_closed};
use crate::search::{Call, Calls, Index, Subject};
use std::path::Path;

fn subject(text: &str) -> Subject {
    Subject { text: text.to_owned(), ..Subject::default() }
}

fn find(dir: &Path, subject: &Subject) -> Vec<Call> {
    let index = Index::temporary(&mut Trail::open(dir).expect("a log"), &mut quiet()).expect("an index");
    Calls::new(dir, &index).expect("a log").find(subject).expect("found")
}

fn actions(calls: &[Call]) -> Vec<u64> {
    calls.iter().map(|call| call.action.seq).collect()
}

#[test]
fn a_number_and_every_id_of_its_channels_lead_to_who_called() {
    let dir = directory();
    write_log(dir.path());
    for is_compressed in [false, true] {
        if is_compressed {
            compress_closed(dir.path()).expect("compressed");
        }
        for text in ["+49 89 1234", "49891234", "170.1", "170.2"] {
            let calls = find(dir.path(), &subject(text));
            assert_eq!(actions(&calls), [4], "{text}");
            let call = &calls[0];
            assert_eq!((call.action.identity.as_str(), call.action.decision.as_str()), ("alice", "allow"));
            assert_eq!(call.answer.as_ref().expect("answered").seq, 5);
            assert_eq!(call.result.as_ref().expect("picked up").seq, 8);
            assert_eq!(call.channels, ["170.1", "170.2"]);
            assert_eq!(call.linked.iter().collect::<Vec<_>>(), ["170.1"]);
            assert_eq!(call.ended.iter().map(|ended| ended.seq).collect::<Vec<_>>(), [9, 10]);
        }
    }
}

#[test]
fn refused_calls_and_transfers_are_found_too() {
    let dir = directory();
    write_log(dir.path());
    let refused = find(dir.path(), &subject("0900 555-1234"));
    assert_eq!(actions(&refused), [11]);
    assert_eq!(refused[0].answer.as_ref().expect("answered").origin, "amiwall");
    assert!(refused[0].ended.is_empty());
    assert_eq!(actions(&find(dir.path(), &subject("0049 891234"))), [13]);
    assert_eq!(
        actions(&find(dir.path(), &subject("1001"))),
        [4, 13],
        "the one that is called first, and the transferred"
    );
    assert!(find(dir.path(), &subject("5550")).is_empty(), "a caller's own number was not called");
    assert!(find(dir.path(), &subject("170")).is_empty() && find(dir.path(), &subject("")).is_empty());
    let until = Subject { until: Some("2026-11-20T00:00:03.000000Z".to_owned()), ..subject("49891234") };
    assert!(find(dir.path(), &until).is_empty());
    let since = Subject { since: Some("2026-11-20T00:00:04.000000Z".to_owned()), ..subject("49891234") };
    assert_eq!(actions(&find(dir.path(), &since)), [4]);
}

#[test]
fn ids_belong_to_their_asterisk_and_judged_again_counts_once() {
    let dir = directory();
    let mut log = Forge::new(dir.path());
    let originate = r#"["Action","Originate"],["Channel","PJSIP/7"],["ChannelId","mine"]"#;
    log.record(20, &members("action", "5e2b9c01-2.1", "Originate", originate, r#","decision":"deny""#));
    log.record(20, &members("action", "5e2b9c01-2.1", "Originate", originate, r#","decision":"allow""#));
    let hangup = r#"["Event","Hangup"],["Uniqueid","mine"],["Cause","17"]"#;
    log.record(20, &members("event", "", "Hangup", hangup, "").replace("\"pbx\"", "\"other\""));
    log.record(20, &members("event", "", "Hangup", hangup, ""));
    // Another session saw the same event.
    log.record(20, &members("event", "", "Hangup", hangup, "").replace("5e2b9c01-2", "5e2b9c01-9"));
    let calls = find(dir.path(), &subject("7"));
    assert_eq!(actions(&calls), [2]);
    assert_eq!(calls[0].ended.iter().map(|ended| ended.seq).collect::<Vec<_>>(), [4]);
    assert_eq!(actions(&find(dir.path(), &subject("mine"))), [2]);
}
