//! One entry of `allow` or `deny` made into a [`Rule`] for one identity: names looked up, patterns read, attributes
//! inserted. Every mistake of the entry is reported, not only the first.

use std::collections::HashSet;
use std::sync::Arc;

use crate::catalogue::{self, ActionEntry, Declared, ParamEntry, ParamKind};

use super::alike;
use super::caller_id::CallerIdPattern;
use super::command::CommandPattern;
use super::decision::RuleId;
use super::params::{ParamRule, Presence, Rule};
use super::pattern::{Attributes, Dialect, Pattern, PatternError, Side};
use super::report::Report;
use super::spec::{Position, RuleSpec, Spanned, ValueSpec};
use super::value::{self, CallerIdOrType, Text, ValueRule};

/// What to write where somebody wrote another language.
const PATTERN_HELP: &str = "a parameter that is dialled takes patterns of the dialplan, which begin with `_` (`_0XXXX`: X is a digit); \
    elsewhere `?` is one character and `*` a run of them";

/// For whom a rule is bound.
#[derive(Clone, Copy)]
pub(super) struct Binding<'a> {
    /// The identity's name; none while a role is only being checked.
    pub(super) client: Option<&'a str>,
    pub(super) attributes: Attributes<'a>,
    pub(super) side: Side,
    pub(super) declared: &'a Declared,
}

/// Makes a rule of an entry; none if something is wrong with it, which `report` then holds.
pub(super) fn rule(spec: &RuleSpec, id: RuleId, binding: Binding<'_>, report: &mut Report) -> Option<Rule> {
    let key = spec.action.text.to_ascii_lowercase();
    let entry = binding.declared.action(&key);
    if binding.side == Side::Allow {
        check_allowed_action(spec, &key, entry, report);
    } else if entry.is_none() {
        let message = format!("Asterisk has no action `{}`", spec.action.text);
        match did_you_mean_action(&key) {
            // A deny with a typing error would deny nothing.
            Some(help) => report.error(spec.action.at, message, Some(help)),
            None => report.warn(spec.action.at, message, None),
        }
    }
    let alike = alike::of(&key);
    let Some(params) = &spec.params else { return Some(Rule { id, params: None, alike }) };
    let mut seen = HashSet::new();
    let mut bound = Vec::with_capacity(params.len());
    let told = report.warnings();
    let mut binder = Binder { binding, at: spec.action.at, report };
    for (name, values) in params {
        binder.at = name.at;
        bound.push(binder.param(name, values, entry, &mut seen));
    }
    forget_what_follows(&key, entry, told, report);
    let params = bound.into_iter().map(|param| param.map(Arc::new)).collect::<Option<Vec<_>>>();
    params.map(|params| Rule { id, params: Some(params), alike })
}

/// The rule of an entry for another identity than `other` is of: what has no attributes is the same, and what is to be told of
/// it was told.
pub(super) fn rule_like(other: &Rule, spec: &RuleSpec, binding: Binding<'_>, report: &mut Report) -> Option<Rule> {
    let key = spec.action.text.to_ascii_lowercase();
    let entry = binding.declared.action(&key);
    let told = report.warnings();
    let mut binder = Binder { binding, at: spec.action.at, report };
    let params = spec.params.iter().flatten().zip(other.params.iter().flatten()).map(|((name, values), param)| {
        if !has_attribute(values) {
            return Some(param.clone());
        }
        binder.at = name.at;
        binder.param(name, values, entry, &mut HashSet::new()).map(Arc::new)
    });
    // Each mistake is reported, not only the first.
    let params: Vec<_> = params.collect();
    forget_what_follows(&key, entry, told, report);
    let params = params.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Rule { params: Some(params), ..other.clone() })
}

/// Takes back warnings that follow from the name of an action, which was told.
fn forget_what_follows(key: &str, entry: Option<&ActionEntry>, told: usize, report: &mut Report) {
    if entry.is_none() && did_you_mean_action(key).is_some() {
        report.forget_warnings(told);
    }
}

/// Whether an attribute may be meant somewhere in a value; a `{` that is none costs only some memory.
pub(super) fn has_attribute(value: &ValueSpec) -> bool {
    match value {
        ValueSpec::AnyOf(list) => list.iter().any(|source| source.text.contains('{')),
        ValueSpec::Map(map) => map.iter().any(|(name, value)| name.text.contains('{') || has_attribute(value)),
    }
}

fn check_allowed_action(spec: &RuleSpec, key: &str, entry: Option<&ActionEntry>, report: &mut Report) {
    let (name, at) = (&spec.action.text, spec.action.at);
    match entry {
        None if spec.params.is_none() => report.error(
            at,
            format!("Asterisk has no action `{name}`"),
            did_you_mean_action(key).or_else(|| Some("list the parameters that it may have".to_owned())),
        ),
        None => report.warn(at, format!("Asterisk has no action `{name}`"), did_you_mean_action(key)),
        Some(entry) if entry.is_local => {
            report.warn(at, format!("`{}` is answered by amiwall and needs no rule", entry.name), None);
        }
        Some(entry) if entry.key == super::actions::NEVER_FORWARDED => {
            report.warn(at, format!("`{}` is never forwarded", entry.name), None);
        }
        Some(_) => {}
    }
}

fn did_you_mean_action(key: &str) -> Option<String> {
    catalogue::nearest_action(key).map(|name| format!("did you mean `{name}`?"))
}

/// A pattern that would have a meaning in the dialplan or as a regular expression, and here is only text.
fn looks_like_another_language(text: &str, kind: ParamKind) -> Option<(String, String)> {
    let is_of = |letters: &str| text.chars().all(|c| letters.contains(c));
    if kind == ParamKind::Dialable && !is_regex(text) {
        let is_digits = is_of("0123456789XZN.![]-*#+") && text.contains(|c: char| "XZN.!".contains(c));
        let message = || format!("`{text}` is only itself here");
        return is_digits.then(|| (message(), format!("a pattern of the dialplan begins with `_`: `_{text}`")));
    }
    let is_dialplan = text.strip_prefix('_').is_some_and(|rest| {
        rest.starts_with(|c: char| "0123456789XZN[".contains(c)) && rest.contains(|c: char| "XZN.![".contains(c))
    });
    (is_dialplan || is_regex(text) || text.contains("XXX")).then(|| {
        let message = format!("`{text}` is text here, no pattern of the dialplan and no regular expression");
        (message, PATTERN_HELP.to_owned())
    })
}

fn is_regex(text: &str) -> bool {
    let is_dialplan = text.starts_with('_');
    text.starts_with('^')
        || text.ends_with('$')
        || (!is_dialplan && (text.replace("*.*", "").contains(".*") || text.contains("[0-9]")))
}

/// The name without the `?` of an optional parameter.
pub(super) fn split_presence(name: &str) -> (&str, Presence) {
    name.strip_suffix('?').map_or((name, Presence::Required), |name| (name, Presence::Optional))
}

/// What an allow rule with this text for a parameter lets pass, for who looks at rules; none where it is no pattern. Every
/// attribute is `1`.
pub(crate) fn probe(text: &Spanned, known: Option<&ParamEntry>) -> Option<impl Fn(&[u8]) -> bool> {
    let binding =
        Binding { client: None, attributes: &|_| Some("1"), side: Side::Allow, declared: &Declared::default() };
    let mut report = Report::default();
    let mut binder = Binder { binding, at: text.at, report: &mut report };
    let rule = binder.value(&ValueSpec::AnyOf(vec![text.clone()]), known)?;
    Some(move |value: &[u8]| rule.allows(value))
}

struct Binder<'a, 'r> {
    binding: Binding<'a>,
    /// Where the parameter stands.
    at: Position,
    report: &'r mut Report,
}

impl Binder<'_, '_> {
    fn param(
        &mut self,
        name: &Spanned,
        values: &ValueSpec,
        entry: Option<&'static ActionEntry>,
        seen: &mut HashSet<String>,
    ) -> Option<ParamRule> {
        let (text, presence) = split_presence(&name.text);
        let known = entry.and_then(|entry| entry.param(text));
        let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        if !is_name || text.eq_ignore_ascii_case("Action") {
            self.report.error(name.at, format!("`{}` is not the name of a parameter", name.text), None);
        } else if text.eq_ignore_ascii_case("ActionID") {
            self.report.error(name.at, "ActionID is always free and cannot be judged".to_owned(), None);
        } else if !seen.insert(text.to_ascii_lowercase()) {
            self.report.error(name.at, format!("the parameter `{text}` stands twice"), None);
        } else if let Some(entry) = entry.filter(|entry| known.is_none() && !entry.is_open) {
            self.unknown_param(name, text, entry);
        }
        if self.binding.side == Side::Deny && presence == Presence::Optional {
            let help = "a deny rule fires when all that it names is there; leave out what does not matter".to_owned();
            self.report.error(name.at, format!("`{}` makes no sense in a deny rule", name.text), Some(help));
        }
        let line = name.at.line;
        let name = known.filter(|known| known.name.eq_ignore_ascii_case(text)).map_or(text, |known| known.name);
        let value = self.value(values, known)?;
        Some(ParamRule { name: name.to_owned(), line, presence, value })
    }

    /// Asterisk would ignore the header, so it is removed before judging: an allow rule that wants it never matches, and
    /// a deny rule that names it never fires.
    fn unknown_param(&mut self, name: &Spanned, text: &str, entry: &ActionEntry) {
        let message = format!("`{}` has no parameter `{text}`", entry.name);
        let near = catalogue::nearest(text, entry.params.iter().map(|param| param.name));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        // What Asterisk does not know never comes, and never matches: only an optional one is without effect.
        match self.binding.side {
            Side::Allow if name.text.ends_with('?') => self.report.warn(name.at, message, help),
            Side::Allow | Side::Deny => self.report.error(name.at, message, help),
        }
    }

    fn value(&mut self, values: &ValueSpec, known: Option<&ParamEntry>) -> Option<ValueRule> {
        let kind = known.map_or(ParamKind::Text, |known| known.kind);
        match (values, kind) {
            (ValueSpec::Map(map), ParamKind::Variables) => {
                let entries: Vec<_> = map.iter().map(|(name, values)| self.variable(name, values)).collect();
                entries.into_iter().collect::<Option<Vec<_>>>().map(ValueRule::Variables)
            }
            (ValueSpec::Map(map), _) => {
                let at = map.first().map_or(self.at, |(name, _)| name.at);
                self.report.error(at, "only a list of variables has a map of names and values".to_owned(), None);
                None
            }
            (ValueSpec::AnyOf(list), ParamKind::Variables) => self.any_variables(list),
            (ValueSpec::AnyOf(list), kind) => self.any_of(list, kind),
        }
    }

    fn any_of(&mut self, list: &[Spanned], kind: ParamKind) -> Option<ValueRule> {
        let (side, attributes) = (self.binding.side, self.binding.attributes);
        Some(match kind {
            ParamKind::CallerId => ValueRule::CallerIds(self.each(list, |text| match text {
                "callerid" => Ok(CallerIdOrType::Type),
                text => CallerIdPattern::parse(text, side, attributes).map(CallerIdOrType::Like),
            })?),
            ParamKind::Command => {
                ValueRule::Commands(self.each(list, |text| CommandPattern::parse(text, side, attributes))?)
            }
            ParamKind::VariableNames => {
                ValueRule::Names(self.each(list, |text| Pattern::parse(text, Dialect::Text, side, attributes))?)
            }
            ParamKind::Boolean
            | ParamKind::Channel
            | ParamKind::ChannelPrefix
            | ParamKind::Data
            | ParamKind::Dial
            | ParamKind::Dialable
            | ParamKind::Filename
            | ParamKind::Integer
            | ParamKind::Mailboxes
            | ParamKind::Module
            | ParamKind::NewPriority
            | ParamKind::Priority
            | ParamKind::Recording
            | ParamKind::Text
            | ParamKind::Timeout
            | ParamKind::Variable
            | ParamKind::Variables => ValueRule::Texts(kind, self.texts(list, kind)?),
        })
    }

    /// `Variable: "**"` is any list; other texts would leave open which variables they mean.
    fn any_variables(&mut self, list: &[Spanned]) -> Option<ValueRule> {
        let (side, attributes) = (self.binding.side, self.binding.attributes);
        let everything = || Pattern::parse("**", Dialect::Text, side, attributes);
        if let ([text], Ok(name), Ok(value)) = (list, everything(), everything())
            && matches!(text.text.as_str(), "*" | "**")
        {
            return Some(ValueRule::Variables(vec![(name, vec![Text::Like(value)])]));
        }
        let at = list.first().map_or(self.at, |text| text.at);
        let help = Some("write a map of names and patterns: { campaign_id: \"*\" }".to_owned());
        self.report.error(at, "`Variable` holds a list of variables".to_owned(), help);
        None
    }

    fn variable(&mut self, name: &Spanned, values: &ValueSpec) -> Option<(Pattern, Vec<Text>)> {
        let (side, attributes) = (self.binding.side, self.binding.attributes);
        if name.text.ends_with('?') && !name.text.ends_with("\\?") {
            let help = Some("each variable may be absent or occur; leave out the `?`".to_owned());
            self.report.error(name.at, format!("`{}` is not the name of a variable", name.text), help);
        }
        let names = self.each(std::slice::from_ref(name), |text| Pattern::parse(text, Dialect::Text, side, attributes));
        let ValueSpec::AnyOf(list) = values else {
            self.report.error(name.at, "a variable's value is a pattern or a list of patterns".to_owned(), None);
            return None;
        };
        let texts = self.texts(list, ParamKind::Data);
        names?.pop().zip(texts)
    }

    fn texts(&mut self, list: &[Spanned], kind: ParamKind) -> Option<Vec<Text>> {
        let (side, attributes) = (self.binding.side, self.binding.attributes);
        let texts = self.each(list, |text| value::text(text, kind, side, attributes))?;
        for source in list {
            if let Some((message, help)) = looks_like_another_language(&source.text, kind) {
                self.report.warn(source.at, message, Some(help));
            }
        }
        for (text, source) in texts.iter().zip(list) {
            if matches!(text, Text::Like(pattern) if pattern.ends_in_star_key()) {
                let message = format!("the `*` of `{}` is a key of the phone here, no wildcard", source.text);
                self.report.warn(source.at, message, Some("write `**` or a dialplan pattern (`_9.`)".to_owned()));
            }
        }
        Some(texts)
    }

    fn each<T>(&mut self, list: &[Spanned], parse: impl Fn(&str) -> Result<T, PatternError>) -> Option<Vec<T>> {
        if list.is_empty() {
            self.report.error(self.at, "an empty list matches nothing".to_owned(), None);
            return None;
        }
        let mut all = Vec::with_capacity(list.len());
        for source in list {
            match parse(&source.text) {
                Ok(one) => all.push(one),
                Err(error) => self.pattern_error(source, &error),
            }
        }
        (all.len() == list.len()).then_some(all)
    }

    fn pattern_error(&mut self, source: &Spanned, error: &PatternError) {
        let at = source.at;
        let is_count = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
        match (error, self.binding.client) {
            (PatternError::Attribute(name), _) if is_regex(&source.text) && is_count(name) => {
                let message = format!("`{}` is a regular expression, which no pattern is", source.text);
                self.report.error(at, message, Some(PATTERN_HELP.to_owned()));
            }
            (PatternError::Attribute(name), Some(client)) => {
                let message = format!("the identity `{client}` lacks the attribute `{name}`, which this rule needs");
                self.report.error(at, message, Some(format!("add it under identities.{client}.attributes")));
            }
            _ => self.report.error(at, error.to_string(), None),
        }
    }
}
