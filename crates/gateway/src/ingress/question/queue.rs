//! The questions of one call, on their way to its client.
//!
//! Whoever asks waits here; whoever speaks to the client takes the questions out and
//! gives the answers (see the module above).
//!
//! Invariants:
//! - A client is asked nothing that it did not say it can be asked.
//! - What a client answers before it was asked counts for the first question alone, and only
//!   if it answers all of it; whatever else it says is left aside.
//! - Questions that nobody waits for any more take no room.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quaymaster_core::{ActorId, InputAbilities, InputPort, InputRequest, NoInput, RawBuf};
use serde_json::Value;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::{PATIENCE, Question, lock};
use crate::ingress::allowance::Allowance;

/// How many questions of one call wait to be put.
const MAX_WAITING: usize = 16;

/// How many requests one question may hold.
const MAX_REQUESTS: usize = 16;

/// The questions of one call.
#[derive(Debug)]
pub(in crate::ingress) struct QuestionQueue {
    /// What the client can be asked.
    abilities: Mutex<InputAbilities>,
    actor: ActorId,
    allowance: Arc<Allowance>,
    waiting: Mutex<WaitingQuestions>,
    arrived: Notify,
    /// What the client answered before it was asked, until something is asked.
    ahead: Mutex<Option<RawBuf>>,
    /// How long an answer may take.
    patience: Mutex<Duration>,
}

#[derive(Debug, Default)]
struct WaitingQuestions {
    questions: VecDeque<Question>,
    closed: bool,
}

impl QuestionQueue {
    /// A queue of questions to a client of `actor` that can be asked so much.
    pub(in crate::ingress) fn new(
        abilities: InputAbilities,
        actor: &ActorId,
        allowance: &Arc<Allowance>,
    ) -> Self {
        let (actor, allowance, patience) = (actor.clone(), Arc::clone(allowance), Mutex::new(PATIENCE));
        let abilities = Mutex::new(abilities);
        let (waiting, ahead) = (Mutex::default(), Mutex::default());
        Self { abilities, actor, allowance, waiting, arrived: Notify::new(), ahead, patience }
    }

    /// The same to a client that has answered before it was asked: an object of answers by name.
    pub(in crate::ingress) fn answered_ahead(self, answers: Option<RawBuf>) -> Self {
        Self { ahead: Mutex::new(answers), ..self }
    }

    /// The answers to `requests`, if the client gave all of them ahead and was asked nothing before.
    fn known(&self, requests: &RawBuf) -> Option<RawBuf> {
        let answers = lock(&self.ahead).take()?;
        let mut members = Vec::new();
        for request in requests.as_raw().members()? {
            let (name, _) = request.ok()?;
            let answer = answers.as_raw().member(&name).ok()??;
            // Every answer is an object (MCP 2026-07-28, multi round-trip requests).
            members.push(format!(
                "{}:{}",
                Value::from(&*name),
                Some(answer.get()).filter(|a| a.starts_with('{'))?
            ));
        }
        RawBuf::read(&format!("{{{}}}", members.join(","))).ok()
    }

    /// From now on an answer may take as long as `patience`.
    pub(in crate::ingress) fn be_patient(&self, patience: Duration) {
        *lock(&self.patience) = patience;
    }

    /// From now on the client can be asked so much.
    pub(in crate::ingress) fn able_to(&self, abilities: InputAbilities) {
        *lock(&self.abilities) = abilities;
    }

    /// The next question, if one waits. What the client can no longer be asked is declined.
    pub(in crate::ingress) fn next(&self) -> Option<Question> {
        loop {
            let question = lock(&self.waiting).questions.pop_front()?;
            if self.count(&question.requests).is_some() {
                return Some(question);
            }
            question.decline(NoInput::Unsupported);
        }
    }

    /// Waits until a question arrived. May come back without one.
    pub(in crate::ingress) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// How many requests there are, if the client can be asked all of them.
    fn count(&self, requests: &RawBuf) -> Option<usize> {
        let (mut count, abilities) = (0, *lock(&self.abilities));
        for member in requests.as_raw().members()? {
            count += 1;
            let request = InputRequest::read(member.ok()?.1)?;
            if count > MAX_REQUESTS || !abilities.cover(request.needs()) {
                return None;
            }
        }
        (count > 0).then_some(count)
    }

    /// Nobody is there to be asked any more.
    pub(in crate::ingress) fn close(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.closed = true;
        waiting.questions.clear();
    }
}

impl InputPort for QuestionQueue {
    fn abilities(&self) -> InputAbilities {
        *lock(&self.abilities)
    }

    fn ask<'a>(
        &'a self,
        requests: RawBuf,
    ) -> Pin<Box<dyn Future<Output = Result<RawBuf, NoInput>> + Send + 'a>> {
        Box::pin(async move {
            let count = self.count(&requests).ok_or(NoInput::Unsupported)?;
            if let Some(answers) = self.known(&requests) {
                return Ok(answers);
            }
            let _share = self.allowance.take(&self.actor, count).ok_or(NoInput::Overloaded)?;
            let (answer, answered) = oneshot::channel();
            {
                let mut waiting = lock(&self.waiting);
                if waiting.closed {
                    return Err(NoInput::Unanswered);
                }
                if waiting.questions.len() >= MAX_WAITING {
                    return Err(NoInput::Overloaded);
                }
                waiting.questions.push_back(Question { requests, answer });
            }
            self.arrived.notify_one();
            let patience = *lock(&self.patience);
            match timeout(patience, answered).await {
                Ok(Ok(answer)) => answer,
                _ => Err(NoInput::Unanswered),
            }
        })
    }
}

#[cfg(test)]
pub(super) mod fixture {
    //! What the tests of this folder ask.

    use super::*;

    pub(super) const FORM: InputAbilities = InputAbilities {
        form: true,
        url: false,
        sampling: false,
        sampling_tools: false,
        roots: true,
        tasks: false,
        apps: false,
    };

    /// A queue for a principal that may hold so many requests.
    pub(in crate::ingress) fn queue(most: usize) -> QuestionQueue {
        let ana = ActorId::parse("ana").expect("a name");
        QuestionQueue::new(FORM, &ana, &Allowance::new(most))
    }

    pub(in crate::ingress) fn raw(text: &str) -> RawBuf {
        RawBuf::read(text).expect("JSON")
    }

    pub(in crate::ingress) fn two() -> RawBuf {
        raw(
            r#"{"name":{"method":"elicitation/create","params":{"message":"?"}},"where":{"method":"roots/list"}}"#,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::{FORM, queue, raw, two};
    use super::*;

    #[tokio::test]
    async fn a_client_is_asked_nothing_that_it_cannot_answer() {
        let queue = queue(16);
        for requests in [
            r#"{"q":{"method":"sampling/createMessage"}}"#,
            r#"{"q":{"method":"elicitation/create","params":{"mode":"url"}}}"#,
            r#"{"q":{"method":"tools/call"}}"#,
            r#"{"q":7}"#,
            r#"{"q":{"method":"elicitation/create","params":{"mode":"form","mode":"url"}}}"#,
            r#"{"q":{"method":"elicitation/create","method":"sampling/createMessage"}}"#,
            "{}",
        ] {
            assert_eq!(queue.ask(raw(requests)).await.expect_err(requests), NoInput::Unsupported);
        }
        assert!(queue.next().is_none());
    }

    #[tokio::test]
    async fn a_client_that_says_less_is_not_asked_what_waits_for_it() {
        let queue = queue(16);
        let fewer = InputAbilities { roots: false, ..FORM };
        let (answer, ()) = tokio::join!(queue.ask(two()), async {
            queue.arrived().await;
            queue.able_to(fewer);
            assert!(queue.next().is_none());
        });
        assert_eq!(answer.expect_err("too much"), NoInput::Unsupported);
        assert_eq!(queue.abilities(), fewer);
    }

    #[tokio::test]
    async fn who_has_gone_is_asked_nothing() {
        let queue = queue(16);
        let (answer, ()) = tokio::join!(queue.ask(two()), async {
            queue.arrived().await;
            queue.close();
        });
        assert_eq!(answer.expect_err("gone"), NoInput::Unanswered);
        assert_eq!(queue.ask(two()).await.expect_err("gone"), NoInput::Unanswered);
    }

    #[tokio::test]
    async fn a_principal_that_was_asked_too_much_is_asked_no_more_until_it_answers() {
        let first = queue(3);
        let second = QuestionQueue::new(FORM, &first.actor, &first.allowance);
        let overload = async {
            first.arrived().await;
            assert_eq!(second.ask(two()).await.expect_err("too many"), NoInput::Overloaded);
            first.next().expect("a question").answer(raw("{}"));
        };
        let (answers, ()) = tokio::join!(first.ask(two()), overload);
        assert!(answers.is_ok());
        let room = async {
            second.arrived().await;
            second.next().expect("a question").answer(raw("{}"));
        };
        let (answers, ()) = tokio::join!(second.ask(two()), room);
        assert!(answers.is_ok(), "there is room again");
    }
}
