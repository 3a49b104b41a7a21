//! Whatever somebody does to a log that is signed and of which checkpoints are kept elsewhere, it is found out.

use std::fs;

use super::super::chain::{Head, Stamp};
use super::super::{Anchors, Evidence, SigningKey, VerifyError, verify, verify_against};
use super::bench::quick_directory;
use super::random::{Random, report, size};
use super::*;

const THREADS: usize = 4;

/// A segment: its name and its lines, each with its newline.
type File = (String, Vec<Vec<u8>>);
type Log = Vec<File>;

/// Changes a log; it is also given that of another time.
type Form = fn(&mut Log, &mut Random, &Log);

/// What somebody does.
const FORMS: [(&str, Form); 13] = [
    ("a bit is flipped", |log, random, _| {
        let line = any_line(log, random);
        let at = random.below(line.len());
        line[at] ^= 1 << random.below(8);
    }),
    ("a stretch is overwritten", |log, random, _| {
        let line = any_line(log, random);
        let at = random.below(line.len());
        let end = (at + 1 + random.below(40)).min(line.len());
        line[at..end].fill_with(|| u8::try_from(32 + random.below(95)).expect("a byte"));
    }),
    ("a record is deleted", |log, random, _| {
        let at = random.below(count(log));
        with_lines(log, |lines| drop(lines.remove(at)));
    }),
    ("two records are swapped", |log, random, _| {
        let (one, two) = (random.below(count(log)), random.below(count(log)));
        with_lines(log, |lines| lines.swap(one, two));
    }),
    ("a record is there twice", |log, random, _| {
        let (from, to) = (random.below(count(log)), random.below(count(log) + 1));
        with_lines(log, |lines| lines.insert(to, lines[from].clone()));
    }),
    ("a record is inserted", |log, random, _| {
        let at = random.below(count(log));
        with_lines(log, |lines| {
            let mut head = super::super::chain::Record::read(lines[at].trim_ascii_end()).expect("a record").head();
            let mut line = Vec::new();
            head.seal(&mut line, Stamp { time: "2026-11-21T02:00:00.000000Z", mono: 1 }, &[b",\"kind\":\"event\""]);
            lines.insert(at + 1, line);
        });
    }),
    ("a segment is cut off", |log, random, _| {
        let line = any_line(log, random);
        line.truncate(random.below(line.len()));
        line.push(0);
        let (cut, len) = (line.clone(), line.len());
        let lines = &mut log.iter_mut().find(|(_, lines)| lines.contains(&cut)).expect("it is there").1;
        let at = lines.iter().position(|line| *line == cut).expect("it is there");
        lines.truncate(at + 1);
        lines[at].truncate(len - 1);
    }),
    ("the log is cut back", |log, random, _| {
        let mut left = random.below(count(log));
        for (_, lines) in log.iter_mut() {
            let kept = lines.len().min(left);
            lines.truncate(kept);
            left -= kept;
        }
        if random.one_in(2) {
            log.retain(|(_, lines)| !lines.is_empty());
        }
    }),
    ("a segment is deleted", |log, random, _| drop(log.remove(random.below(log.len())))),
    ("a segment is that of another time", |log, random, other| {
        let (to, from) = (random.below(log.len()), random.below(other.len()));
        log[to].1.clone_from(&other[from].1);
    }),
    ("two segments are swapped", |log, random, _| {
        let (one, two) = (random.below(log.len()), random.below(log.len()));
        let lines = log[one].1.clone();
        log[one].1 = std::mem::replace(&mut log[two].1, lines);
    }),
    ("all is made anew from a record on", |log, random, _| rechain(log, random, false)),
    ("all is made anew without its signatures", |log, random, _| rechain(log, random, true)),
];

fn count(log: &Log) -> usize {
    log.iter().map(|(_, lines)| lines.len()).sum()
}

fn any_line<'l>(log: &'l mut Log, random: &mut Random) -> &'l mut Vec<u8> {
    let at = random.below(count(log));
    log.iter_mut().flat_map(|(_, lines)| lines).nth(at).expect("a line")
}

/// Changes the lines of the log and spreads them over the segments as before, the rest in the last.
fn with_lines(log: &mut Log, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let lens: Vec<usize> = log.iter().map(|(_, lines)| lines.len()).collect();
    let mut all: Vec<Vec<u8>> = log.iter_mut().flat_map(|(_, lines)| lines.drain(..)).collect();
    change(&mut all);
    let mut rest = all.into_iter();
    for ((_, lines), len) in log.iter_mut().zip(lens) {
        lines.extend(rest.by_ref().take(len));
    }
    log.last_mut().expect("a segment").1.extend(rest);
}

/// Changes a record and makes every hash behind it anew, as somebody without the key can.
fn rechain(log: &mut Log, random: &mut Random, drops_notes: bool) {
    let changed = random.below(count(log));
    with_lines(log, |lines| {
        let mut head = Head::GENESIS;
        for (index, line) in lines.iter_mut().enumerate() {
            let text = String::from_utf8(line.clone()).expect("UTF-8");
            let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let (start, end) = (text.find(",\"kind\":").expect("a kind"), text.rfind(",\"prev\":").expect("a prev"));
            let mut members = text.get(start..end).expect("members").to_owned();
            if drops_notes && let Some(note) = members.find(",\"note\":") {
                members.truncate(note);
            }
            if index == changed {
                members.push_str(",\"added\":1");
            }
            let time = record["time"].as_str().expect("a time");
            line.clear();
            let stamp = Stamp { time, mono: record["mono"].as_u64().expect("a number") };
            head.seal(line, stamp, &[members.as_bytes()]);
        }
    });
}

/// A signed log in several segments, one run of it behind the other, and what was kept elsewhere of it.
fn make_log(key: &Path, anchor: &Path) -> Log {
    let dir = directory();
    let mut config = AuditConfig::new(dir.path());
    config.segment_size = 4_000;
    config.signing_key = Some(key.to_owned());
    config.anchor = Some(anchor.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    for _ in 0..2 {
        runtime.block_on(async {
            let audit = Audit::open(&config).expect("a log");
            for number in 0..20 {
                audit.append(vec![event(&number.to_string())]).await.expect("written");
            }
            audit.close().await.expect("closed");
        });
    }
    read_log(dir.path())
}

fn read_log(dir: &Path) -> Log {
    let lines =
        |path: &Path| fs::read(path).expect("a segment").split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    segments(dir).iter().map(|path| (name(path), lines(path))).collect()
}

fn write_log(dir: &Path, log: &Log) {
    for path in segments(dir) {
        fs::remove_file(path).expect("it goes");
    }
    for (name, lines) in log {
        fs::write(dir.join(name), lines.concat()).expect("written");
    }
}

/// Which segments there are, and with which record each begins.
fn names(log: &Log) -> Vec<(&String, Option<&Vec<u8>>)> {
    log.iter().map(|(name, lines)| (name, lines.first())).collect()
}

/// Does something to the log, again and again. How often only the signatures or the anchors showed it.
fn tamper(log: &Log, other: &Log, evidence: &Evidence, (seed, times): (u64, usize)) -> usize {
    let (dir, mut random, mut beyond_chain) = (quick_directory(), Random::of_seed(seed), 0);
    let promised: Vec<Vec<u8>> = log.iter().flat_map(|(_, lines)| lines.clone()).take(count(log) - 1).collect();
    let mut done = 0;
    while done < times {
        let (what, form) = FORMS[done % FORMS.len()];
        let mut changed = log.clone();
        form(&mut changed, &mut random, other);
        // Behind the last checkpoint that was kept elsewhere nothing is promised: there is only `stop`.
        if changed.iter().flat_map(|(_, lines)| lines).zip(promised.iter()).filter(|(is, was)| is == was).count()
            == promised.len()
            && names(&changed) == names(log)
        {
            continue;
        }
        write_log(dir.path(), &changed);
        let is_found = match verify_against(dir.path(), evidence, &mut |_, _| ()) {
            Err(VerifyError::Broken { .. } | VerifyError::Empty(_)) => true,
            Err(other @ VerifyError::Io { .. }) => panic!("{what}: {other}"),
            Ok(_) => false,
        };
        assert!(is_found, "{what}, seed {seed}, number {done}: nobody notices");
        beyond_chain += usize::from(done % 50 == 0 && verify(dir.path()).is_ok());
        done += 1;
    }
    beyond_chain
}

#[test]
fn every_tampering_is_found() {
    let mut random = Random::new("T7");
    let dir = directory();
    let [key, public, anchor, other_anchor] =
        ["audit.key", "audit.pub", "anchor", "other"].map(|name| dir.path().join(name));
    let public = SigningKey::create(&key, &public).expect("a pair");
    let (log, other) = (make_log(&key, &anchor), make_log(&key, &other_anchor));
    assert!(log.len() > 3, "{} segments", log.len());
    let anchors = Anchors::load(&anchor).expect("anchors");
    let evidence = Evidence { keys: vec![public], anchors };
    let whole = quick_directory();
    write_log(whole.path(), &log);
    verify_against(whole.path(), &evidence, &mut |_, _| ()).expect("whole");

    let times = size(5_000, 100_000).div_ceil(THREADS);
    let seeds: Vec<u64> = (0..THREADS).map(|_| random.next()).collect();
    let beyond_chain: usize = std::thread::scope(|scope| {
        let threads: Vec<_> =
            seeds.iter().map(|seed| scope.spawn(|| tamper(&log, &other, &evidence, (*seed, times)))).collect();
        threads.into_iter().map(|thread| thread.join().expect("all are found")).sum()
    });
    report(&format!(
        "T7 tampering: {} changes of {} forms to a log of {} records, all found",
        times * THREADS,
        FORMS.len(),
        count(&log)
    ));
    assert!(beyond_chain > 0, "some of it the chain alone does not show");
}

#[test]
fn an_older_copy_of_the_log_is_found_by_what_was_kept_elsewhere() {
    let dir = directory();
    let [key, public, anchor, copy] = ["audit.key", "audit.pub", "anchor", "copy"].map(|name| dir.path().join(name));
    SigningKey::create(&key, &public).expect("a pair");
    let mut config = AuditConfig::new(dir.path().join("audit"));
    (config.signing_key, config.anchor) = (Some(key), Some(anchor.clone()));
    let run = || {
        let audit = Audit::open(&config).expect("a log");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            audit.append(vec![event("A")]).await.expect("written");
            audit.close().await.expect("closed");
        });
    };
    run();
    fs::create_dir(&copy).expect("a folder");
    write_log(&copy, &read_log(&config.directory));
    run();
    // It is put back, and amiwall goes on from there as if nothing had been.
    write_log(&config.directory, &read_log(&copy));
    let evidence = || Evidence { keys: Vec::new(), anchors: Anchors::load(&anchor).expect("anchors") };
    assert!(verify(&config.directory).is_ok(), "in itself it is whole");
    assert!(matches!(verify_against(&config.directory, &evidence(), &mut |_, _| ()), Err(VerifyError::Broken { .. })));
    let before = evidence();
    run();
    assert!(verify(&config.directory).is_ok());
    assert!(matches!(verify_against(&config.directory, &before, &mut |_, _| ()), Err(VerifyError::Broken { .. })));
    report("T8 restored copy: found against what was kept elsewhere, also when amiwall has gone on from it");
}
