//! The actions that there are, as Asterisk 22 has them: name and classes.

use crate::ami::{EventMask, PrivilegeClass};

/// `name|classes`, one a line, in Asterisk's order.
const TABLE: &str = include_str!("commands.txt");

/// One action of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    classes: &'static str,
}

impl Entry {
    /// `Priv:` of `ListCommands`.
    pub(super) fn privilege(&self) -> String {
        if self.classes.is_empty() { "<none>".to_owned() } else { format!("{},all", self.classes) }
    }

    /// Whether a user with these write classes may run it: any one class suffices, and no class at all is for everybody.
    pub(super) fn is_allowed(&self, write: EventMask) -> bool {
        let mut classes = self.classes.split(',').filter_map(|label| label.parse::<PrivilegeClass>().ok());
        self.classes.is_empty() || classes.any(|class| write.has(class))
    }
}

/// All actions.
pub(super) fn all() -> impl Iterator<Item = Entry> {
    TABLE.lines().filter_map(|line| {
        let mut fields = line.splitn(2, '|');
        Some(Entry { name: fields.next()?, classes: fields.next()? })
    })
}

/// `action_find`: the action of that name, without case.
pub(super) fn find(name: &[u8]) -> Option<Entry> {
    all().find(|entry| name.eq_ignore_ascii_case(entry.name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_asterisks() {
        assert_eq!(all().count(), 111);
        let redirect = find(b"rEDIRECT").expect("an action");
        assert_eq!((redirect.name, redirect.privilege()), ("Redirect", "call,all".to_owned()));
        assert!(redirect.is_allowed(EventMask::of([PrivilegeClass::Call])) && !redirect.is_allowed(EventMask::NONE));
        let bridge_kick = find(b"BridgeKick").expect("an action");
        assert!(bridge_kick.is_allowed(EventMask::NONE) && bridge_kick.privilege() == "<none>");
        let dbget = find(b"DBGet").expect("an action");
        assert!(dbget.is_allowed(EventMask::of([PrivilegeClass::Reporting])));
        assert!(find(b"Ping ").is_none());
    }
}
