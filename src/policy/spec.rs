//! What a policy file says about roles and identities, in plain data with positions: the boundary between the reader of
//! YAML, which fills it, and the policy, which makes rules of it.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// Where something stands in the policy file: line and column from 1 (0, 0: nowhere).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// A text of the policy file and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spanned {
    /// The scalar's source text.
    pub text: String,
    /// Where.
    pub at: Position,
}

/// What a parameter's rule is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueSpec {
    /// Any of these patterns or type names.
    AnyOf(Vec<Spanned>),
    /// `Variable`: patterns by name.
    Map(Vec<(Spanned, Self)>),
}

/// One entry of `allow` or `deny`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSpec {
    /// The action's name.
    pub action: Spanned,
    /// Its parameters (a name may end in `?`); none: the bare action.
    pub params: Option<Vec<(Spanned, ValueSpec)>>,
}

/// `events:` of a role. Elements are privilege classes in lower case or event names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsSpec {
    /// What passes.
    pub allow: Vec<Spanned>,
    /// What does not.
    pub deny: Vec<Spanned>,
    /// Header name pattern and how it is masked: `last4`, `hide`.
    pub mask: Vec<(Spanned, Spanned)>,
    /// `where`: headers, and what one of them has to be.
    pub scope: Vec<(Spanned, Vec<Spanned>)>,
}

/// What bounds one action: at least one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitSpec {
    /// An action's name or `*`.
    pub action: Spanned,
    /// `10/minute`.
    pub rate: Option<Spanned>,
    /// How many at once; as many as the rate's count when absent.
    pub burst: Option<Spanned>,
    /// How many in a day of UTC.
    pub per_day: Option<Spanned>,
    /// When: any of these windows; always when empty.
    pub hours: Vec<Spanned>,
    /// How many different destinations in a time: `20/hour`.
    pub distinct_destinations: Option<Spanned>,
    /// How many calls at once.
    pub concurrent: Option<Spanned>,
}

/// When an identity is suspended, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TripSpec {
    /// Where it stands.
    pub at: Position,
    /// How many refusals for a limit in what time: `20/hour`.
    pub exceeded: Option<Spanned>,
    /// Prefixes of numbers, to each of which the first call is too much.
    pub first_call: Vec<Spanned>,
    /// For how long; until it is resumed when absent.
    pub lasts: Option<(Position, Duration)>,
}

/// What a parameter is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetValueSpec {
    /// A text, with `{attribute}`, `{identity}` and `{audit_id}` in it.
    Text(Spanned),
    /// `{ at_most: 30000 }`.
    AtMost(Spanned),
    /// Variables and their values.
    Variables(Vec<(Spanned, Spanned)>),
}

/// One entry of `set`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetSpec {
    /// The action's name.
    pub action: Spanned,
    /// Its parameters and what they are set to.
    pub params: Vec<(Spanned, SetValueSpec)>,
}

/// One role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleSpec {
    /// Its name.
    pub name: Spanned,
    /// Roles whose rules it has too.
    pub include: Vec<Spanned>,
    /// In the order of the file (only for naming: `roles.x.allow[2]`).
    pub allow: Vec<RuleSpec>,
    /// As `allow`.
    pub deny: Vec<RuleSpec>,
    /// What it sees.
    pub events: EventsSpec,
    /// How often.
    pub limits: Vec<LimitSpec>,
    /// When it is too much.
    pub trip: Option<TripSpec>,
    /// What amiwall puts into its actions.
    pub set: Vec<SetSpec>,
}

/// What the policy has to know about one identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSpec {
    /// Its name.
    pub name: Spanned,
    /// Its roles.
    pub roles: Vec<Spanned>,
    /// Its attributes, by name.
    pub attributes: BTreeMap<String, Spanned>,
    /// When it may do anything: any of these windows; always when empty.
    pub hours: Vec<Spanned>,
    /// `mode: shadow`.
    pub shadow: Option<ShadowSpec>,
}

/// An identity in shadow mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShadowSpec {
    /// Where it is said.
    pub at: Position,
    /// `shadow_also`: actions that can run code and pass all the same.
    pub also: Vec<Spanned>,
}

/// An action that a site has beside Asterisk's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionSpec {
    /// Its name.
    pub name: Spanned,
    /// Its parameters and their kinds.
    pub params: Vec<(Spanned, Spanned)>,
}

/// Everything the policy is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicySpec {
    /// All roles.
    pub roles: Vec<RoleSpec>,
    /// All identities.
    pub clients: Vec<ClientSpec>,
    /// `limits.actions`, shared by all clients.
    pub shared_limits: Vec<LimitSpec>,
    /// `actions`: what a site has beside Asterisk's own.
    pub actions: Vec<ActionSpec>,
}

/// Something wrong with the policy file, or worth a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: Position,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// The roles of these names and all that they include, each once.
#[must_use]
pub fn effective_roles<'r>(names: &[Spanned], roles: &'r [RoleSpec]) -> Vec<&'r RoleSpec> {
    let mut waiting: Vec<&str> = names.iter().rev().map(|name| name.text.as_str()).collect();
    let (mut effective, mut seen) = (Vec::new(), HashSet::new());
    while let Some(name) = waiting.pop() {
        let Some(role) = roles.iter().find(|role| role.name.text == name) else { continue };
        if seen.insert(name) {
            effective.push(role);
            waiting.extend(role.include.iter().rev().map(|name| name.text.as_str()));
        }
    }
    effective
}
