//! Variables, functions and expansions, as Asterisk reads them out of a value.
//!
//! A list (`Variable` of Originate, `Variables` of Status) is split at commas outside of `()` and `[]`
//! (manager.c, `man_do_variable_value`; app.c, `__ast_app_separate_args`). There quotes and backslashes vanish and an
//! unbalanced bracket swallows the rest, so a list with any of these could be read in two ways and is not taken.
//! INVARIANT: [`elements`] of a list that [`is_clear`] yields what Asterisk would.

/// Asterisk keeps 64 elements, the last of which is the whole remainder.
const MAX_ELEMENTS: usize = 63;

/// Whether the list can be read in one way only, each element being a `name=value` where `with_values`.
pub(super) fn is_clear(list: &[u8], with_values: WithValues) -> bool {
    let (mut parens, mut brackets) = (0_usize, 0_usize);
    for byte in list {
        let depth = match byte {
            b'(' => parens.checked_add(1).map(|depth| (depth, brackets)),
            b')' => parens.checked_sub(1).map(|depth| (depth, brackets)),
            b'[' => brackets.checked_add(1).map(|depth| (parens, depth)),
            b']' => brackets.checked_sub(1).map(|depth| (parens, depth)),
            b'"' | b'\\' => None,
            _ => Some((parens, brackets)),
        };
        let Some(depth) = depth else { return false };
        (parens, brackets) = depth;
    }
    let is_element = |element: &[u8]| match with_values {
        WithValues::Yes => split_value(element).is_some_and(|(name, _)| !name.is_empty()),
        WithValues::No => !element.is_empty(),
    };
    (parens, brackets) == (0, 0) && elements(list).count() <= MAX_ELEMENTS && elements(list).all(is_element)
}

/// Whether the elements of a list have values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WithValues {
    /// Names alone.
    No,
    /// `name=value`.
    Yes,
}

/// The elements of a list that [`is_clear`].
pub(crate) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest?;
        let mut depth = 0_usize;
        let end = list.iter().position(|byte| {
            match byte {
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            *byte == b',' && depth == 0
        });
        let (element, others) = match end {
            Some(end) => (list.get(..end), list.get(end + 1..)),
            None => (Some(list), None),
        };
        rest = others;
        element
    })
}

/// An element's name and value.
pub(crate) fn split_value(element: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'=', element)?;
    Some((element.get(..end)?, element.get(end + 1..)?))
}

/// Whether Asterisk or an application would expand something in the value (`^{` is what MixMonitor makes `${` of).
pub(super) fn has_expansion(value: &[u8]) -> bool {
    value.windows(2).any(|pair| matches!(pair, b"${" | b"$[" | b"^{" | b"#{"))
}

/// Whether a variable's name is, or holds, a call of a dialplan function.
pub(super) fn is_function(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b'(' | b')')) || has_expansion(name)
}

/// The names under which a variable is known: `_x` and `__x` are `x` for the channels made from this one.
pub(super) fn aliases(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let once = name.strip_prefix(b"_");
    let twice = once.and_then(|name| name.strip_prefix(b"_"));
    std::iter::once(name).chain(once).chain(twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(list: &str) -> Vec<&str> {
        elements(list.as_bytes()).map(|element| std::str::from_utf8(element).expect("UTF-8")).collect()
    }

    #[test]
    fn lists_are_split_as_asterisk_splits_them() {
        assert_eq!(split("A=1,B=2"), ["A=1", "B=2"]);
        assert_eq!(split("A=1|B=2"), ["A=1|B=2"]);
        assert_eq!(split("A=(1,2),(E,e)=5,F=[a,b]"), ["A=(1,2)", "(E,e)=5", "F=[a,b]"]);
        assert_eq!(split("A=1, B = 2"), ["A=1", " B = 2"]);
        assert_eq!(split_value(b"A=b=c"), Some((&b"A"[..], &b"b=c"[..])));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_clear() {
        let clear = |list: &str| is_clear(list.as_bytes(), WithValues::Yes);
        assert!(clear("A=1") && clear("A=") && clear("A=1,B=2") && clear("A=(x)"));
        for list in ["", "A", "A=1,", "A=1,B", "=1", "A=\"x\"", "A=\\x", "A=(", "A=)", "A=[", "A=]", "A=)("] {
            assert!(!clear(list), "{list}");
        }
        let many = |count| vec!["A=1"; count].join(",");
        assert!(clear(&many(63)) && !clear(&many(64)));
        assert!(is_clear(b"A,B", WithValues::No) && !is_clear(b"A,,B", WithValues::No));
    }

    #[test]
    fn functions_and_expansions_are_seen() {
        assert!(is_function(b"F(x)") && is_function(b"x)") && is_function(b"a${b}") && !is_function(b"a_b"));
        assert!(has_expansion(b"a$[1+1]") && has_expansion(b"^{x}") && !has_expansion(b"$ {x} (y) [z]"));
        assert_eq!(aliases(b"__x").collect::<Vec<_>>(), [&b"__x"[..], b"_x", b"x"]);
    }
}
