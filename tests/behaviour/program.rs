//! The built program, as a process of its own: signals, and memory that can be measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use amiwall::sim::{Sim, SimConfig};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::harness::{Client, records_in, records_in_partial, write_private};

/// A running amiwall and its folder.
pub(crate) struct Program {
    child: Child,
    pub(crate) addresses: Vec<SocketAddr>,
    directory: tempfile::TempDir,
    /// What it says on standard error, once it listens.
    said: mpsc::Receiver<String>,
}

/// Two upstreams, a listener for each, and one identity.
pub(crate) fn policy(first: SocketAddr, second: SocketAddr) -> String {
    format!(
        r#"version: 1
listeners:
  - {{ address: "127.0.0.1:0", plaintext: true, upstream: first }}
  - {{ address: "[::1]:0", plaintext: true, upstream: second }}
upstreams:
  first: {{ address: "{first}", username: amiwall, secret: {{ file: secret }} }}
  second: {{ address: "{second}", username: amiwall, secret: {{ file: secret }} }}
audit: {{ directory: audit }}
roles:
  tester: {{ allow: [CoreShowChannels, CoreStatus, Ping], events: {{ allow: [user] }} }}
identities:
  tester: {{ roles: [tester], secret: {{ file: secret }}, challenge: true }}
"#
    )
}

/// An Asterisk that works.
pub(crate) async fn simulator() -> SocketAddr {
    let sim = Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"upstream-secret")).await.expect("it binds");
    let address = sim.local_addr();
    tokio::spawn(sim.run(CancellationToken::new()));
    address
}

impl Program {
    /// Starts it with that policy; what it names has been put into the folder by `prepare`.
    pub(crate) async fn start(policy: &str, prepare: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        write_private(&directory.path().join("secret"), "upstream-secret\n");
        prepare(directory.path());
        let path = directory.path().join("policy.yaml");
        write_private(&path, policy);
        let mut command = Command::new(env!("CARGO_BIN_EXE_amiwall"));
        command.arg("run").arg(&path).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let mut addresses: Vec<SocketAddr> = Vec::new();
        let count = policy.matches("- { address").count();
        while addresses.len() < count {
            let line = lines.next_line().await.expect("a line").expect("it listens");
            if let Some((_, address)) = line.split_once("listening on ") {
                addresses.push(address.trim().parse().expect("an address"));
            }
        }
        addresses.sort();
        let (says, said) = mpsc::channel(10_000);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                // Not every test listens.
                drop(says.try_send(line));
            }
        });
        Self { child, addresses, directory, said }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A client that is logged in and gets no events.
    pub(crate) async fn login(&self, listener: usize) -> Client {
        self.login_with(listener, "Events: off\r\n").await
    }

    pub(crate) async fn login_with(&self, listener: usize, headers: &str) -> Client {
        let mut client = Client::connect(self.addresses[listener]).await;
        client.line().await;
        let login = format!("Action: Login\r\nUsername: tester\r\nSecret: upstream-secret\r\n{headers}\r\n");
        let answer = client.ask(&login).await;
        assert!(answer.contains("Authentication accepted"), "{answer}");
        client
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).expect("it runs");
        rustix::process::kill_process(pid, signal).expect("a signal");
    }

    /// Waits until so many records are as `is_so` says.
    pub(crate) async fn until_recorded(&self, count: usize, is_so: impl Fn(&Value) -> bool) {
        while records_in_partial(&self.path("audit")).iter().filter(|record| is_so(record)).count() < count {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until it says that on standard error; gives what it said before.
    pub(crate) async fn until_said(&mut self, text: &str) -> String {
        let mut all = String::new();
        while !all.contains(text) {
            all += &self.said.recv().await.expect("it says more");
        }
        all
    }

    /// The most memory that it ever had, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let pid = self.child.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Waits for its end after a SIGTERM; gives the records, whose chain has been verified.
    pub(crate) async fn ended(mut self) -> Vec<Value> {
        let status = self.child.wait().await.expect("it ends");
        assert_eq!(status.code(), Some(0));
        let audit = self.path("audit");
        amiwall::audit::verify(&audit).unwrap_or_else(|error| panic!("{error}"));
        records_in(&audit)
    }

    pub(crate) async fn stop(self) -> Vec<Value> {
        self.signal(Signal::TERM);
        self.ended().await
    }
}
