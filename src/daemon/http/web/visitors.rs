//! Who is logged in to the pages. Only a keyed hash of what a browser holds is kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::{constant_time, hmac, rand};

/// How long a visitor may do nothing.
const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// How long a log-in lasts at most.
const AGE_MAX: Duration = Duration::from_secs(12 * 3_600);
/// Log-ins at once; for one more the one that was idle for longest ends.
const VISITORS_MAX: usize = 64;

/// Who is logged in.
#[derive(Debug)]
pub(super) struct Visitors {
    key: hmac::Key,
    visits: Mutex<HashMap<String, Visit>>,
}

#[derive(Debug)]
struct Visit {
    user: String,
    begun: Instant,
    used: Instant,
}

/// One who is logged in.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) user: String,
    /// What his forms carry.
    pub(super) token: String,
    /// His cookie.
    cookie: String,
}

impl Visitors {
    /// None if the system has no random numbers.
    pub(super) fn new() -> Option<Self> {
        let mut key = [0; 32];
        rand::fill(&mut key).ok()?;
        Some(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), visits: Mutex::default() })
    }

    /// What a form carries that goes with that cookie.
    pub(super) fn token(&self, cookie: &str) -> String {
        self.keyed("form", cookie)
    }

    /// Whether a form came from a page of ours.
    pub(super) fn is_token(&self, cookie: &str, token: &str) -> bool {
        constant_time::verify_slices_are_equal(self.token(cookie).as_bytes(), token.as_bytes()).is_ok()
    }

    /// Somebody has logged in: his cookie.
    pub(super) fn enter(&self, user: &str, now: Instant) -> Option<String> {
        let cookie = random()?;
        let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        visits.retain(|_, visit| visit.is_alive(now));
        if visits.len() >= VISITORS_MAX {
            let oldest = visits.iter().min_by_key(|(_, visit)| visit.used).map(|(name, _)| name.clone());
            oldest.and_then(|name| visits.remove(&name));
        }
        visits.insert(self.keyed("visit", &cookie), Visit { user: user.to_owned(), begun: now, used: now });
        Some(cookie)
    }

    /// Whose cookie that is. What a page asks for on its own keeps nobody logged in.
    pub(super) fn find(&self, cookie: &str, now: Instant, is_use: bool) -> Option<Visitor> {
        let name = self.keyed("visit", cookie);
        let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        if !visits.get(&name)?.is_alive(now) {
            visits.remove(&name);
            return None;
        }
        let visit = visits.get_mut(&name)?;
        if is_use {
            visit.used = now;
        }
        Some(Visitor { user: visit.user.clone(), token: self.token(cookie), cookie: cookie.to_owned() })
    }

    /// He has logged out.
    pub(super) fn leave(&self, visitor: &Visitor) {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.keyed("visit", &visitor.cookie));
    }

    fn keyed(&self, what: &str, text: &str) -> String {
        let tag = hmac::sign(&self.key, format!("{what}\n{text}").as_bytes());
        hex(tag.as_ref())
    }
}

impl Visitor {
    /// Whether a form came from a page of his.
    pub(super) fn is_own(&self, token: &str) -> bool {
        constant_time::verify_slices_are_equal(self.token.as_bytes(), token.as_bytes()).is_ok()
    }
}

impl Visit {
    fn is_alive(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE_MAX && now.duration_since(self.begun) < AGE_MAX
    }
}

/// 128 random bits, as hex.
pub(super) fn random() -> Option<String> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).ok()?;
    Some(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_ends_when_nobody_uses_it_and_when_it_is_old() {
        let visitors = Visitors::new().expect("random numbers");
        let begin = Instant::now();
        let cookie = visitors.enter("ops", begin).expect("a cookie");
        assert_eq!(cookie.len(), 32);
        let minutes = |minutes: u64| begin + Duration::from_secs(minutes * 60);
        assert_eq!(visitors.find(&cookie, minutes(29), true).expect("he is there").user, "ops");
        // What a page asks for on its own does not count.
        assert!(visitors.find(&cookie, minutes(50), false).is_some());
        assert!(visitors.find(&cookie, minutes(60), false).is_none());
        assert!(visitors.find(&cookie, minutes(50), true).is_none(), "it was forgotten");
        let cookie = visitors.enter("ops", begin).expect("a cookie");
        for quarter in 1..48 {
            assert!(visitors.find(&cookie, minutes(quarter * 15), true).is_some(), "{quarter}");
        }
        assert!(visitors.find(&cookie, minutes(12 * 60), true).is_none());
        for wrong in ["", "0", "../../etc/passwd", "00000000000000000000000000000000"] {
            assert!(visitors.find(wrong, begin, true).is_none());
        }
    }

    #[test]
    fn there_are_never_more_than_so_many_and_who_leaves_is_gone() {
        let visitors = Visitors::new().expect("random numbers");
        let now = Instant::now();
        let cookies: Vec<String> = (0..VISITORS_MAX as u64 + 1)
            .map(|second| visitors.enter("ops", now + Duration::from_secs(second)).expect("a cookie"))
            .collect();
        let later = now + Duration::from_secs(100);
        assert!(visitors.find(&cookies[0], later, true).is_none(), "the oldest gave way");
        let last = visitors.find(&cookies[VISITORS_MAX], later, true).expect("he is there");
        assert!(visitors.is_token(&cookies[VISITORS_MAX], &last.token) && !visitors.is_token(&cookies[1], &last.token));
        visitors.leave(&last);
        assert!(visitors.find(&cookies[VISITORS_MAX], later, true).is_none());
    }
}
