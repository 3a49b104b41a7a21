//! `amiwall test`: a policy's own tests. A test that fails says what came of the packet instead, and why.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::explain::{NOT_ASKED, own, unknown};
use super::judge::{self, Desk, Judged, Sight};
use super::{Exit, Failure, Format, out};
use crate::config::{self, Checked, Direction, Expect, TestCase};
use crate::policy::{Decision, Explanation, Reason};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The policy file.
    policy: PathBuf,
    /// The test files; without any, the one beside the policy (`crm.yaml`: `crm.test.yaml`).
    tests: Vec<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What came of one test.
struct Outcome {
    file: String,
    line: u32,
    name: String,
    /// What is wrong.
    problem: Option<String>,
}

/// Runs all tests. `Denied` if one fails.
pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let checked = judge::load(&args.policy)?;
    let beside = [args.policy.with_extension("test.yaml")];
    let files = if args.tests.is_empty() { &beside[..] } else { &args.tests };
    let (mut outcomes, mut deciding) = (Vec::new(), BTreeSet::new());
    for file in files {
        for case in read(file)? {
            outcomes.push(run_case(&checked, file, &case, &mut deciding)?);
        }
    }
    if outcomes.is_empty() {
        return Err(Failure::incomplete("there are no tests in these files"));
    }
    let failed = outcomes.iter().filter(|outcome| outcome.problem.is_some()).count();
    let untested: Vec<_> = checked.policy.rules().into_iter().filter(|rule| !deciding.contains(&rule.path)).collect();
    match args.format {
        Format::Human => {
            for outcome in outcomes.iter().filter(|outcome| outcome.problem.is_some()) {
                let Outcome { file, line, name, problem } = outcome;
                out(&format!("FAILED {file}:{line}: {name}\n  {}", problem.as_deref().unwrap_or_default()));
            }
            if !untested.is_empty() {
                let rules = untested.iter().map(|rule| format!("{rule} (line {})", rule.line)).collect::<Vec<_>>();
                out(&format!("no test is decided by {}", rules.join(", ")));
            }
            out(&format!("{}: {} passed, {failed} failed", args.policy.display(), outcomes.len() - failed));
        }
        Format::Json => {
            let tests: Vec<Value> = outcomes
                .iter()
                .map(|one| json!({ "file": one.file, "line": one.line, "name": one.name, "problem": one.problem }))
                .collect();
            let untested: Vec<&str> = untested.iter().map(|rule| rule.path.as_ref()).collect();
            out(&format!(
                "{:#}",
                json!({ "passed": outcomes.len() - failed, "failed": failed, "tests": tests, "untested": untested })
            ));
        }
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::Denied })
}

fn read(file: &Path) -> Result<Vec<TestCase>, Failure> {
    config::test_cases(file).map_err(|problems| {
        let hint = "\n\na policy's tests stand in <policy>.test.yaml beside it, as a list of `tests:`";
        Failure::incomplete(format!("{problems}{}", if problems.is_unreadable() { hint } else { "" }))
    })
}

fn run_case(
    checked: &Checked,
    file: &Path,
    case: &TestCase,
    deciding: &mut BTreeSet<std::sync::Arc<str>>,
) -> Result<Outcome, Failure> {
    let desk = Desk::of(checked, &case.identity.text).ok_or_else(|| {
        let Failure { exit, message } = unknown(checked, &case.identity.text);
        Failure { exit, message: format!("{}:{}: {message}", file.display(), case.identity.at.line) }
    })?;
    let came = came_of(&desk, case, deciding);
    let is_expected = |got: &Came| {
        let reason = case.reason.as_ref().is_none_or(|wanted| got.reason.as_ref() == Some(&wanted.text));
        let rule = case.rule.as_ref().is_none_or(|wanted| got.rule.as_ref() == Some(&wanted.text));
        got.expect == case.expect && reason && rule
    };
    let problem = match came.as_slice() {
        [one] if is_expected(one) => None,
        [one] => {
            let wanted = [Some(case.expect.word().to_owned())].into_iter();
            let wanted =
                wanted.chain([&case.reason, &case.rule].map(|text| text.as_ref().map(|text| text.text.clone())));
            Some(format!("expected {}; got {}", wanted.flatten().collect::<Vec<_>>().join(", "), one.text()))
        }
        several => Some(format!("this is {} packets; a test has one", several.len())),
    };
    let packet = String::from_utf8_lossy(&case.packet);
    let first = packet.lines().next().unwrap_or_default();
    let name = case.name.clone().unwrap_or_else(|| format!("{}, {first}", desk.name()));
    Ok(Outcome { file: file.display().to_string(), line: case.at.line, name, problem })
}

/// What came of a packet.
struct Came {
    expect: Expect,
    reason: Option<String>,
    rule: Option<String>,
    line: u32,
    /// What else there is to know.
    note: Option<String>,
}

impl Came {
    const fn plain(expect: Expect) -> Self {
        Self { expect, reason: None, rule: None, line: 0, note: None }
    }

    fn text(&self) -> String {
        let rule = self.rule.as_ref().map(|rule| format!("{rule} (line {})", self.line));
        let parts = [Some(self.expect.word().to_owned()), self.reason.clone(), rule];
        let note = self.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ") + &note
    }
}

fn came_of(desk: &Desk<'_>, case: &TestCase, deciding: &mut BTreeSet<std::sync::Arc<str>>) -> Vec<Came> {
    if let Some(reason) = case.from.and_then(|from| desk.keeps_out(from)) {
        return vec![Came { reason: Some(reason.to_owned()), ..Came::plain(Expect::Deny) }];
    }
    let judged = match case.direction {
        Direction::ToAsterisk => desk.judge_all(&case.packet),
        Direction::ToClient => desk.show_all(&case.packet, case.answers.as_ref().map(|action| action.text.as_str())),
    };
    let mut came = |judged: Judged| match judged {
        Judged::Action(Explanation { decision, .. }) => {
            let (expect, reason, rule) = match &decision {
                Decision::Allow(permit) => {
                    let expect = permit.would_deny().map_or(Expect::Allow, |_| Expect::WouldDeny);
                    (expect, permit.would_deny().map(Reason::code), Some(permit.rule()))
                }
                Decision::Deny(denial) => (Expect::Deny, Some(denial.reason().code()), denial.rule()),
            };
            deciding.extend(rule.map(|rule| rule.path.clone()));
            let path = rule.map(|rule| rule.path.to_string());
            Came { expect, reason, rule: path, line: rule.map_or(0, |rule| rule.line), note: None }
        }
        Judged::NoAction(denial) => Came { reason: Some(denial.reason().code()), ..Came::plain(Expect::Deny) },
        Judged::Reply(Sight::Shown(_)) => Came::plain(Expect::Shown),
        Judged::Reply(Sight::AsAnswer(action)) => {
            let name = action.unwrap_or("ACTION");
            let note = format!("it is shown only as the answer to {} (say so: `answers: {name}`)", own(action));
            Came { note: Some(note), ..Came::plain(Expect::Hidden) }
        }
        Judged::Reply(Sight::NotAsked) => Came { note: Some(NOT_ASKED.to_owned()), ..Came::plain(Expect::Hidden) },
        Judged::Reply(Sight::Hidden(withheld)) => {
            let unasked = case.answers.as_ref().filter(|action| !desk.may_ever(&action.text));
            let note = unasked.map(|action| format!("{} may never send `{}`", desk.name(), action.text));
            Came { note: note.or(Some(withheld.why)), ..Came::plain(Expect::Hidden) }
        }
    };
    judged.into_iter().map(&mut came).collect()
}
