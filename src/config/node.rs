//! [`Node`]: YAML as a tree with positions. Every scalar is its source text (`0123` stays `0123`, `true` is text). Aliases,
//! anchors, tags, several documents, merge keys and duplicate keys are refused, and so is deep nesting.

use serde_yaml::granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};

use super::fields::Problems;
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

fn position(marker: &Marker) -> Position {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Position { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
}

fn problem(at: Position, message: impl Into<String>) -> Problem {
    Problem { at, message: message.into(), help: None }
}

/// Reads a file's text. The first thing that is wrong with its YAML is the only one that can be told.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let mut builder = Builder { parser: Parser::new_from_str(text), nodes: 0 };
    let empty = || problem(Position { line: 1, column: 1 }, "the file is empty");
    loop {
        let (event, span) = builder.next()?.ok_or_else(empty)?;
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd | Event::DocumentEnd => return Err(empty()),
            other => {
                let node = builder.node(other, span, 0)?;
                return builder.end().map(|()| node);
            }
        }
    }
}

struct Builder<'t> {
    parser: Parser<'t, serde_yaml::granit_parser::StrInput<'t>>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    /// The next event that is no comment.
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, Problem> {
        let scan = |error: ScanError| problem(position(error.marker()), format!("not YAML: {}", error.info()));
        self.parser.next_event().transpose().map_err(scan)
    }

    fn need(&mut self) -> Result<(Event<'t>, Span), Problem> {
        self.next()?.ok_or_else(|| problem(Position::default(), "the file ends too early"))
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Problem> {
        let at = position(&span.start);
        self.nodes += 1;
        if depth > DEPTH_MAX {
            return Err(problem(at, format!("nested more than {DEPTH_MAX} deep: this is no policy")));
        }
        if self.nodes > NODES_MAX {
            return Err(problem(at, format!("more than {NODES_MAX} values: this is no policy")));
        }
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(_, anchor, tag)
            | Event::MappingStart(_, anchor, tag) => (*anchor, tag.is_some()),
            _ => (0, false),
        };
        if anchor != 0 {
            return Err(problem(at, "anchors (`&name`) are not used in policies; write the value where it is needed"));
        }
        if tag {
            return Err(problem(at, "tags (`!name`) are not used in policies"));
        }
        let value = match event {
            Event::Scalar(text, style, ..) => scalar(&text, style),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            Event::Alias(_) => {
                return Err(problem(
                    at,
                    "aliases (`*name`) are not used in policies; a text that begins with `*` needs quotes: \"*…\"",
                ));
            }
            _ => return Err(problem(at, "not YAML")),
        };
        Ok(Node { at, value })
    }

    fn list(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut list = Vec::new();
        loop {
            match self.need()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(list)),
                (event, span) => list.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut map: Vec<(Spanned, Node)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        loop {
            let (event, span) = self.need()?;
            if event == Event::MappingEnd {
                return Ok(Value::Map(map));
            }
            let key = self.node(event, span, depth + 1)?;
            let at = key.at;
            let Value::Scalar(text) = key.value else { return Err(problem(at, "a key has to be a text")) };
            if text == "<<" {
                return Err(problem(
                    at,
                    "merge keys (`<<`) are not used in policies; `include:` takes a role into another",
                ));
            }
            if !seen.insert(text.clone()) {
                return Err(problem(at, format!("the key `{text}` stands twice; one of the two would be lost")));
            }
            let (event, span) = self.need()?;
            let value = self.node(event, span, depth + 1)?;
            map.push((Spanned { text, at }, value));
        }
    }

    /// Nothing may follow the one document.
    fn end(&mut self) -> Result<(), Problem> {
        while let Some((event, span)) = self.next()? {
            match event {
                Event::DocumentEnd | Event::StreamEnd => {}
                _ => {
                    return Err(problem(
                        position(&span.start),
                        "a second document (`---`) in the file; there has to be one",
                    ));
                }
            }
        }
        Ok(())
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let is_plain = style == ScalarStyle::Plain;
    if is_plain && matches!(text, "" | "~" | "null") { Value::Empty } else { Value::Scalar(text.to_owned()) }
}
