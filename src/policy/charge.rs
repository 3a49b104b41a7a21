//! [`Charge`]: one packet, asked of each limit and then charged to all of them, under the mutex of [`super::Buckets`].

use std::time::Duration;

use governor::clock::Clock;

use super::Limited;
use super::buckets::{Asking, State};
use super::calls::NewCall;
use super::client_state::longest_window;
use super::limits::{Bound, Limit};
use super::window::Millis;
use crate::ami::Action;

/// Under this name is counted what all clients share.
pub(super) const SHARED: &str = "";
/// Nobody knows when a call will be over: so long the client is told to wait.
const CALL_RETRY: Duration = Duration::from_secs(5);

/// The limit that has no room for longest.
pub(super) struct Exhausted<'l> {
    pub(super) limit: &'l Limit,
    /// None: nobody knows whether there is room.
    pub(super) what: Option<Limited>,
    pub(super) retry: Duration,
}

/// One packet that is charged.
pub(super) struct Charge<'s, C: Clock> {
    pub(super) state: &'s mut State<C>,
    pub(super) clock: &'s C,
    pub(super) asking: Asking<'s>,
    pub(super) action: &'s str,
    /// What an Originate dials.
    pub(super) destination: Vec<u8>,
    /// Its own `ChannelId`.
    pub(super) channel_id: Option<Vec<u8>>,
    pub(super) now: Millis,
}

impl<C: Clock + Clone> Charge<'_, C> {
    /// Whether a limit has room, without charging; if not, and it has none for longer than the longest so far, that one.
    /// Of two alike the narrower, which was asked first, is told.
    pub(super) fn ask<'l>(
        &mut self,
        longest: Option<Exhausted<'l>>,
        whose: &str,
        limit: &'l Limit,
    ) -> Option<Exhausted<'l>> {
        let Asking { client, upstream, wall } = self.asking;
        let (what, outcome) = match &limit.bound {
            Bound::Concurrent(_) if !self.state.calls.is_tracked(upstream) => {
                return Some(Exhausted { limit, what: None, retry: Duration::MAX });
            }
            Bound::Concurrent(max) => {
                let calls = &self.state.calls;
                let is_used = self.channel_id.as_ref().is_some_and(|id| calls.has(upstream, id));
                let has_room = calls.count(client.as_str()) < usize::try_from(*max).unwrap_or(usize::MAX);
                (Limited::Concurrent, if has_room && !is_used { Ok(()) } else { Err(CALL_RETRY) })
            }
            Bound::Destinations(window) => {
                let own = self.state.client(client, self.clock);
                let outcome = own.destinations.ask(*window, &self.destination, self.now);
                let wait = |millis: Millis| Duration::from_millis(u64::try_from(millis).unwrap_or_default());
                (Limited::Destinations, outcome.map_err(wait))
            }
            // Going is always right.
            Bound::Hours(_) if self.action == "logoff" => return longest,
            Bound::Hours(hours) => (Limited::Hours, hours.ask(wall)),
            Bound::PerDay(max) => {
                let days = &self.state.days;
                let has_room = days.count(whose, self.action) < *max;
                (Limited::PerDay, if has_room { Ok(()) } else { Err(days.until_next(wall)) })
            }
            Bound::Rate(quota) => {
                (Limited::Rate, self.state.bucket((whose, client), limit, *quota, self.clock).propose())
            }
        };
        match (longest, outcome) {
            (longest, Ok(())) => longest,
            (Some(longest), Err(retry)) if longest.retry >= retry => Some(longest),
            (_, Err(retry)) => Some(Exhausted { limit, what: Some(what), retry }),
        }
    }

    /// Charges what was asked; a quota that several limits bound, once.
    pub(super) fn commit(&mut self, limits: &[(&str, &Limit)]) {
        for (whose, limit) in limits {
            if let Bound::Rate(quota) = limit.bound {
                self.state.bucket((whose, self.asking.client), limit, quota, self.clock).commit();
            }
        }
        for counted in [self.asking.client.as_str(), SHARED] {
            if limits.iter().any(|(whose, limit)| *whose == counted && limit.is_per_day()) {
                self.state.days.add(counted, self.action);
            }
        }
        if let Some(length) = longest_window(limits.iter().map(|(_, limit)| *limit)) {
            let destination = std::mem::take(&mut self.destination);
            let own = self.state.client(self.asking.client, self.clock);
            own.destinations.add(Some(destination), self.now, length);
        }
    }

    /// Counts a call from here on; the headers by which it is known, as far as the client has not given them.
    pub(super) fn reserve(&mut self, action: &Action) -> Vec<(&'static str, String)> {
        let Asking { client, upstream, wall } = self.asking;
        let calls = &mut self.state.calls;
        let mut ids = Vec::new();
        let id = self.channel_id.take().unwrap_or_else(|| {
            let id = calls.next_id(wall);
            ids.push(("ChannelId", id.clone()));
            id.into_bytes()
        });
        let is_local = action
            .get("Channel")
            .and_then(|channel| channel.get(..6))
            .is_some_and(|start| start.eq_ignore_ascii_case(b"Local/"));
        // Else Asterisk makes one of it that has not the shape which CDRs and dialers read.
        if is_local && action.get("OtherChannelId").is_none() {
            ids.push(("OtherChannelId", calls.next_id(wall)));
        }
        let timeout = action.get("Timeout").and_then(|timeout| std::str::from_utf8(timeout).ok()?.parse().ok());
        calls.reserve(NewCall { upstream, identity: client.as_str(), id: &id, timeout }, self.now);
        ids
    }

    /// Charges what counts refused packets too.
    pub(super) fn commit_every(&mut self, every: &[Limit]) {
        for limit in every {
            if let Bound::Rate(quota) = limit.bound {
                self.state.client(self.asking.client, self.clock).buckets.bucket(limit, quota, self.clock).commit();
            }
        }
    }
}
