//! `amiwall init`: from nothing to a firewall that runs. It asks, tries the Asterisk, and writes a new folder: policy,
//! certificates, secrets, the section of manager.conf that belongs to it, and the systemd unit. All of it is there at the
//! end, or nothing. What is there already is never touched, and Asterisk's files are read at the most.

mod ask;
mod files;
mod roles;
mod stage;
mod steps;

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::contact::{Contact, visit};
use super::{Exit, Failure, out, say};
use crate::audit::SigningKey;
use crate::config::{self, Files};
use crate::identity::hash_secret;
use crate::secret::Secret;
use crate::tls::{IssueOptions, issue};
use ask::Answers;
use roles::Role;
use stage::Stage;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder to write to; it is made.
    #[arg(default_value = "amiwall")]
    directory: PathBuf,
    /// Where Asterisk's manager interface listens [default: 127.0.0.1:5038].
    #[arg(long, value_name = "HOST:PORT")]
    asterisk: Option<String>,
    /// amiwall's account there [default: amiwall]. Where --manager-conf has it, its secret is taken.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Asterisk's manager.conf, for its port and accounts; it is read, never changed. `none`: none.
    #[arg(long, value_name = "FILE")]
    manager_conf: Option<PathBuf>,
    /// Where clients connect [default: 0.0.0.0:5039].
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,
    /// A name or address by which clients connect, for the certificate; may be given several times [default: this machine's
    /// name].
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    /// The first client's name [default: what it may do].
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// What the first client may do [default: wallboard].
    #[arg(long, value_enum, value_name = "ROLE")]
    may: Option<Role>,
    /// click-to-dial: the PJSIP endpoint that the client calls from [default: 1001].
    #[arg(long, value_name = "NAME")]
    extension: Option<String>,
    /// click-to-dial: the context of the dialplan that has the numbers [default: click-to-dial].
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Do not try the Asterisk.
    #[arg(long)]
    offline: bool,
    /// Ask nothing: flags and defaults answer.
    #[arg(long, short = 'y')]
    yes: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let text = create(args, |warning| say(&mut std::io::stderr(), warning))?;
    out(&text);
    Ok(Exit::Ok)
}

/// Writes everything; returns what to do with it. `tell` is given what is worth a look.
fn create(args: &Args, tell: impl Fn(&str)) -> Result<String, Failure> {
    let folder = args.directory.as_path();
    let place = files::Place::new(folder);
    if let Some(path) = place.files().into_iter().find(|path| path.symlink_metadata().is_ok()) {
        let message = format!("{} is there already; `init` never overwrites. Name another folder", path.display());
        return Err(Failure::incomplete(message));
    }
    let answers = ask::answers(args)?;
    if !args.offline {
        try_asterisk(&answers, &tell);
    }
    let client_secret = Zeroizing::new(random()?);
    let hash = hash_secret(&Secret::new(client_secret.as_bytes().to_vec()));
    let hash = hash.map_err(|error| Failure::incomplete(error.to_string()))?;
    let stage = Stage::new(folder)?;
    write(&stage, folder, &answers, &hash)?;
    check(&files::Place::new(stage.folder()).policy, &place.policy, &tell)?;
    stage.publish()?;
    Ok(steps::text(&place, &answers, &client_secret))
}

/// Everything, in a folder that is not in its place yet.
fn write(stage: &Stage, folder: &Path, answers: &Answers, hash: &str) -> Result<(), Failure> {
    let place = files::Place::new(stage.folder());
    certificates(&place, answers)?;
    let new_secret = Zeroizing::new(random()?);
    let secret = answers.secret.as_ref().map_or(new_secret.as_bytes(), |secret| secret.expose());
    let mut line = Zeroizing::new(secret.to_vec());
    line.push(b'\n');
    place.write(&place.secret, &line)?;
    let new = answers.secret.is_none().then_some(new_secret.as_str());
    let snippet = Zeroizing::new(files::manager_conf(answers, new));
    place.write(&place.snippet, snippet.as_bytes())?;
    place.folder(&place.audit)?;
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let unit = files::unit(&files::Place::new(&absolute));
    place.write(&place.unit, unit.as_bytes())?;
    place.write(&place.policy, files::policy(answers, hash).as_bytes())
}

/// Whether Asterisk is there and lets the account in, if it can be there already. What is wrong stops nothing: it may be
/// mended afterwards.
fn try_asterisk(answers: &Answers, tell: &impl Fn(&str)) {
    let Answers { asterisk, username, secret, .. } = answers;
    let contact = visit(asterisk, secret.as_ref().map(|secret| (username.as_str(), secret)));
    if let Some((found, help)) = contact.problem(asterisk, username) {
        tell(&format!("warning: {found}\n  {help}\n  The files are written all the same (--offline does not try)."));
        return;
    }
    match contact {
        Contact::In(settings) => {
            let version = settings.version.as_deref().unwrap_or("a version that it does not tell this account");
            tell(&format!("Asterisk ({version}) at {asterisk} lets `{username}` in."));
        }
        Contact::Greets(banner) => {
            tell(&format!("Asterisk is at {asterisk} ({}). It does not know the new account yet.", banner.text()));
        }
        Contact::Unreachable(_) | Contact::NoAsterisk(_) | Contact::Silent(_) | Contact::Refused(_) => {}
    }
}

/// What is given to the operator has to be right: it is run next.
fn check(written: &Path, policy: &Path, tell: &impl Fn(&str)) -> Result<(), Failure> {
    let in_place = |text: String| text.replace(&written.display().to_string(), &policy.display().to_string());
    let checked = config::check(written, Files::Open).map_err(|diagnostics| Failure {
        exit: Exit::InvalidPolicy,
        message: format!(
            "with these answers the policy is not valid; nothing was written:\n\n{}",
            in_place(diagnostics.to_string())
        ),
    })?;
    if !checked.warnings.is_empty() {
        tell(&format!("{}\n", in_place(checked.warnings.to_string())));
    }
    Ok(())
}

fn certificates(place: &files::Place, answers: &Answers) -> Result<(), Failure> {
    let mut options = IssueOptions::default();
    // The first name is the certificate's own.
    let mut names = answers.names.clone();
    names.extend(options.server_names);
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    options.server_names = names;
    issue(&place.certs, &options).map_err(|error| Failure::incomplete(error.to_string()))?;
    let key = SigningKey::create(&place.certs.join("audit.key"), &place.certs.join("audit.pub"));
    key.map(drop).map_err(|error| Failure::incomplete(error.to_string()))
}

pub(super) fn random() -> Result<String, Failure> {
    let mut bytes = [0; 20];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Failure::incomplete("the system has no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
