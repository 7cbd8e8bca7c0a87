//! Secrets of servers that speak the HTTP API of Vault: key-value entries (version 2) and transit.
//!
//! The API is that of the "KV secrets engine - version 2", "Transit secrets engine" and "`AppRole` auth
//! method" pages of Vault's documentation.
//!
//! Invariants:
//! - A token that is refused is replaced once for a question, not again and again.
//! - Nothing that a server says is in an error: only its status.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quaymaster_core::setting::Slug;
use quaymaster_core::{Clock, SecretError, SecretRef, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::checked::{Login, VaultSettings};
use super::plain::text_of;
use super::sources::{Fetched, Sources};
use super::web::{Question, Told};

/// Before a token ends another is asked for, so that none ends under way.
const MARGIN: Duration = Duration::from_secs(10);

/// The gateway's tokens at the servers.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Slug, Session>>);

#[derive(Debug)]
struct Session {
    token: SecretString,
    /// When it ends; none if that is not known.
    until: Option<Timestamp>,
}

/// A question for one secret.
#[derive(Clone, Copy)]
pub(super) struct Vault<'a> {
    pub(super) sources: &'a Sources,
    /// The secret's name, for errors.
    pub(super) name: &'a str,
    pub(super) server: &'a Slug,
}

#[derive(Deserialize)]
struct Reply<T> {
    data: T,
    #[serde(default)]
    lease_duration: u64,
}

#[derive(Deserialize)]
struct Entry {
    data: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct Plain {
    plaintext: String,
}

#[derive(Deserialize)]
struct LoggedIn {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    #[serde(default)]
    lease_duration: u64,
}

impl<'a> Vault<'a> {
    /// A field of an entry; its newest version where none is named.
    pub(super) async fn entry(
        self,
        (mount, path): (&str, &str),
        field: &str,
        version: Option<NonZeroU32>,
    ) -> Result<Fetched, SecretError> {
        let version = version.map(|version| format!("?version={version}")).unwrap_or_default();
        let told = self.ask(&format!("{mount}/data/{path}{version}"), None).await?;
        let Reply { data: Entry { data }, lease_duration } = self.read(&told)?;
        let missing = || self.missing("an entry with this field");
        // An entry that was deleted has none.
        let mut data = data.ok_or_else(missing)?;
        match data.remove(field).ok_or_else(missing)? {
            Value::String(text) => self.fetched(Zeroizing::new(text).as_bytes(), lease_duration),
            _ => Err(self.unusable("the field is no text")),
        }
    }

    /// What `ciphertext` holds.
    pub(super) async fn opened(
        self,
        (mount, key): (&str, &str),
        ciphertext: &SecretString,
    ) -> Result<Fetched, SecretError> {
        let body = Zeroizing::new(json!({"ciphertext": ciphertext.expose_secret()}).to_string());
        let told = self.ask(&format!("{mount}/decrypt/{key}"), Some(body)).await?;
        let Reply { data: Plain { plaintext }, lease_duration } = self.read(&told)?;
        let plaintext = Zeroizing::new(plaintext);
        let bytes = STANDARD.decode(plaintext.as_bytes()).map(Zeroizing::new);
        self.fetched(&bytes.map_err(|_| self.unusable("not base64"))?, lease_duration)
    }

    fn fetched(self, bytes: &[u8], lease_s: u64) -> Result<Fetched, SecretError> {
        let text = text_of(bytes).map_err(|reason| self.unusable(reason))?;
        let lease = (lease_s > 0).then(|| Duration::from_secs(lease_s));
        Ok(Fetched { text, lease })
    }

    /// Asks with the token that there is, and once more with another one if that is refused.
    async fn ask(self, path: &str, body: Option<Zeroizing<String>>) -> Result<Told, SecretError> {
        let settings = self.settings()?;
        for is_fresh in [false, true] {
            let token = self.token(settings, is_fresh).await?;
            let mut headers = vec![("x-vault-token", Zeroizing::new(token.expose_secret().to_owned()))];
            headers.extend(namespace(settings));
            let url = format!("{}/v1/{path}", settings.url);
            let told = self.send(Question { url, headers, body: body.clone() }).await?;
            if told.status != 403 {
                return Ok(told);
            }
        }
        Err(self.denied("does not permit it to this gateway"))
    }

    async fn token(self, settings: &VaultSettings, is_fresh: bool) -> Result<SecretString, SecretError> {
        let Sources { sessions, clock, .. } = self.sources;
        // One log-in for all who wait.
        let mut sessions = sessions.0.lock().await;
        let known = sessions.get(self.server).filter(|_| !is_fresh);
        let is_good = |session: &&Session| session.until.is_none_or(|until| clock.now() < until);
        if let Some(session) = known.filter(is_good) {
            return Ok(session.token.clone());
        }
        let session = self.log_in(settings, clock.as_ref()).await?;
        let token = session.token.clone();
        sessions.insert(self.server.clone(), session);
        Ok(token)
    }

    async fn log_in(self, settings: &VaultSettings, clock: &dyn Clock) -> Result<Session, SecretError> {
        let (mount, role_id, secret_id) = match &settings.login {
            Login::Token(token) => {
                return Ok(Session { token: self.bootstrap(token).await?, until: None });
            }
            Login::AppRole { mount, role_id, secret_id } => (mount, role_id, secret_id),
        };
        let secret_id = self.bootstrap(secret_id).await?;
        let body = json!({"role_id": role_id, "secret_id": secret_id.expose_secret()}).to_string();
        let url = format!("{}/v1/auth/{mount}/login", settings.url);
        let headers = namespace(settings).into_iter().collect();
        let question = Question { url, headers, body: Some(Zeroizing::new(body)) };
        let told = self.send(question).await?;
        if matches!(told.status, 400 | 403 | 404) {
            return Err(self.denied("does not let this gateway log in"));
        }
        let LoggedIn { auth } = self.read(&told)?;
        let lease = Duration::from_secs(auth.lease_duration);
        let until =
            (!lease.is_zero()).then(|| clock.now().after(lease.saturating_sub(MARGIN.min(lease / 2))));
        Ok(Session { token: auth.client_token.into(), until })
    }

    /// A secret that the server needs; the configuration is checked so that it is of no server.
    async fn bootstrap(self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        self.sources.of_this_machine(reference.name()).await
    }

    async fn send(self, question: Question) -> Result<Told, SecretError> {
        let sent = self.sources.web.send(question).await;
        sent.map_err(|why| self.unavailable(&format!("cannot be reached: {why}")))
    }

    fn read<T: DeserializeOwned>(self, told: &Told) -> Result<T, SecretError> {
        match told.status {
            200 => serde_json::from_slice(&told.text)
                .map_err(|_| self.unusable("not the answer that was asked for")),
            404 => Err(self.missing("it there")),
            403 => Err(self.denied("does not permit it to this gateway")),
            400 => Err(self.unusable("the server refuses the question (HTTP status 400)")),
            status => Err(self.unavailable(&format!("answers with HTTP status {status}"))),
        }
    }

    fn settings(&self) -> Result<&'a VaultSettings, SecretError> {
        self.sources.settings.vaults.get(self.server).ok_or_else(|| self.unavailable("is not configured"))
    }

    fn missing(&self, what: &str) -> SecretError {
        let expected = format!("expected {what} of the server `{}`", self.server);
        SecretError::Missing { name: self.name.to_owned(), expected }
    }

    fn denied(&self, what: &str) -> SecretError {
        SecretError::Denied {
            name: self.name.to_owned(),
            reason: format!("the server `{}` {what}", self.server),
        }
    }

    fn unavailable(&self, what: &str) -> SecretError {
        let reason = format!("the server `{}` {what}", self.server);
        SecretError::Unavailable { name: self.name.to_owned(), reason }
    }

    fn unusable(&self, reason: &str) -> SecretError {
        let reason = format!("{reason} (of the server `{}`)", self.server);
        SecretError::Unusable { name: self.name.to_owned(), reason }
    }
}

fn namespace(settings: &VaultSettings) -> Option<(&'static str, Zeroizing<String>)> {
    settings.namespace.as_ref().map(|name| ("x-vault-namespace", Zeroizing::new(name.clone())))
}
