//! CSV (RFC 4180): one file for each table. A field that a spreadsheet would take for a formula is made text.

use super::table::{Cell, Table};

/// What a spreadsheet may take for the beginning of a formula, in narrow and in wide letters.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// The text of a file.
pub(super) fn csv(table: &Table) -> String {
    let mut out = String::new();
    line(&mut out, table.columns.iter().map(|column| (*column).to_owned()));
    for row in &table.rows {
        line(&mut out, row.iter().map(field));
    }
    out
}

fn field(cell: &Cell) -> String {
    let text = cell.plain();
    if !cell.is_number() && text.starts_with(FORMULA) { format!("'{text}") } else { text }
}

fn line(out: &mut String, fields: impl Iterator<Item = String>) {
    for (at, field) in fields.enumerate() {
        if at > 0 {
            out.push(',');
        }
        let is_bare = !field.contains([',', '"', '\n', '\r', ';']) && field.trim() == field;
        if is_bare {
            out.push_str(&field);
        } else {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_formulas_are_text() {
        let texts = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "＝1", "a,b", "a\"b", " a", "plain", "a\nb"];
        let rows = texts.into_iter().map(|text| vec![Cell::text(text), Cell::Count(3), Cell::Span(-5)]).collect();
        let table = Table { columns: vec!["who", "count", "seconds"], rows, ..Table::default() };
        let csv = csv(&table);
        let lines: Vec<&str> = csv.split("\r\n").collect();
        let first = lines.iter().skip(1).map(|line| line.strip_suffix(",3,-5").unwrap_or(line)).collect::<Vec<_>>();
        assert_eq!(
            first,
            ["'=1+1", "'+1", "'-1", "'@x", "␉=1", "␍=1", "'＝1", "\"a,b\"", "\"a\"\"b\"", "\" a\"", "plain", "a␊b", ""]
        );
        assert_eq!(lines[0], "who,count,seconds");
    }
}
