//! Schemas, such that differ a little, and instances that meet them.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Small values, so that schemas and instances meet.
pub(super) fn value(depth: u32) -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..4_i64).prop_map(Value::from),
        Just(json!(0.5)),
        Just(json!(2.0)),
        "[ab]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(depth, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
    .boxed()
}

fn schema() -> BoxedStrategy<Value> {
    let types = prop_oneof![
        Just(json!("string")),
        Just(json!("integer")),
        Just(json!("number")),
        Just(json!("object")),
        Just(json!("array")),
        Just(json!(["string", "null"])),
        Just(json!(["integer", "object", "null"])),
    ];
    let number = || -1..4_i64;
    let count = || 0..3_u64;
    let plain = prop_oneof![
        types.prop_map(|t| ("type", t)),
        proptest::collection::vec(value(1), 1..4).prop_map(|v| ("enum", Value::from(v))),
        value(1).prop_map(|v| ("const", v)),
        number().prop_map(|n| ("minimum", n.into())),
        number().prop_map(|n| ("maximum", n.into())),
        number().prop_map(|n| ("exclusiveMinimum", n.into())),
        (1..4_u64).prop_map(|n| ("multipleOf", n.into())),
        count().prop_map(|n| ("minLength", n.into())),
        count().prop_map(|n| ("maxLength", n.into())),
        count().prop_map(|n| ("minItems", n.into())),
        count().prop_map(|n| ("maxItems", n.into())),
        count().prop_map(|n| ("minProperties", n.into())),
        count().prop_map(|n| ("maxProperties", n.into())),
        any::<bool>().prop_map(|b| ("uniqueItems", b.into())),
        Just(("pattern", json!("^a"))),
        proptest::collection::vec("[abc]", 0..3).prop_map(|names| {
            let names: std::collections::BTreeSet<String> = names.into_iter().collect();
            ("required", Value::from(names.into_iter().collect::<Vec<_>>()))
        }),
        Just(("title", json!("A title"))),
        Just(("$ref", json!("#/$defs/x"))),
        Just(("$ref", json!("#/$defs/y"))),
    ];
    let of = |members: Vec<(&'static str, Value)>| {
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let leaf = prop_oneof![
        8 => proptest::collection::vec(plain.clone(), 0..4).prop_map(of),
        1 => any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 16, 3, move |inner| {
        let names = || proptest::collection::btree_map("[abc]", inner.clone(), 0..3);
        let object =
            |map: std::collections::BTreeMap<String, Value>| Value::Object(map.into_iter().collect());
        let list = || proptest::collection::vec(inner.clone(), 1..3);
        let with = prop_oneof![
            plain.clone(),
            names().prop_map(move |map| ("properties", object(map))),
            inner.clone().prop_map(|s| ("additionalProperties", s)),
            Just(("additionalProperties", json!(false))),
            inner.clone().prop_map(|s| ("items", s)),
            list().prop_map(|s| ("prefixItems", s.into())),
            inner.clone().prop_map(|s| ("contains", s)),
            list().prop_map(|s| ("anyOf", s.into())),
            list().prop_map(|s| ("allOf", s.into())),
            list().prop_map(|s| ("oneOf", s.into())),
            inner.clone().prop_map(|s| ("not", s)),
            inner.clone().prop_map(|s| ("if", s)),
            inner.clone().prop_map(|s| ("then", s)),
            names().prop_map(move |map| ("dependentSchemas", object(map))),
            inner.clone().prop_map(|s| ("patternProperties", json!({"^a": s}))),
            Just(("unevaluatedProperties", json!(false))),
            Just(("propertyNames", json!({"maxLength": 1}))),
        ];
        proptest::collection::vec(with, 1..4).prop_map(of)
    })
    .boxed()
}

/// A schema of a document, and one that differs from it a little.
pub(super) fn pair() -> BoxedStrategy<(Value, Value)> {
    let document = (schema(), schema(), schema()).prop_map(|(root, x, y)| {
        let mut object = match root {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        object.insert("$defs".into(), json!({"x": x, "y": y}));
        Value::Object(object)
    });
    (document, schema(), any::<prop::sample::Index>(), 0..6_u8)
        .prop_map(|(old, other, index, how)| {
            let mut new = old.clone();
            let mut places = Vec::new();
            collect(&old, String::new(), &mut places);
            let place = index.get(&places).clone();
            change(new.pointer_mut(&place).expect("a place"), &other, how);
            (old, new)
        })
        .boxed()
}

fn collect(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                collect(value, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        Value::Array(items) => {
            for (nth, item) in items.iter().enumerate() {
                collect(item, format!("{at}/{nth}"), places);
            }
        }
        _ => {}
    }
    places.push(at);
}

fn change(place: &mut Value, other: &Value, how: u8) {
    match (place, how) {
        (Value::Number(number), _) => {
            *number = (number.as_i64().unwrap_or(1) + i64::from(how) - 2).max(0).into();
        }
        (Value::Array(items), 0) => _ = items.pop(),
        (Value::Array(items), 1) => items.push(other.clone()),
        (Value::Object(object), 0 | 1) => {
            let first = object.keys().find(|name| *name != "$defs").cloned();
            if let Some(first) = first {
                object.remove(&first);
            }
        }
        (Value::Object(object), 2..=4) => {
            if let Value::Object(more) = other {
                object.extend(more.iter().take(2).map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        (Value::Bool(is), _) => *is = !*is,
        (place, _) if place.is_object() => *place = other.clone(),
        _ => {}
    }
}
