//! The writer of the log by itself: how many durable records it takes in a second from callers that ask for one after the
//! other, in threads as those that serve connections. Beside it is what the disk can do at most: as many bytes, written and
//! synced by one thread that does nothing else.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use amiwall::ami::{Action, Decoder, Limits};
use amiwall::audit::{Audit, AuditConfig, Draft, Frame, SessionContext};
use amiwall::identity::ClientName;
use amiwall::policy::spec::{ClientSpec, PolicySpec, RoleSpec, RuleSpec, Spanned};
use amiwall::policy::{Decision, Policy};

use crate::client::Failure;
use crate::report::Once;
use crate::stats::{median, ratios};
use crate::targets::{Kind, Tools};
use crate::work::as_f64;

/// As the sessions of two processors are served.
const THREADS: u64 = 2;
const CALLERS: u64 = 100;
const PASSES: usize = 3;
/// How long a pass is, and each of the two measurements of the disk around it.
const PASS: Duration = Duration::from_secs(3);
const DISK: Duration = Duration::from_secs(1);

/// What each record says.
struct Said {
    frame: Frame,
    decision: Decision,
}

pub(crate) fn run(tools: &Tools, length: f64, once: &mut Once) -> Result<(), Failure> {
    let folder = tools.folder.join("writer");
    let config = AuditConfig {
        signing_key: Some(tools.folder.join("certs/audit.key")),
        ..AuditConfig::new(folder.join("audit"))
    };
    let audit = Audit::open(&config)?;
    let said = Arc::new(Said { frame: frame(), decision: decision()? });
    let record_len = record_len(&audit, &said, &config.directory)?;
    let (mut taken, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..PASSES {
        let before = group_commits_per_s(&folder, record_len, DISK.mul_f64(length))?;
        taken.push(records_per_s(&audit, &said, PASS.mul_f64(length))?);
        let after = group_commits_per_s(&folder, record_len, DISK.mul_f64(length))?;
        bare.push(2.0 / (1.0 / before + 1.0 / after));
    }
    let what = format!("{CALLERS} callers at the writer, durable records/s");
    let beside = format!("{:.2} of a bare group commit", median(&ratios(&taken, &bare)));
    once.add(what, Kind::Synced, median(&taken), beside);
    let what = format!("group commit, {CALLERS} × {record_len}-byte records, records/s");
    once.add(what, Kind::Direct, median(&bare), String::new());
    Ok(())
}

/// All callers, each with one record outstanding.
fn records_per_s(audit: &Audit, said: &Arc<Said>, long: Duration) -> Result<f64, Failure> {
    let at = Instant::now();
    let threads: Vec<_> = (0..THREADS).map(|_| serve(audit.clone(), said.clone(), at + long)).collect();
    let mut count = 0;
    for thread in threads {
        count += thread.join().map_err(|_| "a thread of callers has panicked")??;
    }
    Ok(as_f64(count) / at.elapsed().as_secs_f64())
}

/// A thread as those that serve connections, with its part of the callers. It says how many records are on disk.
fn serve(audit: Audit, said: Arc<Said>, until: Instant) -> JoinHandle<Result<u64, String>> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        runtime.spawn(audit.gather());
        runtime.block_on(async {
            let call = || tokio::spawn(call(audit.clone(), said.clone(), until));
            let callers: Vec<_> = (0..CALLERS / THREADS).map(|_| call()).collect();
            let mut count = 0;
            for caller in callers {
                count += caller.await.map_err(|e| e.to_string())??;
            }
            Ok(count)
        })
    })
}

/// One caller: at least one record, however late its thread has begun.
async fn call(audit: Audit, said: Arc<Said>, until: Instant) -> Result<u64, String> {
    let mut count = 0;
    loop {
        let draft = Draft::action(&said.frame, "5e2b9c01-37.1", &said.decision);
        audit.commit(draft).await.map_err(|e| e.to_string())?;
        count += 1;
        if Instant::now() >= until {
            return Ok(count);
        }
    }
}

/// How long a record is: what the log has grown by, for some hundred of them.
fn record_len(audit: &Audit, said: &Arc<Said>, folder: &Path) -> Result<usize, Failure> {
    let records = || -> Result<(usize, usize), Failure> {
        let mut texts = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                texts.push(fs::read(path)?);
            }
        }
        let text = texts.concat();
        // Behind the records there may be room that is not written yet.
        let lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        Ok(lines.fold((0, 0), |(count, len), line| (count + 1, len + line.len())))
    };
    let (count, len) = records()?;
    records_per_s(audit, said, Duration::from_millis(20))?;
    let (more, longer) = records()?;
    (longer - len).checked_div(more - count).ok_or_else(|| "the log does not grow".into())
}

/// So many records of that length as there are callers, written and synced together, again and again.
fn group_commits_per_s(folder: &Path, len: usize, long: Duration) -> Result<f64, Failure> {
    let mut file = File::create(folder.join("sync"))?;
    let records = vec![b'x'; len * usize::try_from(CALLERS)?];
    let (at, mut count) = (Instant::now(), 0);
    while at.elapsed() < long {
        file.write_all(&records)?;
        file.sync_data()?;
        count += CALLERS;
    }
    Ok(as_f64(count) / at.elapsed().as_secs_f64())
}

fn frame() -> Frame {
    Frame::from(SessionContext {
        session: "5e2b9c01-37".to_owned(),
        identity: Some("bench".to_owned()),
        peer: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 40_001))),
        proxy: None,
        listener: "127.0.0.1:5039".to_owned(),
        upstream: "pbx".to_owned(),
        policy: format!("sha256:{}", "0123456789abcdef".repeat(4)),
    })
}

/// A Ping that is allowed.
fn decision() -> Result<Decision, Failure> {
    let named = |text: &str| Spanned { text: text.to_owned(), ..Spanned::default() };
    let allow = vec![RuleSpec { action: named("Ping"), params: None }];
    let role = RoleSpec { name: named("role"), allow, ..RoleSpec::default() };
    let client = ClientSpec { name: named("bench"), roles: vec![named("role")], ..ClientSpec::default() };
    let spec = PolicySpec { roles: vec![role], clients: vec![client], ..PolicySpec::default() };
    let (policy, _) = Policy::compile(spec).map_err(|_| "the policy is wrong")?;
    let mut decoder = Decoder::client(Limits::CLIENT);
    decoder.feed(b"Action: Ping\r\nActionID: 4711\r\n\r\n");
    let message = decoder.next_message().ok_or("no packet")?.map_err(|malformed| malformed.violation.message())?;
    let action = Action::try_from(message).map_err(|(error, _)| error)?;
    match policy.decide(&ClientName::for_explain("bench"), action, "5e2b9c01-37.1") {
        allowed @ Decision::Allow(_) => Ok(allowed),
        Decision::Deny(_) => Err("the Ping is not allowed".into()),
    }
}
