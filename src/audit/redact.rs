//! [`Redactor`]: values that must not be on record. Patterns are `[action or event.]name`, in which `*` is any run of
//! characters, compared without case; a name is that of a header or of a channel variable. `!` before a pattern shows what
//! another one hides. An answer is judged by the name of the action that it answers, too.
//!
//! Where it is not clear how far a hidden value goes (quotes, an element without `=`), more is hidden, never less.

mod defaults;
mod glob;
mod shapes;
#[cfg(test)]
mod tests;
mod values;

use std::borrow::Cow;
use std::sync::Arc;

use self::glob::{Glob, Globs, find};
use self::shapes::{Shape, Shapes};
use super::pseudonym::{PseudonymKey, Pseudonyms};
use crate::ami::{Header, Message};

/// What stands for a hidden value.
pub(super) const HIDDEN: &[u8] = b"[redacted]";

/// What `Ping` is answered with.
const PONG: &[u8] = b"Pong";

/// The word for all that is hidden by default.
pub(super) const DEFAULT: &str = "default";

/// Whatever the policy says: how clients prove who they are is on no record.
/// A name in a login that comes too late may be a secret, too: people type it where the name belongs.
const ALWAYS: [&str; 3] = ["Login.Secret", "Login.Key", "Login.Username"];

/// All patterns of one log.
#[derive(Clone, Debug, Default)]
pub(super) struct Redactor {
    always: Patterns,
    hidden: Patterns,
    shown: Patterns,
    /// Values are looked into, too.
    has_default: bool,
    pseudonyms: Option<(Patterns, PseudonymKey)>,
    shapes: Arc<Shapes>,
}

/// Patterns for all packets, and those for packets of a name.
#[derive(Clone, Debug, Default)]
struct Patterns {
    everywhere: Globs,
    scoped: Vec<(Glob, Globs)>,
}

impl Patterns {
    fn add(&mut self, pattern: &str) {
        // A variable's name may have a dot in its parentheses.
        let dot = pattern.split_once('.').filter(|(scope, _)| !scope.contains('('));
        let Some((scope, name)) = dot else { return self.everywhere.push(Glob::new(pattern)) };
        let mut globs = Globs::default();
        globs.push(Glob::new(name));
        self.scoped.push((Glob::new(scope), globs));
    }

    fn of<'r>(&'r self, names: &Names<'_>) -> Chosen<'r> {
        let scoped = self.scoped.iter().filter(|(scope, _)| names.are_in(scope)).map(|(_, globs)| globs).collect();
        Chosen { everywhere: &self.everywhere, scoped }
    }
}

/// The patterns that hold for one packet.
#[derive(Debug)]
struct Chosen<'r> {
    everywhere: &'r Globs,
    scoped: Vec<&'r Globs>,
}

impl Chosen<'_> {
    fn name(&self, name: &[u8]) -> bool {
        self.everywhere.matches(name) || self.scoped.iter().any(|globs| globs.matches(name))
    }
}

/// What a packet is called.
struct Names<'m> {
    /// Of the event, or of the action.
    own: &'m [u8],
    /// Of the action that it answers.
    asked: &'m [u8],
    /// It answers nobody knows what: whatever could be in it is hidden.
    is_unknown: bool,
}

impl Names<'_> {
    fn are_in(&self, scope: &Glob) -> bool {
        self.is_unknown || [self.own, self.asked].iter().any(|name| !name.is_empty() && scope.matches(name))
    }
}

impl Redactor {
    pub(super) fn new(patterns: &[String]) -> Self {
        let mut redactor = Self::default();
        ALWAYS.iter().for_each(|pattern| redactor.always.add(pattern));
        for pattern in patterns {
            match pattern.strip_prefix('!') {
                _ if pattern == DEFAULT => redactor.add_default(),
                Some(shown) => redactor.shown.add(shown),
                None => redactor.hidden.add(pattern),
            }
        }
        redactor
    }

    /// Shows only whether two values are the same, where these say so.
    pub(super) fn with_pseudonyms(mut self, pseudonyms: Option<&Pseudonyms>) -> Self {
        self.pseudonyms = pseudonyms.map(|pseudonyms| {
            let mut patterns = Patterns::default();
            pseudonyms.values.iter().for_each(|pattern| patterns.add(pattern));
            (patterns, pseudonyms.key.clone())
        });
        self
    }

    fn add_default(&mut self) {
        self.has_default = true;
        for pattern in defaults::DEFAULT {
            match pattern.strip_prefix('!') {
                Some(shown) => self.shown.add(shown),
                None => self.hidden.add(pattern),
            }
        }
        for variable in defaults::TOLD {
            ["VarSet", "Status"].iter().for_each(|event| self.shown.add(&format!("{event}.{variable}")));
        }
    }

    /// What is known of this message's headers by their names.
    pub(super) fn shape(&self, message: &Message, asked: Option<&str>) -> Arc<Shape> {
        let (kind, names) = names_of(message, asked);
        let kind: &[u8] = match kind {
            Kind::Action => b"a",
            Kind::Event => b"e",
            Kind::Response if names.is_unknown => b"u",
            Kind::Response => b"r",
        };
        self.shapes.of(&[kind, names.own, names.asked])
    }

    /// Takes note that so many names were learned.
    pub(super) fn learned(&self, names: usize) {
        self.shapes.learned(names);
    }

    /// The value of a header that is nothing that a pattern names. `may_have_password`: there is an `@` in it.
    pub(super) fn plain<'m>(&self, value: &'m [u8], may_have_password: bool) -> Cow<'m, [u8]> {
        match (self.has_default, may_have_password) {
            (false, _) => value.into(),
            (true, false) => values::scrub_cards(value.into()),
            (true, true) => values::scrub(value.into()),
        }
    }

    /// Whether this is the answer to a keep-alive, which nothing hides: it comes more often than all others.
    pub(super) fn is_pong(&self, message: &Message, header: Header<'_>) -> bool {
        self.pseudonyms.is_none()
            && header.value == PONG
            && header.is("Ping")
            && message.first().is_some_and(|first| first.is("Response"))
    }

    /// What is hidden in this message, which answers `asked` (an action's name), if it is known what it answers.
    pub(super) fn within<'r, 'm>(&'r self, message: &'m Message, asked: Option<&str>) -> Within<'r, 'm> {
        let (kind, names) = names_of(message, asked);
        Within {
            always: self.always.of(&names),
            hidden: self.hidden.of(&names),
            // What is not known shows nothing.
            shown: (!names.is_unknown).then(|| self.shown.of(&names)),
            pseudonyms: self.pseudonyms.as_ref().map(|(patterns, key)| (patterns.of(&names), key)),
            has_default: self.has_default,
            is_reply: kind != Kind::Action,
            is_response: kind == Kind::Response,
            message,
        }
    }
}

/// What a packet is, for what is hidden of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Action,
    Event,
    Response,
}

fn names_of<'m>(message: &'m Message, asked: Option<&'m str>) -> (Kind, Names<'m>) {
    let first = message.first();
    let event = first.filter(|header| header.is("Event")).map(|header| header.value);
    let kind = match first {
        Some(_) if event.is_some() => Kind::Event,
        Some(header) if header.is("Response") => Kind::Response,
        Some(_) | None => Kind::Action,
    };
    let names = Names {
        own: event.or_else(|| message.get("Action")).unwrap_or_default(),
        asked: asked.unwrap_or_default().as_bytes(),
        is_unknown: kind == Kind::Response && asked.is_none(),
    };
    (kind, names)
}

/// The patterns that hold for one message.
#[derive(Debug)]
pub(super) struct Within<'r, 'm> {
    always: Chosen<'r>,
    hidden: Chosen<'r>,
    shown: Option<Chosen<'r>>,
    pseudonyms: Option<(Chosen<'r>, &'r PseudonymKey)>,
    has_default: bool,
    is_reply: bool,
    is_response: bool,
    message: &'m Message,
}

impl<'m> Within<'_, 'm> {
    /// What stands for the value, and under which key; None: the value is not pseudonymised.
    pub(super) fn pseudonym(&self, header: Header<'m>) -> Option<(String, &str)> {
        let (chosen, key) = self.pseudonyms.as_ref()?;
        // What Asterisk writes where there is no number is none.
        let is_number = !header.value.is_empty() && header.value != b"<unknown>";
        let is_chosen = is_number && chosen.name(header.name_bytes()) && !self.hides_header(header);
        is_chosen.then(|| (key.token(header.value), key.id()))
    }

    /// Whether the name alone tells that no pattern hides the value or looks into it, in all packets of this kind.
    pub(super) fn is_plain(&self, header: Header<'m>) -> bool {
        let name = header.name_bytes();
        let depends_on_others =
            header.is("Val") || name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"Value"));
        let is_looked_into = has_assignments(header.name()) || header.is("Command") || values::is_data(header);
        let has_pseudonym = self.pseudonyms.as_ref().is_some_and(|(chosen, _)| chosen.name(name));
        // It is judged by its value, too.
        let is_pong = self.is_response && header.is("Ping");
        !(depends_on_others || is_looked_into || has_pseudonym || is_pong || self.hides_header(header))
    }

    /// The value as it may be written.
    pub(super) fn value(&self, header: Header<'m>) -> Cow<'m, [u8]> {
        if self.hides_header(header) {
            return self.hidden_header(header);
        }
        if !self.has_default {
            return self.of_variables(header);
        }
        let data = values::application_data(self.message, header);
        values::scrub(match data {
            Some(data) => data,
            None if header.is("Command") && header.value.len() > 4 => self.command(header.value),
            None => self.of_variables(header),
        })
    }

    /// `Command` of the action `AGI` and of its events is a line of AGI; of the action `Command` one of the console.
    fn command(&self, value: &'m [u8]) -> Cow<'m, [u8]> {
        let is_console = self.message.get("Action").is_some_and(|name| name.eq_ignore_ascii_case(b"Command"));
        if is_console { values::console_command(value) } else { values::agi_command(value) }
    }

    fn of_variables(&self, header: Header<'m>) -> Cow<'m, [u8]> {
        if has_assignments(header.name()) && memchr::memchr(b'=', header.value).is_some() {
            return self.assignments(header.value);
        }
        header.value.into()
    }

    /// A line of a configuration file, and a variable of an answer, keep their name.
    fn hidden_header(&self, header: Header<'m>) -> Cow<'m, [u8]> {
        let is_line = find(header.name_bytes(), b"Line-") == Some(0);
        let is_variable = self.is_reply && header.is("Variable");
        match assignment(header.value) {
            (name, true) if is_variable && self.shows(name) && !self.always.name(name) => header.value.into(),
            (name, true) if is_line || is_variable => [name, b"=", HIDDEN].concat().into(),
            _ => HIDDEN.into(),
        }
    }

    fn hides_header(&self, header: Header<'_>) -> bool {
        let name = header.name_bytes();
        if self.always.name(name) {
            return true;
        }
        // `*PIN*` would hide the `Ping: Pong` that answers every keep-alive.
        if self.is_response && header.is("Ping") && header.value == PONG {
            return false;
        }
        // What kind of answer it is, the record says too.
        if self.is_response && header.is("Response") {
            return false;
        }
        // What is hidden of an action's `Message` is not Asterisk's own word in the answer.
        if self.is_response && header.is("Message") {
            return self.hidden.everywhere.matches(name);
        }
        let [beside, second] = self.names_for(header.name());
        let mut given = [Some(name), beside, second].into_iter().flatten();
        given.clone().any(|name| self.names_hidden(name)) && !given.any(|name| self.shows(name))
    }

    fn hides_variable(&self, name: &[u8]) -> bool {
        self.names_hidden(name) && !self.shows(name)
    }

    /// `_x` and `__x` are `x`, inherited; a quote or a blank before the name does not make it another.
    fn names_hidden(&self, name: &[u8]) -> bool {
        let (name, bare) = (name.trim_ascii(), bare(name));
        self.hidden.name(name) || (bare != name && self.hidden.name(bare))
    }

    fn shows(&self, name: &[u8]) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.name(bare(name)))
    }

    /// The names that other headers of the message give to the value of this one: `Variable` and `Value` (Setvar,
    /// VarSet, the answer to Getvar), `Family`, `Key` and `Val` (DBPut, DBGetResponse), `Var-0` and `Value-0`
    /// (UpdateConfig).
    fn names_for(&self, header_name: &str) -> [Option<&'m [u8]>; 2] {
        let name = header_name.as_bytes();
        if name.eq_ignore_ascii_case(b"Value") {
            return [self.message.get("Variable"), None];
        }
        if name.eq_ignore_ascii_case(b"Val") {
            return [self.message.get("Key"), self.message.get("Family")];
        }
        match header_name.split_at_checked(5) {
            Some((word, number)) if number.starts_with('-') && word.eq_ignore_ascii_case("Value") => {
                [self.message.get(&format!("Var{number}")), None]
            }
            _ => [None, None],
        }
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

/// A variable's name without what stands before it.
fn bare(name: &[u8]) -> &[u8] {
    let is_decoration = |b: &u8| matches!(b, b'_' | b' ' | b'"' | b'\'' | b'\\');
    name.iter().position(|b| !is_decoration(b)).and_then(|at| name.get(at..)).unwrap_or_default().trim_ascii()
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
