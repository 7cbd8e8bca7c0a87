//! Several messages at once, as a session of 2025-03-26 may send them.
//!
//! What each of them is answered with is what it would be alone; how the answers are
//! put together is the transports' own. What cannot stand in a batch is refused here:
//! `initialize` (MCP 2025-03-26, basic/lifecycle), requests of 2026-07-28, which stand
//! alone, and requests that share an id, as nobody could tell whose answer is whose.
//!
//! Invariant: one message that is refused leaves the others alone, and none of those
//! that share an id is begun.

use std::collections::HashSet;

use http::StatusCode;
use quaymaster_core::rpc::{Batch, Message, RequestId, RpcError};

use super::answer::Pieces;
use super::era::{Detected, Era, RequestHead, detect};
use super::front::Trail;
use super::refusal::Refusal;

/// A message of a batch with what was read to tell its era, or why it is refused.
pub(super) type Member<'a> = Result<(Message<'a>, Detected<'a>), Box<Refused>>;

/// A message of a batch that is refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) trail: Trail,
}

impl Refused {
    /// The refusal of `message`, which came from whom `trail` says.
    pub(super) fn new(refusal: Refusal, message: &Message<'_>, mut trail: Trail) -> Box<Self> {
        trail.name(message);
        Box::new(Self { refusal, trail })
    }

    /// What it is answered with, if it is.
    pub(super) fn answer(&self) -> Option<Pieces> {
        let Self { refusal, trail } = self;
        trail.wants_answer().then(|| Pieces::whole(refusal.to_json(trail.id.as_ref())))
    }
}

/// The messages of `batch`, which came with `head` from whom `trail` says.
pub(super) fn members<'a>(batch: Batch<'a>, head: &RequestHead<'_>, trail: &Trail) -> Vec<Member<'a>> {
    let messages: Vec<Result<Message<'a>, RpcError>> = batch.collect();
    let repeated = repeated(&messages);
    let read = |message: Result<Message<'a>, RpcError>| {
        let message = message.map_err(|error| {
            let trail = Trail { id: error.id.clone(), ..trail.clone() };
            Box::new(Refused { refusal: Refusal::from(&error), trail })
        })?;
        match member(&message, head, &repeated) {
            Ok(detected) => Ok((message, detected)),
            Err(refusal) => Err(Refused::new(refusal, &message, trail.clone())),
        }
    };
    messages.into_iter().map(read).collect()
}

/// The ids that more than one request has.
fn repeated(messages: &[Result<Message<'_>, RpcError>]) -> HashSet<RequestId> {
    let mut seen = HashSet::new();
    let ids = messages.iter().filter_map(|message| match message {
        Ok(Message::Request { id, .. }) => Some(id),
        Ok(_) => None,
        // It is answered under its id too.
        Err(error) => error.id.as_ref(),
    });
    ids.filter(|id| !seen.insert(*id)).cloned().collect()
}

fn member<'a>(
    message: &Message<'a>,
    head: &RequestHead<'_>,
    repeated: &HashSet<RequestId>,
) -> Result<Detected<'a>, Refusal> {
    let refused = |reason: &str| Err(Refusal::invalid_request(StatusCode::BAD_REQUEST, reason));
    if let Message::Request { id, method, .. } = message {
        if repeated.contains(id) {
            return refused("another request of the batch has this `id`: use each id once");
        }
        if method == "initialize" {
            return refused("`initialize` cannot be part of a batch: send it alone");
        }
    }
    let detected = detect(head, message)?;
    if detected.era == Era::Modern {
        return refused("a message of 2026-07-28 cannot be part of a batch: send it alone");
    }
    Ok(detected)
}

/// Answers, each one message, as one list.
pub(super) fn list<T: AsRef<[u8]>>(answers: &[T]) -> Vec<u8> {
    let mut list = vec![b'['];
    for (at, answer) in answers.iter().enumerate() {
        if at > 0 {
            list.push(b',');
        }
        list.extend_from_slice(answer.as_ref());
    }
    list.push(b']');
    list
}

#[cfg(test)]
mod tests {
    use quaymaster_core::rpc::{Incoming, parse_any};

    use super::*;

    #[test]
    fn what_cannot_stand_in_a_batch_is_refused_and_the_rest_is_not() {
        let text = r#"[
            {"jsonrpc":"2.0","id":1,"method":"ping"},
            {"jsonrpc":"2.0","id":2,"method":"initialize"},
            {"jsonrpc":"2.0","id":3,"method":"tools/list"},
            {"jsonrpc":"2.0","id":3,"method":"ping"},
            {"jsonrpc":"2.0","id":4,"method":"ping"},
            {"jsonrpc":"2.0","id":4,"method":"ping","params":7},
            {"jsonrpc":"2.0","id":3,"result":{}},
            {"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":1}},
            {"jsonrpc":"2.0","id":5,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}},
            []
        ]"#;
        let Ok(Incoming::Batch(batch)) = parse_any(text.as_bytes()) else { panic!("a batch") };
        let members = members(batch, &RequestHead::default(), &Trail::default());
        let told: Vec<String> = members
            .into_iter()
            .map(|member| match member {
                Ok((message, _)) => format!("{message:.40?}"),
                Err(refused) => {
                    let Refused { refusal, trail } = *refused;
                    let id = trail.id.map_or_else(|| "-".into(), |id| id.to_string());
                    format!("{id} {:?} {}: {}", trail.method, refusal.rpc_code, refusal.message)
                }
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn answers_become_one_list() {
        assert_eq!(list::<&str>(&[]), b"[]");
        assert_eq!(list(&["{}", "{\"a\":1}"]), b"[{},{\"a\":1}]");
    }
}
