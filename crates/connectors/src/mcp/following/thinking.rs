//! The client of a task: it is asked so often at most, and the task's time stands still meanwhile.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quaymaster_core::{InputAbilities, InputPort, NoInput, RawBuf};

use super::super::question::{MAX_ROUNDS, Pause};

/// The client of a task, and how long it has thought about what it was asked.
#[derive(Debug)]
pub(super) struct Thinking {
    port: Arc<dyn InputPort>,
    pause: Pause,
    asked: AtomicUsize,
}

impl Thinking {
    pub(super) fn over(port: Option<&Arc<dyn InputPort>>, pause: &Pause) -> Option<Arc<dyn InputPort>> {
        let thinking = |port| Self { port, pause: pause.clone(), asked: AtomicUsize::new(0) };
        port.map(|port| Arc::new(thinking(Arc::clone(port))) as Arc<dyn InputPort>)
    }
}

impl InputPort for Thinking {
    fn abilities(&self) -> InputAbilities {
        self.port.abilities()
    }

    fn ask<'a>(
        &'a self,
        requests: RawBuf,
    ) -> Pin<Box<dyn Future<Output = Result<RawBuf, NoInput>> + Send + 'a>> {
        Box::pin(async move {
            if self.asked.fetch_add(1, Ordering::Relaxed) >= MAX_ROUNDS {
                return Err(NoInput::Unanswered);
            }
            let _still = self.pause.stand();
            self.port.ask(requests).await
        })
    }
}
