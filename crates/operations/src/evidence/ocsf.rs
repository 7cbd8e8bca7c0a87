//! OCSF 1.9.0, class API Activity (`class_uid` 6003, category Application Activity).
//!
//! Every record becomes one event of that class: a call is one whichever way it went, and what
//! administrators do is one as well. What has no attribute of its own is in `unmapped`, under the names that
//! it has in the record; the record itself is `raw_data`.

use quaymaster_core::Timestamp;
use serde_json::{Map, Value, json};

use super::{Weight, text, weight};

/// The version of the schema.
pub const VERSION: &str = "1.9.0";
const CLASS: u64 = 6_003;
const CATEGORY: u64 = 6;

/// Members that have attributes of their own.
const MAPPED: [&str; 10] =
    ["actor", "call", "code", "correlation", "event", "session", "status", "time", "tool", "workspace"];

/// The event of a record, whose text is `raw`.
pub fn event(said: &Value, raw: &str) -> Value {
    let (activity, activity_name) = activity(said);
    let (severity, severity_name) = match weight(said) {
        Weight::Usual => (1, "Informational"),
        Weight::Notable => (2, "Low"),
        Weight::Grave => (4, "High"),
    };
    let (status, status_name) = status(said);
    let time = text(said, "/time").and_then(|time| Timestamp::parse(time).ok());
    let mut event = json!({
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": CATEGORY,
        "category_name": "Application Activity",
        "class_uid": CLASS,
        "class_name": "API Activity",
        "type_uid": CLASS * 100 + activity,
        "type_name": format!("API Activity: {activity_name}"),
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "time": time.map_or(0, |time| time.as_micros() / 1_000),
        "actor": actor(said),
        "api": api(said),
        "src_endpoint": source(said),
        "metadata": metadata(said),
        "raw_data": raw,
        "unmapped": unmapped(said),
    });
    let members = event.as_object_mut();
    let Some(members) = members else { return event };
    let optional = [
        ("status_code", text(said, "/code").map(Value::from)),
        ("duration", said.get("duration_us").and_then(Value::as_u64).map(|us| (us / 1_000).into())),
        ("count", said.get("count").filter(|count| count.is_u64()).cloned()),
    ];
    members.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    if let Some(tool) = text(said, "/tool/name") {
        let connector = text(said, "/tool/connector");
        members
            .insert("resources".into(), json!([{"name": tool, "group": {"name": connector.unwrap_or("-")}}]));
    }
    event
}

/// What the call was to do.
fn activity(said: &Value) -> (u64, &'static str) {
    match text(said, "/effect") {
        Some("read") => (2, "Read"),
        Some("write") => (3, "Update"),
        Some("destructive") => (4, "Delete"),
        _ => (99, "Other"),
    }
}

fn status(said: &Value) -> (u64, &'static str) {
    match (text(said, "/status"), text(said, "/event")) {
        (Some("success" | "partial"), _) => (1, "Success"),
        (Some("failed"), _) | (None, Some("call.refused" | "request.refused" | "config.refused")) => {
            (2, "Failure")
        }
        (Some(_), _) => (99, "Other"),
        (None, _) => (0, "Unknown"),
    }
}

/// A commitment stands for the person: the log has no name.
fn actor(said: &Value) -> Value {
    let mut actor = Map::new();
    if let Some(id) = text(said, "/actor/id") {
        let credential = text(said, "/actor/token");
        let roles: Vec<Value> = said
            .pointer("/actor/roles")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|role| json!({"name": role}))
            .collect();
        let mut user = json!({"uid": id, "type_id": 0, "groups": roles});
        if let (Some(user), Some(credential)) = (user.as_object_mut(), credential) {
            user.insert("credential_uid".into(), credential.into());
        }
        actor.insert("user".into(), user);
    }
    if let Some(session) = text(said, "/session") {
        actor.insert("session".into(), json!({"uid": session}));
    }
    let client = text(said, "/agent/client").or(text(said, "/writer")).unwrap_or("quaymaster");
    actor.insert("application".into(), json!({"name": client}));
    // At least one of those that every version of the schema knows.
    actor.insert("invoked_by".into(), client.into());
    let policies = said.pointer("/decision/policies").and_then(Value::as_array);
    if let Some(effect) = text(said, "/decision/effect") {
        let named = policies.into_iter().flatten();
        let each: Vec<Value> =
            named.map(|policy| json!({"decision": effect, "policy": {"name": policy}})).collect();
        actor.insert("authorizations".into(), each.into());
    }
    Value::Object(actor)
}

fn api(said: &Value) -> Value {
    let operation = text(said, "/tool/name").or(text(said, "/method")).or(text(said, "/event"));
    let mut api = json!({"operation": operation.unwrap_or("-"), "service": {"name": "quaymaster"}});
    let Some(members) = api.as_object_mut() else { return api };
    if let Some(call) = text(said, "/call") {
        members.insert("request".into(), json!({"uid": call}));
    }
    if let Some(version) = text(said, "/tool/version") {
        members.insert("version".into(), version.into());
    }
    if let Some(code) = text(said, "/code") {
        members.insert("response".into(), json!({"error": code}));
    }
    api
}

/// Where a request came from is not recorded; the workspace and the route are what is known of it.
fn source(said: &Value) -> Value {
    json!({"name": text(said, "/workspace").unwrap_or("quaymaster")})
}

fn metadata(said: &Value) -> Value {
    let seq = said.get("seq").and_then(Value::as_u64).unwrap_or_default();
    let mut metadata = json!({
        "version": VERSION,
        "product": {"name": "Quaymaster", "vendor_name": "Quaymaster", "version": env!("CARGO_PKG_VERSION")},
        "uid": seq.to_string(),
        "sequence": seq,
        "event_code": text(said, "/event"),
        "original_time": text(said, "/time"),
        "log_name": "audit",
    });
    let Some(members) = metadata.as_object_mut() else { return metadata };
    let correlation = text(said, "/correlation").or(text(said, "/call"));
    let optional = [("correlation_uid", correlation), ("tenant_uid", text(said, "/workspace"))];
    members.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
    metadata
}

fn unmapped(said: &Value) -> Value {
    let members = said.as_object().into_iter().flatten();
    let rest = members.filter(|(name, _)| !MAPPED.contains(&name.as_str()));
    Value::Object(rest.map(|(name, value)| (name.clone(), value.clone())).collect())
}
