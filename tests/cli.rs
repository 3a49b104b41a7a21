//! Commands that judge a policy on the desk, as their users meet them: the built binary, its output and its exit code.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "cli/explain.rs"]
mod explain;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const POLICY: &str = "version: 1
listeners:
  - { address: \"127.0.0.1:5039\", plaintext: true, networks: { allow: [10.0.0.0/8] } }
upstreams:
  pbx: { address: 127.0.0.1:5038, username: amiwall, secret: { file: pbx.secret } }
audit: { directory: audit }
roles:
  crm:
    allow:
      - Ping
      - Originate:
          Channel: \"PJSIP/{extension}\"
          Context: out
          Exten: _NXXXXXX
          Priority: \"1\"
    deny:
      - Originate: { Exten: _911. }
    events: { allow: [call] }
identities:
  carla:
    roles: [crm]
    secret: { file: carla.secret }
    networks: { allow: [10.1.0.0/16] }
    attributes: { extension: \"1001\" }
";

/// What a command printed, and its exit code.
struct Ran {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

fn amiwall(directory: &Path, args: &[&str], input: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amiwall"));
    command.args(args).current_dir(directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    // A command that has seen enough ends without reading it.
    child.stdin.take().expect("its input").write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

fn test(tests: &str) -> Ran {
    let folder = folder(&[("crm.yaml", POLICY), ("crm.test.yaml", tests)]);
    amiwall(folder.path(), &["test", "crm.yaml"], "")
}

#[test]
fn a_policy_passes_its_tests_and_hears_what_they_do_not_reach() {
    let ran = test(
        "version: 1
tests:
  - { as: CARLA, from: 10.1.0.1, send: { Action: Ping }, expect: allow, rule: 'roles.crm.allow[0]' }
  - as: carla
    send: |
      Action: Originate
      Channel: PJSIP/1001
      Context: out
      Exten: 2345678
      Priority: 1
    expect: allow
  - { as: carla, event: { Event: VarSet, Privilege: 'dialplan,all' }, expect: hidden }
",
    );
    assert_eq!(ran.stdout, "no test is decided by roles.crm.deny[0] (line 17)\ncrm.yaml: 3 passed, 0 failed\n");
    assert_eq!(ran.code, Some(0));
}

#[test]
fn a_test_that_fails_tells_what_came_instead() {
    let ran = test(
        "version: 1
tests:
  - { name: no hangup, as: carla, send: { Action: Hangup }, expect: allow }
  - { as: carla, send: { Action: Hangup }, expect: deny, reason: params.Channel }
  - { as: carla, from: 192.0.2.1, send: { Action: Ping }, expect: allow }
  - { as: carla, send: { Action: Ping }, expect: deny }
  - { as: carla, send: \"Action: Ping\\n\\nAction: Ping\", expect: allow }
  - { as: carla, event: { Event: Newchannel, Privilege: 'call,all' }, expect: hidden }
",
    );
    assert_eq!(
        ran.stdout,
        "FAILED crm.test.yaml:3: no hangup
  expected allow; got deny, actions.unlisted
FAILED crm.test.yaml:4: carla, Action: Hangup
  expected deny, params.Channel; got deny, actions.unlisted
FAILED crm.test.yaml:5: carla, Action: Ping
  expected allow; got deny, networks.listener
FAILED crm.test.yaml:6: carla, Action: Ping
  expected deny; got allow, roles.crm.allow[0] (line 10)
FAILED crm.test.yaml:7: carla, Action: Ping
  this is 2 packets; a test has one
FAILED crm.test.yaml:8: carla, Event: Newchannel
  expected hidden; got shown
no test is decided by roles.crm.allow[1] (line 11), roles.crm.deny[0] (line 17)
crm.yaml: 0 passed, 6 failed
"
    );
    assert_eq!(ran.code, Some(3));
}

#[test]
fn all_problems_of_a_test_file_are_told_at_once() {
    let ran = test(
        "version: 1
tests:
  - { as: carla, send: { Action: Ping }, expect: shown }
  - { as: carla, expect: allow }
  - { as: carla, sent: { Action: Ping }, from: here, expect: maybe }
",
    );
    for expected in [
        "error: `shown` cannot come of this\n --> crm.test.yaml:3:5",
        "error: a test has either `send` or `event`\n --> crm.test.yaml:4:5",
        "error: unknown key `sent` in the test\n --> crm.test.yaml:5:18",
        "error: `here` is no address",
        "error: expected one of allow, deny, would-deny, shown, hidden, found `maybe`",
    ] {
        assert!(ran.stderr.contains(expected), "{expected}\n{}", ran.stderr);
    }
    assert_eq!(ran.code, Some(1));
    let ran = test("version: 1\ntests: []\n");
    assert_eq!((ran.code, ran.stderr.trim()), (Some(1), "there are no tests in these files"));
    let ran = test("version: 1\ntests: [{ as: nobody, send: { Action: Ping }, expect: deny }]\n");
    assert!(ran.stderr.starts_with("crm.test.yaml:2: the policy has no identity `nobody`"), "{}", ran.stderr);
}

#[test]
fn check_tells_what_a_policy_amounts_to() {
    let policy = POLICY
        .replace("[call] }", "[call], where: { Channel: \"PJSIP/{extension}-*\", Queue: [a, b] } }")
        .replace("  carla:\n", "  carla:\n    mode: shadow\n    shadow_also: [Originate, Command]\n");
    let folder = folder(&[("crm.yaml", &policy)]);
    let ran = amiwall(folder.path(), &["check", "crm.yaml", "--without-files"], "");
    for line in [
        "only of calls and queues with Channel = PJSIP/1001-*, or Queue = a or b\n",
        "refused all the same, unless a rule allows it, since it can run code: AGI, ConfbridgeStartRecord, ",
    ] {
        assert!(ran.stdout.contains(line), "{line}\n{}", ran.stdout);
    }
    assert!(ran.stdout.starts_with("crm.yaml: valid: 2 warnings\n"), "{}", ran.stdout);
    let ran = amiwall(folder.path(), &["check", "crm.yaml", "--without-files", "--strict"], "");
    assert_eq!((ran.stdout.as_str(), ran.code), ("", Some(4)));
    assert!(ran.stderr.ends_with("crm.yaml: not accepted: 2 warnings (--strict)\n"), "{}", ran.stderr);
    let ran = amiwall(folder.path(), &["check", "crm.yaml", "--without-files", "--strict", "--format", "json"], "");
    let value: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(value["valid"], false);
}

#[test]
fn certs_renews_with_the_same_names_and_says_what_a_list_has() {
    let folder = folder(&[]);
    let certs = |args: &[&str]| amiwall(folder.path(), &[&["certs", "wall/certs"], args].concat(), "");
    let first = certs(&["--name", "pbx.example.net", "--client", "crm.example"]);
    assert!(first.stdout.contains("in the policy in wall: tls: { certificate: certs/server.crt"), "{}", first.stdout);
    let renewed = certs(&["--force"]);
    assert!(renewed.stdout.contains("is for pbx.example.net, localhost, 127.0.0.1, ::1."), "{}", renewed.stdout);
    assert!(renewed.stdout.contains("san: crm.example"), "{}", renewed.stdout);
    let second = certs(&["--client", "lobby.example"]);
    assert!(second.stdout.starts_with("wrote wall/certs/client-lobby.example.crt\n"), "{}", second.stdout);
    assert!(!second.stdout.contains("server.crt") && certs(&["--client", "lobby.example"]).code == Some(1));
    assert_eq!(certs(&["--client", "x.example", "--name", "pbx.example.net"]).code, Some(2));
    let list = certs(&["--revoke", "wall/certs/client-lobby.example.crt"]);
    assert!(list.stderr.contains("there was no wall/certs/crl.pem: this list begins empty"), "{}", list.stderr);
    assert!(list.stdout.contains("1 certificate revoked\n  added: serial "), "{}", list.stdout);
    assert!(list.stdout.contains("CN=lobby.example") && list.stdout.contains("client_crl: certs/crl.pem }"));
    let again = certs(&["--revoke", "wall/certs/client-lobby.example.crt", "--revoke", "wall/certs/client.crt"]);
    assert!(again.stdout.contains("2 certificates revoked\n  was there before: serial "), "{}", again.stdout);
    assert_eq!(again.stderr, "");
}

#[test]
fn messages_are_json_where_that_is_asked_for() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let policy = POLICY.replace("127.0.0.1:5039", &address);
    let folder = folder(&[("policy.yaml", &policy), ("pbx.secret", "s3cret"), ("carla.secret", "s3cret")]);
    let run = |options: &[&str]| {
        let ran = amiwall(folder.path(), &[&["run", "policy.yaml", "--no-sandbox"], options].concat(), "");
        // It cannot listen there.
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("cannot listen on {address}")), "{}", ran.stderr);
        ran.stderr
    };
    let messages = |told: &str| -> Vec<serde_json::Value> {
        told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let told = messages(&run(&["--log-format", "json"]));
    let sandbox = told.iter().find(|one| one["message"] == "no sandbox, as --no-sandbox says").expect("a message");
    assert!(sandbox["level"] == "WARN" && sandbox["timestamp"].is_string(), "{sandbox}");
    assert!(messages(&run(&["--log-format", "json", "--log-level", "error"])).is_empty());
    assert!(run(&[]).contains("WARN no sandbox, as --no-sandbox says"));
    let wrong = amiwall(folder.path(), &["run", "policy.yaml", "--log-level", "loud"], "");
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
}

#[test]
fn certificates_are_renewed_when_it_is_time_or_somebody_insists() {
    let folder = folder(&[]);
    let ran = amiwall(folder.path(), &["certs", "renew"], "");
    assert!(ran.code == Some(1) && ran.stderr.contains("there is no authority"), "{}", ran.stderr);
    assert_eq!(amiwall(folder.path(), &["certs", "--name", "pbx.example.net"], "").code, Some(0));
    let read = |name: &str| std::fs::read_to_string(folder.path().join("certs").join(name)).expect("a file");
    let (old, client) = (read("server.crt"), read("client.crt"));
    let ran = amiwall(folder.path(), &["certs", "renew", "--client"], "");
    assert!(ran.code == Some(0) && ran.stdout.contains("it stays"), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(read("server.crt"), old);
    let ran = amiwall(folder.path(), &["certs", "renew", "certs", "--force"], "");
    assert!(ran.stdout.contains("certs/server.crt (pbx.example.net, localhost, 127.0.0.1, ::1) and its key are new"));
    assert!(ran.stdout.contains("amiwall reload POLICY"), "{}", ran.stdout);
    assert!(read("server.crt") != old && read("client.crt") == client);
    // Nobody listens there; the certificate is new all the same.
    std::fs::write(folder.path().join("p.yaml"), POLICY).expect("a policy");
    let ran = amiwall(folder.path(), &["certs", "renew", "--force", "--reload", "p.yaml"], "");
    assert!(ran.code == Some(1) && ran.stderr.contains("does amiwall run?"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn help_has_commands_topics_and_reason_codes() {
    let folder = folder(&[]);
    let help = |args: &[&str]| amiwall(folder.path(), &[&["help"], args].concat(), "");
    let all = help(&[]);
    assert_eq!(all.code, Some(0), "{}", all.stderr);
    for word in ["\naudit ", "\nrun ", "\npatterns ", "\nexit-codes "] {
        assert!(all.stdout.contains(word), "{word:?}: {}", all.stdout);
    }
    let of_command = help(&["audit", "verify"]);
    let itself = amiwall(folder.path(), &["audit", "verify", "--help"], "");
    assert_eq!(of_command.stdout.trim_end(), itself.stdout.trim_end());
    let codes = help(&["exit-codes"]);
    assert!(codes.stdout.contains("\n4          the policy is invalid\n"), "{}", codes.stdout);
    let reason = help(&["reasons", "limits.rate"]);
    assert!(reason.stdout.starts_with("limits.rate\nrecord      `action`"), "{}", reason.stdout);
    assert!(!reason.stdout.contains("limits.per_day"), "{}", reason.stdout);
    let nothing = help(&["nothing-of-the-kind"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(2), ""));
    assert!(nothing.stderr.contains("`amiwall help` lists them"), "{}", nothing.stderr);
}
