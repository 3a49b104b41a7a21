//! The manager.conf to put in the place of the old one.

use super::account::Account;
use super::general::General;
use super::notes::shown;
use super::policy::{MAIN_USERNAME, upstream_secret_path, upstream_username};
use super::reader::Entry;
use crate::ami::{EventMask, PrivilegeClass};

/// amiwall logs in this often at once, at most.
const LOGIN_LIMIT: u32 = 50;

/// The text.
pub(super) fn text(
    source: &str,
    general: &General,
    accounts: &[Account],
    secret_of: &dyn Fn(&str) -> Option<String>,
) -> String {
    let mut text = format!(
        "; Made by `amiwall import {}`, to be put in its place. Then: asterisk -rx 'manager reload'\n\
         ; Only amiwall has accounts here. An account of a client's own would be a way past it.\n\
         [general]\nenabled = yes\n\
         ; only this address, so that nothing comes by another way\n\
         bindaddr = 127.0.0.1\nport = {}\ntlsenable = no\n\
         ; AMI over HTTP would pass by amiwall\n\
         webenabled = no\n\
         ; amiwall has a session for each of its clients\n\
         allowmultiplelogin = yes\nauthtimeout = 30\nauthlimit = {}\n",
        shown(source),
        general.port,
        general.login_limit.max(LOGIN_LIMIT),
    );
    general.own.iter().for_each(|entry| line(&mut text, entry));
    // Banner and counting of calls; it is nobody's session.
    account(&mut text, MAIN_USERNAME, "for amiwall itself", secret_of);
    text.push_str("read = call\nwrite =\nwritetimeout = 5000\n");
    for (number, of) in (1..).zip(accounts) {
        let username = upstream_username(of, number);
        account(&mut text, &username, &format!("for the role of {} ({})", of.name, of.place), secret_of);
        option(&mut text, "read", &classes(of.read));
        option(&mut text, "write", &classes(of.write));
        option(&mut text, "writetimeout", &of.write_timeout_ms.to_string());
        of.own.iter().for_each(|entry| line(&mut text, entry));
    }
    text
}

fn option(text: &mut String, name: &str, value: &str) {
    let blank = if value.is_empty() { "" } else { " " };
    text.push_str(&format!("{name} ={blank}{value}\n"));
}

fn account(text: &mut String, username: &str, what: &str, secret_of: &dyn Fn(&str) -> Option<String>) {
    text.push_str(&format!("\n; {what}\n[{username}]\n"));
    match secret_of(username) {
        Some(secret) => text.push_str(&format!("secret = {secret}\n")),
        // Without the line nobody can log in; with an empty one anybody could.
        None => {
            let path = upstream_secret_path(username);
            text.push_str(&format!("; secret = one of your making, here and in {path} beside the policy\n"));
        }
    }
    text.push_str("deny = 0.0.0.0/0.0.0.0\npermit = 127.0.0.0/255.0.0.0\n");
}

fn classes(mask: EventMask) -> String {
    if mask == EventMask::ALL {
        return "all".to_owned();
    }
    let labels = PrivilegeClass::ALL.into_iter().filter(|class| mask.has(*class)).map(PrivilegeClass::label);
    labels.collect::<Vec<_>>().join(",")
}

/// A line of the old file, as it was.
fn line(text: &mut String, entry: &Entry) {
    let plain = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        text.replace(';', "\\;")
    };
    text.push_str(&format!("; as in {}\n", entry.place));
    option(text, &plain(&entry.name), &plain(&entry.text()));
}
