//! Answers to what a server asks of us, and of the client of a call.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_core::Raw;
use quaymaster_core::rpc::RequestId;

use super::super::question::{self, Asked, Questions};
use super::super::wire::{self, Era};
use super::{ASIDE_LIMIT, Http};

/// How long a server may take to accept the answer to a question.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

impl Http {
    /// Answers a request of the server's: a question by who is to be asked `questions`, if there is somebody.
    pub(super) fn answer(
        &self,
        id: RequestId,
        method: &str,
        params: Option<Raw<'_>>,
        questions: impl FnOnce() -> Option<Questions>,
    ) {
        match Asked::read(method, params).and_then(|asked| Some((asked, questions()?))) {
            Some((asked, questions)) => self.respond(id, asked, questions),
            None => self.reply(&id, method),
        }
    }

    /// Answers a request by ourselves. A modern server has none, and one that asks faster than it takes
    /// answers gets none.
    fn reply(&self, id: &RequestId, method: &str) {
        if self.era == Era::Modern {
            return;
        }
        self.send_aside(wire::answer_to_server(id, method));
    }

    /// Sends a message that nobody waits for, if there is room for one more.
    fn send_aside(&self, message: String) {
        if let Ok(permit) = Arc::clone(&self.replies).try_acquire_owned() {
            let http = self.clone();
            tokio::spawn(async move {
                let _ = tokio::time::timeout(ASIDE_LIMIT, http.notify(message)).await;
                drop(permit);
            });
        }
    }

    /// Puts a question of the server's to the client of the call, and sends the answer.
    fn respond(&self, id: RequestId, asked: Asked, questions: Questions) {
        if self.era == Era::Modern {
            return;
        }
        let Ok(permit) = Arc::clone(&self.questions).try_acquire_owned() else {
            return self.send_aside(question::no_room(&id));
        };
        let http = self.clone();
        tokio::spawn(async move {
            if let Some(response) = questions.respond(&id, asked).await {
                let sent = tokio::time::timeout(ANSWER_LIMIT, http.notify(response)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    tracing::warn!(
                        event = "upstream.answer",
                        "a server did not take the answer to its question"
                    );
                }
            }
            drop(permit);
        });
    }
}
