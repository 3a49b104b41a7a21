//! [`Explanation`]: a decision, and what each rule about the action has to say to it. It asks the very predicates that
//! decide, so the two cannot tell different stories.

use crate::ami::{Action, Message};
use crate::identity::ClientName;

use super::Policy;
use super::decision::{Decision, Reason, Refused, RuleId};
use super::params::{self, Rule};

/// Stands for the id that the record would have.
const RECORD_ID_SHOWN: &str = "{audit_id}";

/// A decision, and how it came about.
#[derive(Debug)]
pub struct Explanation {
    /// What would happen.
    pub decision: Decision,
    /// Every rule of the identity that is about the action: denies first, then allows, in the order of the roles.
    pub considered: Vec<Considered>,
    /// The parameter whose value no rule can allow: Asterisk would cut it, or could read it in more than one way.
    pub unallowable: Option<String>,
}

/// One rule, and why it did or did not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    /// Which.
    pub rule: RuleId,
    /// What it would do.
    pub effect: Effect,
    /// What it says to this action.
    pub verdict: Verdict,
}

/// In which list a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `allow`.
    Allow,
    /// `deny`.
    Deny,
}

/// What a rule says to an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It decided.
    Decides,
    /// It fits too, but another rule decided.
    Fits,
    /// It does not fit, because of these parameters.
    Differs(Vec<Difference>),
}

/// Why one parameter does not fit a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub param: String,
    /// How it differs.
    pub how: Mismatch,
    /// The line on which the rule names it, from 1; 0 if it does not.
    pub line: u32,
}

/// How a parameter differs from what a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mismatch {
    /// The rule wants it, and it is not there.
    Missing,
    /// An allow rule without parameters lets no function, expansion or look-alike pass: some rule has to name the text.
    NotPlain,
    /// An allow rule lists what may be sent, and this is not on the list.
    Unlisted,
    /// Its value matches none of the rule's patterns.
    Value,
}

impl Policy {
    /// Judges an action as [`Policy::decide`] does, and says what every rule about it thinks.
    #[must_use]
    pub fn explain(&self, client: &ClientName, action: Action) -> Explanation {
        let (mut considered, mut unallowable) = (Vec::new(), None);
        let rules = self.client(client).and_then(|client| client.actions.get(action.key()));
        if let Some(rules) = rules {
            let entry = rules.entry;
            let params = params::params(&action, entry, &rules.names);
            unallowable = params::never_allowed(entry, &params.kept).map(str::to_owned);
            let deny = rules.deny.iter().map(|rule| (rule, Effect::Deny));
            for (rule, effect) in deny.chain(rules.allow.iter().map(|rule| (rule, Effect::Allow))) {
                considered.push(consider(rule, effect, &params.kept));
            }
        }
        let decision = self.decide(client, action, RECORD_ID_SHOWN);
        let decided_by = match &decision {
            Decision::Allow(permit) => Some(permit.rule()),
            Decision::Deny(denial) => denial.rule(),
        };
        for one in considered.iter_mut().filter(|one| one.verdict == Verdict::Fits) {
            if Some(&one.rule) == decided_by {
                one.verdict = Verdict::Decides;
            }
        }
        Explanation { decision, considered, unallowable }
    }
}

fn consider(rule: &Rule, effect: Effect, params: &[params::Param<'_>]) -> Considered {
    let differences = match effect {
        Effect::Allow => rule.misfits(params),
        Effect::Deny => rule.unmet(params),
    };
    let verdict = if differences.is_empty() { Verdict::Fits } else { Verdict::Differs(differences) };
    Considered { rule: rule.id.clone(), effect, verdict }
}

/// What a rule says to an action, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which rule, where it stands, and what it says.
    pub head: String,
    /// Its differences, one by one.
    pub differences: Vec<String>,
}

impl Explanation {
    /// What every rule says, in words; `file` is the policy's. What `is_hidden` is a parameter whose value is not the real
    /// one, so that nothing can be said of it.
    #[must_use]
    pub fn told(&self, file: &str, is_hidden: impl Fn(&str) -> bool) -> Vec<Told> {
        let (is_denied, message) = (matches!(self.decision, Decision::Deny(_)), self.decision.message());
        let told = |one: &Considered| {
            let says = match (&one.verdict, one.effect) {
                (Verdict::Decides, _) => "decides",
                (Verdict::Fits, Effect::Allow) if self.unallowable.is_some() => "would allow it otherwise",
                (Verdict::Fits, Effect::Allow) if is_denied => "would allow it, but a deny wins",
                (Verdict::Fits, _) => "fits too",
                (Verdict::Differs(_), Effect::Allow) => "does not fit",
                (Verdict::Differs(_), Effect::Deny) => "does not fire",
            };
            let differences = match &one.verdict {
                Verdict::Differs(differences) => differences.as_slice(),
                Verdict::Decides | Verdict::Fits => &[],
            };
            let in_words = |one_of: &Difference| {
                if is_hidden(&one_of.param) {
                    format!("{} is not known here: the log hides it, or a part of it", one_of.param)
                } else {
                    let is_allowable = self.unallowable.as_ref() != Some(&one_of.param);
                    let advice = one_of.advice(one.effect, message).filter(|_| is_allowable).unwrap_or_default();
                    one_of.in_words(one.effect, message, file) + &advice
                }
            };
            let differences = differences.iter().map(in_words).collect();
            Told { head: format!("{} {file}:{}: {says}", one.rule, one.rule.line), differences }
        };
        self.considered.iter().map(told).collect()
    }
}

/// How a value is written into a rule so that it fits itself and nothing else, where that is sure: not what a pattern could
/// read otherwise.
fn as_written(value: &[u8]) -> Option<String> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/@".contains(byte);
    let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| is_plain(&byte)))?;
    let is_pattern = text.starts_with('_') || matches!(text, "" | "integer" | "boolean" | "callerid");
    (!is_pattern).then(|| format!("\"{text}\""))
}

impl Difference {
    /// What to write into an allow rule, so that this would be no difference.
    fn advice(&self, effect: Effect, message: &Message) -> Option<String> {
        let Self { param, how, .. } = self;
        let mut values = message.get_all(param);
        let written = values.next().filter(|_| values.next().is_none()).and_then(as_written);
        Some(match (effect, how) {
            (Effect::Deny, _) | (_, Mismatch::NotPlain) => return None,
            (_, Mismatch::Missing) => format!("; for what may be without it: \"{param}?\""),
            // It is a list of names, each of which has a pattern.
            (_, Mismatch::Unlisted) if param.eq_ignore_ascii_case("Variable") => {
                format!("; to allow it: \"{param}?\": {{ NAME: PATTERN }}")
            }
            (_, Mismatch::Unlisted) => {
                format!("; to allow it: \"{param}?\": {}", written.as_deref().unwrap_or("PATTERN"))
            }
            (_, Mismatch::Value) if param.eq_ignore_ascii_case("Variable") => {
                "; to allow it: each of its variables by name, with a pattern".to_owned()
            }
            (_, Mismatch::Value) => match written {
                Some(written) => format!("; to allow it: {written} beside what is there"),
                None => "; to allow it: a pattern that it fits beside what is there".to_owned(),
            },
        })
    }

    fn in_words(&self, effect: Effect, message: &Message, file: &str) -> String {
        let Self { param, how, line } = self;
        let values: Vec<String> = message.get_all(param).map(|v| format!("`{}`", v.escape_ascii())).collect();
        let value = values.join(", ");
        let place = if *line > 0 { format!(" ({file}:{line})") } else { String::new() };
        match (how, effect) {
            (Mismatch::Missing, Effect::Allow) => format!("{param} is missing{place}"),
            (Mismatch::Missing, Effect::Deny) => format!("{param} is not there{place}"),
            (Mismatch::NotPlain, _) => format!(
                "{param} {value} is a function, an expansion or not what it seems: only a rule with exactly this text lets it pass"
            ),
            (Mismatch::Unlisted, _) => format!("{param} {value} is not on the rule's list of parameters"),
            (Mismatch::Value, _) => format!("{param} {value} is not what the rule says{place}"),
        }
    }
}

impl Decision {
    /// The packet that was judged.
    #[must_use]
    pub fn message(&self) -> &Message {
        match self {
            Self::Allow(permit) => permit.action().message(),
            Self::Deny(denial) => match denial.refused() {
                Refused::Action(action) => action.message(),
                Refused::Packet(message) => message,
            },
        }
    }
}

impl Reason {
    /// It in words, where a rule is the reason; else its code.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::ActionsNever => "amiwall forwards this action for nobody".to_owned(),
            Self::ActionsUnlisted => "no rule of the identity's roles allows this action".to_owned(),
            Self::ActionsDenied => "a deny rule names this action".to_owned(),
            Self::ParamsDenied(name) => format!("a deny rule names this {name}"),
            Self::Params(name) => format!("no rule allows it with this {name}"),
            Self::ActionsBeforeLogin
            | Self::AuditUnavailable
            | Self::Limits { .. }
            | Self::Message(_)
            | Self::UpstreamHeld
            | Self::UpstreamLost => self.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_out_only_where_it_fits_itself_alone() {
        assert_eq!(as_written(b"PJSIP/1001").as_deref(), Some("\"PJSIP/1001\""));
        for other in
            ["", "_1X.", "*43", "integer", "boolean", "callerid", "{name}", "two words", "a\\b", "a\"b", "\u{e4}"]
        {
            assert_eq!(as_written(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_to_write_is_said_of_allow_rules_alone() {
        let mut message = Message::default();
        for (name, value) in [("Exten", "_1X."), ("Variable", "a=1"), ("Context", "in")] {
            message.push_lossy(name, value.as_bytes());
        }
        let advice = |param: &str, how, effect| {
            Difference { param: param.to_owned(), how, line: 1 }.advice(effect, &message).unwrap_or_default()
        };
        let allow = |param: &str, how| advice(param, how, Effect::Allow);
        assert_eq!(allow("Exten", Mismatch::Unlisted), "; to allow it: \"Exten?\": PATTERN");
        assert_eq!(allow("Exten", Mismatch::Value), "; to allow it: a pattern that it fits beside what is there");
        assert_eq!(allow("Variable", Mismatch::Unlisted), "; to allow it: \"Variable?\": { NAME: PATTERN }");
        assert!(allow("Variable", Mismatch::Value).ends_with("each of its variables by name, with a pattern"));
        assert_eq!(allow("Context", Mismatch::NotPlain), "");
        assert_eq!(advice("Context", Mismatch::Value, Effect::Deny), "");
    }
}
