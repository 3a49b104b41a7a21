use std::os::unix::fs::PermissionsExt as _;

use super::*;

const CONF: &str = "[general]\nenabled = yes\nbindaddr = 127.0.0.1\n[admin]\nsecret = correct horse\nread = all\n\
                    write = call\n[dialer]\nsecret = old-dialer\nwrite = originate\nsetvar = A=1\n";

fn args(folder: &Path, challenge: &[&str]) -> Args {
    let conf = folder.join("manager.conf");
    std::fs::write(&conf, CONF).expect("written");
    let challenge = challenge.iter().map(|name| (*name).to_owned()).collect();
    Args { manager_conf: conf, output: folder.join("out"), challenge }
}

#[test]
fn what_it_writes_works_and_is_private() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = args(folder.path(), &["Dialer"]);
    assert_eq!(run(&args).expect("imported"), Exit::Ok);
    let out = &args.output;
    let read = |name: &str| std::fs::read_to_string(out.join(name)).expect(name);
    let checked = config::check(&out.join("policy.yaml"), Files::Open).expect("valid with its files");
    let identity = |name: &str| checked.identities.iter().find(|identity| identity.name == name).expect("there");
    assert!(identity("dialer").challenge && !identity("admin").challenge);
    let secrets = ["secrets/admin.secret", "secrets/dialer.secret", "secrets/asterisk/amiwall-admin.secret"];
    for private in secrets.into_iter().chain(["secrets/asterisk/amiwall.secret", "manager.conf.hardened"]) {
        let mode = std::fs::metadata(out.join(private)).expect(private).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{private}");
    }
    assert_eq!(std::fs::metadata(out.join("secrets")).expect("a folder").permissions().mode() & 0o777, 0o700);
    assert!(read("secrets/admin.secret").starts_with("$argon2id$"));
    assert_eq!(read("secrets/dialer.secret"), "old-dialer\n");
    let conf = read("manager.conf.hardened");
    for account in ["amiwall", "amiwall-admin", "amiwall-dialer"] {
        let secret = read(&format!("secrets/asterisk/{account}.secret"));
        assert!(conf.contains(&format!("[{account}]\nsecret = {secret}")), "{account}");
    }
    for text in [conf, read("policy.yaml")] {
        assert!(!text.contains("correct horse") && !text.contains("old-dialer"));
    }
}

#[test]
fn never_overwrites() {
    for there in ["policy.yaml", "manager.conf.hardened", "secrets"] {
        let folder = tempfile::tempdir().expect("a folder");
        let args = args(folder.path(), &[]);
        std::fs::create_dir(&args.output).expect("made");
        std::fs::write(args.output.join(there), "mine").expect("written");
        let failure = run(&args).expect_err("refused");
        assert_eq!(failure.exit, Exit::Incomplete);
        assert!(failure.message.contains("never overwrites"), "{}", failure.message);
        assert_eq!(std::fs::read_dir(&args.output).expect("a folder").count(), 1);
    }
}

#[test]
fn an_account_that_is_not_there_has_no_challenge() {
    let folder = tempfile::tempdir().expect("a folder");
    let failure = run(&args(folder.path(), &["nobody"])).expect_err("refused");
    assert!(failure.message.contains("no account `nobody`"), "{}", failure.message);
    assert!(!folder.path().join("out").exists());
}
