//! Asterisk receives nothing whose record is not durable: many clients, and a disk that takes its time.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::recover::recover;
use super::super::segment::{Change, Directory, SegmentFile, Storage};
use super::asterisk::{Answer, Client, asterisk};
use super::random::{Random, report, size};
use super::*;
use crate::config::Config;
use crate::daemon::{Activated, Daemon};
use crate::identity::LoginMemory;
use crate::listener::Lanes;

const CLIENTS: usize = 200;

/// The marks of all actions whose record a sync has covered.
type Durable = Arc<Mutex<HashSet<u64>>>;

/// A directory whose syncs take up to 50 ms.
struct Slow {
    directory: Directory,
    durable: Durable,
    random: Arc<Mutex<Random>>,
}

struct SlowFile {
    file: std::fs::File,
    unsynced: Mutex<Vec<u8>>,
    durable: Durable,
    random: Arc<Mutex<Random>>,
}

impl Slow {
    fn file(&self, file: std::fs::File) -> SlowFile {
        let (durable, random) = (Arc::clone(&self.durable), Arc::clone(&self.random));
        SlowFile { file, unsynced: Mutex::default(), durable, random }
    }
}

impl Storage for Slow {
    type File = SlowFile;

    fn create(&mut self, name: &str) -> io::Result<SlowFile> {
        self.directory.create(name).map(|file| self.file(file))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.directory.remove(name)
    }

    fn set_aside(&self, name: &str) -> io::Result<Option<String>> {
        self.directory.set_aside(name)
    }

    fn check(&mut self, name: &str, file: &SlowFile, len: u64) -> io::Result<Option<Change>> {
        self.directory.check(name, &file.file, len)
    }

    fn restore(&mut self, name: &str, file: &SlowFile, len: u64) -> io::Result<SlowFile> {
        self.directory.restore(name, &file.file, len).map(|file| self.file(file))
    }

    fn create_wal(&self) -> io::Result<SlowFile> {
        self.directory.create_wal().map(|file| self.file(file))
    }

    fn remove_wal(&self) -> io::Result<()> {
        Storage::remove_wal(&self.directory)
    }

    fn has_wal(&self, file: &SlowFile) -> io::Result<bool> {
        self.directory.has_wal(&file.file)
    }

    fn directory(&self) -> Option<&Path> {
        None
    }
}

impl SegmentFile for SlowFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let len = SegmentFile::write(&self.file, bytes)?;
        self.unsynced.lock().expect("the bytes").extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: usize) -> io::Result<usize> {
        let len = SegmentFile::write_at(&self.file, bytes, offset)?;
        self.unsynced.lock().expect("the bytes").extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn sync(&self) -> io::Result<()> {
        // What is written while it runs is not covered by it.
        let covered = std::mem::take(&mut *self.unsynced.lock().expect("the bytes"));
        // The time that a sync takes is the subject: what does not wait for it is seen too early.
        let delay = self.random.lock().expect("a delay").below(50_000);
        std::thread::sleep(Duration::from_micros(u64::try_from(delay).expect("small")));
        self.file.sync()?;
        let text = String::from_utf8(covered).expect("UTF-8");
        let marks = text.lines().filter(|line| line.contains(r#""kind":"action""#)).filter_map(|line| {
            let (mark, _) = line.split_once(r#"["Mark",""#)?.1.split_once('"')?;
            Some(mark.parse::<u64>().expect("a number"))
        });
        self.durable.lock().expect("the marks").extend(marks);
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
}

fn config(folder: &Path, upstream: std::net::SocketAddr) -> Config {
    let policy = format!(
        r#"version: 1
listeners: [{{ address: "127.0.0.1:0", plaintext: true }}]
upstreams: {{ pbx: {{ address: "{upstream}", username: amiwall, secret: {{ file: secret }} }} }}
audit: {{ directory: audit }}
limits: {{ connections: 1000, connections_per_address: 1000, unauthenticated: 1000, unauthenticated_per_address: 1000 }}
roles: {{ client: {{ allow: [UserEvent] }} }}
identities: {{ client: {{ roles: [client], secret: {{ file: secret }}, challenge: true }} }}
"#
    );
    for (name, text) in [("secret", "s3cret"), ("policy.yaml", &policy)] {
        std::fs::write(folder.join(name), text).expect("it is written");
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).expect("a mode");
    }
    Config::load(&folder.join("policy.yaml")).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn asterisk_receives_nothing_before_its_record_is_durable() {
    let actions = size(10_000, 1_000_000);
    let (folder, log) = (directory(), directory());
    let durable = Durable::default();
    let (received, too_early) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let upstream = {
        let (durable, received, too_early) = (Arc::clone(&durable), Arc::clone(&received), Arc::clone(&too_early));
        let on_mark = move |mark| {
            received.fetch_add(1, Ordering::Relaxed);
            if !durable.lock().expect("the marks").contains(&mark) {
                too_early.lock().expect("the marks").push(mark);
            }
        };
        asterisk(on_mark).await
    };
    let directory = Directory::open(log.path()).expect("a directory");
    let recovered = recover(&directory).expect("a log");
    let random = Arc::new(Mutex::new(Random::new("T1")));
    let storage = Slow { directory, durable, random };
    let audit = Audit::start(&AuditConfig::new(log.path()), storage, None, recovered).expect("a log");
    let config = config(folder.path(), upstream);
    let restored = (Arc::default(), Arc::new(LoginMemory::new(config.failed_logins)));
    let daemon = Daemon::start_with(&config, audit, restored, Activated::default(), Lanes::of_caller())
        .await
        .expect("it starts");
    let address = daemon.addresses()[0];
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            tokio::spawn(async move {
                let mut session = Client::login(address).await.expect("a session");
                for mark in (client..actions).step_by(CLIENTS) {
                    let mark = u64::try_from(mark).expect("it fits");
                    assert_eq!(session.act(mark).await, Some(Answer::Done));
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("every action is done");
    }
    let received = received.load(Ordering::Relaxed);
    let too_early = too_early.lock().expect("the marks").clone();
    assert!(too_early.is_empty(), "received before their records were durable: {too_early:?}");
    assert_eq!(received, actions);
    report(&format!("T1 order: {received} actions of {CLIENTS} clients received, 0 before their records were durable"));
}
