//! Going through a log with a filter.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;

use super::filter::Filter;
use crate::audit::{LoggedRecord, RawRecord, Trail, VerifyError};

/// Records between two reports of progress.
const REPORT_EVERY: u64 = 1 << 12;

/// A record that matches.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its line in the log.
    pub line: Vec<u8>,
    /// What it says.
    pub record: LoggedRecord,
}

/// Seq and hash of a record.
pub type Head = (u64, [u8; 64]);

/// Told now and then how many bytes are read, of how many.
pub type Progress<'p> = &'p mut dyn FnMut(u64, u64);

impl Found {
    /// The record, if it matches. None: the line is no record.
    #[must_use]
    pub fn of(filter: &mut Filter, raw: &RawRecord<'_>) -> Option<Option<Self>> {
        if !filter.may_match(raw) {
            return Some(None);
        }
        let record: LoggedRecord = serde_json::from_slice(raw.text).ok()?;
        Some(filter.matches(&record).then(|| Self { line: raw.text.to_vec(), record }))
    }
}

/// Gives every record that matches to `found`, until that breaks, and says how many.
///
/// # Errors
/// If the log is broken or cannot be read. What was found before was given.
pub fn search(
    trail: &mut Trail,
    filter: &mut Filter,
    progress: Progress<'_>,
    mut found: impl FnMut(Found) -> ControlFlow<()>,
) -> Result<u64, VerifyError> {
    let (mut read, mut count) = (0_u64, 0);
    loop {
        let Some(raw) = trail.next_record()? else { return Ok(count) };
        let Some(matching) = Found::of(filter, &raw) else { return Err(trail.malformed()) };
        if let Some(matching) = matching {
            count += 1;
            if found(matching).is_break() {
                return Ok(count);
            }
        }
        read += 1;
        if read.is_multiple_of(REPORT_EVERY) {
            let (done, all) = trail.progress();
            progress(done, all);
        }
    }
}

/// The last `count` records that match, and the last record of all. Segments are read from the last one
/// backwards, no more of them than it takes.
///
/// # Errors
/// If one of them is broken or cannot be read.
pub fn last(
    directory: &Path,
    filter: &mut Filter,
    count: usize,
) -> Result<(VecDeque<Found>, Option<Head>), VerifyError> {
    let (mut kept, mut head): (VecDeque<Found>, _) = (VecDeque::new(), None);
    let mut number = 0;
    while let Some(mut trail) = Trail::open(directory)?.from_last(number) {
        let (mut here, mut here_head) = (VecDeque::new(), None);
        let first_known = kept.front().map_or(u64::MAX, |found| found.record.seq);
        while let Some(raw) = trail.next_record()? {
            here_head = Some((raw.seq, raw.hash));
            let Some(matching) = Found::of(filter, &raw) else { return Err(trail.malformed()) };
            // A segment that was given up may have what stands in the next one again.
            here.extend(matching.filter(|found| found.record.seq < first_known));
            if here.len() + kept.len() > count {
                here.pop_front();
            }
        }
        head = head.or(here_head);
        here.append(&mut kept);
        kept = here;
        number += 1;
        if kept.len() >= count && head.is_some() {
            break;
        }
    }
    Ok((kept, head))
}
