//! Values that try to be more than text, in every member of every kind.

use serde_json::{Value, json};

use super::{Log, options, report};
use crate::report::{IdentityRights, Options, Rights, Signatures};

const VALUES: [&str; 12] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title></style></svg></textarea><iframe src=//example.net>",
    "<!--",
    "]]><![CDATA[",
    "&lt;b&gt;&#0;",
    "\0\u{1b}[2J\r\n\u{8}\u{9b}",
    "\u{202e}gnp.exe\u{2066}\u{2069}\u{200b}\u{feff}",
    "=HYPERLINK(\"http://example.net\")",
    "`code` ``",
    "javascript:alert(1)",
];
const KINDS: [&str; 17] = [
    "action",
    "admin",
    "checkpoint",
    "clock",
    "connect",
    "end",
    "event",
    "limit",
    "login",
    "outage",
    "policy",
    "prune",
    "recovery",
    "refuse",
    "response",
    "start",
    "stop",
];
/// Elements that the page is made of.
const ELEMENTS: [&str; 41] = [
    "a",
    "bdi",
    "body",
    "code",
    "dd",
    "desc",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "head",
    "header",
    "html",
    "li",
    "line",
    "main",
    "meta",
    "nav",
    "ol",
    "p",
    "rect",
    "section",
    "span",
    "strong",
    "style",
    "svg",
    "table",
    "tbody",
    "td",
    "text",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
    "!doctype",
    "figure",
];
const ATTRIBUTES: [&str; 27] = [
    "aria-label",
    "aria-labelledby",
    "charset",
    "class",
    "content",
    "height",
    "href",
    "html",
    "http-equiv",
    "id",
    "lang",
    "name",
    "role",
    "scope",
    "tabindex",
    "text-anchor",
    "viewBox",
    "width",
    "x",
    "x1",
    "x2",
    "y",
    "y1",
    "y2",
    "none",
    "c",
    "d",
];

/// A record's members, every one of them with that value.
fn members(value: &str) -> Value {
    json!({
        "session": value, "id": value, "identity": value, "peer": value, "listener": value, "upstream": value,
        "direction": value, "name": value, "headers": [[value, value]], "decision": value, "reason": value, "rule": value,
        "line": 7, "limit": value, "dropped": [value], "set": [value], "outcome": value, "origin": value, "policy": value,
        "boot": value, "version": value, "packets": value, "except_events": [value], "redact": [value], "file": value,
        "trigger": value, "problem": value, "identities": 3, "method": value, "claimed": value, "count": 3,
        "counts": {value: 3, "login": 1}, "seconds": 3, "first_call": value, "since": value, "until": value,
        "cause": value, "change": value, "changes": [value], "bytes": 3,
    })
}

/// The page's elements with their attributes, and its texts: what a browser would make of it, as strictly as it can be
/// read. Every tag is closed in order.
fn read(page: &str) -> String {
    let (mut texts, mut open, mut rest) = (String::new(), Vec::new(), page);
    while let Some((text, behind)) = rest.split_once('<') {
        assert!(!text.contains('>') || open.last() == Some(&"style"), "a stray >: {text}");
        texts.push_str(text);
        let (tag, behind) = behind.split_once('>').expect("the end of a tag");
        rest = behind;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed in another order");
            continue;
        }
        let is_empty = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(ELEMENTS.contains(&name), "an element that amiwall does not write: <{tag}>");
        while name != "!doctype" && !attributes.trim().is_empty() {
            let (attribute, value) = attributes.trim_start().split_once("=\"").expect("an attribute with its value");
            assert!(
                ATTRIBUTES.contains(&attribute),
                "an attribute that amiwall does not write: {attribute} in <{tag}>"
            );
            let (value, behind) = value.split_once('"').expect("the end of a value");
            assert!(attribute != "href" || value.starts_with('#'), "a link to elsewhere: {value}");
            attributes = behind;
        }
        if !is_empty && name != "!doctype" {
            open.push(name);
        }
        if name == "style" {
            let (_, behind) = rest.split_once("</style>").expect("the end of the style");
            open.pop();
            rest = behind;
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    texts + rest
}

#[test]
fn no_value_is_more_than_text() {
    let mut log = Log::new("2026-11-02T00:00:00Z");
    log.start("2026-11-02T00:00:00Z");
    for value in VALUES {
        for kind in KINDS {
            log.put("2026-11-02T01:00:00Z", kind, members(value));
            let decided = |decision: &str| {
                let mut members = members(value);
                members["decision"] = decision.into();
                members
            };
            log.put("2026-11-02T01:00:01Z", kind, decided("allow"));
            log.put("2026-11-02T01:00:02Z", kind, decided("limit"));
        }
        let mut call = members(value);
        (call["name"], call["decision"], call["id"]) = ("Originate".into(), "allow".into(), "".into());
        log.put("2026-11-02T01:00:03Z", "action", call);
    }
    let dir = log.save();
    let evil = VALUES.concat();
    let topics = vec![(evil.clone(), vec![evil.clone()])];
    let identities = vec![IdentityRights { name: evil.clone(), topics }];
    let rights = Rights { file: evil.clone().into(), digest: evil.clone(), identities };
    let signatures = Signatures::Bad(evil.clone());
    let report = report(dir.path(), Options { title: evil, rights: Some(rights), signatures, ..options() });
    let page = report.html();
    let texts = read(&page);
    assert!(texts.contains("&lt;script&gt;alert(1)"), "the values are there, as text");
    let is_hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    assert!(!page.chars().any(is_hidden), "something that is not seen");
    assert!(!page.contains("url(") && !page.contains("@import") && !page.contains("style=\""));
    for (name, csv) in report.csv() {
        assert!(!csv.chars().any(|c| is_hidden(c) && c != '\r'), "{name}");
        assert!(
            !csv.lines().any(|line| line.starts_with('=') || line.contains(",=") || line.contains("\"=")),
            "{name}"
        );
    }
}

#[test]
fn the_reader_of_this_test_sees_what_is_wrong() {
    for bad in ["<p><script></script></p>", "<p onload=\"x\"></p>", "<p>", "<p></b>", "<a href=\"javascript:x\"></a>"] {
        assert!(std::panic::catch_unwind(|| read(bad)).is_err(), "{bad}");
    }
    assert_eq!(read("<p class=\"a\">b&lt;</p>"), "b&lt;");
}
