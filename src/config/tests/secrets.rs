//! Nothing secret is ever shown, whatever is wrong.

use proptest::prelude::*;

use super::*;

const CANARY: &str = "hunter2canary";

fn assert_hidden(text: &str) -> Result<(), TestCaseError> {
    let shown = match load(text) {
        Ok(config) => format!("{}{:?}", config.warnings, config),
        Err(diagnostics) => format!("{diagnostics}{}{diagnostics:?}", diagnostics.to_json()),
    };
    prop_assert!(!shown.contains(CANARY), "{shown}\n---\n{text}");
    Ok(())
}

#[test]
fn a_secret_in_a_wrong_place_is_not_shown() {
    let identity = |value: &str| with(&format!("alice: {{ roles: [wallboard], secret: \"{HASH}\" }}"), value);
    let texts = [
        identity(&format!("alice: {{ roles: [none], secret: {CANARY} }}")),
        identity(&format!("alice: {{ roles: [none], secret: [{CANARY}, x, {CANARY}] }}")),
        identity(&format!("alice: {{ roles: [none], secret: {{ flie: {CANARY} }} }}")),
        identity(&format!("alice: {{ roles: [none], secret: {{ {CANARY} }} }}")),
        identity(&format!("alice: {{ roles: [none], secret: {{ {CANARY}: 1, {CANARY}: 2 }} }}")),
        identity(&format!("alice: {{ roles: [none], secret: *{CANARY} }}")),
        identity(&format!("alice: {{ roles: [none], secret: &{CANARY} x }}")),
        identity(&format!("alice: {{ roles: [none], secret: !{CANARY} x }}")),
        identity(&format!("alice: {{ roles: [none], secrte: {CANARY} }}")),
        identity(&format!("alice: {{ roles: [none], password: {CANARY} }}")),
        identity(&format!("alice: {CANARY}")),
        identity(&format!("alice:\n    roles: [none]\n    secret: |\n      {CANARY}\n      {CANARY}\n")),
        identity(&format!("alice:\n    roles: [none]\n    secret: \"one\n      {CANARY}\"\n")),
        with("secret: { file: pbx.secret }", &format!("secret: {CANARY}, logins: {{ nobody: {CANARY} }}")),
        with("secret: { file: pbx.secret }", &format!("secret: \"{CANARY}\\0\"")),
        // Not YAML.
        identity(&format!("alice: {{ roles: [none], secret: \"{CANARY} }}")),
        identity(&format!("alice:\n    secret:\n      - {CANARY}\n     - {CANARY}\n")),
        identity(&format!("alice:\n    secret: \"a\n{CANARY}\n")),
        identity(&format!("alice:\n    secret: @{CANARY}\n")),
        identity(&format!("alice:\n    secret: '{CANARY}' '{CANARY}'\n")),
        format!("secret: {CANARY}\n\tx: {CANARY}\n"),
    ];
    for text in texts {
        assert_hidden(&text).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn what_follows_a_secret_in_its_line_is_shown() {
    let text = with(&format!("secret: \"{HASH}\""), "secret: hunter2, rules: x");
    let diagnostics = load(&text).expect_err("errors");
    let line = diagnostics.iter().find(|one| one.message.contains("`rules`")).expect("told");
    assert_eq!(line.source.as_deref(), Some("  alice: { roles: [wallboard], secret: …, rules: x }"));
    assert!(diagnostics.to_string().contains(&format!("{}^^^^^\n", " ".repeat(43))), "{diagnostics}");
}

#[test]
fn secrets_that_ami_cannot_carry_are_refused() {
    let folder = Folder::new();
    for (text, why) in
        [("", "is empty"), ("a\nb", "control character"), (" a", "blank"), ("$argon2id$v=19$", "not its hash")]
    {
        folder.write("pbx.secret", text);
        let diagnostics = folder.load(minimal()).expect_err("an error");
        assert!(diagnostics.to_string().contains(why), "{diagnostics}");
    }
    folder.write("pbx.secret", "a".repeat(5_000));
    assert!(folder.load(minimal()).is_err());
}

#[test]
fn an_upstreams_secret_in_the_policy_is_worth_a_warning() {
    let told = warnings(&with("secret: { file: pbx.secret }", "secret: plain"));
    assert_eq!(told, ["a secret stands in the policy file"]);
}

#[test]
fn a_comment_that_may_hold_a_secret_is_not_shown() {
    for damage in
        ["sessions: # secret: CANARY", "sessions: 0 # old: {passwd: CANARY}", "sesions: 1  # $argon2id$CANARY"]
    {
        let text = format!("{}  bob:\n    roles: [wallboard]\n    {}\n", minimal(), damage.replace("CANARY", CANARY));
        let diagnostics = Folder::new().load(text).expect_err("an error").to_string();
        assert!(
            diagnostics.contains("ses") && diagnostics.contains('…') && !diagnostics.contains(CANARY),
            "{diagnostics}"
        );
    }
}

#[test]
fn a_pattern_for_names_of_secrets_is_a_key_like_others() {
    let masks = r#"allow: [Ping], events: { mask: { "*Password*": hide, "*Secret*": last4 } }"#;
    assert!(Folder::new().load(with("allow: [Ping]", masks)).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Somewhere in a policy with secrets, something is cut out or put in.
    #[test]
    fn no_damage_makes_a_secret_visible(at in 0usize..900, cut in 0usize..12, put in "[ \\-:{}\\[\\]\"'#&*!|>\n\ta-z]{0,3}") {
        let text = format!(
            "{}  bob:\n    roles: [none]\n    secret: {CANARY}\n    sessions: 0\n  carol: {{ secret: \"{CANARY}\", roles: x }}\n",
            minimal()
        );
        // The word `secret` and the canary stay whole: without the first nobody could know, without the second there is
        // nothing to find.
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        let touches = |word: &str| text.match_indices(word).any(|(start, _)| start < end.max(at + 1) && at < start + word.len());
        prop_assume!(text.is_char_boundary(at) && text.is_char_boundary(end));
        prop_assume!(!touches("secret:") && !touches(CANARY));
        let (before, after) = (text.get(..at).unwrap_or_default(), text.get(end..).unwrap_or_default());
        assert_hidden(&format!("{before}{put}{after}"))?;
    }
}

#[test]
fn a_secret_is_read_from_a_regular_file_of_some_size_only() {
    let folder = Folder::new();
    for device in ["/dev/zero", "/dev/tty", "/proc"] {
        let diagnostics = folder.load(with("pbx.secret", device)).expect_err("an error");
        assert!(diagnostics.to_string().contains(&format!("{device} is no regular file")), "{diagnostics}");
    }
    folder.write("pbx.secret", "a\n".repeat(64 * 1_024));
    let diagnostics = folder.load(minimal()).expect_err("an error");
    assert!(diagnostics.to_string().contains("pbx.secret is larger than 65536 bytes"), "{diagnostics}");
}
