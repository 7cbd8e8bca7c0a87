//! What an issuer publishes, fetched when it is needed: its keys and its metadata.
//!
//! Invariants:
//! - Whatever tokens ask for, an issuer is asked at most once in 30 s, by one request at a time.
//! - Whoever asked and went away does not take the answer from the others.
//! - Keys are renewed within 10 minutes, and without an answer they count for a bounded time.
//! - Metadata that names another issuer is none (RFC 8414, section 3.3).

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use quaymaster_core::json::parse_strict;
use quaymaster_core::{Clock, Timestamp};
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::checked::KeyPlace;
use super::keys::KeySet;
use super::web::Web;
use crate::address::{address, is_plain};

/// The least time between two questions.
const PAUSE: Duration = Duration::from_secs(30);
/// After which keys are renewed without anybody waiting for it.
const FRESH: Duration = Duration::from_mins(5);
/// After which a token waits until they are.
const RENEWED: Duration = Duration::from_mins(10);

/// What an issuer published.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) keys: KeySet,
    /// Where the issuer is asked whether a token counts.
    pub(super) introspection: Option<String>,
    /// Where people log in.
    pub(super) login: Option<Endpoints>,
    fetched: Timestamp,
}

impl Published {
    /// How old it is; none if the clock went back behind it.
    fn age(&self, now: Timestamp) -> Option<Duration> {
        (now >= self.fetched).then(|| now.since(self.fetched))
    }
}

/// One issuer, as far as it publishes something.
#[derive(Debug)]
pub(super) struct Source {
    place: KeyPlace,
    web: Arc<dyn Web>,
    clock: Arc<dyn Clock>,
    latest: ArcSwapOption<Published>,
    /// When the issuer was asked last.
    asked: Arc<Mutex<Option<Timestamp>>>,
}

impl Source {
    pub(super) fn new(place: KeyPlace, web: Arc<dyn Web>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { place, web, clock, latest: ArcSwapOption::empty(), asked: Arc::default() })
    }

    /// What the issuer publishes. If it is not `wanted`, the issuer is asked again unless it was
    /// asked a short while ago. None if there is nothing that still counts.
    pub(super) async fn published(
        self: &Arc<Self>,
        wanted: impl Fn(&Published) -> bool,
    ) -> Option<Arc<Published>> {
        let now = self.clock.now();
        let latest = self.latest.load_full().filter(|published| wanted(published));
        if let Some((published, age)) =
            latest.and_then(|published| published.age(now).map(|age| (published, age)))
        {
            if age < FRESH {
                return Some(published);
            }
            if age < RENEWED {
                if let Some(turn) =
                    self.asked.clone().try_lock_owned().ok().filter(|asked| is_due(asked, now))
                {
                    tokio::spawn(self.clone().renew(turn));
                }
                return Some(published);
            }
        }
        let turn = self.asked.clone().lock_owned().await;
        if is_due(&turn, self.clock.now()) {
            // A task of its own: who waits for it may go away.
            let renewed = tokio::spawn(self.clone().renew(turn)).await;
            if renewed.is_err() {
                tracing::error!(event = "identity.keys", issuer = self.place.issuer, "renewing keys failed");
            }
        } else {
            drop(turn);
        }
        let now = self.clock.now();
        let counts =
            |published: &Arc<Published>| published.age(now).unwrap_or_default() < self.place.max_stale;
        self.latest.load_full().filter(counts)
    }

    async fn renew(self: Arc<Self>, mut asked: OwnedMutexGuard<Option<Timestamp>>) {
        let now = self.clock.now();
        *asked = Some(now);
        match self.fetch(now).await {
            Ok(published) => self.latest.store(Some(Arc::new(published))),
            Err(reason) => tracing::warn!(
                event = "identity.keys",
                issuer = self.place.issuer,
                reason,
                "the keys of an issuer cannot be had; those that are known count for a while"
            ),
        }
    }

    async fn fetch(&self, now: Timestamp) -> Result<Published, String> {
        let Metadata { jwks_uri, introspection, login } = match &self.place.jwks_uri {
            Some(uri) => {
                // Keys count also where the rest cannot be had.
                let login = if self.place.logs_in { self.discover().await.ok() } else { None };
                let login = login.and_then(|metadata| metadata.login);
                Metadata { jwks_uri: uri.clone(), introspection: None, login }
            }
            None => self.discover().await?,
        };
        let text = self.web.ask(&jwks_uri, None).await.map_err(|error| format!("keys: {error}"))?;
        let keys = KeySet::parse(&text).map_err(|why| format!("keys: {why}"))?;
        Ok(Published { keys, introspection, login, fetched: now })
    }

    /// Where the keys are, tokens are asked about and people log in, by the issuer's metadata.
    async fn discover(&self) -> Result<Metadata, String> {
        let mut why = String::new();
        for place in metadata_addresses(&self.place.issuer) {
            match self.web.ask(&place, None).await {
                Ok(text) => return self.read_metadata(&text).map_err(|why| format!("metadata: {why}")),
                Err(error) => why = format!("metadata: {error}"),
            }
        }
        Err(why)
    }

    fn read_metadata(&self, text: &str) -> Result<Metadata, String> {
        let metadata = parse_strict(text).map_err(|error| error.to_string())?;
        let member = |name: &str| metadata.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        if member("issuer").as_deref() != Some(self.place.issuer.as_str()) {
            return Err("it names another issuer".into());
        }
        let jwks_uri = member("jwks_uri").ok_or("it names no keys")?;
        let introspection = member("introspection_endpoint");
        let is_weaker = |address: &str| is_plain(address) && !is_plain(&self.place.issuer);
        if is_weaker(&jwks_uri) || introspection.as_deref().is_some_and(is_weaker) {
            return Err("it names an address without encryption".into());
        }
        let login = Endpoints::read(&metadata).filter(|login| {
            let both = [&login.authorization, &login.token];
            let fits = both.iter().all(|text| address(text).is_ok() && !is_weaker(text));
            if !fits {
                let issuer = self.place.issuer.as_str();
                tracing::warn!(event = "identity.login", issuer, "nobody logs in at addresses of this kind");
            }
            fits
        });
        Ok(Metadata { jwks_uri, introspection, login })
    }
}

/// What the metadata of an issuer say that is used here.
#[derive(Debug)]
struct Metadata {
    jwks_uri: String,
    introspection: Option<String>,
    login: Option<Endpoints>,
}

/// Where people log in at an issuer, and how (RFC 8414, section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoints {
    /// Where browsers are sent.
    pub(super) authorization: String,
    /// Where a code is redeemed.
    pub(super) token: String,
    /// Whether every answer names the issuer (RFC 9207, section 3).
    pub(super) names_itself: bool,
    /// Whether codes may be bound to who asked for them by S256; also where nothing is said of that.
    pub(super) has_s256: bool,
    /// Whether a client says who it is in the form alone.
    pub(super) is_by_post: bool,
}

impl Endpoints {
    fn read(metadata: &Value) -> Option<Self> {
        let member = |name: &str| metadata.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let named = |list: &str, item: &str| {
            let list = metadata.get(list).and_then(Value::as_array);
            list.map(|items| items.iter().any(|one| one == item))
        };
        let methods = "token_endpoint_auth_methods_supported";
        Some(Self {
            authorization: member("authorization_endpoint")?,
            token: member("token_endpoint")?,
            names_itself: metadata.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
            has_s256: named("code_challenge_methods_supported", "S256").unwrap_or(true),
            is_by_post: named(methods, "client_secret_basic") == Some(false)
                && named(methods, "client_secret_post") == Some(true),
        })
    }
}

/// Whether the issuer may be asked again. A clock that went back does not keep it from that.
fn is_due(asked: &OwnedMutexGuard<Option<Timestamp>>, now: Timestamp) -> bool {
    asked.is_none_or(|at| now < at || now.since(at) >= PAUSE)
}

/// Where metadata may be, in the order of MCP 2026-07-28 (authorization, metadata discovery).
fn metadata_addresses(issuer: &str) -> Vec<String> {
    let bare = issuer.trim_end_matches('/');
    let host_ends = bare.find("://").and_then(|at| bare.get(at + 3..).map(|rest| (at + 3, rest)));
    let path_at = host_ends.and_then(|(at, rest)| rest.find('/').map(|slash| at + slash));
    match path_at.and_then(|at| bare.split_at_checked(at)) {
        Some((origin, path)) => vec![
            format!("{origin}/.well-known/oauth-authorization-server{path}"),
            format!("{origin}/.well-known/openid-configuration{path}"),
            format!("{bare}/.well-known/openid-configuration"),
        ],
        None => vec![
            format!("{bare}/.well-known/oauth-authorization-server"),
            format!("{bare}/.well-known/openid-configuration"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_people_log_in_is_said_by_both_addresses() {
        let read = |more: Value| {
            let mut metadata = serde_json::json!({"authorization_endpoint": "https://a.test/auth"});
            let members = more.as_object().expect("members").clone();
            metadata.as_object_mut().expect("an object").extend(members);
            Endpoints::read(&metadata)
        };
        assert_eq!(read(serde_json::json!({})), None);
        let plain = read(serde_json::json!({"token_endpoint": "https://a.test/token"})).expect("both");
        assert!(plain.has_s256 && !plain.names_itself && !plain.is_by_post);
        let other = read(serde_json::json!({
            "token_endpoint": "https://a.test/token",
            "authorization_response_iss_parameter_supported": true,
            "code_challenge_methods_supported": ["plain"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }));
        let other = other.expect("both");
        assert!(!other.has_s256 && other.names_itself && other.is_by_post);
    }

    #[test]
    fn metadata_is_looked_for_before_and_behind_the_path_of_the_issuer() {
        assert_eq!(metadata_addresses("https://a.test/").len(), 2);
        assert_eq!(
            metadata_addresses("https://a.test:8443/realms/corp"),
            [
                "https://a.test:8443/.well-known/oauth-authorization-server/realms/corp",
                "https://a.test:8443/.well-known/openid-configuration/realms/corp",
                "https://a.test:8443/realms/corp/.well-known/openid-configuration",
            ]
        );
    }
}
