//! What must hold for any bytes that are taken as a JSON-RPC message.
//!
//! Used by the fuzz target and, with the corpus, by the gateway's tests.

use quaymaster_core::Raw;
use quaymaster_core::rpc::{self, Incoming, Message, code};
use serde_json::value::RawValue;

/// Fails if the envelope parser lets `bytes` be two things at once, or refuses them badly.
pub(crate) fn check(bytes: &[u8]) {
    match rpc::parse(bytes) {
        Ok(message) => {
            a_message_written_again_reads_the_same(&message);
            a_message_in_a_batch_reads_as_it_does_alone(bytes, &message);
            the_members_of_a_result_are_those_that_it_has(&message);
        }
        Err(error) => {
            let known = [code::PARSE_ERROR, code::INVALID_REQUEST, code::INVALID_PARAMS];
            assert!(known.contains(&error.code), "{} is no code of a bad envelope", error.code);
            assert!(!error.message.is_empty(), "a refusal says why");
            let answer = error.to_json();
            // Read raw: the id is repeated as it was written, which may be more digits than a number holds.
            let raw: Result<&RawValue, _> = serde_json::from_str(&answer);
            let code = format!(r#""code":{}"#, error.code);
            assert!(raw.is_ok_and(|raw| raw.get().contains(&code)), "the answer must be JSON with the code");
        }
    }
}

fn a_message_written_again_reads_the_same(message: &Message<'_>) {
    let written = write(message);
    let read = rpc::parse(written.as_bytes());
    assert!(read.is_ok(), "what was read and written again is refused: {written}");
    if let Ok(read) = read {
        assert_eq!(parts(&read), parts(message), "{written}");
    }
}

fn the_members_of_a_result_are_those_that_it_has(message: &Message<'_>) {
    let Message::Response { outcome: Ok(result), .. } = message else { return };
    let Some(noted) = result.members() else { return };
    let members: Vec<_> = result.raw().members().into_iter().flatten().filter_map(Result::ok).collect();
    assert_eq!(noted.collect::<Vec<_>>(), members);
}

fn a_message_in_a_batch_reads_as_it_does_alone(bytes: &[u8], message: &Message<'_>) {
    let batch = [b"[", bytes, b",", bytes, b"]"].concat();
    let read = rpc::parse_any(&batch);
    assert!(matches!(read, Ok(Incoming::Batch(_))), "what is a message is one in a batch");
    if let Ok(Incoming::Batch(batch)) = read {
        assert_eq!(batch.len(), 2);
        for read in batch {
            assert_eq!(read.as_ref().map(parts), Ok(parts(message)));
        }
    }
}

fn write(message: &Message<'_>) -> String {
    match message {
        Message::Request { id, method, params: Some(params) } => rpc::request(id, method, params.get()),
        Message::Request { id, method, params: None } => {
            let method = serde_json::Value::from(method.as_ref());
            format!(r#"{{"jsonrpc":"2.0","id":{},"method":{method}}}"#, id.as_json())
        }
        Message::Notification { method, params: Some(params) } => rpc::notification(method, params.get()),
        Message::Notification { method, params: None } => {
            format!(r#"{{"jsonrpc":"2.0","method":{}}}"#, serde_json::Value::from(method.as_ref()))
        }
        Message::Response { id, outcome: Ok(result) } => rpc::response(id, result.raw().get()),
        Message::Response { id, outcome: Err(error) } => {
            format!(r#"{{"jsonrpc":"2.0","id":{},"error":{}}}"#, id.as_json(), error.get())
        }
    }
}

/// The kind, the id, the method, and the payload with whether it is an error.
type Parts<'a> = (&'static str, Option<&'a str>, Option<&'a str>, Option<&'a str>);

fn parts<'a>(message: &'a Message<'_>) -> Parts<'a> {
    match message {
        Message::Request { id, method, params } => {
            ("request", Some(id.as_json()), Some(method), params.map(Raw::get))
        }
        Message::Notification { method, params } => {
            ("notification", None, Some(method), params.map(Raw::get))
        }
        Message::Response { id, outcome: Ok(result) } => {
            ("result", Some(id.as_json()), None, Some(result.raw().get()))
        }
        Message::Response { id, outcome: Err(error) } => {
            ("error", Some(id.as_json()), None, Some(error.get()))
        }
    }
}
