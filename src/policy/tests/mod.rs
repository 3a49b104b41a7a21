//! Tests of the policy: a spec in, decisions out. A spec is written with [`Role`] and [`Client`], an action with [`act`].

mod alike;
mod by_value;
mod compiling;
mod judging;
mod properties;
mod reference;
mod setting;
mod shadow;
mod values;

use super::spec::{ClientSpec, PolicySpec, Position, Problem, RoleSpec, RuleSpec, Spanned, ValueSpec};
use super::{Decision, Policy, Reason};
use crate::ami::{Action, Message};
use crate::identity::ClientName;

/// A parameter's name and its patterns with `|` between; `Variable.x` is the entry `x` of the map of `Variable`.
type Params<'a> = &'a [(&'a str, &'a str)];

pub(super) fn spanned(text: &str) -> Spanned {
    Spanned { text: text.to_owned(), at: Position { line: 7, column: 3 } }
}

fn patterns(text: &str) -> ValueSpec {
    ValueSpec::AnyOf(text.split('|').map(spanned).collect())
}

pub(super) fn rule(action: &str, params: Option<Params<'_>>) -> RuleSpec {
    let mut list: Vec<(Spanned, ValueSpec)> = Vec::new();
    for (name, text) in params.into_iter().flatten() {
        let Some((name, variable)) = name.split_once('.') else {
            list.push((spanned(name), patterns(text)));
            continue;
        };
        let entry = (spanned(variable), patterns(text));
        match list.iter_mut().find(|(other, _)| other.text == name) {
            Some((_, ValueSpec::Map(map))) => map.push(entry),
            _ => list.push((spanned(name), ValueSpec::Map(vec![entry]))),
        }
    }
    RuleSpec { action: spanned(action), params: params.map(|_| list) }
}

pub(super) struct Role(pub(super) RoleSpec);

impl Role {
    pub(super) fn new(name: &str) -> Self {
        Self(RoleSpec { name: spanned(name), ..RoleSpec::default() })
    }

    pub(super) fn include(mut self, name: &str) -> Self {
        self.0.include.push(spanned(name));
        self
    }

    /// `- Ping`
    pub(super) fn allow_bare(mut self, action: &str) -> Self {
        self.0.allow.push(rule(action, None));
        self
    }

    /// `- Originate: { … }`
    pub(super) fn allow(mut self, action: &str, params: Params<'_>) -> Self {
        self.0.allow.push(rule(action, Some(params)));
        self
    }

    pub(super) fn deny_bare(mut self, action: &str) -> Self {
        self.0.deny.push(rule(action, None));
        self
    }

    pub(super) fn deny(mut self, action: &str, params: Params<'_>) -> Self {
        self.0.deny.push(rule(action, Some(params)));
        self
    }
}

pub(super) fn client(name: &str, roles: &[&str], attributes: &[(&str, &str)]) -> ClientSpec {
    ClientSpec {
        name: spanned(name),
        roles: roles.iter().map(|role| spanned(role)).collect(),
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), spanned(value))).collect(),
        ..ClientSpec::default()
    }
}

pub(super) fn spec(roles: Vec<Role>, clients: Vec<ClientSpec>) -> PolicySpec {
    PolicySpec {
        roles: roles.into_iter().map(|role| role.0).collect(),
        clients,
        shared_limits: Vec::new(),
        actions: Vec::new(),
    }
}

/// A policy in which alice has the one role.
pub(super) fn alice(role: Role) -> Policy {
    let name = role.0.name.text.clone();
    let alice = client("alice", &[&name], &[("extension", "1001"), ("name", "Alice Smith")]);
    Policy::compile(spec(vec![role], vec![alice])).expect("a policy").0
}

/// The errors of a policy in which alice has the one role, or its warnings.
pub(super) fn problems(role: Role) -> Result<Vec<Problem>, Vec<Problem>> {
    let name = role.0.name.text.clone();
    Policy::compile(spec(vec![role], vec![client("alice", &[&name], &[])])).map(|(_, warnings)| warnings)
}

/// The action of that name with those headers.
pub(super) fn act(name: &str, headers: Params<'_>) -> Action {
    let mut message = Message::new();
    message.push("Action", name.as_bytes()).expect("a header");
    message.push("ActionID", b"x").expect("a header");
    for (name, value) in headers {
        message.push(name, value.as_bytes()).expect("a header");
    }
    Action::try_from(message).expect("an action")
}

pub(super) fn decide(policy: &Policy, action: Action) -> Decision {
    policy.decide(&ClientName::for_explain("alice"), action, "0b007001-7.1")
}

/// `allow` or the reason's code.
pub(super) fn outcome(policy: &Policy, name: &str, headers: Params<'_>) -> String {
    match decide(policy, act(name, headers)) {
        Decision::Allow(_) => "allow".to_owned(),
        Decision::Deny(denial) => denial.reason().code(),
    }
}

#[track_caller]
pub(super) fn check(policy: &Policy, name: &str, headers: Params<'_>, expected: &str) {
    assert_eq!(outcome(policy, name, headers), expected, "{name} {headers:?}");
}

/// What the values of one parameter come to under one rule for it, and nothing else in the action.
#[track_caller]
pub(super) fn check_values(policy: &Policy, action: &str, param: &str, yes: &[&str], no: &[&str]) {
    for value in yes {
        check(policy, action, &[(param, value)], "allow");
    }
    for value in no {
        check(policy, action, &[(param, value)], &format!("params.{param}"));
    }
}

/// Whether a denial was decided by a deny rule.
pub(super) fn is_by_deny(policy: &Policy, action: Action) -> bool {
    match decide(policy, action) {
        Decision::Allow(_) => false,
        Decision::Deny(denial) => {
            matches!(denial.reason(), Reason::ActionsDenied | Reason::ParamsDenied(_)) && denial.rule().is_some()
        }
    }
}
