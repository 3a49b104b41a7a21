//! `amiwall explain`: what would come of a packet, which rule decides it, and what every other rule thinks of it.

use std::io::Read as _;
use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::judge::{self, Desk, Judged, Sight};
use super::{Exit, Failure, Format, out};
use crate::ami::Message;
use crate::catalogue::nearest;
use crate::config::Checked;
use crate::policy::{Considered, Decision, Denial, Difference, Effect, Explanation, Mismatch, Reason, RuleId, Verdict};

/// More than any client may send in one packet.
const INPUT_LEN_MAX: u64 = 1_024 * 1_024;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The policy file.
    policy: PathBuf,
    /// The identity that would send the packet.
    #[arg(long = "as", value_name = "IDENTITY")]
    identity: String,
    /// Its address: also say whether it would be let in from there.
    #[arg(long, value_name = "IP")]
    from: Option<IpAddr>,
    /// The packets on standard input are Asterisk's: say which of them the identity would see.
    #[arg(long)]
    events: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Reads packets from standard input. `Denied` if any of them would be refused, or not shown.
pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let checked = judge::load(&args.policy)?;
    let desk = Desk::of(&checked, &args.identity).ok_or_else(|| unknown(&checked, &args.identity))?;
    let mut input = Vec::new();
    let read = std::io::stdin().lock().take(INPUT_LEN_MAX).read_to_end(&mut input);
    read.map_err(|error| Failure::incomplete(format!("cannot read the packet from standard input: {error}")))?;
    if input.trim_ascii().is_empty() {
        return Err(Failure::incomplete(
            "there is no packet on standard input (such as: printf 'Action: Ping\\n' | …)",
        ));
    }
    // The empty line at the end is easily forgotten.
    input.extend_from_slice(if input.ends_with(b"\n") { b"\r\n" } else { b"\r\n\r\n" });
    let mut judged = if args.events { desk.show_all(&input, None) } else { desk.judge_all(&input) };
    // The empty line added, where it was not needed.
    if judged.len() > 1 && matches!(judged.last(), Some(Judged::NoAction(denial)) if is_empty(denial)) {
        judged.pop();
    }
    let teller = Teller { checked: &checked, desk, file: args.policy.display().to_string() };
    let kept_out = args.from.and_then(|from| Some((from, desk.keeps_out(from)?)));
    match args.format {
        Format::Human => {
            if let Some((from, reason)) = kept_out {
                out(&format!("{} would not be let in from {from}: {reason}\n", desk.name()));
            }
            let texts: Vec<String> = judged.iter().map(|judged| teller.text(judged)).collect();
            out(texts.join("\n\n").trim_end());
        }
        Format::Json => {
            let packets: Vec<Value> = judged.iter().map(|judged| teller.json(judged)).collect();
            let kept_out = kept_out.map(|(_, reason)| reason);
            out(&format!("{:#}", json!({ "identity": desk.name(), "kept_out": kept_out, "packets": packets })));
        }
    }
    let is_allowed = |judged: &Judged| match judged {
        Judged::Action(explanation) => matches!(explanation.decision, Decision::Allow(_)),
        Judged::NoAction(_) | Judged::Reply(Sight::AsAnswer(_) | Sight::NotAsked | Sight::Hidden(_)) => false,
        Judged::Reply(Sight::Shown(_)) => true,
    };
    Ok(if kept_out.is_none() && judged.iter().all(is_allowed) { Exit::Ok } else { Exit::Denied })
}

/// The failure for an identity that the policy lacks.
pub(super) fn unknown(checked: &Checked, name: &str) -> Failure {
    let names = checked.identities.iter().map(|identity| identity.name.as_str());
    let help = match nearest(name, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", names.collect::<Vec<_>>().join(", ")),
    };
    Failure::incomplete(format!("the policy has no identity `{name}`; {help}"))
}

fn is_empty(denial: &Denial) -> bool {
    matches!(denial.refused(), crate::policy::Refused::Packet(message) if message.is_empty())
}

/// Tells what was judged.
struct Teller<'c> {
    checked: &'c Checked,
    desk: Desk<'c>,
    file: String,
}

impl Teller<'_> {
    fn text(&self, judged: &Judged) -> String {
        match judged {
            Judged::Action(explanation) => self.action(explanation),
            Judged::NoAction(denial) => format!(
                "refused, whoever sends it: {}\nthe client is told: {}",
                denial.reason().code(),
                denial.message()
            ),
            Judged::Reply(Sight::Hidden(withheld)) => {
                let place = withheld.line.map(|line| format!(" ({}:{line})", self.file)).unwrap_or_default();
                format!("{} does not see this: {}{place}", self.desk.name(), withheld.why)
            }
            Judged::Reply(Sight::NotAsked) => format!("{} does not see this: {NOT_ASKED}", self.desk.name()),
            Judged::Reply(Sight::AsAnswer(action)) => {
                format!("{} sees this only as the answer to {}", self.desk.name(), own(*action))
            }
            Judged::Reply(Sight::Shown(message)) => format!("{} sees\n{}", self.desk.name(), indented(message)),
        }
    }

    fn action(&self, explanation: &Explanation) -> String {
        let Explanation { decision, considered, unallowable } = explanation;
        let mut text = self.decision(decision);
        if let Some(name) = unallowable {
            text.push_str(&format!(
                "\nno rule can allow this {name}: it is longer than what Asterisk keeps, or could be read in more than one way"
            ));
        }
        if !considered.is_empty() {
            text.push_str("\n\nrules about this action:");
        }
        for told in explanation.told(&self.file, |_| false) {
            text.push_str(&format!("\n  {}", told.head));
            text = told.differences.iter().fold(text, |text, one| format!("{text}\n      {one}"));
        }
        text
    }

    fn decision(&self, decision: &Decision) -> String {
        let name = self.desk.name();
        match decision {
            Decision::Allow(permit) => {
                let action = String::from_utf8_lossy(permit.action().name());
                let mut text = match permit.would_deny() {
                    None => format!("allowed: {name} may send this {action}"),
                    Some(reason) => format!("passes in shadow mode only: {} ({})", reason.in_words(), reason.code()),
                };
                if permit.rule().line > 0 {
                    text.push_str(&self.rule(permit.rule()));
                }
                if !permit.dropped().is_empty() {
                    text.push_str(&format!(
                        "\nremoved before judging, since Asterisk does not know them: {}",
                        permit.dropped().join(", ")
                    ));
                }
                if !permit.set().is_empty() {
                    text.push_str(&format!("\nsent as\n{}", indented(permit.action().message()).trim_end()));
                }
                text
            }
            Decision::Deny(denial) => {
                let mut text = format!("denied: {} ({})", denial.reason().in_words(), denial.reason().code());
                text.push_str(&denial.rule().map(|rule| self.rule(rule)).unwrap_or_default());
                text.push_str(&format!("\nthe client is told: {}", denial.message()));
                text
            }
        }
    }

    fn rule(&self, rule: &RuleId) -> String {
        let line = self.checked.text.line(rule.line).unwrap_or_default();
        let margin = " ".repeat(rule.line.to_string().len());
        format!("\n{margin}--> {} {rule}\n{margin} |\n{} | {line}\n{margin} |", self.place(rule), rule.line)
    }

    fn place(&self, rule: &RuleId) -> String {
        format!("{}:{}", self.file, rule.line)
    }

    fn json(&self, judged: &Judged) -> Value {
        match judged {
            Judged::Action(Explanation { decision, considered, unallowable }) => {
                let (reason, rule, dropped) = match decision {
                    Decision::Allow(permit) => (permit.would_deny(), Some(permit.rule()), permit.dropped()),
                    Decision::Deny(denial) => (Some(denial.reason()), denial.rule(), &[][..]),
                };
                let (word, reason) = (decision.word(), reason.map(Reason::code));
                let considered: Vec<Value> = considered.iter().map(considered_json).collect();
                let (path, line) = (rule.map(|rule| rule.path.as_ref()), rule.map(|rule| rule.line));
                json!({ "decision": word, "reason": reason, "rule": path, "line": line, "dropped": dropped,
                    "unallowable": unallowable, "considered": considered })
            }
            Judged::NoAction(denial) => json!({ "decision": "deny", "reason": denial.reason().code() }),
            Judged::Reply(Sight::Shown(message)) => {
                json!({ "decision": "shown", "packet": String::from_utf8_lossy(message.lines()) })
            }
            Judged::Reply(Sight::AsAnswer(action)) => {
                json!({ "decision": "answer-only", "answers": action, "packet": Value::Null })
            }
            Judged::Reply(Sight::NotAsked) => {
                json!({ "decision": "hidden", "packet": Value::Null, "why": NOT_ASKED })
            }
            Judged::Reply(Sight::Hidden(withheld)) => {
                json!({ "decision": "hidden", "packet": Value::Null, "why": withheld.why, "line": withheld.line })
            }
        }
    }
}

fn considered_json(one: &Considered) -> Value {
    let effect = match one.effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    };
    let (verdict, differences) = match &one.verdict {
        Verdict::Decides => ("decides", &[][..]),
        Verdict::Fits => ("fits", &[][..]),
        Verdict::Differs(differences) => ("differs", differences.as_slice()),
    };
    let difference = |one: &Difference| {
        let how = match one.how {
            Mismatch::Missing => "missing",
            Mismatch::NotPlain => "not-plain",
            Mismatch::Unlisted => "unlisted",
            Mismatch::Value => "value",
        };
        json!({ "parameter": one.param, "how": how, "line": one.line })
    };
    let differences: Vec<Value> = differences.iter().map(difference).collect();
    json!({ "rule": one.rule.path.as_ref(), "line": one.rule.line, "effect": effect, "verdict": verdict,
        "differences": differences })
}

/// Why even an answer may not arrive.
pub(super) const NOT_ASKED: &str =
    "it may answer an action, but no event of its class is allowed, so that Asterisk is asked for none";

/// An action of the identity's own, of that name if it is known.
pub(super) fn own(action: Option<&str>) -> String {
    action.map_or_else(|| "an action of its own".to_owned(), |name| format!("its own {name}"))
}

fn indented(message: &Message) -> String {
    String::from_utf8_lossy(message.lines()).lines().map(|line| format!("  {line}\n")).collect()
}
