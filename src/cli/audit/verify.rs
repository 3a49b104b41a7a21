//! `amiwall audit verify`: whether a log is whole.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::super::{Exit, Failure, Format, out};
use super::progress::Bar;
use crate::audit::{Anchors, BadRecord, Evidence, Summary, VerifyError, VerifyingKey, verify_against};

/// What a log is held against.
#[derive(Debug, clap::Args)]
pub(super) struct EvidenceArgs {
    /// The log's public key (PEM): its checkpoints must be signed with it. Several, if the key was changed.
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// A file with checkpoints that were kept elsewhere (`audit.anchor`, or a copy of syslog): the log must still have
    /// them. May be given several times.
    #[arg(long = "anchor", value_name = "FILE")]
    anchors: Vec<PathBuf>,
}

impl EvidenceArgs {
    pub(super) fn load(&self) -> Result<Evidence, Failure> {
        let incomplete = |error: &dyn std::fmt::Display| Failure::incomplete(error.to_string());
        let keys: Result<Vec<VerifyingKey>, _> = self.keys.iter().map(|path| VerifyingKey::load(path)).collect();
        let mut anchors = Anchors::default();
        for path in &self.anchors {
            anchors = anchors.and(Anchors::load(path).map_err(|error| incomplete(&error))?);
        }
        Ok(Evidence { keys: keys.map_err(|error| incomplete(&error))?, anchors })
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory of the log (`audit.directory` of the policy).
    dir: PathBuf,
    #[command(flatten)]
    evidence: EvidenceArgs,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let begin = Instant::now();
    let evidence = args.evidence.load()?;
    let mut bar = Bar::new();
    let outcome = verify_against(&args.dir, &evidence, &mut |done, all| bar.update(done, all));
    bar.end();
    let text = match args.format {
        Format::Human => human(&outcome, begin.elapsed()),
        Format::Json => json(&outcome, begin.elapsed()),
    };
    match outcome {
        Ok(_) => {
            out(&text);
            Ok(Exit::Ok)
        }
        Err(VerifyError::Broken { .. }) => {
            out(&text);
            Ok(Exit::BrokenChain)
        }
        Err(error @ (VerifyError::Empty(_) | VerifyError::Io { .. })) => Err(Failure::incomplete(error.to_string())),
    }
}

fn human(outcome: &Result<Summary, VerifyError>, took: Duration) -> String {
    match outcome {
        Ok(summary) => {
            let mut text = format!(
                "whole: {} records in {} segment{} ({} bytes), {} to {}, checked in {:.2} s\nhead:  {}",
                summary.records,
                summary.segments,
                if summary.segments == 1 { "" } else { "s" },
                summary.bytes,
                printable(&summary.first_time),
                printable(&summary.last_time),
                took.as_secs_f64(),
                summary.head,
            );
            text += &trust(summary);
            if let Some((segment, bytes)) = &summary.torn {
                text += &format!(
                    "\nwarning: {} ends with {bytes} bytes that are not a whole record: amiwall is writing, or a crash \
                     tore the last one (the next start keeps it in a file of its own)",
                    segment.display()
                );
            }
            if summary.last_kind != "stop" {
                text += &format!(
                    "\nnote: the last record is `{}`, not `stop`: amiwall is running, or did not stop in good order",
                    printable(&summary.last_kind)
                );
                text += &silence(summary);
            }
            text
        }
        Err(error @ VerifyError::Broken { good, .. }) => {
            format!("broken: {error}\n{}", before(error, *good))
        }
        Err(error @ (VerifyError::Empty(_) | VerifyError::Io { .. })) => error.to_string(),
    }
}

/// What can be said of the records before the place.
pub(super) fn before(error: &VerifyError, good: u64) -> String {
    let is_of_chain = |problem: &BadRecord| {
        !matches!(
            problem,
            BadRecord::Signature { .. }
                | BadRecord::Unsigned { .. }
                | BadRecord::Anchor { .. }
                | BadRecord::Rollback { .. }
        )
    };
    match error {
        VerifyError::Broken { problem, .. } if is_of_chain(problem) => {
            format!("the {good} records before it follow one another")
        }
        VerifyError::Broken { .. } | VerifyError::Empty(_) | VerifyError::Io { .. } => "the chain up to there is whole, but that proves nothing here: somebody may have made it anew. What was before \
              the last good signature, or the last record that was kept elsewhere, is proved"
            .to_owned(),
    }
}

/// What vouches for the chain.
fn trust(summary: &Summary) -> String {
    let mut text = String::new();
    if let Some(pruned) = summary.pruned {
        text += &format!("\npruned: records 1 to {pruned} were taken out, as a `prune` record says");
    }
    match summary.signed_through {
        Some(through) => {
            let unsigned = summary.last_seq - through;
            text += &format!(
                "\nsigned: {} checkpoints, up to record {through}; the last {unsigned} record{} behind it {} not covered yet",
                summary.signatures,
                if unsigned == 1 { "" } else { "s" },
                if unsigned == 1 { "is" } else { "are" },
            );
        }
        None => text
            .push_str("\nsigned: not checked. Whoever can write the files can make an unsigned chain anew: give --key"),
    }
    if let Some(adopted) = summary.adopted {
        text += &format!(
            "\nwarning: records up to {adopted} were not signed with this key when they were written; whoever started amiwall \
             then has vouched for them (`run --sign-from-here`)"
        );
    }
    if summary.anchored > 0 {
        text += &format!("\nanchored: {} records are as they were kept elsewhere", summary.anchored);
    } else {
        text +=
            "\nanchored: not checked. Only a checkpoint kept elsewhere shows that the end was cut off: give --anchor";
    }
    text
}

/// A log that runs has a record each minute.
fn silence(summary: &Summary) -> String {
    let last: Option<jiff::Timestamp> = summary.last_time.parse().ok();
    let seconds = last.map_or(0, |last| jiff::Timestamp::now().duration_since(last).as_secs());
    if seconds < 150 {
        return String::new();
    }
    format!(
        "\nwarning: the last record is {seconds} s old, and a running amiwall makes one each minute: it is down, or the \
         end was cut off"
    )
}

fn json(outcome: &Result<Summary, VerifyError>, took: Duration) -> String {
    let value = match outcome {
        Ok(summary) => serde_json::json!({
            "result": "whole",
            "records": summary.records,
            "segments": summary.segments,
            "bytes": summary.bytes,
            "first_time": summary.first_time,
            "last_time": summary.last_time,
            "last_kind": summary.last_kind,
            "head": summary.head,
            "last_seq": summary.last_seq,
            "pruned_through": summary.pruned,
            "adopted_through": summary.adopted,
            "signatures": summary.signatures,
            "signed_through": summary.signed_through,
            "anchored": summary.anchored,
            "torn": summary.torn.as_ref().map(|(segment, bytes)| serde_json::json!({
                "segment": segment.to_string_lossy(),
                "bytes": bytes,
            })),
            "seconds": took.as_secs_f64(),
        }),
        Err(VerifyError::Broken { segment, line, problem, good }) => serde_json::json!({
            "result": "broken",
            "segment": segment.to_string_lossy(),
            "line": line,
            "problem": problem.to_string(),
            "good_records": good,
            "seconds": took.as_secs_f64(),
        }),
        Err(error @ (VerifyError::Empty(_) | VerifyError::Io { .. })) => {
            serde_json::json!({ "result": "incomplete", "problem": error.to_string() })
        }
    };
    value.to_string()
}

/// What a file says may be forged: nothing of it may move the cursor of a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::audit::{Audit, AuditConfig, verify};

    fn verify_command(dir: &std::path::Path) -> Result<Exit, Failure> {
        let dir = dir.to_str().expect("a path");
        let cli = crate::cli::Cli::try_parse_from(["amiwall", "audit", "verify", dir]).expect("a command");
        let crate::cli::Command::Audit(args) = cli.command else { panic!("another command") };
        super::super::run(&args)
    }

    #[tokio::test]
    async fn the_exit_code_tells_whole_from_broken_from_missing() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(verify_command(&dir.path().join("none")).expect_err("missing").exit, Exit::Incomplete);
        assert_eq!(verify_command(dir.path()).expect_err("empty").exit, Exit::Incomplete);
        let audit = Audit::open(&AuditConfig::new(dir.path())).expect("a log");
        audit.close().await.expect("closed");
        assert_eq!(verify_command(dir.path()).expect("read"), Exit::Ok);
        let segment = dir.path().join("audit-00000000000000000001.jsonl");
        let text = std::fs::read_to_string(&segment).expect("a segment");
        std::fs::write(&segment, text.replacen("\"version\"", "\"Version\"", 1)).expect("written");
        assert_eq!(verify_command(dir.path()).expect("read"), Exit::BrokenChain);
        let outcome = verify(dir.path());
        let text = human(&outcome, Duration::from_secs(1));
        assert!(
            text.starts_with("broken: ") && text.contains("0001.jsonl:1: the record does not have the hash"),
            "{text}"
        );
        assert!(json(&outcome, Duration::ZERO).contains(r#""line":1"#));
    }
}
