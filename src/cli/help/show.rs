//! A page for the terminal: paragraphs as wide as it is, tables as columns, headings that stand out.

use super::markdown::Block;

/// How wide a column of a table is at least, where not all fit.
const NARROW: usize = 8;
/// How wide one with longer cells is at least, where there is room.
const FLOOR: usize = 14;
/// What stands between two columns.
const GAP: usize = 2;

/// How a page is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) width: usize,
    /// Headings in bold.
    pub(super) is_terminal: bool,
}

/// The whole text, without a line end behind it.
pub(super) fn show(blocks: &[Block], style: Style) -> String {
    let mut text = String::new();
    let mut was_item = false;
    for block in blocks {
        let is_item = matches!(block, Block::Item(..));
        if !text.is_empty() {
            text.push_str(if was_item && is_item { "\n" } else { "\n\n" });
        }
        was_item = is_item;
        text.push_str(&one(block, style));
    }
    text
}

fn one(block: &Block, style: Style) -> String {
    match block {
        Block::Heading(depth, title) => heading(*depth, title, style),
        Block::Paragraph(text) => wrap(text, style.width).join("\n"),
        Block::Item(indent, mark, text) => {
            let left = format!("{:indent$}{mark} ", "");
            let lines = wrap(text, style.width.saturating_sub(left.len()));
            let hang = format!("\n{:1$}", "", left.len());
            format!("{left}{}", lines.join(&hang))
        }
        Block::Code(lines) => {
            let lines: Vec<String> = lines.iter().map(|line| format!("    {line}").trim_end().to_owned()).collect();
            lines.join("\n")
        }
        Block::Table(rows) => table(rows, style),
    }
}

fn heading(depth: usize, title: &str, style: Style) -> String {
    let title = if depth == 1 { title.to_uppercase() } else { title.to_owned() };
    if style.is_terminal { format!("\u{1b}[1m{title}\u{1b}[0m") } else { title }
}

/// Lines of whole words that are no longer than `width`, unless a word is.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && length(&line) + 1 + length(word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Rows in columns: as wide as their widest cell, or, where there is no room for that, as wide as their share.
pub(super) fn columns(rows: &[Vec<String>], style: Style) -> String {
    joined(rows, &widths(rows, style.width))
}

/// The same with a line below the first row.
fn table(rows: &[Vec<String>], style: Style) -> String {
    let widths = widths(rows, style.width);
    let Some((head, below)) = rows.split_first() else { return String::new() };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    format!("{}\n{}\n{}", shown_row(head, &widths), rule.join(&" ".repeat(GAP)), joined(below, &widths))
}

/// With an empty line between the rows, if some take several lines.
fn joined(rows: &[Vec<String>], widths: &[usize]) -> String {
    let is_tall = rows.iter().any(|row| row.iter().zip(widths).any(|(cell, width)| length(cell) > *width));
    let rows: Vec<String> = rows.iter().map(|row| shown_row(row, widths)).collect();
    rows.join(if is_tall { "\n\n" } else { "\n" })
}

fn widths(rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let natural = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| length(cell)).max().unwrap_or_default()
    };
    let mut widths: Vec<usize> = (0..count).map(natural).collect();
    // Who needs less than an equal share gets what it needs.
    let (mut left, mut wide) = (width.saturating_sub(GAP * count.saturating_sub(1)), count);
    let mut order = widths.clone();
    order.sort_unstable();
    for need in order.iter().copied() {
        if need > left / wide.max(1) {
            break;
        }
        left -= need;
        wide -= 1;
    }
    // Of the rest each gets a little, and what is left then goes to who has much to say.
    let Some(share) = left.checked_div(wide) else { return widths };
    let floor = share.clamp(NARROW, FLOOR);
    let extra = left.saturating_sub(floor * wide);
    let wanted: usize = order.iter().rev().take(wide).map(|need| need.saturating_sub(floor)).sum();
    for width in widths.iter_mut().filter(|width| **width > share) {
        *width = floor + extra * width.saturating_sub(floor) / wanted.max(1);
    }
    widths
}

fn shown_row(row: &[String], widths: &[usize]) -> String {
    let columns: Vec<Vec<String>> = row.iter().zip(widths).map(|(cell, width)| wrap(cell, *width)).collect();
    let height = columns.iter().map(Vec::len).max().unwrap_or_default();
    let line = |number: usize| {
        let cells = columns.iter().zip(widths).map(|(column, width)| {
            let cell = column.get(number).map_or("", String::as_str);
            format!("{cell}{:1$}", "", width.saturating_sub(length(cell)) + GAP)
        });
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::markdown::parse;
    use super::*;

    const PLAIN: Style = Style { width: 30, is_terminal: false };

    #[test]
    fn a_page_is_as_wide_as_the_terminal() {
        let page = "# Title\n\nWords that do not fit into one line of it.\n* an item that is too long for one\n* two\n";
        let expected =
            "TITLE\n\nWords that do not fit into one\nline of it.\n\n* an item that is too long for\n  one\n* two";
        assert_eq!(show(&parse(page), PLAIN), expected);
        let bold = show(&parse("## A"), Style { is_terminal: true, ..PLAIN });
        assert_eq!(bold, "\u{1b}[1mA\u{1b}[0m");
    }

    #[test]
    fn a_table_becomes_columns() {
        let short = show(&parse("| a | bb |\n| --- | --- |\n| ccc | d |\n"), PLAIN);
        assert_eq!(short, "a    bb\n---  --\nccc  d");
        let long =
            show(&parse("| a | b |\n| --- | --- |\n| x | this one goes over more than a line |\n| y | z |\n"), PLAIN);
        let rule = "-".repeat(27);
        assert_eq!(long, format!("a  b\n-  {rule}\nx  this one goes over more\n   than a line\n\ny  z"));
    }

    #[test]
    fn no_line_of_a_page_is_wider_unless_a_word_or_code_is() {
        for (name, page) in super::super::PAGES {
            for block in parse(page).iter().filter(|block| !matches!(block, Block::Code(_))) {
                let style = Style { width: 80, is_terminal: false };
                for line in one(block, style).lines() {
                    let longest = line.split_whitespace().map(length).max().unwrap_or_default();
                    assert!(length(line) <= 80 || longest > NARROW, "{name}: {line}");
                }
            }
        }
    }
}
