//! `networks:`, `upstreams:` and `listeners:`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Context;
use super::fields::{Fields, Problems};
use super::node::Node;
use super::{secrets, values};
use crate::catalogue::nearest;
use crate::listener::{ListenerConfig, Transport};
use crate::networks::{Network, NetworkAcl};
use crate::policy::spec::{Position, Spanned};
use crate::tls::{self, ServerTlsFiles};
use crate::upstream::{UpstreamConfig, UpstreamLogin};

/// Named lists of networks.
pub(super) fn networks(node: &Node, problems: &mut Problems) -> BTreeMap<String, Vec<Network>> {
    let mut named = BTreeMap::new();
    for (name, node) in node.map(problems) {
        if name.text.parse::<Network>().is_ok() {
            problems.error(name.at, format!("`{}` is a network itself; give the list another name", name.text), None);
        }
        let texts = values::texts(node, problems);
        let list = texts.iter().filter_map(|text| problems.take(text.at, text.text.parse::<Network>()));
        named.insert(name.text.clone(), list.collect());
    }
    named
}

/// `{ allow: [office, 203.0.113.7], except: [...] }`, or a list, which is `allow`.
pub(super) fn acl(node: &Node, context: &Context<'_>, problems: &mut Problems) -> NetworkAcl {
    use super::node::Value;
    if matches!(node.value, Value::List(_) | Value::Scalar(_)) {
        return NetworkAcl::new(Some(resolve(node, context, problems)), Vec::new());
    }
    let mut fields = Fields::of(node, "`networks`", &["allow", "except"], &[], problems);
    let allow = fields.take("allow").map(|node| resolve(node, context, problems));
    let except = fields.take("except").map(|node| resolve(node, context, problems)).unwrap_or_default();
    NetworkAcl::new(allow, except)
}

fn resolve(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Vec<Network> {
    let mut list = Vec::new();
    for text in values::texts(node, problems) {
        if let Some(named) = context.networks.get(&text.text) {
            list.extend_from_slice(named);
            continue;
        }
        let looks_like_an_address =
            text.text.contains([':', '/']) || text.text.starts_with(|c: char| c.is_ascii_digit());
        if looks_like_an_address {
            list.extend(problems.take(text.at, text.text.parse::<Network>()));
            continue;
        }
        let near = nearest(&text.text, context.networks.keys().map(String::as_str));
        let help = near.map_or_else(
            || "name it under `networks:`, or write an address or a network".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        problems.error(text.at, format!("there is no network `{}`", text.text), Some(help));
    }
    list
}

/// Which Asterisks there are.
pub(super) fn upstreams(
    node: &Node,
    context: &Context<'_>,
    problems: &mut Problems,
) -> BTreeMap<String, UpstreamConfig> {
    let mut upstreams = BTreeMap::new();
    for (name, node) in node.map(problems) {
        let known = ["address", "username", "secret", "logins"];
        let what = format!("the upstream `{}`", name.text);
        let mut fields = Fields::of(node, what, &known, &["tls", "hold", "mode"], problems);
        let address = fields.need("address", problems).and_then(|node| upstream_address(node, problems));
        let login = login(&mut fields, context, problems);
        let logins = fields.take("logins").map(|node| logins(node, context, problems)).unwrap_or_default();
        if let (Some(address), Some(login)) = (address, login) {
            let config = UpstreamConfig { name: name.text.clone(), address, login, logins };
            upstreams.insert(name.text.clone(), config);
        }
    }
    if node.map(problems).is_empty() {
        problems.error(node.at, "there is no upstream", Some("pbx: { address: 127.0.0.1:5038, … }".to_owned()));
    }
    upstreams
}

fn logins(node: &Node, context: &Context<'_>, problems: &mut Problems) -> BTreeMap<String, UpstreamLogin> {
    let mut logins = BTreeMap::new();
    for (name, node) in node.map(problems) {
        let what = format!("the login of `{}`", name.text);
        let mut fields = Fields::of(node, what, &["username", "secret"], &[], problems);
        if let Some(login) = login(&mut fields, context, problems) {
            logins.insert(name.text.clone(), login);
        }
    }
    logins
}

fn login(fields: &mut Fields<'_>, context: &Context<'_>, problems: &mut Problems) -> Option<UpstreamLogin> {
    let username = fields.need("username", problems).and_then(|node| node.text(problems));
    let secret = fields.need("secret", problems).and_then(|node| secrets::upstream(node, context, problems));
    let username = username?;
    if username.text.is_empty() || username.text.chars().any(char::is_control) {
        problems.error(username.at, "not a user name that AMI can carry", None);
        return None;
    }
    Some(UpstreamLogin { username: username.text, secret: secret? })
}

/// `host:port`; credentials travel in clear, so that another host is worth a warning.
fn upstream_address(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = node.text(problems)?;
    let host = text.text.rsplit_once(':').and_then(|(host, port)| {
        let port = port.parse::<u16>().ok().filter(|port| *port > 0);
        port.map(|_| host).filter(|host| !host.is_empty())
    });
    let Some(host) = host else {
        let help = Some("a host and a port: 127.0.0.1:5038".to_owned());
        problems.error(text.at, format!("`{}` is no address", text.text), help);
        return None;
    };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    if host != "localhost" && !address.is_ok_and(|address| address.to_canonical().is_loopback()) {
        let help =
            Some("run amiwall on Asterisk's own machine, with `bindaddr = 127.0.0.1` in manager.conf".to_owned());
        problems.warn(text.at, format!("the secret of `{}` travels in clear to another machine", text.text), help);
    }
    Some(text.text)
}

/// Where to listen.
pub(super) fn listeners(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Vec<ListenerConfig> {
    let list = node.list(problems);
    if list.is_empty() {
        problems.error(node.at, "there is no listener", Some("- address: \"0.0.0.0:5039\"".to_owned()));
    }
    let mut seen: Vec<SocketAddr> = Vec::new();
    let mut listeners = Vec::new();
    for node in list {
        let Some((at, listener)) = listener(node, context, problems) else { continue };
        if seen.contains(&listener.address) {
            problems.error(at, format!("another listener has the address {}", listener.address), None);
        }
        seen.push(listener.address);
        listeners.push(listener);
    }
    listeners
}

fn listener(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<(Position, ListenerConfig)> {
    let known = ["address", "tls", "plaintext", "unsafe_plaintext", "networks", "upstream"];
    let mut fields = Fields::of(node, "the listener", &known, &["proxy_protocol"], problems);
    let address = fields.need("address", problems).and_then(|node| node.text(problems));
    let address = address.and_then(|text| Some((text.at, socket_address(&text, problems)?)));
    let transport = transport(&mut fields, node.at, address.map(|(_, address)| address), context, problems);
    let networks = fields.take("networks").map(|node| acl(node, context, problems)).unwrap_or_default();
    let upstream = match fields.take("upstream") {
        Some(node) => node.text(problems).and_then(|text| known_upstream(&text, context, problems)),
        None => only_upstream(node.at, context, problems),
    };
    let (at, address) = address?;
    Some((at, ListenerConfig { address, transport: transport?, networks, upstream: upstream? }))
}

fn socket_address(text: &Spanned, problems: &mut Problems) -> Option<SocketAddr> {
    let address = text.text.parse::<SocketAddr>().ok();
    if address.is_none() {
        let help = Some("an IP address and a port: \"0.0.0.0:5039\", \"[::]:5039\"".to_owned());
        problems.error(text.at, format!("`{}` is no address to listen on", text.text), help);
    }
    address
}

fn known_upstream(text: &Spanned, context: &Context<'_>, problems: &mut Problems) -> Option<String> {
    if context.upstreams.contains_key(&text.text) {
        return Some(text.text.clone());
    }
    let names = context.upstreams.keys().map(String::as_str);
    let help = nearest(&text.text, names).map(|near| format!("did you mean `{near}`?"));
    problems.error(text.at, format!("there is no upstream `{}`", text.text), help);
    None
}

fn only_upstream(at: Position, context: &Context<'_>, problems: &mut Problems) -> Option<String> {
    let mut names = context.upstreams.keys();
    match (names.next(), names.next()) {
        (Some(name), None) => Some(name.clone()),
        // That there is none was said before.
        (None, _) => None,
        (Some(_), Some(_)) => {
            let message = "`upstream` is missing in the listener: there are several to choose from";
            problems.error(at, message, None);
            None
        }
    }
}

fn transport(
    fields: &mut Fields<'_>,
    at: Position,
    address: Option<SocketAddr>,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Transport> {
    let is_plain = fields.take("plaintext").map(|node| (node.at, values::boolean(node, problems)));
    let is_unsafe =
        fields.take("unsafe_plaintext").and_then(|node| values::boolean(node, problems)).unwrap_or_default();
    let tls = fields.take("tls");
    match (tls, is_plain) {
        (Some(_), Some((at, Some(true)))) => {
            problems.error(at, "a listener speaks TLS or plain text, not both", None);
            None
        }
        (Some(node), _) => tls_config(node, context, problems),
        (None, Some((at, Some(true)))) => {
            let is_loopback = address.is_none_or(|address| address.ip().to_canonical().is_loopback());
            if !is_loopback && !is_unsafe {
                let help = "give it `tls:`, or a loopback address; `unsafe_plaintext: true` sends secrets in clear";
                problems.error(at, "plain text is for loopback addresses only", Some(help.to_owned()));
                return None;
            }
            if !is_loopback {
                problems.warn(at, "secrets travel in clear on this listener", Some("give it `tls:`".to_owned()));
            }
            Some(Transport::Plaintext)
        }
        (None, _) => {
            let help = "tls: { certificate: certs/server.crt, key: certs/server.key } (`amiwall certs` makes them)";
            problems.error(at, "`tls` is missing in the listener", Some(help.to_owned()));
            None
        }
    }
}

fn tls_config(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Transport> {
    let known = ["certificate", "key", "client_ca", "client_certificate", "min_version"];
    let mut fields = Fields::of(node, "`tls`", &known, &["client_crl"], problems);
    let path = |node: &Node, problems: &mut Problems| node.text(problems).map(|text| context.folder.join(text.text));
    let certificate = fields.need("certificate", problems).and_then(|node| path(node, problems));
    let key = fields.need("key", problems).and_then(|node| path(node, problems));
    let client_ca = fields.take("client_ca").and_then(|node| path(node, problems));
    let client_certificate = fields.take("client_certificate");
    let required = client_certificate.and_then(|node| values::word(node, &["optional", "required"], problems));
    if let (Some(node), None) = (client_certificate, &client_ca) {
        problems.error(node.at, "`client_certificate` needs `client_ca`: whose certificates are accepted", None);
    }
    let min_version = fields.take("min_version").and_then(|node| values::word(node, &["1.2", "1.3"], problems));
    let files = ServerTlsFiles {
        certificate: &certificate?,
        key: &key?,
        client_ca: client_ca.as_deref(),
        client_certificate_required: required == Some("required"),
        tls13_only: min_version == Some("1.3"),
    };
    secrets::check_mode(files.key, node.at, problems);
    problems.take(node.at, tls::server_config(&files)).map(Transport::Tls)
}
