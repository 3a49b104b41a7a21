//! From what was done to what may be done: a least-privilege draft of a policy's roles, learned from the audit log. It is
//! a proposal for a person to read, and never put in force by amiwall.
//!
//! The log is read twice: once to learn, once to judge every action of it by the draft, so that the draft can say what
//! of the log it does not cover. Memory does not grow with the log.

mod digits;
mod draft;
mod events;
mod generalise;
mod params;
mod reading;
mod shape;
#[cfg(test)]
mod tests;
mod usage;
mod values;
mod window;
mod words;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::ami::{Action, Message};
use crate::audit::{LoggedRecord, LoggedValue, VerifyError, read, verify};
use crate::catalogue;
use crate::identity::ClientName;
use crate::policy::spec::{ClientSpec, PolicySpec, RoleSpec};
use crate::policy::{Decision, Policy};

pub use draft::{Basis, Check, Draft, LearnedParam, LearnedRole, LearnedRule, LearnedValue, LearnedVariable};
pub use events::LearnedEvent;
pub use usage::Tally;
pub use window::{Edge, EdgeError};

use draft::spanned;
use reading::Attribute;
use usage::Usage;
use window::Window;

/// So many reasons for refusals are told apart in the check.
const REASONS_MAX: usize = 64;

/// What of the log is learned from, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Records from here on.
    pub since: Option<Edge>,
    /// Records up to here.
    pub until: Option<Edge>,
    /// This identity alone, compared without case.
    pub identity: Option<String>,
    /// Identities as a policy has them, whose attributes are looked for in values.
    pub clients: Vec<ClientSpec>,
}

/// Why nothing could be learned.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The log cannot be read, or is not whole.
    #[error(transparent)]
    Log(#[from] VerifyError),
    /// Nobody of that name did anything.
    #[error("the log has no action of `{wanted}` in this time{}", seen(.others))]
    Nobody {
        /// Who was asked for.
        wanted: String,
        /// Who did something.
        others: Vec<String>,
    },
    /// A mistake of amiwall's own.
    #[error("the draft is not valid, which is a fault of amiwall: {0}")]
    Invalid(String),
}

fn seen(others: &[String]) -> String {
    if others.is_empty() {
        String::new()
    } else {
        format!("; it has actions of {}", words::printable(&others.join(", ")))
    }
}

/// Learns from the log in a directory.
///
/// # Errors
/// If the log cannot be read or is broken, or has nothing of the identity that was asked for.
pub fn learn(directory: &Path, options: &Options) -> Result<Draft, LearnError> {
    let window = Window::new(options, || Ok(verify(directory)?.last_time))?;
    let is_wanted = |name: &str| options.identity.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(name));
    let mut students: BTreeMap<String, Student<'_>> = BTreeMap::new();
    let mut others = BTreeSet::new();
    let mut basis = Basis::default();
    let mut last_seq = 0;
    for record in read(directory)?.of_kinds(&["start", "action", "event"]) {
        let record = record?;
        last_seq = record.seq;
        note_start(&mut basis, &record);
        if record.identity.is_empty() || !window.holds(record.time) {
            continue;
        }
        if !is_wanted(&record.identity) {
            others.insert(record.identity);
            continue;
        }
        basis.records += 1;
        basis.times = Some((basis.times.map_or(record.time, |(first, _)| first), record.time));
        let student = students.entry(record.identity.clone());
        let student = student.or_insert_with_key(|name| Student::new(name, options));
        student.usage.add(&record, &student.attributes);
    }
    students.retain(|_, student| !student.usage.is_nothing());
    if let Some(wanted) = options.identity.clone().filter(|_| students.is_empty()) {
        return Err(LearnError::Nobody { wanted, others: others.into_iter().collect() });
    }
    let roles = students.values().map(Student::role).collect();
    let mut draft = Draft { basis, roles };
    check(directory, &mut draft, &students, |record| record.seq <= last_seq && window.holds(record.time))?;
    Ok(draft)
}

/// A start says what the log leaves out.
fn note_start(basis: &mut Basis, record: &LoggedRecord) {
    if record.kind == "start" {
        basis.lacks_events |= record.packets == "actions";
        basis.except_events.extend(record.except_events.iter().cloned());
    }
}

/// One identity while it is watched.
struct Student<'o> {
    name: String,
    client: Option<&'o ClientSpec>,
    attributes: Vec<Attribute>,
    usage: Usage,
}

impl<'o> Student<'o> {
    fn new(name: &str, options: &'o Options) -> Self {
        let client = options.clients.iter().find(|client| client.name.text.eq_ignore_ascii_case(name));
        let of_client = client.into_iter().flat_map(|client| {
            let own = client.attributes.iter().map(|(name, value)| (name.as_str(), value.text.as_str()));
            own.chain([("identity", client.name.text.as_str())])
        });
        Self { name: name.to_owned(), client, attributes: reading::attributes(of_client), usage: Usage::default() }
    }

    fn role(&self) -> LearnedRole {
        let mut role = LearnedRole::of(&self.name, &self.usage, &self.attributes);
        // What a policy would not take is no rule: it is shown with the reason.
        for rule in role.rules.iter_mut().filter(|rule| rule.problem.is_none()) {
            let alone = RoleSpec { name: spanned(&role.name), allow: vec![rule.spec()], ..RoleSpec::default() };
            rule.problem = self.compile(alone).err();
        }
        for event in &mut role.events {
            let mut alone = RoleSpec { name: spanned(&role.name), ..RoleSpec::default() };
            alone.events.allow.push(spanned(&event.name));
            event.is_nameable = self.compile(alone).is_ok();
        }
        role
    }

    fn compile(&self, role: RoleSpec) -> Result<Policy, String> {
        let client = ClientSpec {
            name: spanned(&self.name),
            roles: vec![role.name.clone()],
            attributes: self.client.map(|client| client.attributes.clone()).unwrap_or_default(),
            ..ClientSpec::default()
        };
        let spec = PolicySpec { roles: vec![role], clients: vec![client], ..PolicySpec::default() };
        let problem = |problems: Vec<crate::policy::spec::Problem>| {
            problems.into_iter().next().map_or_else(String::new, |problem| problem.message)
        };
        Policy::compile(spec).map(|(policy, _)| policy).map_err(problem)
    }
}

/// Judges every action that was learned from by the draft.
fn check(
    directory: &Path,
    draft: &mut Draft,
    students: &BTreeMap<String, Student<'_>>,
    is_learned: impl Fn(&LoggedRecord) -> bool,
) -> Result<(), LearnError> {
    let mut policies = BTreeMap::new();
    for (role, student) in draft.roles.iter_mut().zip(students.values()) {
        let policy = student.compile(role.spec()).map_err(LearnError::Invalid)?;
        policies.insert(student.name.as_str(), (policy, &mut role.check));
    }
    for record in read(directory)?.of_kinds(&["action"]) {
        let record = record?;
        let is_passed = matches!(record.decision.as_str(), "allow" | "would-deny");
        let Some((policy, check)) = policies.get_mut(record.identity.as_str()) else { continue };
        if !is_passed || !is_learned(&record) {
            continue;
        }
        let reason = match action(&record) {
            None => {
                check.hidden += 1;
                continue;
            }
            Some(action) => match policy.decide(&ClientName::for_explain(&record.identity), action, "") {
                Decision::Allow(_) => {
                    check.allowed += 1;
                    continue;
                }
                Decision::Deny(denial) => denial.reason().code(),
            },
        };
        let is_known = check.refused.len() < REASONS_MAX || check.refused.contains_key(&reason);
        let reason = if is_known { reason } else { "other reasons".to_owned() };
        check.refused.entry(reason).or_insert((0, record.seq)).0 += 1;
    }
    Ok(())
}

/// The action as the client sent it; none if a part of it that matters is hidden.
fn action(record: &LoggedRecord) -> Option<Action> {
    let entry = catalogue::action(&record.name.to_ascii_lowercase());
    let mut message = Message::new();
    for header in &record.headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let is_read = entry.is_none_or(|entry| entry.is_open || entry.param(&header.name).is_some());
        if record.set.iter().any(|name| is(name)) || !(is_read || is("Action")) {
            continue;
        }
        let LoggedValue::Bytes(value) = &header.value else { return None };
        if params::holds_hidden(value) {
            return None;
        }
        message.push_lossy(&header.name, value);
    }
    Action::try_from(message).ok()
}
