use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn args(directory: PathBuf) -> Args {
    Args {
        directory,
        asterisk: None,
        username: None,
        manager_conf: None,
        listen: None,
        names: vec!["pbx.example.net".into(), "10.20.0.5".into()],
        client: None,
        may: None,
        extension: None,
        context: None,
        offline: true,
        yes: true,
    }
}

fn create_quietly(args: &Args) -> Result<String, Failure> {
    create(args, |told| panic!("{told}"))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[test]
fn what_it_writes_is_valid_and_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("new");
    let args = args(folder.clone());
    let told = create_quietly(&args).expect("written");
    let place = files::Place::new(&folder);
    let checked = config::check(&place.policy, Files::Open).expect("valid");
    assert!(checked.warnings.is_empty(), "{}", checked.warnings);
    for private in
        [&place.secret, &place.snippet, &place.certs.join("server.key"), &place.certs.join("ca.key"), &place.policy]
    {
        assert_eq!(mode(private), 0o600, "{}", private.display());
    }
    for folder in ["", "secrets", "audit"] {
        assert_eq!(mode(&place.policy.with_file_name(folder)), 0o700, "{folder}");
    }
    let names = crate::tls::names_in(&place.certs.join("server.crt")).expect("a certificate");
    assert_eq!(names, ["pbx.example.net", "10.20.0.5", "localhost", "127.0.0.1", "::1"]);
    let unit = std::fs::read_to_string(&place.unit).expect("a unit");
    let policy_path = place.policy.display().to_string();
    assert!(unit.lines().any(|line| line.starts_with("ExecStart=/") && line.ends_with(&format!(" run {policy_path}"))));
    assert!(unit.contains(&format!("\nReadWritePaths={}\n", place.audit.display())));
    assert!(
        told.contains("openssl s_client -quiet -verify_quiet -crlf") && told.contains("-connect localhost:5039"),
        "{told}"
    );
    assert!(files::is_for_a_service(Path::new("/etc/amiwall")) && !files::is_for_a_service(Path::new("/root/amiwall")));
    let secret = std::fs::read_to_string(&place.secret).expect("a secret");
    let snippet = std::fs::read_to_string(&place.snippet).expect("a snippet");
    assert!(snippet.contains(&format!("\nsecret = {}\n", secret.trim())));
    for line in ["bindaddr = 127.0.0.1", "port = 5038", "webenabled = no", "[amiwall]", "deny = 0.0.0.0/0.0.0.0"] {
        assert!(snippet.contains(&format!("\n{line}\n")), "{line}");
    }
    let policy = std::fs::read_to_string(&place.policy).expect("a policy");
    assert!(!policy.contains(secret.trim()) && !told.contains(secret.trim()));
}

#[test]
fn never_overwrites() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("manager.conf.snippet"), "mine").expect("written");
    let failure = create_quietly(&args(folder.path().to_owned())).expect_err("refused");
    assert_eq!(failure.exit, Exit::Incomplete);
    assert!(failure.message.contains("never overwrites"), "{}", failure.message);
    assert!(!folder.path().join("policy.yaml").exists() && !folder.path().join("certs").exists());
}

#[test]
fn answers_cannot_write_into_the_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let hostile: [fn(&mut Args); 8] = [
        |args| args.asterisk = Some("127.0.0.1\nwrite = all:5038".into()),
        |args| args.username = Some("a]\nsecret = x".into()),
        |args| args.listen = Some("everywhere".into()),
        |args| args.names.push("b:\n".into()),
        |args| args.client = Some("x: {".into()),
        |args| (args.may, args.extension) = (Some(Role::ClickToDial), Some("1001\"".into())),
        |args| (args.may, args.context) = (Some(Role::ClickToDial), Some("a, b".into())),
        |args| args.names = vec!["a b".into()],
    ];
    for spoil in hostile {
        let mut args = args(folder.path().join("new"));
        spoil(&mut args);
        assert_eq!(create_quietly(&args).expect_err("refused").exit, Exit::Usage);
        assert!(!folder.path().join("new").exists());
    }
}

#[test]
fn the_section_for_all_accounts_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["general", "General"] {
        let mut args = args(folder.path().join("new"));
        args.username = Some(name.into());
        let failure = create_quietly(&args).expect_err("refused");
        assert_eq!(failure.exit, Exit::Usage);
        let why = format!("--username {name}: [general] of manager.conf holds for all accounts and is none");
        assert!(failure.message.starts_with(&why), "{}", failure.message);
        assert!(!args.directory.exists());
    }
}

/// pyst2 sends `EarlyMedia: false` with every Originate, which is what Asterisk does without it.
#[test]
fn click_to_dial_is_no_obstacle_to_a_library_that_sends_what_is_so_anyway() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut args = args(folder.path().join("new"));
    (args.may, args.client) = (Some(Role::ClickToDial), Some("crm".into()));
    create_quietly(&args).expect("written");
    let checked = config::check(&files::Place::new(&args.directory).policy, Files::Open).expect("valid");
    let is_allowed = |media: &str| {
        let call = "Action: Originate\r\nChannel: PJSIP/1001\r\nExten: 2125551234\r\nContext: click-to-dial\r\n\
                    Priority: 1\r\nAsync: yes\r\n";
        let desk = super::super::judge::Desk::of(&checked, "crm").expect("the client");
        let judged = desk.judge_all(format!("{call}EarlyMedia: {media}\r\n\r\n").as_bytes());
        let [super::super::judge::Judged::Action(explanation)] = judged.as_slice() else { panic!("{judged:?}") };
        matches!(explanation.decision, crate::policy::Decision::Allow(_))
    };
    assert_eq!(["false", "true"].map(is_allowed), [true, false], "early media is nothing for everybody");
}

#[test]
fn every_role_is_valid_and_its_account_has_what_it_takes() {
    for role in Role::ALL {
        let folder = tempfile::tempdir().expect("a folder");
        let mut args = args(folder.path().join("new"));
        (args.may, args.client) = (Some(role), Some("first-1".into()));
        let told = create_quietly(&args).expect("written");
        assert!(told.contains("Username: first-1\n"), "{told}");
        let place = files::Place::new(&args.directory);
        let checked = config::check(&place.policy, Files::Open).expect("valid");
        assert!(checked.warnings.is_empty(), "{}", checked.warnings);
        let found = super::super::doctor::weak_accounts(&place.snippet, &checked);
        assert!(found.is_empty(), "{}: {found:?}", role.name());
    }
}

#[test]
fn the_secret_of_an_account_that_is_there_is_taken_and_nowhere_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = folder.path().join("manager.conf");
    let text = "[general]\nport = 5099\n[amiwall]\nsecret = its-old-secret\n[empty]\nsecret =\n";
    std::fs::write(&conf, text).expect("written");
    let mut args = args(folder.path().join("new"));
    args.manager_conf = Some(conf.clone());
    let told = create_quietly(&args).expect("written");
    let place = files::Place::new(&args.directory);
    let read = |path: &Path| std::fs::read_to_string(path).expect("read");
    assert_eq!(read(&place.secret), "its-old-secret\n");
    assert!(read(&place.policy).contains("address: \"127.0.0.1:5099\""), "the port of the file");
    assert!(!read(&place.snippet).contains("its-old-secret") && !told.contains("its-old-secret"));
    assert_eq!(read(&conf), text, "Asterisk's file is as it was");
    args.directory = folder.path().join("other");
    args.username = Some("empty".into());
    let failure = create_quietly(&args).expect_err("refused");
    assert!(failure.message.contains("anybody could log in"), "{}", failure.message);
    assert!(!args.directory.exists());
}

#[test]
fn a_folder_that_is_there_is_filled_and_what_is_in_it_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("notes"), "mine").expect("written");
    create_quietly(&args(folder.path().to_owned())).expect("written");
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    let wanted = ["amiwall.service", "audit", "certs", "manager.conf.snippet", "notes", "policy.yaml", "secrets"];
    assert_eq!(names, wanted);
}

#[test]
fn an_asterisk_that_is_not_there_is_told_and_stops_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut args = args(folder.path().join("new"));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    (args.asterisk, args.offline) = (Some(closed.to_string()), false);
    let told = std::cell::RefCell::new(String::new());
    create(&args, |text| told.borrow_mut().push_str(text)).expect("written");
    assert!(told.borrow().contains("cannot be reached") && told.borrow().contains("enabled = yes"), "{told:?}");
}

#[test]
fn an_asterisk_elsewhere_lets_nobody_in_until_told() {
    let mut args = args(PathBuf::from("unused"));
    args.asterisk = Some("192.0.2.7:5038".into());
    let answers = ask::answers(&args).expect("answers");
    let snippet = files::manager_conf(&answers, Some("s"));
    assert!(snippet.contains("bindaddr = 192.0.2.7\n") && !snippet.contains("\npermit = "), "{snippet}");
}
