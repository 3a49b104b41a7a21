//! Text to [`Pattern`]. Every mistake has its own error; nothing is guessed.

use super::{Attributes, Dialect, Element, Form, MAX_ELEMENTS, Pattern, PatternError, Side};

/// Reads a pattern.
pub(super) fn pattern(
    text: &str,
    dialect: Dialect,
    side: Side,
    attributes: Attributes<'_>,
) -> Result<Pattern, PatternError> {
    let mut reader =
        Reader { rest: text, attributes, elements: Vec::with_capacity(text.len()), ends_in_star_key: false };
    let is_dialplan = dialect == Dialect::Dialable && text.starts_with('_');
    match dialect {
        Dialect::Dialable if is_dialplan => reader.dialplan()?,
        Dialect::Dialable | Dialect::Text => reader.text(dialect)?,
    }
    let Reader { elements, ends_in_star_key, .. } = reader;
    if elements.is_empty() {
        return Err(PatternError::Empty);
    }
    let is_exact = elements.iter().all(|element| matches!(element, Element::Byte(_)));
    if !is_exact && elements.len() > MAX_ELEMENTS {
        return Err(PatternError::TooLong);
    }
    let is_letter = |element: &Element| matches!(element, Element::Byte(byte) if byte.is_ascii_alphabetic());
    // A to D are keys of a phone: text of these alone is no name.
    let is_name_letter =
        |element: &Element| is_letter(element) && !matches!(element, Element::Byte(b'A'..=b'D' | b'a'..=b'd'));
    let is_name = elements.first().is_some_and(is_letter) && elements.iter().any(is_name_letter);
    let form = match dialect {
        _ if is_exact => Form::Exact,
        Dialect::Text => Form::Wildcard,
        Dialect::Dialable if is_name => Form::Name,
        Dialect::Dialable => Form::Digits,
    };
    Ok(Pattern { elements: elements.into(), side, form, ends_in_star_key })
}

struct Reader<'t, 'a> {
    rest: &'t str,
    attributes: Attributes<'a>,
    elements: Vec<Element>,
    ends_in_star_key: bool,
}

impl<'t, 'a> Reader<'t, 'a> {
    fn next_char(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn push_text(&mut self, text: &str) {
        self.elements.extend(text.bytes().map(Element::Byte));
    }

    fn push_char(&mut self, c: char) {
        self.push_text(c.encode_utf8(&mut [0; 4]));
    }

    fn text(&mut self, dialect: Dialect) -> Result<(), PatternError> {
        while let Some(c) = self.next_char() {
            self.ends_in_star_key = false;
            match c {
                '*' if self.rest.starts_with('*') => {
                    self.next_char();
                    self.elements.push(Element::Run);
                }
                '*' if dialect == Dialect::Text => self.elements.push(Element::Star),
                '*' => {
                    self.ends_in_star_key = true;
                    self.push_char(c);
                }
                '?' if dialect == Dialect::Text => self.elements.push(Element::One),
                '?' => return Err(PatternError::QuestionMark),
                '\\' => match self.next_char() {
                    None => return Err(PatternError::EscapeAtEnd),
                    Some(letter) if letter.is_alphanumeric() => return Err(PatternError::EscapedLetter(letter)),
                    Some(other) => self.push_char(other),
                },
                '{' => {
                    let (_, value) = self.attribute()?;
                    self.push_text(value);
                }
                '}' => return Err(PatternError::Brace),
                other => self.push_char(other),
            }
        }
        Ok(())
    }

    /// Behind `{`.
    fn attribute(&mut self) -> Result<(&'t str, &'a str), PatternError> {
        let (name, rest) = self.rest.split_once('}').ok_or(PatternError::Brace)?;
        if name.is_empty() || name.contains('{') {
            return Err(PatternError::Brace);
        }
        self.rest = rest;
        match (self.attributes)(name) {
            Some(value) if !value.is_empty() => Ok((name, value)),
            Some(_) | None => Err(PatternError::Attribute(name.to_owned())),
        }
    }

    fn dialplan(&mut self) -> Result<(), PatternError> {
        self.next_char();
        while let Some(c) = self.next_char() {
            match c {
                'X' | 'x' => self.elements.push(Element::Set(range(b'0', b'9'))),
                'Z' | 'z' => self.elements.push(Element::Set(range(b'1', b'9'))),
                'N' | 'n' => self.elements.push(Element::Set(range(b'2', b'9'))),
                '[' => self.set()?,
                '.' | '!' => {
                    if c == '.' {
                        self.elements.push(Element::One);
                    }
                    self.elements.push(Element::Star);
                    return if self.rest.is_empty() { Ok(()) } else { Err(PatternError::BehindEnd) };
                }
                '{' => {
                    let (name, value) = self.attribute()?;
                    for byte in value.bytes() {
                        let key = key(byte).ok_or_else(|| PatternError::AttributeInDialplan(name.to_owned()))?;
                        self.elements.push(Element::Set(key));
                    }
                }
                other => {
                    let key = u8::try_from(other).ok().and_then(key).ok_or(PatternError::Dialplan(other))?;
                    self.elements.push(Element::Set(key));
                }
            }
        }
        Ok(())
    }

    /// Behind `[`.
    fn set(&mut self) -> Result<(), PatternError> {
        let (inside, rest) = self.rest.split_once(']').ok_or(PatternError::Set)?;
        self.rest = rest;
        let mut bytes = inside.bytes().peekable();
        let mut set = 0;
        while let Some(from) = bytes.next() {
            set |= key(from).ok_or(PatternError::Set)?;
            if bytes.next_if_eq(&b'-').is_some() {
                let to = bytes.next().ok_or(PatternError::Set)?;
                if !from.is_ascii_digit() || !to.is_ascii_digit() || from > to {
                    return Err(PatternError::Set);
                }
                set |= range(from, to);
            }
        }
        if set == 0 {
            return Err(PatternError::Set);
        }
        self.elements.push(Element::Set(set));
        Ok(())
    }
}

/// The set of one key of a phone, letters in both cases.
fn key(byte: u8) -> Option<u128> {
    match byte {
        b'0'..=b'9' | b'*' | b'#' | b'+' => Some(1 << byte),
        b'A'..=b'D' | b'a'..=b'd' => Some(1 << byte.to_ascii_lowercase() | 1 << byte.to_ascii_uppercase()),
        _ => None,
    }
}

fn range(from: u8, to: u8) -> u128 {
    (from..=to).fold(0, |set, byte| set | 1 << byte)
}
