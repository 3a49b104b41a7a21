//! The filters of `search` and `tail`, as they are written on the command line.

use jiff::{SignedDuration, Timestamp};

use crate::learn::Edge;
use crate::networks::Network;
use crate::search::{Number, Query};

/// Which records; all that is given must hold.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Filters {
    /// Of this identity.
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// An action or event of this name, or an answer with this word (`Success`, `Error` …), without case.
    #[arg(long, value_name = "NAME")]
    action: Option<String>,
    /// Of this kind: `action`, `response`, `event`, `login`, `connect` … (docs/audit-format.md has the list).
    #[arg(long)]
    kind: Option<String>,
    /// With this decision.
    #[arg(long, value_parser = ["allow", "deny", "limit", "would-deny"])]
    decision: Option<String>,
    /// Whose reason begins so: `params`, `params.Exten`, `limits.` …
    #[arg(long, value_name = "PREFIX")]
    reason: Option<String>,
    #[command(flatten)]
    times: Times,
    /// With this number: dialled, a caller's or within a channel's name. `+`, blanks and `-` do not count.
    #[arg(long)]
    number: Option<Number>,
    /// With this channel: its name, with or without the `-0000002a` at its end.
    #[arg(long)]
    channel: Option<String>,
    /// With this `Uniqueid`, `Linkedid` or `ChannelId`.
    #[arg(long, value_name = "ID")]
    uniqueid: Option<String>,
    /// Of this session.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Of clients from this address or network.
    #[arg(long, value_name = "ADDRESS|CIDR")]
    peer: Option<Network>,
    /// With this text anywhere, without case.
    #[arg(long)]
    text: Option<String>,
}

/// From when to when.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Times {
    /// Not before: a time (2026-11-20T08:00:00Z), a date (2026-11-20, UTC), or how long ago (30m, 2h, 7d).
    #[arg(long, value_name = "TIME", value_parser = since)]
    from: Option<Edge>,
    /// Not after; a date is its last moment.
    #[arg(long, value_name = "TIME", value_parser = until)]
    to: Option<Edge>,
}

const TIME_HELP: &str = "write a time (2026-11-20T08:00:00Z), a date (2026-11-20, UTC) or how long ago (30m, 2h, 7d)";

fn since(text: &str) -> Result<Edge, &'static str> {
    Edge::since(text).map_err(|_| TIME_HELP)
}

fn until(text: &str) -> Result<Edge, &'static str> {
    Edge::until(text).map_err(|_| TIME_HELP)
}

/// Both ends as the log writes times, and wider, for leaving out whole segments.
#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
    pub(super) wide_since: Option<String>,
    pub(super) wide_until: Option<String>,
}

impl Times {
    /// `margin` is how far the clock may have been set back within a segment.
    pub(super) fn at(&self, now: Timestamp, margin: SignedDuration) -> Span {
        let time = |edge: Edge| match edge {
            Edge::At(time) => time,
            Edge::BeforeLast(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        };
        let text = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let (since, until) = (self.from.map(time), self.to.map(time));
        Span {
            since: since.map(text),
            until: until.map(text),
            wide_since: since.map(|since| text(since.checked_sub(margin).unwrap_or(Timestamp::MIN))),
            wide_until: until.map(|until| text(until.checked_add(margin).unwrap_or(Timestamp::MAX))),
        }
    }
}

/// How far a clock may have been set back without `--from` and `--to` missing a segment.
pub(super) const CLOCK_MARGIN: SignedDuration = SignedDuration::from_hours(1);

impl Filters {
    pub(super) fn query(&self, now: Timestamp) -> (Query, Span) {
        let span = self.times.at(now, CLOCK_MARGIN);
        let query = Query {
            identity: self.identity.clone(),
            action: self.action.clone(),
            kind: self.kind.clone(),
            decision: self.decision.clone(),
            reason: self.reason.clone(),
            since: span.since.clone(),
            until: span.until.clone(),
            number: self.number.clone(),
            channel: self.channel.clone(),
            uniqueid: self.uniqueid.clone(),
            session: self.session.clone(),
            peer: self.peer,
            text: self.text.clone(),
        };
        (query, span)
    }
}
