//! The policy's text. Written for somebody who takes rights away from it line by line: an action a line, below the class
//! that gives it, and what is dangerous about it beside it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::account::Account;
use super::general::General;
use super::notes::{self, Note, shown};
use crate::ami::{EventMask, PrivilegeClass};
use crate::catalogue::{self, ActionEntry, Danger};

/// amiwall's account with Asterisk for everything that is no client's.
pub(super) const MAIN_USERNAME: &str = "amiwall";
/// The longest user name that Asterisk compares.
const USERNAME_LEN_MAX: usize = 79;
/// More notes than these stand on standard error only.
const NOTES_MAX: usize = 200;
/// Never forwarded, whatever a policy says.
const NEVER_FORWARDED: &str = "filter";
/// Where clients may be listened for; the first that is free is taken.
const PORTS: [u16; 5] = [5039, 5040, 5041, 5042, 5043];

/// Everything that the text is made of.
pub(super) struct Source<'a> {
    pub(super) path: &'a str,
    pub(super) general: &'a General,
    pub(super) accounts: &'a [Account],
    pub(super) notes: &'a [Note],
    pub(super) challenge: &'a [String],
}

/// The text.
pub(super) fn text(source: &Source<'_>) -> String {
    let mut text = head(source);
    listeners(&mut text, source.general);
    upstreams(&mut text, source);
    text.push_str("# Where is everything recorded? An action is forwarded only when its record is on disk.\n");
    text.push_str("audit:\n  directory: audit\n\n");
    if let Some(seconds) = source.general.login_timeout {
        text.push_str(&format!("limits:\n  login_timeout: {seconds}s\n\n"));
    }
    roles(&mut text, source.accounts);
    identities(&mut text, source);
    text
}

/// Where the secret of a client is.
pub(super) fn client_secret_path(name: &str) -> String {
    format!("secrets/{name}.secret")
}

/// Where the secret of one of amiwall's own accounts is; in a folder of its own, so that no name is a client's.
pub(super) fn upstream_secret_path(username: &str) -> String {
    format!("secrets/asterisk/{username}.secret")
}

/// amiwall's account for the role of this account. `number` is its place among all.
pub(super) fn upstream_username(account: &Account, number: usize) -> String {
    let username = format!("{MAIN_USERNAME}-{}", account.name);
    if username.len() <= USERNAME_LEN_MAX { username } else { format!("{MAIN_USERNAME}.{number}") }
}

/// Whether the account's clients log in by MD5 challenge.
pub(super) fn is_challenge(account: &Account, challenge: &[String]) -> bool {
    challenge.iter().any(|name| name.eq_ignore_ascii_case(&account.name))
}

fn head(source: &Source<'_>) -> String {
    let mut text = format!(
        "# Made by `amiwall import {}`: each account has the rights that it had there.\n\
         # Asterisk gives rights by classes, which are far too wide. Read this, and take away what a client does not use.\n\
         #\n\
         #   amiwall check policy.yaml        what does it amount to?\n\
         #\n\
         # Paths are relative to this file. Some things are refused under every rule: dialplan functions and `${{…}}` in\n\
         # values, headers that stand twice, what Asterisk would cut off. An action of a module that amiwall does not\n\
         # know has no line here; neither has Filter.\n",
        shown(source.path)
    );
    if !source.notes.is_empty() {
        text.push_str("#\n");
    }
    let lines = notes::text(source.notes);
    for line in lines.lines().take(NOTES_MAX) {
        text.push_str(&format!("# {line}\n"));
    }
    let more = lines.lines().count().saturating_sub(NOTES_MAX);
    if more > 0 {
        text.push_str(&format!("# … and {more} lines more, which `amiwall import` prints\n"));
    }
    text.push_str("version: 1\n\n");
    text
}

/// The first port that nothing else has.
fn free_port(general: &General, other: Option<u16>) -> u16 {
    PORTS.into_iter().find(|port| *port != general.port && Some(*port) != other).unwrap_or(5044)
}

/// Where clients of other machines connect, with TLS; none where only this machine's could before.
pub(super) fn tls_address(general: &General) -> Option<SocketAddr> {
    match general.tls {
        Some(address) if address.port() != general.port && address.port() != 0 => Some(address),
        Some(address) => Some(SocketAddr::new(address.ip(), free_port(general, None))),
        None if general.bind.to_canonical().is_loopback() => None,
        None => Some(SocketAddr::new(general.bind, free_port(general, None))),
    }
}

/// With TLS where others could come from, and in clear on loopback for programs on this machine.
fn listeners(text: &mut String, general: &General) {
    let tls = tls_address(general);
    text.push_str("# Where do clients connect?\nlisteners:\n");
    if let Some(address) = tls {
        text.push_str(&format!(
            "  - address: \"{address}\"\n    \
             tls: {{ certificate: certs/server.crt, key: certs/server.key }}   # made by `amiwall certs certs`\n"
        ));
    }
    let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), free_port(general, tls.map(|address| address.port())));
    text.push_str(&format!(
        "  # For programs on this machine that know no TLS. They came to port {} before.\n  \
         - address: \"{local}\"\n    plaintext: true\n\n",
        general.port
    ));
}

fn upstreams(text: &mut String, source: &Source<'_>) {
    let secret = |username: &str| upstream_secret_path(username);
    text.push_str(&format!(
        "# Where is Asterisk, and who is amiwall there? (manager.conf.hardened has the other half.)\n\
         upstreams:\n  pbx:\n    address: \"127.0.0.1:{}\"\n    username: {MAIN_USERNAME}\n    \
         secret: {{ file: {} }}\n",
        source.general.port,
        secret(MAIN_USERNAME)
    ));
    if !source.accounts.is_empty() {
        text.push_str(
            "    # Asterisk's classes stay a second wall: each role has an account with those that it had.\n",
        );
        text.push_str("    logins:\n");
    }
    for (number, account) in (1..).zip(source.accounts) {
        let username = upstream_username(account, number);
        let (name, path) = (quoted(&account.name), quoted(&secret(&username)));
        text.push_str(&format!("      {name}: {{ username: {}, secret: {{ file: {path} }} }}\n", quoted(&username)));
    }
    text.push('\n');
}

fn roles(text: &mut String, accounts: &[Account]) {
    let everybody = role_of_everybody(accounts);
    text.push_str("# What may be done? What no line allows is refused.\nroles:\n");
    text.push_str(
        "  # Asterisk asks for no class here: every account may do all of this, whatever its `write` says. What no\n  \
         # client uses should go.\n",
    );
    text.push_str(&format!("  {everybody}:\n    allow:\n"));
    for entry in catalogue::actions().filter(|entry| entry.classes.is_empty() && !entry.is_local) {
        action(text, entry, "changes calls, lines or queues");
    }
    for account in accounts {
        text.push_str(&format!("\n  # [{}] of {}\n", account.name, account.place));
        text.push_str(&format!("  {}:\n    include: [{everybody}]\n", quoted(&account.name)));
        allows(text, account.write);
        events(text, account);
    }
    text.push('\n');
}

/// A name that is no account's.
fn role_of_everybody(accounts: &[Account]) -> String {
    let is_taken = |name: &str| accounts.iter().any(|account| account.name.eq_ignore_ascii_case(name));
    let names = std::iter::once("everybody".to_owned()).chain((2_u32..).map(|number| format!("everybody-{number}")));
    names.into_iter().find(|name| !is_taken(name)).unwrap_or_default()
}

/// The actions that `write` gives, each below the first of its classes that the account has.
fn allows(text: &mut String, write: EventMask) {
    let mut has_any = false;
    for class in PrivilegeClass::ALL.into_iter().filter(|class| write.has(*class)) {
        let is_first =
            |entry: &&ActionEntry| entry.classes.iter().copied().filter(|c| write.has(*c)).min() == Some(class);
        let is_listed = |entry: &&ActionEntry| !entry.is_local && entry.key != NEVER_FORWARDED;
        let entries: Vec<&ActionEntry> = catalogue::actions().filter(is_listed).filter(is_first).collect();
        if entries.is_empty() {
            continue;
        }
        if !has_any {
            text.push_str("    allow:\n");
            has_any = true;
        }
        text.push_str(&format!("      # class {}: {}\n", class.label(), meaning(class)));
        entries.into_iter().for_each(|entry| action(text, entry, ""));
    }
}

/// What the class is about, in so far as it has actions.
const fn meaning(class: PrivilegeClass) -> &'static str {
    match class {
        PrivilegeClass::System => "the machine, its modules, files and database",
        PrivilegeClass::Call => "channels and calls that there are",
        PrivilegeClass::Agent => "queues and their agents",
        PrivilegeClass::User => "events of one's own, voicemail",
        PrivilegeClass::Config => "configuration files, which is the whole machine",
        PrivilegeClass::Command => "the CLI, which is the whole machine",
        PrivilegeClass::Reporting => "looking at what there is",
        PrivilegeClass::Originate => "new calls, which is the whole machine",
        PrivilegeClass::Agi => "AGI, which is the whole machine",
        PrivilegeClass::Aoc => "advice of charge",
        PrivilegeClass::Message => "text messages",
        PrivilegeClass::Log
        | PrivilegeClass::Verbose
        | PrivilegeClass::Dtmf
        | PrivilegeClass::Cdr
        | PrivilegeClass::Dialplan
        | PrivilegeClass::Cc
        | PrivilegeClass::Test
        | PrivilegeClass::Security => "events only",
    }
}

/// `change` is said of actions that change something and are no worse.
fn action(text: &mut String, entry: &ActionEntry, change: &'static str) {
    let warning = match entry.danger {
        Some(Danger::StateChange) => change,
        Some(danger) => warning(entry.name, danger),
        None => "",
    };
    match Some(warning).filter(|warning| !warning.is_empty()) {
        Some(warning) => text.push_str(&format!("      - {:<30} # {warning}\n", entry.name)),
        None => text.push_str(&format!("      - {}\n", entry.name)),
    }
}

/// What somebody should know before leaving the line there. Nearly all others show or change something, too.
fn warning(name: &str, danger: Danger) -> &'static str {
    match (name, danger) {
        ("Originate", _) => "DANGER: calls anywhere, and runs programs (Application: System)",
        ("Command", _) => "DANGER: every command of the CLI, shutting down included; list those that are used",
        (_, Danger::CodeExec) => "DANGER: can run code on this machine, or configure something that does",
        (_, Danger::ConfigWrite) => "DANGER: writes configuration, files or the database",
        (_, Danger::Cost) => "COSTS: can make calls or send messages that somebody pays for",
        (_, Danger::InfoLeak | Danger::StateChange) => "",
    }
}

fn events(text: &mut String, account: &Account) {
    let events = &account.events;
    if events.allow.is_empty() {
        return;
    }
    text.push_str("    events:\n");
    if events.is_narrowed {
        text.push_str("      # Asterisk narrows this down by the `eventfilter` lines of manager.conf.hardened.\n");
    }
    list(text, "allow", &events.allow);
    if !events.deny.is_empty() {
        list(text, "deny", &events.deny);
    }
}

/// `key: [a, b, …]`, on lines that are not too long.
fn list(text: &mut String, key: &str, elements: &[String]) {
    let mut line = format!("      {key}: [");
    for (number, element) in elements.iter().enumerate() {
        if line.len() + element.len() > 110 {
            text.push_str(line.trim_end());
            text.push('\n');
            " ".repeat(8).clone_into(&mut line);
        }
        let end = if number + 1 == elements.len() { "]" } else { ", " };
        line.push_str(element);
        line.push_str(end);
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn identities(text: &mut String, source: &Source<'_>) {
    text.push_str(
        "# Who is there? The file of a secret has its argon2id line (`amiwall hash-secret`). Where a client logs in by MD5\n\
         # challenge (AuthType: MD5), the file has to have the secret itself, and the identity `challenge: true`.\n",
    );
    if source.accounts.is_empty() {
        text.push_str("identities: {}\n");
        return;
    }
    text.push_str("identities:\n");
    for account in source.accounts {
        let (name, path) = (quoted(&account.name), quoted(&client_secret_path(&account.name)));
        text.push_str(&format!("  {name}:\n    roles: [{name}]\n    secret: {{ file: {path} }}\n"));
        if is_challenge(account, source.challenge) {
            text.push_str("    challenge: true\n");
        }
        let networks = &account.networks;
        let allow = networks.allow.as_ref().map(|allow| ("allow", allow));
        let except = Some(("except", &networks.except)).filter(|(_, except)| !except.is_empty());
        let lists = allow.into_iter().chain(except).map(|(key, list)| {
            let list: Vec<String> = list.iter().map(|network| quoted(network)).collect();
            format!("{key}: [{}]", list.join(", "))
        });
        let lists: Vec<String> = lists.collect();
        if !lists.is_empty() {
            text.push_str(&format!("    networks: {{ {} }}\n", lists.join(", ")));
        }
        if !account.allows_multiple_logins {
            text.push_str("    sessions: 1   # allowmultiplelogin = no\n");
        }
    }
}

/// A name or path as YAML. Those with anything but letters, digits, `-` and `_` are quoted, and so is what YAML takes for
/// something else; none of them has what would need escaping.
fn quoted(text: &str) -> String {
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/.".contains(&byte));
    let means_more = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if is_word && !means_more.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    }
}
