//! What must hold for any text.

use proptest::prelude::*;
use quaymaster_redaction::{Action, Engine, Kind};
use serde_json::{Map, Value};

use crate::{configured, engine, redact};

/// Values of many kinds, beside others that are none.
fn value() -> impl Strategy<Value = Value> {
    let telling = prop::sample::select(vec![
        "ada.lovelace@example.com",
        "+49 30 901820",
        "4111 1111 1111 1111",
        "DE89370400440532013000",
        "536-90-4399",
        "192.168.17.204",
        "see 742 Evergreen Terrace, Springfield, IL 62704",
        "password=hunter2!x",
        "ORD-2024-000123",
        "{\"email\":\"grace@example.com\"}",
        "name;email\nAda;ada@example.com\n",
        "ada%40example.com",
        "Ada Lovelace",
        "",
        "größer ⟦email:7f3a9c21b04e⟧",
    ]);
    let leaf = prop_oneof![
        telling.prop_map(Value::from),
        "[a-zA-Z0-9@.:+\\-_ \"\\\\%{}\\[\\]⟦é\u{200b}]{0,24}".prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let name = prop::sample::select(vec![
            "email", "name", "customer", "id", "note", "phone", "token", "rows", "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6).prop_map(|m| Value::Object(
                m.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>()
            )),
        ]
    })
}

/// Whether two values have the same objects and lists, and scalars in the same places.
fn is_same_shape(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same_shape(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((n, a), (m, b))| n == m && is_same_shape(a, b))
        }
        (Value::String(_) | Value::Number(_), Value::String(_) | Value::Number(_) | Value::Null) => true,
        (a, b) => a == b,
    }
}

/// The text that a finding is about, in the value as it came.
fn found_in(value: &Value, path: &str, start: usize, end: usize) -> Option<String> {
    let leaf = value.pointer(path)?;
    let text = leaf.as_str().map_or_else(|| leaf.to_string(), str::to_owned);
    text.get(start..end).map(str::to_owned)
}

fn strictest() -> Engine {
    configured(r#"{"default":"drop","secrets":"drop"}"#)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn shape_order_and_what_was_not_found_are_kept(value in value()) {
        let text = value.to_string();
        if let Ok(redacted) = redact(&engine(), &text) {
            let after: Value = serde_json::from_str(&redacted.text).expect("JSON stays JSON");
            prop_assert!(is_same_shape(&value, &after), "{text}\n{}", redacted.text);
            if redacted.findings.is_empty() {
                prop_assert_eq!(redacted.text.as_ref(), text.as_str());
            }
        }
    }

    #[test]
    fn nothing_that_a_finding_took_out_is_left_in_its_value(value in value()) {
        let text = value.to_string();
        if let Ok(redacted) = redact(&strictest(), &text) {
            let after: Value = serde_json::from_str(&redacted.text).expect("JSON");
            for finding in &redacted.findings {
                prop_assert_eq!(finding.action, Action::Drop);
                let removed = found_in(&value, &finding.path, finding.start, finding.end).expect("a part of the value");
                let left = after.pointer(&finding.path).expect("a value");
                // What is shorter stands in other words, too.
                if removed.len() >= 6 && removed != text {
                    prop_assert!(!left.to_string().contains(&removed), "{removed} in {left}");
                }
            }
        }
    }

    #[test]
    fn redacting_what_was_redacted_changes_nothing(value in value()) {
        let engine = engine();
        let text = value.to_string();
        if let Ok(once) = redact(&engine, &text)
            && let Ok(twice) = redact(&engine, &once.text)
        {
            prop_assert_eq!(&twice.text, &once.text);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let keys = crate::Keys::new();
        let _ = engine().redact_text(&text, &keys.scope());
        let _ = redact(&engine(), &text);
    }

    #[test]
    fn masks_are_as_long_as_what_they_cover(value in "[a-z]{3,9}[.][a-z]{3,9}@[a-z]{3,9}[.]com") {
        let engine = configured(r#"{"default":"mask"}"#);
        let text = Value::from(format!("write to {value} today")).to_string();
        let redacted = redact(&engine, &text).expect("released");
        prop_assert_eq!(redacted.text.chars().count(), text.chars().count());
        prop_assert!(redacted.findings.iter().any(|finding| finding.class == Kind::Email));
    }
}
