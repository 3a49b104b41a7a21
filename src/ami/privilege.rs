//! [`PrivilegeClass`]: Asterisk's classes of actions and events (manager.h, `EVENT_FLAG_*`; labels in manager.c, `perms`).

use std::str::FromStr;

/// One class. An action may be run with any one of its classes, an event is shown only to who may see all of its classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are Asterisk's own")]
pub enum PrivilegeClass {
    System,
    Call,
    Log,
    Verbose,
    Command,
    Agent,
    User,
    Config,
    Dtmf,
    Reporting,
    Cdr,
    Dialplan,
    Originate,
    Agi,
    Cc,
    Aoc,
    Test,
    Security,
    Message,
}

impl PrivilegeClass {
    /// All classes, in the order of Asterisk's table.
    pub const ALL: [Self; 19] = [
        Self::System,
        Self::Call,
        Self::Log,
        Self::Verbose,
        Self::Command,
        Self::Agent,
        Self::User,
        Self::Config,
        Self::Dtmf,
        Self::Reporting,
        Self::Cdr,
        Self::Dialplan,
        Self::Originate,
        Self::Agi,
        Self::Cc,
        Self::Aoc,
        Self::Test,
        Self::Security,
        Self::Message,
    ];

    /// The label in `Privilege:` headers and masks.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Call => "call",
            Self::Log => "log",
            Self::Verbose => "verbose",
            Self::Command => "command",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Config => "config",
            Self::Dtmf => "dtmf",
            Self::Reporting => "reporting",
            Self::Cdr => "cdr",
            Self::Dialplan => "dialplan",
            Self::Originate => "originate",
            Self::Agi => "agi",
            Self::Cc => "cc",
            Self::Aoc => "aoc",
            Self::Test => "test",
            Self::Security => "security",
            Self::Message => "message",
        }
    }

    /// The class of that label, compared with case, as Asterisk does (manager.c, `ast_instring`).
    #[must_use]
    pub const fn of_label(label: &[u8]) -> Option<Self> {
        Some(match label {
            b"system" => Self::System,
            b"call" => Self::Call,
            b"log" => Self::Log,
            b"verbose" => Self::Verbose,
            b"command" => Self::Command,
            b"agent" => Self::Agent,
            b"user" => Self::User,
            b"config" => Self::Config,
            b"dtmf" => Self::Dtmf,
            b"reporting" => Self::Reporting,
            b"cdr" => Self::Cdr,
            b"dialplan" => Self::Dialplan,
            b"originate" => Self::Originate,
            b"agi" => Self::Agi,
            b"cc" => Self::Cc,
            b"aoc" => Self::Aoc,
            b"test" => Self::Test,
            b"security" => Self::Security,
            b"message" => Self::Message,
            _ => return None,
        })
    }

    /// The bit in an event mask.
    #[must_use]
    pub const fn bit(self) -> u32 {
        match self {
            Self::System => 1,
            Self::Call => 1 << 1,
            Self::Log => 1 << 2,
            Self::Verbose => 1 << 3,
            Self::Command => 1 << 4,
            Self::Agent => 1 << 5,
            Self::User => 1 << 6,
            Self::Config => 1 << 7,
            Self::Dtmf => 1 << 8,
            Self::Reporting => 1 << 9,
            Self::Cdr => 1 << 10,
            Self::Dialplan => 1 << 11,
            Self::Originate => 1 << 12,
            Self::Agi => 1 << 13,
            Self::Cc => 1 << 15,
            Self::Aoc => 1 << 16,
            Self::Test => 1 << 17,
            Self::Security => 1 << 18,
            Self::Message => 1 << 30,
        }
    }
}

/// The text is not a class label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a privilege class of Asterisk")]
pub struct UnknownClass;

impl FromStr for PrivilegeClass {
    type Err = UnknownClass;

    fn from_str(text: &str) -> Result<Self, UnknownClass> {
        Self::of_label(text.as_bytes()).ok_or(UnknownClass)
    }
}
