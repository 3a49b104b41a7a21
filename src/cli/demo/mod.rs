//! `amiwall demo`: the whole thing on one machine, in front of a simulated Asterisk, told line by line.

mod client;
mod story;
mod summary;

use std::path::Path;
use std::time::Duration;

use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, out};
use crate::audit::SigningKey;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::identity::hash_secret;
use crate::secret::Secret;
use crate::sim::{Sim, SimConfig, SimHandle};
use crate::tls;

/// The policy; `amiwall demo --stay` leaves it in the folder to be played with.
const POLICY: &str = include_str!("policy.yaml");

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Keep everything running at the end, and print how to connect by hand.
    #[arg(long)]
    stay: bool,
}

/// What the parts of the demo share.
struct Stage {
    folder: tempfile::TempDir,
    sim: SimHandle,
    stop_sim: CancellationToken,
    daemon: Daemon,
    client_tls: std::sync::Arc<rustls::ClientConfig>,
}

/// The identities and their secrets, made anew each time.
struct Cast {
    wallboard: String,
    alice: String,
    crm: String,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::incomplete(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(play(args.stay))
}

async fn play(stay: bool) -> Result<Exit, Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::incomplete(format!("cannot make a folder: {error}")))?;
    let cast = Cast { wallboard: random_secret()?, alice: random_secret()?, crm: random_secret()? };
    let (sim, address, stop_sim) = start_asterisk(folder.path()).await?;
    let config = configure(folder.path(), &address, &cast)?;
    let daemon = Daemon::start(&config).await.map_err(|error| Failure::incomplete(error.to_string()))?;
    let client_tls = tls::client_config(&folder.path().join("certs/ca.crt"), None)
        .map_err(|error| Failure::incomplete(error.to_string()))?;
    let stage = Stage { folder, sim, stop_sim, daemon, client_tls };
    let front = stage.front()?;
    out(&format!("A simulated Asterisk listens on {address}, plain text, as Asterisk does."));
    out(&format!("amiwall listens on {front}, TLS, in front of it. Four programs come along:\n"));
    story::tell(&stage, &cast).await?;
    summary::print(&stage)?;
    if stay {
        summary::how_to_connect(&stage, &cast)?;
        // However it is ended, its folder goes.
        match signal(SignalKind::terminate()) {
            Ok(mut told) => tokio::select! {
                _ = told.recv() => {}
                _ = ctrl_c() => {}
            },
            Err(_) => drop(ctrl_c().await),
        }
    }
    let audit = stage.folder.path().join("audit");
    stage.daemon.stop().await;
    stage.stop_sim.cancel();
    summary::verify(&audit, &stage.folder.path().join("certs/audit.pub"), stay)
}

impl Stage {
    fn front(&self) -> Result<std::net::SocketAddr, Failure> {
        self.daemon.addresses().first().copied().ok_or_else(|| Failure::incomplete("amiwall does not listen"))
    }
}

async fn start_asterisk(folder: &Path) -> Result<(SimHandle, String, CancellationToken), Failure> {
    let secret = random_secret()?;
    write(&folder.join("pbx.secret"), &secret)?;
    let mut config = SimConfig::with_secret(secret.as_bytes());
    config.call_length = Duration::from_millis(1_500);
    let sim = Sim::bind("127.0.0.1:0", config).await.map_err(|e| Failure::incomplete(format!("cannot listen: {e}")))?;
    let (handle, address, stop) = (sim.handle(), sim.local_addr().to_string(), CancellationToken::new());
    tokio::spawn(sim.run(stop.clone()));
    Ok((handle, address, stop))
}

fn configure(folder: &Path, upstream: &str, cast: &Cast) -> Result<Config, Failure> {
    let hash = |secret: &str| hash_secret(&Secret::new(secret.into())).map_err(|e| Failure::incomplete(e.to_string()));
    let certs = folder.join("certs");
    tls::issue(&certs, &tls::IssueOptions::default()).map_err(|e| Failure::incomplete(e.to_string()))?;
    SigningKey::create(&certs.join("audit.key"), &certs.join("audit.pub"))
        .map_err(|e| Failure::incomplete(e.to_string()))?;
    let policy = POLICY
        .replace("UPSTREAM", upstream)
        .replace("WALLBOARD_HASH", &hash(&cast.wallboard)?)
        .replace("ALICE_HASH", &hash(&cast.alice)?)
        .replace("CRM_HASH", &hash(&cast.crm)?);
    let path = folder.join("policy.yaml");
    write(&path, &policy)?;
    Config::load(&path).map_err(|diagnostics| Failure { exit: Exit::InvalidPolicy, message: diagnostics.to_string() })
}

fn random_secret() -> Result<String, Failure> {
    let mut bytes = [0_u8; 9];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Failure::incomplete("the system has no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::incomplete(format!("cannot write {}: {error}", path.display())))
}
