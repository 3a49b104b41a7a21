//! A file with many things wrong at once, and what is said of it, word for word.

use super::*;

const WRONG: &str = r#"version: 2
listners: []
listeners:
  - address: "0.0.0.0:5039"
    plaintext: true
  - address: localhost:5040
    tls: yes
    upstream: pxb
upstreams:
  pbx:
    address: 127.0.0.1
    username: amiwall
    secret: { file: missing.secret }
audit:
  directory: audit
  on_failure: continue
  segment: { size: 256MB }
limits:
  connections: 0
  login_timeout: 30
roles:
  wallboard:
    allow: Ping
    alow: [Status]
    allow: [QueueStatus]
    limits: { Originate: 10/minute }
identities:
  alice:
    roles: [wallbord]
    secret: hunter2
    networks: { allow: [offce] }
    valid: { until: 2027-13-01 }
  Alice:
    roles: [wallboard]
    upstream: pxb
"#;

#[test]
fn all_is_told_at_once_with_exact_places() {
    let diagnostics = load(WRONG).expect_err("errors");
    let expected = [
        "1:10 version `2` is not one that this amiwall reads",
        "2:1 unknown key `listners` in the policy",
        "5:16 plain text is for loopback addresses only",
        "6:14 `localhost:5040` is no address to listen on",
        "7:10 expected `key: value` pairs, found a text",
        "8:15 there is no upstream `pxb`",
        "11:14 `127.0.0.1` is no address",
        "13:21 missing.secret cannot be read: No such file or directory (os error 2)",
        "17:20 `256MB` is no size",
        "19:16 `0` is no number from 1",
        "20:18 `30` is no duration",
        "24:5 unknown key `alow` in the role `wallboard`",
        "25:5 the key `allow` stands twice, first in line 23",
        "26:26 expected `{ rate: … }`",
        "29:13 there is no role `wallbord`",
        "30:13 a secret in clear has no place in the policy file",
        "31:25 there is no network `offce`",
        "32:21 `2027-13-01` is no date",
        "33:3 the identities `alice` and `Alice` differ only in case",
        "33:3 the identity `Alice` cannot be proved by anything",
        "35:15 there is no upstream `pxb`",
        "16:15 while the log cannot be written, everything passes unrecorded",
    ];
    // The folder is another one each time.
    let folder = diagnostics.iter().next().and_then(|one| one.path.parent()).expect("a folder");
    let folder = format!("{}/", folder.display());
    let told: Vec<String> = short(&diagnostics).iter().map(|line| line.replace(&folder, "")).collect();
    assert_eq!(told, expected);
}

#[test]
fn a_problem_looks_like_the_compilers() {
    let diagnostics = load(&with("roles: [wallboard]", "roles: [wallbord]")).expect_err("an error");
    let path = diagnostics.iter().next().expect("one").path.display().to_string();
    let expected = format!(
        "error: there is no role `wallbord`\n  \
         --> {path}:12:20\n   \
         |\n\
         12 |   alice: {{ roles: [wallbord], secret: … }}\n   \
         |                    ^^^^^^^^\n   \
         = help: did you mean `wallboard`?"
    );
    assert_eq!(diagnostics.to_string(), expected);
    let coloured = diagnostics.render(Paint::Colour);
    assert!(coloured.contains("\x1b[1;31merror\x1b[0m") && coloured.contains("\x1b[1;31m^^^^^^^^\x1b[0m"));
}

#[test]
fn programs_get_the_same() {
    let diagnostics = load(&with("Ping", "Pingg")).expect_err("an error");
    let json = diagnostics.to_json();
    let first = &json[0];
    assert_eq!(first["severity"], "error");
    assert_eq!((&first["line"], &first["column"]), (&10.into(), &24.into()));
    assert_eq!(first["help"], "did you mean `Ping`?");
    assert_eq!(first["source"], "  wallboard: { allow: [Pingg] }");
}

#[test]
fn a_problem_of_the_yaml_itself_comes_alone() {
    let diagnostics = load("version: 1\nlisteners:\n  - address: \"0.0.0.0:1\n    tls: {\n").expect_err("an error");
    assert_eq!(diagnostics.len(), 1);
    assert!(diagnostics.to_string().contains("not YAML"), "{diagnostics}");
}
