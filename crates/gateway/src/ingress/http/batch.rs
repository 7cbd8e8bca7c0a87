//! A batch in the body of a POST, which a session of 2025-03-26 may send.
//!
//! Its answers come as events, each when it is there, with whatever its calls say
//! before; a client that takes no events gets them in one list (MCP 2025-03-26,
//! basic/transports, sending messages to the server).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use quaymaster_core::rpc::{Batch, Message, RpcError};

use super::body::{self, Body};
use super::endpoint::{Endpoint, bare, json};
use super::post::{Arrived, Step};
use super::stream::events;
use crate::ingress::answer::Pieces;
use crate::ingress::batch::{Refused, list, members};
use crate::ingress::door::Door;
use crate::ingress::era::is_modern;
use crate::ingress::front::Trail;
use crate::ingress::refusal::Refusal;

/// What the messages of a batch come to.
pub(super) struct Answers<D: Door> {
    endpoint: Arc<Endpoint<D>>,
    steps: Vec<Step<D>>,
    refused: Vec<Refused>,
    /// Whether one of them is a request.
    is_asked: bool,
    /// Whether the client takes events.
    events: bool,
}

impl<D: Door> Endpoint<D> {
    /// Lets a batch pass where the session has batches.
    ///
    /// # Errors
    ///
    /// `-32600` if it has none, or there is no session.
    pub(super) fn check_batch(&self, arrived: &Arrived<'_>, trail: &mut Trail) -> Result<(), Refusal> {
        let head = &arrived.request_head;
        let stands_alone = head.session.is_none() || head.protocol_version.is_some_and(is_modern);
        if stands_alone || !self.session(arrived, trail)?.revision.has_batches() {
            return Err(Refusal::from(&RpcError::batch()));
        }
        Ok(())
    }

    /// Begins what `batch` asks for.
    pub(super) async fn batch(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        batch: Batch<'_>,
        trail: &Trail,
    ) -> Answers<D> {
        let mut answers = Answers {
            endpoint: Arc::clone(self),
            steps: Vec::new(),
            refused: Vec::new(),
            is_asked: false,
            events: arrived.events,
        };
        for member in members(batch, &arrived.request_head, trail) {
            let outcome = match member {
                Ok((message, detected)) => {
                    answers.is_asked |= matches!(message, Message::Request { .. });
                    let mut trail = trail.clone();
                    let done = self.message(arrived, &message, &detected, &mut trail).await;
                    done.map_err(|refusal| Refused::new(refusal, &message, trail))
                }
                Err(refused) => Err(refused),
            };
            match outcome {
                Ok(step) => answers.steps.push(step),
                Err(refused) => answers.refuse(*refused),
            }
        }
        answers
    }
}

impl<D: Door> Answers<D> {
    fn refuse(&mut self, refused: Refused) {
        self.is_asked |= refused.trail.id.is_some();
        self.steps.extend(refused.answer().map(|answer| Step::Done(json(refused.refusal.status, answer))));
        self.refused.push(refused);
    }

    /// Records what was refused, and answers.
    pub(super) async fn respond(self) -> Response<Body> {
        let Self { endpoint, steps, refused, is_asked, events } = self;
        let record = async |refused: &Refused| {
            endpoint.front.record(&refused.refusal, refused.trail.clone()).await;
        };
        // All at once, so that none is lost if the client goes.
        join_all(refused.iter().map(record)).await;
        match (is_asked, refused.first()) {
            (true, _) if events => as_events(steps).await,
            (true, _) => json(StatusCode::OK, as_list(steps).await),
            (false, None) => bare(StatusCode::ACCEPTED),
            // What cannot be accepted and is no request is answered without an id.
            (false, Some(refused)) => {
                json(StatusCode::BAD_REQUEST, Pieces::whole(refused.refusal.to_json(None)))
            }
        }
    }
}

/// Each answer as it comes, with what is said before it.
async fn as_events<D: Door>(steps: Vec<Step<D>>) -> Response<Body> {
    let (mut known, mut waiting) = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Done(response) => known.extend(message(response).await.map(|m| body::event(&m))),
            Step::Wait(call) => waiting.push(call.into_events().boxed()),
            Step::Batch(_) => {}
        }
    }
    events(stream::iter(known).chain(stream::select_all(waiting)))
}

/// All answers when the last is there.
async fn as_list<D: Door>(steps: Vec<Step<D>>) -> Pieces {
    let answer = async |step: Step<D>| match step {
        Step::Done(response) => message(response).await,
        Step::Wait(call) => message(call.respond().await).await,
        Step::Batch(_) => None,
    };
    let answers: Vec<Option<Bytes>> = join_all(steps.into_iter().map(answer)).await;
    let answers: Vec<Bytes> = answers.into_iter().flatten().collect();
    Pieces([list(&answers).into(), Bytes::new(), Bytes::new()])
}

/// The message that a response carries, if it carries one.
async fn message(response: Response<Body>) -> Option<Bytes> {
    let Ok(collected) = response.into_body().collect().await;
    Some(collected.to_bytes()).filter(|message| !message.is_empty())
}
