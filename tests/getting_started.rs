//! `docs/getting-started.md` goes as it is told: its commands are run, in the order of the page, in front of the simulated
//! Asterisk; and `amiwall doctor`, as its users meet it.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const AMIWALL: &str = env!("CARGO_BIN_EXE_amiwall");

fn page() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/getting-started.md");
    std::fs::read_to_string(file).expect("the page")
}

/// The ```` ```sh ```` blocks of the page, in order.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("\n```sh\n").skip(1);
    blocks.map(|block| block.split("\n```").next().unwrap_or_default().to_owned()).collect()
}

/// A shell that finds amiwall.
fn shell(folder: &Path, command: &str) -> Command {
    let bin = Path::new(AMIWALL).parent().expect("a folder");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a PATH"));
    let mut shell = Command::new("sh");
    // So that it is the program itself that is ended.
    shell.arg("-c").arg(command).env("PATH", path).current_dir(folder).stdin(Stdio::null());
    shell
}

fn run(folder: &Path, command: &str) -> Output {
    shell(folder, command).output().expect("a shell")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// A program that is ended when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Running {
    /// Starts it and waits for a line with this word.
    fn start(folder: &Path, command: &str, word: &str) -> Self {
        let mut shell = shell(folder, &format!("exec {command} 2>&1"));
        let mut child = shell.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut seen = Vec::new();
        let is_there = lines.by_ref().map_while(Result::ok).any(|line| {
            let found = line.contains(word);
            seen.push(line);
            found
        });
        assert!(is_there, "{command} ended: {seen:?}");
        // What it says further has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }
}

/// The simulated Asterisk, where it answers.
fn simulator(folder: &Path, secret: &Path, port: u16) -> Running {
    let command = format!("amiwall simulate --listen 127.0.0.1:{port} --secret-file {}", secret.display());
    Running::start(folder, &command, "listen")
}

#[test]
#[ignore = "needs openssl; the step `pages` runs it"]
fn the_first_ten_minutes_go_as_they_are_told() {
    let (page, folder) = (page(), tempfile::tempdir().expect("a folder"));
    let commands = commands(&page);
    let [_asks, init, check, doctor, start, openssl, search, explain, reload] = commands.as_slice() else {
        panic!("the page has other commands: {commands:#?}");
    };
    let (asterisk, listen) = (port(), port());
    let at = folder.path();
    let init = init
        .replace("127.0.0.1:5038", &format!("127.0.0.1:{asterisk}"))
        .replace("0.0.0.0:5039", &format!("127.0.0.1:{listen}"));
    let done = run(at, &init);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("cannot be reached"), "there is no Asterisk yet: {}", text(&done.stderr));
    let told = text(&done.stdout);
    let secret = told.lines().find_map(|line| line.strip_prefix("Secret: ")).expect("the secret is shown").to_owned();
    assert!(text(&run(at, check).stdout).contains("valid"));
    let _asterisk = simulator(at, &at.join("amiwall/secrets/pbx.secret"), asterisk);
    let looked = text(&run(at, doctor).stdout);
    assert!(looked.contains("ok      asterisk-login") && looked.contains("running: nobody answers"), "{looked}");
    let _amiwall = Running::start(at, start, "listening");
    let looked = text(&run(at, doctor).stdout);
    assert!(looked.contains("ok      running") && looked.contains("ok      policy-in-force"), "{looked}");
    let packets = page.split("Action: Login").nth(1).and_then(|rest| rest.split("\n```").next()).expect("the packets");
    let packets = format!("Action: Login{packets}\n").replace("the secret", &secret);
    let openssl = openssl.replace(":5039", &format!(":{listen}"));
    let mut client = shell(at, &openssl).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("openssl runs");
    let mut input = client.stdin.take().expect("its input");
    input.write_all(packets.as_bytes()).expect("it is sent");
    let answers = text(&client.wait_with_output().expect("it ends").stdout);
    drop(input);
    for answer in ["Message: Authentication accepted", "Ping: Pong", "Message: Permission denied", "Response: Goodbye"]
    {
        assert!(answers.contains(answer), "{answer}: {answers}");
    }
    let found = text(&run(at, search).stdout);
    assert!(found.contains("CoreSettings") && found.contains("actions.unlisted"), "{found}");
    let why = run(at, explain);
    assert!(why.status.code() == Some(3) && text(&why.stdout).starts_with("denied"), "{}", text(&why.stdout));
    let policy = at.join("amiwall/policy.yaml");
    let changed = std::fs::read_to_string(&policy)
        .expect("read")
        .replace("      - Ping\n", "      - Ping\n      - CoreSettings\n");
    std::fs::write(&policy, changed).expect("written");
    assert!(text(&run(at, doctor).stdout).contains("warning policy-in-force"));
    let done = run(at, reload);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(run(at, explain).status.success());
}

#[test]
fn every_flag_of_init_is_on_the_page() {
    let help = text(&run(Path::new("/"), "amiwall init --help").stdout);
    let flags = help
        .split_whitespace()
        .filter(|word| word.starts_with("--"))
        .map(|word| word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()));
    let page = page();
    let missing: Vec<&str> = flags.filter(|flag| *flag != "--help" && !page.contains(*flag)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(help.contains("--offline"));
}

#[test]
fn init_without_a_terminal_asks_nothing_and_leaves_all_or_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = || {
        let entries = std::fs::read_dir(folder.path()).expect("a folder").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let refused = run(folder.path(), "amiwall init new --offline --listen nowhere");
    assert_eq!(refused.status.code(), Some(2));
    assert!(names().is_empty(), "{:?}", names());
    assert!(run(folder.path(), "amiwall init new --offline").status.success());
    assert_eq!(names(), ["new"]);
    let again = run(folder.path(), "amiwall init new --offline");
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("never overwrites"));
}

#[test]
fn doctor_finds_a_weak_asterisk_and_says_so_to_programs() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor");
    let folder = tempfile::tempdir().expect("a folder");
    let shown = files.display();
    let weak = format!(
        "amiwall doctor --manager-conf {shown}/weak-manager.conf --http-conf {shown}/http-on.conf \
         --asterisk-conf {shown}/asterisk-dangerous.conf --asterisk 127.0.0.1:{} --format json",
        port()
    );
    let found = run(folder.path(), &weak);
    assert_eq!(found.status.code(), Some(3), "{}", text(&found.stderr));
    let json: serde_json::Value = serde_json::from_slice(&found.stdout).expect("JSON");
    let findings = json["findings"].as_array().expect("findings");
    for code in ["port-open", "ajam", "live-dangerously", "secret-weak", "account-open"] {
        let is = |finding: &serde_json::Value| finding["code"] == code && finding["level"] == "problem";
        let finding = findings.iter().find(|finding| is(finding)).expect(code);
        assert!(
            ["found", "why", "do"].iter().all(|key| finding[key].as_str().is_some_and(|text| !text.is_empty())),
            "{finding}"
        );
    }
    let text_of = text(&found.stdout);
    assert!(!text_of.contains("amp111") && !text_of.contains("kJ3vQ9x2Lm7Rt5Wz8Pb4"));
    // What cannot be looked at is no problem, and no ok.
    let blind = run(folder.path(), &format!("amiwall doctor --manager-conf /nowhere --asterisk 127.0.0.1:{}", port()));
    assert_eq!(blind.status.code(), Some(0), "{}", text(&blind.stdout));
    assert!(
        text(&blind.stdout).contains("???     manager-conf") && !text(&blind.stdout).contains("ok      secret-weak")
    );
}

#[test]
fn doctor_tells_a_policy_that_is_not_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("policy.yaml"), "version: 1\nroles: 7\n").expect("written");
    let found = run(folder.path(), "amiwall doctor policy.yaml --manager-conf /nowhere --asterisk 127.0.0.1:1");
    assert_eq!(found.status.code(), Some(3));
    assert!(text(&found.stdout).contains("PROBLEM policy: policy.yaml is not valid"), "{}", text(&found.stdout));
}
