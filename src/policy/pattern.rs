//! [`Pattern`]: the one language in which the policy describes values.
//!
//! ```text
//! pattern   = "_" dialplan            in dialable parameters (Exten, Digit …) only
//!           | element *
//! element   = byte                    itself; in `allow` with case, in `deny` without
//!           | "\" byte                that byte, no letter or digit
//!           | "{" name "}"            an attribute of the identity, inserted as text; {identity} is its name
//!           | "**"                    any run of bytes, also none
//!           | "*"                     a run of characters, also none; not in dialable parameters, where it is a key
//!           | "?"                     one character; not in dialable parameters
//! dialplan  = digit ("." | "!")?      "." is one or more characters, "!" is none or more
//! digit     = "X" | "Z" | "N"         0 to 9, 1 to 9, 2 to 9
//!           | "[" set "]"             such as [15-8*]
//!           | "{" name "}" | 0 … 9 | A … D | "*" | "#" | "+"        themselves, letters without case
//! ```
//!
//! In `allow`, `?`, `*`, `.` and `!` never match a delimiter: ``/ @ & , ; | $ ( ) { } [ ] < > \ " ' ` ``, a blank or a
//! control byte. In `deny` they match every byte. A character is a UTF-8 sequence, or a byte that is none; a `?` in
//! `deny` may also be a single byte of a sequence, since Asterisk does not know UTF-8.
//!
//! `-` and other letters have no place behind `_`: Asterisk skips the one and would read the others as themselves, so
//! they are mistakes. Matching takes time in proportion to the value's length, whatever the pattern.

mod meet;
mod parse;
mod run;
#[cfg(test)]
mod tests;

/// More elements than this have no place in a pattern with wildcards: the matcher's sets are of fixed size.
const MAX_ELEMENTS: usize = 255;

/// In which list a pattern stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// What may pass.
    Allow,
    /// What may not.
    Deny,
}

/// How a pattern is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// For values that are dialled.
    Dialable,
    /// For all others.
    Text,
}

/// What a pattern is apart from its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// Text alone.
    Exact,
    /// A dialplan pattern, or a dialable one that does not begin with a letter.
    Digits,
    /// Wildcards behind a first letter: extensions with names.
    Name,
    /// Text with wildcards.
    Wildcard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Byte(u8),
    /// One byte of this set of ASCII.
    Set(u128),
    /// One character.
    One,
    /// A run of characters.
    Star,
    /// Any run.
    Run,
}

/// A compiled pattern, with its attributes inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    elements: Box<[Element]>,
    side: Side,
    form: Form,
    ends_in_star_key: bool,
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The identity lacks the attribute, or it is empty.
    #[error("the attribute `{0}` is missing or empty")]
    Attribute(String),
    /// An attribute behind `_` may hold only what can be dialled.
    #[error("the attribute `{0}` has characters that no dialplan pattern can hold")]
    AttributeInDialplan(String),
    /// Something stands behind `.` or `!`, which Asterisk would ignore.
    #[error("nothing may follow `.` or `!` in a dialplan pattern")]
    BehindEnd,
    /// Something stands behind `**` in a command.
    #[error("nothing may follow the word `**` in a command")]
    BehindRest,
    /// `{` without `}`, `}` without `{`, or an empty name.
    #[error("`{{` and `}}` enclose the name of an attribute; write `\\{{` for the character itself")]
    Brace,
    /// A character that a dialplan pattern does not have.
    #[error(
        "`{0}` has no meaning in a dialplan pattern (X, Z, N, [1-5], digits, A to D, `*`, `#`, `+`, `.` and `!` do)"
    )]
    Dialplan(char),
    /// Nothing at all.
    #[error("the pattern is empty; an empty value counts as absent")]
    Empty,
    /// A backslash at the end.
    #[error("nothing follows the last `\\`")]
    EscapeAtEnd,
    /// A backslash before a letter or digit, as regular expressions have it.
    #[error("`\\{0}` means nothing; patterns are not regular expressions")]
    EscapedLetter(char),
    /// `?` in a dialable parameter.
    #[error("`?` is no wildcard in a parameter that is dialled; write a dialplan pattern (`_X`) or `\\?`")]
    QuestionMark,
    /// `[…]` that is not closed, empty, or with a range that makes no sense.
    #[error("`[…]` in a dialplan pattern holds digits, A to D, `*`, `#`, `+` and ranges such as 1-5")]
    Set,
    /// Too many elements.
    #[error("the pattern has more than {MAX_ELEMENTS} characters and a wildcard")]
    TooLong,
}

/// Where attributes come from.
pub type Attributes<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

/// Whether `byte` is one of those that no wildcard of an allow pattern matches.
#[must_use]
pub const fn is_delimiter(byte: u8) -> bool {
    matches!(
        byte,
        b'/' | b'@'
            | b'&'
            | b','
            | b';'
            | b'|'
            | b'$'
            | b'('
            | b')'
            | b'{'
            | b'}'
            | b'['
            | b']'
            | b'<'
            | b'>'
            | b'\\'
            | b'"'
            | b'\''
            | b'`'
            | 0..=b' ' | 0x7F
    )
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, dialect: Dialect, side: Side, attributes: Attributes<'_>) -> Result<Self, PatternError> {
        parse::pattern(text, dialect, side, attributes)
    }

    /// Whether the whole value matches.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        run::matches(&self.elements, self.side, value)
    }

    /// Whether some value that begins with `start`, or is it, matches.
    #[must_use]
    pub fn matches_some_behind(&self, start: &[u8]) -> bool {
        run::matches_some_behind(&self.elements, self.side, start)
    }

    /// Whether some value may match both. False is certain.
    pub(super) fn may_meet(&self, other: &Self) -> bool {
        meet::may_meet((&self.elements, self.side), (&other.elements, other.side))
    }

    /// Whether no value that matches begins with this letter, in either case. False where that is not certain.
    pub(super) fn never_begins_with(&self, letter: u8) -> bool {
        matches!(self.elements.first(), Some(Element::Byte(own)) if !own.eq_ignore_ascii_case(&letter))
    }

    /// Whether no value that matches has this byte. False where that is not certain.
    pub(super) fn never_has(&self, byte: u8) -> bool {
        self.elements.iter().all(|element| match element {
            Element::Byte(_) | Element::Set(_) => !run::takes_byte(*element, self.side, byte),
            Element::One | Element::Star | Element::Run => false,
        })
    }

    /// The only value that matches, if there is but one.
    pub(super) fn only_value(&self) -> Option<Vec<u8>> {
        let byte = |element: &Element| match element {
            Element::Byte(byte) => Some(*byte),
            Element::Set(_) | Element::One | Element::Star | Element::Run => None,
        };
        self.elements.iter().map(byte).collect::<Option<_>>().filter(|_| self.side == Side::Allow)
    }

    /// The same pattern for values in lower case.
    #[must_use]
    pub fn lowercased(mut self) -> Self {
        for element in &mut self.elements {
            if let Element::Byte(byte) = element {
                byte.make_ascii_lowercase();
            }
        }
        self
    }

    /// Whether the pattern is text alone.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.form == Form::Exact
    }

    /// Whether the pattern describes extensions that have names.
    #[must_use]
    pub fn is_name(&self) -> bool {
        self.form == Form::Name
    }

    /// Whether the pattern is `**` alone, which matches everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self.elements == [Element::Run]
    }

    /// Whether the pattern ends in a `*` that is a key of the phone, where somebody may have meant a wildcard.
    #[must_use]
    pub const fn ends_in_star_key(&self) -> bool {
        self.ends_in_star_key
    }
}
