use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn args(directory: PathBuf) -> Args {
    Args { directory, asterisk: None, username: None, listen: None, name: Some("pbx.example.net".into()), yes: true }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[test]
fn what_it_writes_is_valid_and_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("new");
    let args = args(folder.clone());
    let told = create(&args).expect("written");
    let place = files::Place::new(&folder);
    let checked = config::check(&place.policy, Files::Open).expect("valid");
    assert!(checked.warnings.is_empty(), "{}", checked.warnings);
    for private in
        [&place.secret, &place.snippet, &place.certs.join("server.key"), &place.certs.join("ca.key"), &place.policy]
    {
        assert_eq!(mode(private), 0o600, "{}", private.display());
    }
    assert_eq!(mode(&folder.join("secrets")), 0o700);
    assert!(
        told.contains("openssl s_client -quiet -verify_quiet -crlf") && told.contains("-connect localhost:5039"),
        "{told}"
    );
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
    let failure = create(&args(folder.path().to_owned())).expect_err("refused");
    assert_eq!(failure.exit, Exit::Incomplete);
    assert!(failure.message.contains("never overwrites"), "{}", failure.message);
    assert!(!folder.path().join("policy.yaml").exists() && !folder.path().join("certs").exists());
}

#[test]
fn answers_cannot_write_into_the_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let hostile: [fn(&mut Args); 4] = [
        |args| args.asterisk = Some("127.0.0.1\nwrite = all:5038".into()),
        |args| args.username = Some("a]\nsecret = x".into()),
        |args| args.listen = Some("everywhere".into()),
        |args| args.name = Some("a b".into()),
    ];
    for spoil in hostile {
        let mut args = args(folder.path().join("new"));
        spoil(&mut args);
        assert_eq!(create(&args).expect_err("refused").exit, Exit::Usage);
        assert!(!folder.path().join("new").exists());
    }
}

#[test]
fn an_asterisk_elsewhere_lets_nobody_in_until_told() {
    let answers = Answers {
        asterisk: "192.0.2.7:5038".into(),
        username: "amiwall".into(),
        listen: "0.0.0.0:5039".parse().expect("an address"),
        name: "proxy".into(),
    };
    let snippet = files::manager_conf(&answers, "s");
    assert!(snippet.contains("bindaddr = 192.0.2.7\n") && !snippet.contains("\npermit = "), "{snippet}");
}
