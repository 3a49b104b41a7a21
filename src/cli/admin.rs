//! `amiwall lock`, `unlock`, `resume`: tell the running amiwall something about an identity. `reload`, `status`: about
//! itself.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Exit, Failure, out};
use crate::config::{Files, check};
use crate::daemon::{Answer, Request, Verb, ask};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The identity.
    identity: String,
    #[command(flatten)]
    place: Place,
}

/// Where amiwall is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The policy file, which says where amiwall is asked.
    #[arg(required_unless_present = "socket")]
    policy: Option<PathBuf>,
    /// The admin socket itself, where the policy file cannot be read.
    #[arg(long, conflicts_with = "policy")]
    socket: Option<PathBuf>,
}

pub(super) fn run(verb: Verb, args: &Args) -> Result<Exit, Failure> {
    tell(verb, &args.identity, &args.place)
}

/// What is about no identity.
pub(super) fn tell_itself(verb: Verb, place: &Place) -> Result<Exit, Failure> {
    tell(verb, "", place)
}

fn tell(request: Verb, identity: &str, place: &Place) -> Result<Exit, Failure> {
    let socket = place.socket()?;
    let request = Request { request, identity: identity.to_owned() };
    let answer = ask(&socket, &request).map_err(|error| {
        let kind = error.kind();
        let help = if matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
            "does amiwall run?"
        } else if matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            "it has not answered in time"
        } else {
            "only the user that amiwall runs as, and root, may ask"
        };
        Failure::incomplete(format!("cannot ask amiwall at {}: {error}; {help}", socket.display()))
    })?;
    match answer {
        Answer::Done { identity, outcome, sessions } => out(&told(&identity, &outcome, sessions)),
        Answer::Reloaded { policy } => out(&format!("the policy {policy} is in force")),
        Answer::Status { locked, suspended } => out(&table(&locked, &suspended)),
        Answer::Refused { message } if request.request == Verb::Reload => {
            let message = format!("the old policy stays in force, the new one cannot be taken:\n{message}");
            return Err(Failure::incomplete(message));
        }
        Answer::Refused { message } | Answer::Failed { message } => return Err(Failure::incomplete(message)),
    }
    Ok(Exit::Ok)
}

impl Place {
    fn socket(&self) -> Result<PathBuf, Failure> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        let policy = self.policy.as_deref().unwrap_or_else(|| Path::new(""));
        let checked = check(policy, Files::Skip).map_err(|problems| {
            let help = "without the policy: --socket PATH, which is `admin.sock` in the audit directory by default";
            let failure = Failure::of_policy(&problems);
            Failure { message: format!("{}\n{help}", failure.message), ..failure }
        })?;
        Ok(checked.admin_socket)
    }
}

/// Who cannot act now, one a line.
fn table(locked: &[String], suspended: &[String]) -> String {
    let rows = locked.iter().map(|name| (name, "locked")).chain(suspended.iter().map(|name| (name, "suspended")));
    let width = locked.iter().chain(suspended).map(|name| name.chars().count()).max().unwrap_or_default();
    let lines: Vec<String> = rows.map(|(name, state)| format!("{name:<width$}  {state}")).collect();
    if lines.is_empty() { "nobody is locked or suspended".to_owned() } else { lines.join("\n") }
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
