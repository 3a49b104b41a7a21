//! `amiwall simulate`: the simulated Asterisk alone, in the foreground, until SIGINT or SIGTERM.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, say};
use crate::sim::{Sim, SimConfig};

/// The user that may do everything, unless another name is given.
const USER: &str = "amiwall";
/// Its secret, unless another one is given. It is in the documentation, so it protects nothing.
const SECRET: &str = "amiwall";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5038")]
    listen: SocketAddr,
    /// Listen on an address that is not loopback. Whoever reaches it can log in.
    #[arg(long)]
    unsafe_listen: bool,
    /// The user that may do everything.
    #[arg(long, value_name = "NAME", default_value = USER)]
    user: String,
    /// The file that holds the secret of all users.
    #[arg(long, value_name = "FILE", conflicts_with = "secret_env")]
    secret_file: Option<PathBuf>,
    /// The environment variable that holds the secret of all users.
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    if !args.listen.ip().is_loopback() && !args.unsafe_listen {
        let message = format!(
            "`{}` is not a loopback address: a simulated Asterisk is for this machine only\nadd --unsafe-listen to do it all the same",
            args.listen
        );
        return Err(Failure { exit: Exit::Usage, message });
    }
    let config = config(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::incomplete(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(serve(args.listen, config))
}

fn config(args: &Args) -> Result<SimConfig, Failure> {
    let secret = secret(args)?;
    if secret.is_none() {
        let note = format!("note: log in as `{}` with the secret `{SECRET}`; it is no secret", args.user);
        say(&mut std::io::stderr(), &note);
    }
    let mut config = SimConfig::with_secret(secret.as_deref().unwrap_or(SECRET.as_bytes()));
    for user in config.users.iter_mut().filter(|user| user.name == USER) {
        user.name.clone_from(&args.user);
    }
    Ok(config)
}

/// The secret that was given, without the line end that editors put behind it.
fn secret(args: &Args) -> Result<Option<Vec<u8>>, Failure> {
    let (secret, source) = match (&args.secret_file, &args.secret_env) {
        (Some(file), _) => {
            let bytes = std::fs::read(file)
                .map_err(|error| Failure::incomplete(format!("cannot read `{}`: {error}", file.display())))?;
            (bytes, format!("`{}`", file.display()))
        }
        (None, Some(name)) => {
            let value = std::env::var(name)
                .map_err(|error| Failure::incomplete(format!("cannot read the variable `{name}`: {error}")))?;
            (value.into_bytes(), format!("the variable `{name}`"))
        }
        (None, None) => return Ok(None),
    };
    let line = secret.strip_suffix(b"\n").unwrap_or(&secret);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(Failure::incomplete(format!("{source} holds no secret")));
    }
    Ok(Some(line.to_vec()))
}

async fn serve(listen: SocketAddr, config: SimConfig) -> Result<Exit, Failure> {
    let watch = |kind| signal(kind).map_err(|error| Failure::incomplete(format!("cannot watch signals: {error}")));
    let mut interrupt = watch(SignalKind::interrupt())?;
    let mut terminate = watch(SignalKind::terminate())?;
    let sim = Sim::bind(listen, config)
        .await
        .map_err(|error| Failure::incomplete(format!("cannot listen on `{listen}`: {error}")))?;
    say(&mut std::io::stderr(), &format!("listening on {}", sim.local_addr()));
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let signals = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    };
    tokio::join!(sim.run(shutdown), signals);
    Ok(Exit::Ok)
}
