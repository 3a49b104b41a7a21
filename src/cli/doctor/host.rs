//! This machine: will amiwall go on running on it?

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::Timestamp;

use super::Report;
use crate::audit::AuditConfig;
use crate::config::Checked;
use crate::daemon::{Answer, Request, Verb, ask};
use crate::sandbox::landlock_here;
use crate::search::{Filter, Found, Query, last};

const GIB: u64 = 1 << 30;
/// Records among which the policy in force is looked for.
const RECORDS: usize = 500;
/// Clocks are set by this much without anybody wondering.
const BACKWARDS_SECONDS: i64 = 2;

/// What concerns the policy's own amiwall.
pub(super) fn look(checked: &Checked, path: &Path, report: &mut Report) {
    let is_running = running(checked, path, report);
    log(checked, path, is_running, report);
    space(&checked.audit, report);
    audit_mode(&checked.audit.directory, report);
    if is_running {
        open_files(checked, path, report);
    }
}

/// What concerns the machine alone.
pub(super) fn machine(report: &mut Report) {
    match landlock_here() {
        Some(abi) => report.ok("landlock", format!("the kernel has Landlock (ABI {abi})")),
        None => {
            let help = "a kernel from 5.13 on with `landlock` among the modules of the boot option lsm=";
            report.warning("landlock", "the kernel has no Landlock, or it is switched off", help);
        }
    }
    synchronised(Path::new("/run/systemd/timesync"), report);
}

fn synchronised(folder: &Path, report: &mut Report) {
    const CODE: &str = "clock-synchronised";
    if folder.join("synchronized").exists() {
        report.ok(CODE, "systemd-timesyncd has set the clock");
    } else if folder.exists() {
        let help = "run: timedatectl timesync-status";
        report.warning(CODE, "systemd-timesyncd runs, and has not set the clock", help);
    } else {
        report.unknown(CODE, "systemd-timesyncd does not run", "run: timedatectl (or chronyc tracking)");
    }
}

fn running(checked: &Checked, path: &Path, report: &mut Report) -> bool {
    const CODE: &str = "running";
    let socket = checked.admin_socket.display();
    let request = Request::new(Verb::Status);
    match ask(&checked.admin_socket, &request) {
        Ok(Answer::Status { locked, suspended, paused }) => {
            let (locked, suspended, paused) = (locked.len(), suspended.len(), paused.len());
            let found =
                format!("amiwall runs; identities locked: {locked}, suspended: {suspended}; actions paused: {paused}");
            report.ok(CODE, found);
            true
        }
        Ok(Answer::Refused { message } | Answer::Failed { message }) => {
            report.unknown(CODE, format!("amiwall runs, and does not answer: {message}"), "run doctor as root (sudo)");
            true
        }
        Ok(
            Answer::Done { .. }
            | Answer::Overview(_)
            | Answer::Paused { .. }
            | Answer::Reloaded { .. }
            | Answer::Sessions { .. },
        ) => true,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            let help = format!("systemctl start amiwall, or: amiwall run {}", path.display());
            report.warning(CODE, format!("nobody answers at {socket}: amiwall does not run"), help);
            false
        }
        Err(error) => {
            report.unknown(CODE, format!("{socket}: {error}"), "run doctor as root (sudo)");
            false
        }
    }
}

/// What the log's last records tell: the clock, and the policy.
fn log(checked: &Checked, path: &Path, is_running: bool, report: &mut Report) {
    let directory = &checked.audit.directory;
    let help = format!("run, as root (sudo): amiwall audit verify {}", directory.display());
    if is_empty(directory) {
        let found = format!("there is no log in {} yet to compare with", directory.display());
        report.unknown("clock", found, "run amiwall once");
        return;
    }
    match last(directory, &mut Filter::new(Query::default()), RECORDS) {
        Ok((records, _)) => {
            clock(records.back(), newest(directory), Timestamp::now(), report);
            if is_running {
                in_force(records.iter().rev().find_map(digest), &checked.digest, path, report);
            }
        }
        Err(error) => {
            report.unknown("clock", format!("the log cannot be read: {error}"), help);
        }
    }
}

/// Whether amiwall has never written there; nobody knows where it cannot be looked at.
fn is_empty(directory: &Path) -> bool {
    match std::fs::read_dir(directory) {
        Ok(entries) => !entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("audit-")),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// When a file of the log was last written to.
fn newest(directory: &Path) -> Option<Timestamp> {
    let entries = std::fs::read_dir(directory).ok()?.flatten();
    let times = entries.filter_map(|entry| Timestamp::try_from(entry.metadata().ok()?.modified().ok()?).ok());
    times.max()
}

fn clock(record: Option<&Found>, written: Option<Timestamp>, now: Timestamp, report: &mut Report) {
    const CODE: &str = "clock";
    let Some(record) = record else {
        report.unknown(CODE, "there is no record yet to compare the clock with", "run amiwall once");
        return;
    };
    let latest = written.map_or(record.record.time, |written| written.max(record.record.time));
    let behind = latest.as_second() - now.as_second();
    if behind > BACKWARDS_SECONDS {
        let found = format!("the clock is {behind} s behind what was last written to the log");
        report.problem(CODE, found, "set the clock (timedatectl), and find out who set it back");
    } else {
        report.ok(CODE, format!("the clock ({now:.0}) is not behind the last record"));
    }
}

/// The policy of a record that was judged by it.
fn digest(found: &Found) -> Option<&str> {
    let record = &found.record;
    let is_in_force = !record.policy.is_empty() && record.outcome != "refused";
    is_in_force.then_some(record.policy.as_str())
}

fn in_force(logged: Option<&str>, digest: &str, path: &Path, report: &mut Report) {
    const CODE: &str = "policy-in-force";
    let reload = format!("amiwall reload {}", path.display());
    match logged {
        Some(logged) if logged == digest => report.ok(CODE, "the policy in the file is the one in force"),
        Some(_) => {
            report.warning(CODE, "the file is not the policy that is in force", format!("take it with: {reload}"));
        }
        None => report.unknown(CODE, "the last records do not tell which policy is in force", reload),
    }
}

fn space(audit: &AuditConfig, report: &mut Report) {
    const CODE: &str = "disk-space";
    let directory = audit.directory.as_path();
    let Some(there) = directory.ancestors().find(|folder| folder.exists()) else { return };
    let Ok(stat) = rustix::fs::statvfs(there) else {
        report.unknown(
            CODE,
            format!("{} cannot be looked at", there.display()),
            format!("run: df -h {}", there.display()),
        );
        return;
    };
    let available = stat.f_bavail.saturating_mul(stat.f_frsize);
    judge_space(available, a_day(directory), audit.keep.days.is_some() || audit.keep.space.is_some(), report);
}

fn judge_space(available: u64, a_day: Option<u64>, is_bounded: bool, report: &mut Report) {
    const CODE: &str = "disk-space";
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let days = a_day.filter(|a_day| *a_day > 0).map(|a_day| available / a_day);
    let found = match (a_day, days) {
        (Some(a_day), Some(days)) => {
            format!("{} free, the log grows by {} a day: {days} days", mib(available), mib(a_day))
        }
        _ => format!("{} free", mib(available)),
    };
    let help =
        "more space, or bound the log: `keep: { space: 80% }` and `compress: true` under `audit` (docs/reference.md)";
    let is_short = days.is_some_and(|days| days < 30) && !is_bounded;
    if available < GIB / 8 || days.is_some_and(|days| days < 7) && !is_bounded {
        report.problem(CODE, found, help);
    } else if available < GIB || is_short {
        report.warning(CODE, found, help);
    } else {
        report.ok(CODE, found);
    }
}

/// By how many bytes the log grows in a day: what came behind its first segment, in the time since that was complete.
fn a_day(directory: &Path) -> Option<u64> {
    let entries = std::fs::read_dir(directory).ok()?.filter_map(Result::ok);
    let mut segments: Vec<_> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("audit-"))
        .filter_map(|entry| Some((entry.file_name(), entry.metadata().ok()?)))
        .collect();
    segments.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (_, first) = segments.first()?;
    let since = first.modified().ok()?.elapsed().ok()?.as_secs();
    let bytes: u64 = segments.iter().skip(1).map(|(_, metadata)| metadata.len()).sum();
    // An hour tells nothing of a day.
    (since >= 86_400).then(|| bytes.saturating_mul(86_400) / since)
}

fn audit_mode(directory: &Path, report: &mut Report) {
    const CODE: &str = "audit-mode";
    let Ok(metadata) = std::fs::metadata(directory) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        report.ok(CODE, format!("{} is its owner's alone", directory.display()));
    } else {
        let help = format!("chmod 700 {}", directory.display());
        let found = format!("other users get into {} (mode {mode:o})", directory.display());
        if mode & 0o022 == 0 { report.warning(CODE, found, help) } else { report.problem(CODE, found, help) }
    }
}

/// The limits of the process that runs this policy.
fn open_files(checked: &Checked, path: &Path, report: &mut Report) {
    const CODE: &str = "open-files";
    let limits = &checked.limits;
    // Two for each client, one for each that is none yet, and some for files.
    let needed = u64::from(limits.connections) * 2 + u64::from(limits.unauthenticated) + 64;
    match process_of(path).and_then(|limits| soft_limit(&limits)) {
        None => {
            let help = format!("at least {needed}: grep 'open files' /proc/$(pgrep -f 'amiwall run')/limits");
            report.unknown(CODE, "the process of amiwall was not found", help);
        }
        Some(limit) if limit >= needed => report.ok(CODE, format!("amiwall may have {limit} open files")),
        Some(limit) => {
            let help = format!("`LimitNOFILE={needed}` in the unit, or fewer `limits.connections`");
            report.warning(CODE, format!("amiwall may have {limit} open files, and needs {needed}"), help);
        }
    }
}

/// The limits of a process `amiwall run` with this policy.
fn process_of(policy: &Path) -> Option<String> {
    let wanted = policy.canonicalize().ok()?;
    let processes = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let process = processes.into_iter().find(|process| {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let words: Vec<String> =
            line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let folder = std::fs::read_link(process.join("cwd")).unwrap_or_default();
        let is_run = words.get(1).is_some_and(|word| word == "run");
        is_run && words.iter().skip(2).any(|word| folder.join(word).canonicalize().is_ok_and(|path| path == wanted))
    })?;
    std::fs::read_to_string(process.join("limits")).ok()
}

fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = line.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn level(look: impl FnOnce(&mut Report)) -> Option<Level> {
        let mut report = Report::default();
        look(&mut report);
        report.0.first().map(|finding| finding.level)
    }

    #[test]
    fn space_is_judged_by_how_long_it_lasts() {
        let of = |free, a_day, is_bounded| level(|report| judge_space(free, a_day, is_bounded, report));
        assert_eq!(of(100 * GIB, None, false), Some(Level::Ok));
        assert_eq!(of(GIB / 2, None, true), Some(Level::Warning));
        assert_eq!(of(GIB / 10, None, true), Some(Level::Problem));
        assert_eq!(of(100 * GIB, Some(20 * GIB), false), Some(Level::Problem));
        assert_eq!(of(100 * GIB, Some(5 * GIB), false), Some(Level::Warning));
        assert_eq!(of(100 * GIB, Some(20 * GIB), true), Some(Level::Ok), "what is kept is bounded");
    }

    #[test]
    fn a_clock_behind_the_log_is_a_problem() {
        let now = Timestamp::from_second(1_800_000_000).expect("a time");
        let record = |second| {
            let time = Timestamp::from_second(second).expect("a time");
            Found { line: Vec::new(), record: crate::audit::LoggedRecord { time, ..Default::default() } }
        };
        assert_eq!(level(|report| clock(Some(&record(1_800_000_060)), None, now, report)), Some(Level::Problem));
        let later = Timestamp::from_second(1_800_000_060).ok();
        assert_eq!(level(|report| clock(Some(&record(1_799_999_999)), later, now, report)), Some(Level::Problem));
        assert_eq!(level(|report| clock(Some(&record(1_799_999_999)), Some(now), now, report)), Some(Level::Ok));
        assert_eq!(level(|report| clock(None, None, now, report)), Some(Level::Unknown));
    }

    #[test]
    fn the_policy_in_force_is_compared() {
        let of = |logged| level(|report| in_force(logged, "sha256:a", Path::new("p"), report));
        assert_eq!(of(Some("sha256:a")), Some(Level::Ok));
        assert_eq!(of(Some("sha256:b")), Some(Level::Warning));
        assert_eq!(of(None), Some(Level::Unknown));
    }

    #[test]
    fn a_clock_that_nobody_sets_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(level(|report| synchronised(&folder.path().join("none"), report)), Some(Level::Unknown));
        assert_eq!(level(|report| synchronised(folder.path(), report)), Some(Level::Warning));
        std::fs::write(folder.path().join("synchronized"), "").expect("written");
        assert_eq!(level(|report| synchronised(folder.path(), report)), Some(Level::Ok));
    }

    #[test]
    fn limits_and_modes_are_read() {
        assert_eq!(
            soft_limit("Limit  Soft  Hard\nMax open files            8192                 524288     files\n"),
            Some(8_192)
        );
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |mode| {
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).expect("set");
            level(|report| audit_mode(folder.path(), report))
        };
        assert_eq!(
            [mode(0o700), mode(0o750), mode(0o770)],
            [Some(Level::Ok), Some(Level::Warning), Some(Level::Problem)]
        );
    }
}
