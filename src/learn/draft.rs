//! [`Draft`]: the proposal as data. `write.rs` makes YAML of it, and [`LearnedRole::spec`] what the policy compiles.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;

use super::events::{self, LearnedEvent};
use super::generalise::propose;
use super::params::{Group, ParamUse};
use super::reading::{Attribute, Reading, Style};
use super::usage::{ActionUsage, Tally, Usage};
use super::words::{count, times};
use crate::catalogue::{self, ActionEntry};
use crate::policy::spec::{EventsSpec, RoleSpec, RuleSpec, Spanned, ValueSpec};

/// A proposal: one role for each identity that did something.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What it rests on.
    pub basis: Basis,
    /// By identity.
    pub roles: Vec<LearnedRole>,
}

/// The part of the log that was read.
#[derive(Clone, Debug, Default)]
pub struct Basis {
    /// How many records of actions and events of these identities there are.
    pub records: u64,
    /// The times of the first and the last of them.
    pub times: Option<(Timestamp, Timestamp)>,
    /// Some of the log was written with `packets: actions`: what it has no events of may have been seen all the same.
    pub lacks_events: bool,
    /// Events that the log leaves out.
    pub except_events: BTreeSet<String>,
}

/// What one identity did, as a role.
#[derive(Clone, Debug)]
pub struct LearnedRole {
    /// The identity.
    pub identity: String,
    /// `learned-<identity>`.
    pub name: String,
    /// Its rules, by action.
    pub rules: Vec<LearnedRule>,
    /// What it saw.
    pub events: Vec<LearnedEvent>,
    /// What it saw as answers to its own actions only, though `events.allow` could name it: event, how often.
    pub answers: Vec<(String, u64)>,
    /// From where, and how often.
    pub addresses: Vec<(IpAddr, u64)>,
    /// What it was refused: action, reason code, how often. The most frequent first.
    pub refused: Vec<(String, String, u64)>,
    /// There was more of something than is kept.
    pub has_more: bool,
    /// How the role does on the log that it was learned from.
    pub check: Check,
}

/// Every action of the log judged once more, by the draft.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// So many would be allowed.
    pub allowed: u64,
    /// So many cannot be judged: a value of theirs is hidden.
    pub hidden: u64,
    /// By reason: how many would be refused, and the seq of the first.
    pub refused: BTreeMap<String, (u64, u64)>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct LearnedRule {
    /// The action.
    pub action: String,
    /// How often it was used, and when.
    pub tally: Tally,
    /// Its parameters; none: the bare action.
    pub params: Option<Vec<LearnedParam>>,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// Why the rule is no rule yet: then it is written as a comment.
    pub problem: Option<String>,
}

/// One parameter of a rule.
#[derive(Clone, Debug)]
pub struct LearnedParam {
    /// Its name.
    pub name: String,
    /// Whether it was always there.
    pub is_required: bool,
    /// What it may be.
    pub value: LearnedValue,
    /// What that rests on.
    pub notes: Vec<String>,
}

/// What a parameter may be.
#[derive(Clone, Debug)]
pub enum LearnedValue {
    /// Any of these patterns. None: it cannot be said.
    AnyOf(Vec<String>),
    /// Patterns by the name of a variable.
    Map(Vec<LearnedVariable>),
}

/// One variable.
#[derive(Clone, Debug)]
pub struct LearnedVariable {
    /// Its name, as a pattern.
    pub name: String,
    /// What it may be. None: it cannot be said.
    pub patterns: Vec<String>,
    /// What that rests on.
    pub notes: Vec<String>,
}

impl LearnedValue {
    /// Whether there is anything that it may be.
    #[must_use]
    pub fn is_said(&self) -> bool {
        match self {
            Self::AnyOf(patterns) => !patterns.is_empty(),
            Self::Map(variables) => variables.iter().any(|variable| !variable.patterns.is_empty()),
        }
    }

    fn spec(&self) -> ValueSpec {
        let any_of = |patterns: &[String]| ValueSpec::AnyOf(patterns.iter().map(|text| spanned(text)).collect());
        match self {
            Self::AnyOf(patterns) => any_of(patterns),
            Self::Map(variables) => {
                let said = variables.iter().filter(|variable| !variable.patterns.is_empty());
                ValueSpec::Map(said.map(|variable| (spanned(&variable.name), any_of(&variable.patterns))).collect())
            }
        }
    }
}

impl LearnedParam {
    /// The name as a rule has it: `Name` or `Name?`.
    #[must_use]
    pub fn key(&self) -> String {
        if self.is_required { self.name.clone() } else { format!("{}?", self.name) }
    }
}

impl LearnedRule {
    pub(super) fn spec(&self) -> RuleSpec {
        let said = |params: &Vec<LearnedParam>| {
            let said = params.iter().filter(|param| param.value.is_said());
            said.map(|param| (spanned(&param.key()), param.value.spec())).collect()
        };
        RuleSpec { action: spanned(&self.action), params: self.params.as_ref().map(said) }
    }
}

impl LearnedRole {
    pub(super) fn of(identity: &str, usage: &Usage, attributes: &[Attribute]) -> Self {
        let mut refused: Vec<(String, String, u64)> =
            usage.refused.iter().map(|((action, reason), count)| (action.clone(), reason.clone(), *count)).collect();
        refused.sort_by_key(|(_, _, count)| u64::MAX - count);
        let (answers, asked_for) = events::answers(&usage.answers, &usage.events);
        Self {
            identity: identity.to_owned(),
            name: format!("learned-{identity}"),
            rules: usage.actions.iter().flat_map(|(key, action)| rules(key, action, attributes)).collect(),
            events: events::propose(&usage.events).into_iter().chain(asked_for).collect(),
            answers,
            addresses: usage.addresses.iter().map(|(address, count)| (*address, *count)).collect(),
            refused,
            has_more: usage.has_more,
            check: Check::default(),
        }
    }

    /// The role as a policy has it: without the rules that are no rules yet.
    #[must_use]
    pub fn spec(&self) -> RoleSpec {
        RoleSpec {
            name: spanned(&self.name),
            allow: self.rules.iter().filter(|rule| rule.problem.is_none()).map(LearnedRule::spec).collect(),
            events: EventsSpec {
                allow: self.events.iter().filter(|event| event.is_nameable).map(|event| spanned(&event.name)).collect(),
                ..EventsSpec::default()
            },
            ..RoleSpec::default()
        }
    }
}

pub(super) fn spanned(text: &str) -> Spanned {
    Spanned { text: text.to_owned(), ..Spanned::default() }
}

fn rules(key: &str, usage: &ActionUsage, attributes: &[Attribute]) -> Vec<LearnedRule> {
    let entry = catalogue::action(key);
    let groups = usage.sets.groups(entry, attributes);
    let mut notes = Vec::new();
    if usage.would_deny > 0 {
        notes.push(format!("{} only because of shadow mode: is that wanted?", times(usage.would_deny)));
    }
    if !usage.set_by_policy.is_empty() {
        let names: Vec<&str> = usage.set_by_policy.iter().map(String::as_str).collect();
        notes.push(format!(
            "the policy sets {}: keep its `set:`; if clients send it too, allow it here",
            names.join(", ")
        ));
    }
    if groups.len() > 1 {
        notes.push(format!("{} rules: parameters of different ones never stood together", groups.len()));
    }
    let mut rules: Vec<LearnedRule> = groups.iter().map(|group| rule(&usage.name, entry, group, attributes)).collect();
    if let Some(first) = rules.first_mut() {
        first.notes.extend(notes);
    }
    rules
}

fn rule(name: &str, entry: Option<&ActionEntry>, group: &Group, attributes: &[Attribute]) -> LearnedRule {
    // In the order of the catalogue, which is that of Asterisk's documentation.
    let place = |key: &str| entry.and_then(|entry| entry.params.iter().position(|param| param.name == key));
    let mut used: Vec<(&String, &ParamUse)> = group.params.iter().collect();
    used.sort_by_key(|(key, _)| (place(key).unwrap_or(usize::MAX), *key));
    let params: Vec<LearnedParam> =
        used.into_iter().map(|(key, used)| param(key, used, entry, group, attributes)).collect();
    let unsaid = params.iter().find(|param| param.is_required && !param.value.is_said());
    let problem =
        unsaid.map(|param| format!("what `{}` may be cannot be learned: write it, then take the # away", param.name));
    let mut notes = Vec::new();
    if group.more_params > 0 {
        notes.push(format!("NOT covered: further parameters of {}", count(group.more_params, "call")));
    }
    // Of an action that has no parameters nothing more can be said.
    let is_bare = params.is_empty() && entry.is_some_and(|entry| entry.params.is_empty() && !entry.is_open);
    let params = (!is_bare).then_some(params);
    LearnedRule { action: name.to_owned(), tally: group.tally.clone(), params, notes, problem }
}

fn param(
    key: &str,
    used: &ParamUse,
    entry: Option<&ActionEntry>,
    group: &Group,
    attributes: &[Attribute],
) -> LearnedParam {
    let reading = Reading::of(entry, key, entry.and_then(|entry| entry.param(key)), attributes);
    let mut notes = Vec::new();
    let value = match &used.variables {
        Some(variables) => LearnedValue::Map(
            variables.iter().filter_map(|(name, used)| variable(name, used, reading.attributes)).collect(),
        ),
        None => {
            let proposal = propose(&used.values, &reading);
            if used.values.calls > 0 {
                notes = proposal.notes;
            }
            LearnedValue::AnyOf(proposal.patterns)
        }
    };
    if used.hidden > 0 {
        notes.push(format!(
            "hidden in {} (`audit.redact`): what it was then is NOT covered",
            count(used.hidden, "call")
        ));
    }
    if used.more_variables > 0 {
        notes.push(format!("NOT covered: {} more", count(used.more_variables, "variable")));
    }
    // A name that itself ends in `?` can only be written as optional.
    let is_required = used.calls == group.tally.count && !used.shown.ends_with('?');
    LearnedParam { name: used.shown.clone(), is_required, value, notes }
}

/// A variable's name is a pattern too; one that is not UTF-8 has none that is exact.
fn variable(name: &[u8], used: &super::params::VariableUse, attributes: &[Attribute]) -> Option<LearnedVariable> {
    let name = super::generalise::escaped(std::str::from_utf8(name).ok()?.as_bytes(), Style::Text);
    let proposal = propose(&used.values, &Reading::of_variable(attributes));
    let mut notes = if used.values.calls > 0 { proposal.notes } else { Vec::new() };
    if used.hidden > 0 {
        notes.push(format!("hidden in {}: what it was then is NOT covered", count(used.hidden, "call")));
    }
    Some(LearnedVariable { name, patterns: proposal.patterns, notes })
}
