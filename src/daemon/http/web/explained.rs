//! What the policy in force says to an action of the log, and what would allow it. It asks the policy, as `amiwall explain`
//! does.

use super::Watched;
use super::page::note;
use crate::ami::{Action, Message};
use crate::audit::{LoggedRecord, LoggedValue, REDACTED};
use crate::identity::ClientName;
use crate::policy::{Decision, Denial, Effect, Explanation, Reason, Verdict};
use crate::report::Html;

/// Stands for a value that the log does not have.
const UNKNOWN: &str = "0";
/// Rules that are shown.
const RULES_MAX: usize = 40;

pub(super) fn explain(body: &mut Html, watched: &Watched, record: &LoggedRecord) {
    body.element("h2", &[], "What would allow it");
    if record.decision == "limit" {
        note(body, None, &[limit(record)]);
        return;
    }
    let (message, hidden) = message_of(record);
    let Ok(action) = Action::try_from(message) else {
        let why = "Nothing: this was no action that amiwall understands, and what is ambiguous is refused under every policy.";
        note(body, None, &[why.to_owned()]);
        return;
    };
    let snapshot = watched.shared.snapshot.borrow().clone();
    let mut explanation = snapshot.policy.explain(&ClientName::for_explain(&record.identity), action);
    let is_hidden = |name: &str| hidden.iter().any(|hidden| hidden.eq_ignore_ascii_case(name));
    explanation.unallowable = explanation.unallowable.filter(|name| !is_hidden(name));
    let file = watched.in_force.borrow().policy.display().to_string();
    let mut lines = vec![answer(&explanation, record, &file)];
    if snapshot.digest != record.policy {
        lines.push("Another policy was in force then; this is what the one in force now says.".to_owned());
    }
    if !hidden.is_empty() {
        let names = hidden.join(", ");
        lines.push(format!("The log does not have all of {names}: what is said here of that may not be so."));
    }
    note(body, None, &lines);
    let told = explanation.told(&file, is_hidden);
    if told.is_empty() {
        return;
    }
    body.element("h2", &[], "Rules about this action");
    body.open("ul", &[("class", "plain")]);
    for one in told.iter().take(RULES_MAX) {
        body.open("li", &[]);
        body.element("code", &[], &one.head);
        if !one.differences.is_empty() {
            body.open("ul", &[("class", "plain")]);
            one.differences.iter().for_each(|difference| body.element("li", &[], &super::page::short(difference)));
            body.close("ul");
        }
        body.close("li");
    }
    body.close("ul");
}

fn limit(record: &LoggedRecord) -> String {
    let wait =
        record.retry_ms.map_or_else(String::new, |ms| format!(" It had room again after {:.1} s.", ms as f64 / 1e3));
    let which = if record.limit.is_empty() { String::new() } else { format!(" (`{}`)", record.limit) };
    format!("No rule: a limit{which} had no room for it, or somebody has stopped the action.{wait}")
}

/// The packet as far as the log has it, and the names of what it does not have.
fn message_of(record: &LoggedRecord) -> (Message, Vec<String>) {
    let (mut message, mut hidden) = (Message::default(), Vec::new());
    for header in &record.headers {
        let text = match &header.value {
            LoggedValue::Bytes(value) if memchr::memmem::find(value, REDACTED.as_bytes()).is_none() => {
                message.push_lossy(&header.name, value);
                continue;
            }
            // A part is hidden: `PIN=[redacted]` is still a PIN.
            LoggedValue::Bytes(value) => String::from_utf8_lossy(value).replace(REDACTED, UNKNOWN),
            LoggedValue::Hidden | LoggedValue::Length(_) | LoggedValue::Pseudonym { .. } => UNKNOWN.to_owned(),
        };
        hidden.push(header.name.clone());
        message.push_lossy(&header.name, text.as_bytes());
    }
    (message, hidden)
}

fn answer(explanation: &Explanation, record: &LoggedRecord, file: &str) -> String {
    let (name, action) = (&record.identity, &record.name);
    match &explanation.decision {
        Decision::Allow(permit) if permit.would_deny().is_none() => {
            let rule = permit.rule();
            format!("The policy in force allows it by now: {rule} ({file}:{}).", rule.line)
        }
        // In shadow mode it passes, and only the reason counts.
        Decision::Allow(permit) => of_reason(permit.would_deny(), None, explanation, (name, action, file)),
        Decision::Deny(denial) => of_reason(Some(denial.reason()), Some(denial), explanation, (name, action, file)),
    }
}

fn of_reason(
    reason: Option<&Reason>,
    denial: Option<&Denial>,
    explanation: &Explanation,
    (name, action, file): (&str, &str, &str),
) -> String {
    let rule = denial.and_then(Denial::rule).map_or_else(String::new, |rule| format!(" {rule} ({file}:{})", rule.line));
    match reason {
        Some(Reason::ActionsNever) => format!("Nothing: amiwall forwards {action} for nobody."),
        Some(Reason::ActionsUnlisted) => {
            format!(
                "An `allow` of {action} in a role of {name}, with the parameters that are needed. No rule of its roles names it."
            )
        }
        Some(Reason::ActionsDenied | Reason::ParamsDenied(_)) => {
            format!("The deny rule{rule} has to go, or to fit it no longer: a deny wins over every allow.")
        }
        Some(Reason::Params(_)) if let Some(param) = &explanation.unallowable => format!(
            "Nothing: no rule can allow this {param}. It is longer than what Asterisk keeps, or could be read in more than one way."
        ),
        Some(Reason::Params(param)) => {
            let allows = explanation.considered.iter().filter(|one| one.effect == Effect::Allow);
            let distance = |verdict: &Verdict| match verdict {
                Verdict::Differs(differences) => differences.len(),
                Verdict::Decides | Verdict::Fits => 0,
            };
            let nearest = allows.min_by_key(|one| distance(&one.verdict));
            nearest.map_or_else(
                || format!("An allow rule that fits its {param}."),
                |one| {
                    format!(
                        "The nearest rule is {} ({file}:{}): it has to fit all of what is listed below for it.",
                        one.rule, one.rule.line
                    )
                },
            )
        }
        Some(
            Reason::ActionsBeforeLogin
            | Reason::AuditUnavailable
            | Reason::Limits { .. }
            | Reason::Message(_)
            | Reason::UpstreamHeld
            | Reason::UpstreamLost,
        )
        | None => "No rule: it was refused for another reason.".to_owned(),
    }
}
