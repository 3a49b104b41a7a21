//! `amiwall audit`: what can be done with an audit log.

mod pseudonym;
mod verify;

use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the pseudonyms of numbers, to find them in an audit log; or make a key.
    ///
    /// One line for each number: its pseudonym, and the key's id, as both stand in the log.
    Pseudonym(pseudonym::Args),
    /// Prove that no record of an audit log was changed, taken out or put in.
    ///
    /// Exit code 0: the chain is whole. 5: it is broken, and the first bad record is named. 1: there is no log to read.
    Verify(verify::Args),
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Pseudonym(args) => pseudonym::run(args),
        Command::Verify(args) => verify::run(args),
    }
}
