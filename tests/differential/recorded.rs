//! What stands in the audit log is what Asterisk reads: the same comparison, with a real log in between.

use amiwall::audit::{Audit, AuditConfig, Frame, LoggedValue, SessionContext, Split, read};
use amiwall::identity::ClientName;

use crate::forward::{self, CLIENTS, Wall};
use crate::grammar;
use crate::random::Random;
use crate::reader::{Outcome, Packet, Reader};

const INPUTS: u64 = 3_000;

#[tokio::test]
async fn what_is_on_record_is_what_asterisk_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = AuditConfig { redact: Vec::new(), ..AuditConfig::new(folder.path()) };
    let audit = Audit::open(&config).expect("a log");
    let session = Frame::from(SessionContext { session: "s".to_owned(), ..SessionContext::default() });
    let (wall, mut decisions) = (Wall::new(), Vec::new());
    for seed in 0..INPUTS {
        let mut random = Random::of_seed(seed);
        let client = ClientName::for_explain(random.one_of(&CLIENTS));
        let bytes = grammar::stream(&mut random);
        let (read, _) = forward::decode(&mut random, &bytes);
        for message in read.into_iter().flatten() {
            let id = format!("s.{}", decisions.len());
            if let Some(decision) = wall.judge(&client, message, &id) {
                decisions.push((id, decision));
            }
        }
    }
    let recorded = audit.record(&session, decisions).await.expect("recorded");
    audit.close().await.expect("closed");
    let mut records = read(folder.path()).expect("records").filter_map(|record| {
        let record = record.expect("a record");
        (record.kind == "action").then_some(record)
    });
    let mut forwarded = 0;
    for (id, decision) in recorded {
        let record = records.next().expect("a record of each");
        assert_eq!(record.id, id);
        let Split::Forward(permit) = decision.split() else {
            assert_eq!(record.decision, "deny");
            continue;
        };
        assert!(record.decision == "allow" || record.decision == "would-deny", "{}", record.decision);
        let mut bytes = Vec::new();
        permit.get().action().encode("aw-1", &mut bytes);
        let packet = only_packet(&bytes);
        let on_record = record.headers.iter().map(|header| match &header.value {
            LoggedValue::Bytes(value) => (header.name.as_bytes(), value.as_slice()),
            LoggedValue::Hidden | LoggedValue::Length(_) | LoggedValue::Pseudonym { .. } => panic!("hidden"),
        });
        let is_moved = |name: &[u8]| name.eq_ignore_ascii_case(b"Action") || name.eq_ignore_ascii_case(b"ActionID");
        let action: Vec<&[u8]> = on_record
            .clone()
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"Action"))
            .map(|(_, value)| value)
            .collect();
        assert_eq!(Some(action.as_slice()), packet.action().as_ref().map(std::slice::from_ref));
        let on_record: Vec<_> = on_record.filter(|(name, _)| !is_moved(name)).collect();
        let seen: Vec<_> = packet.headers().filter(|(name, _)| !is_moved(name)).collect();
        assert_eq!(on_record, seen, "{id}");
        forwarded += 1;
    }
    assert!(forwarded > INPUTS / 10, "only {forwarded} were forwarded");
}

fn only_packet(bytes: &[u8]) -> Packet {
    let mut asterisk = Reader::default();
    asterisk.read(bytes);
    match asterisk.outcomes().as_slice() {
        [Outcome::Runs(packet)] => packet.clone(),
        other => panic!("{other:?}"),
    }
}
