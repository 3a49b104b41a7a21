//! Caller ids: name and number, taken apart as Asterisk does (callerid.c, `ast_callerid_parse`) and judged separately.

use super::originate::is_dialable_byte;
use super::pattern::{Attributes, Dialect, Pattern, PatternError, Side};

/// A caller id; an absent part is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallerId<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) number: &'a [u8],
}

impl<'a> CallerId<'a> {
    /// The parts, or nothing where another reader could see others.
    pub(crate) fn read(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let (name, number) = match memchr::memchr(b'<', value) {
            Some(start) => (value.get(..start)?, value.get(start + 1..)?.strip_suffix(b">")?),
            None if is_number(value) => (&[][..], value),
            None => (value, &[][..]),
        };
        let name = unquoted(name.trim_ascii());
        let is_clear = |part: &[u8]| !part.iter().any(|byte| matches!(byte, b'<' | b'>' | b'"' | b'\\'));
        (is_clear(name) && is_clear(number)).then_some(Self { name, number: number.trim_ascii() })
    }
}

fn unquoted(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name)
}

/// Whether Asterisk takes a value without `<…>` for a number: after it has removed `( ) - .` and blanks.
fn is_number(value: &[u8]) -> bool {
    let mut rest = value.iter().filter(|byte| !b"()-. ".contains(byte)).peekable();
    rest.peek().is_some() && rest.all(|byte| byte.is_ascii_digit() || b"*#+".contains(byte))
}

/// Whether a value is a caller id whose number can be dialled: the type `callerid`.
pub(super) fn is_caller_id(value: &[u8]) -> bool {
    CallerId::read(value).is_some_and(|caller| caller.number.iter().copied().all(is_dialable_byte))
}

/// A caller id of a rule.
#[derive(Clone, Debug)]
pub(super) enum CallerIdPattern {
    /// `name <number>`: an absent part has no pattern.
    Both { name: Option<Pattern>, number: Option<Pattern> },
    /// Without `<…>`: the one part that there is.
    Either(Pattern),
}

impl CallerIdPattern {
    /// Reads a caller id of a rule.
    pub(super) fn parse(text: &str, side: Side, attributes: Attributes<'_>) -> Result<Self, PatternError> {
        let parse = |part: &str| Pattern::parse(part, Dialect::Text, side, attributes);
        let part = |part: &str| if part.is_empty() { Ok(None) } else { parse(part).map(Some) };
        let split = text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<'));
        let Some((name, number)) = split.filter(|(name, _)| !name.ends_with('\\')) else {
            return parse(text).map(Self::Either);
        };
        let name = name.trim();
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        Ok(Self::Both { name: part(name)?, number: part(number.trim())? })
    }

    /// Whether name and number are both as the pattern says.
    pub(super) fn allows(&self, value: &[u8]) -> bool {
        let Some(CallerId { name, number }) = CallerId::read(value) else { return false };
        let is_part = |pattern: &Option<Pattern>, part: &[u8]| match pattern {
            Some(pattern) => pattern.matches(part),
            None => part.is_empty(),
        };
        match self {
            Self::Both { name: own_name, number: own_number } => is_part(own_name, name) && is_part(own_number, number),
            Self::Either(own) if own.is_everything() => true,
            Self::Either(own) => match (name, number) {
                (one, []) | ([], one) => own.matches(one),
                _ => false,
            },
        }
    }

    /// Whether a part is as the pattern says; a value that could be read in two ways is.
    pub(super) fn denies(&self, value: &[u8]) -> bool {
        let Some(CallerId { name, number }) = CallerId::read(value) else { return true };
        let dialled: Vec<u8> = number.iter().copied().filter(|byte| !b"()-. ".contains(byte)).collect();
        let is_number = |own: &Pattern| own.matches(number) || own.matches(&dialled);
        match self {
            Self::Both { name: own_name, number: own_number } => {
                own_name.as_ref().is_none_or(|own| own.matches(name)) && own_number.as_ref().is_none_or(is_number)
            }
            Self::Either(own) => own.matches(value) || own.matches(name) || is_number(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, side: Side) -> CallerIdPattern {
        let attributes = |name: &str| match name {
            "name" => Some("Alice Smith"),
            "extension" => Some("1001"),
            _ => None,
        };
        CallerIdPattern::parse(text, side, &attributes).expect("a pattern")
    }

    #[test]
    fn name_and_number_are_judged_separately() {
        let own = parse("{name} <{extension}>", Side::Allow);
        for yes in ["Alice Smith <1001>", "\"Alice Smith\" <1001>", "\"Alice Smith\"<1001>"] {
            assert!(own.allows(yes.as_bytes()), "{yes}");
        }
        for no in [
            "Alice Smith",
            "1001",
            "<1001>",
            "Bob <1001>",
            "Alice Smith <911>",
            "Alice Smith <1001> x",
            "Alice Smith <911> <1001>",
            "Alice Smith <1001><911>",
            "\"Alice\\ Smith\" <1001>",
            "Alice Smith <1001",
        ] {
            assert!(!own.allows(no.as_bytes()), "{no}");
        }
        assert!(parse("<{extension}>", Side::Allow).allows(b"1001"));
        assert!(parse("{extension}", Side::Allow).allows(b"<1001>"));
        assert!(!parse("*", Side::Allow).allows(b"Bob <1>") && parse("**", Side::Allow).allows(b"Bob <1>"));
        assert!(is_caller_id(b"Bob <1001>") && is_caller_id(b"1001") && !is_caller_id(b"Bob <x>"));
    }

    #[test]
    fn a_deny_looks_at_each_part() {
        let deny = |text, value: &str| parse(text, Side::Deny).denies(value.as_bytes());
        assert!(
            deny("911", "911") && deny("911", "Bob <9-1-1>") && deny("* <911>", "<911>") && deny("<911>", "Bob <911>")
        );
        assert!(deny("bob <>", "Bob <1>") && deny("911", "a < b"));
        assert!(!deny("911", "Bob <912>"));
    }
}
