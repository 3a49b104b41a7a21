//! `/sessions`: who is logged in, and what one of them did last.

use super::forms::encoded;
use super::page::{Cell, Sheet, facts, note, table, time};
use super::{Watched, Web, deadline, reason_link, unreadable};
use crate::audit::LoggedRecord;
use crate::search::{self, Filter, Query};
use crate::session::{Recent, SessionInfo};

/// Records of a session that are shown.
const RECORDS_MAX: usize = 40;

pub(super) fn list(watched: &Watched) -> Sheet {
    let mut page = Sheet::new("Sessions", "/sessions").live();
    let now = watched.overview("");
    let told = format!(
        "{} logged in, {} connected and not logged in. Counts begin with the session.",
        now.sessions.len(),
        now.unauthenticated
    );
    page.body.element("p", &[("class", "soft")], &told);
    let rows: Vec<Vec<Cell>> = now.sessions.iter().rev().map(row).collect();
    let columns = [
        "identity",
        "session",
        "peer",
        "upstream",
        "since (UTC)",
        "let pass",
        "refused",
        "limited",
        "events",
        "last action",
    ];
    table(&mut page.body, &columns, &rows, "Nobody is logged in.");
    page
}

fn row(session: &SessionInfo) -> Vec<Cell> {
    vec![
        Cell::Name(session.identity.clone()),
        Cell::Link(session.id.clone(), session_link(&session.id)),
        Cell::Name(session.peer.clone()),
        Cell::Name(session.upstream.clone()),
        Cell::Tight(time(session.since.saturating_mul(1_000))),
        Cell::Number(session.forwarded),
        Cell::Number(session.refused),
        Cell::Number(session.limited),
        Cell::Number(session.events),
        Cell::Text(session.last.as_ref().map(|last| last.name.clone()).unwrap_or_default()),
    ]
}

/// Where a session is shown.
pub(super) fn session_link(id: &str) -> String {
    format!("/sessions?id={}", encoded(id))
}

/// One session, also one that is over.
pub(super) fn one(watched: &Watched, web: &Web, id: &str) -> Sheet {
    let mut page = Sheet::new("Session", "/sessions");
    let now = watched.overview(id);
    let body = &mut page.body;
    match now.sessions.iter().find(|session| session.id == id) {
        Some(session) => {
            facts(body, &facts_of(session));
            body.element("h2", &[], "Last decisions");
            let rows: Vec<Vec<Cell>> = now.recent.iter().rev().map(decision).collect();
            table(body, &["time (UTC)", "action", "decision", "reason", "rule"], &rows, "It has done nothing yet.");
        }
        None => {
            facts(body, &[("Session", id.to_owned())]);
            note(body, None, &["It is not logged in now. What the audit log has of it is below.".to_owned()]);
        }
    }
    body.element("h2", &[], "Last records: actions and answers");
    let query = Query { session: Some(id.to_owned()), ..Query::default() };
    match search::recent(&web.audit.directory, &mut Filter::new(query), (u64::MAX, RECORDS_MAX), deadline()) {
        Ok(found) => {
            let rows: Vec<Vec<Cell>> = found.found.iter().map(|found| record(&found.record)).collect();
            table(
                body,
                &["time (UTC)", "record", "", "what", "decision", "contents"],
                &rows,
                "The log has none of it.",
            );
            if found.is_cut {
                note(
                    body,
                    None,
                    &["There was no time to read the whole log: older records may be missing.".to_owned()],
                );
            }
        }
        Err(error) => unreadable(body, &error),
    }
    page
}

fn facts_of(session: &SessionInfo) -> [(&'static str, String); 10] {
    [
        ("Session", session.id.clone()),
        ("Identity", session.identity.clone()),
        ("Peer", session.peer.clone()),
        ("Proxy", session.proxy.clone()),
        ("Listener", session.listener.clone()),
        ("Upstream", session.upstream.clone()),
        ("Logged in", format!("{} UTC", time(session.since.saturating_mul(1_000)))),
        (
            "Packets",
            format!("{} let pass, {} refused, {} beyond a limit", session.forwarded, session.refused, session.limited),
        ),
        (
            "Sent to it",
            format!("{} packets, {} of them events, {} bytes", session.sent, session.events, session.bytes_out),
        ),
        ("Waits", format!("{} packets for the client, {} actions for Asterisk", session.queued, session.outstanding)),
    ]
}

fn decision(recent: &Recent) -> Vec<Cell> {
    vec![
        Cell::Tight(time(recent.time_ms)),
        Cell::Text(recent.name.clone()),
        Cell::Word(recent.decision.clone(), recent.decision == "allow"),
        if recent.reason.is_empty() {
            Cell::Text(String::new())
        } else {
            Cell::Link(recent.reason.clone(), reason_link(&recent.reason))
        },
        Cell::Name(rule(&recent.rule, recent.line.map(u64::from))),
    ]
}

/// A rule with its line in the policy.
pub(super) fn rule(path: &str, line: Option<u64>) -> String {
    line.map_or_else(|| path.to_owned(), |line| format!("{path} (line {line})"))
}

/// A record of a session, as a row.
fn record(record: &LoggedRecord) -> Vec<Cell> {
    let arrow = match record.direction.as_str() {
        "to-asterisk" => "from client",
        "to-client" => "to client",
        _ => "",
    };
    vec![
        Cell::Tight(time(record.time.as_millisecond())),
        Cell::Link(record.seq.to_string(), format!("/record?seq={}", record.seq)),
        Cell::Tight(arrow.to_owned()),
        Cell::Text(search::what(record).to_owned()),
        match record.decision.as_str() {
            "" => Cell::Text(String::new()),
            word => Cell::Word(word.to_owned(), word == "allow"),
        },
        Cell::Wide(search::gist(record)),
    ]
}
