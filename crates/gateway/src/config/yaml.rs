//! YAML as a tree in which every part knows its place.
//!
//! This module owns how a text becomes a [`Node`] and how a path such as
//! `spec.tools[2].name` is found in it. It knows nothing of what a file should
//! hold; that is [`super::shape`].
//!
//! Invariants:
//! - YAML 1.2 only: `yes` is a text, and so are `1_000` and `0b1`.
//! - No anchors, aliases, merge keys, tags of one's own, repeated keys or second
//!   documents. Depth and number of nodes are bounded, so recursion is too.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{
    Error, Location, MergeKeyPolicy, MessageFormatter, Options, Spanned, UserMessageFormatter,
};

use super::diagnostic::{Code, Problem, Span, offset_of};

/// How deep lists and mappings may be nested.
const MAX_DEPTH: usize = 48;
/// How many keys, values, lists and mappings a file may have.
const MAX_NODES: usize = 50_000;

/// A part of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Where to point: at the value of a scalar, at the key of anything longer. One line.
    pub(super) span: Span,
    /// All that a scalar covers.
    pub(super) whole: Span,
    pub(super) value: Value,
}

/// What a part of a file is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

/// Reads `text`; a text without content is `Null`.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let read: Result<Spanned<Raw>, Error> = serde_saphyr::from_str_with_options(text, options());
    match read {
        Ok(raw) => Ok(node(text, raw, None)),
        Err(error) => Err(syntax_problem(text, &error)),
    }
}

impl Node {
    /// The value under `key`, if this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The text, if this is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The place that `path` names, such as `spec.tools[2].access.roles[0]`, or the nearest
    /// one around it that exists. A key may hold dots; the longest that fits is taken.
    pub(super) fn locate(&self, path: &str) -> Span {
        let mut here = self;
        let mut rest = path;
        loop {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            match here.step(rest) {
                Some((next, after)) => (here, rest) = (next, after),
                None => return here.span,
            }
        }
    }

    fn step<'a, 'p>(&'a self, path: &'p str) -> Option<(&'a Node, &'p str)> {
        match &self.value {
            Value::List(items) => {
                let (index, after) = path.strip_prefix('[')?.split_once(']')?;
                Some((items.get(index.parse::<usize>().ok()?)?, after))
            }
            Value::Map(entries) => {
                let after = |entry: &Entry| {
                    let rest = path.strip_prefix(entry.key.as_str());
                    rest.filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                };
                let fitting = entries.iter().filter(|entry| !entry.key.is_empty());
                let fitting = fitting.filter_map(|entry| after(entry).map(|rest| (&entry.node, rest)));
                fitting.min_by_key(|(_, rest)| rest.len())
            }
            _ => None,
        }
    }

    /// The places of all keys and scalars in this part.
    pub(super) fn written(&self) -> Vec<Span> {
        match &self.value {
            Value::List(items) => items.iter().flat_map(Node::written).collect(),
            Value::Map(entries) => {
                let of = |entry: &Entry| {
                    let mut spans = entry.node.written();
                    spans.push(entry.key_span);
                    spans
                };
                entries.iter().flat_map(of).collect()
            }
            _ => vec![self.whole],
        }
    }

    /// Calls `visit` with every scalar below, this one included.
    pub(super) fn scalars<'a>(&'a self, visit: &mut dyn FnMut(&'a Node)) {
        match &self.value {
            Value::List(items) => items.iter().for_each(|item| item.scalars(visit)),
            Value::Map(entries) => entries.iter().for_each(|entry| entry.node.scalars(visit)),
            _ => visit(self),
        }
    }
}

/// Whether a file of this name is YAML.
pub(super) fn is_named(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml"))
}

/// The place that `path` names in `text`, or the nearest one around it that exists.
///
/// `None` if `text` is not YAML that is read here.
pub fn locate(text: &str, path: &str) -> Option<Span> {
    parse(text).ok().map(|root| root.locate(path))
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_documents: 1,
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            flow_nesting_limit: MAX_DEPTH + 1,
        },
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// A value as the parser gives it. Places are worked out afterwards, with the text at hand.
enum Raw {
    Scalar(Value),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Signed(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Unsigned(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Text(value.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

/// `key` is where the value's key stands, if it has one.
fn node(text: &str, raw: Spanned<Raw>, key: Option<Span>) -> Node {
    let whole = span(text, &raw.defined);
    let own = one_line(text, whole);
    let value = match raw.value {
        Raw::Scalar(value) => {
            let span = key.filter(|_| own.length == 0).unwrap_or(own);
            return Node { span, whole, value: yaml_1_2(text, own, value) };
        }
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(text, item, None)).collect()),
        Raw::Map(entries) => Value::Map(entries.into_iter().map(|(k, v)| entry(text, k, v)).collect()),
    };
    let first = match &value {
        Value::Map(entries) => entries.first().map(|entry| entry.key_span),
        Value::List(items) => items.first().map(|item| item.span),
        _ => None,
    };
    Node { span: key.or(first).unwrap_or(own), whole, value }
}

fn entry(text: &str, key: Spanned<String>, value: Spanned<Raw>) -> Entry {
    let key_span = one_line(text, span(text, &key.defined));
    Entry { key: key.value, key_span, node: node(text, value, Some(key_span)) }
}

/// The parser also knows the numbers of YAML 1.1; here they are texts, as YAML 1.2 has it.
fn yaml_1_2(text: &str, span: Span, value: Value) -> Value {
    if !matches!(value, Value::Signed(_) | Value::Unsigned(_) | Value::Float(_)) {
        return value;
    }
    let written = text.get(span.offset..span.end()).unwrap_or_default();
    let digits = written.trim_start_matches(['+', '-']);
    let old = written.contains('_') || digits.starts_with("0b") || digits.starts_with("0B");
    if old { Value::Text(written.to_owned()) } else { value }
}

fn span(text: &str, location: &Location) -> Span {
    let bytes = location.span();
    let known = bytes.byte_offset().zip(bytes.byte_len());
    let known = known.and_then(|(offset, length)| {
        Some(Span::new(usize::try_from(offset).ok()?, usize::try_from(length).ok()?))
    });
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let span = known
        .unwrap_or_else(|| Span::new(offset_of(text, number(location.line()), number(location.column())), 0));
    let start = text.floor_char_boundary(span.offset.min(text.len()));
    let end = text.ceil_char_boundary(span.end().min(text.len()));
    Span::new(start, end.saturating_sub(start))
}

fn one_line(text: &str, span: Span) -> Span {
    let covered = text.get(span.offset..span.end()).unwrap_or_default();
    Span::new(span.offset, covered.lines().next().unwrap_or_default().len())
}

fn syntax_problem(text: &str, error: &Error) -> Problem {
    let error = error.without_snippet();
    let location = error.location().filter(|location| location.line() > 0);
    let span = location.map(|location| one_line(text, span(text, &location)));
    let problem = |code, message: &str, help: &str| {
        Problem::error(code, span, message).help((!help.is_empty()).then(|| help.to_owned()))
    };
    match error {
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or_default();
            let message = format!("the key `{}` is there twice", key.escape_debug());
            problem(Code::DuplicateKey, &message, "keep one of them")
        }
        Error::Budget { breach: BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. }, .. }
        | Error::UnknownAnchor { .. } => problem(
            Code::Yaml,
            "anchors and aliases are not read here",
            "write the value out where it is used",
        ),
        Error::MergeKeyNotAllowed { .. } => {
            problem(Code::Yaml, "merge keys are not read here", "write the keys out where they are used")
        }
        Error::UnsupportedTag { tag, .. } => {
            let message = format!("the tag `{}` is not read here", tag.escape_debug());
            problem(Code::Yaml, &message, "remove it; a text that starts with `!` is put in quotes")
        }
        Error::Budget { breach: BudgetBreach::Documents { .. }, .. } | Error::MultipleDocuments { .. } => {
            problem(Code::Yaml, "a file holds one document", "put what follows `---` into a file of its own")
        }
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => problem(Code::Yaml, &too_deep(), ""),
        Error::Budget { breach: BudgetBreach::Nodes { .. }, .. } => {
            problem(Code::Yaml, &format!("more than {MAX_NODES} keys and values"), "split the file")
        }
        Error::NullIntoString { .. } | Error::Unexpected { .. } => {
            problem(Code::Yaml, "a key must be a text", "put it in quotes")
        }
        Error::NonFiniteFloat { .. } => problem(Code::Type, "a number must be finite", ""),
        other => {
            if let Some(tab) = span.and_then(|span| indenting_tab(text, span)) {
                let tab = Problem::error(Code::Yaml, tab, "a tab cannot indent");
                return tab.help("indent with spaces".to_owned());
            }
            match UserMessageFormatter.format_message(other).as_ref() {
                "recursion limit exceeded" => problem(Code::Yaml, &too_deep(), ""),
                message => problem(Code::Yaml, message, ""),
            }
        }
    }
}

fn too_deep() -> String {
    format!("nested deeper than {MAX_DEPTH} levels")
}

/// The tab in the indentation at or next to the place of a syntax error.
fn indenting_tab(text: &str, span: Span) -> Option<Span> {
    let before = text.get(..span.offset)?;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let this = text.get(line_start..)?;
    let next = this.find('\n').map(|at| line_start + at + 1);
    [Some(line_start), next].into_iter().flatten().find_map(|start| {
        let indentation = text.get(start..)?.find(|c| c != ' ' && c != '\t')?;
        let tab = text.get(start..start + indentation)?.find('\t')?;
        Some(Span::new(start + tab, 1))
    })
}

#[cfg(test)]
mod tests;
