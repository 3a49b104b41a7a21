//! [`Correlation`]: which answer belongs to which action of one session. Pure; fed by the session in time order.
//!
//! Answers are paired by amiwall's own `ActionID`, never by order, and 0, 2 or 3 answers to one action are tolerated.
//! Asterisk runs a session's packets one after another, so the first answer to an action tells that all actions before it
//! are over. Answers that amiwall gives itself keep their place between Asterisk's: clients that send no `ActionID` count.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::identifiers::{ActionIds, IdPrefix};
use crate::ami::{ListFrame, Message, Reply, ReplyKind};

/// How many actions that are over are remembered, for late answers and events.
const RECENT_MAX: usize = 256;

/// An action that was sent to Asterisk.
#[derive(Debug)]
pub struct Sent {
    /// The `id` of its audit record.
    pub record_id: String,
    /// The client's own `ActionID`.
    pub client_id: Option<Vec<u8>>,
    /// The action's name in lower case.
    pub key: String,
    /// Whether Asterisk reads no further packet of the session until it is over (a synchronous Originate).
    pub is_blocking: bool,
    /// Whether Asterisk answers it without a `Response` (IAXnetstats).
    pub is_unanswered: bool,
    /// Whether amiwall sent it on its own account; its answer is for nobody.
    pub is_own: bool,
    /// When it was read from the client.
    pub read_at: Instant,
    /// When it was sent.
    pub at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Listing,
    Over,
}

#[derive(Debug)]
struct Entry {
    sent: Arc<Sent>,
    state: State,
    /// Answers of amiwall's own that come right behind this action's.
    behind: Vec<Message>,
    /// Items of its list that the client may not see.
    withheld: u64,
}

/// Where a packet from Asterisk goes.
#[derive(Debug)]
pub enum Routed {
    /// It answers an action of this session. The `ActionID` is the client's own again.
    Answer {
        /// The packet.
        reply: Reply,
        /// The action.
        sent: Arc<Sent>,
        /// How many items of its list were withheld before this.
        withheld: u64,
        /// Answers of amiwall's own that are due before it, because earlier actions got none.
        before: Vec<Message>,
        /// Answers of amiwall's own that are due behind it.
        behind: Vec<Message>,
    },
    /// It is for everybody who may see it.
    Broadcast(Reply),
    /// A response nobody here has asked for: dropped, on record.
    Orphan(Reply),
    /// The answer to an action of amiwall's own; answers to the client that are due now that it is over.
    Own(Vec<Message>),
}

/// The open actions of one session.
#[derive(Debug)]
pub struct Correlation {
    prefix: IdPrefix,
    /// Contiguous: the entry of number `first + i` is `entries[i]`.
    entries: VecDeque<Entry>,
    first: u64,
    /// No entry before this index is open.
    first_open: usize,
    counts: Counts,
}

/// Counted as entries change: they are asked for with every packet.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Entries that are not over, of clients' actions.
    outstanding: usize,
    /// Entries that are not over, behind which Asterisk reads nothing.
    blocking: usize,
    /// Answers of amiwall's own in `behind`.
    kept_back: usize,
}

impl Counts {
    fn over(&mut self, entry: &mut Entry) -> Vec<Message> {
        if entry.state != State::Over {
            entry.state = State::Over;
            self.outstanding -= usize::from(!entry.sent.is_own);
            self.blocking -= usize::from(entry.sent.is_blocking);
        }
        self.kept_back -= entry.behind.len();
        std::mem::take(&mut entry.behind)
    }
}

impl Correlation {
    /// Of a session with that prefix.
    #[must_use]
    pub const fn new(prefix: IdPrefix) -> Self {
        let counts = Counts { outstanding: 0, blocking: 0, kept_back: 0 };
        Self { prefix, entries: VecDeque::new(), first: 0, first_open: 0, counts }
    }

    /// Takes note of an action that is about to be sent; its `ActionID`.
    pub fn send(&mut self, sent: Sent) -> String {
        let id = self.prefix.id(self.first + self.entries.len() as u64);
        let state = if sent.is_unanswered { State::Over } else { State::Waiting };
        if state != State::Over {
            self.counts.outstanding += usize::from(!sent.is_own);
            self.counts.blocking += usize::from(sent.is_blocking);
        }
        self.entries.push_back(Entry { sent: Arc::new(sent), state, behind: Vec::new(), withheld: 0 });
        self.forget_old();
        id
    }

    fn forget_old(&mut self) {
        while self.entries.len() > RECENT_MAX && self.entries.front().is_some_and(|entry| entry.state == State::Over) {
            self.entries.pop_front();
            self.first += 1;
            self.first_open = self.first_open.saturating_sub(1);
        }
    }

    /// An answer of amiwall's own: due now, or kept (`None`) until the actions before it are answered.
    #[must_use]
    pub fn answer_in_turn(&mut self, answer: Message) -> Option<Message> {
        match self.entries.iter_mut().skip(self.first_open).rev().find(|entry| entry.state != State::Over) {
            Some(entry) => {
                entry.behind.push(answer);
                self.counts.kept_back += 1;
                None
            }
            None => Some(answer),
        }
    }

    /// Takes note that an item of this action's list was not passed on.
    pub fn count_withheld(&mut self, sent: &Arc<Sent>) {
        if let Some(entry) = self.entries.iter_mut().rev().find(|entry| Arc::ptr_eq(&entry.sent, sent)) {
            entry.withheld += 1;
        }
    }

    /// How many actions wait for their answer or the end of their list, amiwall's own not counted.
    #[must_use]
    pub const fn outstanding(&self) -> usize {
        self.counts.outstanding
    }

    /// How many answers of amiwall's own wait behind actions that are not answered yet.
    #[must_use]
    pub const fn kept_back(&self) -> usize {
        self.counts.kept_back
    }

    /// Whether an action is outstanding behind which Asterisk reads nothing.
    #[must_use]
    pub const fn is_blocked(&self) -> bool {
        self.counts.blocking > 0
    }

    /// Gives up all that is outstanding (Asterisk is gone): for each action its client's id, and the answers behind it.
    pub fn abandon(&mut self) -> Vec<(Option<Arc<Sent>>, Vec<Message>)> {
        let open = self.entries.iter_mut().filter(|entry| entry.state != State::Over);
        open.map(|entry| {
            let behind = self.counts.over(entry);
            ((!entry.sent.is_own).then(|| entry.sent.clone()), behind)
        })
        .collect()
    }

    /// Says where a packet from Asterisk goes, and restores the client's `ActionID` in it.
    pub fn route(&mut self, reply: Reply, ids: &ActionIds) -> Routed {
        // Asterisk's raw answers (IAXnetstats) have no id and look like what a line end in a value leaves of an event: they
        // cannot be told from the end of an event that the client may not see.
        if reply.kind() == ReplyKind::Other {
            return Routed::Orphan(reply);
        }
        let Some(id) = reply.action_id() else {
            return if reply.kind() == ReplyKind::Response { Routed::Orphan(reply) } else { Routed::Broadcast(reply) };
        };
        let index = self.prefix.number(id).and_then(|number| number.checked_sub(self.first));
        let index = index.and_then(|index| usize::try_from(index).ok()).filter(|index| *index < self.entries.len());
        match index {
            Some(index) => self.answer(index, reply),
            None if reply.kind() == ReplyKind::Response => Routed::Orphan(reply),
            None => Routed::Broadcast(match ids.shown_for(id) {
                Ok(shown) => Reply::from(reply.message().with_action_id(shown.as_deref())),
                Err(super::identifiers::NotOurs) => reply,
            }),
        }
    }

    fn answer(&mut self, index: usize, reply: Reply) -> Routed {
        let is_response = reply.kind() == ReplyKind::Response;
        let mut before = Vec::new();
        if is_response {
            let earlier = self.entries.iter_mut().take(index).skip(self.first_open);
            for entry in earlier.filter(|entry| entry.state != State::Over) {
                before.append(&mut self.counts.over(entry));
            }
            self.first_open = self.first_open.max(index);
        }
        let Some(entry) = self.entries.get_mut(index) else { return Routed::Orphan(reply) };
        let state = match (entry.state, is_response, reply.list_frame()) {
            (State::Over, _, _) | (_, false, Some(ListFrame::End)) => State::Over,
            (State::Waiting, true, Some(ListFrame::Start)) | (State::Listing, true, _) => State::Listing,
            (State::Waiting, true, _) => State::Over,
            (state, false, _) => state,
        };
        let mut behind = Vec::new();
        if state == State::Over {
            behind = self.counts.over(entry);
        } else {
            entry.state = state;
        }
        if entry.sent.is_own {
            before.append(&mut behind);
            return Routed::Own(before);
        }
        let (sent, withheld) = (entry.sent.clone(), entry.withheld);
        let reply = Reply::from(reply.message().with_action_id(sent.client_id.as_deref()));
        Routed::Answer { reply, sent, withheld, before, behind }
    }
}

#[cfg(test)]
#[path = "correlation_tests.rs"]
mod tests;
