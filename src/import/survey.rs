//! [`Survey`]: what a manager.conf says, for who looks for what is wrong with it. Accounts that an import leaves out are in
//! it, too: Asterisk may let somebody in by them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use ipnet::IpNet;

use super::ImportError;
use super::acl::{Addresses, BadRule, Rule, rules};
use super::general::{General, is_general, is_true};
use super::notes::{Notes, Place, shown};
use super::reader::{self, Entry, Section};
use crate::ami::EventMask;
use crate::secret::Secret;

/// From where an account may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nothing keeps an address out.
    Anywhere,
    /// From some addresses.
    Networks,
    /// From this machine alone.
    ThisMachine,
    /// Asterisk deletes the account, or its lists let nobody in.
    Nobody,
}

/// One account.
#[derive(Clone, Debug)]
pub struct SurveyedAccount {
    /// Its name, for a reader: nothing in it can end a line.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// The secret; none where no line gives one.
    pub secret: Option<Secret>,
    /// Classes of events.
    pub read: EventMask,
    /// Classes of actions.
    pub write: EventMask,
    /// From where.
    pub reach: Reach,
    /// Whether it may have several sessions.
    pub allows_multiple_logins: bool,
    /// How long Asterisk waits for it to read.
    pub write_timeout_ms: u32,
}

/// What a manager.conf says.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Whether anybody can log in at all.
    pub is_enabled: bool,
    /// Whether AMI is to be had over HTTP, if Asterisk's HTTP server runs.
    pub is_on_the_web: bool,
    /// Where it listens.
    pub bind: SocketAddr,
    /// Where it listens with TLS.
    pub tls: Option<SocketAddr>,
    /// Whether Asterisk's own log tells who logs in.
    pub shows_logins: bool,
    /// All accounts.
    pub accounts: Vec<SurveyedAccount>,
}

/// Reads a manager.conf and all that it includes.
///
/// # Errors
/// If it cannot be read, or Asterisk would refuse it.
pub fn survey(path: &Path) -> Result<Survey, ImportError> {
    // What an import would say of the file is not asked here.
    let notes = &mut Notes::default();
    let sections = reader::read(path, notes)?;
    let general = General::of(&sections, notes);
    let first = sections.iter().find(|section| !section.is_template && is_general(&section.name));
    let option = |name: &str| first.and_then(|section| last_of(&section.entries, name)).map(Entry::text);
    let is_on = |name: &str, default: bool| option(name).map_or(default, |text| is_true(&text));
    let bind = option("bindaddr").map_or(general.bind, |text| {
        let address = text.trim_start_matches('[').trim_end_matches(']');
        // Asterisk listens everywhere where it cannot read the address.
        let is_read = text.parse::<SocketAddr>().is_ok() || address.parse::<IpAddr>().is_ok();
        if is_read { general.bind } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) }
    });
    let listens_v6 = bind.is_ipv6() || general.tls.is_some_and(|address| address.is_ipv6());
    Ok(Survey {
        is_enabled: is_on("enabled", false),
        is_on_the_web: is_on("webenabled", false),
        bind: SocketAddr::new(bind, general.port),
        tls: general.tls,
        shows_logins: is_on("displayconnects", true),
        accounts: accounts(&sections, general.allows_multiple_logins, listens_v6),
    })
}

/// The options of one section of any of Asterisk's files that has no secrets there, by name in lower case. None: there is
/// no such section.
///
/// # Errors
/// If it cannot be read, or Asterisk would refuse it.
pub fn options(path: &Path, section: &str) -> Result<Option<HashMap<String, String>>, ImportError> {
    let sections = reader::read(path, &mut Notes::default())?;
    let found = sections.iter().find(|found| !found.is_template && found.name.eq_ignore_ascii_case(section));
    Ok(found.map(|found| found.entries.iter().map(|e| (e.name.to_ascii_lowercase(), shown(&e.text()))).collect()))
}

/// Whether Asterisk takes the word for a yes.
#[must_use]
pub fn is_yes(text: &str) -> bool {
    is_true(text)
}

fn last_of<'e>(entries: &'e [Entry], name: &str) -> Option<&'e Entry> {
    entries.iter().rev().find(|entry| entry.is(name))
}

/// The sections of one name are one account.
fn accounts(sections: &[Section], allows_multiple_logins: bool, listens_v6: bool) -> Vec<SurveyedAccount> {
    let mut merged: Vec<(&Section, Vec<Entry>)> = Vec::new();
    for section in sections.iter().filter(|section| !section.is_template && !is_general(&section.name)) {
        match merged.iter_mut().find(|(first, _)| first.name.eq_ignore_ascii_case(&section.name)) {
            Some((_, entries)) => {
                // The addresses are collected anew.
                entries.retain(|entry| !is_address(entry));
                entries.extend(section.entries.iter().cloned());
            }
            None => merged.push((section, section.entries.clone())),
        }
    }
    let account = |(section, entries): (&Section, Vec<Entry>)| {
        let mask =
            |name: &str| last_of(&entries, name).map_or(EventMask::NONE, |entry| EventMask::from_labels(&entry.value));
        let number = |name: &str| last_of(&entries, name).and_then(|entry| entry.text().parse().ok());
        SurveyedAccount {
            name: shown(&section.name),
            place: section.place.clone(),
            secret: last_of(&entries, "secret").map(|entry| Secret::new(entry.value.clone())),
            read: mask("read"),
            write: mask("write"),
            reach: reach(&entries, listens_v6),
            allows_multiple_logins: last_of(&entries, "allowmultiplelogin")
                .map_or(allows_multiple_logins, |entry| is_true(&entry.text())),
            write_timeout_ms: number("writetimeout").unwrap_or(WRITE_TIMEOUT_MS),
        }
    };
    merged.into_iter().map(account).collect()
}

/// Asterisk's default.
const WRITE_TIMEOUT_MS: u32 = 100;

fn is_address(entry: &Entry) -> bool {
    ["permit", "deny", "acl"].into_iter().any(|name| entry.is(name))
}

fn reach(entries: &[Entry], listens_v6: bool) -> Reach {
    let mut list = Vec::new();
    for entry in entries.iter().filter(|entry| is_address(entry)) {
        if entry.is("acl") {
            return Reach::Networks;
        }
        for rule in rules(entry.is("permit"), &entry.text()) {
            match rule {
                Ok(rule) => list.push(rule),
                Err(BadRule::Syntax) => return Reach::Nobody,
                Err(BadRule::Holes) => return Reach::Networks,
            }
        }
    }
    let Some(addresses) = Addresses::of(&list) else { return Reach::Networks };
    let addresses = if listens_v6 { addresses } else { addresses.only_v4() };
    if addresses.has_all_v4() || (listens_v6 && addresses.has_all_v6()) {
        return Reach::Anywhere;
    }
    if addresses == Addresses::none() {
        return Reach::Nobody;
    }
    let is_elsewhere = Addresses::of(&loopback()).is_none_or(|others| addresses.and(&others) != Addresses::none());
    if is_elsewhere { Reach::Networks } else { Reach::ThisMachine }
}

/// What denies the addresses that only this machine has.
fn loopback() -> Vec<Rule> {
    let networks = ["127.0.0.0/8", "::1/128"].into_iter().filter_map(|network| network.parse::<IpNet>().ok());
    networks.map(|network| Rule { permits: false, network }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Survey {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("manager.conf");
        std::fs::write(&path, text).expect("written");
        survey(&path).expect("read")
    }

    #[test]
    fn accounts_that_an_import_leaves_out_are_seen() {
        let found =
            of("[general]\nenabled=yes\n[none]\nread=all\n[empty]\nsecret=\n[full]\nsecret = s3\nwrite=call,\n");
        let secrets: Vec<_> = found.accounts.iter().map(|a| a.secret.as_ref().map(|s| s.expose().to_vec())).collect();
        assert_eq!(secrets, [None, Some(Vec::new()), Some(b"s3".to_vec())]);
        assert!(found.is_enabled && !found.is_on_the_web && found.shows_logins);
        // Before a comma stands the beginning of a label; nothing behind it is no label.
        assert!(found.accounts.iter().any(|account| account.write.has(crate::ami::PrivilegeClass::Call)));
    }

    #[test]
    fn where_an_account_may_come_from() {
        let reach = |lines: &str| {
            let found = of(&format!("[general]\nbindaddr=0.0.0.0\n[a]\nsecret=x\n{lines}\n"));
            found.accounts.first().expect("an account").reach
        };
        assert_eq!(reach(""), Reach::Anywhere);
        assert_eq!(reach("permit=10.0.0.0/8"), Reach::Anywhere, "what nothing names is permitted");
        assert_eq!(reach("deny=0.0.0.0/0\npermit=127.0.0.1"), Reach::ThisMachine);
        assert_eq!(reach("deny=0.0.0.0/0\npermit=127.0.0.1\npermit=10.1.2.3"), Reach::Networks);
        assert_eq!(reach("permit=127.0.0.1\ndeny=0.0.0.0/0.0.0.0"), Reach::Nobody);
        assert_eq!(reach("deny=nonsense"), Reach::Nobody);
        assert_eq!(reach("acl=office"), Reach::Networks);
    }

    #[test]
    fn an_address_that_cannot_be_read_is_every_address() {
        assert!(of("[general]\nbindaddr=here\n").bind.ip().is_unspecified());
        assert_eq!(of("[general]\nbindaddr=127.0.0.1\nport=5099\n").bind.to_string(), "127.0.0.1:5099");
    }
}
