//! What a log says, read as a stranger would.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The files of a log that have records, in the order of their names.
pub(crate) fn segments(log: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(log).expect("a log").map(|entry| entry.expect("an entry").path());
    let is_segment = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy();
        name.contains(".jsonl") && !name.contains(".torn-") && !name.contains(".replaced-")
    };
    let mut paths: Vec<PathBuf> = paths.filter(is_segment).collect();
    paths.sort();
    paths
}

/// Every line that has this text.
pub(crate) fn lines_with(log: &Path, text: &str) -> Vec<String> {
    let read = |path: &PathBuf| String::from_utf8_lossy(&std::fs::read(path).expect("a segment")).into_owned();
    let all: Vec<String> = segments(log).iter().map(read).collect();
    all.iter().flat_map(|text| text.lines()).filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// The marks of all actions on record.
pub(crate) fn marks(log: &Path) -> BTreeSet<u64> {
    let mark = |line: &String| {
        let (_, rest) = line.split_once(r#"["Mark",""#).expect("a mark");
        rest.split_once('"').expect("its end").0.parse().expect("a number")
    };
    lines_with(log, r#""kind":"action""#).iter().filter(|line| line.contains(r#"["Mark",""#)).map(mark).collect()
}
