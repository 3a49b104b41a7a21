//! [`Policy::compile`]: what the file says, made into tables in which deciding is looking up. Everything is bound here,
//! for each identity; a rule without attributes is shared by all.
//!
//! INVARIANT: a policy exists only if nothing at all was wrong with it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::catalogue::{self, Declared, KINDS};

use super::actions::{ClientPolicy, Shadow};
use super::bind::{self, Binding};
use super::by_value::{ByValue, FEW};
use super::dead;
use super::decision::RuleId;
use super::include::Includes;
use super::params::Rule;
use super::pattern::{Attributes, Side};
use super::report::Report;
use super::set;
use super::spec::{ActionSpec, ClientSpec, LimitSpec, PolicySpec, Problem, RoleSpec, RuleSpec, ShadowSpec, Spanned};
use super::{ClientLimits, Policy, SharedLimits, View};

/// Names of identities and values of attributes are at most this long.
const MAX_NAME_LEN: usize = 79;
/// Stands for every attribute while a role is only being checked.
const ANY_ATTRIBUTE: &str = "1";

impl Policy {
    /// Makes a policy of what the file says, and warnings.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(spec: PolicySpec) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let PolicySpec { roles, clients, shared_limits, actions } = spec;
        let mut compiler = Compiler::new(roles);
        compiler.declare(&actions);
        compiler.check_roles();
        compiler.check_limited(&shared_limits);
        compiler.check_clients(&clients);
        let mut bound = HashMap::with_capacity(clients.len());
        for client in &clients {
            let client_policy = compiler.client(client);
            bound.insert(client.name.text.as_str().into(), client_policy);
        }
        dead::look(&compiler.roles, bound.values(), &mut compiler.report);
        let shared_limits = compiler.report.take(SharedLimits::compile(&shared_limits));
        let warnings = compiler.report.finish()?;
        Ok((Self { clients: bound, shared_limits, no_limits: ClientLimits::default() }, warnings))
    }
}

/// Which rule of the file: role, list, place in the list.
type RuleKey = (usize, Side, usize);

struct Compiler {
    roles: Vec<Arc<RoleSpec>>,
    index: HashMap<String, usize>,
    /// Rules without attributes.
    shared: HashMap<RuleKey, Arc<Rule>>,
    /// Rules with attributes, as they would be for nobody in particular.
    like: HashMap<RuleKey, Rule>,
    /// What is known of lists of such rules, by their addresses.
    by_value: HashMap<Vec<*const Rule>, Option<Arc<ByValue>>>,
    declared: Declared,
    report: Report,
}

impl Compiler {
    fn new(roles: Vec<RoleSpec>) -> Self {
        let mut report = Report::default();
        let mut index = HashMap::with_capacity(roles.len());
        for (place, role) in roles.iter().enumerate() {
            if index.insert(role.name.text.clone(), place).is_some() {
                report.error(role.name.at, format!("the role `{}` stands twice", role.name.text), None);
            }
        }
        Self {
            roles: roles.into_iter().map(Arc::new).collect(),
            index,
            shared: HashMap::new(),
            like: HashMap::new(),
            by_value: HashMap::new(),
            declared: Declared::default(),
            report,
        }
    }

    fn declare(&mut self, actions: &[ActionSpec]) {
        for ActionSpec { name, params } in actions {
            let kind = |kind: &Spanned| KINDS.contains(&kind.text.as_str());
            for (param, kind) in params.iter().filter(|(_, one)| !kind(one)) {
                let message = format!("`{}` is no kind of the parameter `{}`", kind.text, param.text);
                self.report.error(kind.at, message, Some(format!("one of {}", KINDS.join(", "))));
            }
            let texts: Vec<(&str, &str)> =
                params.iter().map(|(param, kind)| (param.text.as_str(), kind.text.as_str())).collect();
            if params.iter().all(|(_, one)| kind(one)) && !self.declared.add(&name.text, &texts) {
                let is_there = self.declared.action(&name.text.to_ascii_lowercase()).is_some();
                let what = if is_there {
                    "is known already"
                } else {
                    "and its parameters have letters, digits, `-` and `_` only"
                };
                self.report.error(name.at, format!("the action `{}` {what}", name.text), None);
            }
        }
    }

    /// Looks at every role, used or not.
    fn check_roles(&mut self) {
        let includes = Includes {
            roles: self.roles.iter().map(|role| (role.name.text.as_str(), role.include.as_slice())).collect(),
            find: &|name| self.index.get(name).copied(),
        };
        includes.check(&mut self.report);
        for place in 0..self.roles.len() {
            let Some(role) = self.roles.get(place).cloned() else { continue };
            for name in &role.include {
                self.role(name);
            }
            // Of a role that nobody has, this too has to be right.
            set::add(&mut BTreeMap::new(), &role, &|_| Some(ANY_ATTRIBUTE), &self.declared, &mut self.report);
            self.report.take(View::compile(&[&role], &|_| Some(ANY_ATTRIBUTE)).map(drop));
            self.report.take(ClientLimits::compile(&[&role]).map(drop));
            self.check_limited(&role.limits);
            for (side, list) in [(Side::Allow, &role.allow), (Side::Deny, &role.deny)] {
                for (number, spec) in list.iter().enumerate() {
                    let binding =
                        Binding { client: None, attributes: &|_| Some(ANY_ATTRIBUTE), side, declared: &self.declared };
                    let id = rule_id(&role, side, number, spec);
                    match bind::rule(spec, id, binding, &mut self.report) {
                        Some(rule) if has_attribute(spec) => drop(self.like.insert((place, side, number), rule)),
                        Some(rule) => drop(self.shared.insert((place, side, number), Arc::new(rule))),
                        None => {}
                    }
                }
            }
        }
    }

    /// A limit with a typing error would limit nothing.
    fn check_limited(&mut self, limits: &[LimitSpec]) {
        for action in limits.iter().map(|limit| &limit.action) {
            let key = action.text.to_ascii_lowercase();
            if key == "*" || self.declared.action(&key).is_some() {
                continue;
            }
            let message = format!("Asterisk has no action `{}`", action.text.escape_debug());
            match catalogue::nearest_action(&key) {
                Some(near) => self.report.error(action.at, message, Some(format!("did you mean `{near}`?"))),
                None => self.report.warn(action.at, message, None),
            }
        }
    }

    fn role(&mut self, name: &Spanned) -> Option<usize> {
        let place = self.index.get(&name.text).copied();
        if place.is_none() {
            let names = self.index.keys().map(String::as_str);
            let near = if self.report.is_long() { None } else { catalogue::nearest(&name.text, names) };
            let help = near.map(|near| format!("did you mean `{near}`?"));
            self.report.error(name.at, format!("there is no role `{}`", name.text), help);
        }
        place
    }

    fn check_clients(&mut self, clients: &[ClientSpec]) {
        let mut seen: HashMap<String, &str> = HashMap::with_capacity(clients.len());
        for ClientSpec { name, attributes, .. } in clients {
            if !is_name(&name.text) || name.text.is_empty() {
                self.report.error(name.at, format!("`{}` is no name for an identity", name.text), Some(name_help()));
            }
            if let Some(other) = seen.insert(name.text.to_ascii_lowercase(), &name.text) {
                let message = format!("the identities `{other}` and `{}` differ only in case", name.text);
                let message = if other == name.text { format!("the identity `{other}` stands twice") } else { message };
                self.report.error(name.at, message, Some("Asterisk compares user names without case".to_owned()));
            }
            for (key, value) in attributes {
                let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
                if !is_key || key == "identity" {
                    let help = Some("letters, digits, `_` and `-`; {identity} is the identity's name".to_owned());
                    self.report.error(value.at, format!("`{key}` is no name for an attribute"), help);
                }
                if !is_name(&value.text) {
                    let message = format!("the attribute `{key}` of `{}` has a value that it cannot have", name.text);
                    self.report.error(value.at, message, Some(name_help()));
                }
            }
        }
    }

    fn client(&mut self, client: &ClientSpec) -> ClientPolicy {
        let places = self.effective_roles(&client.roles);
        let attributes = |name: &str| match name {
            "identity" => Some(client.name.text.as_str()),
            name => client.attributes.get(name).map(|value| value.text.as_str()),
        };
        let declared = self.declared.clone();
        let mut policy = ClientPolicy::default();
        for entry in self.declared.iter() {
            policy.actions.entry(entry.key.clone()).or_default().entry = Some(entry);
        }
        for place in places {
            let Some(role) = self.roles.get(place).cloned() else { continue };
            for (side, list) in [(Side::Allow, &role.allow), (Side::Deny, &role.deny)] {
                for (number, spec) in list.iter().enumerate() {
                    let binding =
                        Binding { client: Some(&client.name.text), attributes: &attributes, side, declared: &declared };
                    let key = (place, side, number);
                    let rule = match (self.shared.get(&key), self.like.get(&key)) {
                        (Some(rule), _) => Some(rule.clone()),
                        (None, Some(like)) => bind::rule_like(like, spec, binding, &mut self.report).map(Arc::new),
                        // Something is wrong with it, and more may be for this identity.
                        (None, None) => bind::rule(spec, rule_id(&role, side, number, spec), binding, &mut self.report)
                            .map(Arc::new),
                    };
                    let Some(rule) = rule else { continue };
                    add(&mut policy, &spec.action.text, side, rule, &self.declared);
                }
            }
            policy.roles.push(role);
        }
        for rules in policy.actions.values_mut() {
            rules.by_value = self.by_value(&rules.allow);
        }
        self.set(&attributes, &mut policy);
        policy.shadow = client.shadow.as_ref().map(|shadow| self.shadow(client, shadow));
        let roles: Vec<&RoleSpec> = policy.roles.iter().map(Arc::as_ref).collect();
        policy.view = Arc::new(self.report.take(View::compile(&roles, &attributes)));
        policy.limits = self.report.take(ClientLimits::of_client(client, &roles));
        policy
    }

    /// Identities with the same rules share what is known of them. A rule of one identity alone has one owner, and may be gone
    /// before the compiler is.
    fn by_value(&mut self, rules: &[Arc<Rule>]) -> Option<Arc<ByValue>> {
        if rules.len() <= FEW {
            return None;
        }
        if rules.iter().any(|rule| Arc::strong_count(rule) == 1) {
            return ByValue::of(rules).map(Arc::new);
        }
        let addresses = rules.iter().map(Arc::as_ptr).collect();
        self.by_value.entry(addresses).or_insert_with(|| ByValue::of(rules).map(Arc::new)).clone()
    }

    fn shadow(&mut self, client: &ClientSpec, spec: &ShadowSpec) -> Shadow {
        for action in &spec.also {
            let key = action.text.to_ascii_lowercase();
            if self.declared.action(&key).is_none() {
                let help = catalogue::nearest_action(&key).map(|near| format!("did you mean `{near}`?"));
                self.report.error(action.at, format!("Asterisk has no action `{}`", action.text), help);
            }
        }
        let path = format!("identities.{}.mode", client.name.text).into();
        let also = spec.also.iter().map(|action| action.text.to_ascii_lowercase()).collect();
        Shadow { rule: RuleId { path, line: spec.at.line }, also }
    }

    fn set(&mut self, attributes: Attributes<'_>, policy: &mut ClientPolicy) {
        let mut all = BTreeMap::new();
        for role in &policy.roles {
            set::add(&mut all, role, attributes, &self.declared, &mut self.report);
        }
        for (action, rules) in all {
            let entry = self.declared.action(&action);
            let own = policy.actions.entry(action).or_default();
            (own.set, own.entry) = (rules, entry);
        }
    }

    /// The roles and all that they include, each once.
    fn effective_roles(&mut self, names: &[Spanned]) -> Vec<usize> {
        let mut waiting: Vec<usize> = names.iter().rev().filter_map(|name| self.role(name)).collect();
        let (mut places, mut seen) = (Vec::new(), HashSet::new());
        while let Some(place) = waiting.pop() {
            if !seen.insert(place) {
                continue;
            }
            places.push(place);
            let Some(role) = self.roles.get(place) else { continue };
            waiting.extend(role.include.iter().rev().filter_map(|name| self.index.get(&name.text).copied()));
        }
        places
    }
}

fn add(policy: &mut ClientPolicy, action: &str, side: Side, rule: Arc<Rule>, declared: &Declared) {
    let key = action.to_ascii_lowercase();
    let entry = declared.action(&key);
    let rules = policy.actions.entry(key).or_default();
    rules.entry = entry;
    if entry.is_none() {
        rules.names.extend(rule.params.iter().flatten().map(|param| param.name.clone()));
    }
    match side {
        Side::Allow => rules.allow.push(rule),
        Side::Deny => rules.deny.push(rule),
    }
}

pub(super) fn rule_id(role: &RoleSpec, side: Side, number: usize, spec: &RuleSpec) -> RuleId {
    let list = match side {
        Side::Allow => "allow",
        Side::Deny => "deny",
    };
    RuleId { path: format!("roles.{}.{list}[{number}]", role.name.text).into(), line: spec.action.at.line }
}

/// Whether the rule may be another one for another identity.
fn has_attribute(spec: &RuleSpec) -> bool {
    spec.params.iter().flatten().any(|(_, value)| bind::has_attribute(value))
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME_LEN && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._ -".contains(&byte))
}

fn name_help() -> String {
    format!("letters, digits, `.`, `_`, `-` and blanks, at most {MAX_NAME_LEN}")
}
