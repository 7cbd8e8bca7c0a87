//! Changes to a JSON file that somebody else keeps, and comments in.
//!
//! Puts one item into an object or a list and takes it out again. Nothing is read or
//! written here.
//!
//! Invariants:
//! - Every byte that the change does not need stays as it is: comments, order,
//!   indentation, line ends.
//! - A result that would say anything else than the old text with the change is not
//!   given ([`EditError::Unsure`]).

use std::ops::Range;

use serde_json::{Value, json};

use super::super::client::jsonc::{self, Item, Node, Unreadable};

/// Why a text was not changed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum EditError {
    /// The text is not JSON.
    #[error("{0}")]
    Unreadable(Unreadable),
    /// What should hold the item is something else.
    #[error("`{0}` is not what it should be")]
    Form(&'static str),
    /// The change would have changed something else too.
    #[error("the file cannot be changed without changing more than was meant")]
    Unsure,
}

/// What is put in or taken out: a member of the object `container`, or, without a key,
/// an element of the list `container`.
#[derive(Clone, Debug)]
pub(super) struct Change<'a> {
    pub(super) container: &'static str,
    pub(super) key: Option<&'a str>,
    pub(super) value: Value,
}

/// A changed text, and the part of it that is new or was taken out, with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edited {
    pub(super) text: String,
    pub(super) line: usize,
    pub(super) part: String,
}

/// A piece of the text and what stands there afterwards.
struct Splice {
    at: Range<usize>,
    with: String,
}

impl Change<'_> {
    fn empty(&self) -> Value {
        if self.key.is_some() { json!({}) } else { json!([]) }
    }

    fn is(&self, item: &Item) -> bool {
        match self.key {
            Some(key) => item.key.as_deref() == Some(key),
            None => item.node.to_value() == self.value,
        }
    }

    fn within(&self, container: Value) -> Option<Value> {
        match (container, self.key) {
            (Value::Object(mut members), Some(key)) => {
                members.insert(key.to_owned(), self.value.clone());
                Some(Value::Object(members))
            }
            (Value::Array(mut elements), None) => {
                elements.push(self.value.clone());
                Some(Value::Array(elements))
            }
            _ => None,
        }
    }
}

/// `text` with the item; as the last one of its container, which is made if need be.
pub(super) fn insert(text: &str, change: &Change<'_>) -> Result<Edited, EditError> {
    let whole = if text.trim().is_empty() { "{}\n" } else { text };
    let root = jsonc::parse(whole).map_err(EditError::Unreadable)?;
    let form = EditError::Form(change.container);
    let mut expected = root.to_value();
    let members = expected.as_object_mut().ok_or(EditError::Form("the file"))?;
    let old = members.get(change.container).cloned().unwrap_or_else(|| change.empty());
    members.insert(change.container.into(), change.within(old).ok_or(form)?);
    let style = Style::of(whole, &root);
    let (place, item) = match root.get(change.container) {
        Some(container) => (container, style.item(change.key, &change.value)),
        None => {
            let alone = change.within(change.empty()).unwrap_or_default();
            (&root, style.item(Some(change.container), &alone))
        }
    };
    let (splices, line) = style.placed(place, &item);
    let edited = Edited { text: spliced(whole, splices), line, part: style.shown(place, &item) };
    sure(edited, &expected)
}

/// `text` without the item; `None` if it is not there.
pub(super) fn remove(text: &str, change: &Change<'_>) -> Result<Option<Edited>, EditError> {
    let root = jsonc::parse(text).map_err(EditError::Unreadable)?;
    let Some(container) = root.get(change.container) else { return Ok(None) };
    let items = container.items();
    let Some(at) = items.iter().position(|item| change.is(item)) else { return Ok(None) };
    let Some(item) = items.get(at) else { return Ok(None) };
    let mut expected = root.to_value();
    match expected.get_mut(change.container) {
        Some(Value::Object(members)) => {
            members.shift_remove(change.key.unwrap_or_default());
        }
        Some(Value::Array(elements)) => {
            elements.remove(at);
        }
        _ => return Err(EditError::Form(change.container)),
    }
    let mut end = item.node.span.end;
    let mut splices = Vec::new();
    match item.comma {
        Some(comma) if comma == end => end += 1,
        Some(comma) => splices.push(cut(comma..comma + 1)),
        // It was the last: the one before it is now, and keeps no comma that it needs not.
        None => {
            let before = at.checked_sub(1).and_then(|before| items.get(before)).and_then(|item| item.comma);
            splices.extend(before.map(|comma| cut(comma..comma + 1)));
        }
    }
    let start = line_start(text, item.start, end).unwrap_or(item.start);
    splices.push(cut(start..end));
    let part = text.get(start..end).unwrap_or_default().trim_start_matches(['\r', '\n']).to_owned();
    let edited = Edited { text: spliced(text, splices), line: line_of(text, item.start), part };
    sure(edited, &expected).map(Some)
}

fn sure(edited: Edited, expected: &Value) -> Result<Edited, EditError> {
    match jsonc::parse(&edited.text) {
        Ok(root) if root.to_value() == *expected => Ok(edited),
        _ => Err(EditError::Unsure),
    }
}

fn cut(at: Range<usize>) -> Splice {
    Splice { at, with: String::new() }
}

fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|splice| splice.at.start);
    let (mut result, mut from) = (String::with_capacity(text.len() + 256), 0);
    for Splice { at, with } in splices {
        result.push_str(text.get(from..at.start).unwrap_or_default());
        result.push_str(&with);
        from = at.end;
    }
    result + text.get(from..).unwrap_or_default()
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Where the line end before `start` stands, if nothing else is on the lines from `start` to `end`.
fn line_start(text: &str, start: usize, end: usize) -> Option<usize> {
    let before = text.get(..start)?.trim_end_matches([' ', '\t']);
    let after = text.get(end..)?.trim_start_matches([' ', '\t']);
    let is_alone = after.is_empty() || after.starts_with(['\r', '\n']);
    let without_end = before.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    without_end.filter(|_| is_alone).map(str::len)
}

/// How a file is laid out.
struct Style<'a> {
    text: &'a str,
    unit: String,
    line_end: &'static str,
}

impl<'a> Style<'a> {
    fn of(text: &'a str, root: &Node) -> Self {
        let first = root.items().first().map(|item| indentation(text, item.start));
        let unit = first.filter(|unit| !unit.is_empty()).unwrap_or("  ").to_owned();
        Self { text, unit, line_end: if text.contains("\r\n") { "\r\n" } else { "\n" } }
    }

    /// The item as a document of its own, on several lines.
    fn item(&self, key: Option<&str>, value: &Value) -> String {
        let key = key.map(|key| format!("{}: ", Value::from(key))).unwrap_or_default();
        let mut written = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(self.unit.as_bytes());
        let mut writer = serde_json::Serializer::with_formatter(&mut written, formatter);
        let pretty = serde::Serialize::serialize(value, &mut writer).ok();
        let pretty = pretty.and_then(|()| String::from_utf8(written).ok());
        key + &pretty.unwrap_or_else(|| value.to_string())
    }

    /// The indentation of what stands directly in `place`.
    fn inner(&self, place: &Node) -> String {
        format!("{}{}", indentation(self.text, place.span.start), self.unit)
    }

    /// Whether the items of `place` stand on one line with it.
    fn is_inline(&self, place: &Node) -> bool {
        let first = place.items().first();
        first.is_some_and(|first| {
            !self.text.get(place.span.start..first.start).unwrap_or_default().contains('\n')
        })
    }

    fn indented(&self, place: &Node, item: &str) -> String {
        item.replace('\n', &format!("{}{}", self.line_end, self.inner(place)))
    }

    fn one_line(item: &str) -> String {
        item.lines().map(str::trim_start).collect::<Vec<_>>().join(" ")
    }

    /// What a person is shown of the item.
    fn shown(&self, place: &Node, item: &str) -> String {
        if self.is_inline(place) {
            return Self::one_line(item);
        }
        self.inner(place) + &self.indented(place, item)
    }

    /// The changes that put `item` at the end of `place`, and the line at which it will stand.
    fn placed(&self, place: &Node, item: &str) -> (Vec<Splice>, usize) {
        let mut splices = Vec::new();
        let at = |at: usize, with: String| Splice { at: at..at, with };
        let on_its_line = format!("{}{}{}", self.line_end, self.inner(place), self.indented(place, item));
        let (start, close) = (place.span.start + 1, place.span.end.saturating_sub(1));
        let Some(last) = place.items().last() else {
            let inner = self.text.get(start..close).unwrap_or_default();
            let kept = inner.trim_end();
            let closing = format!("{}{}", self.line_end, indentation(self.text, place.span.start));
            let from = start + kept.len();
            splices.push(Splice { at: from..close, with: on_its_line + &closing });
            return (splices, line_of(self.text, from) + 1);
        };
        let end = last.comma.map_or(last.node.span.end, |comma| comma + 1);
        if self.is_inline(place) {
            let comma = if last.comma.is_some() { "" } else { "," };
            splices.push(at(end, format!("{comma} {}", Self::one_line(item))));
            return (splices, line_of(self.text, end));
        }
        if last.comma.is_none() {
            splices.push(at(last.node.span.end, ",".into()));
        }
        let after = after_comments(self.text, end);
        splices.push(at(after, on_its_line));
        (splices, line_of(self.text, after) + 1)
    }
}

/// The white space at the beginning of the line of `at`.
fn indentation(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
    line.get(..blank).unwrap_or_default()
}

/// The place after the comments that follow `at` on its line.
fn after_comments(text: &str, at: usize) -> usize {
    let mut at = at;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let line = rest.split(['\r', '\n']).next().unwrap_or_default();
        let words = line.trim_start_matches([' ', '\t']);
        let comment = line.len() - words.len();
        match words.strip_prefix("/*").and_then(|inner| inner.find("*/")) {
            Some(end) => at += comment + end + 4,
            None if words.starts_with("//") => return at + line.trim_end().len(),
            None => return at,
        }
    }
}

/// A whole file with nothing but the changes.
pub(super) fn insert_all(text: &str, changes: &[Change<'_>]) -> Result<(String, Vec<Edited>), EditError> {
    let mut edits = Vec::new();
    let mut text = text.to_owned();
    for change in changes {
        let edited = insert(&text, change)?;
        text.clone_from(&edited.text);
        edits.push(edited);
    }
    Ok((text, edits))
}

/// A whole file without the changes that are in it.
pub(super) fn remove_all(text: &str, changes: &[Change<'_>]) -> Result<(String, Vec<Edited>), EditError> {
    let mut edits = Vec::new();
    let mut text = text.to_owned();
    for change in changes {
        if let Some(edited) = remove(&text, change)? {
            text.clone_from(&edited.text);
            edits.push(edited);
        }
    }
    Ok((text, edits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Change<'static> {
        let value = json!({"url": "http://127.0.0.1:8080/mcp", "n": [1]});
        Change { container: "mcpServers", key: Some("quaymaster"), value }
    }

    fn input() -> Change<'static> {
        Change { container: "inputs", key: None, value: json!({"id": "t"}) }
    }

    const FILES: [&str; 13] = [
        "",
        "{}",
        "{}\n",
        "{\n}\n",
        "{ // mine\n}\n",
        "{\n\t\"mcpServers\": {}\n}\n",
        "{\"mcpServers\":{\"a\":{\"url\":\"x\"}}}",
        "{\n  \"mcpServers\": {\n    \"a\": {\"url\": \"x\"} // one, two\n  }\n}\n",
        "{\r\n    \"mcpServers\": {\r\n        \"a\": {}, /* x */ // y\r\n    },\r\n    \"inputs\": [\r\n    ]\r\n}",
        "// top\n{\n  \"inputs\": [{\"id\": \"o\"}],\n  \"other\": \"{\"\n}\n// end",
        "{\n  \"mcpServers\": {\n    // nothing yet\n  }\n}",
        "{\n  \"mcpServers\": { \"a\": {} }\n}",
        "{\n  \"mcpServers\": {\n    \"a\": {} }, }",
    ];

    #[test]
    fn what_is_put_in_leaves_the_rest_as_it_is() {
        let shown: Vec<String> = FILES
            .iter()
            .map(|text| {
                let (text, edits) = insert_all(text, &[server(), input()]).expect(text);
                let parts: Vec<String> =
                    edits.iter().map(|edited| format!("line {}: {}", edited.line, edited.part)).collect();
                format!("{text}\n-----\n{}\n=====", parts.join("\n"))
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n").replace('\r', "<CR>"));
    }

    #[test]
    fn what_is_taken_out_again_leaves_what_was_there() {
        for text in FILES {
            let before = jsonc::parse(text).expect("JSON").to_value();
            let (with, _) = insert_all(text, &[server(), input()]).expect(text);
            let (without, edits) = remove_all(&with, &[server(), input()]).expect(text);
            assert_eq!(edits.len(), 2);
            for comment in ["// mine", "// one, two", "/* x */ // y", "// top", "// end", "// nothing yet"] {
                assert_eq!(text.contains(comment), without.contains(comment), "{without}");
            }
            let mut after = jsonc::parse(&without).expect("JSON").to_value();
            for container in ["mcpServers", "inputs"] {
                if before.get(container).is_none() {
                    assert_eq!(after[container], server_or_input(container).empty());
                    after.as_object_mut().expect("an object").remove(container);
                }
            }
            assert_eq!(after, before);
            let (nothing, edits) = remove_all(&without, &[server(), input()]).expect(text);
            assert_eq!((nothing, edits), (without, vec![]));
        }
    }

    fn server_or_input(container: &str) -> Change<'static> {
        if container == "inputs" { input() } else { server() }
    }

    #[test]
    fn one_between_others_is_taken_out_with_its_comma_alone() {
        let text = "{\n \"mcpServers\": {\n  \"a\": 1, // a\n  \"quaymaster\": 2 /* q */,\n  // b\n  \"b\": 3\n }\n}";
        let edited = remove(text, &server()).expect("JSON").expect("it is there");
        assert_eq!(
            edited.text,
            "{\n \"mcpServers\": {\n  \"a\": 1, // a\n   /* q */\n  // b\n  \"b\": 3\n }\n}"
        );
        let inline = remove("{\"mcpServers\":{\"quaymaster\":1,\"b\":2}}", &server()).expect("JSON");
        assert_eq!(inline.map(|edited| edited.text).as_deref(), Some("{\"mcpServers\":{\"b\":2}}"));
    }

    #[test]
    fn what_is_no_place_for_it_is_not_changed() {
        let refused = |text: &str| insert(text, &server()).expect_err(text);
        assert_eq!(refused("[]"), EditError::Form("the file"));
        assert_eq!(refused("{\"mcpServers\": []}"), EditError::Form("mcpServers"));
        assert!(matches!(refused("{\"mcpServers\": {"), EditError::Unreadable(_)));
    }
}
