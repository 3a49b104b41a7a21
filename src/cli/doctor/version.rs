//! Asterisk's version against what is known of it (`advisories.tsv`).

use super::Report;
use crate::cli::contact::{Contact, Settings, visit};
use crate::config::Checked;

const ADVISORIES: &str = include_str!("advisories.tsv");

/// One line of the table.
struct Advisory {
    name: &'static str,
    takes: &'static str,
    fixed_in: Vec<Release>,
    what: &'static str,
}

/// A release: its numbers, and that of a certified branch's release.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Release {
    numbers: Vec<u32>,
    certified: Option<u32>,
}

impl Release {
    /// `22.5.2`, `18.9-cert5` (with `certified/` or `cert-` before it), `16.28.0~dfsg-0+deb11u4`.
    fn parse(text: &str) -> Option<Self> {
        let text =
            text.trim().trim_start_matches("Asterisk ").trim_start_matches("certified/").trim_start_matches("cert-");
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (numbers, rest) = text.split_at_checked(end)?;
        let numbers: Option<Vec<u32>> = numbers.split('.').map(|number| number.parse().ok()).collect();
        let certified = rest.strip_prefix("-cert").map(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap_or_default()
        });
        Some(Self { numbers: numbers?, certified })
    }

    /// What releases are counted within: `22`, `1.8`, for a certified one all its numbers.
    fn branch(&self) -> (bool, &[u32]) {
        let len = match (self.certified, self.numbers.first()) {
            (Some(_), _) => self.numbers.len(),
            (None, Some(1)) => 2,
            (None, _) => 1,
        };
        (self.certified.is_some(), self.numbers.get(..len).unwrap_or(&self.numbers))
    }
}

fn advisories() -> impl Iterator<Item = Advisory> {
    ADVISORIES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut cells = line.split('\t');
        let [name, takes, fixed, what] = [cells.next()?, cells.next()?, cells.next()?, cells.next()?];
        Some(Advisory { name, takes, fixed_in: fixed.split(' ').filter_map(Release::parse).collect(), what })
    })
}

/// Whether a release has the fix: its branch's, or it is of a branch that began after all of them.
fn is_fixed(release: &Release, fixed_in: &[Release]) -> bool {
    if let Some(fix) = fixed_in.iter().find(|fix| fix.branch() == release.branch()) {
        return (&release.numbers, release.certified) >= (&fix.numbers, fix.certified);
    }
    let of_kind = fixed_in.iter().filter(|fix| fix.certified.is_none());
    let last = of_kind.map(|fix| fix.branch().1).max();
    let own = release.numbers.as_slice();
    match (last, release.certified) {
        // A certified branch is made of an ordinary one, and begins where that stood.
        (Some(_), Some(_)) => {
            let plain = Release { numbers: release.numbers.clone(), certified: None };
            is_fixed(&plain, &fixed_in.iter().filter(|fix| fix.certified.is_none()).cloned().collect::<Vec<_>>())
        }
        (Some(last), None) => own.get(..last.len()).unwrap_or(own) > last,
        (None, _) => false,
    }
}

/// Whether somebody other than the project has put fixes into a release.
fn is_of_a_distribution(version: &str) -> bool {
    ["dfsg", "deb", "ubuntu", "+"].iter().any(|mark| version.contains(mark))
}

/// Visits Asterisk with the policy's account. What it says of itself, if it does.
pub(super) fn look(address: &str, checked: Option<&(Checked, bool)>, report: &mut Report) -> Option<Settings> {
    const CODE: &str = "asterisk-login";
    let upstreams = checked.map(|(checked, has_secrets)| (&checked.accounts, *has_secrets));
    let login = upstreams.filter(|(_, has_secrets)| *has_secrets).and_then(|(accounts, _)| {
        let upstream = accounts.values().find(|upstream| upstream.address == address);
        upstream.or_else(|| accounts.values().next()).map(|upstream| &upstream.login)
    });
    let contact = visit(address, login.map(|login| (login.username.as_str(), &login.secret)));
    let username = login.map_or("", |login| login.username.as_str());
    if let Some((found, help)) = contact.problem(address, username) {
        // Without a policy nobody has said that there is an Asterisk.
        if checked.is_some() { report.problem(CODE, found, help) } else { report.unknown(CODE, found, help) }
    }
    let help = "run: asterisk -V, and compare with docs/doctor.md";
    match contact {
        Contact::In(settings) => {
            report.ok(CODE, format!("{address} lets `{username}` in"));
            settings_of(&settings, report);
            Some(*settings)
        }
        Contact::Greets(banner) => {
            let help = "name a policy whose secrets doctor can read: sudo amiwall doctor POLICY";
            report.unknown(CODE, format!("{address} is there ({}); no account was tried", banner.text()), help);
            report.unknown("asterisk-advisories", "Asterisk tells its version only to an account", help);
            None
        }
        Contact::Unreachable(_) | Contact::NoAsterisk(_) | Contact::Silent(_) | Contact::Refused(_) => {
            report.unknown("asterisk-advisories", "Asterisk's version is not known", help);
            None
        }
    }
}

fn settings_of(settings: &Settings, report: &mut Report) {
    match settings.user.as_deref() {
        Some("root" | "0") => {
            let help = "set `runuser` and `rungroup` under [options] of asterisk.conf, and restart Asterisk";
            report.warning("asterisk-root", "Asterisk runs as root", help);
        }
        Some("") | None => {}
        Some(user) => report.ok("asterisk-root", format!("Asterisk runs as {user}")),
    }
    match &settings.version {
        Some(version) => judge(version, report),
        None => {
            let refusal = settings.refusal.as_deref().unwrap_or("it names none");
            let help =
                "run: asterisk -V, and compare with docs/doctor.md (the account needs `write = reporting` to be told)";
            report.unknown("asterisk-advisories", format!("Asterisk does not tell its version: {refusal}"), help);
        }
    }
}

fn judge(version: &str, report: &mut Report) {
    const CODE: &str = "asterisk-advisories";
    let Some(release) = Release::parse(version) else {
        let help = "compare the date of its source with docs/doctor.md";
        report.unknown(CODE, format!("`{version}` is no release that can be compared"), help);
        return;
    };
    let open: Vec<Advisory> = advisories().filter(|advisory| !is_fixed(&release, &advisory.fixed_in)).collect();
    if open.is_empty() {
        report.ok(CODE, format!("Asterisk {version} has the fixes of all {} that doctor knows", advisories().count()));
    }
    for Advisory { name, takes, fixed_in, what } in open {
        let found = format!("Asterisk {version}, {name}: {what}; it takes {takes}");
        let same = fixed_in.iter().find(|fix| fix.branch() == release.branch());
        let fixed = same.or_else(|| fixed_in.iter().rfind(|fix| fix.certified.is_none()));
        let fixed = fixed.map(|fix| {
            let numbers: Vec<String> = fix.numbers.iter().map(u32::to_string).collect();
            numbers.join(".") + &fix.certified.map(|number| format!("-cert{number}")).unwrap_or_default()
        });
        let help = format!("upgrade to {} or later", fixed.unwrap_or_default());
        if is_of_a_distribution(version) {
            report.warning(CODE, found, format!("{help}, or see in the package's changelog that the fix was put in"));
        } else {
            report.problem(CODE, found, help);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn open(version: &str) -> Vec<&'static str> {
        let release = Release::parse(version).expect("a release");
        advisories().filter(|advisory| !is_fixed(&release, &advisory.fixed_in)).map(|advisory| advisory.name).collect()
    }

    #[test]
    fn every_line_of_the_table_is_whole() {
        let lines = ADVISORIES.lines().filter(|line| !line.starts_with('#'));
        let counts = lines.clone().map(|line| line.split('\t').nth(2).expect("releases").split(' ').count());
        let read: Vec<usize> = advisories().map(|advisory| advisory.fixed_in.len()).collect();
        assert_eq!(read, counts.collect::<Vec<_>>());
        assert_eq!(read.len(), lines.count());
        assert!(advisories().all(|advisory| !advisory.what.is_empty() && !advisory.takes.is_empty()));
    }

    #[test]
    fn a_release_has_the_fix_of_its_branch() {
        assert!(open("22.10.1").is_empty() && open("23.4.1").is_empty() && open("24.0.0").is_empty());
        assert_eq!(open("22.10.0"), ["GHSA-4pgv-j3mr-3rcp", "GHSA-3rhj-hhw7-m6fw", "GHSA-vrfp-mg3q-3959"]);
        assert!(open("20.9.1").contains(&"GHSA-c4cg-9275-6w44") && !open("20.9.2").contains(&"GHSA-c4cg-9275-6w44"));
        // A branch between those that have it, and one that ended before.
        assert!(open("19.8.1").contains(&"GHSA-c4cg-9275-6w44") && open("16.30.1").contains(&"GHSA-8857-hfmw-vg8f"));
        // The fix was older than the branch.
        assert!(!open("16.30.1").contains(&"AST-2014-006") && !open("22.0.0").contains(&"GHSA-c4cg-9275-6w44"));
        assert!(open("1.8.23.0").contains(&"AST-2013-007") && !open("1.8.24.1").contains(&"AST-2013-007"));
    }

    #[test]
    fn certified_releases_count_within_their_own_branch() {
        assert!(open("18.9-cert10").contains(&"GHSA-c4cg-9275-6w44"));
        assert!(!open("certified/18.9-cert11").contains(&"GHSA-c4cg-9275-6w44"));
        assert!(!open("20.7-cert11").contains(&"GHSA-3rhj-hhw7-m6fw"));
    }

    #[test]
    fn what_a_distribution_has_mended_is_only_a_warning() {
        let levels = |version: &str| {
            let mut report = Report::default();
            judge(version, &mut report);
            report.0.iter().map(|finding| finding.level).max()
        };
        assert_eq!(levels("16.28.0~dfsg-0+deb11u4"), Some(Level::Warning));
        assert_eq!(levels("16.28.0"), Some(Level::Problem));
        assert_eq!(levels("22.10.1"), Some(Level::Ok));
        assert_eq!(levels("GIT-master-f0c1c1a"), Some(Level::Unknown));
    }
}
