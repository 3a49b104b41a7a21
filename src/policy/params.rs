//! [`Rule`]: one entry of `allow` or `deny`, bound to an identity, and how it is compared with the parameters of an
//! action. A parameter is a header other than `Action` and `ActionID`.
//!
//! INVARIANT: an allow rule answers for every parameter there is; what it does not name is not allowed by it.

use std::sync::Arc;

use crate::ami::Action;
use crate::catalogue::{ActionEntry, ParamEntry};

use super::alike::Alike;
use super::decision::RuleId;
use super::explain::{Difference, Mismatch};
use super::originate;
use super::value::{self, ValueRule};

/// Names that another packet's headers have: a `UserEvent` with one of them would look like another event
/// (manager.c, `action_userevent` copies every line).
const NOT_IN_USER_EVENT: [&str; 5] = ["Event", "Privilege", "Response", "SystemName", "Timestamp"];

/// One parameter of the action that is judged, and what the catalogue knows of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Param<'a> {
    name: &'a str,
    value: &'a [u8],
    entry: Option<&'static ParamEntry>,
}

impl<'a> Param<'a> {
    /// The name for the reason: the catalogue's spelling, where it has one.
    fn display_name(&self) -> &'a str {
        self.entry.filter(|entry| !entry.is_numbered()).map_or(self.name, |entry| entry.name)
    }

    /// Whether this is its name.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    pub(super) const fn value(&self) -> &'a [u8] {
        self.value
    }

    /// Whether the value is what no rule can allow.
    fn is_never_allowed(&self) -> bool {
        self.entry.is_some_and(|entry| !originate::is_plain(entry, self.value))
    }

    fn is_free(&self) -> bool {
        self.entry.is_none_or(|entry| value::is_free(entry, self.value))
    }
}

/// The parameters of an action, and the names of those that have to go before it is judged.
#[derive(Debug)]
pub(super) struct Params<'a> {
    pub(super) kept: Vec<Param<'a>>,
    pub(super) dropped: Vec<String>,
}

/// Takes an action apart. Where the catalogue lacks it, `names` are the parameters that it has.
pub(super) fn params<'a>(action: &'a Action, entry: Option<&'static ActionEntry>, names: &[String]) -> Params<'a> {
    let message = action.message();
    let mut params = Params { kept: Vec::with_capacity(message.len()), dropped: Vec::new() };
    for header in message.headers() {
        if header.is("Action") || header.is("ActionID") {
            continue;
        }
        let known = entry.and_then(|entry| entry.param(header.name()));
        let is_open = known.is_none() && entry.is_some_and(|entry| entry.is_open);
        let is_named = entry.is_none() && names.iter().any(|name| header.is(name));
        let is_kept = is_open || ((known.is_some() || is_named) && !header.value.is_empty());
        if is_kept {
            params.kept.push(Param { name: header.name(), value: header.value, entry: known });
        } else if !params.dropped.iter().any(|name| header.is(name)) {
            params.dropped.push(header.name().to_owned());
        }
    }
    // An empty `Variable` beside others is nothing to Asterisk; `retain` goes by name and would take all of them.
    let kept = &params.kept;
    params.dropped.retain(|name| !kept.iter().any(|param| param.name.eq_ignore_ascii_case(name)));
    params
}

/// The first parameter that no rule can allow.
pub(super) fn never_allowed<'a>(entry: Option<&'static ActionEntry>, params: &[Param<'a>]) -> Option<&'a str> {
    let is_open = entry.is_some_and(|entry| entry.is_open);
    let is_forged =
        |param: &Param<'_>| is_open && NOT_IN_USER_EVENT.iter().any(|name| name.eq_ignore_ascii_case(param.name));
    params.iter().find(|param| is_forged(param) || param.is_never_allowed()).map(Param::display_name)
}

/// Whether every value is one that a bare allow would let pass.
pub(super) fn are_plain(entry: Option<&'static ActionEntry>, params: &[Param<'_>]) -> bool {
    never_allowed(entry, params).is_none() && params.iter().all(Param::is_free)
}

/// What a rule says about one parameter.
#[derive(Clone, Debug)]
pub(super) struct ParamRule {
    /// The catalogue's spelling where it has one.
    pub(super) name: String,
    /// Where the policy names it.
    pub(super) line: u32,
    pub(super) presence: Presence,
    pub(super) value: ValueRule,
}

/// Whether a parameter has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// `Name?`.
    Optional,
    /// `Name`.
    Required,
}

impl ParamRule {
    /// Whether this is about the parameter; a numbered name is also meant by that of its family.
    fn is_about(&self, param: &Param<'_>) -> bool {
        self.is_named(param) || param.entry.is_some_and(|entry| entry.is_numbered() && entry.name == self.name)
    }

    fn is_named(&self, param: &Param<'_>) -> bool {
        param.is_called(&self.name)
    }
}

/// One entry of `allow` or `deny`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) id: RuleId,
    /// None: the bare action. Identities share those without attributes.
    pub(super) params: Option<Vec<Arc<ParamRule>>>,
    /// How the action's parameters hang together, for a deny.
    pub(super) alike: &'static Alike,
}

/// How far an action is from what an allow rule says. The least is of the rule that was probably meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Misfit<'a> {
    offences: usize,
    /// The first parameter that does not fit.
    pub(super) name: &'a str,
}

impl Rule {
    /// Whether this allow rule answers for every parameter.
    pub(super) fn allows(&self, params: &[Param<'_>]) -> bool {
        self.offences(params).next().is_none()
    }

    /// Of an allow rule: the values of a parameter without one of which it allows nothing. `None` where it may do without, or
    /// has more of them than can be listed.
    pub(super) fn only_values(&self, name: &str) -> Option<Vec<Vec<u8>>> {
        let rule = self.params.iter().flatten().find(|rule| rule.name.eq_ignore_ascii_case(name))?;
        // `#` is a family of names: another of them may be meant.
        let is_needed = rule.presence == Presence::Required && !rule.name.contains('#');
        if is_needed { rule.value.only_values() } else { None }
    }

    /// How far it is from that.
    pub(super) fn misfit<'a>(&'a self, params: &'a [Param<'a>]) -> Option<Misfit<'a>> {
        let mut offences = self.offences(params);
        let (name, ..) = offences.next()?;
        Some(Misfit { offences: 1 + offences.count(), name })
    }

    /// The same, for people: what does not fit.
    pub(super) fn misfits(&self, params: &[Param<'_>]) -> Vec<Difference> {
        let difference = |(param, how, line): (&str, _, _)| Difference { param: param.to_owned(), how, line };
        self.offences(params).map(difference).collect()
    }

    /// What of an action this allow rule does not answer for: parameters that are there, then those that are not.
    fn offences<'a>(&'a self, params: &'a [Param<'a>]) -> impl Iterator<Item = (&'a str, Mismatch, u32)> {
        let offence = |param: &'a Param<'a>| {
            let (how, line) = match &self.params {
                None if param.is_free() => return None,
                None => (Mismatch::NotPlain, 0),
                Some(rules) => {
                    let own = rules.iter().find(|rule| rule.is_named(param));
                    match own.or_else(|| rules.iter().find(|rule| rule.is_about(param))) {
                        Some(rule) if rule.value.allows(param.value) => return None,
                        Some(rule) => (Mismatch::Value, rule.line),
                        None => (Mismatch::Unlisted, 0),
                    }
                }
            };
            Some((param.display_name(), how, line))
        };
        let is_missing = |rule: &&Arc<ParamRule>| {
            let is_there = params.iter().any(|param| !param.value.is_empty() && rule.is_about(param));
            rule.presence == Presence::Required && !is_there
        };
        let missing = self.params.iter().flatten().filter(is_missing);
        let missing = missing.map(|rule| (rule.name.as_str(), Mismatch::Missing, rule.line));
        params.iter().filter_map(offence).chain(missing)
    }

    /// Whether this deny rule fires: everything that it names is there and is so.
    pub(super) fn denies(&self, params: &[Param<'_>]) -> bool {
        self.params.iter().flatten().all(|rule| self.is_met(rule, params))
    }

    /// What of this deny rule is not so, for people: nothing if it fires.
    pub(super) fn unmet(&self, params: &[Param<'_>]) -> Vec<Difference> {
        let unmet = self.params.iter().flatten().filter(|rule| !self.is_met(rule, params));
        let is_there = |rule: &ParamRule| params.iter().any(|param| !param.value.is_empty() && rule.is_about(param));
        let difference = |rule: &Arc<ParamRule>| {
            let how = if is_there(rule) { Mismatch::Value } else { Mismatch::Missing };
            Difference { param: rule.name.clone(), how, line: rule.line }
        };
        unmet.map(difference).collect()
    }

    /// `Family` and `Key` are judged together, as the path that Asterisk makes of them.
    fn is_met(&self, rule: &ParamRule, params: &[Param<'_>]) -> bool {
        let is_path = self.alike.path.is_some() && matches!(rule.name.as_str(), "Family" | "Key");
        if is_path { self.is_path_denied(params) } else { self.is_denied(rule, params) }
    }

    /// Of one parameter that the rule names: whether it is so, here or wherever else Asterisk would look for it.
    fn is_denied(&self, rule: &ParamRule, params: &[Param<'_>]) -> bool {
        let is_there = |param: &&Param<'_>| !param.value.is_empty();
        let is_about = |param: &Param<'_>| rule.is_about(param) || self.alike.are_one(&rule.name, param.name);
        let flag = self.alike.flag_for_all(&rule.name);
        let is_all = |param: &Param<'_>| {
            flag.is_some_and(|flag| flag.eq_ignore_ascii_case(param.name)) && originate::is_true(param.value)
        };
        let mut present = params.iter().filter(is_there);
        let is_absent = || !params.iter().filter(is_there).any(|param| rule.is_about(param));
        present.any(|param| (is_about(param) && rule.value.denies(param.value)) || is_all(param))
            || (self.alike.is_all_if_absent(&rule.name) && is_absent())
    }

    fn is_path_denied(&self, params: &[Param<'_>]) -> bool {
        let rule = |name| self.params.iter().flatten().find(|rule| rule.name == name).map(|rule| &rule.value);
        let value = |name: &str| params.iter().find(|param| param.name.eq_ignore_ascii_case(name));
        let value = |name| value(name).map_or(&[][..], |param| param.value);
        match (self.alike.path, rule("Family"), rule("Key")) {
            (None, ..) | (_, None, None) => true,
            (Some(path), family, key) => path.is_denied((family, key), (value("Family"), value("Key"))),
        }
    }
}
