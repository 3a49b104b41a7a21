//! CLI commands, in words as Asterisk splits them (cli.c, `parse_args`): at blanks, whatever their number, without case.
//! A value with a quote, a backslash or a TAB is not split at all: Asterisk takes these away after others have looked.

use super::pattern::{Attributes, Dialect, Pattern, PatternError, Side};
use super::variables::has_expansion;

/// Asterisk takes no more words (`AST_MAX_ARGS`).
const MAX_WORDS: usize = 63;

/// The words of a command, or nothing if it could be read in two ways.
pub(super) fn words(command: &[u8]) -> Option<impl Iterator<Item = &[u8]> + Clone> {
    let is_clear = !command.iter().any(|byte| matches!(byte, b'"' | b'\\' | b'\t'));
    let words = command.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    (is_clear && words.clone().count() <= MAX_WORDS).then_some(words)
}

#[derive(Clone, Debug)]
enum Word {
    /// `*`: one word.
    Any,
    /// `**`, at the end: all further words.
    Rest,
    Like(Pattern),
}

/// A command of a rule.
#[derive(Clone, Debug)]
pub(super) struct CommandPattern(Vec<Word>);

impl CommandPattern {
    /// Reads a command of a rule: words, each a pattern.
    pub(super) fn parse(text: &str, side: Side, attributes: Attributes<'_>) -> Result<Self, PatternError> {
        let mut words = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            words.push(match word {
                "*" => Word::Any,
                "**" => Word::Rest,
                like => Word::Like(Pattern::parse(like, Dialect::Text, side, attributes)?.lowercased()),
            });
        }
        let behind_end = words.iter().rev().skip(1).any(|word| matches!(word, Word::Rest));
        match words.is_empty() {
            true => Err(PatternError::Empty),
            false if behind_end => Err(PatternError::BehindRest),
            false => Ok(Self(words)),
        }
    }

    /// Whether the command is this, all of its words.
    pub(super) fn allows(&self, command: &[u8]) -> bool {
        let is_text = self.0.iter().all(|word| matches!(word, Word::Like(pattern) if pattern.is_exact()));
        (is_text || !has_expansion(command)) && self.matches(command, Side::Allow)
    }

    /// Whether the command begins with this.
    pub(super) fn denies(&self, command: &[u8]) -> bool {
        self.matches(command, Side::Deny)
    }

    fn matches(&self, command: &[u8], side: Side) -> bool {
        let command = command.to_ascii_lowercase();
        let Some(mut words) = words(&command) else { return false };
        for own in &self.0 {
            let is_match = match own {
                Word::Rest => return true,
                Word::Any => words.next().is_some(),
                Word::Like(pattern) => words.next().is_some_and(|word| pattern.matches(word)),
            };
            if !is_match {
                return false;
            }
        }
        side == Side::Deny || words.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, side: Side) -> CommandPattern {
        CommandPattern::parse(text, side, &|_| None).expect("a pattern")
    }

    #[test]
    fn all_words_are_compared_in_order() {
        let show = parse("queue show *", Side::Allow);
        for yes in ["queue show sales", " Queue  SHOW   x/1 "] {
            assert!(show.allows(yes.as_bytes()), "{yes}");
        }
        for no in
            ["queue show", "queue show a b", "show queue a", "queue show \"a b\"", "que\\ue show a", "queue\tshow a"]
        {
            assert!(!show.allows(no.as_bytes()), "{no}");
        }
        assert!(!parse("echo *", Side::Allow).allows(b"echo ${x}"));
        assert!(parse("core show **", Side::Allow).allows(b"core show hints x"));
        assert!(CommandPattern::parse("core ** x", Side::Allow, &|_| None).is_err());
    }

    #[test]
    fn a_deny_looks_at_the_first_words() {
        let deny = parse("core stop", Side::Deny);
        assert!(deny.denies(b"CORE stop now") && deny.denies(b"core  stop") && !deny.denies(b"core show x"));
    }
}
