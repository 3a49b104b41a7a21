//! `/metrics`: what was counted, and what is so now, in Prometheus' text format.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use rustix::process::{Resource, getrlimit};

use super::{InForce, Watched, respond};
use crate::audit::LogState;
use crate::metrics::{Kind, Page};

/// The text format that every Prometheus reads.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn metrics(watched: &Watched) -> Response<Full<Bytes>> {
    let mut page = Page::default();
    let in_force = watched.in_force.borrow().clone();
    connections(&mut page, watched);
    watched.shared.metrics.write(&mut page);
    audit(&mut page, watched);
    upstreams(&mut page, &in_force);
    policy(&mut page, watched, &in_force);
    process(&mut page, watched);
    respond(StatusCode::OK, PROMETHEUS, page.into_text().into())
}

fn connections(page: &mut Page, watched: &Watched) {
    let now = watched.admission.occupancy();
    page.family("amiwall_connections", Kind::Gauge, "Connections that are open.");
    page.sample(&[("state", "logged-in")], now.connections);
    page.sample(&[("state", "not-logged-in")], now.unauthenticated);
    page.family("amiwall_connections_limit", Kind::Gauge, "How many there may be.");
    let limits = watched.admission.limits();
    page.sample(&[("state", "logged-in")], limits.connections);
    page.sample(&[("state", "not-logged-in")], limits.unauthenticated);
    page.family("amiwall_logins_verifying", Kind::Gauge, "Log-ins whose secret is being verified, or waits for it.");
    page.sample(&[], now.verifying);
}

fn audit(page: &mut Page, watched: &Watched) {
    let audit = &watched.shared.audit;
    page.family("amiwall_audit_open", Kind::Gauge, "Whether the audit log takes records: 0, and actions are refused.");
    page.sample(&[], u8::from(audit.state() == LogState::Open));
    page.family("amiwall_audit_queue", Kind::Gauge, "Requests that wait for the writer of the audit log.");
    page.sample(&[], audit.waiting());
    audit.metrics().write(page);
}

fn upstreams(page: &mut Page, in_force: &InForce) {
    let all: Vec<_> = in_force.upstreams.iter().map(|one| (one.config().name.clone(), one.metrics())).collect();
    page.family("amiwall_upstream_up", Kind::Gauge, "Whether Asterisk was there when it was last tried.");
    for (name, upstream) in &all {
        page.sample(&[("upstream", name)], u8::from(upstream.is_up()));
    }
    page.family("amiwall_upstream_sessions", Kind::Gauge, "Sessions that are open with Asterisk.");
    for (name, upstream) in &all {
        page.sample(&[("upstream", name)], upstream.sessions.value());
    }
    page.family("amiwall_upstream_failures_total", Kind::Counter, "Sessions that could not be opened, or were lost.");
    for (name, upstream) in &all {
        for (reason, count) in upstream.failures.values() {
            page.sample(&[("upstream", name), ("reason", reason)], count);
        }
    }
    let help = "When that last happened; only the last reason is here.";
    page.family("amiwall_upstream_last_failure_timestamp_seconds", Kind::Gauge, help);
    for (name, upstream) in &all {
        if let Some((reason, at)) = upstream.last_failure() {
            page.sample(&[("upstream", name), ("reason", reason)], at);
        }
    }
}

fn policy(page: &mut Page, watched: &Watched, in_force: &InForce) {
    let snapshot = watched.shared.snapshot.borrow().clone();
    page.family("amiwall_policy_info", Kind::Gauge, "The policy in force, by the digest of its file.");
    page.sample(&[("digest", &snapshot.digest)], 1);
    page.family(
        "amiwall_policy_generation",
        Kind::Gauge,
        "How many policies were in force before it, since the start.",
    );
    page.sample(&[], snapshot.generation);
    page.family("amiwall_policy_identities", Kind::Gauge, "Identities of the policy in force.");
    page.sample(&[], snapshot.identities.iter().count());
    page.family("amiwall_policy_loaded_timestamp_seconds", Kind::Gauge, "Since when it is in force.");
    page.sample(&[], in_force.loaded_at);
    let help = "When the first certificate or revocation list in a file of a listener ends.";
    page.family("amiwall_certificate_expiry_timestamp_seconds", Kind::Gauge, help);
    for (listener, kind, at) in &in_force.certificates {
        page.sample(&[("listener", listener), ("file", kind)], at);
    }
}

fn process(page: &mut Page, watched: &Watched) {
    page.family("amiwall_build_info", Kind::Gauge, "Which amiwall this is.");
    page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family("process_start_time_seconds", Kind::Gauge, "When it was started.");
    page.sample(&[], watched.started_at);
    page.family("process_max_fds", Kind::Gauge, "How many descriptors it may have.");
    if let Some(most) = getrlimit(Resource::Nofile).current {
        page.sample(&[], most);
    }
}
