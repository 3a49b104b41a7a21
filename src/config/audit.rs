//! `audit:`.

use super::Context;
use super::fields::{Fields, Problems};
use super::node::Node;
use super::{audit_private as private, audit_syslog, values};
use crate::audit::{AuditConfig, Packets};

/// The audit log.
pub(super) fn audit(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<AuditConfig> {
    let known = ["directory", "packets", "events", "redact", "segment", "pseudonymise", "security_log", "syslog"];
    let later = ["on_failure", "keep", "signing_key", "actions", "responses"];
    let fields = Fields::of(node, "`audit`", &known, &later, problems);
    let directory = fields.need("directory", problems).and_then(|node| node.text(problems));
    let is_empty = directory.as_ref().is_some_and(|directory| directory.text.is_empty());
    if is_empty {
        problems.error(node.at, "`audit.directory` is empty", Some("directory: audit".to_owned()));
    }
    // Without a directory the rest is read for its problems alone.
    let has_directory = directory.is_some();
    let mut config = AuditConfig::new(context.folder.join(directory.unwrap_or_default().text));
    if let Some(word) = fields.take("packets").and_then(|node| values::word(node, &["both", "actions"], problems)) {
        config.packets = if word == "actions" { Packets::Actions } else { Packets::Both };
    }
    if let Some(node) = fields.take("events") {
        let events = Fields::of(node, "`audit.events`", &["except"], &[], problems);
        let except = events.take("except").map(|node| values::texts(node, problems)).unwrap_or_default();
        config.except_events = except.into_iter().map(|text| text.text).collect();
    }
    if let Some(node) = fields.take("redact") {
        config.redact = private::redact(values::texts(node, problems).into_iter().map(|text| text.text));
    }
    config.pseudonyms = fields.take("pseudonymise").and_then(|node| private::pseudonyms(node, context, problems));
    config.syslog = fields.take("syslog").and_then(|node| audit_syslog::syslog(node, context, problems));
    if let Some(path) = fields.take("security_log").and_then(|node| node.text(problems)) {
        config.security_log = Some(context.folder.join(path.text));
    }
    if let Some(node) = fields.take("segment") {
        let segment = Fields::of(node, "`audit.segment`", &["size"], &["age"], problems);
        if let Some(size) = segment.take("size").and_then(|node| values::size(node, problems)) {
            config.segment_size = size;
        }
    }
    has_directory.then_some(config)
}
