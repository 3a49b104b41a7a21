//! `networks:`: the named lists, and the lists that listeners and identities have.

use std::collections::BTreeMap;

use super::Context;
use super::fields::{Fields, Problems};
use super::node::{Node, Value};
use super::values;
use crate::networks::{Network, NetworkAcl};

/// Named lists of networks.
pub(super) fn named(node: &Node, problems: &mut Problems) -> BTreeMap<String, Vec<Network>> {
    let mut named = BTreeMap::new();
    for (name, node) in node.map(problems) {
        if name.text.parse::<Network>().is_ok() {
            problems.error(name.at, format!("`{}` is a network itself; give the list another name", name.text), None);
        }
        let texts = values::texts(node, problems);
        let list = texts.iter().filter_map(|text| problems.take(text.at, text.text.parse::<Network>()));
        named.insert(name.text.clone(), list.collect());
    }
    named
}

/// `{ allow: [office, 203.0.113.7], except: [...] }`, or a list, which is `allow`.
pub(super) fn acl(node: &Node, context: &Context<'_>, problems: &mut Problems) -> NetworkAcl {
    if matches!(node.value, Value::List(_) | Value::Scalar(_)) {
        return NetworkAcl::new(Some(resolve(node, context, problems)), Vec::new());
    }
    let fields = Fields::of(node, "`networks`", &["allow", "except"], &[], problems);
    let allow = fields.take("allow").map(|node| resolve(node, context, problems));
    if let Some(node) = fields.take("allow").filter(|node| matches!(&node.value, Value::List(list) if list.is_empty()))
    {
        problems.warn(
            node.at,
            "an empty `allow` lets nobody in",
            Some("leave it out to let in any address".to_owned()),
        );
    }
    let except = fields.take("except").map(|node| resolve(node, context, problems)).unwrap_or_default();
    NetworkAcl::new(allow, except)
}

/// A list alone, not empty.
pub(super) fn list(node: &Node, context: &Context<'_>, problems: &mut Problems) -> NetworkAcl {
    if matches!(&node.value, Value::List(list) if list.is_empty()) {
        problems.error(node.at, "the list is empty", Some("[10.0.0.5]".to_owned()));
    }
    NetworkAcl::new(Some(resolve(node, context, problems)), Vec::new())
}

fn resolve(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Vec<Network> {
    let mut list = Vec::new();
    for text in values::texts(node, problems) {
        if let Some(named) = context.networks.get(&text.text) {
            list.extend_from_slice(named);
            continue;
        }
        let looks_like_an_address =
            text.text.contains([':', '/']) || text.text.starts_with(|c: char| c.is_ascii_digit());
        if looks_like_an_address {
            list.extend(problems.take(text.at, text.text.parse::<Network>()));
            continue;
        }
        let near = problems.nearest(&text.text, context.networks.keys().map(String::as_str));
        let help = near.map_or_else(
            || "name it under `networks:`, or write an address or a network".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        problems.error(text.at, format!("there is no network `{}`", text.text), Some(help));
    }
    list
}
