//! What a reason code means, in the words of `docs/reason-codes.md`: the page is the one place that says it.

const PAGE: &str = include_str!("../../docs/reason-codes.md");

/// What a reason code means; nothing for a word that is no code.
pub(super) fn meaning(code: &str) -> String {
    let exact = find(code);
    let found = exact.or_else(|| code.starts_with("params.").then(|| find("params.<name>")).flatten());
    found.map_or_else(String::new, |text| first_sentences(&plain(text)))
}

/// The same for a refused action. What is said of a parameter depends on whether a rule refused it.
#[must_use]
pub fn meaning_of_refusal(code: &str, has_rule: bool) -> String {
    match code.strip_prefix("params.") {
        Some(name) if has_rule => format!("a deny rule fired; {name} is the first parameter that it names"),
        Some(name) => format!("no rule that allows the action fits {name}: its value, or that it is there or missing"),
        None => meaning(code),
    }
}

/// The cell under "means": the last but one.
fn find(code: &str) -> Option<&'static str> {
    let row = PAGE.lines().find(|line| {
        let cell = line.strip_prefix("| `").and_then(|rest| rest.split_once("` |"));
        cell.is_some_and(|(listed, _)| listed == code)
    })?;
    let mut cells = row.trim_end_matches('|').rsplit(" | ");
    cells.nth(1)
}

/// Every reason code that the page has, in its order, with what it means and what helps.
pub fn rows() -> impl Iterator<Item = (&'static str, String, String)> {
    PAGE.lines().filter_map(|line| {
        let (code, _) = line.strip_prefix("| `")?.split_once("` |")?;
        let mut cells = line.trim_end_matches('|').rsplit(" | ");
        let (helps, means) = (cells.next()?, cells.next()?);
        Some((code, plain(means), plain(helps)))
    })
}

/// Without the marks of Markdown: `[text](address)` is the text, and backticks go.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        out.push_str(before);
        let Some((words, behind)) = link.split_once("](") else {
            out.push('[');
            rest = link;
            continue;
        };
        out.push_str(words);
        rest = behind.split_once(')').map_or("", |(_, behind)| behind);
    }
    out.push_str(rest);
    out.replace('`', "")
}

/// A table has room for the first sentence; a short one takes the next along.
fn first_sentences(text: &str) -> String {
    let mut end = text.len();
    for (at, _) in text.match_indices(". ") {
        if at >= 40 {
            end = at;
            break;
        }
    }
    text.get(..end).unwrap_or(text).trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_page_has_a_meaning() {
        let codes = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
        let codes: Vec<&str> = codes.map(|(code, _)| code).collect();
        assert!(codes.len() > 40, "{codes:?}");
        for code in codes {
            let meaning = meaning(code);
            assert!(meaning.len() > 6 && !meaning.contains(['`', '|']) && !meaning.contains("]("), "{code}: {meaning}");
        }
        assert_eq!(meaning("actions.denied"), "a deny without parameters names the action; rule says which");
        assert!(meaning("params.Exten").starts_with("the parameter of that name"));
        assert_eq!(meaning("limits.hours"), "not at this time. retry_ms is when the next window begins");
        assert_eq!((meaning("nonsense"), meaning("")), (String::new(), String::new()));
    }
}
