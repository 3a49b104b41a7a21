//! `admin`.

use std::path::{Path, PathBuf};

use super::fields::{Fields, Problems};
use super::node::Node;
use crate::audit::AuditConfig;

/// Longer paths have no socket (unix(7), `sun_path`).
const PATH_LEN_MAX: usize = 107;

/// `{ socket: PATH }`.
pub(super) fn admin(node: &Node, folder: &Path, problems: &mut Problems) -> Option<PathBuf> {
    let fields = Fields::of(node, "`admin`", &["socket"], &[], problems);
    let text = fields.need("socket", problems)?.text(problems)?;
    let path = folder.join(&text.text);
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
