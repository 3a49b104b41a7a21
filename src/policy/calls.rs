//! [`Calls`]: what became of the calls that identities have made, for `concurrent`.
//!
//! An Originate that is let through is one call from that moment on, known by the `ChannelId` that it carries, until the
//! last channel that came of it has hung up. A channel came of it if it has that unique id, or if it was new with the linked
//! id of the call or of one of its channels: so a call whose Local channel is optimized away is still one.
//!
//! What is known comes from a session of amiwall's own at each upstream ([`crate::upstream`]). While there is none, nobody
//! knows what there is, and nothing new is let through. A list of all channels, asked for now and then, finds what was
//! missed: a Hangup that nobody saw, and a call that never came to be.

use std::collections::{HashMap, HashSet};

use super::quota_state::SavedCall;
use super::window::Millis;

/// A call of which nobody has seen a channel is given up so long after its own timeout.
const UNSEEN_MAX: Millis = 60_000;
/// manager.c: an Originate without `Timeout` rings for 30 s.
const TIMEOUT_DEFAULT: Millis = 30_000;
/// The numbers of ids, beside which the second of the call stands. Asterisk's own begin at 0 with each start, so they are
/// lower; and with ten digits of a second the whole has the 20 characters that columns for it have.
const NUMBERS: (u64, u64) = (100_000_000, 900_000_000);

/// The calls at all upstreams.
#[derive(Debug, Default)]
pub(super) struct Calls {
    upstreams: HashMap<String, AtUpstream>,
    /// What the next id's number is made of.
    next: u64,
}

/// The calls at one.
#[derive(Debug, Default)]
struct AtUpstream {
    /// Whether events arrive, and what was there before is known.
    is_tracked: bool,
    /// By `ChannelId`.
    calls: HashMap<Vec<u8>, Call>,
    /// Which call a channel is of, by its unique id.
    channels: HashMap<Vec<u8>, Vec<u8>>,
}

#[derive(Debug)]
struct Call {
    identity: String,
    since: Millis,
    /// How long it may be before it has a channel.
    patience: Millis,
    /// amiwall's own `ActionID`, once it is forwarded.
    action_id: Option<String>,
    /// Its channels, and when each was seen first.
    channels: HashMap<Vec<u8>, Millis>,
    was_seen: bool,
}

/// A channel that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveChannel {
    /// `Uniqueid`.
    pub unique_id: Vec<u8>,
    /// `Linkedid`.
    pub linked_id: Vec<u8>,
}

/// A call that is let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewCall<'a> {
    pub(super) upstream: &'a str,
    pub(super) identity: &'a str,
    pub(super) id: &'a [u8],
    /// Its own `Timeout`, in milliseconds.
    pub(super) timeout: Option<Millis>,
}

impl Calls {
    /// Ids go on from this number.
    pub(super) const fn number_from(&mut self, start: u64) {
        self.next = start;
    }

    /// An id of Asterisk's own shape: `<seconds>.<number>`.
    pub(super) fn next_id(&mut self, wall: i64) -> String {
        let (lowest, count) = NUMBERS;
        self.next = self.next.wrapping_add(1);
        format!("{wall}.{}", lowest + self.next % count)
    }

    pub(super) fn is_tracked(&self, upstream: &str) -> bool {
        self.upstreams.get(upstream).is_some_and(|at| at.is_tracked)
    }

    /// How many calls of that identity there are, wherever.
    pub(super) fn count(&self, identity: &str) -> usize {
        let calls = self.upstreams.values().flat_map(|at| at.calls.values());
        calls.filter(|call| call.identity == identity).count()
    }

    /// Whether there is a call or a channel with that id already.
    pub(super) fn has(&self, upstream: &str, id: &[u8]) -> bool {
        self.upstreams.get(upstream).is_some_and(|at| at.calls.contains_key(id) || at.channels.contains_key(id))
    }

    pub(super) fn reserve(&mut self, call: NewCall<'_>, since: Millis) {
        let patience =
            call.timeout.filter(|timeout| *timeout > 0).unwrap_or(TIMEOUT_DEFAULT).saturating_add(UNSEEN_MAX);
        let identity = call.identity.to_owned();
        let call_state = Call { identity, since, patience, action_id: None, channels: HashMap::new(), was_seen: false };
        self.upstreams.entry(call.upstream.to_owned()).or_default().calls.insert(call.id.to_vec(), call_state);
    }

    /// The call is on its way to Asterisk under this `ActionID`.
    pub(super) fn sent(&mut self, upstream: &str, id: &[u8], action_id: &str) {
        if let Some(call) = self.upstreams.get_mut(upstream).and_then(|at| at.calls.get_mut(id)) {
            call.action_id = Some(action_id.to_owned());
        }
    }

    /// The call was not made after all.
    pub(super) fn release(&mut self, upstream: &str, id: &[u8]) {
        if let Some(at) = self.upstreams.get_mut(upstream) {
            at.end(id);
        }
    }

    /// Asterisk says that the call of this `ActionID` failed. One that has channels is over when they have hung up: behind
    /// a Local channel that nobody answered, a dialplan may go on for a while.
    pub(super) fn failed(&mut self, upstream: &str, action_id: &[u8]) {
        let Some(at) = self.upstreams.get_mut(upstream) else { return };
        let is_it = |call: &Call| call.action_id.as_ref().is_some_and(|id| id.as_bytes() == action_id);
        let failed = at.calls.iter().find(|(_, call)| is_it(call) && call.channels.is_empty());
        let id = failed.map(|(id, _)| id.clone());
        if let Some(id) = id {
            at.end(&id);
        }
    }

    pub(super) fn new_channel(&mut self, upstream: &str, channel: &LiveChannel, now: Millis) {
        if let Some(at) = self.upstreams.get_mut(upstream) {
            at.see(channel, now);
        }
    }

    pub(super) fn hung_up(&mut self, upstream: &str, unique_id: &[u8]) {
        if let Some(at) = self.upstreams.get_mut(upstream) {
            at.lose(unique_id);
        }
    }

    /// What there is not any more, or not yet, is not known from here on.
    pub(super) fn lost_track(&mut self, upstream: &str) {
        if let Some(at) = self.upstreams.get_mut(upstream) {
            at.is_tracked = false;
        }
    }

    /// All channels that there are, as asked for at `asked` on a session that has told all changes since.
    pub(super) fn prime(&mut self, upstream: &str, live: &[LiveChannel], asked: Millis) {
        let at = self.upstreams.entry(upstream.to_owned()).or_default();
        // A channel that a call's other channels are linked to is listed anywhere: look until nothing new is found.
        let mut known = usize::MAX;
        while known != at.channels.len() {
            known = at.channels.len();
            live.iter().for_each(|channel| at.see(channel, asked));
        }
        let is_live: HashSet<&[u8]> = live.iter().map(|channel| channel.unique_id.as_slice()).collect();
        let seen_before = |call: &Call, id: &[u8]| call.channels.get(id).is_some_and(|seen| *seen < asked);
        let of_calls = at.calls.values().flat_map(|call| call.channels.keys().map(move |id| (call, id)));
        let gone = of_calls.filter(|(call, id)| !is_live.contains(id.as_slice()) && seen_before(call, id));
        let gone: Vec<Vec<u8>> = gone.map(|(_, id)| id.clone()).collect();
        gone.iter().for_each(|id| at.lose(id));
        at.calls.retain(|_, call| {
            let is_awaited = !call.was_seen && asked.saturating_sub(call.since) <= call.patience;
            !call.channels.is_empty() || is_awaited
        });
        at.is_tracked = true;
    }

    /// Forgets the calls at upstreams that there are not any more: nobody could tell when they are over.
    pub(super) fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.upstreams.retain(|name, _| is_there(name));
    }

    pub(super) fn save(&self, now: Millis) -> Vec<SavedCall> {
        let calls = self.upstreams.iter().flat_map(|(upstream, at)| at.calls.iter().map(move |call| (upstream, call)));
        let saved = calls.filter_map(|(upstream, (id, call))| {
            Some(SavedCall {
                identity: call.identity.clone(),
                upstream: upstream.clone(),
                channel: String::from_utf8(id.clone()).ok()?,
                age: u64::try_from(now.saturating_sub(call.since) / 1_000).unwrap_or_default(),
            })
        });
        let mut saved: Vec<SavedCall> = saved.collect();
        saved.sort_by(|one, other| (&one.identity, &one.channel).cmp(&(&other.identity, &other.channel)));
        saved
    }
}

impl AtUpstream {
    fn see(&mut self, channel: &LiveChannel, now: Millis) {
        let LiveChannel { unique_id, linked_id } = channel;
        let by_channel = |id: &[u8]| self.channels.get(id).cloned();
        let of_call = |id: &[u8]| self.calls.contains_key(id).then(|| id.to_vec());
        let found = of_call(unique_id).or_else(|| by_channel(unique_id)).or_else(|| of_call(linked_id));
        let Some(id) = found.or_else(|| by_channel(linked_id)) else { return };
        if let Some(call) = self.calls.get_mut(&id) {
            call.was_seen = true;
            call.channels.entry(unique_id.clone()).or_insert(now);
            self.channels.insert(unique_id.clone(), id);
        }
    }

    fn lose(&mut self, unique_id: &[u8]) {
        let Some(id) = self.channels.remove(unique_id) else { return };
        if let Some(call) = self.calls.get_mut(&id) {
            call.channels.remove(unique_id);
            if call.channels.is_empty() {
                self.calls.remove(&id);
            }
        }
    }

    fn end(&mut self, id: &[u8]) {
        if let Some(call) = self.calls.remove(id) {
            call.channels.keys().for_each(|channel| drop(self.channels.remove(channel)));
        }
    }
}
