//! [`EventMask`]: which events a session wants, in Asterisk's own syntax with its quirks
//! (manager.c, `strings_to_mask`, `get_perm`, `ast_instring`).

use super::PrivilegeClass;

/// A set of privilege classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventMask(u32);

/// The text is not a mask for Asterisk: empty, or a number that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an event mask")]
pub struct InvalidEventMask;

/// The label that stands for all classes.
const ALL_LABEL: &str = "all";

impl EventMask {
    /// Every class.
    pub const ALL: Self = Self(0x7FFF_FFFF);
    /// No class.
    pub const NONE: Self = Self(0);

    /// The mask of these classes.
    #[must_use]
    pub fn of(classes: impl IntoIterator<Item = PrivilegeClass>) -> Self {
        Self(classes.into_iter().fold(0, |bits, class| bits | class.bit()))
    }

    /// Whether the class is in the mask.
    #[must_use]
    pub const fn has(self, class: PrivilegeClass) -> bool {
        self.0 & class.bit() != 0
    }

    /// Whether all of these classes (as bits) are in the mask.
    #[must_use]
    pub const fn has_all(self, classes: u32) -> bool {
        classes & !self.0 == 0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether no class is in the mask.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether an event with this `Privilege:` value is wanted: all of its classes have to be (`all` does not count).
    /// A label that is not known is wanted only by who wants everything.
    #[must_use]
    pub fn wants(self, privilege: &[u8]) -> bool {
        privilege
            .split(|&b| b == b',')
            .filter(|label| !label.is_empty() && *label != ALL_LABEL.as_bytes())
            .all(|label| PrivilegeClass::of_label(label).map_or(self == Self::ALL, |class| self.has(class)))
    }

    /// The mask as amiwall writes it to Asterisk: `on`, `off`, or its labels.
    #[must_use]
    pub fn to_text(self) -> String {
        if self == Self::ALL {
            return "on".to_owned();
        }
        let labels: Vec<&str> =
            PrivilegeClass::ALL.into_iter().filter(|class| self.has(*class)).map(PrivilegeClass::label).collect();
        if labels.is_empty() { "off".to_owned() } else { labels.join(",") }
    }

    /// Reads a mask as Asterisk does.
    ///
    /// # Errors
    /// For an empty text and for a number that is negative as a 32-bit integer; Asterisk answers `Invalid event mask`.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidEventMask> {
        if text.is_empty() {
            return Err(InvalidEventMask);
        }
        if text.iter().all(u8::is_ascii_digit) {
            return Self::from_digits(text);
        }
        // asterisk.h, `ast_false` and `ast_true`: these words in any letter case.
        let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
        if is_one_of(&["no", "false", "n", "f", "off"]) {
            return Ok(Self::NONE);
        }
        if is_one_of(&["yes", "true", "y", "t", "on"]) {
            return Ok(Self::ALL);
        }
        Ok(Self::from_labels(text))
    }

    /// Reads a list of labels as Asterisk does (`get_perm`), which is also how `read` and `write` of manager.conf are read.
    #[must_use]
    pub fn from_labels(text: &[u8]) -> Self {
        let all = (ALL_LABEL, Self::ALL.0);
        let labels = PrivilegeClass::ALL.into_iter().map(|class| (class.label(), class.bit())).chain([all]);
        Self(labels.filter(|(label, _)| is_in_list(label.as_bytes(), text)).fold(0, |bits, (_, bit)| bits | bit))
    }

    /// `atoi` of glibc: a long, cut to 32 bits; what does not fit a long is the largest long.
    fn from_digits(text: &[u8]) -> Result<Self, InvalidEventMask> {
        let long = text.iter().try_fold(0_i64, |sum, digit| sum.checked_mul(10)?.checked_add(i64::from(digit - b'0')));
        let low = u32::try_from(long.unwrap_or(i64::MAX) & 0xFFFF_FFFF).map_err(|_| InvalidEventMask)?;
        if low > Self::ALL.0 { Err(InvalidEventMask) } else { Ok(Self(low)) }
    }
}

/// manager.c, `ast_instring`: an element that is followed by a comma matches each label that it is a prefix of, so an
/// empty element matches all of them; only the last element has to be the whole label.
fn is_in_list(label: &[u8], text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(comma) = rest.iter().position(|&b| b == b',') {
        let (element, tail) = rest.split_at(comma);
        if label.starts_with(element) {
            return true;
        }
        rest = tail.get(1..).unwrap_or_default();
    }
    rest == label
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> Result<EventMask, InvalidEventMask> {
        EventMask::parse(text.as_bytes())
    }

    #[test]
    fn masks_are_read_as_asterisk_reads_them() {
        use PrivilegeClass::{Call, Cc, Cdr, Command, Config, Security, System};
        let of = |classes: &[PrivilegeClass]| Ok(EventMask::of(classes.iter().copied()));
        assert_eq!(mask("call"), of(&[Call]));
        assert_eq!(mask("c,"), of(&[Call, Command, Config, Cdr, Cc]));
        assert_eq!(mask("s,"), of(&[System, Security]));
        for everything in [",", "call,,log", "on", "YES", "all", "2147483647"] {
            assert_eq!(mask(everything), Ok(EventMask::ALL), "{everything}");
        }
        for nothing in ["off", "0", "no", "nonsense", "+1", "-1", "0x2", "Call", " call", "call ", "4294967296"] {
            assert_eq!(mask(nothing), Ok(EventMask::NONE), "{nothing}");
        }
        for invalid in ["", "2147483648", "4294967295", "99999999999999999999"] {
            assert_eq!(mask(invalid), Err(InvalidEventMask), "{invalid}");
        }
        assert_eq!(mask("01"), of(&[System]));
    }

    #[test]
    fn an_event_is_wanted_when_all_its_classes_are() {
        let calls = EventMask::of([PrivilegeClass::Call]);
        assert!(calls.wants(b"call,all") && !calls.wants(b"system,user,all") && !calls.wants(b"weird,all"));
        assert!(EventMask::ALL.wants(b"weird,all") && calls.wants(b"all"));
        assert_eq!(
            (calls.to_text(), EventMask::NONE.to_text(), EventMask::ALL.to_text()),
            ("call".into(), "off".into(), "on".into())
        );
    }
}
