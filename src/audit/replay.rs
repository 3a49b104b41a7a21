//! What a log says of quotas: its last checkpoint, and what was let through behind it. Read backwards, segment by
//! segment, so that a start reads little of a long log.

use std::io;
use std::path::Path;

use super::chain::Record;
use super::compress::SegmentReader;
use super::kind::Kind;
use super::lines::{Line, Lines};
use super::read::REDACTED;
use super::segment::{Segment, list_segments};
use crate::policy::{Past, PastEvent, QuotaState, Suspended, destination};

/// No quota looks further back than this, but for what a checkpoint holds.
const LOOK_BACK_SECONDS: i64 = 2 * 86_400;

/// What a log says of quotas.
#[derive(Debug, Default)]
pub struct Replay {
    /// The last checkpoint's.
    pub saved: QuotaState,
    /// What the records behind it say, in order.
    pub since: Vec<Past>,
}

/// Reads the end of the log in a directory. `is_counted` says whether the actions of that name of an identity are needed.
///
/// # Errors
/// If the log cannot be read.
pub fn replay(directory: &Path, is_counted: impl Fn(&str, &str) -> bool) -> io::Result<Replay> {
    let mut replay = Replay::default();
    let (mut following, mut newest) = (u64::MAX, None);
    for segment in list_segments(directory)?.iter().rev() {
        let mut part = read_segment(directory, segment, following, &is_counted)?;
        part.since.append(&mut replay.since);
        replay.since = part.since;
        if let Some(saved) = part.saved {
            replay.saved = saved;
            break;
        }
        newest = newest.max(part.last);
        if newest.zip(part.first).is_some_and(|(newest, first)| newest - first > LOOK_BACK_SECONDS) {
            break;
        }
        following = segment.first;
    }
    Ok(replay)
}

/// What one segment says.
#[derive(Debug, Default)]
struct Part {
    saved: Option<QuotaState>,
    since: Vec<Past>,
    /// The times of its first and last record.
    first: Option<i64>,
    last: Option<i64>,
}

/// `following` is the first seq of the next segment: what a given-up segment has of that stands there again.
fn read_segment(
    directory: &Path,
    segment: &Segment,
    following: u64,
    is_counted: &impl Fn(&str, &str) -> bool,
) -> io::Result<Part> {
    let mut part = Part::default();
    let mut lines = Lines::new(SegmentReader::open(&directory.join(&segment.name))?);
    while lines.read()? == Line::Whole {
        // A line that is no record is `verify`'s to tell; here it cannot give anybody more than he has.
        let Ok(record) = Record::read(lines.line()) else { continue };
        if segment.is_suspect() && record.seq >= following {
            break;
        }
        let wall = seconds(record.time);
        part.first = part.first.or(wall);
        part.last = wall.or(part.last);
        let is = |kind: Kind| record.kind == kind.name().as_bytes();
        if is(Kind::Checkpoint) {
            let members: Checkpoint = serde_json::from_slice(lines.line()).map_err(io::Error::other)?;
            if let Some(quotas) = members.quotas {
                part.saved = Some(quotas);
                part.since.clear();
            }
        } else if is(Kind::Action) || is(Kind::Limit) || is(Kind::Admin) {
            part.since.extend(wall.and_then(|wall| past(lines.line(), wall, is_counted)));
        }
    }
    Ok(part)
}

#[derive(serde::Deserialize)]
struct Checkpoint {
    /// Only whole checkpoints have it.
    quotas: Option<QuotaState>,
}

fn past(line: &[u8], wall: i64, is_counted: impl Fn(&str, &str) -> bool) -> Option<Past> {
    let record: serde_json::Value = serde_json::from_slice(line).ok()?;
    let text = |key: &str| record.get(key)?.as_str();
    // A pause of everybody has none.
    let identity = text("identity").unwrap_or_default();
    let of_action = |is_on| Some(PastEvent::Paused { action: text("action")?.to_owned(), is_on });
    let event = match text("kind")? {
        "admin" => match text("name")? {
            "pause" => of_action(true)?,
            "unpause" => of_action(false)?,
            _ if identity.is_empty() => return None,
            "resume" => PastEvent::Resumed,
            "lock" => PastEvent::Locked(true),
            "unlock" => PastEvent::Locked(false),
            _ => return None,
        },
        _ if identity.is_empty() => return None,
        "limit" if text("reason") == Some("limits.tripped") => {
            let seconds = record.get("seconds").and_then(serde_json::Value::as_u64);
            let suspended = Suspended { limit: text("limit")?.to_owned(), seconds };
            PastEvent::Tripped { suspended, first_call: text("first_call").map(str::to_owned) }
        }
        // Who does what is paused or does anything while he is suspended has run into no limit.
        "action" if matches!(text("reason"), Some("limits.paused" | "limits.tripped")) => return None,
        "action" if text("decision") == Some("limit") => {
            let limit = text("limit").unwrap_or_default().to_owned();
            PastEvent::Refused { action: text("name")?.to_ascii_lowercase(), limit }
        }
        // What only shadow mode lets through has been let through.
        "action" if matches!(text("decision"), Some("allow" | "would-deny")) => {
            let action = text("name")?.to_ascii_lowercase();
            if !is_counted(identity, &action) {
                return None;
            }
            let values = values_in(&record);
            let channel = values.iter().flatten().find(|(name, _)| name.eq_ignore_ascii_case("ChannelId"));
            let call = channel.and_then(|(_, channel)| Some((text("upstream")?.to_owned(), (*channel).to_owned())));
            PastEvent::Allowed { action, destination: values.and_then(|values| destination_in(&values)), call }
        }
        _ => return None,
    };
    Some(Past { wall, identity: identity.to_owned(), event })
}

/// The recorded headers, unless one was not text.
fn values_in(record: &serde_json::Value) -> Option<Vec<(&str, &str)>> {
    let mut values = Vec::new();
    for header in record.get("headers")?.as_array()? {
        match header.as_array()?.as_slice() {
            [name, value] => values.push((name.as_str()?, value.as_str()?)),
            // A pseudonym says as little of where a call went as a hidden value.
            [name, _, _, _] => values.push((name.as_str()?, REDACTED)),
            _ => return None,
        }
    }
    Some(values)
}

/// What the recorded action dialled, unless something of it is hidden.
fn destination_in(values: &[(&str, &str)]) -> Option<Vec<u8>> {
    let find = |name: &str| values.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
    let destination = destination(|name| find(name).map(|(_, value)| value.as_bytes()));
    memchr::memmem::find(&destination, REDACTED.as_bytes()).is_none().then_some(destination)
}

fn seconds(time: &[u8]) -> Option<i64> {
    let time: jiff::Timestamp = std::str::from_utf8(time).ok()?.parse().ok()?;
    Some(time.as_second())
}
