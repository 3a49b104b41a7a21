//! The page for administrators: who gets in, what is shown, and what nobody makes it do.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use amiwall::config::Config;
use amiwall::identity::hash_secret;
use amiwall::secret::Secret;
use amiwall::tls::{self, IssueOptions};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::{Bench, Client, DENIED, Extra, ROLE};

const PASSWORD: &str = "right & long enough";
const PAGES: [&str; 7] = ["/", "/sessions", "/refusals", "/calls", "/calls?range=7d", "/audit", "/reasons"];

/// An answer over HTTP.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The value of a cookie that is set.
    fn cookie(&self, name: &str) -> Option<String> {
        let start = format!("set-cookie: {name}=");
        let value = self.head.lines().find_map(|line| line.strip_prefix(&start))?;
        value.split(';').next().map(str::to_owned)
    }

    /// The token of the first form on the page.
    fn token(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"token\" value=\"").unwrap_or_else(|| panic!("{}", self.body));
        rest.split('"').next().expect("a value").to_owned()
    }
}

async fn ask(address: SocketAddr, request: &str) -> Answer {
    let mut client = Client::connect(address).await;
    client.send(request).await;
    let text = client.rest().await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

async fn get(address: SocketAddr, path: &str, cookie: &str) -> Answer {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n")).await
}

async fn post(address: SocketAddr, path: &str, (cookie, origin): (&str, &str), body: &str) -> Answer {
    let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n{origin}");
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    ask(address, &format!("{head}{kind}Content-Length: {}\r\n\r\n{body}", body.len())).await
}

fn ours(address: SocketAddr) -> String {
    format!("Origin: http://{address}\r\nSec-Fetch-Site: same-origin\r\n")
}

async fn log_in(address: SocketAddr, user: &str, password: &str) -> Answer {
    let form = get(address, "/login", "").await;
    let cookie = format!("amiwall-login={}", form.cookie("amiwall-login").expect("a cookie"));
    let password = password.replace(' ', "+").replace('&', "%26");
    let body = format!("token={}&user={user}&password={password}", form.token());
    post(address, "/login", (&cookie, &ours(address)), &body).await
}

/// The cookie of who is logged in.
async fn visit(address: SocketAddr) -> String {
    let answer = log_in(address, "ops", PASSWORD).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{answer:?}");
    format!("amiwall={}", answer.cookie("amiwall").expect("a cookie"))
}

async fn bench_with(role: &str, limits: &str) -> (Bench, SocketAddr) {
    let hash = hash_secret(&Secret::new(PASSWORD.as_bytes().to_vec())).expect("a hash");
    let top = format!("admin: {{ http: {{ address: \"127.0.0.1:0\", users: {{ ops: \"{hash}\" }} }} }}\n");
    let bench = Bench::with(Extra { top, role: role.to_owned(), limits: limits.to_owned(), ..Extra::default() }).await;
    let address = bench.daemon.http_address().expect("it listens");
    (bench, address)
}

async fn bench() -> (Bench, SocketAddr) {
    bench_with(ROLE, "").await
}

#[tokio::test]
async fn without_users_there_are_no_pages_and_it_is_said_how_to_have_them() {
    let top = "admin: { http: { address: \"127.0.0.1:0\" } }\n".to_owned();
    let bench = Bench::with(Extra { top, ..Extra::default() }).await;
    let address = bench.daemon.http_address().expect("it listens");
    for path in ["/", "/login", "/sessions", "/style.css"] {
        let answer = get(address, path, "").await;
        assert!(answer.status == 404 && answer.body.contains("users: { ops: "), "{path}: {answer:?}");
    }
    let posted = post(address, "/login", ("", &ours(address)), "user=ops").await;
    assert_eq!(posted.status, 405);
}

#[tokio::test]
async fn nobody_sees_a_page_who_is_not_logged_in() {
    let (_bench, address) = bench().await;
    let cookie = visit(address).await;
    for path in PAGES {
        for wrong in ["", "amiwall=", "amiwall=00000000000000000000000000000000", &format!("{cookie}; {cookie}")] {
            let answer = get(address, path, wrong).await;
            assert_eq!((answer.status, answer.header("location")), (303, Some("/login")), "{path} {wrong}");
            assert!(answer.body.is_empty());
        }
        let answer = get(address, path, &cookie).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        for (name, value) in
            [("cache-control", "no-store"), ("x-frame-options", "DENY"), ("referrer-policy", "same-origin")]
        {
            assert_eq!(answer.header(name), Some(value));
        }
        let inline = ["<script>", "<style", " style=", " onclick=", "javascript:", "http://", "https://"];
        assert!(inline.iter().all(|inline| !answer.body.contains(inline)), "{path}: {}", answer.body);
    }
    let live = format!("GET / HTTP/1.1\r\nHost: {address}\r\nAmiwall-Live: 1\r\n\r\n");
    assert_eq!(ask(address, &live).await.status, 401);
    assert_eq!(get(address, "/nothing", &cookie).await.status, 404);
    for (path, kind) in [("/style.css", "text/css"), ("/live.js", "text/javascript"), ("/icon.svg", "image/svg+xml")] {
        let answer = get(address, path, "").await;
        assert!(answer.status == 200 && answer.header("content-type").expect("a type").starts_with(kind), "{answer:?}");
    }
    let elsewhere = ask(address, &format!("GET / HTTP/1.1\r\nHost: evil.example\r\nCookie: {cookie}\r\n\r\n")).await;
    assert_eq!(elsewhere.status, 421, "a name that was made to lead here");
    // Metrics need no log-in on this machine.
    assert_eq!(get(address, "/metrics", "").await.status, 200);
}

#[tokio::test]
async fn a_log_in_is_on_record_and_so_is_each_failure() {
    let (bench, address) = bench().await;
    let begun = Instant::now();
    let wrong = log_in(address, "ops", "wrong").await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "a failure comes late");
    let unknown = log_in(address, "my-secret-password", PASSWORD).await;
    let words = |answer: &Answer| answer.body.replace(&answer.token(), "");
    assert_eq!((wrong.status, unknown.status, words(&wrong)), (403, 403, words(&unknown)), "both look alike");
    // An identity of AMI is nobody here.
    assert_eq!(log_in(address, "tester", "testerpw").await.status, 403);
    let answer = log_in(address, "ops", PASSWORD).await;
    let set = answer.head.lines().find(|line| line.starts_with("set-cookie: amiwall=")).expect("a cookie");
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
    let cookie = format!("amiwall={}", answer.cookie("amiwall").expect("a cookie"));
    let token = get(address, "/", &cookie).await.token();
    let origin = ours(address);
    for (path, body) in [("/logout", "token=x"), ("/logout", ""), ("/verify", "token=x")] {
        assert_eq!(post(address, path, (&cookie, &origin), body).await.status, 403, "{path} {body}");
    }
    let token = format!("token={token}");
    for strange in ["", "Origin: http://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        assert_eq!(post(address, "/logout", (&cookie, strange), &token).await.status, 403, "{strange}");
    }
    assert_eq!(get(address, "/", &cookie).await.status, 200, "still logged in");
    let out = post(address, "/logout", (&cookie, &origin), &token).await;
    assert_eq!((out.status, out.header("location")), (303, Some("/login")));
    assert_eq!(get(address, "/", &cookie).await.status, 303, "logged out");
    let records = bench.records().await;
    let of = |record: &Value| -> String {
        let text = |key: &str| record[key].as_str().unwrap_or("-").to_owned();
        assert!(text("peer").starts_with("127.0.0.1:"), "{record}");
        format!("{} {} {} {}", text("name"), text("user"), text("outcome"), text("reason"))
    };
    let web: Vec<String> = records
        .iter()
        .filter(|record| record["name"].as_str().is_some_and(|name| name.starts_with("web-")))
        .map(of)
        .collect();
    let expected = [
        "web-login ops refused login.secret",
        "web-login - refused login.unknown-identity",
        "web-login - refused login.unknown-identity",
        "web-login ops done -",
        "web-logout ops done -",
    ];
    assert_eq!(web, expected);
}

#[tokio::test]
async fn who_guesses_is_locked_out() {
    let (_bench, address) = bench_with(ROLE, "  failed_logins: { rate: 2/minute, lockout: 1m }").await;
    for _ in 0..3 {
        assert_eq!(log_in(address, "ops", "guessed").await.status, 403);
    }
    assert_eq!(log_in(address, "ops", PASSWORD).await.status, 403, "also with the right password");
}

#[tokio::test]
async fn a_log_in_from_another_page_is_none() {
    let (_bench, address) = bench().await;
    let form = get(address, "/login", "").await;
    let (token, cookie) = (form.token(), form.cookie("amiwall-login").expect("a cookie"));
    let body = format!("token={token}&user=ops&password={}", PASSWORD.replace(' ', "+").replace('&', "%26"));
    let own = format!("amiwall-login={cookie}");
    let origin = ours(address);
    for (cookie, origin, body) in [
        (own.as_str(), "", body.as_str()),
        (&own, "Origin: http://evil.example\r\n", &body),
        ("", &origin, &body),
        ("amiwall-login=00000000000000000000000000000000", &origin, &body),
        (&own, &origin, &body.replace("token=", "other=")),
    ] {
        let answer = post(address, "/login", (cookie, origin), body).await;
        assert!(answer.status == 403 && answer.cookie("amiwall").is_none(), "{answer:?}");
    }
    let long = format!("{body}&more={}", "x".repeat(5_000));
    assert_eq!(post(address, "/login", (&own, &origin), &long).await.status, 400);
    assert_eq!(post(address, "/login", (&own, &origin), &body).await.status, 303, "the same from its own page");
}

#[tokio::test]
async fn log_ins_that_were_refused_are_among_the_refusals() {
    let (bench, address) = bench().await;
    let cookie = visit(address).await;
    let before = get(address, "/refusals", &cookie).await.body;
    assert!(before.contains("No log-in was refused."), "{before}");
    for name in ["tester", "typed-secret"] {
        let mut client = bench.connect().await;
        client.send(format!("Action: Login\r\nUsername: {name}\r\nSecret: wrong\r\n\r\n")).await;
        assert!(client.packet().await.contains("Authentication failed"));
    }
    let page = get(address, "/refusals", &cookie).await.body;
    for told in ["tester", "/reasons#login.secret", "the policy&#39;s", "/reasons#login.unknown-identity"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(page.contains("href=\"/record?seq=") && !page.contains("typed-secret"), "{page}");
}

#[tokio::test]
async fn what_a_client_sends_is_shown_as_text_and_what_would_allow_it_is_told() {
    let role = "\n    allow: [Ping, { Originate: { Channel: \"Local/1@phones\", Context: inside, Exten: \"2*\", Priority: \"1\" } }]";
    let (bench, address) = bench_with(role, "").await;
    let mut client = bench.login().await;
    let hostile = "</td><script>alert(1)</script>";
    assert_eq!(client.ask(&format!("Action: {hostile}\r\n\r\n")).await, DENIED);
    let call = "Action: Originate\r\nChannel: Local/1@phones\r\nContext: inside\r\nExten: 1900\r\nPriority: 1\r\n";
    assert_eq!(client.ask(&format!("{call}Variable: PIN=4711\r\n\r\n")).await, DENIED);
    let cookie = visit(address).await;
    let refusals = get(address, "/refusals", &cookie).await.body;
    let escaped = "&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;";
    assert!(refusals.contains(escaped) && refusals.contains("/reasons#actions.unlisted"), "{refusals}");
    let sessions = get(address, "/sessions", &cookie).await.body;
    let link = |page: &str, start: &str| {
        let (_, rest) = page.split_once(&format!("href=\"{start}")).unwrap_or_else(|| panic!("no {start}: {page}"));
        format!("{start}{}", rest.split('"').next().expect("an end").replace("&amp;", "&"))
    };
    let session = get(address, &link(&sessions, "/sessions?id="), &cookie).await.body;
    let record = get(address, &link(&refusals, "/record?session="), &cookie).await.body;
    let search = get(address, "/audit?decision=deny&number=1900", &cookie).await.body;
    for (name, page) in [("refusals", &refusals), ("session", &session), ("record", &record), ("search", &search)] {
        assert!(!page.contains("<script>") && !page.contains("4711"), "{name}: {page}");
    }
    assert!(session.contains(escaped) && session.contains("Local/1@phones"), "{session}");
    // The newest refusal is the call: what the rule says to it, and nothing of what is hidden.
    for told in [
        "The nearest rule is roles.",
        "Exten `1900` is not what the rule says",
        "; to allow it: &quot;1900&quot; beside what is there",
        "Variable is not known here",
        "[redacted]",
    ] {
        assert!(record.contains(told), "{told}: {record}");
    }
    assert!(search.contains("params.Exten") || search.contains("params."), "{search}");
    assert_eq!(search.matches("<tr>").count(), 2, "one record, and the head: {search}");
    let calls = get(address, "/calls", &cookie).await.body;
    assert!(calls.contains("tester") && calls.contains("<svg"), "{calls}");
    for path in [
        "/record?seq=99999999",
        "/record?session=%3Cb%3E&at=x",
        "/sessions?id=%3Cscript%3E",
        "/audit?from=yesterday&number=%3C",
    ] {
        let page = get(address, path, &cookie).await;
        assert!(page.status == 200 && !page.body.contains("<script>"), "{path}: {page:?}");
    }
}

#[tokio::test]
async fn the_chain_is_verified_at_the_press_of_a_button_and_not_often() {
    let (bench, address) = bench().await;
    let cookie = visit(address).await;
    let page = get(address, "/audit", &cookie).await;
    assert!(page.body.contains("was not verified here"), "{}", page.body);
    let token = format!("token={}", page.token());
    for _ in 0..2 {
        assert_eq!(post(address, "/verify", (&cookie, &ours(address)), &token).await.status, 303);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !get(address, "/audit", &cookie).await.body.contains("Whole: ") {
            assert!(Instant::now() < deadline, "it never ended");
        }
    }
    let records = bench.records().await;
    assert_eq!(records.iter().filter(|record| record["name"] == "web-verify").count(), 1, "the second was too early");
}

#[tokio::test]
async fn who_is_slow_or_comes_in_numbers_keeps_nobody_out() {
    let (bench, address) = bench().await;
    let cookie = visit(address).await;
    let mut slow = Vec::new();
    for _ in 0..40 {
        let mut client = Client::connect(address).await;
        client.send(format!("POST /login HTTP/1.1\r\nHost: {address}\r\n{}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nuser=", ours(address))).await;
        slow.push(client);
    }
    let begun = Instant::now();
    assert_eq!(get(address, "/", &cookie).await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    // Nothing of that reaches those who work.
    let mut client = bench.login().await;
    assert!(client.ask("Action: Ping\r\n\r\n").await.contains("Pong"));
}

/// A request over TLS, to the name `localhost`, of whoever trusts that authority.
async fn ask_over_tls(address: SocketAddr, ca: &Path, request: &str) -> Option<String> {
    let connector = TlsConnector::from(tls::client_config(ca, None).expect("a client"));
    let stream = TcpStream::connect(address).await.expect("it connects");
    let mut stream = connector.connect("localhost".try_into().expect("a name"), stream).await.ok()?;
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // A server that closes without saying so has answered all the same.
    stream.read_to_end(&mut answer).await.ok();
    Some(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn over_tls_the_cookie_is_for_tls_alone_and_a_reload_takes_a_new_certificate() {
    let (certs, others) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    for folder in [&certs, &others] {
        tls::issue(folder.path(), &IssueOptions::default()).expect("certificates");
    }
    let hash = hash_secret(&Secret::new(PASSWORD.as_bytes().to_vec())).expect("a hash");
    let folder = certs.path().display();
    let tls = format!("tls: {{ certificate: {folder}/server.crt, key: {folder}/server.key }}");
    let top = format!("admin: {{ http: {{ address: \"127.0.0.1:0\", users: {{ ops: \"{hash}\" }}, {tls} }} }}\n");
    let mut bench = Bench::with(Extra { top, ..Extra::default() }).await;
    let address = bench.daemon.http_address().expect("it listens");
    let plain = Client::connect(address).await;
    let get = |host: &str| format!("GET /login HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let ca = certs.path().join("ca.crt");
    let form = ask_over_tls(address, &ca, &get("localhost")).await.expect("it is trusted");
    assert!(form.starts_with("HTTP/1.1 200 "), "{form}");
    let set = form.lines().find(|line| line.starts_with("set-cookie: ")).expect("a cookie");
    assert!(
        set.starts_with("set-cookie: __Host-amiwall-login=") && set.ends_with("; SameSite=Strict; Secure"),
        "{set}"
    );
    let elsewhere = ask_over_tls(address, &ca, &get("evil.example")).await.expect("it is trusted");
    assert!(elsewhere.starts_with("HTTP/1.1 421 "), "{elsewhere}");
    drop(plain);
    for file in ["server.crt", "server.key"] {
        std::fs::copy(others.path().join(file), certs.path().join(file)).expect("copied");
    }
    bench.reload(|_| ()).await;
    assert!(ask_over_tls(address, &ca, &get("localhost")).await.is_none(), "it is of another authority now");
    let form = ask_over_tls(address, &others.path().join("ca.crt"), &get("localhost")).await.expect("it is trusted");
    assert!(form.starts_with("HTTP/1.1 200 "), "{form}");
}

#[tokio::test]
async fn another_user_needs_a_restart() {
    let (mut bench, _) = bench().await;
    let text = std::fs::read_to_string(bench.policy_path()).expect("a policy");
    let other = hash_secret(&Secret::new(b"another password".to_vec())).expect("a hash");
    let (before, rest) = text.split_once("ops: \"").expect("a user");
    let (_, after) = rest.split_once('"').expect("an end");
    std::fs::write(bench.policy_path(), format!("{before}ops: \"{other}\"{after}")).expect("written");
    let config = Config::load(&bench.policy_path()).expect("a policy");
    let refused = bench.daemon.reload(&config).await.expect_err("it has to be refused").to_string();
    assert!(refused.starts_with("`admin` cannot change while amiwall runs"), "{refused}");
}
