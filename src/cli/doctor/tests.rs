use std::collections::BTreeSet;

use super::*;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor").join(name)
}

fn checked(yaml: &str) -> Checked {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, yaml).expect("written");
    config::check(&path, Files::Skip).expect("valid")
}

fn policy() -> String {
    std::fs::read_to_string(file("policy.yaml")).expect("the policy")
}

fn accounts_of(conf: &str, yaml: &str) -> Report {
    let conf = survey(&file(conf)).expect("read");
    let mut report = Report::default();
    accounts::look(&conf, Some(&checked(yaml)), "127.0.0.1:5038", &mut report);
    report
}

/// What was found of one code, the worst first.
fn of<'r>(report: &'r Report, code: &str) -> Vec<(Level, &'r str)> {
    let mut found: Vec<_> =
        report.0.iter().filter(|finding| finding.code == code).map(|f| (f.level, f.found.as_str())).collect();
    found.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    found
}

#[test]
fn weak_secrets_are_found_and_never_shown() {
    let report = accounts_of("weak-manager.conf", &policy());
    let found = of(&report, "secret-weak");
    let has = |level: Level, account: &str, what: &str| {
        let is = |(l, text): &(Level, &str)| *l == level && text.contains(account) && text.contains(what);
        assert!(found.iter().any(is), "{account}: {found:?}");
    };
    has(Level::Problem, "[freepbx]", "everybody tries first");
    has(Level::Problem, "[nobody]", "is empty");
    has(Level::Problem, "[silent]", "no `secret` line");
    has(Level::Problem, "[crm]", "the account's name");
    has(Level::Warning, "[short]", "fewer than 12");
    assert_eq!(found.len(), 5, "Asterisk deletes an account with a bad address: {found:?}");
    for text in [report.text(), report.json().to_string()] {
        for secret in ["kJ3vQ9x2Lm7Rt5Wz8Pb4", "amp111", "Zq7vPx3"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn accounts_that_pass_by_amiwall_are_found() {
    let report = accounts_of("weak-manager.conf", &policy());
    let bypass = of(&report, "bypass-account");
    assert!(
        matches!(bypass.first(), Some((Level::Problem, text)) if text.contains("[freepbx]") && !text.contains("[amiwall]"))
    );
    assert!(matches!(of(&report, "account-open").first(), Some((Level::Problem, text)) if text.contains("[freepbx]")));
    let classes = of(&report, "account-classes");
    assert!(
        matches!(classes.as_slice(), [(Level::Problem, text)] if text.contains("system,command,config,originate,agi"))
    );
    let zero = of(&report, "class-zero");
    assert!(matches!(zero.first(), Some((Level::Warning, text)) if text.contains("BridgeDestroy")), "{zero:?}");
    assert_eq!(of(&report, "connection-log").first().map(|(level, _)| *level), Some(Level::Warning));
}

#[test]
fn an_account_wider_or_narrower_than_the_policy_is_found() {
    let report = accounts_of("weak-manager.conf", &policy());
    let wider = of(&report, "account-wider");
    assert!(matches!(wider.first(), Some((Level::Problem, text)) if text.ends_with("write = all")));
    let help = report.0.iter().find(|f| f.code == "account-wider").map(|f| f.help.clone()).expect("help");
    assert!(help.contains("`write = reporting` in [amiwall]"), "{help}");
    assert_eq!(of(&report, "multiple-logins").first().map(|(level, _)| *level), Some(Level::Problem));
    let more = policy().replace("allow: [Ping,", "allow: [Hangup, Getvar, PJSIPShowEndpoints, Ping,");
    let report = accounts_of("hard-manager.conf", &more.replace("[call, agent]", "[call, VarSet]"));
    let narrower: Vec<&str> = of(&report, "account-narrower").into_iter().map(|(_, text)| text).collect();
    let [actions, events] = narrower.as_slice() else { panic!("{narrower:?}") };
    assert!(
        actions.contains("Hangup (system or call), PJSIPShowEndpoints (system)") && !actions.contains("Getvar"),
        "{actions}"
    );
    assert!(events.ends_with("dialplan"), "{events}");
}

#[test]
fn what_init_writes_is_well() {
    let report = accounts_of("hard-manager.conf", &policy());
    let bad: Vec<_> = report.0.iter().filter(|finding| finding.level > Level::Ok).collect();
    assert!(bad.is_empty(), "{bad:?}");
    assert!(report.0.len() >= 7 && report.exit() == Exit::Ok);
}

#[test]
fn without_a_policy_nothing_is_taken_for_good() {
    let conf = survey(&file("hard-manager.conf")).expect("read");
    let mut report = Report::default();
    accounts::look(&conf, None, "127.0.0.1:5038", &mut report);
    assert_eq!(of(&report, "bypass-account").first().map(|(level, _)| *level), Some(Level::Unknown));
    let mut report = Report::default();
    assert!(read_manager_conf(Path::new("/nowhere/manager.conf"), &mut report).is_none());
    assert!(matches!(report.0.as_slice(), [Finding { level: Level::Unknown, help, .. }] if help.contains("sudo")));
}

#[test]
fn an_account_that_is_not_there_is_told() {
    let report = accounts_of("hard-manager.conf", &policy().replace("username: amiwall", "username: other"));
    assert_eq!(of(&report, "account-unknown").first().map(|(level, _)| *level), Some(Level::Problem));
}

#[test]
fn ami_over_http_needs_both_switches() {
    let (weak, hard) =
        (survey(&file("weak-manager.conf")).expect("read"), survey(&file("hard-manager.conf")).expect("read"));
    let level = |conf: Option<&Survey>, http: &str, running: Option<bool>| {
        let mut report = Report::default();
        web(conf, &file(http), running, &mut report);
        report.0.first().map(|finding| finding.level)
    };
    assert_eq!(level(Some(&weak), "http-on.conf", None), Some(Level::Problem));
    assert_eq!(level(Some(&weak), "http-off.conf", None), Some(Level::Ok));
    assert_eq!(level(Some(&weak), "http-off.conf", Some(true)), Some(Level::Problem), "Asterisk itself counts more");
    assert_eq!(level(Some(&weak), "no-such.conf", None), Some(Level::Warning));
    assert_eq!(level(Some(&hard), "http-on.conf", None), Some(Level::Ok));
    assert_eq!(level(None, "http-on.conf", None), Some(Level::Unknown));
    assert_eq!(level(None, "no-such.conf", None), Some(Level::Unknown));
}

#[test]
fn options_that_open_the_machine_are_found() {
    let levels = |name: &str| {
        let mut report = Report::default();
        dangerous_options(&file(name), &mut report);
        report.0.iter().map(|finding| (finding.code, finding.level)).collect::<Vec<_>>()
    };
    let both = |first, second| vec![("live-dangerously", first), ("exec-includes", second)];
    assert_eq!(levels("asterisk-dangerous.conf"), both(Level::Problem, Level::Warning));
    assert_eq!(levels("asterisk-safe.conf"), both(Level::Ok, Level::Ok));
    assert_eq!(levels("no-such.conf"), both(Level::Unknown, Level::Unknown));
}

#[test]
fn problems_come_first_and_decide_the_exit_code() {
    let mut report = Report::default();
    report.ok("clock", "well");
    report.unknown("ajam", "not seen", "look");
    assert_eq!(report.exit(), Exit::Ok);
    report.problem("port-open", "open", "shut it");
    assert_eq!(report.exit(), Exit::Denied);
    let text = report.text();
    assert!(text.starts_with("PROBLEM port-open: open\n        why: "), "{text}");
    assert!(
        text.contains("ok      clock: well\n") && text.ends_with("problems: 1, warnings: 0, could not look: 1, ok: 1")
    );
}

/// Codes are stable: each is in the table, used, and on the page, and no other is.
#[test]
fn every_code_is_used_and_documented() {
    let known: BTreeSet<&str> = codes::CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(known.len(), codes::CODES.len(), "a code stands twice");
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md")).expect("the page");
    let codes = page.split("## The codes").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
    let rows = codes.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let documented: BTreeSet<&str> = rows.map(|(code, _)| code).collect();
    assert_eq!(documented, known);
    let sources = [
        include_str!("mod.rs"),
        include_str!("accounts.rs"),
        include_str!("host.rs"),
        include_str!("network.rs"),
        include_str!("policy.rs"),
        include_str!("version.rs"),
    ];
    for code in &known {
        let quoted = format!("\"{code}\"");
        assert!(sources.iter().any(|source| source.contains(&quoted)), "{code} is not used");
    }
}
