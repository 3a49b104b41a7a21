//! Asterisks that come and go, are silent, or send what they should not.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use amiwall::sim::{Sim, SimConfig};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::fake::{self, BANNER};
use crate::harness::{Bench, Client, is_pong};
use crate::program::{self, Program};

const PING: &str = "Action: Ping\r\n\r\n";
const LOGIN: &str = "Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n";

/// Sends all of it, and gives all that comes before the end, whichever way that is.
async fn talk(address: SocketAddr, bytes: &str) -> String {
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else { return String::new() };
    stream.write_all(bytes.as_bytes()).await.ok();
    let mut read = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut read)).await;
    assert!(end.is_ok(), "a client hangs: {}", read.escape_ascii());
    String::from_utf8_lossy(&read).into_owned()
}

/// Pings until Asterisk has done coming and going; each answer is this client's own, and says what came of its action.
async fn ping_through(address: SocketAddr, name: usize, stop: CancellationToken) {
    let mut number = 0;
    while !stop.is_cancelled() {
        number += 1;
        let pings = (0..10).map(|n| format!("Action: Ping\r\nActionID: {name}.{number}.{n}\r\n\r\n"));
        let answers = talk(address, &format!("{LOGIN}{}Action: Logoff\r\n\r\n", pings.collect::<String>())).await;
        let ours = format!("ActionID: {name}.{number}.");
        let packets = answers.split("\r\n\r\n").filter(|packet| packet.contains("ActionID: "));
        for (next, packet) in packets.enumerate() {
            assert!(packet.contains(&format!("{ours}{next}\r\n")), "{ours}{next}: {answers}");
            let is_error = packet.contains("Message: Asterisk is not reachable");
            assert!(is_error != packet.contains("Ping: Pong"), "{packet}");
        }
        assert!(!answers.contains("Authentication failed"), "{answers}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstream_flapping() {
    let mut bench = Bench::new().await;
    let stop = CancellationToken::new();
    let clients: Vec<_> = (0..8).map(|name| tokio::spawn(ping_through(bench.address, name, stop.clone()))).collect();
    for round in 0..20 {
        // In the middle of what the clients do, and each time at another point.
        bench.sim.wait_for(|executed| executed.len() > 20 + 7 * round).await;
        bench = bench.restart_asterisk().await;
    }
    stop.cancel();
    for client in clients {
        client.await.expect("no client hangs or gets what is another's");
    }
    assert!(is_pong(&bench.login().await.ask(PING).await));
    let records = bench.records().await;
    let of = |kind: &str, what: &dyn Fn(&Value) -> bool| -> HashSet<String> {
        let records = records.iter().filter(|record| record["kind"] == kind && what(record));
        records.map(|record| record["id"].as_str().expect("an id").to_owned()).collect()
    };
    let allowed = of("action", &|record| record["decision"] == "allow" && record["name"] == "Ping");
    let answered = of("response", &|_| true);
    let open: Vec<_> = allowed.difference(&answered).collect();
    assert!(open.is_empty(), "{} of {} actions have no outcome: {open:?}", open.len(), allowed.len());
    let sessions = |kind: &str| -> HashSet<&str> {
        let records = records.iter().filter(|record| record["kind"] == kind && record["decision"] != "deny");
        records.filter_map(|record| record["session"].as_str()).collect()
    };
    let endless: Vec<_> = sessions("login").difference(&sessions("end")).copied().collect();
    assert!(endless.is_empty(), "sessions without an end: {endless:?}");
    let lost = of("response", &|record| record["origin"] == "amiwall");
    assert!(!lost.is_empty() && lost.len() < answered.len(), "{} of {}", lost.len(), answered.len());
}

#[tokio::test]
async fn upstream_that_never_answers() {
    let upstream = fake::asterisk(|_, mut stream| {
        fake::let_in(&mut stream);
        fake::answer_pings(&mut stream);
    });
    let program = Program::start(&program::policy(upstream, upstream), |_| ()).await;
    // One action without an answer is in nobody's way.
    let mut client = program.login(0).await;
    client.send("Action: CoreStatus\r\n\r\n".repeat(100)).await;
    assert!(is_pong(&client.ask(PING).await));
    // All without an answer: no more are taken than may be outstanding.
    let mut stuck = program.login(0).await;
    stuck.send("Action: CoreStatus\r\n\r\n".repeat(2_000)).await;
    program.until_recorded(100 + 128, |record| record["name"] == "CoreStatus").await;
    assert!(is_pong(&client.ask(PING).await));
    stuck.reset();
    program.until_recorded(1, |record| record["kind"] == "end").await;
    let records = program.stop().await;
    let taken = records.iter().filter(|record| record["name"] == "CoreStatus").count();
    // What was read together is judged together.
    assert!((228..100 + 128 + 64).contains(&taken), "{taken}");
}

/// What an Asterisk does before amiwall is logged in; none of it is a session.
fn before_login(case: usize, mut stream: TcpStream) -> bool {
    let login_and = |stream: &mut TcpStream, answer: &[u8]| {
        stream.write_all(BANNER).ok();
        fake::packet(stream);
        stream.write_all(answer).ok();
    };
    match case {
        0 => _ = stream.write_all(&[0xff, 0x00, 0x1b, 0x0a].repeat(10_000)),
        1 => _ = stream.write_all(&b"A".repeat(1_000_000)),
        2 => _ = stream.write_all(b"Asterisk Call Man"),
        3 => _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        4 => login_and(&mut stream, b"Response: Error\r\nMessage: Authentication failed\r\n\r\n"),
        5 => login_and(&mut stream, b"Response: Succ"),
        6 => login_and(&mut stream, &b"Event: X\r\n\r\n".repeat(20_000)),
        7 => login_and(&mut stream, &b"X".repeat(100_000_000)),
        _ => return false,
    }
    true
}

/// What an Asterisk answers to a Ping that is no answer, and ends the session.
fn ending(case: usize, stream: &mut TcpStream, id: &str) -> bool {
    let answer = |rest: &[u8]| [format!("Response: Success\r\nActionID: {id}\r\n").as_bytes(), rest].concat();
    match case {
        0 => _ = stream.write_all(&answer(&b"Output: FORGED\r\n".repeat(100_000_000 / 16))),
        1 => _ = stream.write_all(&answer(&b"FORGED".repeat(100_000_000 / 6))),
        2 => _ = stream.write_all(&answer(b"Message: FORGED")),
        3 => _ = stream.write_all(&answer(b"Message: FORGED\r\n")),
        _ => return false,
    }
    true
}

/// What is no answer to a Ping and is passed over.
fn passed_over(case: usize, id: &str, others: &str) -> Option<Vec<u8>> {
    let forged = |id: &str| format!("Response: Success\r\nActionID: {id}\r\nMessage: FORGED\r\n\r\n").into_bytes();
    Some(match case {
        0 => b"Response: Success\r\nMessage: Authentication accepted FORGED\r\n\r\n".repeat(2),
        1 => b"\xff\xfe\x00FORGED\x1b[2J\x00\n\r\n\x00\x00\r\n\r\n".repeat(100),
        2 => b"FORGED without a colon\r\nanother\r\n\r\n".repeat(100),
        3 => forged("aw-00000000000000000000000000000000-0"),
        4 => forged(others),
        5 => forged(&id.to_ascii_uppercase()),
        6 => forged(&format!("{id}0")),
        7 => forged(""),
        8 => b"Response: Follows\r\nPrivilege: Command\r\nFORGED\r\n--END COMMAND--\r\n\r\n".to_vec(),
        9 => b"Event: FORGED\r\nPrivilege: system,all\r\n\r\n".repeat(100),
        10 => b"\r\n\r\n\n\n\r\n".repeat(1_000),
        _ => return None,
    })
}

/// An Asterisk whose sessions behave as the numbers say that are sent to it, and its address.
fn hostile() -> (SocketAddr, mpsc::Sender<Session>) {
    let (told, sessions) = mpsc::channel::<Session>();
    let sessions = std::sync::Arc::new(std::sync::Mutex::new(sessions));
    let address = fake::asterisk(move |number, mut stream| {
        if number == 0 {
            // The probe of the start.
            fake::let_in(&mut stream);
            return;
        }
        let session = sessions.lock().expect("no panic").recv().expect("the test goes on");
        match session {
            Session::BeforeLogin(case) => _ = before_login(case, stream),
            Session::Ending(case) => {
                fake::let_in(&mut stream);
                let id = fake::value(&fake::packet(&stream), "ActionID");
                ending(case, &mut stream, &id);
            }
            Session::PassedOver(others) => {
                fake::let_in(&mut stream);
                for case in 0.. {
                    let id = fake::value(&fake::packet(&stream), "ActionID");
                    let Some(bytes) = passed_over(case, &id, &others) else { break };
                    stream.write_all(&bytes).ok();
                    fake::pong(&mut stream, &id);
                }
            }
            Session::TellId(id) => {
                fake::let_in(&mut stream);
                id.send(fake::value(&fake::packet(&stream), "ActionID")).expect("the test waits");
                // The test ends it.
                fake::packet(&stream);
            }
        }
    });
    (address, told)
}

enum Session {
    BeforeLogin(usize),
    Ending(usize),
    PassedOver(String),
    TellId(mpsc::Sender<String>),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstream_that_sends_garbage() {
    let sim = Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"upstream-secret")).await.expect("it binds");
    let (good, (bad, sessions)) = (sim.local_addr(), hostile());
    tokio::spawn(sim.run(CancellationToken::new()));
    let program = Program::start(&program::policy(bad, good), |_| ()).await;
    let tell = |session| sessions.send(session).expect("it listens");
    let mut untouched = program.login(1).await;
    let login = LOGIN.replace("tester-secret", "upstream-secret");
    for case in 0..8 {
        tell(Session::BeforeLogin(case));
        let answer = talk(program.addresses[0], &login).await;
        // The banner may be what the last one before had.
        assert!(!answer.contains("Response: "), "{case}: {answer}");
        assert!(is_pong(&untouched.ask(PING).await));
    }
    for case in 0..4 {
        tell(Session::Ending(case));
        let mut client = program.login(0).await;
        client.send(PING).await;
        let answer = client.rest().await;
        assert_eq!(answer, "Response: Error\r\nMessage: Asterisk is not reachable\r\n\r\n", "{case}");
        assert!(is_pong(&untouched.ask(PING).await));
    }
    let (ours, theirs) = mpsc::channel();
    tell(Session::TellId(ours));
    let mut other = program.login(0).await;
    other.send(PING).await;
    let id = tokio::task::spawn_blocking(move || theirs.recv().expect("an id")).await.expect("no panic");
    tell(Session::PassedOver(id));
    let mut client = program.login_with(0, "Events: on\r\n").await;
    for case in 0..11 {
        let answer = client.ask(PING).await;
        assert!(is_pong(&answer) && !answer.contains("FORGED"), "{case}: {answer}");
    }
    let peak = program.peak_memory();
    assert!(peak < 128 * 1_024, "{peak} KiB");
    drop((other, client, untouched));
    let records = program.stop().await;
    let mut ends: HashMap<String, usize> = HashMap::new();
    for record in records.iter().filter(|record| record["kind"] == "end" && record["upstream"] == "first") {
        *ends.entry(record["reason"].as_str().expect("a reason").to_owned()).or_default() += 1;
    }
    let count = |reason: &str| ends.get(reason).copied().unwrap_or_default();
    assert_eq!(
        (count("upstream.unreachable"), count("upstream.refused"), count("upstream.lost")),
        (7, 1, 4),
        "{ends:?}"
    );
    let orphans = records.iter().filter(|record| record["reason"] == "upstream.orphan").count();
    assert!(orphans > 5, "{orphans}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstream_that_greets_one_byte_at_a_time() {
    let upstream = fake::asterisk(|number, mut stream| {
        if number == 0 {
            fake::let_in(&mut stream);
            // Whoever closes before the probe has logged off is no Asterisk that was reached.
            fake::packet(&stream);
            return;
        }
        stream.set_nodelay(true).ok();
        // The pace is the attack: it is never a line, and never as long as a line may be, and only the deadline ends it.
        while stream.write_all(b"A").is_ok() {
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    // Of its own, so that the first connection is the probe of this one.
    let other = program::simulator().await;
    let program = Program::start(&program::policy(upstream, other), |_| ()).await;
    let answer = talk(program.addresses[0], &LOGIN.replace("tester-secret", "upstream-secret")).await;
    assert!(!answer.contains("Response: "), "{answer}");
    let records = program.stop().await;
    let end = records.iter().find(|record| record["kind"] == "end").expect("an end");
    assert_eq!(end["reason"], "upstream.unreachable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_list_answers() {
    const ITEMS: usize = 100_000;
    let upstream = fake::asterisk(|_, mut stream| {
        fake::let_in(&mut stream);
        let id = fake::value(&fake::packet(&stream), "ActionID");
        let start = format!("Response: Success\r\nActionID: {id}\r\nEventList: start\r\n\r\n");
        stream.write_all(start.as_bytes()).ok();
        let mut writer = std::io::BufWriter::new(&stream);
        for item in 0..ITEMS {
            let padding = "x".repeat(200);
            write!(writer, "Event: CoreShowChannel\r\nActionID: {id}\r\nItem: {item}\r\nX: {padding}\r\n\r\n").ok();
        }
        let end = "Event: CoreShowChannelsComplete\r\nActionID: ";
        write!(writer, "{end}{id}\r\nEventList: Complete\r\nListItems: {ITEMS}\r\n\r\n").ok();
        drop(writer);
        fake::answer_pings(&mut stream);
    });
    let program = Program::start(&program::policy(upstream, upstream), |_| ()).await;
    let mut client: Client = program.login(0).await;
    let before = program.peak_memory();
    client.send("Action: CoreShowChannels\r\nActionID: list\r\n\r\n").await;
    assert!(client.packet().await.contains("ActionID: list\r\nEventList: start"));
    // Packet by packet, and slower than they come.
    for item in 0..ITEMS {
        let packet = client.packet().await;
        assert!(packet.contains(&format!("ActionID: list\r\nItem: {item}\r\n")), "{item}: {packet}");
        tokio::task::yield_now().await;
    }
    assert!(client.packet().await.contains(&format!("EventList: Complete\r\nListItems: {ITEMS}\r\n")));
    assert!(is_pong(&client.ask(PING).await));
    let grown = program.peak_memory() - before;
    // The list has 25 MB; at the most 8 MiB of it wait, each packet with what it costs beside its bytes.
    assert!(grown < 48 * 1_024, "{grown} KiB");
    program.stop().await;
}
