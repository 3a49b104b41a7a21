//! `/refusals`: what was refused just now, and `/reasons`: what the codes mean.

use super::forms::encoded;
use super::page::{Cell, Sheet, table, time};
use super::sessions::rule;
use super::{Watched, reason_link};
use crate::report;
use crate::session::Recent;

pub(super) fn list(watched: &Watched) -> Sheet {
    let mut page = Sheet::new("Refusals", "/refusals").live();
    let refusals = watched.overview("").refusals;
    page.body.open("p", &[("class", "soft")]);
    page.body.text("The last 64 of all sessions since amiwall was started, the newest first. ");
    page.body.element("a", &[("href", "/audit?decision=deny")], "The audit log has all of them.");
    page.body.close("p");
    let rows: Vec<Vec<Cell>> = refusals.iter().rev().map(row).collect();
    let columns = ["time (UTC)", "identity", "peer", "action", "reason", "rule", ""];
    table(&mut page.body, &columns, &rows, "Nothing was refused.");
    page
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
