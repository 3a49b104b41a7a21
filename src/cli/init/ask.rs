//! The questions of `amiwall init`. Each has a default, and a flag that answers it.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use super::super::{Exit, Failure, say};
use super::Args;
use super::roles::Role;
use crate::import::{Survey, survey};
use crate::secret::Secret;

/// What was given, asked or taken for granted.
pub(super) struct Answers {
    pub(super) asterisk: String,
    pub(super) username: String,
    /// The secret of an account that is there.
    pub(super) secret: Option<Secret>,
    pub(super) listen: SocketAddr,
    pub(super) names: Vec<String>,
    pub(super) client: String,
    pub(super) role: Role,
    pub(super) extension: String,
    pub(super) context: String,
}

/// What is wrong with an answer.
type Check = fn(&str) -> Result<(), &'static str>;

struct Question<'q> {
    /// The flag, and what was given by it.
    flag: (&'q str, Option<&'q str>),
    text: &'q str,
    explained: &'q str,
    default: &'q str,
    check: Check,
}

struct Asker {
    is_interactive: bool,
}

impl Asker {
    fn ask(&self, question: &Question<'_>) -> Result<String, Failure> {
        let (flag, given) = question.flag;
        loop {
            let answer = match given {
                Some(given) => given.to_owned(),
                None if self.is_interactive => prompt(question)?,
                None => question.default.to_owned(),
            };
            match (question.check)(&answer) {
                Ok(()) => return Ok(answer),
                Err(why) if given.is_none() && self.is_interactive => say(&mut std::io::stderr(), why),
                Err(why) => return Err(Failure { exit: Exit::Usage, message: format!("--{flag} {answer}: {why}") }),
            }
        }
    }
}

fn prompt(question: &Question<'_>) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::incomplete(format!("cannot ask: {error}"));
    let mut terminal = std::io::stderr();
    let Question { text, explained, default, .. } = question;
    write!(terminal, "\n{explained}\n{text} [{default}] ").and_then(|()| terminal.flush()).map_err(failed)?;
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line).map_err(failed)? == 0 {
        return Err(Failure::incomplete("the input ended; nothing was written"));
    }
    let answer = line.trim();
    Ok(if answer.is_empty() { default } else { answer }.to_owned())
}

/// Where nothing is to be read.
const NONE: &str = "none";
const MANAGER_CONF: &str = "/etc/asterisk/manager.conf";

/// All answers.
pub(super) fn answers(args: &Args) -> Result<Answers, Failure> {
    let asker = Asker { is_interactive: !args.yes && std::io::stdin().is_terminal() };
    let conf = manager_conf(&asker, args)?;
    let port = conf.as_ref().map_or(5038, |conf| conf.bind.port());
    let asterisk = asker.ask(&Question {
        flag: ("asterisk", args.asterisk.as_deref()),
        text: "Where does Asterisk's manager interface listen?",
        explained: "amiwall connects to Asterisk there; best on the same machine, where nobody else can listen.",
        default: &format!("127.0.0.1:{port}"),
        check: is_host_and_port,
    })?;
    let known = conf.as_ref().map(names).filter(|names| !names.is_empty());
    let explained = known.map_or_else(
        || "amiwall logs in to Asterisk with an account of its own; its section will be written for you.".to_owned(),
        |names| format!("An account of manager.conf ({names}), whose secret is taken, or a new one."),
    );
    let username = asker.ask(&Question {
        flag: ("username", args.username.as_deref()),
        text: "What is amiwall's account there?",
        explained: &explained,
        default: "amiwall",
        check: is_account,
    })?;
    let listen = asker.ask(&Question {
        flag: ("listen", args.listen.as_deref()),
        text: "Where shall clients connect?",
        explained: "The address and port on which amiwall speaks TLS; 0.0.0.0 is every address of this machine.",
        default: "0.0.0.0:5039",
        check: is_ip_and_port,
    })?;
    let name = asker.ask(&Question {
        flag: ("name", args.names.first().map(String::as_str)),
        text: "By which name or address do clients reach this machine?",
        explained: "It goes into the certificate; a client refuses a name that is not in it.",
        default: &host_name(),
        check: is_host,
    })?;
    for other in args.names.iter().skip(1) {
        is_host(other).map_err(|why| Failure { exit: Exit::Usage, message: format!("--name {other}: {why}") })?;
    }
    let (client, role, extension, context) = client(&asker, args)?;
    let secret = conf.as_ref().map(|conf| secret_of(conf, &username)).transpose()?.flatten();
    let listen = listen.parse().map_err(|_| Failure::incomplete(format!("{listen} is no address")))?;
    let names = std::iter::once(name).chain(args.names.iter().skip(1).cloned()).collect();
    Ok(Answers { asterisk, username, secret, listen, names, client, role, extension, context })
}

/// The first client, and what it may do.
fn client(asker: &Asker, args: &Args) -> Result<(String, Role, String, String), Failure> {
    let role = asker.ask(&Question {
        flag: ("may", args.may.map(Role::name)),
        text: "What may the first client do (wallboard, click-to-dial, monitoring)?",
        explained: "wallboard looks at calls and queues; click-to-dial calls from one phone; monitoring only counts.",
        default: Role::Wallboard.name(),
        check: is_role,
    })?;
    let role = Role::of(&role).unwrap_or(Role::Wallboard);
    let client = asker.ask(&Question {
        flag: ("client", args.client.as_deref()),
        text: "What is the first client called?",
        explained: "The name that it logs in with; its secret is shown at the end, once.",
        default: role.name(),
        check: is_client,
    })?;
    if role != Role::ClickToDial {
        return Ok((client, role, String::new(), String::new()));
    }
    let extension = asker.ask(&Question {
        flag: ("extension", args.extension.as_deref()),
        text: "Which phone is the client's?",
        explained: "The name of a PJSIP endpoint: calls are made from PJSIP/<that>, and from no other.",
        default: "1001",
        check: is_username,
    })?;
    let context = asker.ask(&Question {
        flag: ("context", args.context.as_deref()),
        text: "In which context of the dialplan are its numbers dialled?",
        explained: "A context of extensions.conf that has the numbers it may call, such as from-internal.",
        default: "click-to-dial",
        check: is_username,
    })?;
    Ok((client, role, extension, context))
}

/// The file to read accounts from, if there is one.
fn manager_conf(asker: &Asker, args: &Args) -> Result<Option<Survey>, Failure> {
    let default = if std::fs::File::open(MANAGER_CONF).is_ok() { MANAGER_CONF } else { NONE };
    // Nobody has asked for it: a file that was not named is not read.
    let default = if asker.is_interactive { default } else { NONE };
    let given = args.manager_conf.as_ref().map(|path| path.display().to_string());
    let path = asker.ask(&Question {
        flag: ("manager-conf", given.as_deref()),
        text: "Which manager.conf shall be read (`none`: none)?",
        explained: "To find Asterisk's port and its accounts; it is never changed.",
        default,
        check: |_| Ok(()),
    })?;
    if path == NONE {
        return Ok(None);
    }
    survey(Path::new(&path)).map(Some).map_err(|error| {
        Failure::incomplete(format!("{error}; run as root (sudo), or go on without: --manager-conf none"))
    })
}

fn names(conf: &Survey) -> String {
    conf.accounts.iter().map(|account| account.name.as_str()).take(8).collect::<Vec<_>>().join(", ")
}

/// The secret of an account that is there and has one. Two that can be guessed would not be better than one.
fn secret_of(conf: &Survey, username: &str) -> Result<Option<Secret>, Failure> {
    let Some(account) = conf.accounts.iter().find(|account| account.name.eq_ignore_ascii_case(username)) else {
        return Ok(None);
    };
    let why = match account.secret.as_ref().map(Secret::expose) {
        None | Some([]) => "has no secret, so that anybody could log in",
        Some(secret) if secret.iter().any(|byte| *byte < b' ' || *byte == 0x7F) => "has a secret that AMI cannot carry",
        Some(_) => return Ok(account.secret.clone()),
    };
    let place = &account.place;
    Err(Failure::incomplete(format!(
        "{place}: [{username}] {why}; give it one, or let --username name another account"
    )))
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

/// Asterisk reads that section for what holds for all, whatever else is in it.
fn is_account(text: &str) -> Result<(), &'static str> {
    is_username(text)?;
    let is_section = text.eq_ignore_ascii_case("general");
    if is_section { Err("[general] of manager.conf holds for all accounts and is none; name another") } else { Ok(()) }
}

/// A key of YAML, too: one that is no number or word of its own.
fn is_client(text: &str) -> Result<(), &'static str> {
    let is_name = is_plain(text, b"._-") && text.len() < 80 && text.starts_with(|c: char| c.is_ascii_alphabetic());
    is_name.then_some(()).ok_or("a letter first; then letters, digits, `.`, `_` and `-`; at most 79")
}

fn is_role(text: &str) -> Result<(), &'static str> {
    Role::of(text).map(drop).ok_or("wallboard, click-to-dial or monitoring")
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
