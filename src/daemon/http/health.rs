//! `/live`: the process serves. `/ready`: and so it does its clients.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};

use super::{Watched, text};
use crate::audit::LogState;

/// That this is answered at all is the answer: the loop that serves sessions turns.
pub(super) fn live() -> Response<Full<Bytes>> {
    text(StatusCode::OK, "live\n")
}

/// Listeners accept, an upstream is there, and the audit log takes records; else what is missing, one line each.
/// What is missing is told only to who may know.
pub(super) fn ready(watched: &Watched, is_told: bool) -> Response<Full<Bytes>> {
    let mut missing = missing(watched);
    if !is_told && !missing.is_empty() {
        missing = "not ready\n".to_owned();
    }
    if missing.is_empty() { text(StatusCode::OK, "ready\n") } else { text(StatusCode::SERVICE_UNAVAILABLE, missing) }
}

fn missing(watched: &Watched) -> String {
    let in_force = watched.in_force.borrow().clone();
    let mut missing = String::new();
    let reached = |name: &str| {
        let mut upstreams = in_force.upstreams.iter().filter(|connector| connector.config().name == name);
        upstreams.any(|connector| connector.banner().borrow().is_some())
    };
    for (address, upstream) in in_force.listeners.iter().filter(|(_, upstream)| !reached(upstream)) {
        missing += &format!("the listener {address} does not accept: upstream `{upstream}` was not reached yet\n");
    }
    if !in_force.upstreams.iter().any(|connector| connector.metrics().is_up()) {
        for connector in &in_force.upstreams {
            let why = connector.metrics().last_failure().map_or("not tried yet", |(reason, _)| reason);
            missing += &format!("upstream `{}` is down ({why})\n", connector.config().name);
        }
    }
    if watched.shared.audit.state() != LogState::Open {
        missing += "the audit log cannot be written\n";
    }
    missing
}
