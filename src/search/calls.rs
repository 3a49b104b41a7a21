//! [`Calls`]: who placed a call, what came of it, and how it ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::filter::is_id;
use super::gist::header;
use super::index::{Index, IndexError, Key};
use super::number::{Number, is_caller_id};
use crate::audit::{LoggedRecord, LoggedValue, Place, Places};

/// Actions that make Asterisk call a number.
const CALLS: [&str; 5] = ["originate", "redirect", "blindtransfer", "atxfer", "dahdidialoffhook"];
/// Events that tell what became of a call.
const SIGNS: [&str; 3] = ["OriginateResponse", "Newchannel", "Hangup"];
/// Ids of channels that are followed for one call. A conference may join very many.
const CHANNELS_MAX: usize = 4_096;

/// Whether the action of that name places calls.
pub(super) fn is_call(action: &str) -> bool {
    CALLS.iter().any(|call| call.eq_ignore_ascii_case(action))
}

/// Whether the event of that name tells what became of a call.
pub(super) fn is_sign(event: &str) -> bool {
    SIGNS.contains(&event)
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// A number that was called, or the `Uniqueid` or `Linkedid` of a channel.
    pub text: String,
    /// Placed not before, as the log writes times.
    pub since: Option<String>,
    /// Placed not after.
    pub until: Option<String>,
}

impl Subject {
    fn number(&self) -> Option<Number> {
        self.text.parse().ok()
    }

    /// The log's times all have microseconds; jiff's have what they need.
    fn is_in_time(&self, record: &LoggedRecord) -> bool {
        let is = |bound: &Option<String>, holds: fn(jiff::Timestamp, jiff::Timestamp) -> bool| {
            let bound = bound.as_ref().and_then(|bound| bound.parse().ok());
            bound.is_none_or(|bound| holds(record.time, bound))
        };
        is(&self.since, |time, since| time >= since) && is(&self.until, |time, until| time <= until)
    }
}

/// A call, with the records that tell of it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The action that placed it, with the decision on it.
    pub action: LoggedRecord,
    /// Asterisk's answer, or amiwall's.
    pub answer: Option<LoggedRecord>,
    /// Whether somebody picked up: the `OriginateResponse`.
    pub result: Option<LoggedRecord>,
    /// The channels' ids, in the order in which they were found.
    pub channels: Vec<String>,
    /// What ties the channels of one call together.
    pub linked: BTreeSet<String>,
    /// When its channels were made.
    pub made: Vec<LoggedRecord>,
    /// When its channels ended, and why.
    pub ended: Vec<LoggedRecord>,
}

impl Call {
    /// All its records, in the order of the log.
    #[must_use]
    pub fn records(&self) -> Vec<&LoggedRecord> {
        let answers = self.answer.iter().chain(&self.result);
        let mut records: Vec<_> =
            [&self.action].into_iter().chain(answers).chain(&self.made).chain(&self.ended).collect();
        records.sort_by_key(|record| record.seq);
        records
    }
}

/// Looks for calls in a log.
#[derive(Debug)]
pub struct Calls<'i> {
    index: &'i Index,
    places: Places,
    /// Records that were read.
    read: BTreeMap<u64, LoggedRecord>,
}

impl<'i> Calls<'i> {
    /// Looks into a log by its index.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn new(directory: &Path, index: &'i Index) -> Result<Self, IndexError> {
        let failed = |error| IndexError::Io { path: directory.to_owned(), error };
        Ok(Self { index, places: Places::open(directory).map_err(failed)?, read: BTreeMap::new() })
    }

    /// The calls to that number, or that the channel of that id belongs to, in the order of the log.
    ///
    /// # Errors
    /// If the index does not fit the log, or one of them cannot be read.
    pub fn find(&mut self, subject: &Subject) -> Result<Vec<Call>, IndexError> {
        let mut actions: BTreeMap<u64, LoggedRecord> = BTreeMap::new();
        if let Some(number) = subject.number() {
            for record in self.records(&Key::Number(number.digits()))? {
                if is_placed_to(&record, &number) {
                    actions.insert(record.seq, record);
                }
            }
        }
        // A number may be an id too: a client can give any `ChannelId`.
        for record in self.family(std::slice::from_ref(&subject.text), None)? {
            for record in if record.id.is_empty() { vec![record] } else { self.records(&Key::Action(&record.id))? } {
                if record.kind == "action" && is_call(&record.name) {
                    actions.insert(record.seq, record);
                }
            }
        }
        actions.retain(|_, record| subject.is_in_time(record));
        keep_last_decisions(&mut actions);
        actions.into_values().map(|action| self.call(action)).collect()
    }

    /// Everything about the call that an action placed.
    fn call(&mut self, action: LoggedRecord) -> Result<Call, IndexError> {
        let mut call = Call {
            answer: None,
            result: None,
            channels: ids(&action),
            linked: BTreeSet::new(),
            made: Vec::new(),
            ended: Vec::new(),
            action,
        };
        if !call.action.id.is_empty() {
            for record in self.records(&Key::Action(&call.action.id))? {
                match (record.kind.as_str(), record.name.as_str()) {
                    ("response", _) => call.answer = call.answer.or(Some(record)),
                    ("event", "OriginateResponse") => {
                        // `<null>`: no channel was made.
                        let id = header(&record, "Uniqueid").filter(|id| !id.starts_with('<')).map(String::from);
                        call.channels.extend(id.filter(|id| !call.channels.contains(id)));
                        call.result = call.result.or(Some(record));
                    }
                    _ => {}
                }
            }
        }
        // The record of every session that saw the event says the same.
        let mut seen = BTreeSet::new();
        for record in self.family(&call.channels, Some(&call.action))? {
            let Some(id) = header(&record, "Uniqueid").map(String::from) else { continue };
            if !seen.insert((record.name.clone(), id.clone())) || record.seq < call.action.seq {
                continue;
            }
            call.linked.extend(header(&record, "Linkedid").map(String::from));
            if !call.channels.contains(&id) && record.name != "OriginateResponse" {
                call.channels.push(id);
            }
            match record.name.as_str() {
                "Newchannel" => call.made.push(record),
                "Hangup" => call.ended.push(record),
                _ => {}
            }
        }
        Ok(call)
    }

    /// The events and actions of these channels, and of all that are tied to them. Ids are unique at one Asterisk only:
    /// that of `action`, if one is given.
    fn family(&mut self, channels: &[String], action: Option<&LoggedRecord>) -> Result<Vec<LoggedRecord>, IndexError> {
        let mut waiting: Vec<String> = channels.to_vec();
        let mut known: BTreeSet<String> = channels.iter().cloned().collect();
        let mut found = BTreeMap::new();
        while let Some(id) = waiting.pop() {
            for record in self.records(&Key::Channel(id.as_bytes()))? {
                let is_here = action.is_none_or(|action| action.upstream == record.upstream);
                let own = ids(&record);
                if !is_here || !own.iter().any(|own| own.eq_ignore_ascii_case(&id)) {
                    continue;
                }
                let is_other_call = action.is_some() && record.kind == "action";
                if is_other_call || found.contains_key(&record.seq) {
                    continue;
                }
                for own in own {
                    if known.len() < CHANNELS_MAX && known.insert(own.clone()) {
                        waiting.push(own);
                    }
                }
                found.insert(record.seq, record);
            }
        }
        Ok(found.into_values().collect())
    }

    /// The records of a key, read from the log.
    fn records(&mut self, key: &Key<'_>) -> Result<Vec<LoggedRecord>, IndexError> {
        self.index.places(key)?.into_iter().map(|(seq, place)| self.record(seq, place)).collect()
    }

    fn record(&mut self, seq: u64, place: Place) -> Result<LoggedRecord, IndexError> {
        if let Some(record) = self.read.get(&seq) {
            return Ok(record.clone());
        }
        let wrong = || IndexError::Wrong(format!("record {seq} is not where it says"));
        let line = self.places.record(seq, place).map_err(|error| {
            IndexError::Wrong(format!("the segment that begins with record {} cannot be read: {error}", place.segment))
        })?;
        let record: LoggedRecord = serde_json::from_slice(&line.ok_or_else(wrong)?).map_err(|_| wrong())?;
        self.read.insert(seq, record.clone());
        Ok(record)
    }
}

fn is_placed_to(record: &LoggedRecord, number: &Number) -> bool {
    let dials = record.headers.iter().any(|header| match &header.value {
        LoggedValue::Bytes(value) => !is_caller_id(&header.name) && number.is_in(&header.name, value),
        LoggedValue::Hidden | LoggedValue::Length(_) | LoggedValue::Pseudonym { .. } => false,
    });
    dials && record.kind == "action" && is_call(&record.name)
}

/// A packet that was judged again, because the policy changed meanwhile, has two records: the last one counts.
fn keep_last_decisions(actions: &mut BTreeMap<u64, LoggedRecord>) {
    let last: BTreeMap<String, u64> = actions.values().map(|record| (record.id.clone(), record.seq)).collect();
    actions.retain(|seq, record| record.id.is_empty() || last.get(&record.id) == Some(seq));
}

/// The ids of channels in a record.
fn ids(record: &LoggedRecord) -> Vec<String> {
    let of_channel = record.headers.iter().filter(|header| is_id(&header.name));
    let texts = of_channel.map(|header| super::gist::text_of(&header.value).into_owned());
    texts.filter(|id| !id.is_empty() && !id.starts_with('<')).collect()
}
