//! [`Mirror`]: the records a second time, to a syslog receiver: RFC 5424 messages, counted as in RFC 6587, over TCP or TLS.
//! A thread of its own has the connection, so that a receiver that takes nothing never slows the file.
//!
//! Best effort: what does not fit is counted, and the count is on record when the receiver is there again. Required: who
//! waits for durability waits until the socket has taken his records, at most [`DEADLINE`].

use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::{Draft, Kind, json};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// How long a required receiver may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Connecting, and each write: less than the deadline.
const IO_TIMEOUT: Duration = Duration::from_secs(4);
/// Bytes that may wait.
const WAITING_LEN_MAX: usize = 16 * 1024 * 1024;
/// Pauses between attempts to connect.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Facility 13 (log audit), severity 6 (informational).
const PRIORITY: u8 = 13 * 8 + 6;

/// Where records are sent, too.
#[derive(Clone, Debug)]
pub struct SyslogConfig {
    /// `host:port`.
    pub address: String,
    /// How to be sure of the receiver; None: in clear.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// What the policy file names: `tls` is of these bytes.
    pub ca: Vec<u8>,
    /// Nothing is forwarded that it has not taken.
    pub is_required: bool,
}

impl PartialEq for SyslogConfig {
    fn eq(&self, other: &Self) -> bool {
        let key = |config: &Self| (config.address.clone(), config.tls.is_some(), config.ca.clone(), config.is_required);
        key(self) == key(other)
    }
}

impl Eq for SyslogConfig {}

/// Records that the receiver did not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) since: SystemTime,
    pub(super) until: SystemTime,
    pub(super) count: u64,
    pub(super) cause: String,
}

impl Lost {
    pub(super) fn draft(&self, since: &str, until: &str) -> Draft<'static> {
        Draft::new(Kind::Outage).with(|out| {
            json::text(out, "reason", "audit.syslog");
            json::text(out, "cause", &self.cause);
            json::text(out, "since", since);
            json::text(out, "until", until);
            json::number(out, "count", self.count);
        })
    }
}

#[derive(Debug)]
struct Job {
    lines: Vec<u8>,
    taken: Option<SyncSender<()>>,
}

/// What both sides know of losses.
#[derive(Debug, Default)]
struct Losses {
    now: Mutex<Option<Lost>>,
    /// Bytes that wait.
    waiting: AtomicUsize,
}

impl Losses {
    fn add(&self, lines: &[u8], cause: &str) {
        let count = u64::try_from(lines.iter().filter(|b| **b == b'\n').count()).unwrap_or(u64::MAX);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let at = SystemTime::now();
        let lost = now.get_or_insert_with(|| {
            tracing::warn!("the syslog receiver of the audit log does not get everything: {cause}");
            Lost { since: at, until: at, count: 0, cause: cause.to_owned() }
        });
        lost.until = at;
        lost.count += count;
    }

    fn take(&self) -> Option<Lost> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The writer's side. Without a receiver it does nothing.
#[derive(Debug, Default)]
pub(super) struct Mirror(Option<Device>);

#[derive(Debug)]
struct Device {
    jobs: Sender<Job>,
    losses: Arc<Losses>,
    /// The receiver is there again: what was lost until then.
    back: Receiver<Lost>,
    is_required: bool,
    /// Not yet handed over.
    lines: Vec<u8>,
}

impl Mirror {
    pub(super) fn open(config: Option<&SyslogConfig>) -> io::Result<Self> {
        let Some(config) = config else { return Ok(Self(None)) };
        let (jobs, waiting) = channel();
        let (tell, back) = channel();
        let losses = Arc::new(Losses::default());
        let mut sender = Outlet {
            config: config.clone(),
            header: header(),
            stream: None,
            retry_at: Instant::now(),
            pause: PAUSE.0,
            losses: losses.clone(),
            back: tell,
        };
        std::thread::Builder::new().name("audit-syslog".to_owned()).spawn(move || sender.run(&waiting))?;
        Ok(Self(Some(Device { jobs, losses, back, is_required: config.is_required, lines: Vec::new() })))
    }

    /// Whether there is a receiver.
    pub(super) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Takes lines that stand in the file now.
    pub(super) fn take(&mut self, lines: &[u8]) {
        if let Some(device) = &mut self.0 {
            device.lines.extend_from_slice(lines);
        }
    }

    /// Hands over what was taken. Only a required receiver is waited for.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().filter(|device| !device.lines.is_empty()).map_or(Ok(()), Device::flush)
    }

    /// What the receiver has missed, once it is there again.
    pub(super) fn take_lost(&mut self) -> Option<Lost> {
        self.0.as_ref()?.back.try_recv().ok()
    }
}

impl Device {
    fn flush(&mut self) -> io::Result<()> {
        let lines = std::mem::take(&mut self.lines);
        let len = lines.len();
        if self.losses.waiting.fetch_add(len, Ordering::Relaxed) + len > WAITING_LEN_MAX {
            self.losses.waiting.fetch_sub(len, Ordering::Relaxed);
            self.losses.add(&lines, "it takes them too slowly");
            return self.unless_required("it takes them too slowly");
        }
        let (taken, is_taken) = sync_channel(1);
        let job = Job { lines, taken: self.is_required.then_some(taken) };
        if self.jobs.send(job).is_err() {
            return self.unless_required("its thread is gone");
        }
        if self.is_required && is_taken.recv_timeout(DEADLINE).is_err() {
            return self.unless_required("it did not take the records in time");
        }
        Ok(())
    }

    fn unless_required(&self, why: &str) -> io::Result<()> {
        if self.is_required { Err(io::Error::other(format!("the syslog receiver: {why}"))) } else { Ok(()) }
    }
}

trait Stream: Write + Send {}
impl<S: Write + Send> Stream for S {}

/// The thread's side.
struct Outlet {
    config: SyslogConfig,
    /// What stands in each message between its time and its kind.
    header: String,
    stream: Option<Box<dyn Stream>>,
    retry_at: Instant,
    pause: Duration,
    losses: Arc<Losses>,
    back: Sender<Lost>,
}

impl Outlet {
    fn run(&mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let sent = self.send(&job.lines);
            self.losses.waiting.fetch_sub(job.lines.len(), Ordering::Relaxed);
            match sent {
                Ok(()) => {
                    // Who does not wait any more was told that it failed.
                    job.taken.map(|taken| taken.send(()));
                    if let Some(lost) = self.losses.take() {
                        tracing::info!("the syslog receiver of the audit log is there again");
                        self.back.send(lost).ok();
                    }
                }
                Err(error) => self.losses.add(&job.lines, &error.to_string()),
            }
        }
    }

    /// A connection that breaks is made anew once; the receiver may see a record twice, by its `seq`.
    fn send(&mut self, lines: &[u8]) -> io::Result<()> {
        let messages = self.messages(lines);
        if let Some(stream) = &mut self.stream
            && stream.write_all(&messages).and_then(|()| stream.flush()).is_ok()
        {
            return Ok(());
        }
        self.stream = None;
        if Instant::now() < self.retry_at {
            return Err(io::Error::other("it could not be reached"));
        }
        let sent = connect(&self.config).and_then(|mut stream| {
            stream.write_all(&messages)?;
            stream.flush()?;
            Ok(stream)
        });
        match sent {
            Ok(stream) => {
                self.stream = Some(stream);
                self.pause = PAUSE.0;
                Ok(())
            }
            Err(error) => {
                self.retry_at = Instant::now() + self.pause;
                let longest = if self.config.is_required { PAUSE.0 } else { PAUSE.1 };
                self.pause = (self.pause * 2).min(longest);
                Err(error)
            }
        }
    }

    fn messages(&self, lines: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(lines.len() + lines.len() / 4);
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let (time, kind) = (member(line, b"\"time\":\""), member(line, b"\"kind\":\""));
            let start = format!("<{PRIORITY}>1 {time} {} {kind} - ", self.header);
            out.extend_from_slice(format!("{} ", start.len() + line.len()).as_bytes());
            out.extend_from_slice(start.as_bytes());
            out.extend_from_slice(line);
        }
        out
    }
}

/// The value of a member that amiwall itself has written, of letters and digits; `-` if there is none.
fn member<'l>(line: &'l [u8], key: &[u8]) -> &'l str {
    let start = memchr::memmem::find(line, key).map(|at| at + key.len());
    let value = start.and_then(|at| line.get(at..)).and_then(|rest| rest.split(|b| *b == b'"').next());
    value.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or("-")
}

/// Host, program, process.
fn header() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
    format!("{} amiwall {}", if host.is_empty() { "-" } else { &host }, std::process::id())
}

fn connect(config: &SyslogConfig) -> io::Result<Box<dyn Stream>> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in config.address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, IO_TIMEOUT) {
            Err(error) => failed = error,
            Ok(stream) => {
                stream.set_write_timeout(Some(IO_TIMEOUT))?;
                stream.set_read_timeout(Some(IO_TIMEOUT))?;
                stream.set_nodelay(true)?;
                let Some((tls, name)) = &config.tls else { return Ok(Box::new(stream)) };
                let session = ClientConnection::new(tls.clone(), name.clone()).map_err(io::Error::other)?;
                return Ok(Box::new(StreamOwned::new(session, stream)));
            }
        }
    }
    Err(failed)
}

#[cfg(test)]
#[path = "syslog_tests.rs"]
mod tests;
