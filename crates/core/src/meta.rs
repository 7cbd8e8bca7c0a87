//! `_meta`: what messages of MCP carry beside what they say.

use std::fmt::Write as _;

use serde_json::Value;

use crate::raw::{Raw, RawBuf};

/// The name under which messages say to which task they belong (MCP 2025-11-25,
/// basic/utilities/tasks, related task metadata).
pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

/// The name under which a result says which server it is from (MCP 2026-07-28, basic, `_meta`).
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// `object` with `value`, which is JSON text, as the member `key` of its `_meta`; with none the
/// member is taken out. Where there are several `_meta`, none of them keeps the old value and the first has
/// the new one. Nothing else changes but the space between members.
///
/// None if `object` is no object.
pub fn with_meta(object: Raw<'_>, key: &str, value: Option<&str>) -> Option<String> {
    let mut text = String::with_capacity(object.get().len() + value.map_or(0, str::len) + key.len() + 16);
    let mut is_set = false;
    for member in object.members()? {
        let (name, old) = member.ok()?;
        let is_meta = name == "_meta" && old.get().starts_with('{');
        begin(&mut text, &name);
        if is_meta {
            let value = value.filter(|_| !std::mem::replace(&mut is_set, true));
            text.push_str(&members_with(old, key, value)?);
        } else {
            text.push_str(old.get());
        }
    }
    if let (Some(_), false) = (value, is_set) {
        begin(&mut text, "_meta");
        text.push_str(&members_with(Raw::read("{}").ok()?, key, value)?);
    }
    Some(closed(text))
}

/// `object` without the name of the task that it belongs to; the same bytes if it names none.
#[must_use]
pub fn without_task(object: RawBuf) -> RawBuf {
    // A name can be spelled with escapes: a slash with one of its own, and any letter as `\u`.
    if !object.get().contains("related-task") && !object.get().contains("\\u") {
        return object;
    }
    let without = with_meta(object.as_raw(), RELATED_TASK, None);
    without.and_then(|text| RawBuf::read(&text).ok()).unwrap_or(object)
}

fn members_with(meta: Raw<'_>, key: &str, value: Option<&str>) -> Option<String> {
    let mut text = String::new();
    for member in meta.members()? {
        let (name, old) = member.ok()?;
        if name != key {
            begin(&mut text, &name);
            text.push_str(old.get());
        }
    }
    if let Some(value) = value {
        begin(&mut text, key);
        text.push_str(value);
    }
    Some(closed(text))
}

fn begin(text: &mut String, name: &str) {
    text.push(if text.is_empty() { '{' } else { ',' });
    // Writing to a `String` cannot fail.
    let _ = write!(text, "{}:", Value::from(name));
}

fn closed(mut text: String) -> String {
    if text.is_empty() {
        text.push('{');
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(object: &str, value: Option<&str>) -> Option<String> {
        with_meta(Raw::read(object).expect("JSON"), "k", value)
    }

    #[test]
    fn a_member_is_set_beside_the_others() {
        for (object, expected) in [
            ("{}", r#"{"_meta":{"k":1}}"#),
            (r#"{"a": 1.50}"#, r#"{"a":1.50,"_meta":{"k":1}}"#),
            (r#"{"_meta": {"x": [2] , "k": 0}, "a":"\u00e9"}"#, r#"{"_meta":{"x":[2],"k":1},"a":"\u00e9"}"#),
        ] {
            assert_eq!(edited(object, Some("1")).as_deref(), Some(expected));
        }
        assert_eq!(edited("[]", Some("1")), None);
        assert_eq!(
            edited(r#"{"_meta":{"k":0},"_meta":{"k":2,"x":3}}"#, Some("1")).as_deref(),
            Some(r#"{"_meta":{"k":1},"_meta":{"x":3}}"#)
        );
    }

    #[test]
    fn a_member_is_taken_out_and_nothing_else() {
        assert_eq!(
            edited(r#"{"_meta":{"k":1,"x":2},"a":1}"#, None).as_deref(),
            Some(r#"{"_meta":{"x":2},"a":1}"#)
        );
        assert_eq!(edited(r#"{"_meta":{"k":1}}"#, None).as_deref(), Some(r#"{"_meta":{}}"#));
        assert_eq!(edited(r#"{"_meta":7}"#, None).as_deref(), Some(r#"{"_meta":7}"#));
        assert_eq!(edited("{}", None).as_deref(), Some("{}"));
    }
    #[test]
    fn what_belongs_to_a_task_does_not_say_so_any_more() {
        for (object, expected) in [
            (r#"{"a": [1] }"#, r#"{"a": [1] }"#),
            (
                r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"},"x":1}}"#,
                r#"{"_meta":{"x":1}}"#,
            ),
            (r#"{"_meta":{"io.modelcontextprotocol/related-tas\u006b":{}},"a":1}"#, r#"{"_meta":{},"a":1}"#),
            (r#"{"_meta":{"io.modelcontextprotocol\/related-task":{}},"a":1}"#, r#"{"_meta":{},"a":1}"#),
            (r#"{"_met\u0061":{"io.modelcontextprotocol/related-task":{}}}"#, r#"{"_meta":{}}"#),
            (
                r#"{"_meta":{"x":1},"a":1,"_meta":{"io.modelcontextprotocol/related-task":{},"y":2}}"#,
                r#"{"_meta":{"x":1},"a":1,"_meta":{"y":2}}"#,
            ),
        ] {
            assert_eq!(without_task(RawBuf::read(object).expect("JSON")).get(), expected);
        }
    }
}
