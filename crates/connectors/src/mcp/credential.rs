//! What a server is sent to let us in: headers whose values are secrets.
//!
//! A secret may change while the connection is used. Each request takes the values as they are then, without
//! waiting for a source; a server that refuses them has the source asked again, once for all who are refused.
//!
//! Invariants:
//! - A header is marked sensitive, so that no `Debug` shows it.
//! - What was sent is not let back in (`scrub`), nor what was sent before it.

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use quaymaster_core::{LiveSecret, SecretValue};
use secrecy::ExposeSecret as _;

use super::failure::Failure;
use super::scrub::Scrub;

/// The headers of one server.
pub(super) struct Credentials {
    own: Vec<(HeaderName, Arc<dyn LiveSecret>)>,
    sent: ArcSwap<Sent>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("headers", &self.own.len()).finish_non_exhaustive()
    }
}

/// The headers with the values of one moment.
pub(super) struct Sent {
    headers: Vec<(HeaderName, HeaderValue)>,
    values: Vec<Arc<SecretValue>>,
    scrub: Option<Scrub>,
}

impl Sent {
    fn of(
        own: &[(HeaderName, Arc<dyn LiveSecret>)],
        values: Vec<Arc<SecretValue>>,
        before: &[Arc<SecretValue>],
    ) -> Option<Self> {
        let header = |((name, _), value): (&(HeaderName, _), &Arc<SecretValue>)| {
            let mut value = HeaderValue::from_str(value.text.expose_secret()).ok()?;
            value.set_sensitive(true);
            Some((name.clone(), value))
        };
        let headers = own.iter().zip(&values).map(header).collect::<Option<Vec<_>>>()?;
        let scrub = Scrub::of(values.iter().chain(before).map(|value| value.text.expose_secret()));
        Some(Self { headers, values, scrub })
    }

    /// Puts the headers into a request.
    pub(super) fn put_into(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
    }
}

impl Credentials {
    /// The given headers; none if a value cannot stand in a header, or there are no headers.
    pub(super) fn new(own: Vec<(HeaderName, Arc<dyn LiveSecret>)>) -> Option<Self> {
        let values = own.iter().map(|(_, secret)| secret.now()).collect::<Option<Vec<_>>>()?;
        let sent = Sent::of(&own, values, &[]).filter(|sent| !sent.headers.is_empty())?;
        Some(Self { own, sent: ArcSwap::from_pointee(sent) })
    }

    /// What is sent now. Waits only where a value is too old to be used.
    pub(super) async fn current(&self) -> Result<Arc<Sent>, Failure> {
        let sent = self.sent.load_full();
        let is_same = |((_, secret), value): (&(HeaderName, Arc<dyn LiveSecret>), &Arc<SecretValue>)| {
            secret.now().is_some_and(|now| now.generation == value.generation)
        };
        if self.own.iter().zip(&sent.values).all(is_same) {
            return Ok(sent);
        }
        let mut values = Vec::with_capacity(self.own.len());
        for (_, secret) in &self.own {
            values.push(match secret.now() {
                Some(value) => value,
                None => secret.renew(None).await.map_err(|error| Failure::Secret(error.to_string()))?,
            });
        }
        self.take(values)
    }

    fn take(&self, values: Vec<Arc<SecretValue>>) -> Result<Arc<Sent>, Failure> {
        let before = self.sent.load_full();
        let is_same = |(old, new): (&Arc<SecretValue>, &Arc<SecretValue>)| old.generation == new.generation;
        // Somebody else was faster: what was sent before has to be looked for still.
        if before.values.len() == values.len() && before.values.iter().zip(&values).all(is_same) {
            return Ok(before);
        }
        let unusable = || Failure::Secret("a secret holds characters that a header cannot hold".into());
        let sent = Arc::new(Sent::of(&self.own, values, &before.values).ok_or_else(unusable)?);
        self.sent.store(Arc::clone(&sent));
        Ok(sent)
    }

    /// Has the sources asked again because `refused` was not let in; whether there is something else now.
    pub(super) async fn renew(&self, refused: &Sent) -> bool {
        let mut is_other = false;
        for ((_, secret), value) in self.own.iter().zip(&refused.values) {
            let renewed = secret.renew(Some(value.generation)).await;
            is_other |= renewed.is_ok_and(|renewed| renewed.generation != value.generation);
        }
        is_other
    }

    /// `bytes` that the server sent, without what it was sent.
    pub(super) fn clean(&self, bytes: Bytes) -> Bytes {
        match &self.sent.load().scrub {
            Some(scrub) => scrub.clean_bytes(bytes),
            None => bytes,
        }
    }

    /// Whether `bytes` hold what the server was sent.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.sent.load().scrub.as_ref().is_some_and(|scrub| scrub.is_in(bytes))
    }
}

/// What a connection that all calls share is looked through for.
#[derive(Debug)]
pub(super) enum Guarded {
    /// Nothing was given.
    Nothing,
    /// What a child was given when it was started.
    Child(Scrub),
    /// What is sent with each request.
    Headers(Arc<Credentials>),
}

impl Guarded {
    /// What a child with these secrets is looked through for.
    pub(super) fn child<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Scrub::of(secrets).map_or(Self::Nothing, Self::Child)
    }

    /// `bytes` that the server sent, without what it was given.
    pub(super) fn clean<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Self::Nothing => bytes.into(),
            Self::Child(scrub) => scrub.clean(bytes),
            Self::Headers(credentials) => match &credentials.sent.load().scrub {
                Some(scrub) => match scrub.clean(bytes) {
                    Cow::Owned(cleaned) => cleaned.into(),
                    Cow::Borrowed(_) => bytes.into(),
                },
                None => bytes.into(),
            },
        }
    }
}
