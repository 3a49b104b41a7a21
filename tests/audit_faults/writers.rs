//! One log has one writer, whatever name its directory goes by.

use std::path::{Path, PathBuf};
use std::process::Command;

use amiwall::audit::verify;

use crate::asterisk::{Answer, Client, asterisk};
use crate::log::marks;
use crate::random::report;
use crate::wall::{Wall, command, write_policy};

/// The path of the directory, and other names of it: through a symlink to it, to its parent, to its file system.
fn names(folder: &Path, log: &Path) -> Vec<(&'static str, PathBuf)> {
    std::os::unix::fs::symlink(log, folder.join("link")).expect("a link");
    std::os::unix::fs::symlink(folder, folder.join("above")).expect("a link");
    let mut names = vec![
        ("its own path", log.to_owned()),
        ("a symlink", folder.join("link")),
        ("a symlinked parent", folder.join("above").join("audit")),
        ("a path with dots", log.join("..").join("audit")),
    ];
    let bound = folder.join("bound");
    std::fs::create_dir(&bound).expect("a directory");
    // In a mount namespace of the test's own; tests/steps/trail-faults.sh makes one.
    if std::env::var_os("AMIWALL_TEST_MAY_MOUNT").is_some() {
        let status = Command::new("mount").arg("--bind").arg(log).arg(&bound).status().expect("mount runs");
        assert!(status.success(), "a bind mount is possible here");
        names.push(("a bind mount", bound));
    }
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_writer_is_refused_by_every_name_of_the_directory() {
    let kept = tempfile::tempdir().expect("a folder");
    let folder = kept.path();
    let other = tempfile::tempdir().expect("a folder");
    let log = folder.join("audit");
    let upstream = asterisk(|_| {}).await;
    let wall = Wall::start(&write_policy(folder, upstream, &log, "")).await;
    let mut client = Client::login(wall.address).await.expect("a session");
    assert_eq!(client.act(1).await, Some(Answer::Done));
    // A copy of the program is no other program.
    let copy = other.path().join("amiwall-copy");
    std::fs::copy(env!("CARGO_BIN_EXE_amiwall"), &copy).expect("a copy");
    let names = names(folder, &log);
    for (what, name) in &names {
        let policy = write_policy(other.path(), upstream, name, "");
        let mut copied = tokio::process::Command::new(&copy);
        copied.arg("run").arg(&policy);
        for command in [command(&policy), copied] {
            let said = Wall::start_with(command).await.err().unwrap_or_else(|| panic!("two writers, by {what}"));
            let holder = format!("in use by another amiwall (process {})", wall.id());
            assert!(said.contains(&holder), "{what}: {said}");
        }
    }
    assert_eq!(client.act(2).await, Some(Answer::Done));
    let id = wall.id();
    assert!(wall.stop(id).await);
    verify(&log).expect("the chain is whole");
    assert_eq!(marks(&log), [1, 2].into());
    report(&format!("T8 second writer: refused by {} names of the directory, also a copy of the program", names.len()));
    if let Some((_, bound)) = names.iter().find(|(what, _)| *what == "a bind mount") {
        Command::new("umount").arg(bound).status().expect("umount runs");
    }
}
