//! `admin`.

use std::path::PathBuf;

use super::Context;
use super::admin_http::{self, AdminHttp};
use super::fields::{Fields, Problems};
use super::node::Node;
use crate::audit::AuditConfig;

/// Longer paths have no socket (unix(7), `sun_path`).
const PATH_LEN_MAX: usize = 107;

/// Where administrators ask, and programs that watch.
#[derive(Debug, Default)]
pub(super) struct Admin {
    pub(super) socket: Option<PathBuf>,
    pub(super) http: Option<AdminHttp>,
}

/// `{ socket: PATH, http: { address: … } }`.
pub(super) fn admin(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Admin {
    let fields = Fields::of(node, "`admin`", &["socket", "http"], &[], problems);
    Admin {
        socket: fields.take("socket").and_then(|node| socket_path(node, context, problems)),
        http: fields.take("http").and_then(|node| admin_http::http(node, context, problems)),
    }
}

fn socket_path(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<PathBuf> {
    let text = node.text(problems)?;
    let path = context.folder.join(&text.text);
    if text.text.is_empty() || path.as_os_str().len() > PATH_LEN_MAX {
        let help = "socket: /run/amiwall/admin.sock".to_owned();
        problems.error(text.at, "`socket` is no path of a socket: at most 107 bytes", Some(help));
        return None;
    }
    Some(path)
}

/// Where it is: beside the log, which is its owner's alone and has one writer, unless the policy says otherwise.
pub(super) fn socket(said: Option<PathBuf>, audit: &AuditConfig) -> PathBuf {
    said.unwrap_or_else(|| audit.directory.join("admin.sock"))
}
