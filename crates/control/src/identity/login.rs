//! Logging people in at an issuer: `OpenID` Connect Core 1.0, authorization code with PKCE (RFC 7636).
//!
//! A log-in is begun here, its browser is somebody else's part: the console's pages, or the command
//! line. What comes back is redeemed ([`exchange`]) and what the issuer says of who that is is judged
//! ([`id_token`]). What is left of it is a [`Voucher`]: the claims, which are mapped anew whenever
//! they are used, as those of access tokens are.
//!
//! Invariants:
//! - An answer counts for the browser, the issuer and the address for which a log-in was begun.
//! - A voucher ends after a bounded time, and gives what the configuration of now makes of it.
//! - No token of the issuer is kept.

mod exchange;
mod id_token;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, Authentication, Randomness, SecretError, SecretSource, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::Identity;
use super::checked::LoginSettings;
use super::federation::Federation;
use super::introspection::encoded;
use super::issuer::Issuer;
use super::jwt::{Claims, Fault};

/// Most codes that are redeemed at one issuer at once.
const MAX_EXCHANGES: usize = 16;
/// Most bytes of a code.
const MAX_CODE_BYTES: usize = 4 * 1024;

/// The errors of an issuer that are told by name (RFC 6749, section 4.1.2.1; `OpenID` Connect Core,
/// section 3.1.2.6). What is no name of these is a stranger's text.
const NAMED: [&str; 12] = [
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "login_required",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_response_type",
];

/// Why nobody is logged in. Messages are shown to whoever tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// There is no issuer of this name at which people log in.
    #[error("nobody logs in there")]
    UnknownIssuer,
    /// No log-in was begun to which this is the answer; or it was answered, or too long ago.
    #[error("this is not the answer to a log-in that was begun in this browser in the last 10 minutes")]
    NotBegun,
    /// The issuer says no.
    #[error("the issuer refused: {0}")]
    Refused(&'static str),
    /// What the issuer answered does not count.
    #[error("what the issuer says of you does not count here")]
    Invalid(Fault),
    /// The issuer says nothing that would give an account here.
    #[error("the issuer says nothing of you by which you would have an account here")]
    Nobody,
    /// The issuer cannot be asked, or not in the way that is needed.
    #[error("the issuer cannot be asked at the moment")]
    Unavailable(&'static str),
    /// Too many log in at once.
    #[error("too many people log in at the moment; try again in a few minutes")]
    TooMany,
}

impl LoginError {
    /// The error's code, which stays the same.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownIssuer => "login.unknown_issuer",
            Self::NotBegun => "login.not_begun",
            Self::Refused(_) => "login.refused",
            Self::Invalid(_) => "login.invalid",
            Self::Nobody => "login.nobody",
            Self::Unavailable(_) => "login.unavailable",
            Self::TooMany => "login.too_many",
        }
    }

    /// For our own log: why, where the message does not say.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused(why) | Self::Invalid(why) | Self::Unavailable(why) => why,
            Self::UnknownIssuer | Self::NotBegun | Self::Nobody | Self::TooMany => "",
        }
    }
}

/// Who sends the browser to the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginWay {
    /// The pages of the console.
    Console,
    /// The command line, which listens on loopback for the answer (RFC 8252, section 7.3).
    CommandLine,
}

/// A log-in that was begun: what its answer is measured by. Whoever has it redeems the answer, so it
/// is kept sealed, or in one process. Shows nothing of itself.
#[derive(Clone, Serialize, Deserialize)]
pub struct Begun {
    issuer: Slug,
    redirect_uri: String,
    is_native: bool,
    state: String,
    nonce: String,
    verifier: String,
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Begun {
    /// The name of the issuer at which it was begun.
    pub fn issuer(&self) -> &Slug {
        &self.issuer
    }

    /// What is in the answer to this log-in and to no other.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Whether `state` is that of this log-in.
    pub fn is_its_state(&self, state: &str) -> bool {
        verify_slices_are_equal(self.state.as_bytes(), state.as_bytes()).is_ok()
    }
}

/// What a browser brought back from an issuer: parameters of a query, none that were there twice.
#[derive(Clone, Copy, Default)]
pub struct Returned<'a> {
    /// `state`.
    pub state: Option<&'a str>,
    /// `code`.
    pub code: Option<&'a str>,
    /// `iss` (RFC 9207).
    pub issuer: Option<&'a str>,
    /// `error`.
    pub error: Option<&'a str>,
}

/// Who logged in, by the word of an issuer. Shows nothing of what it said.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voucher {
    issuer: Slug,
    claims: Claims,
    scopes: Vec<String>,
    from_us: u64,
    until_us: u64,
}

impl fmt::Debug for Voucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voucher").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Voucher {
    /// Until when it counts.
    pub fn until(&self) -> Timestamp {
        Timestamp::from_micros(self.until_us)
    }

    /// For how long it was given.
    pub fn lifetime(&self) -> Duration {
        self.until().since(Timestamp::from_micros(self.from_us))
    }
}

/// The log-in at one issuer.
#[derive(Debug)]
pub(super) struct Login {
    settings: LoginSettings,
    /// Asked for when somebody logs in, not before: other commands need no secret of the console's.
    secret: Option<Result<SecretString, SecretError>>,
    room: Semaphore,
}

impl Login {
    pub(super) fn new(settings: &LoginSettings, secrets: &dyn SecretSource) -> Self {
        let secret = settings.client_secret.as_ref().map(|secret| secrets.resolve(secret));
        Self { settings: settings.clone(), secret, room: Semaphore::new(MAX_EXCHANGES) }
    }

    /// As whom we are known there, and by which secret.
    fn client(&self, is_native: bool) -> Result<(&str, Option<&SecretString>), LoginError> {
        if let Some(native) = self.settings.native_client_id.as_deref().filter(|_| is_native) {
            return Ok((native, None));
        }
        let secret = self.secret.as_ref().map(Result::as_ref).transpose();
        let secret = secret.map_err(|_| LoginError::Unavailable("the client's secret cannot be had"))?;
        Ok((&self.settings.client_id, secret))
    }
}

impl Identity {
    /// The names of the issuers at which people log in.
    pub fn login_issuers(&self) -> Vec<Slug> {
        let issuers = self.federation.iter().flat_map(|federation| &federation.issuers);
        issuers.filter(|issuer| issuer.login.is_some()).map(|issuer| issuer.settings.name.clone()).collect()
    }

    /// Whether one-time codes log people in to the console.
    pub fn takes_codes(&self) -> bool {
        self.federation.as_ref().is_none_or(|federation| federation.takes_codes)
    }

    /// Begins a log-in at the issuer called `name`, whose answer comes to `redirect_uri`; gives where
    /// the browser is sent.
    ///
    /// # Errors
    ///
    /// [`LoginError::UnknownIssuer`]; [`LoginError::Unavailable`] if it is not known where people log in.
    pub async fn begin_login(
        &self,
        name: &str,
        redirect_uri: &str,
        way: LoginWay,
        randomness: &dyn Randomness,
    ) -> Result<(Begun, String), LoginError> {
        let (issuer, login) = self.login_at(name)?;
        let endpoints = exchange::endpoints(issuer).await?;
        if !endpoints.has_s256 {
            return Err(LoginError::Unavailable("it does not know PKCE with S256"));
        }
        let begun = Begun {
            issuer: issuer.settings.name.clone(),
            redirect_uri: redirect_uri.to_owned(),
            is_native: way == LoginWay::CommandLine,
            state: random(randomness),
            nonce: random(randomness),
            verifier: random(randomness),
        };
        let (client, _) = login.client(begun.is_native)?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(begun.verifier.as_bytes()));
        let fields = [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", &begun.redirect_uri),
            ("scope", &login.settings.scope),
            ("state", &begun.state),
            ("nonce", &begun.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        // An issuer's address may have a query of its own (RFC 6749, section 3.1).
        let joint = if endpoints.authorization.contains('?') { '&' } else { '?' };
        let url = format!("{}{joint}{}", endpoints.authorization, form(&fields));
        Ok((begun, url))
    }

    /// What the issuer vouches for, after the browser came back.
    ///
    /// # Errors
    ///
    /// [`LoginError`], whatever does not fit.
    pub async fn finish_login(
        &self,
        begun: &Begun,
        returned: Returned<'_>,
    ) -> Result<(Voucher, Arc<Actor>), LoginError> {
        if !returned.state.is_some_and(|state| begun.is_its_state(state)) {
            return Err(LoginError::NotBegun);
        }
        let (issuer, login) = self.login_at(begun.issuer.as_str())?;
        let endpoints = exchange::endpoints(issuer).await?;
        // So that no other issuer gets a code of this one, or this one's answer passes for another's
        // (RFC 9207, section 2.4).
        let names_other = returned.issuer.is_some_and(|named| named != issuer.settings.issuer);
        if names_other || (endpoints.names_itself && returned.issuer.is_none()) {
            return Err(LoginError::Invalid("the answer of another issuer"));
        }
        if let Some(error) = returned.error {
            let named = NAMED.into_iter().find(|known| *known == error);
            return Err(LoginError::Refused(named.unwrap_or("it did not say why")));
        }
        let code = returned.code.filter(|code| !code.is_empty() && code.len() <= MAX_CODE_BYTES);
        let code = code.ok_or(LoginError::Invalid("an answer without a code"))?;
        let said = exchange::redeem(issuer, login, &endpoints, (begun, code)).await?;
        let (client, _) = login.client(begun.is_native)?;
        let claims = id_token::verify(issuer, &said.id_token, (client, &begun.nonce)).await?;
        let now = issuer.clock.now();
        let voucher = Voucher {
            issuer: begun.issuer.clone(),
            claims,
            scopes: said.scopes.unwrap_or_else(|| words(&login.settings.scope)),
            from_us: now.as_micros(),
            until_us: now.after(login.settings.lifetime).as_micros(),
        };
        let actor = self.vouched(&voucher).ok_or(LoginError::Nobody)?;
        Ok((voucher, actor))
    }

    /// Whoever a voucher is for, as the configuration of now has it: its mapping, groups, roles and
    /// workspaces. None if it is over, the issuer logs nobody in any more, or its claims give nobody.
    pub fn vouched(&self, voucher: &Voucher) -> Option<Arc<Actor>> {
        let federation = self.federation.as_ref()?;
        let (issuer, login) = self.login_at(voucher.issuer.as_str()).ok()?;
        let (now, from) = (issuer.clock.now(), Timestamp::from_micros(voucher.from_us));
        // A clock that went back says nothing of how long ago that was; a shorter time counts at once.
        let counts = from <= now && now < voucher.until() && now.since(from) < login.settings.lifetime;
        if !counts {
            return None;
        }
        federation.mapped(issuer, voucher)
    }

    fn login_at(&self, name: &str) -> Result<(&Issuer, &Login), LoginError> {
        let mut issuers = self.federation.iter().flat_map(|federation| &federation.issuers);
        let issuer = issuers.find(|issuer| issuer.settings.name.as_str() == name);
        let login = issuer.and_then(|issuer| issuer.login.as_ref());
        issuer.zip(login).ok_or(LoginError::UnknownIssuer)
    }
}

impl Federation {
    /// The actor of what an issuer vouched for, in the first of its workspaces.
    fn mapped(&self, issuer: &Issuer, voucher: &Voucher) -> Option<Arc<Actor>> {
        let claims = (&voucher.claims, voucher.scopes.clone());
        let mapped = issuer.mapped(claims, voucher.until(), &self.declared);
        let bearer = mapped.inspect_err(|reason| {
            tracing::warn!(event = "identity.login", reason, "what an issuer says of somebody gives nobody");
        });
        let bearer = bearer.ok()?;
        let by = Authentication::Issuer(Arc::new(bearer.grant));
        let workspace = bearer.workspaces.into_iter().next()?;
        let actor = self.declared.actor(bearer.id, bearer.roles, workspace, by);
        Some(Arc::new(Actor { person: bearer.person, ..actor }))
    }
}

/// 256 bits, which is what PKCE asks for (RFC 7636, section 7.1), in the letters that it takes.
fn random(randomness: &dyn Randomness) -> String {
    let mut bytes = [0_u8; 32];
    randomness.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Fields as a form and a query have them.
fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect()
}
