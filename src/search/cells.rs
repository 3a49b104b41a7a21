//! Records as rows: of a table for people, and of CSV. What a record holds came from the network, and may be meant for
//! the terminal or the spreadsheet that shows it.

use std::borrow::Cow;

use crate::audit::LoggedRecord;

use super::gist::{gist, what};

/// Columns of the table that have a width; the rest of the line is the gist.
const WIDTHS: [usize; 5] = [19, 10, 21, 14, 10];
/// From this width on, the gist stands in the record's own line.
const WIDE: usize = 130;
/// The columns of CSV.
const COLUMNS: [&str; 16] = [
    "seq", "time", "kind", "session", "id", "identity", "peer", "listener", "upstream", "what", "decision", "reason",
    "rule", "line", "gist", "policy",
];

/// The text without anything that could move a cursor, turn the direction of writing or hide: such characters are shown
/// as `\u{1b}`.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let is_hidden = matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
        if character.is_control() || is_hidden {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// JSON without control characters, which stand only in its texts. amiwall writes none; a log may be forged.
#[must_use]
pub fn json_safe(json: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(json);
    if !text.chars().any(char::is_control) {
        return text;
    }
    let escape = |character: char| {
        if character.is_control() { format!("\\u{:04x}", u32::from(character)) } else { character.to_string() }
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// The head of the table.
#[must_use]
pub fn table_header(width: usize) -> String {
    let line = row(["time (UTC)", "identity", "peer", "what", "decision"].map(str::to_owned));
    let rest = "rule or reason, and what the packet says";
    if width >= WIDE { format!("{line}{rest}") } else { format!("{}\n    {rest}", line.trim_end()) }
}

/// A record as one line of at most `width` characters, or two: then the second has the rule or reason, and the gist.
#[must_use]
pub fn table_row(record: &LoggedRecord, width: usize) -> String {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { escaped(text) };
    let time = crate::audit::time_text(record.time);
    let time = time.split_once(['.', 'Z']).map_or(time.as_str(), |(seconds, _)| seconds).replace('T', " ");
    let cells =
        [time, or_dash(&record.identity), or_dash(&record.peer), escaped(what(record)), or_dash(&record.decision)];
    let line = row(cells);
    let why = if record.reason.is_empty() { &record.rule } else { &record.reason };
    let rest = [escaped(why), escaped(&gist(record))].into_iter().filter(|text| !text.is_empty());
    let rest = rest.collect::<Vec<_>>().join("  ");
    if rest.is_empty() {
        return cut(line.trim_end(), width);
    }
    if width >= WIDE {
        return cut(&format!("{line}{rest}"), width);
    }
    format!("{}\n{}", cut(line.trim_end(), width), cut(&format!("    {rest}"), width))
}

fn row(cells: [String; 5]) -> String {
    cells.into_iter().zip(WIDTHS).map(|(cell, width)| format!("{:<width$} ", cut(&cell, width))).collect()
}

/// The first `width` characters; one of them says that there were more.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// The head of the CSV.
#[must_use]
pub fn csv_header() -> String {
    COLUMNS.join(",")
}

/// A record as a line of CSV (RFC 4180), without its line end.
#[must_use]
pub fn csv_row(record: &LoggedRecord) -> String {
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let time = crate::audit::time_text(record.time);
    let cells = [
        &record.seq.to_string(),
        &time,
        &record.kind,
        &record.session,
        &record.id,
        &record.identity,
        &record.peer,
        &record.listener,
        &record.upstream,
        what(record),
        &record.decision,
        &record.reason,
        &record.rule,
        &number(record.line),
        &gist(record),
        &record.policy,
    ];
    cells.map(csv_cell).join(",")
}

/// A cell. What a spreadsheet would run as a formula gets a `'` before it, which makes it text there.
fn csv_cell(text: &str) -> String {
    let text = escaped(text);
    // A blank before the sign does not stop every spreadsheet.
    let is_formula =
        text.trim_start().starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    let guard = if is_formula { "'" } else { "" };
    if is_formula || text.contains(['"', ',', ';', '\'']) || text.starts_with(' ') || text.ends_with(' ') {
        return format!("\"{guard}{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_comes_through() {
        let shown = escaped("a\u{1b}[2J\r\n\t\u{9b}31m\u{7f}\u{202e}b\u{e0041} J\u{fc}rgen");
        assert_eq!(shown, "a\\u{1b}[2J\\u{d}\\u{a}\\u{9}\\u{9b}31m\\u{7f}\\u{202e}b\\u{e0041} J\u{fc}rgen");
    }

    #[test]
    fn cells_are_quoted_and_no_formula() {
        assert_eq!(csv_cell("a,b\"c"), "\"a,b\"\"c\"");
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\u{ff1d}1"] {
            assert_eq!(csv_cell(formula), format!("\"'{formula}\""));
        }
        assert_eq!(csv_cell("\t=1"), "\\u{9}=1", "a TAB is shown, so nothing begins with it");
        assert_eq!(csv_cell("\r=1"), "\\u{d}=1");
        assert_eq!(csv_cell("plain"), "plain");
    }

    #[test]
    fn lines_are_as_wide_as_they_may_be() {
        let record = LoggedRecord { name: "x".repeat(300), kind: "event".into(), ..LoggedRecord::default() };
        let long = LoggedRecord {
            problem: "p".repeat(300),
            rule: "r".repeat(300),
            kind: "policy".into(),
            ..LoggedRecord::default()
        };
        for width in [20, 80, 131, 200] {
            for line in [table_row(&record, width), table_row(&long, width)].iter().flat_map(|row| row.lines()) {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
        assert_eq!(table_row(&long, 80).lines().count(), 2);
        assert_eq!(table_row(&long, 200).lines().count(), 1);
    }
}
