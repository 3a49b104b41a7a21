//! What systemd has of the built program: readiness, reload, status and watchdog over a socket, listening sockets that are
//! handed over, credentials.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

const AMIWALL: &str = env!("CARGO_BIN_EXE_amiwall");
/// Much longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("it is written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode is set");
}

/// A folder with a policy for these listeners, and a socket for what the service manager is told.
struct Service {
    folder: tempfile::TempDir,
    told: UnixDatagram,
    asterisk: TcpListener,
}

impl Service {
    fn new(listeners: &[&str], secret: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let told = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        told.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write(&folder.path().join("secret"), "s3cret");
        let asterisk = TcpListener::bind("127.0.0.1:0").expect("a port");
        let service = Self { folder, told, asterisk };
        service.write_policy(listeners, secret);
        service
    }

    fn write_policy(&self, listeners: &[&str], secret: &str) {
        let listeners: String =
            listeners.iter().map(|address| format!("  - {{ address: \"{address}\", plaintext: true }}\n")).collect();
        let upstream = self.asterisk.local_addr().expect("an address");
        let policy = format!(
            r#"version: 1
listeners:
{listeners}upstreams: {{ pbx: {{ address: "{upstream}", username: amiwall, secret: {secret} }} }}
audit: {{ directory: audit }}
roles: {{ pinger: {{ allow: [Ping] }} }}
identities: {{ client: {{ roles: [pinger], secret: {{ file: secret }}, challenge: true }} }}
"#
        );
        write(&self.folder.path().join("policy.yaml"), &policy);
    }

    fn command(&self) -> Command {
        let mut command = Command::new(AMIWALL);
        command.arg("run").arg(self.folder.path().join("policy.yaml"));
        self.prepare(&mut command);
        command
    }

    /// A shell that hands its standard input and output on as the first two sockets, as systemd does.
    fn activated(&self, count: usize) -> Command {
        let mut command = Command::new("/bin/sh");
        let script = "LISTEN_PID=$$ exec \"$0\" run \"$1\" 3<&0 4>&1 0</dev/null";
        command.args(["-c", script, AMIWALL]).arg(self.folder.path().join("policy.yaml"));
        command.env("LISTEN_FDS", count.to_string()).env("LISTEN_FDNAMES", "first.socket:second.socket");
        self.prepare(&mut command);
        command
    }

    fn prepare(&self, command: &mut Command) {
        for name in ["WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY"] {
            command.env_remove(name);
        }
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify")).stdin(Stdio::null()).stderr(Stdio::piped());
    }

    /// The next thing that the service manager is told.
    fn next(&self) -> String {
        let mut datagram = [0; 1_024];
        let length = self.told.recv(&mut datagram).expect("it is told something");
        String::from_utf8_lossy(&datagram[..length]).into_owned()
    }

    /// What it is told up to that, which comes last.
    fn until(&self, wanted: &str) -> Vec<String> {
        let mut all = Vec::new();
        while !all.last().is_some_and(|last: &String| last.starts_with(wanted)) {
            all.push(self.next());
        }
        all
    }
}

/// A process that is ended with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("it starts"))
    }

    fn tell(&self, signal: Signal) {
        let id = Pid::from_raw(self.0.id().cast_signed()).expect("an id");
        kill_process(id, signal).expect("it is told");
    }

    fn stderr(&mut self) -> BufReader<ChildStderr> {
        BufReader::new(self.0.stderr.take().expect("stderr"))
    }

    /// What it says until it ends by itself.
    fn fails(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.stderr().read_to_string(&mut said).expect("it is read");
        (self.0.wait().expect("it ends"), said)
    }

    fn stop(mut self) {
        self.tell(Signal::TERM);
        assert!(self.0.wait().expect("it ends").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn monotonic_micros() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[test]
fn the_service_manager_is_told_how_it_goes() {
    let service = Service::new(&["127.0.0.1:0"], "{ file: secret }");
    let amiwall = Running::start(service.command().env("WATCHDOG_USEC", "300000"));
    assert_eq!(service.next(), "READY=1");
    let ping = ["WATCHDOG=1".to_owned()];
    assert_eq!(service.until("WATCHDOG=1"), ping, "at once, so that none is missed");
    assert_eq!(service.next(), "STATUS=1 listener, 0 clients; the audit log is written");
    assert_eq!(
        [service.until("WATCHDOG=1"), service.until("WATCHDOG=1")],
        [ping.to_vec(), ping.to_vec()],
        "nothing new"
    );

    service.write_policy(&["127.0.0.1:0", "[::1]:0"], "{ file: secret }");
    let before = monotonic_micros();
    amiwall.tell(Signal::HUP);
    let reloading = service.until("RELOADING=1").pop().expect("it is told");
    let at: i64 = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("the time").parse().expect("a number");
    assert!((before..=monotonic_micros()).contains(&at), "{before} {at}");
    service.until("READY=1");
    service.until("STATUS=2 listeners, 0 clients; the audit log is written");

    amiwall.tell(Signal::TERM);
    service.until("STOPPING=1");
    amiwall.stop_told();
}

#[test]
fn a_policy_that_is_refused_ends_the_reload_too() {
    let service = Service::new(&["127.0.0.1:0"], "{ file: secret }");
    let amiwall = Running::start(&mut service.command());
    service.until("READY=1");
    service.write_policy(&["nowhere"], "{ file: secret }");
    amiwall.tell(Signal::HUP);
    service.until("RELOADING=1");
    service.until("READY=1");
    amiwall.stop();
}

#[test]
fn the_watchdog_of_another_process_is_not_told() {
    let service = Service::new(&["127.0.0.1:0"], "{ file: secret }");
    for (name, value) in [("WATCHDOG_PID", "1"), ("WATCHDOG_USEC", "0")] {
        let mut command = service.command();
        command.env("WATCHDOG_USEC", "30000").env(name, value);
        let amiwall = Running::start(&mut command);
        let mut told = service.until("STATUS=");
        for _ in 0..3 {
            amiwall.tell(Signal::HUP);
            told.extend(service.until("RELOADING=1"));
            told.extend(service.until("READY=1"));
        }
        amiwall.tell(Signal::TERM);
        told.extend(service.until("STOPPING=1"));
        amiwall.stop_told();
        assert!(!told.iter().any(|state| state.contains("WATCHDOG")), "{name}={value}: {told:?}");
    }
}

#[test]
fn a_stopped_process_is_silent() {
    let service = Service::new(&["127.0.0.1:0"], "{ file: secret }");
    let amiwall = Running::start(service.command().env("WATCHDOG_USEC", "30000"));
    service.until("WATCHDOG=1");
    amiwall.tell(Signal::STOP);
    // Longer than the watchdog waits: what was sent before is read first, and then there is nothing.
    service.told.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let mut datagram = [0; 64];
    while service.told.recv(&mut datagram).is_ok() {}
    amiwall.tell(Signal::CONT);
    service.told.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    service.until("WATCHDOG=1");
    amiwall.stop();
}

impl Running {
    /// Waits for one that was told to end.
    fn stop_told(mut self) {
        assert!(self.0.wait().expect("it ends").success());
    }
}

fn socket() -> (TcpListener, String) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address").to_string();
    (socket, address)
}

/// A client that is answered with something: that the Asterisk of the test is no Asterisk does not matter here.
fn connects(address: &str) -> bool {
    let address: SocketAddr = address.parse().expect("an address");
    TcpStream::connect_timeout(&address, PATIENCE).is_ok()
}

#[test]
fn sockets_are_taken_over_by_their_listeners_and_the_others_are_made() {
    let ((first, first_at), (second, second_at)) = (socket(), socket());
    let own = socket().1;
    // Not in the order of the policy.
    let service = Service::new(&[&second_at, &own, &first_at], "{ file: secret }");
    let mut command = service.activated(2);
    command.stdin(OwnedFd::from(first)).stdout(OwnedFd::from(second));
    let amiwall = Running::start(&mut command);
    drop(command);
    service.until("READY=1");
    assert_eq!(service.next(), "STATUS=3 listeners, 0 clients; the audit log is written");
    assert!([&first_at, &second_at, &own].into_iter().all(|address| connects(address)));
    // A listener of such a socket cannot go: who connects there would wait for ever.
    service.write_policy(&[&own, &first_at], "{ file: secret }");
    let mut amiwall = amiwall;
    let mut said = amiwall.stderr();
    amiwall.tell(Signal::HUP);
    service.until("RELOADING=1");
    service.until("READY=1");
    let refusal = format!("the service manager listens on {second_at} for amiwall, but no listener of the policy");
    let mut line = String::new();
    while !line.contains(&refusal) {
        line.clear();
        assert!(said.read_line(&mut line).expect("a line") > 0, "it does not say why");
    }
    amiwall.stop();
    assert!(!connects(&first_at), "nobody has it any more");
}

#[test]
fn a_socket_that_is_for_nobody_is_an_error() {
    let ((first, first_at), (second, second_at)) = (socket(), socket());
    let service = Service::new(&[&first_at], "{ file: secret }");
    let mut command = service.activated(2);
    command.stdin(OwnedFd::from(first)).stdout(OwnedFd::from(second));
    let (status, said) = Running::start(&mut command).fails();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("listens on {second_at} for amiwall")) && said.contains("`ListenStream=`"),
        "{said}"
    );
    assert!(!service.folder.path().join("audit/audit.lock").exists(), "the log was not even opened");
}

#[test]
fn a_socket_that_is_none_for_clients_is_an_error() {
    let service = Service::new(&["127.0.0.1:0"], "{ file: secret }");
    let unix = UnixListener::bind(service.folder.path().join("unix")).expect("a socket");
    let (listening, address) = socket();
    let connected = TcpStream::connect(&address).expect("it connects");
    let wrong: [(OwnedFd, &str); 3] = [
        (unix.into(), "socket 1 of the service manager (`first.socket`) cannot be used"),
        (
            fs::File::open("/dev/null").expect("a file").into(),
            "socket 1 of the service manager (`first.socket`) cannot be used",
        ),
        (
            connected.into(),
            "socket 1 of the service manager (`first.socket`) does not listen: its unit needs `Accept=no`",
        ),
    ];
    for (descriptor, why) in wrong {
        let mut command = service.activated(1);
        let (status, said) = Running::start(command.stdin(descriptor)).fails();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
    }
    drop(listening);
}

#[test]
fn more_sockets_than_there_can_be_are_an_error() {
    let service = Service::new(&["127.0.0.1:0"], "{ file: secret }");
    let max = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.expect("a limit");
    for count in [max + 1, u64::MAX] {
        let mut command = service.command();
        command.env("LISTEN_FDS", count.to_string()).env_remove("LISTEN_PID");
        let (status, said) = Running::start(&mut command).fails();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("LISTEN_FDS={count}: no process")) && said.contains("RLIMIT_NOFILE"), "{said}");
    }
}

#[test]
fn sockets_of_another_process_are_left_alone() {
    for count in [1, u64::MAX] {
        let service = Service::new(&["127.0.0.1:0"], "{ file: secret }");
        let mut command = service.command();
        command.env("LISTEN_FDS", count.to_string()).env("LISTEN_PID", "1");
        let amiwall = Running::start(&mut command);
        service.until("READY=1");
        amiwall.stop();
    }
}

#[test]
fn a_secret_may_be_a_credential_of_the_service() {
    let service = Service::new(&["127.0.0.1:0"], "{ credential: pbx }");
    let (status, said) = Running::start(&mut service.command()).fails();
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(said.contains("policy.yaml:4:") && said.contains("$CREDENTIALS_DIRECTORY is not set"), "{said}");

    let credentials = service.folder.path().join("credentials");
    fs::create_dir(&credentials).expect("a folder");
    let with_credentials = || {
        let mut command = service.command();
        command.env("CREDENTIALS_DIRECTORY", &credentials);
        Running::start(&mut command)
    };
    let (status, said) = with_credentials().fails();
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(
        said.contains("the service has no credential `pbx`") && said.contains("`LoadCredential=pbx:FILE`"),
        "{said}"
    );

    // As systemd shows it where it gives the right to read by an access list.
    write(&credentials.join("pbx"), "s3cret\n");
    fs::set_permissions(credentials.join("pbx"), fs::Permissions::from_mode(0o440)).expect("a mode");
    let mut amiwall = with_credentials();
    service.until("READY=1");
    // It is in reach of the sandbox.
    amiwall.tell(Signal::HUP);
    service.until("RELOADING=1");
    service.until("READY=1");
    amiwall.tell(Signal::TERM);
    let mut said = String::new();
    amiwall.stderr().read_to_string(&mut said).expect("it is read");
    assert!(said.contains("is in force"), "{said}");
    assert!(!said.contains("read by other users"), "{said}");
}

#[test]
fn the_name_of_a_credential_is_no_path() {
    for name in ["../secret", "/etc/passwd", "..", "a/b"] {
        let service = Service::new(&["127.0.0.1:0"], &format!("{{ credential: \"{name}\" }}"));
        let mut command = service.command();
        let (status, said) = Running::start(command.env("CREDENTIALS_DIRECTORY", service.folder.path())).fails();
        assert_eq!(status.code(), Some(4), "{said}");
        assert!(said.contains("policy.yaml:4:") && said.contains("the name of a credential is no path"), "{said}");
    }
}
