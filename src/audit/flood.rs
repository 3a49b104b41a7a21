//! [`Flood`]: what peers that are not logged in may cost. The first few records of a kind, address and minute are written as
//! they are, the rest is counted; both are capped over all addresses, so the Internet cannot fill the disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::draft::Draft;
use super::gate::{Counts, encode_counts};
use super::json;
use super::kind::Kind;
use crate::networks::host_network;

/// The time after which counts are written and begin anew.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Records of one kind and one address in a window.
const EXACT_MAX: u32 = 10;
/// Records of all addresses in a window.
const EXACT_TOTAL_MAX: u32 = 600;
/// Bytes of all records in a window: a stranger chooses how long the names of his headers are.
const BYTES_MAX: usize = 256 * 1_024;
/// Addresses that are told apart in a window.
const ADDRESSES_MAX: usize = 512;

#[derive(Debug, Default)]
struct Seen {
    exact: HashMap<Kind, u32>,
    counted: Counts,
}

/// What has happened in the current window.
#[derive(Debug, Default)]
pub(super) struct Flood {
    window_end: Option<Instant>,
    exact_total: u32,
    bytes: usize,
    sources: HashMap<IpAddr, Seen>,
    /// Counts of addresses for which there was no room.
    others: Counts,
    has_counted: bool,
}

/// What is to be done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It was counted. Where it is the first of the window, somebody has to come back at that time.
    Count { come_back: Option<Instant> },
    /// It is to be written.
    Write,
}

impl Flood {
    /// Decides on a record of that kind.
    pub(super) fn admit(&mut self, peer: IpAddr, kind: Kind, now: Instant) -> Admission {
        let window_end = *self.window_end.get_or_insert(now + WINDOW);
        let source = host_network(peer);
        let has_room = self.sources.len() < ADDRESSES_MAX || self.sources.contains_key(&source);
        let counted = if has_room {
            let seen = self.sources.entry(source).or_default();
            let exact = seen.exact.entry(kind).or_default();
            if *exact < EXACT_MAX && self.exact_total < EXACT_TOTAL_MAX && self.bytes < BYTES_MAX {
                *exact += 1;
                self.exact_total += 1;
                return Admission::Write;
            }
            &mut seen.counted
        } else {
            &mut self.others
        };
        *counted.entry(kind).or_default() += 1;
        let is_first = !std::mem::replace(&mut self.has_counted, true);
        Admission::Count { come_back: is_first.then_some(window_end) }
    }

    /// A record that was admitted is so long.
    pub(super) fn charge(&mut self, len: usize) {
        self.bytes = self.bytes.saturating_add(len);
    }

    /// The counts of a window that is over, as records.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Draft<'static>> {
        if self.window_end.is_some_and(|end| end <= now) { self.take() } else { Vec::new() }
    }

    /// The counts so far, as records.
    pub(super) fn take(&mut self) -> Vec<Draft<'static>> {
        let window = std::mem::take(self);
        let sources = window.sources.into_iter().map(|(source, seen)| (Some(source), seen.counted));
        let all = sources.chain([(None, window.others)]).filter(|(_, counts)| !counts.is_empty());
        all.map(|(source, counts)| count_record(source, &counts)).collect()
    }
}

fn count_record(source: Option<IpAddr>, counts: &Counts) -> Draft<'static> {
    Draft::new(Kind::Refuse).with(|out| {
        match source {
            Some(IpAddr::V6(network)) => json::plain(out, "peer", format_args!("{network}/64")),
            Some(v4 @ IpAddr::V4(_)) => json::plain(out, "peer", v4),
            None => {}
        }
        // Who only connected was refused nothing; a login that was right is never counted.
        if counts.keys().any(|kind| matches!(kind, Kind::Refuse | Kind::Login | Kind::Action)) {
            json::plain(out, "decision", "deny");
        }
        json::plain(out, "reason", "limits.unauthenticated");
        json::number(out, "count", counts.values().sum::<u64>());
        encode_counts(out, counts);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_records_together_have_so_many_bytes() {
        let mut flood = Flood::default();
        let now = Instant::now();
        let mut exact = 0;
        for number in 0..1_000_u32 {
            if flood.admit(IpAddr::V4(number.into()), Kind::Action, now) == Admission::Write {
                flood.charge(16 * 1_024);
                exact += 1;
            }
        }
        assert_eq!(exact, 16);
        assert_eq!(flood.take_expired(now + WINDOW).len(), ADDRESSES_MAX - 16 + 1);
        assert_eq!(flood.admit(ip("192.0.2.1"), Kind::Action, now + WINDOW), Admission::Write, "a new window");
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_first_ten_of_an_address_are_exact() {
        let mut flood = Flood::default();
        let now = Instant::now();
        let exact = |flood: &mut Flood, peer| {
            (0..50).filter(|_| flood.admit(ip(peer), Kind::Connect, now) == Admission::Write).count()
        };
        assert_eq!((exact(&mut flood, "192.0.2.1"), exact(&mut flood, "::ffff:192.0.2.1")), (10, 0));
        assert_eq!((exact(&mut flood, "2001:db8::1"), exact(&mut flood, "2001:db8::ffff:2")), (10, 0));
        assert_eq!(exact(&mut flood, "2001:db8:0:1::1"), 10);
        assert!(flood.take_expired(now).is_empty());
        let records = flood.take_expired(now + WINDOW);
        assert_eq!(records.len(), 3);
        let mut text = Vec::new();
        records.iter().for_each(|draft| draft.encode(&mut text, &super::super::redact::Redactor::new(&[])));
        let text = String::from_utf8(text).expect("UTF-8");
        assert!(
            text.contains(
                r#""peer":"2001:db8::/64","reason":"limits.unauthenticated","count":90,"counts":{"connect":90}"#
            ),
            "{text}"
        );
        assert_eq!(exact(&mut flood, "192.0.2.1"), 10);
    }

    #[test]
    fn counts_of_refusals_are_found_among_what_was_denied() {
        let count = |kinds: &[Kind]| {
            let mut flood = Flood::default();
            for kind in kinds {
                for _ in 0..50 {
                    let _ = flood.admit(ip("192.0.2.1"), *kind, Instant::now());
                }
            }
            let mut text = Vec::new();
            flood.take().iter().for_each(|draft| draft.encode(&mut text, &super::super::redact::Redactor::new(&[])));
            String::from_utf8(text).expect("UTF-8")
        };
        assert!(count(&[Kind::Refuse]).contains(r#""decision":"deny","reason":"limits.unauthenticated","count":40"#));
        assert!(count(&[Kind::Connect, Kind::Login]).contains(r#""decision":"deny""#));
        assert!(!count(&[Kind::Connect, Kind::End]).contains("decision"));
    }

    #[test]
    fn all_addresses_together_are_capped() {
        let mut flood = Flood::default();
        let now = Instant::now();
        let mut exact = 0;
        let mut reminders = 0;
        for number in 0..100_000_u32 {
            match flood.admit(IpAddr::V4((number % 5_000).into()), Kind::Refuse, now) {
                Admission::Write => exact += 1,
                Admission::Count { come_back } => reminders += usize::from(come_back.is_some()),
            }
        }
        assert_eq!((exact, reminders, flood.sources.len()), (600, 1, ADDRESSES_MAX));
        assert!(flood.take().len() <= ADDRESSES_MAX + 1);
    }
}
