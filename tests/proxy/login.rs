//! Who gets in.

use std::time::Duration;

use md5::{Digest as _, Md5};

use crate::harness::{Bench, Client, Extra, is_pong};

const FAILED: &str = "Response: Error\r\nMessage: Authentication failed\r\n\r\n";

#[tokio::test]
async fn the_banner_is_one_line_at_once_and_alone() {
    let bench = Bench::new().await;
    let mut client = Client::connect(bench.address).await;
    assert_eq!(client.line().await, "Asterisk Call Manager/11.0.0\r\n");
    client.half_close().await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn before_login_there_is_login_challenge_and_logoff() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    for action in ["Ping", "Command", "Nonsense"] {
        let answer = client.ask(&format!("Action: {action}\r\nActionID: 5\r\n\r\n")).await;
        assert_eq!(answer, "Response: Error\r\nActionID: 5\r\nMessage: Permission denied\r\n\r\n");
    }
    assert_eq!(client.ask("\r\n").await, "Response: Error\r\nMessage: Missing action in request\r\n\r\n");
    assert_eq!(client.ask("hello\r\n\r\n").await, "Response: Error\r\nMessage: Missing action in request\r\n\r\n");
    let too_long = format!("X: {}\r\n\r\n", "A".repeat(2_045));
    assert_eq!(
        client.ask(&too_long).await,
        "Response: Error\r\nMessage: Failed to parse message: line too long\r\n\r\n"
    );
    client.send("Action: Logoff\r\n\r\nAction: Login\r\nUsername: tester\r\nSecret: tester-secret\r\n\r\n").await;
    assert_eq!(client.rest().await, "Response: Goodbye\r\nMessage: Thanks for all the fish.\r\n\r\n");
    assert!(bench.executed().is_empty(), "nothing of it reached Asterisk");
}

#[tokio::test]
async fn a_login_may_come_before_the_banner_with_actions_behind_it() {
    let bench = Bench::new().await;
    let mut client = Client::connect(bench.address).await;
    client
        .send("Action: Login\r\nActionID: 1\r\nUsername: tester\r\nSecret: tester-secret\r\nEvents: off\r\n\r\nAction: Ping\r\n\r\n")
        .await;
    assert_eq!(client.line().await, "Asterisk Call Manager/11.0.0\r\n");
    assert_eq!(client.packet().await, "Response: Success\r\nActionID: 1\r\nMessage: Authentication accepted\r\n\r\n");
    assert!(is_pong(&client.packet().await));
}

#[tokio::test]
async fn every_failure_has_the_same_bytes_and_closes() {
    let identities = r#"
  elsewhere: { roles: [tester], secret: { file: tester.secret }, challenge: true, networks: { allow: [192.0.2.1] } }
  expired: { roles: [tester], secret: { file: tester.secret }, challenge: true, valid: { until: 2020-01-01 } }
"#;
    let bench = Bench::with(Extra { identities: identities.to_owned(), ..Extra::default() }).await;
    let attempts = [
        "Username: tester\r\nSecret: wrong\r\n",
        "Username: nobody\r\nSecret: tester-secret\r\n",
        "Username: elsewhere\r\nSecret: tester-secret\r\n",
        "Username: expired\r\nSecret: tester-secret\r\n",
        "Secret: tester-secret\r\n",
        "Username: tester\r\n",
        "Username: tester\r\nSecret:\r\n",
        "Username: tester\r\nAuthType: MD5\r\nKey: 0123456789abcdef0123456789abcdef\r\n",
        "Username: tester\r\nAuthType: MD5\r\nSecret: tester-secret\r\n",
    ];
    for attempt in attempts.iter().take(4) {
        let mut client = bench.connect().await;
        client.send(format!("Action: Login\r\n{attempt}\r\nAction: Ping\r\n\r\n")).await;
        assert_eq!(client.rest().await, FAILED, "{attempt}");
    }
    // The lock-out of this address would answer the rest; another proxy has none yet.
    let fresh = Bench::new().await;
    for attempt in attempts.iter().skip(4).take(4) {
        let mut client = fresh.connect().await;
        client.send(format!("Action: Login\r\n{attempt}\r\n")).await;
        assert_eq!(client.rest().await, FAILED, "{attempt}");
    }
    assert!(bench.executed().is_empty() && fresh.executed().is_empty());
    let reasons: Vec<String> = bench
        .records()
        .await
        .iter()
        .filter(|record| record["kind"] == "login")
        .map(|record| record["reason"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(reasons, ["login.secret", "login.unknown-identity", "login.networks", "login.expired"]);
}

#[tokio::test]
async fn a_challenge_login_works_and_its_key_is_lower_case() {
    let bench = Bench::new().await;
    for (case, works) in [(false, true), (true, false)] {
        let mut client = bench.connect().await;
        let first = client.ask("Action: Challenge\r\nActionID: c\r\nAuthType: md5\r\n\r\n").await;
        assert_eq!(client.ask("Action: Challenge\r\nActionID: c\r\nAuthType: MD5\r\n\r\n").await, first, "it is fixed");
        let challenge = first.lines().find_map(|line| line.strip_prefix("Challenge: ")).expect("a challenge");
        let digest = Md5::digest(format!("{challenge}tester-secret"));
        let mut key: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if case {
            key = key.to_uppercase();
        }
        client
            .send(format!("Action: Login\r\nAuthType: MD5\r\nUsername: tester\r\nKey: {key}\r\nEvents: off\r\n\r\n"))
            .await;
        assert_eq!(client.packet().await.contains("Authentication accepted"), works);
    }
}

#[tokio::test]
async fn where_nobody_may_use_a_challenge_it_is_an_error_and_plain_login_follows() {
    let extra = Extra { identity: String::new(), ..Extra::default() };
    let mut bench = Bench::with(extra).await;
    bench.reload(|extra| extra.identity = "    sessions: 5\n".to_owned()).await;
    let mut client = bench.connect().await;
    assert_eq!(
        client.ask("Action: Challenge\r\nAuthType: SHA256\r\n\r\n").await,
        "Response: Error\r\nMessage: Must specify AuthType\r\n\r\n"
    );
    client
        .send("Action: Login\r\nAuthType: SHA256\r\nUsername: tester\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n")
        .await;
    assert!(client.packet().await.contains("Authentication accepted"));
}

#[tokio::test]
async fn a_locked_out_address_is_refused_with_the_right_secret_too_unless_it_was_in_before() {
    let limits = "  failed_logins: { rate: 2/minute, lockout: 5m }\n";
    let identities = "  other: { roles: [tester], secret: { file: tester.secret }, challenge: true }\n";
    let extra = Extra { limits: limits.to_owned(), identities: identities.to_owned(), ..Extra::default() };
    let bench = Bench::with(extra).await;
    drop(bench.login().await);
    for _ in 0..2 {
        let mut client = bench.connect().await;
        client.send("Action: Login\r\nUsername: nobody\r\nSecret: wrong\r\n\r\n").await;
        assert_eq!(client.rest().await, FAILED);
    }
    let mut other = bench.connect().await;
    other.send("Action: Login\r\nUsername: other\r\nSecret: tester-secret\r\n\r\n").await;
    assert_eq!(other.rest().await, FAILED, "its address is locked out");
    drop(bench.login().await);
}

#[tokio::test]
async fn an_identity_has_as_many_sessions_as_it_may() {
    let extra = Extra { identity: "    sessions: 2\n".to_owned(), ..Extra::default() };
    let bench = Bench::with(extra).await;
    let (first, _second) = (bench.login().await, bench.login().await);
    let mut third = bench.connect().await;
    third.send("Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\n\r\n").await;
    assert_eq!(third.rest().await, FAILED);
    drop(first);
    bench.sim.wait_for_sessions(|count| *count == 1).await;
    drop(bench.login().await);
}

#[tokio::test]
async fn who_does_not_log_in_is_closed_at_the_deadline_whatever_it_sends() {
    let extra = Extra { limits: "  handshake_timeout: 1s\n".to_owned(), ..Extra::default() };
    let mut bench = Bench::with(extra).await;
    let path = bench.policy_path();
    let short = std::fs::read_to_string(&path).expect("the policy").replace("login_timeout: 20s", "login_timeout: 1s");
    std::fs::write(&path, short).expect("it is written");
    let config = amiwall::config::Config::load(&path).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    bench.daemon.reload(&config).await.expect("it is taken");
    let started = std::time::Instant::now();
    let (mut silent, mut busy) = (bench.connect().await, bench.connect().await);
    busy.send("Action: Ping\r\n").await;
    assert_eq!((silent.rest().await, busy.rest().await), (String::new(), String::new()));
    assert!(started.elapsed() < Duration::from_secs(20), "it was the login deadline, not another one");
}

#[tokio::test]
async fn a_browser_that_was_made_to_talk_to_us_is_sent_away() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    client
        .send(
            "POST / HTTP/1.1\r\nHost: pbx:5039\r\nContent-Length: 99\r\n\r\n\
             Action: Login\r\nUsername: tester\r\nSecret: tester-secret\r\n\r\n",
        )
        .await;
    let rest = client.rest().await;
    assert!(!rest.contains("Success"), "{rest}");
}

#[tokio::test]
async fn an_identity_or_role_can_have_an_account_of_its_own_on_asterisk() {
    let accounts = ", logins: { tester: { username: dialer, secret: { file: upstream.secret } } }";
    let bench = Bench::with(Extra { upstream: accounts.to_owned(), ..Extra::default() }).await;
    let mut client = bench.login().await;
    assert!(is_pong(&client.ask("Action: Ping\r\n\r\n").await));
    // Asterisk's own classes stay a second wall: this account may not ask for them.
    assert_eq!(client.ask("Action: CoreStatus\r\n\r\n").await, "Response: Error\r\nMessage: Permission denied\r\n\r\n");
    let executed = bench.sim.executed();
    assert!(
        executed.iter().any(|action| action.is("Ping") && action.user.as_deref() == Some("dialer")),
        "{executed:?}"
    );
}

#[tokio::test]
async fn over_ipv6_and_over_a_socket_that_takes_both() {
    let on = |address: &str, networks: &str| {
        let listener = format!("    unsafe_plaintext: true\n    networks: {networks}\n");
        Extra { address: address.to_owned(), listener, ..Extra::default() }
    };
    let bench = Bench::with(on("[::1]:0", "{ allow: [\"::1\"] }")).await;
    assert!(is_pong(&bench.login().await.ask("Action: Ping\r\n\r\n").await));
    let bench = Bench::with(on("[::1]:0", "{ allow: [\"2001:db8::/32\"] }")).await;
    assert_eq!(Client::connect(bench.address).await.rest().await, "");
    // An IPv4 client is seen as ::ffff:127.0.0.1 by a socket on [::]; the list says 127.0.0.0/8.
    for (networks, is_let_in) in [("{ allow: [127.0.0.0/8] }", true), ("{ except: [127.0.0.1] }", false)] {
        let bench = Bench::with(on("[::]:0", networks)).await;
        let mapped = std::net::SocketAddr::from(([127, 0, 0, 1], bench.address.port()));
        assert_eq!(Client::connect(mapped).await.greets().await, is_let_in, "{networks}");
    }
}
