//! What a client is asked in the middle of its call.
//!
//! A call puts its questions into a [`QuestionQueue`]. A session's client gets each
//! as a request of ours and answers it with a response; a modern client gets all of
//! them as the result of its request and makes that request again.
//!
//! Invariants:
//! - A client is asked nothing that it did not say it can be asked.
//! - An answer goes to the question whose id it carries, in the session in which it
//!   was asked; any other goes nowhere.
//! - Questions that nobody waits for any more take no room, and those of one principal
//!   over all its sessions not too much; who finds no room is told so.

mod queue;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quaymaster_core::raw::Raw;
use quaymaster_core::rpc::RequestId;
use quaymaster_core::{InputMethod, InputRequest, NoInput, RawBuf};
use tokio::sync::oneshot;

pub(super) use self::queue::QuestionQueue;

/// How long a person may think.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);

/// How many requests of ours a session may have open.
const MAX_OPEN: usize = 64;

/// One question: requests by name.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) requests: RawBuf,
    answer: oneshot::Sender<Result<RawBuf, NoInput>>,
}

impl Question {
    /// Gives the answers, an object of results by name.
    pub(super) fn answer(self, answers: RawBuf) {
        // A call that has ended forgoes them.
        let _ = self.answer.send(Ok(answers));
    }

    /// Says why there will be no answer.
    pub(super) fn decline(self, why: NoInput) {
        let _ = self.answer.send(Err(why));
    }

    /// Whether nobody waits for the answers any more.
    pub(super) fn is_closed(&self) -> bool {
        self.answer.is_closed()
    }

    /// The requests as they came, by name.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, RawBuf)> {
        self.requests.as_raw().members().into_iter().flatten().filter_map(|member| {
            let (name, request) = member.ok()?;
            Some((name.into_owned(), request.to_buf()))
        })
    }

    /// The requests by name.
    fn each(&self) -> impl Iterator<Item = (String, InputRequest<'_>)> {
        self.requests.as_raw().members().into_iter().flatten().filter_map(|member| {
            let (name, request) = member.ok()?;
            Some((name.into_owned(), InputRequest::read(request)?))
        })
    }
}

/// The requests of ours that a session's client has not answered.
#[derive(Debug)]
pub(super) struct OpenRequests {
    /// How the ids of these requests begin, and no others of the session.
    prefix: String,
    table: Mutex<Table>,
}

impl Default for OpenRequests {
    fn default() -> Self {
        Self::tagged("")
    }
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    open: HashMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    round: Arc<Mutex<Round>>,
    name: String,
    method: InputMethod,
}

/// The requests of one question.
#[derive(Debug)]
struct Round {
    question: Option<Question>,
    answers: Vec<(String, String)>,
    wanted: usize,
}

/// How our ids begin.
const PREFIX: &str = "quaymaster-";

impl OpenRequests {
    /// None yet, with ids that have `tag` in them.
    pub(super) fn tagged(tag: &str) -> Self {
        Self { prefix: format!("{PREFIX}{tag}"), table: Mutex::default() }
    }

    /// The requests by which `question` is put. None if too many are open, which it is told.
    pub(super) fn open(&self, question: Question) -> Vec<String> {
        let each = question.each();
        let requests: Vec<(String, InputMethod, String)> =
            each.map(|(name, request)| (name, request.method, request.params.get().to_owned())).collect();
        let mut table = lock(&self.table);
        table.open.retain(|_, open| {
            lock(&open.round).question.as_ref().is_some_and(|question| !question.answer.is_closed())
        });
        if table.open.len() + requests.len() > MAX_OPEN {
            question.decline(NoInput::Overloaded);
            return Vec::new();
        }
        let wanted = requests.len();
        let round = Arc::new(Mutex::new(Round { question: Some(question), answers: Vec::new(), wanted }));
        let put = |(name, method, params): (String, InputMethod, String)| {
            table.last += 1;
            let id = table.last;
            table.open.insert(id, Open { round: Arc::clone(&round), name, method });
            let (method, prefix) = (method.as_str(), &self.prefix);
            format!(r#"{{"jsonrpc":"2.0","id":"{prefix}{id}","method":"{method}","params":{params}}}"#)
        };
        requests.into_iter().map(put).collect()
    }

    /// Takes the client's response to one of them.
    pub(super) fn settle(&self, id: &RequestId, outcome: Result<Raw<'_>, Raw<'_>>) {
        let number = id.as_json().strip_prefix('"').and_then(|id| id.strip_suffix('"'));
        let number = number.and_then(|id| id.strip_prefix(&self.prefix)).and_then(|n| n.parse::<u64>().ok());
        let Some(open) = number.and_then(|number| lock(&self.table).open.remove(&number)) else { return };
        let mut round = lock(&open.round);
        let answer = match outcome {
            Ok(result) if result.get().starts_with('{') => Some(result.get().to_owned()),
            // A client that cannot or will not show a form has cancelled it.
            _ if open.method == InputMethod::Elicit => Some(r#"{"action":"cancel"}"#.to_owned()),
            _ => None,
        };
        let Some(answer) = answer else {
            if let Some(question) = round.question.take() {
                question.decline(NoInput::Declined);
            }
            return;
        };
        round.answers.push((open.name, answer));
        if round.answers.len() == round.wanted
            && let Some(question) = round.question.take()
        {
            let members: Vec<String> = round
                .answers
                .iter()
                .map(|(name, answer)| format!("{}:{answer}", serde_json::Value::from(name.as_str())))
                .collect();
            if let Ok(answers) = RawBuf::read(&format!("{{{}}}", members.join(","))) {
                question.answer(answers);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use quaymaster_core::InputPort as _;

    use super::queue::fixture::{queue, raw, two};
    use super::*;

    #[tokio::test]
    async fn a_session_answers_one_by_one_and_the_call_gets_all_together() {
        let (queue, open) = (queue(16), OpenRequests::default());
        let answer = async {
            queue.arrived().await;
            let requests = open.open(queue.next().expect("a question"));
            assert_eq!(requests.len(), 2);
            let settle = |id: &str, result: &str| {
                let id = RequestId::parse(Raw::read(id).expect("JSON")).expect("an id");
                open.settle(&id, Ok(Raw::read(result).expect("JSON")));
            };
            settle("\"quaymaster-2\"", r#"{"roots":[]}"#);
            settle("\"quaymaster-2\"", r#"{"roots":["twice"]}"#);
            settle("1", r#"{"action":"forged"}"#);
            settle("\"quaymaster-1\"", r#"{"action":"accept"}"#);
            requests
        };
        let (answers, requests) = tokio::join!(queue.ask(two()), answer);
        insta::assert_snapshot!(requests.join("\n"));
        assert_eq!(answers.expect("answers").get(), r#"{"where":{"roots":[]},"name":{"action":"accept"}}"#);
    }

    #[tokio::test]
    async fn a_form_that_is_not_shown_is_cancelled_and_anything_else_declined() {
        let (queue, open) = (queue(16), OpenRequests::default());
        let error = raw(r#"{"code":-1,"message":"no"}"#);
        let refuse = async {
            queue.arrived().await;
            open.open(queue.next().expect("a question"));
            for id in ["\"quaymaster-1\"", "\"quaymaster-2\""] {
                let id = RequestId::parse(Raw::read(id).expect("JSON")).expect("an id");
                open.settle(&id, Err(error.as_raw()));
            }
        };
        let (answers, ()) = tokio::join!(queue.ask(two()), refuse);
        assert_eq!(answers.expect_err("no roots"), NoInput::Declined);
        assert!(lock(&open.table).open.is_empty());
    }

    #[tokio::test]
    async fn a_session_that_was_asked_too_much_says_so() {
        let open = OpenRequests::default();
        let queues: Vec<QuestionQueue> = (0..=MAX_OPEN / 2).map(|_| queue(2)).collect();
        let mut answer = None;
        let mut asking = Vec::new();
        for queue in &queues {
            let mut asked = queue.ask(two());
            assert!(futures_util::poll!(&mut asked).is_pending());
            let requests = open.open(queue.next().expect("a question"));
            if requests.is_empty() {
                answer = Some(asked.await);
            } else {
                asking.push(asked);
            }
        }
        assert_eq!(asking.len(), MAX_OPEN / 2);
        assert_eq!(answer.expect("the last one").expect_err("no room"), NoInput::Overloaded);
    }
}
