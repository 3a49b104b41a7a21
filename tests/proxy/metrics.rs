//! What is told over HTTP, and that the dashboard, the alert rules and the documentation speak of that and of nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use amiwall::config::Config;
use amiwall::daemon::DaemonError;
use amiwall::tls::{self, IssueOptions};
use serde_json::Value;

use crate::harness::{Bench, Client, DENIED, Extra, ROLE, is_pong};

const PING: &str = "Action: Ping\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(30);
const HTTP: &str = "admin: { http: { address: \"127.0.0.1:0\" } }\n";

async fn request(address: SocketAddr, text: &str) -> String {
    let mut client = Client::connect(address).await;
    client.send(text).await;
    client.rest().await
}

/// The status and the body.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = request(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{head}")), body.to_owned())
}

fn http(bench: &Bench) -> SocketAddr {
    bench.daemon.http_address().expect("it listens")
}

async fn metrics(bench: &Bench) -> String {
    let (status, text) = get(http(bench), "/metrics").await;
    assert_eq!(status, 200, "{text}");
    text
}

/// Asks until it is so: what ends a session is counted when its client has seen the end.
async fn until(bench: &Bench, path: &str, is_so: impl Fn(&(u16, String)) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = get(http(bench), path).await;
        if is_so(&answer) {
            return answer.1;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
    }
}

fn watched(role: &str) -> Extra {
    Extra { top: HTTP.to_owned(), role: role.to_owned(), ..Extra::default() }
}

#[tokio::test]
async fn a_request_is_answered_strictly() {
    let bench = Bench::with(watched(ROLE)).await;
    let address = http(&bench);
    let status = |answer: String| answer.split(' ').nth(1).unwrap_or_default().to_owned();
    let live = request(address, &format!("GET /live HTTP/1.1\r\nHost: {address}\r\n\r\n")).await;
    for header in [
        "cache-control: no-store",
        "content-security-policy: default-src 'none'; frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "connection: close",
    ] {
        assert!(live.contains(&format!("\r\n{header}\r\n")), "{header}: {live}");
    }
    assert!(live.starts_with("HTTP/1.1 200 ") && live.ends_with("\r\n\r\nlive\n"), "{live}");
    let head = request(address, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    for (text, expected) in [
        ("GET /live HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421"),
        ("GET /live HTTP/1.0\r\n\r\n", "421"),
        ("POST /live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", "405"),
        ("GET /../live HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        ("nonsense\r\n\r\n", "400"),
    ] {
        assert_eq!(status(request(address, text).await), expected, "{text:?}");
    }
    let long = format!("GET /live HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let answer = request(address, &long).await;
    assert!(!answer.contains(" 200 "), "{answer}");
}

#[tokio::test]
async fn who_sends_no_request_is_let_go_and_keeps_nobody_out() {
    let bench = Bench::with(watched(ROLE)).await;
    let began = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(Client::connect(http(&bench)).await);
    }
    // At once: the oldest give way. When their time was over, a probe would long have given up.
    assert_eq!(get(http(&bench), "/live").await, (200, "live\n".to_owned()));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    for client in &mut silent {
        client.rest().await;
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn ready_says_what_is_missing_and_finds_out_by_itself_when_it_is_back() {
    let bench = Bench::with(watched(ROLE)).await;
    let mut client = bench.login().await;
    assert_eq!(get(http(&bench), "/ready").await, (200, "ready\n".to_owned()));
    bench.stop_asterisk();
    client.rest().await;
    until(&bench, "/ready", |answer| *answer == (503, "upstream `pbx` is down (lost)\n".to_owned())).await;
    until(&bench, "/metrics", |(_, text)| text.contains("amiwall_upstream_up{upstream=\"pbx\"} 0\n")).await;
    // No client comes.
    let bench = bench.restart_asterisk().await;
    until(&bench, "/ready", |answer| *answer == (200, "ready\n".to_owned())).await;
    assert_eq!(get(http(&bench), "/live").await.0, 200);
}

#[tokio::test]
async fn what_is_counted_is_what_was_done() {
    let bench = Bench::with(watched(&format!("{ROLE}\n    limits: {{ CoreStatus: {{ rate: 1/hour }} }}\n"))).await;
    let mut client = bench.login_with("").await;
    assert!(is_pong(&client.ask(PING).await) && is_pong(&client.ask(PING).await));
    assert_eq!(client.ask("Action: Command\r\nCommand: core show uptime\r\n\r\n").await, DENIED);
    assert_eq!(client.ask("Action: MadeUp\r\n\r\n").await, DENIED);
    client.ask("Action: CoreStatus\r\n\r\n").await;
    assert!(client.ask("Action: CoreStatus\r\n\r\n").await.contains("Rate limit exceeded"));
    client.send("Action: UserEvent\r\nUserEvent: hello\r\n\r\n").await;
    client.packet_of("Event: UserEvent").await;
    let mut stranger = bench.connect().await;
    stranger.send("Action: Login\r\nUsername: nobody\r\nSecret: wrong\r\n\r\n").await;
    stranger.rest().await;
    let ended = "amiwall_sessions_ended_total{reason=\"login-failed\"} 1\n";
    let text = until(&bench, "/metrics", |(_, text)| text.contains(ended)).await;
    for sample in [
        "amiwall_actions_total{identity=\"tester\",action=\"Ping\",decision=\"allow\"} 2",
        "amiwall_actions_total{identity=\"tester\",action=\"Command\",decision=\"deny\"} 1",
        "amiwall_actions_total{identity=\"tester\",action=\"other\",decision=\"deny\"} 1",
        "amiwall_actions_total{identity=\"tester\",action=\"CoreStatus\",decision=\"allow\"} 1",
        "amiwall_actions_total{identity=\"tester\",action=\"CoreStatus\",decision=\"limit\"} 1",
        "amiwall_limits_total{identity=\"tester\",limit=\"limits.rate\"} 1",
        "amiwall_limits_total{identity=\"tester\",limit=\"limits.tripped\"} 0",
        "amiwall_client_packets_total{identity=\"tester\",kind=\"answer\"} 4",
        "amiwall_client_packets_total{identity=\"tester\",kind=\"event\"} 1",
        "amiwall_logins_total{outcome=\"accepted\"} 1",
        "amiwall_logins_total{outcome=\"login.unknown-identity\"} 1",
        "amiwall_connections{state=\"logged-in\"} 1",
        "amiwall_decide_seconds_count 7",
        "amiwall_record_seconds_count 7",
        "amiwall_answer_seconds_count 4",
        "amiwall_action_seconds_count 4",
        "amiwall_outstanding_actions 0",
        "amiwall_client_queue_bytes 0",
        "amiwall_audit_open 1",
        "amiwall_upstream_up{upstream=\"pbx\"} 1",
        "amiwall_upstream_sessions{upstream=\"pbx\"} 1",
        "amiwall_policy_generation 0",
    ] {
        assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
    }
    // What a client made up is nowhere.
    assert!(!text.contains("MadeUp") && !text.contains("nobody"), "{text}");
    client.send("Action: Logoff\r\n\r\n").await;
    client.rest().await;
    let gone =
        ["{reason=\"logged-off\"} 1\n", "sessions{upstream=\"pbx\"} 0\n", "connections{state=\"logged-in\"} 0\n"];
    let text = until(&bench, "/metrics", |(_, text)| gone.iter().all(|sample| text.contains(sample))).await;
    let records = bench.records().await;
    // The log has more since: the end of the session, and its own.
    let written = value_of(&text, "amiwall_audit_records_total");
    assert!(written > 10.0 && written <= records.len() as f64, "{written} of {}", records.len());
}

#[tokio::test]
async fn an_identity_that_is_gone_is_gone_from_the_metrics_too() {
    let identities = "  other: { roles: [tester], secret: { file: tester.secret }, challenge: true }\n";
    let mut bench = Bench::with(Extra { identities: identities.to_owned(), ..watched(ROLE) }).await;
    let mut other = bench.connect().await;
    other.send("Action: Login\r\nUsername: other\r\nSecret: tester-secret\r\nEvents: off\r\n\r\n").await;
    assert!(other.packet().await.contains("accepted"));
    assert!(is_pong(&other.ask(PING).await));
    assert!(metrics(&bench).await.contains("identity=\"other\""));
    bench.reload(|extra| extra.identities.clear()).await;
    other.rest().await;
    let text = metrics(&bench).await;
    assert!(!text.contains("identity=\"other\""), "{text}");
    assert!(text.contains("\namiwall_policy_generation 1\n"), "{text}");
    assert!(text.contains("\namiwall_reloads_total{outcome=\"taken\"} 1\n"), "{text}");
}

#[tokio::test]
async fn another_address_needs_a_restart() {
    let mut bench = Bench::with(watched(ROLE)).await;
    let text = std::fs::read_to_string(bench.policy_path()).expect("the policy");
    std::fs::write(bench.policy_path(), text.replace(HTTP, "")).expect("it is written");
    let config = Config::load(&bench.policy_path()).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert!(matches!(bench.daemon.reload(&config).await, Err(DaemonError::NeedsRestart("admin"))));
}

fn value_of(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
    line.trim().parse().expect("a number")
}

/// What a running amiwall tells: the families, and the labels of each sample's name.
struct Exposed {
    families: BTreeSet<String>,
    labels: BTreeMap<String, BTreeSet<String>>,
}

impl Exposed {
    fn of(text: &str) -> Self {
        let families: Vec<(&str, &str)> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
        // What has no sample yet has its name.
        let plain = families.iter().filter(|(_, kind)| *kind != "histogram");
        let mut labels: BTreeMap<String, BTreeSet<String>> =
            plain.map(|(name, _)| ((*name).to_owned(), BTreeSet::new())).collect();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let inside = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
            let names = inside.map_or("", |(inside, _)| inside).split("\",").filter_map(|pair| pair.split('=').next());
            let names = names.filter(|name| !name.is_empty()).map(str::to_owned);
            labels.entry(name.to_owned()).or_default().extend(names);
        }
        Self { families: families.into_iter().map(|(name, _)| name.to_owned()).collect(), labels }
    }

    /// What is wrong with an expression of PromQL, and with labels that its results are said to have.
    fn problems(&self, expression: &str, shown: &[String]) -> Vec<String> {
        let mut problems = Vec::new();
        let mut all: BTreeSet<&str> = ["instance", "job", "le"].into();
        let mut grouped = Vec::new();
        let mut rest = expression;
        while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) {
            rest = rest.split_at(at).1;
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            rest = behind;
            if word == "by" {
                let inside = rest.trim_start().strip_prefix('(').and_then(|rest| rest.split_once(')'));
                let (inside, behind) = inside.unwrap_or_else(|| panic!("{expression}"));
                grouped.extend(inside.split(',').map(|label| label.trim().to_owned()));
                rest = behind;
            }
            if !word.starts_with("amiwall_") && !word.starts_with("process_") {
                // A quoted value is no metric.
                if let Some((_, behind)) = rest.strip_prefix("=\"").and_then(|rest| rest.split_once('"')) {
                    rest = behind;
                }
                continue;
            }
            let Some(labels) = self.labels.get(word) else {
                problems.push(format!("there is no `{word}`: {expression}"));
                continue;
            };
            all.extend(labels.iter().map(String::as_str));
            if let Some((selector, behind)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
                for label in selector.split(',').filter_map(|one| one.split(['=', '!']).next()) {
                    if !labels.contains(label) && label != "instance" {
                        problems.push(format!("`{word}` has no label `{label}`: {expression}"));
                    }
                }
                rest = behind;
            }
        }
        for label in grouped.iter().chain(shown).filter(|label| !all.contains(label.as_str())) {
            problems.push(format!("nothing there has a label `{label}`: {expression}"));
        }
        problems
    }
}

/// What stands between `before` and `after`.
fn between<'t>(text: &'t str, before: &str, after: &str) -> Vec<&'t str> {
    text.split(before).skip(1).filter_map(|rest| Some(rest.split_once(after)?.0.trim())).collect()
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All that a running amiwall can tell: one that had all kinds of traffic.
async fn exposed() -> Exposed {
    let certs = tempfile::tempdir().expect("a folder");
    tls::issue(certs.path(), &IssueOptions::default()).expect("certificates");
    let file = |name: &str| certs.path().join(name).display().to_string();
    let listener = format!(
        "  - address: \"[::1]:0\"\n    tls: {{ certificate: {}, key: {}, client_ca: {} }}\n",
        file("server.crt"),
        file("server.key"),
        file("ca.crt")
    );
    let extra = Extra { listener, ..watched(&format!("{ROLE}\n    limits: {{ CoreStatus: {{ rate: 1/hour }} }}\n")) };
    let mut bench = Bench::with(extra).await;
    let mut client = bench.login().await;
    client.ask("Action: CoreStatus\r\n\r\n").await;
    client.ask("Action: CoreStatus\r\n\r\n").await;
    let tls = bench.daemon.addresses().into_iter().find(SocketAddr::is_ipv6).expect("a TLS listener");
    let mut plain = Client::connect(tls).await;
    plain.send(PING).await;
    plain.rest().await;
    bench.reload(|_| ()).await;
    bench.stop_asterisk();
    client.rest().await;
    let is_all = |text: &str| {
        text.contains("refused_total{")
            && text.contains("last_failure_timestamp_seconds{")
            && text.contains("ended_total{")
    };
    Exposed::of(&until(&bench, "/metrics", |(_, text)| is_all(text)).await)
}

#[tokio::test]
async fn dashboard_rules_and_documentation_speak_of_what_there_is() {
    let exposed = exposed().await;
    let page = read("docs/metrics.md");
    let rows: BTreeMap<&str, &str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .filter(|(name, _)| name.starts_with("amiwall_") || name.starts_with("process_"))
        .collect();
    let documented: BTreeSet<String> = rows.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(exposed.families, documented);
    for (sample, labels) in &exposed.labels {
        let family = ["_bucket", "_sum", "_count"].iter().filter_map(|end| sample.strip_suffix(end));
        let row = family.chain([sample.as_str()]).find_map(|name| rows.get(name)).expect("a row");
        for label in labels.iter().filter(|label| *label != "le") {
            assert!(row.contains(&format!("`{label}`")), "{sample}: {label}");
        }
    }

    let mut problems = Vec::new();
    let dashboard: Value = serde_json::from_str(&read("packaging/grafana/amiwall.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets: Vec<&Value> = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten().collect();
    assert!(targets.len() >= 30, "only {} targets", targets.len());
    let mut used = String::new();
    for target in targets {
        let expression = target["expr"].as_str().expect("an expression");
        let legend = target["legendFormat"].as_str().expect("a legend");
        let shown: Vec<String> = between(legend, "{{", "}}").into_iter().map(str::to_owned).collect();
        problems.extend(exposed.problems(expression, &shown));
        used.push_str(expression);
    }
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let of_variables: Vec<&str> = variables.iter().filter_map(|one| one["query"]["query"].as_str()).collect();
    assert_eq!(of_variables, ["label_values(amiwall_build_info, instance)"]);

    let rules: Value = serde_yaml::from_str(&read("packaging/prometheus/amiwall.rules.yaml")).expect("YAML");
    let rules = rules["groups"][0]["rules"].as_array().expect("rules");
    for rule in rules {
        let expression = rule["expr"].as_str().expect("an expression");
        let annotations = rule["annotations"].to_string();
        let shown: Vec<String> = annotations
            .split("$labels.")
            .skip(1)
            .map(|rest| {
                rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default().to_owned()
            })
            .collect();
        problems.extend(exposed.problems(expression, &shown));
        problems.extend(exposed.problems(between(&annotations, "printf `", "`").first().unwrap_or(&""), &[]));
        used.push_str(expression);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let alerts: BTreeSet<&str> = rules.iter().filter_map(|rule| rule["alert"].as_str()).collect();
    let told: BTreeSet<&str> = between(&page, "| `Amiwall", "`").into_iter().collect();
    assert_eq!(alerts.iter().map(|name| name.trim_start_matches("Amiwall")).collect::<BTreeSet<_>>(), told);
    assert!(alerts.len() >= 10, "{alerts:?}");
    // What is measured and shown nowhere is for nobody.
    let shown_elsewhere = [
        "amiwall_policy_info",
        "amiwall_policy_generation",
        "process_max_fds",
        "amiwall_upstream_last_failure_timestamp_seconds",
    ];
    let unused: Vec<&String> = exposed
        .families
        .iter()
        .filter(|name| !used.contains(name.as_str()) && !shown_elsewhere.contains(&name.as_str()))
        .collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn a_wrong_expression_is_found() {
    let exposed = Exposed::of(
        "# TYPE amiwall_a_total counter\namiwall_a_total{identity=\"x\",kind=\"a,b\"} 1\n# TYPE amiwall_b gauge\namiwall_b 2\n",
    );
    assert_eq!(exposed.families.len(), 2);
    let found = |expression: &str, shown: &str| exposed.problems(expression, &[shown.to_owned()]).len();
    assert_eq!(
        found("sum by (identity) (rate(amiwall_a_total{kind=~\"a|b\",instance=~\"$i\"}[5m])) / amiwall_b", "kind"),
        0
    );
    assert_eq!(found("up{job=\"amiwall\"} == 0", "instance"), 0);
    assert_eq!(found("amiwall_c", "instance"), 1);
    assert_eq!(found("amiwall_b{kind=\"a\"}", "instance"), 1);
    assert_eq!(found("sum by (colour) (amiwall_a_total)", "instance"), 1);
    assert_eq!(found("amiwall_b", "kind"), 1);
}
