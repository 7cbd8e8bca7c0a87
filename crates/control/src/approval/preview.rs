//! What the data that a call will change looks like now.
//!
//! The tool that the briefing names is called as whoever asks ([`crate::reading`]).

use std::sync::Arc;

use quaymaster_core::briefing::{PreviewConfig, fill, fill_object, in_a_sentence};
use quaymaster_core::text::plain;
use quaymaster_core::{Arguments, CallId, CallRequest, Kind, Reach};
use serde_json::Value;

use super::Approvals;
use super::document::{Change, Document, NOT_SHOWN};
use crate::stages::Facts;

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
        self.reader.read(asked).await
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
