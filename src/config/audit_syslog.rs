//! `audit.syslog`.

use rustls::pki_types::ServerName;

use super::fields::{Fields, Problems};
use super::node::Node;
use super::{Context, Files, source, values};
use crate::audit::SyslogConfig;
use crate::tls;

/// Certificates are short.
const CA_LEN_MAX: u64 = 1024 * 1024;

/// `{ address: "tls://host:6514", ca: FILE, required: true }`.
pub(super) fn syslog(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<SyslogConfig> {
    let fields = Fields::of(node, "`audit.syslog`", &["address", "ca", "required"], &[], problems);
    let is_required = fields.take("required").and_then(|node| values::boolean(node, problems)).unwrap_or_default();
    let ca = fields.take("ca");
    let text = fields.need("address", problems)?.text(problems)?;
    let scheme = text.text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "tcp" | "tls"));
    let parts = scheme.and_then(|(scheme, address)| Some((scheme, address, address.rsplit_once(':')?)));
    let parts = parts.filter(|(_, _, (host, port))| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
    let Some((scheme, address, (host, _))) = parts else {
        let help = "tcp://loghost:601 or tls://loghost:6514";
        problems.error(text.at, "`address` is no address of a syslog receiver", Some(help.to_owned()));
        return None;
    };
    let config = SyslogConfig { address: address.to_owned(), tls: None, ca: Vec::new(), is_required };
    match (scheme, ca) {
        ("tcp", None) => {
            let help = "tls://host:6514 with `ca:`, or a receiver on this machine".to_owned();
            if !matches!(host, "127.0.0.1" | "[::1]" | "localhost") {
                problems.warn(text.at, "the audit log goes over the network in clear", Some(help));
            }
            Some(config)
        }
        ("tcp", Some(node)) => {
            problems.error(node.at, "`ca` is for `tls://` addresses", None);
            None
        }
        (_, None) => {
            problems.error(text.at, "`ca` is missing: who has signed the receiver's certificate?", None);
            None
        }
        (_, Some(node)) => {
            let path = context.file(&node.text(problems)?.text);
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let Ok(name) = ServerName::try_from(host) else {
                problems.error(text.at, "the receiver's name is no name of a machine", None);
                return None;
            };
            if context.files == Files::Skip {
                return None;
            }
            let client = problems.take(node.at, tls::client_config(&path, None))?;
            let bytes = source::read_file(&path, CA_LEN_MAX).map_err(|why| format!("{} {why}", path.display()));
            let ca = problems.take(node.at, bytes)?;
            Some(SyslogConfig { tls: Some((client, name)), ca, ..config })
        }
    }
}
