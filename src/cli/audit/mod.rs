//! `amiwall audit`: what can be done with an audit log.

mod filters;
mod key;
mod output;
mod progress;
mod pseudonym;
mod report;
mod search;
mod session;
mod tail;
#[cfg(test)]
mod tests;
mod verify;
mod who_originated;

use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make the pair of keys with which checkpoints are signed and checked.
    Key(key::Args),
    /// Write one page for an auditor: is the log whole, who did what, what was refused, what changed, where are gaps.
    ///
    /// Exit code 0: the chain is whole. 5: it is broken; the report says so and has what stands before. 1: there is no log
    /// to read, or the report cannot be written. 4: the policy is not valid.
    Report(report::Args),
    /// Print the pseudonyms of numbers, to find them in an audit log; or make a key.
    ///
    /// One line for each number: its pseudonym, and the key's id, as both stand in the log.
    Pseudonym(pseudonym::Args),
    /// Prove that no record of an audit log was changed, taken out or put in.
    ///
    /// Exit code 0: the chain is whole. 5: it is broken, and the first bad record is named. 1: there is no log to read.
    Verify(verify::Args),
    /// Find records. The chain is checked on the way.
    ///
    /// Exit code 0: found. 3: nothing found. 5: the chain is broken; what was found before the first bad record is
    /// printed. 1: there is no log to read.
    Search(Box<search::Args>),
    /// Say who placed a call, by the number that was called or by the Uniqueid or Linkedid of its channel.
    ///
    /// Finds Originate, Redirect, BlindTransfer, Atxfer and DAHDIDialOffhook, what Asterisk answered, and how the call
    /// ended. Exit codes are those of `search`.
    WhoOriginated(who_originated::Args),
    /// Show a session as a dialogue: each packet and what was decided on it, in order.
    ///
    /// Exit codes are those of `search`.
    Session(session::Args),
    /// Show the last records, and with `-f` every new one, also while amiwall writes and changes files.
    ///
    /// Exit codes are those of `search`.
    Tail(Box<tail::Args>),
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Key(args) => key::run(args),
        Command::Report(args) => report::run(args),
        Command::Pseudonym(args) => pseudonym::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Search(args) => search::run(args),
        Command::WhoOriginated(args) => who_originated::run(args),
        Command::Session(args) => session::run(args),
        Command::Tail(args) => tail::run(args),
    }
}
