//! `/record`: one record of the log, and of a refused action what would allow it.

use jiff::{SignedDuration, Timestamp};

use super::explained::explain;
use super::forms::Form;
use super::page::{Sheet, facts, note, short};
use super::sessions::{rule, session_link};
use super::{Watched, Web, deadline, reason_link, unreadable};
use crate::audit::{LoggedRecord, VerifyError, time_text};
use crate::report::{Html, meaning_of_refusal};
use crate::search::{self, Filter, Found, Query};

/// How far the clock of a record may be from the one that was remembered.
const NEAR: SignedDuration = SignedDuration::from_secs(10);
/// Refusals of a session so near each other.
const NEAR_MAX: usize = 500;
/// Headers that are shown.
const HEADERS_MAX: usize = 100;

/// Which record.
#[derive(Debug)]
pub(super) struct Asked {
    seq: Option<u64>,
    session: String,
    at: i64,
    reason: String,
}

impl Asked {
    pub(super) fn of(query: &Form) -> Self {
        Self {
            seq: query.get("seq").parse().ok(),
            session: query.get("session").to_owned(),
            at: query.get("at").parse().unwrap_or_default(),
            reason: query.get("reason").to_owned(),
        }
    }

    fn find(&self, web: &Web) -> Result<Option<Found>, VerifyError> {
        let directory = &web.audit.directory;
        let Some(seq) = self.seq else {
            let Ok(at) = Timestamp::from_millisecond(self.at) else { return Ok(None) };
            let edge = |edge: Result<Timestamp, jiff::Error>| edge.ok().map(time_text);
            let query = Query {
                session: Some(self.session.clone()).filter(|session| !session.is_empty()),
                kind: Some("action".to_owned()),
                reason: Some(self.reason.clone()),
                since: edge(at.checked_sub(NEAR)),
                until: edge(at.checked_add(NEAR)),
                ..Query::default()
            };
            let found = search::recent(directory, &mut Filter::new(query), (u64::MAX, NEAR_MAX), deadline())?.found;
            let distance = |found: &Found| found.record.time.as_millisecond().abs_diff(self.at);
            return Ok(found.into_iter().min_by_key(distance));
        };
        search::at(directory, seq, deadline())
    }
}

pub(super) fn show(watched: &Watched, web: &Web, asked: &Asked) -> Sheet {
    let mut page = Sheet::new("Record", "/audit");
    let body = &mut page.body;
    match asked.find(web) {
        Ok(Some(found)) => write(body, watched, &found.record),
        Ok(None) => {
            let why = "It was not found in the audit log. Of what is refused very often only the count is recorded; a \
                       record may also have been taken out for its age, or lie too far back to be found while you wait.";
            note(body, None, &[why.to_owned()]);
        }
        Err(error) => unreadable(body, &error),
    }
    page
}

fn write(body: &mut Html, watched: &Watched, record: &LoggedRecord) {
    facts(
        body,
        &[
            ("Number", record.seq.to_string()),
            ("Time", format!("{} UTC", record.time.strftime("%F %T%.3f"))),
            ("Kind", record.kind.clone()),
            ("Identity", record.identity.clone()),
            ("Peer", record.peer.clone()),
            ("Listener", record.listener.clone()),
            ("Upstream", record.upstream.clone()),
            ("What", search::what(record).to_owned()),
            ("Decision", record.decision.clone()),
            ("Rule", rule(&record.rule, record.line)),
            ("Limit", record.limit.clone()),
        ],
    );
    if !record.session.is_empty() {
        body.open("p", &[]);
        body.element("a", &[("href", &session_link(&record.session))], &format!("Session {}", record.session));
        body.close("p");
    }
    if !record.reason.is_empty() {
        body.open("p", &[]);
        body.text("Reason: ");
        body.open("a", &[("href", &reason_link(&record.reason))]);
        body.text(&record.reason);
        body.raw("</a>");
        let meaning = meaning_of_refusal(&record.reason, !record.rule.is_empty());
        if !meaning.is_empty() {
            body.text(&format!(": {meaning}."));
        }
        body.close("p");
    }
    if record.kind == "action" && matches!(record.decision.as_str(), "deny" | "limit" | "would-deny") {
        explain(body, watched, record);
    }
    body.element("h2", &[], "Contents");
    if record.headers.is_empty() {
        body.element("p", &[("class", "code")], &short(&search::gist(record)));
        return;
    }
    body.open("pre", &[("tabindex", "0")]);
    for header in record.headers.iter().take(HEADERS_MAX) {
        body.text(&short(&format!("{}: {}", header.name, search::text_of(&header.value))));
        body.raw("\n");
    }
    body.close("pre");
}
