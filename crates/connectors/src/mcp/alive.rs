//! That a server asks something in the middle of a call shows that it is there.
//!
//! A person may think for minutes, and the call's answer says only after that whether
//! the server answers. The breaker (`breaker`) is told as soon as it is known.

use std::pin::Pin;
use std::sync::Arc;

use quaymaster_core::{InputAbilities, InputPort, NoInput, RawBuf};
use tokio::sync::Notify;

/// The client of a call, and whether it is asked something.
pub(super) struct Alive {
    port: Option<Arc<dyn InputPort>>,
    asked: Arc<Notify>,
}

impl Alive {
    /// Watches what `port` is asked.
    pub(super) fn over(port: Option<&Arc<dyn InputPort>>) -> Self {
        let asked = Arc::new(Notify::new());
        let noted = |port: &Arc<dyn InputPort>| Noted { port: Arc::clone(port), asked: Arc::clone(&asked) };
        Self { port: port.map(|port| Arc::new(noted(port)) as Arc<dyn InputPort>), asked }
    }

    /// The client, where it can be asked.
    pub(super) fn port(&self) -> Option<&Arc<dyn InputPort>> {
        self.port.as_ref()
    }

    /// Waits for `call`, and does `then` each time that the client is asked meanwhile.
    pub(super) async fn tell<T>(
        &self,
        mut call: Pin<&mut impl Future<Output = T>>,
        mut then: impl FnMut(),
    ) -> T {
        loop {
            tokio::select! {
                biased;
                outcome = &mut call => return outcome,
                () = self.asked.notified() => then(),
            }
        }
    }
}

#[derive(Debug)]
struct Noted {
    port: Arc<dyn InputPort>,
    asked: Arc<Notify>,
}

impl InputPort for Noted {
    fn abilities(&self) -> InputAbilities {
        self.port.abilities()
    }

    fn ask<'a>(
        &'a self,
        requests: RawBuf,
    ) -> Pin<Box<dyn Future<Output = Result<RawBuf, NoInput>> + Send + 'a>> {
        self.asked.notify_one();
        self.port.ask(requests)
    }
}
