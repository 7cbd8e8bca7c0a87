//! The `Mcp-*` headers that mirror a modern call's body (MCP 2026-07-28,
//! basic/transports/streamable-http, "Request Metadata"): written towards upstreams,
//! checked where they come from clients.
//!
//! Invariants:
//! - No value can end its header: whatever is not plain goes as Base64.
//! - A tool whose annotations are invalid is refused, not called without them.
//! - A header that says something else than the body is never passed over.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Number, Value};

const ANNOTATION: &str = "x-mcp-header";

/// An argument that is mirrored into a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamHeader {
    name: HeaderName,
    /// The names of the nested properties that lead to the argument.
    path: Vec<String>,
}

/// The headers that `schema`, a tool's input schema, asks for.
///
/// # Errors
///
/// Says which annotation breaks which rule of "Schema Extension".
pub fn declared(schema: &Value) -> Result<Vec<ParamHeader>, String> {
    let mut found = Found::default();
    found.visit(schema, Some(&[]))?;
    Ok(found.headers)
}

/// The headers of a call with `arguments`. An argument that is absent or null has none.
pub fn of_call(declared: &[ParamHeader], arguments: &Value) -> Vec<(HeaderName, HeaderValue)> {
    declared
        .iter()
        .filter_map(|header| {
            let value = header.path.iter().try_fold(arguments, |value, name| value.get(name))?;
            let text = match value {
                Value::String(text) => encode(text),
                Value::Bool(true) => HeaderValue::from_static("true"),
                Value::Bool(false) => HeaderValue::from_static("false"),
                Value::Number(number) => encode(&number.to_string()),
                _ => return None,
            };
            Some((header.name.clone(), text))
        })
        .collect()
}

/// A header that does not say what the body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It is not there, and the argument is.
    Missing,
    /// It is there, and the argument is not.
    Unexpected,
    /// It cannot be read: not ASCII, or not the Base64 that it says it is.
    Unreadable,
    /// It says something else.
    Different,
}

impl ParamHeader {
    /// The header's name.
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// Checks the values that came under this name against the call's arguments.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] if they do not say the same.
    pub fn check<'a>(
        &self,
        mut values: impl Iterator<Item = &'a HeaderValue>,
        arguments: &Value,
    ) -> Result<(), Mismatch> {
        let wanted = self.path.iter().try_fold(arguments, |value, name| value.get(name));
        let wanted = wanted.filter(|value| !value.is_null());
        let (value, wanted) = match (values.next(), wanted) {
            (None, None) => return Ok(()),
            (None, Some(_)) => return Err(Mismatch::Missing),
            (Some(_), None) => return Err(Mismatch::Unexpected),
            (Some(_), Some(_)) if values.next().is_some() => return Err(Mismatch::Unreadable),
            (Some(value), Some(wanted)) => (value, wanted),
        };
        let text = value.to_str().ok().and_then(decode).ok_or(Mismatch::Unreadable)?;
        let is_same = match wanted {
            Value::String(wanted) => text == *wanted,
            Value::Bool(wanted) => text == if *wanted { "true" } else { "false" },
            // Numbers are compared as numbers: `5.0` and `5` are one. Integers are compared
            // exactly, also where a double could not tell them apart.
            Value::Number(wanted) => text.parse::<Number>().is_ok_and(|number| {
                let both_whole = !number.is_f64() && !wanted.is_f64();
                number == *wanted || !both_whole && number.as_f64() == wanted.as_f64()
            }),
            _ => false,
        };
        if is_same { Ok(()) } else { Err(Mismatch::Different) }
    }
}

#[derive(Default)]
struct Found {
    names: BTreeSet<String>,
    headers: Vec<ParamHeader>,
}

impl Found {
    /// `path` leads to `schema` by `properties` alone; `None` if anything else was on the way.
    fn visit(&mut self, schema: &Value, path: Option<&[&str]>) -> Result<(), String> {
        let Some(schema) = schema.as_object() else { return Ok(()) };
        for (key, value) in schema {
            match key.as_str() {
                ANNOTATION => self.annotation(schema, value, path)?,
                "properties" => self.properties(value, path)?,
                "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                    for inner in value.as_object().into_iter().flat_map(Map::values) {
                        self.visit(inner, None)?;
                    }
                }
                "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                    for inner in value.as_array().into_iter().flatten() {
                        self.visit(inner, None)?;
                    }
                }
                "items"
                | "contains"
                | "additionalProperties"
                | "propertyNames"
                | "if"
                | "then"
                | "else"
                | "not"
                | "unevaluatedItems"
                | "unevaluatedProperties"
                | "contentSchema" => {
                    self.visit(value, None)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn properties(&mut self, properties: &Value, path: Option<&[&str]>) -> Result<(), String> {
        for (name, inner) in properties.as_object().into_iter().flatten() {
            let longer = path.map(|path| [path, &[name.as_str()]].concat());
            self.visit(inner, longer.as_deref())?;
        }
        Ok(())
    }

    fn annotation(
        &mut self,
        schema: &Map<String, Value>,
        value: &Value,
        path: Option<&[&str]>,
    ) -> Result<(), String> {
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            return Err("`x-mcp-header` stands where no argument is reached by `properties` alone".into());
        };
        // The specification leaves out `number`; its conformance suite does not.
        let kind = schema.get("type").and_then(Value::as_str);
        if !matches!(kind, Some("string" | "integer" | "boolean" | "number")) {
            return Err("`x-mcp-header` is for strings, integers and booleans".into());
        }
        let name = value.as_str().unwrap_or_default();
        if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token) {
            return Err("`x-mcp-header` is not a name that a header can have".into());
        }
        let full = format!("mcp-param-{}", name.to_ascii_lowercase());
        let header = HeaderName::from_bytes(full.as_bytes())
            .map_err(|_| "`x-mcp-header` is not a name that a header can have".to_owned())?;
        if !self.names.insert(full) {
            return Err("`x-mcp-header` names one header twice".into());
        }
        let path = path.iter().map(|name| (*name).to_owned()).collect();
        self.headers.push(ParamHeader { name: header, path });
        Ok(())
    }
}

/// `tchar` of RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `text` as a header's value: itself where it is plain, else `=?base64?…?=` ("Value Encoding").
pub fn encode(text: &str) -> HeaderValue {
    let plain = text.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~'))
        && text.trim_matches([' ', '\t']).len() == text.len()
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    let encoded = if plain { text.to_owned() } else { format!("=?base64?{}?=", STANDARD.encode(text)) };
    // Both forms are visible ASCII, spaces and tabs, so this never falls back.
    HeaderValue::try_from(encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The text that a header's value stands for; none if it says that it is Base64 and is not.
pub fn decode(value: &str) -> Option<String> {
    let Some(encoded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Some(value.to_owned());
    };
    STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of "Value Encoding".
    #[test]
    fn values_are_encoded_as_in_the_examples_of_the_specification() {
        for (text, header) in [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("", ""),
            ("a b", "a b"),
            ("\r", "=?base64?DQ==?="),
        ] {
            assert_eq!(encode(text), header, "{text:?}");
        }
    }

    #[test]
    fn annotated_arguments_become_headers_and_absent_ones_do_not() {
        let schema = json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "where": {"type": "object", "properties": {"zone": {"type": "integer", "x-mcp-header": "Zone"}}},
            "dry": {"type": "boolean", "x-mcp-header": "Dry"},
            "x-mcp-header": {"type": "string"},
            "query": {"type": "string"}
        }});
        let declared = declared(&schema).expect("valid annotations");
        let shown = |arguments: Value| -> Vec<String> {
            of_call(&declared, &arguments).iter().map(|(n, v)| format!("{n}: {v:?}")).collect()
        };
        assert_eq!(
            shown(json!({"region": "EMEA", "where": {"zone": -7}, "dry": true, "query": "secret"})),
            ["mcp-param-region: \"EMEA\"", "mcp-param-zone: \"-7\"", "mcp-param-dry: \"true\""]
        );
        assert_eq!(shown(json!({"region": null})), Vec::<String>::new());
    }

    #[test]
    fn a_header_that_does_not_say_what_the_body_says_is_found() {
        let schema = json!({"properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "size": {"type": "integer", "x-mcp-header": "Size"},
        }});
        let declared = declared(&schema).expect("valid annotations");
        let check = |name: &str, values: &[&str], arguments: Value| {
            let header = declared.iter().find(|header| header.name() == name).expect("declared");
            let values: Vec<HeaderValue> = values
                .iter()
                .map(|value| HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
                .collect();
            header.check(values.iter(), &arguments)
        };
        let region = |values: &[&str]| check("mcp-param-region", values, json!({"region": "Zürich"}));
        assert_eq!(region(&["=?base64?WsO8cmljaA==?="]), Ok(()));
        assert_eq!(region(&[]), Err(Mismatch::Missing));
        for bad in ["Zürich", "=?base64?WsO8cmljaA?=", "=?base64?WsO8c!!!?="] {
            assert_eq!(region(&[bad]), Err(Mismatch::Unreadable), "{bad}");
        }
        assert_eq!(region(&["a", "a"]), Err(Mismatch::Unreadable));
        assert_eq!(region(&["Bern"]), Err(Mismatch::Different));
        assert_eq!(check("mcp-param-region", &["Bern"], json!({"region": null})), Err(Mismatch::Unexpected));
        assert_eq!(check("mcp-param-region", &[], json!({})), Ok(()));
        assert_eq!(check("mcp-param-size", &["5.0"], json!({"size": 5})), Ok(()));
        let (large, next) = ("9007199254740992", json!({"size": 9_007_199_254_740_993_i64}));
        assert_eq!(check("mcp-param-size", &[large], next), Err(Mismatch::Different));
        assert_eq!(check("mcp-param-size", &["6"], json!({"size": 5})), Err(Mismatch::Different));
    }

    #[test]
    fn an_annotation_that_breaks_a_rule_makes_the_tool_invalid() {
        let string = |name: &str| json!({"type": "string", "x-mcp-header": name});
        for (what, schema) in [
            ("empty", json!({"properties": {"a": string("")}})),
            ("not a token", json!({"properties": {"a": string("a b")}})),
            ("a line break", json!({"properties": {"a": string("a\r\nX-Admin: 1")}})),
            ("twice, by another case", json!({"properties": {"a": string("R"), "b": string("r")}})),
            ("an object", json!({"properties": {"a": {"type": "object", "x-mcp-header": "A"}}})),
            ("untyped", json!({"properties": {"a": {"x-mcp-header": "A"}}})),
            ("the root", json!({"type": "string", "x-mcp-header": "A"})),
            ("under items", json!({"properties": {"a": {"items": string("A")}}})),
            ("under oneOf", json!({"oneOf": [{"properties": {"a": string("A")}}]})),
            ("under $defs", json!({"$defs": {"a": string("A")}})),
            ("not a text", json!({"properties": {"a": {"type": "string", "x-mcp-header": 1}}})),
        ] {
            assert!(declared(&schema).is_err(), "{what}");
        }
    }
}
