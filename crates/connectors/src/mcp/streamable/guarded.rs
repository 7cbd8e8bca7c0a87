//! What lets us in, on its way out; and that it does not come back.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use super::super::caller::CallerCredential;
use super::super::credential::Credentials;
use super::super::failure::Failure;
use super::Http;
use super::response::no_response;
use crate::egress::{Incoming, Payload};

/// Marks a response to a credential that is another one by now.
#[derive(Clone, Copy)]
struct Renewed;

/// Whether the credential that `response` refuses is another one by now.
pub(super) fn renewed(response: &Response<Incoming>) -> bool {
    response.extensions().get::<Renewed>().is_some()
}

impl Http {
    /// Sends `request` with what lets us in. Where that is refused, its source has been asked for another
    /// one when this returns.
    pub(super) async fn send(&self, request: Request<Payload>) -> Result<Response<Incoming>, Failure> {
        match &self.credentials {
            // The futures of calls without need no room for it.
            Some(credentials) => Box::pin(self.send_with(credentials, request)).await,
            None => self.egress.send(request).await.map_err(no_response),
        }
    }

    async fn send_with(
        &self,
        credentials: &Credentials,
        mut request: Request<Payload>,
    ) -> Result<Response<Incoming>, Failure> {
        let sent = credentials.current().await?;
        sent.put_into(request.headers_mut());
        let mut response = self.egress.send(request).await.map_err(no_response)?;
        if response.status() == StatusCode::UNAUTHORIZED && credentials.renew(&sent).await {
            response.extensions_mut().insert(Renewed);
        }
        Ok(response)
    }

    /// `bytes` of a response, without what was sent for it.
    pub(super) fn clean(&self, bytes: Bytes, credential: Option<&Arc<CallerCredential>>) -> Bytes {
        let bytes = match &self.credentials {
            Some(credentials) => credentials.clean(bytes),
            None => bytes,
        };
        match credential {
            Some(credential) => credential.clean(bytes),
            None => bytes,
        }
    }

    /// The same of an event of a stream.
    pub(super) fn clean_event(&self, event: Vec<u8>, credential: Option<&Arc<CallerCredential>>) -> Vec<u8> {
        if self.credentials.is_none() && credential.is_none() {
            return event;
        }
        self.clean(event.into(), credential).into()
    }

    /// Whether `bytes` hold what was sent.
    pub(super) fn is_given_back(&self, bytes: &[u8], credential: Option<&CallerCredential>) -> bool {
        self.credentials.as_ref().is_some_and(|credentials| credentials.is_in(bytes))
            || credential.is_some_and(|credential| credential.is_in(bytes))
    }
}
