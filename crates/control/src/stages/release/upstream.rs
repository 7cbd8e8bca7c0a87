//! Results of MCP servers: passed on as they are where nothing has to be taken
//! out, and taken apart where something has.

use std::borrow::Cow;

use quaymaster_catalog::Tool;
use quaymaster_core::json::write_string;
use quaymaster_core::meta::SERVER_INFO;
use quaymaster_core::result::{AUDIT_ID_META, Envelope, OWN_META, UNTRUSTED_META};
use quaymaster_core::{CallError, CallId, ErrorCode, Kind, Parted, Raw};
use serde_json::{Map, Value, json};

use super::sieve::Sieve;
use super::{MAX_MESSAGE_CHARS, Tally, not_for, refused, unredacted};
use crate::output::SafeOutput;
use crate::redaction::Redaction;

/// Whether the upstream says that it did what was asked; `None` where that cannot be told.
pub(super) fn says_success(result: &Parted<'_>) -> Option<bool> {
    Some(!Parts::read(result, Kind::Tool).ok()?.is_error().ok()?)
}

pub(super) fn release(
    result: &Parted<'_>,
    sieve: &Sieve<'_>,
    redaction: Option<&Redaction<'_>>,
    call: &CallId,
) -> Result<SafeOutput, CallError> {
    if let Some(level) = sieve.withheld_default() {
        return Err(not_for(sieve.actor, level, sieve.levels()));
    }
    let parts = Parts::read(result, sieve.tool.kind())?;
    let is_error = parts.is_error()?;
    if !is_error {
        check_promise(&parts, sieve.tool)?;
    }
    let mut tally = Tally::default();
    sieve.note_released(&mut tally);
    let members = if sieve.binds() {
        sifted(&parts, is_error, (sieve, redaction), &mut tally)?
    } else {
        parts.members.into_iter().map(|(name, raw)| (name, Cow::Borrowed(raw.get()))).collect()
    };
    let members = match redaction {
        Some(redaction) => redacted(members, redaction, (sieve.tool, is_error), &mut tally)?,
        None => members,
    };
    if sieve.names_fields() {
        for (_, text) in &members {
            note_names(text, sieve, &mut tally);
        }
    }
    let result = if is_error { failed(&members, call) } else { passed_on(&members, call)? };
    Ok(SafeOutput { result, is_error, released: tally.into_released(sieve) })
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

/// The name and the JSON text of a member of what is released.
type Member<'a> = (Cow<'a, str>, Cow<'a, str>);

/// How many members a result may have. `CallToolResult` knows six (MCP 2026-07-28, server/tools).
const MAX_MEMBERS: usize = 64;

/// The member that a result of each kind must have, and what it begins with.
fn contents_of(kind: Kind) -> (&'static str, char) {
    match kind {
        Kind::Tool => ("content", '['),
        Kind::Prompt => ("messages", '['),
        Kind::Resource => ("contents", '['),
        Kind::Completion => ("completion", '{'),
    }
}

/// The members of a result object, unread, in their order.
struct Parts<'a> {
    kind: Kind,
    members: Vec<(Cow<'a, str>, Raw<'a>)>,
}

impl<'a> Parts<'a> {
    fn read(result: &Parted<'a>, kind: Kind) -> Result<Self, CallError> {
        let unclear = || refused("the upstream's result cannot be understood");
        let mut parts = Self { kind, members: Vec::with_capacity(4) };
        for (name, raw) in result.members().ok_or_else(unclear)? {
            if parts.get(&name).is_some() || parts.members.len() == MAX_MEMBERS {
                return Err(unclear());
            }
            parts.members.push((name, raw));
        }
        let (name, first) = contents_of(kind);
        if !parts.get(name).is_some_and(|contents| contents.get().starts_with(first)) {
            return Err(refused("the upstream's result has no list of content"));
        }
        Ok(parts)
    }

    fn get(&self, name: &str) -> Option<Raw<'a>> {
        self.members.iter().find(|(n, _)| n == name).map(|(_, raw)| *raw)
    }

    fn is_error(&self) -> Result<bool, CallError> {
        match self.get("isError").map(Raw::get).filter(|_| self.kind == Kind::Tool) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(refused("the upstream's result says neither success nor error")),
        }
    }
}

fn parse(raw: Raw<'_>) -> Result<Value, CallError> {
    serde_json::from_str(raw.get()).map_err(|_| refused("the upstream's result cannot be understood"))
}

/// The members without what may not leave. Text that is not JSON cannot be
/// looked into: it is replaced by the structured content, or refused.
fn sifted(
    parts: &Parts<'_>,
    is_error: bool,
    (sieve, redaction): (&Sieve<'_>, Option<&Redaction<'_>>),
    tally: &mut Tally,
) -> Result<Vec<Member<'static>>, CallError> {
    if parts.kind != Kind::Tool {
        let (name, _) = contents_of(parts.kind);
        let contents = sifted_list(parts.get(name), (sieve, redaction), tally)?;
        return Ok(vec![(name.into(), contents.to_string().into())]);
    }
    let mut structured = parts.get("structuredContent").map(parse).transpose()?;
    if let Some(value) = &mut structured {
        look_into(value)?;
        sieve.apply(value, redaction, tally);
    }
    let content = match &structured {
        Some(value) => json!([{"type": "text", "text": value.to_string()}]),
        None if is_error && sieve.binds_places() => {
            json!([{"type": "text", "text": "the upstream reported an error; its text is withheld"}])
        }
        None => sifted_content(parts.get("content"), (sieve, redaction), tally)?,
    };
    let member = |name: &'static str, value: &Value| (name.into(), value.to_string().into());
    let mut members = vec![member("content", &content)];
    members.extend(structured.map(|value| member("structuredContent", &value)));
    Ok(members)
}

fn sifted_content(
    content: Option<Raw<'_>>,
    (sieve, redaction): (&Sieve<'_>, Option<&Redaction<'_>>),
    tally: &mut Tally,
) -> Result<Value, CallError> {
    let Value::Array(blocks) = content.map(parse).transpose()?.unwrap_or_default() else {
        return Err(unreadable());
    };
    let mut released = Vec::with_capacity(blocks.len());
    for block in blocks {
        let text =
            block.get("text").and_then(Value::as_str).filter(|_| block.get("type") == Some(&json!("text")));
        let Some(mut value) = readable(text) else {
            // Of names of fields alone a text without any has nothing.
            if sieve.binds_places() {
                return Err(unreadable());
            }
            released.push(without_names(block, (sieve, redaction), tally));
            continue;
        };
        sieve.apply(&mut value, redaction, tally);
        released.push(json!({"type": "text", "text": value.to_string()}));
    }
    Ok(Value::Array(released))
}

/// The messages of a prompt or the contents of a resource. Each must be a text that
/// can be looked into; nothing is kept beside it but what says whose text it is.
fn sifted_list(
    list: Option<Raw<'_>>,
    (sieve, redaction): (&Sieve<'_>, Option<&Redaction<'_>>),
    tally: &mut Tally,
) -> Result<Value, CallError> {
    let Value::Array(items) = list.map(parse).transpose()?.unwrap_or_default() else {
        return Err(unreadable());
    };
    let mut released = Vec::with_capacity(items.len());
    for item in items {
        let content = item.get("content");
        let text = content.unwrap_or(&item).get("text").and_then(Value::as_str);
        let Some(mut value) = readable(text) else {
            if sieve.binds_places() {
                return Err(unreadable());
            }
            released.push(without_names(item, (sieve, redaction), tally));
            continue;
        };
        sieve.apply(&mut value, redaction, tally);
        let text = value.to_string();
        let mut kept: Map<String, Value> = ["role", "uri", "mimeType"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), item.get(name)?.as_str()?.into())))
            .collect();
        match content {
            Some(_) => kept.insert("content".into(), json!({"type": "text", "text": text})),
            None => kept.insert("text".into(), text.into()),
        };
        released.push(Value::Object(kept));
    }
    Ok(Value::Array(released))
}

/// Content that is no JSON by itself and may hold some, such as a resource that is embedded, without what may not
/// leave for its name.
fn without_names(
    mut content: Value,
    (sieve, redaction): (&Sieve<'_>, Option<&Redaction<'_>>),
    tally: &mut Tally,
) -> Value {
    for part in content.as_object_mut().into_iter().flat_map(|members| members.iter_mut()) {
        // A resource, or the content of a message; a text by itself was read before.
        if let (true, Value::Object(_)) = (matches!(part.0.as_str(), "resource" | "content"), &*part.1) {
            sieve.apply_names(part.1, redaction, tally);
        }
    }
    content
}

/// A text as what has fields.
fn readable(text: Option<&str>) -> Option<Value> {
    let value: Value = serde_json::from_str(text?).ok()?;
    look_into(&value).is_ok().then_some(value)
}

/// Counts the levels of members by their names, in `text` and in JSON that stands in its strings.
fn note_names(text: &str, sieve: &Sieve<'_>, tally: &mut Tally) {
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        sieve.note_names(&value, tally);
    }
}

/// Only objects and lists have fields. A text may hold any, such as JSON within JSON.
fn look_into(value: &Value) -> Result<(), CallError> {
    if value.is_object() || value.is_array() { Ok(()) } else { Err(unreadable()) }
}

fn unreadable() -> CallError {
    refused("the result has content that cannot be checked against the rules for its fields")
}

/// The members without what is found in them. What an upstream promised in its output schema has to hold
/// for what is left, too.
fn redacted<'a>(
    members: Vec<Member<'a>>,
    redaction: &Redaction<'_>,
    (tool, is_error): (&Tool, bool),
    tally: &mut Tally,
) -> Result<Vec<Member<'a>>, CallError> {
    let mut left = Vec::with_capacity(members.len());
    for (name, value) in members {
        let redacted = redaction.json(&value, &mut tally.found).map_err(|refusal| unredacted(&refusal))?;
        if let Some(text) = redacted.as_deref().filter(|_| name == "structuredContent" && !is_error)
            && tool.promises_structure()
        {
            let value: Value = serde_json::from_str(text).map_err(|_| unreadable())?;
            let fits = tool.check_output(&value);
            fits.map_err(|_| refused("what is left of the result breaks the output schema of its tool"))?;
        }
        left.push((name, redacted.map_or(value, Cow::Owned)));
    }
    Ok(left)
}

/// Members that ingress writes where the client's revision has them. What policy has
/// looked at is for one caller, whatever an upstream says of its cache.
const OF_THE_WIRE: [&str; 3] = ["resultType", "ttlMs", "cacheScope"];

/// A success as the upstream gave it, with the audit id in `_meta`, and that it is the upstream's.
fn passed_on(members: &[Member<'_>], call: &CallId) -> Result<String, CallError> {
    let length: usize = members.iter().map(|(n, v)| n.len() + v.len() + 4).sum();
    let mut text = String::with_capacity(length + 96);
    text.push_str("{\"_meta\":");
    match members.iter().find(|(name, _)| name == "_meta") {
        Some((_, meta)) => {
            let mut meta: Map<String, Value> =
                serde_json::from_str(meta).map_err(|_| refused("the upstream's `_meta` is not an object"))?;
            // The server that a client speaks to is this one.
            meta.remove(SERVER_INFO);
            // What bears our name is ours to say.
            meta.retain(|name, _| !name.starts_with(OWN_META));
            meta.insert(AUDIT_ID_META.into(), call.as_str().into());
            meta.insert(UNTRUSTED_META.into(), true.into());
            text.push_str(&Value::Object(meta).to_string());
        }
        None => {
            text.push_str("{\"");
            text.push_str(AUDIT_ID_META);
            text.push_str("\":\"");
            text.push_str(call.as_str());
            text.push_str("\",\"");
            text.push_str(UNTRUSTED_META);
            text.push_str("\":true}");
        }
    }
    for (name, value) in members.iter().filter(|(name, _)| name != "_meta" && !OF_THE_WIRE.contains(&&**name))
    {
        text.push(',');
        write_string(&mut text, name);
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    Ok(text)
}

/// A failure that the upstream reported: its content, and our envelope beside it.
fn failed(members: &[Member<'_>], call: &CallId) -> String {
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
        "_meta": {AUDIT_ID_META: call.as_str(), UNTRUSTED_META: true},
    })
    .to_string()
}
