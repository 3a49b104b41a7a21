//! `amiwall lock`, `unlock`, `resume`: tell the running amiwall something about an identity.

use std::path::PathBuf;

use super::{Exit, Failure, out};
use crate::config::{Files, check};
use crate::daemon::{Answer, Request, Verb, ask};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The identity.
    identity: String,
    /// The policy file, which says where amiwall is asked.
    #[arg(required_unless_present = "socket")]
    policy: Option<PathBuf>,
    /// The admin socket itself, where the policy file cannot be read.
    #[arg(long, conflicts_with = "policy")]
    socket: Option<PathBuf>,
}

pub(super) fn run(verb: Verb, args: &Args) -> Result<Exit, Failure> {
    let socket = match (&args.socket, &args.policy) {
        (Some(socket), _) => socket.clone(),
        (None, policy) => {
            let policy = policy.as_deref().unwrap_or_else(|| std::path::Path::new(""));
            let checked = check(policy, Files::Skip).map_err(|problems| {
                let help = "without the policy: --socket PATH, which is `admin.sock` in the audit directory by default";
                let failure = Failure::of_policy(&problems);
                Failure { message: format!("{}\n{help}", failure.message), ..failure }
            })?;
            checked.admin_socket
        }
    };
    let request = Request { request: verb, identity: args.identity.clone() };
    let answer = ask(&socket, &request).map_err(|error| {
        let help = "does amiwall run? Ask as the user that it runs as, or as root";
        Failure::incomplete(format!("cannot ask amiwall at {}: {error}; {help}", socket.display()))
    })?;
    match answer {
        Answer::Done { identity, outcome, sessions } => {
            out(&told(&identity, &outcome, sessions));
            Ok(Exit::Ok)
        }
        Answer::Refused { message } => Err(Failure { exit: Exit::Usage, message }),
        Answer::Failed { message } => Err(Failure::incomplete(message)),
    }
}

fn told(identity: &str, outcome: &str, sessions: u32) -> String {
    match outcome {
        "locked" => format!("`{identity}` is locked; open sessions that end: {sessions}"),
        "locked-before" => format!("`{identity}` was locked before, and stays so"),
        "unlocked" => format!("`{identity}` is not locked any more, and may log in"),
        "not-locked" => format!("`{identity}` was not locked"),
        "resumed" => format!("`{identity}` is not suspended any more, and may act as far as the policy lets it"),
        "not-suspended" => format!("`{identity}` was not suspended"),
        other => format!("`{identity}`: {other}"),
    }
}
