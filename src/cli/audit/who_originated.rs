//! `amiwall audit who-originated`: who placed a call.

use std::path::{Path, PathBuf};

use jiff::SignedDuration;

use super::super::{Exit, Failure, Format, out, say};
use super::filters::{CLOCK_MARGIN, Span, Times};
use super::output::end;
use super::progress::Bar;
use crate::audit::{LoggedRecord, Trail};
use crate::search::{Call, Calls, Index, IndexError, Kept, Subject, clock, escaped, gist, json_safe, text_of, what};

/// How long behind `--to` the end of a call is looked for.
const CALL_LENGTH: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory of the log (`audit.directory` of the policy).
    dir: PathBuf,
    /// The number that was called, or the Uniqueid or Linkedid of a channel.
    #[arg(value_name = "NUMBER|UNIQUEID", allow_hyphen_values = true)]
    subject: String,
    #[command(flatten)]
    times: Times,
    /// Keep an index in this file, so that the next question is answered at once. It can be removed at any time.
    #[arg(long, value_name = "FILE")]
    index: Option<PathBuf>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let span = args.times.at(jiff::Timestamp::now(), CLOCK_MARGIN);
    let subject =
        Subject { text: args.subject.trim().to_owned(), since: span.since.clone(), until: span.until.clone() };
    let mut bar = Bar::new();
    let calls = find(args, &subject, &span, &mut |done, all| bar.update(done, all));
    bar.end();
    match calls {
        Ok(calls) => {
            match args.format {
                Format::Json => {
                    let text = serde_json::Value::Array(calls.iter().map(json).collect()).to_string();
                    out(&json_safe(text.as_bytes()));
                }
                Format::Human if calls.is_empty() => out(&nobody(&subject)),
                Format::Human => out(&calls.iter().map(human).collect::<Vec<_>>().join("\n\n")),
            }
            end(u64::try_from(calls.len()).unwrap_or(u64::MAX), Ok(()))
        }
        Err(IndexError::Log(error)) => end(0, Err(error)),
        Err(error) => Err(Failure::incomplete(error.to_string())),
    }
}

fn find(
    args: &Args,
    subject: &Subject,
    span: &Span,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Call>, IndexError> {
    let Some(file) = &args.index else { return read_all(&args.dir, subject, span, progress) };
    let (index, kept) = Index::open(file, &args.dir, progress)?;
    tell(file, &kept);
    let found = Calls::new(&args.dir, &index).and_then(|mut calls| calls.find(subject));
    let calls = match found {
        Err(IndexError::Wrong(why)) => {
            drop(index);
            let (index, kept) = Index::rebuild(file, &args.dir, why, progress)?;
            tell(file, &kept);
            Calls::new(&args.dir, &index)?.find(subject)?
        }
        Err(IndexError::Sql(error)) => {
            drop(index);
            let (index, kept) = Index::rebuild(file, &args.dir, error.to_string(), progress)?;
            tell(file, &kept);
            Calls::new(&args.dir, &index)?.find(subject)?
        }
        found => found?,
    };
    if !calls.is_empty() {
        return Ok(calls);
    }
    // That nobody called is too much to say because of what a cache does not have.
    note("the index knows of no such call; the log itself is read to be sure");
    let calls = read_all(&args.dir, subject, span, progress)?;
    if !calls.is_empty() {
        note(&format!("the index has lost calls that are in the log: remove `{}`", file.display()));
    }
    Ok(calls)
}

/// The answer without an index that is kept.
fn read_all(
    dir: &Path,
    subject: &Subject,
    span: &Span,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Call>, IndexError> {
    let until = span.until.as_ref().and_then(|until| until.parse::<jiff::Timestamp>().ok());
    let until = until.and_then(|until| until.checked_add(CALL_LENGTH).ok()).map(|until| until.to_string());
    let mut trail = Trail::open(dir)?.within(span.wide_since.as_deref(), until.as_deref())?;
    let index = Index::temporary(&mut trail, progress)?;
    Calls::new(dir, &index)?.find(subject)
}

fn tell(file: &Path, kept: &Kept) {
    if let Kept::Rebuilt(why) = kept {
        note(&format!("the index `{}` was made anew: {}", file.display(), escaped(why)));
    }
}

fn note(text: &str) {
    say(&mut std::io::stderr(), &format!("note: {text}"));
}

fn nobody(subject: &Subject) -> String {
    format!(
        "no action on record called {}: it was not called by an AMI client of amiwall{}, or the log hides that number",
        escaped(&subject.text),
        if subject.since.is_some() || subject.until.is_some() { " in that time" } else { "" },
    )
}

fn human(call: &Call) -> String {
    let action = &call.action;
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { escaped(text) };
    let mut lines = vec![
        format!("{}  {}  by {}", action.time, or(&action.name, "?"), or(&action.identity, "nobody known")),
        format!("  from      {}, session {}, record {}", or(&action.peer, "?"), or(&action.session, "?"), action.seq),
        format!("  packet    {}", escaped(&gist(action))),
        format!(
            "  decision  {}{}{} (policy {})",
            or(&action.decision, "?"),
            if action.reason.is_empty() { String::new() } else { format!(", {}", escaped(&action.reason)) },
            if action.rule.is_empty() { String::new() } else { format!(", {}", escaped(&action.rule)) },
            or(&action.policy, "?"),
        ),
    ];
    let answer = call.answer.as_ref();
    lines.push(format!(
        "  answer    {}",
        answer.map_or_else(
            || "not on record".to_owned(),
            |answer| {
                let message = value(answer, "Message").map(|message| format!(": {message}")).unwrap_or_default();
                let origin = if answer.origin.is_empty() { "" } else { " (amiwall's own)" };
                format!("{}{message}{origin}", escaped(what(answer)))
            }
        )
    ));
    if let Some(result) = &call.result {
        let reason = value(result, "Reason").map(|reason| format!(", reason {reason}")).unwrap_or_default();
        let word = value(result, "Response").unwrap_or_else(|| "?".to_owned());
        lines.push(format!("  outcome   {word}{reason} at {}", result.time));
    }
    if !call.channels.is_empty() {
        lines.push(format!("  uniqueid  {}", escaped(&call.channels.join(", "))));
    }
    if !call.linked.is_empty() {
        let linked: Vec<&str> = call.linked.iter().map(String::as_str).collect();
        lines.push(format!("  linkedid  {}", escaped(&linked.join(", "))));
    }
    for ended in &call.ended {
        let cause =
            [value(ended, "Cause"), value(ended, "Cause-txt")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let lasted = ended.time.duration_since(action.time).as_micros();
        lines.push(format!(
            "  ended     {} after {} s: {} cause {}",
            ended.time,
            clock(u64::try_from(lasted).unwrap_or_default()),
            value(ended, "Channel").unwrap_or_else(|| "?".to_owned()),
            or(&cause, "not told"),
        ));
    }
    if call.ended.is_empty() && matches!(action.decision.as_str(), "allow" | "would-deny") {
        lines.push("  ended     not on record".to_owned());
    }
    lines.join("\n")
}

/// The value of a header, safe to show.
fn value(record: &LoggedRecord, name: &str) -> Option<String> {
    let header = record.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    Some(escaped(&text_of(&header.value))).filter(|value| !value.is_empty())
}

fn json(call: &Call) -> serde_json::Value {
    let action = &call.action;
    serde_json::json!({
        "seq": action.seq,
        "time": crate::audit::time_text(action.time),
        "identity": action.identity,
        "peer": action.peer,
        "listener": action.listener,
        "upstream": action.upstream,
        "session": action.session,
        "id": action.id,
        "action": action.name,
        "headers": headers(action),
        "decision": action.decision,
        "reason": action.reason,
        "rule": action.rule,
        "line": action.line,
        "policy": action.policy,
        "answer": call.answer.as_ref().map(short),
        "result": call.result.as_ref().map(short),
        "uniqueids": call.channels,
        "linkedids": call.linked,
        "channels": call.made.iter().map(short).collect::<Vec<_>>(),
        "ended": call.ended.iter().map(short).collect::<Vec<_>>(),
        "records": call.records().iter().map(|record| record.seq).collect::<Vec<_>>(),
    })
}

fn short(record: &LoggedRecord) -> serde_json::Value {
    serde_json::json!({
        "seq": record.seq,
        "time": crate::audit::time_text(record.time),
        "what": what(record),
        "headers": headers(record),
    })
}

fn headers(record: &LoggedRecord) -> Vec<[String; 2]> {
    record.headers.iter().map(|header| [header.name.clone(), text_of(&header.value).into_owned()]).collect()
}
