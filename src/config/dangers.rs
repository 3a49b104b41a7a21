//! Warnings about what is valid and yet more than its author may think: what a reviewer would ask about, each with the
//! line and what to write instead. What a rule means is the policy's business; this looks at what it amounts to.

mod events;
mod headers;
mod probes;
mod roles;
mod rules;

use super::Sections;
use super::fields::Problems;
use crate::audit::AuditConfig;
use crate::catalogue::Declared;
use crate::policy::spec::{ActionSpec, ClientSpec, RoleSpec, Spanned, effective_roles};

/// Looks at everything.
pub(super) fn look(sections: &Sections<Option<AuditConfig>>, problems: &mut Problems) {
    let declared = declared(&sections.actions);
    let has_scopes = sections.roles.iter().any(|role| !role.events.scope.is_empty());
    for rule in sections.roles.iter().flat_map(|role| &role.allow) {
        rules::look(rule, &declared, problems);
        if has_scopes {
            events::ids(rule, problems);
        }
    }
    for role in &sections.roles {
        events::look(&role.events, problems);
        headers::look(&role.events.scope, problems);
    }
    let people: Vec<Person<'_>> = sections
        .clients
        .iter()
        .zip(&sections.identities)
        .map(|(client, identity)| Person {
            client,
            is_open: identity.networks.is_open() && identity.certificate.is_none(),
            ends: identity.valid_until.is_some(),
            roles: effective_roles(&client.roles, &sections.roles),
        })
        .collect();
    let is_open = sections.listeners.iter().any(|listener| {
        !listener.summary.address.ip().to_canonical().is_loopback() && listener.summary.networks.is_open()
    });
    for person in &people {
        roles::look(person, &sections.limits.shared, is_open, problems);
    }
    unused(&sections.roles, &people, problems);
}

/// The site's own actions. What is wrong with them is reported where they are compiled.
fn declared(actions: &[ActionSpec]) -> Declared {
    let mut declared = Declared::default();
    for action in actions {
        let params: Vec<(&str, &str)> =
            action.params.iter().map(|(name, kind)| (name.text.as_str(), kind.text.as_str())).collect();
        declared.add(&action.name.text, &params);
    }
    declared
}

/// An identity with all of its roles.
struct Person<'s> {
    client: &'s ClientSpec,
    /// Its own networks let any address in, and a secret is all that it takes.
    is_open: bool,
    /// It is valid for some time only.
    ends: bool,
    roles: Vec<&'s RoleSpec>,
}

fn unused(roles: &[RoleSpec], people: &[Person<'_>], problems: &mut Problems) {
    let is_had = |role: &RoleSpec| people.iter().any(|person| person.roles.iter().any(|had| had.name == role.name));
    for Spanned { text, at } in roles.iter().filter(|role| !is_had(role)).map(|role| &role.name) {
        let help = "give it to somebody, or leave it out: what nobody tries nobody misses when it is wrong".to_owned();
        problems.warn(*at, format!("nobody has the role `{text}`"), Some(help));
    }
}
