//! With which parameters an action was sent, and what they were. Calls with the same parameters are counted together;
//! what never stood together is not allowed together.

use std::collections::{BTreeMap, BTreeSet};

use super::reading::{Attribute, Reading};
use super::usage::Tally;
use super::values::Values;
use crate::audit::{LoggedRecord, LoggedValue, REDACTED};
use crate::catalogue::{ActionEntry, ParamKind};
use crate::policy::{elements, split_value};

/// So many different sets of parameters are told apart.
const SETS_MAX: usize = 64;
/// Longer sets are not told apart: nobody would write a rule for each.
const SET_LEN_MAX: usize = 32;
/// So many parameters of one action, and variables of one list, are.
const NAMES_MAX: usize = 128;
/// More rules for one action nobody would write.
const RULES_MAX: usize = 8;

/// One parameter in one call.
#[derive(Clone, Debug)]
struct Call<'r> {
    /// As the catalogue spells it, or in lower case.
    name: String,
    shown: String,
    /// None: it is hidden.
    value: Option<&'r [u8]>,
    kind: ParamKind,
}

/// The parameters of one call.
#[derive(Clone, Debug)]
pub(super) struct ParamSet<'r> {
    calls: Vec<Call<'r>>,
    entry: Option<&'static ActionEntry>,
}

impl<'r> ParamSet<'r> {
    /// Of an action's record: what the policy would judge.
    pub(super) fn of(record: &'r LoggedRecord, entry: Option<&'static ActionEntry>) -> Self {
        let mut calls = Vec::new();
        for header in &record.headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            let known = entry.and_then(|entry| entry.param(&header.name));
            let is_open = entry.is_some_and(|entry| entry.is_open);
            let is_ignored = entry.is_some() && known.is_none() && !is_open;
            let value = match &header.value {
                LoggedValue::Bytes(bytes) => Some(bytes.as_slice()),
                LoggedValue::Hidden | LoggedValue::Length(_) | LoggedValue::Pseudonym { .. } => None,
            };
            // An empty value counts as absent, but for headers that are passed on whatever they are.
            let is_absent = value == Some(&[]) && (known.is_some() || !is_open);
            let is_set = record.set.iter().any(|name| is(name));
            if header.name.is_empty() || is("Action") || is("ActionID") || is_ignored || is_absent || is_set {
                continue;
            }
            let lower = || header.name.to_ascii_lowercase();
            calls.push(Call {
                name: known.map_or_else(lower, |known| known.name.to_owned()),
                shown: known.map_or(header.name.as_str(), |known| known.name).to_owned(),
                value,
                kind: known.map_or(ParamKind::Text, |known| known.kind),
            });
        }
        Self { calls, entry }
    }

    fn names(&self) -> BTreeSet<String> {
        self.calls.iter().map(|call| call.name.clone()).collect()
    }
}

/// What was seen of one parameter.
#[derive(Clone, Debug, Default)]
pub(super) struct ParamUse {
    /// Its name for people.
    pub(super) shown: String,
    /// In how many calls it was.
    pub(super) calls: u64,
    /// In how many of them its value, or a part of it, is hidden.
    pub(super) hidden: u64,
    pub(super) values: Values,
    /// Of a list of variables, each of them.
    pub(super) variables: Option<BTreeMap<Vec<u8>, VariableUse>>,
    /// Calls with more variables than are told apart.
    pub(super) more_variables: u64,
}

/// What was seen of one variable.
#[derive(Clone, Debug, Default)]
pub(super) struct VariableUse {
    pub(super) hidden: u64,
    pub(super) values: Values,
}

/// Calls whose parameters can be described by one rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) tally: Tally,
    /// By name.
    pub(super) params: BTreeMap<String, ParamUse>,
    /// Calls with more parameters than are told apart.
    pub(super) more_params: u64,
}

/// All calls of one action.
#[derive(Clone, Debug, Default)]
pub(super) struct ParamSets {
    sets: BTreeMap<BTreeSet<String>, Group>,
    /// Those of all sets that are too many.
    rest: Option<Group>,
}

/// How the values of a parameter are read.
fn reading<'a>(entry: Option<&ActionEntry>, name: &str, attributes: &'a [Attribute]) -> Reading<'a> {
    Reading::of(entry, name, entry.and_then(|entry| entry.param(name)), attributes)
}

impl ParamSets {
    /// Takes in one call.
    pub(super) fn add(&mut self, set: &ParamSet<'_>, record: &LoggedRecord, attributes: &[Attribute]) {
        let names = set.names();
        let is_kept = names.len() <= SET_LEN_MAX && (self.sets.len() < SETS_MAX || self.sets.contains_key(&names));
        let group = if is_kept { self.sets.entry(names).or_default() } else { self.rest.get_or_insert_default() };
        group.add(set, record, attributes);
    }

    /// The fewest groups in which no two parameters are that never stood together.
    pub(super) fn groups(&self, entry: Option<&ActionEntry>, attributes: &[Attribute]) -> Vec<Group> {
        let pairs = |set| BTreeSet::iter(set).flat_map(move |a: &String| set.iter().map(move |b| (a, b)));
        let together: BTreeSet<(&String, &String)> = self.sets.keys().flat_map(pairs).collect();
        let mut sets: Vec<(&BTreeSet<String>, &Group)> = self.sets.iter().collect();
        sets.sort_by_key(|(names, group)| (usize::MAX - names.len(), u64::MAX - group.tally.count, *names));
        let mut groups: Vec<(BTreeSet<String>, Group)> = Vec::new();
        for (names, group) in sets {
            let fits = |own: &BTreeSet<String>| {
                names.difference(own).all(|name| own.difference(names).all(|other| together.contains(&(name, other))))
            };
            let is_full = groups.len() >= RULES_MAX;
            match groups.iter_mut().find(|(own, _)| is_full || fits(own)) {
                Some((own, all)) => {
                    own.extend(names.iter().cloned());
                    all.merge(group.clone(), entry, attributes);
                }
                None => groups.push((names.clone(), group.clone())),
            }
        }
        let mut groups: Vec<Group> = groups.into_iter().map(|(_, group)| group).collect();
        match (groups.first_mut(), &self.rest) {
            (Some(first), Some(rest)) => first.merge(rest.clone(), entry, attributes),
            (_, rest) => groups.extend(rest.clone()),
        }
        groups
    }
}

impl Group {
    fn add(&mut self, set: &ParamSet<'_>, record: &LoggedRecord, attributes: &[Attribute]) {
        self.tally.add(record);
        let mut counted = BTreeSet::new();
        for call in &set.calls {
            if self.params.len() >= NAMES_MAX && !self.params.contains_key(&call.name) {
                self.more_params += 1;
                continue;
            }
            let param = self.params.entry(call.name.clone()).or_default();
            // `Variable` may stand several times, and so may members of a numbered family.
            if counted.insert(call.name.as_str()) {
                param.calls += 1;
            }
            if param.shown.is_empty() {
                param.shown.clone_from(&call.shown);
            }
            param.add(call, &reading(set.entry, &call.name, attributes));
        }
    }

    fn merge(&mut self, other: Self, entry: Option<&ActionEntry>, attributes: &[Attribute]) {
        self.tally.merge(&other.tally);
        self.more_params += other.more_params;
        for (name, param) in other.params {
            let reading = reading(entry, &name, attributes);
            self.params.entry(name).or_default().merge(param, &reading);
        }
    }
}

impl ParamUse {
    fn add(&mut self, call: &Call<'_>, reading: &Reading<'_>) {
        let Some(value) = call.value else {
            self.hidden += 1;
            return;
        };
        if call.kind == ParamKind::Variables {
            self.add_variables(value, reading);
        } else if call.kind == ParamKind::VariableNames {
            elements(value).for_each(|name| self.values.add(name, reading));
        } else if holds_hidden(value) {
            self.hidden += 1;
        } else {
            self.values.add(value, reading);
        }
    }

    fn add_variables(&mut self, list: &[u8], reading: &Reading<'_>) {
        self.hidden += u64::from(holds_hidden(list));
        let reading = Reading::of_variable(reading.attributes);
        let variables = self.variables.get_or_insert_default();
        for (name, value) in elements(list).filter_map(split_value) {
            if variables.len() >= NAMES_MAX && !variables.contains_key(name) {
                self.more_variables += 1;
                continue;
            }
            let variable = variables.entry(name.to_vec()).or_default();
            if holds_hidden(value) {
                variable.hidden += 1;
            } else {
                variable.values.add(value, &reading);
            }
        }
    }

    fn merge(&mut self, other: Self, reading: &Reading<'_>) {
        if self.shown.is_empty() {
            self.shown = other.shown;
        }
        self.calls += other.calls;
        self.hidden += other.hidden;
        self.more_variables += other.more_variables;
        self.values.merge(other.values, reading);
        let reading = Reading::of_variable(reading.attributes);
        for (name, variable) in other.variables.into_iter().flatten() {
            let own = self.variables.get_or_insert_default().entry(name).or_default();
            own.hidden += variable.hidden;
            own.values.merge(variable.values, &reading);
        }
    }
}

/// Whether a part of the value is hidden.
pub(super) fn holds_hidden(value: &[u8]) -> bool {
    value.windows(REDACTED.len()).any(|window| window == REDACTED.as_bytes())
}
