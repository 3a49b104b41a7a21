//! [`Query`] and [`Filter`]: which records are looked for, and how a line is told apart before it is parsed.

use std::net::SocketAddr;

use memchr::memmem::{self, Finder};

use super::gist::{latin1, texts};
use super::number::{Number, strip_into, without_channel_number};
use crate::audit::{LoggedRecord, LoggedValue, RawRecord};
use crate::networks::{Network, NetworkAcl};

/// What a record must be; all that is said must hold.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The identity of the record.
    pub identity: Option<String>,
    /// The name of its action or event, or the word of its answer, without case.
    pub action: Option<String>,
    /// Its kind.
    pub kind: Option<String>,
    /// The decision on it.
    pub decision: Option<String>,
    /// How its reason begins.
    pub reason: Option<String>,
    /// Not before: a time as the log writes it.
    pub since: Option<String>,
    /// Not after: a time as the log writes it.
    pub until: Option<String>,
    /// A number in one of its headers.
    pub number: Option<Number>,
    /// A channel in one of its headers: the whole name, or what stands before the `-0000002a` that Asterisk gives it.
    pub channel: Option<String>,
    /// The `Uniqueid`, `Linkedid` or `ChannelId` of a channel in one of its headers.
    pub uniqueid: Option<String>,
    /// Its session.
    pub session: Option<String>,
    /// The address of its client.
    pub peer: Option<Network>,
    /// A text anywhere in it, without case.
    pub text: Option<String>,
}

/// A query made ready.
#[derive(Debug)]
pub struct Filter {
    query: Query,
    peers: Option<NetworkAcl>,
    /// The text and the channel that are looked for, in lower case.
    text: Option<String>,
    channel: Option<String>,
    /// What stands in every line that can match, as it is.
    exact: Vec<Finder<'static>>,
    /// The same, but in the line in lower case.
    folded: Vec<Finder<'static>>,
    /// The same, but in the line without what numbers ignore.
    stripped: Option<Finder<'static>>,
    /// The seq of the session's connect record, which does not name the session.
    connect: Option<u64>,
    buffer: Vec<u8>,
}

impl Filter {
    /// Makes a query ready.
    #[must_use]
    pub fn new(query: Query) -> Self {
        let mut exact: Vec<String> = Vec::new();
        let mut folded: Vec<String> = Vec::new();
        for (key, value) in [("identity", &query.identity), ("decision", &query.decision)] {
            exact.extend(value.iter().filter(|value| is_plain(value)).map(|value| format!(",\"{key}\":\"{value}\"")));
        }
        exact.extend(query.reason.iter().filter(|reason| is_plain(reason)).map(|r| format!(",\"reason\":\"{r}")));
        exact.extend(query.uniqueid.iter().filter(|id| is_plain(id)).map(|id| format!(",\"{id}\"")));
        folded.extend(query.action.iter().filter(|name| is_plain(name)).map(|name| format!(":\"{name}\"")));
        folded.extend(query.channel.iter().chain(&query.text).filter(|text| is_plain(text)).cloned());
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
        let number = query.number.as_ref().filter(|number| std::str::from_utf8(number.digits()).is_ok_and(is_plain));
        Self {
            peers: query.peer.map(|network| NetworkAcl::new(Some(vec![network]), Vec::new())),
            text: lower(&query.text),
            channel: query.channel.as_ref().map(|channel| channel.to_ascii_lowercase()),
            exact: exact.iter().map(|text| Finder::new(text).into_owned()).collect(),
            folded: folded.iter().map(|text| Finder::new(&text.to_ascii_lowercase()).into_owned()).collect(),
            stripped: number.map(|number| Finder::new(&number.digits().to_ascii_lowercase()).into_owned()),
            connect: query.session.as_deref().and_then(connect_seq),
            buffer: Vec::new(),
            query,
        }
    }

    /// The query.
    #[must_use]
    pub const fn query(&self) -> &Query {
        &self.query
    }

    /// Whether the record may match, told from its line alone. False is certain.
    pub fn may_match(&mut self, record: &RawRecord<'_>) -> bool {
        let (query, line) = (&self.query, record.text);
        if query.since.as_ref().is_some_and(|since| record.time < since.as_bytes())
            || query.until.as_ref().is_some_and(|until| record.time > until.as_bytes())
            || query.kind.as_ref().is_some_and(|kind| record.kind != kind.as_bytes())
            || !self.exact.iter().all(|finder| finder.find(line).is_some())
        {
            return false;
        }
        if let Some(session) = &query.session
            && self.connect != Some(record.seq)
            && member(line, "session") != Some(session.as_bytes())
        {
            return false;
        }
        if self.peers.is_some() && !member(line, "peer").is_some_and(|peer| self.is_peer(peer)) {
            return false;
        }
        if !self.folded.is_empty() {
            self.buffer.clear();
            self.buffer.extend_from_slice(line);
            self.buffer.make_ascii_lowercase();
            if !self.folded.iter().all(|finder| finder.find(&self.buffer).is_some()) {
                return false;
            }
        }
        let Some(number) = &self.stripped else { return true };
        self.buffer.clear();
        strip_into(&mut self.buffer, line);
        self.buffer.make_ascii_lowercase();
        number.find(&self.buffer).is_some()
    }

    /// Whether a record that [`Filter::may_match`] let through matches.
    #[must_use]
    pub fn matches(&self, record: &LoggedRecord) -> bool {
        let query = &self.query;
        let is = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
        let of_name = |wanted: &String| {
            let is_outcome = record.kind == "response" && wanted.eq_ignore_ascii_case(&record.outcome);
            is_outcome || wanted.eq_ignore_ascii_case(&record.name)
        };
        is(&query.identity, &record.identity)
            && is(&query.kind, &record.kind)
            && is(&query.decision, &record.decision)
            && query.reason.as_ref().is_none_or(|reason| record.reason.starts_with(reason))
            && query.action.as_ref().is_none_or(of_name)
            && (is(&query.session, &record.session) || self.connect == Some(record.seq) && record.kind == "connect")
            && (self.peers.is_none() || self.is_peer(record.peer.as_bytes()))
            && query.number.as_ref().is_none_or(|number| any_header(record, |name, value| number.is_in(name, value)))
            && self
                .channel
                .as_ref()
                .is_none_or(|channel| any_header(record, |name, value| is_channel(channel, name, value)))
            && query
                .uniqueid
                .as_ref()
                .is_none_or(|id| any_header(record, |name, value| is_id(name) && id.as_bytes() == value))
            && self.text.as_ref().is_none_or(|text| has_text(record, text))
    }

    fn is_peer(&self, peer: &[u8]) -> bool {
        let address = std::str::from_utf8(peer).ok().and_then(|peer| peer.parse::<SocketAddr>().ok());
        address.is_some_and(|address| self.peers.as_ref().is_none_or(|peers| peers.allows(address.ip())))
    }
}

/// The log writes these characters as they are, wherever they stand.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, 0x20..=0x7E) && byte != b'"' && byte != b'\\')
}

/// The text of a member of the record itself, if its value needs no escape.
pub(super) fn member<'l>(line: &'l [u8], key: &str) -> Option<&'l [u8]> {
    // Within a value each quote has a backslash before it, and a pair of a header has no colon behind its name.
    let start = memmem::find(line, format!(",\"{key}\":\"").as_bytes())?;
    let value = line.get(start + key.len() + ",\"\":\"".len()..)?;
    value.split(|byte| *byte == b'"').next()
}

/// The seq in the name of a session.
pub(super) fn connect_seq(session: &str) -> Option<u64> {
    session.rsplit_once('-')?.1.parse().ok()
}

/// Whether a header of that name holds the id of a channel.
pub(super) fn is_id(name: &str) -> bool {
    let ends_with = |end: &&str| {
        let behind = name.len().checked_sub(end.len()).and_then(|at| name.get(at..));
        behind.is_some_and(|behind| behind.eq_ignore_ascii_case(end))
    };
    ["uniqueid", "linkedid", "channelid"].iter().any(ends_with)
}

fn is_channel(wanted: &str, name: &str, value: &[u8]) -> bool {
    let is = |value: &[u8]| value.eq_ignore_ascii_case(wanted.as_bytes());
    let is_named = || name.to_ascii_lowercase().contains("channel");
    // Of a Local channel there are two halves: `;1` and `;2`.
    let whole = value.strip_suffix(b";1").or_else(|| value.strip_suffix(b";2")).unwrap_or(value);
    (is(value) || is(whole) || without_channel_number(whole).is_some_and(is)) && is_named()
}

fn any_header(record: &LoggedRecord, is_wanted: impl Fn(&str, &[u8]) -> bool) -> bool {
    record.headers.iter().any(|header| match &header.value {
        LoggedValue::Bytes(value) => is_wanted(&header.name, value),
        LoggedValue::Hidden | LoggedValue::Length(_) | LoggedValue::Pseudonym { .. } => false,
    })
}

/// `wanted` is in lower case.
fn has_text(record: &LoggedRecord, wanted: &str) -> bool {
    let is_in = |text: &str| text.to_lowercase().contains(wanted);
    let in_header = |header: &crate::audit::LoggedHeader| {
        is_in(&header.name)
            || match &header.value {
                LoggedValue::Bytes(value) => is_in(&latin1(value)),
                // `amiwall audit pseudonym` says what a number became.
                LoggedValue::Pseudonym { token, .. } => is_in(token),
                LoggedValue::Hidden | LoggedValue::Length(_) => false,
            }
    };
    texts(record).any(|(_, text)| is_in(text)) || record.headers.iter().any(in_header)
}
