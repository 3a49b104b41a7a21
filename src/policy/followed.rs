//! [`Followed`]: the calls that a session has seen in scope. A call is followed until the last of its channels has hung up,
//! whichever that is: after a transfer the one that it began with is gone, and the call goes on. Its id means nothing any
//! more then, for a client may choose the id of a call (`ChannelId`) and another call may come to have the same.

use std::collections::{HashMap, HashSet, VecDeque};

/// How many channels are known. An Asterisk has fewer; with more, everything is forgotten, and nothing is followed.
const CHANNELS_MAX: usize = 32_768;
/// How many channels are remembered that have hung up, of which events may still come.
const GONE_MAX: usize = 4_096;
/// Asterisk keeps this much of a channel's unique id (`AST_MAX_PUBLIC_UNIQUEID`).
const ID_LEN_MAX: usize = 149;

type Id = Box<[u8]>;

/// The calls that there are, and which of them are followed.
#[derive(Debug, Default)]
pub struct Followed {
    /// The linked id of each channel, by its unique id.
    channels: HashMap<Id, Id>,
    /// By linked id: those that have channels.
    calls: HashMap<Id, Call>,
    gone: HashSet<Id>,
    gone_oldest_first: VecDeque<Id>,
}

#[derive(Debug, Default)]
struct Call {
    channels: usize,
    is_followed: bool,
}

impl Followed {
    /// Follows nothing, but still knows what there is: for a policy that has changed.
    pub fn unfollow(&mut self) {
        self.calls.values_mut().for_each(|call| call.is_followed = false);
    }

    /// Knows nothing any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn follows(&self, linked_id: &[u8]) -> bool {
        self.calls.get(linked_id).is_some_and(|call| call.is_followed)
    }

    /// Follows a call, if it has a channel.
    pub(super) fn follow(&mut self, linked_id: &[u8]) {
        if let Some(call) = self.calls.get_mut(linked_id) {
            call.is_followed = true;
        }
    }

    /// There is a channel, and this is its call. What is told of one that has hung up does not bring it back, unless it
    /// `is_new`.
    pub(super) fn see(&mut self, unique_id: &[u8], linked_id: &[u8], is_new: bool) {
        let is_id = |id: &[u8]| !id.is_empty() && id.len() <= ID_LEN_MAX;
        if is_new {
            // If there seems to be one, its end was not told.
            self.end(unique_id);
            self.gone.remove(unique_id);
        }
        let is_known = self.channels.get(unique_id).is_some_and(|known| **known == *linked_id);
        if is_known || self.gone.contains(unique_id) || !is_id(unique_id) || !is_id(linked_id) {
            return;
        }
        if self.channels.len() >= CHANNELS_MAX {
            self.forget();
        }
        let before = self.channels.insert(unique_id.into(), linked_id.into());
        // Two calls have become one.
        let was_followed = before.is_some_and(|before| self.leave(&before));
        let call = self.calls.entry(linked_id.into()).or_default();
        call.channels += 1;
        call.is_followed |= was_followed;
    }

    /// A channel has hung up.
    pub(super) fn end(&mut self, unique_id: &[u8]) {
        let Some(linked_id) = self.channels.remove(unique_id) else { return };
        self.leave(&linked_id);
        if self.gone_oldest_first.len() >= GONE_MAX
            && let Some(oldest) = self.gone_oldest_first.pop_front()
        {
            self.gone.remove(&oldest);
        }
        self.gone.insert(unique_id.into());
        self.gone_oldest_first.push_back(unique_id.into());
    }

    /// A call has a channel less. Whether it was followed.
    fn leave(&mut self, linked_id: &[u8]) -> bool {
        let Some(call) = self.calls.get_mut(linked_id) else { return false };
        call.channels = call.channels.saturating_sub(1);
        let is_followed = call.is_followed;
        if call.channels == 0 {
            self.calls.remove(linked_id);
        }
        is_followed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_followed_while_it_has_a_channel() {
        let mut followed = Followed::default();
        followed.follow(b"1.1");
        assert!(!followed.follows(b"1.1"), "there is no such call");
        followed.see(b"1.1", b"1.1", true);
        followed.see(b"1.2", b"1.1", true);
        followed.follow(b"1.1");
        followed.end(b"1.1");
        assert!(followed.follows(b"1.1"), "the other leg goes on");
        followed.see(b"1.1", b"1.1", false);
        followed.end(b"1.2");
        assert!(!followed.follows(b"1.1"), "what is told afterwards brings no channel back");
        followed.see(b"1.1", b"1.1", true);
        assert!(!followed.follows(b"1.1"), "another call");
        followed.end(b"1.1");
        assert!(followed.calls.is_empty() && followed.channels.is_empty());
    }

    #[test]
    fn what_has_become_one_is_followed_as_one() {
        let mut followed = Followed::default();
        followed.see(b"1.1", b"1.1", true);
        followed.see(b"2.1", b"2.1", true);
        followed.follow(b"2.1");
        followed.see(b"2.1", b"1.1", false);
        assert!(followed.follows(b"1.1") && !followed.follows(b"2.1"));
        followed.unfollow();
        assert!(!followed.follows(b"1.1"));
        followed.follow(b"1.1");
        assert!(followed.follows(b"1.1"), "what there is, is known still");
    }

    #[test]
    fn no_more_is_remembered_than_is_bounded() {
        let mut followed = Followed::default();
        let id = |number: usize| format!("1.{number}").into_bytes();
        for number in 0..=GONE_MAX {
            followed.see(&id(number), &id(number), true);
            followed.end(&id(number));
        }
        assert_eq!((followed.gone.len(), followed.gone_oldest_first.len()), (GONE_MAX, GONE_MAX));
        for number in 0..CHANNELS_MAX {
            followed.see(&id(number), b"9", true);
        }
        followed.follow(b"9");
        assert!(followed.follows(b"9"));
        followed.see(b"x", b"9", true);
        assert!(!followed.follows(b"9") && followed.channels.len() == 1);
        let long = [b'9'; ID_LEN_MAX + 1];
        followed.see(&long, &long, true);
        assert!(!followed.channels.contains_key(&long[..]));
    }
}
