//! What a process in the sandbox cannot do, tried from inside, and what it still can. The test starts itself again: a
//! process that is in the sandbox does not get out.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "one process of the test tells the other that it was there")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use amiwall::config::Config;
use amiwall::daemon::{Answer, Daemon, DaemonError, Request, Verb, ask};
use amiwall::sandbox::Sandbox;
use amiwall::sim::{Sim, SimConfig};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::ChildStderr;
use tokio_util::sync::CancellationToken;

/// Names the folder that the second process looks at.
const FOLDER: &str = "AMIWALL_SANDBOX_TEST";
const ALL_TRIED: &str = "all was tried";

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("it is written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode is set");
}

/// The folders that a policy names, and one that it does not.
fn folder_with_secrets() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["etc", "secrets", "security", "elsewhere"] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
    }
    for name in ["secrets/pbx", "secrets/client", "elsewhere/file"] {
        write(&folder.path().join(name), "s3cret");
    }
    folder
}

fn write_policy(folder: &Path, listen: u16, upstream: u16) {
    let policy = format!(
        r#"version: 1
listeners: [{{ address: "127.0.0.1:{listen}", plaintext: true }}]
upstreams: {{ pbx: {{ address: "127.0.0.1:{upstream}", username: amiwall, secret: {{ file: ../secrets/pbx }} }} }}
audit: {{ directory: ../log/audit, security_log: ../security/log }}
roles: {{ pinger: {{ allow: [Ping] }} }}
identities: {{ client: {{ roles: [pinger], secret: {{ file: ../secrets/client }}, challenge: true }} }}
"#
    );
    write(&folder.join("etc/policy.yaml"), &policy);
}

fn load(folder: &Path) -> Config {
    Config::load(&folder.join("etc/policy.yaml")).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A port that nobody listens to.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_the_policy_does_not_need_is_possible_inside() {
    let folder = folder_with_secrets();
    let sim = Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"s3cret")).await.expect("the simulator binds");
    let upstream = sim.local_addr().port();
    tokio::spawn(sim.run(CancellationToken::new()));
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    write_policy(folder.path(), free_port(), upstream);
    let abstract_name = format!("amiwall-sandbox-{}", std::process::id());
    let outside = UnixAddr::from_abstract_name(&abstract_name).expect("a name");
    let _outside = UnixDatagram::bind_addr(&outside).expect("a socket");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "inside", "--nocapture"]).env(FOLDER, folder.path());
    command.env("OTHER_PORT", other.local_addr().expect("an address").port().to_string());
    command.env("ABSTRACT_NAME", abstract_name);
    let child = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().expect("it runs"));
    let output = child.await.expect("no panic");
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && told.contains(ALL_TRIED), "{told}");
}

/// The second process. Without the folder there is nothing to look at.
#[test]
fn inside() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let config = load(&folder);
    let sandbox = Sandbox::enter(&config).expect("it is entered");
    println!("sandbox: {}", sandbox.level());
    no_core_dumps();
    if sandbox.has_files() {
        let possible: Vec<&str> =
            forbidden(&folder).into_iter().filter(|(_, tried)| tried.is_ok()).map(|(what, _)| what).collect();
        assert!(possible.is_empty(), "possible inside: {possible:?}");
    }
    if sandbox.has_ports() {
        ports();
    }
    allowed(&folder);
    proxy(&folder, &config, sandbox);
    println!("{ALL_TRIED}");
}

fn no_core_dumps() {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
    assert_eq!(dumpable_behavior().expect("it is told"), DumpableBehavior::NotDumpable);
    let limit = getrlimit(Resource::Core);
    assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
}

/// What is tried, and what came of it.
fn forbidden(folder: &Path) -> Vec<(&'static str, io::Result<()>)> {
    let (etc, secrets, audit) = (folder.join("etc"), folder.join("secrets"), folder.join("log/audit"));
    let elsewhere = folder.join("elsewhere/file");
    let (policy, secret) = (etc.join("policy.yaml"), secrets.join("pbx"));
    let program = audit.join("program");
    fs::write(&program, "#!/bin/sh\n").expect("it may be written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("a mode");
    let parent = rustix::process::getppid().expect("a parent");
    let name = std::env::var("ABSTRACT_NAME").expect("a name");
    let outside = UnixAddr::from_abstract_name(name).expect("a name");
    let modify = |path: &Path| OpenOptions::new().write(true).open(path).map(drop);
    let done = vec![
        ("reading a file elsewhere", fs::read(&elsewhere).map(drop)),
        ("reading the users of the system", fs::read("/etc/passwd").map(drop)),
        ("listing a folder elsewhere", fs::read_dir(folder.join("elsewhere")).map(drop)),
        ("listing the folder above", fs::read_dir(folder).map(drop)),
        ("looking into another process", fs::read(format!("/proc/{}/environ", parent.as_raw_nonzero())).map(drop)),
        ("changing the policy", modify(&policy)),
        ("changing a secret", modify(&secret)),
        ("opening the policy to add to it", OpenOptions::new().append(true).open(&policy).map(drop)),
        ("removing the policy", fs::remove_file(&policy)),
        ("moving a secret into the log", fs::rename(&secret, audit.join("moved"))),
        ("linking a secret into the log", fs::hard_link(&secret, audit.join("linked"))),
        ("a file beside the policy", File::create(etc.join("new")).map(drop)),
        ("a folder beside the policy", fs::create_dir(etc.join("new"))),
        ("a file in /tmp", File::create(std::env::temp_dir().join("amiwall-sandbox-file")).map(drop)),
        ("reading the security log's folder", fs::read_dir(folder.join("security")).map(drop)),
        ("a symbolic link in the log", std::os::unix::fs::symlink("/etc", audit.join("link"))),
        ("a pipe in the log", make_pipe(&audit.join("pipe"))),
        ("running a program of the system", Command::new("/bin/true").status().map(drop)),
        ("running a program from the log", Command::new(&program).status().map(drop)),
        ("telling a process outside", rustix::process::test_kill_process(parent).map_err(Into::into)),
        ("an abstract socket outside", UnixDatagram::unbound().and_then(|s| s.send_to_addr(b"x", &outside)).map(drop)),
    ];
    fs::remove_file(&program).expect("it may be removed");
    assert!(done.len() >= 15);
    done
}

fn make_pipe(path: &Path) -> io::Result<()> {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
    Ok(rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0)?)
}

fn ports() {
    let other: u16 = std::env::var("OTHER_PORT").expect("a port").parse().expect("a number");
    let refused = |tried: io::Result<()>| tried.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    assert!(refused(TcpStream::connect(("127.0.0.1", other)).map(drop)), "connecting to another port");
    assert!(refused(TcpListener::bind("127.0.0.1:0").map(drop)), "listening on another port");
}

fn allowed(folder: &Path) {
    let config = load(folder);
    let new = folder.join("log/audit/new");
    fs::write(&new, "x").expect("the log may be written");
    fs::rename(&new, folder.join("log/audit/newer")).expect("and files renamed");
    fs::remove_file(folder.join("log/audit/newer")).expect("and removed");
    let log = config.audit.security_log.as_deref().expect("it is in the policy");
    OpenOptions::new().append(true).create(true).open(log).expect("the security log may be made");
    let upstream = config.upstreams.get("pbx").expect("an upstream");
    let mut banner = [0; 8];
    let mut stream = TcpStream::connect(&upstream.address).expect("Asterisk is in reach");
    stream.read_exact(&mut banner).expect("a banner");
    assert_eq!(&banner, b"Asterisk");
}

/// The proxy runs, and a reload that needs more is refused.
fn proxy(folder: &Path, config: &Config, sandbox: Sandbox) {
    let has_ports = sandbox.has_ports();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut daemon = Daemon::start(config).await.expect("it starts");
        daemon.set_sandbox(sandbox);
        daemon.reload(&load(folder)).await.expect("the same policy is taken");
        if has_ports {
            // Nobody can change the policy from inside.
            let mut other = load(folder);
            let pbx = other.upstreams.get_mut("pbx").expect("an upstream");
            pbx.address = "127.0.0.1:1".to_owned();
            let error = daemon.reload(&other).await.expect_err("it is refused");
            assert!(matches!(error, DaemonError::OutOfReach(_)), "{error}");
            assert!(
                error.to_string().contains("connecting to port 1 ") && error.to_string().contains("needs a restart")
            );
            let mut other = load(folder);
            other.listeners.first_mut().expect("a listener").address.set_port(2);
            let error = daemon.reload(&other).await.expect_err("it is refused");
            assert!(error.to_string().contains("listening on port 2 "), "{error}");
        }
        daemon.stop().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_reads_elsewhere_needs_a_restart() {
    let folder = folder_with_secrets();
    let sim = Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"s3cret")).await.expect("the simulator binds");
    write_policy(folder.path(), 0, sim.local_addr().port());
    tokio::spawn(sim.run(CancellationToken::new()));
    let policy = folder.path().join("etc/policy.yaml");
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_amiwall"));
    let mut amiwall =
        command.arg("run").arg(&policy).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("it runs");
    let mut told = Told(BufReader::new(amiwall.stderr.take().expect("stderr")).lines());
    let level = told.until("sandbox: ").await;
    told.until("is there").await;
    let id = rustix::process::Pid::from_raw(amiwall.id().expect("it runs").cast_signed()).expect("an id");
    let reload = || rustix::process::kill_process(id, rustix::process::Signal::HUP).expect("it is told");
    reload();
    told.until("is in force").await;
    let socket = folder.path().join("log/audit/admin.sock");
    let asked = || {
        let socket = socket.clone();
        let ask = move || ask(&socket, &Request::new(Verb::Reload));
        async { tokio::task::spawn_blocking(ask).await.expect("no panic").expect("an answer") }
    };
    assert_eq!(asked().await, Answer::Reloaded { policy: policy.display().to_string() });
    told.until("is in force").await;
    // As an editor does it: another file takes the place of the policy.
    let text = fs::read_to_string(&policy).expect("the policy").replace("../secrets/client", "../elsewhere/file");
    write(&policy.with_extension("new"), &text);
    fs::rename(policy.with_extension("new"), &policy).expect("it is replaced");
    reload();
    if level.contains("files") {
        told.until("the old policy stays in force").await;
        told.until("another one needs a restart").await;
        // What comes first says the cause, and is on record.
        let Answer::Refused { message } = asked().await else { panic!("it was taken") };
        assert!(message.starts_with("the sandbox lets amiwall read"), "{message}");
        let log = folder.path().join("log/audit/audit-00000000000000000001.jsonl");
        let log = fs::read_to_string(log).expect("the log");
        assert_eq!(log.matches(r#""outcome":"refused","problem":"the sandbox lets amiwall read"#).count(), 2, "{log}");
    } else {
        told.until("is in force").await;
    }
}

/// What the program says of itself.
struct Told(Lines<BufReader<ChildStderr>>);

impl Told {
    async fn until(&mut self, text: &str) -> String {
        while let Some(line) = self.0.next_line().await.expect("a line") {
            if line.contains(text) {
                return line;
            }
        }
        panic!("`{text}` was not told")
    }
}
