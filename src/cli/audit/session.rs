//! `amiwall audit session`: a session as a dialogue.

use std::cell::RefCell;
use std::io::{BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::super::{Exit, Failure, Format};
use super::output::end;
use super::progress::Bar;
use crate::audit::VerifyError;
use crate::search::{Transcript, TranscriptError, clock, escaped, json_safe};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory of the log (`audit.directory` of the policy).
    dir: PathBuf,
    /// The session, as records name it: `5e2b9c01-37`.
    id: String,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let bar = RefCell::new(Bar::new());
    let mut progress = |done, all| bar.borrow_mut().update(done, all);
    let transcript = match Transcript::of(&args.dir, &args.id, &mut progress) {
        Ok(transcript) => transcript,
        Err(TranscriptError::Log(error)) => return end(0, Err(error)),
        Err(error @ TranscriptError::NotFound(_)) => {
            bar.borrow_mut().end();
            return Err(Failure { exit: Exit::Denied, message: error.to_string() });
        }
    };
    let mut to = BufWriter::new(std::io::stdout().lock());
    let mut is_first = true;
    let mut line =
        |text: &[u8]| if to.write_all(text).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    let head = match args.format {
        Format::Human => human(&transcript),
        Format::Json => json(&transcript),
    };
    if line(head.as_bytes()).is_break() {
        return Ok(Exit::Ok);
    }
    let shown: Result<(), VerifyError> = transcript.each(&args.dir, &mut progress, |entry| {
        bar.borrow().aside(|| match args.format {
            Format::Human => line(format!("{}\n", entry.to_text(&args.id)).as_bytes()),
            Format::Json => {
                line(if std::mem::take(&mut is_first) { b"\n" } else { b",\n" })?;
                line(json_safe(entry.line).as_bytes())
            }
        })
    });
    // What was found before a bad record stays readable.
    if args.format == Format::Json && line(b"\n]}\n").is_break() {
        return Ok(Exit::Ok);
    }
    drop(to);
    bar.borrow_mut().end();
    end(1, shown)
}

fn human(transcript: &Transcript) -> String {
    let connect = &transcript.connect;
    let ended = transcript.end.as_ref().map_or_else(
        || "not over, or amiwall stopped before it was".to_owned(),
        |end| format!("{} ({})", end.time, escaped(&end.reason)),
    );
    let identity = if transcript.identity.is_empty() { "nobody (no log-in)" } else { &transcript.identity };
    format!(
        "session   {}\nidentity  {}\nfrom      {}\nto        {}, upstream {}\nbegan     {}\nended     {ended}\nlasted    {} s\n\
         packets   {} actions ({} refused), {} answers, {} events\n\n",
        escaped(&transcript.session),
        escaped(identity),
        escaped(&connect.peer),
        escaped(&connect.listener),
        if transcript.upstream.is_empty() { "none".to_owned() } else { escaped(&transcript.upstream) },
        connect.time,
        clock(transcript.duration),
        transcript.actions,
        transcript.refused,
        transcript.responses,
        transcript.events,
    )
}

/// The beginning of the object; the records and its end follow.
fn json(transcript: &Transcript) -> String {
    let head = serde_json::json!({
        "session": transcript.session,
        "identity": transcript.identity,
        "peer": transcript.connect.peer,
        "listener": transcript.connect.listener,
        "upstream": transcript.upstream,
        "began": transcript.connect.time.to_string(),
        "ended": transcript.end.as_ref().map(|end| end.time.to_string()),
        "reason": transcript.end.as_ref().map(|end| &end.reason),
        "duration_us": transcript.duration,
        "actions": transcript.actions,
        "refused": transcript.refused,
        "responses": transcript.responses,
        "events": transcript.events,
    });
    let head = head.to_string();
    let head = json_safe(head.as_bytes());
    format!("{},\"records\":[", head.strip_suffix('}').unwrap_or(&head))
}
