//! The built program as a process of its own.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Writes a policy in front of that Asterisk; gives its path. `audit` is what stands under `audit` beside the directory.
pub(crate) fn write_policy(folder: &Path, upstream: SocketAddr, log: &Path, audit: &str) -> PathBuf {
    let policy = format!(
        r#"version: 1
listeners: [{{ address: "127.0.0.1:0", plaintext: true }}]
upstreams: {{ pbx: {{ address: "{upstream}", username: amiwall, secret: {{ file: secret }} }} }}
audit: {{ directory: {}, {audit} }}
roles: {{ client: {{ allow: [UserEvent, Ping] }} }}
identities: {{ client: {{ roles: [client], secret: {{ file: secret }}, challenge: true }} }}
"#,
        log.display()
    );
    for (name, text) in [("secret", "s3cret\n"), ("policy.yaml", &policy)] {
        std::fs::write(folder.join(name), text).expect("it is written");
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).expect("its mode is set");
    }
    folder.join("policy.yaml")
}

/// A running amiwall.
pub(crate) struct Wall {
    pub(crate) address: SocketAddr,
    /// How long it took to listen.
    pub(crate) start: Duration,
    child: Child,
}

pub(crate) fn command(policy: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amiwall"));
    command.arg("run").arg(policy);
    command
}

impl Wall {
    pub(crate) async fn start(policy: &Path) -> Self {
        Self::start_with(command(policy)).await.unwrap_or_else(|said| panic!("amiwall does not listen: {said}"))
    }

    /// What it said, if it ends instead.
    pub(crate) async fn start_with(mut command: Command) -> Result<Self, String> {
        let begin = Instant::now();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let mut said = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some((_, address)) = line.split_once("listening on ") {
                let address = address.trim().parse().expect("an address");
                tokio::spawn(async move { while matches!(lines.next_line().await, Ok(Some(_))) {} });
                return Ok(Self { address, start: begin.elapsed(), child });
            }
            said.push_str(&line);
            said.push('\n');
        }
        child.wait().await.expect("it has ended");
        Err(said)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// `SIGKILL`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it is killed");
    }

    /// `SIGTERM`, to the process of this id: that of amiwall, or one below that which was started. True: it ended well.
    pub(crate) async fn stop(mut self, id: u32) -> bool {
        let id = rustix::process::Pid::from_raw(id.cast_signed()).expect("an id");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is told");
        let ended = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await.expect("in time");
        ended.expect("a status").success()
    }
}
