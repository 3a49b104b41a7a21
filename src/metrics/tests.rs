use std::time::Duration;

use super::*;

fn text(metrics: &Metrics) -> String {
    let mut page = Page::default();
    metrics.write(&mut page);
    page.into_text()
}

fn metrics() -> Metrics {
    Metrics::new(["Ping", "Originate"].into_iter())
}

#[test]
fn names_that_clients_make_up_are_one() {
    let metrics = metrics();
    let alice = metrics.identity("alice", ["lobby".to_owned()].into_iter());
    alice.count(ActionNumber::Known(1), Outcome::Allow);
    alice.count(ActionNumber::Known(7), Outcome::Deny);
    alice.count(ActionNumber::Unknown("lobby"), Outcome::Allow);
    alice.count(ActionNumber::Unknown("made-up"), Outcome::Deny);
    alice.count(ActionNumber::Unknown("made-up-too"), Outcome::Deny);
    alice.count(ActionNumber::Malformed, Outcome::Deny);
    let text = text(&metrics);
    let samples: Vec<&str> = text.lines().filter(|line| line.starts_with("amiwall_actions_total{")).collect();
    assert_eq!(
        samples,
        [
            "amiwall_actions_total{identity=\"alice\",action=\"Originate\",decision=\"allow\"} 1",
            "amiwall_actions_total{identity=\"alice\",action=\"lobby\",decision=\"allow\"} 1",
            "amiwall_actions_total{identity=\"alice\",action=\"other\",decision=\"deny\"} 3",
            "amiwall_actions_total{identity=\"alice\",action=\"malformed\",decision=\"deny\"} 1",
        ]
    );
}

#[test]
fn a_reload_keeps_what_was_counted_of_those_who_stay() {
    let metrics = metrics();
    for name in ["alice", "bob"] {
        metrics.identity(name, ["lobby".to_owned()].into_iter()).count(ActionNumber::Unknown("lobby"), Outcome::Allow);
    }
    metrics.keep_identities(|name| (name == "alice").then(|| vec!["lobby".to_owned(), "bar".to_owned()]));
    let alice = metrics.identity("alice", ["lobby".to_owned()].into_iter());
    alice.count(ActionNumber::Unknown("lobby"), Outcome::Allow);
    let text = text(&metrics);
    assert!(text.contains("{identity=\"alice\",action=\"lobby\",decision=\"allow\"} 2\n"), "{text}");
    assert!(!text.contains("bob"), "{text}");
}

#[test]
fn a_histogram_counts_what_is_at_most_its_bound() {
    let histogram = Histogram::new(&[1_000, 2_000]);
    histogram.observe(Duration::from_nanos(1_000));
    histogram.observe_each(Duration::from_nanos(1_001), 3);
    histogram.observe(Duration::from_secs(2));
    let mut page = Page::default();
    page.family("x_seconds", Kind::Histogram, "How long.");
    page.histogram("x_seconds", &[("a", "b")], &histogram);
    assert_eq!(
        page.into_text(),
        "# HELP x_seconds How long.\n\
         # TYPE x_seconds histogram\n\
         x_seconds_bucket{a=\"b\",le=\"0.000001\"} 1\n\
         x_seconds_bucket{a=\"b\",le=\"0.000002\"} 4\n\
         x_seconds_bucket{a=\"b\",le=\"+Inf\"} 5\n\
         x_seconds_sum{a=\"b\"} 2.000004003\n\
         x_seconds_count{a=\"b\"} 5\n"
    );
}

#[test]
fn a_label_cannot_end_itself() {
    let mut page = Page::default();
    page.family("x", Kind::Gauge, "One.");
    page.sample(&[("a", "\"} 1\n\\")], 1);
    assert!(page.into_text().ends_with("x{a=\"\\\"} 1\\n\\\\\"} 1\n"));
}

#[test]
fn who_goes_takes_back_his_share() {
    let gauge = Arc::new(Gauge::default());
    let (one, two) = (Share::of(gauge.clone()), Share::of(gauge.clone()));
    one.set(5);
    two.set(3);
    one.set(2);
    assert_eq!(gauge.value(), 5);
    drop(one);
    assert_eq!(gauge.value(), 3);
}

#[test]
fn an_upstream_is_up_when_it_was_last_let_in() {
    let upstream = UpstreamMetrics::default();
    assert!(!upstream.is_up() && upstream.last_failure().is_none());
    upstream.failed("io");
    upstream.succeeded();
    assert!(upstream.is_up());
    assert_eq!(upstream.last_failure().map(|(reason, _)| reason), Some("io"));
    upstream.failed("login");
    assert!(!upstream.is_up());
    upstream.succeeded();
    upstream.sessions.set(1);
    upstream.lost();
    assert!(upstream.is_up(), "another session is there");
    upstream.sessions.set(0);
    upstream.lost();
    assert!(!upstream.is_up());
    upstream.sessions.set(1);
    upstream.lost();
    assert!(!upstream.is_up(), "a session that is about to be lost is no proof");
}
