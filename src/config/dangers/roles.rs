//! One identity with all of its roles: what they amount to together.

use super::Person;
use crate::config::fields::Problems;
use crate::policy::pattern::{Dialect, Pattern, Side};
use crate::policy::spec::{LimitSpec, RuleSpec, ValueSpec};

/// Looks at one identity. `is_open`: some listener lets any address in.
pub(super) fn look(person: &Person<'_>, shared: &[LimitSpec], is_open: bool, problems: &mut Problems) {
    let name = &person.client.name;
    if person.is_open && is_open {
        let help = "networks: { allow: [office] }, at the identity or at the listener".to_owned();
        problems.warn(name.at, format!("`{}` may log in from any address", name.text), Some(help));
    }
    if let Some(shadow) = person.client.shadow.as_ref().filter(|_| !person.ends) {
        let help = "valid: { until: 2027-01-31 }, so that it is looked at again".to_owned();
        problems.warn(shadow.at, format!("`{}` is in shadow mode without an end", name.text), Some(help));
    }
    unlimited(person, shared, problems);
    covered(person, problems);
    around(person, problems);
}

fn allows<'p>(person: &'p Person<'_>, action: &'p str) -> impl Iterator<Item = &'p RuleSpec> {
    let rules = person.roles.iter().flat_map(|role| &role.allow);
    rules.filter(move |rule| rule.action.text.eq_ignore_ascii_case(action))
}

fn denies<'p>(person: &'p Person<'_>, action: &'p str) -> impl Iterator<Item = &'p RuleSpec> {
    let rules = person.roles.iter().flat_map(|role| &role.deny);
    rules.filter(move |rule| rule.action.text.eq_ignore_ascii_case(action))
}

/// Calls cost money, and a stolen password makes them all night.
fn unlimited(person: &Person<'_>, shared: &[LimitSpec], problems: &mut Problems) {
    let is_about = |limit: &LimitSpec| limit.action.text == "*" || limit.action.text.eq_ignore_ascii_case("Originate");
    if person.roles.iter().flat_map(|role| &role.limits).chain(shared).any(is_about) {
        return;
    }
    for rule in allows(person, "Originate") {
        let help = "limits: { Originate: { rate: 10/minute, burst: 3 } }, in the role".to_owned();
        problems.warn(rule.action.at, "nothing limits how often this Originate may be done", Some(help));
    }
}

/// An allow of what a deny refuses whole.
fn covered(person: &Person<'_>, problems: &mut Problems) {
    for rule in person.roles.iter().flat_map(|role| &role.allow) {
        let bare = denies(person, &rule.action.text).find(|deny| deny.params.is_none());
        if let Some(deny) = bare {
            let message = format!("`{}` never gets this: a deny wins", person.client.name.text);
            let help = format!("line {} denies {} whatever its parameters", deny.action.at.line, deny.action.text);
            problems.warn(rule.action.at, message, Some(help));
        }
    }
}

/// A deny of numbers, and a way round it: a `Local/` channel dials its number itself.
fn around(person: &Person<'_>, problems: &mut Problems) {
    let names = |rule: &RuleSpec, wanted: &str| {
        rule.params
            .iter()
            .flatten()
            .find(|(name, _)| name.text.trim_end_matches('?').eq_ignore_ascii_case(wanted))
            .cloned()
    };
    let is_local = |value: &ValueSpec, side: Side| match value {
        ValueSpec::Map(_) => false,
        ValueSpec::AnyOf(patterns) => patterns.iter().any(|pattern| {
            let compiled = Pattern::parse(&pattern.text, Dialect::Text, side, &|_| Some("1"));
            compiled.is_ok_and(|compiled| {
                compiled.matches(b"Local/1@a-context") || compiled.matches(b"Local/19005550100@a")
            })
        }),
    };
    let has_way = allows(person, "Originate").any(|rule| match (&rule.params, names(rule, "Channel")) {
        (None, _) => true,
        (Some(_), channel) => channel.is_some_and(|(_, value)| is_local(&value, Side::Allow)),
    });
    let is_closed = denies(person, "Originate").any(|rule| {
        rule.params.as_ref().is_none_or(|_| names(rule, "Channel").is_some_and(|(_, v)| is_local(&v, Side::Deny)))
    });
    if !has_way || is_closed {
        return;
    }
    for (name, _) in denies(person, "Originate").filter_map(|rule| names(rule, "Exten")) {
        let help = "deny it there too: `- Originate: { Channel: \"Local/1900*\" }`, or allow no free `Local/` channel"
            .to_owned();
        problems.warn(name.at, "a `Local/` channel dials the number itself, past this deny", Some(help));
    }
}
