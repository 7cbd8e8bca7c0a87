//! What each rule says, and that the verdicts hold for instances.

mod generated;

use jsonschema::Validator;
use proptest::prelude::*;
use quaymaster_core::Effect;
use serde_json::{Map, Value, json};

use self::generated::{pair, value};
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
    let report: Vec<String> = report.collect();
    let without = |member: &str| {
        let mut object = old.as_object().cloned().expect("an object");
        object.remove(member);
        Value::Object(object)
    };
    let gone = compare(&contract(&old), &contract(&without("outputSchema")));
    let new = compare(&contract(&without("outputSchema")), &contract(&old));
    let definition = old.as_object().cloned().expect("an object");
    let effect = compare(&contract(&old), &Contract::new(definition, Effect::Destructive));
    let further = [("no output schema", gone), ("an output schema", new), ("effect", effect)]
        .map(|(what, reasons)| format!("{what}\n  {}\n", said(&reasons).join("\n  ")));
    insta::assert_snapshot!(report.into_iter().chain(further).collect::<String>());
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
