//! Leaf values.

use std::time::Duration;

use super::*;

fn login_timeout(text: &str) -> Result<Duration, Diagnostics> {
    let policy = format!("{}limits: {{ login_timeout: {text} }}\n", minimal());
    load(&policy).map(|config| config.limits.login_timeout)
}

#[test]
fn durations() {
    for (text, seconds) in [("10s", 10), ("5m", 300), ("24h", 86_400), ("1d", 86_400)] {
        assert_eq!(login_timeout(text).expect("a duration"), Duration::from_secs(seconds));
    }
    for text in ["0s", "10", "s", "-1s", "1.5s", "10 s", "10S", "99999999999999999999h", "400d", "\"\"", "[10s]", "{}"]
    {
        login_timeout(text).expect_err(text);
    }
}

#[test]
fn sizes() {
    let size = |text: &str| {
        let policy = with("directory: audit", &format!("directory: audit, segment: {{ size: {text} }}"));
        load(&policy).map(|config| config.audit.segment_size)
    };
    assert_eq!(size("256MiB").expect("a size"), 256 << 20);
    for text in ["0MiB", "256MB", "256", "99999999999GiB"] {
        size(text).expect_err(text);
    }
}

#[test]
fn numbers_are_from_one() {
    for (key, text) in
        [("connections", "0"), ("connections", "-1"), ("connections", "4294967296"), ("connections", "1e3")]
    {
        error(&format!("{}limits: {{ {key}: {text} }}\n", minimal()));
    }
    error(&with("roles: [wallboard],", "roles: [wallboard], sessions: 0,"));
    for rate in ["0/minute", "5", "5/fortnight", "/minute"] {
        error(&format!("{}limits: {{ failed_logins: {{ rate: {rate} }} }}\n", minimal()));
    }
}

#[test]
fn a_day_ends_when_it_is_over() {
    let until = |text: &str| {
        let policy = with("roles: [wallboard],", &format!("roles: [wallboard], valid: {{ until: {text} }},"));
        load(&policy).map(|config| config.identities.iter().next().expect("alice").valid_until)
    };
    assert_eq!(until("2027-01-01").expect("a date"), Some(1_798_848_000)); // 2027-01-02T00:00:00Z
    assert_eq!(until("2027-01-01T12:00:00+01:00").expect("a time"), Some(1_798_801_200));
    // Where would that be noon?
    for text in ["2027-01-01T12:00:00", "2027-02-30", "01.01.2027", "20270101", "tomorrow"] {
        until(text).expect_err(text);
    }
    let order = with("roles: [wallboard],", "roles: [wallboard], valid: { from: 2027-01-02, until: 2027-01-01 },");
    assert_eq!(error(&order), "`until` is before `from`");
}

#[test]
fn a_scalar_is_its_source_text() {
    let attributes = "attributes: { a: 0123, b: true, c: 1e3, d: 0x1F, e: 'yes', f: 12:30 },";
    let folder = Folder::new();
    let path = folder.write(
        "policy.yaml",
        with("roles: [wallboard],", &format!("roles: [wallboard], {attributes}")).replace("12:30", "1.50"),
    );
    let checked = check(&path, Files::Open).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let texts: Vec<&str> = checked.clients[0].attributes.values().map(|value| value.text.as_str()).collect();
    assert_eq!(texts, ["0123", "true", "1e3", "0x1F", "yes", "1.50"]);
}

#[test]
fn what_is_wrong_with_a_limit_has_its_place() {
    let limit =
        |limit: &str| error(&with("allow: [Ping]", &format!("allow: [Ping], limits: {{ Ping: {{ {limit} }} }}")));
    assert!(limit("hours: [mon 08:00-12:00 UTC, tue 8:00-12:00 UTC]").contains("`8:00` is not a time of day"));
    assert!(limit("hours: []").contains("`hours` without a window"));
    assert!(limit("per_day: 0").contains("a limit of 0"));
    assert!(limit("").contains("`rate` is missing"));
    let hours = |hours: &str| with("roles: [wallboard],", &format!("roles: [wallboard], hours: {hours},"));
    load(&hours("mon-fri 08:00-20:00 Europe/Madrid")).expect("a policy");
    assert!(error(&hours("mon-fri 08:00-20:00 Nowhere")).contains("`Nowhere` is not a time zone"));
}

#[test]
fn what_is_wrong_with_limits_is_told_at_once() {
    let policy = with(
        "allow: [Ping]",
        "allow: [Ping], limits: { Originate: { per_day: 0, concurrent: two } }, trip: { first_call: [\"0x\"], for: 2 }",
    );
    let policy = policy.replace("roles: [wallboard],", "roles: [wallboard], hours: mon 8-9 UTC,");
    let diagnostics = load(&policy).expect_err("errors").to_string();
    let wrong = ["a limit of 0", "`two` is not", "`0x` is not how", "`2` is no duration", "`8` is not a time of day"];
    for expected in wrong {
        assert_eq!(diagnostics.matches(expected).count(), 1, "{expected}: {diagnostics}");
    }
}

#[test]
fn metrics_are_for_this_machine_unless_users_log_in_over_tls() {
    let hash = crate::identity::hash_secret(&crate::secret::Secret::new(b"a password".to_vec())).expect("a hash");
    let http = |text: &str| {
        let text = text.replace("HASH", &hash);
        load(&format!("{}admin: {{ http: {text} }}\n", minimal())).map(|config| config.admin_http)
    };
    let address = |text: &str| http(&format!("{{ address: \"{text}\" }}"));
    for text in ["127.0.0.1:9138", "[::1]:9138", "127.1.2.3:80"] {
        let asked = address(text).expect(text).expect("an address");
        assert_eq!(
            (asked.address, asked.users.len(), asked.tls.is_none()),
            (text.parse().expect("an address"), 0, true)
        );
    }
    assert!(load(&minimal()).expect("a policy").admin_http.is_none());
    for text in ["0.0.0.0:9138", "[::]:9138", "10.0.0.5:9138"] {
        let told = address(text).expect_err(text).to_string();
        let missing = "is not on loopback, and `users` and `tls` are missing in `admin.http`";
        assert!(told.contains(&format!("error: `{text}` {missing}")), "{told}");
        assert!(told.contains("policy.yaml:13:27\n"), "{told}");
        assert!(told.contains("127.0.0.1:9138"), "{told}");
    }
    for text in ["9138", "localhost:9138", "unix:/run/amiwall.sock", ""] {
        address(text).expect_err(text);
    }
    for text in ["{}", "{ adress: 127.0.0.1:9138 }", "{ address: 127.0.0.1:9138, tls: {} }", "127.0.0.1:9138"] {
        http(text).expect_err(text);
    }
    let users = |text: &str| http(&format!("{{ address: \"127.0.0.1:9138\", users: {text} }}"));
    let asked = users("{ ops: \"HASH\", night-shift: \"HASH\" }").expect("users").expect("an address");
    assert_eq!(asked.users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["ops", "night-shift"]);
    for (text, told) in [
        ("{}", "13:52\n"),
        ("{ ops: letmein }", "a secret in clear has no place in the policy file"),
        ("{ ops: [letmein] }", "a secret in clear has no place in the policy file"),
        ("{ ops: { letmein: letmein } }", "a secret is `{ file: NAME }`"),
        ("{ ops: letmein", "13:"),
        ("{ ops: \"HASH\", OPS: \"HASH\" }", "the user `OPS` is there already"),
        ("{ \"o ps\": \"HASH\" }", "this is no name of a user"),
    ] {
        let diagnostics = users(text).expect_err(text).to_string();
        assert!(diagnostics.contains(told) && !diagnostics.contains("letmein"), "{text}: {diagnostics}");
    }
    let elsewhere = http("{ address: \"10.0.0.5:9138\", users: { ops: \"HASH\" } }").expect_err("no TLS").to_string();
    assert!(elsewhere.contains("is not on loopback, and `tls` is missing"), "{elsewhere}");
    let client =
        "{ address: \"10.0.0.5:9138\", users: { ops: \"HASH\" }, tls: { certificate: a, key: b, client_ca: c } }";
    let told = http(client).expect_err("files that are not there").to_string();
    assert!(told.contains("`client_ca` has no place here") && !told.contains("`tls` is missing"), "{told}");
}
