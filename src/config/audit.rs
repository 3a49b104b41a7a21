//! `audit:`.

use super::fields::{Fields, Problems};
use super::node::Node;
use super::{Context, Files, audit_private as private, audit_syslog, permissions, values};
use crate::audit::{AuditConfig, Durability, KeepSpace, OnFailure, Packets, SigningKey};

/// The keys of the section.
const KEYS: [&str; 14] = [
    "directory",
    "packets",
    "events",
    "redact",
    "pseudonymise",
    "segment",
    "keep",
    "signing_key",
    "anchor",
    "on_failure",
    "actions",
    "responses",
    "security_log",
    "syslog",
];

/// The audit log.
pub(super) fn audit(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<AuditConfig> {
    let fields = Fields::of(node, "`audit`", &KEYS, &[], problems);
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
    files(&fields, context, &mut config, problems);
    promises(&fields, &mut config, problems);
    has_directory.then_some(config)
}

/// The files: their size, what of them is kept, and what is signed with which key.
fn files(fields: &Fields<'_>, context: &Context<'_>, config: &mut AuditConfig, problems: &mut Problems) {
    if let Some(node) = fields.take("segment") {
        let segment = Fields::of(node, "`audit.segment`", &["size", "age", "compress"], &[], problems);
        if let Some(size) = segment.take("size").and_then(|node| values::size(node, problems)) {
            config.segment_size = size;
        }
        config.segment_age = segment.take("age").and_then(|node| values::duration(node, problems));
        let compress = segment.take("compress").and_then(|node| values::word(node, &["none", "zstd"], problems));
        config.compress = compress == Some("zstd");
    }
    if let Some(node) = fields.take("keep") {
        let keep = Fields::of(node, "`audit.keep`", &["days", "space"], &[], problems);
        config.keep.days = keep.take("days").and_then(|node| values::count(node, problems));
        config.keep.space = keep.take("space").and_then(|node| keep_space(node, problems));
    }
    if let Some(path) = fields.take("signing_key").and_then(|node| node.text(problems)) {
        let file = context.file(&path.text);
        if context.files == Files::Open {
            problems.take(path.at, SigningKey::load(&file));
            permissions::check_secret(&file, path.at, problems);
        }
        config.signing_key = Some(file);
    }
    let anchor = fields.take("anchor").and_then(|node| node.text(problems));
    config.anchor = anchor.map(|path| context.folder.join(path.text));
}

/// `80%` of the file system, or `50GiB` of log.
fn keep_space(node: &Node, problems: &mut Problems) -> Option<KeepSpace> {
    let text = node.text(problems)?;
    let Some(percent) = text.text.strip_suffix('%') else { return values::size(node, problems).map(KeepSpace::Bytes) };
    let percent = percent.parse().ok().filter(|percent| (1..100).contains(percent));
    if percent.is_none() {
        problems.error(text.at, format!("`{}` is no share of a disk", text.text), Some("such as 80%".to_owned()));
    }
    percent.map(KeepSpace::Percent)
}

/// What is promised of a record before something passes.
fn promises(fields: &Fields<'_>, config: &mut AuditConfig, problems: &mut Problems) {
    let words = ["synced", "written"];
    let durability = |word| if word == "synced" { Durability::Synced } else { Durability::Written };
    if let Some(node) = fields.take("actions")
        && let Some(word) = values::word(node, &words, problems)
    {
        config.actions = durability(word);
        if config.actions == Durability::Written {
            let help = "actions: synced; a power cut may then lose no record of an action that Asterisk got";
            problems.warn(node.at, "actions are forwarded before their records are on disk", Some(help.to_owned()));
        }
    }
    if let Some(word) = fields.take("responses").and_then(|node| values::word(node, &words, problems)) {
        config.responses = durability(word);
    }
    if let Some(node) = fields.take("on_failure")
        && values::word(node, &["refuse", "continue"], problems) == Some("continue")
    {
        config.on_failure = OnFailure::Continue;
        let help = "on_failure: refuse; whoever can fill the disk can otherwise act unseen";
        problems.warn(node.at, "while the log cannot be written, everything passes unrecorded", Some(help.to_owned()));
    }
}
