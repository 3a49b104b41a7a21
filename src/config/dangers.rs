//! Warnings about roles that allow more than their author may think. What a rule means is the policy's business; this
//! looks only for what is dangerous whatever else stands in the role.

use super::fields::Problems;
use crate::catalogue::{self, Danger};
use crate::policy::spec::{RoleSpec, RuleSpec, ValueSpec};

/// Looks through all roles.
pub(super) fn look(roles: &[RoleSpec], problems: &mut Problems) {
    for rule in roles.iter().flat_map(|role| &role.allow) {
        match &rule.params {
            None => bare(rule, problems),
            Some(params) if rule.action.text.eq_ignore_ascii_case("Command") => {
                for (_, value) in params {
                    any_command(value, problems);
                }
            }
            Some(_) => {}
        }
    }
}

fn bare(rule: &RuleSpec, problems: &mut Problems) {
    let Some(entry) = catalogue::action(&rule.action.text.to_ascii_lowercase()) else { return };
    if entry.danger != Some(Danger::CodeExec) {
        return;
    }
    let message = match entry.name {
        "Originate" => {
            "Originate with any parameters is a shell on the PBX: `Application: System` runs programs".to_owned()
        }
        "Command" => "Command with any words does whatever Asterisk's CLI can do, shutting it down included".to_owned(),
        name => format!("{name} with any parameters can run code on the PBX, or configure something that does"),
    };
    let help = format!("list what the client may send: `- {}: {{ … }}`", entry.name);
    problems.warn(rule.action.at, message, Some(help));
}

fn any_command(value: &ValueSpec, problems: &mut Problems) {
    let ValueSpec::AnyOf(patterns) = value else { return };
    for pattern in patterns.iter().filter(|pattern| pattern.text.trim() == "**") {
        let message = "`**` allows every command of Asterisk's CLI, shutting it down included";
        problems.warn(
            pattern.at,
            message,
            Some("list the commands: [\"core show channels\", \"queue show *\"]".to_owned()),
        );
    }
}
