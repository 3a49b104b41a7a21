//! `amiwall init`: a working starting point in a new folder: policy, certificates, secrets, and the section of
//! manager.conf that belongs to it. What is there already is never touched.

mod files;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Exit, Failure, out, say};
use crate::config::{self, Files};
use crate::identity::hash_secret;
use crate::secret::Secret;
use crate::tls::{IssueOptions, issue};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder to write to; it is made.
    #[arg(default_value = "amiwall")]
    directory: PathBuf,
    /// Where Asterisk's manager interface listens [default: 127.0.0.1:5038].
    #[arg(long, value_name = "HOST:PORT")]
    asterisk: Option<String>,
    /// amiwall's account there [default: amiwall].
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Where clients connect [default: 0.0.0.0:5039].
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,
    /// The name or address by which clients connect, for the certificate [default: this machine's name].
    #[arg(long, value_name = "HOST")]
    name: Option<String>,
    /// Ask nothing.
    #[arg(long, short = 'y')]
    yes: bool,
}

/// What was given, asked or taken for granted.
struct Answers {
    asterisk: String,
    username: String,
    listen: SocketAddr,
    name: String,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    out(&create(args)?);
    Ok(Exit::Ok)
}

/// Writes everything; returns what to do with it.
fn create(args: &Args) -> Result<String, Failure> {
    let folder = args.directory.as_path();
    let place = files::Place::new(folder);
    if let Some(path) = place.files().into_iter().find(|path| path.exists()) {
        let message = format!("{} is there already; `init` never overwrites. Name another folder", path.display());
        return Err(Failure::incomplete(message));
    }
    let answers = answers(args)?;
    let (upstream_secret, client_secret) = (random()?, random()?);
    let hash = hash_secret(&Secret::new(client_secret.clone().into_bytes()));
    let hash = hash.map_err(|error| Failure::incomplete(error.to_string()))?;
    certificates(&place, &answers)?;
    let snippet = files::manager_conf(&answers, &upstream_secret);
    place.write(&place.secret, &format!("{upstream_secret}\n"), files::Mode::Private)?;
    place.write(&place.snippet, &snippet, files::Mode::Private)?;
    place.write(&place.policy, &files::policy(&answers, &hash), files::Mode::Public)?;
    check(&place.policy)?;
    Ok(next_steps(&place, &answers, &client_secret))
}

/// What was just written has to be right: the operator is told to run it.
fn check(policy: &Path) -> Result<(), Failure> {
    let checked = config::check(policy, Files::Open).map_err(|diagnostics| Failure {
        exit: Exit::InvalidPolicy,
        message: format!("the policy was written, but with these answers it is not valid:\n\n{diagnostics}"),
    })?;
    if !checked.warnings.is_empty() {
        say(&mut std::io::stderr(), &format!("{}\n", checked.warnings));
    }
    Ok(())
}

fn certificates(place: &files::Place, answers: &Answers) -> Result<(), Failure> {
    let mut options = IssueOptions::default();
    // The first name is the certificate's own.
    options.server_names.insert(0, answers.name.clone());
    options.server_names.dedup();
    issue(&place.certs, &options).map(drop).map_err(|error| Failure::incomplete(error.to_string()))
}

pub(super) fn random() -> Result<String, Failure> {
    let mut bytes = [0; 20];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Failure::incomplete("the system has no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn answers(args: &Args) -> Result<Answers, Failure> {
    let interactive = !args.yes && std::io::stdin().is_terminal();
    let ask = |given: &Option<String>, question: &str, default: &str| match given {
        Some(given) => Ok(given.clone()),
        None if interactive => prompt(question, default),
        None => Ok(default.to_owned()),
    };
    let asterisk = ask(&args.asterisk, "Where does Asterisk's manager interface listen?", "127.0.0.1:5038")?;
    let username = ask(&args.username, "What is amiwall's account there to be called?", "amiwall")?;
    let listen = ask(&args.listen, "Where shall clients connect?", "0.0.0.0:5039")?;
    let name = ask(&args.name, "By which name or address do clients reach this machine?", &host_name())?;
    // All of this is written into files of other programs: nothing that could mean anything there.
    let is_plain = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    let usage = |message: String| Failure { exit: Exit::Usage, message };
    let port = asterisk.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).filter(|port| *port > 0);
    if port.is_none() || !is_plain(&asterisk, b".-_:[]") {
        return Err(usage(format!("--asterisk {asterisk}: expected a host and a port, such as 127.0.0.1:5038")));
    }
    if !is_plain(&username, b"._-") {
        return Err(usage(format!("--username {username}: letters, digits, `.`, `_` and `-` only")));
    }
    if !is_plain(&name, b".-:") {
        return Err(usage(format!("--name {name}: expected a host name or an IP address")));
    }
    let listen = listen.parse::<SocketAddr>();
    let listen =
        listen.map_err(|_| usage("--listen: expected an IP address and a port, such as 0.0.0.0:5039".to_owned()))?;
    Ok(Answers { asterisk, username, listen, name })
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() || name == "(none)" { "localhost".to_owned() } else { name.to_owned() }
}

fn prompt(question: &str, default: &str) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::incomplete(format!("cannot ask: {error}"));
    let mut terminal = std::io::stderr();
    write!(terminal, "{question} [{default}] ").and_then(|()| terminal.flush()).map_err(failed)?;
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line).map_err(failed)? == 0 {
        return Err(Failure::incomplete("nothing was written"));
    }
    let answer = line.trim();
    Ok(if answer.is_empty() { default } else { answer }.to_owned())
}

fn next_steps(place: &files::Place, answers: &Answers, client_secret: &str) -> String {
    let quoted = |path: &Path| {
        let text = path.display().to_string();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
        if is_plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
    };
    let (policy, snippet) = (quoted(&place.policy), quoted(&place.snippet));
    let authority = quoted(&place.certs.join("ca.crt"));
    let ip = answers.listen.ip();
    // The certificate is for these names, whatever else it is for.
    let host = match ip.to_canonical() {
        ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
        _ => answers.name.clone(),
    };
    let port = answers.listen.port();
    format!(
        "Written: {policy}, {snippet}, {certs}, {secrets}.\n\n\
         The client `{client}` logs in with this secret. It is shown this once and kept nowhere:\n\n    {client_secret}\n\n\
         What to do next:\n\n\
         1. Put {snippet} into /etc/asterisk/manager.conf, and run:\n\n       asterisk -rx 'manager reload'\n\n\
         2. Read what the policy amounts to, and make it yours:\n\n       amiwall check {policy}\n\n\
         3. Start amiwall:\n\n       amiwall run {policy}\n\n\
         4. Try it from another terminal:\n\n       \
         openssl s_client -quiet -crlf -verify_return_error -CAfile {authority} -connect {host}:{port}\n\n   \
         and type, with an empty line at the end:\n\n       \
         Action: Login\n       Username: {client}\n       Secret: the secret above\n\n   \
         `Action: Ping` and an empty line are answered; `Action: CoreSettings` is refused.\n\n\
         5. Give your clients {authority}, point them to port {port} with TLS, and delete their old accounts from\n   \
         manager.conf: an account of their own is a way past amiwall. Move {key} off this machine.",
        certs = quoted(&place.certs),
        secrets = quoted(&place.secret),
        client = files::CLIENT,
        key = quoted(&place.certs.join("ca.key")),
    )
}

#[cfg(test)]
mod tests;
