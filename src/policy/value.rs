//! What a rule says about one parameter's value, by the kind of the parameter.

use crate::catalogue::{ParamEntry, ParamKind};

use super::caller_id::{self, CallerIdPattern};
use super::command::CommandPattern;
use super::originate;
use super::pattern::{Attributes, Dialect, Pattern, PatternError, Side};
use super::variables;

/// One alternative for a plain value.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Boolean,
    Integer,
    Like(Pattern),
}

/// What one parameter may be (in `allow`) or may not be (in `deny`): any of these.
#[derive(Clone, Debug)]
pub(super) enum ValueRule {
    CallerIds(Vec<CallerIdOrType>),
    Commands(Vec<CommandPattern>),
    /// Every element of the list, in `deny` any.
    Names(Vec<Pattern>),
    Texts(ParamKind, Vec<Text>),
    /// Every element of the list, in `deny` any; values by name.
    Variables(Vec<(Pattern, Vec<Text>)>),
}

/// A caller id or the type of all of them.
#[derive(Clone, Debug)]
pub(super) enum CallerIdOrType {
    Like(CallerIdPattern),
    Type,
}

/// Whether a value may pass under a rule that says nothing about it.
pub(super) fn is_free(param: &ParamEntry, value: &[u8]) -> bool {
    !originate::needs_exact(param.kind, value)
}

/// Reads one alternative for a plain value.
pub(super) fn text(
    source: &str,
    kind: ParamKind,
    side: Side,
    attributes: Attributes<'_>,
) -> Result<Text, PatternError> {
    let dialect = if kind == ParamKind::Dialable { Dialect::Dialable } else { Dialect::Text };
    Ok(match source {
        "boolean" => Text::Boolean,
        "integer" => Text::Integer,
        pattern => Text::Like(Pattern::parse(pattern, dialect, side, attributes)?),
    })
}

impl Text {
    fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Boolean => originate::is_boolean(value),
            Self::Integer => originate::is_integer(value),
            Self::Like(pattern) => pattern.matches(value),
        }
    }

    /// Whether this may let a value pass that needs more than a wildcard.
    fn lifts(&self, kind: ParamKind, value: &[u8]) -> bool {
        let Self::Like(pattern) = self else { return false };
        let is_named = kind == ParamKind::Dialable && pattern.is_name() && originate::is_extension_name(value);
        pattern.is_exact() || is_named
    }

    fn allows(&self, kind: ParamKind, value: &[u8]) -> bool {
        self.matches(value) && (!originate::needs_exact(kind, value) || self.lifts(kind, value))
    }
}

impl ValueRule {
    /// Whether the value may pass.
    pub(super) fn allows(&self, value: &[u8]) -> bool {
        match self {
            Self::CallerIds(all) => all.iter().any(|one| match one {
                CallerIdOrType::Like(pattern) => pattern.allows(value),
                CallerIdOrType::Type => caller_id::is_caller_id(value),
            }),
            Self::Commands(all) => all.iter().any(|command| command.allows(value)),
            Self::Names(all) => variables::elements(value).all(|name| {
                all.iter().any(|own| own.matches(name) && (own.is_exact() || !variables::is_function(name)))
            }),
            Self::Texts(kind, all) => all.iter().any(|text| text.allows(*kind, value)),
            Self::Variables(all) => variables::elements(value).all(|element| {
                variables::split_value(element).is_some_and(|(name, value)| {
                    all.iter().any(|(own, texts)| {
                        own.matches(name)
                            && (own.is_exact() || !variables::is_function(name))
                            && texts.iter().any(|text| text.allows(ParamKind::Data, value))
                    })
                })
            }),
        }
    }

    /// All values that may pass, where they can be listed.
    pub(super) fn only_values(&self) -> Option<Vec<Vec<u8>>> {
        let only_value = |text: &Text| match text {
            Text::Like(pattern) => pattern.only_value(),
            Text::Boolean | Text::Integer => None,
        };
        match self {
            Self::Texts(_, all) => all.iter().map(only_value).collect(),
            Self::CallerIds(_) | Self::Commands(_) | Self::Names(_) | Self::Variables(_) => None,
        }
    }

    /// Whether the value is one that is denied, in any spelling.
    pub(super) fn denies(&self, value: &[u8]) -> bool {
        match self {
            Self::CallerIds(all) => all.iter().any(|one| match one {
                CallerIdOrType::Like(pattern) => pattern.denies(value),
                CallerIdOrType::Type => caller_id::is_caller_id(value),
            }),
            Self::Commands(all) => all.iter().any(|command| command.denies(value)),
            Self::Names(all) => variables::elements(value)
                .any(|name| variables::aliases(name).any(|alias| all.iter().any(|own| own.matches(alias)))),
            Self::Texts(kind, all) => {
                originate::any_spelling(*kind, value, |value| all.iter().any(|text| text.matches(value)))
                    || (*kind == ParamKind::ChannelPrefix && self.denies_some_behind(value))
            }
            Self::Variables(all) => variables::elements(value).any(|element| {
                let (name, value) = variables::split_value(element).unwrap_or((element, &[]));
                all.iter().any(|(own, texts)| {
                    variables::aliases(name).any(|alias| own.matches(alias))
                        && texts.iter().any(|text| text.matches(value))
                })
            }),
        }
    }

    /// Whether some value that begins so is denied.
    pub(super) fn denies_some_behind(&self, start: &[u8]) -> bool {
        match self {
            Self::Texts(_, all) => all.iter().any(|text| match text {
                Text::Like(pattern) => pattern.matches_some_behind(start),
                Text::Boolean | Text::Integer => text.matches(start),
            }),
            Self::CallerIds(_) | Self::Commands(_) | Self::Names(_) | Self::Variables(_) => true,
        }
    }
}
