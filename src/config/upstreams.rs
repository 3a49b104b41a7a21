//! `upstreams:`: where Asterisk is, and who amiwall is there.

use std::collections::BTreeMap;

use super::Context;
use super::fields::{Fields, Problems};
use super::node::{Node, Value};
use super::secrets;
use crate::upstream::{UpstreamConfig, UpstreamLogin};

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
        let fields = Fields::of(node, what, &known, &["tls", "hold", "mode"], problems);
        let address = fields.need("address", problems).and_then(|node| upstream_address(node, problems));
        let login = login(&fields, context, problems);
        let logins = fields.take("logins").map(|node| logins(node, context, problems)).unwrap_or_default();
        if let (Some(address), Some(login)) = (address, login) {
            let config = UpstreamConfig { name: name.text.clone(), address, login, logins };
            upstreams.insert(name.text.clone(), config);
        }
    }
    if let Value::Empty = node.value {
        problems.error(node.at, "there is no upstream", Some("pbx: { address: 127.0.0.1:5038, … }".to_owned()));
    }
    upstreams
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

/// `host:port`; credentials travel in clear, so that another host is worth a warning.
fn upstream_address(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = node.text(problems)?;
    let host = text.text.rsplit_once(':').and_then(|(host, port)| {
        let port = port.parse::<u16>().ok().filter(|port| *port > 0);
        port.map(|_| host).filter(|host| is_host(host))
    });
    let Some(host) = host else {
        let help = Some("a host and a port: 127.0.0.1:5038".to_owned());
        problems.error(text.at, format!("`{}` is no address", text.text), help);
        return None;
    };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    if !host.eq_ignore_ascii_case("localhost") && !address.is_ok_and(|address| address.to_canonical().is_loopback()) {
        let help =
            Some("run amiwall on Asterisk's own machine, with `bindaddr = 127.0.0.1` in manager.conf".to_owned());
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
