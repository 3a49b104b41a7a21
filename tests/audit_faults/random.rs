//! Reproducible randomness, how large a test is, and what it says of itself.

use std::hash::{BuildHasher as _, RandomState};

/// `SplitMix64`.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The seed is that of `AMIWALL_TEST_SEED`, or a new one; it is printed.
    pub(crate) fn new(test: &str) -> Self {
        let given = std::env::var("AMIWALL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0_u8));
        report(&format!("{test}: AMIWALL_TEST_SEED={seed}"));
        Self(seed)
    }

    pub(crate) const fn of_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `limit`, without it.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).expect("it fits");
        usize::try_from(self.next() % limit).expect("it fits")
    }

    /// Once in so many times.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

pub(crate) fn is_full() -> bool {
    std::env::var_os("AMIWALL_TEST_FULL").is_some_and(|full| full == "1")
}

/// How often, at the size that is asked for.
pub(crate) fn size(reduced: usize, full: usize) -> usize {
    if is_full() { full } else { reduced }
}

#[expect(clippy::print_stderr, reason = "the numbers of a test")]
pub(crate) fn report(text: &str) {
    eprintln!("{text}");
}
