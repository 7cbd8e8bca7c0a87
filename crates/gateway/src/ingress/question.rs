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

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quaymaster_core::raw::Raw;
use quaymaster_core::rpc::RequestId;
use quaymaster_core::{ActorId, InputAbilities, InputMethod, InputPort, InputRequest, NoInput, RawBuf};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::allowance::Allowance;

/// How long a person may think.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);

/// How many questions of one call wait to be put.
const MAX_WAITING: usize = 16;

/// How many requests one question may hold.
const MAX_REQUESTS: usize = 16;

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
    fn decline(self, why: NoInput) {
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

/// The questions of one call.
#[derive(Debug)]
pub(super) struct QuestionQueue {
    abilities: InputAbilities,
    actor: ActorId,
    allowance: Arc<Allowance>,
    waiting: Mutex<WaitingQuestions>,
    arrived: Notify,
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
    pub(super) fn new(abilities: InputAbilities, actor: &ActorId, allowance: &Arc<Allowance>) -> Self {
        let (actor, allowance, patience) = (actor.clone(), Arc::clone(allowance), Mutex::new(PATIENCE));
        Self { abilities, actor, allowance, waiting: Mutex::default(), arrived: Notify::new(), patience }
    }

    /// From now on an answer may take as long as `patience`.
    pub(super) fn be_patient(&self, patience: Duration) {
        *lock(&self.patience) = patience;
    }

    /// The next question, if one waits.
    pub(super) fn next(&self) -> Option<Question> {
        lock(&self.waiting).questions.pop_front()
    }

    /// Waits until a question arrived. May come back without one.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// How many requests there are, if the client can be asked all of them.
    fn count(&self, requests: &RawBuf) -> Option<usize> {
        let mut count = 0;
        for member in requests.as_raw().members()? {
            count += 1;
            let request = InputRequest::read(member.ok()?.1)?;
            if count > MAX_REQUESTS || !self.abilities.cover(request.needs()) {
                return None;
            }
        }
        (count > 0).then_some(count)
    }

    /// Nobody is there to be asked any more.
    pub(super) fn close(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.closed = true;
        waiting.questions.clear();
    }
}

impl InputPort for QuestionQueue {
    fn abilities(&self) -> InputAbilities {
        self.abilities
    }

    fn ask<'a>(
        &'a self,
        requests: RawBuf,
    ) -> Pin<Box<dyn Future<Output = Result<RawBuf, NoInput>> + Send + 'a>> {
        Box::pin(async move {
            let count = self.count(&requests).ok_or(NoInput::Unsupported)?;
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
            round.question = None;
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
    use super::*;

    const FORM: InputAbilities = InputAbilities {
        form: true,
        url: false,
        sampling: false,
        sampling_tools: false,
        roots: true,
        tasks: false,
        apps: false,
    };

    /// A queue for a principal that may hold so many requests.
    fn queue(most: usize) -> QuestionQueue {
        let ana = ActorId::parse("ana").expect("a name");
        QuestionQueue::new(FORM, &ana, &Allowance::new(most))
    }

    fn raw(text: &str) -> RawBuf {
        RawBuf::read(text).expect("JSON")
    }

    fn two() -> RawBuf {
        raw(
            r#"{"name":{"method":"elicitation/create","params":{"message":"?"}},"where":{"method":"roots/list"}}"#,
        )
    }

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
    async fn a_form_that_is_not_shown_is_cancelled_and_anything_else_unanswered() {
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
        assert_eq!(answers.expect_err("no roots"), NoInput::Unanswered);
        assert!(lock(&open.table).open.is_empty());
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
