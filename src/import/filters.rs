//! `eventfilter`: a regular expression over the whole event, or `eventfilter(action(…),name(…),header(…),method(…))`.
//! What says only "this event" becomes a name in `events:`; whatever looks at what is in an event stays with Asterisk.

use std::collections::BTreeSet;

use super::notes::{Fate, shown};
use super::reader::Entry;
use crate::ami::EventMask;
use crate::catalogue::{self, EventEntry, EventUse};

/// The option's name, as far as all of its forms have it.
pub(super) const OPTION: &str = "eventfilter";

/// What a filter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) excludes: bool,
    /// None where it looks at more than the event's name.
    pub(super) names: Option<Names>,
}

/// Which events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Of exactly this name.
    Exact(String),
    /// Whose names begin so: a regular expression is not anchored, and `Event: Hangup` is in `Event: HangupRequest`.
    Beginning(Vec<String>),
}

/// `events:` of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Events {
    pub(super) allow: Vec<String>,
    pub(super) deny: Vec<String>,
    /// Whether some filter has no words here, so that Asterisk has to go on filtering.
    pub(super) is_narrowed: bool,
    /// Whether one of those includes: then all of them stay with Asterisk, since any one of them lets an event through.
    pub(super) keeps_includes: bool,
}

impl Filter {
    pub(super) fn of(entry: &Entry) -> Self {
        let criteria = entry.name.get(OPTION.len()..).unwrap_or_default().trim();
        if criteria.is_empty() { Self::legacy(&entry.text()) } else { Self::advanced(criteria, &entry.text()) }
    }

    /// `Event: Name`, `!Event: Name`, `^Event: (Name|Other)`.
    fn legacy(text: &str) -> Self {
        let (excludes, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let text = text.strip_prefix('^').unwrap_or(text);
        let text = text.strip_suffix(".*").unwrap_or(text);
        let names = text.strip_prefix("Event: ").and_then(|names| {
            let list = names.strip_prefix('(').and_then(|names| names.strip_suffix(')'));
            let names: Vec<String> = match list {
                Some(list) => list.split('|').map(str::to_owned).collect(),
                None => vec![names.to_owned()],
            };
            names.iter().all(|name| is_name(name)).then_some(Names::Beginning(names))
        });
        Self { excludes, names }
    }

    fn advanced(criteria: &str, expression: &str) -> Self {
        let (mut excludes, mut name, mut looks_inside) = (false, None, !expression.is_empty());
        let mut rest = criteria.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or("?");
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if rest.is_empty() {
                break;
            }
            let Some((key, (value, behind))) =
                rest.split_once('(').and_then(|(key, rest)| Some((key, rest.split_once(')')?)))
            else {
                looks_inside = true;
                break;
            };
            match (key, value) {
                ("action", "include") | ("method", "none") => {}
                ("action", "exclude") => excludes = true,
                ("name", value) if is_name(value) && name.is_none() => name = Some(value.to_owned()),
                _ => looks_inside = true,
            }
            rest = behind;
        }
        Self { excludes, names: name.filter(|_| !looks_inside).map(Names::Exact) }
    }
}

/// A plain name: nothing in it means anything in a regular expression.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Names {
    /// The events of the catalogue that are meant, and the names that it lacks.
    fn resolve(&self) -> (Vec<&'static EventEntry>, Vec<&str>) {
        match self {
            Self::Exact(name) => match catalogue::event(name) {
                Some(event) => (vec![event], Vec::new()),
                None => (Vec::new(), vec![name]),
            },
            Self::Beginning(names) => {
                let is_meant = |event: &&EventEntry| names.iter().any(|name| event.name.starts_with(name.as_str()));
                let lacks = |name: &&String| !catalogue::events().any(|event| event.name.starts_with(name.as_str()));
                let missing = names.iter().filter(lacks).map(String::as_str);
                (catalogue::events().filter(is_meant).collect(), missing.collect())
            }
        }
    }
}

/// What an account sees. `tell` is given each line that does not fit, why, and what becomes of it.
pub(super) fn events(read: EventMask, filters: &[Entry], mut tell: impl FnMut(Fate, &Entry, &str)) -> Events {
    let labels = crate::ami::PrivilegeClass::ALL.into_iter().filter(|class| read.has(*class));
    let classes: Vec<String> = labels.map(|class| class.label().to_owned()).collect();
    if classes.is_empty() {
        return Events::default();
    }
    let read_filters: Vec<(&Entry, Filter)> = filters.iter().map(|entry| (entry, Filter::of(entry))).collect();
    let includes: Vec<_> = read_filters.iter().filter(|(_, filter)| !filter.excludes).collect();
    let mut events = Events { allow: classes, ..Events::default() };
    for (entry, filter) in &read_filters {
        if filter.names.is_none() {
            events.is_narrowed = true;
            tell(Fate::Kept, entry, "looks at more than the event's name");
        }
    }
    if includes.iter().any(|(_, filter)| filter.names.is_none()) {
        events.keeps_includes = true;
    } else if !includes.is_empty() {
        events.allow = included(read, &includes, &mut tell);
    }
    let mut deny = BTreeSet::new();
    for names in read_filters.iter().filter(|(_, filter)| filter.excludes).filter_map(|(_, f)| f.names.as_ref()) {
        let (known, unknown) = names.resolve();
        // A deny holds for answers too, so that an event which is one as well stays Asterisk's business.
        let known = known.into_iter().filter(|event| event.used_as == EventUse::Event).map(|event| event.name);
        deny.extend(known.chain(unknown).map(str::to_owned));
    }
    events.deny = deny.into_iter().collect();
    events
}

/// The names of the filters that include, as far as the account may read them: a name in the policy needs no class.
fn included(read: EventMask, includes: &[&(&Entry, Filter)], tell: &mut impl FnMut(Fate, &Entry, &str)) -> Vec<String> {
    let mut allow = BTreeSet::new();
    for (entry, filter) in includes {
        let (known, unknown) = filter.names.as_ref().map(Names::resolve).unwrap_or_default();
        let is_readable = |event: &&&EventEntry| event.classes.iter().all(|class| read.has(*class));
        let names = known.iter().filter(|event| event.used_as != EventUse::Answer).filter(is_readable);
        allow.extend(names.map(|event| event.name.to_owned()));
        for name in unknown {
            if read == EventMask::ALL {
                allow.insert(name.to_owned());
            } else {
                let why = format!("names {}, whose class amiwall does not know; it is not shown", shown(name));
                tell(Fate::Lost, entry, &why);
            }
        }
    }
    allow.into_iter().collect()
}

#[cfg(test)]
#[path = "filters_tests.rs"]
mod tests;
