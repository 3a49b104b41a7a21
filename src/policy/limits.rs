//! What the policy says of how often: [`ClientLimits`] and [`SharedLimits`], made of what stands under `limits:`.
//! What is left of them is the business of [`super::Buckets`].

use std::collections::HashMap;

use super::RuleId;
use super::hours::Hours;
use super::quota::{Quota, QuotaError, parse_count};
use super::spec::{ClientSpec, LimitSpec, Problem, RoleSpec, Spanned};
use super::trip::Trip;
use super::window::Window;

/// The name that stands for every packet.
pub(super) const EVERY: &str = "*";

/// Where the limits stand that all clients share.
const SHARED_PATH: &str = "limits.actions";

/// Whether a refusal for the limit of this path says something of the client: what all share, others may have used up.
pub(super) fn is_own(path: &str) -> bool {
    path.strip_prefix(SHARED_PATH).is_none_or(|rest| !rest.starts_with('.'))
}

/// The limits of one identity: those of all its roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLimits {
    /// By the action's name in lower case.
    actions: HashMap<String, Vec<Limit>>,
    every: Vec<Limit>,
    trips: Vec<Trip>,
}

/// The limits that all clients share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedLimits {
    /// By the action's name in lower case.
    actions: HashMap<String, Vec<Limit>>,
}

/// One limit of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) rule: RuleId,
    pub(super) bound: Bound,
}

/// What a limit bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// `concurrent`: so many calls at once.
    Concurrent(u32),
    /// `distinct_destinations`: so many in a time.
    Destinations(Window),
    /// `hours`: only then.
    Hours(Hours),
    /// `per_day`: so many in a day of UTC.
    PerDay(u32),
    /// `rate` and `burst`.
    Rate(Quota),
}

impl Limit {
    pub(super) const fn is_concurrent(&self) -> bool {
        matches!(self.bound, Bound::Concurrent(_))
    }

    pub(super) const fn is_per_day(&self) -> bool {
        matches!(self.bound, Bound::PerDay(_))
    }
}

impl ClientLimits {
    /// The limits of an identity with these roles, whose includes are among them. Those of several roles on one action
    /// apply together; a role that is there twice counts once.
    ///
    /// # Errors
    /// Everything that is wrong with any of the roles' `limits`.
    pub fn compile(roles: &[&RoleSpec]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut limits = Self::default();
        for role in roles {
            let path = format!("roles.{}.limits", role.name.text);
            for (action, bounds) in read_limits(&role.limits, &path, &mut problems) {
                let of_action =
                    if action == EVERY { &mut limits.every } else { limits.actions.entry(action).or_default() };
                for limit in bounds {
                    if !of_action.contains(&limit) {
                        of_action.push(limit);
                    }
                }
            }
        }
        for (role, trip) in roles.iter().filter_map(|role| role.trip.as_ref().map(|trip| (role, trip))) {
            match Trip::compile(trip, &role.name.text) {
                Ok(trip) if limits.trips.contains(&trip) => {}
                Ok(trip) => limits.trips.push(trip),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(limits) } else { Err(problems) }
    }

    /// As [`Self::compile`], with what the identity itself says.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn of_client(client: &ClientSpec, roles: &[&RoleSpec]) -> Result<Self, Vec<Problem>> {
        let hours = client.hours.first().map(|first| {
            let rule = RuleId { path: format!("identities.{}.hours", client.name.text).into(), line: first.at.line };
            Ok(Limit { rule, bound: Bound::Hours(Hours::compile(&client.hours)?) })
        });
        match (Self::compile(roles), hours.transpose()) {
            (Ok(mut limits), Ok(hours)) => {
                limits.every.extend(hours);
                Ok(limits)
            }
            (limits, hours) => Err([limits.err(), hours.err()].into_iter().flatten().flatten().collect()),
        }
    }

    pub(super) fn of_action(&self, key: &str) -> &[Limit] {
        self.actions.get(key).map_or(&[], Vec::as_slice)
    }

    pub(super) fn every(&self) -> &[Limit] {
        &self.every
    }

    pub(super) fn has_concurrent(&self) -> bool {
        self.of_action("originate").iter().any(Limit::is_concurrent)
    }

    pub(super) fn trips(&self) -> &[Trip] {
        &self.trips
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Limit> {
        self.actions.values().flatten().chain(&self.every)
    }
}

impl SharedLimits {
    /// Reads `limits.actions`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(specs: &[LimitSpec]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        for spec in specs.iter().filter(|spec| spec.action.text == EVERY) {
            problems.push(Problem {
                at: spec.action.at,
                message: "`*` cannot be shared: one client could use up what all others need".to_owned(),
                help: Some("limit `*` in a role, for each client on its own".to_owned()),
            });
        }
        for spec in specs {
            let keys = [("distinct_destinations", &spec.distinct_destinations), ("concurrent", &spec.concurrent)];
            let given = keys.into_iter().filter_map(|(key, value)| value.as_ref().map(|value| (key, value.at)));
            problems.extend(given.map(|(key, at)| Problem {
                at,
                message: format!("`{key}` cannot be shared"),
                help: Some("limit it in a role, for each client on its own".to_owned()),
            }));
        }
        let actions = read_limits(specs, SHARED_PATH, &mut problems).into_iter().collect();
        if problems.is_empty() { Ok(Self { actions }) } else { Err(problems) }
    }

    pub(super) fn of_action(&self, key: &str) -> &[Limit] {
        self.actions.get(key).map_or(&[], Vec::as_slice)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Limit> {
        self.actions.values().flatten()
    }
}

/// Whether any of them is a quota, which survives a restart.
pub(super) fn has_quota<'l>(mut limits: impl Iterator<Item = &'l Limit>) -> bool {
    limits.any(|limit| match limit.bound {
        Bound::Concurrent(_) | Bound::Destinations(_) | Bound::PerDay(_) => true,
        Bound::Hours(_) | Bound::Rate(_) => false,
    })
}

/// The limits of one block by the action's name in lower case.
fn read_limits(specs: &[LimitSpec], path: &str, problems: &mut Vec<Problem>) -> Vec<(String, Vec<Limit>)> {
    let mut limits: Vec<(String, Vec<Limit>)> = Vec::with_capacity(specs.len());
    for spec in specs {
        let name = spec.action.text.as_str();
        let key = name.to_ascii_lowercase();
        if limits.iter().any(|(other, _)| *other == key) {
            problems.push(Problem {
                at: spec.action.at,
                message: format!("`{}` is limited twice here", name.escape_debug()),
                help: Some("names of actions are compared without case; keep one of the two".to_owned()),
            });
            continue;
        }
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        if !is_name || (name.contains(['*', '?']) && name != EVERY) {
            problems.push(Problem {
                at: spec.action.at,
                message: format!("`{}` is not an action's name", name.escape_debug()),
                help: Some("write an action's name, or `*` for every packet of the client".to_owned()),
            });
        }
        let bounds = read_bounds(spec, problems).into_iter();
        let line = spec.action.at.line;
        let limit =
            |(suffix, bound)| Limit { rule: RuleId { path: format!("{path}.{name}{suffix}").into(), line }, bound };
        limits.push((key, bounds.map(limit).collect()));
    }
    limits
}

/// What one entry bounds, each with what its path ends in.
fn read_bounds(spec: &LimitSpec, problems: &mut Vec<Problem>) -> Vec<(&'static str, Bound)> {
    let mut bounds = Vec::new();
    match Quota::compile(spec) {
        Ok(quota) => bounds.extend(quota.map(|quota| ("", Bound::Rate(quota)))),
        Err(found) => problems.extend(found),
    }
    if !spec.hours.is_empty() {
        match Hours::compile(&spec.hours) {
            Ok(hours) => bounds.push((".hours", Bound::Hours(hours))),
            Err(found) => problems.extend(found),
        }
    }
    if let Some(per_day) = &spec.per_day {
        let count = count_of(spec, per_day, "write how many a day (UTC), such as `200`", problems);
        bounds.extend(count.map(|count| (".per_day", Bound::PerDay(count))));
    }
    let is_originate = spec.action.text.eq_ignore_ascii_case("originate");
    if let Some(concurrent) = &spec.concurrent {
        if !is_originate {
            let message = "only an Originate makes calls".to_owned();
            problems.push(Problem { at: concurrent.at, message, help: None });
        }
        let count = count_of(spec, concurrent, "write how many calls at once, such as `2`", problems);
        bounds.extend(count.map(|count| (".concurrent", Bound::Concurrent(count))));
    }
    if let Some(window) = &spec.distinct_destinations {
        let help = Some("write how many in what time, such as `20/hour`".to_owned());
        if !is_originate {
            let message = "only an Originate has destinations".to_owned();
            problems.push(Problem { at: window.at, message, help: None });
        }
        match window.text.parse() {
            Ok(window) => bounds.push((".distinct_destinations", Bound::Destinations(window))),
            Err(error) => problems.push(Problem { at: window.at, message: QuotaError::to_string(&error), help }),
        }
    }
    bounds
}

/// A count that is known only for one action.
fn count_of(spec: &LimitSpec, text: &Spanned, help: &str, problems: &mut Vec<Problem>) -> Option<u32> {
    let mut problem =
        |message, help: &str| problems.push(Problem { at: text.at, message, help: Some(help.to_owned()) });
    if spec.action.text == EVERY {
        problem("only a rate and hours can be of `*`".to_owned(), "name the action that is meant");
        return None;
    }
    match parse_count(&text.text) {
        Ok(count) => Some(count.get()),
        Err(error) => {
            problem(error.to_string(), help);
            None
        }
    }
}
