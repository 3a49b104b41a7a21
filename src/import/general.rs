//! `[general]`: where Asterisk listens, and what holds for all accounts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::notes::{Notes, Place, shown};
use super::reader::{Entry, Section};

/// Where nothing else is said.
const PORT: u16 = 5038;
const TLS_PORT: u16 = 5039;

/// Options that hold for Asterisk alone, and stay as they are.
const ASTERISKS_OWN: [&str; 5] = ["displayconnects", "timestampevents", "channelvars", "disabledevents", "debug"];

const NOT_ENABLED: &str = "the manager was not enabled, so that nobody could log in; in manager.conf.hardened it is";

/// What the section says.
pub(super) struct General {
    pub(super) port: u16,
    pub(super) bind: IpAddr,
    /// Where clients came with TLS.
    pub(super) tls: Option<SocketAddr>,
    /// None: 30 seconds, with Asterisk as with amiwall.
    pub(super) login_timeout: Option<u32>,
    pub(super) login_limit: u32,
    pub(super) allows_multiple_logins: bool,
    /// Lines for Asterisk's own file.
    pub(super) own: Vec<Entry>,
}

/// asterisk.h, `ast_true`.
pub(super) fn is_true(text: &str) -> bool {
    ["yes", "true", "y", "t", "1", "on"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

impl General {
    /// Reads the first section of that name; Asterisk does not look at another.
    pub(super) fn of(sections: &[Section], notes: &mut Notes) -> Self {
        let mut general = Self {
            port: PORT,
            bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            tls: None,
            login_timeout: None,
            login_limit: 50,
            allows_multiple_logins: true,
            own: Vec::new(),
        };
        let mut found = sections.iter().filter(|section| !section.is_template && is_general(&section.name));
        let section = found.next();
        for other in found {
            notes.lost(&other.place, "a second [general]; Asterisk reads the first one only");
        }
        let Some(section) = section else {
            if let Some(first) = sections.first() {
                notes.look(&first.place, format!("there is no [general]: {NOT_ENABLED}"));
            }
            return general;
        };
        let (mut is_enabled, mut has_tls, mut tls_address) = (false, None, None);
        for entry in &section.entries {
            let (place, text) = (&entry.place, entry.text());
            match entry.name.to_ascii_lowercase().as_str() {
                "enabled" => is_enabled = is_true(&text),
                "port" => general.port = port(&text, place, notes),
                "bindaddr" => general.bind(&text, place, notes),
                "tlsenable" => has_tls = is_true(&text).then(|| place.clone()),
                "tlsbindaddr" => tls_address = Some((text, place.clone())),
                "webenabled" if is_true(&text) => {
                    notes.lost(place, "webenabled: AMI over HTTP would pass by amiwall, and is switched off");
                }
                "webenabled" => {}
                "httptimeout" => notes.lost(place, "httptimeout: it is for AMI over HTTP, which is switched off"),
                "allowmultiplelogin" => general.allows_multiple_logins = is_true(&text),
                "authtimeout" => general.login_timeout = seconds(&text, place, notes),
                "authlimit" => {
                    general.login_limit = text.parse().unwrap_or(general.login_limit);
                    notes
                        .kept(place, "authlimit; amiwall's own limits are `connections` and `connections_per_address`");
                }
                "brokeneventsaction" if is_true(&text) => {
                    notes.lost(place, "brokeneventsaction: amiwall answers Events itself, always with an answer");
                }
                "brokeneventsaction" => {}
                name if name.starts_with("tls") || name.starts_with("ssl") => {
                    let text = format!("{}: clients see amiwall's TLS; see `tls:` of the listener", shown(name));
                    notes.lost(place, text);
                }
                name if ASTERISKS_OWN.contains(&name) => general.own.push(entry.clone()),
                name => notes.lost(place, format!("`{}` in [general] is no option that amiwall knows", shown(name))),
            }
        }
        if !is_enabled {
            notes.look(&section.place, NOT_ENABLED);
        }
        general.set_tls(has_tls.as_ref(), tls_address, notes);
        general
    }

    /// An address, perhaps with a port.
    fn bind(&mut self, text: &str, place: &Place, notes: &mut Notes) {
        if let Ok(address) = text.parse::<SocketAddr>() {
            (self.bind, self.port) = (address.ip(), address.port());
        } else if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            self.bind = address;
        } else {
            let text = format!("bindaddr: `{}` is no address; amiwall listens on this machine only", shown(text));
            notes.look(place, text);
            self.bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
        }
    }

    fn set_tls(&mut self, enabled: Option<&Place>, address: Option<(String, Place)>, notes: &mut Notes) {
        let Some(enabled) = enabled else { return };
        let text = "tlsenable: clients speak TLS with amiwall, at the same address but with its certificate; to keep \
                    Asterisk's, name its files under `tls:`";
        notes.look(enabled, text);
        let default = SocketAddr::new(self.bind, TLS_PORT);
        let read = address.map(|(text, place)| {
            let ip = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
            let read = text.parse::<SocketAddr>().ok().or_else(|| Some(SocketAddr::new(ip.ok()?, TLS_PORT)));
            if read.is_none() {
                notes.look(&place, format!("tlsbindaddr: `{}` is no address; {default} is taken", shown(&text)));
            }
            read.unwrap_or(default)
        });
        self.tls = Some(read.unwrap_or(default));
    }
}

/// Section names have no letter case.
pub(super) fn is_general(name: &str) -> bool {
    name.eq_ignore_ascii_case("general")
}

fn port(text: &str, place: &Place, notes: &mut Notes) -> u16 {
    let port = text.parse().ok().filter(|port| *port > 0);
    if port.is_none() {
        notes.look(place, format!("port: `{}` is no port; {PORT} is taken", shown(text)));
    }
    port.unwrap_or(PORT)
}

fn seconds(text: &str, place: &Place, notes: &mut Notes) -> Option<u32> {
    // A week is more than anybody means.
    let seconds = text.parse().ok().filter(|seconds| (1..=604_800).contains(seconds));
    if seconds.is_none() {
        notes.look(place, format!("authtimeout: `{}` is no number of seconds; 30 are taken", shown(text)));
    }
    seconds
}
