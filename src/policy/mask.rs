//! [`Masks`]: which values a client sees in part or not at all (`events.mask`).
//!
//! A mask names headers: text in which `*` is any run of characters and `?` is one, compared without case, as header
//! names are. It holds for a variable of that name too: for the part behind `=` in `Variable` and `ChanVariable`, and for
//! `Value` beside a `Variable` that names it (VarSet, the answer to Getvar). It does not look into free text (`Output`,
//! `AppData`, `Message`): such a header is masked by its own name.
//!
//! INVARIANT: masks only ever take away, and where several match, the strictest holds for the whole of what they cover.

use std::borrow::Cow;

use super::spec::{Problem, Spanned};
use crate::ami::{Header, Message, ReplyKind, Rewrite};

/// Longest header name pattern.
const MAX_PATTERN_LEN: usize = 80;
/// Headers that tell a client which packets belong together. Their first occurrence is never masked.
const FRAMING: [&str; 2] = ["ActionID", "EventList"];
/// What stands for a hidden value, whatever its length; an empty one too.
const HIDDEN: &[u8] = b"***";
/// How many bytes `last4` leaves.
const SHOWN_LEN: usize = 4;

/// How a value is masked, the strictest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Style {
    /// All but the last four bytes become `*`; a value of four bytes or fewer is all `*`.
    Last4,
    /// The value becomes `***`.
    Hide,
}

/// The masks of one identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    rules: Vec<(Box<[u8]>, Style)>,
}

/// What of a header is masked: everything from this byte of its value on.
#[derive(Clone, Copy, Debug)]
struct Part {
    style: Style,
    from: usize,
}

impl Masks {
    /// Takes the masks of all roles together, and notes what is wrong with them.
    pub(super) fn compile<'s>(
        specs: impl IntoIterator<Item = &'s (Spanned, Spanned)>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut rules: Vec<(Box<[u8]>, Style)> = Vec::new();
        for (pattern, style) in specs {
            let checked = check_pattern(pattern).map_err(|problem| problems.push(problem));
            let parsed = parse_style(style).map_err(|problem| problems.push(problem));
            if let (Ok(()), Ok(style)) = (checked, parsed) {
                rules.push((pattern.text.to_ascii_lowercase().into_bytes().into(), style));
            }
        }
        rules.sort_unstable();
        rules.dedup();
        Self { rules }
    }

    /// The message with its masks applied; the message itself where none matches.
    pub(super) fn apply<'m>(&self, kind: ReplyKind, message: &'m Message) -> Cow<'m, Message> {
        if self.rules.is_empty() {
            return Cow::Borrowed(message);
        }
        let mut framing = Framing::new(kind);
        if !message.headers().any(|header| !framing.has(header) && self.part_of(message, header).is_some()) {
            return Cow::Borrowed(message);
        }
        let mut framing = Framing::new(kind);
        Cow::Owned(message.rewrite(|header| {
            if framing.has(header) {
                return Rewrite::Keep;
            }
            match self.part_of(message, header) {
                None => Rewrite::Keep,
                // A line without a proper name cannot be written again in part.
                Some(_) if header.name().is_empty() => Rewrite::Drop,
                Some(part) => Rewrite::Set(part.mask(header.value).into()),
            }
        }))
    }

    fn part_of(&self, message: &Message, header: Header<'_>) -> Option<Part> {
        let (name, value) = name_and_value(header);
        let mut whole = self.style_of(name);
        if header.is("Value") {
            let named = message.get_all("Variable").filter_map(|value| self.style_of_variable(value)).max();
            whole = whole.max(named);
        }
        let variable = self.variable_part(name, value);
        match (whole, variable) {
            (None, part) => part,
            (Some(style), part) => Some(Part { style: part.map_or(style, |part| part.style.max(style)), from: 0 }),
        }
    }

    /// `Variable: name=value`, `ChanVariable: name=value` and `ChanVariable(channel): name=value`.
    fn variable_part(&self, name: &[u8], value: &[u8]) -> Option<Part> {
        let base = base_of(name);
        if !base.eq_ignore_ascii_case(b"Variable") && !base.eq_ignore_ascii_case(b"ChanVariable") {
            return None;
        }
        // A channel's name with a colon or a blank tears the header's name: the rest of it stands before the variable.
        let is_torn = base.len() < name.len() && !name.ends_with(b")");
        let start = if is_torn { memchr::memmem::find(value, b"): ").map_or(0, |at| at + 3) } else { 0 };
        let assignment = value.get(start..).unwrap_or_default();
        let equals = memchr::memchr(b'=', assignment)?;
        let style = self.style_of_variable(assignment)?;
        Some(Part { style, from: start + equals + 1 })
    }

    /// The mask of a variable, from `name` or `name=value`. `_x` and `__x` are the inherited forms of `x`.
    fn style_of_variable(&self, assignment: &[u8]) -> Option<Style> {
        let name = assignment.split(|&b| b == b'=').next().unwrap_or_default().trim_ascii();
        let once = name.strip_prefix(b"_").unwrap_or(name);
        let twice = once.strip_prefix(b"_").unwrap_or(once);
        self.style_of(name).max(self.style_of(once)).max(self.style_of(twice))
    }

    /// The strictest mask of that name, or of what stands before its parenthesis.
    fn style_of(&self, name: &[u8]) -> Option<Style> {
        let base = base_of(name);
        let matching = self
            .rules
            .iter()
            .filter(|(pattern, _)| is_match(pattern, name) || (base.len() < name.len() && is_match(pattern, base)));
        matching.map(|(_, style)| *style).max()
    }
}

impl Part {
    fn mask(self, value: &[u8]) -> Vec<u8> {
        let (kept, covered) = value.split_at_checked(self.from).unwrap_or((&[], value));
        let mut masked = kept.to_vec();
        match self.style {
            Style::Hide => masked.extend_from_slice(HIDDEN),
            Style::Last4 => {
                let shown_len = if covered.len() > SHOWN_LEN { SHOWN_LEN } else { 0 };
                let (hidden, shown) = covered.split_at_checked(covered.len() - shown_len).unwrap_or((covered, &[]));
                masked.resize(kept.len() + hidden.len(), b'*');
                masked.extend_from_slice(shown);
            }
        }
        masked
    }
}

/// Tells, header by header in order, what frames the packet and so stays as it is: the first header of an event or an
/// answer, and the first of each of [`FRAMING`].
struct Framing {
    is_first: bool,
    seen: [bool; FRAMING.len()],
}

impl Framing {
    fn new(kind: ReplyKind) -> Self {
        Self { is_first: kind != ReplyKind::Other, seen: [false; FRAMING.len()] }
    }

    fn has(&mut self, header: Header<'_>) -> bool {
        if std::mem::take(&mut self.is_first) {
            return true;
        }
        let place = FRAMING.iter().zip(&mut self.seen).find(|(name, _)| header.is(name));
        place.is_some_and(|(_, seen)| !std::mem::replace(seen, true))
    }
}

/// The header's name and value; of a line that has no proper name, what stands before and behind its colon.
fn name_and_value(header: Header<'_>) -> (&[u8], &[u8]) {
    if !header.name().is_empty() {
        return (header.name_bytes(), header.value);
    }
    let colon = memchr::memchr(b':', header.value).unwrap_or(0);
    let (name, rest) = header.value.split_at_checked(colon).unwrap_or_default();
    (name, rest.get(1..).unwrap_or_default())
}

/// A name without its parentheses: `ChanVariable` of `ChanVariable(PJSIP/1001-1)`.
fn base_of(name: &[u8]) -> &[u8] {
    memchr::memchr(b'(', name).and_then(|at| name.get(..at)).unwrap_or(name)
}

/// Whether the pattern (in lower case) matches the whole name. Takes at most pattern × name steps.
fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on when the last `*` has to take one byte more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), name.get(n)) {
            (Some(b'*'), _) => {
                p += 1;
                retry = Some((p, n));
                continue;
            }
            (Some(b'?'), Some(_)) => {}
            (Some(expected), Some(byte)) if *expected == byte.to_ascii_lowercase() => {}
            (None, None) => return true,
            _ => {
                let Some((after_star, taken)) = retry.filter(|(_, taken)| *taken < name.len()) else { return false };
                retry = Some((after_star, taken + 1));
                (p, n) = (after_star, taken + 1);
                continue;
            }
        }
        p += 1;
        n += 1;
    }
}

fn check_pattern(pattern: &Spanned) -> Result<(), Problem> {
    let text = pattern.text.as_str();
    let problem = |message: String, help: &str| Problem { at: pattern.at, message, help: Some(help.to_owned()) };
    if text.is_empty() || text.len() > MAX_PATTERN_LEN || !text.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
        let help = "write a header's or a variable's name; `*` is any run of characters, `?` is one";
        return Err(problem(format!("`{}` is not a header name", text.escape_debug()), help));
    }
    if FRAMING.iter().any(|name| name.eq_ignore_ascii_case(text)) {
        return Err(problem(format!("`{text}` cannot be masked"), "clients need it to tell packets apart"));
    }
    Ok(())
}

fn parse_style(style: &Spanned) -> Result<Style, Problem> {
    match style.text.as_str() {
        "last4" => Ok(Style::Last4),
        "hide" => Ok(Style::Hide),
        other => Err(Problem {
            at: style.at,
            message: format!("`{}` is not a mask", other.escape_debug()),
            help: Some("write `last4` (all but the last four bytes become `*`) or `hide`".to_owned()),
        }),
    }
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
