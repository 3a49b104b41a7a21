//! What is on record, and that nothing passes that is not.

use crate::harness::{Bench, DENIED, Extra, is_pong, records_in_partial};

#[tokio::test]
async fn an_action_is_on_disk_before_asterisk_has_it() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    for n in 0..20 {
        client.send(format!("Action: CoreStatus\r\nActionID: {n}\r\n\r\n")).await;
        let count =
            |name: &str, executed: &[amiwall::sim::ExecutedAction]| executed.iter().filter(|a| a.is(name)).count();
        bench.sim.wait_for(|executed| count("CoreStatus", executed) == n + 1).await;
        let records = records_in_partial(&bench.audit_directory());
        let recorded = records.iter().filter(|r| r["kind"] == "action" && r["name"] == "CoreStatus").count();
        assert_eq!(recorded, n + 1);
        client.packet().await;
    }
}

#[tokio::test]
async fn every_packet_of_a_session_is_on_record_joined_by_its_id() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    assert!(is_pong(&client.ask("Action: Ping\r\nActionID: 1\r\n\r\n").await));
    assert_eq!(client.ask("Action: Command\r\nCommand: core show uptime\r\n\r\n").await, DENIED);
    client.send("Action: Logoff\r\n\r\n").await;
    client.rest().await;
    let records = bench.records().await;
    let kinds: Vec<&str> = records.iter().filter_map(|record| record["kind"].as_str()).collect();
    let of_session: Vec<&str> =
        kinds.iter().copied().filter(|kind| !["start", "stop", "policy", "checkpoint"].contains(kind)).collect();
    assert_eq!(of_session, ["connect", "login", "action", "response", "action", "action", "end"], "{kinds:?}");
    let find = |kind: &str, name: &str| {
        records.iter().find(|r| r["kind"] == kind && r["name"] == name).unwrap_or_else(|| panic!("{kind} {name}"))
    };
    let (ping, pong) = (find("action", "Ping"), find_kind(&records, "response"));
    assert_eq!((ping["id"].clone(), ping["decision"].as_str()), (pong["id"].clone(), Some("allow")));
    assert_eq!(pong["outcome"], "Success");
    assert_eq!(ping["rule"], "roles.tester.allow[0]");
    let denied = find("action", "Command");
    assert_eq!((denied["decision"].as_str(), denied["reason"].as_str()), (Some("deny"), Some("actions.unlisted")));
    let session = ping["session"].as_str().expect("a session");
    let connect = find_kind(&records, "connect");
    assert!(session.ends_with(&format!("-{}", connect["seq"])), "{session}");
}

fn find_kind<'a>(records: &'a [serde_json::Value], kind: &str) -> &'a serde_json::Value {
    records.iter().find(|record| record["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

#[tokio::test]
async fn no_secret_is_ever_on_record() {
    let bench = Bench::new().await;
    let mut wrong = bench.connect().await;
    wrong.send("Action: Login\r\nUsername: tester\r\nSecret: nearly-right\r\n\r\n").await;
    wrong.rest().await;
    let mut typo = bench.connect().await;
    typo.send("Action: Login\r\nUsername: tester\r\nSecret: typo-secret \r\n\r\n").await;
    typo.packet().await;
    let mut client = bench.login().await;
    let set = "Action: Originate\r\nChannel: Local/1000@test\r\nApplication: Wait\r\nData: 1\r\nVariable: userPIN=4711\r\n\r\n";
    assert_eq!(client.ask(set).await, DENIED);
    let directory = bench.audit_directory();
    let text: String = std::fs::read_dir(&directory)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        // The admin socket is none.
        .filter(|path| path.is_file())
        .map(|path| String::from_utf8_lossy(&std::fs::read(path).expect("a file")).into_owned())
        .collect();
    for secret in ["tester-secret", "nearly-right", "typo-secret", "upstream-secret", "4711"] {
        assert!(!text.contains(secret), "{secret} is in the audit log");
    }
    assert!(text.contains("userPIN"));
    drop(bench);
}

#[tokio::test]
async fn a_restart_goes_on_with_the_chain() {
    let bench = Bench::new().await;
    drop(bench.login().await);
    let bench = bench.restart().await;
    drop(bench.login().await);
    let records = bench.records().await;
    assert_eq!(records.iter().filter(|record| record["kind"] == "start").count(), 2);
    let seqs: Vec<u64> = records.iter().filter_map(|record| record["seq"].as_u64()).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
}

#[tokio::test]
async fn a_client_that_logs_in_for_every_action_has_a_named_session_each_time() {
    let bench = Bench::new().await;
    for _ in 0..25 {
        let mut client = bench.login().await;
        client.send("Action: Ping\r\n\r\nAction: Logoff\r\n\r\n").await;
        client.rest().await;
    }
    let records = bench.records().await;
    let of_kind = |kind: &str| -> Vec<String> {
        let records = records.iter().filter(|record| record["kind"] == kind && record["count"].is_null());
        records.map(|record| record["session"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let (connects, logins, ends) = (of_kind("connect"), of_kind("login"), of_kind("end"));
    assert_eq!((connects.len(), &connects), (25, &logins));
    assert!(ends.len() == 25 && connects.iter().all(|session| !session.is_empty() && ends.contains(session)));
}

#[tokio::test]
async fn peers_that_are_not_logged_in_cannot_fill_the_disk() {
    let extra = Extra {
        limits: "  connections_per_address: 500\n  unauthenticated_per_address: 500\n  unauthenticated: 500\n"
            .to_owned(),
        ..Extra::default()
    };
    let bench = Bench::with(extra).await;
    for _ in 0..40 {
        let mut client = bench.connect().await;
        client.send("Action: Ping\r\n\r\n".repeat(19)).await;
        client.half_close().await;
        client.rest().await;
    }
    let records = bench.records().await;
    assert!(records.len() < 60, "{} records", records.len());
    let counted: u64 = records.iter().filter_map(|record| record["count"].as_u64()).sum();
    assert!(counted > 770, "{counted} are counted");
}
