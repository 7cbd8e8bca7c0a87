//! The caller's own token: what a person has stored for a server that is asked in their name.
//!
//! Where the tokens are kept is `quaymaster-control::vault`. A server is listed with the gateway's own
//! credentials; each call goes with its caller's token and with nobody else's.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use quaymaster_core::{ActorId, CallError, CallerToken, ErrorCode, Memory, PartedBuf, Workspace};
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::McpConnector;
use super::check::server::Server;
use super::scrub::Scrub;
use crate::ask::{Account, Ask};

/// Of how many callers what is sent is remembered.
const REMEMBERED: usize = 1_000;

/// How a token is sent.
pub(super) struct CallerHeader {
    name: HeaderName,
    scheme: String,
    made: Memory<(Workspace, ActorId), Arc<CallerCredential>>,
}

/// A token as it is sent.
pub(crate) struct CallerCredential {
    token: Arc<CallerToken>,
    name: HeaderName,
    value: HeaderValue,
    scrub: Option<Scrub>,
}

impl CallerCredential {
    /// Puts it into a request.
    pub(super) fn put_into(&self, headers: &mut HeaderMap) {
        headers.insert(self.name.clone(), self.value.clone());
    }

    /// `bytes` that the server sent, without it.
    pub(super) fn clean(&self, bytes: Bytes) -> Bytes {
        match &self.scrub {
            Some(scrub) => scrub.clean_bytes(bytes),
            None => bytes,
        }
    }

    /// Whether `bytes` hold it.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.scrub.as_ref().is_some_and(|scrub| scrub.is_in(bytes))
    }
}

impl CallerHeader {
    pub(super) fn new(name: HeaderName, scheme: &str) -> Self {
        Self { name, scheme: scheme.to_owned(), made: Memory::of(REMEMBERED) }
    }

    fn credential(&self, token: Arc<CallerToken>) -> Option<CallerCredential> {
        let text = token.text.expose_secret();
        let space = if self.scheme.is_empty() { "" } else { " " };
        let text = Zeroizing::new(format!("{}{space}{text}", self.scheme));
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        let scrub = Scrub::of([token.text.expose_secret()]);
        Some(CallerCredential { token, name: self.name.clone(), value, scrub })
    }
}

impl McpConnector {
    /// Whether calls of this server are made with tokens of their callers.
    pub(super) fn asks_in_names_of_callers(&self) -> bool {
        self.caller_header().is_some()
    }

    fn caller_header(&self) -> Option<&CallerHeader> {
        match &self.shared.settings.server {
            Server::Http(server) => server.caller.as_ref(),
            Server::Stdio(_) | Server::Sse(_) => None,
        }
    }

    /// Runs a call with the token of its caller; once more if they have stored another one since it was read.
    pub(super) async fn run_as_caller(
        &self,
        ask: &Ask<'_>,
        account: &mut Account,
    ) -> Result<PartedBuf, CallError> {
        let credential = self.caller_credential(ask, None).await?;
        let with = |credential| Ask { credential: Some(credential), ..ask.clone() };
        let error = match self.call(&with(Arc::clone(&credential)), account).await {
            // A request that is refused so was not applied (RFC 9110, section 15.5.2).
            Err(error) if error.code == ErrorCode::UpstreamAuthRequired && account.retries == 0 => error,
            outcome => return outcome,
        };
        let refused = credential.token.version;
        let again = self.caller_credential(ask, Some(refused)).await?;
        if again.token.version == refused {
            return Err(error);
        }
        account.retries += 1;
        self.call(&with(again), account).await
    }

    /// What `ask` is made with. `refused` is the version of a token that the server did not take.
    ///
    /// # Errors
    ///
    /// `upstream.auth_required` if the caller has stored none; what the vault says if it cannot be asked.
    async fn caller_credential(
        &self,
        ask: &Ask<'_>,
        refused: Option<u64>,
    ) -> Result<Arc<CallerCredential>, CallError> {
        let connector = &self.shared.settings.connector;
        let found = match ask.tokens {
            Some(tokens) => tokens.find(connector, ask.actor, refused).await?,
            None => None,
        };
        let (Some(token), Some(header)) = (found, self.caller_header()) else {
            return Err(none_stored(connector.as_str(), ask));
        };
        let key = (ask.actor.workspace.clone(), ask.actor.id.clone());
        let made = header.made.get(&key).filter(|made| Arc::ptr_eq(&made.token, &token));
        if let Some(made) = made {
            return Ok(made);
        }
        let made = header.credential(token).map(Arc::new).ok_or_else(|| {
            let message = "your own token holds characters that a header cannot hold";
            CallError::new(ErrorCode::UpstreamAuthRequired, message).hint("have another one stored")
        })?;
        header.made.insert(key, Arc::clone(&made));
        Ok(made)
    }
}

fn none_stored(connector: &str, ask: &Ask<'_>) -> CallError {
    let message = "the MCP server is asked in your name, and no token of yours is stored for it";
    CallError::new(ErrorCode::UpstreamAuthRequired, message).hint(format!(
        "get a token from the system itself, and have whoever runs the gateway store it: `quaymaster credentials put \
         --connector {connector} --workspace {} --subject {}`",
        ask.actor.workspace, ask.actor.id
    ))
}
