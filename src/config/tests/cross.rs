//! Rules between sections, and between the policy and the files that it names.

use super::*;

/// The listener of the minimal policy.
const LISTENER: &str = "  - { address: \"127.0.0.1:5039\", plaintext: true }\n";

#[test]
fn plain_text_is_for_loopback() {
    let elsewhere =
        |more: &str| with(LISTENER, &format!("  - {{ address: \"192.0.2.1:5039\", plaintext: true{more} }}\n"));
    assert_eq!(error(&elsewhere("")), "plain text is for loopback addresses only");
    assert_eq!(error(&elsewhere(", unsafe_plaintext: false")), "plain text is for loopback addresses only");
    assert_eq!(
        warnings(&elsewhere(", unsafe_plaintext: true")),
        ["secrets travel in clear on this listener", "`alice` may log in from any address"]
    );
    let alone = with(LISTENER, "  - { address: \"127.0.0.1:5039\", unsafe_plaintext: true }\n");
    let told = short(&load(&alone).expect_err("errors"));
    assert!(
        told.iter().any(|line| line.ends_with("`unsafe_plaintext` says nothing without `plaintext: true`")),
        "{told:?}"
    );
}

#[test]
fn listeners_do_not_take_each_others_address() {
    let two = |other: &str| {
        with(LISTENER, &format!("{LISTENER}  - {{ address: \"{other}\", plaintext: true, unsafe_plaintext: true }}\n"))
    };
    assert_eq!(error(&two("127.0.0.1:5039")), "another listener has the address 127.0.0.1:5039");
    assert_eq!(error(&two("0.0.0.0:5039")), "another listener, 127.0.0.1:5039, takes the port of 0.0.0.0:5039");
    assert!(load(&two("127.0.0.1:5040")).is_ok() && load(&two("[::1]:5039")).is_ok());
}

#[test]
fn a_listener_needs_its_upstream() {
    let second = "upstreams:\n  lab: { address: 127.0.0.1:5039, username: a, secret: { file: pbx.secret } }\n";
    let two = with("upstreams:\n", second);
    assert_eq!(error(&two), "`upstream` is missing in the listener: there are several to choose from");
    assert!(load(&two.replace("plaintext: true", "plaintext: true, upstream: lab")).is_ok());
    assert_eq!(error(&two.replace("plaintext: true", "plaintext: true, upstream: lub")), "there is no upstream `lub`");
    // An upstream that something else is wrong with is there all the same.
    let broken = with("plaintext: true", "plaintext: true, upstream: pbx").replace("127.0.0.1:5038", "nowhere");
    assert_eq!(error(&broken), "`nowhere` is no address");
}

#[test]
fn an_upstream_elsewhere_is_worth_a_warning() {
    let told = warnings(&with("127.0.0.1:5038", "pbx.example.net:5038"));
    assert_eq!(told, ["the secret of `pbx.example.net:5038` travels in clear to another machine"]);
    assert!(warnings(&with("127.0.0.1:5038", "\"[::1]:5038\"")).is_empty());
    for wrong in ["127.0.0.1:0", "127.0.0.1:65536", "':5038'", "a b:5038", "'::1:5038'"] {
        assert!(error(&with("127.0.0.1:5038", wrong)).ends_with("is no address"), "{wrong}");
    }
}

#[test]
fn an_upstream_over_tls_says_whom_it_trusts() {
    let folder = Folder::new();
    crate::tls::issue(&folder.path("certs"), &crate::tls::IssueOptions::default()).expect("certificates");
    let policy = |address: &str, tls: &str| {
        let upstream = format!("address: {address}, tls: {tls}, username");
        with("address: 127.0.0.1:5038, username", &upstream)
    };
    let elsewhere = |tls: &str| folder.load(policy("pbx.example.net:5039", tls));
    let config = elsewhere("{ ca: certs/ca.crt }").unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    let name = |config: &Config| config.upstreams["pbx"].tls.as_ref().expect("TLS").name.to_str().into_owned();
    assert_eq!(name(&config), "pbx.example.net");
    assert!(config.reads.iter().any(|file| file.ends_with("certs/ca.crt")), "it has to be in reach");
    let config = elsewhere("{ ca: certs/ca.crt, name: pbx2, certificate: certs/client.crt, key: certs/client.key }");
    assert_eq!(name(&config.unwrap_or_else(|diagnostics| panic!("{diagnostics}"))), "pbx2");
    let config = folder.load(policy("\"[::1]:5039\"", "{ ca: certs/ca.crt }"));
    assert_eq!(name(&config.unwrap_or_else(|diagnostics| panic!("{diagnostics}"))), "::1");
    let told = |tls: &str| {
        short(&elsewhere(tls).expect_err("an error")).join("\n").replace(folder.0.path().to_str().expect("a path"), "")
    };
    for (tls, expected) in [
        ("{}", "5:46 `ca` is missing in `tls`"),
        ("{ name: x }", "5:46 `ca` is missing in `tls`"),
        ("{ ca: certs/no.crt }", "5:52 /certs/no.crt: cannot be read: No such file or directory (os error 2)"),
        ("{ ca: certs/ca.key }", "5:52 /certs/ca.key: holds no certificate in PEM form"),
        ("{ ca: certs/ca.crt, key: certs/client.key }", "5:46 `certificate` is missing in `tls`"),
        ("{ ca: certs/ca.crt, certificate: certs/client.crt }", "5:46 `key` is missing in `tls`"),
        ("{ ca: certs/ca.crt, name: a b }", "5:72 `a b` is no name of a machine"),
        ("{ ca: certs/ca.crt, verify: no }", "5:66 unknown key `verify` in `tls`"),
        ("yes", "5:46 expected `key: value` pairs, found a text"),
    ] {
        assert_eq!(told(tls), expected, "{tls}");
    }
    // On a desk the files are not there.
    let path = folder.write("policy.yaml", policy("pbx.example.net:5039", "{ ca: elsewhere.crt }"));
    assert!(check(&path, Files::Skip).is_ok_and(|checked| checked.warnings.is_empty()));
}

#[test]
fn hold_is_a_time_and_an_identitys_upstream_one_that_there_is() {
    let hold = |time: &str| with("username: amiwall,", &format!("username: amiwall, hold: {time},"));
    let seconds = load(&hold("60s")).expect("a policy").upstreams["pbx"].hold.map(|hold| hold.as_secs());
    assert_eq!((seconds, load(&minimal()).expect("a policy").upstreams["pbx"].hold), (Some(60), None));
    for wrong in ["60", "0s", "yes"] {
        assert_eq!(error(&hold(wrong)), format!("`{wrong}` is no duration"));
    }
    let upstream = |name: &str| with("roles: [wallboard],", &format!("roles: [wallboard], upstream: {name},"));
    let config = load(&upstream("pbx")).expect("a policy");
    let named = config.identities.iter().next().and_then(|alice| alice.upstream.clone());
    assert_eq!(named.as_deref(), Some("pbx"));
    assert_eq!(error(&upstream("pxb")), "there is no upstream `pxb`");
}

#[test]
fn logins_are_for_roles_and_identities() {
    let logins = |name: &str| {
        let login = format!("logins: {{ {name}: {{ username: b, secret: {{ file: pbx.secret }} }} }}");
        with("username: amiwall,", &format!("username: amiwall, {login},"))
    };
    assert!(load(&logins("wallboard")).is_ok() && load(&logins("alice")).is_ok());
    assert_eq!(error(&logins("wallbord")), "there is no role or identity `wallbord`");
}

#[test]
fn networks_resolve() {
    let networks = |list: &str| with("roles: [wallboard],", &format!("roles: [wallboard], networks: {list},"));
    let config = load(&networks("{ allow: [office, 203.0.113.7], except: [10.20.9.0/24] }")).expect("valid");
    let acl = config.identities.iter().next().expect("alice").networks.clone();
    assert_eq!(acl.to_string(), "10.20.0.0/16, 203.0.113.7 except 10.20.9.0/24");
    let diagnostics = load(&networks("{ allow: [ofice] }")).expect_err("an error");
    assert_eq!(diagnostics.iter().next().expect("one").help.as_deref(), Some("did you mean `office`?"));
    assert!(error(&networks("{ allow: [10.20.0.1/16] }")).contains("write `10.20.0.0/16`"));
    assert_eq!(warnings(&networks("{ allow: [] }")), ["an empty `allow` lets nobody in"]);
}

#[test]
fn an_identity_is_proved_by_something_that_works() {
    let secret = format!("secret: \"{HASH}\"");
    for nothing in ["", ", secret: []"] {
        let without = with(&format!(", {secret}"), nothing);
        assert_eq!(error(&without), "the identity `alice` cannot be proved by anything");
    }
    let challenge = "an MD5 challenge needs a recoverable secret, not an argon2id line";
    assert_eq!(error(&with(&secret, &format!("{secret}, challenge: true"))), challenge);
    assert!(load(&with(&secret, "secret: { file: pbx.secret }, challenge: true")).is_ok());
    let unneeded = ["the secret is kept in clear, but nothing needs it"];
    assert_eq!(warnings(&with(&secret, "secret: { file: pbx.secret }")), unneeded);
    assert_eq!(error(&with(&secret, "certificate: { san: a.example }")), "no listener asks for client certificates");
    assert!(load(&with(&secret, &format!("secret: [\"{HASH}\", \"{HASH}\"]"))).is_ok());
    assert_eq!(
        error(&with(&secret, "secret: \"$argon2id$v=19$nonsense\"")),
        "not an argon2id line; `amiwall hash-secret` prints one"
    );
}

#[test]
fn a_certificate_needs_a_listener_that_asks_for_it() {
    let folder = Folder::new();
    crate::tls::issue(&folder.path("certs"), &crate::tls::IssueOptions::default()).expect("certificates");
    let tls = "  - { address: \"127.0.0.1:5039\", tls: { certificate: certs/server.crt, key: certs/server.key, client_ca: certs/ca.crt } }\n";
    let text = with(LISTENER, tls).replace(&format!("secret: \"{HASH}\""), "certificate: { san: client.example }");
    let config = folder.load(&text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert!(matches!(config.listeners[0].transport, crate::listener::Transport::Tls(_)));
    let without = folder.load(text.replace(", client_ca: certs/ca.crt", "")).expect_err("an error");
    assert!(without.to_string().contains("no listener asks for client certificates"), "{without}");
    let required = text.replace("client_ca: certs/ca.crt", "client_certificate: required");
    let required = folder.load(required).expect_err("an error");
    assert!(required.to_string().contains("`client_certificate` needs `client_ca`"), "{required}");
    let wildcard = folder.load(text.replace("client.example", "\"*.example\"")).expect_err("an error");
    assert!(wildcard.to_string().contains("there are no wildcards"), "{wildcard}");
}

#[test]
fn what_others_can_read_or_change_is_worth_a_warning() {
    let folder = Folder::new();
    folder.set_mode("pbx.secret", 0o644);
    let path = folder.write("policy.yaml", minimal());
    folder.set_mode("policy.yaml", 0o664);
    let warnings = Config::load(&path).expect("valid").warnings.to_string();
    assert!(warnings.contains("the policy file can be changed by other users"), "{warnings}");
    assert!(warnings.contains("pbx.secret can be read by other users"), "{warnings}");
}

#[test]
fn what_says_who_is_let_in_is_not_for_others_to_change() {
    let folder = Folder::new();
    let certs = folder.path("certs");
    crate::tls::issue(&certs, &crate::tls::IssueOptions::default()).expect("certificates");
    crate::tls::revoke(&certs, &[]).expect("a list");
    let tls = "  - address: \"127.0.0.1:5039\"\n    tls:\n      certificate: certs/server.crt\n      key: certs/server.key\n      client_ca: certs/ca.crt\n      client_crl: certs/crl.pem\n";
    let path = folder.write("policy.yaml", with(LISTENER, tls));
    let warnings = || Config::load(&path).expect("valid").warnings.to_string();
    assert_eq!(warnings(), "");
    for (name, mode) in [("server.crt", 0o664), ("ca.crt", 0o646), ("crl.pem", 0o666)] {
        folder.set_mode(&format!("certs/{name}"), mode);
        let told = warnings();
        assert!(told.contains(&format!("certs/{name} can be changed by other users")), "{told}");
        folder.set_mode(&format!("certs/{name}"), 0o644);
    }
    for (mode, is_told) in [(0o777, true), (0o775, true), (0o1777, false), (0o755, false)] {
        folder.set_mode("certs", mode);
        let told = warnings();
        assert_eq!(told.matches("they can write to the folder").count(), usize::from(is_told), "{mode:o}: {told}");
        folder.set_mode("certs", 0o755);
    }
    folder.set_mode("", 0o777);
    let told = warnings();
    assert!(told.contains("other users can replace") && told.contains("policy.yaml: they can write"), "{told}");
}

#[test]
fn roles_that_are_a_shell_are_worth_a_warning() {
    let told = |rule: &str| warnings(&with("allow: [Ping]", &format!("allow: [{rule}]")));
    assert!(told("Originate")[0].starts_with("Originate with any parameters is a shell"));
    assert!(told("Command: { Command: '**' }").iter().any(|one| one.starts_with("`**` allows every command")));
    assert!(told("Ping").is_empty());
}

#[test]
fn a_typing_error_names_what_was_meant() {
    for (wrong, meant) in [("roles: [wallboard]", "role: [wallboard]"), ("directory", "directoy"), ("allow:", "alow:")]
    {
        let diagnostics = load(&with(wrong, meant)).expect_err("an error");
        let help = diagnostics.iter().filter_map(|one| one.help.as_deref());
        assert!(help.into_iter().any(|help| help.starts_with("did you mean")), "{diagnostics}");
    }
}

#[test]
fn keys_of_later_versions_are_told_from_typing_errors() {
    let later = [("username: amiwall,", "username: amiwall, mode: shared,"), ("version: 1", "version: 1\ncluster: {}")];
    for (old, new) in later {
        assert!(error(&with(old, new)).ends_with("is not in this version of amiwall"), "{new}");
    }
}

#[test]
fn what_is_promised_of_the_audit_log_is_read() {
    use crate::audit::{Durability, Keep, KeepSpace, OnFailure};
    let audit = |more: &str| with("audit: { directory: audit }", &format!("audit: {{ directory: audit, {more} }}"));
    let read = |more: &str| load(&audit(more)).expect("a policy").audit;
    let all = read("segment: { size: 1MiB, age: 24h, compress: zstd }, keep: { days: 400, space: 80% }");
    assert_eq!(
        (all.segment_size, all.segment_age.map(|age| age.as_secs()), all.compress),
        (1 << 20, Some(86_400), true)
    );
    assert_eq!(all.keep, Keep { days: Some(400), space: Some(KeepSpace::Percent(80)) });
    assert_eq!(read("keep: { space: 50GiB }").keep.space, Some(KeepSpace::Bytes(50 << 30)));
    let plain = read("responses: synced");
    assert_eq!((plain.actions, plain.responses), (Durability::Synced, Durability::Synced));
    assert_eq!((plain.on_failure, plain.compress, plain.keep), (OnFailure::Refuse, false, Keep::default()));
    assert_eq!(error(&audit("keep: { space: 100% }")), "`100%` is no share of a disk");
    assert_eq!(error(&audit("keep: { days: 0 }")), "`0` is no number from 1");
    assert!(error(&audit("on_failure: stop")).contains("`stop`"));
    assert!(error(&audit("signing_key: none.key")).contains("none.key"));
    assert_eq!(
        warnings(&audit("actions: written, on_failure: continue")),
        [
            "actions are forwarded before their records are on disk",
            "while the log cannot be written, everything passes unrecorded"
        ]
    );
}
