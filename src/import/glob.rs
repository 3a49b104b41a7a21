//! File names with `*`, `?` and `[…]`, as `#include` takes them. A name without wildcards is itself.

use std::path::{Component, Path, PathBuf};

/// The files that a pattern names, in order. `paths_max` bounds the work.
pub(super) fn files(pattern: &Path, paths_max: usize) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let text = match component {
            Component::Normal(text) => text.to_string_lossy().into_owned(),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => String::new(),
        };
        if !text.contains(['*', '?', '[']) {
            for path in &mut found {
                path.push(component);
            }
            continue;
        }
        let mut next = Vec::new();
        for folder in &found {
            next.extend(entries(folder, &text));
            if next.len() > paths_max {
                break;
            }
        }
        next.sort();
        next.truncate(paths_max);
        found = next;
    }
    found.retain(|path| path.is_file());
    found
}

fn entries(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = std::fs::read_dir(here).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let matching = names.filter(|name| {
        let name = name.to_string_lossy();
        // A file is hidden from wildcards by its leading dot.
        (!name.starts_with('.') || pattern.starts_with('.')) && matches(pattern.as_bytes(), name.as_bytes())
    });
    matching.map(|name| folder.join(name)).collect()
}

/// Without backtracking into anything but the last `*`, so that no pattern takes long.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (Some((b'*', rest)), _) => {
                retry = Some((rest, name));
                pattern = rest;
                continue;
            }
            (Some(_), Some((byte, rest_of_name))) => {
                if let Some(rest) = one(pattern, *byte) {
                    (pattern, name) = (rest, rest_of_name);
                    continue;
                }
            }
            (None, None) => return true,
            (None, Some(_)) | (Some(_), None) => {}
        }
        let Some((star, [_, later @ ..])) = retry else { return false };
        retry = Some((star, later));
        (pattern, name) = (star, later);
    }
}

/// What is left of the pattern behind what takes `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (first, rest) = pattern.split_first()?;
    match first {
        b'?' => Some(rest),
        b'[' => {
            let (is_negated, set) = match rest.split_first() {
                Some((b'!' | b'^', set)) => (true, set),
                _ => (false, rest),
            };
            let end = set.iter().skip(1).position(|byte| *byte == b']')? + 1;
            let (set, behind) = set.split_at(end);
            let is_in = set.contains(&byte)
                || set.windows(3).any(|range| matches!(range, [from, b'-', to] if (from..=to).contains(&&byte)));
            (is_in != is_negated).then(|| behind.get(1..).unwrap_or_default())
        }
        first => (*first == byte).then_some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_a_shell() {
        let matches = |pattern: &str, name: &str| matches(pattern.as_bytes(), name.as_bytes());
        assert!(matches("*.conf", "a.conf") && matches("m*_*.c?nf", "manager_custom.conf") && matches("*", ""));
        assert!(matches("[a-c]x", "bx") && matches("[!a]x", "bx") && !matches("[!b]x", "bx") && !matches("[b", "b"));
        assert!(!matches("*.conf", "a.conf.bak") && !matches("a", "ab") && !matches("ab", "a"));
        assert!(!matches(&"*a".repeat(50), &"b".repeat(5_000)));
    }

    #[test]
    fn files_come_in_order_and_hidden_ones_do_not() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.conf", "a.conf", ".c.conf", "d.txt"] {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        let found = files(&folder.path().join("*.conf"), 10);
        assert_eq!(found, [folder.path().join("a.conf"), folder.path().join("b.conf")]);
        assert_eq!(files(&folder.path().join("d.txt"), 10).len(), 1);
        assert_eq!(files(&folder.path().join("*"), 2).len(), 2);
        assert!(files(&folder.path().join("none"), 10).is_empty());
    }
}
