//! `docs/audit-format.md` as another program would read it: a log is checked with the rules of that page and nothing of
//! amiwall's own reader.

#![expect(clippy::expect_used, clippy::panic, reason = "a test says so when it fails")]

use std::path::Path;

use amiwall::ami::Message;
use amiwall::audit::{Audit, AuditConfig, Draft, Frame, SessionContext, verify};
use serde_json::Value;

/// A log with values that are hard to encode, in several segments.
async fn write_log(dir: &Path) {
    let config = AuditConfig { segment_size: 2_000, ..AuditConfig::new(dir) };
    for _ in 0..2 {
        let audit = Audit::open(&config).expect("a log");
        let context = SessionContext { identity: Some("alice".to_owned()), ..SessionContext::default() };
        let seq = audit.commit(Draft::connect(&context)).await.expect("recorded");
        let context = Frame::from(SessionContext { session: audit.session_id(seq), ..context });
        for byte in (0x20..=0xff_u8).filter(|byte| *byte != 0x7f) {
            let value = [b'a', byte, b'"', b'\\', b'}'];
            let message = Message::compose(&[("Event", b"Hangup"), ("Value", &value)]);
            audit.append(vec![Draft::reply(&context, None, &message, None)]).await.expect("written");
        }
        audit.close().await.expect("closed");
    }
}

fn hash_of(line: &str, hash: &str) -> String {
    let record = line.replace(&format!(",\"hash\":\"{hash}\""), "");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, record.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a header's value, as the page says.
fn value_bytes(pair: &Value) -> Vec<u8> {
    let text = pair[1].as_str().expect("a text");
    match pair.get(2).map(|how| how.as_str().expect("a text")) {
        None => text.as_bytes().to_vec(),
        Some("latin1") => text.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect(),
        Some(other) => panic!("unknown: {other}"),
    }
}

#[tokio::test]
async fn a_log_is_as_its_page_says() {
    let dir = tempfile::tempdir().expect("a directory");
    write_log(dir.path()).await;
    let entries = std::fs::read_dir(dir.path()).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.retain(|name| name.ends_with(".jsonl"));
    names.sort_unstable();
    assert!(names.len() > 10);
    let (mut seq, mut prev, mut seen) = (0, "0".repeat(64), Vec::new());
    for name in names {
        assert_eq!(name, format!("audit-{:020}.jsonl", seq + 1));
        for line in std::fs::read_to_string(dir.path().join(name)).expect("UTF-8").lines() {
            assert!(!line.chars().any(char::is_control));
            let record: Value = serde_json::from_str(line).expect("JSON");
            let hash = record["hash"].as_str().expect("a hash");
            seq += 1;
            assert_eq!((&record["seq"], &record["prev"]), (&seq.into(), &Value::from(prev.clone())));
            assert_eq!(hash, hash_of(line, hash));
            prev = hash.to_owned();
            seen.extend(record["headers"].get(1).map(value_bytes));
        }
    }
    let values = (0x20..=0xff_u8).filter(|byte| *byte != 0x7f).map(|byte| vec![b'a', byte, b'"', b'\\', b'}']);
    assert_eq!(seen, values.clone().chain(values).collect::<Vec<_>>());
    let summary = verify(dir.path()).expect("whole");
    assert_eq!((summary.records, summary.head), (seq, prev));
}

#[test]
fn the_page_names_every_kind() {
    let page = include_str!("../docs/audit-format.md");
    let kinds = "action connect end event limit login outage policy recovery refuse response start stop";
    for kind in kinds.split(' ') {
        assert!(page.contains(&format!("`{kind}`")), "{kind}");
    }
}
