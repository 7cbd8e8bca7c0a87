//! Fields that a policy takes out of results.
//!
//! A field is named by itself (`email`), which means it wherever it is, or by an RFC 9535 JSONPath
//! into the structured result (`$.data.email`). For a table either is asked of a row, as an object
//! with the columns as its members.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use serde_json_path::{JsonPath, NormalizedPath};

/// A field, or fields, that are taken out.
#[derive(Clone)]
pub struct Redaction(Arc<Inner>);

struct Inner {
    text: String,
    target: Target,
}

enum Target {
    Name(String),
    Path(JsonPath),
}

impl Redaction {
    /// Reads one field: a name, or a JSONPath that begins with `$`.
    ///
    /// # Errors
    ///
    /// Says what cannot be read, and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let target = if text.starts_with('$') {
            let path =
                JsonPath::parse(text).map_err(|e| format!("`{}` is not a path: {e}", text.escape_debug()))?;
            Target::Path(path)
        } else if !text.is_empty() && text.chars().all(is_name) {
            Target::Name(text.to_owned())
        } else {
            return Err(format!(
                "`{}` is no field: write its name, such as `email`, or a JSONPath (RFC 9535) such as `$.data.email`",
                text.escape_debug()
            ));
        };
        Ok(Self(Arc::new(Inner { text: text.to_owned(), target })))
    }

    /// The members called `name`, whatever it holds.
    pub(crate) fn named(name: &str) -> Self {
        Self(Arc::new(Inner { text: name.to_owned(), target: Target::Name(name.to_owned()) }))
    }

    /// Reads what a `@redact` annotation says: fields, separated by commas.
    ///
    /// # Errors
    ///
    /// Says what cannot be read, and what would be right.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        split(text).into_iter().map(Self::parse).collect()
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Where the field is in `value`, as JSON pointers (RFC 6901).
    pub fn places(&self, value: &Value) -> Vec<String> {
        let mut places = Vec::new();
        match &self.0.target {
            Target::Path(path) => {
                places.extend(path.query_located(value).locations().map(NormalizedPath::to_json_pointer));
            }
            Target::Name(name) => named(value, name, &mut String::new(), &mut places),
        }
        places
    }

    /// Which of a table's columns it means.
    pub fn columns<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let names: Vec<&str> = names.collect();
        match &self.0.target {
            Target::Name(name) => names.into_iter().filter(|n| n.eq_ignore_ascii_case(name)).collect(),
            Target::Path(_) => {
                let row: Map<String, Value> = names.iter().map(|n| ((*n).to_owned(), Value::Null)).collect();
                let places = self.places(&Value::Object(row));
                let means = |name: &str| places.iter().any(|p| p.is_empty() || *p == pointer("", name));
                names.into_iter().filter(|name| means(name)).collect()
            }
        }
    }
}

/// Every member called `name`, whatever the case of its letters, at any depth. The depth is that
/// of JSON that was read, which has a bound.
fn named(value: &Value, name: &str, at: &mut String, found: &mut Vec<String>) {
    let mut below = |part: &str, value: &Value, matches: bool| {
        let length = at.len();
        *at = pointer(at, part);
        if matches {
            found.push(at.clone());
        } else {
            named(value, name, at, found);
        }
        at.truncate(length);
    };
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                below(key, value, key.eq_ignore_ascii_case(name));
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                below(&index.to_string(), value, false);
            }
        }
        _ => {}
    }
}

fn pointer(at: &str, part: &str) -> String {
    format!("{at}/{}", part.replace('~', "~0").replace('/', "~1"))
}

/// The parts between commas that are in no brackets and in no quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut quote, mut escaped) = (Vec::new(), 0, 0_i32, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), c) if c == open && !escaped => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '[' | '(') => depth += 1,
            (None, ']' | ')') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(text.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            (Some(_) | None, _) => {}
        }
        escaped = false;
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}

impl PartialEq for Redaction {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Redaction {}

impl PartialOrd for Redaction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Redaction {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redaction").field(&self.as_str()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_told_apart_by_the_commas_between_them() {
        let fields =
            Redaction::parse_all(r#"email, $.a['b,c'], $..["x","y\",z"], $[?@.n > 1 && count(@.a, 1)]"#);
        assert!(fields.is_err(), "a function with a wrong argument is no path");
        let fields = Redaction::parse_all(r#"email, $.a['b,c'] , $..["x","y\",z"]"#).expect("fields");
        let texts: Vec<&str> = fields.iter().map(Redaction::as_str).collect();
        assert_eq!(texts, ["email", "$.a['b,c']", r#"$..["x","y\",z"]"#]);
        for bad in ["", "email,", "$.", "data.email", "$.a, "] {
            assert!(Redaction::parse_all(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_means_the_field_wherever_it_is_and_a_path_means_its_places() {
        let value = json!({"data": {"Email": 1, "a/b": [{"email": {"email": 2}}]}, "email": 3});
        let places = |text: &str| {
            let mut places = Redaction::parse(text).expect("a field").places(&value);
            places.sort();
            places
        };
        assert_eq!(places("email"), ["/data/Email", "/data/a~1b/0/email", "/email"]);
        assert_eq!(places("$.email"), ["/email"]);
        assert_eq!(places("$.none"), Vec::<String>::new());
    }

    #[test]
    fn of_a_table_the_columns_are_meant() {
        let columns = |text: &str| {
            let field = Redaction::parse(text).expect("a field");
            field.columns(["id", "EMAIL", "email", "a/b"].into_iter())
        };
        assert_eq!(columns("email"), ["EMAIL", "email"]);
        assert_eq!(columns("$.email"), ["email"]);
        assert_eq!(columns("$..['a/b']"), ["a/b"]);
        assert_eq!(columns("$").len(), 4);
    }
}
