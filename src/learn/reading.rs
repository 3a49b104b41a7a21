//! How the values of one parameter are read: which of them are only listed, and how the others may be generalised.

use std::borrow::Cow;

use crate::catalogue::{ActionEntry, ParamEntry, ParamKind};
use crate::policy::CallerId;

/// Parameters whose values are only ever listed: each of them is another thing that can be done.
const LISTED: [&str; 12] = [
    "Application",
    "Context",
    "ExtraContext",
    "Family",
    "LoadType",
    "Module",
    "Operation",
    "PreDialGoSub",
    "Registration",
    "Reload",
    "ToContext",
    "UserEvent",
];
/// The same for all parameters of these actions, which write configuration.
const LISTED_ACTIONS: [&str; 4] = ["createconfig", "dialplanextensionadd", "moduleload", "updateconfig"];
/// A shorter attribute would be found in what has nothing to do with it.
const ATTRIBUTE_LEN_MIN: usize = 3;

/// How values are generalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Boolean,
    CallerId,
    /// A channel that exists.
    Channel,
    Command,
    /// A channel to be made.
    Dial,
    Integer,
    /// Not at all.
    Listed,
    /// What is dialled.
    Number,
    Text,
}

impl Style {
    /// Whether nothing but a list, or a type of the catalogue, may stand for the values.
    pub(super) const fn is_listed(self) -> bool {
        matches!(self, Self::Boolean | Self::Integer | Self::Listed)
    }

    fn of(action: Option<&ActionEntry>, name: &str, kind: ParamKind) -> Self {
        match kind {
            ParamKind::Boolean => Self::Boolean,
            ParamKind::CallerId => Self::CallerId,
            ParamKind::Channel | ParamKind::ChannelPrefix => Self::Channel,
            ParamKind::Command => Self::Command,
            ParamKind::Dial => Self::Dial,
            ParamKind::Dialable => Self::Number,
            ParamKind::Integer | ParamKind::Timeout => Self::Integer,
            ParamKind::Data
            | ParamKind::Filename
            | ParamKind::Module
            | ParamKind::NewPriority
            | ParamKind::Priority
            | ParamKind::Recording
            | ParamKind::Variable
            | ParamKind::VariableNames => Self::Listed,
            ParamKind::Mailboxes | ParamKind::Text | ParamKind::Variables => {
                let is_listed = LISTED.iter().any(|listed| listed.eq_ignore_ascii_case(name))
                    || action.is_some_and(|action| LISTED_ACTIONS.contains(&action.key.as_str()));
                if is_listed { Self::Listed } else { Self::Text }
            }
        }
    }
}

/// An attribute of the identity, with a value that can be told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) value: String,
}

/// The attributes that are worth looking for, those with the longest values first.
pub(super) fn attributes<'a>(all: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Attribute> {
    let long = all.filter(|(_, value)| value.len() >= ATTRIBUTE_LEN_MIN);
    let mut list: Vec<Attribute> =
        long.map(|(name, value)| Attribute { name: name.to_owned(), value: value.to_owned() }).collect();
    list.sort_by(|a, b| (b.value.len(), &a.name).cmp(&(a.value.len(), &b.name)));
    list
}

/// How the values of one parameter are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    pub(super) style: Style,
    pub(super) kind: ParamKind,
    pub(super) attributes: &'a [Attribute],
}

impl<'a> Reading<'a> {
    /// Of a parameter of an action. Where the catalogue lacks either, the values are text.
    pub(super) fn of(
        action: Option<&ActionEntry>,
        name: &str,
        param: Option<&ParamEntry>,
        attributes: &'a [Attribute],
    ) -> Self {
        let kind = param.map_or(ParamKind::Text, |param| param.kind);
        let style = Style::of(action, name, kind);
        let attributes = if style.is_listed() { &[] } else { attributes };
        Self { style, kind, attributes }
    }

    /// Of one variable of a list of them.
    pub(super) const fn of_variable(attributes: &'a [Attribute]) -> Self {
        Self { style: Style::Text, kind: ParamKind::Data, attributes }
    }

    /// The value in the one form in which it is compared; none where no rule but a bare one could allow it.
    pub(super) fn canonical<'v>(&self, value: &'v [u8]) -> Option<Cow<'v, [u8]>> {
        match self.style {
            Style::CallerId => caller_id(value).map(Cow::Owned),
            Style::Command => {
                let words: Vec<&[u8]> = value.split(|b| *b == b' ').filter(|word| !word.is_empty()).collect();
                Some(words.join(&b' ').to_ascii_lowercase().into())
            }
            Style::Boolean
            | Style::Channel
            | Style::Dial
            | Style::Integer
            | Style::Listed
            | Style::Number
            | Style::Text => Some(value.into()),
        }
    }
}

/// `name <number>`, `<number>` or `name`.
fn caller_id(value: &[u8]) -> Option<Vec<u8>> {
    let CallerId { name, number } = CallerId::read(value)?;
    Some(match (name, number) {
        (name, []) if !name.is_empty() => name.to_vec(),
        ([], number) => [b"<", number, b">"].concat(),
        (name, number) => [name, b" <", number, b">"].concat(),
    })
}
