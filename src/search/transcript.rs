//! [`Transcript`]: a session in order, as a dialogue.

use std::ops::ControlFlow;
use std::path::Path;

use super::cells::escaped;
use super::filter::{connect_seq, member};
use super::find::Progress;
use super::gist::{gist, text_of, what};
use crate::audit::{LoggedRecord, RawRecord, Trail, VerifyError};

/// Why there is no transcript.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// The log.
    #[error(transparent)]
    Log(#[from] VerifyError),
    /// It is not in the log.
    #[error("no session `{}` is in the log: a session is called `<boot>-<seq>`, as in `5e2b9c01-37`, where seq is that of its `connect` record", escaped(.0))]
    NotFound(String),
}

/// What a session was, all in all.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// Its name.
    pub session: String,
    /// Its `connect` record.
    pub connect: LoggedRecord,
    /// Its `end` record; none if it is not over, or amiwall stopped before it was.
    pub end: Option<LoggedRecord>,
    /// Who it was, once that was known.
    pub identity: String,
    /// Where its packets went.
    pub upstream: String,
    /// Microseconds from its first record to its last.
    pub duration: u64,
    /// How many actions, …
    pub actions: u64,
    /// … of which were refused, …
    pub refused: u64,
    /// … and how many answers …
    pub responses: u64,
    /// … and events it has.
    pub events: u64,
}

/// One record of a session.
#[derive(Debug)]
pub struct Entry<'e> {
    /// Microseconds since its `connect` record.
    pub at: u64,
    /// What it says.
    pub record: &'e LoggedRecord,
    /// Its line in the log.
    pub line: &'e [u8],
}

impl Transcript {
    /// Looks a session up.
    ///
    /// # Errors
    /// If it is not there, or the log cannot be read.
    pub fn of(directory: &Path, session: &str, progress: Progress<'_>) -> Result<Self, TranscriptError> {
        let not_found = || TranscriptError::NotFound(session.to_owned());
        let seq = connect_seq(session).ok_or_else(not_found)?;
        let mut transcript = Self { session: session.to_owned(), ..Self::default() };
        // What is shown is checked when it is shown.
        let trail = Trail::open(directory)?.from_seq(seq).unchecked();
        let mut is_other = false;
        each(trail, session, seq, progress, |entry, is_own| {
            if is_own {
                transcript.add(&entry);
            } else {
                is_other = true;
            }
            ControlFlow::Continue(())
        })?;
        if is_other || transcript.connect.kind != "connect" { Err(not_found()) } else { Ok(transcript) }
    }

    /// Gives its records in order, until `show` breaks.
    ///
    /// # Errors
    /// If the log is broken or cannot be read.
    pub fn each(
        &self,
        directory: &Path,
        progress: Progress<'_>,
        mut show: impl FnMut(&Entry<'_>) -> ControlFlow<()>,
    ) -> Result<(), VerifyError> {
        let trail = Trail::open(directory)?.from_seq(self.connect.seq);
        each(trail, &self.session, self.connect.seq, progress, |entry, _| show(&entry))
    }

    fn add(&mut self, entry: &Entry<'_>) {
        let record = entry.record;
        self.duration = entry.at;
        let keep = |kept: &mut String, value: &str| {
            if !value.is_empty() {
                value.clone_into(kept);
            }
        };
        keep(&mut self.identity, &record.identity);
        keep(&mut self.upstream, &record.upstream);
        match record.kind.as_str() {
            "connect" => self.connect = record.clone(),
            "end" => self.end = Some(record.clone()),
            "action" => {
                self.actions += 1;
                self.refused += u64::from(matches!(record.decision.as_str(), "deny" | "limit"));
            }
            "response" => self.responses += 1,
            "event" => self.events += 1,
            _ => {}
        }
    }
}

/// The records of a session; and with false the first one of another session whose connect record has that seq.
fn each(
    mut trail: Trail,
    session: &str,
    seq: u64,
    progress: Progress<'_>,
    mut found: impl FnMut(Entry<'_>, bool) -> ControlFlow<()>,
) -> Result<(), VerifyError> {
    let other_end = format!("-{seq}");
    let (mut begin, mut read) = (0, 0_u64);
    loop {
        read += 1;
        if read.is_multiple_of(1 << 12) {
            let (done, all) = trail.progress();
            progress(done, all);
        }
        let Some(raw) = trail.next_record()? else { return Ok(()) };
        let Some(is_own) = belongs(&raw, session, seq, &other_end) else {
            // No session outlives its amiwall.
            if raw.kind == b"start" && raw.seq > seq {
                return Ok(());
            }
            continue;
        };
        if raw.seq == seq && raw.kind != b"connect" {
            return Ok(());
        }
        let line = raw.text.to_vec();
        let Ok(record) = serde_json::from_slice::<LoggedRecord>(&line) else { return Err(trail.malformed()) };
        if record.seq == seq {
            begin = record.mono;
        }
        let at = record.mono.saturating_sub(begin);
        let is_over = !is_own || record.kind == "end";
        if found(Entry { at, record: &record, line: &line }, is_own).is_break() || is_over {
            return Ok(());
        }
    }
}

/// Whether the record is of the session (true) or of another one that began with the same record (false).
fn belongs(raw: &RawRecord<'_>, session: &str, seq: u64, other_end: &str) -> Option<bool> {
    if raw.seq <= seq {
        return (raw.seq == seq).then_some(true);
    }
    let named = member(raw.text, "session")?;
    if named == session.as_bytes() { Some(true) } else { named.ends_with(other_end.as_bytes()).then_some(false) }
}

impl Entry<'_> {
    /// The record as people read a dialogue: a line that says what it is, and the packet's lines below it.
    #[must_use]
    pub fn to_text(&self, session: &str) -> String {
        let record = self.record;
        let arrow = match record.direction.as_str() {
            "to-asterisk" => "-->",
            "to-client" => "<--",
            _ => "   ",
        };
        let mut text = format!("{:>11} {arrow} {} {}", clock(self.at), record.kind, escaped(what(record)));
        if record.kind == what(record) {
            text.truncate(text.len() - record.kind.len() - 1);
        }
        // The id is the session's name and a number.
        if let Some(number) = record.id.strip_prefix(session).and_then(|rest| rest.strip_prefix('.')) {
            text += &format!(" #{}", escaped(number));
        }
        if let Some(latency) = record.latency_us {
            text += &format!(" after {:.1} ms", std::time::Duration::from_micros(latency).as_secs_f64() * 1e3);
        }
        if record.origin == "amiwall" {
            text += " (amiwall's own)";
        }
        for part in [&record.decision, &record.reason, &record.rule] {
            if !part.is_empty() {
                text += &format!("  {}", escaped(part));
            }
        }
        if let Some(line) = record.line {
            text += &format!(" (line {line})");
        }
        for header in &record.headers {
            text += &format!("\n                  {}: {}", escaped(&header.name), escaped(&text_of(&header.value)));
        }
        for (what, names) in [("removed", &record.dropped), ("set by the policy", &record.set)] {
            if !names.is_empty() {
                text += &format!("\n                  ({what}: {})", escaped(&names.join(", ")));
            }
        }
        let gist = gist(record);
        if record.headers.is_empty() && !gist.is_empty() {
            text += &format!("\n                  {}", escaped(&gist));
        }
        text
    }
}

/// `1:02:03.456` or `3.456`.
#[must_use]
pub fn clock(micros: u64) -> String {
    let (seconds, millis) = (micros / 1_000_000, micros / 1_000 % 1_000);
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}.{millis:03}"),
        (0, _) => format!("{minutes}:{rest:02}.{millis:03}"),
        _ => format!("{hours}:{minutes:02}:{rest:02}.{millis:03}"),
    }
}
