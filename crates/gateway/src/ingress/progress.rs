//! How far a call got and what is logged meanwhile, on the way to the client.
//!
//! A call tells as fast as it likes and never waits for the client. What it tells
//! queues up to a bound; beyond it the newest report of progress replaces the one
//! before, so what a slow client sees grows all the same and ends with the latest,
//! and log messages are dropped.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use quaymaster_core::rpc::RequestId;
use quaymaster_core::{LogLevel, LogSink, Progress, ProgressSink, RawBuf};
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

    /// The notification that carries `progress`.
    pub(super) fn notification(&self, progress: &Progress) -> String {
        let mut members = format!(r#""progressToken":{},"progress":{}"#, self.0.as_json(), progress.progress);
        if let Some(total) = &progress.total {
            let _ = write!(members, r#","total":{total}"#);
        }
        if let Some(message) = &progress.message {
            let _ = write!(members, r#","message":{}"#, Value::from(bounded(message, MAX_MESSAGE_BYTES)));
        }
        quaymaster_core::rpc::notification("notifications/progress", &format!("{{{members}}}"))
    }
}

/// The notification of a log message with these parameters.
pub(super) fn log_notification(params: &RawBuf) -> String {
    quaymaster_core::rpc::notification("notifications/message", params.get())
}

/// Something that a call tells before its result.
#[derive(Clone, Debug)]
pub(super) enum Note {
    Progress(Progress),
    /// The parameters of a log message.
    Log(RawBuf),
}

/// What waits for a client.
#[derive(Debug)]
pub(super) struct NoteQueue {
    waiting: Mutex<VecDeque<Note>>,
    arrived: Notify,
    level: LogLevel,
}

impl NoteQueue {
    /// An empty queue for somebody who reads log messages from `level` on.
    pub(super) fn new(level: LogLevel) -> Self {
        Self { waiting: Mutex::default(), arrived: Notify::new(), level }
    }

    /// The next note, if one waits.
    pub(super) fn next(&self) -> Option<Note> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Waits until a report arrived. May come back without one.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

impl ProgressSink for NoteQueue {
    fn report(&self, progress: Progress) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let reports = waiting.iter().filter(|note| matches!(note, Note::Progress(_))).count();
        if reports >= MAX_WAITING
            && let Some(newest) = waiting.iter().rposition(|note| matches!(note, Note::Progress(_)))
        {
            waiting.remove(newest);
        }
        waiting.push_back(Note::Progress(progress));
        drop(waiting);
        self.arrived.notify_one();
    }
}

impl LogSink for NoteQueue {
    fn level(&self) -> LogLevel {
        self.level
    }

    fn log(&self, params: RawBuf) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.iter().filter(|note| matches!(note, Note::Log(_))).count() >= MAX_LOGS {
            return;
        }
        waiting.push_back(Note::Log(params));
        drop(waiting);
        self.arrived.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use quaymaster_core::Raw;
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
        let queue = NoteQueue::new(LogLevel::Info);
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
        let queue = NoteQueue::new(LogLevel::Info);
        let message = RawBuf::read(r#"{"level":"info","data":"x"}"#).expect("JSON");
        (0..1_000).for_each(|_| queue.log(message.clone()));
        queue.report(progress(1));
        let notes: Vec<Note> = std::iter::from_fn(|| queue.next()).collect();
        assert_eq!(notes.len(), MAX_LOGS + 1);
        assert!(matches!(notes.last(), Some(Note::Progress(_))));
    }

    #[test]
    fn the_clients_own_token_comes_back_as_it_was_sent() {
        let token = token(r#""a\u0062""#).expect("a token").expect("one");
        let report =
            Progress { progress: 1.into(), total: Number::from_f64(2.5), message: Some("half\n".into()) };
        assert_eq!(
            token.notification(&report),
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"a\u0062","progress":1,"total":2.5,"message":"half\n"}}"#
        );
    }

    #[test]
    fn a_token_is_a_string_or_an_integer() {
        assert!(token("0").is_ok_and(|t| t.is_some()));
        for bad in ["null", "1.5", "[]", "{}", "true"] {
            assert!(token(bad).is_err(), "{bad}");
        }
    }
}
