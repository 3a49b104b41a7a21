//! An amiwall whose start and reloads are timed.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixDatagram, UnixStream};
use tokio::time::timeout;

use crate::client::{Failure, Target};
use crate::targets::{Kind, Policy, Process, Running, Tools, free_port};

/// An amiwall that does not start in this time never will.
const START_MAX: Duration = Duration::from_secs(60);

/// One amiwall, and what it was started with.
pub(crate) struct Timed {
    pub(crate) running: Running,
    backend: u16,
}

impl Timed {
    /// Starts an amiwall with a new log, and gives the seconds until it was ready.
    pub(crate) async fn start(tools: &Tools, backend: u16, policy: &Policy) -> Result<(Self, f64), Failure> {
        Self::start_at(tools, (free_port()?, backend), policy).await
    }

    /// It says that it is ready as it tells systemd: there is nothing to poll.
    async fn start_at(tools: &Tools, (port, backend): (u16, u16), policy: &Policy) -> Result<(Self, f64), Failure> {
        let socket = tools.folder.join(format!("{port}.ready"));
        let ready = UnixDatagram::bind(&socket)?;
        let log = fs::File::create(tools.folder.join(format!("{port}.log")))?;
        let mut command = tools.amiwall("", port, backend, policy)?;
        command.env("NOTIFY_SOCKET", &socket).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let at = Instant::now();
        let mut process = Process(command.spawn()?);
        let mut text = [0; 64];
        let told = loop {
            match timeout(Duration::from_millis(100), ready.recv(&mut text)).await {
                Ok(told) => break told?,
                Err(_) if process.0.try_wait()?.is_none() && at.elapsed() < START_MAX => {}
                Err(_) => {
                    let log = fs::read_to_string(tools.folder.join(format!("{port}.log")))?;
                    return Err(format!("amiwall does not start:\n{log}").into());
                }
            }
        };
        let took = at.elapsed().as_secs_f64();
        fs::remove_file(&socket)?;
        if text.get(..told) != Some(b"READY=1") {
            return Err("amiwall does not say that it is ready".into());
        }
        let target = Target { port, tls: Some(tools.tls()?) };
        Ok((Self { running: Running { kind: Kind::Synced, target, process: Some(process) }, backend }, took))
    }

    /// Ends it, cleanly or not, and starts it again over the log that it left.
    pub(crate) async fn start_again(self, tools: &Tools, cleanly: bool) -> Result<(Self, f64), Failure> {
        let Self { running, backend } = self;
        let port = running.target.port;
        running.end(cleanly)?;
        Self::start_at(tools, (port, backend), &Policy::default()).await
    }

    /// Lets it take another policy, and gives the seconds until it is in force.
    pub(crate) async fn reload(&self, tools: &Tools, policy: &Policy) -> Result<f64, Failure> {
        drop(tools.amiwall("", self.running.target.port, self.backend, policy)?);
        let at = Instant::now();
        let mut admin = UnixStream::connect(self.audit(tools).join("admin.sock")).await?;
        admin.write_all(b"{\"request\": \"reload\"}\n").await?;
        let mut answer = String::new();
        admin.read_to_string(&mut answer).await?;
        let took = at.elapsed().as_secs_f64();
        if answer.starts_with("{\"reloaded\"") { Ok(took) } else { Err(format!("no reload: {answer}").into()) }
    }

    /// Where its log is.
    pub(crate) fn audit(&self, tools: &Tools) -> PathBuf {
        tools.amiwall_folder(self.running.target.port).join("audit")
    }
}
