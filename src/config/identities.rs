//! `identities:`. Names, roles and attributes go to the policy, which checks them; the rest is who may log in, and from where.

use super::Context;
use super::fields::{Fields, Problems};
use super::node::Node;
use super::{secrets, transport, values};
use crate::identity::{CertificateMatch, Identity, StoredSecret};
use crate::policy::spec::{ClientSpec, Spanned};

/// Who there is.
pub(super) fn identities(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Vec<(Identity, ClientSpec)> {
    node.map(problems).iter().map(|(name, node)| identity(name, node, context, problems)).collect()
}

fn identity(name: &Spanned, node: &Node, context: &Context<'_>, problems: &mut Problems) -> (Identity, ClientSpec) {
    let known = ["roles", "secret", "challenge", "certificate", "networks", "attributes", "sessions", "valid"];
    let later = ["mode", "shadow_also", "hours", "upstream"];
    let what = format!("the identity `{}`", name.text);
    let mut fields = Fields::of(node, what, &known, &later, problems);
    let roles = fields.need("roles", problems).map(|node| values::texts(node, problems)).unwrap_or_default();
    let attributes = fields.take("attributes").map(|node| node.map(problems)).unwrap_or_default();
    let attributes =
        attributes.iter().filter_map(|(key, node)| Some((key.text.clone(), node.text(problems)?))).collect();
    let secret = fields.take("secret");
    let secrets = secret.map(|node| secrets::identity(node, context, problems)).unwrap_or_default();
    let certificate_node = fields.take("certificate");
    let certificate = certificate_node.and_then(|node| certificate(node, problems));
    if secret.is_none() && certificate_node.is_none() {
        let help = Some("`secret:` (from `amiwall hash-secret`), `certificate:`, or both".to_owned());
        problems.error(name.at, format!("the identity `{}` cannot be proved by anything", name.text), help);
    }
    let (valid_from, valid_until) = validity(&mut fields, problems);
    let identity = Identity {
        name: name.text.clone(),
        challenge: challenge(&mut fields, &secrets, problems),
        secrets,
        certificate,
        networks: fields.take("networks").map(|node| transport::acl(node, context, problems)).unwrap_or_default(),
        valid_from,
        valid_until,
        sessions_max: fields.take("sessions").and_then(|node| values::count(node, problems)),
    };
    (identity, ClientSpec { name: name.clone(), roles, attributes })
}

/// A challenge is proved with the secret itself: only where that is kept, and it is kept for nothing else.
fn challenge(fields: &mut Fields<'_>, secrets: &[StoredSecret], problems: &mut Problems) -> bool {
    let Some(node) = fields.take("challenge") else { return false };
    let wanted = values::boolean(node, problems).unwrap_or_default();
    let is_recoverable = secrets.iter().any(|secret| matches!(secret, StoredSecret::Recoverable(_)));
    if wanted && !secrets.is_empty() && !is_recoverable {
        let help = Some("secret: { file: NAME.secret }, with the secret itself in the file".to_owned());
        problems.error(node.at, "an MD5 challenge needs a recoverable secret, not an argon2id line", help);
    }
    wanted
}

fn certificate(node: &Node, problems: &mut Problems) -> Option<CertificateMatch> {
    let mut fields = Fields::of(node, "`certificate`", &["san", "spki_sha256"], &[], problems);
    let san = fields.take("san").and_then(|node| node.text(problems));
    let spki = fields.take("spki_sha256").and_then(|node| node.text(problems));
    match (san, spki) {
        (Some(san), None) => {
            if san.text.contains('*') || san.text.is_empty() {
                problems.error(san.at, "`san` is one whole name; there are no wildcards", None);
            }
            Some(CertificateMatch::San(san.text))
        }
        (None, Some(spki)) => {
            let hex: String = spki.text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
            if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                problems.error(spki.at, "`spki_sha256` is 64 hexadecimal digits", None);
            }
            Some(CertificateMatch::SpkiSha256(hex))
        }
        _ => {
            problems.error(node.at, "`certificate` is `{ san: NAME }` or `{ spki_sha256: HEX }`", None);
            None
        }
    }
}

fn validity(fields: &mut Fields<'_>, problems: &mut Problems) -> (Option<i64>, Option<i64>) {
    let Some(node) = fields.take("valid") else { return (None, None) };
    let mut fields = Fields::of(node, "`valid`", &["from", "until"], &[], problems);
    let from = fields.take("from").and_then(|node| values::instant(node, false, problems));
    let until = fields.take("until").and_then(|node| values::instant(node, true, problems));
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        problems.error(node.at, "`until` is before `from`", None);
    }
    (from, until)
}
