//! Several messages in one text, as MCP 2025-03-26 has them and no other revision.
//!
//! Whether a peer may send a batch is up to whoever reads it. Invariants:
//! - A text that is not JSON as a whole, or holds too much, gives no message at all.
//! - What is wrong with one message is told in its place and leaves the others alone.

use super::{Message, RpcError, no_json, one};
use crate::raw::{Items, Raw};

/// How many messages a batch may hold.
pub const MAX_BATCH: usize = 64;

/// What one text holds.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// One message.
    One(Message<'a>),
    /// Messages in a list.
    Batch(Batch<'a>),
}

/// The messages of a batch in their order, or what is wrong with each.
#[derive(Clone, Debug)]
pub struct Batch<'a>(std::vec::IntoIter<Raw<'a>>);

impl<'a> Batch<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, RpcError> {
        let mut items = Vec::new();
        for item in Items::read(text).map_err(|e| no_json(&e))? {
            if items.len() == MAX_BATCH {
                let message = format!("a batch holds at most {MAX_BATCH} messages: send several");
                return Err(RpcError::invalid_request(&message));
            }
            items.push(item.map_err(|e| no_json(&e))?);
        }
        if items.is_empty() {
            return Err(RpcError::invalid_request("a batch must hold a message"));
        }
        Ok(Self(items.into_iter()))
    }
}

impl<'a> Iterator for Batch<'a> {
    type Item = Result<Message<'a>, RpcError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.0.next()?.get();
        if item.starts_with('[') {
            return Some(Err(RpcError::invalid_request("a batch within a batch is no message")));
        }
        Some(one(item))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Batch<'_> {}

#[cfg(test)]
mod tests {
    use super::super::{code, parse, parse_any};
    use super::*;

    const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

    fn read(text: &str) -> Result<Vec<String>, RpcError> {
        let Incoming::Batch(batch) = parse_any(text.as_bytes())? else { return Ok(vec!["one".into()]) };
        let told = |message: Result<Message<'_>, RpcError>| match message {
            Ok(Message::Request { id, .. }) => format!("request {id}"),
            Ok(Message::Notification { .. }) => "notification".into(),
            Ok(Message::Response { id, .. }) => format!("response {id}"),
            Err(e) => format!("{} {} id={}", e.code, e.message, e.id.map_or("-".into(), |i| i.to_string())),
        };
        Ok(batch.map(told).collect())
    }

    #[test]
    fn each_message_of_a_batch_stands_for_itself() {
        let batch = format!(
            r#" [{PING}, 7, [{PING}], {{"jsonrpc":"2.0","method":"notifications/x"}},
            {{"jsonrpc":"2.0","id":2,"result":{{}}}},{{"jsonrpc":"2.0","id":3,"method":"x","params":[]}}, {{}}] "#
        );
        insta::assert_snapshot!(read(&batch).expect("a batch").join("\n"));
        assert_eq!(read(PING), Ok(vec!["one".into()]));
    }

    #[test]
    fn a_text_that_is_not_json_gives_no_message_at_all() {
        for bad in [format!("[{PING},"), format!("[{PING}] {PING}"), format!("[{PING} {PING}]"), "[".into()] {
            assert_eq!(read(&bad).map_err(|e| e.code), Err(code::PARSE_ERROR), "{bad}");
        }
    }

    #[test]
    fn a_batch_holds_something_and_not_too_much() {
        assert_eq!(read("[ ]").map_err(|e| e.code), Err(code::INVALID_REQUEST));
        let of = |count: usize| format!("[{}]", vec![PING; count].join(","));
        assert_eq!(read(&of(MAX_BATCH)).map(|messages| messages.len()), Ok(MAX_BATCH));
        assert_eq!(read(&of(MAX_BATCH + 1)).map_err(|e| e.code), Err(code::INVALID_REQUEST));
    }

    #[test]
    fn who_takes_one_message_takes_no_batch() {
        assert_eq!(parse(format!("[{PING}]").as_bytes()).err(), Some(RpcError::batch()));
    }
}
