//! `tools/call`: from parameters to a call.
//!
//! What a call is made of is read strictly here; whether there is such a tool
//! and whether the arguments fit it is decided behind the door.

use quaymaster_core::Arguments;

use super::params::{Params, text};
use super::refusal::{Refusal, bounded};

/// How long a name may be that could still be a tool's, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// How much is said of why arguments cannot be read, in bytes.
const MAX_REASON_BYTES: usize = 300;

/// What a `tools/call` asks for.
#[derive(Debug)]
pub(super) struct ToolCall {
    /// The tool by the name that the client used.
    pub(super) tool: String,
    /// The arguments, read strictly.
    pub(super) arguments: Arguments,
}

impl ToolCall {
    /// Reads the parameters of a `tools/call`.
    pub(super) fn read(params: &Params<'_>) -> Result<Self, Refusal> {
        // An answer to a question that nobody asked would be one that somebody forged.
        if params.request_state.is_some() || params.input_responses.is_some() {
            return Err(Refusal::invalid_params(
                "no result of this gateway asked for input: send the call without `requestState` and `inputResponses`",
            ));
        }
        let tool = match (params.name, text(params.name)) {
            (None, _) => return Err(Refusal::invalid_params("`params.name` is missing: name one tool")),
            (Some(_), None) => return Err(Refusal::invalid_params("`params.name` must be a string")),
            (Some(_), Some(name)) => name,
        };
        if tool.is_empty() || tool.len() > MAX_NAME_BYTES || tool.chars().any(char::is_control) {
            return Err(Refusal::invalid_params(format!(
                "`params.name` must be 1 to {MAX_NAME_BYTES} bytes without control characters"
            )));
        }
        let arguments = Arguments::parse(params.arguments).map_err(|error| {
            let hint = error.hint.map(|hint| format!(": {hint}")).unwrap_or_default();
            // It may name a key that the client made up, of any length.
            Refusal::invalid_params(format!("{}{hint}", bounded(&error.public_message, MAX_REASON_BYTES)))
        })?;
        Ok(Self { tool: tool.into_owned(), arguments })
    }
}

#[cfg(test)]
mod tests {
    use quaymaster_core::Raw;

    use super::*;

    fn read(params: &str) -> String {
        let read =
            Params::read(Some(Raw::read(params).expect("JSON"))).and_then(|params| ToolCall::read(&params));
        read.map_or_else(|r| r.message, |call| format!("{} {}", call.tool, call.arguments.as_json()))
    }

    #[test]
    fn a_call_names_a_tool_and_may_have_arguments() {
        assert_eq!(read(r#"{"name":"a_b","arguments":{"x":1}}"#), r#"a_b {"x":1}"#);
        assert_eq!(read(r#"{"name":"a_b"}"#), "a_b {}");
    }

    #[test]
    fn a_reason_does_not_grow_with_what_was_sent() {
        let key = "k".repeat(100_000);
        let reason = read(&format!(r#"{{"name":"a","arguments":{{"{key}":1,"{key}":2}}}}"#));
        assert!(reason.len() < 400, "{} bytes", reason.len());
    }

    #[test]
    fn anything_else_is_told_what_would_be_right() {
        let long = format!(r#"{{"name":"{}"}}"#, "a".repeat(257));
        let deep = format!(r#"{{"name":"a","arguments":{{"x":{}{}}}}}"#, "[".repeat(70), "]".repeat(70));
        let cases = [
            "{}",
            r#"{"name":5}"#,
            r#"{"name":""}"#,
            r#"{"name":"a\u0000"}"#,
            &long,
            r#"{"name":"a","arguments":[1]}"#,
            r#"{"name":"a","arguments":null}"#,
            r#"{"name":"a","arguments":"{}"}"#,
            r#"{"name":"a","arguments":{"x":1,"x":2}}"#,
            r#"{"name":"a","arguments":{"x":12345678901234567890123}}"#,
            r#"{"name":"a","arguments":{"x":1e400}}"#,
            &deep,
            r#"{"name":"a","requestState":"s"}"#,
            r#"{"name":"a","inputResponses":{}}"#,
        ];
        let report: Vec<String> = cases.iter().map(|c| format!("{:.60}\n    {}", c, read(c))).collect();
        insta::assert_snapshot!(report.join("\n"));
    }
}
