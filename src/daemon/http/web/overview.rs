//! `/`: how things stand.

use super::page::{Cell, Sheet, facts, good, note, span, table, time};
use super::{Watched, Web};
use crate::audit::LogState;
use crate::metrics::unix_now;
use crate::report::Html;

/// A certificate that ends sooner is shown as a bad thing.
const CERTIFICATE_SOON: i64 = 14 * 86_400;
/// A log that was last on disk longer ago than its own checkpoints are apart.
const SYNC_LATE: i64 = 180;

pub(super) fn show(watched: &Watched, web: &Web) -> Sheet {
    let mut page = Sheet::new("Overview", "/").live();
    let body = &mut page.body;
    let now = watched.overview("");
    let in_force = watched.in_force.borrow().clone();
    let synced = unix_now() - watched.shared.audit.metrics().synced_at.value();
    let (log, log_note) = match now.audit {
        LogState::Open => ("takes records", format!("on disk {} ago", span(synced.max(0)))),
        LogState::Hangs => ("waits for its disk", "actions wait, then they are refused".to_owned()),
        LogState::Closed => ("cannot be written", "actions are refused".to_owned()),
    };
    let is_log_good = now.audit == LogState::Open && synced < SYNC_LATE;
    let up = in_force.upstreams.iter().filter(|one| one.metrics().is_up()).count();
    let tiles = [
        ("Audit log", log.to_owned(), log_note, Some(is_log_good)),
        (
            "Upstreams",
            format!("{up} of {} up", in_force.upstreams.len()),
            String::new(),
            Some(up == in_force.upstreams.len()),
        ),
        ("Sessions", now.sessions.len().to_string(), format!("{} not logged in", now.unauthenticated), None),
        (
            "Stopped",
            (now.locked.len() + now.suspended.len() + now.paused.len()).to_string(),
            "locked, suspended or paused".to_owned(),
            (!(now.locked.is_empty() && now.suspended.is_empty() && now.paused.is_empty())).then_some(false),
        ),
    ];
    write_tiles(body, &tiles);
    stopped(body, &now);
    body.element("h2", &[], "Rates");
    web.rates.draw(body, watched.shared.metrics.packets());
    upstreams(body, &in_force, &now);
    listeners(body, &in_force);
    body.element("h2", &[], "Policy in force");
    let since = time(in_force.loaded_at.saturating_mul(1_000));
    let identities = watched.shared.snapshot.borrow().identities.iter().count();
    facts(
        body,
        &[
            ("File", in_force.policy.display().to_string()),
            ("Digest", now.policy.clone()),
            ("In force since", format!("{since} UTC")),
            ("Identities", identities.to_string()),
            (
                "amiwall",
                format!("{}, running since {} UTC", now.version, time(watched.started_at.saturating_mul(1_000))),
            ),
        ],
    );
    page
}

fn write_tiles(body: &mut Html, tiles: &[(&'static str, String, String, Option<bool>)]) {
    body.open("ul", &[("class", "tiles")]);
    for (label, value, small, is_good) in tiles {
        let class = is_good.map_or("", |is_good| if is_good { "is-good" } else { "is-bad" });
        body.open("li", &[("class", class)]);
        body.element("span", &[("class", "label")], label);
        body.element("strong", &[("class", is_good.map_or("", good))], value);
        body.element("span", &[("class", "label")], small);
        body.close("li");
    }
    body.close("ul");
}

fn stopped(body: &mut Html, now: &crate::daemon::Overview) {
    let mut lines = Vec::new();
    if !now.locked.is_empty() {
        lines.push(format!("Locked by an administrator: {}", now.locked.join(", ")));
    }
    if !now.suspended.is_empty() {
        lines.push(format!("Suspended for what they did: {}", now.suspended.join(", ")));
    }
    for pause in &now.paused {
        let whose = if pause.identity.is_empty() { "everybody" } else { &pause.identity };
        lines.push(format!("Paused: {} of {whose}", pause.action));
    }
    if !lines.is_empty() {
        body.element("h2", &[], "Stopped");
        note(body, Some(false), &lines);
    }
}

fn upstreams(body: &mut Html, in_force: &super::super::InForce, now: &crate::daemon::Overview) {
    body.element("h2", &[], "Upstreams");
    let rows: Vec<Vec<Cell>> = in_force
        .upstreams
        .iter()
        .map(|one| {
            let (name, metrics) = (one.config().name.clone(), one.metrics());
            let failure = metrics
                .last_failure()
                .map_or_else(String::new, |(reason, at)| format!("{reason}, {} ago", span(unix_now() - at)));
            let trouble = now.upstreams.get(&name).cloned().flatten();
            vec![
                Cell::Text(name),
                Cell::Text(one.config().address.clone()),
                Cell::Word(if metrics.is_up() { "up" } else { "down" }.to_owned(), metrics.is_up()),
                Cell::Number(u64::try_from(metrics.sessions.value()).unwrap_or(0)),
                Cell::Wide(trouble.unwrap_or(failure)),
            ]
        })
        .collect();
    table(body, &["name", "address", "state", "sessions", "last trouble"], &rows, "There is none.");
}

fn listeners(body: &mut Html, in_force: &super::super::InForce) {
    body.element("h2", &[], "Listeners and certificates");
    let accepts = |upstream: &String| {
        let mut all = in_force.upstreams.iter().filter(|one| one.config().name == *upstream);
        all.any(|one| one.banner().borrow().is_some())
    };
    let rows: Vec<Vec<Cell>> = in_force
        .listeners
        .iter()
        .map(|(address, upstream)| {
            let is_open = accepts(upstream);
            let own = in_force.certificates.iter().filter(|(of, ..)| of == address);
            let ends: Vec<(&str, i64)> = own.map(|(_, what, ends)| (*what, ends - unix_now())).collect();
            let in_words = |(what, left): &(&str, i64)| {
                if *left > 0 { format!("{what}: {} left", span(*left)) } else { format!("{what}: over") }
            };
            let words: Vec<String> = ends.iter().map(in_words).collect();
            let certificates = match ends.iter().map(|(_, left)| *left).min() {
                None => Cell::Text("no TLS".to_owned()),
                Some(left) if left < CERTIFICATE_SOON => Cell::Word(words.join(", "), false),
                Some(_) => Cell::Text(words.join(", ")),
            };
            let state = if is_open { "accepts" } else { "waits for its upstream" };
            vec![
                Cell::Text(address.clone()),
                Cell::Text(upstream.clone()),
                Cell::Word(state.to_owned(), is_open),
                certificates,
            ]
        })
        .collect();
    table(body, &["address", "upstream", "state", "certificates"], &rows, "There is none.");
}
