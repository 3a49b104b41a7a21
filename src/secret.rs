//! [`Secret`]: bytes that are never shown and are wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

/// A secret. It cannot be printed, and is compared in constant time only.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over the bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the one place that needs them (a login packet, a hash).
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are the same; the time does not tell where they differ.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, other).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
