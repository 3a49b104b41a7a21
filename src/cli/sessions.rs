//! `amiwall sessions`: who is logged in now, and what they do.

use super::admin::{Place, not_understood};
use super::{Exit, Failure, Format, out};
use crate::daemon::{Answer, Request, Verb};
use crate::session::SessionInfo;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// For people or for programs.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let (sessions, unauthenticated) = match args.place.ask(&Request::new(Verb::Sessions))? {
        Answer::Sessions { sessions, unauthenticated } => (sessions, unauthenticated),
        Answer::Refused { message } | Answer::Failed { message } => return Err(Failure::incomplete(message)),
        Answer::Done { .. }
        | Answer::Overview(_)
        | Answer::Paused { .. }
        | Answer::Reloaded { .. }
        | Answer::Status { .. } => return Err(not_understood()),
    };
    out(&match args.format {
        Format::Human => table(&sessions, unauthenticated, crate::identity::Now::read().wall),
        Format::Json => serde_json::json!({ "sessions": sessions, "unauthenticated": unauthenticated }).to_string(),
    });
    Ok(Exit::Ok)
}

const HEADINGS: [&str; 11] =
    ["session", "identity", "from", "upstream", "for", "actions", "refused", "limited", "events", "waiting", "last"];

/// One a line, `now` seconds after 1970.
fn table(sessions: &[SessionInfo], unauthenticated: usize, now: i64) -> String {
    let row = |session: &SessionInfo| {
        let last = session.last.as_ref();
        let last = last.map(|last| format!("{} {} ago", last.name, span(now - last.time_ms / 1_000)));
        [
            session.id.clone(),
            session.identity.clone(),
            session.peer.clone(),
            session.upstream.clone(),
            span(now - session.since),
            session.forwarded.to_string(),
            session.refused.to_string(),
            session.limited.to_string(),
            session.events.to_string(),
            session.outstanding.to_string(),
            last.unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let headings = HEADINGS.map(str::to_owned);
    let rows: Vec<[String; 11]> = std::iter::once(headings).chain(sessions.iter().map(row)).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let line = |row: &[String; 11]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let mut lines: Vec<String> =
        if sessions.is_empty() { vec!["nobody is logged in".to_owned()] } else { rows.iter().map(line).collect() };
    if unauthenticated > 0 {
        lines.push(format!("connections that are not logged in: {unauthenticated}"));
    }
    lines.join("\n")
}

/// `12s`, `3m05s`, `2h10m`, `4d02h`.
pub(super) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{days}d{:02}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h{:02}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m{:02}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Recent;

    #[test]
    fn a_table_has_what_an_administrator_asks_for() {
        let session = SessionInfo {
            id: "5e2b9c01-37".to_owned(),
            identity: "alice".to_owned(),
            peer: "203.0.113.7:51234".to_owned(),
            upstream: "pbx".to_owned(),
            since: 1_000,
            forwarded: 12,
            refused: 3,
            limited: 1,
            events: 250,
            outstanding: 2,
            last: Some(Recent { name: "Originate".to_owned(), time_ms: 4_600_000, ..Recent::default() }),
            ..SessionInfo::default()
        };
        let expected = "\
session      identity  from               upstream  for    actions  refused  limited  events  waiting  last
5e2b9c01-37  alice     203.0.113.7:51234  pbx       1h00m  12       3        1        250     2        Originate 5s ago
connections that are not logged in: 4";
        let shown = table(&[session], 4, 4_605);
        assert_eq!(shown, expected);
        assert_eq!(table(&[], 0, 0), "nobody is logged in");
    }

    #[test]
    fn spans_are_as_exact_as_they_are_read() {
        assert_eq!([0, 59, 65, 7_805, 180_000].map(span), ["0s", "59s", "1m05s", "2h10m", "2d02h"]);
        assert_eq!(span(-5), "0s", "clocks are set");
    }
}
