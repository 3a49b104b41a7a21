//! A page as the source of a man page.

use super::markdown::Block;

/// The whole source; `about` is its line for `apropos`.
pub(super) fn page(name: &str, about: &str, blocks: &[Block]) -> String {
    let head = format!(
        ".TH {} 5 \"\" \"amiwall {}\" amiwall\n.SH NAME\n{} \\- {}\n",
        escape(&name.to_uppercase()),
        env!("CARGO_PKG_VERSION"),
        escape(name),
        escape(about)
    );
    blocks.iter().fold(head, |text, block| text + &one(block))
}

fn one(block: &Block) -> String {
    match block {
        // The name stands at the top already.
        Block::Heading(1, title) => format!(".SH DESCRIPTION\n{}\n", line(title)),
        Block::Heading(2, title) => format!(".SH {}\n", quoted(&title.to_uppercase())),
        Block::Heading(_, title) => format!(".SS {}\n", quoted(title)),
        Block::Paragraph(text) => format!(".PP\n{}\n", line(text)),
        Block::Item(_, mark, text) if mark.ends_with('.') => format!(".IP {mark} 4\n{}\n", line(text)),
        Block::Item(_, _, text) => format!(".IP \\(bu 2\n{}\n", line(text)),
        Block::Code(lines) => {
            let lines: String = lines.iter().map(|text| line(text) + "\n").collect();
            format!(".PP\n.RS 4\n.nf\n{lines}.fi\n.RE\n")
        }
        Block::Table(rows) => table(rows),
    }
}

/// Each row by its first cell, and below it what each other column says.
fn table(rows: &[Vec<String>]) -> String {
    let Some((head, rows)) = rows.split_first() else { return String::new() };
    let row = |row: &Vec<String>| {
        let mut cells = head.iter().zip(row);
        let first = cells.next().map(|(_, cell)| line(cell)).unwrap_or_default();
        let others = cells.filter(|(_, cell)| !cell.is_empty());
        let others: Vec<String> = others.map(|(name, cell)| line(&format!("{name}: {cell}"))).collect();
        format!(".TP\n{first}\n{}\n", others.join("\n.br\n"))
    };
    rows.iter().map(row).collect()
}

/// A line of text that is no request.
fn line(text: &str) -> String {
    let text = escape(text);
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// An argument of a request.
fn quoted(text: &str) -> String {
    format!("\"{}\"", escape(text).replace('"', "\\(dq"))
}

#[cfg(test)]
mod tests {
    use super::super::markdown::parse;
    use super::*;

    #[test]
    fn a_page_becomes_requests_and_no_text_does() {
        let markdown = "# T\n\n.not `a\\b`\n\n## The \"key\"\n* one\n\n```\n'x - y\n```\n| a | b | c |\n| --- | --- | --- |\n| k | v | |\n";
        let expected = ".TH A\\-B 5 \"\" \"amiwall VERSION\" amiwall\n.SH NAME\na\\-b \\- what\n.SH DESCRIPTION\nT\n\
            .PP\n\\&.not `a\\eb`\n.SH \"THE \\(dqKEY\\(dq\"\n.IP \\(bu 2\none\n.PP\n.RS 4\n.nf\n\\&'x \\- y\n.fi\n.RE\n.TP\nk\nb: v\n";
        let page = page("a-b", "what", &parse(markdown));
        assert_eq!(page, expected.replace("VERSION", env!("CARGO_PKG_VERSION")));
    }
}
