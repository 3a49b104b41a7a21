//! `upstreams:`: where Asterisk is, and who amiwall is there.

use std::collections::BTreeMap;

use super::fields::{Fields, Problems};
use super::node::{Node, Value};
use super::{Context, secrets, upstream_tls, values};
use crate::policy::spec::Spanned;
use crate::upstream::{UpstreamConfig, UpstreamLogin};

/// Which Asterisks there are.
pub(super) fn upstreams(
    node: &Node,
    context: &Context<'_>,
    problems: &mut Problems,
) -> BTreeMap<String, UpstreamConfig> {
    let mut upstreams = BTreeMap::new();
    for (name, node) in node.map(problems) {
        let known = ["address", "tls", "username", "secret", "logins", "hold"];
        let what = format!("the upstream `{}`", name.text);
        let fields = Fields::of(node, what, &known, &["mode"], problems);
        let tls_node = fields.take("tls");
        let address =
            fields.need("address", problems).and_then(|node| upstream_address(node, tls_node.is_some(), problems));
        // What is wrong with it is an error, so that there is no upstream without the TLS that it is to have.
        let host = address.as_deref().map(host_of);
        let tls = tls_node.and_then(|node| upstream_tls::tls(node, host, context, problems));
        let login = login(&fields, context, problems);
        let logins = fields.take("logins").map(|node| logins(node, context, problems)).unwrap_or_default();
        let hold = fields.take("hold").and_then(|node| values::duration(node, problems));
        if let (Some(address), Some(login)) = (address, login) {
            let config = UpstreamConfig { name: name.text.clone(), address, tls, login, logins, hold };
            upstreams.insert(name.text.clone(), config);
        }
    }
    if let Value::Empty = node.value {
        problems.error(node.at, "there is no upstream", Some("pbx: { address: 127.0.0.1:5038, … }".to_owned()));
    }
    upstreams
}

/// An upstream that something else names.
pub(super) fn known(text: &Spanned, context: &Context<'_>, problems: &mut Problems) -> Option<String> {
    if context.upstream_names.contains(&text.text.as_str()) {
        return Some(text.text.clone());
    }
    let help = problems
        .nearest(&text.text, context.upstream_names.iter().copied())
        .map(|near| format!("did you mean `{near}`?"));
    problems.error(text.at, format!("there is no upstream `{}`", text.text), help);
    None
}

fn logins(node: &Node, context: &Context<'_>, problems: &mut Problems) -> BTreeMap<String, UpstreamLogin> {
    let mut logins = BTreeMap::new();
    for (name, node) in node.map(problems) {
        if !context.role_and_identity_names.contains(&name.text.as_str()) {
            let near = problems.nearest(&name.text, context.role_and_identity_names.iter().copied());
            let help = near.map(|near| format!("did you mean `{near}`?"));
            problems.error(name.at, format!("there is no role or identity `{}`", name.text), help);
        }
        let what = format!("the login of `{}`", name.text);
        let fields = Fields::of(node, what, &["username", "secret"], &[], problems);
        if let Some(login) = login(&fields, context, problems) {
            logins.insert(name.text.clone(), login);
        }
    }
    logins
}

fn login(fields: &Fields<'_>, context: &Context<'_>, problems: &mut Problems) -> Option<UpstreamLogin> {
    let username = fields.need("username", problems).and_then(|node| node.text(problems));
    let secret = fields.need("secret", problems).and_then(|node| secrets::upstream(node, context, problems));
    let username = username?;
    let is_sendable = username.text.trim() == username.text && !username.text.chars().any(char::is_control);
    if username.text.is_empty() || !is_sendable {
        let help = "the name of a section of manager.conf".to_owned();
        problems.error(username.at, "not a user name that AMI can carry", Some(help));
        return None;
    }
    Some(UpstreamLogin { username: username.text, secret: secret? })
}

/// The host of an address, without the brackets of IPv6.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// `host:port`; without TLS credentials travel in clear, so that another host is worth a warning.
fn upstream_address(node: &Node, has_tls: bool, problems: &mut Problems) -> Option<String> {
    let text = node.text(problems)?;
    let host = text.text.rsplit_once(':').and_then(|(host, port)| {
        let port = port.parse::<u16>().ok().filter(|port| *port > 0);
        port.map(|_| host).filter(|host| is_host(host))
    });
    if host.is_none() {
        let help = Some("a host and a port: 127.0.0.1:5038".to_owned());
        problems.error(text.at, format!("`{}` is no address", text.text), help);
        return None;
    }
    let host = host_of(&text.text);
    let is_local = host.parse::<std::net::IpAddr>().map(|address| address.to_canonical().is_loopback());
    if !has_tls && !host.eq_ignore_ascii_case("localhost") && is_local != Ok(true) {
        let help =
            "give it `tls:`, or run amiwall on Asterisk's own machine, with `bindaddr = 127.0.0.1` in manager.conf";
        let help = Some(help.to_owned());
        problems.warn(text.at, format!("the secret of `{}` travels in clear to another machine", text.text), help);
    }
    Some(text.text)
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
    }
}
