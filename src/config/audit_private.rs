//! `audit.redact` and `audit.pseudonymise`.

use super::fields::{Fields, Problems};
use super::node::Node;
use super::{Context, Files, secrets, values};
use crate::audit::{AuditConfig, PseudonymKey, Pseudonyms};

/// The policy's own list stands beside the default; `!default` takes that away.
pub(super) fn redact(own: impl Iterator<Item = String>) -> Vec<String> {
    let (refusals, mut all): (Vec<String>, Vec<String>) = own.partition(|pattern| pattern == "!default");
    if refusals.is_empty() && !all.iter().any(|pattern| pattern == "default") {
        all.splice(0..0, AuditConfig::default_redact());
    }
    all
}

/// `{ values: […], key: { file: … } }`.
pub(super) fn pseudonyms(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Pseudonyms> {
    let fields = Fields::of(node, "`audit.pseudonymise`", &["values", "key"], &[], problems);
    let list = fields.need("values", problems);
    let values: Vec<String> =
        list.map(|node| values::texts(node, problems)).unwrap_or_default().into_iter().map(|text| text.text).collect();
    if let Some(list) = list {
        warn_of_others(list, &values, problems);
    }
    let node = fields.need("key", problems)?;
    let secret = secrets::reference(node, context, problems)?;
    if context.files == Files::Skip {
        return None;
    }
    let key = problems.take(node.at, PseudonymKey::parse(secret.expose()))?;
    Some(Pseudonyms { values, key })
}

/// A caller's number stands in other headers, too.
fn warn_of_others(node: &Node, listed: &[String], problems: &mut Problems) {
    let names: Vec<&str> = listed.iter().map(|pattern| pattern.rsplit('.').next().unwrap_or(pattern)).collect();
    let has = |name: &str| names.iter().any(|listed| listed.eq_ignore_ascii_case(name));
    let missing: Vec<&str> = ["CallerID", "Exten"].into_iter().filter(|name| !has(name)).collect();
    if has("CallerIDNum") && !missing.is_empty() {
        let message = format!(
            "`CallerIDNum` is pseudonymised, but the same numbers stay in clear in {}",
            missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ")
        );
        let help = "list these too, if nobody may read them; in dial strings (`Channel`) numbers always stay in clear";
        problems.warn(node.at, message, Some(help.to_owned()));
    }
}
