//! `amiwall lock`, `unlock`, `kick`, `pause`, `resume`: tell the running amiwall something about an identity, a session or an
//! action. `reload`, `status`: about itself.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Exit, Failure, out};
use crate::config::{Files, check};
use crate::daemon::{Answer, Request, Verb, ask};
use crate::policy::Pause;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The identity.
    identity: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
pub(super) struct KickArgs {
    /// The session, as `amiwall sessions` and the audit log call it.
    session: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
pub(super) struct PauseArgs {
    /// The action's name, such as Originate, or '*' for every action but Logoff.
    action: String,
    /// For every identity. So it is, too, where none is named.
    #[arg(long, conflicts_with = "identity")]
    all: bool,
    /// For this identity alone.
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "amiwall resume IDENTITY POLICY\n       \
                            amiwall resume --action ACTION [--all | --identity NAME] POLICY\n       \
                            with --socket PATH in place of POLICY")]
pub(super) struct ResumeArgs {
    /// The identity that a `trip` has suspended, if no action is named; then the policy file, which says where amiwall is
    /// asked.
    #[arg(value_name = "IDENTITY, POLICY", num_args = 0..=2)]
    words: Vec<OsString>,
    /// Take a pause off: that of this action. Each pause is taken off as it was put on: '*' is not Originate, and what is
    /// paused for everybody stays so if it is taken off for one.
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// The pause of every identity. So it is, too, where none is named.
    #[arg(long, requires = "action", conflicts_with = "identity")]
    all: bool,
    /// The pause of this identity.
    #[arg(long, value_name = "NAME", requires = "action")]
    identity: Option<String>,
    /// The admin socket itself, where the policy file cannot be read.
    #[arg(long)]
    socket: Option<PathBuf>,
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
    tell(&Request::of(verb, &args.identity), &args.place)
}

/// What is about no identity.
pub(super) fn tell_itself(verb: Verb, place: &Place) -> Result<Exit, Failure> {
    tell(&Request::new(verb), place)
}

pub(super) fn kick(args: &KickArgs) -> Result<Exit, Failure> {
    tell(&Request { session: args.session.clone(), ..Request::new(Verb::Kick) }, &args.place)
}

pub(super) fn pause(args: &PauseArgs) -> Result<Exit, Failure> {
    let identity = args.identity.as_deref().unwrap_or_default();
    tell(&Request { action: args.action.clone(), ..Request::of(Verb::Pause, identity) }, &args.place)
}

/// Of an identity that is suspended, or of an action that is paused.
pub(super) fn resume(args: &ResumeArgs) -> Result<Exit, Failure> {
    let usage = |message: &str| Failure { exit: Exit::Usage, message: format!("{message} (amiwall resume --help)") };
    let mut words = args.words.iter();
    let identity = match &args.action {
        Some(_) => args.identity.clone().unwrap_or_default(),
        None => {
            let identity = words.next().and_then(|word| word.to_str());
            identity.ok_or_else(|| usage("name the identity to be resumed, or --action"))?.to_owned()
        }
    };
    let place = Place { policy: words.next().map(PathBuf::from), socket: args.socket.clone() };
    if place.policy.is_some() == place.socket.is_some() {
        return Err(usage("name the policy file, or --socket in its place"));
    }
    if words.next().is_some() {
        return Err(usage("with --action, the identity is --identity NAME"));
    }
    match &args.action {
        Some(action) => tell(&Request { action: action.clone(), ..Request::of(Verb::Unpause, &identity) }, &place),
        None => tell(&Request::of(Verb::Resume, &identity), &place),
    }
}

fn tell(request: &Request, place: &Place) -> Result<Exit, Failure> {
    match place.ask(request)? {
        Answer::Done { outcome, .. } if outcome == "kicked" => out(&format!("session {} is ended", request.session)),
        Answer::Done { identity, outcome, sessions } => out(&told(&identity, &outcome, sessions)),
        Answer::Paused { pause, outcome, paused } => out(&told_of_action(&pause, &outcome, &paused)),
        Answer::Reloaded { policy } => out(&format!("the policy {policy} is in force")),
        Answer::Status { locked, suspended, paused } => out(&table(&locked, &suspended, &paused)),
        Answer::Refused { message } if request.request == Verb::Reload => {
            let message = format!("the old policy stays in force, the new one cannot be taken:\n{message}");
            return Err(Failure::incomplete(message));
        }
        Answer::Refused { message } | Answer::Failed { message } => return Err(Failure::incomplete(message)),
        Answer::Overview(_) | Answer::Sessions { .. } => return Err(not_understood()),
    }
    Ok(Exit::Ok)
}

pub(super) fn not_understood() -> Failure {
    Failure::incomplete("amiwall has answered something else; is it of another version than this program?")
}

impl Place {
    /// The amiwall of that policy.
    pub(super) fn of(policy: &Path) -> Self {
        Self { policy: Some(policy.to_owned()), socket: None }
    }

    /// Asks the amiwall that listens there.
    pub(super) fn ask(&self, request: &Request) -> Result<Answer, Failure> {
        let socket = self.socket()?;
        ask(&socket, request).map_err(|error| {
            let kind = error.kind();
            let help = if matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
                "does amiwall run?"
            } else if matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut) {
                "it has not answered in time"
            } else {
                "only the user that amiwall runs as, and root, may ask"
            };
            Failure::incomplete(format!("cannot ask amiwall at {}: {error}; {help}", socket.display()))
        })
    }

    /// Where that is.
    pub(super) fn socket(&self) -> Result<PathBuf, Failure> {
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

/// Who and what cannot act now, one a line.
fn table(locked: &[String], suspended: &[String], paused: &[Pause]) -> String {
    let rows = locked.iter().map(|name| (name, "locked")).chain(suspended.iter().map(|name| (name, "suspended")));
    let width = locked.iter().chain(suspended).map(|name| name.chars().count()).max().unwrap_or_default();
    let mut lines: Vec<String> = rows.map(|(name, state)| format!("{name:<width$}  {state}")).collect();
    if lines.is_empty() {
        lines.push("nobody is locked or suspended".to_owned());
    }
    lines.extend(paused.iter().map(|pause| format!("{} is paused", spelled(pause))));
    lines.join("\n")
}

/// What a pause stops.
pub(super) fn spelled(pause: &Pause) -> String {
    let action = if pause.action == "*" { "every action".to_owned() } else { format!("`{}`", pause.action) };
    let whose = if pause.identity.is_empty() { "everybody".to_owned() } else { format!("`{}`", pause.identity) };
    format!("{action} of {whose}")
}

fn told_of_action(pause: &Pause, outcome: &str, paused: &[Pause]) -> String {
    let what = spelled(pause);
    let mut text = match outcome {
        "paused" => format!("{what} is paused: none goes to Asterisk until `amiwall resume --action`"),
        "paused-before" => format!("{what} was paused before, and stays so"),
        "unpaused" => format!("{what} is not paused any more, and goes as far as the policy lets it"),
        "not-paused" => format!("{what} was not paused"),
        other => format!("{what}: {other}"),
    };
    for other in paused.iter().filter(|other| *other != pause) {
        text += &format!("\nalso paused: {}", spelled(other));
    }
    text
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
