//! The modules use only what the table allows, the pure ones do no I/O and read no clock, and no file outgrows its reader.
//!
//! The table is the order of `src/lib.rs`, tightened. A test fails when it finds nothing to look at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Each module and what it may use.
const TABLE: [(&str, &[&str]); 22] = [
    ("ami", &[]),
    ("metrics", &[]),
    ("networks", &[]),
    ("secret", &[]),
    ("tls", &[]),
    ("catalogue", &["ami"]),
    ("sim", &["ami"]),
    ("identity", &["ami", "networks", "secret", "tls"]),
    ("policy", &["ami", "catalogue", "identity"]),
    ("audit", &["ami", "metrics", "networks", "identity", "policy", "tls"]),
    ("learn", &["ami", "catalogue", "identity", "policy", "audit"]),
    ("search", &["catalogue", "networks", "audit"]),
    ("report", &["audit"]),
    ("upstream", &["ami", "metrics", "secret", "tls", "policy", "audit"]),
    ("admission", &["networks"]),
    (
        "session",
        &["ami", "catalogue", "metrics", "networks", "tls", "identity", "policy", "audit", "upstream", "admission"],
    ),
    ("listener", &["networks", "tls", "identity", "policy", "audit", "upstream", "admission", "session"]),
    (
        "config",
        &[
            "ami",
            "catalogue",
            "networks",
            "secret",
            "tls",
            "identity",
            "policy",
            "audit",
            "upstream",
            "admission",
            "listener",
        ],
    ),
    ("sandbox", &["config"]),
    (
        "daemon",
        &[
            "ami",
            "metrics",
            "networks",
            "secret",
            "tls",
            "identity",
            "policy",
            "audit",
            "upstream",
            "admission",
            "session",
            "listener",
            "config",
            "sandbox",
            "search",
            "report",
        ],
    ),
    ("import", &["ami", "catalogue", "secret"]),
    (
        "cli",
        &[
            "ami",
            "catalogue",
            "networks",
            "secret",
            "tls",
            "sim",
            "identity",
            "policy",
            "audit",
            "learn",
            "search",
            "report",
            "upstream",
            "admission",
            "session",
            "listener",
            "config",
            "sandbox",
            "daemon",
            "import",
        ],
    ),
];

/// Modules that are functions of what they are given.
const PURE: [&str; 4] = ["ami", "catalogue", "networks", "policy"];
/// What a pure module does not have. `policy/limits.rs` takes its clock as a type parameter, so it needs none of these.
const IMPURE: [&str; 6] = ["tokio", "std::net::Tcp", "std::net::Udp", "std::fs", "Instant::now", "SystemTime::now"];

/// A file above this is named; above the next it fails.
const LINES_WANTED: usize = 400;
const LINES_MAX: usize = 450;

/// One file of `src`.
struct Source {
    path: PathBuf,
    /// The top-level module that it belongs to.
    module: String,
    /// Its text without comments.
    code: String,
    lines: usize,
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let mut violations = Vec::new();
    let mut used = 0;
    for source in sources() {
        // Tests look at a module from outside, with whatever shows what it does.
        let Some((_, allowed)) = TABLE.iter().find(|(module, _)| *module == source.module) else { continue };
        if is_test_file(&source.path) {
            continue;
        }
        for target in uses(&source) {
            used += 1;
            if target != source.module && !allowed.contains(&target.as_str()) {
                violations.push(format!("{}: `{}` may not use `{target}`", source.path.display(), source.module));
            }
        }
    }
    assert!(used >= 10, "only {used} uses were found: the scanner is blind");
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn the_table_has_every_module_and_no_other() {
    let declared: BTreeSet<String> = sources().into_iter().map(|source| source.module).collect();
    let listed: BTreeSet<String> = TABLE.iter().map(|(module, _)| (*module).to_owned()).collect();
    assert_eq!(declared, listed);
    for (place, (module, allowed)) in TABLE.iter().enumerate() {
        let above: Vec<&str> = TABLE.iter().take(place).map(|(module, _)| *module).collect();
        assert!(allowed.iter().all(|target| above.contains(target)), "`{module}` uses what stands below it");
    }
}

#[test]
fn pure_modules_do_no_io_and_read_no_clock() {
    let mut violations = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources().into_iter().filter(|source| PURE.contains(&source.module.as_str())) {
        if !is_test_file(&source.path) {
            let product = without_tests(&source.code);
            let found = IMPURE.iter().filter(|word| product.contains(*word));
            violations.extend(found.map(|word| format!("{}: `{word}`", source.path.display())));
        }
        seen.insert(source.module);
    }
    assert_eq!(seen.len(), PURE.len(), "a pure module was not found");
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
#[expect(clippy::print_stdout, reason = "shown by `--nocapture` and with a failure")]
fn no_file_outgrows_its_reader() {
    let sources = sources();
    assert!(!sources.is_empty(), "no files were found");
    let long: Vec<&Source> = sources.iter().filter(|source| source.lines > LINES_WANTED).collect();
    for source in &long {
        println!("{}: {} lines, {LINES_WANTED} are wanted", source.path.display(), source.lines);
    }
    assert!(long.iter().all(|source| source.lines <= LINES_MAX), "a file has more than {LINES_MAX} lines");
}

#[test]
fn the_scanner_sees_every_way_to_name_a_module() {
    let uses = |module: &str, path: &str, code: &str| {
        let source = Source { path: path.into(), module: module.to_owned(), code: without_comments(code), lines: 1 };
        uses(&source).into_iter().collect::<Vec<_>>().join(" ")
    };
    let policy = |code: &str| uses("policy", "src/policy/view.rs", code);
    assert_eq!(policy("use crate::tls::Peer;"), "tls");
    assert_eq!(policy("use crate::{ami::{Action, reply}, session, config as c};"), "ami config session");
    assert_eq!(policy("use crate::{\n    ami::Action,\n    tls::{self},\n};"), "ami tls");
    assert_eq!(policy("pub(crate) fn f() -> crate::audit::Audit { crate :: daemon::x() }"), "audit daemon");
    assert_eq!(policy("use crate::*;"), "*");
    assert_eq!(policy("use crate as c;"), "*");
    assert_eq!(policy("use super::super::tls;"), "tls");
    assert_eq!(policy("use super::spec::Problem; use super::super::policy;"), "policy");
    assert_eq!(uses("listener", "src/listener.rs", "use super::daemon::Daemon;"), "daemon");
    assert_eq!(uses("cli", "src/cli/mod.rs", "use self::audit::run;"), "");
    assert_eq!(policy("//! [`crate::session`]\n/* crate::daemon */ let url = \"http://x\"; // crate::cli"), "");
}

/// All files of the modules. Empty when `src` cannot be read, which every test takes for a failure.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let walked = walk(&root.join("src"), &mut files);
    assert!(walked.is_ok(), "{walked:?}");
    let sources = files.into_iter().filter_map(|file| {
        let path = file.strip_prefix(root).ok()?.to_owned();
        let module = module_of(&path)?;
        let text = fs::read_to_string(&file).ok()?;
        Some(Source { path, module, code: without_comments(&text), lines: text.lines().count() })
    });
    sources.collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// The top-level module of `src/policy/view.rs` is `policy`; `lib.rs` and `main.rs` are in none.
fn module_of(path: &Path) -> Option<String> {
    let top = Path::new(path.components().nth(1)?.as_os_str());
    let name = top.file_stem()?.to_str()?.to_owned();
    (name != "lib" && name != "main").then_some(name)
}

fn is_test_file(path: &Path) -> bool {
    let is_test = |name: &str| name == "tests" || name.ends_with("_tests");
    path.components().filter_map(|part| Path::new(part.as_os_str()).file_stem()?.to_str()).any(is_test)
}

/// What stands before the module of tests, which is a file's last item.
fn without_tests(code: &str) -> &str {
    let starts = ["#[cfg(test)]\nmod ", "#[cfg(test)]\n#[path"].into_iter().filter_map(|start| code.find(start));
    code.split_at(starts.min().unwrap_or(code.len())).0
}

/// The text without comments. A `//` behind a colon is part of an address in a string.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, is_block)) = next_comment(rest) {
        let (before, comment) = rest.split_at(at);
        code.push_str(before);
        let end = if is_block { comment.find("*/").map(|end| end + 2) } else { comment.find('\n') };
        rest = comment.split_at(end.unwrap_or(comment.len())).1;
    }
    code.push_str(rest);
    code
}

fn next_comment(text: &str) -> Option<(usize, bool)> {
    let line = text.match_indices("//").find(|(at, _)| !text.split_at(*at).0.ends_with(':')).map(|(at, _)| (at, false));
    let block =
        text.match_indices("/*").find(|(at, _)| text.split_at(*at).0.ends_with([' ', '\n'])).map(|(at, _)| (at, true));
    [line, block].into_iter().flatten().min()
}

/// The top-level modules that a file names, by `crate::…` or by a `super::…` that leaves its own module.
fn uses(source: &Source) -> BTreeSet<String> {
    let tokens = tokens(&source.code);
    let mut found = BTreeSet::new();
    for (at, token) in tokens.iter().enumerate() {
        let rest = tokens.get(at + 1..).unwrap_or_default();
        match token.as_str() {
            "crate" => found.extend(first_names(rest)),
            "super" => {
                let is_other =
                    |name: &String| TABLE.iter().any(|(module, _)| module == name) && !is_own_file(source, name);
                found.extend(first_names(rest).into_iter().filter(is_other));
            }
            _ => {}
        }
    }
    found
}

/// Whether `name` is a file of the module itself: `super::audit` in `cli` is `cli/audit.rs`.
fn is_own_file(source: &Source, name: &str) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(&source.module);
    folder.join(name).is_dir() || folder.join(name).with_extension("rs").is_file()
}

/// What stands directly behind `crate` or `super`: one name, or the first name of each element of a group.
fn first_names(tokens: &[String]) -> Vec<String> {
    let [separator, first, rest @ ..] = tokens else { return Vec::new() };
    if separator == "as" {
        // Another name for the whole crate would hide every use behind it.
        return vec!["*".to_owned()];
    }
    if separator != "::" {
        return Vec::new();
    }
    if first != "{" {
        return vec![first.clone()];
    }
    let (mut names, mut depth, mut is_start) = (Vec::new(), 1, true);
    for token in rest {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => is_start = true,
            name if is_start => {
                names.push(name.to_owned());
                is_start = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// Names, `::` and single other characters.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut last = ' ';
    for c in code.chars() {
        let joins = (is_name(c) && is_name(last)) || (c == ':' && last == ':');
        match tokens.last_mut().filter(|_| joins) {
            Some(token) => token.push(c),
            None if c.is_whitespace() => {}
            None => tokens.push(c.to_string()),
        }
        last = c;
    }
    tokens
}
