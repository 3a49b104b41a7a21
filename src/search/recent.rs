//! Reading a log from its end, for somebody who waits: for so long and no longer, however much there is.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

use super::calls::is_call;
use super::filter::{Filter, member};
use super::find::Found;
use crate::audit::{RawRecord, Trail, VerifyError};

/// Records between two looks at the clock.
const LOOK_EVERY: u64 = 1 << 10;

/// What was found.
#[derive(Debug, Default)]
pub struct Recent {
    /// The last ones that match, the newest first.
    pub found: Vec<Found>,
    /// There are more before these.
    pub is_more: bool,
    /// There was no time for all of it: what is older, and maybe some of what is newer, was not read.
    pub is_cut: bool,
}

/// The last `count` records before `before` that match, as far as they are found until `deadline`. The chain is not checked.
///
/// # Errors
/// If the log cannot be read.
pub fn recent(
    directory: &Path,
    filter: &mut Filter,
    (before, count): (u64, usize),
    deadline: Instant,
) -> Result<Recent, VerifyError> {
    let mut kept: VecDeque<Found> = VecDeque::new();
    let mut was_cut = false;
    let (since, until) = (filter.query().since.clone(), filter.query().until.clone());
    let has_ended = backwards(directory, (since.as_deref(), until.as_deref(), before), deadline, &mut |trail| {
        let (mut here, mut read): (VecDeque<Found>, u64) = (VecDeque::new(), 0);
        let first_known = kept.front().map_or(before, |found| found.record.seq);
        let mut is_cut = false;
        while let Some(raw) = trail.next_record()? {
            read += 1;
            is_cut = read.is_multiple_of(LOOK_EVERY) && Instant::now() > deadline;
            if is_cut || raw.seq >= first_known {
                break;
            }
            let Some(matching) = Found::of(filter, &raw) else { return Err(trail.malformed()) };
            here.extend(matching);
            if here.len() + kept.len() > count + 1 {
                here.pop_front();
            }
        }
        here.append(&mut kept);
        kept = here;
        was_cut |= is_cut;
        Ok(is_cut || kept.len() > count)
    })?;
    let is_more = kept.len() > count;
    let found: Vec<Found> = kept.into_iter().rev().take(count).collect();
    Ok(Recent { found, is_more, is_cut: was_cut || has_ended && !is_more })
}

/// Each action since then that places a call: whose it is, its time as the log has it, and the decision. False: there was no
/// time for all of them, and the older ones are missing.
///
/// # Errors
/// If the log cannot be read.
pub fn calls_since(
    directory: &Path,
    since: &str,
    deadline: Instant,
    mut found: impl FnMut(&str, &str, &str),
) -> Result<bool, VerifyError> {
    let mut last = u64::MAX;
    let is_cut = backwards(directory, (Some(since), None, u64::MAX), deadline, &mut |trail| {
        let (mut first, mut read) = (None, 0_u64);
        while let Some(raw) = trail.next_record()? {
            read += 1;
            first = first.or(Some(raw.seq));
            if raw.seq >= last {
                break;
            }
            if read.is_multiple_of(LOOK_EVERY) && Instant::now() > deadline {
                return Ok(true);
            }
            if raw.kind == b"action" && raw.time >= since.as_bytes() {
                tell_call(&raw, &mut found);
            }
        }
        last = first.unwrap_or(last);
        Ok(false)
    })?;
    Ok(!is_cut)
}

fn tell_call(raw: &RawRecord<'_>, found: &mut impl FnMut(&str, &str, &str)) {
    let text = |key: &str| member(raw.text, key).and_then(|value| std::str::from_utf8(value).ok());
    if let (Some(identity), Ok(time), true) =
        (text("identity"), std::str::from_utf8(raw.time), text("name").is_some_and(is_call))
    {
        found(identity, time, text("decision").unwrap_or_default());
    }
}

/// Gives each segment that can have records of that time, from the last one backwards, until `read` says that it is enough.
/// True: so it did, or the time was over.
fn backwards(
    directory: &Path,
    (since, until, before): (Option<&str>, Option<&str>, u64),
    deadline: Instant,
    read: &mut dyn FnMut(&mut Trail) -> Result<bool, VerifyError>,
) -> Result<bool, VerifyError> {
    let mut number = 0;
    while let Some(mut first) = Trail::open(directory)?.from_last(number) {
        number += 1;
        if Instant::now() > deadline {
            return Ok(true);
        }
        let mut is_oldest = false;
        if let Some(record) = first.next_record()? {
            is_oldest = since.is_some_and(|since| record.time < since.as_bytes());
            if record.seq >= before || until.is_some_and(|until| record.time > until.as_bytes()) {
                continue;
            }
        }
        let Some(trail) = Trail::open(directory)?.from_last(number - 1) else { return Ok(false) };
        if read(&mut trail.unchecked())? {
            return Ok(true);
        }
        if is_oldest {
            return Ok(false);
        }
    }
    Ok(false)
}

/// The record of that number, if it is found until `deadline`.
///
/// # Errors
/// If the log cannot be read.
pub fn at(directory: &Path, seq: u64, deadline: Instant) -> Result<Option<Found>, VerifyError> {
    let mut trail = Trail::open(directory)?.from_seq(seq).unchecked();
    let mut read = 0_u64;
    loop {
        read += 1;
        let Some(raw) = trail.next_record()? else { return Ok(None) };
        if raw.seq > seq || read.is_multiple_of(LOOK_EVERY) && Instant::now() > deadline {
            return Ok(None);
        }
        if raw.seq == seq {
            let line = raw.text.to_vec();
            let Ok(record) = serde_json::from_slice(&line) else { return Err(trail.malformed()) };
            return Ok(Some(Found { line, record }));
        }
    }
}
