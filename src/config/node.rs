//! [`Node`]: YAML as a tree with positions. Every scalar is its source text (`0123` stays `0123`, `true` is text). Aliases,
//! anchors, tags, several documents, merge keys and duplicate keys are refused, and so is deep nesting. What may be a
//! secret is noted on the way, so that no diagnostic shows it.

use std::collections::HashMap;

use serde_yaml::granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::fields::Problems;
use super::hidden::{HASH_PREFIX, Hidden, is_secret_key, key_with_secret};
use crate::policy::spec::{Position, Problem, Spanned};

/// Lists and maps in each other.
const DEPTH_MAX: usize = 16;
/// Scalars, lists and maps.
const NODES_MAX: usize = 200_000;

/// One value of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Empty,
    List(Vec<Node>),
    Map(Vec<(Spanned, Node)>),
    Scalar(String),
}

impl Node {
    /// The scalar's text.
    pub(super) fn text(&self, problems: &mut Problems) -> Option<Spanned> {
        match &self.value {
            Value::Scalar(text) => Some(Spanned { text: text.clone(), at: self.at }),
            Value::Empty | Value::List(_) | Value::Map(_) => {
                problems.error(self.at, format!("expected a text, found {}", self.what()), None);
                None
            }
        }
    }

    /// The list's elements; one scalar counts as a list of one.
    pub(super) fn list(&self, problems: &mut Problems) -> &[Self] {
        match &self.value {
            Value::List(list) => list,
            Value::Scalar(_) => std::slice::from_ref(self),
            Value::Empty => &[],
            Value::Map(_) => {
                problems.error(self.at, format!("expected a list, found {}", self.what()), None);
                &[]
            }
        }
    }

    /// The map's entries.
    pub(super) fn map(&self, problems: &mut Problems) -> &[(Spanned, Self)] {
        match &self.value {
            Value::Map(map) => map,
            Value::Empty => &[],
            Value::List(_) | Value::Scalar(_) => {
                problems.error(self.at, format!("expected `key: value` pairs, found {}", self.what()), None);
                &[]
            }
        }
    }

    /// For messages.
    pub(super) const fn what(&self) -> &'static str {
        match self.value {
            Value::Empty => "nothing",
            Value::List(_) => "a list",
            Value::Map(_) => "`key: value` pairs",
            Value::Scalar(_) => "a text",
        }
    }
}

/// What of a value is hidden.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hide {
    /// All of it, but for where a secret is read from.
    All,
    /// Texts among the values of the map: somebody left out `secret:`.
    Entries,
    /// The value of `users` in it.
    Http,
    /// Only what hides itself.
    Nothing,
    /// Every value of the map: each is a secret.
    Secrets,
    /// It, if it is a text.
    Text,
}

impl Hide {
    /// What of the value of this key is hidden.
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::All, "credential" | "env" | "file") => Self::Nothing,
            (Self::All | Self::Secrets, _) => Self::All,
            (_, key) if is_secret_key(key) => Self::All,
            (Self::Entries, _) => Self::Text,
            (Self::Http, "users") => Self::Secrets,
            (_, "identities" | "upstreams" | "logins") => Self::Entries,
            (_, "http") => Self::Http,
            (Self::Http | Self::Nothing | Self::Text, _) => Self::Nothing,
        }
    }
}

fn position(marker: &Marker) -> Position {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Position { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
}

/// Reads a file's text. After an error in the YAML itself there is no tree, and nothing else can be told.
pub(super) fn parse(text: &str, problems: &mut Problems) -> (Option<Node>, Hidden) {
    let mut options = Options::default();
    options.emit_unresolved_aliases = true;
    options.disallow_directives = true;
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { text, parser, problems, hidden: Hidden::default(), nodes: 0, end: Position::default() };
    let node = builder.document();
    let mut hidden = builder.hidden;
    match node {
        Ok(node) => {
            hidden.add_comments(text);
            (Some(node), hidden)
        }
        Err(problem) => {
            problems.errors.push(problem);
            (None, Hidden::in_broken(text))
        }
    }
}

struct Builder<'t, 'p> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    problems: &'p mut Problems,
    hidden: Hidden,
    nodes: usize,
    /// Where the last text ended.
    end: Position,
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the parser may get more of them; what is not known is refused")]
impl<'t> Builder<'t, '_> {
    fn document(&mut self) -> Result<Node, Problem> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd | Event::DocumentEnd => {
                    return Err(problem(Position { line: 1, column: 1 }, "the file is empty"));
                }
                other => {
                    let node = self.node((other, span), 0, Hide::Nothing)?;
                    return self.finish().map(|()| node);
                }
            }
        }
    }

    /// Nothing may follow the one document.
    fn finish(&mut self) -> Result<(), Problem> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(()),
                _ => {
                    let at = position(&span.start);
                    return Err(problem(at, "a second document (`---`) in the file; there has to be one"));
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Problem> {
        let event = self.parser.next_event();
        let early = || problem(Position::default(), "the file ends too early");
        let (event, span) = event.ok_or_else(early)?.map_err(|error| not_yaml(&error, self.text))?;
        if !matches!(event, Event::SequenceEnd | Event::MappingEnd) || span.start != span.end {
            self.end = position(&span.end);
        }
        Ok((event, span))
    }

    fn node(&mut self, (event, span): (Event<'t>, Span), depth: usize, hide: Hide) -> Result<Node, Problem> {
        let at = position(&span.start);
        self.nodes += 1;
        if depth > DEPTH_MAX {
            return Err(problem(at, format!("nested more than {DEPTH_MAX} deep: this is no policy")));
        }
        if self.nodes > NODES_MAX {
            return Err(problem(at, format!("more than {NODES_MAX} values: this is no policy")));
        }
        let (has_anchor, has_tag) = decoration(&event);
        if has_anchor {
            let help = "write the value wherever it is needed; a text that begins with `&` needs quotes";
            self.problems.error(at, "anchors (`&name`) have no place in a policy", Some(help.to_owned()));
        }
        if has_tag {
            let help = "every value is its text; one that begins with `!` needs quotes";
            self.problems.error(at, "tags (`!name`) have no place in a policy", Some(help.to_owned()));
        }
        let value = match event {
            // `!secret: x` is `x` with a tag.
            Event::Scalar(..) if has_anchor || has_tag => {
                self.hidden.add(at, self.end);
                Value::Empty
            }
            Event::Scalar(text, style, ..) => {
                if hide == Hide::Text || text.starts_with(HASH_PREFIX) {
                    self.hidden.add(at, self.end);
                }
                scalar(&text, style)
            }
            Event::SequenceStart(..) => self.list(depth, hide)?,
            Event::MappingStart(..) => self.map(depth, hide)?,
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let help = "a text that begins with `*` needs quotes: \"*…\"";
                self.problems.error(at, "aliases (`*name`) have no place in a policy", Some(help.to_owned()));
                Value::Empty
            }
            _ => return Err(problem(at, "not YAML")),
        };
        Ok(Node { at, value })
    }

    fn list(&mut self, depth: usize, hide: Hide) -> Result<Value, Problem> {
        let hide = if hide == Hide::All { hide } else { Hide::Nothing };
        let mut list = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(list)),
                start => list.push(self.node(start, depth + 1, hide)?),
            }
        }
    }

    fn map(&mut self, depth: usize, hide: Hide) -> Result<Value, Problem> {
        let mut map: Vec<(Spanned, Node)> = Vec::new();
        let mut seen: HashMap<String, u32> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Value::Map(map));
            }
            let key = self.node((event, span), depth + 1, Hide::Nothing)?;
            let (at, key_end) = (key.at, self.end);
            let text = match key.value {
                Value::Scalar(text) => Some(self.hide_key(text, at)),
                Value::Empty | Value::List(_) | Value::Map(_) => {
                    self.problems.error(at, "a key has to be a text", None);
                    None
                }
            };
            let below = text.as_deref().map_or(hide, |key| hide.below(key));
            let start = self.next()?;
            let is_plain_map = matches!(start.0, Event::MappingStart(..)) && decoration(&start.0) == (false, false);
            let value = self.node(start, depth + 1, below)?;
            if below == Hide::All && !is_plain_map {
                // In a map of secrets the keys are no better than the values.
                self.hidden.add(if hide == Hide::All { at } else { behind_colon(key_end) }, self.end);
            }
            let Some(text) = text else { continue };
            if text == "<<" {
                let help = "`include:` takes a role into another".to_owned();
                self.problems.error(at, "merge keys (`<<`) have no place in a policy", Some(help));
            } else if let Some(first) = seen.get(&text) {
                let what = if hide == Hide::All { "this key" } else { &format!("the key `{text}`") };
                let help = "one of the two would be lost; make one of them".to_owned();
                self.problems.error(at, format!("{what} stands twice, first in line {first}"), Some(help));
            } else {
                seen.insert(text.clone(), at.line);
                map.push((Spanned { text, at }, value));
            }
        }
    }

    /// The key as problems may name it.
    fn hide_key(&mut self, text: String, at: Position) -> String {
        let Some(shown) = key_with_secret(&text) else { return text };
        self.hidden.add(at, self.end);
        format!("{shown}…")
    }
}

const fn behind_colon(end: Position) -> Position {
    Position { line: end.line, column: end.column.saturating_add(1) }
}

/// Whether the value has an anchor, and a tag.
#[expect(clippy::wildcard_enum_match_arm, reason = "the parser may get more of them")]
const fn decoration(event: &Event<'_>) -> (bool, bool) {
    match event {
        Event::Scalar(_, _, anchor, tag)
        | Event::SequenceStart(_, anchor, tag)
        | Event::MappingStart(_, anchor, tag) => (*anchor != 0, tag.is_some()),
        _ => (false, false),
    }
}

fn problem(at: Position, message: impl Into<String>) -> Problem {
    Problem { at, message: message.into(), help: None }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the parser may get more of them")]
fn not_yaml(error: &ScanError, text: &str) -> Problem {
    let at = position(error.marker());
    let help = match error.kind() {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            "indent with blanks, not with tabs".to_owned()
        }
        _ => {
            let before = line_before(text, at.line);
            let compare =
                before.map(|before| format!("compare how far lines {before} and {} are indented, and ", at.line));
            let look = "look in the lines above for a quote or bracket that is not closed";
            format!("the problem may begin before this place: {}{look}", compare.unwrap_or_default())
        }
    };
    Problem { at, message: format!("not YAML: {}", error.info()), help: Some(help) }
}

/// The last line above that one in which there is something.
fn line_before(text: &str, line: u32) -> Option<usize> {
    let above = text.lines().take(usize::try_from(line).unwrap_or_default().saturating_sub(1));
    let is_something = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    (1..).zip(above).filter(|(_, line)| is_something(line)).last().map(|(number, _)| number)
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let is_plain = style == ScalarStyle::Plain;
    if is_plain && matches!(text, "" | "~" | "null") { Value::Empty } else { Value::Scalar(text.to_owned()) }
}
