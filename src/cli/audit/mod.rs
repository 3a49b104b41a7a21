//! `amiwall audit`: what can be done with an audit log.

mod report;
mod verify;

use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write one page for an auditor: is the log whole, who did what, what was refused, what changed, where are gaps.
    ///
    /// Exit code 0: the chain is whole. 5: it is broken; the report says so and has what stands before. 1: there is no log
    /// to read, or the report cannot be written. 4: the policy is not valid.
    Report(report::Args),
    /// Prove that no record of an audit log was changed, taken out or put in.
    ///
    /// Exit code 0: the chain is whole. 5: it is broken, and the first bad record is named. 1: there is no log to read.
    Verify(verify::Args),
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Report(args) => report::run(args),
        Command::Verify(args) => verify::run(args),
    }
}
