//! [`Outline`]: what a policy file has, in so little that two of them can be compared: which roles, identities, limits …
//! came, went or changed. It knows names, and of the rest only whether it is the same.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA256};

use super::node::{Node, Value};

/// More changes than this are counted, not listed.
const CHANGES_MAX: usize = 100;

/// The parts of a file (`roles.wallboard`, `limits.connections`, `listeners`), and a digest of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    parts: BTreeMap<String, Vec<u8>>,
}

impl Outline {
    pub(super) fn of(node: &Node) -> Self {
        let mut parts = BTreeMap::new();
        for (section, node) in entries(node) {
            let inner = entries(node);
            if inner.is_empty() {
                parts.insert(section.to_owned(), digest(node));
            }
            parts.extend(inner.into_iter().map(|(name, node)| (format!("{section}.{name}"), digest(node))));
        }
        Self { parts }
    }

    /// What is another in a newer file, in words.
    #[must_use]
    pub fn changes_to(&self, newer: &Self) -> Vec<String> {
        let gone = self.parts.keys().filter(|name| !newer.parts.contains_key(*name));
        let mut changes: Vec<String> = gone.map(|name| format!("removed {name}")).collect();
        for (name, digest) in &newer.parts {
            match self.parts.get(name) {
                None => changes.push(format!("added {name}")),
                Some(before) if before != digest => changes.push(format!("changed {name}")),
                Some(_) => {}
            }
        }
        if changes.len() > CHANGES_MAX {
            let more = changes.len() - CHANGES_MAX;
            changes.truncate(CHANGES_MAX);
            changes.push(format!("and {more} more"));
        }
        changes
    }
}

fn entries(node: &Node) -> Vec<(&str, &Node)> {
    match &node.value {
        Value::Map(entries) => entries.iter().map(|(name, node)| (name.text.as_str(), node)).collect(),
        Value::Empty | Value::List(_) | Value::Scalar(_) => Vec::new(),
    }
}

fn digest(node: &Node) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    feed(&mut context, node);
    context.finish().as_ref().to_vec()
}

/// Each value with its kind and length before it, so that no two trees read alike.
fn feed(context: &mut Context, node: &Node) {
    let begin = |context: &mut Context, kind: &[u8; 1], len: usize| {
        context.update(kind);
        context.update(&len.to_le_bytes());
    };
    let text = |context: &mut Context, kind, text: &str| {
        begin(context, kind, text.len());
        context.update(text.as_bytes());
    };
    match &node.value {
        Value::Empty => context.update(b"e"),
        Value::Scalar(value) => text(context, b"s", value),
        Value::List(list) => {
            begin(context, b"l", list.len());
            list.iter().for_each(|node| feed(context, node));
        }
        Value::Map(map) => {
            begin(context, b"m", map.len());
            for (name, node) in map {
                text(context, b"k", &name.text);
                feed(context, node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::Problems;
    use super::super::node::parse;
    use super::*;

    fn outline(text: &str) -> Outline {
        let mut problems = Problems::default();
        Outline::of(&parse(text, &mut problems).0.expect("YAML"))
    }

    #[test]
    fn what_came_went_and_changed_is_named_and_nothing_else() {
        let old =
            outline("version: 1\nroles:\n  a: { allow: [Ping] }\n  b: { allow: [Ping] }\n  c: {}\nlisteners: [x]\n");
        let new = outline(
            "version: 1\nroles: # moved\n  b: { allow: [ Ping ] }\n  a: { allow: [Events] }\n  d: {}\nlisteners: [y]\n",
        );
        assert_eq!(old.changes_to(&new), ["removed roles.c", "changed listeners", "changed roles.a", "added roles.d"]);
        assert_eq!(old.changes_to(&old), Vec::<String>::new());
    }

    #[test]
    fn values_that_look_alike_side_by_side_are_told_apart() {
        assert_eq!(outline("r: { a: [x, y] }").changes_to(&outline("r: { a: [xy] }")), ["changed r.a"]);
        assert_eq!(outline("r: { a: { b: c } }").changes_to(&outline("r: { a: [b, c] }")), ["changed r.a"]);
    }

    #[test]
    fn many_changes_are_counted() {
        let many = |word| (0..150).map(|n| format!("  r{n}: {word}\n")).collect::<String>();
        let changes =
            outline(&format!("roles:\n{}", many("a"))).changes_to(&outline(&format!("roles:\n{}", many("b"))));
        assert_eq!((changes.len(), changes.last().map(String::as_str)), (101, Some("and 50 more")));
    }
}
