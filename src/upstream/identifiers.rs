//! `ActionID`s of amiwall's own: unguessable, unique beyond this process, at most 64 bytes (longer ones break packets of
//! Asterisk's own). Asterisk broadcasts some of them (`OriginateResponse`, `UserEvent`), so that other sessions need to
//! know whose they are: [`ActionIds`] remembers those, up to a limit.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How many broadcast ids are remembered; the oldest go first.
const REMEMBERED_MAX: usize = 65_536;

/// What all ids of one session begin with: `aw-<32 random hex digits>-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdPrefix(String);

/// What every id of amiwall's begins with.
const MARK: &str = "aw-";

impl IdPrefix {
    /// A prefix of 128 random bits.
    #[must_use]
    pub fn from_random(bits: u128) -> Self {
        Self(format!("{MARK}{bits:032x}-"))
    }

    /// The id of the `number`th packet.
    #[must_use]
    pub fn id(&self, number: u64) -> String {
        [&self.0, itoa::Buffer::new().format(number)].concat()
    }

    /// The number in an id of this session.
    #[must_use]
    pub fn number(&self, id: &[u8]) -> Option<u64> {
        let digits = id.strip_prefix(self.0.as_bytes())?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// Whether an id has the shape of amiwall's own, of this or another process.
#[must_use]
pub(super) fn is_ours(id: &[u8]) -> bool {
    let Some(rest) = id.strip_prefix(MARK.as_bytes()) else { return false };
    let (hex, tail) = rest.split_at_checked(32).unwrap_or((&[], rest));
    hex.len() == 32 && hex.iter().all(u8::is_ascii_hexdigit) && tail.first() == Some(&b'-')
}

/// The clients' ids behind the broadcast ones, for all sessions.
#[derive(Debug, Default)]
pub struct ActionIds {
    inner: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    by_id: HashMap<String, Vec<u8>>,
    order: VecDeque<String>,
}

impl ActionIds {
    /// Remembers that `id` stands for the client's `client_id`.
    pub fn remember(&self, id: &str, client_id: &[u8]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.order.len() >= REMEMBERED_MAX
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.by_id.remove(&oldest);
        }
        inner.order.push_back(id.to_owned());
        inner.by_id.insert(id.to_owned(), client_id.to_vec());
    }

    /// What another session is shown for `id`: the client's own id, as Asterisk would; nothing when it sent none or it is
    /// forgotten. Ids that are not amiwall's are left alone (`Err`).
    pub(super) fn shown_for(&self, id: &[u8]) -> Result<Option<Vec<u8>>, NotOurs> {
        if !is_ours(id) {
            return Err(NotOurs);
        }
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::str::from_utf8(id).ok().and_then(|id| inner.by_id.get(id).cloned()))
    }
}

/// The id is not one of amiwall's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotOurs;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_found_again() {
        let prefix = IdPrefix::from_random(u128::MAX);
        let id = prefix.id(u64::MAX);
        assert!(id.len() <= 64, "{} bytes", id.len());
        assert_eq!(prefix.number(id.as_bytes()), Some(u64::MAX));
        assert_eq!(IdPrefix::from_random(1).number(id.as_bytes()), None);
        assert!(is_ours(id.as_bytes()) && !is_ours(b"aw-7") && !is_ours(b"client-id"));
    }

    #[test]
    fn a_broadcast_id_is_shown_as_the_clients_until_it_is_forgotten() {
        let ids = ActionIds::default();
        let prefix = IdPrefix::from_random(7);
        ids.remember(&prefix.id(0), b"mine");
        assert_eq!(ids.shown_for(prefix.id(0).as_bytes()), Ok(Some(b"mine".to_vec())));
        assert_eq!(ids.shown_for(prefix.id(1).as_bytes()), Ok(None));
        assert_eq!(ids.shown_for(b"x"), Err(NotOurs));
        for number in 1..=REMEMBERED_MAX as u64 {
            ids.remember(&prefix.id(number), b"other");
        }
        assert_eq!(ids.shown_for(prefix.id(0).as_bytes()), Ok(None));
    }
}
