//! Comments of Asterisk's configuration files (config.c, `config_text_file_load`): `;` to the end of the line, `;--` to
//! `--;` over lines and in each other, `\;` for a semicolon.

/// Asterisk's limit is higher; more than this is no file that somebody wrote.
const DEPTH_MAX: usize = 100;

/// Why a line cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadComment {
    /// `--;` where no comment was begun.
    NeverBegun,
    /// Too many in each other.
    TooDeep,
}

impl BadComment {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::NeverBegun => {
                "`--;` ends a comment that was never begun, and Asterisk reads nothing behind it; delete it, or write `\\;`"
            }
            Self::TooDeep => "too many comments in each other",
        }
    }
}

/// What of a line is no comment. `depth` is how many `;--` are open before it, and after it.
pub(super) fn without(line: &[u8], depth: &mut usize) -> Result<Vec<u8>, BadComment> {
    let mut kept = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.iter().position(|byte| *byte == b';') {
        let (before, mark) = rest.split_at(at);
        let behind = mark.get(1..).unwrap_or_default();
        let is_code = *depth == 0;
        if let Some(text) = before.strip_suffix(b"\\") {
            if is_code {
                kept.extend_from_slice(text);
                kept.push(b';');
            }
            rest = behind;
        } else if behind.starts_with(b"--") && behind.get(2) != Some(&b'-') {
            if *depth == DEPTH_MAX {
                return Err(BadComment::TooDeep);
            }
            if is_code {
                kept.extend_from_slice(before);
            }
            *depth += 1;
            rest = behind.get(2..).unwrap_or_default();
        } else if before.ends_with(b"--") {
            *depth = depth.checked_sub(1).ok_or(BadComment::NeverBegun)?;
            rest = behind;
        } else if is_code {
            kept.extend_from_slice(before);
            return Ok(kept);
        } else {
            rest = behind;
        }
    }
    if *depth == 0 {
        kept.extend_from_slice(rest);
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let mut depth = 0;
        let kept = text.split('\n').map(|line| without(line.as_bytes(), &mut depth).expect("readable"));
        kept.map(|line| String::from_utf8(line).expect("text")).collect()
    }

    #[test]
    fn comments_end_where_asterisk_ends_them() {
        assert_eq!(lines("a = b ; c\n;d\n\\;e \\; f;g"), ["a = b ", "", ";e ; f"]);
        assert_eq!(lines("a;-- b\nc\n--;d\ne"), ["a", "", "d", "e"]);
        assert_eq!(lines("a;-- b ;-- c --; d --;e"), ["ae"]);
        assert_eq!(lines(";---- a ----;\nb\n;---;\nc"), ["", "b", "", "c"], "a line of dashes is no block");
        assert_eq!(lines(";-- a ; b\nc --; d"), ["", " d"]);
    }

    #[test]
    fn an_end_without_a_begin_is_told() {
        assert_eq!(without(b"a --; b", &mut 0), Err(BadComment::NeverBegun));
        assert_eq!(without(&b";--".repeat(200), &mut 0), Err(BadComment::TooDeep));
    }
}
