//! [`ByValue`]: which of many allow rules of one action may allow a packet, found by the value of one parameter: a role of a
//! thousand rules, each for another mailbox, is asked as fast as one with a single rule.
//!
//! INVARIANT: only a rule that certainly does not allow is left out, so the first rule that allows is the same as if all had
//! been asked. What is left out wants a parameter that is not there, or has it with other values only, each of them exact.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::params::{Param, Rule};

/// So few rules are asked one after the other.
pub(super) const FEW: usize = 8;

/// Places of rules in their list, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ByValue {
    /// The parameter, in lower case.
    param: String,
    /// Rules that allow only these values of it.
    exact: HashMap<Vec<u8>, Vec<usize>>,
    /// All other rules: they have to be asked whatever its value is.
    others: Vec<usize>,
}

impl ByValue {
    /// Looks for the parameter that tells the rules apart best. `None` where none does.
    pub(super) fn of(rules: &[Arc<Rule>]) -> Option<Self> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for param in rules.iter().flat_map(|rule| rule.params.iter().flatten()) {
            *counts.entry(param.name.to_ascii_lowercase()).or_default() += 1;
        }
        // What less than half of the rules name leaves more than half to be asked; and each try takes time.
        let names = counts.into_iter().filter(|(_, count)| count * 2 > rules.len());
        let tries = names.map(|(name, _)| Self::by(name, rules));
        tries.min_by_key(Self::most).filter(|best| best.most() < rules.len())
    }

    fn by(param: String, rules: &[Arc<Rule>]) -> Self {
        let (mut exact, mut others): (HashMap<Vec<u8>, Vec<usize>>, _) = (HashMap::new(), Vec::new());
        for (place, rule) in rules.iter().enumerate() {
            match rule.only_values(&param) {
                Some(values) => values.into_iter().for_each(|value| exact.entry(value).or_default().push(place)),
                None => others.push(place),
            }
        }
        Self { param, exact, others }
    }

    /// How many rules may have to be asked.
    fn most(&self) -> usize {
        self.others.len() + self.exact.values().map(Vec::len).max().unwrap_or_default()
    }

    /// The first of the rules that allows.
    pub(super) fn first<'r>(&self, rules: &'r [Arc<Rule>], params: &[Param<'_>]) -> Option<&'r Arc<Rule>> {
        let allows = |place: &&usize| rules.get(**place).is_some_and(|rule| rule.allows(params));
        let of_list = |list: &[usize]| list.iter().find(allows).copied();
        let [exact, others] = self.to_be_asked(params);
        let place = of_list(exact).into_iter().chain(of_list(others)).min()?;
        rules.get(place)
    }

    /// The rules that may allow. Where the parameter is there more than once a rule has to allow each of its values, so the
    /// first will do.
    pub(super) fn to_be_asked(&self, params: &[Param<'_>]) -> [&[usize]; 2] {
        let value = params.iter().find(|param| param.is_called(&self.param)).map(Param::value);
        let exact = value.and_then(|value| self.exact.get(value));
        [exact.map_or(&[][..], Vec::as_slice), &self.others]
    }
}
