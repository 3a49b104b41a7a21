//! What stands in a record.

use std::time::Duration;

use super::super::redact::Redactor;
use super::super::{Claimed, Kind, Packets, PolicyFacts, PolicyFile, SessionCounts};
use super::*;
use crate::ami::{ActionError, Decoder, Limits};
use crate::policy::{Limited, Tripped};

fn encoded(draft: &Draft<'_>) -> String {
    let mut out = Vec::new();
    draft.encode(&mut out, &Redactor::new(&AuditConfig::default_redact()));
    let text = String::from_utf8(out).expect("UTF-8");
    let json: serde_json::Value = serde_json::from_str(&format!("{{\"seq\":1{text}}}")).expect("JSON");
    assert_eq!(json["kind"], draft.kind().name());
    text
}

const WHO: &str = r#""identity":"alice","peer":"203.0.113.7:51234","listener":"0.0.0.0:5039","upstream":"pbx""#;

#[test]
fn an_action_has_the_members_of_the_design_in_their_order() {
    let action = action(&[("Action", b"Originate"), ("ActionID", b"7"), ("Variable", b"PIN=1,a=b")]);
    let decision = Decision::Deny(Denial::of_unavailable(action, Reason::AuditUnavailable));
    let headers = r#""headers":[["Action","Originate"],["ActionID","7"],["Variable","PIN=[redacted],a=b"]]"#;
    let expected = format!(
        r#","kind":"action","session":"5e2b9c01-37","id":"5e2b9c01-37.4",{WHO},"direction":"to-asterisk","name":"Originate",{headers},"decision":"deny","reason":"audit.unavailable","policy":"sha256:abc""#
    );
    assert_eq!(encoded(&Draft::action(&session(), "5e2b9c01-37.4", &decision)), expected);
}

#[test]
fn a_limit_is_told_apart_from_a_denial() {
    let reason = Reason::Limits {
        what: Limited::Rate,
        limit: "roles.x.limits.*".to_owned(),
        retry: Some(Duration::from_millis(1_500)),
    };
    let decision = Decision::Deny(Denial::of_unavailable(action(&[("Action", b"Ping")]), reason));
    let text = encoded(&Draft::action(&session(), "1", &decision));
    let expected = r#""decision":"limit","reason":"limits.rate","limit":"roles.x.limits.*","retry_ms":1500,"policy""#;
    assert!(text.contains(expected), "{text}");
}

#[test]
fn answers_and_events_say_how_they_belong() {
    let answer = Message::compose(&[("Response", b"Success"), ("ActionID", b"7"), ("Ping", b"Pong")]);
    let headers = r#""headers":[["Response","Success"],["ActionID","7"],["Ping","Pong"]]"#;
    let expected = format!(
        r#","kind":"response","session":"5e2b9c01-37","id":"s.4",{WHO},"direction":"to-client",{headers},"outcome":"Success","latency_us":812,"policy":"sha256:abc""#
    );
    assert_eq!(encoded(&Draft::reply(&session(), Some("s.4"), &answer, Some(812))), expected);
    assert!(
        encoded(&Draft::local_reply(&session(), None, &answer)).contains(r#""outcome":"Success","origin":"amiwall","#)
    );
    let withheld = encoded(&Draft::withheld(&session(), None, &answer, "upstream.unknown-id"));
    assert!(
        withheld.contains(r#""outcome":"Success","decision":"deny","reason":"upstream.unknown-id","#),
        "{withheld}"
    );
    let event = encoded(&event("Newchannel"));
    assert!(event.contains(r#""direction":"to-client","name":"Newchannel","headers":[["Event""#), "{event}");
    assert!(!event.contains("outcome") && !event.contains(r#""id""#));
}

#[test]
fn of_what_was_not_understood_only_names_and_lengths_are_shown() {
    let message =
        Message::compose(&[("Action", b"Login"), ("ACTIONID", b"7"), ("Secret", b"hunter2"), ("Secret", b"x")]);
    let decision = Decision::Deny(Denial::of_message(&ActionError::DuplicateHeader("Secret".to_owned()), message));
    let text = encoded(&Draft::action(&session(), "1", &decision));
    let headers = r#""headers":[["Action","Login"],["ACTIONID","7"],["Secret",7,"length"],["Secret",1,"length"]]"#;
    assert!(text.contains(headers) && text.contains(r#""reason":"message.duplicate-header""#), "{text}");
    let early = action(&[("Action", b"Originate"), ("Account", b"hunter2")]);
    let text = encoded(&Draft::action(&session(), "", &Decision::Deny(Denial::before_login(early))));
    assert!(text.contains(r#"[["Action","Originate"],["Account",7,"length"]]"#), "{text}");
    let mut decoder = Decoder::client(Limits::CLIENT);
    decoder.feed(b"Action: Log\0in\r\nSecret: hunter2\r\n\r\n");
    let Some(Err(malformed)) = decoder.next_message() else { panic!("understood") };
    let text = encoded(&Draft::action(&session(), "1", &Decision::Deny(Denial::of_malformed(malformed))));
    assert!(text.contains(r#"["Secret",7,"length"]"#) && !text.contains("hunter2"), "{text}");
}

#[test]
fn bytes_that_are_not_utf_8_are_kept() {
    let message =
        Message::compose(&[("Event", b"X"), ("CallerIDName", b"J\xfcrgen \x9b"), ("Y", "J\u{fc}rgen".as_bytes())]);
    let text = encoded(&Draft::reply(&session(), None, &message, None));
    assert!(text.contains(r#"["CallerIDName","Jürgen \u009b","latin1"],["Y","Jürgen"]"#), "{text}");
    let json: serde_json::Value = serde_json::from_str(&format!("{{\"seq\":1{text}}}")).expect("JSON");
    let value = json["headers"][1][1].as_str().expect("a text");
    let bytes: Vec<u8> = value.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect();
    assert_eq!(bytes, b"J\xfcrgen \x9b");
}

#[test]
fn the_records_of_a_session_name_their_cause() {
    let session = session();
    let peer = "[2001:db8::1]:5".parse().expect("an address");
    let refuse = encoded(&Draft::refuse(peer, None, "0.0.0.0:5039", "networks.listener"));
    assert_eq!(
        refuse,
        r#","kind":"refuse","peer":"[2001:db8::1]:5","listener":"0.0.0.0:5039","decision":"deny","reason":"networks.listener""#
    );
    let login = encoded(&Draft::login(&session, Claimed::Known(b"al\xffice"), "md5", Err("login.secret")));
    assert!(
        login.contains(&format!(
            r#"{WHO},"decision":"deny","reason":"login.secret","claimed":"alÿice","method":"md5","#
        ))
    );
    let known = encoded(&Draft::login(&session, Claimed::Known(b"alice"), "plain", Ok(())));
    assert!(known.contains(r#""decision":"allow","claimed":"alice""#), "{known}");
    let unknown =
        encoded(&Draft::login(&session, Claimed::Unknown(b"hunter2"), "plain", Err("login.unknown-identity")));
    assert!(unknown.contains(r#""claimed_length":7,"method":"plain""#) && !unknown.contains("hunter2"), "{unknown}");
    let counts = SessionCounts { forwarded: 3, refused: 1, sent: 9, unanswered: 2 };
    let end = encoded(&Draft::end(&session, "client-closed", &counts));
    assert!(
        end.contains(
            r#""reason":"client-closed","forwarded":3,"refused":1,"sent":9,"unanswered":2,"policy":"sha256:abc""#
        ),
        "{end}"
    );
    let tripped = Tripped { limit: "roles.x.trip".to_owned(), count: 20, seconds: Some(7_200), first_call: None };
    let limit = encoded(&Draft::tripped(&session, &tripped));
    let expected = r#""decision":"limit","reason":"limits.tripped","limit":"roles.x.trip","count":20,"seconds":7200"#;
    assert!(limit.contains(expected), "{limit}");
    let facts = PolicyFacts { digest: "sha256:d", file: Path::new("/etc/p.yaml"), identities: 3, files: &[] };
    let policy = encoded(&Draft::policy(facts, "start", &[]));
    assert!(
        policy.ends_with(
            r#""file":"/etc/p.yaml","identities":3,"trigger":"start","outcome":"loaded","policy":"sha256:d""#
        )
    );
    let file = |path: &str| PolicyFile { path: path.to_owned(), used_by: None };
    let many: Vec<_> = (0..203).map(|n| file(&format!("{n}.hash"))).collect();
    let policy = encoded(&Draft::policy(PolicyFacts { files: &many, ..facts }, "start", &[]));
    assert!(policy.contains(r#""files":[{"path":"0.hash"},{"path":"1.hash"},"#), "{policy}");
    assert!(policy.ends_with(r#"{"path":"199.hash"}],"files_more":3,"policy":"sha256:d""#), "{policy}");
    let refused = encoded(&Draft::policy_refused("sha256:d", Path::new("p"), "p:1:2: no"));
    assert!(refused.contains(r#""outcome":"refused","problem":"p:1:2: no","policy":"sha256:d""#));
    assert_eq!(format!("{:?}", event("secret")), "Draft(event)");
}

#[tokio::test]
async fn the_connect_record_names_the_session_that_it_begins() {
    let dir = directory();
    let audit = open(dir.path());
    let seq = audit.commit(Draft::connect(&session())).await.expect("recorded");
    let record = records(dir.path()).pop().expect("a record");
    assert_eq!(record["session"], audit.session_id(seq));
    assert_eq!(record["session"], format!("{}-2", audit.boot_id()));
    assert_eq!(records(dir.path())[0]["boot"], audit.boot_id());
    assert_eq!((audit.boot_id().len(), &record["peer"]), (8, &"203.0.113.7:51234".into()));
}

#[tokio::test]
async fn what_the_settings_leave_out_is_listed() {
    let dir = directory();
    let except_events = vec!["RTCPSent".to_owned()];
    let config = AuditConfig { except_events: except_events.clone(), ..AuditConfig::new(dir.path()) };
    let audit = Audit::open(&config).expect("a log");
    assert_eq!(audit.append(vec![event("rtcpsent"), event("A"), event("RTCPSENT")]).await, Ok(2));
    assert_eq!(audit.append(vec![event("RTCPSent")]).await, Ok(0));
    audit.close().await.expect("closed");
    assert_eq!(kinds(dir.path()), ["start", "event", "stop"]);
    assert_eq!(records(dir.path())[0]["except_events"], serde_json::json!(except_events));

    let dir = directory();
    let audit = Audit::open(&AuditConfig { packets: Packets::Actions, ..AuditConfig::new(dir.path()) }).expect("a log");
    let answer = Message::compose(&[("Response", b"Success")]);
    assert_eq!(audit.append(vec![event("A"), Draft::local_reply(&session(), None, &answer)]).await, Ok(0));
    audit.record(&session(), vec![("1".to_owned(), decision())]).await.expect("recorded");
    audit.close().await.expect("closed");
    assert_eq!(kinds(dir.path()), ["start", "action", "stop"]);
}

#[tokio::test]
async fn a_flood_becomes_a_count() {
    let dir = directory();
    let audit = open(dir.path());
    let peer = session().peer.expect("an address");
    let mut exact = 0;
    for _ in 0..100 {
        let draft = Draft::refuse(peer, None, "l", "networks.listener");
        exact += usize::from(audit.append_unauthenticated(peer.ip(), draft).await.expect("written").is_some());
    }
    assert_eq!(exact, 10);
    audit.close().await.expect("closed");
    let records = records(dir.path());
    assert_eq!(records.len(), 1 + 10 + 1 + 1);
    assert_eq!((&records[11]["kind"], &records[11]["count"]), (&"refuse".into(), &90.into()));
}

/// What a stranger sends is on record by names and lengths; he may choose long names, from many addresses.
#[tokio::test]
async fn a_thousand_addresses_that_fail_to_log_in_write_half_a_megabyte_a_minute() {
    let dir = directory();
    let audit = open(dir.path());
    let long = "n".repeat(900);
    let mut sent = 0;
    for round in 0..5_u8 {
        for number in 0..1_000_u32 {
            let peer = std::net::SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + number), 50_000));
            let context = Frame::from(SessionContext { peer: Some(peer), ..(**session()).clone() });
            let headers = [("Action", long.as_bytes()), (long.as_str(), b"x".as_slice())];
            let refused = Decision::Deny(Denial::before_login(action(&headers)));
            sent += 2 * long.len();
            let drafts = [
                Draft::connect(&context),
                Draft::action(&context, "", &refused),
                Draft::login(&context, Claimed::Unknown(b"somebody"), "plain", Err("login.unknown-identity")),
                Draft::end(&context, "login-failed", &SessionCounts::default()),
            ];
            for draft in drafts {
                audit.append_unauthenticated(peer.ip(), draft).await.unwrap_or_else(|_| panic!("round {round}"));
            }
        }
    }
    audit.close().await.expect("closed");
    let written: u64 = std::fs::read_dir(dir.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "jsonl"))
        .map(|entry| entry.metadata().expect("its length").len())
        .sum();
    assert!(written < 512 * 1_024, "{written} bytes for {sent} that were sent");
}

#[tokio::test]
async fn the_count_is_written_when_the_minute_is_over() {
    let dir = directory();
    let audit = open(dir.path());
    let peer = session().peer.expect("an address");
    for _ in 0..11 {
        audit.append_unauthenticated(peer.ip(), Draft::connect(&session())).await.expect("written");
    }
    // Paused for no longer: while it is, a wait for the writer's thread would be over at once.
    tokio::time::pause();
    tokio::time::advance(super::super::flood::WINDOW).await;
    tokio::time::resume();
    // The task that comes back takes its turn; without it this would go on for ever.
    while kinds(dir.path()).len() < 12 {
        tokio::task::yield_now().await;
    }
    let seq = audit.append(vec![event("A")]).await.expect("written");
    assert_eq!(seq, 13);
    assert_eq!(records(dir.path())[11]["counts"], serde_json::json!({ Kind::Connect.name(): 1 }));
}
