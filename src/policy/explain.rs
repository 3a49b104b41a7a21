//! [`Explanation`]: a decision, and what each rule about the action has to say to it. It asks the very predicates that
//! decide, so the two cannot tell different stories.

use crate::ami::Action;
use crate::catalogue;
use crate::identity::ClientName;

use super::Policy;
use super::decision::{Decision, RuleId};
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
            let entry = catalogue::action(action.key());
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
