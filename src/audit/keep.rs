//! What of a log is kept, and what goes: whole segments, the oldest first, never the open one nor the last before it,
//! which a start may need.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::chain::{Hash, Record};
use super::compress::{COMPRESSED, SegmentReader};
use super::lines::{Line, Lines};
use super::reserve::Room;
use super::segment::{list_segments, sync_directory};
use super::{Keep, KeepSpace};

const DAY: Duration = Duration::from_secs(86_400);

/// A segment that nothing is written to any more.
#[derive(Clone, Debug)]
pub(super) struct Closed {
    pub(super) name: String,
    pub(super) first: u64,
    pub(super) len: u64,
    /// When it was written to last.
    pub(super) modified: SystemTime,
}

/// What goes, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prune {
    /// The files.
    pub(super) names: Vec<String>,
    /// The last seq that goes with them, and its hash.
    pub(super) through: u64,
    pub(super) hash: Hash,
    pub(super) bytes: u64,
    /// `keep.days` or `keep.space`.
    pub(super) reason: &'static str,
}

/// What of a directory has to go now.
pub(super) fn due(directory: &Path, keep: &Keep, now: SystemTime) -> io::Result<Option<Prune>> {
    if *keep == Keep::default() {
        return Ok(None);
    }
    let mut segments = Vec::new();
    for segment in list_segments(directory)? {
        let file = fs::metadata(directory.join(&segment.name))?;
        let (len, modified) = (file.len(), file.modified()?);
        segments.push(Closed { name: segment.name, first: segment.first, len, modified });
    }
    let Some((count, reason)) = count(&segments, keep, Room::of(directory)?, now) else { return Ok(None) };
    let (Some(gone), Some(next)) = (segments.get(..count), segments.get(count)) else { return Ok(None) };
    let (Some(first), bytes) = (gone.first(), gone.iter().map(|segment| segment.len).sum()) else { return Ok(None) };
    let names = gone.iter().map(|segment| segment.name.clone()).collect();
    debug_assert!(first.first < next.first, "what goes begins before what stays");
    let hash = prev_of_first(&directory.join(&next.name))?;
    Ok(Some(Prune { names, through: next.first - 1, hash, bytes, reason }))
}

/// How many of the oldest have to go, and why. The last is the open one.
fn count(segments: &[Closed], keep: &Keep, room: Room, now: SystemTime) -> Option<(usize, &'static str)> {
    // Files with one first seq are one segment, and what was given up: they go together.
    let begins = |at: usize| {
        let (before, after) = (at.checked_sub(1).and_then(|at| segments.get(at)), segments.get(at));
        before.zip(after).is_some_and(|(before, after)| before.first != after.first)
    };
    let most = (0..segments.len().saturating_sub(1)).rev().find(|&at| begins(at))?;
    let is_old = |segment: &Closed| {
        let age = now.duration_since(segment.modified).unwrap_or_default();
        keep.days.is_some_and(|days| age > DAY * days)
    };
    let old = segments.iter().take_while(|segment| is_old(segment)).count();
    let fits = |count: usize| {
        let gone: u64 = segments.iter().take(count).map(|segment| segment.len).sum();
        match keep.space {
            None => true,
            Some(KeepSpace::Bytes(bytes)) => segments.iter().map(|s| s.len).sum::<u64>() - gone <= bytes,
            Some(KeepSpace::Percent(percent)) => {
                let then = Room { available: room.available.saturating_add(gone), ..room };
                then.used_percent() <= u64::from(percent)
            }
        }
    };
    let many = (0..most).find(|&count| fits(count)).unwrap_or(most);
    let (wanted, reason) = if many > old { (many, "keep.space") } else { (old, "keep.days") };
    // Rounded up for space and down for age: to where a segment begins.
    let count = if many > old {
        (wanted..=most).find(|&at| begins(at))?
    } else {
        (1..=wanted.min(most)).rev().find(|&at| begins(at))?
    };
    Some((count, reason))
}

fn prev_of_first(path: &Path) -> io::Result<Hash> {
    let mut lines = Lines::new(SegmentReader::open(path)?);
    let bad = || io::Error::other(format!("`{}` does not begin with a record", path.display()));
    match lines.read()? {
        Line::Whole => Record::read(lines.line()).ok().and_then(|record| record.prev_hash()).ok_or_else(bad),
        Line::End | Line::Torn => Err(bad()),
    }
}

/// Takes files out of a directory, durably.
pub(super) fn remove(directory: &Path, names: &[String]) -> io::Result<()> {
    // A crash may have left a compressed twin of a plain one: it must not stand in for it now.
    let twins = names.iter().map(|name| format!("{name}{COMPRESSED}"));
    for name in names.iter().cloned().chain(twins) {
        match fs::remove_file(directory.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    sync_directory(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of a first seq, a length and an age in days each.
    fn segments(parts: &[(u64, u64, u32)]) -> Vec<Closed> {
        let at = |days: u32| SystemTime::UNIX_EPOCH + DAY * (1000 - days);
        let closed =
            |&(first, len, days): &(u64, u64, u32)| Closed { name: String::new(), first, len, modified: at(days) };
        parts.iter().map(closed).collect()
    }

    fn decide(parts: &[(u64, u64, u32)], days: Option<u32>, space: Option<KeepSpace>) -> Option<(usize, &'static str)> {
        let room = Room { available: 200, total: 1000 };
        count(&segments(parts), &Keep { days, space }, room, SystemTime::UNIX_EPOCH + DAY * 1000)
    }

    #[test]
    fn the_oldest_segments_go_by_age() {
        let parts = [(1, 10, 9), (5, 10, 8), (9, 10, 7), (12, 10, 0)];
        assert_eq!(decide(&parts, Some(8), None), Some((1, "keep.days")));
        assert_eq!(decide(&parts, Some(7), None), Some((2, "keep.days")));
        assert_eq!(decide(&parts, Some(9), None), None);
        // The last two stay, however old they are.
        assert_eq!(decide(&[(1, 10, 9), (5, 10, 9), (9, 10, 9)], Some(1), None), Some((1, "keep.days")));
        assert_eq!(decide(&[(1, 10, 9), (5, 10, 9)], Some(1), None), None);
        assert_eq!(decide(&[(1, 10, 9)], Some(1), None), None);
        assert_eq!(decide(&[], Some(1), None), None);
    }

    #[test]
    fn the_oldest_segments_go_by_space() {
        let parts = [(1, 100, 1), (5, 100, 1), (9, 100, 1), (12, 100, 0)];
        assert_eq!(decide(&parts, None, Some(KeepSpace::Bytes(400))), None);
        assert_eq!(decide(&parts, None, Some(KeepSpace::Bytes(399))), Some((1, "keep.space")));
        assert_eq!(decide(&parts, None, Some(KeepSpace::Bytes(1))), Some((2, "keep.space")));
        assert_eq!(decide(&parts, None, Some(KeepSpace::Percent(80))), None);
        assert_eq!(decide(&parts, None, Some(KeepSpace::Percent(65))), Some((2, "keep.space")));
    }

    #[test]
    fn files_of_one_segment_go_together() {
        let parts = [(1, 10, 9), (1, 10, 9), (5, 10, 9), (9, 10, 0)];
        assert_eq!(decide(&parts, Some(8), None), Some((2, "keep.days")));
        let mixed = [(1, 10, 9), (1, 10, 2), (5, 10, 2), (9, 10, 0)];
        assert_eq!(decide(&mixed, Some(8), None), None);
        assert_eq!(decide(&mixed, None, Some(KeepSpace::Bytes(35))), Some((2, "keep.space")));
    }
}
