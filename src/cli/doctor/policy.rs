//! The policy: is it valid, what does `check` warn about, and how long are the certificates valid that it names?

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Report, list, read_policy};
use crate::config::Checked;
use crate::tls::{Life, lives};

const DAY: i64 = 86_400;
/// From here on somebody should see to it.
const DAYS_WARNING: i64 = 30;
const DAYS_PROBLEM: i64 = 7;

/// Reads it; with it, whether its secrets are the real ones.
pub(super) fn load(path: &Path, report: &mut Report) -> Option<(Checked, bool)> {
    let (checked, problems, has_secrets) = read_policy(path);
    if let Some(problems) = problems {
        let help = format!("run: amiwall check {}", path.display());
        if problems.is_unreadable() || is_for_others(path) {
            report.unknown(
                "policy",
                format!("{} cannot be read whole", path.display()),
                format!("as root (sudo) {help}"),
            );
        } else {
            let (errors, _) = problems.count();
            let first = problems.iter().next().map(|problem| format!(": {}", problem.message)).unwrap_or_default();
            report.problem("policy", format!("{} is not valid, {errors} errors{first}", path.display()), help);
        }
    }
    let checked = checked?;
    if has_secrets {
        report.ok("policy", format!("{} is valid", path.display()));
        warnings(path, &checked, report);
    }
    Some((checked, has_secrets))
}

/// Whether files that the policy names cannot be read by this user.
fn is_for_others(path: &Path) -> bool {
    let Ok(checked) = crate::config::check(path, crate::config::Files::Skip) else { return false };
    checked
        .reads
        .iter()
        .any(|file| std::fs::File::open(file).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied))
}

fn warnings(path: &Path, checked: &Checked, report: &mut Report) {
    const CODE: &str = "policy-warnings";
    if checked.warnings.is_empty() {
        report.ok(CODE, "`check` has none");
    }
    for warning in checked.warnings.iter() {
        let place =
            if warning.line > 0 { format!("{}:{}", path.display(), warning.line) } else { path.display().to_string() };
        report.warning(CODE, format!("{place}: {}", warning.message), warning.help.clone().unwrap_or_default());
    }
}

/// Whatever the policy names, and what lies beside it: clients' certificates are given out from there.
pub(super) fn certificates(checked: &Checked, report: &mut Report) {
    let mut files: BTreeSet<PathBuf> = checked.reads.clone();
    let folders: BTreeSet<PathBuf> = checked
        .reads
        .iter()
        .filter(|file| file.extension().is_some_and(|ending| ending == "crt" || ending == "pem"))
        .filter_map(|file| file.parent().map(Path::to_owned))
        .collect();
    for folder in folders {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
        files.extend(entries.filter(|path| path.extension().is_some_and(|ending| ending == "crt" || ending == "key")));
    }
    let now = Timestamp::now().as_second();
    let (mut count, mut worst_ok) = (0, None);
    for file in files.iter().filter(|file| file.extension().is_none_or(|ending| ending != "key")) {
        match lives(file) {
            Ok(found) => {
                for life in found {
                    count += 1;
                    if judge(file, &life, now, report) {
                        worst_ok = worst_ok.min(life.not_after).or(life.not_after).or(worst_ok);
                    }
                }
            }
            Err(error) => report.unknown("certificate-life", error.to_string(), "run doctor as root (sudo)"),
        }
    }
    if let Some(end) = worst_ok {
        let days = (end - now) / DAY;
        report.ok("certificate-life", format!("of {count} certificates and lists the first ends in {days} days"));
    }
    keys(&files, report);
}

/// Whether there is nothing to say of it.
fn judge(file: &Path, life: &Life, now: i64, report: &mut Report) -> bool {
    const CODE: &str = "certificate-life";
    let what = format!("{}: the {} of {}", file.display(), life.what, life.subject);
    let help = if life.what == "certificate" {
        "renew it: amiwall certs DIR --force (one client's: --client NAME --force), then amiwall reload POLICY"
    } else {
        "make a new list where ca.key is: amiwall certs DIR --crl, then amiwall reload POLICY"
    };
    if life.not_before > now {
        report.problem(CODE, format!("{what} is not valid yet"), "look at the clock");
        return false;
    }
    let Some(end) = life.not_after else { return true };
    let days = (end - now) / DAY;
    if end < now {
        report.problem(CODE, format!("{what} has expired"), help);
    } else if days < DAYS_PROBLEM {
        report.problem(CODE, format!("{what} ends in {days} days"), help);
    } else if days < DAYS_WARNING {
        report.warning(CODE, format!("{what} ends in {days} days"), help);
    } else {
        return true;
    }
    false
}

/// Keys beside the certificates.
fn keys(files: &BTreeSet<PathBuf>, report: &mut Report) {
    const CODE: &str = "key-mode";
    let mode = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    let keys: Vec<&PathBuf> =
        files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "key")).collect();
    let open: Vec<String> =
        keys.iter().filter(|file| mode(file) & 0o077 != 0).map(|file| file.display().to_string()).collect();
    if !open.is_empty() {
        let help = format!("chmod 600 {}", open.join(" "));
        report.problem(CODE, format!("other users can read {}", list(&open)), help);
    } else if !keys.is_empty() {
        report.ok(CODE, format!("{} keys can be read by their owner only", keys.len()));
    }
    if let Some(key) = keys.iter().find(|file| file.ends_with("ca.key")) {
        let help = "move it to another machine, with a copy of ca.crt: clients' certificates are made there";
        report.warning("ca-key", format!("{} is on this machine: who gets it can be any client", key.display()), help);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn what_ends_soon_is_told_in_time() {
        let level = |days: i64| {
            let life = Life {
                what: "certificate",
                subject: "CN=x".into(),
                not_before: 0,
                not_after: Some(1_000 * DAY + days * DAY),
            };
            let mut report = Report::default();
            let is_well = judge(Path::new("server.crt"), &life, 1_000 * DAY, &mut report);
            (is_well, report.0.first().map(|finding| finding.level))
        };
        assert_eq!(level(31), (true, None));
        assert_eq!(level(29), (false, Some(Level::Warning)));
        assert_eq!(level(6), (false, Some(Level::Problem)));
        assert_eq!(level(-1), (false, Some(Level::Problem)));
    }

    #[test]
    fn the_certificates_that_amiwall_makes_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        crate::tls::issue(folder.path(), &crate::tls::IssueOptions::default()).expect("issued");
        let crl = crate::tls::revoke(folder.path(), &[folder.path().join("client.crt")]).expect("a list").path;
        let what = |name: &str| {
            let found = lives(&folder.path().join(name)).expect("read");
            found.iter().map(|life| (life.what, life.not_after.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(what("server.crt"), [("certificate", true)]);
        assert_eq!(lives(&crl).expect("read").first().map(|life| life.what), Some("revocation list"));
        assert_eq!(what("server.key"), []);
    }
}
