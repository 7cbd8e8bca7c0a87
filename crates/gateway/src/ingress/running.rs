//! A call that runs, and what it has to say to whoever waits for it.

use std::sync::Arc;

use quaymaster_core::{CallId, Reply, TaskTerms};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::lasting::Lasting;
use super::progress::{NoteQueue, ProgressToken};
use super::question::{Question, QuestionQueue};
use super::task::Slip;

/// A call that runs, whoever waits for it.
pub(super) struct Running {
    pub(super) key: CallId,
    pub(super) reply: Lasting<Reply>,
    pub(super) notes: Option<Arc<NoteQueue>>,
    /// Under which name its client hears of progress.
    pub(super) token: Option<ProgressToken>,
    pub(super) questions: Option<Arc<QuestionQueue>>,
    /// By which it can become a task.
    pub(super) slip: Option<Arc<Slip>>,
    /// Takes the call back.
    pub(super) cancel: CancellationToken,
    /// Takes the call back when it is dropped.
    pub(super) leaving: Option<DropGuard>,
}

/// What a call has to say.
pub(super) enum News {
    Reply(Option<Reply>),
    Question(Question),
    /// The client need not wait.
    Task(TaskTerms),
    Note,
}

/// Whoever waited has gone: what the call would still ask is asked of nobody.
impl Drop for Running {
    fn drop(&mut self) {
        if let Some(questions) = &self.questions {
            questions.close();
        }
    }
}

impl Running {
    /// Waits for the next thing.
    pub(super) async fn news(&mut self) -> News {
        loop {
            // What is asked after the task has begun is asked of who holds it.
            if let Some(terms) = self.slip.as_ref().and_then(|slip| slip.begun()) {
                return News::Task(terms);
            }
            if let Some(question) = self.questions.as_ref().and_then(|queue| queue.next()) {
                return News::Question(question);
            }
            tokio::select! {
                biased;
                reply = &mut self.reply => return News::Reply(reply),
                () = questioned(self.questions.as_ref()) => {}
                () = begun(self.slip.as_ref()) => {}
                () = told(self.notes.as_ref()) => return News::Note,
            }
        }
    }
}

async fn questioned(queue: Option<&Arc<QuestionQueue>>) {
    match queue {
        Some(queue) => queue.arrived().await,
        None => std::future::pending().await,
    }
}

async fn begun(slip: Option<&Arc<Slip>>) {
    match slip {
        Some(slip) => slip.arrived().await,
        None => std::future::pending().await,
    }
}

async fn told(queue: Option<&Arc<NoteQueue>>) {
    match queue {
        Some(queue) => queue.arrived().await,
        None => std::future::pending().await,
    }
}
