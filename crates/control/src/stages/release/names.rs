//! The names of members in a value, and in JSON that stands in its strings.

use serde_json::Value;

/// How many layers of JSON in strings are looked into. What has more, redaction refuses.
const MAX_LAYERS: u32 = 8;

/// Shows the name of every member to `see`, with its pointer; of one that stands in a string the string's. The
/// depth is that of JSON that was read, which has a bound.
pub(super) fn each_member(value: &Value, at: &mut String, see: &mut dyn FnMut(&str, &str)) {
    let length = at.len();
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                at.push('/');
                at.push_str(&escaped(name));
                see(name, at);
                each_member(value, at, see);
                at.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                at.push('/');
                at.push_str(&index.to_string());
                each_member(value, at, see);
                at.truncate(length);
            }
        }
        Value::String(text) => {
            if let Some(inner) = inner(text) {
                each_name(&inner, 1, &mut |name| see(name, at));
            }
        }
        _ => {}
    }
}

fn each_name(value: &Value, layer: u32, see: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                see(name);
                each_name(value, layer, see);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_name(item, layer, see)),
        Value::String(text) if layer < MAX_LAYERS => {
            if let Some(inner) = inner(text) {
                each_name(&inner, layer + 1, see);
            }
        }
        _ => {}
    }
}

/// The JSON that a text is, if that has members.
fn inner(text: &str) -> Option<Value> {
    if text.trim_start().starts_with(['{', '[']) { serde_json::from_str(text).ok() } else { None }
}

/// A name as a part of a pointer (RFC 6901).
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_seen_wherever_they_stand() {
        let inner = json!({"pay": {"salary": 1}}).to_string();
        let value = json!({"a/b": [{"id": 1}], "text": json!([inner]).to_string()});
        let mut seen = Vec::new();
        each_member(&value, &mut String::new(), &mut |name, at| seen.push(format!("{name} {at}")));
        assert_eq!(seen, ["a/b /a~1b", "id /a~1b/0/id", "text /text", "pay /text", "salary /text"]);
    }
}
