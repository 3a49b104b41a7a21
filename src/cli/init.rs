//! `amiwall init`: a working starting point in a new folder: policy, certificates, secrets, and the section of
//! manager.conf that belongs to it. What is there already is never touched.

mod files;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Exit, Failure, out, say};
use crate::audit::SigningKey;
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
    place.write(&place.secret, &format!("{upstream_secret}\n"))?;
    place.write(&place.snippet, &snippet)?;
    place.write(&place.policy, &files::policy(&answers, &hash))?;
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
    issue(&place.certs, &options).map_err(|error| Failure::incomplete(error.to_string()))?;
    let key = SigningKey::create(&place.certs.join("audit.key"), &place.certs.join("audit.pub"));
    key.map(drop).map_err(|error| Failure::incomplete(error.to_string()))
}

pub(super) fn random() -> Result<String, Failure> {
    let mut bytes = [0; 20];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Failure::incomplete("the system has no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What is wrong with an answer.
type Check = fn(&str) -> Result<(), &'static str>;

fn answers(args: &Args) -> Result<Answers, Failure> {
    let interactive = !args.yes && std::io::stdin().is_terminal();
    let ask = |(given, option): (&Option<String>, &str), question: &str, default: &str, check: Check| loop {
        let answer = match given {
            Some(given) => given.clone(),
            None if interactive => prompt(question, default)?,
            None => default.to_owned(),
        };
        match check(&answer) {
            Ok(()) => return Ok(answer),
            Err(why) if given.is_none() && interactive => say(&mut std::io::stderr(), why),
            Err(why) => return Err(Failure { exit: Exit::Usage, message: format!("--{option} {answer}: {why}") }),
        }
    };
    let question = "Where does Asterisk's manager interface listen?";
    let asterisk = ask((&args.asterisk, "asterisk"), question, "127.0.0.1:5038", is_host_and_port)?;
    let question = "What is amiwall's account there to be called?";
    let username = ask((&args.username, "username"), question, "amiwall", is_username)?;
    let listen = ask((&args.listen, "listen"), "Where shall clients connect?", "0.0.0.0:5039", is_ip_and_port)?;
    let question = "By which name or address do clients reach this machine?";
    let name = ask((&args.name, "name"), question, &host_name(), is_host)?;
    let listen = listen.parse().map_err(|_| Failure::incomplete(format!("{listen} is no address")))?;
    Ok(Answers { asterisk, username, listen, name })
}

/// All of this is written into files of other programs: nothing that could mean anything there.
fn is_plain(text: &str, more: &[u8]) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
}

fn is_host_and_port(text: &str) -> Result<(), &'static str> {
    let port = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).filter(|port| *port > 0);
    let is_good = port.is_some() && is_plain(text, b".-_:[]");
    is_good.then_some(()).ok_or("expected a host and a port, such as 127.0.0.1:5038")
}

fn is_username(text: &str) -> Result<(), &'static str> {
    is_plain(text, b"._-").then_some(()).ok_or("letters, digits, `.`, `_` and `-` only")
}

fn is_ip_and_port(text: &str) -> Result<(), &'static str> {
    let address = text.parse::<SocketAddr>();
    address.map(drop).map_err(|_| "expected an IP address and a port, such as 0.0.0.0:5039")
}

fn is_host(text: &str) -> Result<(), &'static str> {
    is_plain(text, b".-:").then_some(()).ok_or("expected a host name or an IP address")
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
         openssl s_client -quiet -verify_quiet -crlf -verify_return_error -servername {host} -CAfile {authority} \
         -connect {host}:{port}\n\n   \
         and copy this, with the empty line at the end:\n\n\
         Action: Login\nUsername: {client}\nSecret: {client_secret}\n\n\n   \
         `Action: Ping` and an empty line are answered; `Action: CoreSettings` is refused.\n\n\
         5. Give your clients {authority}, point them to port {port} with TLS, and delete their old accounts from\n   \
         manager.conf: an account of their own is a way past amiwall. Move {key} off this machine, with a copy\n   of {authority}: clients' certificates are made and revoked where both are (amiwall certs --help).\n\n\
         6. Keep {audit_key} where nobody on this machine can change it. With it the audit log can be proved whole:\n\n       \
         amiwall audit verify {log} --key {audit_key}",
        certs = quoted(&place.certs),
        secrets = quoted(&place.secret),
        client = files::CLIENT,
        key = quoted(&place.certs.join("ca.key")),
        audit_key = quoted(&place.certs.join("audit.pub")),
        log = quoted(&place.policy.with_file_name("audit")),
    )
}

#[cfg(test)]
mod tests;
