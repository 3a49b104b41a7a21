//! The sandbox of `amiwall run`: the kernel holds the process to what its policy needs, whatever comes into it.
//!
//! Landlock (Linux 5.13 and later) for files and, from 6.7 on, for the TCP ports that may be bound and connected to; no new
//! privileges; no core dumps, which would hold secrets. A thread hands its restrictions to the threads that it makes, so
//! this is entered before there are any.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, make_bitflags, path_beneath_rules,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::config::Config;

/// What is asked of the kernel; an older one does what it can.
const WANTED: ABI = ABI::V7;
/// Read by the system's libraries: time zones, and how many processors there are.
const SYSTEM_FILES: [&str; 5] =
    ["/usr/share/zoneinfo", "/etc/localtime", "/proc/self/cgroup", "/proc/self/mountinfo", "/sys/fs/cgroup"];
/// Read to find the address of a name.
const NAME_FILES: [&str; 12] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/ld.so.cache",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/run/systemd/resolve",
];
/// An answer that is too long for UDP comes over TCP.
const DNS_PORT: u16 = 53;

/// Why the sandbox cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The audit directory, which has to be there.
    #[error("cannot make the audit directory {}: {source}", path.display())]
    Directory {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Core dumps.
    #[error("cannot switch off core dumps: {0}; `--no-sandbox` starts without")]
    CoreDumps(io::Error),
    /// Landlock.
    #[error("the kernel does not take the sandbox: {0}; `--no-sandbox` starts without")]
    Landlock(#[from] RulesetError),
}

/// TCP ports that a policy needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ports {
    bind: BTreeSet<u16>,
    connect: BTreeSet<u16>,
    /// Some address is a name.
    has_names: bool,
}

/// The sandbox that this process is in.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// The ports, if the kernel looks at them.
    ports: Option<Ports>,
    has_files: bool,
    level: String,
}

impl Ports {
    fn of(config: &Config) -> Self {
        let mut ports = Self::default();
        ports.bind.extend(config.listeners.iter().map(|listener| listener.address.port()));
        ports.bind.extend(config.admin_http.as_ref().map(|http| http.address.port()));
        let upstreams = config.upstreams.values().map(|upstream| upstream.address.as_str());
        let syslog = config.audit.syslog.as_ref().map(|syslog| syslog.address.as_str());
        for (host, port) in upstreams.chain(syslog).filter_map(|address| address.rsplit_once(':')) {
            ports.connect.extend(port.parse::<u16>());
            ports.has_names |= host.trim_matches(['[', ']']).parse::<IpAddr>().is_err();
        }
        if ports.has_names {
            ports.connect.insert(DNS_PORT);
        }
        ports
    }
}

impl Sandbox {
    /// Enters it: what `config` does not need is out of reach from here on, for this thread and those that it makes.
    ///
    /// # Errors
    /// If the kernel could, and something is wrong. A kernel without Landlock is no error: [`Sandbox::level`] tells.
    pub fn enter(config: &Config) -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::Directory { path: config.audit.directory.clone(), source };
        make_directory(&config.audit.directory).map_err(failed)?;
        no_core_dumps().map_err(SandboxError::CoreDumps)?;
        let ports = Ports::of(config);
        let status = restrict(config, &ports)?;
        let has_files = status.ruleset != RulesetStatus::NotEnforced;
        let abi = match status.landlock {
            LandlockStatus::Available { effective_abi, .. } if has_files => effective_abi,
            LandlockStatus::Available { .. } | LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => {
                ABI::Unsupported
            }
        };
        let has_ports = abi >= ABI::V4;
        let level = match (has_files, has_ports) {
            (true, true) => format!("files and TCP ports (Landlock ABI {abi}), no core dumps"),
            (true, false) => format!("files but no TCP ports (Landlock ABI {abi}), no core dumps"),
            (false, _) => "no core dumps; the kernel has no Landlock".to_owned(),
        };
        Ok(Self { ports: has_ports.then_some(ports), has_files, level })
    }

    /// What it holds, in words.
    #[must_use]
    pub fn level(&self) -> &str {
        &self.level
    }

    /// Whether files are held.
    #[must_use]
    pub const fn has_files(&self) -> bool {
        self.has_files
    }

    /// Whether TCP ports are held.
    #[must_use]
    pub const fn has_ports(&self) -> bool {
        self.ports.is_some()
    }

    /// What another configuration needs that is out of reach.
    #[must_use]
    pub fn out_of_reach(&self, config: &Config) -> Option<String> {
        let (held, wanted) = (self.ports.as_ref()?, Ports::of(config));
        if let Some(port) = wanted.bind.difference(&held.bind).next() {
            return Some(format!("listening on port {port}"));
        }
        if let Some(port) = wanted.connect.difference(&held.connect).next() {
            return Some(format!("connecting to port {port}"));
        }
        (wanted.has_names && !held.has_names).then(|| "finding the address of a name".to_owned())
    }
}

/// Which Landlock the kernel has, tried in a thread that ends with it; none: it has none.
#[must_use]
pub fn landlock_here() -> Option<String> {
    let tried = std::thread::spawn(|| {
        let ruleset = Ruleset::default().handle_access(AccessFs::from_all(WANTED))?.create()?;
        ruleset.restrict_self().map(|status| status.landlock)
    });
    match tried.join().ok()?.ok()? {
        LandlockStatus::Available { effective_abi, .. } => Some(effective_abi.to_string()),
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => None,
    }
}

/// The log makes its directory itself, and could not any more.
fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn no_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

fn restrict(config: &Config, ports: &Ports) -> Result<RestrictionStatus, RulesetError> {
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    // Links and devices have no place in a log.
    let log: BitFlags<AccessFs> = read
        | make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer | MakeSock});
    let append = make_bitflags!(AccessFs::{WriteFile | MakeReg});
    let socket = make_bitflags!(AccessFs::{MakeSock | RemoveFile});
    let audit = &config.audit;
    let names = if ports.has_names { &NAME_FILES[..] } else { &[] };
    let appended = [&audit.security_log, &audit.anchor].into_iter().flatten();
    let mut scopes = Scope::from_all(WANTED);
    if std::env::var_os("NOTIFY_SOCKET").is_some_and(|name| name.as_encoded_bytes().starts_with(b"@")) {
        scopes.remove(Scope::AbstractUnixSocket);
    }
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(WANTED))?
        .handle_access(AccessNet::from_all(WANTED))?
        .scope(scopes)?
        .create()?
        .add_rules(path_beneath_rules(SYSTEM_FILES.iter().chain(names), read))?
        .add_rules(path_beneath_rules(config.reads.iter().flat_map(|file| folders_of(file)), read))?
        .add_rules(path_beneath_rules([&audit.directory], log))?
        .add_rules(path_beneath_rules(appended.flat_map(|file| folders_of(file)), append))?
        .add_rules(path_beneath_rules(folders_of(&config.admin_socket), socket))?
        .add_rules(ports.bind.iter().map(|port| Ok::<_, RulesetError>(NetPort::new(*port, AccessNet::BindTcp))))?
        .add_rules(
            ports.connect.iter().map(|port| Ok::<_, RulesetError>(NetPort::new(*port, AccessNet::ConnectTcp))),
        )?;
    ruleset.restrict_self()
}

/// The folder of a file, and that of the file that it is a link to. A file that is replaced, as editors and certificate
/// clients do it, is another one: a rule for the file alone would be gone with it.
fn folders_of(file: &Path) -> impl Iterator<Item = PathBuf> {
    let folder = |path: &Path| match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => path.to_owned(),
    };
    [Some(folder(file)), file.canonicalize().ok().map(|file| folder(&file))].into_iter().flatten()
}
