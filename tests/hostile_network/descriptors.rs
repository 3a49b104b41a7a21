//! The built binary, without descriptors.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use amiwall::tls::{self, IssueOptions};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::wall::{BANNER, PATIENCE, Peer, WRONG, connect, lay_out};

const PLAIN: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LISTENERS: &str = r#"  - { address: "127.0.0.1:0", plaintext: true }
  - { address: "127.0.0.2:0", tls: { certificate: certs/server.crt, key: certs/server.key } }"#;
/// What rustls may hold for a connection: keys, session, buffers.
const TLS_KIB: u64 = 10;

/// A running `amiwall`, its listeners (plain, TLS) and what it tells.
struct Process {
    child: Child,
    stderr: tokio::io::Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
    tls: SocketAddr,
    directory: tempfile::TempDir,
}

impl Process {
    async fn start(limits: &str) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        tls::issue(&directory.path().join("certs"), &IssueOptions::default()).expect("certificates");
        lay_out(directory.path(), limits, "", LISTENERS).await;
        let mut child = Command::new(env!("CARGO_BIN_EXE_amiwall"))
            .args(["run", "--no-sandbox"])
            .arg(directory.path().join("policy.yaml"))
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let stderr = BufReader::new(child.stderr.take().expect("its standard error")).lines();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Self { child, stderr, address, tls: address, directory };
        for _ in 0..2 {
            let line = process.told("listening on ").await;
            let address: SocketAddr =
                line.rsplit_once("listening on ").expect("an address").1.trim().parse().expect("an address");
            *(if address.ip() == PLAIN { &mut process.address } else { &mut process.tls }) = address;
        }
        process
    }

    async fn connect_tls(&self, client: &Arc<rustls::ClientConfig>) -> Peer<TlsStream<TcpStream>> {
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        let stream = connect(self.tls, 8).await;
        Peer::new(TlsConnector::from(client.clone()).connect(name, stream).await.expect("a handshake"))
    }

    /// The next line on standard error that has this in it.
    async fn told(&mut self, what: &str) -> String {
        let line = async {
            loop {
                let line = self.stderr.next_line().await.expect("text").expect("it runs");
                if line.contains(what) {
                    return line;
                }
            }
        };
        tokio::time::timeout(PATIENCE, line).await.unwrap_or_else(|_| panic!("`{what}` was not told"))
    }

    fn proc(&self, file: &str) -> std::path::PathBuf {
        format!("/proc/{}/{file}", self.child.id().expect("it runs")).into()
    }
}

#[tokio::test]
async fn accept_errors_and_recovery() {
    let mut process = Process::start("  unauthenticated_per_address: 200\n").await;
    let mut open = Peer::new(connect(process.address, 8).await);
    open.log_in().await;
    let used = std::fs::read_dir(process.proc("fd")).expect("its descriptors").count() as u64;
    let pid = Pid::from_raw(i32::try_from(process.child.id().expect("it runs")).expect("a pid"));
    let limit = Rlimit { current: Some(used + 8), maximum: Some(used + 8) };
    prlimit(pid, Resource::Nofile, limit).expect("its limit is set");
    let mut held = Vec::new();
    for _ in 0..30 {
        held.push(connect(process.address, 9).await);
    }
    process.told("cannot accept connections").await;
    // Who is in works on, and who comes last is let in: the oldest strangers give way.
    open.ping().await;
    let mut last = Peer::new(connect(process.address, 7).await);
    assert_eq!(last.until("\r\n").await, BANNER);
    drop(held);
    let mut after = Peer::new(connect(process.address, 7).await);
    process.told("connections are accepted again").await;
    after.log_in().await;
    after.ping().await;
    open.ping().await;
}

/// Kilobytes of memory that the process has.
fn memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(process.proc("status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "what was measured")]
async fn memory_per_connection() {
    const COUNT: u64 = 400;
    // Both ends of the sessions at Asterisk, and this end of the clients', are here.
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("room for descriptors");
    let limits = "  unauthenticated: 2000\n  unauthenticated_per_address: 2000\n  connections_per_address: 2000\n";
    let process = Process::start(limits).await;
    let client = tls::client_config(&process.directory.path().join("certs/ca.crt"), None).expect("a client");
    // What is allocated once is allocated now.
    let mut first = Peer::new(connect(process.address, 8).await);
    first.log_in().await;
    let mut first_tls = process.connect_tls(&client).await;
    first_tls.log_in().await;
    let (mut held, mut held_tls) = (Vec::new(), Vec::new());
    let mut before = memory(&process);
    let mut costs = Vec::new();
    for (state, is_tls) in [("not logged in", false), ("idle", false), ("not logged in", true), ("idle", true)] {
        for _ in 0..COUNT {
            if is_tls {
                let mut peer = process.connect_tls(&client).await;
                settle(&mut peer, state).await;
                held_tls.push(peer);
            } else {
                let mut peer = Peer::new(connect(process.address, 8).await);
                settle(&mut peer, state).await;
                held.push(peer);
            }
        }
        let after = memory(&process);
        let each = after.saturating_sub(before) / COUNT;
        println!("{state}, TLS {is_tls}: {each} KiB each, from {before} to {after} KiB");
        costs.push(each);
        before = after;
    }
    let [stranger, idle, stranger_tls, idle_tls] = costs[..] else { panic!("four costs") };
    println!("TLS itself: {} KiB, {} KiB", stranger_tls.saturating_sub(stranger), idle_tls.saturating_sub(idle));
    assert!(stranger <= 12 && idle <= 20, "{costs:?}");
    assert!(stranger_tls <= 12 + TLS_KIB && idle_tls <= 20 + TLS_KIB, "{costs:?}");
}

async fn settle<S: AsyncRead + AsyncWrite + Unpin>(peer: &mut Peer<S>, state: &str) {
    if state == "idle" {
        peer.log_in().await;
        peer.ping().await;
    } else {
        peer.until("\r\n").await;
    }
}

/// Each computes argon2 with 19 MiB, on whichever thread: what it took is not kept.
#[tokio::test]
async fn logins_leave_no_memory_behind() {
    let process = Process::start("  failed_logins: { rate: 100000/minute, lockout: 1s }\n").await;
    let before = memory(&process);
    for _ in 0..4 {
        let mut guessers = Vec::new();
        for host in 20..80 {
            let mut peer = Peer::new(connect(process.address, host).await);
            peer.send(WRONG).await;
            guessers.push(peer);
        }
        for peer in &mut guessers {
            peer.rest().await;
        }
    }
    let after = memory(&process);
    assert!(after < before + 32 * 1_024, "from {before} to {after} KiB");
}
