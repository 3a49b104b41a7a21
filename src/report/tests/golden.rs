//! A log that the audit writer wrote, and the numbers that its report must have.

use std::path::Path;

use super::{fact, options, report, row, table};
use crate::ami::{Action, Message};
use crate::audit::tests::kept;
use crate::audit::{Audit, AuditConfig, Claimed, Draft, Frame, PolicyFacts, SessionContext, SessionCounts};
use crate::policy::{Decision, Denial, Limited, Reason};

/// A session of alice, from there.
async fn log_in(audit: &Audit, name: &str, peer: &str) -> Frame {
    let context = SessionContext {
        identity: None,
        peer: Some(peer.parse().expect("an address")),
        listener: "0.0.0.0:5039".to_owned(),
        upstream: "pbx".to_owned(),
        policy: "sha256:abc".to_owned(),
        ..SessionContext::default()
    };
    let seq = audit.commit(Draft::connect(&context)).await.expect("recorded");
    let context = SessionContext { session: audit.session_id(seq), identity: Some(name.to_owned()), ..context };
    audit.commit(Draft::login(&context, Claimed::Known(name.as_bytes()), "plain", Ok(()))).await.expect("recorded");
    Frame::from(context)
}

fn action(name: &str) -> Action {
    Action::try_from(Message::compose(&[("Action", name.as_bytes())])).expect("an action")
}

fn denial(name: &str, reason: Reason) -> Decision {
    Decision::Deny(Denial::of_unavailable(action(name), reason))
}

async fn write_log(dir: &Path) {
    let audit = Audit::open(&AuditConfig::new(dir)).expect("a log");
    let facts = PolicyFacts { digest: "sha256:abc", file: Path::new("/etc/p.yaml"), identities: 2, files: &[] };
    audit.commit(Draft::policy(facts, "start", &[])).await.expect("recorded");
    audit.commit(Draft::policy_refused("sha256:abc", Path::new("/etc/p.yaml"), "line 3: no")).await.expect("recorded");
    let alice = log_in(&audit, "alice", "203.0.113.7:51234").await;
    let bob = log_in(&audit, "bob", "[2001:db8::1]:1").await;
    let late = log_in(&audit, "bob", "[2001:db8::2]:2").await;
    let limited = || Reason::Limits { what: Limited::Rate, limit: "limits.actions.Ping".to_owned(), retry: None };
    let drafts = vec![
        Draft::action(&alice, "a.1", kept(denial("Originate", Reason::ActionsUnlisted))),
        Draft::action(&alice, "a.2", kept(denial("originate", Reason::ActionsUnlisted))),
        Draft::action(&bob, "b.1", kept(denial("Ping", limited()))),
        // The policy changed while it was written: the last one counts.
        Draft::action(&bob, "b.2", kept(denial("Ping", limited()))),
        Draft::action(&bob, "b.2", kept(denial("Command", Reason::ActionsDenied))),
        Draft::end(&alice, "client-closed", &SessionCounts::default()),
        Draft::end(&late, "logged-off", &SessionCounts::default()),
        Draft::admin("bob", "resume", "resumed", 0),
    ];
    audit.append(drafts).await.expect("written");
    let stranger =
        SessionContext { peer: Some("198.51.100.1:9".parse().expect("an address")), ..SessionContext::default() };
    for _ in 0..14 {
        let draft = Draft::login(&stranger, Claimed::Unknown(b"root"), "plain", Err("login.unknown-identity"));
        audit.append_unauthenticated("198.51.100.1".parse().expect("an address"), draft).await.expect("taken");
    }
    let refuse = Draft::refuse("192.0.2.9:7".parse().expect("an address"), None, "0.0.0.0:5039", "networks.listener");
    audit.append(vec![refuse]).await.expect("written");
    audit.close().await.expect("closed");
}

#[tokio::test]
async fn the_numbers_are_those_of_the_log() {
    let dir = tempfile::tempdir().expect("a directory");
    write_log(dir.path()).await;
    let report = report(dir.path(), options());
    assert!(report.verdict().broken.is_none());
    assert_eq!(report.verdict().head, crate::audit::verify(dir.path()).expect("whole").head);
    let facts =
        ["calls refused", "other actions refused", "sessions", "failed log-ins", "policy loads", "starts of amiwall"];
    assert_eq!(facts.map(|label| fact(&report, label)), ["2", "2", "3", "14", "2", "1"]);
    assert_eq!(row(&report, "identities", "alice")[..6], ["0", "0", "2", "0", "0", "0"]);
    assert_eq!(row(&report, "identities", "bob")[..6], ["0", "0", "0", "0", "0", "2"]);
    // Two spellings of one action are two rows, as they are two texts in the log.
    let reasons = table(&report, "refusals-by-reason");
    assert_eq!(reasons.iter().filter(|row| row[0] == "actions.unlisted").count(), 2);
    assert_eq!(row(&report, "limits-reached", "limits.actions.Ping")[..2], ["bob", "1"]);
    assert_eq!(row(&report, "addresses", "198.51.100.1")[..4], ["0", "14", "0", "4"]);
    assert_eq!(row(&report, "addresses", "2001:db8::/64")[..3], ["2", "0", "0"]);
    assert_eq!(row(&report, "addresses", "192.0.2.9")[..3], ["0", "0", "1"]);
    assert_eq!(row(&report, "logins-by-identity", "(no such identity)")[..2], ["0", "10"]);
    let bob = row(&report, "sessions-by-identity", "bob");
    assert_eq!((bob[..2].to_vec(), &bob[6]), (vec!["2".to_owned(), "2".to_owned()], &"1".to_owned()));
    assert_eq!(row(&report, "session-ends", "logged-off")[1], "1");
    assert_eq!(row(&report, "kinds", "action")[1..], ["5"]);
    let policies = table(&report, "policies");
    assert_eq!((policies.len(), policies[2][2].as_str(), policies[2][6].as_str()), (3, "refused", "line 3: no"));
    assert_eq!(table(&report, "suspensions")[1][1..3], ["told by an admin", "bob"]);
    let page = report.html();
    for text in ["The chain of records is whole", "no allow of the identity&#39;s roles names the action", "sha256:abc"]
    {
        assert!(page.contains(text), "{text}");
    }
    assert!(table(&report, "left-out")[1][0] == "0.1.0" && page.contains("default"));
}

#[tokio::test]
async fn a_broken_log_is_told_up_to_where_it_breaks() {
    let dir = tempfile::tempdir().expect("a directory");
    write_log(dir.path()).await;
    let segment = dir.path().join("audit-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&segment).expect("a segment");
    std::fs::write(&segment, text.replacen("\"reason\":\"actions.denied\"", "\"reason\":\"actions.Denied\"", 1))
        .expect("written");
    let report = report(dir.path(), options());
    let why = report.verdict().broken.clone().expect("broken");
    assert!(why.contains(":14: the record does not have the hash"), "{why}");
    assert_eq!((report.verdict().records, fact(&report, "calls refused").as_str()), (13, "2"));
    let page = report.html();
    let (verdict, body) = (page.find("✗ The chain of records is broken"), page.find("Summary"));
    assert!(verdict.is_some() && verdict < body && page.contains("Nothing behind the place where the log breaks"));
    assert!(!page.contains("The chain of records is whole"));
}
