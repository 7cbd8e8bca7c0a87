//! A serde deserializer over a tree of [`Node`]s whose faults know their place.
//!
//! It stops at the first fault, as serde does; [`super::shape`] goes on from
//! there. What it can read but should not accept (a number where a text is
//! expected) it notes and passes on, so that the type that wanted the text says
//! what it makes of it.

use std::cell::RefCell;
use std::fmt;

use quaymaster_core::SecretRef;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::diagnostic::Span;
use super::yaml::{Entry, Node, Value};

/// What one reading of a tree noted on its way.
#[derive(Debug)]
pub(super) struct Notes<'a> {
    text: &'a str,
    /// Numbers and truths that were taken as texts.
    pub(super) unquoted: RefCell<Vec<Span>>,
    /// Whatever stands where a reference to a secret should and is none.
    pub(super) hidden: RefCell<Vec<Span>>,
}

impl<'a> Notes<'a> {
    /// For a reading of the tree that was made of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, unquoted: RefCell::default(), hidden: RefCell::default() }
    }
}

/// One step down a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// What a type could not read.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) span: Option<Span>,
    /// The steps from the root, the last one first.
    pub(super) steps: Vec<Step>,
    /// It stands where a reference to a secret should: nothing of it is shown.
    pub(super) concealed: bool,
}

/// How a type could not read it.
#[derive(Debug)]
pub(super) enum FaultKind {
    UnknownKey { key: String, known: &'static [&'static str] },
    MissingKey(&'static str),
    UnknownWord { word: String, known: &'static [&'static str] },
    Type { found: String, expected: String },
    Value { found: String, expected: String },
    Said(String),
}

impl Fault {
    fn new(kind: FaultKind) -> Self {
        Self { kind, span: None, steps: Vec::new(), concealed: false }
    }

    fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    fn below(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(FaultKind::Said(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(truth) => format!("`{truth}`"),
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number".into(),
            Unexpected::Float(_) => "a number".into(),
            Unexpected::Str(_) | Unexpected::Char(_) | Unexpected::Bytes(_) => "a text".into(),
            Unexpected::Unit | Unexpected::Option => "nothing".into(),
            Unexpected::Seq => "a list".into(),
            Unexpected::Map => "a mapping".into(),
            other => other.to_string(),
        };
        Self::new(FaultKind::Type { found, expected: expected.to_string() })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(truth) => format!("`{truth}`"),
            Unexpected::Unsigned(number) => format!("`{number}`"),
            Unexpected::Signed(number) => format!("`{number}`"),
            Unexpected::Float(number) => format!("`{number}`"),
            Unexpected::Str(text) => format!("`{}`", text.escape_debug()),
            other => other.to_string(),
        };
        Self::new(FaultKind::Value { found, expected: expected.to_string() })
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(FaultKind::Value { found: format!("{length} of them"), expected: expected.to_string() })
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(FaultKind::UnknownWord { word: word.to_owned(), known })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(FaultKind::UnknownKey { key: key.to_owned(), known })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(FaultKind::MissingKey(key))
    }
}

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct NodeDeserializer<'a> {
    node: &'a Node,
    notes: &'a Notes<'a>,
}

impl<'a> NodeDeserializer<'a> {
    pub(super) fn new(node: &'a Node, notes: &'a Notes<'a>) -> Self {
        Self { node, notes }
    }

    /// What was written for a number or a truth.
    fn written(self) -> Option<&'a str> {
        let scalar = matches!(
            self.node.value,
            Value::Bool(_) | Value::Signed(_) | Value::Unsigned(_) | Value::Float(_)
        );
        self.notes.text.get(self.node.span.offset..self.node.span.end()).filter(|_| scalar)
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Some(written) = self.written() else { return self.deserialize_any(visitor) };
        self.notes.unquoted.borrow_mut().push(self.node.span);
        visitor.visit_str(written).map_err(|fault: Fault| fault.at(self.node.span))
    }
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let read = match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::Signed(number) => visitor.visit_i64(*number),
            Value::Unsigned(number) => visitor.visit_u64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => {
                visitor.visit_seq(Items { items: items.iter().enumerate(), notes: self.notes })
            }
            Value::Map(entries) => {
                visitor.visit_map(Entries { rest: entries.iter(), value: None, notes: self.notes })
            }
        };
        read.map_err(|fault: Fault| fault.at(self.node.span))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let read = visitor.visit_newtype_struct(self);
        if name != SecretRef::SERDE_NAME {
            return read;
        }
        read.map_err(|fault: Fault| {
            self.notes.hidden.borrow_mut().extend(self.node.written());
            Fault { concealed: true, ..fault }
        })
    }

    /// A mapping only: serde would also fill a struct from a list, by the order of its fields.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if matches!(self.node.value, Value::List(_)) {
            return Err(Fault::invalid_type(Unexpected::Seq, &visitor).at(self.node.span));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let read = match &self.node.value {
            Value::Text(word) => visitor.visit_enum(word.as_str().into_deserializer()),
            Value::Map(entries) if entries.len() == 1 => {
                let only = entries.first().map(|entry| Variant { entry, notes: self.notes });
                only.map_or_else(|| Err(Fault::custom("empty")), |variant| visitor.visit_enum(variant))
            }
            _ => return self.deserialize_any(visitor),
        };
        read.map_err(|fault: Fault| fault.at(self.node.span))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    notes: &'a Notes<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let read = seed.deserialize(NodeDeserializer::new(node, self.notes));
        read.map(Some).map_err(|fault| fault.at(node.span).below(Step::Index(index)))
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, Entry>,
    value: Option<&'a Entry>,
    notes: &'a Notes<'a>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(entry) = self.rest.next() else { return Ok(None) };
        self.value = Some(entry);
        let key: StrDeserializer<'_, Fault> = entry.key.as_str().into_deserializer();
        let read = seed.deserialize(key);
        read.map(Some).map_err(|fault| fault.at(entry.key_span).below(Step::Key(entry.key.clone())))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let entry = self.value.take().ok_or_else(|| Fault::custom("a value was read before its key"))?;
        let read = seed.deserialize(NodeDeserializer::new(&entry.node, self.notes));
        read.map_err(|fault| fault.at(entry.node.span).below(Step::Key(entry.key.clone())))
    }
}

/// `{ word: content }`.
struct Variant<'a> {
    entry: &'a Entry,
    notes: &'a Notes<'a>,
}

impl Variant<'_> {
    fn place(&self, fault: Fault) -> Fault {
        fault.at(self.entry.node.span).below(Step::Key(self.entry.key.clone()))
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let word: StrDeserializer<'_, Fault> = self.entry.key.as_str().into_deserializer();
        let read = seed.deserialize(word).map_err(|fault| self.place(fault.at(self.entry.key_span)))?;
        Ok((read, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        let found = Unexpected::Map;
        Err(Fault::invalid_type(found, &"only the word"))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        let read = seed.deserialize(NodeDeserializer::new(&self.entry.node, self.notes));
        read.map_err(|fault| self.place(fault))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Fault> {
        let read = NodeDeserializer::new(&self.entry.node, self.notes).deserialize_any(visitor);
        read.map_err(|fault| self.place(fault))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let read =
            NodeDeserializer::new(&self.entry.node, self.notes).deserialize_struct("", fields, visitor);
        read.map_err(|fault| self.place(fault))
    }
}
