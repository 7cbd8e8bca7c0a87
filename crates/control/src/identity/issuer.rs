//! One issuer: from a token to who bears it.
//!
//! Invariants:
//! - An actor of an issuer is called `<name of the issuer>:<what it is called there>`, so that
//!   no two issuers, and no token of this installation, give the same actor.
//! - A role that the configuration does not declare gives nothing, nor does a workspace.
//! - A token that does not count is logged with a reason and without anything of itself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quaymaster_core::actor::Grant;
use quaymaster_core::{
    ActorId, CallError, Clock, ErrorCode, Role, SecretError, SecretSource, Timestamp, Workspace,
};

use super::Declared;
use super::checked::IssuerSettings;
use super::introspection::Introspection;
use super::jwt::{self, Claims, Fault, Unverified};
use super::login::Login;
use super::mapping::Sight;
use super::source::Source;
use super::sources::Sources;
use super::web::Web;

/// How long what was found out of a token counts.
const REMEMBERED: Duration = Duration::from_mins(1);
/// How many roles that are not declared are logged for one issuer.
const MAX_TOLD: usize = 100;
/// Most workspaces of one token.
const MAX_WORKSPACES: usize = 16;
/// Longest name of a group, in bytes.
const MAX_GROUP_BYTES: usize = 200;

/// Who bears a token.
#[derive(Debug)]
pub(super) struct Bearer {
    pub(super) id: ActorId,
    pub(super) person: Option<ActorId>,
    pub(super) roles: Vec<Role>,
    /// As an actor has them.
    pub(super) groups: Arc<[String]>,
    /// At least one; the first is where the token leads that names none.
    pub(super) workspaces: Vec<Workspace>,
    pub(super) grant: Grant,
    pub(super) audiences: Vec<String>,
    /// Until when this counts.
    pub(super) until: Timestamp,
}

/// Why a token gives nobody.
#[derive(Debug)]
pub(super) enum Denied {
    /// It does not count.
    Fault(Fault),
    /// It could not be found out.
    Unknown(CallError),
}

impl From<Fault> for Denied {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// An issuer at work.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) settings: IssuerSettings,
    pub(super) source: Arc<Source>,
    introspection: Option<Introspection>,
    /// Where people log in here.
    pub(super) login: Option<Login>,
    pub(super) web: Arc<dyn Web>,
    pub(super) clock: Arc<dyn Clock>,
    /// The roles that were logged because nobody declares them.
    told: Mutex<BTreeSet<String>>,
}

impl Issuer {
    /// Puts `settings` to work.
    ///
    /// # Errors
    ///
    /// [`SecretError`] if the secret for introspection cannot be had.
    pub(super) fn try_new(
        settings: &IssuerSettings,
        sources: &Sources,
        secrets: &dyn SecretSource,
    ) -> Result<Self, SecretError> {
        let introspection = settings.introspection.as_ref().map(|introspection| {
            let secret = secrets.resolve(&introspection.client_secret)?;
            Ok(Introspection::new(introspection.clone(), &secret))
        });
        Ok(Self {
            source: sources.of(&settings.place),
            introspection: introspection.transpose()?,
            login: settings.login.as_ref().map(|login| Login::new(login, secrets)),
            settings: settings.clone(),
            web: Arc::clone(sources.web()),
            clock: Arc::clone(sources.clock()),
            told: Mutex::default(),
        })
    }

    /// Whether this issuer is asked about tokens that do not say whose they are.
    pub(super) fn has_opaque(&self) -> bool {
        self.introspection.as_ref().is_some_and(|introspection| introspection.settings.tokens.has_opaque())
    }

    /// Who bears a JSON Web Token that names this issuer.
    pub(super) async fn bearer_of(
        &self,
        read: Unverified<'_>,
        token: (&str, [u8; 32]),
        declared: &Declared,
    ) -> Result<Bearer, Denied> {
        read.check_purpose()?;
        jwt::check_form(&read.claims)?;
        jwt::check_times(&read.claims, self.clock.now(), self.settings.skew)?;
        self.check_signature(&read).await?;
        let asked = self.introspection.as_ref().filter(|i| i.settings.tokens.has_jwt());
        let mut lasting = REMEMBERED;
        if let Some(introspection) = asked {
            // What the token says counts; the issuer is asked only whether it still does.
            self.introspected(introspection, token).await?;
            lasting = introspection.lasting();
        }
        self.bearer(&read.claims, lasting, declared)
    }

    /// Who bears a token that only the issuer can read.
    pub(super) async fn bearer_of_opaque(
        &self,
        token: (&str, [u8; 32]),
        declared: &Declared,
    ) -> Result<Bearer, Denied> {
        let introspection = self.introspection.as_ref().ok_or("no issuer is asked about it")?;
        let mut claims = self.introspected(introspection, token).await?;
        let is_own = claims.get("iss").is_none_or(|issuer| issuer.as_str() == Some(&self.settings.issuer));
        if !is_own {
            return Err("of another issuer".into());
        }
        jwt::check_form(&claims)?;
        // An issuer may leave out when a token ends (RFC 7662, section 2.2); then its word counts once.
        let now = self.clock.now();
        claims.entry("exp").or_insert_with(|| now.after(introspection.lasting()).as_secs().into());
        self.bearer(&claims, introspection.lasting(), declared)
    }

    pub(super) async fn check_signature(&self, read: &Unverified<'_>) -> Result<(), Denied> {
        let allowed = self.settings.algorithms.as_ref();
        if allowed.is_some_and(|allowed| !allowed.contains(&read.algorithm)) {
            return Err("an algorithm that this issuer may not use".into());
        }
        let id = read.key_id.as_deref();
        let Some(published) = self.source.published(|published| published.keys.has(id)).await else {
            let message = "the token cannot be checked at the moment";
            return Err(Denied::Unknown(CallError::new(ErrorCode::GatewayInternal, message)));
        };
        let key = published.keys.find(id, read.algorithm).ok_or("no key for it")?;
        if key.verifies(read.algorithm, read.message, &read.signature) {
            return Ok(());
        }
        Err("the signature does not fit".into())
    }

    async fn introspected(
        &self,
        introspection: &Introspection,
        token: (&str, [u8; 32]),
    ) -> Result<Claims, Denied> {
        let endpoint = match &introspection.settings.endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => {
                let published = self.source.published(|published| published.introspection.is_some()).await;
                published.and_then(|published| published.introspection.clone())
            }
        };
        let Some(endpoint) = endpoint else {
            let message = "the token cannot be checked at the moment";
            return Err(Denied::Unknown(CallError::new(ErrorCode::GatewayInternal, message)));
        };
        let answer = introspection.ask(self.web.as_ref(), &endpoint, token, self.clock.now()).await;
        answer.map_err(Denied::Unknown)?.ok_or(Denied::Fault("the issuer says that it does not count"))
    }

    /// What `claims`, which are the issuer's, mean here.
    fn bearer(&self, claims: &Claims, lasting: Duration, declared: &Declared) -> Result<Bearer, Denied> {
        let now = self.clock.now();
        let ends = jwt::check_times(claims, now, self.settings.skew)?;
        Ok(self.mapped((claims, jwt::scopes(claims)), ends.min(now.after(lasting)), declared)?)
    }

    /// What claims that were verified mean here, until `until`.
    pub(super) fn mapped(
        &self,
        (claims, scopes): (&Claims, Vec<String>),
        until: Timestamp,
        declared: &Declared,
    ) -> Result<Bearer, Fault> {
        let sight = Sight::new(claims, &scopes).map_err(|_| "claims that cannot be read")?;
        let mapping = &self.settings.mapping;
        let own = mapping.actor.text(&sight)?;
        if own.is_empty() {
            return Err("an actor without a name");
        }
        let id = format!("{}:{own}", self.settings.name);
        let id = ActorId::parse(&id).map_err(|_| "a name that no actor can have")?;
        let person = mapping.person.as_ref().map(|person| person.text(&sight)).transpose()?;
        let person = person.map(|person| ActorId::parse(&person)).transpose();
        let groups = mapping.groups.as_ref().map(|groups| groups.texts(&sight)).transpose()?;
        let groups = groups.unwrap_or_default();
        let grant = Grant {
            issuer: self.settings.name.clone(),
            url: self.settings.issuer.as_str().into(),
            scopes: scopes.as_slice().into(),
            needed: Arc::clone(&self.settings.scopes),
        };
        Ok(Bearer {
            id,
            person: person.map_err(|_| "a name that no person can have")?,
            roles: self.roles(&sight, &groups, declared)?,
            groups: self.own_groups(groups),
            workspaces: self.workspaces(&sight, declared)?,
            grant,
            audiences: jwt::audiences(claims),
            until,
        })
    }

    fn roles(&self, sight: &Sight<'_>, groups: &[String], declared: &Declared) -> Result<Vec<Role>, Fault> {
        let mapping = &self.settings.mapping;
        let named = mapping.roles.as_ref().map(|roles| roles.texts(sight)).transpose()?;
        let mut roles: Vec<Role> = Vec::new();
        for name in named.into_iter().flatten() {
            match Role::parse(&name).ok().filter(|role| declared.roles.contains_key(role)) {
                Some(role) => roles.push(role),
                None => self.tell(&name),
            }
        }
        let of_groups = groups.iter().filter_map(|group| self.settings.groups.get(group));
        roles.extend(of_groups.flatten().cloned());
        Ok(roles)
    }

    /// `groups` as an actor has them: with the name of the issuer, since another may have groups of the
    /// same names. One whose name nobody could write in a policy gives nothing.
    fn own_groups(&self, groups: Vec<String>) -> Arc<[String]> {
        let fits = |group: &String| {
            (1..=MAX_GROUP_BYTES).contains(&group.len()) && !group.chars().any(char::is_control)
        };
        let fitting = groups.into_iter().filter(fits);
        let named: BTreeSet<String> =
            fitting.map(|group| format!("{}:{group}", self.settings.name)).collect();
        named.into_iter().collect()
    }

    fn workspaces(&self, sight: &Sight<'_>, declared: &Declared) -> Result<Vec<Workspace>, Fault> {
        let Some(mapping) = &self.settings.mapping.workspace else {
            return Ok(vec![declared.default_workspace.clone()]);
        };
        let named = mapping.texts(sight)?;
        let known =
            |name: &String| Workspace::parse(name).ok().filter(|name| declared.workspaces.contains(name));
        let mut workspaces: Vec<Workspace> = Vec::new();
        for workspace in named.iter().filter_map(known) {
            if !workspaces.contains(&workspace) {
                workspaces.push(workspace);
            }
        }
        match workspaces.len() {
            0 => Err("no workspace that is declared"),
            1..=MAX_WORKSPACES => Ok(workspaces),
            _ => Err("too many workspaces"),
        }
    }

    /// Logs once that a role means nothing here.
    fn tell(&self, role: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < MAX_TOLD && told.insert(role.to_owned()) {
            let role: String = role.chars().take(64).flat_map(char::escape_debug).collect();
            let issuer = self.settings.name.as_str();
            tracing::warn!(
                event = "identity.role",
                issuer,
                role,
                "a role that is not declared gives nothing"
            );
        }
    }
}
