//! `admin`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::fields::{Fields, Problems};
use super::listeners::socket_address;
use super::node::Node;
use crate::audit::AuditConfig;

/// Longer paths have no socket (unix(7), `sun_path`).
const PATH_LEN_MAX: usize = 107;

/// Where administrators ask, and programs that watch.
#[derive(Debug, Default)]
pub(super) struct Admin {
    pub(super) socket: Option<PathBuf>,
    pub(super) http: Option<SocketAddr>,
}

/// `{ socket: PATH, http: { address: … } }`.
pub(super) fn admin(node: &Node, folder: &Path, problems: &mut Problems) -> Admin {
    let fields = Fields::of(node, "`admin`", &["socket", "http"], &[], problems);
    Admin {
        socket: fields.take("socket").and_then(|node| socket_path(node, folder, problems)),
        http: fields.take("http").and_then(|node| http(node, problems)),
    }
}

fn socket_path(node: &Node, folder: &Path, problems: &mut Problems) -> Option<PathBuf> {
    let text = node.text(problems)?;
    let path = folder.join(&text.text);
    if text.text.is_empty() || path.as_os_str().len() > PATH_LEN_MAX {
        let help = "socket: /run/amiwall/admin.sock".to_owned();
        problems.error(text.at, "`socket` is no path of a socket: at most 107 bytes", Some(help));
        return None;
    }
    Some(path)
}

/// Who asks there is not asked who he is, so nobody but this machine may.
fn http(node: &Node, problems: &mut Problems) -> Option<SocketAddr> {
    let fields = Fields::of(node, "`admin.http`", &["address"], &[], problems);
    let text = fields.need("address", problems)?.text(problems)?;
    let address = socket_address(&text, r#""127.0.0.1:9138", "[::1]:9138""#, problems)?;
    if !address.ip().is_loopback() {
        let help = "address: \"127.0.0.1:9138\", and beside it, for those elsewhere, a proxy that asks who they are";
        let message = format!("`{address}` is not on loopback: metrics are told to whoever asks for them");
        problems.error(text.at, message, Some(help.to_owned()));
        return None;
    }
    Some(address)
}

/// Where it is: beside the log, which is its owner's alone and has one writer, unless the policy says otherwise.
pub(super) fn socket(said: Option<PathBuf>, audit: &AuditConfig) -> PathBuf {
    said.unwrap_or_else(|| audit.directory.join("admin.sock"))
}
