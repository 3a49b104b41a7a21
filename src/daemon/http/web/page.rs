//! What all pages have: head, navigation, tables. Every text goes through [`Html`], which escapes it.

use crate::report::Html;

use super::visitors::Visitor;

/// The style of all pages.
pub(super) const STYLE: &str = include_str!("style.css");
/// A wall with a door.
pub(super) const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="#35618e" d="M1 2h14v12h-4V9a3 3 0 0 0-6 0v5H1z"/></svg>"##;
/// What asks for a page again.
pub(super) const SCRIPT: &str = include_str!("live.js");

const MENU: [(&str, &str); 5] = [
    ("/", "Overview"),
    ("/sessions", "Sessions"),
    ("/refusals", "Refusals"),
    ("/calls", "Calls"),
    ("/audit", "Audit log"),
];
/// How often a page that is live asks for itself, in seconds.
const LIVE: &str = "5";
/// Characters of one value that are shown.
const VALUE_LEN_MAX: usize = 400;

/// One page.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) title: &'static str,
    /// Which entry of the menu it belongs to.
    pub(super) menu: &'static str,
    pub(super) is_live: bool,
    pub(super) body: Html,
}

impl Sheet {
    pub(super) fn new(title: &'static str, menu: &'static str) -> Self {
        let mut body = Html::default();
        body.element("h1", &[], title);
        Self { title, menu, is_live: false, body }
    }

    pub(super) fn live(mut self) -> Self {
        self.is_live = true;
        self
    }

    /// The whole document, for a visitor or for nobody.
    pub(super) fn into_text(self, visitor: Option<&Visitor>) -> String {
        let mut page = Html::default();
        page.raw("<!doctype html>\n");
        page.open("html", &[("lang", "en")]);
        page.open("head", &[]);
        page.empty("meta", &[("charset", "utf-8")]);
        page.empty("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
        page.empty("meta", &[("name", "color-scheme"), ("content", "light dark")]);
        page.element("title", &[], &format!("{} – amiwall", self.title));
        page.empty("link", &[("rel", "stylesheet"), ("href", "/style.css")]);
        page.empty("link", &[("rel", "icon"), ("href", "/icon.svg"), ("type", "image/svg+xml")]);
        if self.is_live {
            page.open("script", &[("src", "/live.js"), ("defer", "")]);
            page.close("script");
        }
        page.close("head");
        page.open("body", &[]);
        page.element("a", &[("class", "skip"), ("href", "#main")], "Skip to the content");
        if let Some(visitor) = visitor {
            header(&mut page, visitor, self.menu);
        }
        let live = if self.is_live { LIVE } else { "0" };
        page.open("main", &[("id", "main"), ("data-live", live), ("tabindex", "-1")]);
        page.append(&self.body);
        page.close("main");
        page.close("body");
        page.close("html");
        page.into_text()
    }
}

fn header(page: &mut Html, visitor: &Visitor, menu: &str) {
    page.open("header", &[]);
    page.open("div", &[("class", "bar")]);
    page.element("a", &[("class", "brand"), ("href", "/")], "amiwall");
    page.open("nav", &[("aria-label", "Pages")]);
    page.open("ul", &[]);
    for (href, name) in MENU {
        page.open("li", &[]);
        let attributes = [("href", href), ("aria-current", "page")];
        page.element("a", attributes.split_at(if href == menu { 2 } else { 1 }).0, name);
        page.close("li");
    }
    page.close("ul");
    page.close("nav");
    page.open("form", &[("class", "who"), ("method", "post"), ("action", "/logout")]);
    page.element("span", &[], &visitor.user);
    hidden(page, "token", &visitor.token);
    page.element("button", &[("type", "submit")], "Log out");
    page.close("form");
    page.close("div");
    page.close("header");
}

/// A field that is not seen.
pub(super) fn hidden(page: &mut Html, name: &str, value: &str) {
    page.empty("input", &[("type", "hidden"), ("name", name), ("value", value)]);
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Text(String),
    /// Words that are broken only where they are joined.
    Name(String),
    /// It needs room.
    Wide(String),
    /// It is never broken into lines.
    Tight(String),
    Number(u64),
    /// A word, and whether it is a good one.
    Word(String, bool),
    /// Text, and where it leads.
    Link(String, String),
}

/// A table that becomes a list on a narrow screen. `empty` is what is said if there is nothing in it.
pub(super) fn table(page: &mut Html, columns: &[&'static str], rows: &[Vec<Cell>], empty: &str) {
    if rows.is_empty() {
        page.element("p", &[("class", "empty")], empty);
        return;
    }
    page.open("div", &[("class", "scroll")]);
    page.open("table", &[("class", "stack")]);
    page.open("thead", &[]);
    page.open("tr", &[]);
    let numbers = rows.first().map_or(&[][..], Vec::as_slice);
    for (at, name) in columns.iter().enumerate() {
        let is_number = matches!(numbers.get(at), Some(Cell::Number(_)));
        page.element("th", &[("scope", "col"), ("class", if is_number { "number" } else { "" })], name);
    }
    page.close("tr");
    page.close("thead");
    page.open("tbody", &[]);
    for row in rows {
        page.open("tr", &[]);
        for (cell, name) in row.iter().zip(columns) {
            write_cell(page, cell, name);
        }
        page.close("tr");
    }
    page.close("tbody");
    page.close("table");
    page.close("div");
}

fn write_cell(page: &mut Html, cell: &Cell, name: &str) {
    let class = match cell {
        Cell::Text(_) => "",
        Cell::Link(..) | Cell::Name(_) => "name",
        Cell::Wide(_) => "wide",
        Cell::Tight(_) => "tight",
        Cell::Number(_) => "number",
        Cell::Word(..) => "tight",
    };
    page.open("td", &[("class", class), ("data-label", name)]);
    match cell {
        Cell::Name(text) => joined(page, &short(text)),
        Cell::Text(text) | Cell::Wide(text) | Cell::Tight(text) => page.text(&short(text)),
        Cell::Number(number) => page.text(&number.to_string()),
        Cell::Word(word, is_good) => page.element("span", &[("class", good(*is_good))], word),
        Cell::Link(text, href) => {
            page.open("a", &[("href", href)]);
            joined(page, &short(text));
            page.raw("</a>");
        }
    }
    page.close("td");
}

/// Text that may be broken behind `:`, `-` and `/`, and behind a `.` that is not one of an address.
fn joined(page: &mut Html, text: &str) {
    let mut rest = text;
    while !rest.is_empty() {
        let is_end = |(at, c): &(usize, char)| {
            let next = rest.get(at + 1..).and_then(|next| next.chars().next());
            matches!(c, ':' | '-' | '/') || *c == '.' && next.is_some_and(char::is_alphabetic)
        };
        let end = rest.char_indices().find(is_end).map_or(rest.len(), |(at, _)| at + 1);
        let (part, behind) = rest.split_at(end);
        page.text(part);
        page.raw("<wbr>");
        rest = behind;
    }
}

/// The class of a word.
pub(super) const fn good(is_good: bool) -> &'static str {
    if is_good { "good" } else { "bad" }
}

/// Names and values below one another.
pub(super) fn facts(page: &mut Html, facts: &[(&str, String)]) {
    page.open("dl", &[]);
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        page.element("dt", &[], name);
        page.element("dd", &[], &short(value));
    }
    page.close("dl");
}

/// A remark that stands out, unless it is neither good nor bad.
pub(super) fn note(page: &mut Html, is_good: Option<bool>, lines: &[String]) {
    let class = match is_good {
        None => "note",
        Some(true) => "note is-good",
        Some(false) => "note is-bad",
    };
    page.open("div", &[("class", class)]);
    lines.iter().for_each(|line| page.element("p", &[], line));
    page.close("div");
}

/// No more of it than a page has room for.
pub(super) fn short(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.by_ref().take(VALUE_LEN_MAX).collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

/// `2026-11-21 02:00:00`, UTC, of milliseconds since 1970.
pub(super) fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| "?".to_owned(), |time| time.strftime("%F %T").to_string())
}

/// How long ago, or ahead, in words.
pub(super) fn span(seconds: i64) -> String {
    let seconds = seconds.unsigned_abs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_nothing_but_text() {
        let hostile = "</td><script>alert('1')</script>\u{202e}\0".to_owned();
        let all = [Cell::Text, Cell::Name, Cell::Wide, Cell::Tight].map(|cell| cell(hostile.clone()));
        let more = [Cell::Word(hostile.clone(), true), Cell::Link(hostile.clone(), hostile.clone()), Cell::Number(1)];
        let rows = [all.into_iter().chain(more).collect::<Vec<_>>()];
        let mut sheet = Sheet::new("A page", "/");
        table(&mut sheet.body, &["a", "b", "c", "d", "e", "f", "g"], &rows, "empty");
        facts(&mut sheet.body, &[("fact", hostile.clone()), ("none", String::new())]);
        note(&mut sheet.body, Some(false), &[hostile]);
        let text = sheet.into_text(None);
        assert!(!text.contains("<script") && !text.contains('\u{202e}') && !text.contains('\0'), "{text}");
        assert_eq!(text.matches("&lt;<wbr>/<wbr>td").count() + text.matches("&lt;/<wbr>td").count(), 2, "{text}");
        assert!(!text.contains("none"), "{text}");
    }

    #[test]
    fn names_are_broken_where_they_are_joined() {
        let broken = |text: &str| {
            let mut page = Html::default();
            joined(&mut page, text);
            page.into_text().replace("<wbr>", "|")
        };
        assert_eq!(broken("params.Exten"), "params.|Exten|");
        assert_eq!(broken("127.0.0.1:5038"), "127.0.0.1:|5038|");
        assert_eq!(broken("ops-wallboard."), "ops-|wallboard.|");
        assert_eq!((broken(""), broken("ü.ü")), (String::new(), "ü.|ü|".to_owned()));
    }

    #[test]
    fn what_is_long_is_cut_and_times_are_words() {
        assert_eq!(short(&"ä".repeat(401)).chars().count(), 401);
        assert!(short(&"ä".repeat(500)).ends_with('…') && !short("short").ends_with('…'));
        assert_eq!([0, 119, -180, 86_400, 864_000].map(span), ["0 s", "119 s", "3 min", "24 h", "10 days"]);
        assert_eq!((time(0), time(i64::MAX)), ("1970-01-01 00:00:00".to_owned(), "?".to_owned()));
    }
}
