//! The JSON-RPC 2.0 envelope, raw.
//!
//! A message is split into `id`, `method` and `params` or `result`; what is
//! inside stays bytes until a stage must look. Which message it is follows from
//! the members that are there, never from what fits some type, so nothing falls
//! through to another kind; whatever is not clearly one kind is refused.

use std::borrow::Cow;
use std::fmt;

use crate::json::JsonError;
use crate::raw::{Parted, Raw};

mod batch;
mod envelope;

pub use batch::{Batch, Incoming, MAX_BATCH};
use envelope::Envelope;

/// Error codes of JSON-RPC 2.0 (section 5.1) and of MCP 2026-07-28 (basic).
pub mod code {
    /// Not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// Not a JSON-RPC message.
    pub const INVALID_REQUEST: i64 = -32600;
    /// No such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters do not fit the method.
    pub const INVALID_PARAMS: i64 = -32602;
    /// A fault of the receiver.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// There is no such resource (MCP 2025-11-25 and before, server/resources).
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    /// Header and body disagree (MCP 2026-07-28).
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The client lacks a capability that the request needs (MCP 2026-07-28).
    pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
    /// The protocol version is not one we speak (MCP 2026-07-28).
    pub const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;
}

/// How long an id may be.
const MAX_ID_BYTES: usize = 512;

/// The id of a request: a string or an integer (MCP forbids null), kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// The id as JSON text.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// An id that we give to a message of our own.
    pub fn number(n: u64) -> Self {
        Self(n.to_string().into())
    }

    /// Takes a JSON text as an id.
    ///
    /// # Errors
    ///
    /// Says so if it is neither a string nor an integer, or longer than 512 bytes.
    pub fn parse(raw: Raw<'_>) -> Result<Self, RpcError> {
        let text = raw.get();
        let is_integer = text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
        let is_string = || raw.text().is_some();
        if text.len() <= MAX_ID_BYTES && (is_integer || is_string()) {
            return Ok(Self(text.into()));
        }
        Err(RpcError::invalid_request("`id` must be a string or an integer of 64 bits, of at most 512 bytes"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One message, borrowed from the bytes that it came in.
#[derive(Debug)]
pub enum Message<'a> {
    /// Wants an answer.
    Request {
        /// To be repeated in the answer.
        id: RequestId,
        /// What is asked.
        method: Cow<'a, str>,
        /// The parameters, unread.
        params: Option<Raw<'a>>,
    },
    /// Wants none.
    Notification {
        /// What is told.
        method: Cow<'a, str>,
        /// The parameters, unread.
        params: Option<Raw<'a>>,
    },
    /// Answers a request of ours.
    Response {
        /// The id of that request.
        id: RequestId,
        /// The result, or the error object.
        outcome: Result<Parted<'a>, Raw<'a>>,
    },
}

/// Why a text is not a message, as JSON-RPC answers it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// The JSON-RPC error code.
    pub code: i64,
    /// What is wrong and what would be right.
    pub message: String,
    /// The id of the message, where it could be read.
    pub id: Option<RequestId>,
    /// Whether the message has a `method`, so that its id is the sender's own and none that it answers.
    pub has_method: bool,
}

impl RpcError {
    /// An error of `code`.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), id: None, has_method: false }
    }

    fn invalid_request(message: &str) -> Self {
        Self::new(code::INVALID_REQUEST, message)
    }

    /// The answer to a batch where there are none.
    pub fn batch() -> Self {
        Self::invalid_request("batches are not part of this protocol revision: send one message")
    }

    /// The answer to send.
    pub fn to_json(&self) -> String {
        error_response(self.id.as_ref(), self.code, &self.message, None)
    }
}

fn no_json(error: &JsonError) -> RpcError {
    RpcError::new(code::PARSE_ERROR, format!("not a JSON-RPC message: {error}"))
}

/// Reads one message.
///
/// # Errors
///
/// `-32700` if the bytes are not UTF-8 or not JSON, `-32600` if they are not one
/// JSON-RPC 2.0 message; the id is given where it could be read.
pub fn parse(bytes: &[u8]) -> Result<Message<'_>, RpcError> {
    text(bytes).and_then(parse_text)
}

/// As [`parse`], of what is known to be UTF-8.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_text(text: &str) -> Result<Message<'_>, RpcError> {
    if is_batch(text.as_bytes()) { Err(RpcError::batch()) } else { one(text) }
}

/// Reads one message, or a batch of them (JSON-RPC 2.0, section 6), which revisions of
/// MCP other than 2025-03-26 do not have.
///
/// # Errors
///
/// As [`parse`]; a batch is also refused if it holds nothing or more than [`MAX_BATCH`]
/// messages. What is wrong with one message of a batch is told by the [`Batch`].
pub fn parse_any(bytes: &[u8]) -> Result<Incoming<'_>, RpcError> {
    let text = text(bytes)?;
    if is_batch(bytes) { Batch::read(text).map(Incoming::Batch) } else { one(text).map(Incoming::One) }
}

/// Whether `bytes` begin as a batch does, so that it can be refused before it is read.
pub fn is_batch(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) == Some(&b'[')
}

fn text(bytes: &[u8]) -> Result<&str, RpcError> {
    std::str::from_utf8(bytes)
        .map_err(|e| RpcError::new(code::PARSE_ERROR, format!("invalid UTF-8 at byte {}", e.valid_up_to())))
}

fn one(text: &str) -> Result<Message<'_>, RpcError> {
    let mut envelope = Envelope::read(text)?;
    let id = envelope.id.map(RequestId::parse).transpose()?;
    let has_method = envelope.method.is_some();
    message(&mut envelope, id.clone()).map_err(|error| RpcError { id, has_method, ..error })
}

fn message<'a>(envelope: &mut Envelope<'a>, id: Option<RequestId>) -> Result<Message<'a>, RpcError> {
    if envelope.jsonrpc.map(Raw::get) != Some(r#""2.0""#) {
        return Err(RpcError::invalid_request(r#"`jsonrpc` must be "2.0""#));
    }
    let method = envelope
        .method
        .map(|raw| raw.text().ok_or_else(|| RpcError::invalid_request("`method` must be a string")));
    match (method.transpose()?, id, envelope.result.take(), envelope.error) {
        (Some(method), id, None, None) => {
            let params = structured(envelope.params)?;
            Ok(match id {
                Some(id) => Message::Request { id, method, params },
                None => Message::Notification { method, params },
            })
        }
        (None, Some(id), Some(result), None) => Ok(Message::Response { id, outcome: Ok(result) }),
        (None, Some(id), None, Some(error)) => Ok(Message::Response { id, outcome: Err(error) }),
        (None, _, Some(_), Some(_)) => {
            Err(RpcError::invalid_request("a response has `result` or `error`, not both"))
        }
        (Some(_), ..) => {
            Err(RpcError::invalid_request("a message has `method`, or `result` or `error`, not both"))
        }
        (None, None, ..) => Err(RpcError::invalid_request("a response needs the `id` of its request")),
        (None, ..) => Err(RpcError::invalid_request("a request needs a `method`")),
    }
}

/// MCP's `params` are an object; JSON-RPC's positional form is not part of it.
fn structured(params: Option<Raw<'_>>) -> Result<Option<Raw<'_>>, RpcError> {
    match params {
        Some(raw) if !raw.get().starts_with('{') => {
            Err(RpcError::new(code::INVALID_PARAMS, "`params` must be an object"))
        }
        other => Ok(other),
    }
}

/// The answer to a request that succeeded.
pub fn response(id: &RequestId, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, id.as_json())
}

/// The answer to a request that failed.
pub fn error_response(
    id: Option<&RequestId>,
    code: i64,
    message: &str,
    data: Option<&serde_json::Value>,
) -> String {
    let id = id.map_or("null", RequestId::as_json);
    let message = serde_json::Value::from(message);
    match data {
        Some(data) => {
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message},"data":{data}}}}}"#
            )
        }
        None => format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}}}}}"#),
    }
}

/// A request of our own.
pub fn request(id: &RequestId, method: &str, params: &str) -> String {
    let method = serde_json::Value::from(method);
    format!(r#"{{"jsonrpc":"2.0","id":{},"method":{method},"params":{params}}}"#, id.as_json())
}

/// A notification of our own.
pub fn notification(method: &str, params: &str) -> String {
    let method = serde_json::Value::from(method);
    format!(r#"{{"jsonrpc":"2.0","method":{method},"params":{params}}}"#)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(text: &str) -> String {
        match parse(text.as_bytes()) {
            Ok(Message::Request { id, method, params }) => {
                format!("request {id} {method} {}", params.map_or("-", Raw::get))
            }
            Ok(Message::Notification { method, .. }) => format!("notification {method}"),
            Ok(Message::Response { id, outcome }) => format!("response {id} ok={}", outcome.is_ok()),
            Err(e) => format!("{} {} id={}", e.code, e.message, e.id.map_or("-".into(), |i| i.to_string())),
        }
    }

    #[test]
    fn each_kind_of_message_is_told_by_its_members() {
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), "request 1 ping -");
        assert_eq!(
            kind(r#"{"jsonrpc":"2.0","id":"a","method":"x","params":{"b":1}}"#),
            r#"request "a" x {"b":1}"#
        );
        assert_eq!(
            kind(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            "notification notifications/initialized"
        );
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#), "response 7 ok=true");
        assert_eq!(
            kind(r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":""}}"#),
            "response 7 ok=false"
        );
    }

    #[test]
    fn whatever_is_not_clearly_one_message_is_refused_with_the_reason() {
        let cases = [
            r#"{"jsonrpc":"2.0","id":1,"method":"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            r#""text""#,
            r#"{"id":1,"method":"ping"}"#,
            r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":5}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":null}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":null}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"x","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
            r#"{"jsonrpc":"2.0","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            "",
        ];
        let report: Vec<String> = cases.iter().map(|c| format!("{c}\n    {}", kind(c))).collect();
        insta::assert_snapshot!(report.join("\n"));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_a_parse_error() {
        assert_eq!(parse(b"{\"a\":\"\xff\"}").map_err(|e| e.code).err(), Some(code::PARSE_ERROR));
    }

    #[test]
    fn whether_a_message_that_is_none_would_have_been_an_answer_is_told() {
        for (text, has_method) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[]}"#, true),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, true),
            (r#"{"jsonrpc":"2.0","id":1,"method":"x","result":{}}"#, true),
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, false),
            (r#"{"id":1,"result":{}}"#, false),
        ] {
            let error = parse(text.as_bytes()).expect_err("no message");
            assert_eq!((error.has_method, error.id), (has_method, Some(RequestId::number(1))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            let _ = parse(&bytes);
        }
    }
}
