//! Issuers that hold together: what identity works with.
//!
//! [`IdentitySettings`] are made of an [`IdentityConfig`] here or not at all.
//! Everything that is wrong comes back at once, each at its path in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quaymaster_core::actor::ScopeRules;
use quaymaster_core::setting::Slug;
use quaymaster_core::suggest::did_you_mean;
use quaymaster_core::{Role, SecretRef};

use super::config::{IdentityConfig, IntrospectedTokens, IssuerConfig, LoginConfig, ScopesConfig};
use super::keys::SignatureAlgorithm;
use super::mapping::Mapping;
use crate::address::{address, is_plain};

/// Most issuers.
const MAX_ISSUERS: usize = 16;
const MAX_SKEW: Duration = Duration::from_mins(5);
const MAX_STALE: Duration = Duration::from_hours(7 * 24);
const MAX_CACHE: Duration = Duration::from_mins(1);
/// How long a log-in may count.
const LOGIN_LIFETIME: std::ops::RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(8);
const MAX_LOGIN_SCOPES: usize = 16;
/// The name before local users' numbers: see `local:<uid>`.
const RESERVED: &str = "local";

/// Something wrong at a path of `quaymaster.yaml`, such as `identity.issuers[0].issuer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProblem {
    /// Where.
    pub path: String,
    /// What.
    pub message: String,
    /// What would be right, where that is known.
    pub help: Option<String>,
}

/// The issuers whose tokens are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentitySettings {
    /// The gateway's own URL: scheme, host and port, without a path. Always there if there are issuers.
    pub public_url: Option<String>,
    /// Each with another name and another `iss`.
    pub issuers: Vec<IssuerSettings>,
    /// Whether one-time codes log people in to the console beside issuers.
    pub(super) local_codes: bool,
}

/// An issuer, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSettings {
    pub(super) name: Slug,
    pub(super) issuer: String,
    pub(super) audience: Option<Vec<String>>,
    pub(super) place: KeyPlace,
    pub(super) algorithms: Option<Vec<SignatureAlgorithm>>,
    pub(super) skew: Duration,
    pub(super) introspection: Option<IntrospectionSettings>,
    pub(super) login: Option<LoginSettings>,
    pub(super) scopes: Arc<ScopeRules>,
    pub(super) mapping: Mappings,
    pub(super) groups: BTreeMap<String, Vec<Role>>,
}

/// Where an issuer's keys are, and how long they count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyPlace {
    pub(super) issuer: String,
    pub(super) jwks_uri: Option<String>,
    pub(super) max_stale: Duration,
    /// Whether it is also asked where people log in.
    pub(super) logs_in: bool,
}

/// How an issuer is asked whether a token counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IntrospectionSettings {
    pub(super) endpoint: Option<String>,
    pub(super) client_id: String,
    pub(super) client_secret: SecretRef,
    pub(super) tokens: IntrospectedTokens,
    pub(super) cache: Duration,
}

/// How people log in at an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoginSettings {
    pub(super) client_id: String,
    pub(super) client_secret: Option<SecretRef>,
    pub(super) native_client_id: Option<String>,
    /// With spaces between.
    pub(super) scope: String,
    pub(super) lifetime: Duration,
}

/// What an issuer's claims mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mappings {
    pub(super) actor: Mapping,
    pub(super) person: Option<Mapping>,
    pub(super) roles: Option<Mapping>,
    pub(super) groups: Option<Mapping>,
    pub(super) workspace: Option<Mapping>,
}

impl IdentitySettings {
    /// Whether `actor` is called like an issuer's actors or like the users of this machine, so that no
    /// token of this installation may have it.
    pub fn is_taken(&self, actor: &str) -> bool {
        let prefix = actor.split_once(':').map(|(prefix, _)| prefix);
        prefix.is_some_and(|prefix| {
            prefix == RESERVED || self.issuers.iter().any(|issuer| issuer.name.as_str() == prefix)
        })
    }

    /// Whether one-time codes log people in to the console: where they are allowed, and where no
    /// issuer logs anybody in.
    pub fn takes_codes(&self) -> bool {
        self.local_codes || self.issuers.iter().all(|issuer| issuer.login.is_none())
    }
}

impl IdentityConfig {
    /// Checks the issuers of a gateway at `public_url` that declares `roles`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong.
    pub fn check(
        &self,
        public_url: Option<&str>,
        roles: &BTreeSet<&str>,
    ) -> Result<IdentitySettings, Vec<IdentityProblem>> {
        let mut check = Check { roles, found: Vec::new(), path: "identity.issuers".into() };
        if self.issuers.len() > MAX_ISSUERS {
            check.wrong("", format!("there are at most {MAX_ISSUERS} issuers"));
        }
        if public_url.is_none() && !self.issuers.is_empty() {
            let help = "say in `listen.publicUrl` under which URL clients reach the gateway, such as \
                        `https://gateway.example.test`";
            check.wrong_with("", "tokens are issued for a URL, and the gateway does not know its own", help);
        }
        let mut issuers = Vec::new();
        for (index, config) in self.issuers.iter().enumerate() {
            check.path = format!("identity.issuers[{index}]");
            let before = self.issuers.get(..index).unwrap_or_default();
            check.beside(config, before);
            issuers.extend(check.issuer(config));
        }
        if check.found.is_empty() {
            let public_url = public_url.map(ToOwned::to_owned);
            return Ok(IdentitySettings { public_url, issuers, local_codes: self.local_codes });
        }
        Err(check.found)
    }
}

struct Check<'a> {
    roles: &'a BTreeSet<&'a str>,
    found: Vec<IdentityProblem>,
    path: String,
}

impl Check<'_> {
    fn wrong(&mut self, below: &str, message: impl Into<String>) {
        self.found.push(IdentityProblem {
            path: format!("{}{below}", self.path),
            message: message.into(),
            help: None,
        });
    }

    fn wrong_with(&mut self, below: &str, message: &str, help: &str) {
        let path = format!("{}{below}", self.path);
        self.found.push(IdentityProblem { path, message: message.into(), help: Some(help.into()) });
    }

    /// What must differ from the issuers before.
    fn beside(&mut self, config: &IssuerConfig, before: &[IssuerConfig]) {
        if config.name.as_str() == RESERVED {
            self.wrong(".name", "`local` is what the users of this machine are called");
        }
        if before.iter().any(|other| other.name == config.name) {
            self.wrong(".name", format!("another issuer is called `{}`", config.name));
        }
        if before.iter().any(|other| other.issuer == config.issuer) {
            self.wrong(".issuer", "another entry has the same issuer");
        }
        let opaque =
            |issuer: &IssuerConfig| issuer.introspection.as_ref().is_some_and(|i| i.tokens.has_opaque());
        if opaque(config) && before.iter().any(opaque) {
            self.wrong_with(
                ".introspection",
                "an opaque token does not say whose it is, and no issuer is shown another one's tokens",
                "say `tokens: jwt` for all issuers but one",
            );
        }
    }

    fn issuer(&mut self, config: &IssuerConfig) -> Option<IssuerSettings> {
        let is_plain = self.issuer_url(&config.issuer);
        self.reachable(".jwksUri", config.jwks_uri.as_deref(), is_plain);
        self.at_most(".clockSkew", config.clock_skew.get(), MAX_SKEW);
        self.at_most(".maxStale", config.max_stale.get(), MAX_STALE);
        for (index, audience) in config.audience.iter().flatten().enumerate() {
            if audience.is_empty() || audience.len() > 400 {
                self.wrong(&format!(".audience[{index}]"), "an audience has 1 to 400 bytes");
            }
        }
        if config.audience.as_ref().is_some_and(Vec::is_empty) {
            self.wrong(".audience", "without an audience no token counts");
        }
        if config.algorithms.as_ref().is_some_and(Vec::is_empty) {
            self.wrong(".algorithms", "without an algorithm no token counts");
        }
        let introspection = config.introspection.as_ref().map(|introspection| {
            self.reachable(".introspection.endpoint", introspection.endpoint.as_deref(), is_plain);
            if introspection.endpoint.is_none() && config.jwks_uri.is_some() {
                let help = "say `endpoint`, or leave out `jwksUri`, so that the issuer's metadata say both";
                self.wrong_with(".introspection", "nothing says where the issuer is asked", help);
            }
            self.at_most(".introspection.cache", introspection.cache.get(), MAX_CACHE);
            IntrospectionSettings {
                endpoint: introspection.endpoint.clone(),
                client_id: introspection.client_id.clone(),
                client_secret: introspection.client_secret.clone(),
                tokens: introspection.tokens,
                cache: introspection.cache.get(),
            }
        });
        let login = config.login.as_ref().map(|login| self.login(login));
        self.group_roles(&config.groups);
        let scopes = self.scopes(&config.scopes);
        let mapping = self.mappings(config)?;
        Some(IssuerSettings {
            name: config.name.clone(),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            place: KeyPlace {
                issuer: config.issuer.clone(),
                jwks_uri: config.jwks_uri.clone(),
                max_stale: config.max_stale.get(),
                logs_in: login.is_some(),
            },
            algorithms: config.algorithms.clone(),
            skew: config.clock_skew.get(),
            introspection,
            login,
            scopes: Arc::new(scopes),
            mapping,
            groups: config.groups.clone(),
        })
    }

    /// Checks an issuer's URL (RFC 8414, section 2); whether it is on this machine, unencrypted.
    fn issuer_url(&mut self, issuer: &str) -> bool {
        if let Err(why) = address(issuer) {
            self.wrong(".issuer", why);
        } else if issuer.contains(['?', '#']) {
            self.wrong(".issuer", "an issuer has neither a query nor a fragment");
        }
        is_plain(issuer)
    }

    /// Checks an address that the gateway will ask; only a loopback issuer may name an unencrypted one.
    fn reachable(&mut self, below: &str, text: Option<&str>, is_plain_issuer: bool) {
        let Some(text) = text else { return };
        match address(text) {
            Err(why) => self.wrong(below, why),
            Ok(_) if is_plain(text) && !is_plain_issuer => {
                self.wrong(below, "must be `https://`, as the issuer is");
            }
            Ok(_) => {}
        }
    }

    fn login(&mut self, config: &LoginConfig) -> LoginSettings {
        let is_id = |id: &str| (1..=200).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        if !is_id(&config.client_id) {
            self.wrong(".login.clientId", "a client's id is 1 to 200 printable bytes");
        }
        if config.native_client_id.as_deref().is_some_and(|id| !is_id(id)) {
            self.wrong(".login.nativeClientId", "a client's id is 1 to 200 printable bytes");
        }
        for (index, _) in config.scopes.iter().enumerate().filter(|(_, scope)| !is_scope(scope)) {
            let message = "a scope is one word of printable ASCII without quotes";
            self.wrong(&format!(".login.scopes[{index}]"), message);
        }
        if config.scopes.len() > MAX_LOGIN_SCOPES || !config.scopes.iter().any(|scope| scope == "openid") {
            let help = "name `openid` and up to 15 others, such as `email`";
            self.wrong_with(".login.scopes", "without `openid` an issuer says nobody's name", help);
        }
        if !LOGIN_LIFETIME.contains(&config.lifetime.get()) {
            self.wrong(".login.lifetime", "a log-in counts for `1m` to `8h`");
        }
        LoginSettings {
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
            native_client_id: config.native_client_id.clone(),
            scope: config.scopes.join(" "),
            lifetime: config.lifetime.get(),
        }
    }

    fn at_most(&mut self, below: &str, found: Duration, most: Duration) {
        if found > most {
            self.wrong(below, format!("at most `{}s`", most.as_secs()));
        }
    }

    fn group_roles(&mut self, groups: &BTreeMap<String, Vec<Role>>) {
        for (group, names) in groups {
            for (index, role) in
                names.iter().enumerate().filter(|(_, role)| !self.roles.contains(role.as_str()))
            {
                let help = did_you_mean(role.as_str(), "declared in `roles`", self.roles.iter().copied())
                    .unwrap_or_else(|| "declare it in `roles` of quaymaster.yaml".to_owned());
                self.wrong_with(
                    &format!(".groups.{group}[{index}]"),
                    &format!("unknown role `{role}`"),
                    &help,
                );
            }
        }
    }

    fn scopes(&mut self, config: &ScopesConfig) -> ScopeRules {
        let ScopesConfig { base, read, write, destructive } = config;
        for (below, scope) in [("base", base), ("read", read), ("write", write), ("destructive", destructive)]
        {
            if scope.as_deref().is_some_and(|scope| !is_scope(scope)) {
                self.wrong(
                    &format!(".scopes.{below}"),
                    "a scope is one word of printable ASCII without quotes",
                );
            }
        }
        ScopeRules {
            base: base.clone(),
            read: read.clone(),
            write: write.clone(),
            destructive: destructive.clone(),
        }
    }

    fn mappings(&mut self, config: &IssuerConfig) -> Option<Mappings> {
        let mapping = &config.mapping;
        let mut compile = |below: &str, text: Option<&str>| {
            text.and_then(|text| match Mapping::compile(text) {
                Ok(mapping) => Some(mapping),
                Err(why) => {
                    self.wrong(&format!(".mapping.{below}"), why);
                    None
                }
            })
        };
        let actor = compile("actor", Some(mapping.actor.as_deref().unwrap_or("claims.sub")));
        let person = compile("person", mapping.person.as_deref());
        let roles = compile("roles", mapping.roles.as_deref());
        let groups = compile("groups", mapping.groups.as_deref());
        let workspace = compile("workspace", mapping.workspace.as_deref());
        if groups.is_none() && mapping.groups.is_none() && !config.groups.is_empty() {
            self.wrong_with(
                ".groups",
                "no expression says who is in a group",
                "add `mapping.groups`, such as `claims.groups`",
            );
        }
        Some(Mappings { actor: actor?, person, roles, groups, workspace })
    }
}

/// A scope token (RFC 6749, section 3.3), which stands in a quoted string of a header.
fn is_scope(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
