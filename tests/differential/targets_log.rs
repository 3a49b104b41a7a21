//! Targets with files: the audit log's chain, and policy files.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use amiwall::audit::{Audit, AuditConfig, Draft, SessionContext, verify};
use amiwall::config::{self, Files};

use crate::random::Random;
use crate::targets::seed;

/// A whole log: the name of its segment and its bytes.
fn log() -> &'static (PathBuf, Vec<u8>) {
    static LOG: OnceLock<(PathBuf, Vec<u8>)> = OnceLock::new();
    LOG.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let audit = Audit::open(&AuditConfig::new(folder.path())).expect("a log");
            let context = SessionContext { listener: "127.0.0.1:1".to_owned(), ..SessionContext::default() };
            audit.append((0..20).map(|_| Draft::connect(&context))).await.expect("written");
            audit.close().await.expect("closed");
        });
        let segment = fs::read_dir(folder.path()).expect("a folder").filter_map(|entry| Some(entry.ok()?.path()));
        let segment = segment.into_iter().find(|path| path.extension().is_some_and(|name| name == "jsonl"));
        let segment = segment.expect("a segment");
        let bytes = fs::read(&segment).expect("a segment");
        (PathBuf::from(segment.file_name().expect("a name")), bytes)
    })
}

/// Whatever is done to a record of a log that was closed, or to their order, is found. Cut off at its end it is whole, but
/// its last record is not the one that a log ends with.
pub(crate) fn audit_chain(data: &[u8]) {
    let (name, whole) = log();
    let (seed, changes) = seed(data);
    let mut random = Random::of_seed(seed);
    let mut lines: Vec<Vec<u8>> = whole.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for change in changes.iter().take(4) {
        let (at, other) = (random.below(lines.len()), random.below(lines.len()));
        match change % 6 {
            _ if lines.len() < 2 => {}
            0 => {
                let byte = random.below(lines[at].len());
                lines[at][byte] ^= 1 << (change >> 4 & 7);
            }
            1 => drop(lines.remove(at)),
            2 => lines.swap(at, other),
            3 => lines.truncate(at),
            4 => lines.insert(at, lines[other].clone()),
            _ => {
                let end = random.below(lines[at].len());
                lines[at].truncate(end);
            }
        }
    }
    let changed = lines.concat();
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(name), &changed).expect("written");
    let verified = verify(folder.path());
    if changed == *whole {
        assert!(verified.is_ok_and(|summary| summary.last_kind == "stop"));
    } else if let Ok(summary) = verified {
        assert!(whole.starts_with(&changed) || summary.torn.is_some(), "a change was not found");
        assert!(summary.last_kind != "stop" || summary.torn.is_some(), "what was cut off is not missed");
    }
}

/// No file is a reason to panic, and what is said of it is about a place in it.
pub(crate) fn config_load(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.yaml");
    fs::write(&path, data).expect("written");
    let lines = data.split(|byte| *byte == b'\n').count();
    if let Err(problems) = config::check(&path, Files::Skip) {
        assert!(!problems.is_empty(), "it is refused without a word");
        for problem in problems.iter().filter(|problem| problem.path == path) {
            let line = usize::try_from(problem.line).expect("it fits");
            assert!(line <= lines + 1, "line {line} of {lines}: {}", problem.message);
            assert!(!problem.message.is_empty());
        }
    }
}
