//! What of an output is the same each time.

/// Whether what came is what a page shows, but for times, ports, random ids and what `…` stands for.
pub(crate) fn is_as_shown(shown: &str, came: &str) -> bool {
    let (shown, came) = (shape(shown), shape(came));
    let mut parts = shown.split(|line| line == "…");
    let Some(mut rest) = parts.next().and_then(|head| came.strip_prefix(head)) else { return false };
    let mut is_whole = true;
    for part in parts {
        // The last place where it stands: behind the last `…` comes the end.
        let behind = (0..=rest.len()).rev().find_map(|at| rest.get(at..)?.strip_prefix(part));
        let Some(behind) = behind else { return false };
        is_whole = behind.is_empty();
        rest = behind;
    }
    is_whole && rest.is_empty()
}

/// The lines of an output without what is another one each time. What the kernel has for a sandbox is the machine's, and Asterisk
/// is there before amiwall listens or behind that.
fn shape(text: &str) -> Vec<String> {
    let passing = [" sandbox: ", " INFO upstream "];
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !passing.iter().any(|some| line.contains(some)));
    lines.map(line_shape).collect()
}

fn line_shape(line: &str) -> String {
    let mut words: Vec<String> = line.split_whitespace().map(word_shape).collect();
    // Checkpoints come with the time, so the number of a record says nothing; nor do the seconds until something may be tried again.
    for at in 0..words.len() {
        let is_before = words.get(at + 1).is_some_and(|next| next.starts_with("records") || next.starts_with("bytes"));
        let is_behind =
            at.checked_sub(1).and_then(|before| words.get(before)).is_some_and(|word| word == "record" || word == "in");
        if let Some(word) =
            words.get_mut(at).filter(|word| (is_before || is_behind) && is_number(word.trim_matches(['(', ',', ';'])))
        {
            *word = "N".to_owned();
        }
    }
    words.join(" ")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Eight and more hex digits: a session, a hash, the number of a channel.
fn is_id(text: &str) -> bool {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    text.len() >= 8 && is_hex && text.bytes().any(|byte| byte.is_ascii_digit()) && text.len() != 10
}

fn word_shape(word: &str) -> String {
    if word.contains("$argon2id$") {
        return "HASH".to_owned();
    }
    // A time, a date, a length or a number with decimals; an address has more dots.
    let bare = word.trim_matches(|c| "(),;".contains(c)).trim_end_matches(':');
    let others: String = bare.chars().filter(|c| !c.is_ascii_digit()).collect();
    if others.len() < bare.len() && ["--", "--T::.Z", "--T::Z", "::", "::.", ":.", "."].contains(&others.as_str()) {
        return "TIME".to_owned();
    }
    // The port of a client.
    let word = match word.trim_end_matches([',', ')']).rsplit_once(':') {
        Some((before, port)) if is_number(port) && port.len() == 5 => before,
        _ => word,
    };
    let mut shape = String::new();
    let mut was_id = false;
    for part in word.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        // What follows a session's id is the number of a record.
        let is_variable = is_id(bare) || (was_id && is_number(bare));
        shape.push_str(&if is_variable { part.replacen(bare, "ID", 1) } else { part.to_owned() });
        was_id = is_variable;
    }
    shape
}

#[test]
fn what_differs_each_time_and_what_does_not() {
    let one =
        "2026-11-17T09:12:04.100341Z  Originate  by crm-1001\n  from 10.20.50.7:51234, session 5e2b9c01-2, record 4\n";
    let two =
        "2027-01-01T00:00:00.000001Z  Originate  by crm-1001\n  from  10.20.50.7:40001, session 6c2b9c0a-2, record 4\n";
    assert!(is_as_shown(one, two));
    assert!(is_as_shown(one, &two.replace("record 4", "record 5")));
    assert!(!is_as_shown(one, &two.replace("10.20.50.7", "10.20.50.8")));
    assert!(!is_as_shown("4 passed, 0 failed", "3 passed, 1 failed"));
    assert!(is_as_shown("a\n…\nc", "a\nb\nb\nc") && is_as_shown("a\n…\n", "a\nb") && !is_as_shown("a\n…\nc", "a\nb"));
}
