//! `/refusals`: what was refused just now, and `/reasons`: what the codes mean.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::forms::encoded;
use super::page::{Cell, Sheet, note, table, time};
use super::sessions::rule;
use super::{Watched, Web, reason_link, unreadable};
use crate::audit::{LoggedRecord, time_text};
use crate::report::{self, Html};
use crate::search::{self, Filter, Query};
use crate::session::Recent;

/// Refused log-ins that are shown.
const LOGINS_MAX: usize = 32;
/// How far back they are looked for, and how long: the page is asked for again and again, and others want to read too.
const LOGINS_SINCE: SignedDuration = SignedDuration::from_hours(1);
const LOGINS_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) fn list(watched: &Watched, web: &Web) -> Sheet {
    let mut page = Sheet::new("Refusals", "/refusals").live();
    let refusals = watched.overview("").refusals;
    page.body.open("p", &[("class", "soft")]);
    page.body.text("The last 64 of all sessions since amiwall was started, the newest first. ");
    page.body.element("a", &[("href", "/audit?decision=deny")], "The audit log has all of them.");
    page.body.close("p");
    let rows: Vec<Vec<Cell>> = refusals.iter().rev().map(row).collect();
    let columns = ["time (UTC)", "identity", "peer", "action", "reason", "rule", ""];
    table(&mut page.body, &columns, &rows, "Nothing was refused.");
    logins(&mut page.body, web);
    page
}

/// Log-ins that were refused: of these no session knows anything, and the log does.
fn logins(body: &mut Html, web: &Web) {
    body.element("h2", &[], "Log-ins");
    body.element("p", &[("class", "soft")], "The last 32 of the last hour that were refused, the newest first.");
    let query = Query {
        kind: Some("login".to_owned()),
        decision: Some("deny".to_owned()),
        since: Timestamp::now().checked_sub(LOGINS_SINCE).ok().map(time_text),
        ..Query::default()
    };
    let deadline = Instant::now() + LOGINS_TIMEOUT;
    match search::recent(&web.audit.directory, &mut Filter::new(query), (u64::MAX, LOGINS_MAX), deadline) {
        Ok(found) => {
            let rows: Vec<Vec<Cell>> = found.found.iter().map(|found| login(&found.record)).collect();
            let columns = ["time (UTC)", "name", "peer", "reason", ""];
            table(body, &columns, &rows, "No log-in was refused.");
            if found.is_cut {
                note(body, None, &["There was no time to read the whole hour: older ones may be missing.".to_owned()]);
            }
        }
        Err(error) => unreadable(body, &error),
    }
}

fn login(record: &LoggedRecord) -> Vec<Cell> {
    vec![
        Cell::Tight(time(record.time.as_millisecond())),
        // A name that the policy does not have may be a secret that was typed in its place: the log has none.
        Cell::Name(record.claimed.clone().unwrap_or_else(|| "(none of the policy's)".to_owned())),
        Cell::Name(record.peer.clone()),
        Cell::Link(record.reason.clone(), reason_link(&record.reason)),
        Cell::Link("its record".to_owned(), format!("/record?seq={}", record.seq)),
    ]
}

fn row(recent: &Recent) -> Vec<Cell> {
    let record = format!(
        "/record?session={}&at={}&reason={}",
        encoded(&recent.session),
        recent.time_ms,
        encoded(&recent.reason)
    );
    vec![
        Cell::Tight(time(recent.time_ms)),
        Cell::Name(recent.identity.clone()),
        Cell::Name(recent.peer.clone()),
        Cell::Text(if recent.name.is_empty() { "(no action)".to_owned() } else { recent.name.clone() }),
        Cell::Link(recent.reason.clone(), reason_link(&recent.reason)),
        Cell::Name(rule(&recent.rule, recent.line.map(u64::from))),
        Cell::Link("what would allow it?".to_owned(), record),
    ]
}

/// The codes, in the words of the documentation.
pub(super) fn reasons() -> Sheet {
    let mut page = Sheet::new("Reason codes", "/refusals");
    let body = &mut page.body;
    body.element("p", &[("class", "soft")], "Why amiwall refuses, or ends something, and what helps.");
    body.open("div", &[("class", "scroll")]);
    body.open("table", &[("class", "stack")]);
    body.open("tbody", &[]);
    for (code, means, helps) in report::reason_codes() {
        body.open("tr", &[("id", code)]);
        for (label, class, text) in [("code", "code", code), ("means", "wide", means.as_str()), ("do", "wide", &helps)]
        {
            body.element("td", &[("data-label", label), ("class", class)], text);
        }
        body.close("tr");
    }
    body.close("tbody");
    body.close("table");
    body.close("div");
    page
}
