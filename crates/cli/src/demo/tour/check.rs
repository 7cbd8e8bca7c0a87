//! Whether the result of a step is what it must be.
//!
//! A check looks at the `CallToolResult` as any client gets it (2026-07-28,
//! server/tools) and says in a line what was seen, or what is wrong with it.

use quaymaster_core::ErrorCode;
use quaymaster_core::result::REPEATED_META;
use serde_json::Value;

use super::Expect;

/// How many escalations there were before and after a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effects {
    pub(super) before: u64,
    pub(super) after: u64,
}

/// Checks steps in their order.
#[derive(Debug, Default)]
pub(super) struct Checker {
    /// The escalation of an earlier step.
    escalation: Option<String>,
    /// The request for approval that a call waits for.
    approval: Option<String>,
}

impl Checker {
    /// Holds the result of a step against what it must be.
    pub(super) fn check(
        &mut self,
        expect: Expect,
        result: &Value,
        effects: Effects,
    ) -> Result<String, String> {
        match expect {
            Expect::Refused(code) => {
                unchanged(effects)?;
                let line = refused(result, code)?;
                let id = result.pointer("/structuredContent/approval/id").and_then(Value::as_str);
                self.approval = id.map(ToOwned::to_owned).or(self.approval.take());
                Ok(line)
            }
            _ => succeeded(result).and_then(|content| match expect {
                Expect::Rows(expected) => rows(content, expected),
                Expect::Columns { without, with } => columns(content, without, with),
                Expect::Listed(name) => listed(content, name),
                Expect::Escalated | Expect::Agreed => self.escalated(content, is_receipt(result), effects),
                Expect::SameEscalation => self.same_escalation(content, effects),
                Expect::Refused(_) => Err("the call was not refused".into()),
            }),
        }
    }

    /// The request for approval that a call waits for.
    pub(super) fn waits_for(&self) -> Option<&str> {
        self.approval.as_deref()
    }

    fn escalated(&mut self, content: &Value, receipt: bool, effects: Effects) -> Result<String, String> {
        let id = text(content, "escalation_id")?;
        // From an earlier tour it is there already: the gateway has its receipt, or the desk says so.
        let repeated = receipt || content.get("repeated").and_then(Value::as_bool).unwrap_or(false);
        let expected = effects.before + u64::from(!repeated);
        if effects.after != expected {
            let Effects { before, after } = effects;
            return Err(format!(
                "there were {before} escalations before and {after} after, expected {expected}"
            ));
        }
        self.escalation = Some(id.to_owned());
        Ok(if repeated { format!("{id} is there from an earlier tour") } else { format!("created {id}") })
    }

    fn same_escalation(&self, content: &Value, effects: Effects) -> Result<String, String> {
        let id = text(content, "escalation_id")?;
        unchanged(effects)?;
        if self.escalation.as_deref() != Some(id) {
            return Err(format!("got {id}, which is another escalation"));
        }
        Ok(format!("still {id}, and no effect beyond the first"))
    }
}

fn is_receipt(result: &Value) -> bool {
    result.get("_meta").and_then(|meta| meta.get(REPEATED_META)) == Some(&Value::Bool(true))
}

fn unchanged(effects: Effects) -> Result<(), String> {
    if effects.before == effects.after { Ok(()) } else { Err("an escalation was created".into()) }
}

fn succeeded(result: &Value) -> Result<&Value, String> {
    if result.get("isError") == Some(&Value::Bool(true)) {
        return Err(format!("expected a success, got {}", code(result)));
    }
    result.get("structuredContent").ok_or_else(|| "the result has no structured content".into())
}

fn refused(result: &Value, expected: ErrorCode) -> Result<String, String> {
    let found = code(result);
    if result.get("isError") != Some(&Value::Bool(true)) || found != expected.as_str() {
        return Err(format!("expected {expected}, got {found}"));
    }
    let status = if expected == ErrorCode::ApprovalRequired { "requires_approval" } else { "failed" };
    let content = result.get("structuredContent").unwrap_or(&Value::Null);
    let found = text(content, "status")?;
    if found != status {
        return Err(format!("expected the status {status}, got {found}"));
    }
    Ok(format!("refused as it should be, {expected}: {}", text(content, "message")?))
}

fn rows(content: &Value, expected: usize) -> Result<String, String> {
    let found = table(content, "rows")?.len();
    if found == expected {
        Ok(format!("{found} rows"))
    } else {
        Err(format!("expected {expected} rows, got {found}"))
    }
}

fn columns(content: &Value, without: &[&str], with: &[&str]) -> Result<String, String> {
    rows(content, 1)?;
    let names: Vec<&str> =
        table(content, "columns")?.iter().filter_map(|column| column.get("name")?.as_str()).collect();
    if let Some(name) = without.iter().find(|name| names.contains(name)) {
        return Err(format!("the column {name} must not be released"));
    }
    if let Some(name) = with.iter().find(|name| !names.contains(name)) {
        return Err(format!("the column {name} is missing"));
    }
    Ok(format!("one row with {}, without {}", with.join(", "), without.join(", ")))
}

fn listed(content: &Value, name: &str) -> Result<String, String> {
    match content.get(name).and_then(Value::as_array).map(Vec::len) {
        Some(0) => Err(format!("the list of {name} is empty")),
        Some(count) => Ok(format!("{count} {name}")),
        None => Err(format!("there is no list of {name}")),
    }
}

fn table<'a>(content: &'a Value, part: &str) -> Result<&'a Vec<Value>, String> {
    let part_of = content.get("data").and_then(|data| data.get(part)).and_then(Value::as_array);
    part_of.ok_or_else(|| format!("the result has no {part}"))
}

fn text<'a>(content: &'a Value, name: &str) -> Result<&'a str, String> {
    content.get(name).and_then(Value::as_str).ok_or_else(|| format!("the result has no {name}"))
}

/// The code of a refusal, or `a success`.
fn code(result: &Value) -> &str {
    let error = result.get("structuredContent").and_then(|content| content.get("error"));
    let code = error.and_then(|error| error.get("code")).and_then(Value::as_str);
    let failed = result.get("isError") == Some(&Value::Bool(true));
    code.unwrap_or(if failed { "an error without a code" } else { "a success" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const QUIET: Effects = Effects { before: 3, after: 3 };
    const ONE_MORE: Effects = Effects { before: 3, after: 4 };

    fn check(expect: Expect, result: &Value, effects: Effects) -> Result<String, String> {
        Checker::default().check(expect, result, effects)
    }

    fn refusal(code: &str, status: &str) -> Value {
        json!({
            "isError": true,
            "structuredContent": {"status": status, "message": "no", "error": {"code": code}}
        })
    }

    fn escalation(id: &str, repeated: bool) -> Value {
        json!({"structuredContent": {"escalation_id": id, "repeated": repeated}})
    }

    #[test]
    fn a_refusal_must_have_its_code_its_status_and_no_effect() {
        let denied = Expect::Refused(ErrorCode::PolicyDenied);
        assert!(check(denied, &refusal("policy.denied", "failed"), QUIET).is_ok());
        for (result, effects, wrong) in [
            (refusal("tool.not_found", "failed"), QUIET, "expected policy.denied, got tool.not_found"),
            (refusal("policy.denied", "success"), QUIET, "expected the status failed, got success"),
            (refusal("policy.denied", "failed"), ONE_MORE, "an escalation was created"),
            (escalation("ESC-0001", false), QUIET, "expected policy.denied, got a success"),
            (json!({"isError": true}), QUIET, "expected policy.denied, got an error without a code"),
        ] {
            assert_eq!(check(denied, &result, effects), Err(wrong.into()));
        }
        let approval = Expect::Refused(ErrorCode::ApprovalRequired);
        assert!(check(approval, &refusal("approval.required", "requires_approval"), QUIET).is_ok());
        assert!(check(approval, &refusal("approval.required", "failed"), QUIET).is_err());
    }

    #[test]
    fn a_table_must_have_its_rows_and_columns_and_not_those_that_are_kept_back() {
        let table = |names: &[&str]| {
            let columns: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            json!({"structuredContent": {"data": {"columns": columns, "rows": [names]}}})
        };
        let expect = Expect::Columns { without: &["secret"], with: &["open"] };
        assert!(check(expect, &table(&["open"]), QUIET).is_ok());
        let wrong = |names: &[&str]| check(expect, &table(names), QUIET);
        assert_eq!(wrong(&["open", "secret"]), Err("the column secret must not be released".into()));
        assert_eq!(wrong(&["other"]), Err("the column open is missing".into()));
        assert_eq!(check(Expect::Rows(2), &table(&["open"]), QUIET), Err("expected 2 rows, got 1".into()));
        assert_eq!(
            check(Expect::Rows(2), &refusal("query.invalid", "failed"), QUIET),
            Err("expected a success, got query.invalid".into())
        );
    }

    #[test]
    fn an_empty_list_shows_nothing() {
        let listed =
            |list: Value| check(Expect::Listed("tickets"), &json!({"structuredContent": list}), QUIET);
        assert_eq!(listed(json!({"tickets": [1, 2]})), Ok("2 tickets".into()));
        assert!(listed(json!({"tickets": []})).is_err());
        assert!(listed(json!({})).is_err());
    }

    #[test]
    fn an_escalation_is_created_once_and_then_found_again() {
        let mut checker = Checker::default();
        assert!(checker.check(Expect::Escalated, &escalation("ESC-0004", false), ONE_MORE).is_ok());
        let again = Expect::SameEscalation;
        assert!(checker.check(again, &escalation("ESC-0004", true), QUIET).is_ok());
        assert!(checker.check(again, &escalation("ESC-0004", true), ONE_MORE).is_err());
        assert!(checker.check(again, &escalation("ESC-0005", true), QUIET).is_err());
    }

    #[test]
    fn an_answer_without_its_effect_or_an_effect_without_an_answer_is_wrong() {
        assert!(check(Expect::Escalated, &escalation("ESC-0004", false), QUIET).is_err());
        assert!(check(Expect::Escalated, &escalation("ESC-0004", true), ONE_MORE).is_err());
        assert!(check(Expect::Escalated, &escalation("ESC-0004", true), QUIET).is_ok());
        assert!(check(Expect::SameEscalation, &escalation("ESC-0004", true), QUIET).is_err());
    }
}
