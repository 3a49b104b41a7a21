//! `docs/incident.md` goes as it is told: its commands run, one after the other, against a built amiwall with a dialer that
//! calls, and what they answer is what stands there.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod built;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use amiwall::sim::{Sim, SimConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use built::start;

const ORIGINATE: &str =
    "Action: Originate\r\nChannel: Local/1000@test\r\nApplication: Wait\r\nData: 1\r\nAsync: true\r\n\r\n";
/// What the page calls the session.
const SESSION: &str = "5e2b9c01-4";

fn write_policy(folder: &Path, upstream: SocketAddr) {
    let secret = folder.join("secret");
    std::fs::write(&secret, "s3cret\n").expect("it is written");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("its mode is set");
    let policy = format!(
        r#"version: 1
listeners: [{{ address: "127.0.0.1:0", plaintext: true }}]
upstreams: {{ pbx: {{ address: "{upstream}", username: amiwall, secret: {{ file: secret }} }} }}
audit: {{ directory: audit }}
roles: {{ dialer: {{ allow: [Originate, Ping] }} }}
identities: {{ dialer: {{ roles: [dialer], secret: {{ file: secret }}, challenge: true }} }}
"#
    );
    std::fs::write(folder.join("policy.yaml"), policy).expect("it is written");
}

async fn read_packet(stream: &mut TcpStream) -> String {
    let mut packet = Vec::new();
    while !packet.ends_with(b"\r\n\r\n") {
        packet.push(stream.read_u8().await.expect("a byte"));
    }
    String::from_utf8_lossy(&packet).into_owned()
}

async fn ask(stream: &mut TcpStream, packet: &str) -> String {
    stream.write_all(packet.as_bytes()).await.expect("sent");
    read_packet(stream).await
}

/// The commands of the page, each with what it says comes of it.
fn commands(page: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut is_terminal = false;
    for line in page.lines() {
        if line.starts_with("```") {
            is_terminal = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| is_terminal) {
            all.push((command.to_owned(), String::new()));
        } else if let Some((_, shown)) = all.last_mut().filter(|_| is_terminal) {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_run_wild_are_stopped_as_the_page_tells() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/incident.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let folder = tempfile::tempdir().expect("a folder");
    let sim = Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"s3cret")).await.expect("the simulator binds");
    let (upstream, asterisk) = (sim.local_addr(), sim.handle());
    tokio::spawn(sim.run(CancellationToken::new()));
    write_policy(folder.path(), upstream);
    let (_amiwall, address) = start(folder.path()).await;
    let mut dialer = TcpStream::connect(address).await.expect("it listens");
    let login = "Action: Login\r\nUsername: dialer\r\nSecret: s3cret\r\nEvents: off\r\n\r\n";
    assert!(ask(&mut dialer, login).await.contains("Authentication accepted"));
    assert!(ask(&mut dialer, ORIGINATE).await.contains("successfully queued"));
    let mut session = String::new();
    let bin = Path::new(env!("CARGO_BIN_EXE_amiwall")).parent().expect("a folder");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a PATH"));
    let all = commands(&page);
    assert!(all.len() >= 10, "only {} commands were found", all.len());
    for (command, shown) in all {
        let here = folder.path().to_str().expect("a path");
        let real = command.replace("/etc/amiwall", here).replace("/var/lib/amiwall", here).replace(SESSION, &session);
        let output = Command::new("sh").args(["-c", &real]).env("PATH", &path).output().await.expect("a shell");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{real}: {said}{}", String::from_utf8_lossy(&output.stderr));
        if command.starts_with("amiwall pause") {
            assert!(ask(&mut dialer, ORIGINATE).await.contains("Permission denied"));
        }
        if command.starts_with("amiwall sessions") {
            let row = said.lines().nth(1).expect("a session");
            session = row.split(' ').next().expect("its name").to_owned();
            let heading =
                |text: &str| text.lines().next().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
            assert_eq!(heading(&said), heading(&shown));
            assert!(row.contains("dialer") && row.contains("Originate"), "{row}");
        } else if !command.starts_with("amiwall audit") {
            assert_eq!(said, shown.replace(SESSION, &session), "{command}");
        } else {
            assert!(said.contains("dialer") || said.contains("pause"), "{command}: {said}");
        }
    }
    let originated = asterisk.executed().iter().filter(|action| action.is("Originate")).count();
    assert_eq!(originated, 1, "none that came behind the pause");
}
