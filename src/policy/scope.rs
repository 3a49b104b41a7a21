//! [`Scope`]: which calls and queues a view is about (`events.where`). A packet is in scope when one of the headers that
//! `where` names has a value that matches, or when it is about a call of which such a packet was seen: the other legs of a
//! call have the trunk's context and channel, but the same `Linkedid`.
//!
//! Only what Asterisk itself says counts. A client writes the headers of a `UserEvent`, all behind its name, and whoever
//! makes Asterisk send a line end inside of a value has a header more: one that is there twice says nothing.
//! Fails closed: a packet without any such header is out of scope.

use super::followed::Followed;
use super::pattern::{Attributes, Dialect, Pattern, Side};
use super::spec::{Problem, Spanned};
use crate::ami::{Header, Message};
use crate::catalogue;

/// Its headers are Asterisk's up to the one of this name.
const USER_EVENT: &str = "UserEvent";
/// It tells of calls that are long over, too.
const CEL: &str = "CEL";
/// Clients wait for it, and it says nothing of anybody.
const FOR_ALL: &str = "FullyBooted";

/// The `where` of one role: headers and what one of them has to be.
#[derive(Clone, Debug)]
pub(super) struct Scope(Vec<(Box<str>, Vec<Pattern>)>);

impl Scope {
    /// Reads a role's `where`; none where it has none.
    pub(super) fn compile(
        spec: &[(Spanned, Vec<Spanned>)],
        attributes: Attributes<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let mut headers = Vec::with_capacity(spec.len());
        for (name, texts) in spec {
            let is_name = !name.text.is_empty() && name.text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !is_name {
                let help = Some("such as Context, Channel, Queue, AccountCode".to_owned());
                let message = format!("`{}` is not the name of a header", name.text.escape_debug());
                problems.push(Problem { at: name.at, message, help });
            }
            if texts.is_empty() {
                problems.push(Problem { at: name.at, message: "an empty list matches nothing".to_owned(), help: None });
            }
            let mut patterns = Vec::with_capacity(texts.len());
            for text in texts {
                match Pattern::parse(&text.text, Dialect::Text, Side::Allow, attributes) {
                    Ok(pattern) => patterns.push(pattern),
                    Err(error) => problems.push(Problem { at: text.at, message: error.to_string(), help: None }),
                }
            }
            headers.push((name.text.as_str().into(), patterns));
        }
        (!headers.is_empty()).then_some(Self(headers))
    }

    /// `DestChannel` and `TransfererChannel` are channels too.
    fn matches(&self, header: Header<'_>) -> bool {
        let is_about = |name: &str| strip_end(header.name(), name).is_some();
        let mut about = self.0.iter().filter(|(name, _)| is_about(name));
        about.any(|(_, patterns)| patterns.iter().any(|pattern| pattern.matches(header.value)))
    }

    /// Of the headers that may repeat, which hold variables, any counts.
    fn holds_one_of(&self, own: &[Header<'_>]) -> bool {
        let is_clear = |header: Header<'_>| strip_end(header.name(), "Variable").is_some() || is_once(own, header);
        own.iter().any(|header| self.matches(*header) && is_clear(*header))
    }
}

/// Whether an event is in every scope. `is_visible`: its class and name may be seen; then its call is followed. What
/// becomes of calls is learned from every event.
pub(super) fn holds(scopes: &[Scope], message: &Message, is_visible: bool, followed: &mut Followed) -> bool {
    if scopes.is_empty() {
        // A later policy may have scopes, and what happens until then is not looked at.
        followed.forget();
        return true;
    }
    let name = message.first().map_or(&b""[..], |header| header.value);
    if name == FOR_ALL.as_bytes() {
        return true;
    }
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    let own: Vec<Header<'_>> =
        message.headers().take_while(|header| !(is(USER_EVENT) && header.is(USER_EVENT))).collect();
    // A module's own event may hold anything: it is judged, and nothing is learned from it.
    let is_known_event = std::str::from_utf8(name).is_ok_and(|name| catalogue::event(name).is_some());
    if is_known_event && !is(CEL) {
        channels(&own).for_each(|(unique, linked)| followed.see(unique, linked, is("Newchannel")));
    }
    let is_known = linked_ids(&own).any(|id| followed.follows(id));
    let is_in_scope = is_known || scopes.iter().all(|scope| scope.holds_one_of(&own));
    if is_in_scope && is_visible && is_known_event {
        // A call of two that have become one has the other's id from now on.
        linked_ids(&own).for_each(|id| followed.follow(id));
    }
    if is("Hangup") {
        channels(&own).for_each(|(unique, _)| followed.end(unique));
    }
    is_in_scope
}

/// The unique id and the linked id of each channel that an event is about.
fn channels<'m>(own: &'m [Header<'m>]) -> impl Iterator<Item = (&'m [u8], &'m [u8])> {
    let unique_ids = own.iter().filter_map(|header| Some((strip_end(header.name(), "Uniqueid")?, *header)));
    unique_ids.filter_map(|(of, unique)| {
        let is_of = |header: &Header<'_>| {
            strip_end(header.name(), "Linkedid").is_some_and(|name| name.eq_ignore_ascii_case(of))
        };
        let linked = own.iter().find(|header| is_of(header))?;
        (is_once(own, unique) && is_once(own, *linked)).then_some((unique.value, linked.value))
    })
}

fn linked_ids<'m>(own: &'m [Header<'m>]) -> impl Iterator<Item = &'m [u8]> {
    let of_header =
        own.iter().filter(|header| strip_end(header.name(), "Linkedid").is_some() && is_once(own, **header));
    of_header.map(|header| header.value)
}

fn is_once(own: &[Header<'_>], header: Header<'_>) -> bool {
    own.iter().filter(|other| other.is(header.name())).count() == 1
}

fn strip_end<'n>(name: &'n str, end: &str) -> Option<&'n str> {
    let (start, tail) = name.split_at_checked(name.len().checked_sub(end.len())?)?;
    tail.eq_ignore_ascii_case(end).then_some(start)
}

#[cfg(test)]
#[path = "scope_tests.rs"]
mod tests;
