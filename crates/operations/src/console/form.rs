//! Forms and queries: `application/x-www-form-urlencoded` (WHATWG URL, section 5).

use http::header::CONTENT_TYPE;
use http::request::Parts;

/// Most fields that are looked at.
const MAX_FIELDS: usize = 16;

/// The fields of a form or a query, in their order.
#[derive(Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `text`; what is no UTF-8 is replaced, what is too much is left out.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(MAX_FIELDS);
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(n, v)| (decode(n), decode(v)))
                .collect(),
        )
    }

    /// The first value of `name`; empty if there is none.
    pub(super) fn value(&self, name: &str) -> &str {
        self.values(name).next().unwrap_or_default()
    }

    /// All values of `name`.
    pub(super) fn values<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of `name`, if it is there once.
    pub fn once(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }
}

/// Whether the body of a request is a form.
pub(super) fn is_form(head: &Parts) -> bool {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                match (digit(ahead.next()), digit(ahead.next())) {
                    (Some(high), Some(low)) => {
                        bytes.extend(u8::try_from(high * 16 + low));
                        rest = ahead;
                    }
                    _ => bytes.push(b'%'),
                }
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_write_them() {
        let form = Form::parse("a=1+2%2B3&comment=%C3%A9%0D%0A&b&a=9&c=%zz%4");
        assert_eq!((form.value("a"), form.value("comment"), form.value("b")), ("1 2+3", "é\r\n", ""));
        assert_eq!((form.value("c"), form.value("d")), ("%zz%4", ""));
        assert_eq!(Form::parse("a=%ff").value("a"), "\u{fffd}");
        assert_eq!((form.once("a"), form.once("b"), form.once("d")), (None, Some(""), None));
        assert_eq!(form.values("a").collect::<Vec<_>>(), ["1 2+3", "9"]);
    }

    #[test]
    fn what_is_too_much_is_left_out() {
        let many: String = (0..100).map(|n| format!("f{n}=1")).collect::<Vec<_>>().join("&");
        let form = Form::parse(&many);
        assert_eq!((form.value("f15"), form.value("f16")), ("1", ""));
    }
}
