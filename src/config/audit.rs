//! `audit:`.

use super::Context;
use super::fields::{Fields, Problems};
use super::node::Node;
use super::values;
use crate::audit::{AuditConfig, Packets};

/// The audit log.
pub(super) fn audit(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<AuditConfig> {
    let known = ["directory", "packets", "events", "redact", "segment"];
    let later = ["pseudonymise", "on_failure", "keep", "signing_key", "actions", "responses"];
    let mut fields = Fields::of(node, "`audit`", &known, &later, problems);
    let directory = fields.need("directory", problems).and_then(|node| node.text(problems));
    let mut config = AuditConfig::new(context.folder.join(directory?.text));
    if let Some(word) = fields.take("packets").and_then(|node| values::word(node, &["both", "actions"], problems)) {
        config.packets = if word == "actions" { Packets::Actions } else { Packets::Both };
    }
    if let Some(node) = fields.take("events") {
        let mut events = Fields::of(node, "`audit.events`", &["except"], &[], problems);
        let except = events.take("except").map(|node| values::texts(node, problems)).unwrap_or_default();
        config.except_events = except.into_iter().map(|text| text.text).collect();
    }
    if let Some(node) = fields.take("redact") {
        config.redact = values::texts(node, problems).into_iter().map(|text| text.text).collect();
    }
    if let Some(node) = fields.take("segment") {
        let mut segment = Fields::of(node, "`audit.segment`", &["size"], &["age"], problems);
        if let Some(size) = segment.take("size").and_then(|node| values::size(node, problems)) {
            config.segment_size = size;
        }
    }
    Some(config)
}
