//! What a form or a query string says.

/// Names and values, in their order.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `a=1&b=x+y%21`. What is no UTF-8 is replaced.
    pub(super) fn parse(text: &str) -> Self {
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        };
        Self(text.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    /// The first value of that name, without blanks around it; empty if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The same as it was sent.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }
}

fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let code = behind.split_at_checked(2).filter(|_| *byte == b'%');
        let code = code.filter(|(digits, _)| digits.iter().all(u8::is_ascii_hexdigit));
        let value = code.and_then(|(digits, behind)| {
            Some((u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?, behind))
        });
        let (value, behind) = value.unwrap_or((if *byte == b'+' { b' ' } else { *byte }, behind));
        out.push(value);
        rest = behind;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A value in an address.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let form = Form::parse("user=ops&password=a+b%26%3D%C3%BC%&%75ser=other&empty=&=x");
        assert_eq!(
            (form.get("user"), form.raw("password"), form.get("empty"), form.get("none")),
            ("ops", "a b&=ü%", "", "")
        );
        assert_eq!(Form::parse("a=%zz%4%+").raw("a"), "%zz%4% ");
        let hostile = "<b>\"&=+%ü\n";
        assert_eq!(Form::parse(&format!("a={}", encoded(hostile))).raw("a"), hostile);
    }
}
