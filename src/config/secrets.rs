//! Secrets: `{ file: … }`, `{ credential: NAME }`, `{ env: NAME }`, an argon2id line, or a text. What a secret is never stands in a problem.

use std::path::{Path, PathBuf};

use super::fields::Problems;
use super::hidden::HASH_PREFIX;
use super::node::{Node, Value};
use super::{Context, Files, permissions, source};
use crate::identity::StoredSecret;
use crate::policy::spec::{Position, Spanned};
use crate::secret::Secret;

/// Much more than any secret that AMI can carry.
const FILE_LEN_MAX: u64 = 64 * 1_024;
/// Stands for a secret where the files are left alone; never part of a [`super::Config`].
const UNREAD: &[u8] = b"unread";

/// The secret of an account on Asterisk: recoverable by nature.
pub(super) fn upstream(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Secret> {
    match &node.value {
        Value::Scalar(text) if text.starts_with(HASH_PREFIX) => {
            let help = "secret: { file: pbx.secret }, with the secret of manager.conf in the file";
            problems.error(node.at, "Asterisk needs the secret itself, not its hash", Some(help.to_owned()));
            None
        }
        Value::Scalar(text) => {
            let help = Some("secret: { file: pbx.secret } keeps it out of the policy".to_owned());
            problems.warn(node.at, "a secret stands in the policy file", help);
            sendable(Secret::new(text.clone().into_bytes()), node.at, problems)
        }
        Value::Empty | Value::List(_) | Value::Map(_) => {
            let secret = reference(node, context, problems)?;
            if is_hash(&secret) {
                problems.error(node.at, "Asterisk needs the secret itself, not its hash", None);
            }
            Some(secret)
        }
    }
}

fn is_hash(secret: &Secret) -> bool {
    secret.expose().starts_with(HASH_PREFIX.as_bytes())
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

/// `{ file: … }`, `{ credential: NAME }` or `{ env: NAME }`.
pub(super) fn reference(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Secret> {
    let shape = "a secret is `{ file: NAME }`, `{ credential: NAME }` or `{ env: NAME }`";
    // What else stands here may be a secret, so it is not repeated.
    let entries = match &node.value {
        Value::Map(entries) => entries.as_slice(),
        Value::Empty | Value::List(_) | Value::Scalar(_) => &[],
    };
    let [(kind, place)] = entries else {
        problems.error(node.at, shape, None);
        return None;
    };
    let is_known = matches!(kind.text.as_str(), "credential" | "env" | "file");
    let place = if is_known { place.text(problems)? } else { Spanned::default() };
    if place.text.is_empty() {
        problems.error(kind.at, shape, None);
        return None;
    }
    if context.files == Files::Skip {
        return Some(Secret::new(UNREAD.to_vec()));
    }
    let bytes = match kind.text.as_str() {
        "file" => read(&context.file(&place.text), place.at, problems)?,
        "credential" => {
            let path = credential(&place, problems)?;
            read(&context.file(path), place.at, problems)?
        }
        _ => {
            let value = std::env::var_os(&place.text).ok_or_else(|| format!("the environment has no `{}`", place.text));
            std::os::unix::ffi::OsStringExt::into_vec(problems.take(place.at, value)?)
        }
    };
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    sendable(Secret::new(bytes.get(..end).unwrap_or_default().to_vec()), node.at, problems)
}

fn read(path: &Path, at: Position, problems: &mut Problems) -> Option<Vec<u8>> {
    permissions::check_secret(path, at, problems);
    source::read_file(path, FILE_LEN_MAX)
        .map_err(|why| {
            let message = format!("{} {why}", path.display());
            let help = help_for_file(&message);
            problems.error(at, message, help);
        })
        .ok()
}

/// Where systemd has put a credential of the service.
fn credential(name: &Spanned, problems: &mut Problems) -> Option<PathBuf> {
    if name.text.contains('/') || matches!(name.text.as_str(), "." | "..") {
        let help = "the name that stands in `LoadCredential=NAME:FILE`; a file elsewhere is `{ file: PATH }`";
        problems.error(name.at, "the name of a credential is no path", Some(help.to_owned()));
        return None;
    }
    let Some(folder) = permissions::credentials_folder() else {
        let message =
            format!("there are no credentials here, so no `{}`: $CREDENTIALS_DIRECTORY is not set", name.text);
        let help = "systemd sets it for a service whose unit has `LoadCredential=` or `SetCredentialEncrypted=`; \
                    elsewhere, `amiwall check --without-files` checks the rest";
        problems.error(name.at, message, Some(help.to_owned()));
        return None;
    };
    let path = folder.join(&name.text);
    if !path.exists() {
        let message = format!("the service has no credential `{}`: {} is not there", name.text, path.display());
        let help = format!("`LoadCredential={}:FILE` in the unit, then a restart", name.text);
        problems.error(name.at, message, Some(help));
        return None;
    }
    Some(path)
}

/// What to do about a file that cannot be read.
pub(super) fn help_for_file(message: &str) -> Option<String> {
    let help = if message.contains("No such file") {
        "paths in a policy are relative to its own folder"
    } else if message.contains("Permission denied") {
        "the user that runs amiwall has to be able to read it (chown, chmod 600)"
    } else {
        return None;
    };
    Some(help.to_owned())
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
