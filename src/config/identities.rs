//! `identities:`. Names, roles and attributes go to the policy, which checks them; the rest is who may log in, and from where.

use super::fields::{Fields, Problems};
use super::node::{Node, Value};
use super::{Context, Files};
use super::{networks, secrets, upstreams, values};
use crate::identity::{CertificateMatch, Identity, StoredSecret};
use crate::policy::spec::{ClientSpec, ShadowSpec, Spanned};

/// Who there is.
pub(super) fn identities(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Vec<(Identity, ClientSpec)> {
    node.map(problems).iter().map(|(name, node)| identity(name, node, context, problems)).collect()
}

fn identity(name: &Spanned, node: &Node, context: &Context<'_>, problems: &mut Problems) -> (Identity, ClientSpec) {
    let known = [
        "roles",
        "secret",
        "challenge",
        "certificate",
        "networks",
        "attributes",
        "sessions",
        "valid",
        "mode",
        "shadow_also",
        "hours",
        "upstream",
    ];
    let what = format!("the identity `{}`", name.text);
    let fields = Fields::of(node, what, &known, &[], problems);
    let roles = fields.need("roles", problems).map(|node| values::texts(node, problems)).unwrap_or_default();
    let attributes = fields.take("attributes").map(|node| node.map(problems)).unwrap_or_default();
    let attributes =
        attributes.iter().filter_map(|(key, node)| Some((key.text.clone(), node.text(problems)?))).collect();
    let secret = fields.take("secret");
    let secrets = secret.map(|node| secrets::identity(node, context, problems)).unwrap_or_default();
    let certificate_node = fields.take("certificate");
    let certificate = certificate_node.and_then(|node| certificate(node, problems));
    if let (Some(node), false) = (certificate_node, context.accepts_certificates) {
        let help = "set `client_ca` under `tls:` of a listener".to_owned();
        problems.error(node.at, "no listener asks for client certificates", Some(help));
    }
    if roles.is_empty() && fields.take("roles").is_some() {
        problems.warn(name.at, format!("`{}` has no role and may do nothing", name.text), None);
    }
    let has_secret = secret.is_some_and(|node| !matches!(&node.value, Value::List(list) if list.is_empty()));
    if !has_secret && certificate_node.is_none() {
        let help = Some("`secret:` (from `amiwall hash-secret`), `certificate:`, or both".to_owned());
        problems.error(name.at, format!("the identity `{}` cannot be proved by anything", name.text), help);
    }
    let (valid_from, valid_until) = validity(&fields, problems);
    let identity = Identity {
        name: name.text.clone(),
        challenge: challenge(&fields, &secrets, context, problems),
        secrets,
        certificate,
        networks: fields.take("networks").map(|node| networks::acl(node, context, problems)).unwrap_or_default(),
        valid_from,
        valid_until,
        sessions_max: fields.take("sessions").and_then(|node| values::count(node, problems)),
        upstream: fields.take("upstream").and_then(|node| upstreams::known(&node.text(problems)?, context, problems)),
    };
    let hours = fields.take("hours").map(|node| values::windows(node, problems)).unwrap_or_default();
    let shadow = shadow(&fields, problems);
    (identity, ClientSpec { name: name.clone(), roles, attributes, hours, shadow })
}

fn shadow(fields: &Fields<'_>, problems: &mut Problems) -> Option<ShadowSpec> {
    let mode =
        fields.take("mode").and_then(|node| Some((node.at, values::word(node, &["enforce", "shadow"], problems)?)));
    let also = fields.take("shadow_also");
    match (mode, also) {
        (Some((at, "shadow")), also) => {
            let also = also.map(|node| values::texts(node, problems)).unwrap_or_default();
            Some(ShadowSpec { at, also })
        }
        (_, Some(node)) => {
            let help = Some("add `mode: shadow`, or leave it out".to_owned());
            problems.error(node.at, "`shadow_also` is without effect: the identity is not in shadow mode", help);
            None
        }
        _ => None,
    }
}

/// A challenge is proved with the secret itself: only where that is kept, and it is kept for nothing else.
fn challenge(fields: &Fields<'_>, secrets: &[StoredSecret], context: &Context<'_>, problems: &mut Problems) -> bool {
    let node = fields.take("challenge");
    let wanted = node.is_some_and(|node| values::boolean(node, problems).unwrap_or_default());
    let is_recoverable = secrets.iter().any(|secret| matches!(secret, StoredSecret::Recoverable(_)));
    // A secret that is wrong itself was told before.
    let is_told = fields.take("secret").is_some() && secrets.is_empty();
    match node {
        Some(node) if wanted && !is_recoverable && !is_told => {
            let help = Some("secret: { file: NAME.secret }, with the secret itself in the file".to_owned());
            problems.error(node.at, "an MD5 challenge needs a recoverable secret, not an argon2id line", help);
        }
        _ => {}
    }
    if let (Some(node), true) = (fields.take("secret"), is_recoverable && !wanted && context.files == Files::Open) {
        let help = "put the argon2id line there that `amiwall hash-secret` prints, or set `challenge: true`".to_owned();
        problems.warn(node.at, "the secret is kept in clear, but nothing needs it", Some(help));
    }
    wanted
}

fn certificate(node: &Node, problems: &mut Problems) -> Option<CertificateMatch> {
    let fields = Fields::of(node, "`certificate`", &["san", "spki_sha256"], &[], problems);
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

fn validity(fields: &Fields<'_>, problems: &mut Problems) -> (Option<i64>, Option<i64>) {
    let Some(node) = fields.take("valid") else { return (None, None) };
    let fields = Fields::of(node, "`valid`", &["from", "until"], &[], problems);
    let from = fields.take("from").and_then(|node| values::instant(node, false, problems));
    let until = fields.take("until").and_then(|node| values::instant(node, true, problems));
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        problems.error(node.at, "`until` is before `from`", None);
    }
    (from, until)
}
