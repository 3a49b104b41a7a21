//! The accounts of manager.conf: who can log in past amiwall, with what secret, and whether amiwall's own accounts are what
//! the policy needs.

use std::collections::{BTreeMap, BTreeSet};

use super::{Level, Report, list};
use crate::ami::{EventMask, PrivilegeClass};
use crate::catalogue::{self, Danger};
use crate::config::Checked;
use crate::import::{Reach, Survey, SurveyedAccount};
use crate::policy::spec::{RoleSpec, effective_roles};

/// Secrets that installers, samples and books have made common.
const COMMON: [&str; 22] = [
    "1234",
    "12345",
    "123456",
    "admin",
    "administrator",
    "amp109",
    "amp111",
    "asterisk",
    "changeme",
    "dialer",
    "elastix",
    "elastix456",
    "freepbx",
    "issabel",
    "manager",
    "mysecret",
    "pass",
    "password",
    "secret",
    "secret5",
    "test",
    "vicidial",
];
/// What a guesser tries is shorter.
const SECRET_LEN_MIN: usize = 12;
/// With one of these a client has the machine.
const MIGHTY: [PrivilegeClass; 5] = [
    PrivilegeClass::System,
    PrivilegeClass::Command,
    PrivilegeClass::Config,
    PrivilegeClass::Originate,
    PrivilegeClass::Agi,
];
const RELOAD: &str = "asterisk -rx 'manager reload'";
/// A disk may be slow.
const WRITE_TIMEOUT_MS: u32 = 5_000;

pub(super) fn look(conf: &Survey, checked: Option<&Checked>, address: &str, report: &mut Report) {
    secrets(conf, report);
    open_accounts(conf, report);
    if !conf.shows_logins {
        let help = format!("set `displayconnects = yes` under [general] of manager.conf, and run: {RELOAD}");
        report.warning("connection-log", "displayconnects is off", help);
    }
    let own = checked.map(|checked| own_accounts(checked, address));
    past_amiwall(conf, own.as_ref(), report);
    let Some(own) = own else { return };
    for (username, (reads, writes)) in &own {
        let Some(account) = conf.accounts.iter().find(|account| account.name.eq_ignore_ascii_case(username)) else {
            let help = "add the section that `amiwall init` wrote, or name the account that there is under `upstreams`";
            report.problem("account-unknown", format!("manager.conf has no account [{username}]"), help);
            continue;
        };
        sessions(account, report);
        classes(account, reads, writes, report);
    }
}

fn is_dead(account: &SurveyedAccount) -> bool {
    account.reach == Reach::Nobody
}

/// `[name]` and its place.
fn shown(account: &SurveyedAccount) -> String {
    format!("[{}] ({})", account.name, account.place)
}

/// `[name]`, where there are many.
fn name(account: &SurveyedAccount) -> String {
    format!("[{}]", account.name)
}

fn secrets(conf: &Survey, report: &mut Report) {
    const CODE: &str = "secret-weak";
    let before = report.0.len();
    for account in conf.accounts.iter().filter(|account| !is_dead(account)) {
        let Some((level, what)) = weakness(account) else { continue };
        let help = format!("give it `secret = ` with what `openssl rand -hex 20` prints, and run: {RELOAD}");
        report.add(CODE, level, format!("{}: {what}", shown(account)), help);
    }
    if report.0.len() == before {
        report.ok(CODE, "no secret in manager.conf is empty, common or short");
    }
}

/// What is weak about its secret; never what it is.
fn weakness(account: &SurveyedAccount) -> Option<(Level, &'static str)> {
    let Some(secret) = &account.secret else {
        return Some((Level::Problem, "there is no `secret` line: give it one, or delete the section"));
    };
    let bytes = secret.expose();
    if bytes.is_empty() {
        return Some((Level::Problem, "`secret =` is empty: a login without a password"));
    }
    if bytes.eq_ignore_ascii_case(account.name.as_bytes()) {
        return Some((Level::Problem, "the secret is the account's name"));
    }
    if COMMON.iter().any(|common| bytes.eq_ignore_ascii_case(common.as_bytes())) {
        return Some((Level::Problem, "the secret is one that everybody tries first"));
    }
    let is_short = bytes.len() < SECRET_LEN_MIN;
    is_short.then_some((Level::Warning, "the secret has fewer than 12 characters"))
}

fn open_accounts(conf: &Survey, report: &mut Report) {
    const CODE: &str = "account-open";
    let open: Vec<String> = conf.accounts.iter().filter(|account| account.reach == Reach::Anywhere).map(name).collect();
    if open.is_empty() {
        report.ok(CODE, "every account has a permit or deny that keeps addresses out");
        return;
    }
    let help = format!("in each: `deny = 0.0.0.0/0.0.0.0` and `permit = 127.0.0.0/255.0.0.0`; then: {RELOAD}");
    // Who listens on loopback alone is reached by nobody else.
    let is_local = conf.bind.ip().to_canonical().is_loopback();
    let level = if is_local { Level::Warning } else { Level::Problem };
    report.add(CODE, level, format!("any address may log in as {}", list(&open)), help);
}

/// Accounts that are not amiwall's.
fn past_amiwall(conf: &Survey, own: Option<&Needs>, report: &mut Report) {
    let class_zero: Vec<_> = catalogue::actions().filter(|entry| entry.classes.is_empty() && !entry.is_local).collect();
    let changing = class_zero.iter().filter(|entry| entry.danger == Some(Danger::StateChange));
    let some: Vec<&str> = changing.map(|entry| entry.name).take(3).collect();
    let count = class_zero.len();
    let Some(own) = own else {
        let help = "name the policy, so that doctor knows which account is amiwall's: amiwall doctor POLICY";
        for code in ["bypass-account", "class-zero"] {
            report.unknown(code, "which account is amiwall's is not known", help);
        }
        return;
    };
    let is_own = |account: &SurveyedAccount| own.keys().any(|name| name.eq_ignore_ascii_case(&account.name));
    let others: Vec<&SurveyedAccount> =
        conf.accounts.iter().filter(|account| !is_own(account) && !is_dead(account)).collect();
    if others.is_empty() {
        report.ok("bypass-account", "only amiwall has accounts in manager.conf");
        report.ok("class-zero", "no other account can run the actions that need no class");
        return;
    }
    let help = format!(
        "move each client to amiwall (`amiwall import`, docs/import.md), delete its section, and run: {RELOAD}"
    );
    let names: Vec<String> = others.iter().map(|account| name(account)).collect();
    let is_elsewhere = !conf.bind.ip().to_canonical().is_loopback()
        && others.iter().any(|account| account.reach != Reach::ThisMachine);
    let (level, from) =
        if is_elsewhere { (Level::Problem, "from elsewhere, too") } else { (Level::Warning, "from this machine") };
    report.add("bypass-account", level, format!("{} can log in past amiwall, {from}", list(&names)), &*help);
    let found = format!("{count} actions need no class, {} among them: {} can run them", some.join(", "), list(&names));
    report.warning("class-zero", found, &*help);
    for account in others {
        let mighty = labels(MIGHTY.into_iter().filter(|class| account.write.has(*class)));
        if !mighty.is_empty() {
            let found = format!("{} has write = {mighty}", shown(account));
            report.add("account-classes", level, found, &*help);
        }
    }
}

fn labels(classes: impl Iterator<Item = PrivilegeClass>) -> String {
    classes.map(PrivilegeClass::label).collect::<Vec<_>>().join(",")
}

/// What amiwall's own sessions need.
fn sessions(account: &SurveyedAccount, report: &mut Report) {
    const CODE: &str = "multiple-logins";
    if account.allows_multiple_logins {
        report.ok(CODE, format!("{} may have several sessions", shown(account)));
    } else {
        let help = format!("set `allowmultiplelogin = yes` there, and run: {RELOAD}");
        report.problem(CODE, format!("{} may have one session only", shown(account)), help);
    }
    let found = format!("{}: Asterisk waits {} ms for it to read", shown(account), account.write_timeout_ms);
    if account.write_timeout_ms < WRITE_TIMEOUT_MS {
        let help = format!("set `writetimeout = {WRITE_TIMEOUT_MS}` there, and run: {RELOAD}");
        report.warning("write-timeout", found, help);
    } else {
        report.ok("write-timeout", found);
    }
}

/// The accounts of the policy at that Asterisk, and which classes of events and which actions their clients need.
type Needs = BTreeMap<String, (BTreeSet<PrivilegeClass>, BTreeSet<&'static str>)>;

fn own_accounts(checked: &Checked, address: &str) -> Needs {
    let mut needs = Needs::new();
    let single = checked.accounts.len() == 1;
    for (name, upstream) in checked.accounts.iter().filter(|(_, upstream)| single || upstream.address == address) {
        needs.entry(upstream.login.username.clone()).or_default();
        for login in upstream.logins.values() {
            needs.entry(login.username.clone()).or_default();
        }
        // An identity may come by any listener; those in front of another Asterisk do not count.
        if !checked.listeners.iter().any(|listener| listener.upstream == *name) {
            continue;
        }
        for client in &checked.clients {
            let roles = effective_roles(&client.roles, &checked.roles);
            let login = upstream.login_for(&client.name.text, client.roles.iter().map(|role| role.text.as_str()));
            let (reads, writes) = needs.entry(login.username.clone()).or_default();
            for role in roles {
                let own = &upstream.login.username;
                reads.extend(classes_seen(role));
                writes.extend(actions_of(role));
                // Calls are counted on a session of amiwall's own.
                if *own == login.username && counts_calls(role) {
                    reads.insert(PrivilegeClass::Call);
                }
            }
        }
    }
    needs
}

fn counts_calls(role: &RoleSpec) -> bool {
    role.limits.iter().any(|limit| limit.concurrent.is_some()) || !role.events.scope.is_empty()
}

/// Classes, and the classes of events that are named.
fn classes_seen(role: &RoleSpec) -> impl Iterator<Item = PrivilegeClass> {
    role.events.allow.iter().flat_map(|element| match element.text.parse::<PrivilegeClass>() {
        Ok(class) => vec![class],
        Err(_) => catalogue::event(&element.text).map(|event| event.classes.clone()).unwrap_or_default(),
    })
}

fn actions_of(role: &RoleSpec) -> impl Iterator<Item = &'static str> {
    let entries = role.allow.iter().filter_map(|rule| catalogue::action(&rule.action.text.to_ascii_lowercase()));
    entries.filter(|entry| !entry.is_local).map(|entry| entry.name)
}

/// Whether the account has what its clients need, and no more.
fn classes(
    account: &SurveyedAccount,
    reads: &BTreeSet<PrivilegeClass>,
    actions: &BTreeSet<&'static str>,
    report: &mut Report,
) {
    let entries = actions.iter().filter_map(|name| catalogue::action(&name.to_ascii_lowercase()));
    let asked: Vec<(&str, &[PrivilegeClass])> = entries.map(|entry| (entry.name, entry.classes.as_slice())).collect();
    let refused: Vec<String> = asked
        .iter()
        .filter(|(_, classes)| !classes.is_empty() && !classes.iter().any(|class| account.write.has(*class)))
        .map(|(name, classes)| {
            format!("{name} ({})", classes.iter().map(|c| c.label()).collect::<Vec<_>>().join(" or "))
        })
        .collect();
    let unseen = labels(reads.iter().copied().filter(|class| !account.read.has(*class)));
    let fix = |option: &str, value: &str| {
        format!(
            "set `{option} ={}{value}` in [{}], and run: {RELOAD}",
            if value.is_empty() { "" } else { " " },
            account.name
        )
    };
    let needed = fewest(&asked, account.write);
    let (writes, read_list) = (labels(needed.iter().copied()), labels(reads.iter().copied()));
    if refused.is_empty() && unseen.is_empty() {
        report.ok("account-narrower", format!("{} has every class that the policy needs", shown(account)));
    }
    if !refused.is_empty() {
        let found = format!("{} lacks the class of what the policy allows: {}", shown(account), list(&refused));
        report.warning("account-narrower", found, fix("write", &writes));
    }
    if !unseen.is_empty() {
        let found = format!("{} does not see events that the policy lets pass: {unseen}", shown(account));
        report.warning("account-narrower", found, fix("read", &read_list));
    }
    let too_many = |mask: EventMask, needed: &BTreeSet<PrivilegeClass>| {
        PrivilegeClass::ALL.into_iter().filter(|class| mask.has(*class) && !needed.contains(class)).collect::<Vec<_>>()
    };
    let (write, read) = (too_many(account.write, &needed), too_many(account.read, reads));
    if write.is_empty() && read.is_empty() {
        report.ok("account-wider", format!("{} has no class that no role needs", shown(account)));
    }
    if !write.is_empty() {
        let is_mighty = write.iter().any(|class| MIGHTY.contains(class));
        let level = if is_mighty { Level::Problem } else { Level::Warning };
        let found = format!("{} may do what no role needs: write = {}", shown(account), told(account.write, write));
        report.add("account-wider", level, found, fix("write", &writes));
    }
    if !read.is_empty() {
        let found = format!("{} sees what no role needs: read = {}", shown(account), told(account.read, read));
        report.warning("account-wider", found, fix("read", &read_list));
    }
}

/// Classes, or the word that stands for all.
fn told(mask: EventMask, classes: Vec<PrivilegeClass>) -> String {
    if mask == EventMask::ALL { "all".to_owned() } else { labels(classes.into_iter()) }
}

/// The classes for some actions, of each any one: those that an action cannot do without first, then what the account has
/// and can do least.
fn fewest(actions: &[(&str, &[PrivilegeClass])], has: EventMask) -> BTreeSet<PrivilegeClass> {
    let single = actions.iter().filter_map(|(_, classes)| match classes {
        [class] => Some(*class),
        _ => None,
    });
    let mut needed: BTreeSet<PrivilegeClass> = single.collect();
    for (_, classes) in actions.iter().filter(|(_, classes)| classes.len() > 1) {
        if !classes.iter().any(|class| needed.contains(class)) {
            let cost = |class: &&PrivilegeClass| (MIGHTY.contains(class), !has.has(**class), **class);
            needed.extend(classes.iter().min_by_key(cost));
        }
    }
    needed
}
