//! What the data that a call will change looks like now.
//!
//! The tool that the briefing names is called as whoever asks ([`crate::reading`]). Whoever decides may
//! have less than they: each change has the class of its data, and is shown by that.
//!
//! Invariant: reading parks nothing. No preview comes by the tool itself or by one that may need an
//! agreement.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_core::briefing::{PreviewConfig, fill, fill_object, in_a_sentence};
use quaymaster_core::text::plain;
use quaymaster_core::{Arguments, CallId, CallRequest, Classification, DataClass, Kind, Reach};
use serde_json::{Map, Value};
use serde_json_path::{JsonPath, PathElement};

use super::Approvals;
use super::document::{Change, Document, NOT_SHOWN, cut, shown_of};
use crate::stages::Facts;

/// Most characters of a value that a document shows.
const MAX_VALUE_CHARS: usize = 2_000;

impl Approvals {
    /// Writes into `document` what the call of `facts` will change, or why that is not known.
    pub(super) async fn preview(&self, facts: &Facts, document: &mut Document) {
        let Some(tool) = &facts.tool else { return };
        let Some(preview) = &tool.declaration().briefing.preview else { return };
        let arguments = facts.arguments.as_ref().unwrap_or(&facts.request.arguments).value();
        if preview.tool == tool.name().as_str() || self.may_wait(&preview.tool) {
            let why =
                "the data could not be read beforehand: the tool that reads it needs an agreement itself";
            document.changes_unknown = Some(why.to_owned());
            return;
        }
        document.changes_unknown = match self.read(&facts.request, preview, arguments).await {
            Ok(now) => {
                let hidden = |name: &str| document.redacted.contains(name).then(|| NOT_SHOWN.to_owned());
                let seen = shown_of(facts);
                let shown = |name: &str| hidden(name).or_else(|| seen.get(name).map(in_a_sentence));
                let classes = Classes::of(&tool.declaration().classification, &preview.tool, &now);
                document.changes = changes(preview, shown, &now, &classes);
                None
            }
            Err(why) => Some(format!("the data could not be read beforehand: {why}")),
        };
    }

    /// Whether calls of the tool called `name` may have to wait for an agreement. Of one that policy does
    /// not know, they may.
    fn may_wait(&self, name: &str) -> bool {
        self.terms.load().as_ref().is_none_or(|terms| terms.policies.may_park(name))
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

/// The class of each field of what was read.
struct Classes<'a> {
    rules: &'a Classification,
    tool: &'a str,
    /// What the rules for fields say of each member.
    named: BTreeMap<String, DataClass>,
}

impl<'a> Classes<'a> {
    fn of(rules: &'a Classification, tool: &'a str, now: &Value) -> Self {
        let mut named: BTreeMap<String, DataClass> = BTreeMap::new();
        for rule in &rules.fields {
            let Ok(path) = JsonPath::parse(&rule.matches) else {
                // A rule that cannot be read is for everything.
                named
                    .extend(now.as_object().into_iter().flat_map(Map::keys).map(|f| (f.clone(), rule.class)));
                continue;
            };
            for place in path.query_located(now).locations() {
                let member = place.iter().next().and_then(PathElement::as_name);
                if let Some(member) = member {
                    let class = named.entry(member.to_owned()).or_insert(rule.class);
                    *class = rule.class.max(*class);
                }
            }
        }
        Self { rules, tool, named }
    }

    /// The strictest that is said of it; the default if nothing is.
    fn class(&self, field: &str) -> DataClass {
        let column = self.rules.column(self.tool, field).0;
        self.named.get(field).map_or(column, |named| column.max(*named))
    }
}

/// What each field is and will be. `shown` gives what is shown of an argument.
fn changes(
    preview: &PreviewConfig,
    shown: impl Fn(&str) -> Option<String>,
    now: &Value,
    classes: &Classes<'_>,
) -> Vec<Change> {
    let change = |(field, value): (&String, &Value)| Change {
        field: plain(field),
        before: now.get(field).map(text),
        after: Some(match value.as_str() {
            Some(sentence) => fill(sentence, &shown),
            None => text(value),
        }),
        class: classes.class(field),
    };
    preview.after.iter().map(change).collect()
}

fn text(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    cut(&text, MAX_VALUE_CHARS)
}

#[cfg(test)]
mod tests {
    use quaymaster_core::{FieldRule, Handling};
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
        let now = json!({"severity": "low", "total": 3});
        let rules = Classification { default: DataClass::Internal, columns: vec![], fields: vec![] };
        let seen = changes(&preview, shown, &now, &Classes::of(&rules, "get_ticket", &now));
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

    #[test]
    fn each_field_has_the_strictest_class_that_is_said_of_it_and_what_is_cut_is_marked() {
        let rule =
            |matches: &str, class| FieldRule { matches: matches.into(), class, action: Handling::Allow };
        let rules = Classification {
            default: DataClass::Internal,
            columns: vec![rule("*.iban", DataClass::Restricted)],
            fields: vec![rule("$..email", DataClass::Confidential), rule("$.who", DataClass::Public)],
        };
        let now = json!({"who": {"email": "a@example.test"}, "iban": "DE00", "notes": "x".repeat(2_012)});
        let classes = Classes::of(&rules, "get_account", &now);
        assert_eq!(classes.class("who"), DataClass::Confidential);
        assert_eq!(classes.class("iban"), DataClass::Restricted);
        assert_eq!(classes.class("notes"), DataClass::Internal);
        assert!(text(&now["notes"]).ends_with("x… (12 characters more)"));
    }
}
