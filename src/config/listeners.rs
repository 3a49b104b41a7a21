//! `listeners:`: where clients connect, how, from where, and to which Asterisk.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::fields::{Fields, Problems};
use super::node::{Node, Value};
use super::{Context, Files, ListenerSummary, networks, permissions, secrets, upstreams, values};
use crate::listener::{ListenerConfig, Transport};
use crate::networks::NetworkAcl;
use crate::policy::spec::{Position, Spanned};
use crate::tls::{self, ServerTlsFiles};

/// What a listener is made of. There is no config where files were left alone.
pub(super) struct Listener {
    pub(super) summary: ListenerSummary,
    pub(super) config: Option<ListenerConfig>,
}

/// Whether some listener asks for client certificates. Looked for in the tree, so that what is wrong with a listener does
/// not show up again at every identity with a certificate.
pub(super) fn accept_certificates(node: &Node) -> bool {
    let value = |node: &'_ Node, key: &str| match &node.value {
        Value::Map(entries) => entries.iter().find(|(name, _)| name.text == key).map(|(_, value)| value.clone()),
        Value::Empty | Value::List(_) | Value::Scalar(_) => None,
    };
    let asks = |node: &Node| value(node, "tls").is_some_and(|tls| value(&tls, "client_ca").is_some());
    matches!(&node.value, Value::List(list) if list.iter().any(asks))
}

/// Where to listen.
pub(super) fn listeners(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Vec<Listener> {
    let list = node.list(problems);
    if list.is_empty() && !matches!(node.value, Value::Map(_)) {
        problems.error(node.at, "there is no listener", Some("- address: \"0.0.0.0:5039\"".to_owned()));
    }
    let mut seen: Vec<SocketAddr> = Vec::new();
    list.iter().filter_map(|node| listener(node, &mut seen, context, problems)).collect()
}

fn listener(
    node: &Node,
    seen: &mut Vec<SocketAddr>,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Listener> {
    let known = ["address", "tls", "plaintext", "unsafe_plaintext", "networks", "upstream", "proxy_protocol"];
    let fields = Fields::of(node, "the listener", &known, &[], problems);
    let address = fields.need("address", problems).and_then(|node| node.text(problems));
    let address =
        address.and_then(|text| Some((text.at, socket_address(&text, r#""0.0.0.0:5039", "[::]:5039""#, problems)?)));
    let transport = transport(&fields, (node.at, address.map(|(_, address)| address)), context, problems);
    let networks =
        fields.take("networks").map_or_else(NetworkAcl::default, |node| networks::acl(node, context, problems));
    let proxies = fields.take("proxy_protocol").map(|node| proxies(node, address, context, problems));
    let upstream = match fields.take("upstream") {
        Some(node) => node.text(problems).and_then(|text| upstreams::known(&text, context, problems)),
        None => only_upstream(node.at, context, problems),
    };
    let (at, address) = address?;
    if let Some(other) = seen.iter().find(|other| overlap(**other, address)) {
        let message = if *other == address {
            format!("another listener has the address {address}")
        } else {
            format!("another listener, {other}, takes the port of {address}")
        };
        problems.error(at, message, None);
    }
    seen.push(address);
    let (speaks, transport) = transport?;
    let upstream = upstream?;
    let summary = ListenerSummary {
        address,
        speaks,
        networks: networks.clone(),
        proxies: proxies.clone(),
        upstream: upstream.clone(),
    };
    let config = transport.map(|transport| ListenerConfig { address, transport, networks, proxies, upstream });
    Some(Listener { summary, config })
}

/// Who says in a header whose connection it is. Who can reach the listener as one of them can be anybody.
fn proxies(
    node: &Node,
    address: Option<(Position, SocketAddr)>,
    context: &Context<'_>,
    problems: &mut Problems,
) -> NetworkAcl {
    let fields = Fields::of(node, "`proxy_protocol`", &["from"], &[], problems);
    let Some(from) = fields.need("from", problems) else { return NetworkAcl::new(Some(Vec::new()), Vec::new()) };
    let proxies = networks::list(from, context, problems);
    let is_on_loopback = address.is_some_and(|(_, address)| address.ip().to_canonical().is_loopback());
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    if proxies.is_open() {
        let help = "list the addresses of the proxies only".to_owned();
        problems.warn(from.at, "whoever connects may say that he is at any address", Some(help));
    } else if !is_on_loopback && loopback.iter().any(|address| proxies.allows(*address)) {
        let message = "every program on this machine may say that its client is at any address";
        let help = "leave loopback addresses out, or let the listener have one, for the proxy on this machine alone";
        problems.warn(from.at, message, Some(help.to_owned()));
    }
    proxies
}

/// Whether the system would not let both listen. Port 0 is any free one.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same_family = a.is_ipv4() == b.is_ipv4();
    let same_ip = a.ip() == b.ip() || (same_family && (a.ip().is_unspecified() || b.ip().is_unspecified()));
    a.port() != 0 && a.port() == b.port() && same_ip
}

pub(super) fn socket_address(text: &Spanned, like: &str, problems: &mut Problems) -> Option<SocketAddr> {
    let address = text.text.parse::<SocketAddr>().ok();
    if address.is_none() {
        let help = Some(format!("an IP address and a port: {like}"));
        problems.error(text.at, format!("`{}` is no address to listen on", text.text), help);
    }
    address
}

fn only_upstream(at: Position, context: &Context<'_>, problems: &mut Problems) -> Option<String> {
    match context.upstream_names {
        [name] => Some((*name).to_owned()),
        // That there is none was said before.
        [] => None,
        [_, _, ..] => {
            let message = "`upstream` is missing in the listener: there are several to choose from";
            problems.error(at, message, Some(format!("one of {}", context.upstream_names.join(", "))));
            None
        }
    }
}

/// How the listener speaks, in words and, unless files are left alone, in fact.
fn transport(
    fields: &Fields<'_>,
    (at, address): (Position, Option<SocketAddr>),
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<(&'static str, Option<Transport>)> {
    let mut flag = |key: &str| fields.take(key).map(|node| (node.at, values::boolean(node, problems)));
    let (plain, is_unsafe) = (flag("plaintext"), flag("unsafe_plaintext"));
    let tls = fields.take("tls");
    match (is_unsafe, plain) {
        (_, Some((_, Some(true)))) | (None | Some((_, None | Some(false))), _) => {}
        (Some((at, _)), _) => {
            let help = "it lets `plaintext: true` stand on an address that is not loopback".to_owned();
            problems.error(at, "`unsafe_plaintext` says nothing without `plaintext: true`", Some(help));
        }
    }
    match (tls, plain) {
        (Some(_), Some((at, Some(true)))) => {
            let help = "leave one of them out".to_owned();
            problems.error(at, "a listener speaks TLS or plain text, not both", Some(help));
            None
        }
        (Some(node), _) => tls_config(node, context, problems),
        (None, Some((at, Some(true)))) => {
            let is_loopback = address.is_none_or(|address| address.ip().to_canonical().is_loopback());
            if !is_loopback && is_unsafe.is_none_or(|(_, value)| value != Some(true)) {
                let help = "give it `tls:`, or a loopback address; `unsafe_plaintext: true` sends secrets in clear";
                problems.error(at, "plain text is for loopback addresses only", Some(help.to_owned()));
                return None;
            }
            if !is_loopback {
                problems.warn(at, "secrets travel in clear on this listener", Some("give it `tls:`".to_owned()));
            }
            Some(("plain text", Some(Transport::Plaintext)))
        }
        // What is no boolean was told.
        (None, Some((_, None))) => None,
        (None, _) => {
            let help = "tls: { certificate: certs/server.crt, key: certs/server.key } (`amiwall certs` makes them)";
            problems.error(at, "`tls` is missing in the listener", Some(help.to_owned()));
            None
        }
    }
}

/// How a server speaks TLS that asks nobody for a certificate. None where it cannot; in it None where files were left alone.
pub(super) fn server_tls(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Option<Transport>> {
    for (key, _) in node.map(&mut Problems::default()).iter().filter(|(key, _)| key.text.starts_with("client_")) {
        problems.error(key.at, format!("`{}` has no place here: users log in with a password", key.text), None);
    }
    tls_config(node, context, problems).map(|(_, transport)| transport)
}

fn tls_config(
    node: &Node,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<(&'static str, Option<Transport>)> {
    let known = ["certificate", "key", "client_ca", "client_crl", "client_certificate", "min_version"];
    let fields = Fields::of(node, "`tls`", &known, &[], problems);
    let path = |node: &Node, problems: &mut Problems| node.text(problems).map(|text| context.file(&text.text));
    let certificate = fields.need("certificate", problems).and_then(|node| path(node, problems));
    let key = fields.need("key", problems).and_then(|node| path(node, problems));
    let client_ca = fields.take("client_ca").map(|node| path(node, problems));
    let client_crl = fields.take("client_crl").map(|node| path(node, problems));
    let client_certificate = fields.take("client_certificate");
    let required = client_certificate.and_then(|node| values::word(node, &["optional", "required"], problems));
    if let (Some(node), None) = (client_certificate, &client_ca) {
        let message = "`client_certificate` needs `client_ca`: whose certificates are accepted";
        problems.error(node.at, message, Some("client_ca: certs/ca.crt".to_owned()));
    }
    if let (Some(node), None) = (fields.take("client_crl"), &client_ca) {
        let message = "`client_crl` needs `client_ca`: whose certificates are accepted";
        problems.error(node.at, message, Some("client_ca: certs/ca.crt".to_owned()));
    }
    let min_version = fields.take("min_version").and_then(|node| values::word(node, &["1.2", "1.3"], problems));
    let (certificate, key) = (certificate?, key?);
    // A path that is none was told.
    if matches!(client_ca, Some(None)) || matches!(client_crl, Some(None)) {
        return None;
    }
    let (client_ca, client_crl) = (client_ca.flatten(), client_crl.flatten());
    let files = ServerTlsFiles {
        certificate: &certificate,
        key: &key,
        client_ca: client_ca.as_deref(),
        client_crl: client_crl.as_deref(),
        client_certificate_required: required == Some("required"),
        tls13_only: min_version == Some("1.3"),
    };
    let speaks = match (&files.client_ca, files.client_certificate_required) {
        (None, _) => "TLS",
        (Some(_), false) => "TLS, client certificates optional",
        (Some(_), true) => "TLS, client certificates required",
    };
    if context.files == Files::Skip {
        return Some((speaks, None));
    }
    let at = fields.take("key").map_or(node.at, |node| node.at);
    permissions::check_secret(&key, at, problems);
    let trusted = [
        ("certificate", Some(certificate.as_path())),
        ("client_ca", files.client_ca),
        ("client_crl", files.client_crl),
    ];
    for (name, path) in trusted {
        if let (Some(path), Some(node)) = (path, fields.take(name)) {
            permissions::check_trusted(path, node.at, problems);
        }
    }
    match tls::server_tls(&files) {
        Ok(tls) => {
            let at = fields.take("client_crl").map_or(node.at, |node| node.at);
            for warning in &tls.warnings {
                let help = "put a new list in its place, and reload (`amiwall certs DIR --crl` makes one)";
                problems.warn(at, warning.clone(), Some(help.to_owned()));
            }
            Some((speaks, Some(Transport::Tls(tls))))
        }
        Err(error) => {
            tls_problem(&error, &files, (node, &fields), problems);
            None
        }
    }
}

/// At the file that it is about.
fn tls_problem(
    error: &tls::TlsError,
    files: &ServerTlsFiles<'_>,
    (node, fields): (&Node, &Fields<'_>),
    problems: &mut Problems,
) {
    let is = |path: Option<&Path>| path.is_some() && error.path() == path;
    let named = if is(Some(files.key)) {
        "key"
    } else if is(files.client_ca) {
        "client_ca"
    } else if is(files.client_crl) {
        "client_crl"
    } else {
        "certificate"
    };
    let at = fields.take(named).map_or(node.at, |node| node.at);
    let message = error.to_string();
    let help = secrets::help_for_file(&message);
    problems.error(at, message, help);
}
