//! What amiwall knows of Asterisk's actions and events: their names, parameters, privilege classes and dangers.
//!
//! The data stand in `actions.tsv` and `events.tsv` beside this file, one line an entry, and are read once. A test reads
//! every line. Whether something is allowed is the policy's business, not this module's.
//!
//! `actions.tsv`: name, classes (`a|b`, `-` for none), flags (`a,b`), parameters. A parameter is `Name[:kind][/bytes]`:
//! its kind is `text` unless said, and `bytes` is how much of its value Asterisk keeps. A `#` in a name stands for digits
//! (`Action-#` is `Action-000000`). `events.tsv`: name, classes, `event` | `answer` | `both`.

mod declared;
mod nearest;
mod parse;
mod sentences;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::ami::PrivilegeClass;

pub use declared::{Declared, KINDS};
pub use nearest::nearest;

/// What an action can do to the system beyond its purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Danger {
    /// It can run code on the machine, or configure something that does.
    CodeExec,
    /// It can make calls or send messages that somebody pays for.
    Cost,
    /// It changes configuration, files or the database.
    ConfigWrite,
    /// It shows what not everybody may see.
    InfoLeak,
    /// It changes calls, queues or other state.
    StateChange,
}

/// How a parameter's value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParamKind {
    /// A word that Asterisk's `ast_true` reads.
    Boolean,
    /// Name and number of a caller: `"Name" <number>`.
    CallerId,
    /// The name or unique id of a channel that exists.
    Channel,
    /// The beginning of the name of a channel that exists, or its unique id.
    ChannelPrefix,
    /// Words for the CLI.
    Command,
    /// Arguments of an application or of AGI, in which Asterisk may expand `${…}`.
    Data,
    /// Technology and address of a channel to be made; `Local/` is read more closely.
    Dial,
    /// Something that is dialled: an extension or digits.
    Dialable,
    /// A configuration file, from Asterisk's folder of them.
    Filename,
    /// A whole number.
    Integer,
    /// Mailboxes with commas between, each with its context or in `default`.
    Mailboxes,
    /// A module, with or without `.so`.
    Module,
    /// A priority that is added to the dialplan; `hint` makes Asterisk evaluate the rest at once.
    NewPriority,
    /// A priority of the dialplan: a whole number or a label.
    Priority,
    /// File or options of a recording, which Asterisk joins by commas and splits again.
    Recording,
    /// Text.
    Text,
    /// Milliseconds; Asterisk would take the leading digits of anything.
    Timeout,
    /// The name of one variable, or a dialplan function.
    Variable,
    /// Names of variables or functions, with commas between.
    VariableNames,
    /// `name=value` with commas between; the header may repeat in some actions.
    Variables,
}

/// One parameter of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamEntry {
    /// Its name as Asterisk's documentation spells it.
    pub name: &'static str,
    /// How its value is read.
    pub kind: ParamKind,
    /// How many bytes of the value Asterisk keeps, where it cuts.
    pub len_max: Option<usize>,
    /// What stands before and behind the digits of a numbered name.
    numbered: Option<(&'static str, &'static str)>,
}

/// One action.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, asked alone")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionEntry {
    /// Its place among all actions; none for one that a policy declares.
    pub number: Option<usize>,
    /// Its name as Asterisk spells it.
    pub name: &'static str,
    /// Its name in lower case.
    pub key: String,
    /// An account needs any one of these; with none every account may run it.
    pub classes: Vec<PrivilegeClass>,
    /// Its parameters.
    pub params: Vec<ParamEntry>,
    /// The worst that can be done with it.
    pub danger: Option<Danger>,
    /// It takes headers of any name (`UserEvent`).
    pub is_open: bool,
    /// Asterisk reads nothing else of that session until it is done.
    pub is_blocking: bool,
    /// amiwall answers it itself; it needs no rule.
    pub is_local: bool,
    /// Asterisk sends no `Response` to it.
    pub is_silent: bool,
}

/// Which packets bear an event's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventUse {
    /// Answers to an action; they carry its `ActionID` and no class.
    Answer,
    /// Both.
    Both,
    /// Events for everybody who may see their classes.
    Event,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventEntry {
    /// Its name as Asterisk spells it.
    pub name: &'static str,
    /// A session sees it only with all of these.
    pub classes: Vec<PrivilegeClass>,
    /// Where it occurs.
    pub used_as: EventUse,
}

struct Tables {
    actions: Vec<ActionEntry>,
    action_index: HashMap<String, usize>,
    events: Vec<EventEntry>,
    event_index: HashMap<&'static str, usize>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut actions = parse::actions(include_str!("actions.tsv"));
    for (number, entry) in actions.iter_mut().enumerate() {
        entry.number = Some(number);
    }
    let events = parse::events(include_str!("events.tsv"));
    let action_index = actions.iter().enumerate().map(|(i, entry)| (entry.key.clone(), i)).collect();
    let event_index = events.iter().enumerate().map(|(i, entry)| (entry.name, i)).collect();
    Tables { actions, action_index, events, event_index }
});

/// The action of that name, given in lower case.
#[must_use]
pub fn action(key_lowercase: &str) -> Option<&'static ActionEntry> {
    let tables = &*TABLES;
    tables.action_index.get(key_lowercase).and_then(|&index| tables.actions.get(index))
}

/// All actions, by name.
pub fn actions() -> impl ExactSizeIterator<Item = &'static ActionEntry> {
    TABLES.actions.iter()
}

/// The event of exactly that name.
#[must_use]
pub fn event(name: &str) -> Option<&'static EventEntry> {
    let tables = &*TABLES;
    tables.event_index.get(name).and_then(|&index| tables.events.get(index))
}

/// All events, by name.
pub fn events() -> impl ExactSizeIterator<Item = &'static EventEntry> {
    TABLES.events.iter()
}

/// The action whose name is most like `name`, if one is alike enough to be meant.
#[must_use]
pub fn nearest_action(name: &str) -> Option<&'static str> {
    nearest(name, actions().map(|entry| entry.name))
}

/// The event whose name is most like `name`, if one is alike enough to be meant.
#[must_use]
pub fn nearest_event(name: &str) -> Option<&'static str> {
    nearest(name, events().map(|entry| entry.name))
}

impl ActionEntry {
    /// The parameter of that name, compared without case; `Action-000012` finds `Action-#`.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&ParamEntry> {
        self.params.iter().find(|param| param.is(name))
    }
}

impl ParamEntry {
    fn is(&self, name: &str) -> bool {
        if self.name.eq_ignore_ascii_case(name) {
            return true;
        }
        let Some((before, behind)) = self.numbered else { return false };
        let is_start = |at| name.get(..at).is_some_and(|start: &str| start.eq_ignore_ascii_case(before));
        let Some(digits_end) = name.len().checked_sub(behind.len()) else { return false };
        is_start(before.len())
            && name.get(digits_end..) == Some(behind)
            && name
                .get(before.len()..digits_end)
                .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    }

    /// Whether the name stands for a family of numbered headers.
    #[must_use]
    pub const fn is_numbered(&self) -> bool {
        self.numbered.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_policy_relies_on_is_there() {
        let originate = action("originate").expect("known");
        assert_eq!((originate.name, originate.classes.as_slice()), ("Originate", &[PrivilegeClass::Originate][..]));
        assert!(originate.is_blocking && originate.danger == Some(Danger::CodeExec));
        let of = |name| originate.param(name).map(|param| (param.kind, param.len_max));
        assert_eq!(of("CHANNEL"), Some((ParamKind::Dial, Some(255))));
        assert_eq!(of("exten"), Some((ParamKind::Dialable, Some(79))));
        assert_eq!(of("otherchannelid"), Some((ParamKind::Text, Some(149))));
        assert_eq!(of("id"), None);
        assert!(action("Originate").is_none(), "keys are in lower case");
        assert!(action("userevent").is_some_and(|entry| entry.is_open));
        assert!(action("iaxnetstats").is_some_and(|entry| entry.is_silent));
        let local: Vec<&str> = actions().filter(|entry| entry.is_local).map(|entry| entry.name).collect();
        assert_eq!(local, ["Challenge", "Events", "Login", "Logoff", "WaitEvent"]);
    }

    #[test]
    fn numbered_names_are_families() {
        let update = action("updateconfig").expect("known");
        assert_eq!(update.param("action-000000").map(|param| param.name), Some("Action-#"));
        for other in ["Action-", "Action-1x", "Action-\u{e4}", "Actio", "Other-000000"] {
            assert!(update.param(other).is_none(), "{other}");
        }
        let aoc = action("aocmessage").expect("known");
        assert!(aoc.param("UnitAmount(0)").is_some() && aoc.param("UnitAmount()").is_none());
    }

    #[test]
    fn events_need_all_of_their_classes() {
        let of = |name| event(name).map(|entry| (entry.classes.as_slice(), entry.used_as));
        use PrivilegeClass as Class;
        assert_eq!(of("VoicemailPasswordChange"), Some((&[Class::System, Class::User][..], EventUse::Event)));
        assert_eq!(of("Newexten"), Some((&[Class::Dialplan][..], EventUse::Event)));
        assert_eq!(of("QueueStatusComplete"), Some((&[][..], EventUse::Answer)));
        assert_eq!(of("DeviceStateChange").map(|(_, used_as)| used_as), Some(EventUse::Both));
        assert_eq!(of("newexten"), None);
    }

    #[test]
    fn a_typing_error_is_understood() {
        assert_eq!(nearest_action("orginate"), Some("Originate"));
        assert_eq!(nearest_action("QueStatus"), Some("QueueStatus"));
        assert_eq!(nearest_event("hangup"), Some("Hangup"));
        assert_eq!(nearest_action("Frobnicate"), None);
    }
}
