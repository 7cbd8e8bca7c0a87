//! The issuers of a configuration: which one a token belongs to, and who bears it.
//!
//! Invariants:
//! - Exactly one issuer is chosen, by what the token says of itself, before anything of
//!   it is believed; that issuer alone verifies it.
//! - A token counts for an audience that is named, letter by letter, and for no other.
//! - What was verified is remembered by its SHA-256, for a minute at most and never
//!   beyond its end.

use std::sync::Arc;

use quaymaster_core::actor::Grant;
use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, CallError, Clock, Memory, SecretError, SecretSource, Timestamp};

use super::checked::IdentitySettings;
use super::issuer::{Bearer, Denied, Issuer};
use super::jwt::{MAX_TOKEN_BYTES, Unverified, is_jwt};
use super::protection::Protection;
use super::sources::Sources;
use super::{Arrival, Declared, hash, invalid};

/// Issuers at work.
#[derive(Debug)]
pub struct Federation {
    pub(super) issuers: Vec<Issuer>,
    pub(super) declared: Declared,
    /// Whether one-time codes log people in to the console.
    pub(super) takes_codes: bool,
    protection: Option<Arc<Protection>>,
    pub(super) clock: Arc<dyn Clock>,
    known: Memory<[u8; 32], Arc<Known>>,
}

/// Who bears a token that was verified.
#[derive(Debug)]
struct Known {
    /// One for each workspace.
    actors: Vec<Arc<Actor>>,
    audiences: Vec<String>,
    /// Which of the issuers.
    issuer: usize,
    checked: Timestamp,
    until: Timestamp,
}

impl Federation {
    /// Puts the issuers of `settings` to work.
    ///
    /// # Errors
    ///
    /// [`SecretError`] if a secret for introspection cannot be had.
    pub fn try_new(
        settings: &IdentitySettings,
        declared: Declared,
        sources: &Sources,
        secrets: &dyn SecretSource,
    ) -> Result<Self, SecretError> {
        sources.keep(settings);
        let issuers = settings.issuers.iter().map(|issuer| Issuer::try_new(issuer, sources, secrets));
        Ok(Self {
            issuers: issuers.collect::<Result<_, _>>()?,
            declared,
            takes_codes: settings.takes_codes(),
            protection: Protection::of(settings).map(Arc::new),
            clock: Arc::clone(sources.clock()),
            known: Memory::default(),
        })
    }

    /// How clients get tokens; none without issuers.
    pub(super) fn protection(&self) -> Option<Arc<Protection>> {
        self.protection.clone()
    }

    /// Whether `actor` is called like those of an issuer.
    pub(super) fn owns(&self, actor: &str) -> bool {
        let name = actor.split_once(':').map(|(name, _)| name);
        name.is_some_and(|name| self.issuers.iter().any(|issuer| issuer.settings.name.as_str() == name))
    }

    /// Whether an issuer is trusted whose tokens name it so.
    pub(super) fn trusts(&self, url: &str) -> bool {
        self.issuers.iter().any(|known| known.settings.issuer == url)
    }

    /// A grant of these scopes by the issuer of this name and address, as it is measured now; none if no
    /// such issuer is trusted.
    pub(super) fn grant(&self, (name, url): (&Slug, &str), scopes: &[String]) -> Option<Arc<Grant>> {
        let is_it = |known: &&Issuer| known.settings.name == *name && known.settings.issuer == url;
        let issuer = self.issuers.iter().find(is_it)?;
        let needed = Arc::clone(&issuer.settings.scopes);
        Some(Arc::new(Grant { issuer: name.clone(), url: url.into(), scopes: scopes.into(), needed }))
    }

    /// The actor that bears `token`.
    ///
    /// # Errors
    ///
    /// `auth.invalid` if it does not count; `auth.scope` without the scope that everything needs;
    /// `gateway.*` if it could not be found out.
    pub(super) async fn actor(&self, token: &str, arrival: &Arrival<'_>) -> Result<Arc<Actor>, CallError> {
        if self.issuers.is_empty() || token.len() > MAX_TOKEN_BYTES {
            return Err(invalid());
        }
        let known = self.known(token).await?;
        self.check_audience(&known, arrival).map_err(|fault| refuse(Denied::Fault(fault)))?;
        let found = match arrival.workspace {
            Some(named) => known.actors.iter().find(|actor| actor.workspace.as_str() == named),
            None => known.actors.first(),
        };
        let actor = found.ok_or_else(|| refuse(Denied::Fault("not for this workspace")))?;
        match actor.lacks_base_scope() {
            Some(scope) => Err(CallError::lacking(scope)),
            None => Ok(Arc::clone(actor)),
        }
    }

    async fn known(&self, token: &str) -> Result<Arc<Known>, CallError> {
        let (hash, now) = (hash(token), self.clock.now());
        if let Some(known) = self.known.get(&hash) {
            // A clock that went back says nothing of how long ago that was.
            if known.checked <= now && now < known.until {
                return Ok(known);
            }
            self.known.remove(&hash);
        }
        let (issuer, bearer) = self.bearer((token, hash)).await.map_err(refuse)?;
        let Bearer { id, person, roles, groups, workspaces, grant, audiences, until } = bearer;
        let grant = Arc::new(grant);
        let actor = |workspace| {
            let by = quaymaster_core::Authentication::Issuer(Arc::clone(&grant));
            let actor = self.declared.actor(id.clone(), roles.clone(), workspace, by);
            Arc::new(Actor { person: person.clone(), groups: Arc::clone(&groups), ..actor })
        };
        let actors = workspaces.into_iter().map(actor).collect();
        let known = Arc::new(Known { actors, audiences, issuer, checked: now, until });
        self.known.insert(hash, Arc::clone(&known));
        Ok(known)
    }

    async fn bearer(&self, token: (&str, [u8; 32])) -> Result<(usize, Bearer), Denied> {
        if !is_jwt(token.0) {
            let opaque = self.issuers.iter().enumerate().find(|(_, issuer)| issuer.has_opaque());
            let (index, issuer) = opaque.ok_or("not a JSON Web Token")?;
            return Ok((index, issuer.bearer_of_opaque(token, &self.declared).await?));
        }
        let read = Unverified::read(token.0)?;
        let named = read.issuer().ok_or("it names no issuer")?;
        let found = self.issuers.iter().enumerate().find(|(_, issuer)| issuer.settings.issuer == named);
        let (index, issuer) = found.ok_or("of an issuer that is not trusted")?;
        Ok((index, issuer.bearer_of(read, token, &self.declared).await?))
    }

    fn check_audience(&self, known: &Known, arrival: &Arrival<'_>) -> Result<(), &'static str> {
        let settings = self.issuers.get(known.issuer).map(|issuer| &issuer.settings);
        let is_ours = |audience: &String| match settings.and_then(|settings| settings.audience.as_ref()) {
            Some(named) => named.contains(audience),
            None => self.protection.as_ref().is_some_and(|own| own.is_audience(audience, arrival.path)),
        };
        let fits = known.audiences.iter().any(is_ours);
        if fits { Ok(()) } else { Err("for another audience") }
    }
}

/// What the bearer of a token that does not count is told: nothing of why.
fn refuse(denied: Denied) -> CallError {
    match denied {
        Denied::Fault(reason) => {
            tracing::debug!(event = "identity.refused", reason, "an access token does not count");
            invalid()
        }
        Denied::Unknown(error) => error,
    }
}
