//! What the data that a call will change looks like now.
//!
//! The tool that the briefing names is called as whoever asks, on the whole path of a call: it is
//! governed, recorded and released like every other, and shows nothing that they may not have.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_core::briefing::{PreviewConfig, fill, fill_object, in_a_sentence};
use quaymaster_core::text::plain;
use quaymaster_core::{Arguments, CallId, CallRequest, Kind, Reach, Reply, Status};
use serde_json::Value;

use super::Approvals;
use super::document::{Change, Document, NOT_SHOWN};
use crate::stages::Facts;

/// Longest time that parking a call waits for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most characters of a value that a document shows.
const MAX_VALUE_CHARS: usize = 2_000;

impl Approvals {
    /// Writes into `document` what the call of `facts` will change, or why that is not known.
    pub(super) async fn preview(&self, facts: &Facts, document: &mut Document) {
        let Some(tool) = &facts.tool else { return };
        let Some(preview) = &tool.declaration().briefing.preview else { return };
        let arguments = facts.arguments.as_ref().unwrap_or(&facts.request.arguments).value();
        document.changes_unknown = match self.read(&facts.request, preview, arguments).await {
            Ok(now) => {
                let hidden = |name: &str| document.redacted.contains(name).then(|| NOT_SHOWN.to_owned());
                let shown = |name: &str| hidden(name).or_else(|| arguments.get(name).map(in_a_sentence));
                document.changes = changes(preview, shown, &now);
                None
            }
            Err(why) => Some(format!("the data could not be read beforehand: {why}")),
        };
    }

    /// Calls the tool that reads, as whoever asks.
    async fn read(
        &self,
        request: &CallRequest,
        preview: &PreviewConfig,
        arguments: &Value,
    ) -> Result<Value, String> {
        let gateway =
            self.reader.get().and_then(std::sync::Weak::upgrade).ok_or("nobody is there to read it")?;
        let asked = CallRequest {
            id: CallId::new(self.clock.as_ref(), self.randomness.as_ref()),
            received: self.clock.now(),
            actor: Arc::clone(&request.actor),
            reach: Reach::All,
            kind: Kind::Tool,
            tool: preview.tool.clone(),
            arguments: Arguments::from_map(fill_object(&preview.arguments, arguments)),
            ..request.clone()
        };
        let called = tokio::time::timeout(PATIENCE, gateway.call_tool(asked, None)).await;
        let reply = called.map_err(|_| "it took too long".to_owned())?;
        content(&reply).ok_or_else(|| reply.code.map_or("it has no fields", |code| code.as_str()).to_owned())
    }
}

/// The structured content of a success; of an envelope its data.
fn content(reply: &Reply) -> Option<Value> {
    if reply.status != Status::Success {
        return None;
    }
    let mut result: Value = serde_json::from_str(&reply.result).ok()?;
    let content = result.get_mut("structuredContent")?.take();
    match (content.get("audit_id"), content.get("data")) {
        (Some(_), Some(data)) => Some(data.clone()),
        _ => Some(content),
    }
}

/// What each field is and will be. `shown` gives what is shown of an argument.
fn changes(preview: &PreviewConfig, shown: impl Fn(&str) -> Option<String>, now: &Value) -> Vec<Change> {
    let change = |(field, value): (&String, &Value)| Change {
        field: plain(field),
        before: now.get(field).map(text),
        after: Some(match value.as_str() {
            Some(sentence) => fill(sentence, &shown),
            None => text(value),
        }),
    };
    preview.after.iter().map(change).collect()
}

fn text(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let cut: String = text.chars().take(MAX_VALUE_CHARS).collect();
    plain(&cut)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_is_shown_as_it_is_and_as_it_will_be() {
        let preview: PreviewConfig = serde_json::from_value(json!({
            "tool": "get_ticket",
            "after": {"severity": "${severity}", "total": "one more for ${account}", "closed": true, "gone": "${no}"}
        }))
        .expect("a preview");
        let arguments = json!({"severity": "high", "account": "A\u{202e}"});
        let shown = |name: &str| arguments.get(name).map(in_a_sentence);
        let seen = changes(&preview, shown, &json!({"severity": "low", "total": 3}));
        let mut seen: Vec<String> =
            seen.into_iter().map(|c| format!("{}: {:?} -> {:?}", c.field, c.before, c.after)).collect();
        seen.sort();
        assert_eq!(
            seen,
            [
                r#"closed: None -> Some("true")"#,
                r#"gone: None -> Some("(not given)")"#,
                r#"severity: Some("low") -> Some("high")"#,
                r#"total: Some("3") -> Some("one more for A\\u{202e}")"#,
            ]
        );
    }
}
