//! A policy's test file (`<policy>.test.yaml`): who sends what from where, and what is to come of it. Read as the policy is:
//! all problems at once, with their places.

use std::net::IpAddr;
use std::path::Path;

use super::fields::{Fields, Problems};
use super::node::{self, Node, Value};
use super::source::Source;
use super::values;
use super::{Diagnostics, check_version};
use crate::policy::spec::{Position, Spanned};

/// One test of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCase {
    /// Where it stands.
    pub at: Position,
    /// What it is about, if it says so.
    pub name: Option<String>,
    /// Whose session it is.
    pub identity: Spanned,
    /// From where; not asked if not given.
    pub from: Option<IpAddr>,
    /// The packet, CRLF at the end of each line and an empty line at the end.
    pub packet: Vec<u8>,
    /// Which way it goes.
    pub direction: Direction,
    /// Which action of the identity's own the event answers, if it does.
    pub answers: Option<Spanned>,
    /// What is to come of it.
    pub expect: Expect,
    /// The reason code, if it matters.
    pub reason: Option<Spanned>,
    /// The path of the rule that decides, if it matters.
    pub rule: Option<Spanned>,
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `send:`, from the client.
    ToAsterisk,
    /// `event:`, from Asterisk.
    ToClient,
}

/// What is to come of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The action is forwarded.
    Allow,
    /// The action is refused.
    Deny,
    /// The action is forwarded only because the identity is in shadow mode.
    WouldDeny,
    /// The event is passed on.
    Shown,
    /// The event is not passed on.
    Hidden,
}

impl Expect {
    const ALL: [Self; 5] = [Self::Allow, Self::Deny, Self::WouldDeny, Self::Shown, Self::Hidden];

    /// How the file says it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::WouldDeny => "would-deny",
            Self::Shown => "shown",
            Self::Hidden => "hidden",
        }
    }
}

/// Reads a test file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn test_cases(path: &Path) -> Result<Vec<TestCase>, Diagnostics> {
    let Source { text, .. } = Source::read(path)?;
    let mut problems = Problems::default();
    let (node, hidden) = node::parse(&text, &mut problems);
    let cases = node.map(|node| {
        let fields = Fields::of(&node, "the tests", &["version", "tests"], &[], &mut problems);
        check_version(&fields, &mut problems);
        let tests = fields.need("tests", &mut problems).map(|tests| tests.list(&mut problems)).unwrap_or_default();
        tests.iter().filter_map(|test| case(test, &mut problems)).collect()
    });
    let (errors, _) = problems.into_diagnostics(path, &text, &hidden);
    match cases {
        Some(cases) if errors.is_empty() => Ok(cases),
        _ => Err(errors),
    }
}

fn case(node: &Node, problems: &mut Problems) -> Option<TestCase> {
    let known = ["name", "as", "from", "send", "event", "answers", "expect", "reason", "rule"];
    let fields = Fields::of(node, "the test", &known, &[], problems);
    let identity = fields.need("as", problems).and_then(|node| node.text(problems));
    let expect = fields.need("expect", problems).and_then(|node| expect(node, problems));
    let from = fields.take("from").and_then(|node| address(node, problems));
    let mut text = |key: &str| fields.take(key).and_then(|node| node.text(problems));
    let (name, reason, rule, answers) = (text("name"), text("reason"), text("rule"), text("answers"));
    let (direction, packet) = match (fields.take("send"), fields.take("event")) {
        (Some(node), None) => (Direction::ToAsterisk, packet(node, problems)?),
        (None, Some(node)) => (Direction::ToClient, packet(node, problems)?),
        _ => {
            let help = "`send:` is an action of the client, `event:` one of Asterisk's packets".to_owned();
            problems.error(node.at, "a test has either `send` or `event`", Some(help));
            return None;
        }
    };
    if let Some(answers) = answers.as_ref().filter(|_| direction == Direction::ToAsterisk) {
        problems.error(answers.at, "only an `event` answers an action", None);
    }
    let expect = expect?;
    if (direction == Direction::ToAsterisk) != matches!(expect, Expect::Allow | Expect::Deny | Expect::WouldDeny) {
        let help = "of `send` comes `allow`, `deny` or `would-deny`; of `event`, `shown` or `hidden`".to_owned();
        problems.error(node.at, format!("`{}` cannot come of this", expect.word()), Some(help));
    }
    let name = name.map(|name| name.text);
    Some(TestCase { at: node.at, name, identity: identity?, from, packet, direction, answers, expect, reason, rule })
}

fn expect(node: &Node, problems: &mut Problems) -> Option<Expect> {
    let word = values::word(node, &Expect::ALL.map(Expect::word), problems)?;
    Expect::ALL.into_iter().find(|expect| expect.word() == word)
}

fn address(node: &Node, problems: &mut Problems) -> Option<IpAddr> {
    let text = node.text(problems)?;
    let address = text.text.parse().ok();
    if address.is_none() {
        let help = Some("such as 203.0.113.7 or 2001:db8::1".to_owned());
        problems.error(text.at, format!("`{}` is no address", text.text), help);
    }
    address
}

/// A packet as it is on the wire (a text of several lines), or its headers as a map, in which a list is a header that
/// stands there several times.
fn packet(node: &Node, problems: &mut Problems) -> Option<Vec<u8>> {
    let mut packet = Vec::new();
    let mut line = |line: &str| {
        packet.extend_from_slice(line.as_bytes());
        packet.extend_from_slice(b"\r\n");
    };
    match &node.value {
        Value::Scalar(text) => text.trim_end_matches(['\r', '\n']).lines().for_each(&mut line),
        Value::Map(headers) => {
            for (name, node) in headers {
                for value in node.list(problems) {
                    let text = value.text(problems)?;
                    if name.text.contains(['\n', '\r']) || text.text.contains(['\n', '\r']) {
                        let help = Some("for what is no proper packet, write it as a text of lines".to_owned());
                        problems.error(text.at, "a header is one line", help);
                    }
                    line(&format!("{}: {}", name.text, text.text));
                }
            }
        }
        Value::Empty | Value::List(_) => {
            let help = "{ Action: Ping }, or the packet as a text (`|`)".to_owned();
            problems.error(node.at, format!("expected a packet, found {}", node.what()), Some(help));
            return None;
        }
    }
    line("");
    Some(packet)
}
