//! The load: what amiwall costs beside programs that only terminate TLS, in the same rounds on the same machine.
//!
//! `scripts/bench` builds everything, fetches the others and calls this. What is measured, and why, is in
//! `docs/performance.md`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to who calls it")]

mod backend;
mod client;
mod idle;
mod limiter;
mod packet;
mod report;
mod scaling;
mod scenarios;
mod stats;
mod targets;
mod timed;
mod work;
mod writer;

use std::path::PathBuf;

use clap::Parser;

use client::Failure;
use targets::{Kind, Tools};

/// Measures amiwall beside HAProxy and stunnel.
#[derive(Parser)]
struct Args {
    /// `cargo bench` gives it.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The Asterisk of the load.
    Backend,
    /// Runs the rounds and prints a table.
    Run(Run),
}

#[derive(clap::Args)]
struct Run {
    /// A release build of amiwall.
    #[arg(long)]
    amiwall: PathBuf,
    /// HAProxy, which is the unit.
    #[arg(long)]
    haproxy: Option<PathBuf>,
    /// stunnel.
    #[arg(long)]
    stunnel: Option<PathBuf>,
    /// Where to write; on a disk.
    #[arg(long)]
    folder: PathBuf,
    /// How many rounds.
    #[arg(long, default_value_t = 21)]
    rounds: usize,
    /// Only scenarios whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// How long a scenario runs, as a factor.
    #[arg(long, default_value_t = 1.0)]
    length: f64,
    /// How large the log of `scaling-log` gets, in GB; without it 1, or less where `--length` is less than 1.
    #[arg(long)]
    log_gb: Option<f64>,
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match Args::parse().command {
        None => {
            println!("0 passed, 0 failed: scripts/bench runs this");
            Ok(())
        }
        Some(Command::Backend) => runtime.block_on(backend::run()),
        Some(Command::Run(run)) => runtime.block_on(measure(run)),
    }
}

/// What is measured once in a run; everything else in rounds.
const ONCE: [&str; 9] = [
    "idle",
    "unauthenticated",
    "many",
    "scaling-clients",
    "scaling-rules",
    "scaling-identities",
    "scaling-log",
    "limiter",
    "writer",
];

async fn measure(run: Run) -> Result<(), Failure> {
    let Run { amiwall, haproxy, stunnel, folder, rounds, only, length, log_gb } = run;
    let names: Vec<&str> = scenarios::ALL.iter().map(|scenario| scenario.name()).chain(ONCE).collect();
    if !names.iter().any(|name| name.contains(&only)) {
        return Err(format!("no scenario has `{only}` in its name; there are {}", names.join(", ")).into());
    }
    let tools = Tools { amiwall, haproxy, stunnel, folder };
    tools.prepare()?;
    let (_backend, port) = tools.backend()?;
    let mut running = Vec::new();
    for kind in [Kind::Direct, Kind::Haproxy, Kind::Stunnel, Kind::Synced, Kind::Written, Kind::ActionsOnly] {
        running.extend(tools.start(kind, port).await?);
    }
    let mut results = stats::Results::default();
    for one in running.iter().filter(|one| "idle".contains(&only) && one.kind != Kind::Direct) {
        idle::idle(one, &mut results).await?;
    }
    let mut once = report::Once::default();
    measure_once(&tools, port, (&only, length, log_gb), (&mut results, &mut once)).await?;
    for round in 0..rounds {
        // Who comes first is another one in each round.
        running.rotate_left(1);
        for scenario in scenarios::ALL.iter().filter(|scenario| scenario.name().contains(&only)) {
            results.add(stats::SYNC, Kind::Direct, scenarios::sync_us(&tools.folder)?);
            for one in running.iter().filter(|one| scenario.is_for(one.kind)) {
                scenario
                    .run(one, (&tools.folder, length), &mut results)
                    .await
                    .map_err(|e| format!("{} {}: {e}", scenario.name(), one.kind.name()))?;
            }
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    drop(running);
    results.add_bound();
    report::print(&results);
    once.print();
    Ok(())
}

/// What is not measured in rounds, each with programs of its own.
async fn measure_once(
    tools: &Tools,
    backend: u16,
    (only, length, log_gb): (&str, f64, Option<f64>),
    (results, once): (&mut stats::Results, &mut report::Once),
) -> Result<(), Failure> {
    let is_wanted = |name: &str| name.contains(only);
    let scaling = scaling::Scaling { tools, backend, length };
    if is_wanted("unauthenticated") {
        idle::unauthenticated(tools, backend, results).await?;
    }
    if is_wanted("many") {
        idle::many(tools, backend, results).await?;
    }
    if is_wanted("scaling-clients") {
        scaling.clients(once).await?;
    }
    if is_wanted("scaling-rules") {
        scaling.rules(once).await?;
    }
    if is_wanted("scaling-identities") {
        scaling.identities(once).await?;
    }
    if is_wanted("scaling-log") {
        scaling.log(log_gb.unwrap_or_else(|| length.min(1.0)), once).await?;
    }
    if is_wanted("limiter") {
        limiter::run(tools, backend, length, once).await?;
    }
    if is_wanted("writer") {
        writer::run(tools, length, once)?;
    }
    Ok(())
}
