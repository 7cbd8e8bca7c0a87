//! JSON as editors keep it: with comments and commas too many.
//!
//! A text becomes a tree in which every value knows where it stands, so that
//! `connect` can change one place and leave every other byte. Nothing is changed
//! here.
//!
//! Invariant: no text makes it panic or go deeper than [`MAX_DEPTH`], and no error
//! repeats what stands in a file, which may be a secret.

use std::fmt;
use std::ops::Range;

use serde_json::{Map, Value};

const MAX_DEPTH: usize = 100;

/// Where and why a text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) line: usize,
    pub(crate) expected: &'static str,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: expected {}", self.line, self.expected)
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// The bytes of the value itself, in the whole text.
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Object(Vec<Item>),
    Array(Vec<Item>),
    Scalar(Value),
}

/// A member of an object or an element of an array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// `None` in an array.
    pub(crate) key: Option<String>,
    /// Where the key begins, or the element.
    pub(crate) start: usize,
    pub(crate) node: Node,
    /// Where the comma after it stands, if there is one.
    pub(crate) comma: Option<usize>,
}

impl Node {
    /// The members or elements; none of a scalar.
    pub(crate) fn items(&self) -> &[Item] {
        match &self.kind {
            Kind::Object(items) | Kind::Array(items) => items,
            Kind::Scalar(_) => &[],
        }
    }

    /// The member `key`; the last one if it is there twice, as JSON readers have it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let found = self.items().iter().rev().find(|item| item.key.as_deref() == Some(key));
        found.map(|item| &item.node)
    }

    /// The value without its places and comments.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::Array(items) => items.iter().map(|item| item.node.to_value()).collect(),
            Kind::Object(items) => {
                let members = items.iter().filter_map(|item| Some((item.key.clone()?, item.node.to_value())));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

/// Reads `text`. A text with nothing in it is an empty object, as clients have it.
pub(crate) fn parse(text: &str) -> Result<Node, Unreadable> {
    let mut reader = Reader { text, at: if text.starts_with('\u{feff}') { 3 } else { 0 } };
    reader.skip()?;
    if reader.peek().is_none() {
        return Ok(Node { span: reader.at..reader.at, kind: Kind::Object(Vec::new()) });
    }
    let root = reader.value(0)?;
    reader.skip()?;
    match reader.peek() {
        None => Ok(root),
        Some(_) => Err(reader.expected("the end of the file")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn expected(&self, expected: &'static str) -> Unreadable {
        let before = self.text.as_bytes().iter().take(self.at);
        Unreadable { line: before.filter(|byte| **byte == b'\n').count() + 1, expected }
    }

    /// Passes over white space and comments.
    fn skip(&mut self) -> Result<(), Unreadable> {
        loop {
            self.at += blank(self.rest());
            let rest = self.rest();
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let end = rest.find("*/").ok_or_else(|| self.expected("the end of a comment"))?;
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Unreadable> {
        if depth > MAX_DEPTH {
            return Err(self.expected("fewer levels"));
        }
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => Kind::Object(self.items(b'}', depth)?),
            Some(b'[') => Kind::Array(self.items(b']', depth)?),
            Some(b'"') => Kind::Scalar(Value::String(self.string()?)),
            _ => Kind::Scalar(self.word()?),
        };
        Ok(Node { span: start..self.at, kind })
    }

    /// What stands between brackets, the cursor being on the opening one.
    fn items(&mut self, close: u8, depth: usize) -> Result<Vec<Item>, Unreadable> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip()?;
            if self.peek() == Some(close) {
                self.at += 1;
                return Ok(items);
            }
            let start = self.at;
            let key = if close == b'}' { Some(self.key()?) } else { None };
            let node = self.value(depth + 1)?;
            self.skip()?;
            let comma = (self.peek() == Some(b',')).then_some(self.at);
            items.push(Item { key, start, node, comma });
            match comma {
                Some(_) => self.at += 1,
                None if self.peek() == Some(close) => {}
                None => return Err(self.expected("a comma or the closing bracket")),
            }
        }
    }

    fn key(&mut self) -> Result<String, Unreadable> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a key in quotation marks"));
        }
        let key = self.string()?;
        self.skip()?;
        if self.peek() != Some(b':') {
            return Err(self.expected("a colon"));
        }
        self.at += 1;
        self.skip()?;
        Ok(key)
    }

    fn string(&mut self) -> Result<String, Unreadable> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.bytes().enumerate().skip(1).find(|(_, byte)| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        });
        let quoted = end.and_then(|(end, _)| rest.get(..=end));
        let read = quoted.and_then(|quoted| Some((quoted.len(), serde_json::from_str(quoted).ok()?)));
        let (length, text) = read.ok_or_else(|| self.expected("a text in quotation marks"))?;
        self.at += length;
        Ok(text)
    }

    fn word(&mut self) -> Result<Value, Unreadable> {
        let rest = self.rest();
        let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ':' | '/' | '"' | '[' | ']' | '{' | '}');
        let word = rest.get(..rest.find(ends).unwrap_or(rest.len())).unwrap_or_default();
        let value = serde_json::from_str(word).map_err(|_| self.expected("a value"))?;
        self.at += word.len();
        Ok(value)
    }
}

/// The number of bytes of white space at the beginning of `text`.
fn blank(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t', '\r', '\n']).len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn comments_and_commas_too_many_are_no_part_of_the_value() {
        let text = "\u{feff}// mine\n{ /* a */ \"a\": [1, 2.5, true, null,], // b\n \"b\\n\": {\"c\": \"// no\"}, }\n";
        let root = parse(text).expect("JSON");
        assert_eq!(root.to_value(), json!({"a": [1, 2.5, true, null], "b\n": {"c": "// no"}}));
        let inner = root.get("b\n").expect("a member");
        assert_eq!(&text[inner.span.clone()], "{\"c\": \"// no\"}");
        assert_eq!(parse(" \n").map(|root| root.to_value()), Ok(json!({})));
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_line_and_without_its_text() {
        let nested = "[".repeat(MAX_DEPTH + 2);
        for (text, line) in [
            ("{\n\"a\": hunter2}", 2),
            ("{\"a\": 1\n\"b\": 2}", 2),
            ("{\"a\"\n\n1}", 3),
            ("{a: 1}", 1),
            ("[1] 2", 1),
            ("/* hunter2", 1),
            ("{\"a\": \"hunter2\n\"}", 1),
            ("[1", 1),
            (nested.as_str(), 1),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
