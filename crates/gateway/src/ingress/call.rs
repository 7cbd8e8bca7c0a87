//! `tools/call`, `prompts/get`, `resources/read` and `completion/complete`: from
//! parameters to a call.
//!
//! What a call is made of is read strictly here; whether there is such a thing
//! and whether the arguments fit it is decided behind the door.

use quaymaster_core::json::parse_strict;
use quaymaster_core::offer::MAX_URI_BYTES;
use quaymaster_core::{Arguments, Kind, Raw, RawBuf};
use serde_json::{Map, Value};

use super::params::{Known as _, Params, Reference, text};
use super::refusal::{Refusal, bounded};

/// How long a name may be that could still be a tool's, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// How much is said of why arguments cannot be read, in bytes.
const MAX_REASON_BYTES: usize = 300;

/// What a request asks for. For the path of a call a prompt and a resource are tools too.
#[derive(Debug)]
pub(super) struct ToolCall {
    /// By which method it is asked for.
    pub(super) kind: Kind,
    /// The tool or the prompt by the name that the client used, or the address of the resource.
    pub(super) tool: String,
    /// The arguments, read strictly.
    pub(super) arguments: Arguments,
    /// The member `task` as it came, by which a session may want a task instead of an answer.
    pub(super) task: Option<RawBuf>,
    /// What a modern client answers before it was asked anything.
    pub(super) answers: Option<RawBuf>,
}

impl ToolCall {
    /// What `method` asks for, if it is one that asks for something.
    pub(super) fn kind(method: &str) -> Option<Kind> {
        match method {
            "tools/call" => Some(Kind::Tool),
            "prompts/get" => Some(Kind::Prompt),
            "resources/read" => Some(Kind::Resource),
            "completion/complete" => Some(Kind::Completion),
            _ => None,
        }
    }

    /// Reads the parameters of a request for something of `kind`.
    pub(super) fn read(kind: Kind, params: &Params<'_>) -> Result<Self, Refusal> {
        match kind {
            Kind::Resource => return Self::resource(params),
            Kind::Completion => return Self::completion(params),
            Kind::Tool | Kind::Prompt => {}
        }
        let what = kind.as_str();
        let tool = match (params.name, text(params.name)) {
            (None, _) => {
                return Err(Refusal::invalid_params(format!("`params.name` is missing: name one {what}")));
            }
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
        let task = params.task.filter(|_| kind == Kind::Tool).map(Raw::to_buf);
        Ok(Self { kind, tool: tool.into_owned(), arguments, task, answers: None })
    }

    fn completion(params: &Params<'_>) -> Result<Self, Refusal> {
        let unclear = || {
            Refusal::invalid_params(
                "`params.ref` must be `{\"type\": \"ref/prompt\", \"name\": ...}` or `{\"type\": \"ref/resource\", \"uri\": ...}`",
            )
        };
        let reference = params.reference.ok_or_else(unclear)?;
        let reference = Reference::of(reference.get()).map_err(|_| unclear())?;
        let (kind, name, most) = match text(reference.kind).as_deref() {
            Some("ref/prompt") => ("prompt", text(reference.name), MAX_NAME_BYTES),
            Some("ref/resource") => ("resource", text(reference.uri), MAX_URI_BYTES),
            _ => return Err(unclear()),
        };
        let name = name.filter(|name| !name.is_empty() && name.len() <= most).ok_or_else(unclear)?;
        let mut arguments = Map::new();
        for (member, raw) in [("argument", params.argument), ("context", params.context)] {
            let Some(raw) = raw else { continue };
            let value = parse_strict(raw.get()).map_err(|error| {
                let reason = error.to_string();
                let reason = bounded(&reason, MAX_REASON_BYTES);
                Refusal::invalid_params(format!("`params.{member}` cannot be read: {reason}"))
            })?;
            arguments.insert(member.to_owned(), value);
        }
        let (tool, arguments) = (format!("{kind}:{name}"), Arguments::from_map(arguments));
        Ok(Self { kind: Kind::Completion, tool, arguments, task: None, answers: None })
    }

    fn resource(params: &Params<'_>) -> Result<Self, Refusal> {
        Self::to_read(&text(params.uri).unwrap_or_default())
    }

    /// The call that reads the resource at `uri`.
    ///
    /// # Errors
    ///
    /// `-32602` if that is no address.
    pub(super) fn to_read(uri: &str) -> Result<Self, Refusal> {
        if uri.is_empty() || uri.len() > MAX_URI_BYTES {
            let message = format!("`params.uri` must be a string of 1 to {MAX_URI_BYTES} bytes");
            return Err(Refusal::invalid_params(message));
        }
        let arguments = Map::from_iter([("uri".to_owned(), Value::from(uri))]);
        let arguments = Arguments::from_map(arguments);
        Ok(Self { kind: Kind::Resource, tool: uri.to_owned(), arguments, task: None, answers: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(params: &str) -> String {
        let read = Params::read(Some(Raw::read(params).expect("JSON")))
            .and_then(|params| ToolCall::read(Kind::Tool, &params));
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
        ];
        let report: Vec<String> = cases.iter().map(|c| format!("{:.60}\n    {}", c, read(c))).collect();
        insta::assert_snapshot!(report.join("\n"));
    }
}
