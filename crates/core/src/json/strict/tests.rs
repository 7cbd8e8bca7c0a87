//! The strict reader against one that is built on `serde_json`.

use std::fmt;

use proptest::prelude::*;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::super::{MAX_DEPTH, MAX_SAFE_INTEGER, parse_strict};

/// What is accepted and what it means, as `serde_json` has it.
fn by_serde(text: &str) -> Option<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: MAX_DEPTH }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(value)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth }),
            None => Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        if value.abs() >= MAX_SAFE_INTEGER {
            return Err(E::custom("number too large to be read exactly: send it as a string"));
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(de::Error::custom(format_args!("key `{}` is repeated", key.escape_debug())));
            }
            let value = map.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// JSON with mistakes in it: near enough to the real thing to get far.
fn almost_json() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\":",
        "\"a\"",
        "\"b\":",
        "\"\\u0061\":",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"\\n\\t\\\"\\\\/\\/\"",
        "\"\\\"",
        "\"",
        "1",
        "-0",
        "0",
        "0.5",
        "-1e9",
        "1e400",
        "9007199254740993",
        "-9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "9007199254740992.0",
        "01",
        "-",
        "true",
        "null",
        "nul",
        " ",
        "\n",
        "é",
        "\u{1}",
        "\"0123456789abcdef0123456789é\"",
    ]);
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_192))]

    #[test]
    fn what_is_accepted_and_what_it_means_is_what_serde_json_has(text in almost_json()) {
        prop_assert_eq!(parse_strict(&text).ok(), by_serde(&text));
    }

    #[test]
    fn members_and_items_mean_the_same_too(pieces in prop::collection::vec(almost_json(), 0..4)) {
        let list = format!("[{}]", pieces.join(","));
        prop_assert_eq!(parse_strict(&list).ok(), by_serde(&list));
        let members: Vec<String> = pieces.iter().enumerate().map(|(n, p)| format!("\"k{n}\":{p}")).collect();
        let object = format!("{{{}}}", members.join(", "));
        prop_assert_eq!(parse_strict(&object).ok(), by_serde(&object));
    }
}
