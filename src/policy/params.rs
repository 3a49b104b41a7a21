//! [`Rule`]: one entry of `allow` or `deny`, bound to an identity, and how it is compared with the parameters of an
//! action. A parameter is a header other than `Action` and `ActionID`.
//!
//! INVARIANT: an allow rule answers for every parameter there is; what it does not name is not allowed by it.

use crate::ami::Action;
use crate::catalogue::{ActionEntry, ParamEntry};

use super::decision::RuleId;
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
        let known = entry.and_then(|entry| entry.param(header.name));
        let is_open = known.is_none() && entry.is_some_and(|entry| entry.is_open);
        let is_named = entry.is_none() && names.iter().any(|name| header.is(name));
        let is_kept = is_open || ((known.is_some() || is_named) && !header.value.is_empty());
        if is_kept {
            params.kept.push(Param { name: header.name, value: header.value, entry: known });
        } else if !params.dropped.iter().any(|name| header.is(name)) {
            params.dropped.push(header.name.to_owned());
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

/// What a rule says about one parameter.
#[derive(Clone, Debug)]
pub(super) struct ParamRule {
    /// The catalogue's spelling where it has one.
    pub(super) name: String,
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
        self.name.eq_ignore_ascii_case(param.name)
    }
}

/// One entry of `allow` or `deny`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) id: RuleId,
    /// None: the bare action.
    pub(super) params: Option<Vec<ParamRule>>,
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
    pub(super) fn allows<'a>(&'a self, params: &[Param<'a>]) -> Result<(), Misfit<'a>> {
        let offends = |param: &&Param<'_>| match &self.params {
            None => !param.is_free(),
            Some(rules) => {
                let own = rules.iter().find(|rule| rule.is_named(param));
                let own = own.or_else(|| rules.iter().find(|rule| rule.is_about(param)));
                !own.is_some_and(|rule| rule.value.allows(param.value))
            }
        };
        let is_missing = |rule: &&ParamRule| {
            let is_there = params.iter().any(|param| !param.value.is_empty() && rule.is_about(param));
            rule.presence == Presence::Required && !is_there
        };
        let missing = || self.params.iter().flatten().filter(is_missing);
        let offences = params.iter().filter(offends).count() + missing().count();
        if offences == 0 {
            return Ok(());
        }
        let offending = params.iter().find(offends).map(Param::display_name);
        let name = offending.or_else(|| missing().next().map(|rule| rule.name.as_str())).unwrap_or_default();
        Err(Misfit { offences, name })
    }

    /// Whether this deny rule fires: everything that it names is there and is so.
    pub(super) fn denies(&self, params: &[Param<'_>]) -> bool {
        self.params.iter().flatten().all(|rule| {
            params.iter().any(|param| !param.value.is_empty() && rule.is_about(param) && rule.value.denies(param.value))
        })
    }
}
