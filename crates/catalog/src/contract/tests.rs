//! What each rule says, and that the verdicts hold for instances.

use jsonschema::Validator;
use proptest::prelude::*;
use quaymaster_core::Effect;
use serde_json::{Map, Value, json};

use super::{Contract, Reason, Side, Verdict, compare, compare_schemas};

fn contract(definition: &Value) -> Contract {
    Contract::new(definition.as_object().cloned().expect("an object"), Effect::Read)
}

fn tool(input: &Value) -> Value {
    json!({"name": "go", "description": "Goes.", "inputSchema": input})
}

/// The rules and what they say, in their order.
fn said(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().map(|r| format!("{} {} {}", r.verdict.as_str(), r.rule, r.at)).collect()
}

fn input(old: &Value, new: &Value) -> Vec<String> {
    let object = |properties: &Value| json!({"type": "object", "properties": {"a": properties}});
    said(&compare(&contract(&tool(&object(old))), &contract(&tool(&object(new)))))
}

fn output(old: &Value, new: &Value) -> Vec<String> {
    said(&compare_schemas(old, new, Side::Output, ""))
}

#[test]
fn what_callers_may_send_is_compared_by_what_they_could_send_before() {
    let cases = [
        (json!({"type": "string"}), json!({"type": "string", "description": "A name."})),
        (json!({"type": "string"}), json!({"type": ["string", "null"]})),
        (json!({"type": ["string", "null"]}), json!({"type": "string"})),
        (json!({"type": "number"}), json!({"type": "integer"})),
        (json!({"type": "integer"}), json!({"type": "number"})),
        (json!({"type": "string"}), json!({"type": "integer"})),
        (json!({"type": "string"}), json!({"anyOf": [{"type": "string"}, {"type": "null"}]})),
        (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), json!({"type": "string"})),
        (json!({"enum": ["a", "b"]}), json!({"enum": ["a", "b", "c"]})),
        (json!({"enum": ["a", "b"]}), json!({"enum": ["a"]})),
        (json!({"type": "string"}), json!({"type": "string", "enum": ["a"]})),
        (json!({"enum": ["a"]}), json!({"enum": ["a"], "type": "string"})),
        (json!({"const": 1}), json!({"const": 2})),
        (json!({"minimum": 1}), json!({"minimum": 0})),
        (json!({"minimum": 1}), json!({"minimum": 2})),
        (json!({"maximum": 1}), json!({})),
        (json!({}), json!({"maxLength": 3})),
        (json!({"minLength": 0}), json!({})),
        (json!({"multipleOf": 4}), json!({"multipleOf": 2})),
        (json!({"multipleOf": 4}), json!({"multipleOf": 8})),
        (json!({"multipleOf": 4}), json!({"multipleOf": 6})),
        (json!({"format": "date"}), json!({"format": "date-time"})),
        (json!({"type": "string"}), json!({"type": "string", "format": "uri"})),
        (json!({"pattern": "^a"}), json!({"pattern": "^b"})),
        (json!({"pattern": "^a"}), json!({})),
        (json!({"default": 1}), json!({"default": 2})),
        (json!({}), json!({"default": 2})),
        (json!({"uniqueItems": false}), json!({"uniqueItems": true})),
        (json!({"nullable": true}), json!({"nullable": false})),
        (json!({"items": {"type": "string"}}), json!({"items": {"type": ["string", "null"]}})),
        (json!({"items": {"type": "string"}}), json!({"items": false})),
        (json!({"prefixItems": [{}]}), json!({"prefixItems": [{}, {}]})),
        (json!({"contains": {"type": "string"}}), json!({})),
        (json!({"properties": {}}), json!({"properties": {"b": {"type": "string"}}})),
        (
            json!({"additionalProperties": false}),
            json!({"properties": {"b": {"type": "string"}}, "additionalProperties": false}),
        ),
        (json!({"additionalProperties": false}), json!({})),
        (json!({}), json!({"additionalProperties": false})),
        (json!({"oneOf": [{"type": "string"}]}), json!({"oneOf": [{"type": "string"}, {"type": "null"}]})),
        (json!({"oneOf": [{"type": "string"}]}), json!({"oneOf": [{"type": "string", "title": "x"}]})),
        (json!({"allOf": [{"maximum": 1}]}), json!({"allOf": [{"maximum": 2}]})),
        (json!({"not": {"type": "null"}}), json!({"not": {"type": "string"}})),
        (json!({"if": {"type": "null"}, "then": false}), json!({"if": {"type": "null"}})),
        (json!({"dependentRequired": {"b": ["c"]}}), json!({"dependentRequired": {"b": []}})),
        (json!({"patternProperties": {"^a": {}}}), json!({"patternProperties": {"^b": {}}})),
        (json!({"unevaluatedProperties": false}), json!({})),
        (json!({"x-secret": 1}), json!({"x-secret": 2})),
        (json!({"type": "thing"}), json!({"type": "other"})),
        (json!({"$ref": "#/$defs/a"}), json!({"type": "string"})),
        (json!({"$ref": "other.json"}), json!({"type": "string"})),
    ];
    let report =
        cases.iter().map(|(old, new)| format!("{old} -> {new}\n  {}\n", input(old, new).join("\n  ")));
    insta::assert_snapshot!(report.collect::<String>());
}

#[test]
fn what_callers_get_is_compared_the_other_way_round() {
    let of = |properties: Value| json!({"type": "object", "properties": properties});
    let closed = |properties: Value| json!({"properties": properties, "additionalProperties": false});
    let cases = [
        (of(json!({"a": {}, "b": {}})), of(json!({"a": {}}))),
        (of(json!({"a": {}})), of(json!({"a": {}, "b": {}}))),
        (closed(json!({"a": {}})), closed(json!({"a": {}, "b": {}}))),
        (of(json!({"a": {"type": "string"}})), of(json!({"a": {"type": ["string", "null"]}}))),
        (of(json!({"a": {"type": ["string", "null"]}})), of(json!({"a": {"type": "string"}}))),
        (of(json!({"a": {"enum": [1]}})), of(json!({"a": {"enum": [1, 2]}}))),
        (json!({"required": ["a"]}), json!({})),
        (json!({}), json!({"required": ["a"]})),
        (json!({"items": {"maximum": 1}}), json!({"items": {"maximum": 2}})),
        (json!({"anyOf": [{"type": "string"}]}), json!({"anyOf": [{"type": "string"}, {"type": "integer"}]})),
    ];
    let report =
        cases.iter().map(|(old, new)| format!("{old} -> {new}\n  {}\n", output(old, new).join("\n  ")));
    insta::assert_snapshot!(report.collect::<String>());
}

#[test]
fn the_members_of_a_definition_have_rules_of_their_own() {
    let old = json!({
        "name": "go", "title": "Go", "description": "Goes.", "inputSchema": {"type": "object", "properties": {}},
        "outputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true, "title": "Go"},
        "execution": {"taskSupport": "optional"}, "_meta": {"a": 1}
    });
    let changes = [
        ("/description", json!("Goes there.")),
        ("/title", Value::Null),
        ("/name", json!("come")),
        ("/annotations/readOnlyHint", json!(false)),
        ("/annotations", json!({"readOnlyHint": true, "title": "Go", "destructiveHint": true})),
        ("/annotations", json!({"readOnlyHint": true, "title": "Go", "destructiveHint": false})),
        ("/annotations", json!({"readOnlyHint": true, "title": "Go!", "other": 1})),
        ("/annotations", json!("read only")),
        ("/execution/taskSupport", json!("required")),
        ("/_meta/a", json!(2)),
        ("/inputSchema", json!({"type": "object", "properties": {"a": {"type": "string"}}})),
        ("/inputSchema", json!({"type": "object", "properties": {"a": {}}, "required": ["a"]})),
        ("/inputSchema/properties", json!({})),
    ];
    let report = changes.iter().map(|(at, value)| {
        let mut new = old.clone();
        *new.pointer_mut(at).expect("a place") = value.clone();
        let reasons = compare(&contract(&old), &contract(&new));
        format!("{at}: {value}\n  {}\n", said(&reasons).join("\n  "))
    });
    let mut report: String = report.collect();
    let without = |member: &str| {
        let mut object = old.as_object().cloned().expect("an object");
        object.remove(member);
        Value::Object(object)
    };
    let gone = compare(&contract(&old), &contract(&without("outputSchema")));
    let new = compare(&contract(&without("outputSchema")), &contract(&old));
    let definition = old.as_object().cloned().expect("an object");
    let effect = compare(&contract(&old), &Contract::new(definition, Effect::Destructive));
    for (what, reasons) in [("no output schema", gone), ("an output schema", new), ("effect", effect)] {
        report += &format!("{what}\n  {}\n", said(&reasons).join("\n  "));
    }
    insta::assert_snapshot!(report);
}

#[test]
fn references_are_followed_and_what_refers_to_itself_ends() {
    let of = |kind: &str, extra: &Value| {
        json!({
            "type": "object",
            "properties": {"tree": {"$ref": "#/$defs/node"}},
            "$defs": {"node": {
                "type": "object",
                "properties": {"value": {"type": kind}, "next": {"$ref": "#/$defs/node"}, "more": extra},
            }}
        })
    };
    let rules = |old: &Value, new: &Value| said(&compare(&contract(&tool(old)), &contract(&tool(new))));
    assert_eq!(
        rules(&of("string", &json!({})), &of("integer", &json!({}))),
        ["breaking input.type.changed /inputSchema/properties/tree/properties/value/type"]
    );
    let wording = rules(&of("string", &json!({})), &of("string", &json!({"title": "More"})));
    assert_eq!(
        wording,
        ["cosmetic input.wording.changed /inputSchema/properties/tree/properties/more/title"]
    );
    // A choice is not a mere addition where exactly one may fit, however it is referred to.
    let choice = |defs: &Value| {
        json!({
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/x"}, "b": {"oneOf": [{"$ref": "#/$defs/x"}, {"type": "null"}]}},
            "$defs": {"x": defs}
        })
    };
    let changed = rules(&choice(&json!({"type": "string"})), &choice(&json!({"type": ["string", "null"]})));
    assert!(changed.iter().any(|said| said.starts_with("risky input.one_of")), "{changed:?}");
}

#[test]
fn a_schema_that_would_take_for_ever_is_not_compared_to_its_end() {
    let wide = |last: &str| {
        let level = |n: usize| {
            let below = json!({"$ref": format!("#/$defs/l{}", n + 1)});
            (format!("l{n}"), json!({"anyOf": [below, below, {"type": "integer", "minimum": n}]}))
        };
        let mut defs: Map<String, Value> = (0..400).map(level).collect();
        defs.insert("l400".into(), json!({"type": last}));
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/l0"}}, "$defs": defs})
    };
    let reasons = compare(&contract(&tool(&wide("string"))), &contract(&tool(&wide("boolean"))));
    assert!(Reason::worst(&reasons) >= Some(Verdict::Risky), "{:?}", said(&reasons));
    let odd = |anchor: &str| json!({"type": "object", "properties": {"a": {"$ref": "#x"}}, "$defs": {"x": {"$anchor": anchor}}});
    let reasons = compare(&contract(&tool(&odd("x"))), &contract(&tool(&odd("y"))));
    assert_eq!(said(&reasons), ["risky input.reference.unclear /inputSchema"]);
}

/// Small values, so that schemas and instances meet.
fn value(depth: u32) -> BoxedStrategy<Value> {
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
fn pair() -> BoxedStrategy<(Value, Value)> {
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
            *number = (number.as_i64().unwrap_or(1) + i64::from(how) - 2).max(0).into()
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

fn usable(schema: &Value) -> Option<Validator> {
    // What refers to itself without end is refused before it is ever validated with.
    crate::cost::Cost::of(schema).ok()?;
    jsonschema::draft202012::options().should_validate_formats(true).build(schema).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_contract_compared_with_itself_has_no_reason((schema, _) in pair()) {
        let one = contract(&tool(&schema));
        prop_assert_eq!(compare(&one, &one), vec![]);
        for side in [Side::Input, Side::Output] {
            prop_assert_eq!(compare_schemas(&schema, &schema.clone(), side, ""), vec![]);
        }
    }

    #[test]
    fn after_an_addition_to_the_input_what_was_valid_still_is(
        (old, new) in pair(), instances in proptest::collection::vec(value(3), 24)
    ) {
        let reasons = compare_schemas(&old, &new, Side::Input, "");
        if Reason::worst(&reasons) <= Some(Verdict::Additive)
            && let (Some(before), Some(after)) = (usable(&old), usable(&new))
        {
            for instance in &instances {
                prop_assert!(!before.is_valid(instance) || after.is_valid(instance), "{} {:?}", instance, reasons);
            }
        }
    }

    #[test]
    fn after_an_addition_to_the_output_what_is_valid_would_have_been(
        (old, new) in pair(), instances in proptest::collection::vec(value(3), 24)
    ) {
        let reasons = compare_schemas(&old, &new, Side::Output, "");
        if Reason::worst(&reasons) <= Some(Verdict::Additive)
            && let (Some(before), Some(after)) = (usable(&old), usable(&new))
        {
            for instance in &instances {
                prop_assert!(before.is_valid(instance) || !after.is_valid(instance), "{} {:?}", instance, reasons);
            }
        }
    }

    #[test]
    fn no_schema_makes_a_comparison_panic((old, new) in pair(), other in value(4)) {
        for side in [Side::Input, Side::Output] {
            compare_schemas(&old, &new, side, "");
            compare_schemas(&old, &other, side, "");
            compare_schemas(&other, &new, side, "");
        }
    }
}
