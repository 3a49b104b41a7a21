//! `tls` of an upstream.

use std::path::{Path, PathBuf};

use rustls::pki_types::ServerName;

use super::fields::{Fields, Problems};
use super::node::Node;
use super::{Context, Files, permissions, secrets};
use crate::tls::{self, TlsError};
use crate::upstream::UpstreamTls;

/// `{ ca: FILE, name: NAME, certificate: FILE, key: FILE }`. None where it is wrong, or files are left alone.
pub(super) fn tls(
    node: &Node,
    host: Option<&str>,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<UpstreamTls> {
    let fields = Fields::of(node, "`tls`", &["ca", "name", "certificate", "key"], &[], problems);
    let mut path = |node: &Node| node.text(problems).map(|text| context.file(&text.text));
    let (certificate, key) = (fields.take("certificate").map(&mut path), fields.take("key").map(&mut path));
    let ca = fields.need("ca", problems);
    let ca = ca.and_then(|node| Some((node, context.file(&node.text(problems)?.text))));
    let name = name(&fields, (node, host), problems);
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate?, key?)),
        (None, None) => None,
        (certificate, _) => {
            let missing = if certificate.is_some() { "key" } else { "certificate" };
            let help = "amiwall shows Asterisk a certificate with both `certificate` and `key`, and none without";
            problems.error(node.at, format!("`{missing}` is missing in `tls`"), Some(help.to_owned()));
            return None;
        }
    };
    let ((ca_node, ca), name) = (ca?, name?);
    if context.files == Files::Skip {
        return None;
    }
    permissions::check_trusted(&ca, ca_node.at, problems);
    if let (Some((_, key)), Some(node)) = (&identity, fields.take("key")) {
        permissions::check_secret(key, node.at, problems);
    }
    let files = identity.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
    match tls::client_tls(&ca, files) {
        Ok(client) => Some(UpstreamTls { client, name }),
        Err(error) => {
            let at = fields.take(named(&error, &ca, identity.as_ref())).map_or(node.at, |node| node.at);
            let message = error.to_string();
            let help = secrets::help_for_file(&message);
            problems.error(at, message, help);
            None
        }
    }
}

/// The name that Asterisk's certificate has to be for: the host of its address, unless it has another one.
fn name(
    fields: &Fields<'_>,
    (node, host): (&Node, Option<&str>),
    problems: &mut Problems,
) -> Option<ServerName<'static>> {
    let (at, name) = match fields.take("name") {
        Some(node) => node.text(problems).map(|text| (text.at, text.text))?,
        None => (node.at, host?.to_owned()),
    };
    let parsed = ServerName::try_from(name.clone());
    if parsed.is_err() {
        let help = "a DNS name or an IP address: name: pbx2.example.net".to_owned();
        problems.error(at, format!("`{name}` is no name of a machine"), Some(help));
    }
    parsed.ok()
}

/// The key that an error is about.
fn named(error: &TlsError, ca: &Path, identity: Option<&(PathBuf, PathBuf)>) -> &'static str {
    let is = |path: &Path| error.path() == Some(path);
    match identity {
        _ if is(ca) => "ca",
        Some((_, key)) if is(key) => "key",
        Some(_) => "certificate",
        None => "ca",
    }
}
