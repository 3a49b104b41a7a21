//! [`first_call`]: whether a call goes to a class of numbers, known by its prefix, that an identity has never called.

use std::collections::BTreeSet;

use super::spec::{Problem, Spanned};

/// Reads prefixes of numbers.
pub(super) fn compile(texts: &[Spanned]) -> Result<Vec<String>, Vec<Problem>> {
    let is_prefix = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b"*#+".contains(&b));
    let wrong = texts.iter().filter(|spanned| !is_prefix(&spanned.text));
    let problem = |spanned: &Spanned| Problem {
        at: spanned.at,
        message: format!("`{}` is not how a number begins", spanned.text.escape_debug()),
        help: Some("digits, `+`, `*` and `#`, in quotes: \"00\"".to_owned()),
    };
    let problems: Vec<Problem> = wrong.map(problem).collect();
    if problems.is_empty() { Ok(texts.iter().map(|spanned| spanned.text.clone()).collect()) } else { Err(problems) }
}

/// The class of one of the numbers that are dialled, if that class was never used. A number is of the class of its longest
/// prefix.
pub(super) fn first_call<'p, 'v>(
    prefixes: &'p [String],
    used: &BTreeSet<String>,
    value: impl Fn(&str) -> Option<&'v [u8]>,
) -> Option<&'p str> {
    let class = |number: &Vec<u8>| {
        let of_number = prefixes.iter().filter(|prefix| number.starts_with(prefix.as_bytes()));
        of_number.max_by_key(|prefix| prefix.len())
    };
    let numbers = numbers(value);
    let mut classes = numbers.iter().filter_map(class);
    classes.find(|class| !used.contains(*class)).map(String::as_str)
}

/// What may be a number in what is dialled: the extension, and each part behind the technology of what names a channel,
/// with the application's data, which may be a dial string too.
fn numbers<'v>(value: impl Fn(&str) -> Option<&'v [u8]>) -> Vec<Vec<u8>> {
    let mut numbers: Vec<Vec<u8>> = value("Exten").into_iter().map(digits).collect();
    for text in ["Channel", "Data"].into_iter().filter_map(value) {
        for channel in text.split(|b| b"&,|".contains(b)) {
            let parts = channel.split(|b| *b == b'/').skip(1);
            numbers.extend(parts.map(|part| {
                let user = part.split(|b| *b == b'@').next().unwrap_or_default();
                let scheme = user.iter().position(|b| *b == b':').map_or(0, |colon| colon + 1);
                digits(user.get(scheme..).unwrap_or_default())
            }));
        }
    }
    numbers
}

/// Asterisk's matcher skips hyphens.
fn digits(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|b| !b"- ".contains(b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_wherever_they_are_dialled() {
        let prefixes = ["00", "0044", "+"].map(str::to_owned);
        let none = BTreeSet::new();
        for (channel, exten, data, expected) in [
            ("PJSIP/1001", "0049123", "", Some("00")),
            ("PJSIP/1001", "0-0-49123", "", Some("00")),
            ("PJSIP/1001", "0044123", "", Some("0044")),
            ("PJSIP/0049123@trunk", "100", "", Some("00")),
            ("PJSIP/trunk/sip:+49123@example.net", "100", "", Some("+")),
            ("DAHDI/g1/0044123", "100", "", Some("0044")),
            ("Local/0049123@outbound/n", "100", "", Some("00")),
            ("PJSIP/1001", "", "PJSIP/1002&PJSIP/0049123@trunk,30", Some("00")),
            ("PJSIP/1001", "100", "", None),
            ("PJSIP/1001@0049", "1000049", "0049", None),
        ] {
            let value = |name: &str| match name {
                "Channel" => Some(channel.as_bytes()),
                "Exten" => Some(exten.as_bytes()),
                "Data" => Some(data.as_bytes()),
                _ => None,
            };
            assert_eq!(first_call(&prefixes, &none, value), expected, "{channel} {exten} {data}");
            let used = BTreeSet::from(["00".to_owned()]);
            assert_eq!(first_call(&prefixes, &used, value), expected.filter(|class| *class != "00"));
        }
    }
}
