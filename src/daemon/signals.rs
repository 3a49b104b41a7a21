//! The life of the process between its signals: SIGHUP reloads, SIGTERM and SIGINT drain and end.

use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use super::{Daemon, DaemonError, notify};
use crate::audit::OnBroken;
use crate::config::Config;

/// Runs the proxy until it is told to end. `on_broken` says what is done with an audit log that is broken.
///
/// # Errors
/// If it cannot start.
pub async fn run(config: Config, on_broken: OnBroken) -> Result<(), DaemonError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(DaemonError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Signals)?;
    let mut daemon = Daemon::start_over(&config, on_broken).await?;
    notify::tell("READY=1");
    let path = config.path.clone();
    drop(config);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reload(&mut daemon, &path).await,
        }
    }
    notify::tell("STOPPING=1");
    tracing::info!("stopping");
    daemon.record_drain().await;
    daemon.stop().await;
    Ok(())
}

/// A policy that cannot be taken changes nothing, and is on record.
async fn reload(daemon: &mut Daemon, path: &Path) {
    notify::tell("RELOADING=1");
    let read = path.to_owned();
    let outcome = match tokio::task::spawn_blocking(move || Config::load(&read)).await {
        Err(error) => Err(error.to_string()),
        Ok(Err(diagnostics)) => Err(diagnostics.to_string()),
        Ok(Ok(config)) => daemon.reload(&config).await.map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(()) => tracing::info!("the policy {} is in force", path.display()),
        Err(why) => {
            tracing::error!("the old policy stays in force, the new one cannot be taken:\n{why}");
            let first_line = why.lines().next().unwrap_or_default();
            daemon.record_failed_reload(path, first_line).await;
        }
    }
    notify::tell("READY=1");
}
