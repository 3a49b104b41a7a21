//! Reloads while much goes on, and reloads of what cannot be taken.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use amiwall::tls::{self, IssueOptions};
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, Client, DENIED, Extra, is_pong};
use crate::program::{self, Program};

const PING: &str = "Action: Ping\r\n\r\n";
const ONE: &str = "    allow: [Ping]\n    deny: [CoreStatus]\n";
const OTHER: &str = "    allow: [CoreStatus]\n    deny: [Ping]\n";

/// Pipelines pairs of actions, of which each policy allows one; how many of them were allowed.
async fn pipeline(mut client: Client, name: usize, stop: CancellationToken) -> HashMap<String, bool> {
    let mut outcomes = HashMap::new();
    for round in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let ids: Vec<String> = (0..20).map(|n| format!("{name}.{round}.{n}")).collect();
        let action = |n: usize| if n.is_multiple_of(2) { "Ping" } else { "CoreStatus" };
        let packets = ids.iter().enumerate().map(|(n, id)| format!("Action: {}\r\nActionID: {id}\r\n\r\n", action(n)));
        client.send(packets.collect::<String>()).await;
        for id in ids {
            // Each has one answer, in its place.
            let answer = client.packet().await;
            assert!(answer.contains(&format!("ActionID: {id}\r\n")), "{id}: {answer}");
            let is_denied = answer.contains("Message: Permission denied");
            assert!(is_denied || answer.starts_with("Response: Success"), "{answer}");
            outcomes.insert(id, !is_denied);
        }
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reload_under_load() {
    let mut bench = Bench::with(Extra { role: ONE.to_owned(), ..Extra::default() }).await;
    let stop = CancellationToken::new();
    let mut clients = Vec::new();
    for name in 0..20 {
        clients.push(tokio::spawn(pipeline(bench.login().await, name, stop.clone())));
    }
    for round in 1..=50 {
        // Some are always under way.
        bench.sim.wait_for(|executed| executed.len() > 100 * round).await;
        bench.reload(|extra| extra.role = if round % 2 == 0 { ONE } else { OTHER }.to_owned()).await;
    }
    stop.cancel();
    let mut outcomes = HashMap::new();
    for client in clients {
        outcomes.extend(client.await.expect("none lost, none answered twice"));
    }
    let run = bench.executed().len();
    assert_eq!(run, outcomes.values().filter(|is_allowed| **is_allowed).count());
    let records = bench.records().await;
    // Of two records with one id the last counts.
    let mut judged = HashMap::new();
    let one = records.iter().find(|record| record["kind"] == "policy").expect("the first")["policy"].clone();
    for record in records.iter().filter(|record| record["kind"] == "action") {
        let is_allowed = record["decision"] == "allow";
        assert_eq!(is_allowed, (record["policy"] == one) == (record["name"] == "Ping"), "{record}");
        let headers = record["headers"].as_array().expect("headers");
        let id = headers.iter().find(|header| header[0] == "ActionID").expect("an id")[1].as_str().expect("text");
        judged.insert(id.to_owned(), is_allowed);
    }
    assert!(judged == outcomes, "what is on record is what was done");
    assert_eq!(records.iter().filter(|record| record["trigger"] == "reload").count(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_on_record_under_the_policy_that_judged_it() {
    let mut bench = Bench::new().await;
    let mut client = bench.connect().await;
    bench.reload(|extra| extra.role = ONE.to_owned()).await;
    client.send("Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n").await;
    assert!(client.packet().await.contains("accepted"));
    assert_eq!(client.ask("Action: CoreStatus\r\n\r\n").await, DENIED);
    let records = bench.records().await;
    let find = |what: fn(&serde_json::Value) -> bool| records.iter().find(|record| what(record)).expect("a record");
    let reloaded = find(|record| record["trigger"] == "reload");
    assert_eq!(find(|record| record["kind"] == "login")["policy"], reloaded["policy"]);
    assert_eq!(find(|record| record["kind"] == "action")["policy"], reloaded["policy"]);
}

/// Breaks something, and reloads: the old policy stays in force for who is there and who comes.
async fn breaks(program: &Program, client: &mut Client, name: &str, (broken, number): (Option<&[u8]>, usize)) {
    let path = program.path(name);
    let before = std::fs::read(&path).expect("it was there");
    match broken {
        Some(broken) => std::fs::write(&path, broken).expect("it is written"),
        None => std::fs::remove_file(&path).expect("it is removed"),
    }
    program.signal(Signal::HUP);
    let is_refused = |record: &serde_json::Value| record["kind"] == "policy" && record["outcome"] == "refused";
    program.until_recorded(number, is_refused).await;
    assert!(is_pong(&client.ask(PING).await), "{name}");
    assert!(is_pong(&program.login(0).await.ask(PING).await), "{name}");
    crate::harness::write_private(&path, &String::from_utf8(before).expect("text"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reload_with_a_broken_policy() {
    let upstream = program::simulator().await;
    let policy = program::policy(upstream, upstream);
    let program = Program::start(&policy, |_| ()).await;
    let mut client = program.login(0).await;
    let without_ping = policy.replace("CoreStatus, Ping", "CoreStatus");
    let policies = [
        "version: [".to_owned(),
        String::new(),
        format!("{without_ping}unknown: 1\n"),
        without_ping.replace("roles: [tester]", "roles: [nobody]"),
        without_ping.replace("version: 1", "version: 2"),
        without_ping.replace("directory: audit", "directory: elsewhere"),
        without_ping.replace("127.0.0.1:0", "192.0.2.1:9"),
        "\u{0}".repeat(100_000),
    ];
    let mut number = 0;
    for broken in &policies {
        number += 1;
        breaks(&program, &mut client, "policy.yaml", (Some(broken.as_bytes()), number)).await;
    }
    for (name, broken) in [("policy.yaml", None), ("secret", None), ("secret", Some(&b""[..]))] {
        number += 1;
        breaks(&program, &mut client, name, (broken, number)).await;
    }
    program.signal(Signal::HUP);
    program.until_recorded(1, |record| record["trigger"] == "reload" && record["outcome"] == "loaded").await;
    let records = program.stop().await;
    let first = records.iter().find(|record| record["kind"] == "policy").expect("the first");
    let mut refused = records.iter().filter(|record| record["outcome"] == "refused");
    assert!(refused.all(|record| record["policy"] == first["policy"] && record["problem"] != ""));
    assert!(records.iter().filter(|record| record["kind"] == "action").all(|r| r["policy"] == first["policy"]));
}

/// Whether a client that trusts this authority gets the banner.
async fn shakes_hands(program: &Program, ca: &Path) -> bool {
    let connector = TlsConnector::from(Arc::clone(&tls::client_config(ca, None).expect("a client")));
    let stream = TcpStream::connect(program.addresses[1]).await.expect("it connects");
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    connector.connect(name, stream).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reload_with_a_broken_certificate() {
    let upstream = program::simulator().await;
    let tls = "tls: { certificate: certs/server.crt, key: certs/server.key }";
    let policy =
        program::policy(upstream, upstream).replace("\"[::1]:0\", plaintext: true", &format!("\"[::1]:0\", {tls}"));
    let issue = |folder: &Path| {
        for name in ["certs", "others"] {
            tls::issue(&folder.join(name), &IssueOptions::default()).expect("certificates");
        }
    };
    let program = Program::start(&policy, issue).await;
    let ca = program.path("certs/ca.crt");
    let mut client = program.login(0).await;
    let others = std::fs::read(program.path("others/server.key")).expect("a key");
    let certificate = std::fs::read(program.path("certs/server.crt")).expect("a certificate");
    let mut number = 0;
    for (name, broken) in [
        ("certs/server.key", Some(&others[..])),
        ("certs/server.key", Some(b"garbage")),
        ("certs/server.key", Some(b"")),
        ("certs/server.key", Some(&certificate)),
        ("certs/server.key", None),
        ("certs/server.crt", Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
        ("certs/server.crt", Some(&certificate[..certificate.len() / 2])),
        ("certs/server.crt", Some(b"")),
        ("certs/server.crt", None),
    ] {
        number += 1;
        breaks(&program, &mut client, name, (broken, number)).await;
        assert!(shakes_hands(&program, &ca).await, "{name}");
    }
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reload_with_an_older_revocation_list() {
    let upstream = program::simulator().await;
    let tls = "tls: { certificate: certs/server.crt, key: certs/server.key, client_ca: certs/ca.crt, client_crl: certs/crl.pem }";
    let policy =
        program::policy(upstream, upstream).replace("\"[::1]:0\", plaintext: true", &format!("\"[::1]:0\", {tls}"));
    let mut program = Program::start(&policy, |folder| {
        let certs = folder.join("certs");
        tls::issue(&certs, &IssueOptions::default()).expect("certificates");
        tls::revoke(&certs, &[]).expect("a first list");
    })
    .await;
    let (certs, crl) = (program.path("certs"), program.path("certs/crl.pem"));
    let first = std::fs::read(&crl).expect("a list");
    tls::revoke(&certs, &[certs.join("client.crt")]).expect("a second list");
    program.signal(Signal::HUP);
    program.until_recorded(1, |record| record["changes"][0] == "changed client_crl of [::1]:0: 1 entry, was 0").await;
    let second = std::fs::read(&crl).expect("a list");
    std::fs::write(&crl, first).expect("the first list again");
    program.signal(Signal::HUP);
    let said = program.until_said("restart amiwall to take this one").await;
    assert!(said.contains("ERROR") && said.contains("crl.pem: an older list"), "{said}");
    std::fs::write(&crl, second).expect("the second list again");
    std::fs::set_permissions(&crl, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("a mode");
    program.signal(Signal::HUP);
    let said = program.until_said("is in force").await;
    assert!(said.contains("WARN"), "what a policy is warned of is said at a reload, too: {said}");
    let records = program.stop().await;
    let refused = records.iter().find(|record| record["outcome"] == "refused").expect("a record");
    assert!(refused["problem"].as_str().is_some_and(|problem| problem.contains("an older list")), "{refused}");
}
