//! Log records of OpenTelemetry, as a collector takes them over HTTP (OTLP 1.x, JSON encoding).

use quaymaster_core::Timestamp;
use serde_json::{Value, json};

use super::{Weight, text, weight};

/// Members that become attributes, so that a collector can route by them.
const ATTRIBUTES: [(&str, &str); 8] = [
    ("quaymaster.event", "/event"),
    ("quaymaster.call", "/call"),
    ("quaymaster.actor", "/actor/id"),
    ("quaymaster.workspace", "/workspace"),
    ("gen_ai.tool.name", "/tool/name"),
    ("quaymaster.status", "/status"),
    ("error.type", "/code"),
    ("quaymaster.session", "/session"),
];

/// The body of a request to `/v1/logs` with these records, which are as they are stored.
pub fn request<'a>(bodies: impl Iterator<Item = &'a [u8]>) -> String {
    let records: Vec<Value> = bodies.map(|body| record(&String::from_utf8_lossy(body))).collect();
    let attribute = |name: &str, value: &str| json!({"key": name, "value": {"stringValue": value}});
    json!({"resourceLogs": [{
        "resource": {"attributes": [
            attribute("service.name", "quaymaster"),
            attribute("service.version", env!("CARGO_PKG_VERSION")),
        ]},
        "scopeLogs": [{"scope": {"name": "quaymaster.audit"}, "logRecords": records}],
    }]})
    .to_string()
}

fn record(raw: &str) -> Value {
    let said: Value = serde_json::from_str(raw).unwrap_or_default();
    let (severity, name) = match weight(&said) {
        Weight::Usual => (9, "INFO"),
        Weight::Notable => (13, "WARN"),
        Weight::Grave => (17, "ERROR"),
    };
    let time = text(&said, "/time").and_then(|time| Timestamp::parse(time).ok());
    let nanos = time.map_or(0, |time| u128::from(time.as_micros()) * 1_000);
    let seq = said.get("seq").and_then(Value::as_u64).unwrap_or_default();
    let mut attributes = vec![json!({"key": "quaymaster.seq", "value": {"intValue": seq.to_string()}})];
    attributes.extend(ATTRIBUTES.into_iter().filter_map(|(name, pointer)| {
        let value = text(&said, pointer)?;
        Some(json!({"key": name, "value": {"stringValue": value}}))
    }));
    let mut record = json!({
        "timeUnixNano": nanos.to_string(),
        "severityNumber": severity,
        "severityText": name,
        "body": {"stringValue": raw},
        "attributes": attributes,
    });
    if let (Some(members), Some(trace)) = (record.as_object_mut(), text(&said, "/trace")) {
        members.insert("traceId".into(), trace.into());
    }
    record
}
