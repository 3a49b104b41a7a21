//! The accounts: every section but `[general]`, as Asterisk reads them (manager.c, `__init_manager`).

use super::acl::{Addresses, BadRule, Networks, Rule, rules};
use super::filters::{self, Events};
use super::general::{General, is_general, is_true};
use super::notes::{Notes, Place, shown};
use super::reader::{Entry, Section};
use crate::ami::{EventMask, PrivilegeClass};
use crate::catalogue::nearest;
use crate::secret::Secret;

/// What amiwall's own sessions need (a disk may be slow); Asterisk's default is 100 ms.
const WRITE_TIMEOUT_MS: u32 = 5_000;
/// Asterisk compares so much of a name, and amiwall takes no longer one.
const NAME_LEN_MAX: usize = 79;
/// What an account may say.
const OPTIONS: [&str; 11] = [
    "secret",
    "read",
    "write",
    "permit",
    "deny",
    "acl",
    "allowmultiplelogin",
    "displayconnects",
    "writetimeout",
    "setvar",
    "eventfilter",
];
/// What AMI can carry in a line.
const SECRET_LEN_MAX: usize = 1_000;

/// One account that could log in.
pub(super) struct Account {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) secret: Secret,
    pub(super) read: EventMask,
    pub(super) write: EventMask,
    pub(super) events: Events,
    pub(super) networks: Networks,
    pub(super) allows_multiple_logins: bool,
    pub(super) write_timeout_ms: u32,
    /// Lines for its account in Asterisk's own file: variables, filters, what it logs.
    pub(super) own: Vec<Entry>,
}

/// What the sections of one name say together.
struct Draft<'s> {
    section: &'s Section,
    secret: Option<&'s Entry>,
    read: Option<&'s Entry>,
    write: Option<&'s Entry>,
    acl: Vec<&'s Entry>,
    filters: Vec<Entry>,
    own: Vec<Entry>,
    multiple: Option<bool>,
    write_timeout_ms: u32,
}

/// All accounts. `named_acls` are the sections of acl.conf, where it could be read.
pub(super) fn accounts(
    sections: &[Section],
    named_acls: Option<&[Section]>,
    general: &General,
    notes: &mut Notes,
) -> Vec<Account> {
    let mut drafts: Vec<Draft<'_>> = Vec::new();
    let mut index = std::collections::HashMap::new();
    for section in sections.iter().filter(|section| !section.is_template && !is_general(&section.name)) {
        let place = *index.entry(section.name.to_ascii_lowercase()).or_insert(drafts.len());
        if let Some(draft) = drafts.get_mut(place) {
            let text = format!("[{}] stands again; Asterisk adds it to the first one", shown(&section.name));
            notes.look(&section.place, text);
            // What it collects, it collects anew.
            draft.acl.clear();
            draft.filters.clear();
        } else {
            drafts.push(Draft::new(section));
        }
        if let Some(draft) = drafts.get_mut(place) {
            section.entries.iter().for_each(|entry| draft.take(entry, &section.name, notes));
        }
    }
    drafts.into_iter().filter_map(|draft| draft.finish(named_acls, general, notes)).collect()
}

impl<'s> Draft<'s> {
    const fn new(section: &'s Section) -> Self {
        Self {
            section,
            secret: None,
            read: None,
            write: None,
            acl: Vec::new(),
            filters: Vec::new(),
            own: Vec::new(),
            multiple: None,
            write_timeout_ms: WRITE_TIMEOUT_MS,
        }
    }

    fn take(&mut self, entry: &'s Entry, name: &str, notes: &mut Notes) {
        let (place, name) = (&entry.place, shown(name));
        match entry.name.to_ascii_lowercase().as_str() {
            "secret" => self.secret = Some(entry),
            "read" => self.read = Some(entry),
            "write" => self.write = Some(entry),
            "permit" | "deny" | "acl" => self.acl.push(entry),
            "allowmultiplelogin" => self.multiple = Some(is_true(&entry.text())),
            // The last one counts.
            "displayconnects" => {
                self.own.retain(|own| !own.is("displayconnects"));
                self.own.push(entry.clone());
            }
            "writetimeout" => {
                let value = entry.text().parse::<u32>().unwrap_or_default();
                self.write_timeout_ms = value.max(WRITE_TIMEOUT_MS);
                let text = format!("[{name}] writetimeout: amiwall's account has {} ms", self.write_timeout_ms);
                if value == self.write_timeout_ms { notes.kept(place, text) } else { notes.changed(place, text) }
            }
            "setvar" => match entry.text().split_once('=') {
                Some((variable, _)) => {
                    let text = format!(
                        "[{name}] setvar {}, which a client's own Variable overrides; `set:` of the role would not let it",
                        shown(variable)
                    );
                    notes.kept(place, text);
                    self.own.push(entry.clone());
                }
                None => notes.lost(place, format!("[{name}] setvar without `=`; Asterisk ignores it")),
            },
            option if option.starts_with(filters::OPTION) => self.filters.push(entry.clone()),
            option => {
                let near = nearest(option, OPTIONS.into_iter());
                let meant = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let text =
                    format!("[{name}] `{}` is no option of an account; Asterisk ignores it{meant}", shown(option));
                notes.lost(place, text);
            }
        }
    }

    /// The account, if anybody could log in to it.
    fn finish(self, acls: Option<&[Section]>, general: &General, notes: &mut Notes) -> Option<Account> {
        let (section, name) = (self.section, shown(&self.section.name));
        let mut left_out = |place: &Place, why: &str| notes.lost(place, format!("[{name}] is left out: {why}"));
        if !is_usable_name(&section.name) {
            let why = format!(
                "a name has letters, digits, `.`, `_`, `-` and blanks inside, at most {NAME_LEN_MAX}; rename the account"
            );
            left_out(&section.place, &why);
            return None;
        }
        let Some(secret) = self.secret else {
            left_out(&section.place, "it has no secret, so that nobody could log in");
            return None;
        };
        if let Err(why) = sendable(&secret.value) {
            left_out(&secret.place, why);
            return None;
        }
        let networks = self.networks(acls, general, notes)?;
        if self.acl.is_empty() {
            notes.look(&section.place, format!("[{name}] has no permit, deny or acl: it may log in from any address"));
        }
        let mask = |entry: Option<&Entry>, notes: &mut Notes| {
            entry.map_or(EventMask::NONE, |entry| mask(entry, &section.name, notes))
        };
        let (read, write) = (mask(self.read, notes), mask(self.write, notes));
        let events = filters::events(read, &self.filters, |fate, entry, why| {
            let text = format!("[{name}] {} = {}: {why}", shown(&entry.name), shown(&entry.text()));
            notes.add(fate, &entry.place, text);
        });
        if let Some(entry) = self.write.filter(|_| write.has(PrivilegeClass::System)) {
            let text = format!("[{name}] the action Filter (filters of a session's own) is never let through");
            notes.lost(&entry.place, text);
        }
        let mut own = self.own;
        // Those that exclude stay, whatever the policy says: they look at events alone, as the account always did.
        let stays = |entry: &Entry| events.keeps_includes || filters::Filter::of(entry).excludes;
        own.extend(self.filters.into_iter().filter(stays));
        Some(Account {
            name: section.name.clone(),
            place: section.place.clone(),
            secret: Secret::new(secret.value.clone()),
            read,
            write,
            events,
            networks,
            allows_multiple_logins: self.multiple.unwrap_or(general.allows_multiple_logins),
            write_timeout_ms: self.write_timeout_ms,
            own,
        })
    }

    /// From where; none where Asterisk would delete the account, or nobody could tell.
    fn networks(&self, acls: Option<&[Section]>, general: &General, notes: &mut Notes) -> Option<Networks> {
        let name = shown(&self.section.name);
        let own: Vec<&Entry> = self.acl.iter().copied().filter(|entry| !entry.is("acl")).collect();
        let mut all_rules = read_rules(&own, &name, notes)?;
        let mut addresses = Addresses::of(&all_rules);
        for entry in self.acl.iter().filter(|entry| entry.is("acl")) {
            for acl in entry.text().split(',').map(str::trim) {
                let section = acls.unwrap_or_default().iter().find(|s| !s.is_template && s.name == acl);
                let Some(section) = section else {
                    let text = format!(
                        "[{name}] acl {}: acl.conf beside the file has no such list, so that nobody is let in; write \
                         its networks under `networks:`",
                        shown(acl)
                    );
                    notes.lost(&entry.place, text);
                    addresses = Some(Addresses::none());
                    continue;
                };
                let lines: Vec<&Entry> = section.entries.iter().filter(|e| e.is("permit") || e.is("deny")).collect();
                let rules = read_rules(&lines, &name, notes)?;
                addresses = addresses.zip(Addresses::of(&rules)).map(|(a, b)| a.and(&b));
                all_rules.extend(rules);
            }
        }
        // A list for IPv4 that begins with `deny` of everything was not meant to let all of IPv6 in.
        let is_open_to_v6 = |addresses: &Addresses| addresses.has_all_v6() && !addresses.has_all_v4();
        let denies_all_v4 = all_rules
            .iter()
            .any(|rule| !rule.permits && rule.network.addr().is_ipv4() && rule.network.prefix_len() == 0);
        if addresses.as_ref().is_some_and(is_open_to_v6) && denies_all_v4 {
            addresses = addresses.map(Addresses::only_v4);
            if let (true, Some(entry)) = (general.bind.is_ipv6(), self.acl.first()) {
                let text = format!(
                    "[{name}] the addresses are of IPv4 only, and Asterisk let in all of IPv6; here none of it"
                );
                notes.lost(&entry.place, text);
            }
        }
        let networks = addresses.and_then(|addresses| addresses.written(&all_rules));
        if networks.is_none() {
            notes.lost(&self.section.place, format!("[{name}] is left out: too many networks"));
        }
        networks
    }
}

/// The rules of some lines; none where Asterisk deletes the account.
fn read_rules(entries: &[&Entry], name: &str, notes: &mut Notes) -> Option<Vec<Rule>> {
    let mut list = Vec::new();
    for entry in entries {
        let (option, text) = (shown(&entry.name), entry.text());
        for rule in rules(entry.is("permit"), &text) {
            match rule {
                Ok(rule) => list.push(rule),
                Err(BadRule::Syntax) => {
                    let text = format!(
                        "[{name}] is left out: `{}` is no address and mask; Asterisk deletes an account for such a line",
                        shown(&text)
                    );
                    notes.lost(&entry.place, text);
                    return None;
                }
                Err(BadRule::Holes) => {
                    let meaning = if entry.is("permit") { "permits nobody" } else { "denies every IPv4 address" };
                    let text = format!(
                        "[{name}] {option} `{}` has a mask with holes, which a policy cannot have; here it {meaning}",
                        shown(&text)
                    );
                    notes.lost(&entry.place, text);
                    let all = ipnet::IpNet::from(ipnet::Ipv4Net::default());
                    list.extend((!entry.is("permit")).then_some(Rule { permits: false, network: all }));
                }
            }
        }
    }
    Some(list)
}

/// The classes of `read` and `write`. What Asterisk reads otherwise than its author is told.
fn mask(entry: &Entry, name: &str, notes: &mut Notes) -> EventMask {
    let (name, option, mask) = (shown(name), shown(&entry.name), EventMask::from_labels(&entry.value));
    let text = entry.text();
    let elements: Vec<&str> = text.split(',').collect();
    for (number, element) in elements.iter().enumerate() {
        let is_last = number + 1 == elements.len();
        let is_label = *element == "all" || element.parse::<PrivilegeClass>().is_ok();
        if is_label || (is_last && element.is_empty()) {
            continue;
        }
        let matches = if is_last {
            0
        } else {
            PrivilegeClass::ALL.iter().filter(|class| class.label().starts_with(element)).count()
        };
        // What stands before a comma is the beginning of a label, nothing is the beginning of all, and `all` is a label.
        let what = if !is_last && "all".starts_with(element) {
            "before a comma gives every class, by Asterisk's rules"
        } else if matches > 0 {
            "before a comma gives every class that begins so, by Asterisk's rules"
        } else {
            "is no class; Asterisk ignores it"
        };
        notes.look(&entry.place, format!("[{name}] {option}: `{}` {what}", shown(element)));
    }
    mask
}

fn is_usable_name(name: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&name.len())
        && name.trim() == name
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._ -".contains(&byte))
}

fn sendable(secret: &[u8]) -> Result<(), &'static str> {
    if secret.is_empty() {
        return Err("its secret is empty, so that anybody could log in; give it one");
    }
    if secret.len() > SECRET_LEN_MAX || secret.iter().any(|byte| *byte < b' ' || *byte == 0x7F) {
        return Err("its secret has a control character or is longer than AMI can carry; give it another one");
    }
    Ok(())
}
