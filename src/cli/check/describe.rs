//! What a policy amounts to, for each identity: who, from where, how it proves itself, what it may do and see.

use std::collections::HashSet;

use super::limits::{limit, trip, windows};
use crate::audit::{AuditConfig, Durability, OnFailure};
use crate::catalogue::{self, ActionEntry, Danger};
use crate::config::Checked;
use crate::identity::{CertificateMatch, Identity, StoredSecret};
use crate::policy::spec::{ClientSpec, RoleSpec, RuleSpec, SetSpec, SetValueSpec, Spanned, ValueSpec, effective_roles};
use crate::report::IdentityRights;

/// What is promised of the audit log.
fn records(audit: &AuditConfig, growth: Option<&str>) -> String {
    let mut text = format!("records in {}: actions {}", audit.directory.display(), audit.actions.name());
    text += if audit.actions == Durability::Synced {
        " before they are forwarded"
    } else {
        ", perhaps after they are forwarded"
    };
    text += if audit.signing_key.is_some() { "; signed" } else { "; not signed" };
    if let Some(anchor) = &audit.anchor {
        text += &format!(", with copies of checkpoints in {}", anchor.display());
    }
    text += &match (audit.keep.days, audit.keep.space.is_some()) {
        (None, false) => "; all of them kept".to_owned(),
        (None, true) => "; kept while there is space".to_owned(),
        (Some(days), false) => format!("; kept for {days} days"),
        (Some(days), true) => format!("; kept for {days} days, and while there is space"),
    };
    text += match audit.on_failure {
        OnFailure::Refuse => "; nothing passes that cannot be recorded\n",
        OnFailure::Continue => "; what cannot be recorded PASSES all the same\n",
    };
    text + &growth.map(|growth| format!("  {growth}\n")).unwrap_or_default()
}

/// For people. `growth`: what is known of how much the audit log grows.
pub(super) fn text(checked: &Checked, growth: Option<&str>) -> String {
    let mut text = String::new();
    for listener in &checked.listeners {
        let upstream = checked.upstreams.get(&listener.upstream).map_or("?", String::as_str);
        text.push_str(&format!(
            "listens on {} ({}) for {}, in front of the Asterisk `{}` at {upstream}\n",
            listener.address, listener.speaks, listener.networks, listener.upstream
        ));
        if let Some(proxies) = &listener.proxies {
            text.push_str(&format!("  believes {proxies} who the client is (PROXY protocol)\n"));
        }
    }
    text.push_str(&records(&checked.audit, growth));
    for (identity, client) in checked.identities.iter().zip(&checked.clients) {
        text.push_str(&format!("\n{}\n", identity.name));
        for Topic { label, lines, .. } in topics(identity, client, &checked.roles) {
            let mut label = label;
            for line in lines {
                text.push_str(&format!("  {label:<9} {line}\n"));
                label = "";
            }
        }
    }
    // What the policy's author put into a name is not for the reader's terminal to obey.
    let printable = |c: char| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
    text.trim_end().chars().map(printable).collect()
}

/// For programs: the same words.
pub(super) fn json(checked: &Checked) -> serde_json::Value {
    let identities = checked.identities.iter().zip(&checked.clients);
    let object = |(identity, client): (&Identity, &ClientSpec)| {
        let mut object = serde_json::Map::new();
        object.insert("name".to_owned(), identity.name.clone().into());
        for Topic { key, lines, .. } in topics(identity, client, &checked.roles) {
            object.insert(key.to_owned(), lines.into());
        }
        serde_json::Value::Object(object)
    };
    identities.map(object).collect()
}

/// For the audit report: the same words.
pub(in crate::cli) fn identities(checked: &Checked) -> Vec<IdentityRights> {
    let identities = checked.identities.iter().zip(&checked.clients);
    let described = identities.map(|(identity, client)| {
        let topics = topics(identity, client, &checked.roles).into_iter();
        let topics = topics.map(|topic| (topic.label.to_owned(), topic.lines)).collect();
        IdentityRights { name: identity.name.clone(), topics }
    });
    described.collect()
}

struct Topic {
    /// For people.
    label: &'static str,
    /// For programs.
    key: &'static str,
    lines: Vec<String>,
}

fn topics(identity: &Identity, client: &ClientSpec, all_roles: &[RoleSpec]) -> Vec<Topic> {
    let roles = effective_roles(&client.roles, all_roles);
    let names: Vec<&str> = roles.iter().map(|role| role.name.text.as_str()).collect();
    let bind = |text: &str| bind(text, client);
    let may: Vec<String> = roles.iter().flat_map(|role| &role.allow).flat_map(|rule| allowed(rule, &bind)).collect();
    let never: Vec<String> = roles.iter().flat_map(|role| &role.deny).map(|rule| denied(rule, &bind)).collect();
    let hours = (!client.hours.is_empty()).then(|| format!("anything: only {}", windows(&client.hours)));
    let limits = hours.into_iter().chain(roles.iter().flat_map(|role| &role.limits).map(limit));
    let limits: Vec<String> = limits.chain(roles.iter().filter_map(|role| role.trip.as_ref()).map(trip)).collect();
    let or_nothing = |lines: Vec<String>| if lines.is_empty() { vec!["nothing".to_owned()] } else { lines };
    let topics = [
        Topic { label: "has", key: "roles", lines: vec![names.join(", ")] },
        Topic { label: "logs in", key: "logs_in", lines: logs_in(identity) },
        Topic { label: "from", key: "from", lines: vec![identity.networks.to_string()] },
        Topic { label: "mode", key: "mode", lines: shadow(client) },
        Topic { label: "may", key: "may", lines: or_nothing(may) },
        Topic { label: "never", key: "never", lines: never },
        Topic { label: "sends", key: "sends", lines: roles.iter().flat_map(|role| &role.set).flat_map(set).collect() },
        Topic { label: "at most", key: "limits", lines: limits },
        Topic { label: "sees", key: "sees", lines: sees(&roles, &bind) },
    ];
    topics.into_iter().filter(|topic| !topic.lines.iter().all(String::is_empty)).collect()
}

fn shadow(client: &ClientSpec) -> Vec<String> {
    let Some(shadow) = &client.shadow else { return Vec::new() };
    let mut lines = vec!["shadow: whatever no rule allows passes and is only noted".to_owned()];
    if !shadow.also.is_empty() {
        let names: Vec<&str> = shadow.also.iter().map(|action| action.text.as_str()).collect();
        lines.push(format!("shadow also for what can run code: {}", names.join(", ")));
    }
    let is_named = |name: &str| shadow.also.iter().any(|action| action.text.eq_ignore_ascii_case(name));
    let grave = catalogue::actions().filter(|entry| entry.danger == Some(Danger::CodeExec) && !is_named(entry.name));
    let grave: Vec<&str> = grave.map(|entry| entry.name).collect();
    if !grave.is_empty() {
        let grave = grave.join(", ");
        lines.push(format!("but refused all the same, unless a rule allows it, since it can run code: {grave}"));
    }
    lines
}

/// What amiwall puts into an action.
fn set(set: &SetSpec) -> Vec<String> {
    let value = |value: &SetValueSpec| match value {
        SetValueSpec::Text(text) => format!("= {}", text.text),
        SetValueSpec::AtMost(most) => format!("at most {}", most.text),
        SetValueSpec::Variables(list) => {
            let list: Vec<String> = list.iter().map(|(name, value)| format!("{}={}", name.text, value.text)).collect();
            format!("with {}", list.join(", "))
        }
    };
    let one = |(name, set): &(Spanned, SetValueSpec)| format!("{} {}, set by amiwall", name.text, value(set));
    set.params.iter().map(|param| format!("{} with {}", set.action.text, one(param))).collect()
}

/// A pattern with the identity's attributes in place of their names.
fn bind(text: &str, client: &ClientSpec) -> String {
    let bound = text.replace("{identity}", &client.name.text);
    client.attributes.iter().fold(bound, |text, (key, value)| text.replace(&format!("{{{key}}}"), &value.text))
}

fn logs_in(identity: &Identity) -> Vec<String> {
    let is_recoverable = |secret: &StoredSecret| matches!(secret, StoredSecret::Recoverable(_));
    let secret = match identity.secrets.as_slice() {
        [] => None,
        secrets if identity.challenge => Some(count("a secret or its MD5 challenge", secrets.len())),
        secrets if secrets.iter().any(is_recoverable) => Some(count("a secret", secrets.len())),
        secrets => Some(count("a secret (kept as argon2id)", secrets.len())),
    };
    let certificate = identity.certificate.as_ref().map(|certificate| match certificate {
        CertificateMatch::San(name) => format!("a client certificate for {name}"),
        CertificateMatch::SpkiSha256(hex) => format!("a client certificate with the key {hex}"),
    });
    let proof = [secret, certificate].into_iter().flatten().collect::<Vec<_>>().join(" and ");
    let sessions = identity.sessions_max.map(|max| format!("{max} sessions at once"));
    let time =
        |seconds: i64| jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string());
    let from = identity.valid_from.map(|seconds| format!("not before {}", time(seconds)));
    let until = identity.valid_until.map(|seconds| format!("until {}", time(seconds)));
    let upstream = identity.upstream.as_ref().map(|name| format!("to the upstream {name}"));
    vec![
        [Some(format!("with {proof}")), upstream, sessions, from, until]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("; "),
    ]
}

fn count(what: &str, count: usize) -> String {
    if count == 1 { what.to_owned() } else { format!("{what}, any of {count}") }
}

/// One rule: a line, and one more for each parameter.
fn allowed(rule: &RuleSpec, bind: &impl Fn(&str) -> String) -> Vec<String> {
    let action = &rule.action.text;
    match rule.params.as_deref() {
        None => {
            let entry = catalogue::action(&action.to_ascii_lowercase());
            let is_grave = |entry: &&ActionEntry| !matches!(entry.danger, None | Some(Danger::InfoLeak));
            let sentence = entry.filter(is_grave).and_then(ActionEntry::sentence);
            vec![sentence.map_or_else(
                || format!("{action}, with any parameters"),
                |s| format!("{action}, with any parameters: {s}"),
            )]
        }
        Some([]) => vec![format!("{action}, without parameters")],
        Some(params) => {
            let parameters = params.iter().map(|(name, value)| {
                let optional = name.text.strip_suffix('?');
                let suffix = if optional.is_some() { ", if given" } else { "" };
                format!("  {} {}{suffix}", optional.unwrap_or(&name.text), values(value, bind))
            });
            std::iter::once(format!("{action}, only with")).chain(parameters).collect()
        }
    }
}

fn denied(rule: &RuleSpec, bind: &impl Fn(&str) -> String) -> String {
    let params = rule.params.iter().flatten();
    let params: Vec<String> = params.map(|(name, value)| format!("{} {}", name.text, values(value, bind))).collect();
    if params.is_empty() {
        rule.action.text.clone()
    } else {
        format!("{} with {}", rule.action.text, params.join(" and "))
    }
}

fn values(value: &ValueSpec, bind: &impl Fn(&str) -> String) -> String {
    match value {
        ValueSpec::AnyOf(patterns) => {
            let is_type = |text: &str| matches!(text, "integer" | "boolean" | "callerid");
            let show = |text: &str| if is_type(text) { format!("({text})") } else { bind(text) };
            format!("= {}", patterns.iter().map(|pattern| show(&pattern.text)).collect::<Vec<_>>().join(" or "))
        }
        ValueSpec::Map(map) => {
            let names = map.iter().map(|(name, value)| format!("{} {}", name.text, values(value, bind)));
            format!("of {}", names.collect::<Vec<_>>().join(", "))
        }
    }
}

fn sees(roles: &[&RoleSpec], bind: &impl Fn(&str) -> String) -> Vec<String> {
    let list = |pick: fn(&RoleSpec) -> &Vec<Spanned>| {
        let mut seen = HashSet::new();
        let names = roles.iter().flat_map(|role| pick(role)).map(|name| name.text.as_str());
        names.filter(|name| seen.insert(*name)).collect::<Vec<_>>().join(", ")
    };
    let (allow, deny) = (list(|role| &role.events.allow), list(|role| &role.events.deny));
    let mut lines = vec!["answers to its actions".to_owned()];
    if !allow.is_empty() {
        lines.push(format!("events: {allow}"));
    }
    if !deny.is_empty() {
        lines.push(format!("but never: {deny}"));
    }
    for scope in roles.iter().map(|role| &role.events.scope).filter(|scope| !scope.is_empty()) {
        let header = |(name, patterns): &(Spanned, Vec<Spanned>)| {
            let patterns: Vec<String> = patterns.iter().map(|pattern| bind(&pattern.text)).collect();
            format!("{} = {}", name.text, patterns.join(" or "))
        };
        let headers: Vec<String> = scope.iter().map(header).collect();
        lines.push(format!("only of calls and queues with {}", headers.join(", or ")));
    }
    let masks = roles.iter().flat_map(|role| &role.events.mask);
    lines.extend(masks.map(|(name, how)| format!("{} masked ({})", name.text, how.text)));
    lines
}
