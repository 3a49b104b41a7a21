//! [`Scope`]: which calls and queues a view is about (`events.where`). A packet is in scope when one of the headers that
//! `where` names has a value that matches, or when it is about a call of which such a packet was seen: the other legs of a
//! call have the trunk's context and channel, but the same `Linkedid`.
//!
//! Fails closed: a packet without any such header is out of scope.

use std::collections::{HashSet, VecDeque};

use super::pattern::{Attributes, Dialect, Pattern, Side};
use super::spec::{Problem, Spanned};
use crate::ami::{Header, Message};

/// How many calls are followed; the oldest is forgotten. An Asterisk has fewer at once, and they end.
const FOLLOWED_MAX: usize = 4_096;
/// Asterisk keeps this much of a channel's unique id (`AST_MAX_PUBLIC_UNIQUEID`).
const LINKEDID_LEN_MAX: usize = 149;
/// Clients wait for it, and it says nothing of anybody.
const FOR_ALL: &str = "FullyBooted";

/// The `where` of one role: headers and what one of them has to be.
#[derive(Clone, Debug)]
pub(super) struct Scope(Vec<(Box<str>, Vec<Pattern>)>);

/// The calls that a session has seen in scope.
#[derive(Debug, Default)]
pub struct Followed {
    known: HashSet<Box<[u8]>>,
    oldest_first: VecDeque<Box<[u8]>>,
}

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
        let is_about = |name: &str| ends_with(header.name, name);
        let mut about = self.0.iter().filter(|(name, _)| is_about(name));
        about.any(|(_, patterns)| patterns.iter().any(|pattern| pattern.matches(header.value)))
    }
}

/// Whether a packet is in every scope; then its call is followed.
pub(super) fn holds(scopes: &[Scope], message: &Message, followed: &mut Followed) -> bool {
    if scopes.is_empty() || message.first().is_some_and(|header| header.value == FOR_ALL.as_bytes()) {
        return true;
    }
    let is_known = linkedids(message).any(|id| followed.known.contains(id));
    let is_in_all = || scopes.iter().all(|scope| message.headers().any(|header| scope.matches(header)));
    if !is_known && !is_in_all() {
        return false;
    }
    // A call of two that have become one has the other's id from now on.
    for id in linkedids(message) {
        followed.follow(id);
    }
    true
}

fn linkedids(message: &Message) -> impl Iterator<Item = &[u8]> {
    let of_header = message.headers().filter(|header| ends_with(header.name, "Linkedid"));
    of_header.map(|header| header.value).filter(|id| !id.is_empty() && id.len() <= LINKEDID_LEN_MAX)
}

fn ends_with(name: &str, end: &str) -> bool {
    let start = name.len().checked_sub(end.len());
    start.and_then(|start| name.get(start..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

impl Followed {
    fn follow(&mut self, id: &[u8]) {
        if self.known.contains(id) {
            return;
        }
        if self.oldest_first.len() >= FOLLOWED_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(id.into());
        self.oldest_first.push_back(id.into());
    }
}

#[cfg(test)]
#[path = "scope_tests.rs"]
mod tests;
