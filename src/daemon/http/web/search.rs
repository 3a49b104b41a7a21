//! `/audit`: whether the log is whole, and a search in it.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::forms::{Form, encoded};
use super::page::{self, Cell, Sheet, facts, note, span, table, time};
use super::verify::Known;
use super::visitors::Visitor;
use super::{Watched, Web, deadline, reason_link, unreadable};
use crate::audit::{LoggedRecord, time_text};
use crate::metrics::unix_now;
use crate::report::Html;
use crate::search::{self, Filter, Query};

/// Records on a page.
const PAGE: usize = 50;
/// The longest value of a field.
const VALUE_LEN_MAX: usize = 100;
const DECISIONS: [&str; 5] = ["", "allow", "deny", "limit", "would-deny"];
const FIELDS: [(&str, &str, &str); 8] = [
    ("identity", "Identity", "text"),
    ("action", "Action or event", "text"),
    ("kind", "Kind", "text"),
    ("reason", "Reason begins with", "text"),
    ("number", "Number", "text"),
    ("session", "Session", "text"),
    ("from", "From (UTC)", "datetime-local"),
    ("to", "To (UTC)", "datetime-local"),
];

/// What is looked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// By the names of the fields.
    values: Vec<(&'static str, String)>,
    before: Option<u64>,
}

impl Asked {
    pub(super) fn of(form: &Form) -> Self {
        let names = FIELDS.iter().map(|(name, ..)| *name).chain(["decision"]);
        let values = names.map(|name| (name, form.get(name).chars().take(VALUE_LEN_MAX).collect::<String>()));
        Self {
            values: values.filter(|(_, value)| !value.is_empty()).collect(),
            before: form.get("before").parse().ok(),
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.values.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone())
    }

    fn query(&self) -> Result<Query, String> {
        let at = |name: &str| -> Result<Option<String>, String> {
            let Some(text) = self.get(name) else { return Ok(None) };
            let civil: Result<DateTime, _> = text.parse();
            let at = civil.and_then(|civil| TimeZone::UTC.to_timestamp(civil));
            at.map(|at| Some(time_text(at))).map_err(|_| format!("`{name}` is no time: write it as 2026-11-20T08:00"))
        };
        let number = self.get("number").map(|text| text.parse()).transpose();
        Ok(Query {
            identity: self.get("identity"),
            action: self.get("action"),
            kind: self.get("kind"),
            decision: self.get("decision"),
            reason: self.get("reason"),
            session: self.get("session"),
            since: at("from")?,
            until: at("to")?,
            number: number.map_err(|error: search::NumberError| error.to_string())?,
            ..Query::default()
        })
    }

    /// The address of the same search, further back.
    fn link(&self, before: Option<u64>) -> String {
        let pairs = self.values.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let pairs: Vec<String> = pairs.chain(before.map(|before| format!("before={before}"))).collect();
        format!("/audit?{}", pairs.join("&"))
    }
}

pub(super) fn show(watched: &Watched, web: &Web, visitor: &Visitor, asked: &Asked) -> Sheet {
    let mut page = Sheet::new("Audit log", "/audit");
    let body = &mut page.body;
    chain(body, watched, web, visitor);
    body.element("h2", &[], "Search");
    form(body, asked);
    let query = match asked.query() {
        Ok(query) => query,
        Err(problem) => {
            note(body, Some(false), &[problem]);
            return page;
        }
    };
    let before = asked.before.unwrap_or(u64::MAX);
    match search::recent(&web.audit.directory, &mut Filter::new(query), (before, PAGE), deadline()) {
        Ok(found) => {
            let rows: Vec<Vec<Cell>> = found.found.iter().map(|found| row(&found.record)).collect();
            let columns = ["record", "time (UTC)", "identity", "peer", "what", "decision", "reason", "contents"];
            table(body, &columns, &rows, "No record matches.");
            if found.is_cut {
                let why = "There was no time to read the whole log: records may be missing here. Give a shorter time, or \
                           use `amiwall audit search` on the machine.";
                note(body, None, &[why.to_owned()]);
            }
            pager(body, asked, found.found.last().filter(|_| found.is_more).map(|last| last.record.seq));
        }
        Err(error) => unreadable(body, &error),
    }
    page
}

fn chain(body: &mut Html, watched: &Watched, web: &Web, visitor: &Visitor) {
    let metrics = watched.shared.audit.metrics();
    let ago =
        |at: i64| if at > 0 { format!("{} ({} ago)", time(at * 1_000), span(unix_now() - at)) } else { String::new() };
    let signer = web.signer.as_ref().map_or("nobody: `audit.signing_key` is not set", |key| key.name());
    facts(
        body,
        &[
            ("Directory", web.audit.directory.display().to_string()),
            ("Last on disk", ago(metrics.synced_at.value())),
            ("Last checkpoint", ago(metrics.checkpoint_at.value())),
            ("Signed by", signer.to_owned()),
        ],
    );
    match web.verifier.known() {
        Known::Never => note(body, None, &["The chain was not verified here since amiwall was started.".to_owned()]),
        Known::Runs(percent) => {
            note(body, None, &[format!("The chain is being verified: {percent} % are read. Load this page again.")]);
        }
        Known::Done { at, is_whole, lines } => {
            let mut all = vec![format!("Verified {} UTC:", time(at))];
            all.extend(lines);
            note(body, Some(is_whole), &all);
        }
    }
    body.open("form", &[("method", "post"), ("action", "/verify")]);
    page::hidden(body, "token", &visitor.token);
    body.element("button", &[("type", "submit")], "Verify the chain now");
    body.close("form");
}

fn form(body: &mut Html, asked: &Asked) {
    body.open("form", &[("class", "search"), ("method", "get"), ("action", "/audit"), ("role", "search")]);
    for (name, label, kind) in FIELDS {
        body.open("label", &[]);
        body.text(label);
        let value = asked.get(name).unwrap_or_default();
        body.empty("input", &[("name", name), ("type", kind), ("value", &value), ("maxlength", "100")]);
        body.close("label");
    }
    body.open("label", &[]);
    body.text("Decision");
    body.open("select", &[("name", "decision")]);
    let chosen = asked.get("decision").unwrap_or_default();
    for decision in DECISIONS {
        let attributes = [("value", decision), ("selected", "")];
        let word = if decision.is_empty() { "any" } else { decision };
        body.element("option", attributes.split_at(if decision == chosen { 2 } else { 1 }).0, word);
    }
    body.close("select");
    body.close("label");
    body.element("button", &[("type", "submit"), ("class", "main")], "Search");
    body.close("form");
}

fn row(record: &LoggedRecord) -> Vec<Cell> {
    vec![
        Cell::Link(record.seq.to_string(), format!("/record?seq={}", record.seq)),
        Cell::Tight(time(record.time.as_millisecond())),
        Cell::Name(record.identity.clone()),
        Cell::Name(record.peer.clone()),
        Cell::Text(search::what(record).to_owned()),
        match record.decision.as_str() {
            "" => Cell::Text(String::new()),
            word => Cell::Word(word.to_owned(), word == "allow"),
        },
        if record.reason.is_empty() {
            Cell::Text(String::new())
        } else {
            Cell::Link(record.reason.clone(), reason_link(&record.reason))
        },
        Cell::Wide(search::gist(record)),
    ]
}

fn pager(body: &mut Html, asked: &Asked, last: Option<u64>) {
    body.open("p", &[("class", "pager")]);
    if asked.before.is_some() {
        body.element("a", &[("class", "button"), ("href", &asked.link(None))], "The newest");
    }
    if let Some(last) = last {
        body.element("a", &[("class", "button"), ("href", &asked.link(Some(last)))], "Older");
    }
    body.close("p");
}
