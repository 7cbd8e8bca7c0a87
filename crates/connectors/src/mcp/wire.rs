//! What is written to an upstream and how its answers are read, in either era.
//!
//! Requests are put together as text around parts that are JSON already, and a
//! result is kept as the bytes that came: nothing in it is decoded but the one
//! member that says what kind of result it is.
//!
//! Invariant: what is not clearly a complete result of ours is a failure.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::str::Utf8Error;

use bytes::Bytes;
use bytestring::ByteString;
use quaymaster_core::meta::without_task;
use quaymaster_core::rpc::{self, Message, RequestId, RpcError};
use quaymaster_core::{InputAbilities, LogLevel, LogSink, Parted, PartedBuf, Raw, RawBuf};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::{Failure, shown};

/// The modern revision that we speak.
pub(super) const MODERN: &str = "2026-07-28";
/// The revision that we propose in `initialize`.
pub(super) const PROPOSED: &str = "2025-11-25";
/// The revisions that a server may answer `initialize` with.
pub(super) const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// Every request stands alone ([`MODERN`]).
    Modern,
    /// After `initialize`, which agreed on this revision.
    Legacy(&'static str),
}

impl Era {
    /// The protocol revision.
    pub(super) fn revision(self) -> &'static str {
        match self {
            Self::Modern => MODERN,
            Self::Legacy(revision) => revision,
        }
    }

    /// Whether several messages can come in one (`batch`).
    pub(super) fn has_batches(self) -> bool {
        self == Self::Legacy("2025-03-26")
    }
}

/// Who we are. What we can do follows: what the client of a call can be asked.
const MODERN_META: &str = concat!(
    r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientInfo":{"name":"quaymaster","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""},"io.modelcontextprotocol/clientCapabilities":"#
);

/// The members of `initialize`'s parameters. One session serves clients of all kinds, so it
/// is told of everything that one of them could be asked; who cannot is answered for.
pub(super) const INITIALIZE: &str = concat!(
    r#""protocolVersion":"2025-11-25","#,
    r#""capabilities":{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}},"roots":{},"#,
    r#""extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}},"#,
    r#""clientInfo":{"name":"quaymaster","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}"#
);

/// How a request is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner<'a> {
    pub(super) era: Era,
    pub(super) wants_progress: bool,
    /// What the client of the call can be asked.
    pub(super) abilities: InputAbilities,
    /// From which level on log messages are wanted.
    pub(super) log_level: Option<LogLevel>,
    /// The trace that it is part of (W3C Trace Context, `traceparent`).
    pub(super) traceparent: Option<&'a str>,
}

impl Manner<'_> {
    /// A request of our own.
    pub(super) fn plain(era: Era) -> Self {
        Self {
            era,
            wants_progress: false,
            abilities: InputAbilities::default(),
            log_level: None,
            traceparent: None,
        }
    }
}

/// A request. `members` are pieces of JSON text that together are the members of
/// its parameters, without braces. The progress token, if progress is wanted, is
/// the id.
pub(super) fn request(id: u64, method: &str, members: &[&str], manner: Manner<'_>) -> String {
    let Manner { era, wants_progress, abilities, log_level, traceparent } = manner;
    let length: usize = members.iter().map(|m| m.len()).sum();
    let mut text = String::with_capacity(length + MODERN_META.len() + method.len() + 128);
    // Writing to a `String` cannot fail.
    let _ = write!(text, r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"#);
    for member in members {
        text.push_str(member);
    }
    if era == Era::Modern || wants_progress || traceparent.is_some() {
        if length > 0 {
            text.push(',');
        }
        text.push_str(r#""_meta":{"#);
        if let Some(traceparent) = traceparent {
            let comma = if era == Era::Modern || wants_progress { "," } else { "" };
            let _ = write!(text, r#""traceparent":"{traceparent}"{comma}"#);
        }
        if wants_progress {
            let _ = write!(text, r#""progressToken":{id}"#);
        }
        if era == Era::Modern {
            if wants_progress {
                text.push(',');
            }
            text.push_str(MODERN_META);
            text.push_str(&abilities.as_json());
            if let Some(level) = log_level {
                let _ = write!(text, r#","io.modelcontextprotocol/logLevel":"{}""#, level.as_str());
            }
        }
        text.push('}');
    }
    text.push_str("}}");
    text
}

/// The method of a log message.
pub(super) const LOG: &str = "notifications/message";

/// Most that one log message may hold.
const MAX_LOG_BYTES: usize = 64 * 1024;

/// Gives a log message to whoever wants it.
pub(super) fn log(params: Option<Raw<'_>>, sink: &dyn LogSink) {
    let level = params.and_then(|params| params.member("level").ok()?).and_then(Raw::text);
    let level = level.and_then(|name| LogLevel::named(&name));
    if let Some(params) = params.filter(|params| params.get().len() <= MAX_LOG_BYTES)
        && level.is_some_and(|level| level >= sink.level())
    {
        sink.log(without_task(params.to_buf()));
    }
}

/// The notification that the request `id` is no longer wanted.
pub(super) fn cancelled(id: u64) -> String {
    let params =
        format!(r#"{{"requestId":{id},"reason":"the caller took the call back or its time is up"}}"#);
    rpc::notification("notifications/cancelled", &params)
}

/// Our answer to a request of the server's that belongs to no call: we can be pinged and nothing else.
pub(super) fn answer_to_server(id: &RequestId, method: &str) -> String {
    if method == "ping" {
        return rpc::response(id, "{}");
    }
    let message = "there is no call to whose client this could be put";
    rpc::error_response(Some(id), rpc::code::METHOD_NOT_FOUND, message, None)
}

/// Our answer to a request that a modern server must not make (MCP 2026-07-28, basic/transports/stdio).
pub(super) fn answer_to_modern(id: &RequestId) -> String {
    let message = "servers of this protocol revision make no requests: ask with `input_required`";
    rpc::error_response(Some(id), rpc::code::INVALID_REQUEST, message, None)
}

/// Our answer to what was meant as a request and cannot be understood, which is not repeated.
pub(super) fn answer_to_unreadable(error: &RpcError) -> String {
    let message = "the request cannot be understood";
    rpc::error_response(error.id.as_ref(), rpc::code::INVALID_REQUEST, message, None)
}

/// Reads a message that must be the answer to our request `id`.
///
/// # Errors
///
/// [`Failure::Rpc`] if it is an error, [`Failure::Malformed`] if it is something else.
pub(super) fn answer(bytes: Bytes, id: u64) -> Result<Settled<PartedBuf>, Failure> {
    let message = text(bytes)?;
    match rpc::parse_text(&message) {
        Ok(Message::Response { id: answered, outcome }) => {
            settle_for(id, &answered, outcome).map(|settled| settled.part_of(&message))
        }
        Ok(_) => Err(Failure::Malformed("a message that is no answer".into())),
        Err(error) => Err(Failure::unreadable(&error)),
    }
}

/// A message as text.
///
/// # Errors
///
/// [`Failure::Malformed`] if it is none.
pub(super) fn text(bytes: impl TryInto<ByteString, Error = Utf8Error>) -> Result<ByteString, Failure> {
    bytes.try_into().map_err(|e| Failure::Malformed(format!("invalid UTF-8 at byte {}", e.valid_up_to())))
}

/// The result of a response with the id `answered`, which must be the answer to our request `id`.
pub(super) fn settle_for<'a>(
    id: u64,
    answered: &RequestId,
    outcome: Result<Parted<'a>, Raw<'a>>,
) -> Result<Settled<Parted<'a>>, Failure> {
    // A string is written with its quotes, so it is no number here.
    if answered.as_json().parse() == Ok(id) {
        settle(outcome)
    } else {
        Err(Failure::Malformed("an answer to another request".into()))
    }
}

/// The result of an answer.
pub(super) fn settle<'a>(outcome: Result<Parted<'a>, Raw<'a>>) -> Result<Settled<Parted<'a>>, Failure> {
    let result = match outcome {
        Ok(result) => result,
        Err(error) => return Err(rpc_failure(error)),
    };
    if !result.raw().get().starts_with('{') {
        return Err(Failure::Malformed("a result that is not an object".into()));
    }
    let stage = match result_type(&result)?.as_deref() {
        None | Some("complete") => Stage::Complete,
        Some(INPUT_REQUIRED) => Stage::InputRequired,
        Some(TASK) => Stage::Task,
        Some(_) => {
            return Err(Failure::Unsupported("the MCP server gave a result of an unknown type".into()));
        }
    };
    Ok(Settled { result, stage })
}

/// A result, and what kind of result its server says that it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled<R> {
    pub(super) result: R,
    pub(super) stage: Stage,
}

impl Settled<Parted<'_>> {
    /// This, kept with the `message` that it is a part of.
    pub(super) fn part_of(self, message: &ByteString) -> Settled<PartedBuf> {
        Settled { result: PartedBuf::part_of(message, self.result), stage: self.stage }
    }

    /// This, as a copy.
    pub(super) fn into_buf(self) -> Settled<PartedBuf> {
        Settled { result: PartedBuf::copy_of(self.result), stage: self.stage }
    }
}

/// What a server answers a call with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The result.
    Complete,
    /// It wants input before it goes on.
    InputRequired,
    /// The result is there later, under the name of a task.
    Task,
}

/// The result that a task has ended with, which can be nothing but complete.
pub(super) fn complete(result: RawBuf) -> Result<RawBuf, Failure> {
    match result_type(&Parted::of(result.as_raw()))?.as_deref() {
        None | Some("complete") => Ok(result),
        Some(_) => Err(Failure::Malformed("a task that has ended with a result that is none".into())),
    }
}

/// The discriminator of a result (MCP 2026-07-28, basic); absent means complete.
fn result_type<'a>(result: &Parted<'a>) -> Result<Option<Cow<'a, str>>, Failure> {
    let unreadable = || Failure::Malformed("a result whose `resultType` cannot be read".into());
    let mut kind = None;
    for (name, value) in result.members().ok_or_else(unreadable)? {
        // `null` is how some servers write what they leave out.
        if name != RESULT_TYPE || value.get() == "null" {
            continue;
        }
        if kind.replace(value.text().ok_or_else(unreadable)?).is_some() {
            return Err(unreadable());
        }
    }
    Ok(kind)
}

const RESULT_TYPE: &str = "resultType";
const INPUT_REQUIRED: &str = "input_required";
const TASK: &str = "task";

/// What the error object of a response means.
pub(super) fn rpc_failure(error: Raw<'_>) -> Failure {
    #[derive(Deserialize)]
    struct ErrorObject<'a> {
        code: i64,
        message: String,
        #[serde(borrow, default)]
        data: Option<&'a RawValue>,
    }
    match serde_json::from_str::<ErrorObject<'_>>(error.get()) {
        Ok(ErrorObject { code: rpc::code::MISSING_CLIENT_CAPABILITY, data: Some(data), .. }) => {
            let data = Raw::read(data.get()).ok();
            let required = data.and_then(|data| data.member("requiredCapabilities").ok()?);
            Failure::Incapable { required: InputAbilities::read(required) }
        }
        Ok(ErrorObject { code, message, .. }) => Failure::Rpc { code, message: shown(&message) },
        Err(_) => Failure::Malformed("an error without a code and a message".into()),
    }
}

#[cfg(test)]
mod tests;
