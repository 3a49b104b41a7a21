//! [`Redactor`]: values that must not be on record. Patterns are `[action or event.]name`, in which `*` is any run of
//! characters, compared without case; a name is that of a header or of a channel variable.
//!
//! Where it is not clear how far a hidden value goes (quotes, an element without `=`), more is hidden, never less.

use std::borrow::Cow;

use crate::ami::{Header, Message};

/// What stands for a hidden value.
pub(super) const HIDDEN: &[u8] = b"[redacted]";

/// Whatever the policy says: how clients prove who they are is on no record.
const ALWAYS: [&str; 2] = ["Login.Secret", "Login.Key"];

/// A name with `*`, in lower case.
#[derive(Clone, Debug)]
enum Glob {
    Contains(Vec<u8>),
    Exact(Vec<u8>),
    Parts(Vec<Vec<u8>>),
}

impl Glob {
    fn new(text: &str) -> Self {
        let text = text.trim().to_ascii_lowercase().into_bytes();
        let mut parts: Vec<Vec<u8>> = text.split(|&b| b == b'*').map(<[u8]>::to_vec).collect();
        match parts.as_mut_slice() {
            [exact] => Self::Exact(std::mem::take(exact)),
            [first, inner, last] if first.is_empty() && last.is_empty() => Self::Contains(std::mem::take(inner)),
            _ => Self::Parts(parts),
        }
    }

    fn matches(&self, name: &[u8]) -> bool {
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

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window.eq_ignore_ascii_case(part))
}

/// All patterns of one log.
#[derive(Clone, Debug)]
pub(super) struct Redactor {
    everywhere: Vec<Glob>,
    scoped: Vec<(Glob, Glob)>,
}

impl Redactor {
    pub(super) fn new(patterns: &[String]) -> Self {
        let mut redactor = Self { everywhere: Vec::new(), scoped: Vec::new() };
        for pattern in patterns.iter().map(String::as_str).chain(ALWAYS) {
            match pattern.split_once('.') {
                Some((scope, name)) => redactor.scoped.push((Glob::new(scope), Glob::new(name))),
                None => redactor.everywhere.push(Glob::new(pattern)),
            }
        }
        redactor
    }

    /// What is hidden in this message.
    pub(super) fn within<'r, 'm>(&'r self, message: &'m Message) -> Within<'r, 'm> {
        let event = message.first().filter(|header| header.is("Event"));
        let is_reply = message.first().is_some_and(|header| header.is("Event") || header.is("Response"));
        let name = event.map(|header| header.value).or_else(|| message.get("Action")).unwrap_or_default();
        let scoped = self.scoped.iter().filter(|(scope, _)| scope.matches(name)).map(|(_, glob)| glob).collect();
        Within { everywhere: &self.everywhere, scoped, message, is_reply }
    }
}

/// The patterns that hold for one message.
#[derive(Debug)]
pub(super) struct Within<'r, 'm> {
    everywhere: &'r [Glob],
    scoped: Vec<&'r Glob>,
    message: &'m Message,
    is_reply: bool,
}

impl<'m> Within<'_, 'm> {
    /// The value as it may be written.
    pub(super) fn value(&self, header: Header<'m>) -> Cow<'m, [u8]> {
        if self.hides_header(header) {
            return HIDDEN.into();
        }
        if has_assignments(header.name) && memchr::memchr(b'=', header.value).is_some() {
            return self.assignments(header.value);
        }
        header.value.into()
    }

    fn hides_header(&self, header: Header<'_>) -> bool {
        // `*PIN*` would hide the `Ping: Pong` that answers every keep-alive.
        let is_pong = header.is("Ping") && header.value == b"Pong";
        (self.hides(header.name.as_bytes()) && !is_pong)
            || self.name_for(header.name).is_some_and(|name| self.hides_variable(name))
    }

    fn hides(&self, name: &[u8]) -> bool {
        self.everywhere.iter().chain(self.scoped.iter().copied()).any(|glob| glob.matches(name))
    }

    /// `_x` and `__x` are `x`, inherited; a quote or a blank before the name does not make it another.
    fn hides_variable(&self, name: &[u8]) -> bool {
        let is_decoration = |b: &u8| matches!(b, b'_' | b' ' | b'"' | b'\'' | b'\\');
        let bare = name.iter().position(|b| !is_decoration(b)).and_then(|at| name.get(at..)).unwrap_or_default();
        self.hides(name.trim_ascii()) || self.hides(bare.trim_ascii())
    }

    /// The name that another header of the message gives to the value of this one: `Variable` and `Value` (Setvar,
    /// VarSet, the answer to Getvar), `Key` and `Val` (DBPut, DBGetResponse), `Var-0` and `Value-0` (UpdateConfig).
    fn name_for(&self, header_name: &str) -> Option<&'m [u8]> {
        let number = header_name
            .as_bytes()
            .get(3..)
            .filter(|_| header_name.as_bytes().first().is_some_and(|b| b | 0x20 == b'v'))?;
        if number.eq_ignore_ascii_case(b"ue") {
            return self.message.get("Variable");
        }
        if number.is_empty() {
            return self.message.get("Key");
        }
        let number = header_name.get(5..).filter(|number| number.starts_with('-'))?;
        self.message.get(&format!("Var{number}"))
    }

    /// `NAME=value` elements, between commas where a client sent them (then every element has its own name).
    fn assignments(&self, value: &'m [u8]) -> Cow<'m, [u8]> {
        if !value.split(|&b| b == b',').any(|element| self.hides_element(element)) {
            return value.into();
        }
        let is_plain = !self.is_reply && !value.iter().any(|b| b"\"\\()[]{}'".contains(b));
        let mut shown = Vec::with_capacity(value.len());
        let mut is_hiding = false;
        for element in value.split(|&b| b == b',') {
            let (name, has_value) = assignment(element);
            // What has no name of its own may be the rest of the value before it.
            if is_hiding && !has_value {
                continue;
            }
            is_hiding = self.hides_element(element);
            if !shown.is_empty() {
                shown.push(b',');
            }
            if is_hiding {
                shown.extend_from_slice(name);
                shown.push(b'=');
                shown.extend_from_slice(HIDDEN);
                if !is_plain {
                    break;
                }
            } else {
                shown.extend_from_slice(element);
            }
        }
        shown.into()
    }

    fn hides_element(&self, element: &[u8]) -> bool {
        let (name, has_value) = assignment(element);
        has_value && self.hides_variable(name)
    }
}

fn assignment(element: &[u8]) -> (&[u8], bool) {
    let mut parts = element.splitn(2, |&b| b == b'=');
    (parts.next().unwrap_or_default(), parts.next().is_some())
}

/// Headers whose value assigns to names: variables, lines of a configuration file, output of a command.
fn has_assignments(header_name: &str) -> bool {
    let name = header_name.as_bytes();
    let starts_with = |start: &[u8]| name.get(..start.len()).is_some_and(|s| s.eq_ignore_ascii_case(start));
    match name.first().map(u8::to_ascii_lowercase) {
        Some(b'v') => starts_with(b"Variable"),
        Some(b'o') => starts_with(b"Output"),
        Some(b'l') => starts_with(b"Line-"),
        // ChanVariable, ChanVariable(channel), DestChanVariable, …
        Some(_) => name.len() >= 12 && find(name, b"chanvariable").is_some(),
        // A line without a name.
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::AuditConfig;
    use super::*;

    fn shown(headers: &[(&str, &str)]) -> Vec<String> {
        let redactor = Redactor::new(&AuditConfig::default_redact());
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let message = Message::compose(&headers);
        let within = redactor.within(&message);
        message.headers().map(|header| String::from_utf8_lossy(&within.value(header)).into_owned()).collect()
    }

    #[test]
    fn login_secrets_are_hidden_and_only_in_login() {
        assert_eq!(
            shown(&[("aCTION", "logIN"), ("SECRET", "x"), ("Key", "y"), ("Username", "a")])[1..],
            ["[redacted]", "[redacted]", "a"]
        );
        assert_eq!(shown(&[("Action", "DBGet"), ("Family", "f"), ("Key", "colour")])[2], "colour");
    }

    #[test]
    fn login_secrets_are_hidden_even_if_the_policy_hides_nothing() {
        let message = Message::compose(&[("Action", b"Login"), ("Secret", b"x"), ("Key", b"y")]);
        let redactor = Redactor::new(&[]);
        let within = redactor.within(&message);
        assert!(message.headers().skip(1).all(|header| within.value(header) == HIDDEN));
    }

    #[test]
    fn digits_of_dtmf_events_are_hidden() {
        assert_eq!(shown(&[("Event", "DTMFEnd"), ("Channel", "c"), ("Digit", "5")])[1..], ["c", "[redacted]"]);
        assert_eq!(shown(&[("Action", "PlayDTMF"), ("Digit", "5")])[1], "5");
        assert_eq!(shown(&[("Response", "Success"), ("Ping", "Pong")])[1], "Pong");
        assert_eq!(shown(&[("Action", "Ping"), ("Ping", "1234")])[1], "[redacted]");
    }

    #[test]
    fn variables_are_hidden_by_name() {
        let list = |value| shown(&[("Action", "Originate"), ("Variable", value)]).pop().expect("a value");
        assert_eq!(list("a=1,PIN=2,b=3"), "a=1,PIN=[redacted],b=3");
        assert_eq!(list("__userpin=2=2,34,b=3"), "__userpin=[redacted],b=3");
        assert_eq!(list("a=1,PIN=\"2,b=3\",c=4"), "a=1,PIN=[redacted]");
        assert_eq!(list("a=1\\,PIN=2,b=3"), "a=1\\,PIN=[redacted]");
        assert_eq!(list("a=1,b=2,3"), "a=1,b=2,3");
        let of_event = |name, value| shown(&[("Event", "Newstate"), (name, value)]).pop().expect("a value");
        assert_eq!(of_event("ChanVariable", "PIN=12,34=5"), "PIN=[redacted]");
        assert_eq!(of_event("DestChanVariable(PJSIP/1)", "Pin=12"), "Pin=[redacted]");
        assert_eq!(of_event("Variable", "colour=12"), "colour=12");
    }

    #[test]
    fn a_value_is_hidden_by_the_name_beside_it() {
        for first in [("Action", "Setvar"), ("Event", "VarSet"), ("Response", "Success")] {
            assert_eq!(shown(&[first, ("Variable", "_PIN"), ("Value", "1")])[1..], ["_PIN", "[redacted]"]);
            assert_eq!(shown(&[first, ("Value", "1"), ("Variable", "x")])[1..], ["1", "x"]);
        }
        assert_eq!(shown(&[("Action", "DBPut"), ("Key", "pin"), ("Val", "1")])[2], "[redacted]");
        let config =
            [("Action", "UpdateConfig"), ("Var-000001", "password"), ("Value-000001", "1"), ("Value-000002", "2")];
        assert_eq!(shown(&config)[2..], ["[redacted]", "2"]);
        assert_eq!(shown(&[("Response", "Success"), ("Line-000000-000001", "password=1")])[1], "password=[redacted]");
        assert_eq!(shown(&[("Response", "Success"), ("Output", "  PIN=1")])[1], "  PIN=[redacted]");
    }

    #[test]
    fn a_star_is_any_run() {
        let matches = |glob, name: &str| Glob::new(glob).matches(name.as_bytes());
        assert!(matches("DTMF*", "dtmfend") && matches("a*b*c", "aXbYc") && matches("*", "") && matches("**", "x"));
        assert!(matches("*x", "aX") && matches("a*a", "aa") && !matches("a*a", "a") && !matches("a*b*c", "acb"));
        assert!(!matches("pin", "pins") && !matches("*pin*", "pi"));
    }
}
