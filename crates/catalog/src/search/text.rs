//! What of a tool is searched: its words, by where they stand.

use std::collections::BTreeMap;

use serde_json::Value;

use super::words::words;
use crate::Tool;

/// How many places there are in which a word can stand.
pub(super) const FIELDS: usize = 6;

/// A number for each place: name, title, connector, names of parameters,
/// description, what is said of parameters.
pub(super) type PerField = [f64; FIELDS];

/// How much a word weighs by its place: what a tool is called says most.
pub(super) const WEIGHT: PerField = [4.0, 3.0, 1.5, 1.0, 1.5, 0.4];

/// By how much a long text is worth less than a short one, from 0 (not) to 1.
pub(super) const EVEN: PerField = [0.3, 0.5, 0.0, 0.7, 0.6, 0.7];

/// Most words of one place that are looked at.
const MAX_WORDS: usize = 400;

/// How deep a schema is looked into.
const MAX_DEPTH: usize = 12;

/// The words of one tool.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// How often each word stands in each place.
    pub(super) counts: BTreeMap<String, PerField>,
    /// How many words each place has.
    pub(super) lengths: PerField,
}

impl Text {
    /// The words of `tool` as its caller is told of it: hidden arguments are not searched.
    pub(super) fn of(tool: &Tool) -> Self {
        let declaration = tool.declaration();
        let mut schema = SchemaText::default();
        schema.read(tool.input_schema(), 0);
        let mut text = Self::default();
        let fields = [
            declaration.name.as_str(),
            declaration.title.as_deref().unwrap_or_default(),
            declaration.connector.as_str(),
            &schema.names,
            &declaration.description,
            &schema.said,
        ];
        for (field, field_text) in fields.into_iter().enumerate() {
            text.add(field, field_text);
        }
        text
    }

    fn add(&mut self, field: usize, text: &str) {
        for word in words(text).take(MAX_WORDS) {
            let counts = self.counts.entry(word).or_default();
            for place in [counts.get_mut(field), self.lengths.get_mut(field)].into_iter().flatten() {
                *place += 1.0;
            }
        }
    }
}

/// The names of a schema's properties, and what is said of them.
#[derive(Default)]
struct SchemaText {
    names: String,
    said: String,
}

impl SchemaText {
    fn read(&mut self, schema: &Value, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        match schema {
            Value::Array(items) => items.iter().for_each(|item| self.read(item, depth + 1)),
            Value::Object(members) => {
                for (name, value) in members {
                    self.member(name, value, depth);
                }
            }
            _ => {}
        }
    }

    fn member(&mut self, name: &str, value: &Value, depth: usize) {
        match (name, value) {
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    append(&mut self.names, name);
                    self.read(property, depth + 1);
                }
            }
            ("title" | "description" | "const", Value::String(text)) => append(&mut self.said, text),
            ("enum", Value::Array(choices)) => {
                choices.iter().filter_map(Value::as_str).for_each(|choice| append(&mut self.said, choice));
            }
            // What is no schema, such as a default, holds no words of the publisher.
            ("default" | "examples" | "required" | "pattern", _) => {}
            _ => self.read(value, depth + 1),
        }
    }
}

/// Texts are never longer than the words of them that are looked at could make them.
fn append(all: &mut String, text: &str) {
    if all.len() < MAX_WORDS * 40 {
        all.push(' ');
        all.push_str(text);
    }
}
