//! The page as a whole: what stands where, in the order in which an auditor asks.

use aws_lc_rs::digest;

use super::html::Page;
use super::table::{Cell, Section, Table};
use super::text;
use super::{IdentityRights, Report, Rights};

const STYLE: &str = include_str!("style.css");

pub(super) fn write(report: &Report) -> String {
    let mut page = Page::default();
    page.raw("<!doctype html>\n");
    page.open("html", &[("lang", "en")]);
    head(&mut page, report);
    page.open("body", &[]);
    page.open("main", &[]);
    title(&mut page, report);
    verdict(&mut page, report);
    facts(&mut page, report);
    contents(&mut page, report);
    for section in &report.sections {
        write_section(&mut page, report, section);
    }
    if let Some(rights) = &report.options.rights {
        write_rights(&mut page, report, rights);
    }
    how_to_check(&mut page, report);
    page.close("main");
    page.close("body");
    page.close("html");
    page.into_text()
}

fn head(page: &mut Page, report: &Report) {
    page.open("head", &[]);
    page.empty("meta", &[("charset", "utf-8")]);
    // Nothing is loaded and nothing runs: even if a value got out of its text, it could do nothing.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        base64(digest::digest(&digest::SHA256, STYLE.as_bytes()).as_ref())
    );
    page.empty("meta", &[("http-equiv", "Content-Security-Policy"), ("content", &policy)]);
    page.empty("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    page.empty("meta", &[("name", "referrer"), ("content", "no-referrer")]);
    page.empty("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    page.empty("meta", &[("name", "generator"), ("content", concat!("amiwall ", env!("CARGO_PKG_VERSION")))]);
    page.element("title", &[], &text::visible(&report.options.title));
    page.raw("<style>");
    page.raw(STYLE);
    page.raw("</style>");
    page.close("head");
}

/// Base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let number = (0..3).fold(0_usize, |sum, at| sum << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        for digit in 0..4 {
            let index = number >> (18 - 6 * digit) & 63;
            let c = DIGITS.get(index).copied().map_or('=', char::from);
            out.push(if digit > chunk.len() { '=' } else { c });
        }
    }
    out
}

fn title(page: &mut Page, report: &Report) {
    let options = &report.options;
    page.open("header", &[]);
    page.element("h1", &[], &text::visible(&options.title));
    page.open("dl", &[("class", "about")]);
    let from = options.from.map_or_else(|| "the beginning of the log".to_owned(), text::time);
    let until = options.until.map_or_else(|| "the end of the log".to_owned(), text::time);
    let of_records = if report.verdict.inside == 0 {
        "no record".to_owned()
    } else {
        format!("records from {} to {}", text::time(report.frame.first), text::time(report.frame.last))
    };
    let pairs = [
        ("Period", format!("{from} to {until} ({of_records})")),
        ("Log", report.directory.display().to_string()),
        ("Made", format!("{} by amiwall {}", text::time(options.made), env!("CARGO_PKG_VERSION"))),
        ("Times", "UTC, as the machine's clock had them; the order of records is that of their seq".to_owned()),
    ];
    for (label, value) in pairs {
        page.element("dt", &[], label);
        page.element("dd", &[], &value);
    }
    page.close("dl");
    page.close("header");
}

/// A whole chain may say itself that something is not in it.
fn but_missing(page: &mut Page, verdict: &super::Verdict) {
    if let Some(seq) = verdict.missing {
        let seq = text::thousands(seq);
        page.paragraph(
            "",
            &format!("But record {seq} says that records are missing that had been before it: see the gaps."),
        );
    }
}

fn verdict(page: &mut Page, report: &Report) {
    let verdict = &report.verdict;
    let class = if verdict.broken.is_some() { "verdict broken" } else { "verdict whole" };
    page.open("section", &[("class", class), ("id", "verdict"), ("aria-labelledby", "verdict-title")]);
    let records = text::thousands(verdict.records);
    match &verdict.broken {
        None => {
            page.element("h2", &[("id", "verdict-title")], "✓ The chain of records is whole");
            let text = format!(
                "All {records} records that the log has follow one another as they were written: none was changed, put in \
                 or moved, and none was taken out{}.",
                match verdict.first {
                    Some((first, _)) if first > 1 => format!(" since record {}", text::thousands(first)),
                    _ => String::new(),
                }
            );
            page.paragraph("", &text);
            but_missing(page, verdict);
        }
        Some(why) => {
            let is_chain = !matches!(report.options.signatures, super::Signatures::Bad(_)) || !verdict.is_read_whole;
            let (title, intro) = if is_chain {
                ("✗ The chain of records is broken", "The first record that is not what the chain says:")
            } else {
                ("✗ The log is not the one that was signed or kept elsewhere", "What does not fit:")
            };
            page.element("h2", &[("id", "verdict-title")], title);
            page.paragraph("", intro);
            page.element("p", &[("class", "why")], &text::visible(why));
            page.paragraph(
                "",
                &if is_chain {
                    format!("The {records} records before it follow one another. This report is made from them alone.")
                } else {
                    format!(
                        "This report is made from all {records} records of the log, which follow one another; but somebody \
                         else may have made them. Do not rely on its numbers."
                    )
                },
            );
        }
    }
    page.open("dl", &[("class", "proof")]);
    let place = |place: Option<(u64, jiff::Timestamp)>| {
        place.map_or_else(|| "none".to_owned(), |(seq, time)| format!("record {seq}, {}", text::time(time)))
    };
    let pairs = [
        ("First", place(verdict.first)),
        ("Last", place(verdict.last)),
        ("Head", if verdict.head.is_empty() { "none".to_owned() } else { verdict.head.clone() }),
        ("Signatures", report.options.signatures.words()),
    ];
    for (label, value) in pairs {
        page.element("dt", &[], label);
        page.element("dd", if label == "Head" { &[("class", "hash")] } else { &[] }, &text::visible(&value));
    }
    page.close("dl");
    page.element("h3", &[], "What this does not prove");
    page.open("ul", &[]);
    for caveat in verdict.caveats(&report.options.signatures) {
        page.open("li", &[]);
        page.prose(&caveat);
        page.close("li");
    }
    page.close("ul");
    page.close("section");
}

fn facts(page: &mut Page, report: &Report) {
    page.open("section", &[("class", "facts"), ("aria-labelledby", "summary")]);
    page.element("h2", &[("id", "summary")], "Summary");
    page.open("ul", &[]);
    for fact in &report.facts {
        page.open("li", &[]);
        page.open("a", &[("href", &format!("#{}", fact.section))]);
        page.element("strong", &[], &fact.value);
        page.element("span", &[("class", "label")], fact.label);
        page.close("a");
        if !fact.note.is_empty() {
            page.element("span", &[("class", "note")], &fact.note);
        }
        page.close("li");
    }
    page.close("ul");
    page.close("section");
}

fn contents(page: &mut Page, report: &Report) {
    page.open("nav", &[("aria-label", "Contents")]);
    page.open("ol", &[]);
    let rights = report.options.rights.iter().map(|_| ("rights", "Who can do what"));
    let sections = report.sections.iter().map(|section| (section.id, section.title));
    for (id, title) in sections.chain(rights).chain([("check", "How to check this report")]) {
        page.open("li", &[]);
        page.element("a", &[("href", &format!("#{id}"))], title);
        page.close("li");
    }
    page.close("ol");
    page.close("nav");
}

fn write_section(page: &mut Page, report: &Report, section: &Section) {
    let heading = format!("{}-heading", section.id);
    page.open("section", &[("id", section.id), ("aria-labelledby", &heading)]);
    page.element("h2", &[("id", &heading)], section.title);
    page.paragraph("", &section.intro);
    for chart in &section.charts {
        chart.draw(page, &report.frame);
    }
    for table in section.tables.iter().filter(|table| table.rows_shown > 0) {
        write_table(page, table);
    }
    page.close("section");
}

fn write_table(page: &mut Page, table: &Table) {
    page.element("h3", &[("id", table.id)], table.title);
    page.open("p", &[("class", "source")]);
    page.text("From: ");
    page.prose(&table.source);
    page.close("p");
    if table.rows.is_empty() {
        page.element("p", &[("class", "empty")], table.empty);
        return;
    }
    page.open("div", &[("class", "scroll"), ("tabindex", "0"), ("role", "region"), ("aria-labelledby", table.id)]);
    page.open("table", &[("aria-labelledby", table.id)]);
    page.open("thead", &[]);
    page.open("tr", &[]);
    let is_number = |column: usize| table.rows.iter().any(|row| row.get(column).is_some_and(Cell::is_number));
    for (at, column) in table.columns.iter().enumerate() {
        let class: &[_] = if is_number(at) { &[("scope", "col"), ("class", "number")] } else { &[("scope", "col")] };
        page.element("th", class, column);
    }
    page.close("tr");
    page.close("thead");
    page.open("tbody", &[]);
    for row in table.rows.iter().take(table.rows_shown) {
        page.open("tr", &[]);
        row.iter().enumerate().for_each(|(at, cell)| write_cell(page, at, cell));
        page.close("tr");
    }
    page.close("tbody");
    page.close("table");
    page.close("div");
    let more = table.rows.len().saturating_sub(table.rows_shown);
    if more > 0 {
        let more = text::thousands(more as u64);
        page.paragraph("source", &format!("{more} more rows are left out here; `{}.csv` has them.", table.id));
    }
    page.paragraph("source", &table.note);
}

fn write_cell(page: &mut Page, at: usize, cell: &Cell) {
    let tag = if at == 0 { "th" } else { "td" };
    let class = match cell {
        Cell::Count(_) | Cell::Seq(_) | Cell::Span(_) => "number",
        Cell::Prose(_) => "prose",
        Cell::Time(_) => "time",
        Cell::Code(_) => "code",
        Cell::Text(_) | Cell::None => "text",
    };
    let scope: &[(&'static str, &str)] =
        if at == 0 { &[("scope", "row"), ("class", class)] } else { &[("class", class)] };
    page.open(tag, scope);
    // What turns the direction of writing stays in its cell.
    page.element("bdi", &[], &cell.shown());
    page.close(tag);
}

fn write_rights(page: &mut Page, report: &Report, rights: &Rights) {
    page.open("section", &[("id", "rights"), ("aria-labelledby", "rights-heading")]);
    page.element("h2", &[("id", "rights-heading")], "Who can do what");
    page.open("p", &[]);
    page.text(&format!("What the policy {} amounts to, in words. ", text::visible(&rights.file.display().to_string())));
    let same = if report.digest.is_empty() {
        "The log names no policy up to the end of the period, so whether this one was in force is not known.".to_owned()
    } else if report.digest == rights.digest {
        "It is the policy that was in force at the end of the period: the digests are the same.".to_owned()
    } else {
        format!(
            "It is not the policy that was in force at the end of the period, which has the digest {}.",
            text::visible(&report.digest)
        )
    };
    page.element(if report.digest == rights.digest { "span" } else { "strong" }, &[], &same);
    page.close("p");
    page.paragraph("source", &format!("From: the file, of the digest `{}`.", rights.digest));
    for IdentityRights { name, topics } in &rights.identities {
        page.open("div", &[("class", "person")]);
        page.element("h3", &[], &text::visible(name));
        page.open("dl", &[]);
        for (label, lines) in topics {
            page.element("dt", &[], label);
            for line in lines {
                let class: &[_] = if line.starts_with("  ") { &[("class", "sub")] } else { &[] };
                page.element("dd", class, line.trim());
            }
        }
        page.close("dl");
        page.close("div");
    }
    page.close("section");
}

fn how_to_check(page: &mut Page, report: &Report) {
    page.open("section", &[("id", "check"), ("aria-labelledby", "check-heading")]);
    page.element("h2", &[("id", "check-heading")], "How to check this report");
    let dir = report.directory.display().to_string();
    page.open("ol", &[]);
    let steps = [
        "Verify the log with a program that is not this report: `amiwall audit verify DIR`, or the forty lines of Python of \
         the format's description (docs/audit-format.md). It must say the same head.",
        "Compare the head with one that was kept where nobody who can write the log could reach it.",
        "Make the report again from the same log and the same period: every number must be the same.",
        "Look up the records of a number: each table says of which kind they are, and `amiwall audit search` lists them. \
         Where a table names a seq, the record with that seq says all.",
    ];
    for step in steps {
        page.open("li", &[]);
        page.prose(step);
        page.close("li");
    }
    page.close("ol");
    page.open("p", &[("class", "source")]);
    page.text("DIR is ");
    page.element("code", &[], &text::visible(&dir));
    page.close("p");
    page.close("section");
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_the_standard() {
        let texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }
}
