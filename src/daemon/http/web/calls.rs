//! `/calls`: how many calls each identity tried to place, from the audit log.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::page::{Cell, Sheet, note, table};
use super::{Web, deadline, unreadable};
use crate::audit::{VerifyError, time_text};
use crate::report::{Bars, Html};
use crate::search;

/// How long what was read is good enough.
const FRESH: Duration = Duration::from_secs(30);
/// Identities that are counted apart.
const IDENTITIES_MAX: usize = 500;

/// What was read last, of a day and of a week.
#[derive(Debug, Default)]
pub(super) struct Cache([Mutex<Option<(Instant, Counted)>>; 2]);

#[derive(Clone, Debug)]
struct Counted {
    bars: Bars,
    /// Let pass and refused, by identity.
    totals: BTreeMap<String, (u64, u64)>,
    first: Timestamp,
    last: Timestamp,
    is_whole: bool,
}

pub(super) fn show(web: &Web, is_week: bool) -> Sheet {
    let mut page = Sheet::new("Call attempts", "/calls");
    let body = &mut page.body;
    ranges(body, is_week);
    let [day, week] = &web.calls.0;
    // Whoever comes meanwhile waits for the one who reads, and has the same.
    let mut cached = if is_week { week } else { day }.lock().unwrap_or_else(PoisonError::into_inner);
    let fresh = cached.as_ref().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, counted)| counted.clone());
    let counted = match fresh.map_or_else(|| count(web, is_week), Ok) {
        Ok(counted) => counted,
        Err(error) => {
            unreadable(body, &error);
            return page;
        }
    };
    *cached = Some((Instant::now(), counted.clone()));
    drop(cached);
    if !counted.is_whole {
        let why = "The log of this time is too long to be read while you wait: older calls are missing here. `amiwall audit report` reads all of it.";
        note(body, None, &[why.to_owned()]);
    }
    let title = if is_week {
        "Call attempts in the last 7 days, by identity"
    } else {
        "Call attempts in the last 24 hours, by identity"
    };
    counted.bars.draw(body, ("calls", title), (counted.first, counted.last));
    let rows: Vec<Vec<Cell>> = counted
        .totals
        .iter()
        .map(|(identity, (passed, refused))| {
            vec![
                Cell::Text(identity.clone()),
                Cell::Number(passed + refused),
                Cell::Number(*passed),
                Cell::Number(*refused),
            ]
        })
        .collect();
    table(body, &["identity", "attempts", "let pass", "refused"], &rows, "Nobody tried to place a call.");
    let what = "Attempts are the actions that make Asterisk call somebody: Originate, Redirect, BlindTransfer, Atxfer, DAHDIDialOffhook.";
    body.element("p", &[("class", "source")], what);
    page
}

fn ranges(body: &mut Html, is_week: bool) {
    body.open("p", &[]);
    for (href, name, is_own) in [("/calls", "24 hours", !is_week), ("/calls?range=7d", "7 days", is_week)] {
        let attributes = [("class", "button"), ("href", href), ("aria-current", "true")];
        body.element("a", attributes.split_at(if is_own { 3 } else { 2 }).0, name);
        body.text(" ");
    }
    body.close("p");
}

fn count(web: &Web, is_week: bool) -> Result<Counted, VerifyError> {
    let last = Timestamp::now();
    let hours = if is_week { 7 * 24 } else { 24 };
    let first = last.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(last);
    let mut counted = Counted { bars: Bars::default(), totals: BTreeMap::new(), first, last, is_whole: true };
    counted.is_whole =
        search::calls_since(&web.audit.directory, &time_text(first), deadline(), |identity, time, decision| {
            let Some(time) = time.parse().ok().filter(|time| *time <= last) else { return };
            let is_known = counted.totals.len() < IDENTITIES_MAX || counted.totals.contains_key(identity);
            let name = if is_known { identity } else { "(others)" };
            let (passed, refused) = counted.totals.entry(name.to_owned()).or_default();
            *(if matches!(decision, "allow" | "would-deny") { passed } else { refused }) += 1;
            counted.bars.add(name, time, 1);
        })?;
    Ok(counted)
}
