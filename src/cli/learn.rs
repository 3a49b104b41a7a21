//! `amiwall learn`: a draft of a policy from the audit log.

use std::path::PathBuf;

use super::{Exit, Failure, Format, out};
use crate::audit::VerifyError;
use crate::config::{self, Files};
use crate::learn::{
    self, Draft, Edge, EdgeError, LearnError, LearnedParam, LearnedRole, LearnedRule, LearnedValue, Options,
};

#[derive(Debug, clap::Args)]
#[command(after_long_help = "The draft goes to standard output. It is never put in force by itself.\n\n\
Exit code 0: there is a draft. 1: there is no log, or it has nothing of the identity. 4: the policy is not valid. \
5: the chain of the log is broken, and nothing was learned.")]
pub(super) struct Args {
    /// The directory of the log (`audit.directory` of the policy).
    dir: PathBuf,
    /// Learn from here on: a time, a date (UTC), or how long before the last record (7d, 12h).
    #[arg(long, value_name = "TIME", value_parser = |text: &str| -> Result<Edge, EdgeError> { Edge::since(text) })]
    since: Option<Edge>,
    /// Learn up to here: a time, a date (that day included, UTC), or how long before the last record.
    #[arg(long, value_name = "TIME", value_parser = |text: &str| -> Result<Edge, EdgeError> { Edge::until(text) })]
    until: Option<Edge>,
    /// Learn of this identity alone.
    #[arg(long = "as", value_name = "IDENTITY")]
    identity: Option<String>,
    /// A policy, for the attributes of its identities: a value that is one is written as `{extension}`.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How to print the draft.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let draft = draft(args)?;
    match args.format {
        Format::Human => out(draft.to_yaml().trim_end()),
        Format::Json => out(&format!("{:#}", json(&draft))),
    }
    Ok(Exit::Ok)
}

fn draft(args: &Args) -> Result<Draft, Failure> {
    let clients = match &args.policy {
        None => Vec::new(),
        Some(path) => {
            let invalid = |problems| Failure {
                exit: Exit::InvalidPolicy,
                message: format!("{problems}\n\n{}: not valid", path.display()),
            };
            config::check(path, Files::Skip).map_err(invalid)?.clients
        }
    };
    let options = Options { since: args.since, until: args.until, identity: args.identity.clone(), clients };
    learn::learn(&args.dir, &options).map_err(|error| match error {
        LearnError::Log(error @ VerifyError::Broken { .. }) => Failure {
            exit: Exit::BrokenChain,
            message: format!(
                "broken: {error}\nnothing was learned: who can change the log could teach a policy anything. \
                 `amiwall audit verify {}` says more",
                args.dir.display()
            ),
        },
        error @ (LearnError::Log(_) | LearnError::Nobody { .. } | LearnError::Invalid(_)) => {
            Failure::incomplete(error.to_string())
        }
    })
}

fn json(draft: &Draft) -> serde_json::Value {
    let basis = &draft.basis;
    serde_json::json!({
        "records": basis.records,
        "first": basis.times.map(|(first, _)| first.to_string()),
        "last": basis.times.map(|(_, last)| last.to_string()),
        "lacks_events": basis.lacks_events,
        "except_events": basis.except_events,
        "roles": draft.roles.iter().map(role_json).collect::<Vec<_>>(),
        "yaml": draft.to_yaml(),
    })
}

fn role_json(role: &LearnedRole) -> serde_json::Value {
    let refused = role
        .refused
        .iter()
        .map(|(action, reason, count)| serde_json::json!({ "action": action, "reason": reason, "count": count }));
    let events = role
        .events
        .iter()
        .map(|event| serde_json::json!({ "name": event.name, "count": event.count, "is_nameable": event.is_nameable }));
    let addresses =
        role.addresses.iter().map(|(address, count)| serde_json::json!({ "address": address, "count": count }));
    let check = &role.check;
    let check_refused = check
        .refused
        .iter()
        .map(|(reason, (count, seq))| serde_json::json!({ "reason": reason, "count": count, "first_seq": seq }));
    serde_json::json!({
        "identity": role.identity,
        "name": role.name,
        "rules": role.rules.iter().map(rule_json).collect::<Vec<_>>(),
        "events": events.collect::<Vec<_>>(),
        "addresses": addresses.collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "is_complete": !role.has_more,
        "check": {
            "allowed": check.allowed,
            "hidden": check.hidden,
            "refused": check_refused.collect::<Vec<_>>(),
        },
    })
}

fn rule_json(rule: &LearnedRule) -> serde_json::Value {
    serde_json::json!({
        "action": rule.action,
        "count": rule.tally.count,
        "first": rule.tally.first.to_string(),
        "last": rule.tally.last.to_string(),
        "last_address": rule.tally.peer,
        "params": rule.params.as_ref().map(|params| params.iter().map(param_json).collect::<Vec<_>>()),
        "notes": rule.notes,
        "problem": rule.problem,
    })
}

fn param_json(param: &LearnedParam) -> serde_json::Value {
    let value = match &param.value {
        LearnedValue::AnyOf(patterns) => serde_json::json!(patterns),
        LearnedValue::Map(variables) => {
            let entry = |variable: &learn::LearnedVariable| serde_json::json!({ "name": variable.name, "patterns": variable.patterns, "notes": variable.notes });
            serde_json::json!({ "variables": variables.iter().map(entry).collect::<Vec<_>>() })
        }
    };
    serde_json::json!({
        "name": param.name,
        "is_required": param.is_required,
        "value": value,
        "notes": param.notes,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::audit::{Audit, AuditConfig};

    fn learn_command(args: &[&str]) -> Result<Exit, Failure> {
        let args = ["amiwall", "learn"].iter().chain(args);
        let cli = super::super::Cli::try_parse_from(args)
            .map_err(|error| Failure { exit: Exit::Usage, message: error.to_string() })?;
        let super::super::Command::Learn(args) = cli.command else { panic!("another command") };
        run(&args)
    }

    #[tokio::test]
    async fn the_exit_code_tells_a_draft_from_a_broken_chain() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().to_str().expect("a path");
        assert_eq!(learn_command(&[path]).expect_err("no log").exit, Exit::Incomplete);
        Audit::open(&AuditConfig::new(dir.path())).expect("a log").close().await.expect("closed");
        assert_eq!(learn_command(&[path, "--since", "7d", "--format", "json"]).expect("a draft"), Exit::Ok);
        let nobody = learn_command(&[path, "--as", "alice"]).expect_err("nobody");
        assert_eq!((nobody.exit, nobody.message.contains("no action of `alice`")), (Exit::Incomplete, true));
        let usage = learn_command(&[path, "--since", "yesterday"]).expect_err("no time");
        assert!(usage.exit == Exit::Usage && usage.message.contains("7d, 12h"), "{}", usage.message);
        let policy = learn_command(&[path, "--policy", path]).expect_err("no policy");
        assert_eq!(policy.exit, Exit::InvalidPolicy);
        let segment = dir.path().join("audit-00000000000000000001.jsonl");
        let text = std::fs::read_to_string(&segment).expect("a segment");
        std::fs::write(&segment, text.replacen("\"version\"", "\"Version\"", 1)).expect("written");
        let broken = learn_command(&[path]).expect_err("broken");
        assert_eq!(broken.exit, Exit::BrokenChain);
        assert!(broken.message.contains("0001.jsonl:1: the record does not have the hash"), "{}", broken.message);
    }
}
