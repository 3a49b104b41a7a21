//! [`Page`]: a writer of HTML that escapes all that it is given. Names of elements, attributes and classes are amiwall's
//! own; values and texts may be anybody's.

use super::text;

/// HTML that grows.
#[derive(Debug, Default)]
pub struct Page {
    out: String,
}

impl Page {
    /// All of it.
    #[must_use]
    pub fn into_text(self) -> String {
        self.out
    }

    /// The declaration before everything. Only for texts of this program.
    pub fn raw(&mut self, own: &'static str) {
        self.out.push_str(own);
    }

    /// What another writer has made.
    pub fn append(&mut self, other: &Self) {
        self.out.push_str(&other.out);
    }

    /// The beginning of an element.
    pub fn open(&mut self, tag: &'static str, attributes: &[(&'static str, &str)]) {
        self.start(tag, attributes);
        self.out.push('>');
    }

    /// An element without content.
    pub fn empty(&mut self, tag: &'static str, attributes: &[(&'static str, &str)]) {
        self.start(tag, attributes);
        self.out.push_str("/>");
    }

    fn start(&mut self, tag: &'static str, attributes: &[(&'static str, &str)]) {
        self.out.push('<');
        self.out.push_str(tag);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.text(value);
            self.out.push('"');
        }
    }

    /// The end of an element.
    pub fn close(&mut self, tag: &'static str) {
        self.out.push_str("</");
        self.out.push_str(tag);
        self.out.push_str(">\n");
    }

    /// An element with nothing but text.
    pub fn element(&mut self, tag: &'static str, attributes: &[(&'static str, &str)], text: &str) {
        self.open(tag, attributes);
        self.text(text);
        self.close(tag);
    }

    /// Text, with nothing in it that is more than text.
    pub fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' => self.out.push_str("&quot;"),
                '\'' => self.out.push_str("&#39;"),
                c => text::push_visible(&mut self.out, c),
            }
        }
    }

    /// Prose in which words between backticks are code.
    pub fn prose(&mut self, text: &str) {
        for (at, part) in text.split('`').enumerate() {
            if at % 2 == 0 {
                self.text(part);
            } else {
                self.open("code", &[]);
                self.text(part);
                self.out.push_str("</code>");
            }
        }
    }

    /// A paragraph of prose, unless there is none.
    pub fn paragraph(&mut self, class: &str, text: &str) {
        if !text.is_empty() {
            let attributes: &[_] = if class.is_empty() { &[] } else { &[("class", class)] };
            self.open("p", attributes);
            self.prose(text);
            self.close("p");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_given_is_more_than_text() {
        let mut page = Page::default();
        page.open("td", &[("title", "a\" onload=\"x"), ("class", "<b>'")]);
        page.text("</td><script>alert(1)</script>&amp;\0\u{202e}\r\n");
        page.prose("one `two<` three");
        let expected = "<td title=\"a&quot; onload=&quot;x\" class=\"&lt;b&gt;&#39;\">&lt;/td&gt;&lt;script&gt;alert(1)\
                        &lt;/script&gt;&amp;amp;␀⟨U+202E⟩␍␊one <code>two&lt;</code> three";
        assert_eq!(page.into_text(), expected);
    }
}
