//! The built program, killed and started again: quotas, suspensions and locks hold over it.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod built;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use amiwall::sim::{Sim, SimConfig, SimHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use built::start;

const QUOTA: usize = 40;
const ORIGINATE: &str =
    "Action: Originate\r\nChannel: Local/1000@test\r\nApplication: Wait\r\nData: 1\r\nAsync: true\r\n\r\n";

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("it is written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode is set");
}

fn write_policy(folder: &Path, upstream: SocketAddr, role: &str) {
    write(&folder.join("secret"), "s3cret\n");
    let policy = format!(
        r#"version: 1
listeners: [{{ address: "127.0.0.1:0", plaintext: true }}]
upstreams: {{ pbx: {{ address: "{upstream}", username: amiwall, secret: {{ file: secret }} }} }}
audit: {{ directory: audit }}
roles: {{ dialer: {{ allow: [Originate, Ping], {role} }} }}
identities: {{ dialer: {{ roles: [dialer], secret: {{ file: secret }}, challenge: true }} }}
"#
    );
    write(&folder.join("policy.yaml"), &policy);
}

/// None if amiwall is gone meanwhile.
async fn login(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let login = "Action: Login\r\nUsername: dialer\r\nSecret: s3cret\r\nEvents: off\r\n\r\n";
    stream.write_all(login.as_bytes()).await.ok()?;
    let answer = read_packet(&mut stream).await?;
    assert!(answer.contains("Authentication accepted"), "{answer}");
    Some(stream)
}

async fn read_packet(stream: &mut TcpStream) -> Option<String> {
    let mut packet = Vec::new();
    while !packet.ends_with(b"\r\n\r\n") {
        packet.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&packet).into_owned())
}

/// Calls so often, from several connections at once, until amiwall is gone.
async fn dial(address: SocketAddr, tries: usize) -> usize {
    let dialers = (0..4).map(|_| async move {
        let Some(mut stream) = login(address).await else { return 0 };
        let mut queued = 0;
        for _ in 0..tries {
            stream.write_all(ORIGINATE.as_bytes()).await.ok();
            match read_packet(&mut stream).await {
                Some(packet) => queued += usize::from(packet.contains("successfully queued")),
                None => break,
            }
        }
        queued
    });
    let dialers: Vec<_> = dialers.map(tokio::spawn).collect();
    let mut queued = 0;
    for dialer in dialers {
        queued += dialer.await.expect("no panic");
    }
    queued
}

async fn simulator() -> (SocketAddr, SimHandle) {
    let sim = Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"s3cret")).await.expect("the simulator binds");
    let (upstream, asterisk) = (sim.local_addr(), sim.handle());
    tokio::spawn(sim.run(CancellationToken::new()));
    (upstream, asterisk)
}

fn originated(asterisk: &SimHandle) -> usize {
    asterisk.executed().iter().filter(|action| action.is("Originate")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_amiwall_gives_no_call_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let (upstream, asterisk) = simulator().await;
    let role = format!("limits: {{ Originate: {{ per_day: {QUOTA} }} }}");
    write_policy(folder.path(), upstream, &role);
    // Killed in the middle of the calls, each time a little later.
    for so_many in [1, 4, 9] {
        let (mut amiwall, address) = start(folder.path()).await;
        let dialing = tokio::spawn(dial(address, 10));
        let before = originated(&asterisk);
        let enough = |executed: usize| executed >= (before + so_many).min(QUOTA);
        let called = asterisk.wait_for(|all| enough(all.iter().filter(|action| action.is("Originate")).count()));
        tokio::time::timeout(Duration::from_secs(30), called).await.expect("calls are made");
        amiwall.kill().await.expect("it is killed");
        dialing.await.expect("no panic");
    }
    assert!(originated(&asterisk) >= 14, "calls were made");
    let (mut amiwall, address) = start(folder.path()).await;
    dial(address, QUOTA).await;
    let first = originated(&asterisk);
    assert!(first <= QUOTA, "{first} calls of {QUOTA} were made");
    // What was on its way to Asterisk when amiwall was killed counts, whether or not it got there.
    assert!(first >= QUOTA - 3 * 4, "{first}");
    amiwall.kill().await.expect("it is killed");
    let (mut amiwall, address) = start(folder.path()).await;
    assert_eq!(dial(address, 5).await, 0, "the day has no call left");
    // In good order, with a checkpoint.
    let id = amiwall.id().expect("it runs").cast_signed();
    let id = rustix::process::Pid::from_raw(id).expect("an id");
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is told");
    let ended = tokio::time::timeout(Duration::from_secs(30), amiwall.wait()).await.expect("in time");
    assert!(ended.expect("a status").success());
    let (_amiwall, address) = start(folder.path()).await;
    assert_eq!(dial(address, 5).await, 0, "nor after a checkpoint");
    assert_eq!(originated(&asterisk), first);
}

async fn ask(address: SocketAddr, action: &str) -> String {
    let mut stream = login(address).await.expect("it is there");
    stream.write_all(action.as_bytes()).await.expect("sent");
    read_packet(&mut stream).await.expect("an answer")
}

async fn tell(folder: &Path, what: &str, identity: &str) -> (Option<i32>, String) {
    run(&[what, identity, folder.join("policy.yaml").to_str().expect("a path")]).await
}

async fn run(args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amiwall"));
    let output = command.args(args).output().await.expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_holds_until_somebody_resumes_the_identity() {
    const PING: &str = "Action: Ping\r\n\r\n";
    let folder = tempfile::tempdir().expect("a folder");
    let (upstream, asterisk) = simulator().await;
    write_policy(folder.path(), upstream, "limits: { Originate: { rate: 2/hour } }, trip: { exceeded: 5/hour }");
    let (mut amiwall, address) = start(folder.path()).await;
    assert!(ask(address, PING).await.contains("Pong"));
    assert_eq!(dial(address, 10).await, 2);
    assert!(ask(address, PING).await.contains("Message: Permission denied"));
    amiwall.kill().await.expect("it is killed");
    let (_amiwall, address) = start(folder.path()).await;
    assert!(ask(address, PING).await.contains("Message: Permission denied"), "it survives a kill");
    let (code, text) = tell(folder.path(), "resume", "nobody").await;
    assert!(code == Some(1) && text.contains("there is no identity `nobody`"), "{code:?}: {text}");
    let (code, text) = tell(folder.path(), "resume", "Dialer").await;
    assert!(code == Some(0) && text.contains("`dialer` is not suspended any more"), "{code:?}: {text}");
    assert!(ask(address, PING).await.contains("Pong"));
    let records = std::fs::read_dir(folder.path().join("audit")).expect("a log");
    let segments = records
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"));
    let log: String = segments.map(|path| std::fs::read_to_string(path).expect("a segment")).collect();
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(count(r#""kind":"limit""#), 1);
    assert_eq!(count(r#""reason":"limits.tripped","limit":"roles.dialer.trip","count":5"#), 1);
    assert_eq!(count(r#""kind":"admin","identity":"dialer","name":"resume","outcome":"resumed""#), 1);
    assert_eq!(originated(&asterisk), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_holds_over_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let (upstream, _asterisk) = simulator().await;
    write_policy(folder.path(), upstream, "");
    let (code, text) = tell(folder.path(), "lock", "dialer").await;
    assert!(code == Some(1) && text.contains("does amiwall run?"), "{code:?}: {text}");
    let (mut amiwall, address) = start(folder.path()).await;
    let mut session = login(address).await.expect("it is there");
    let (code, text) = tell(folder.path(), "lock", "dialer").await;
    assert!(code == Some(0) && text.contains("`dialer` is locked; open sessions that end: 1"), "{code:?}: {text}");
    assert_eq!(read_packet(&mut session).await, None);
    amiwall.kill().await.expect("it is killed");
    // The socket of the one that was killed is in the way of nobody.
    let (_amiwall, address) = start(folder.path()).await;
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(b"Action: Login\r\nUsername: dialer\r\nSecret: s3cret\r\n\r\n").await.expect("sent");
    assert!(read_packet(&mut stream).await.expect("an answer").contains("Authentication failed"));
    // The policy file may be broken just then.
    write(&folder.path().join("policy.yaml"), "roles: [");
    let (code, text) = tell(folder.path(), "unlock", "dialer").await;
    assert!(code == Some(4) && text.contains("--socket PATH"), "{code:?}: {text}");
    let socket = folder.path().join("audit/admin.sock");
    let mut command = Command::new(env!("CARGO_BIN_EXE_amiwall"));
    let unlocked = command.args(["unlock", "dialer", "--socket"]).arg(socket).output().await.expect("it runs");
    assert_eq!(unlocked.status.code(), Some(0));
    assert!(login(address).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_over_a_kill() {
    const PING: &str = "Action: Ping\r\n\r\n";
    let folder = tempfile::tempdir().expect("a folder");
    let (upstream, asterisk) = simulator().await;
    write_policy(folder.path(), upstream, "");
    let path = folder.path().join("policy.yaml");
    let policy = path.to_str().expect("a path");
    let (mut amiwall, address) = start(folder.path()).await;
    assert_eq!(dial(address, 1).await, 4);
    let (code, text) = tell(folder.path(), "pause", "Originate").await;
    assert!(code == Some(0) && text.contains("`Originate` of everybody is paused"), "{code:?}: {text}");
    let (code, text) = run(&["pause", "Ping", "--identity", "dialer", policy]).await;
    assert!(code == Some(0) && text.contains("also paused: `Originate` of everybody"), "{code:?}: {text}");
    for _ in 0..2 {
        assert_eq!(dial(address, 3).await, 0);
        assert!(ask(address, PING).await.contains("Message: Permission denied"));
    }
    amiwall.kill().await.expect("it is killed");
    let (_amiwall, address) = start(folder.path()).await;
    assert_eq!((dial(address, 3).await, originated(&asterisk)), (0, 4));
    let (code, text) = run(&["status", policy]).await;
    let expected = "nobody is locked or suspended\n`Originate` of everybody is paused\n`Ping` of `dialer` is paused\n";
    assert_eq!((code, text.as_str()), (Some(0), expected));
    // What is wrong with these is said, and nothing is asked.
    for wrong in [
        &["resume", policy][..],
        &["resume"],
        &["resume", "--action", "Ping"],
        &["resume", "dialer", "--action", "Ping", policy],
        &["resume", "dialer", "--identity", "dialer", policy],
        &["pause", "Ping", "--all", "--identity", "dialer", policy],
    ] {
        let (code, text) = run(wrong).await;
        assert_eq!(code, Some(2), "{wrong:?}: {text}");
    }
    let (code, text) = run(&["resume", "--action", "Originate", policy]).await;
    assert!(code == Some(0) && text.contains("`Originate` of everybody is not paused any more"), "{code:?}: {text}");
    assert!(text.contains("also paused: `Ping` of `dialer`"), "{text}");
    let (code, text) = run(&["resume", "--action", "Ping", "--identity", "dialer", policy]).await;
    assert!(code == Some(0) && text.contains("`Ping` of `dialer` is not paused any more"), "{code:?}: {text}");
    assert_eq!(dial(address, 1).await, 4);
    assert!(ask(address, PING).await.contains("Pong"));
}
