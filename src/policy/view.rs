//! [`View`]: what one identity sees of what Asterisk sends (`events:` of its roles).
//!
//! Fails closed: a view of no roles shows answers only, and a packet that is neither an answer nor an allowed event is
//! not shown. What a packet is, is told by its first header alone, and whose it is by its first `Privilege` header, which
//! Asterisk writes before anything that a caller or a dialplan may have chosen (manager.c, `__manager_event_sessions_va`).
//! How values are masked is in `mask.rs`; what the client wishes to see is an [`EventMask`] of its session.

use std::borrow::Cow;
use std::collections::HashSet;

use super::followed::Followed;
use super::mask::Masks;
use super::pattern::Attributes;
use super::scope::{self, Scope};
use super::spec::{Problem, RoleSpec, Spanned};
use crate::ami::{EventMask, Message, PrivilegeClass, Reply, ReplyKind, Rewrite};
use crate::catalogue;

/// Longest event name in a policy; the longest of Asterisk's own has 32 bytes.
const MAX_EVENT_NAME_LEN: usize = 80;

/// What one identity may see.
#[derive(Clone, Debug)]
pub struct View {
    allowed: Elements,
    denied: Elements,
    masks: Masks,
    scopes: Vec<Scope>,
    classes: EventMask,
}

/// A set of privilege classes (as bits) and of event names.
#[derive(Clone, Debug, Default)]
struct Elements {
    classes: u32,
    names: HashSet<Box<[u8]>>,
}

/// What a `Privilege` header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Privilege {
    classes: u32,
    has_unknown: bool,
}

/// One element of `events.allow` or `events.deny`.
#[derive(Clone, Copy)]
enum Element<'s> {
    Class(PrivilegeClass),
    Name(&'s str),
}

impl Default for View {
    /// Answers only.
    fn default() -> Self {
        let (allowed, denied) = (Elements::default(), Elements::default());
        Self { allowed, denied, masks: Masks::default(), scopes: Vec::new(), classes: EventMask::NONE }
    }
}

impl View {
    /// The view of an identity with these roles, whose includes are among them: the union of what they allow, of what
    /// they deny and of their masks, in any order; what all of their scopes hold for.
    ///
    /// # Errors
    /// Everything that is wrong with any of the roles' `events`.
    pub fn compile(roles: &[&RoleSpec], attributes: Attributes<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut allowed = Elements::default();
        let mut denied = Elements::default();
        for role in roles {
            for element in read_elements(&role.events.allow, &mut problems) {
                allowed.insert(element, str::to_owned);
            }
            for element in read_elements(&role.events.deny, &mut problems) {
                denied.insert(element, str::to_ascii_lowercase);
            }
        }
        let masks = Masks::compile(roles.iter().flat_map(|role| &role.events.mask), &mut problems);
        let scopes =
            roles.iter().filter_map(|role| Scope::compile(&role.events.scope, attributes, &mut problems)).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let classes = subscription(&allowed, &denied);
        Ok(Self { allowed, denied, masks, scopes, classes })
    }

    /// The packet as the client may see it, with its masks applied, or nothing. `is_answer`: it answers an action that
    /// was allowed (then `events.allow` is not asked). `mask`: what the client wishes to see of events that are not sent to it alone.
    /// `followed`: the calls that the session has seen so far.
    #[must_use]
    pub fn show<'r>(
        &self,
        reply: &'r Reply,
        is_answer: bool,
        mask: EventMask,
        followed: &mut Followed,
    ) -> Option<Cow<'r, Message>> {
        let is_shown = match reply.kind() {
            ReplyKind::Event => {
                let privilege = reply.message().get("Privilege").map(Privilege::read).unwrap_or_default();
                let may_see = self.may_see(reply, privilege, is_answer);
                // The end of a list belongs to nobody in particular.
                let is_in_scope = (is_answer && reply.list_frame().is_some())
                    || scope::holds(&self.scopes, reply.message(), may_see, followed);
                may_see && is_in_scope && (is_sent_to_asker(reply, is_answer) || privilege.is_wanted(mask))
            }
            // Nobody but the one who asked gets an answer.
            ReplyKind::Other | ReplyKind::Response => is_answer,
        };
        is_shown.then(|| self.masks.apply(reply.kind(), reply.message()))
    }

    /// The classes that the upstream session has to be subscribed to, so that everything that may be seen and that the
    /// client wishes to see arrives. Where calls are followed, their end has to be known, whatever the client wishes.
    #[must_use]
    pub fn subscription(&self, wish: EventMask) -> EventMask {
        let wanted = wish.and(self.classes);
        if self.scopes.is_empty() { wanted } else { wanted.or(EventMask::of([PrivilegeClass::Call])) }
    }

    /// Asterisk's answer to `ListCommands` with only those lines whose action `may` accepts.
    #[must_use]
    pub fn list_commands(reply: &Reply, may: impl Fn(&str) -> bool) -> Message {
        reply.message().rewrite(|header| {
            let is_framing = ["Response", "ActionID", "Message"].into_iter().any(|name| header.is(name));
            // A line without a name is no command, and `may` is not asked about it.
            if is_framing || (!header.name().is_empty() && may(header.name())) { Rewrite::Keep } else { Rewrite::Drop }
        })
    }

    /// Whether Asterisk is asked for events of this one's classes, so that it can arrive at all.
    #[must_use]
    pub fn arrives(&self, reply: &Reply) -> bool {
        reply.message().get("Privilege").is_none_or(|classes| self.subscription(EventMask::ALL).wants(classes))
    }

    fn may_see(&self, reply: &Reply, privilege: Privilege, is_answer: bool) -> bool {
        if privilege.classes & self.denied.classes != 0 || self.denied.has_name_without_case(reply.name()) {
            return false;
        }
        is_answer || privilege.is_within(self.allowed.classes) || self.allowed.names.contains(reply.name())
    }
}

impl Elements {
    fn insert(&mut self, element: Element<'_>, spell: impl Fn(&str) -> String) {
        match element {
            Element::Class(class) => self.classes |= class.bit(),
            Element::Name(name) => {
                self.names.insert(spell(name).into_bytes().into());
            }
        }
    }

    /// For names that are kept in lower case. A longer name than any that a policy has is in no set.
    fn has_name_without_case(&self, name: &[u8]) -> bool {
        let name = name.trim_ascii();
        let mut lower = [0; MAX_EVENT_NAME_LEN];
        let Some(lower) = lower.get_mut(..name.len()).filter(|_| !self.names.is_empty()) else { return false };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        self.names.contains(&*lower)
    }
}

impl Privilege {
    fn read(value: &[u8]) -> Self {
        let mut privilege = Self::default();
        for label in value.split(|&b| b == b',') {
            match (PrivilegeClass::of_label(label), label) {
                (Some(class), _) => privilege.classes |= class.bit(),
                (None, b"" | b"all" | b"<none>") => {}
                (None, _) => privilege.has_unknown = true,
            }
        }
        privilege
    }

    /// Whether a client with that mask wishes to see it. An event without a class is asked for by whoever has not switched
    /// events off, and one of a class that nobody knows by who wants everything.
    fn is_wanted(self, mask: EventMask) -> bool {
        let is_none = self.classes == 0 && !self.has_unknown;
        if is_none {
            !mask.is_none()
        } else {
            mask.has_all(self.classes) && (!self.has_unknown || mask == EventMask::ALL)
        }
    }

    /// Whether there is a class and all of them are in `allowed`. A class that nobody knows is in nothing.
    const fn is_within(self, allowed: u32) -> bool {
        self.classes != 0 && !self.has_unknown && self.classes & !allowed == 0
    }
}

/// Whether Asterisk sends it to who asked and to nobody else, whatever mask he has. These two it sends to everybody whose
/// mask wants them, who asked among them (manager.c: `fast_originate`, `action_userevent`).
fn is_sent_to_asker(reply: &Reply, is_answer: bool) -> bool {
    is_answer && ![&b"OriginateResponse"[..], b"UserEvent"].contains(&reply.name())
}

/// Everything the client may see comes under one of these classes. What is denied anyway is not subscribed to.
fn subscription(allowed: &Elements, denied: &Elements) -> EventMask {
    let named = allowed.names.iter().try_fold(0, |bits, name| Some(bits | classes_of_event(name)?));
    named.map_or(EventMask::ALL, |named| {
        let bits = (allowed.classes | named) & !denied.classes;
        EventMask::of(PrivilegeClass::ALL.into_iter().filter(|class| bits & class.bit() != 0))
    })
}

/// The classes (as bits) of an event that is allowed by its name; none where the catalogue lacks it: then the upstream
/// session is subscribed to everything.
fn classes_of_event(name: &[u8]) -> Option<u32> {
    let event = catalogue::event(std::str::from_utf8(name).ok()?)?;
    Some(event.classes.iter().fold(0, |bits, class| bits | class.bit()))
}

fn read_elements<'s>(elements: &'s [Spanned], problems: &mut Vec<Problem>) -> Vec<Element<'s>> {
    let mut read = Vec::with_capacity(elements.len());
    for element in elements {
        match read_element(element) {
            Ok(element) => read.push(element),
            Err(problem) => problems.push(problem),
        }
    }
    read
}

fn read_element(element: &Spanned) -> Result<Element<'_>, Problem> {
    let text = element.text.as_str();
    let problem = |message: String, help: String| Problem { at: element.at, message, help: Some(help) };
    if let Ok(class) = text.parse() {
        return Ok(Element::Class(class));
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase()) {
        let labels = PrivilegeClass::ALL.map(PrivilegeClass::label).join(", ");
        let help = format!("the classes are {labels}; an event's name is written as Asterisk spells it");
        return Err(problem(format!("`{text}` is not a privilege class"), help));
    }
    if text.contains(['*', '?']) {
        let help = "name the events one by one, or their privilege class".to_owned();
        return Err(problem(format!("`{}` has a wildcard, which event names do not take", text.escape_debug()), help));
    }
    let is_name =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !is_name || text.len() > MAX_EVENT_NAME_LEN {
        let help = "write an event's name as Asterisk spells it, such as `VarSet`, or a privilege class".to_owned();
        return Err(problem(format!("`{}` is not an event name", text.escape_debug()), help));
    }
    Ok(Element::Name(text))
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
