//! The calls of one client that are under way, so that it can take them back.

use std::sync::{Mutex, PoisonError};

use quaymaster_core::rpc::RequestId;
use tokio_util::sync::CancellationToken;

use super::refusal::Refusal;

/// How many calls one client may have under way.
const MAX_CALLS: usize = 256;

/// Calls by the id of their request.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<Vec<(RequestId, CancellationToken)>>);

impl InFlight {
    /// Notes that a call began.
    ///
    /// Refuses an id that is in use, which would leave it open which of two
    /// calls a cancellation means, and more calls than fit.
    pub(super) fn begin(&self, id: &RequestId, cancel: &CancellationToken) -> Result<(), Refusal> {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.iter().any(|(other, _)| other == id) {
            return Err(Refusal::invalid_request(
                http::StatusCode::BAD_REQUEST,
                "a request with this `id` is still under way: use each id once",
            ));
        }
        if calls.len() >= MAX_CALLS {
            return Err(Refusal::overloaded(format!("{MAX_CALLS} calls are under way: wait for one to end")));
        }
        calls.push((id.clone(), cancel.clone()));
        Ok(())
    }

    /// Has a cancellation of the request `id` take back the call of `cancel` from now on.
    pub(super) fn redirect(&self, id: &RequestId, cancel: &CancellationToken) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, token)) = calls.iter_mut().find(|(other, _)| other == id) {
            *token = cancel.clone();
        }
    }

    /// Notes that a call ended.
    pub(super) fn end(&self, id: &RequestId) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = calls.iter().position(|(other, _)| other == id) {
            calls.swap_remove(at);
        }
    }

    /// Takes a call back; one that is not under way is none of our business
    /// (MCP, cancellation: late and unknown ids are ignored).
    pub(super) fn cancel(&self, id: &RequestId) {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let token = calls.iter().find(|(other, _)| other == id).map(|(_, token)| token.clone());
        drop(calls);
        if let Some(token) = token {
            token.cancel();
        }
    }

    /// Whether no call is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancellation_means_one_call() {
        let calls = InFlight::default();
        let (one, two) = (CancellationToken::new(), CancellationToken::new());
        assert!(calls.begin(&RequestId::number(1), &one).is_ok());
        assert!(calls.begin(&RequestId::number(2), &two).is_ok());
        assert!(calls.begin(&RequestId::number(2), &two).is_err());
        calls.cancel(&RequestId::number(2));
        assert_eq!((one.is_cancelled(), two.is_cancelled()), (false, true));
    }

    #[test]
    fn an_id_is_free_again_when_its_call_ended() {
        let calls = InFlight::default();
        let (first, second) = (CancellationToken::new(), CancellationToken::new());
        assert!(calls.begin(&RequestId::number(1), &first).is_ok());
        calls.end(&RequestId::number(1));
        assert!(calls.is_empty());
        assert!(calls.begin(&RequestId::number(1), &second).is_ok());
    }

    #[test]
    fn the_number_of_calls_is_bounded() {
        let calls = InFlight::default();
        for n in 0..256 {
            assert!(calls.begin(&RequestId::number(n), &CancellationToken::new()).is_ok());
        }
        let refusal = calls.begin(&RequestId::number(256), &CancellationToken::new()).expect_err("full");
        assert_eq!(refusal.code, quaymaster_core::ErrorCode::GatewayOverloaded);
    }
}
