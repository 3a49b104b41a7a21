//! A record in a few words.

use std::borrow::Cow;

use crate::audit::{LoggedRecord, LoggedValue, REDACTED};

/// Headers that say nothing beside the record's other members.
const KNOWN: [&str; 5] = ["action", "actionid", "event", "privilege", "response"];

/// Bytes as text: UTF-8, or else each byte as the character of its number.
pub(super) fn latin1(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

/// What the log has of a value, as text.
#[must_use]
pub fn text_of(value: &LoggedValue) -> Cow<'_, str> {
    match value {
        LoggedValue::Bytes(bytes) => latin1(bytes),
        LoggedValue::Hidden => Cow::Borrowed(REDACTED),
        LoggedValue::Pseudonym { token, key } => Cow::Owned(format!("(pseudonym {token}, key {key})")),
        LoggedValue::Length(length) => Cow::Owned(format!("({length} bytes)")),
    }
}

/// The value of the first header of that name.
pub(super) fn header<'r>(record: &'r LoggedRecord, name: &str) -> Option<Cow<'r, str>> {
    let found = record.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    found.map(|header| text_of(&header.value)).filter(|value| !value.is_empty())
}

/// The members of a record that are texts and belong to it, not to the chain.
pub(super) fn texts(record: &LoggedRecord) -> impl Iterator<Item = (&'static str, &str)> {
    [
        ("kind", &record.kind),
        ("session", &record.session),
        ("id", &record.id),
        ("identity", &record.identity),
        ("peer", &record.peer),
        ("proxy", &record.proxy),
        ("listener", &record.listener),
        ("upstream", &record.upstream),
        ("name", &record.name),
        ("decision", &record.decision),
        ("reason", &record.reason),
        ("rule", &record.rule),
        ("limit", &record.limit),
        ("outcome", &record.outcome),
        ("origin", &record.origin),
        ("version", &record.version),
        ("file", &record.file),
        ("trigger", &record.trigger),
        ("problem", &record.problem),
        ("method", &record.method),
        ("first_call", &record.first_call),
        ("since", &record.since),
        ("until", &record.until),
        ("cause", &record.cause),
        ("change", &record.change),
        ("action", &record.action),
        ("user", &record.user),
    ]
    .into_iter()
    .map(|(key, value)| (key, value.as_str()))
    .chain(record.claimed.as_deref().map(|claimed| ("claimed", claimed)))
    .filter(|(_, value)| !value.is_empty())
}

/// What the record is about: the name of its action or event, the word of its answer, else its kind.
#[must_use]
pub fn what(record: &LoggedRecord) -> &str {
    let named = match record.kind.as_str() {
        "response" => &record.outcome,
        "action" | "event" => &record.name,
        _ => &record.kind,
    };
    if named.is_empty() { &record.kind } else { named }
}

/// The rest of a record in one line: its headers, or the members that are its own.
#[must_use]
pub fn gist(record: &LoggedRecord) -> String {
    let headers = record.headers.iter().filter(|header| !KNOWN.contains(&header.name.to_ascii_lowercase().as_str()));
    let headers = headers.map(|header| (header.name.as_str(), text_of(&header.value)));
    let headers: Vec<String> =
        headers.filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={value}")).collect();
    if !record.headers.is_empty() {
        return headers.join(" ");
    }
    let shown = ["kind", "session", "id", "identity", "peer", "listener", "upstream", "decision", "reason", "rule"];
    let own = texts(record).filter(|(key, _)| !shown.contains(key)).map(|(key, value)| format!("{key}={value}"));
    let numbers = [
        ("count", record.count),
        ("bytes", record.bytes),
        ("through", record.through),
        ("seconds", record.seconds),
        ("forwarded", record.forwarded),
        ("refused", record.refused),
        ("sent", record.sent),
        ("unanswered", record.unanswered),
        ("identities", record.identities),
        ("uid", record.uid),
    ];
    let numbers = numbers.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?)));
    own.chain(numbers).collect::<Vec<_>>().join(" ")
}
