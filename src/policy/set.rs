//! `set:` of a role: what amiwall puts into an action that it forwards, whatever the client sent. It changes what was
//! judged, so it is written by the policy's author alone: texts, the identity's attributes and the id of the record.

use std::collections::BTreeMap;

use crate::ami::{Action, Limits, Message, Rewrite};
use crate::catalogue::{self, Declared, ParamEntry, ParamKind};

use super::pattern::Attributes;
use super::report::Report;
use super::spec::{Position, RoleSpec, SetSpec, SetValueSpec, Spanned};
use super::variables;

/// The id of the action's record.
const RECORD_ID: &str = "audit_id";
/// What Asterisk takes where there is no `Timeout` (manager.c, `action_originate`), in milliseconds.
const DEFAULT_TIMEOUT_MS: u64 = 30_000;
/// The longest text of one value.
const VALUE_LEN_MAX: usize = 255;

/// Everything that is set in one action for one identity, by the parameter's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SetRules(BTreeMap<&'static str, SetValue>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum SetValue {
    /// This, instead of what the client sent.
    Text(Template),
    /// What the client sent, but never more.
    AtMost(u64),
    /// These variables, instead of those of the same names.
    Variables(BTreeMap<String, Template>),
}

/// A text with places for what is known only when the action comes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    RecordId,
}

/// Adds what a role sets to what others have set, by the action's name in lower case. Two roles that set the same thing
/// to different values are an error: which of them came first must not matter.
pub(super) fn add(
    all: &mut BTreeMap<String, SetRules>,
    role: &RoleSpec,
    attributes: Attributes<'_>,
    declared: &Declared,
    report: &mut Report,
) {
    for set in &role.set {
        let key = set.action.text.to_ascii_lowercase();
        let Some(params) = known(set, (&key, declared), report) else { continue };
        let rules = all.entry(key).or_default();
        for (name, entry, value) in params {
            if let Some(value) = compile(name, entry, value, attributes, report) {
                rules.merge(entry.name, value, name, report);
            }
        }
    }
}

type Param<'s> = (&'s Spanned, &'static ParamEntry, &'s SetValueSpec);

/// The parameters of one entry, as the catalogue knows them.
fn known<'s>(set: &'s SetSpec, (key, declared): (&str, &Declared), report: &mut Report) -> Option<Vec<Param<'s>>> {
    let (name, at) = (&set.action.text, set.action.at);
    let Some(entry) = declared.action(key) else {
        let help = catalogue::nearest_action(key).map(|near| format!("did you mean `{near}`?"));
        report.error(at, format!("Asterisk has no action `{name}`"), help);
        return None;
    };
    if entry.is_local {
        report.error(at, format!("`{}` is answered by amiwall; nothing of it is forwarded", entry.name), None);
        return None;
    }
    let mut known = Vec::with_capacity(set.params.len());
    for (name, value) in &set.params {
        match entry.param(&name.text).filter(|param| param.name.eq_ignore_ascii_case(&name.text)) {
            Some(param) => known.push((name, param, value)),
            None => {
                let near = catalogue::nearest(&name.text, entry.params.iter().map(|param| param.name));
                let help = near.map(|near| format!("did you mean `{near}`?"));
                report.error(name.at, format!("`{}` has no parameter `{}`", entry.name, name.text), help);
            }
        }
    }
    Some(known)
}

fn compile(
    name: &Spanned,
    entry: &ParamEntry,
    value: &SetValueSpec,
    attributes: Attributes<'_>,
    report: &mut Report,
) -> Option<SetValue> {
    match (value, entry.kind) {
        (SetValueSpec::Variables(list), ParamKind::Variables) => {
            let mut variables = BTreeMap::new();
            for (variable, value) in list {
                let is_name = !variable.text.is_empty()
                    && variable.text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                if !is_name {
                    let help = Some(
                        "letters, digits and `_`; `__` before it: inherited by every channel made from this".to_owned(),
                    );
                    report.error(variable.at, format!("`{}` is no name for a variable", variable.text), help);
                }
                let template = Template::parse(value, attributes, report)?;
                if template.texts().any(|text| text.contains(['"', '\\', ',', '(', ')', '[', ']', '{', '}', '$'])) {
                    report.error(value.at, "Asterisk would split or expand this value".to_owned(), None);
                }
                variables.insert(variable.text.clone(), template);
            }
            Some(SetValue::Variables(variables))
        }
        (SetValueSpec::AtMost(text), ParamKind::Timeout) => {
            let most = text.text.parse::<u64>().ok().filter(|most| (1..=86_400_000).contains(most));
            if most.is_none() {
                let help = Some("a whole number of milliseconds, such as 30000".to_owned());
                report.error(text.at, format!("`{}` is no such number", text.text), help);
            }
            most.map(SetValue::AtMost)
        }
        (SetValueSpec::Text(text), kind) if kind != ParamKind::Variables => {
            let template = Template::parse(text, attributes, report)?;
            let is_too_long = entry.len_max.is_some_and(|len_max| template.len() > len_max);
            if is_too_long || template.texts().any(|text| variables::has_expansion(text.as_bytes())) {
                let message = format!("Asterisk would cut or expand this {}", entry.name);
                report.error(text.at, message, None);
            }
            Some(SetValue::Text(template))
        }
        (_, ParamKind::Variables) => {
            let help = Some("{ campaign: \"{identity}\" }".to_owned());
            report.error(
                name.at,
                format!("`{}` is a list of variables: write their names and values", entry.name),
                help,
            );
            None
        }
        (SetValueSpec::AtMost(_) | SetValueSpec::Variables(_) | SetValueSpec::Text(_), _) => {
            let help = Some("only `Timeout` has `at_most`, only a list of variables has names".to_owned());
            report.error(name.at, format!("`{}` is set to a text", entry.name), help);
            None
        }
    }
}

impl SetRules {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a value to what other roles set. All variables are one header, which Asterisk cuts where it is too long.
    fn merge(&mut self, param: &'static str, value: SetValue, name: &Spanned, report: &mut Report) {
        self.put(param, value, name, report);
        let Some(SetValue::Variables(all)) = self.0.get(param) else { return };
        let len: usize = all.iter().map(|(name, value)| name.len() + "=,".len() + value.len()).sum();
        if param.len() + ": ".len() + len.saturating_sub(1) > Limits::CLIENT.line_len_max {
            let most = Limits::CLIENT.line_len_max;
            let message = format!("`{param}` with all that is set is longer than a line of Asterisk's ({most} bytes)");
            report.error(name.at, message, Some("set fewer variables, or shorter values".to_owned()));
        }
    }

    fn put(&mut self, param: &'static str, value: SetValue, name: &Spanned, report: &mut Report) {
        let Some(before) = self.0.get_mut(param) else {
            self.0.insert(param, value);
            return;
        };
        let mut conflict = |what: &str, at: Position| {
            let help = "an identity has all of its roles at once, and their order does not matter".to_owned();
            report.error(at, format!("another role sets {what} to something else"), Some(help));
        };
        match (before, value) {
            (SetValue::AtMost(before), SetValue::AtMost(value)) => *before = value.min(*before),
            (SetValue::Variables(before), SetValue::Variables(variables)) => {
                for (variable, template) in variables {
                    if before.get(&variable).is_some_and(|before| *before != template) {
                        conflict(&format!("the variable `{variable}`"), name.at);
                    }
                    before.insert(variable, template);
                }
            }
            (before, value) if *before != value => conflict(&format!("`{param}`"), name.at),
            _ => {}
        }
    }

    /// The action as it is sent, and the names of the parameters that it was given.
    pub(super) fn apply(&self, action: &Action, record_id: &str) -> (Action, Vec<String>) {
        let mut names = Vec::new();
        let mut added: Vec<(&str, Vec<u8>)> = Vec::new();
        for (&param, value) in &self.0 {
            let value = match value {
                SetValue::Text(template) => Some(template.fill(record_id)),
                SetValue::AtMost(most) => at_most(*most, action.get(param)),
                SetValue::Variables(variables) => {
                    let one =
                        |(name, value): (&String, &Template)| [name.as_bytes(), b"=", &value.fill(record_id)].concat();
                    Some(variables.iter().map(one).collect::<Vec<_>>().join(&b','))
                }
            };
            if let Some(value) = value {
                names.push(param.to_owned());
                added.push((param, value));
            }
        }
        let keep = |message: &Message| {
            message.rewrite(|header| {
                let Some((name, _)) = added.iter().find(|(name, _)| header.is(name)) else { return Rewrite::Keep };
                match self.0.get(name) {
                    Some(SetValue::Variables(own)) => without(own, header.value),
                    _ => Rewrite::Drop,
                }
            })
        };
        // In front: of two variables of one name the first counts, and of too many headers the last are lost.
        (action.rebuilt(&added, keep), names)
    }
}

/// What replaces the client's value, if anything has to: a timeout of 0 would be none.
fn at_most(most: u64, sent: Option<&[u8]>) -> Option<Vec<u8>> {
    let number = |value: &[u8]| std::str::from_utf8(value).ok()?.parse::<u64>().ok();
    let is_fine = sent.map_or(most >= DEFAULT_TIMEOUT_MS, |value| number(value).is_some_and(|ms| ms > 0 && ms <= most));
    (!is_fine).then(|| most.to_string().into_bytes())
}

/// A list without the variables of these names, however they are inherited.
fn without<'v>(own: &BTreeMap<String, Template>, list: &'v [u8]) -> Rewrite<'v> {
    let bare = |name: &'_ [u8]| variables::aliases(name).last().unwrap_or(name).to_vec();
    let is_own = |element: &&[u8]| {
        let (name, _) = variables::split_value(element).unwrap_or((element, &[]));
        own.keys().any(|own| bare(own.as_bytes()) == bare(name.trim_ascii()))
    };
    let mut rest: Vec<&[u8]> = variables::elements(list).filter(|element| !is_own(element)).collect();
    // Asterisk skips blanks at the start of the header, so a name that begins with one may not come to stand there: it
    // would be another variable than was judged. An empty element is nothing (manager.c, `man_do_variable_value`).
    if rest.first().is_some_and(|first| first.starts_with(b" ")) {
        rest.insert(0, b"");
    }
    if rest.is_empty() { Rewrite::Drop } else { Rewrite::Set(rest.join(&b',').into()) }
}

impl Template {
    fn parse(source: &Spanned, attributes: Attributes<'_>, report: &mut Report) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = source.text.as_str();
        while let Some((before, behind)) = rest.split_once('{') {
            let Some((name, behind)) = behind.split_once('}') else {
                report.error(
                    source.at,
                    "a `{` without its `}`".to_owned(),
                    Some("{identity}, {audit_id} or an attribute".to_owned()),
                );
                return None;
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(match (name, attributes(name)) {
                (RECORD_ID, _) => Piece::RecordId,
                (_, Some(value)) => Piece::Text(value.to_owned()),
                (name, None) => {
                    let help = "add it to the attributes of every identity that has the role".to_owned();
                    report.error(
                        source.at,
                        format!("an identity with this role lacks the attribute `{name}`"),
                        Some(help),
                    );
                    return None;
                }
            });
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let template = Self(pieces);
        let is_plain = template.texts().all(|text| text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
        let is_trimmed = source.text.trim() == source.text;
        if !is_plain || !is_trimmed || template.len() > VALUE_LEN_MAX || source.text.is_empty() {
            let help = Some(format!("1 to {VALUE_LEN_MAX} printable ASCII characters, no blank at either end"));
            report.error(source.at, "this cannot be a header's value".to_owned(), help);
            return None;
        }
        Some(template)
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::RecordId => None,
        })
    }

    /// A record's id has at most 40 bytes.
    fn len(&self) -> usize {
        let len = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::RecordId => 40,
        };
        self.0.iter().map(len).sum()
    }

    fn fill(&self, record_id: &str) -> Vec<u8> {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::RecordId => record_id.to_owned(),
        };
        self.0.iter().map(text).collect::<String>().into_bytes()
    }
}
