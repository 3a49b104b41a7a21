//! How much the audit log grows in a day. What passes is not in the policy, so this is measured, where there is a log.

use std::path::Path;

use jiff::Timestamp;

use crate::audit::Trail;

const DAY: i64 = 86_400;

/// Bytes in a day, of the files that are whole; none before there is a day of them, or where they cannot be read.
pub(super) fn bytes_a_day(directory: &Path) -> Option<u64> {
    let mut all = Trail::open(directory).ok()?.unchecked();
    // It is being written.
    let mut last = Trail::open(directory).ok()?.from_last(0)?.unchecked();
    let bytes = all.progress().1.checked_sub(last.progress().1)?;
    let seconds = begin(&mut last)?.as_second() - begin(&mut all)?.as_second();
    let seconds = u64::try_from(seconds).ok().filter(|_| seconds >= DAY)?;
    u64::try_from(u128::from(bytes) * u128::from(DAY.unsigned_abs()) / u128::from(seconds)).ok()
}

fn begin(trail: &mut Trail) -> Option<Timestamp> {
    std::str::from_utf8(trail.next_record().ok()??.time).ok()?.parse().ok()
}

/// The same in words.
pub(super) fn in_words(directory: &Path) -> String {
    bytes_a_day(directory).map_or_else(
        || "how much it grows in a day shows where there is one to read; a packet takes 0.5 to 1 KB of it".to_owned(),
        |bytes| format!("grew by about {} a day until now", indicatif::DecimalBytes(bytes)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_day_takes_is_measured_where_there_is_a_day() {
        let folder = tempfile::tempdir().expect("a folder");
        let none = "0".repeat(64);
        let write = |seq: u64, time: &str, len: usize| {
            let rest = format!(r#""kind":"event","text":"{}","prev":"{none}","hash":"{none}""#, "x".repeat(len));
            let line = format!("{{\"seq\":{seq},\"time\":\"{time}\",\"mono\":1,{rest}}}\n");
            std::fs::write(folder.path().join(format!("audit-{seq:020}.jsonl")), &line).expect("written");
            u64::try_from(line.len()).expect("a length")
        };
        assert_eq!(bytes_a_day(folder.path()), None, "there is no log");
        let first = write(1, "2026-11-18T00:00:00.000000Z", 3_000_000);
        assert_eq!(bytes_a_day(folder.path()), None, "nothing is whole");
        write(2, "2026-11-18T23:00:00.000000Z", 9_000);
        assert_eq!(bytes_a_day(folder.path()), None, "it is not yet a day");
        assert!(in_words(folder.path()).contains("0.5 to 1 KB"));
        write(2, "2026-11-20T00:00:00.000000Z", 9_000);
        assert_eq!(bytes_a_day(folder.path()), Some(first / 2));
        assert_eq!(in_words(folder.path()), "grew by about 1.50 MB a day until now");
    }
}
