//! The life of the process between its signals: SIGHUP reloads, as `amiwall reload` does; SIGTERM and SIGINT drain and end.

use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use super::{Activated, Daemon, DaemonError, notify};
use crate::audit::StartOptions;
use crate::config::Config;
use crate::sandbox::Sandbox;

/// Runs the proxy until it is told to end. `options` say what is done with an audit log that is broken or not signed,
/// `sandbox` what holds this process; `activated` are sockets that are open already.
///
/// # Errors
/// If it cannot start.
pub async fn run(
    config: Config,
    options: StartOptions,
    sandbox: Option<Sandbox>,
    activated: Activated,
) -> Result<(), DaemonError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(DaemonError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Signals)?;
    let mut daemon = Daemon::start_with_options(&config, options, activated).await?;
    let is_held = sandbox.as_ref().is_some_and(Sandbox::has_files);
    if let Some(sandbox) = sandbox {
        daemon.set_sandbox(sandbox);
    }
    notify::tell("READY=1");
    daemon.keep_telling();
    let path = config.path.clone();
    drop(config);
    let mut asked = daemon.reload_requests();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => drop(reload(&mut daemon, &path, is_held).await),
            Some(answer) = asked.recv() => {
                let outcome = reload(&mut daemon, &path, is_held).await;
                // Who asked may be gone.
                drop(answer.send(outcome.map(|()| path.display().to_string())));
            }
        }
    }
    notify::tell("STOPPING=1\nSTATUS=letting sessions finish");
    tracing::info!("stopping");
    daemon.record_drain().await;
    daemon.stop().await;
    Ok(())
}

/// A policy that cannot be taken changes nothing, and is on record.
async fn reload(daemon: &mut Daemon, path: &Path, is_held: bool) -> Result<(), String> {
    notify::tell_reloading();
    let read = path.to_owned();
    let outcome = match tokio::task::spawn_blocking(move || Config::load(&read)).await {
        Err(error) => Err(error.to_string()),
        Ok(Err(diagnostics)) => Err(with_hint(diagnostics.to_string(), is_held)),
        Ok(Ok(config)) => {
            if !config.warnings.is_empty() {
                tracing::warn!("the policy {} can be read, with warnings:\n{}", path.display(), config.warnings);
            }
            daemon.reload(&config).await.map_err(|error| error.to_string())
        }
    };
    match &outcome {
        Ok(()) => tracing::info!("the policy {} is in force", path.display()),
        Err(why) => {
            tracing::error!("the old policy stays in force, the new one cannot be taken:\n{why}");
            let first_line = why.lines().next().unwrap_or_default();
            daemon.record_failed_reload(path, first_line).await;
        }
    }
    notify::tell("READY=1");
    outcome
}

/// The kernel says the same of a file's mode and of the sandbox. The first line goes on record.
fn with_hint(why: String, is_held: bool) -> String {
    if !is_held || !why.contains("Permission denied") {
        return why;
    }
    let first = why.lines().next().unwrap_or_default().trim_start_matches("error: ");
    format!(
        "the sandbox lets amiwall read in those folders only that the policy named at start, another one needs a restart; \
         in a folder of those it is the mode of the file: {first}\n{why}"
    )
}
