//! Values that Asterisk reads more loosely than they look (manager.c, `action_originate`): what is refused under every
//! allow, and under which other spellings a deny has to look for a value.

use crate::catalogue::{ParamEntry, ParamKind};

use super::command;
use super::variables::{self, WithValues};

/// What Asterisk keeps of each half of a `Local/` channel (`AST_MAX_EXTENSION`, `AST_MAX_CONTEXT`).
const LOCAL_HALF_MAX: usize = 79;
/// The words that `ast_true` takes; every other word is false.
const TRUE_WORDS: [&[u8]; 6] = [b"true", b"yes", b"y", b"t", b"1", b"on"];
/// The words that `ast_false` takes.
const FALSE_WORDS: [&[u8]; 6] = [b"false", b"no", b"n", b"f", b"0", b"off"];

/// Whether Asterisk would read the value in one way only, and wholly.
pub(super) fn is_plain(param: &ParamEntry, value: &[u8]) -> bool {
    if param.len_max.is_some_and(|len_max| value.len() > len_max) {
        return false;
    }
    match param.kind {
        ParamKind::Command => command::words(value).is_some(),
        ParamKind::Dial => !is_local(value) || LocalChannel::read(value).is_some(),
        ParamKind::Priority => is_whole_number(value) || is_label(value),
        ParamKind::Timeout => is_whole_number(value),
        ParamKind::VariableNames => variables::is_clear(value, WithValues::No),
        ParamKind::Variables => variables::is_clear(value, WithValues::Yes),
        ParamKind::Boolean
        | ParamKind::CallerId
        | ParamKind::Channel
        | ParamKind::ChannelPrefix
        | ParamKind::Data
        | ParamKind::Dialable
        | ParamKind::Filename
        | ParamKind::Integer
        | ParamKind::Mailboxes
        | ParamKind::Module
        | ParamKind::NewPriority
        | ParamKind::Recording
        | ParamKind::Text
        | ParamKind::Variable => true,
    }
}

/// Whether only a rule with exactly this text may let the value pass: functions, expansions, and what could be dialled as
/// something else than it looks.
pub(crate) fn needs_exact(kind: ParamKind, value: &[u8]) -> bool {
    match kind {
        ParamKind::Command | ParamKind::Data => variables::has_expansion(value),
        ParamKind::Dialable => !value.iter().copied().all(is_dialable_byte),
        ParamKind::NewPriority => value.eq_ignore_ascii_case(b"hint"),
        // Asterisk joins it with other parameters by commas and splits the whole again (app_mixmonitor.c).
        ParamKind::Recording => value.contains(&b',') || variables::has_expansion(value),
        ParamKind::Variable => variables::is_function(value),
        ParamKind::VariableNames => variables::elements(value).any(variables::is_function),
        ParamKind::Variables => variables::elements(value).any(|element| {
            variables::split_value(element)
                .is_none_or(|(name, value)| variables::is_function(name) || variables::has_expansion(value))
        }),
        ParamKind::Boolean
        | ParamKind::CallerId
        | ParamKind::Channel
        | ParamKind::ChannelPrefix
        | ParamKind::Dial
        | ParamKind::Filename
        | ParamKind::Integer
        | ParamKind::Mailboxes
        | ParamKind::Module
        | ParamKind::Priority
        | ParamKind::Text
        | ParamKind::Timeout => false,
    }
}

/// Whether a named extension consists of what extensions are named with.
pub(super) fn is_extension_name(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.*#+".contains(byte))
}

/// Whether `is_denied` holds for the value in any of the spellings that are one to Asterisk.
pub(super) fn any_spelling(kind: ParamKind, value: &[u8], is_denied: impl Fn(&[u8]) -> bool) -> bool {
    if is_denied(value) {
        return true;
    }
    match kind {
        ParamKind::Boolean => {
            let is_word = |word: &&[u8]| word.eq_ignore_ascii_case(value);
            let words = if TRUE_WORDS.iter().any(is_word) { TRUE_WORDS } else { FALSE_WORDS };
            words.into_iter().any(is_denied)
        }
        // A regular expression over all channels (manager.c, `action_hangup`) may mean the one that is denied, and so may
        // a unique id or a word such as `all`.
        ParamKind::Channel | ParamKind::ChannelPrefix => value.starts_with(b"/") || !value.contains(&b'/'),
        ParamKind::Dial => {
            LocalChannel::read(value).is_some_and(|local| local.spellings().iter().any(|s| is_denied(s)))
        }
        ParamKind::Dialable => value.contains(&b'-') && is_denied(&without_dashes(value)),
        // Another way to the same file.
        ParamKind::Filename => value.contains(&b'/') || value.windows(2).any(|pair| pair == b".."),
        ParamKind::Mailboxes => mailboxes(value).iter().any(|mailbox| is_denied(mailbox)),
        ParamKind::Module => {
            let name = without_suffix(value, b".so");
            value.contains(&b'/') || is_denied(name) || is_denied(&[name, b".so"].concat())
        }
        ParamKind::Integer | ParamKind::NewPriority | ParamKind::Priority | ParamKind::Timeout => {
            is_whole_number(value) && is_denied(without_leading_zeros(value))
        }
        ParamKind::Variable => variables::aliases(value).any(is_denied),
        ParamKind::CallerId
        | ParamKind::Command
        | ParamKind::Data
        | ParamKind::Recording
        | ParamKind::Text
        | ParamKind::VariableNames
        | ParamKind::Variables => false,
    }
}

/// Whether `ast_true` takes the word.
pub(super) fn is_true(value: &[u8]) -> bool {
    TRUE_WORDS.iter().any(|word| word.eq_ignore_ascii_case(value))
}

/// Each mailbox of a list, without and with the context that Asterisk adds.
fn mailboxes(value: &[u8]) -> Vec<Vec<u8>> {
    let elements = value.split(|byte| matches!(byte, b',' | b'&' | b' ' | b'\t')).filter(|one| !one.is_empty());
    let spellings = |mailbox: &[u8]| {
        let name = without_suffix(mailbox, b"@default");
        let is_default = name.len() < mailbox.len() || !mailbox.contains(&b'@');
        [mailbox.to_vec(), if is_default { [name, b"@default"].concat() } else { name.to_vec() }, name.to_vec()]
    };
    elements.flat_map(spellings).collect()
}

fn without_suffix<'a>(value: &'a [u8], suffix: &[u8]) -> &'a [u8] {
    match value.split_at_checked(value.len().saturating_sub(suffix.len())) {
        Some((start, end)) if end.eq_ignore_ascii_case(suffix) => start,
        _ => value,
    }
}

/// Whether the word is one that `ast_true` or `ast_false` takes.
pub(crate) fn is_boolean(value: &[u8]) -> bool {
    TRUE_WORDS.iter().chain(&FALSE_WORDS).any(|word| word.eq_ignore_ascii_case(value))
}

/// A number of at most nine digits, which no integer of Asterisk's overflows on.
pub(super) fn is_whole_number(value: &[u8]) -> bool {
    (1..=9).contains(&value.len()) && value.iter().all(u8::is_ascii_digit)
}

/// A whole number, perhaps negative.
pub(crate) fn is_integer(value: &[u8]) -> bool {
    is_whole_number(value.strip_prefix(b"-").unwrap_or(value))
}

/// What may stand in a value that is dialled.
pub(super) const fn is_dialable_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'D' | b'a'..=b'd' | b'*' | b'#' | b'+')
}

fn is_label(value: &[u8]) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    value.len() <= LOCAL_HALF_MAX
        && value.first().is_some_and(is_first)
        && value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn is_local(value: &[u8]) -> bool {
    value.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"Local/"))
}

fn without_dashes(value: &[u8]) -> Vec<u8> {
    value.iter().copied().filter(|&byte| byte != b'-').collect()
}

fn without_leading_zeros(value: &[u8]) -> &[u8] {
    let zeros = value.iter().take_while(|&&byte| byte == b'0').count();
    value.get(zeros.min(value.len().saturating_sub(1))..).unwrap_or(value)
}

/// `Local/exten[@context][/options]`. Asterisk takes options from the last `/` and the context from the first `@`, so a
/// second one of either would make other readers see another context (core_local.c, `local_alloc`).
struct LocalChannel<'a> {
    exten: &'a [u8],
    context: &'a [u8],
    options: &'a [u8],
}

impl<'a> LocalChannel<'a> {
    fn read(value: &'a [u8]) -> Option<Self> {
        let address = if is_local(value) { value.get(6..)? } else { return None };
        let (address, options) = split_at(address, b'/');
        let (exten, context) = split_at(address, b'@');
        let is_clear = !exten.is_empty()
            && exten.len() <= LOCAL_HALF_MAX
            && context.is_none_or(|context| (1..=LOCAL_HALF_MAX).contains(&context.len()) && !context.contains(&b'@'))
            && options.is_none_or(|options| options.iter().all(u8::is_ascii_alphabetic));
        let context = context.unwrap_or(b"default");
        is_clear.then_some(Self { exten, context, options: options.unwrap_or_default() })
    }

    /// With the context written out and without the dashes that the dialplan skips; without and with options.
    fn spellings(&self) -> [Vec<u8>; 4] {
        let whole = |exten: &[u8]| [b"Local/", exten, b"@", self.context].concat();
        let with_options = |channel: &[u8]| [channel, b"/", self.options].concat();
        let (as_is, dialled) = (whole(self.exten), whole(&without_dashes(self.exten)));
        [with_options(&as_is), with_options(&dialled), as_is, dialled]
    }
}

fn split_at(value: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(separator, value) {
        Some(end) => (value.get(..end).unwrap_or_default(), value.get(end + 1..)),
        None => (value, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_channel_has_one_reading_or_none() {
        let parts = |value: &'static str| {
            LocalChannel::read(value.as_bytes()).map(|local| (local.exten, local.context, local.options))
        };
        assert_eq!(parts("Local/100@internal/n"), Some((&b"100"[..], &b"internal"[..], &b"n"[..])));
        assert_eq!(parts("lOcAl/s"), Some((&b"s"[..], &b"default"[..], &b""[..])));
        let long = format!("Local/{}@x", "9".repeat(80));
        for unclear in ["Local/911@a@b", "Local/1@a/x@y", "Local/1@a/n/n", "Local/", "Local/@a", "Local/1@", &long] {
            assert!(is_local(unclear.as_bytes()) && LocalChannel::read(unclear.as_bytes()).is_none(), "{unclear}");
        }
    }

    #[test]
    fn priorities_and_timeouts_are_whole() {
        for good in ["1", "999", "start", "_x-y"] {
            assert!(is_whole_number(good.as_bytes()) || is_label(good.as_bytes()), "{good}");
        }
        for bad in ["", "1abc", "-1", "1 ", "+1", "a b", "0x2", "12345678901"] {
            assert!(!is_whole_number(bad.as_bytes()) && !is_label(bad.as_bytes()), "{bad}");
        }
    }
}
