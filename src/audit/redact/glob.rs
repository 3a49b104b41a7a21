//! [`Glob`]: a name with `*`, and [`Globs`]: many of them, asked at once.

/// A name with `*`, in lower case.
#[derive(Clone, Debug)]
pub(super) enum Glob {
    Contains(Vec<u8>),
    Exact(Vec<u8>),
    Parts(Vec<Vec<u8>>),
}

impl Glob {
    pub(super) fn new(text: &str) -> Self {
        let text = text.trim().to_ascii_lowercase().into_bytes();
        let mut parts: Vec<Vec<u8>> = text.split(|&b| b == b'*').map(<[u8]>::to_vec).collect();
        match parts.as_mut_slice() {
            [exact] => Self::Exact(std::mem::take(exact)),
            [first, inner, last] if first.is_empty() && last.is_empty() => Self::Contains(std::mem::take(inner)),
            _ => Self::Parts(parts),
        }
    }

    pub(super) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Contains(inner) => find(name, inner).is_some(),
            Self::Exact(exact) => name.eq_ignore_ascii_case(exact),
            Self::Parts(parts) => Self::matches_parts(parts, name),
        }
    }

    /// The first part stands at the start, the last at the end, the others in order between them.
    fn matches_parts(parts: &[Vec<u8>], name: &[u8]) -> bool {
        let [first, inner @ .., last] = parts else { return false };
        let Some((start, mut rest)) = name.split_at_checked(first.len()) else { return false };
        if !start.eq_ignore_ascii_case(first) {
            return false;
        }
        for part in inner {
            let Some(at) = find(rest, part) else { return false };
            rest = rest.get(at + part.len()..).unwrap_or_default();
        }
        let end = rest.len().checked_sub(last.len()).and_then(|at| rest.get(at..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(last))
    }
}

/// Where `part` begins in `text`, without case.
pub(super) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window.eq_ignore_ascii_case(part))
}

/// Many patterns. What most of them look for is found by its first two letters, so that a packet costs one pass over each
/// of its names and not one for each pattern.
#[derive(Clone, Debug, Default)]
pub(super) struct Globs {
    /// What `*this*` looks for, at least two bytes long.
    inner: Vec<Vec<u8>>,
    /// One bit for each pair of letters that begins one of `inner`.
    pairs: Pairs,
    others: Vec<Glob>,
}

#[derive(Clone, Debug, Default)]
struct Pairs([u64; 16]);

impl Pairs {
    /// Word and bit. Five bits of each byte: the letters without their case.
    fn place(first: u8, second: u8) -> (usize, u64) {
        (usize::from(first & 31) >> 1, 1 << ((u32::from(first & 1) << 5) | u32::from(second & 31)))
    }

    fn add(&mut self, first: u8, second: u8) {
        let (word, bit) = Self::place(first, second);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn has(&self, first: u8, second: u8) -> bool {
        let (word, bit) = Self::place(first, second);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

impl Globs {
    pub(super) fn push(&mut self, glob: Glob) {
        match glob {
            Glob::Contains(inner) if inner.len() >= 2 => {
                if let [first, second, ..] = *inner {
                    self.pairs.add(first, second);
                }
                self.inner.push(inner);
            }
            other @ (Glob::Contains(_) | Glob::Exact(_) | Glob::Parts(_)) => self.others.push(other),
        }
    }

    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let begins = |at: usize| {
            let rest = name.get(at..).unwrap_or_default();
            self.inner.iter().any(|inner| rest.get(..inner.len()).is_some_and(|s| s.eq_ignore_ascii_case(inner)))
        };
        let is_pair = |pair: &[u8]| matches!(*pair, [first, second] if self.pairs.has(first, second));
        name.windows(2).enumerate().any(|(at, pair)| is_pair(pair) && begins(at))
            || self.others.iter().any(|glob| glob.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run() {
        let matches = |glob, name: &str| Glob::new(glob).matches(name.as_bytes());
        assert!(matches("DTMF*", "dtmfend") && matches("a*b*c", "aXbYc") && matches("*", "") && matches("**", "x"));
        assert!(matches("*x", "aX") && matches("a*a", "aa") && !matches("a*a", "a") && !matches("a*b*c", "acb"));
        assert!(!matches("pin", "pins") && !matches("*pin*", "pi"));
    }

    #[test]
    fn many_patterns_say_what_each_of_them_says() {
        let patterns = ["*pin*", "*Secret*", "Login", "a*z", "*x*", "**", "*DB(*"];
        let names =
            ["", "p", "PIN", "userPin1", "spin", "sEcReT", "login", "Logins", "abz", "db(a/b)", "XY", "p\u{e9}in"];
        for skipped in 0..patterns.len() {
            let chosen: Vec<&str> =
                patterns.iter().enumerate().filter(|(at, _)| *at != skipped).map(|(_, p)| *p).collect();
            let mut globs = Globs::default();
            chosen.iter().for_each(|pattern| globs.push(Glob::new(pattern)));
            for name in names {
                let single = chosen.iter().any(|pattern| Glob::new(pattern).matches(name.as_bytes()));
                assert_eq!(globs.matches(name.as_bytes()), single, "{name} in {chosen:?}");
            }
        }
    }
}
