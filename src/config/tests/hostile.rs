//! Files that mean harm. None of them is read for long, and none makes amiwall panic.

use proptest::prelude::*;

use super::*;

fn told(text: impl AsRef<[u8]>) -> String {
    Folder::new().load(text).expect_err("refused").to_string()
}

#[test]
fn aliases_are_no_bomb() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in ["b", "c", "d", "e", "f", "g"].iter().zip(["a", "b", "c", "d", "e", "f"]) {
        bomb.push_str(&format!("{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]\n"));
    }
    let told = told(bomb);
    assert!(
        told.contains("aliases (`*name`) have no place") && told.contains("anchors (`&name`) have no place"),
        "{told}"
    );
}

#[test]
fn a_pattern_without_quotes_is_explained() {
    let told = told(with("allow: [Ping]", "allow: [QueueStatus: { Queue: * }]"));
    assert!(told.contains("not YAML") || told.contains("needs quotes"), "{told}");
}

#[test]
fn depth_and_size_have_an_end() {
    assert!(told("[".repeat(100_000)).contains("not YAML") || told("[".repeat(100_000)).contains("deep"));
    assert!(told(format!("{}x{}", "[".repeat(17), "]".repeat(17))).contains("nested more than 16 deep"));
    let blocks: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(told(blocks).contains("deep"));
    assert!(told("#".repeat(8 * 1_024 * 1_024 + 1)).contains("is larger than"));
    assert!(told(format!("a: [{}]", "x,".repeat(300_000))).contains("more than 200000 values"));
}

#[test]
fn only_text_is_read() {
    assert!(told(b"version: 1\n\xFF\xFE").contains("line 2 is not UTF-8"));
    assert!(told("version: 1\nroles: \"a\0b\"\n").contains(":2:10\n"));
    assert!(told("\u{FEFF}version: 1\n").contains("a byte order mark (U+FEFF)"));
    assert!(told("version: 1\rroles: {}\n").contains("a control character (U+000D)"));
    assert!(told("# \u{202E}allow\n").contains("turns text round"));
    assert!(told("").contains("the file is empty") && told("# nothing\n").contains("the file is empty"));
    assert!(told("just text").contains("this is no policy") && told("- a\n- b\n").contains("this is no policy"));
    let folder = Folder::new();
    assert!(Config::load(folder.0.path()).expect_err("a folder").to_string().contains("is no regular file"));
    assert!(Config::load(&folder.path("none")).expect_err("nothing").to_string().contains("cannot be read"));
}

#[test]
fn the_terminal_obeys_nothing_in_the_file() {
    let told = told(with("allow: [Ping]", r#"allow: ["\e[31mPing", "Pi\u202Eng"]"#));
    assert!(!told.contains('\u{1b}') && !told.contains('\u{202E}'), "{told:?}");
}

#[test]
fn every_duplicate_key_is_told() {
    let text =
        with("version: 1\n", "version: 1\nversion: 1\n").replace("  office:", "  office: [10.0.0.0/8]\n  \"office\":");
    let places = short(&load(&text).expect_err("errors"));
    assert_eq!(
        places,
        ["2:1 the key `version` stands twice, first in line 1", "10:3 the key `office` stands twice, first in line 9"]
    );
}

#[test]
fn tabs_merge_keys_tags_and_second_documents() {
    assert!(told("version: 1\nroles:\n\ta: {}\n").contains("indent with blanks, not with tabs"));
    assert!(told(with("wallboard: {", "wallboard: { <<: {},")).contains("merge keys"));
    assert!(told(with("version: 1", "version: !!int 1")).contains("tags (`!name`)"));
    assert!(told(format!("{}---\nversion: 1\n", minimal())).contains("a second document"));
    assert!(told("%YAML 1.2\n---\nversion: 1\n").contains("not YAML"));
    assert!(told("? [a, b]\n: c\n").contains("a key has to be a text"));
}

#[test]
fn a_file_full_of_errors_has_a_short_answer() {
    let keys: String = (0..5_000).map(|number| format!("key{number}: x\n")).collect();
    let diagnostics = load(&keys).expect_err("errors");
    assert!(diagnostics.len() >= 5_000 && diagnostics.iter().len() <= 100);
    assert!(diagnostics.to_string().contains("… and 49"), "the rest is counted");
}

const EXAMPLE: &str = include_str!("../../../policies/example.yaml");

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever happens to a policy, it is read or refused, and every problem lies inside the file.
    #[test]
    fn never_panics(edits in prop::collection::vec((0usize..EXAMPLE.len(), 0usize..40, "\\PC{0,4}|[ \\-:{}\\[\\]\"'#&*!|>\n\t]{0,4}"), 1..6)) {
        let mut text = EXAMPLE.to_owned();
        for (at, cut, put) in edits {
            let floor = |mut at: usize| { at = at.min(text.len()); while !text.is_char_boundary(at) { at -= 1; } at };
            let (from, to) = (floor(at), floor(at + cut));
            text.replace_range(from..to.max(from), &put);
        }
        let folder = Folder::new();
        let path = folder.write("policy.yaml", &text);
        if let Err(diagnostics) = check(&path, Files::Skip) {
            let lines = text.lines().count();
            for diagnostic in diagnostics.iter() {
                prop_assert!(usize::try_from(diagnostic.line).expect("small") <= lines + 1, "{diagnostic}");
            }
            drop(diagnostics.to_string());
        }
    }

    #[test]
    fn never_panics_on_noise(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(Folder::new().load(bytes));
    }
}

#[test]
fn an_indentation_error_names_both_lines() {
    let text = with("  wallboard: { allow: [Ping] }", "  wallboard:\n    allow: [Ping]\n\n   # why\n   deny: [Status]");
    let told = load(&text).expect_err("errors").to_string();
    let line = text.lines().position(|line| line.contains("deny")).expect("there") + 1;
    assert!(told.contains(&format!("compare how far lines {} and {line} are indented", line - 3)), "{told}");
}

#[test]
fn a_key_of_the_role_that_is_indented_too_far_is_told() {
    let text = with("allow: [Ping] }", "allow: [Ping], events: { allow: [call], limits: {}, alow: [] } }");
    let diagnostics = load(&text).expect_err("errors");
    let told: Vec<_> = diagnostics.iter().map(|one| one.help.as_deref().unwrap_or_default()).collect();
    assert_eq!(told, ["`limits` is a key of the role; is it indented too far?", "did you mean `allow`?"]);
}
