//! Tables and lists that do not grow with the log: what finds no place is counted.

use std::collections::{BTreeMap, BTreeSet};

/// Keys of one table.
pub(super) const KEYS_MAX: usize = 10_000;
/// Entries of one list.
pub(super) const ENTRIES_MAX: usize = 1_000;
/// Names that one row mentions.
const NAMES_MAX: usize = 4;

/// What is known of up to [`KEYS_MAX`] keys; whatever comes for others goes to one row for all of them.
#[derive(Clone, Debug)]
pub(super) struct Bounded<K, V> {
    rows: BTreeMap<K, V>,
    others: Option<V>,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), others: None }
    }
}

impl<K: Ord + Clone, V: Default> Bounded<K, V> {
    pub(super) fn row(&mut self, key: &K) -> &mut V {
        if self.rows.len() < KEYS_MAX || self.rows.contains_key(key) {
            self.rows.entry(key.clone()).or_default()
        } else {
            self.others.get_or_insert_default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.rows.values_mut()
    }

    pub(super) const fn has_others(&self) -> bool {
        self.others.is_some()
    }

    /// All rows, the largest first, and that of the others at the end.
    pub(super) fn by_size<N: Ord>(&self, size: impl Fn(&V) -> N) -> Vec<(Option<&K>, &V)> {
        let mut rows: Vec<(Option<&K>, &V)> = self.rows.iter().map(|(key, row)| (Some(key), row)).collect();
        rows.sort_by_key(|(_, row)| std::cmp::Reverse(size(row)));
        rows.extend(self.others.as_ref().map(|others| (None, others)));
        rows
    }
}

/// What a table says when there were more keys than it holds.
pub(super) fn others_note(has_others: bool) -> String {
    if has_others { format!("The first {KEYS_MAX} are told apart; all others are one row.") } else { String::new() }
}

/// The first [`ENTRIES_MAX`] entries, and how many there were in all.
#[derive(Clone, Debug)]
pub(super) struct Listing<T> {
    pub(super) entries: Vec<T>,
    pub(super) count: u64,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), count: 0 }
    }
}

impl<T> Listing<T> {
    pub(super) fn push(&mut self, entry: T) {
        self.count += 1;
        if self.entries.len() < ENTRIES_MAX {
            self.entries.push(entry);
        }
    }

    /// What a table says when it does not have all.
    pub(super) fn note(&self) -> String {
        if self.entries.len() < ENTRIES_MAX || self.count == ENTRIES_MAX as u64 {
            return String::new();
        }
        format!("The first {ENTRIES_MAX} of {} are listed.", super::text::thousands(self.count))
    }
}

/// A few names, and whether there were more.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    names: BTreeSet<String>,
    has_more: bool,
}

impl Names {
    pub(super) fn add(&mut self, name: &str) {
        if name.is_empty() || self.names.contains(name) {
            return;
        }
        if self.names.len() < NAMES_MAX {
            self.names.insert(super::text::key(name));
        } else {
            self.has_more = true;
        }
    }

    pub(super) fn list(&self) -> String {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        format!("{}{}", names.join(", "), if self.has_more { " and more" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_place_is_counted() {
        let mut table = Bounded::<u64, u64>::default();
        (0..20_000).for_each(|key| *table.row(&key) += 1);
        *table.row(&7) += 5;
        let rows = table.by_size(|count| *count);
        assert_eq!((rows.len(), table.len(), rows[0]), (KEYS_MAX + 1, KEYS_MAX, (Some(&7), &6)));
        assert_eq!(rows.last(), Some(&(None, &10_000)));
        let mut list = Listing::default();
        (0..5_000).for_each(|entry| list.push(entry));
        assert_eq!((list.entries.len(), list.count), (ENTRIES_MAX, 5_000));
        assert!(list.note().contains("of 5,000"));
        let mut names = Names::default();
        ["b", "a", "", "c", "d", "a", "e"].iter().for_each(|name| names.add(name));
        assert_eq!(names.list(), "a, b, c, d and more");
    }
}
