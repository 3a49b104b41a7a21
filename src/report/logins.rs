//! Log-ins and failures, by address and by identity, from `login` and `refuse` records.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::bounded::{Bounded, Names, others_note};
use super::decisions::Seen;
use super::meaning::meaning;
use super::table::{Cell, ROWS_SHOWN, Section, Table};
use super::text;
use crate::audit::LoggedRecord;

#[derive(Clone, Debug, Default)]
struct Source {
    logged_in: u64,
    failed: u64,
    turned_away: u64,
    /// Of those, the ones that are on record only as a number.
    counted: u64,
    names: Names,
    reasons: Names,
    seen: Seen,
}

#[derive(Clone, Debug, Default)]
struct Account {
    logged_in: u64,
    failed: u64,
    sources: Names,
    methods: Names,
    reasons: Names,
    last_good: Option<jiff::Timestamp>,
    seen: Seen,
}

/// Everything that is told of who came to the door.
#[derive(Clone, Debug, Default)]
pub(super) struct Logins {
    sources: Bounded<String, Source>,
    accounts: Bounded<String, Account>,
    reasons: Bounded<(String, String), (u64, Seen)>,
    pub(super) logged_in: u64,
    pub(super) failed: u64,
    pub(super) turned_away: u64,
    is_counted: bool,
}

/// An IPv4 address, or the /64 of IPv6 that one host has for itself: without the port, which says nothing.
pub(super) fn source(peer: &str) -> String {
    let address = peer.parse::<SocketAddr>().map(|peer| peer.ip()).or_else(|_| peer.parse::<IpAddr>());
    match address.map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(v6)) => {
            let network = Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX));
            format!("{network}/64")
        }
        Ok(IpAddr::V4(v4)) => v4.to_string(),
        // A network already, or of all addresses that were too many to tell apart.
        Err(_) if peer.is_empty() => "(many addresses)".to_owned(),
        Err(_) => text::key(peer),
    }
}

impl Logins {
    pub(super) fn take_login(&mut self, record: &LoggedRecord) {
        let from = self.sources.row(&source(&record.peer));
        from.seen.add(record.time);
        let name = record.claimed.as_deref().filter(|name| !name.is_empty()).unwrap_or(&record.identity);
        let name = if name.is_empty() { "(no such identity)" } else { name };
        let account = self.accounts.row(&text::key(name));
        account.seen.add(record.time);
        account.sources.add(&source(&record.peer));
        account.methods.add(&record.method);
        from.names.add(name);
        if record.decision == "allow" {
            (self.logged_in, from.logged_in, account.logged_in) =
                (self.logged_in + 1, from.logged_in + 1, account.logged_in + 1);
            account.last_good = Some(record.time);
            return;
        }
        (self.failed, from.failed, account.failed) = (self.failed + 1, from.failed + 1, account.failed + 1);
        from.reasons.add(&record.reason);
        account.reasons.add(&record.reason);
        self.add_reason("login", record, 1);
    }

    pub(super) fn take_refuse(&mut self, record: &LoggedRecord) {
        let from = self.sources.row(&source(&record.peer));
        from.seen.add(record.time);
        if record.count.is_none() {
            from.reasons.add(&record.reason);
            from.turned_away += 1;
            self.turned_away += 1;
            self.add_reason("refuse", record, 1);
            return;
        }
        let of_kind = |kind: &str| record.counts.get(kind).copied().unwrap_or_default();
        let (failed, turned_away) = (of_kind("login"), of_kind("refuse"));
        from.failed += failed;
        from.turned_away += turned_away;
        from.counted += failed + turned_away;
        self.failed += failed;
        self.turned_away += turned_away;
        self.is_counted = true;
        self.add_reason("refuse", record, failed + turned_away);
    }

    fn add_reason(&mut self, kind: &str, record: &LoggedRecord, count: u64) {
        if count > 0 {
            let (sum, seen) = self.reasons.row(&(text::key(&record.reason), kind.to_owned()));
            *sum += count;
            seen.add(record.time);
        }
    }

    pub(super) fn section(&self) -> Section {
        let counted = if self.is_counted {
            " Of addresses that come very often only the first ten records of a minute are written one by one; the rest is \
             counted by address, and counted here too, but without a name."
        } else {
            ""
        };
        Section {
            id: "logins",
            title: "Log-ins and failures",
            intro: format!(
                "An IPv6 address stands for its /64 network, which one host has for itself. The name that somebody tried is \
                 on record only if there is such an identity, because people type their secret where the name belongs.{counted}"
            ),
            charts: Vec::new(),
            tables: vec![self.by_identity(), self.by_address(), self.by_reason()],
        }
    }

    fn by_address(&self) -> Table {
        let row = |(address, from): (Option<&String>, &Source)| {
            let mut row = vec![
                Cell::text(address.map_or("(all others)", String::as_str)),
                Cell::Count(from.logged_in),
                Cell::Count(from.failed),
                Cell::Count(from.turned_away),
                Cell::Count(from.counted),
                Cell::text(from.names.list()),
                Cell::code(from.reasons.list()),
            ];
            row.extend(from.seen.cells());
            row
        };
        Table {
            id: "addresses",
            title: "By address",
            source: "`login` records by `peer` (logged in: `decision` allow, failed: deny) and `refuse` records (turned away \
                     before a log-in; with `counts` for those that were only counted)."
                .to_owned(),
            note: others_note(self.sources.has_others()),
            columns: vec![
                "address",
                "logged in",
                "failed",
                "turned away",
                "only counted",
                "as",
                "reasons",
                "first",
                "last",
            ],
            rows: self
                .sources
                .by_size(|from| (from.failed + from.turned_away, from.logged_in))
                .into_iter()
                .map(row)
                .collect(),
            rows_shown: 30,
            empty: "Nobody came in this period.",
        }
    }

    fn by_identity(&self) -> Table {
        let row = |(name, account): (Option<&String>, &Account)| {
            vec![
                Cell::text(name.map_or("(all others)", String::as_str)),
                Cell::Count(account.logged_in),
                Cell::Count(account.failed),
                Cell::text(account.sources.list()),
                Cell::text(account.methods.list()),
                Cell::code(account.reasons.list()),
                Cell::time(account.last_good),
                Cell::time(account.seen.last),
            ]
        };
        Table {
            id: "logins-by-identity",
            title: "By identity",
            source: "`login` records by the name that was claimed (`claimed`).".to_owned(),
            note: others_note(self.accounts.has_others()),
            columns: vec![
                "identity",
                "logged in",
                "failed",
                "from",
                "method",
                "reasons of failures",
                "last log-in",
                "last attempt",
            ],
            rows: self.accounts.by_size(|account| (account.failed, account.logged_in)).into_iter().map(row).collect(),
            rows_shown: ROWS_SHOWN,
            empty: "Nobody tried to log in in this period.",
        }
    }

    fn by_reason(&self) -> Table {
        let row = |(key, (count, seen)): (Option<&(String, String)>, &(u64, Seen))| {
            let (reason, kind) = key.map_or(("(all others)", ""), |(a, b)| (a.as_str(), b));
            let mut row = vec![Cell::code(reason), Cell::prose(meaning(reason)), Cell::code(kind), Cell::Count(*count)];
            row.extend(seen.cells());
            row
        };
        Table {
            id: "login-failures",
            title: "Why they failed or were turned away",
            source: "`login` and `refuse` records with the `decision` deny, by `reason`.".to_owned(),
            note: String::new(),
            columns: vec!["reason", "means", "kind", "count", "first", "last"],
            rows: self.reasons.by_size(|(count, _)| *count).into_iter().map(row).collect(),
            rows_shown: ROWS_SHOWN,
            empty: "Nobody failed or was turned away in this period.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::source;

    #[test]
    fn an_ipv6_host_is_its_network() {
        let cases = [
            ("203.0.113.7:51234", "203.0.113.7"),
            ("[2001:db8:1:2:3::4]:80", "2001:db8:1:2::/64"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
            ("2001:db8::/64", "2001:db8::/64"),
            ("192.0.2.1", "192.0.2.1"),
            ("", "(many addresses)"),
        ];
        for (peer, expected) in cases {
            assert_eq!(source(peer), expected, "{peer}");
        }
    }
}
