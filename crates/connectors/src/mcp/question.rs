//! What a server asks of the client while a call of that client's runs.
//!
//! A session's server sends a request of its own and waits; a modern one ends its
//! answer with `input_required` and is called again (MCP 2026-07-28, multi
//! round-trip requests). Both become one question to the call's client.
//!
//! Invariants:
//! - A question goes to the client of the call that it belongs to; where that
//!   cannot be told, it goes to nobody.
//! - While a person thinks, the call's time stands still; how long they may think
//!   is up to who asks them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quaymaster_core::meta::without_task;
use quaymaster_core::rpc::{self, RequestId, code};
use quaymaster_core::{InputAbilities, InputMethod, InputPort, InputRequest, NoInput, Raw, RawBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;

/// How often one call may ask for input.
pub(super) const MAX_ROUNDS: usize = 16;

/// The name of the question of a server that asks one by one.
const ONE: &str = "question";

/// How long a call has stood still so far.
#[derive(Clone, Debug)]
pub(super) struct Pause(Arc<watch::Sender<Standing>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    /// How many questions are open, and since when there is one.
    open: usize,
    since: Option<Instant>,
    /// What has passed while one was open.
    stood: Duration,
}

impl Pause {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Standing::default())))
    }

    /// Waits until `deadline`, not counting the time in which a question was open.
    pub(super) async fn expired(&self, deadline: Instant) {
        let mut standing = self.0.subscribe();
        loop {
            let Standing { open, stood, .. } = *standing.borrow_and_update();
            let changed = standing.changed();
            if open > 0 {
                // The sender is ours, so it is there.
                let _ = changed.await;
                continue;
            }
            tokio::select! {
                _ = changed => {}
                () = sleep_until(deadline + stood) => return,
            }
        }
    }

    /// How long that was so far.
    pub(super) fn stood(&self) -> Duration {
        let Standing { since, stood, .. } = *self.0.borrow();
        stood + since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Lets time stand still until what is given back is dropped.
    pub(super) fn stand(&self) -> StandingStill<'_> {
        self.0.send_modify(|standing| {
            standing.open += 1;
            standing.since.get_or_insert_with(Instant::now);
        });
        StandingStill(self)
    }
}

/// Lets time go on when it is dropped.
pub(super) struct StandingStill<'a>(&'a Pause);

impl Drop for StandingStill<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|standing| {
            standing.open -= 1;
            if standing.open == 0
                && let Some(since) = standing.since.take()
            {
                standing.stood += since.elapsed();
            }
        });
    }
}

/// How the client of one call is asked.
#[derive(Clone, Debug)]
pub(super) struct Questions {
    port: Arc<dyn InputPort>,
    pause: Pause,
    /// Cancelled when the call is over.
    over: CancellationToken,
    asked: Arc<AtomicUsize>,
}

impl Questions {
    pub(super) fn new(port: Arc<dyn InputPort>, pause: Pause, over: CancellationToken) -> Self {
        Self { port, pause, over, asked: Arc::default() }
    }

    /// The response to a request of the server's. None if the call has ended meanwhile.
    pub(super) async fn respond(&self, id: &RequestId, asked: Asked) -> Option<String> {
        if self.asked.fetch_add(1, Ordering::Relaxed) >= MAX_ROUNDS {
            return Some(rpc::error_response(
                Some(id),
                code::INTERNAL_ERROR,
                "the call has asked too often",
                None,
            ));
        }
        let _still = self.pause.stand();
        let answer = self.over.run_until_cancelled(self.ask(asked)).await?;
        Some(match answer {
            Ok(result) => rpc::response(id, result.get()),
            Err(NoInput::Unsupported) => {
                let message = "the client of this call does not support that";
                rpc::error_response(Some(id), code::METHOD_NOT_FOUND, message, None)
            }
            Err(NoInput::Overloaded) => no_room(id),
            Err(NoInput::Unanswered | NoInput::Declined) => {
                rpc::error_response(Some(id), code::INTERNAL_ERROR, "the client gave no answer", None)
            }
        })
    }

    async fn ask(&self, asked: Asked) -> Result<RawBuf, NoInput> {
        let Asked { method, params } = asked;
        if !self.port.abilities().allow(method) {
            return Err(NoInput::Unsupported);
        }
        let params = params.as_ref().map_or("{}", RawBuf::get);
        let request = format!(r#"{{"{ONE}":{{"method":"{}","params":{params}}}}}"#, method.as_str());
        let request = RawBuf::read(&request).map_err(|_| NoInput::Unanswered)?;
        // A client that answers something else is asked again, as a modern server would.
        for _ in 0..MAX_ROUNDS {
            let answers = self.port.ask(request.clone()).await?;
            let answer = answers.as_raw().member(ONE).ok().flatten().map(Raw::to_buf);
            if let Some(answer) = answer.filter(|answer| answer.get().starts_with('{')) {
                return Ok(answer);
            }
        }
        Err(NoInput::Unanswered)
    }
}

/// The response to a question for which there is no room.
pub(super) fn no_room(id: &RequestId) -> String {
    rpc::error_response(Some(id), code::INTERNAL_ERROR, "too many questions are open", None)
}

/// A request of a server's for input.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    method: InputMethod,
    params: Option<RawBuf>,
}

impl Asked {
    /// The request `method`, if it is one for input.
    pub(super) fn read(method: &str, params: Option<Raw<'_>>) -> Option<Self> {
        let method = InputMethod::named(method)?;
        // What the server calls its task is not what the client calls it, if it knows of one at all.
        Some(Self { method, params: params.map(Raw::to_buf).map(without_task) })
    }
}

/// What a modern server wants before it goes on.
#[derive(Debug)]
pub(super) struct Required {
    requests: Option<RawBuf>,
    state: Option<RawBuf>,
}

/// What is sent with the same request when it is made again.
#[derive(Debug, Default)]
pub(super) struct Given {
    responses: Option<RawBuf>,
    state: Option<RawBuf>,
}

impl Required {
    /// What a task wants to know before it goes on.
    pub(super) fn of(requests: RawBuf) -> Self {
        Self { requests: Some(requests), state: None }
    }

    /// Reads a result that is `input_required`.
    pub(super) fn read(result: &RawBuf) -> Result<Self, Failure> {
        let unclear = || Failure::Malformed("a request for input that cannot be read".into());
        let mut required = Self { requests: None, state: None };
        for member in result.as_raw().members().ok_or_else(unclear)? {
            let (name, value) = member.map_err(|_| unclear())?;
            let (place, first) = match &*name {
                "inputRequests" => (&mut required.requests, '{'),
                "requestState" => (&mut required.state, '"'),
                _ => continue,
            };
            if !value.get().starts_with(first) || place.replace(value.to_buf()).is_some() {
                return Err(unclear());
            }
        }
        if required.requests.is_none() && required.state.is_none() { Err(unclear()) } else { Ok(required) }
    }

    /// Asks the client of the call, if it has one that can be asked.
    pub(super) async fn give(self, port: Option<&Arc<dyn InputPort>>) -> Result<Given, Failure> {
        let Self { requests, state } = self;
        let Some(requests) = requests else { return Ok(Given { responses: None, state }) };
        let required = wanted(&requests);
        let unable = || Failure::Incapable { required };
        let port = port.ok_or_else(unable)?;
        match port.ask(requests).await {
            Ok(responses) => Ok(Given { responses: Some(responses), state }),
            Err(NoInput::Unsupported) => Err(unable()),
            Err(NoInput::Unanswered | NoInput::Declined) => {
                Err(Failure::Unsupported("nobody gave the input that the tool asked for".into()))
            }
            Err(NoInput::Overloaded) => Err(Failure::Overloaded),
        }
    }
}

/// What it takes to be asked all of `requests`.
fn wanted(requests: &RawBuf) -> InputAbilities {
    let requests = requests.as_raw().members().into_iter().flatten().filter_map(Result::ok);
    let requests = requests.filter_map(|(_, request)| InputRequest::read(request));
    requests.map(InputRequest::needs).fold(InputAbilities::default(), InputAbilities::and)
}

impl Given {
    /// Adds the members to those of the request.
    pub(super) fn add_to<'a>(&'a self, members: &mut Vec<&'a str>) {
        let given = [(r#","inputResponses":"#, &self.responses), (r#","requestState":"#, &self.state)];
        for (name, value) in given {
            if let Some(value) = value {
                members.extend([name, value.get()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::pin::Pin;

    use super::*;

    #[derive(Debug)]
    struct Without(NoInput);

    impl InputPort for Without {
        fn abilities(&self) -> InputAbilities {
            InputAbilities::of(InputMethod::Roots)
        }

        fn ask<'a>(
            &'a self,
            _: RawBuf,
        ) -> Pin<Box<dyn Future<Output = Result<RawBuf, NoInput>> + Send + 'a>> {
            Box::pin(ready(Err(self.0)))
        }
    }

    #[tokio::test]
    async fn a_server_is_told_why_there_is_no_answer() {
        let reasons = [
            (NoInput::Unsupported, "the client of this call does not support that"),
            (NoInput::Unanswered, "the client gave no answer"),
            (NoInput::Declined, "the client gave no answer"),
            (NoInput::Overloaded, "too many questions are open"),
        ];
        for (none, reason) in reasons {
            let questions = Questions::new(Arc::new(Without(none)), Pause::new(), CancellationToken::new());
            let asked = Asked::read("roots/list", None).expect("a question");
            let response = questions.respond(&RequestId::number(1), asked).await.expect("a response");
            assert!(response.contains(reason), "{response}");
        }
    }
}
