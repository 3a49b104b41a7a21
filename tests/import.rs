//! `amiwall import` over files of the shapes that are out there: what comes of each is compared, byte for byte, with what
//! stands beside it. `IMPORT_EXPECT=write cargo test --test import` writes those files anew; look at the difference.

#![expect(clippy::expect_used, reason = "a test says so when it fails")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use amiwall::catalogue;
use amiwall::config::{self, Files};
use amiwall::import::{Imported, import};
use proptest::prelude::*;

/// Relative, so that the paths in the texts are the same everywhere.
const FOLDER: &str = "tests/import";

/// The files to import, without what they include and what is expected of them.
fn sources() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(FOLDER).expect("the folder of examples");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_source = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.ends_with(".conf") && !name.ends_with(".hardened.conf") && name != "acl.conf"
    };
    let mut sources: Vec<PathBuf> = paths.filter(is_source).collect();
    sources.sort();
    sources
}

fn imported(name: &str) -> Imported {
    import(&Path::new(FOLDER).join(name), &[]).expect("imported")
}

/// Compares with the file, or writes it.
fn expect(path: &Path, text: &str, differences: &mut String) {
    if std::env::var_os("IMPORT_EXPECT").is_some_and(|value| value == "write") {
        std::fs::write(path, text).expect("written");
        return;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    if expected != text {
        let line = text.lines().zip(expected.lines()).take_while(|(a, b)| a == b).count() + 1;
        writeln!(differences, "{} differs from line {line} on:\n{text}", path.display()).expect("a string");
    }
}

#[test]
fn each_file_becomes_what_is_expected() {
    let mut differences = String::new();
    let sources = sources();
    assert!(sources.len() >= 12, "{} files were found", sources.len());
    for source in sources {
        match import(&source, &[]) {
            Ok(imported) => {
                expect(&source.with_extension("expected.yaml"), imported.policy(), &mut differences);
                expect(&source.with_extension("notes.txt"), &imported.notes_text(), &mut differences);
                let hardened = imported.manager_conf(|_| None);
                expect(&source.with_extension("hardened.conf"), &hardened, &mut differences);
            }
            Err(error) => expect(&source.with_extension("notes.txt"), &format!("{error}\n"), &mut differences),
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn what_is_expected_is_valid() {
    let mut count = 0;
    for source in sources() {
        let policy = source.with_extension("expected.yaml");
        if policy.exists() {
            let checked = config::check(&policy, Files::Skip);
            assert!(checked.is_ok(), "{}", checked.err().map(|problems| problems.to_string()).unwrap_or_default());
            count += 1;
        }
    }
    assert!(count >= 12, "{count} policies were found");
}

#[test]
fn no_secret_is_in_any_text() {
    for source in sources() {
        let Ok(imported) = import(&source, &[]) else { continue };
        let texts = [imported.policy().to_owned(), imported.notes_text(), imported.manager_conf(|_| None)];
        for secret in imported.client_secrets(&[]) {
            let secret = String::from_utf8_lossy(secret.secret.expose()).into_owned();
            // The header of a policy names its file.
            assert!(texts.iter().all(|text| !text.contains(&secret)), "{}: {secret}", source.display());
        }
        assert!(texts.iter().all(|text| !text.contains("tests-only")), "{}", source.display());
    }
}

#[test]
fn the_policy_alone_is_on_standard_output() {
    let mut amiwall = std::process::Command::new(env!("CARGO_BIN_EXE_amiwall"));
    let output = amiwall.args(["import", "tests/import/freepbx.conf"]).output().expect("run");
    assert!(output.status.success());
    let (policy, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let expected = std::fs::read_to_string("tests/import/freepbx.expected.yaml").expect("the policy");
    assert_eq!(policy, expected);
    assert!(told.contains("manager_additional.conf:12: [crm] is left out") && told.contains("\n[amiwall-admin]\n"));
    assert!(!told.contains("tests-only") && !told.contains("\nsecret ="), "{told}");
    let mut amiwall = std::process::Command::new(env!("CARGO_BIN_EXE_amiwall"));
    let output = amiwall.args(["import", "tests/import/broken.conf"]).output().expect("run");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}

/// An account may run what it has any class of, and what needs none; that is what the policy has to allow.
#[test]
fn rights_are_neither_more_nor_less() {
    let imported = imported("vicidial.conf");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, imported.policy()).expect("written");
    let checked = config::check(&path, Files::Skip).expect("valid");
    let allowed = |role: &str| {
        let role = checked.roles.iter().find(|other| other.name.text == role).expect("a role");
        role.allow.iter().map(|rule| rule.action.text.as_str()).collect::<Vec<_>>()
    };
    let (mut all, everybody) = (allowed("updatecron"), allowed("everybody"));
    all.extend(&everybody);
    all.sort_unstable();
    let has_class = |label: &str| ["command", "reporting"].contains(&label);
    let expected = catalogue::actions().filter(|entry| !entry.is_local && entry.name != "Filter");
    let expected =
        expected.filter(|entry| entry.classes.is_empty() || entry.classes.iter().any(|class| has_class(class.label())));
    let mut expected: Vec<&str> = expected.map(|entry| entry.name).collect();
    expected.sort_unstable();
    assert_eq!(all, expected);
    assert!(everybody.contains(&"BridgeDestroy") && !everybody.contains(&"Originate"));
}

/// What there is of each kind of line, put together at random, with noise between.
fn line() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("admin".to_owned()),
        Just("general".to_owned()),
        Just("null".to_owned()),
        "[a-zA-Z0-9 ._-]{0,90}",
        "\\PC{0,12}",
    ];
    let option = prop_oneof![
        Just("secret"),
        Just("read"),
        Just("write"),
        Just("permit"),
        Just("deny"),
        Just("acl"),
        Just("setvar"),
        Just("eventfilter"),
        Just("eventfilter(action(exclude),name(Hangup))"),
        Just("eventfilter(name(Newchannel),header(Channel))"),
        Just("bindaddr"),
        Just("port"),
        Just("tlsenable"),
        Just("tlsbindaddr"),
        Just("authtimeout"),
        Just("allowmultiplelogin"),
        Just("frob"),
    ];
    let value = prop_oneof![
        Just("all".to_owned()),
        Just("call,,log".to_owned()),
        Just("yes".to_owned()),
        Just("0.0.0.0/0.0.0.0".to_owned()),
        Just("10.0.0.0/8,!10.9.0.0/16".to_owned()),
        Just("::/0".to_owned()),
        Just("::ffff:10.0.0.0/100".to_owned()),
        Just("255.255.255.255:5038".to_owned()),
        Just("Event: (Hangup|Newchannel)".to_owned()),
        Just("!Event: Frob\u{202e}".to_owned()),
        "[0-9.:/]{0,20}",
        "[ -~]{0,30}",
        "\\PC{0,20}",
    ];
    prop_oneof![
        3 => (name.clone(), "(\\(!\\)|\\(\\+\\)|\\(admin\\)|)").prop_map(|(name, tail)| format!("[{name}]{tail}")),
        8 => (option, "( = |=>| += )", value).prop_map(|(option, equals, value)| format!("{option}{equals}{value}")),
        1 => Just("secret = x".to_owned()),
        1 => Just(";-- \n --;".to_owned()),
        1 => "\\PC{0,40}",
    ]
}

fn check_import(bytes: &[u8]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().expect("a folder");
    let (conf, policy) = (folder.path().join("manager.conf"), folder.path().join("policy.yaml"));
    std::fs::write(&conf, bytes).expect("written");
    if let Ok(imported) = import(&conf, &[]) {
        std::fs::write(&policy, imported.policy()).expect("written");
        let checked = config::check(&policy, Files::Skip);
        prop_assert!(checked.is_ok(), "{}\n{}", imported.policy(), checked.expect_err("problems"));
        // What is to be put in its place is a file that Asterisk takes.
        std::fs::write(&conf, imported.manager_conf(|_| Some("secret".to_owned()))).expect("written");
        let again = import(&conf, &[]);
        prop_assert!(again.is_ok(), "{}", again.expect_err("an error"));
        let count = again.expect("imported").client_secrets(&[]).len();
        prop_assert_eq!(count, imported.client_secrets(&[]).len() + 1);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever stands in the file: it is refused, or what comes of it is a valid policy.
    #[test]
    fn no_file_makes_an_invalid_policy(lines in proptest::collection::vec(line(), 0..30)) {
        let text = format!("[admin]\nsecret = x\n{}", lines.join("\n"));
        check_import(text.as_bytes())?;
    }

    #[test]
    fn no_bytes_make_an_invalid_policy(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        check_import(&bytes)?;
        check_import(&[b"[a]\nsecret = ", bytes.as_slice()].concat())?;
    }
}
