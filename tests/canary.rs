//! Secrets are nowhere: unique tokens in every field that holds one, through a whole amiwall, and none of them in its log,
//! its messages or what its commands print. `AMIWALL_TEST_FULL=1` sends thousands.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use amiwall::ami::Message;
use amiwall::config::Config;
use amiwall::daemon::Daemon;
use amiwall::sim::{Sim, SimConfig, SimHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// What every token begins with.
const CANARY: &str = "cnry";

/// Packets of clients; `@` is a token.
const ACTIONS: &[&str] = &[
    "Login|Username: dialer|Secret: @",
    "Login|Username: dialer|AuthType: MD5|Key: @",
    "Lgoin|Username: dialer|Key: @|Secret: @",
    "AGI|Channel: PJSIP/1|Command: EXEC Authenticate @",
    "AGI|Channel: PJSIP/1|Command: SET VARIABLE @ @",
    "Command|Command: database put pin 1001 @",
    "Command|Command: DATABASE PUT \"a b\" c @",
    "Command|Command: dialplan set global PIN @",
    "Command|Command: dialplan add extension 1,1,Authenticate,@ into default",
    "DBPut|Family: user|Key: secret|Val: @",
    "DBPut|Family: pin|Key: 1001|Val: @",
    "DialplanExtensionAdd|Context: a|Extension: 1|Priority: 1|Application: Authenticate|ApplicationData: @",
    "JabberSend|Jabber: j|ScreenName: a|Message: @",
    "MessageSend|To: pjsip:1|Body: @|Base64Body: @",
    "Originate|Channel: SIP/bob:@@192.0.2.1|Application: SendDTMF|Data: @|Variable: PIN=@",
    "Originate|Channel: PJSIP/1|Variable: a=1,__ccnum=@,b=2|Variable: PASSWORD=\"@,x=@\"",
    "Originate|Channel: PJSIP/1|Application: Dial|Data: PJSIP/2,30,D(@)",
    "PJSIPNotify|Endpoint: 1|Variable: Content=@|Variable: Authorization=@",
    "PlayDTMF|Channel: PJSIP/1|Digit: @",
    "PlayMF|Channel: PJSIP/1|Digit: @",
    "SendText|Channel: PJSIP/1|Message: @",
    "Setvar|Channel: PJSIP/1|Variable: __userPin|Value: @",
    "Setvar|Variable: DB(cc/1)|Value: @",
    "UpdateConfig|SrcFilename: a|DstFilename: a|Action-000000: Update|Cat-000000: 1|Var-000000: auth|Value-000000: @|Match-000000: @",
    "UserEvent|UserEvent: x|Password: @|Token: @",
];

/// Packets of Asterisk.
const REPLIES: &[&str] = &[
    "Event: AGIExecEnd|Command: GET DATA @ @|Result: @",
    "Event: AGIExecStart|Command: SET VARIABLE @",
    "Event: AsyncAGIExec|Result: @",
    "Event: AsyncAGIStart|Env: @",
    "Event: AuthDetail|Password: @|Md5Cred: @|PasswordDigest: @",
    "Event: AuthList|Password: @|Md5Cred: @|PasswordDigest: @",
    "Event: CEL|Application: Authenticate|AppData: @",
    "Event: Cdr|LastApplication: VMAuthenticate|LastData: @",
    "Event: ChallengeResponseFailed|AccountID: a|Challenge: @|Response: @|ExpectedResponse: @",
    "Event: ChallengeSent|Challenge: @",
    "Event: CoreShowChannel|Application: Read|ApplicationData: @",
    "Event: DBGetResponse|Family: user|Key: secret|Val: @",
    "Event: DBGetTreeResponse|Key: /pin/1001|Val: @",
    "Event: DTMFBegin|Digit: @",
    "Event: DTMFEnd|Digit: @|ChanVariable: PIN=@|ChanVariable(PJSIP/1): cardno=@",
    "Event: InvalidAccountID|AccountID: @",
    "Event: InvalidPassword|Challenge: @|ReceivedChallenge: @|ReceivedHash: @",
    "Event: ListDialplan|Application: System|AppData: @",
    "Event: Newexten|Extension: 1|Application: Set|AppData: PIN=@",
    "Event: Newexten|Extension: 1|Application: Dial|AppData: SIP/bob:@@192.0.2.1,30,D(@)",
    "Event: OriginateResponse|Response: Failure|Application: Authenticate|Data: @",
    "Event: PresenceStateChange|Message: @",
    "Event: RequestBadFormat|RequestType: @",
    "Event: Status|Variable: choice=@|Application: Authenticate|Data: @",
    "Event: UserEvent|Password: @",
    "Event: VarSet|Variable: choice|Value: @",
    "Event: VoicemailPasswordChange|NewPassword: @",
    "Response: Success|ActionID: of-nobody|Output: @",
    "Response: Success|ActionID: of-nobody|Line-000000-000000: 1001=@|Line-000000-000001: @",
    "Response: Success|ActionID: of-nobody|JSON: {\"@\": 1}",
    "Response: Success|ActionID: of-nobody|Variable: x|Value: @",
    "Response: Success|ActionID: of-nobody|Challenge: @",
];

/// Counts the tokens that were sent.
#[derive(Default)]
struct Tokens(usize);

impl Tokens {
    fn fill(&mut self, template: &str, end: &str) -> String {
        let mut packet = String::new();
        let mut parts = template.split('@').peekable();
        while let Some(part) = parts.next() {
            packet.push_str(&part.replace('|', end));
            // `@@` is a token and the sign itself.
            if parts.peek().is_some_and(|next| next.is_empty()) && part.ends_with(':') {
                write!(packet, "{}@", self.next()).expect("a text");
                parts.next();
                packet.push_str(&parts.next().unwrap_or_default().replace('|', end));
            }
            if parts.peek().is_some() {
                packet.push_str(&self.next());
            }
        }
        packet + end + end
    }

    fn next(&mut self) -> String {
        self.0 += 1;
        format!("{CANARY}{:06}", self.0)
    }
}

/// What the program says of itself, at the finest level.
#[derive(Clone, Default)]
struct Traced(Arc<Mutex<Vec<u8>>>);

impl Write for Traced {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("it is written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode is set");
}

fn write_policy(folder: &Path, upstream: SocketAddr) {
    write(&folder.join("secret"), "s3cret\n");
    let policy = format!(
        r#"version: 1
listeners: [{{ address: "127.0.0.1:0", plaintext: true }}]
upstreams: {{ pbx: {{ address: "{upstream}", username: amiwall, secret: {{ file: secret }} }} }}
audit: {{ directory: audit, security_log: security }}
limits: {{ failed_logins: {{ rate: 100000/minute, lockout: 1s }}, connections_per_address: 500, unauthenticated_per_address: 500, unauthenticated: 500 }}
roles:
  dialer:
    allow: [Ping, Originate, SendText, DBPut]
    events: {{ allow: [call, user] }}
identities: {{ dialer: {{ roles: [dialer], secret: {{ file: secret }}, challenge: true }} }}
"#
    );
    write(&folder.join("policy.yaml"), &policy);
}

async fn packet(stream: &mut TcpStream) -> String {
    let mut packet = Vec::new();
    while !packet.ends_with(b"\r\n\r\n") {
        packet.push(stream.read_u8().await.expect("an answer"));
    }
    String::from_utf8_lossy(&packet).into_owned()
}

async fn login(address: SocketAddr, events: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let login = format!("Action: Login\r\nUsername: dialer\r\nSecret: s3cret\r\nEvents: {events}\r\n\r\n");
    stream.write_all(login.as_bytes()).await.expect("sent");
    let answer = packet(&mut stream).await;
    assert!(answer.contains("Authentication accepted"), "{answer}");
    stream
}

/// Sends something, and reads until amiwall closes or has answered the Ping behind it.
async fn send(address: SocketAddr, is_logged_in: bool, bytes: &[u8], is_to_answer: bool) {
    let mut stream =
        if is_logged_in { login(address, "off").await } else { TcpStream::connect(address).await.expect("it listens") };
    stream.write_all(bytes).await.expect("sent");
    if is_to_answer {
        stream.write_all(b"\r\nAction: Ping\r\nActionID: last\r\n\r\n").await.expect("sent");
    }
    stream.shutdown().await.ok();
    let mut answers = Vec::new();
    tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answers)).await.expect("an end").ok();
}

async fn send_actions(address: SocketAddr, tokens: &mut Tokens) {
    let mut whole = String::new();
    for action in ACTIONS {
        let packet = tokens.fill(&format!("Action: {action}"), "\r\n");
        let malformed = tokens.fill(&format!("Action: {action}|ActionID: 1|ActionID: 2|no colon @"), "\r\n");
        let bare = tokens.fill(&format!("Action: {action}"), "\n");
        whole += &(packet.clone() + &malformed + &bare);
        // Cut off in the middle of the last value, with and without a name before it.
        let cut = packet.len() - 6;
        send(address, true, packet.get(..cut).expect("ASCII").as_bytes(), false).await;
        send(address, false, (malformed + &packet).as_bytes(), false).await;
    }
    send(address, true, whole.as_bytes(), true).await;
    let garbage = format!("\x16\x03\x01{}\r\n\r\nGET /{} HTTP/1.1\r\n\r\n", tokens.next(), tokens.next());
    send(address, false, garbage.as_bytes(), false).await;
    let unknown = tokens.fill("Action: Login|Username: @|Secret: @", "\r\n");
    send(address, false, unknown.as_bytes(), false).await;
}

async fn send_replies(address: SocketAddr, asterisk: &SimHandle, tokens: &mut Tokens) {
    let mut stream = login(address, "on").await;
    for reply in REPLIES {
        let marked = reply.replacen('|', "|Privilege: call,all|", usize::from(reply.starts_with("Event")));
        asterisk.raw(tokens.fill(&marked, "\r\n").as_bytes());
    }
    asterisk.emit(&Message::compose(&[("Event", b"UserEvent"), ("Privilege", b"user,all"), ("UserEvent", b"TheEnd")]));
    while !packet(&mut stream).await.contains("TheEnd") {}
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).expect("a file")));
        }
    }
}

fn run(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amiwall"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("stdin").write_all(input).ok();
    let output = child.wait_with_output().expect("it ends");
    [output.stdout, output.stderr].concat()
}

#[track_caller]
fn assert_clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(line) = text.lines().find(|line| line.contains(CANARY)) {
        panic!("a secret stands in {what}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_anywhere() {
    let traced = Traced::default();
    let writer = traced.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).expect("the only one");
    let rounds = if std::env::var_os("AMIWALL_TEST_FULL").is_some() { 40 } else { 1 };
    let folder = tempfile::tempdir().expect("a folder");
    let sim = Sim::bind("127.0.0.1:0", SimConfig::with_secret(b"s3cret")).await.expect("the simulator binds");
    let (upstream, asterisk) = (sim.local_addr(), sim.handle());
    tokio::spawn(sim.run(CancellationToken::new()));
    write_policy(folder.path(), upstream);
    let policy = folder.path().join("policy.yaml");
    let config = Config::load(&policy).expect("a policy");
    let daemon = Daemon::start(&config).await.expect("it starts");
    let address = *daemon.addresses().first().expect("an address");
    let mut tokens = Tokens::default();
    for _ in 0..rounds {
        send_actions(address, &mut tokens).await;
        send_replies(address, &asterisk, &mut tokens).await;
    }
    daemon.stop().await;
    assert!(tokens.0 >= 150 * rounds, "{} tokens were sent", tokens.0);
    let mut found = Vec::new();
    files(folder.path(), &mut found);
    let audit = folder.path().join("audit");
    let written = found.iter().filter(|(path, _)| path.contains("/audit/audit-")).map(|(_, bytes)| bytes.len());
    assert!(written.sum::<usize>() > 10_000, "the log has what was sent");
    found.iter().for_each(|(path, bytes)| assert_clean(path, bytes));
    assert_clean("the messages", &traced.0.lock().unwrap_or_else(PoisonError::into_inner));
    let (policy, audit) = (policy.to_str().expect("UTF-8"), audit.to_str().expect("UTF-8"));
    assert_clean("verify", &run(&["audit", "verify", audit], b""));
    assert_clean("learn", &run(&["learn", audit], b""));
    assert_clean("check", &run(&["check", policy], b""));
}

/// Terminals obey these: a colour, a title, a C1 introducer, a deletion, changes of direction.
const HOSTILE: &str = "a\u{1b}[31mb\u{1b}]0;x\u{7}c\u{9b}2Jd\u{7f}e\u{202e}f\u{2066}g\r";

#[track_caller]
fn assert_harmless(what: &str, output: &[u8]) {
    let text = String::from_utf8_lossy(output);
    let is_obeyed = |c: char| (c.is_control() && c != '\n' && c != '\t') || "\u{202e}\u{2066}".contains(c);
    assert!(!text.is_empty() && !text.contains(is_obeyed), "{what}: {text:?}");
}

#[test]
fn nothing_from_the_network_speaks_to_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    write_policy(folder.path(), "127.0.0.1:5038".parse().expect("an address"));
    let policy = folder.path().join("policy.yaml");
    let path = policy.to_str().expect("UTF-8");
    let packet = format!("Action: Originate\r\nChannel: PJSIP/{HOSTILE}\r\nX{HOSTILE}: 1\r\n\r\n");
    for format in ["human", "json"] {
        let explained = run(&["explain", path, "--as", "dialer", "--format", format], packet.as_bytes());
        assert_harmless("explain", &explained);
        assert_harmless("explain", &run(&["explain", path, "--as", HOSTILE, "--format", format], packet.as_bytes()));
    }
    // A log that somebody else wrote.
    let audit = folder.path().join(format!("log{HOSTILE}"));
    std::fs::create_dir(&audit).expect("a folder");
    let record = format!("{{\"seq\":1,\"time\":\"{HOSTILE}\",\"kind\":\"{HOSTILE}\"}}\n");
    write(&audit.join("audit-00000000000000000001.jsonl"), &record);
    for format in ["human", "json"] {
        let verified = run(&["audit", "verify", audit.to_str().expect("UTF-8"), "--format", format], b"");
        assert_harmless("verify", &verified);
    }
    let text = std::fs::read_to_string(&policy).expect("a policy") + &format!("unknown{HOSTILE}: 1\n");
    write(&policy, &text);
    assert_harmless("check", &run(&["check", path], b""));
}
