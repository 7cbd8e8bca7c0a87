//! Results of MCP servers: passed on as they are where nothing has to be taken
//! out, and taken apart where something has.

use std::fmt;

use quaymaster_catalog::Tool;
use quaymaster_core::result::{AUDIT_ID_META, Envelope};
use quaymaster_core::{CallError, CallId, DataClass, ErrorCode};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::fields::FieldRules;
use super::{MAX_MESSAGE_CHARS, Tally, above_clearance, refused};
use crate::output::SafeOutput;

/// Whether the upstream says that it did what was asked; `None` where that cannot be told.
pub(super) fn says_success(result: &RawValue) -> Option<bool> {
    Some(!Parts::read(result).ok()?.is_error().ok()?)
}

pub(super) fn release(
    result: &RawValue,
    tool: &Tool,
    rules: &FieldRules,
    clearance: DataClass,
    call: &CallId,
) -> Result<SafeOutput, CallError> {
    if rules.default_class() > clearance {
        return Err(above_clearance(rules.default_class()));
    }
    let parts = Parts::read(result)?;
    let is_error = parts.is_error()?;
    if !is_error {
        check_promise(&parts, tool)?;
    }
    let mut tally = Tally::default();
    rules.note_released(clearance, &mut tally);
    let members = if rules.bind(clearance) {
        sifted(&parts, is_error, rules, clearance, &mut tally)?
    } else {
        parts.members.iter().map(|(name, raw)| (name.clone(), raw.get().to_owned())).collect()
    };
    let result = if is_error { failed(&members, call) } else { passed_on(&members, call)? };
    Ok(SafeOutput { result, is_error, released: tally.into_released() })
}

/// What an upstream promised in its output schema, it must have kept.
fn check_promise(parts: &Parts<'_>, tool: &Tool) -> Result<(), CallError> {
    if !tool.promises_structure() {
        return Ok(());
    }
    let Some(raw) = parts.get("structuredContent") else {
        return Err(CallError::new(
            ErrorCode::UpstreamError,
            "the upstream's result lacks the structured content that its output schema promises",
        ));
    };
    tool.check_output(&parse(raw)?)
}

/// The members of a result object, unread, in their order.
struct Parts<'a> {
    members: Vec<(String, &'a RawValue)>,
}

impl<'a> Parts<'a> {
    fn read(result: &'a RawValue) -> Result<Self, CallError> {
        let mut deserializer = serde_json::Deserializer::from_str(result.get());
        let parts = deserializer
            .deserialize_map(PartsVisitor)
            .map_err(|_| refused("the upstream's result cannot be understood"))?;
        let has_content = parts.get("content").is_some_and(|c| c.get().starts_with('['));
        if !has_content {
            return Err(refused("the upstream's result has no list of content"));
        }
        Ok(parts)
    }

    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().find(|(n, _)| n == name).map(|(_, raw)| *raw)
    }

    fn is_error(&self) -> Result<bool, CallError> {
        match self.get("isError").map(RawValue::get) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(refused("the upstream's result says neither success nor error")),
        }
    }
}

struct PartsVisitor;

impl<'de> Visitor<'de> for PartsVisitor {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parts<'de>, A::Error> {
        let mut members: Vec<(String, &'de RawValue)> = Vec::with_capacity(4);
        while let Some((name, raw)) = map.next_entry::<String, &'de RawValue>()? {
            if members.iter().any(|(n, _)| *n == name) {
                return Err(de::Error::custom("a repeated member"));
            }
            members.push((name, raw));
        }
        Ok(Parts { members })
    }
}

fn parse(raw: &RawValue) -> Result<Value, CallError> {
    serde_json::from_str(raw.get()).map_err(|_| refused("the upstream's result cannot be understood"))
}

/// The members without what may not leave. Text that is not JSON cannot be
/// looked into: it is replaced by the structured content, or refused.
fn sifted(
    parts: &Parts<'_>,
    is_error: bool,
    rules: &FieldRules,
    clearance: DataClass,
    tally: &mut Tally,
) -> Result<Vec<(String, String)>, CallError> {
    let mut structured = parts.get("structuredContent").map(parse).transpose()?;
    if let Some(value) = &mut structured {
        look_into(value)?;
        rules.apply(value, clearance, tally);
    }
    let content = match &structured {
        Some(value) => json!([{"type": "text", "text": value.to_string()}]),
        None if is_error => {
            json!([{"type": "text", "text": "the upstream reported an error; its text is withheld"}])
        }
        None => sifted_content(parts.get("content"), rules, clearance, tally)?,
    };
    let mut members = vec![("content".to_owned(), content.to_string())];
    members.extend(structured.map(|value| ("structuredContent".to_owned(), value.to_string())));
    Ok(members)
}

fn sifted_content(
    content: Option<&RawValue>,
    rules: &FieldRules,
    clearance: DataClass,
    tally: &mut Tally,
) -> Result<Value, CallError> {
    let Value::Array(blocks) = content.map(parse).transpose()?.unwrap_or_default() else {
        return Err(unreadable());
    };
    let mut released = Vec::with_capacity(blocks.len());
    for block in blocks {
        let text =
            block.get("text").and_then(Value::as_str).filter(|_| block.get("type") == Some(&json!("text")));
        let mut value: Value = text.and_then(|t| serde_json::from_str(t).ok()).ok_or_else(unreadable)?;
        look_into(&value)?;
        rules.apply(&mut value, clearance, tally);
        released.push(json!({"type": "text", "text": value.to_string()}));
    }
    Ok(Value::Array(released))
}

/// Only objects and lists have fields. A text may hold any, such as JSON within JSON.
fn look_into(value: &Value) -> Result<(), CallError> {
    if value.is_object() || value.is_array() { Ok(()) } else { Err(unreadable()) }
}

fn unreadable() -> CallError {
    refused("the result has content that cannot be checked against the rules for its fields")
}

/// A success as the upstream gave it, with the audit id in `_meta`. `resultType`
/// is left out: ingress writes it where the client's revision has it.
fn passed_on(members: &[(String, String)], call: &CallId) -> Result<String, CallError> {
    let length: usize = members.iter().map(|(n, v)| n.len() + v.len() + 4).sum();
    let mut text = String::with_capacity(length + 96);
    text.push_str("{\"_meta\":");
    match members.iter().find(|(name, _)| name == "_meta") {
        Some((_, meta)) => {
            let mut meta: Map<String, Value> =
                serde_json::from_str(meta).map_err(|_| refused("the upstream's `_meta` is not an object"))?;
            meta.insert(AUDIT_ID_META.into(), call.as_str().into());
            text.push_str(&Value::Object(meta).to_string());
        }
        None => {
            text.push_str("{\"");
            text.push_str(AUDIT_ID_META);
            text.push_str("\":\"");
            text.push_str(call.as_str());
            text.push_str("\"}");
        }
    }
    for (name, value) in members.iter().filter(|(name, _)| name != "_meta" && name != "resultType") {
        text.push(',');
        text.push_str(&Value::from(name.as_str()).to_string());
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    Ok(text)
}

/// A failure that the upstream reported: its content, and our envelope beside it.
fn failed(members: &[(String, String)], call: &CallId) -> String {
    let content = members.iter().find(|(name, _)| name == "content").map_or("[]", |(_, content)| content);
    let blocks: Vec<Value> = serde_json::from_str(content).unwrap_or_default();
    let said = blocks.iter().find_map(|block| block.get("text").and_then(Value::as_str));
    let message: String =
        said.unwrap_or("the upstream reported an error").chars().take(MAX_MESSAGE_CHARS).collect();
    let envelope = Envelope::failure(call, &CallError::new(ErrorCode::UpstreamError, message));
    json!({
        "content": blocks,
        "structuredContent": envelope,
        "isError": true,
        "_meta": {AUDIT_ID_META: call.as_str()},
    })
    .to_string()
}
