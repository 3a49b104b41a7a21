//! The programs that stand between client and backend, each a process of its own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::{Client, Failure, Target};

/// What is measured. `Direct` is the backend itself, which everything is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Direct,
    Haproxy,
    Stunnel,
    /// As it comes: what is forwarded is durable before.
    Synced,
    /// `audit: { actions: written }`.
    Written,
    /// `audit: { packets: actions }`.
    ActionsOnly,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Haproxy => "HAProxy",
            Self::Stunnel => "stunnel",
            Self::Synced => "amiwall",
            Self::Written => "amiwall, written",
            Self::ActionsOnly => "amiwall, packets: actions",
        }
    }
}

/// A process that ends with its owner.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) struct Running {
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    pub(crate) process: Option<Process>,
}

impl Running {
    /// Seconds of CPU that the process has used, by its own accounting; user and system.
    pub(crate) fn cpu(&self) -> Result<f64, Failure> {
        let Some(Process(child)) = &self.process else { return Ok(0.0) };
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
        let fields: Vec<&str> = stat.rsplit_once(") ").ok_or("no stat")?.1.split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).ok_or("no stat");
        // proc_pid_stat(5): utime and stime, counted from the state, in hundredths of a second.
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    /// KiB of memory in use, without pages of files.
    pub(crate) fn memory(&self) -> Result<f64, Failure> {
        let Some(Process(child)) = &self.process else { return Ok(0.0) };
        let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("no RssAnon")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
    }

    /// Tells the process to end, or ends it, and waits for that.
    pub(crate) fn end(mut self, cleanly: bool) -> Result<(), Failure> {
        let Some(Process(child)) = &mut self.process else { return Ok(()) };
        if cleanly {
            rustix::process::kill_process(rustix::process::Pid::from_child(child), rustix::process::Signal::TERM)?;
        } else {
            child.kill()?;
        }
        child.wait()?;
        Ok(())
    }

    /// Lets the process run on this processor only, or on all.
    pub(crate) fn pin(&self, processors: &str) -> Result<(), Failure> {
        match &self.process {
            Some(Process(child)) => pin(child.id(), processors),
            None => Ok(()),
        }
    }
}

pub(crate) fn pin(pid: u32, processors: &str) -> Result<(), Failure> {
    let pid = pid.to_string();
    let status = Command::new("taskset").args(["-a", "-c", "-p", processors, &pid]).stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err("taskset failed".into()) }
}

/// Where programs and their files are.
pub(crate) struct Tools {
    pub(crate) amiwall: PathBuf,
    pub(crate) haproxy: Option<PathBuf>,
    pub(crate) stunnel: Option<PathBuf>,
    /// Everything is written below it; it should be on a disk, not in memory.
    pub(crate) folder: PathBuf,
}

impl Tools {
    /// Certificates and secrets.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        let certs = self.folder.join("certs");
        for args in [&["certs"][..], &["audit", "key"]] {
            let status = Command::new(&self.amiwall).args(args).arg(&certs).stdout(Stdio::null()).status()?;
            if !status.success() {
                return Err("amiwall cannot make certificates".into());
            }
        }
        let secret = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.folder.join("secret"))?;
        let mut hash = Command::new(&self.amiwall).arg("hash-secret").stdin(Stdio::piped()).stdout(secret).spawn()?;
        hash.stdin.take().ok_or("no input")?.write_all(b"bench-secret\n")?;
        if !hash.wait()?.success() {
            return Err("amiwall cannot hash a secret".into());
        }
        let both = [fs::read(certs.join("server.crt"))?, fs::read(certs.join("server.key"))?].concat();
        Ok(fs::write(certs.join("both.pem"), both)?)
    }

    pub(crate) fn tls(&self) -> Result<Arc<rustls::ClientConfig>, Failure> {
        crate::client::tls(&self.folder.join("certs/ca.crt"))
    }

    /// Where the policy and the log of one amiwall are.
    pub(crate) fn amiwall_folder(&self, port: u16) -> PathBuf {
        self.folder.join(format!("amiwall-{port}"))
    }

    /// The backend, which is this program itself.
    pub(crate) fn backend(&self) -> Result<(Process, u16), Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("backend")
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()?;
        let mut text = [0; 16];
        let len = child.stdout.as_mut().ok_or("no output")?.read(&mut text)?;
        let port = std::str::from_utf8(text.get(..len).ok_or("no port")?)?.trim().parse()?;
        Ok((Process(child), port))
    }

    /// Starts one and waits until it serves. Nothing, where the program is not there.
    pub(crate) async fn start(&self, kind: Kind, backend: u16) -> Result<Option<Running>, Failure> {
        self.start_with(kind, backend, &Policy::default()).await
    }

    pub(crate) async fn start_with(
        &self,
        kind: Kind,
        backend: u16,
        policy: &Policy,
    ) -> Result<Option<Running>, Failure> {
        let port = free_port()?;
        let tls = Some(self.tls()?);
        let mut command = match kind {
            Kind::Direct => {
                return Ok(Some(Running { kind, target: Target { port: backend, tls: None }, process: None }));
            }
            Kind::Haproxy => match &self.haproxy {
                Some(haproxy) => self.haproxy(haproxy, port, backend)?,
                None => return Ok(None),
            },
            Kind::Stunnel => match &self.stunnel {
                Some(stunnel) => self.stunnel(stunnel, port, backend)?,
                None => return Ok(None),
            },
            Kind::Synced => self.amiwall("", port, backend, policy)?,
            Kind::Written => self.amiwall("  actions: written\n", port, backend, policy)?,
            Kind::ActionsOnly => self.amiwall("  packets: actions\n", port, backend, policy)?,
        };
        let log = fs::File::create(self.folder.join(format!("{port}.log")))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let running = Running { kind, target: Target { port, tls }, process: Some(Process(child)) };
        let deadline = Instant::now() + Duration::from_secs(20);
        while Client::connect(&running.target).await.is_err() {
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.folder.join(format!("{port}.log")))?;
                return Err(format!("{} does not serve:\n{log}", kind.name()).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Some(running))
    }

    fn haproxy(&self, program: &Path, port: u16, backend: u16) -> Result<Command, Failure> {
        let pem = self.folder.join("certs/both.pem");
        let pem = pem.display();
        let config = format!(
            "global\n  nbthread 1\n  maxconn {}\n  tune.ssl.cachesize 0\n  ssl-default-bind-options ssl-min-ver TLSv1.3 \
             no-tls-tickets\n  ssl-default-bind-ciphersuites TLS_AES_256_GCM_SHA384\n  ssl-default-bind-curves X25519\n\
             defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n\
             frontend in\n  bind 127.0.0.1:{port} ssl crt {pem}\n  default_backend out\n\
             backend out\n  server asterisk 127.0.0.1:{backend}\n",
            clients_max()
        );
        let path = self.folder.join("haproxy.cfg");
        fs::write(&path, config)?;
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(path);
        Ok(command)
    }

    fn stunnel(&self, program: &Path, port: u16, backend: u16) -> Result<Command, Failure> {
        let pem = self.folder.join("certs/both.pem");
        let config = format!(
            "foreground = yes\npid =\ndebug = 3\nsslVersion = TLSv1.3\nciphersuites = TLS_AES_256_GCM_SHA384\n\
             curves = X25519\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n[ami]\naccept = 127.0.0.1:{port}\n\
             connect = 127.0.0.1:{backend}\ncert = {}\nsessionCacheSize = 1\n",
            pem.display()
        );
        let path = self.folder.join("stunnel.conf");
        fs::write(&path, config)?;
        let mut command = Command::new(program);
        command.arg(path);
        Ok(command)
    }

    /// Writes the policy of one amiwall; the command runs it.
    pub(crate) fn amiwall(&self, audit: &str, port: u16, backend: u16, policy: &Policy) -> Result<Command, Failure> {
        let folder = self.amiwall_folder(port);
        fs::create_dir_all(&folder)?;
        let path = folder.join("policy.yaml");
        fs::write(&path, policy.text(audit, port, backend))?;
        let mut command = Command::new(&self.amiwall);
        command.arg("run").arg(path);
        Ok(command)
    }
}

/// How many clients a proxy may have, which opens two files for each.
pub(crate) fn clients_max() -> u64 {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    (files.saturating_sub(200) / 2).min(10_000)
}

pub(crate) fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What differs between the policies that are measured.
#[derive(Default)]
pub(crate) struct Policy {
    /// Rules of the role beside those that are used.
    pub(crate) rules: usize,
    /// Identities beside the one that is used.
    pub(crate) identities: usize,
    /// `limits:` of the role.
    pub(crate) limits: &'static str,
    /// `actions:` of `limits:` of the policy.
    pub(crate) shared_limits: &'static str,
}

impl Policy {
    fn text(&self, audit: &str, port: u16, backend: u16) -> String {
        use std::fmt::Write as _;
        let mut rules = String::new();
        for n in 0..self.rules {
            writeln!(rules, "      - MailboxCount: {{ Mailbox: box-{n} }}").ok();
        }
        // One file for all, with one hash.
        let mut identities = String::new();
        for n in 0..self.identities {
            writeln!(identities, "  other-{n}: {{ roles: [dialer], secret: {{ file: ../secret }} }}").ok();
        }
        format!(
            "version: 1\nlisteners:\n  - address: \"127.0.0.1:{port}\"\n    tls: {{ certificate: ../certs/server.crt, key: \
             ../certs/server.key }}\nupstreams:\n  pbx: {{ address: \"127.0.0.1:{backend}\", username: amiwall, secret: bench }}\n\
             audit:\n  directory: audit\n  signing_key: ../certs/audit.key\n{audit}limits:\n  connections: 30000\n  \
             connections_per_address: 30000\n  unauthenticated: 30000\n  unauthenticated_per_address: 30000\n{}roles:\n  dialer:\n    allow:\n{rules}      - Ping\n      - UserEvent\n      - \
             Originate:\n          Channel: \"PJSIP/{{identity}}\"\n          Context: click-to-dial\n          Exten: \
             [\"_NXXNXXXXXX\", \"_1NXXNXXXXXX\"]\n          Priority: \"1\"\n          \"CallerID?\": \"{{identity}} \
             <1001>\"\n          \"Timeout?\": integer\n          \"Async?\": boolean\n          \"Variable?\": {{ \
             campaign_id: \"*\", lead_id: \"*\" }}\n    deny:\n      - Originate: {{ Exten: [\"_1900.\", \"_011.\"] }}\n    \
             events: {{ allow: [call, dialplan, agent] }}\n{}identities:\n  bench: {{ roles: [dialer], secret: {{ file: ../secret }} \
             }}\n{identities}",
            self.shared_limits, self.limits
        )
    }
}
