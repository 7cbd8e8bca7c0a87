//! Logging in on the command line, at an issuer, and being somebody by it from then on.
//!
//! What is kept of a log-in is sealed by the keys of this installation: it is of no use elsewhere,
//! holds no token of the issuer, and ends by itself.

use std::sync::Arc;

use quaymaster_control::audit::Event;
use quaymaster_control::console::note;
use quaymaster_control::identity::{Begun, LoginWay, Returned, Voucher};
use quaymaster_control::keyring::Binding;
use quaymaster_core::{Actor, CallError, ErrorCode, Timestamp};

use super::{Office, OfficeError};
use crate::state::StartError;

/// For what it is sealed who logged in on the command line.
const SEALED: Binding<'static> = Binding { purpose: "command-line-login", holder: &[] };

/// Somebody who logged in.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub actor: Arc<Actor>,
    /// What to show from now on, sealed. Lets in like a token, where the data folder can be opened.
    pub credential: String,
    /// Until when it counts.
    pub until: Timestamp,
}

impl Office {
    /// Begins a log-in at `issuer`, or at the only one, whose answer comes to `redirect_uri`; gives
    /// where a browser is sent.
    ///
    /// # Errors
    ///
    /// [`OfficeError::Refused`] if it is not said at which of several; [`OfficeError::Login`].
    pub async fn begin_login(
        &self,
        issuer: Option<&str>,
        redirect_uri: &str,
    ) -> Result<(Begun, String), OfficeError> {
        let identity = self.prepare()?;
        let known: Vec<String> = identity.login_issuers().iter().map(ToString::to_string).collect();
        let name = match (issuer, known.as_slice()) {
            (Some(name), names) if names.iter().any(|known| known == name) => name,
            (None, [only]) => only,
            (_, []) => {
                let message = "people log in at no issuer here: say how in `identity.issuers[].login`";
                return Err(OfficeError::Refused(message.into()));
            }
            (_, names) => {
                let message = format!("say at which issuer: --issuer {}", names.join(" or --issuer "));
                return Err(OfficeError::Refused(message));
            }
        };
        let randomness = self.state.randomness.as_ref();
        Ok(identity.begin_login(name, redirect_uri, LoginWay::CommandLine, randomness).await?)
    }

    /// Logs in whoever an issuer vouches for. That they did is in the audit log before it counts.
    ///
    /// # Errors
    ///
    /// [`OfficeError::Login`] if the answer does not count; [`OfficeError::Start`] if the log fails.
    pub async fn finish_login(&self, begun: &Begun, returned: Returned<'_>) -> Result<SignedIn, OfficeError> {
        let (voucher, actor) = self.prepare()?.finish_login(begun, returned).await?;
        self.note_login(Event::CliSignedIn, &actor).await?;
        let text = serde_json::to_string(&voucher).unwrap_or_default();
        let sealed = self.state.keys.seal(&SEALED, &text, voucher.lifetime());
        let credential = sealed.map_err(StartError::from)?;
        Ok(SignedIn { actor, credential, until: voucher.until() })
    }

    /// Who is at the counter by a log-in, as the configuration of now has them.
    ///
    /// # Errors
    ///
    /// `auth.invalid` if it is over or of another installation, or gives nobody any more.
    pub fn visitor_by_login(&self, credential: &str) -> Result<Arc<Actor>, CallError> {
        let identity = self.prepare()?;
        let sealed = self.state.keys.open(&SEALED, credential.trim()).ok();
        let voucher = sealed.and_then(|text| serde_json::from_str::<Voucher>(&text).ok());
        voucher.and_then(|voucher| identity.vouched(&voucher)).ok_or_else(|| {
            CallError::new(ErrorCode::AuthInvalid, "your log-in is over, or of another installation")
                .hint("log in again: `quaymaster login`; or be the local user again: `quaymaster logout`")
        })
    }

    /// Records that somebody logs out; whoever is nobody any more leaves no record.
    ///
    /// # Errors
    ///
    /// [`OfficeError::Start`] if the log fails.
    pub async fn end_login(&self, credential: &str) -> Result<(), OfficeError> {
        match self.visitor_by_login(credential) {
            Ok(actor) => self.note_login(Event::CliSignedOut, &actor).await,
            Err(_) => Ok(()),
        }
    }

    async fn note_login(&self, event: Event, actor: &Actor) -> Result<(), OfficeError> {
        let evidence = self.evidence().await?;
        let noted = note(event, actor, &evidence).await;
        evidence.audit.close().await;
        Ok(noted.map_err(StartError::from)?)
    }
}
