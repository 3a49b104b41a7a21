//! [`SecurityLog`]: lines in the form of Asterisk's own `security` channel, with the true address of the client, for
//! programs that shut out addresses. Best effort: nothing waits for it.
//!
//! INVARIANT: a line's values are of fixed alphabets (`account`), so no client can forge a field or a line.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::networks::host_network;

/// Lines that may wait to be written; what comes then is counted.
const WAITING_MAX: usize = 4_096;
/// Lines about one address (of IPv6, a /64) in a minute: more than any program needs to shut it out. And about all together:
/// who is not logged in must not be able to fill the disk.
const ADDRESS_LINES_MAX: u32 = 10;
const BYTES_MAX: usize = 256 * 1_024;
/// From here on an address has two lines: the first of an address are worth more than the tenth of another.
const BYTES_SCARCE: usize = BYTES_MAX / 2;
const SCARCE_LINES_MAX: u32 = 2;
/// Addresses that are told apart in a minute: more have no room for a line each.
const ADDRESSES_MAX: usize = 4_096;
const WINDOW: Duration = Duration::from_secs(60);
/// A longer name is cut.
const ACCOUNT_LEN_MAX: usize = 64;

/// What Asterisk calls such an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Asterisk's")]
pub enum SecurityKind {
    ChallengeResponseFailed,
    FailedAcl,
    InvalidAccountId,
    InvalidPassword,
    RequestBadFormat,
    RequestNotAllowed,
    SessionLimit,
    SuccessfulAuth,
}

impl SecurityKind {
    const fn name(self) -> &'static str {
        match self {
            Self::ChallengeResponseFailed => "ChallengeResponseFailed",
            Self::FailedAcl => "FailedACL",
            Self::InvalidAccountId => "InvalidAccountID",
            Self::InvalidPassword => "InvalidPassword",
            Self::RequestBadFormat => "RequestBadFormat",
            Self::RequestNotAllowed => "RequestNotAllowed",
            Self::SessionLimit => "SessionLimit",
            Self::SuccessfulAuth => "SuccessfulAuth",
        }
    }

    const fn severity(self) -> &'static str {
        match self {
            Self::SuccessfulAuth => "Informational",
            Self::ChallengeResponseFailed
            | Self::FailedAcl
            | Self::InvalidAccountId
            | Self::InvalidPassword
            | Self::RequestBadFormat
            | Self::RequestNotAllowed
            | Self::SessionLimit => "Error",
        }
    }
}

/// What somebody did.
#[derive(Clone, Copy, Debug)]
pub struct SecurityEvent<'a> {
    /// What.
    pub kind: SecurityKind,
    /// The identity; None if there is none of that name: what was typed there may be a secret.
    pub account: Option<&'a str>,
    /// The session's id, if it has one.
    pub session: &'a str,
    /// The listener's address, as the policy spells it.
    pub listener: &'a str,
    /// The client's.
    pub peer: SocketAddr,
}

impl SecurityEvent<'_> {
    fn line(&self, now: jiff::Timestamp) -> String {
        let time = now.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000");
        let local = self.listener.parse().map_or_else(|_| "IPV4/TCP/0.0.0.0/0".to_owned(), address);
        format!(
            "[{time}] SECURITY[{}] amiwall: SecurityEvent=\"{}\",EventTV=\"{time}\",Severity=\"{}\",Service=\"AMI\",\
             EventVersion=\"1\",AccountID=\"{}\",SessionID=\"{}\",LocalAddress=\"{local}\",RemoteAddress=\"{}\"\n",
            std::process::id(),
            self.kind.name(),
            self.kind.severity(),
            account(self.account.unwrap_or("unknown")),
            account(if self.session.is_empty() { "0" } else { self.session }),
            address(self.peer),
        )
    }
}

/// Letters, digits and `._-`: what CrowdSec's pattern takes for a name, and nothing that ends a field.
fn account(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    name.chars().take(ACCOUNT_LEN_MAX).map(safe).collect()
}

fn address(address: SocketAddr) -> String {
    let ip = address.ip().to_canonical();
    let version = match ip {
        IpAddr::V4(_) => 4,
        IpAddr::V6(_) => 6,
    };
    format!("IPV{version}/TCP/{ip}/{}", address.port())
}

/// The file, in the hands of a thread of its own.
#[derive(Debug)]
pub(super) struct SecurityLog {
    lines: SyncSender<String>,
    dropped: std::sync::Arc<AtomicU64>,
    told: Mutex<Told>,
}

/// What was told in this minute.
#[derive(Debug, Default)]
struct Told {
    since: Option<Instant>,
    bytes: usize,
    addresses: HashMap<IpAddr, u32>,
    /// Lines that were left out.
    left_out: u64,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
struct Admission {
    is_told: bool,
    /// How many lines of the minute before were left out, if this is the first one after it.
    left_out: u64,
}

impl Told {
    /// Whether there may be another line of that length about this address.
    fn admits(&mut self, address: IpAddr, len: usize, now: Instant) -> Admission {
        let mut left_out = 0;
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            left_out = std::mem::replace(self, Self { since: Some(now), ..Self::default() }).left_out;
        }
        let is_told = self.has_room(host_network(address), len);
        if is_told {
            self.bytes += len;
        } else {
            self.left_out += 1;
        }
        Admission { is_told, left_out }
    }

    fn has_room(&mut self, address: IpAddr, len: usize) -> bool {
        let is_known = self.addresses.contains_key(&address);
        if self.bytes + len > BYTES_MAX || (!is_known && self.addresses.len() >= ADDRESSES_MAX) {
            return false;
        }
        let of_address = self.addresses.entry(address).or_default();
        let most = if self.bytes < BYTES_SCARCE { ADDRESS_LINES_MAX } else { SCARCE_LINES_MAX };
        let has_room = *of_address < most;
        *of_address += u32::from(has_room);
        has_room
    }
}

impl SecurityLog {
    /// Starts the thread; the file is opened by it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING_MAX);
        let dropped = std::sync::Arc::new(AtomicU64::new(0));
        let mut sink = Sink { path: path.to_owned(), open: None, is_failing: false, dropped: dropped.clone() };
        std::thread::Builder::new().name("security-log".to_owned()).spawn(move || sink.run(&waiting))?;
        Ok(Self { lines, dropped, told: Mutex::default() })
    }

    pub(super) fn tell(&self, event: &SecurityEvent<'_>) {
        let line = event.line(jiff::Timestamp::now());
        let admission = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.admits(event.peer.ip(), line.len(), Instant::now())
        };
        if admission.left_out > 0 {
            // On standard error: in the file every line is one that a program knows.
            tracing::warn!("the security log has {} lines less than there were events in a minute", admission.left_out);
        }
        if admission.is_told && self.lines.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Opens the file to append to it.
pub(super) fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

struct Sink {
    path: PathBuf,
    open: Option<File>,
    /// That it cannot be written was told.
    is_failing: bool,
    dropped: std::sync::Arc<AtomicU64>,
}

impl Sink {
    /// Until all handles of the log are gone.
    fn run(&mut self, waiting: &Receiver<String>) {
        while let Ok(mut text) = waiting.recv() {
            // Many lines of a flood are one write, but never half a line of one.
            waiting.try_iter().take(256).for_each(|line| text += &line);
            match self.write(text.as_bytes()) {
                Ok(()) => self.is_failing = false,
                Err(error) => {
                    self.open = None;
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::warn!("the security log {} cannot be written: {error}", self.path.display());
                    }
                }
            }
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                tracing::warn!("{dropped} lines of the security log are lost: it could not be written fast enough");
            }
        }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let mut file = match self.open.take().filter(|file| is_still(file, &self.path)) {
            Some(file) => file,
            None => append(&self.path)?,
        };
        file.write_all(text)?;
        self.open = Some(file);
        Ok(())
    }
}

/// Whether the path still names the file: logrotate moves it away.
fn is_still(file: &File, path: &Path) -> bool {
    let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().ok().map(place) == std::fs::metadata(path).ok().map(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(account: Option<&str>) -> SecurityEvent<'_> {
        let peer = "203.0.113.7:51234".parse().expect("an address");
        let listener = "[::1]:5039";
        SecurityEvent { kind: SecurityKind::InvalidPassword, account, session: "5e2b9c01-37", listener, peer }
    }

    #[test]
    fn nobody_fills_the_disk_with_lines_and_nobody_hides_behind_others() {
        let mut told = Told::default();
        let now = Instant::now();
        let count = |told: &mut Told, address: &str, times: u32| {
            let address = address.parse().expect("an address");
            (0..times).filter(|_| told.admits(address, 400, now).is_told).count()
        };
        assert_eq!(count(&mut told, "203.0.113.7", 1_000), 10);
        assert_eq!(count(&mut told, "2001:db8::1", 6) + count(&mut told, "2001:db8::2", 6), 10, "one network");
        let all: usize = (0..100).map(|n| count(&mut told, &format!("198.51.100.{n}"), 60)).sum();
        assert!((400..600).contains(&all), "{all}");
        assert_eq!(count(&mut told, "203.0.113.8", 9), 2, "there is less for each, but there is some");
        let lines: usize = (0..20_000).map(|n| count(&mut told, &format!("10.1.{}.{}", n / 250, n % 250), 1)).sum();
        assert!(lines > 50 && told.bytes <= BYTES_MAX && told.addresses.len() <= ADDRESSES_MAX, "{lines}");
        let left_out = told.left_out;
        let next = told.admits("203.0.113.7".parse().expect("an address"), 400, now + WINDOW);
        assert_eq!(next, Admission { is_told: true, left_out });
    }

    #[test]
    fn a_line_has_asterisks_form() {
        let line = event(Some("alice")).line(jiff::Timestamp::UNIX_EPOCH);
        let expected = concat!(
            r#" amiwall: SecurityEvent="InvalidPassword",EventTV="1970-01-01T00:00:00.000+0000",Severity="Error","#,
            r#"Service="AMI",EventVersion="1",AccountID="alice",SessionID="5e2b9c01-37","#,
            r#"LocalAddress="IPV6/TCP/::1/5039",RemoteAddress="IPV4/TCP/203.0.113.7/51234""#,
            "\n"
        );
        assert!(line.starts_with("[1970-01-01T00:00:00.000+0000] SECURITY[") && line.ends_with(expected), "{line}");
    }

    #[test]
    fn a_name_cannot_forge_a_field_or_a_line() {
        let hostile =
            "a\"\n[x] SECURITY[1] b: SecurityEvent=\"InvalidPassword\",RemoteAddress=\"IPV4/TCP/192.0.2.1/1\"\u{9b}";
        let line = event(Some(hostile)).line(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(line.matches("RemoteAddress=").count(), 1);
        assert!(line.contains(r#"RemoteAddress="IPV4/TCP/203.0.113.7/51234""#) && line.is_ascii());
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("security");
        let dropped = std::sync::Arc::default();
        let mut sink = Sink { path: path.clone(), open: None, is_failing: false, dropped };
        sink.write(b"one\n").expect("written");
        std::fs::rename(&path, directory.path().join("security.1")).expect("moved");
        sink.write(b"two\n").expect("written");
        sink.write(b"three\n").expect("written");
        assert_eq!(std::fs::read(&path).expect("a file"), b"two\nthree\n");
    }
}
