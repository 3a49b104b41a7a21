//! `amiwall run`: the proxy, in the foreground.

use std::path::PathBuf;

use super::{Exit, Failure, out};
use crate::audit::{OnBroken, StartOptions};
use crate::config::Config;
use crate::daemon::{self, Activated};
use crate::sandbox::Sandbox;

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(super) struct Args {
    /// The policy file.
    policy: PathBuf,
    /// Only validate the policy, as `amiwall check` does, and end.
    #[arg(long)]
    check_only: bool,
    /// Where the audit log is broken, and not just torn by a crash: move it to a folder `broken-<n>` beside the new one, and
    /// record that. Without this amiwall does not start over such a log. Only the end of the log is looked at here:
    /// `amiwall audit verify` looks at all of it.
    #[arg(long)]
    set_broken_log_aside: bool,
    /// Sign an audit log whose end is not signed with `signing_key`, because signing was switched on or the key was changed.
    /// That is put on record. Without this amiwall does not start over such a log: somebody else may have written it.
    #[arg(long)]
    sign_from_here: bool,
    /// Do without the sandbox: without Landlock, and with core dumps.
    #[arg(long)]
    no_sandbox: bool,
    /// How the program's own messages are written to standard error. They are no part of the audit log.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// The least important messages that are written: `error`, `warn`, `info`, `debug` or `trace`.
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = ["error", "warn", "info", "debug", "trace"])]
    log_level: String,
}

/// How the program's own messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let config = Config::load(&args.policy).map_err(|diagnostics| Failure::of_policy(&diagnostics))?;
    if !config.warnings.is_empty() {
        super::say(&mut std::io::stderr(), &config.warnings.to_string());
    }
    if args.check_only {
        out(&format!("{}: valid", args.policy.display()));
        return Ok(Exit::Ok);
    }
    super::log_to_stderr(args.log_format, args.log_level.parse().unwrap_or(tracing::Level::INFO));
    // Both before there are threads: these would be outside, and might read the environment while it is changed.
    let activated = Activated::take().map_err(|error| Failure::incomplete(error.to_string()))?;
    let sandbox = enter_sandbox(args, &config)?;
    // At least two: one may wait for a disk that hangs, and the others go on.
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::incomplete(format!("cannot start the runtime: {error}")))?;
    let on_broken = if args.set_broken_log_aside { OnBroken::SetAside } else { OnBroken::Refuse };
    let options = StartOptions { on_broken, sign_from_here: args.sign_from_here };
    let run = daemon::run(config, options, sandbox, activated);
    runtime.block_on(run).map_err(|error| Failure::incomplete(error.to_string()))?;
    Ok(Exit::Ok)
}

fn enter_sandbox(args: &Args, config: &Config) -> Result<Option<Sandbox>, Failure> {
    if args.no_sandbox {
        tracing::warn!("no sandbox, as --no-sandbox says");
        return Ok(None);
    }
    let sandbox = Sandbox::enter(config).map_err(|error| Failure::incomplete(error.to_string()))?;
    if sandbox.has_files() && sandbox.has_ports() {
        tracing::info!("sandbox: {}", sandbox.level());
    } else {
        tracing::warn!("sandbox: {}", sandbox.level());
    }
    Ok(Some(sandbox))
}
