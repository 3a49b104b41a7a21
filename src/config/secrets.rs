//! Secrets: `{ file: … }`, `{ env: NAME }`, an argon2id line, or a text. What a secret is never stands in a problem.

use std::path::Path;

use super::Context;
use super::fields::{Fields, Problems};
use super::node::{Node, Value};
use crate::identity::StoredSecret;
use crate::policy::spec::Position;
use crate::secret::Secret;

/// The secret of an account on Asterisk: recoverable by nature.
pub(super) fn upstream(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Secret> {
    match &node.value {
        Value::Scalar(text) => {
            let help = Some("secret: { file: pbx.secret } keeps it out of the policy".to_owned());
            problems.warn(node.at, "a secret stands in the policy file", help);
            sendable(Secret::new(text.clone().into_bytes()), node.at, problems)
        }
        Value::Empty | Value::List(_) | Value::Map(_) => reference(node, context, problems),
    }
}

/// The secrets of an identity: one, or a list while they are being changed.
pub(super) fn identity(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Vec<StoredSecret> {
    let list = match &node.value {
        Value::List(list) => list.as_slice(),
        Value::Empty | Value::Map(_) | Value::Scalar(_) => std::slice::from_ref(node),
    };
    if list.len() > 2 {
        problems.error(node.at, "at most two secrets, the new one and the old one", None);
    }
    list.iter().filter_map(|node| identity_secret(node, context, problems)).collect()
}

fn identity_secret(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<StoredSecret> {
    match &node.value {
        Value::Scalar(text) if text.starts_with('$') => problems.take(node.at, StoredSecret::argon2id(text)),
        Value::Scalar(_) => {
            let help =
                "put the argon2id line here that `amiwall hash-secret` prints; for MD5 challenge logins: { file: … }";
            problems.error(node.at, "a secret in clear has no place in the policy file", Some(help.to_owned()));
            None
        }
        Value::Empty | Value::List(_) | Value::Map(_) => {
            let secret = reference(node, context, problems)?;
            // A file may hold an argon2id line as well.
            match std::str::from_utf8(secret.expose()) {
                Ok(text) if text.starts_with("$argon2") => problems.take(node.at, StoredSecret::argon2id(text)),
                _ => Some(StoredSecret::Recoverable(secret)),
            }
        }
    }
}

/// `{ file: … }` or `{ env: NAME }`.
fn reference(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Secret> {
    let mut fields = Fields::of(node, "`secret`", &["file", "env"], &[], problems);
    let (file, env) = (fields.take("file"), fields.take("env"));
    let bytes = match (file, env) {
        (Some(node), None) => {
            let path = context.folder.join(node.text(problems)?.text);
            check_mode(&path, node.at, problems);
            let read = std::fs::read(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
            problems.take(node.at, read)?
        }
        (None, Some(node)) => {
            let name = node.text(problems)?.text;
            let value = std::env::var_os(&name).ok_or_else(|| format!("the environment has no `{name}`"));
            std::os::unix::ffi::OsStringExt::into_vec(problems.take(node.at, value)?)
        }
        _ => {
            problems.error(node.at, "a secret is `{ file: … }` or `{ env: NAME }`", None);
            return None;
        }
    };
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    sendable(Secret::new(bytes.get(..end).unwrap_or_default().to_vec()), node.at, problems)
}

/// AMI cannot carry every secret.
fn sendable(secret: Secret, at: Position, problems: &mut Problems) -> Option<Secret> {
    let bytes = secret.expose();
    let is_blank = |byte: Option<&u8>| byte.is_some_and(|byte| *byte == b' ' || *byte == b'\t');
    let why = if bytes.is_empty() {
        "the secret is empty"
    } else if bytes.iter().any(|byte| *byte < 0x20 || *byte == 0x7F) {
        "the secret has a control character or a second line, which AMI cannot carry"
    } else if is_blank(bytes.first()) || is_blank(bytes.last()) {
        "the secret begins or ends with a blank, which AMI cannot carry"
    } else if bytes.len() > 1_000 {
        "the secret is longer than AMI can carry"
    } else {
        return Some(secret);
    };
    problems.error(at, why, None);
    None
}

/// A file with a secret that others can read is worth a warning.
pub(super) fn check_mode(path: &Path, at: Position, problems: &mut Problems) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        let help = Some(format!("chmod 600 {}", path.display()));
        problems.warn(at, format!("{} can be read by other users", path.display()), help);
    }
}
