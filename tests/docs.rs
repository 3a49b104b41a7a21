//! The documentation says what is so: every whole policy in it is valid, the reason codes that it lists are those of the source, and
//! the tests that it names are there.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

const AMIWALL: &str = env!("CARGO_BIN_EXE_amiwall");
/// The hash of a random secret that nobody has.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$1AaAmtkop+TDbvLVH/1g2g$rNU8QA1Rfd+Uy6I6a7k6xhxjonkWbl2KriDg88GseSk";
/// First words of reason codes, as in `family.word`.
const FAMILIES: [&str; 10] =
    ["actions", "audit", "limits", "login", "message", "networks", "params", "proxy", "tls", "upstream"];
/// Texts of the source that look like a code and are none: files, keys of the policy.
const NO_CODES: [&str; 8] = [
    "actions.tsv",
    "audit.directory",
    "audit.key",
    "audit.lock",
    "audit.pub",
    "audit.reserve",
    "audit.wal",
    "limits.actions",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with that ending, each with its path there and its text.
fn files(folder: &Path, ending: &str) -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path, ending)?.into_iter().map(|(below, text)| (format!("{name}/{below}"), text)));
        } else if name.ends_with(ending) {
            found.push((name, fs::read_to_string(&path)?));
        }
    }
    found.sort();
    Ok(found)
}

/// The ```` ```yaml ```` blocks of a page that are whole policies, each with the line where it begins.
fn policies(page: &str) -> Vec<(usize, String)> {
    let mut policies = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((_, line)) = lines.next() {
        if line.trim() != "```yaml" {
            continue;
        }
        let block: Vec<(usize, &str)> = lines.by_ref().take_while(|(_, line)| line.trim() != "```").collect();
        if let Some((number, "version: 1")) = block.first() {
            let text: String = block.iter().map(|(_, line)| format!("{line}\n")).collect();
            policies.push((number + 1, text));
        }
    }
    policies
}

/// What stands behind each `key: ` in the policy, up to the end of the value.
fn values<'p>(policy: &'p str, key: &str) -> Vec<&'p str> {
    let key = format!("{key}: ");
    let behind = policy.split(&key).skip(1);
    behind.filter_map(|rest| rest.split([' ', '}', ',', '\n']).next()).collect()
}

/// Writes a policy into a folder with the certificates and secrets that it names, and checks it as a reader would. Returns
/// what is wrong with it; a warning in an example would teach the wrong thing, too.
fn check(certs: &[(String, String)], policy: &str) -> io::Result<Option<String>> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("certs"))?;
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
    };
    for (name, text) in certs {
        write(&format!("certs/{name}"), text)?;
    }
    for name in values(policy, "file") {
        write(name, if name.ends_with(".hash") { HASH } else { "a-secret" })?;
    }
    // The authority of an upstream, which may be another one.
    let authority = certs.iter().find(|(name, _)| name == "ca.crt").map_or("", |(_, text)| text.as_str());
    for name in values(policy, "ca").into_iter().filter(|name| !name.starts_with("certs/")) {
        fs::create_dir_all(folder.path().join(name).parent().unwrap_or_else(|| folder.path()))?;
        write(name, authority)?;
    }
    write("policy.yaml", policy)?;
    let mut command = Command::new(AMIWALL);
    command.arg("check").arg(folder.path().join("policy.yaml"));
    command.envs(values(policy, "env").into_iter().map(|name| (name, "a-secret")));
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    Ok((!output.status.success() || !said.is_empty()).then(|| said.into_owned()))
}

#[test]
fn every_policy_of_the_documentation_is_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new(AMIWALL).arg("certs").arg(folder.path()).args(["--name", "pbx.example.net"]).output();
    assert!(made.expect("amiwall runs").status.success());
    let certs = files(folder.path(), "").expect("certificates");
    let mut pages = files(&root().join("docs"), ".md").expect("docs");
    pages.push(("README.md".to_owned(), fs::read_to_string(root().join("README.md")).expect("a README")));
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, page) in pages {
        for (line, policy) in policies(&page) {
            count += 1;
            if let Some(why) = check(&certs, &policy).expect("checked") {
                wrong.push(format!("{name}:{line}:\n{why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 5, "only {count} policies were found");
}

/// A command that a page shows, with what it says comes of it.
struct Shown {
    /// Where the page's block begins.
    line: usize,
    command: String,
    output: String,
}

/// What a page shows of a terminal: each command of its ```` ```console ```` blocks with the output below it.
fn terminal(page: &str) -> Vec<Shown> {
    let mut all = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line != "```console" {
            continue;
        }
        let block: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        let mut at = 0;
        while let Some(first) = block.get(at).and_then(|line| line.strip_prefix("$ ")) {
            let mut command = first.to_owned();
            while command.ends_with(['|', '\\']) {
                at += 1;
                command = format!("{command}\n{}", block.get(at).copied().unwrap_or_default());
            }
            let output: Vec<&str> =
                block.iter().skip(at + 1).copied().take_while(|line| !line.starts_with("$ ")).collect();
            at += 1 + output.len();
            all.push(Shown { line: number + 2, command, output: output.join("\n") });
        }
    }
    all
}

#[test]
fn what_the_documentation_shows_of_a_terminal_is_what_comes() {
    let pages = files(&root().join("docs"), ".md").expect("docs");
    let bin = Path::new(AMIWALL).parent().expect("a folder");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a PATH"));
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, page) in pages {
        for Shown { line, command, output: shown } in terminal(&page) {
            // Those of a policy that a page writes itself are `tests/first_policy.rs`'s.
            let judges = ["amiwall explain", "amiwall test", "amiwall check --without-files"];
            if !judges.iter().any(|judge| command.contains(&format!("{judge} policies/"))) {
                continue;
            }
            count += 1;
            let folder = tempfile::tempdir().expect("a folder");
            std::os::unix::fs::symlink(root().join("policies"), folder.path().join("policies")).expect("a link");
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("{{ {command}\n}} 2>&1")]).current_dir(folder.path()).env("PATH", &path);
            let output = shell.output().expect("a shell");
            let came = String::from_utf8_lossy(&output.stdout);
            if came.trim_end() != shown.trim_end() {
                wrong.push(format!("{name}:{line}: $ {command}\nshown:\n{shown}\ncame:\n{came}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(count >= 1, "no terminal was found");
}

/// The code in the first cell of each row of the page's tables.
fn documented(page: &str) -> Vec<String> {
    let cells = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    cells.map(|(code, _)| code.to_owned()).collect()
}

/// A file's text without its tests.
fn without_tests(text: &str) -> String {
    let mut lines = Vec::new();
    let mut rest = text.lines().peekable();
    while let Some(line) = rest.next() {
        let is_inline = rest.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if line == "#[cfg(test)]" && is_inline {
            break;
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// The string literals of some Rust that begin and end on one line, as codes do; comments and the quote as a character are
/// passed over.
fn literals(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let line = line.replace(r#"'"'"#, "").replace(r#"\""#, "");
        found.extend(line.split('"').skip(1).step_by(2).map(str::to_owned));
    }
    found
}

/// Whether a text is a reason code: `family.word-with-dashes`, or `params.` and a placeholder.
fn is_code(text: &str) -> bool {
    let Some((family, word)) = text.split_once('.') else { return false };
    let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_".contains(&byte));
    FAMILIES.contains(&family) && (is_word || (family == "params" && word == "{name}")) && !NO_CODES.contains(&text)
}

/// The bodies of the functions `code` of a file: what they return stands in the log.
fn code_functions(text: &str) -> Vec<&str> {
    let bodies = text.split("fn code(").skip(1);
    bodies.filter_map(|rest| rest.split("\n    }\n").next()).collect()
}

/// All reason codes of the source. They are literals with a known first word, what functions `code` return (within `ami`
/// they stand behind `message.`), and the reasons that are given to [`amiwall::audit::Draft::end`] directly.
fn codes_of_the_source() -> io::Result<BTreeSet<String>> {
    let is_test = |name: &str| name.contains("tests") || name.starts_with("sim/");
    let mut codes = BTreeSet::new();
    for (name, text) in files(&root().join("src"), ".rs")?.iter().filter(|(name, _)| !is_test(name)) {
        let text = without_tests(text);
        codes.extend(literals(&text).into_iter().filter(|literal| is_code(literal)));
        let prefix = if name.starts_with("ami/") { "message." } else { "" };
        for body in code_functions(&text) {
            let literals = literals(body).into_iter().filter(|literal| !literal.contains('{'));
            codes.extend(literals.map(|literal| format!("{prefix}{literal}")));
        }
        let ends = text.split("Draft::end(").skip(1).filter_map(|rest| rest.split(')').next());
        codes.extend(ends.flat_map(literals));
    }
    Ok(codes.into_iter().map(|code| code.replace('{', "<").replace('}', ">")).collect())
}

#[test]
fn every_reason_code_is_documented_and_no_other() {
    let page = fs::read_to_string(root().join("docs/reason-codes.md")).expect("the page");
    let listed = documented(&page);
    let documented: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), documented.len(), "a code is listed twice");
    let codes = codes_of_the_source().expect("the source");
    assert!(codes.len() > 40, "too few codes were found in the source: {codes:?}");
    let missing: Vec<&String> = codes.difference(&documented).collect();
    let unknown: Vec<&String> = documented.difference(&codes).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not documented: {missing:?}; not in the source: {unknown:?}");
}

#[test]
fn what_is_a_code_and_what_is_none() {
    assert!(is_code("login.unknown-identity") && is_code("params.{name}") && is_code("limits.connections_per_address"));
    assert!(!is_code("audit.lock") && !is_code("server.crt") && !is_code("login") && !is_code("message.{violation}"));
    assert_eq!(literals("f(\"a.b\", '\"', \"c\"); // \"d\"\n/// \"e\"\ng(b'\"', \"f\")"), ["a.b", "c", "d", "f"]);
    assert_eq!(
        without_tests("a\n#[cfg(test)]\nmod tests;\nb\n#[cfg(test)]\nmod tests {\nc"),
        "a\n#[cfg(test)]\nmod tests;\nb"
    );
    assert_eq!(policies("```yaml\na: 1\n```\n```yaml\nversion: 1\n```\n"), [(5, "version: 1\n".to_owned())]);
}

/// What stands between single backticks on a page, outside of its blocks.
fn quoted(page: &str) -> Vec<&str> {
    let mut is_block = false;
    let mut all = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            is_block = !is_block;
        } else if !is_block {
            all.extend(line.split('`').skip(1).step_by(2));
        }
    }
    all
}

/// The names of the tests in a file: of functions below a `#[test]`, and of those in a `proptest!`.
fn tests_in(text: &str) -> impl Iterator<Item = &str> {
    let of_attribute =
        |attribute| text.split(attribute).skip(1).filter_map(|rest| rest.split_once("fn ")?.1.split('(').next());
    ["#[test]", "#[tokio::test"].into_iter().flat_map(of_attribute)
}

/// All tests in Rust, as a page names them: the path of the file below `src` or `tests`, and the function.
fn tests_of_the_source() -> io::Result<BTreeSet<String>> {
    let mut tests = BTreeSet::new();
    for folder in ["src", "tests"] {
        for (path, text) in files(&root().join(folder), ".rs")? {
            let path =
                path.trim_end_matches(".rs").trim_end_matches("/mod").trim_end_matches("/main").replace('/', "::");
            tests.extend(tests_in(&text).map(|name| format!("{path}::{name}")));
        }
    }
    Ok(tests)
}

/// Whether a text names a test in Rust: words with `::` between them, the last of which is a sentence of three words or more.
fn is_test(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    text.split("::").all(is_word) && text.rsplit_once("::").is_some_and(|(_, name)| name.contains('_'))
}

#[test]
fn every_test_that_the_documentation_names_is_there() {
    let tests = tests_of_the_source().expect("the source");
    let cases: String =
        files(&root().join("tests/compliance"), ".py").expect("cases").into_iter().map(|(_, text)| text).collect();
    let (mut count, mut missing) = (0, Vec::new());
    for (page, text) in files(&root().join("docs"), ".md").expect("docs") {
        for name in quoted(&text) {
            let is_there = match name.split_once(':') {
                Some(("step", step)) => root().join(format!("tests/steps/{step}.sh")).exists(),
                // A case has a number, or a number and a letter that a loop adds.
                Some(("smuggling", case)) => {
                    cases.contains(&format!("\"{case}\"")) || cases.contains(&format!("\"{case}\" + letter"))
                }
                _ if is_test(name) => tests.contains(name),
                _ => continue,
            };
            count += 1;
            if !is_there {
                missing.push(format!("{page}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "there is no such test:\n{}", missing.join("\n"));
    assert!(count >= 100, "only {count} names of tests were found");
}

#[test]
fn what_names_a_test_and_what_does_not() {
    assert!(is_test("policy::tests::values::commands_are_compared_in_words") && is_test("docs::it_is"));
    assert!(
        !is_test("Recorded<T>")
            && !is_test("Audit::record")
            && !is_test("a_b")
            && !is_test("::/0")
            && !is_test("[::]:0_0")
    );
    assert_eq!(quoted("a `b` c `d e`\n```\n`f`\n```\n`g`"), ["b", "d e", "g"]);
    let text = "#[test]\nfn a_b() {}\n#[tokio::test(x)]\n#[ignore]\nasync fn c_d(x: u8) {}\nfn e_f() {}";
    assert_eq!(tests_in(text).collect::<Vec<_>>(), ["a_b", "c_d"]);
}

/// Where a page's links lead, outside of its blocks: `page.md#section`, with either part left out.
fn links(page: &str) -> Vec<&str> {
    let mut is_block = false;
    let mut all = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        } else if !is_block {
            // What stands in backticks is no link.
            let plain = line.split('`').step_by(2).flat_map(|part| part.split("](").skip(1));
            all.extend(plain.filter_map(|rest| rest.split_once(')').map(|(target, _)| target)));
        }
    }
    all.retain(|target| !target.contains("://"));
    all
}

/// The anchors of a page: its headings in lower case, without marks, with `-` for blanks.
fn anchors(page: &str) -> BTreeSet<String> {
    let slug = |title: &str| {
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    page.lines().filter(|line| line.starts_with('#')).map(|line| slug(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let mut pages: Vec<PathBuf> = Vec::new();
    for folder in [root().to_path_buf(), root().join("docs"), root().join("tests")] {
        let all = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a page").path());
        pages.extend(all.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    }
    let (mut count, mut dead) = (0, Vec::new());
    for path in pages {
        let page = fs::read_to_string(&path).expect("a page");
        for link in links(&page) {
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            let is_there = target.exists()
                && (anchor.is_empty() || anchors(&fs::read_to_string(&target).expect("a page")).contains(anchor));
            if !is_there {
                dead.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "these lead nowhere:\n{}", dead.join("\n"));
    assert!(count >= 100, "only {count} links were found");
}
