//! The Markdown of `docs/`: as much of the language as its pages use, and no more.

use std::iter::Peekable;
use std::str::Lines;

/// What a page consists of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// Its depth (1 for the page's title), and the text.
    Heading(usize, String),
    Paragraph(String),
    /// How far it is indented, its mark (`*` or `1.`), and the text.
    Item(usize, String, String),
    /// A fenced block, line by line.
    Code(Vec<String>),
    /// Rows of cells; the first row is the head.
    Table(Vec<Vec<String>>),
}

/// The blocks of a page. Comments are left out, and so are pictures.
pub(super) fn parse(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if text.is_empty() || text.starts_with("![") {
            continue;
        } else if text.starts_with("<!--") {
            skip_comment(text, &mut lines);
        } else if text.starts_with("```") {
            blocks.push(Block::Code(fenced(&mut lines, indent)));
        } else if let Some((depth, title)) = heading(text) {
            blocks.push(Block::Heading(depth, inline(title)));
        } else if text.starts_with('|') {
            blocks.push(Block::Table(table(text, &mut lines)));
        } else if let Some((mark, first)) = item(text) {
            blocks.push(Block::Item(indent, mark.to_owned(), inline(&joined(first, &mut lines))));
        } else {
            blocks.push(Block::Paragraph(inline(&joined(text, &mut lines))));
        }
    }
    blocks
}

/// The part of a page below one of its headings, that heading included, up to the next one that is not deeper.
pub(super) fn section(blocks: Vec<Block>, title: &str) -> Vec<Block> {
    let mut blocks = blocks.into_iter().skip_while(|block| !matches!(block, Block::Heading(_, text) if text == title));
    let Some(Block::Heading(depth, text)) = blocks.next() else { return Vec::new() };
    let below = blocks.take_while(|block| !matches!(block, Block::Heading(deep, _) if *deep <= depth));
    std::iter::once(Block::Heading(depth, text)).chain(below).collect()
}

fn skip_comment(first: &str, lines: &mut Peekable<Lines<'_>>) {
    let mut line = Some(first);
    while line.is_some_and(|line| !line.contains("-->")) {
        line = lines.next();
    }
}

/// The lines up to the closing fence, without the indent of the opening one.
fn fenced(lines: &mut Peekable<Lines<'_>>, indent: usize) -> Vec<String> {
    let inside = lines.by_ref().take_while(|line| line.trim() != "```");
    inside.map(|line| line.get(indent..).unwrap_or_default().to_owned()).collect()
}

fn heading(text: &str) -> Option<(usize, &str)> {
    let title = text.trim_start_matches('#');
    let depth = text.len() - title.len();
    (depth > 0).then_some(())?;
    Some((depth, title.strip_prefix(' ')?))
}

/// A list item's mark and its text.
fn item(text: &str) -> Option<(&str, &str)> {
    let (mark, rest) = text.split_once(' ')?;
    let is_number =
        mark.strip_suffix('.').is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()));
    (mark == "*" || mark == "-" || is_number).then_some((mark, rest))
}

/// A text with the lines that go on with it.
fn joined(first: &str, lines: &mut Peekable<Lines<'_>>) -> String {
    let mut text = first.trim().to_owned();
    let goes_on = |line: &&str| {
        let line = line.trim_start();
        let ends = line.is_empty() || line.starts_with('|') || line.starts_with("```") || line.starts_with("<!--");
        !ends && heading(line).is_none() && item(line).is_none()
    };
    while let Some(line) = lines.next_if(goes_on) {
        text.push(' ');
        text.push_str(line.trim());
    }
    text
}

fn table(first: &str, lines: &mut Peekable<Lines<'_>>) -> Vec<Vec<String>> {
    let mut rows = vec![cells(first)];
    while let Some(line) = lines.next_if(|line| line.trim_start().starts_with('|')) {
        rows.push(cells(line.trim()));
    }
    rows.retain(|row| !row.iter().all(|cell| !cell.is_empty() && cell.bytes().all(|byte| b"-:".contains(&byte))));
    rows
}

/// The cells of a row; `\|` is no border.
fn cells(row: &str) -> Vec<String> {
    let row = row.strip_prefix('|').unwrap_or(row);
    let row = row.trim_end().strip_suffix('|').unwrap_or(row).replace("\\|", "\u{1}");
    row.split('|').map(|cell| inline(cell.trim()).replace('\u{1}', "|")).collect()
}

/// A text without its marks: links become their text and where they lead, emphasis goes, code stays as it is.
pub(super) fn inline(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, code, behind)) = span(rest) {
        plain.push_str(&without_emphasis(before));
        plain.push_str(code);
        rest = behind;
    }
    plain.push_str(&without_emphasis(rest));
    links(&plain)
}

/// The first code of a text with its backticks, one or more on either side; what stands before and behind it.
fn span(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_at_checked(text.find('`')?)?;
    let inside = rest.trim_start_matches('`');
    let mark = rest.get(..rest.len() - inside.len())?;
    let end = mark.len() + inside.find(mark)? + mark.len();
    let (code, behind) = rest.split_at_checked(end)?;
    Some((before, code, behind))
}

fn without_emphasis(text: &str) -> String {
    text.replace(" * ", "\u{2}").replace('*', "").replace('\u{2}', " * ")
}

fn links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, shown, target, behind)) = link(rest) {
        plain.push_str(before);
        plain.push_str(shown);
        let page = target.split('#').next().unwrap_or_default().trim_start_matches("../");
        if !page.is_empty() && !shown.contains(page) {
            plain.push_str(" (");
            plain.push_str(page);
            plain.push(')');
        }
        rest = behind;
    }
    plain.push_str(rest);
    plain
}

/// The first link of a text: what stands before it, its text, where it leads, what stands behind it.
fn link(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (until, behind) = text.split_once("](")?;
    let (before, shown) = until.rsplit_once('[')?;
    let (target, behind) = behind.split_once(')')?;
    Some((before, shown, target, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_its_blocks() {
        let page = "# One **page**\n\n<!-- not\nshown -->\nSome `a * b` and\n[more](x.md#y), [x.md](x.md).\n* an\n  item\n  1. deeper\n\n```sh\n$ a\n\n  b\n```\n\
            | a | b |\n| --- | --- |\n| `x\\|y` | *z* |\n## Two\nend";
        let text = str::to_owned;
        let expected = [
            Block::Heading(1, text("One page")),
            Block::Paragraph(text("Some `a * b` and more (x.md), x.md.")),
            Block::Item(0, text("*"), text("an item")),
            Block::Item(2, text("1."), text("deeper")),
            Block::Code(vec![text("$ a"), text(""), text("  b")]),
            Block::Table(vec![vec![text("a"), text("b")], vec![text("`x|y`"), text("z")]]),
            Block::Heading(2, text("Two")),
            Block::Paragraph(text("end")),
        ];
        assert_eq!(parse(page), expected);
    }

    #[test]
    fn a_section_ends_where_the_next_one_begins() {
        let page = "# Page\na\n## One\nb\n### Deeper\nc\n## Two\nd";
        let texts: Vec<String> = section(parse(page), "One").iter().map(|block| format!("{block:?}")).collect();
        assert_eq!(texts.len(), 4, "{texts:?}");
        assert!(texts.iter().all(|text| !text.contains("Two") && !text.contains("\"d\"")), "{texts:?}");
        assert!(section(parse(page), "Three").is_empty());
    }

    #[test]
    fn code_stays_as_it_is() {
        assert_eq!(inline("a `*` **b** ``c ` *`` d * e `f"), "a `*` b ``c ` *`` d * e `f");
        assert_eq!(inline("[`a`](b.md) and [c](#d)"), "`a` (b.md) and c");
    }
}
