//! The order of things, proved with a disk that waits to be told.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::audit::tests::faulty::{Hold, Plan, faulty, hold, hold_no_more, leave_room};
use crate::sim::{Sim, SimConfig};

/// A policy in front of that Asterisk, for one client who may only Ping.
fn config(folder: &std::path::Path, upstream: SocketAddr) -> Config {
    let secret = folder.join("secret");
    std::fs::write(&secret, "s3cret").expect("it is written");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let path = folder.join("policy.yaml");
    let policy = format!(
        r#"version: 1
listeners: [{{ address: "127.0.0.1:0", plaintext: true }}]
upstreams: {{ pbx: {{ address: "{upstream}", username: amiwall, secret: {{ file: secret }} }} }}
audit: {{ directory: audit }}
roles: {{ pinger: {{ allow: [Ping] }} }}
identities: {{ client: {{ roles: [pinger], secret: {{ file: secret }}, challenge: true }} }}
"#
    );
    std::fs::write(&path, policy).expect("it is written");
    Config::load(&path).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

async fn read_packet(stream: &mut TcpStream) -> String {
    let mut packet = Vec::new();
    while !packet.ends_with(b"\r\n\r\n") {
        packet.push(stream.read_u8().await.expect("a byte"));
    }
    String::from_utf8_lossy(&packet).into_owned()
}

/// A client that is logged in to an amiwall that writes to a disk which a test can hold.
struct Rig {
    folder: tempfile::TempDir,
    _log: tempfile::TempDir,
    asterisk: crate::sim::SimHandle,
    upstream: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    daemon: Daemon,
    client: TcpStream,
}

impl Rig {
    async fn new() -> Self {
        let (folder, log) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let sim = Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"s3cret")).await.expect("the simulator binds");
        let (upstream, asterisk) = (sim.local_addr(), sim.handle());
        tokio::spawn(sim.run(CancellationToken::new()));
        let (audit, plan) = faulty(log.path());
        let config = config(folder.path(), upstream);
        let restored = (Arc::default(), Arc::new(LoginMemory::new(config.failed_logins)));
        let daemon = Daemon::start_with(&config, audit, restored, Activated::default(), Lanes::of_caller())
            .await
            .expect("it starts");
        let mut client = TcpStream::connect(daemon.addresses()[0]).await.expect("it connects");
        client
            .write_all(b"Action: Login\r\nUsername: client\r\nSecret: s3cret\r\nEvents: off\r\n\r\n")
            .await
            .expect("sent");
        assert!(read_packet(&mut client).await.contains("Authentication accepted"));
        Self { folder, _log: log, asterisk, upstream, plan, daemon, client }
    }

    /// Sends a Ping, whose record the disk has begun to sync when this returns.
    async fn ping_waits_for_the_disk(&mut self) -> Hold {
        let held = hold(&self.plan);
        self.client.write_all(b"Action: Ping\r\nActionID: 1\r\n\r\n").await.expect("sent");
        let held = tokio::task::spawn_blocking(move || {
            held.wait();
            held
        });
        held.await.expect("a sync")
    }

    fn pings(&self) -> usize {
        self.asterisk.executed().iter().filter(|action| action.is("Ping")).count()
    }

    /// Asks at an admin socket of its own.
    fn ask(&self, request: Request) -> JoinHandle<Answer> {
        let path = self.folder.path().join("admin.sock");
        let socket = AdminSocket::bind(&path).expect("it binds");
        let sights = Sights { shared: self.daemon.shared.clone(), admission: self.daemon.admission.clone() };
        tokio::spawn(socket.serve(sights, self.daemon.reloads.0.clone()));
        tokio::task::spawn_blocking(move || ask(&path, &request).expect("an answer"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_counts_for_what_waits_for_the_disk() {
    let mut rig = Rig::new().await;
    let held = rig.ping_waits_for_the_disk().await;
    let asked = rig.ask(Request { action: "Ping".to_owned(), ..Request::new(Verb::Pause) });
    // It is in force before the disk has anything of it.
    while rig.daemon.shared.buckets.pauses().all().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!asked.is_finished());
    hold_no_more(&rig.plan);
    held.release();
    let said = read_packet(&mut rig.client).await;
    assert_eq!(said, "Response: Error\r\nActionID: 1\r\nMessage: Permission denied\r\n\r\n");
    let answer = asked.await.expect("no panic");
    assert!(matches!(&answer, Answer::Paused { outcome, .. } if outcome == "paused"), "{answer:?}");
    assert_eq!(rig.pings(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_ended_though_the_disk_hangs_and_what_it_had_waiting_with_it() {
    let mut rig = Rig::new().await;
    let held = rig.ping_waits_for_the_disk().await;
    let session = rig.daemon.shared.sessions.list().pop().expect("a session").id;
    let asked = rig.ask(Request { session, ..Request::new(Verb::Kick) });
    let mut rest = Vec::new();
    rig.client.read_to_end(&mut rest).await.expect("it is closed");
    assert_eq!(rest, b"", "nothing comes before the end");
    hold_no_more(&rig.plan);
    held.release();
    let answer = asked.await.expect("no panic");
    assert!(matches!(&answer, Answer::Done { outcome, .. } if outcome == "kicked"), "{answer:?}");
    assert_eq!(rig.pings(), 0);
}

/// On one thread, so that the session has its turn when both have happened.
#[tokio::test]
async fn who_is_locked_sends_nothing_more_though_its_record_is_on_disk() {
    let mut rig = Rig::new().await;
    let held = rig.ping_waits_for_the_disk().await;
    let (audit, config) = (rig.daemon.shared.audit.clone(), config(rig.folder.path(), rig.upstream));
    let mut another = Box::pin(audit.commit(Draft::policy(config.facts(), "start", &[])));
    tokio::select! {
        biased;
        _ = &mut another => panic!("the disk is held"),
        () = std::future::ready(()) => {}
    }
    held.release();
    // The writer begins with another record when it has told the session that it may send.
    held.wait();
    rig.daemon.shared.memory.locks().set("client", true);
    hold_no_more(&rig.plan);
    held.release();
    let mut rest = Vec::new();
    rig.client.read_to_end(&mut rest).await.expect("it is closed");
    rig.asterisk.wait_for_sessions(|count| *count == 0).await;
    assert_eq!((rest, rig.pings()), (Vec::new(), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asterisk_has_not_a_byte_of_an_action_before_its_record_is_synced() {
    let mut rig = Rig::new().await;
    let held = rig.ping_waits_for_the_disk().await;
    // Whatever amiwall would have sent by now is read before this: a second session's action goes the whole way directly.
    let mut direct = TcpStream::connect(rig.upstream).await.expect("it connects");
    direct
        .write_all(b"Action: Login\r\nUsername: amiwall\r\nSecret: s3cret\r\nEvents: off\r\n\r\n")
        .await
        .expect("sent");
    direct.write_all(b"Action: CoreStatus\r\n\r\n").await.expect("sent");
    rig.asterisk.wait_for(|executed| executed.iter().any(|action| action.is("CoreStatus"))).await;
    assert_eq!(rig.pings(), 0, "the record is not durable yet");

    hold_no_more(&rig.plan);
    held.release();
    let pong = read_packet(&mut rig.client).await;
    assert!(pong.contains("ActionID: 1\r\nPing: Pong"), "{pong}");
    assert_eq!(rig.pings(), 1);
}

/// Who tells why a reload is refused, in the log, at the admin socket or on a terminal, says what stays in force.
#[test]
fn why_a_reload_is_refused_says_not_once_more_what_stays() {
    let why = || "it".to_owned();
    for error in [DaemonError::NeedsRestart("audit"), DaemonError::OlderList(why()), DaemonError::OutOfReach(why())] {
        assert!(!error.to_string().contains("stays in force"), "{error}");
    }
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it connects");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_is_told_that_the_log_cannot_be_written_and_that_it_can_again() {
    let (folder, log) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let sim = Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"s3cret")).await.expect("the simulator binds");
    let upstream = sim.local_addr();
    tokio::spawn(sim.run(CancellationToken::new()));
    let (audit, plan) = faulty(log.path());
    let config = config(folder.path(), upstream);
    let restored = (Arc::default(), Arc::new(LoginMemory::new(config.failed_logins)));
    let mut daemon = Daemon::start_with(&config, audit, restored, Activated::default(), Lanes::of_caller())
        .await
        .expect("it starts");
    let asked = "127.0.0.1:0".parse().expect("an address");
    daemon.serve_http(HttpSocket::bind(Some(asked)).await.expect("it binds"));
    let address = daemon.http_address().expect("it listens");
    let until = async |path: &str, wanted: &str| while !get(address, path).await.contains(wanted) {};
    until("/ready", "\r\n\r\nready\n").await;
    assert!(get(address, "/metrics").await.contains("\namiwall_audit_open 1\n"));
    leave_room(&plan, Some(0));
    // Its record is the first that finds no room.
    let _client = TcpStream::connect(daemon.addresses()[0]).await.expect("it connects");
    until("/ready", "503 Service Unavailable").await;
    assert!(get(address, "/ready").await.ends_with("\r\n\r\nthe audit log cannot be written\n"));
    assert!(get(address, "/metrics").await.contains("\namiwall_audit_open 0\n"));
    assert!(get(address, "/live").await.starts_with("HTTP/1.1 200 "));
    leave_room(&plan, None);
    until("/ready", "\r\n\r\nready\n").await;
}
