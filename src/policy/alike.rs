//! What is one thing to Asterisk though it stands in several parameters, or in none: how a deny has to read a whole action.
//! In doubt a deny fires.

use super::value::ValueRule;

/// How the parameters of one action hang together.
#[derive(Debug)]
pub(super) struct Alike {
    /// A deny on one of a group counts for all of it.
    groups: &'static [&'static [&'static str]],
    /// To leave these out means all there is.
    all_if_absent: &'static [&'static str],
    /// A parameter, and the flag that means all values of it.
    all_if_true: Option<(&'static str, &'static str)>,
    /// `Family` and `Key` make up a path.
    pub(super) path: Option<Path>,
}

/// What of the database an action is about: `/Family/Key`, where either may hold `/` itself (main/db.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// One entry.
    Entry,
    /// All below it too.
    Tree,
}

const NONE: Alike = Alike { groups: &[], all_if_absent: &[], all_if_true: None, path: None };
static NOTHING: Alike = NONE;
static BRIDGE: Alike = Alike { groups: &[&["Channel1", "Channel2"]], ..NONE };
static DB_ENTRY: Alike = Alike { path: Some(Path::Entry), ..NONE };
static DB_TREE: Alike = Alike { path: Some(Path::Tree), ..NONE };
static MESSAGE: Alike = Alike { groups: &[&["To", "Destination"]], ..NONE };
static MODULE: Alike = Alike { all_if_absent: &["Module"], ..NONE };
static REDIRECT: Alike = Alike {
    groups: &[
        &["Channel", "ExtraChannel"],
        &["Context", "ExtraContext"],
        &["Exten", "ExtraExten"],
        &["Priority", "ExtraPriority"],
    ],
    ..NONE
};
static STATUS: Alike = Alike { all_if_true: Some(("Variables", "AllVariables")), ..NONE };

/// Of the action of that name, given in lower case.
pub(super) fn of(action_key: &str) -> &'static Alike {
    match action_key {
        "bridge" => &BRIDGE,
        "dbdel" | "dbget" | "dbput" => &DB_ENTRY,
        "dbdeltree" | "dbgettree" => &DB_TREE,
        "messagesend" => &MESSAGE,
        "moduleload" | "reload" => &MODULE,
        "redirect" => &REDIRECT,
        "status" => &STATUS,
        _ => &NOTHING,
    }
}

impl Alike {
    /// Whether a deny on the one parameter counts for the other.
    pub(super) fn are_one(&self, name: &str, other: &str) -> bool {
        let holds = |group: &[&str], name: &str| group.iter().any(|own| own.eq_ignore_ascii_case(name));
        self.groups.iter().any(|group| holds(group, name) && holds(group, other))
    }

    /// Whether leaving the parameter out means all there is.
    pub(super) fn is_all_if_absent(&self, name: &str) -> bool {
        self.all_if_absent.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// The flag that means all values of the parameter.
    pub(super) fn flag_for_all(&self, name: &str) -> Option<&'static str> {
        self.all_if_true.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, flag)| flag)
    }
}

impl Path {
    /// Whether a deny with these patterns is about `/family/key`, or, of a tree, about anything in it.
    pub(super) fn is_denied(self, rules: (Option<&ValueRule>, Option<&ValueRule>), values: (&[u8], &[u8])) -> bool {
        let ((family_rule, key_rule), (family, key)) = (rules, values);
        let is_tree = self == Self::Tree;
        let mut path = family.to_vec();
        if !key.is_empty() {
            path.push(b'/');
            path.extend_from_slice(key);
        }
        // `%` and `_` are wildcards to the database where it looks for a tree.
        if is_tree && (family.is_empty() || path.iter().any(|byte| matches!(byte, b'%' | b'_'))) {
            return true;
        }
        let below = |path: &[u8]| [path, b"/"].concat();
        if is_tree && family_rule.is_some_and(|rule| rule.denies_some_behind(&below(&path))) {
            return true;
        }
        memchr::memchr_iter(b'/', &path).chain([path.len()]).any(|end| {
            let head = path.get(..end).unwrap_or_default();
            let tail = path.get(end + 1..).unwrap_or_default();
            family_rule.is_none_or(|rule| rule.denies(head))
                && key_rule.is_none_or(|rule| {
                    rule.denies(tail) || (is_tree && (tail.is_empty() || rule.denies_some_behind(&below(tail))))
                })
        })
    }
}
