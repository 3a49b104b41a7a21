//! A deny that can never fire: nobody who has it is allowed anything that it denies. Most likely it is mistyped, and what
//! was meant passes. Told only where it is certain.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::catalogue::{self, ParamKind};

use super::actions::{self, ActionRules, ClientPolicy, NEVER_FORWARDED};
use super::compile::rule_id;
use super::params::{ParamRule, Rule};
use super::pattern::{Pattern, Side};
use super::report::Report;
use super::spec::RoleSpec;
use super::value::{Text, ValueRule};

/// So many pairs of an allow and a deny are compared; of a policy with more, nothing more is told.
const PAIRS_MAX: usize = 200_000;

/// Warns about each such rule of a role that somebody has.
pub(super) fn look<'c>(roles: &[Arc<RoleSpec>], clients: impl Iterator<Item = &'c ClientPolicy>, report: &mut Report) {
    let mut may_fire: HashSet<&str> = HashSet::new();
    let mut never: HashMap<&str, Why> = HashMap::new();
    let mut pairs: usize = 0;
    for client in clients {
        let meant = misspelt(client);
        for (key, rules) in &client.actions {
            for deny in rules.deny.iter().filter(|deny| deny.id.path.starts_with("roles.")) {
                let path = &*deny.id.path;
                if may_fire.contains(path) {
                    continue;
                }
                pairs = pairs.saturating_add(rules.allow.len());
                let is_told = pairs <= PAIRS_MAX && !meant.contains(key);
                match is_told.then(|| why_not(client, key, rules, deny)).flatten() {
                    Some(why) => drop(never.insert(path, why)),
                    None => drop(may_fire.insert(path)),
                }
            }
        }
    }
    for role in roles {
        for (number, spec) in role.deny.iter().enumerate() {
            let path = rule_id(role, Side::Deny, number, spec).path;
            let Some(why) = never.get(&*path).filter(|_| !may_fire.contains(&*path)) else { continue };
            let action = &spec.action.text;
            let help = match why {
                Why::Action => format!("a typo? no `allow` of who has this role is about {action}"),
                Why::Param(name) => {
                    format!("a typo? no `allow` of who has this role lets {action} through with such a `{name}`")
                }
            };
            report.warn(spec.action.at, "this deny can never fire".to_owned(), Some(help));
        }
    }
}

/// Why a deny cannot fire.
enum Why {
    /// The action is not allowed.
    Action,
    /// Not with such a value of this parameter.
    Param(String),
}

/// None where it may fire, or nobody knows.
fn why_not(client: &ClientPolicy, key: &str, rules: &ActionRules, deny: &Rule) -> Option<Why> {
    // An unknown name was told.
    let is_judged = actions::entry_of(Some(rules), key).is_some_and(|entry| !entry.is_local);
    if client.shadow.is_some() || !is_judged || key == NEVER_FORWARDED {
        return None;
    }
    let mut why = Why::Action;
    for allow in &rules.allow {
        why = Why::Param(disjoint(deny, allow)?.name.clone());
    }
    Some(why)
}

/// The actions that were meant by names in allows that nobody knows, in lower case: of those something else was told.
fn misspelt(client: &ClientPolicy) -> HashSet<String> {
    let unknown = client.actions.iter().filter(|(_, rules)| rules.entry.is_none() && !rules.allow.is_empty());
    unknown.filter_map(|(name, _)| catalogue::nearest_action(name)).map(str::to_ascii_lowercase).collect()
}

/// The first parameter of which no value is both allowed and denied.
fn disjoint<'r>(deny: &'r Rule, allow: &Rule) -> Option<&'r ParamRule> {
    let allowed = allow.params.as_ref()?;
    deny.params.iter().flatten().map(Arc::as_ref).find(|rule| {
        let hangs_together = rule.name.contains('#')
            || deny.alike.path.is_some()
            || deny.alike.is_all_if_absent(&rule.name)
            || deny.alike.flag_for_all(&rule.name).is_some()
            || allowed.iter().any(|own| own.name.contains('#') || deny.alike.are_one(&rule.name, &own.name));
        let mut own = allowed.iter().filter(|own| own.name.eq_ignore_ascii_case(&rule.name));
        // What an allow does not name it does not let through.
        !hangs_together && own.all(|own| are_disjoint(&rule.value, &own.value))
    })
}

fn are_disjoint(denied: &ValueRule, allowed: &ValueRule) -> bool {
    let (ValueRule::Texts(kind, denied_texts), ValueRule::Texts(_, allowed_texts)) = (denied, allowed) else {
        return false;
    };
    allowed_texts.iter().all(|text| {
        let Text::Like(own) = text else { return false };
        match own.only_value() {
            Some(value) => !denied.denies(&value),
            None => has_one_spelling(*kind, own) && denied_texts.iter().all(|text| is_beside(text, own)),
        }
    })
}

fn is_beside(denied: &Text, own: &Pattern) -> bool {
    matches!(denied, Text::Like(denied) if !denied.may_meet(own))
}

/// Whether a deny takes what matches as it is written, and in no other way.
fn has_one_spelling(kind: ParamKind, pattern: &Pattern) -> bool {
    match kind {
        ParamKind::CallerId | ParamKind::Data | ParamKind::Recording | ParamKind::Text => true,
        // All but `Local/…`, which is read closely.
        ParamKind::Dial => pattern.never_begins_with(b'l'),
        ParamKind::Dialable => pattern.never_has(b'-'),
        ParamKind::Boolean
        | ParamKind::Channel
        | ParamKind::ChannelPrefix
        | ParamKind::Command
        | ParamKind::Filename
        | ParamKind::Integer
        | ParamKind::Mailboxes
        | ParamKind::Module
        | ParamKind::NewPriority
        | ParamKind::Priority
        | ParamKind::Timeout
        | ParamKind::Variable
        | ParamKind::VariableNames
        | ParamKind::Variables => false,
    }
}
