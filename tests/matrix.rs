//! What each shipped policy lets each identity do, action by action, is on file: a change of a policy, of the catalogue or
//! of the judgement shows as a line of a diff.
//!
//! `tests/matrix/POLICY.tsv` has a line for each action of the catalogue and a column for each identity:
//!
//! * `allow`: it passes with any parameters;
//! * `some`: the bare action passes, and with parameters only what a rule lists;
//! * `params`: it passes only with parameters, and only with those that a rule lists;
//! * `deny`: it never passes;
//! * `session`: amiwall answers it itself.
//!
//! `AMIWALL_REWRITE_MATRIX=1 cargo test --test matrix` writes the files anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use amiwall::ami::{Action, Message};
use amiwall::catalogue::{self, ActionEntry, Danger};
use amiwall::config::{self, Checked, Files};
use amiwall::identity::ClientName;
use amiwall::policy::Decision;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names of the files of a folder that end so, without that ending.
fn names(folder: &str, ending: &str) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(root().join(folder))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(ending).map(str::to_owned));
    }
    Ok(names)
}

/// The shipped policies, by name.
fn policies() -> Result<Vec<(String, Checked)>, String> {
    let names = names("policies", ".yaml").map_err(|error| error.to_string())?;
    let names = names.into_iter().filter(|name| !name.ends_with(".test"));
    let check = |name: String| {
        let path = root().join("policies").join(format!("{name}.yaml"));
        let checked = config::check(&path, Files::Skip).map_err(|problems| problems.to_string())?;
        Ok((name, checked))
    };
    names.map(check).collect()
}

fn clients(checked: &Checked) -> Vec<ClientName> {
    checked.identities.iter().map(|identity| ClientName::for_explain(&identity.name)).collect()
}

fn outcome(checked: &Checked, client: &ClientName, entry: &ActionEntry) -> &'static str {
    if entry.is_local {
        return "session";
    }
    let message = Message::compose(&[("Action", entry.name.as_bytes())]);
    let Ok(action) = Action::try_from(message) else { return "no action" };
    match checked.policy.decide(client, action, "") {
        Decision::Allow(permit) if permit.would_deny().is_some() => "would-deny",
        Decision::Allow(permit) if has_list(checked, &permit.rule().path) => "some",
        Decision::Allow(_) => "allow",
        Decision::Deny(_) if checked.policy.may_ever(client, entry.name) => "params",
        Decision::Deny(_) => "deny",
    }
}

/// Whether the rule of that path lists what may be sent.
fn has_list(checked: &Checked, path: &str) -> bool {
    checked.roles.iter().any(|role| {
        let mut rules = role.allow.iter().enumerate();
        rules.any(|(at, rule)| rule.params.is_some() && path == format!("roles.{}.allow[{at}]", role.name.text))
    })
}

fn matrix(checked: &Checked) -> String {
    let clients = clients(checked);
    let heading = ["action"].into_iter().chain(clients.iter().map(ClientName::as_str)).collect::<Vec<_>>();
    let mut lines = vec![heading.join("\t")];
    for entry in catalogue::actions() {
        let outcomes = clients.iter().map(|client| outcome(checked, client, entry));
        lines.push([entry.name].into_iter().chain(outcomes).collect::<Vec<_>>().join("\t"));
    }
    lines.join("\n") + "\n"
}

fn file(name: &str) -> PathBuf {
    root().join("tests/matrix").join(format!("{name}.tsv"))
}

/// The lines that are in one text only, `-` for the old one's and `+` for the new one's.
fn difference(old: &str, new: &str) -> String {
    let gone = old.lines().filter(|line| !new.lines().any(|other| other == *line)).map(|line| format!("-{line}\n"));
    let come = new.lines().filter(|line| !old.lines().any(|other| other == *line)).map(|line| format!("+{line}\n"));
    gone.chain(come).collect()
}

#[test]
fn the_matrix_is_as_on_file() {
    let policies = policies().expect("valid policies");
    assert!(policies.len() > 10, "only {} policies were found", policies.len());
    if std::env::var_os("AMIWALL_REWRITE_MATRIX").is_some() {
        for (name, checked) in &policies {
            fs::write(file(name), matrix(checked)).expect("the matrix is written");
        }
    }
    let wrong = policies.iter().filter_map(|(name, checked)| {
        let (old, new) = (fs::read_to_string(file(name)).unwrap_or_default(), matrix(checked));
        (old != new).then(|| format!("{name}:\n{}", difference(&old, &new)))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}\nAMIWALL_REWRITE_MATRIX=1 writes the files anew", wrong.join("\n"));
    let files = names("tests/matrix", ".tsv").expect("the folder of matrices");
    assert_eq!(files, policies.into_iter().map(|(name, _)| name).collect(), "there is a file without a policy");
}

#[test]
fn nobody_has_free_hands() {
    for (name, checked) in policies().expect("valid policies") {
        for client in clients(&checked) {
            for entry in catalogue::actions().filter(|entry| entry.danger == Some(Danger::CodeExec)) {
                let outcome = outcome(&checked, &client, entry);
                assert_ne!(outcome, "allow", "{name}: {} of {}", entry.name, client.as_str());
            }
        }
    }
}

#[test]
fn who_can_make_calls_has_a_limit_and_a_network() {
    for (name, checked) in policies().expect("valid policies").into_iter().filter(|(name, _)| name != "example") {
        for identity in &checked.identities {
            assert_ne!(format!("{}", identity.networks), "any address", "{name}: {}", identity.name);
            let client = ClientName::for_explain(&identity.name);
            let roles: Vec<&str> = checked.policy.roles(&client).collect();
            for action in ["Originate", "Redirect", "Atxfer", "BlindTransfer", "MessageSend", "QueueAdd", "Command"] {
                let specs = checked.roles.iter().filter(|role| roles.contains(&role.name.text.as_str()));
                let is_limited = specs.flat_map(|role| &role.limits).any(|limit| limit.action.text == action);
                let may = checked.policy.may_ever(&client, action);
                assert!(is_limited || !may, "{name}: {} has no limit on {action}", identity.name);
            }
        }
    }
}
