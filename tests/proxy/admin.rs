//! The admin socket; locks; sessions that end because their time is over.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use amiwall::daemon::{Answer, Request, Verb, ask};

use crate::harness::{Bench, is_pong};

const PING: &str = "Action: Ping\r\n\r\n";
const LOGIN: &str = "Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n";

pub(crate) async fn tell(bench: &Bench, request: Verb, identity: &str) -> Answer {
    say(bench, Request::of(request, identity)).await
}

pub(crate) async fn say(bench: &Bench, request: Request) -> Answer {
    let socket = bench.audit_directory().join("admin.sock");
    let answer = tokio::task::spawn_blocking(move || ask(&socket, &request)).await.expect("no panic");
    answer.expect("an answer")
}

fn done(identity: &str, outcome: &str, sessions: u32) -> Answer {
    Answer::Done { identity: identity.to_owned(), outcome: outcome.to_owned(), sessions }
}

/// Sends bytes to the socket, and gives the answer.
async fn raw(bench: &Bench, bytes: &'static [u8]) -> String {
    let socket = bench.audit_directory().join("admin.sock");
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(socket).expect("it listens");
        // What is too long is not read to its end.
        stream.write_all(bytes).ok();
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        String::from_utf8_lossy(&answer).into_owned()
    });
    asked.await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_ends_the_sessions_and_looks_like_a_wrong_secret() {
    let bench = Bench::new().await;
    let (mut one, mut two) = (bench.login().await, bench.login().await);
    let began = Instant::now();
    assert_eq!(tell(&bench, Verb::Lock, "TESTER").await, done("tester", "locked", 2));
    assert_eq!((one.rest().await, two.rest().await), (String::new(), String::new()));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let refused = |secret: &'static str| async {
        let mut client = bench.connect().await;
        let began = Instant::now();
        client.send(LOGIN.replace("tester-secret", secret)).await;
        let answer = client.rest().await;
        assert!(began.elapsed() >= Duration::from_secs(1), "as late as a wrong secret");
        answer
    };
    let (right, wrong) = (refused("tester-secret").await, refused("wrong").await);
    assert_eq!(right, "Response: Error\r\nMessage: Authentication failed\r\n\r\n");
    assert_eq!(right, wrong);
    assert_eq!(tell(&bench, Verb::Lock, "tester").await, done("tester", "locked-before", 0));
    assert_eq!(tell(&bench, Verb::Unlock, "tester").await, done("tester", "unlocked", 0));
    let mut client = bench.login().await;
    assert!(is_pong(&client.ask(PING).await));
    assert_eq!(tell(&bench, Verb::Unlock, "tester").await, done("tester", "not-locked", 1));

    let records = bench.records().await;
    let of = |kind: &str, reason: &str| {
        records.iter().filter(|record| record["kind"] == kind && record["reason"] == reason).count()
    };
    assert_eq!((of("end", "locked-by-admin"), of("login", "login.locked-by-admin")), (2, 2));
    let told: Vec<String> = records
        .iter()
        .filter(|record| record["kind"] == "admin" && record["name"] != "drain")
        .map(|record| format!("{} {} {}", record["name"], record["outcome"], record["uid"]))
        .collect();
    let uid = rustix::process::geteuid().as_raw();
    let expected = [("lock", "locked"), ("lock", "locked-before"), ("unlock", "unlocked"), ("unlock", "not-locked")];
    assert_eq!(told, expected.map(|(name, outcome)| format!("\"{name}\" \"{outcome}\" {uid}")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_locked_session_says_what_was_not_answered() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    assert!(is_pong(&client.ask(PING).await));
    bench.sim.stop_answering();
    client.send(PING).await;
    let is_ping = |action: &&amiwall::sim::ExecutedAction| action.is("Ping");
    bench.sim.wait_for(|executed| executed.iter().filter(is_ping).count() == 2).await;
    tell(&bench, Verb::Lock, "tester").await;
    assert_eq!(client.rest().await, "");
    let records = bench.records().await;
    let end = records.iter().find(|record| record["kind"] == "end").expect("its end");
    assert_eq!(
        (&end["reason"], &end["forwarded"], &end["unanswered"]),
        (&"locked-by-admin".into(), &2.into(), &1.into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_holds_over_restarts_and_reloads_until_it_is_taken_off() {
    let mut bench = Bench::new().await;
    tell(&bench, Verb::Lock, "tester").await;
    let locked = Answer::Status { locked: vec!["tester".to_owned()], suspended: vec![], paused: vec![] };
    assert_eq!(tell(&bench, Verb::Status, "").await, locked);
    bench.reload(|extra| extra.identity = "    sessions: 5\n".to_owned()).await;
    // Twice: from the record, and from the checkpoint behind it.
    for _ in 0..2 {
        bench = bench.restart().await;
        let mut client = bench.connect().await;
        client.send(LOGIN).await;
        assert!(client.rest().await.contains("Authentication failed"));
    }
    tell(&bench, Verb::Unlock, "tester").await;
    bench = bench.restart().await;
    assert!(is_pong(&bench.login().await.ask(PING).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_is_its_owners_alone_and_survives_nonsense() {
    let bench = Bench::new().await;
    let path = bench.audit_directory().join("admin.sock");
    assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    for nonsense in [
        &b"\n"[..],
        b"lock tester\n",
        b"{\"request\":\"lock\"}\n",
        b"{\"request\":\"lock\",\"identity\":\"tester\",\"x\":1}\n",
        b"\xff\xfe\n",
        &[b'x'; 10_000],
    ] {
        let answer = raw(&bench, nonsense).await;
        assert!(answer.contains("this is no request") || nonsense.len() > 4096, "{answer}");
    }
    assert_eq!(raw(&bench, b"").await, "");
    let nobody = Answer::Status { locked: vec![], suspended: vec![], paused: vec![] };
    assert_eq!(tell(&bench, Verb::Status, "").await, nobody);
    let Answer::Refused { message } = tell(&bench, Verb::Lock, "nobody").await else { panic!("nobody is locked") };
    assert!(message.contains("there is no identity `nobody`"), "{message}");
    let mut client = bench.login().await;
    assert!(is_pong(&client.ask(PING).await));
    assert_eq!(tell(&bench, Verb::Resume, "tester").await, done("tester", "not-suspended", 1));
    bench.daemon.stop().await;
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_at_the_socket_does_not_hold_up_a_lock() {
    let bench = Bench::new().await;
    let socket = bench.audit_directory().join("admin.sock");
    let silent: Vec<UnixStream> = (0..30).map(|_| UnixStream::connect(&socket).expect("it listens")).collect();
    // One after the other they would be given a minute, and an administrator gives up before that.
    assert_eq!(tell(&bench, Verb::Lock, "tester").await, done("tester", "locked", 0));
    drop(silent);
}

#[tokio::test]
async fn a_session_ends_when_its_time_is_over() {
    let mut bench = Bench::new().await;
    let mut client = bench.login().await;
    let until = jiff::Timestamp::now() + Duration::from_secs(2);
    bench.reload(|extra| extra.identity = format!("    valid: {{ until: \"{until}\" }}\n")).await;
    assert!(is_pong(&client.ask(PING).await));
    assert_eq!(client.rest().await, "");
    let late = jiff::Timestamp::now().duration_since(until);
    assert!(!late.is_negative() && late.as_secs_f64() < 1.5, "{late}");
    let records = bench.records().await;
    assert!(records.iter().any(|record| record["kind"] == "end" && record["reason"] == "policy-revoked"));
}
