//! Which logs a start goes on with.

use std::fs;

use super::super::{
    Anchors, BadRecord, Evidence, OnBroken, SigningKey, StartOptions, VerifyingKey, verify, verify_against,
};
use super::trail::{problem, rechain};
use super::*;

#[tokio::test]
async fn a_broken_log_is_set_aside_only_when_told_to() {
    let dir = directory();
    let audit = open(dir.path());
    for _ in 0..3 {
        audit.append(vec![event("A")]).await.expect("written");
    }
    audit.close().await.expect("closed");
    let segment = segments(dir.path()).remove(0);
    let text = fs::read_to_string(&segment).expect("a segment");
    fs::write(&segment, text.replacen("PJSIP/1", "PJSIP/2", 1)).expect("written");
    let config = AuditConfig::new(dir.path());
    assert!(Audit::open(&config).is_err());
    Audit::open_with(&config, StartOptions { on_broken: OnBroken::SetAside, ..StartOptions::default() })
        .expect("a log")
        .close()
        .await
        .expect("closed");
    assert!(verify(dir.path()).is_ok());
    let found = &records(dir.path())[0];
    assert_eq!((&found["kind"], &found["reason"]), (&"recovery".into(), &"audit.broken".into()));
    assert_eq!((&found["file"], &found["at"]), (&"broken-1".into(), &"audit-00000000000000000001.jsonl:2".into()));
    assert!(matches!(problem(verify(&dir.path().join("broken-1"))), BadRecord::Hash));
}

/// An unsigned log, and the settings that would sign it.
async fn unsigned(dir: &Path) -> AuditConfig {
    let key = dir.join("audit.key");
    SigningKey::create(&key, &dir.join("audit.pub")).expect("a key");
    let plain = AuditConfig::new(dir.join("log"));
    let audit = Audit::open(&plain).expect("a log");
    audit.append(vec![event("A")]).await.expect("written");
    audit.close().await.expect("closed");
    AuditConfig { signing_key: Some(key), ..plain }
}

#[tokio::test]
async fn a_start_signs_nothing_that_it_may_not_have_written_unless_told_to() {
    let dir = directory();
    let config = unsigned(dir.path()).await;
    let refused = Audit::open(&config).expect_err("unsigned").to_string();
    assert!(refused.contains("--sign-from-here"), "{refused}");
    let told = StartOptions { sign_from_here: true, ..StartOptions::default() };
    Audit::open_with(&config, told).expect("a log").close().await.expect("closed");
    let key = VerifyingKey::load(&dir.path().join("audit.pub")).expect("a key");
    let evidence = Evidence { keys: vec![key], anchors: Anchors::default() };
    let summary = verify_against(&config.directory, &evidence, &mut |_, _| ()).expect("whole");
    assert_eq!(summary.adopted, Some(3));
    // From now on nobody has to be told.
    Audit::open(&config).expect("a log").close().await.expect("closed");
    // What somebody has put behind the end is not taken over, even if the chain is right.
    let segment = segments(&config.directory).remove(0);
    let mut text = fs::read_to_string(&segment).expect("a segment");
    let last = text.lines().last().expect("a record").to_owned();
    for hours in 0..4 {
        let later = last.replacen("\"time\":\"20", &format!("\"time\":\"3{hours}"), 1);
        text += &format!("{later}\n");
    }
    fs::write(&segment, text).expect("written");
    let mut notes = 0;
    rechain(&segment, |_, line| notes += usize::from(line.contains("\"note\"")));
    assert!(notes > 0);
    assert!(Audit::open(&config).is_err());
}

#[tokio::test]
async fn a_key_can_be_changed_by_somebody_who_says_so() {
    let dir = directory();
    let config = unsigned(dir.path()).await;
    let told = StartOptions { sign_from_here: true, ..StartOptions::default() };
    Audit::open_with(&config, told).expect("a log").close().await.expect("closed");
    let other = dir.path().join("other.key");
    SigningKey::create(&other, &dir.path().join("other.pub")).expect("a key");
    let config = AuditConfig { signing_key: Some(other), ..config };
    assert!(Audit::open(&config).is_err());
    Audit::open_with(&config, told).expect("a log").close().await.expect("closed");
    Audit::open(&config).expect("the new key's log").close().await.expect("closed");
    let load = |name| VerifyingKey::load(&dir.path().join(name)).expect("a key");
    let verify =
        |keys| verify_against(&config.directory, &Evidence { keys, anchors: Anchors::default() }, &mut |_, _| ());
    assert!(verify(vec![load("audit.pub"), load("other.pub")]).is_ok());
    let BadRecord::Signature { signer } = problem(verify(vec![load("other.pub")])) else { panic!("another problem") };
    assert_eq!(signer, load("audit.pub").name());
}
