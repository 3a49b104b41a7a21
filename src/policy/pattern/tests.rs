//! Tests of the pattern language, and of its matcher against one that simply tries everything.

use proptest::prelude::*;

use super::run::{char_width, takes_byte};
use super::*;

fn attributes(name: &str) -> Option<&'static str> {
    match name {
        "extension" => Some("1001"),
        "name" => Some("Alice Smith"),
        "dotted" => Some("a.b"),
        "empty" => Some(""),
        _ => None,
    }
}

fn parse(text: &str, dialect: Dialect, side: Side) -> Result<Pattern, PatternError> {
    Pattern::parse(text, dialect, side, &attributes)
}

#[track_caller]
fn check(text: &str, dialect: Dialect, side: Side, yes: &[&str], no: &[&str]) {
    let pattern = parse(text, dialect, side).expect("a pattern");
    for value in yes {
        assert!(pattern.matches(value.as_bytes()), "`{text}` should match `{value}`");
    }
    for value in no {
        assert!(!pattern.matches(value.as_bytes()), "`{text}` should not match `{value}`");
    }
}

#[test]
fn text_is_itself() {
    check("PJSIP/1001", Dialect::Text, Side::Allow, &["PJSIP/1001"], &["pjsip/1001", "PJSIP/10010", "PJSIP/100", ""]);
    check("PJSIP/1001", Dialect::Text, Side::Deny, &["PJSIP/1001", "pJsIp/1001"], &["PJSIP/1002"]);
    check(r"\*\?\{\\", Dialect::Text, Side::Allow, &[r"*?{\"], &["x?{\\"]);
}

#[test]
fn in_allow_wildcards_stop_at_delimiters() {
    check("PJSIP/*", Dialect::Text, Side::Allow, &["PJSIP/", "PJSIP/10-01.x"], &["PJSIP/1/sip:x@y", "PJSIP/1&PJSIP/2"]);
    check("a?c", Dialect::Text, Side::Allow, &["abc", "a-c", "a\u{e4}c"], &["ac", "a/c", "a c", "abbc"]);
    for delimiter in "/@&,;|$(){}[]<>\\\"'` \t".chars() {
        check("a*?b", Dialect::Text, Side::Allow, &["axb"], &[&format!("a{delimiter}b")]);
    }
    check("**/*", Dialect::Text, Side::Allow, &["a/b/c", "/", "a b/c"], &["a/b c", "a"]);
}

#[test]
fn in_deny_wildcards_match_every_byte() {
    check("Local/*", Dialect::Text, Side::Deny, &["Local/1@x/n", "LOCAL/ &,"], &["PJSIP/1"]);
    check("a?c", Dialect::Text, Side::Deny, &["a/c", "a c", "A\u{e4}C"], &["ac"]);
    check("a??c", Dialect::Text, Side::Deny, &["a\u{e4}c"], &["abc"]);
}

#[test]
fn attributes_are_text() {
    check("PJSIP/{extension}", Dialect::Text, Side::Allow, &["PJSIP/1001"], &["PJSIP/{extension}"]);
    check("{dotted}", Dialect::Dialable, Side::Allow, &["a.b"], &["axb"]);
    check("_{extension}X", Dialect::Dialable, Side::Allow, &["10015"], &["1001", "1001x"]);
    assert_eq!(parse("{nobody}", Dialect::Text, Side::Allow), Err(PatternError::Attribute("nobody".into())));
    assert_eq!(parse("{empty}", Dialect::Text, Side::Allow), Err(PatternError::Attribute("empty".into())));
    assert_eq!(parse("_{name}", Dialect::Dialable, Side::Allow), Err(PatternError::AttributeInDialplan("name".into())));
}

#[test]
fn dialplan_patterns_are_asterisks() {
    let dial = Dialect::Dialable;
    check(
        "_NXXNXXXXXX",
        dial,
        Side::Allow,
        &["2125551212"],
        &["1125551212", "21255512121", "212555121", "_NXXNXXXXXX"],
    );
    check("_1900.", dial, Side::Deny, &["19001", "1900555"], &["1900", "1901"]);
    check("_9!", dial, Side::Allow, &["9", "9123"], &["8", "9@x"]);
    check("_[1-35*]Z", dial, Side::Allow, &["19", "51", "*1"], &["41", "10"]);
    check("_ab#+", dial, Side::Allow, &["AB#+", "ab#+"], &["AC#+"]);
    check("_x.", dial, Side::Allow, &["12"], &["1", "1 2"]);
}

#[test]
fn in_dialable_parameters_star_and_hash_are_keys() {
    let dial = Dialect::Dialable;
    check("*98", dial, Side::Allow, &["*98"], &["x98", "98"]);
    check("*98**", dial, Side::Allow, &["*98", "*981001"], &["981"]);
    check("1001", dial, Side::Allow, &["1001"], &["10010"]);
    assert!(parse("9*", dial, Side::Deny).is_ok_and(|pattern| pattern.ends_in_star_key()));
    assert!(parse("**", dial, Side::Deny).is_ok_and(|pattern| pattern.is_everything() && !pattern.ends_in_star_key()));
    assert!(parse("conf-**", dial, Side::Allow).is_ok_and(|pattern| pattern.is_name()));
    assert!(parse("a**", dial, Side::Allow).is_ok_and(|pattern| !pattern.is_name()));
    assert!(parse("1**", dial, Side::Allow).is_ok_and(|pattern| !pattern.is_name() && !pattern.is_exact()));
}

#[test]
fn each_mistake_is_named() {
    use PatternError as Error;
    let text = |text| parse(text, Dialect::Text, Side::Allow).expect_err("a mistake");
    let dialled = |text| parse(text, Dialect::Dialable, Side::Allow).expect_err("a mistake");
    assert_eq!(text(""), Error::Empty);
    assert_eq!(text("a\\"), Error::EscapeAtEnd);
    assert_eq!(text("\\d+"), Error::EscapedLetter('d'));
    for brace in ["{", "}", "{}", "{a", "a}", "{a{b}"] {
        assert_eq!(text(brace), Error::Brace, "{brace}");
    }
    assert_eq!(text(&format!("{}*", "x".repeat(255))), Error::TooLong);
    assert!(parse(&"x".repeat(1_000), Dialect::Text, Side::Allow).is_ok());
    assert_eq!(dialled("90?"), Error::QuestionMark);
    assert_eq!(dialled("_1-800."), Error::Dialplan('-'));
    assert_eq!(dialled("_sip."), Error::Dialplan('s'));
    assert_eq!(dialled("_X.5"), Error::BehindEnd);
    assert_eq!(dialled("_"), Error::Empty);
    for set in ["_[", "_[]", "_[5-1]", "_[a-d]", "_[1-]", "_[x]"] {
        assert_eq!(dialled(set), Error::Set, "{set}");
    }
}

#[test]
fn no_pattern_is_slow() {
    let pattern = parse(&"*a".repeat(120), Dialect::Text, Side::Deny).expect("a pattern");
    let value = "a".repeat(1_000) + "b";
    for _ in 0..100 {
        assert!(!pattern.matches(value.as_bytes()));
    }
}

/// The definition of matching, in as few words as possible.
fn naive(elements: &[Element], side: Side, value: &[u8]) -> bool {
    let Some((&element, others)) = elements.split_first() else { return value.is_empty() };
    let byte = value.first().copied().filter(|&byte| takes_byte(element, side, byte));
    match element {
        Element::Star | Element::Run => {
            naive(others, side, value) || (byte.is_some() && naive(elements, side, &value[1..]))
        }
        Element::One => {
            byte.is_some()
                && (naive(others, side, &value[char_width(value)..])
                    || (side == Side::Deny && naive(others, side, &value[1..])))
        }
        Element::Byte(_) | Element::Set(_) => byte.is_some() && naive(others, side, &value[1..]),
    }
}

proptest! {
    #[test]
    fn the_matcher_is_the_naive_one(
        text in "[ab/{}\u{e4}*?*]{0,8}|_[X1Z*.!]{1,5}",
        value in prop::collection::vec(prop::sample::select(b"aAb/1*\xc3\xa4 ".to_vec()), 0..9),
        is_deny: bool,
        is_dialable: bool,
    ) {
        let side = if is_deny { Side::Deny } else { Side::Allow };
        let dialect = if is_dialable { Dialect::Dialable } else { Dialect::Text };
        if let Ok(pattern) = parse(&text, dialect, side) {
            prop_assert_eq!(pattern.matches(&value), naive(&pattern.elements, side, &value));
        }
    }

    #[test]
    fn two_patterns_with_a_value_in_common_meet(
        one in "[ab\u{e4}*?]{1,6}|_[X1Z*.!]{1,4}",
        other in "[ab\u{e4}*?]{1,6}|_[X1Z*.!]{1,4}",
        value in prop::collection::vec(prop::sample::select(b"aAb1*\xc3\xa4".to_vec()), 0..6),
        is_dialable: bool,
    ) {
        let dialect = if is_dialable { Dialect::Dialable } else { Dialect::Text };
        if let (Ok(one), Ok(other)) = (parse(&one, dialect, Side::Allow), parse(&other, dialect, Side::Deny)) {
            let is_common = one.matches(&value) && other.matches(&value);
            prop_assert!(!is_common || (one.may_meet(&other) && other.may_meet(&one)));
        }
    }

    #[test]
    fn nothing_panics(text in any::<String>(), value: Vec<u8>, is_dialable: bool) {
        let dialect = if is_dialable { Dialect::Dialable } else { Dialect::Text };
        for side in [Side::Allow, Side::Deny] {
            if let Ok(pattern) = parse(&text, dialect, side) {
                std::hint::black_box(pattern.matches(&value));
            }
        }
    }

    #[test]
    fn what_an_allow_pattern_matches_a_deny_pattern_matches(text in "[a-c/*?_X1-9]{1,6}", value in "[a-c/1-9]{0,6}") {
        if let (Ok(allow), Ok(deny)) =
            (parse(&text, Dialect::Text, Side::Allow), parse(&text, Dialect::Text, Side::Deny))
        {
            prop_assert!(!allow.matches(value.as_bytes()) || deny.matches(value.as_bytes()));
        }
    }
}

#[test]
fn the_beginning_of_what_matches_is_known() {
    let pattern = |text| Pattern::parse(text, Dialect::Text, Side::Deny, &|_| None).expect("a pattern");
    for (text, yes, no) in [
        ("abc", &["", "a", "ABC"][..], &["abcd", "b", "ac"][..]),
        ("a?c", &["", "a", "ax", "axc"], &["axx", "axcd", "b"]),
        ("a*c", &["", "ab", "abc", "abcd"], &["b"]),
        ("a?\u{e4}", &["a\u{e4}", "a\u{e4}\u{e4}"], &["axyz"]),
    ] {
        for start in yes {
            assert!(pattern(text).matches_some_behind(start.as_bytes()), "{text} {start}");
        }
        for start in no {
            assert!(!pattern(text).matches_some_behind(start.as_bytes()), "{text} {start}");
        }
    }
}
