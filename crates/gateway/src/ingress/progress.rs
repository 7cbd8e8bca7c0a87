//! How far a call got and what is logged meanwhile, on the way to the client.
//!
//! A call tells as fast as it likes and never waits for the client. What it tells
//! queues up to a bound; beyond it the newest report of progress replaces the one
//! before, so what a slow client sees grows all the same and ends with the latest,
//! and log messages are dropped.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quaymaster_core::meta::{RELATED_TASK, with_meta};
use quaymaster_core::rpc::{self, RequestId};
use quaymaster_core::{LogLevel, LogSink, Progress, ProgressSink, Raw, RawBuf};
use serde_json::Value;
use tokio::sync::Notify;

use super::params::Meta;
use super::refusal::{Refusal, bounded};

/// How many reports wait for a client.
const MAX_WAITING: usize = 16;

/// How many log messages wait for a client.
const MAX_LOGS: usize = 64;

/// How long the message of a report may be, in bytes.
const MAX_MESSAGE_BYTES: usize = 1_000;

/// The token under which a client wants to hear of progress, as JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProgressToken(RequestId);

impl ProgressToken {
    /// The token of a request, if it has one.
    pub(super) fn read(meta: &Meta<'_>) -> Result<Option<Self>, Refusal> {
        let Some(raw) = meta.progress_token else { return Ok(None) };
        RequestId::parse(raw).map(|token| Some(Self(token))).map_err(|_| {
            Refusal::malformed("`_meta.progressToken` must be a string or an integer of at most 512 bytes")
        })
    }

    /// The parameters that carry `progress`.
    fn params(&self, progress: &Progress) -> String {
        let mut members = format!(r#""progressToken":{},"progress":{}"#, self.0.as_json(), progress.progress);
        if let Some(total) = &progress.total {
            let _ = write!(members, r#","total":{total}"#);
        }
        if let Some(message) = &progress.message {
            let _ = write!(members, r#","message":{}"#, Value::from(bounded(message, MAX_MESSAGE_BYTES)));
        }
        format!("{{{members}}}")
    }
}

/// What a client wants to be told of a call while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// How far it got.
    pub(super) progress: bool,
    /// Log messages from this level on; none without one.
    pub(super) level: Option<LogLevel>,
}

impl Wanted {
    /// Everything there is.
    pub(super) const ALL: Self = Self { progress: true, level: Some(LogLevel::Debug) };
}

/// Something that a call tells before its result.
#[derive(Clone, Debug)]
pub(super) enum Note {
    Progress(Progress),
    /// The parameters of a log message.
    Log(RawBuf),
}

/// As whom a client hears of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Listener {
    /// Under which name it hears of progress; of none without one.
    pub(super) token: Option<ProgressToken>,
    /// The task that the call is, as the value of `_meta` that names it.
    pub(super) related: Option<Arc<str>>,
}

impl Listener {
    /// The notification of `note`; none if it is of something that the client does not hear of.
    pub(super) fn notification(&self, note: &Note) -> Option<String> {
        let (method, params) = match note {
            Note::Progress(progress) => ("notifications/progress", self.token.as_ref()?.params(progress)),
            Note::Log(params) => ("notifications/message", params.get().to_owned()),
        };
        let related = self.related.as_deref().and_then(|related| {
            // Messages that belong to a task say so (MCP 2025-11-25, basic/utilities/tasks).
            with_meta(Raw::read(&params).ok()?, RELATED_TASK, Some(related))
        });
        Some(rpc::notification(method, related.as_ref().unwrap_or(&params)))
    }
}

impl From<Option<ProgressToken>> for Listener {
    fn from(token: Option<ProgressToken>) -> Self {
        Self { token, related: None }
    }
}

/// What waits for a client.
#[derive(Debug)]
pub(super) struct NoteQueue {
    waiting: Mutex<WaitingNotes>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct WaitingNotes {
    notes: VecDeque<Note>,
    wanted: Wanted,
    /// How long nothing will be told.
    away: Option<Duration>,
}

impl NoteQueue {
    /// An empty queue for somebody who wants this.
    pub(super) fn new(wanted: Wanted) -> Self {
        let waiting = WaitingNotes { wanted, ..WaitingNotes::default() };
        Self { waiting: Mutex::new(waiting), arrived: Notify::new() }
    }

    /// The next note, if one waits.
    pub(super) fn next(&self) -> Option<Note> {
        self.lock().notes.pop_front()
    }

    /// How long nothing will be told, if that was said since this was last asked.
    pub(super) fn away(&self) -> Option<Duration> {
        self.lock().away.take()
    }

    /// Whether a note waits, or that there will be none.
    pub(super) fn is_waiting(&self) -> bool {
        let waiting = self.lock();
        !waiting.notes.is_empty() || waiting.away.is_some()
    }

    /// Waits until a note arrived. May come back without one.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes notes for somebody who wants this; those that wait were for another.
    pub(super) fn want(&self, wanted: Wanted) {
        *self.lock() = WaitingNotes { wanted, ..WaitingNotes::default() };
    }

    fn lock(&self) -> MutexGuard<'_, WaitingNotes> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProgressSink for NoteQueue {
    fn report(&self, progress: Progress) {
        let mut waiting = self.lock();
        if !waiting.wanted.progress {
            return;
        }
        let notes = &mut waiting.notes;
        let reports = notes.iter().filter(|note| matches!(note, Note::Progress(_))).count();
        if reports >= MAX_WAITING
            && let Some(newest) = notes.iter().rposition(|note| matches!(note, Note::Progress(_)))
        {
            notes.remove(newest);
        }
        notes.push_back(Note::Progress(progress));
        drop(waiting);
        self.arrived.notify_one();
    }
}

impl LogSink for NoteQueue {
    fn level(&self) -> LogLevel {
        self.lock().wanted.level.unwrap_or(LogLevel::Emergency)
    }

    fn log(&self, params: RawBuf) {
        let mut waiting = self.lock();
        let logs = waiting.notes.iter().filter(|note| matches!(note, Note::Log(_))).count();
        if waiting.wanted.level.is_none() || logs >= MAX_LOGS {
            return;
        }
        waiting.notes.push_back(Note::Log(params));
        drop(waiting);
        self.arrived.notify_one();
    }

    fn away(&self, wait: Duration) {
        self.lock().away = Some(wait);
        self.arrived.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Number;

    use super::*;

    fn progress(n: u64) -> Progress {
        Progress { progress: n.into(), total: None, message: None }
    }

    fn token(text: &str) -> Result<Option<ProgressToken>, Refusal> {
        let meta = format!(r#"{{"progressToken":{text}}}"#);
        ProgressToken::read(&Meta::read(Some(Raw::read(&meta).expect("JSON"))).expect("meta"))
    }

    #[test]
    fn a_slow_client_sees_the_latest_and_nothing_goes_back() {
        let queue = NoteQueue::new(Wanted::ALL);
        (0..100).for_each(|n| queue.report(progress(n)));
        let number = |note| match note {
            Note::Progress(progress) => progress.progress,
            Note::Log(_) => panic!("nothing was logged"),
        };
        let seen: Vec<Number> = std::iter::from_fn(|| queue.next()).map(number).collect();
        let expected: Vec<Number> = (0..15).chain([99]).map(|n: u64| n.into()).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn log_messages_are_bounded_and_leave_progress_its_place() {
        let queue = NoteQueue::new(Wanted::ALL);
        let message = RawBuf::read(r#"{"level":"info","data":"x"}"#).expect("JSON");
        (0..1_000).for_each(|_| queue.log(message.clone()));
        queue.report(progress(1));
        let notes: Vec<Note> = std::iter::from_fn(|| queue.next()).collect();
        assert_eq!(notes.len(), MAX_LOGS + 1);
        assert!(matches!(notes.last(), Some(Note::Progress(_))));
    }

    #[test]
    fn only_what_is_wanted_is_told_and_nothing_that_another_wanted() {
        let queue = NoteQueue::new(Wanted { progress: true, level: None });
        let message = || RawBuf::read(r#"{"level":"emergency","data":"x"}"#).expect("JSON");
        queue.log(message());
        assert!(!queue.is_waiting());
        queue.report(progress(1));
        queue.want(Wanted { progress: false, level: Some(LogLevel::Error) });
        assert!(!queue.is_waiting(), "the report was for another");
        assert_eq!(queue.level(), LogLevel::Error);
        queue.report(progress(2));
        queue.log(message());
        assert!(matches!(queue.next(), Some(Note::Log(_))) && !queue.is_waiting());
    }

    #[test]
    fn the_clients_own_token_comes_back_as_it_was_sent() {
        let token = token(r#""a\u0062""#).expect("a token");
        let report =
            Progress { progress: 1.into(), total: Number::from_f64(2.5), message: Some("half\n".into()) };
        let listener = Listener::from(token);
        assert_eq!(
            listener.notification(&Note::Progress(report)).as_deref(),
            Some(
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"a\u0062","progress":1,"total":2.5,"message":"half\n"}}"#
            )
        );
    }

    #[test]
    fn what_a_task_tells_says_of_which_task_it_is() {
        let related = Some(r#"{"taskId":"t"}"#.into());
        let listener = Listener { token: token("1").expect("a token"), related };
        let log = RawBuf::read(r#"{"data":"x","_meta":{"io.modelcontextprotocol/related-task":7,"a":1}}"#);
        let notes = [Note::Progress(progress(2)), Note::Log(log.expect("JSON"))];
        let told: Vec<Option<String>> = notes.iter().map(|note| listener.notification(note)).collect();
        let expected = [
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":2,"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"x","_meta":{"a":1,"io.modelcontextprotocol/related-task":{"taskId":"t"}}}}"#,
        ];
        assert_eq!(told, expected.map(|text| Some(text.to_owned())));
        assert_eq!(Listener::default().notification(&Note::Progress(progress(2))), None);
    }

    #[test]
    fn a_token_is_a_string_or_an_integer() {
        assert!(token("0").is_ok_and(|t| t.is_some()));
        for bad in ["null", "1.5", "[]", "{}", "true"] {
            assert!(token(bad).is_err(), "{bad}");
        }
    }
}
