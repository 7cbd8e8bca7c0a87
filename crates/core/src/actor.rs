//! Who asks.
//!
//! An [`Actor`] is what Quaymaster itself has established about a caller: never
//! anything the caller said of itself. What the agent claims (its name, its
//! threads, its model) is in [`AgentClaims`], which is evidence for the audit
//! and never grounds for a permission.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::class::DataClass;
use crate::json::ObjectWriter;
use crate::setting::Slug;
use crate::{Effect, SessionId, TokenId};

/// The stable name of a person or service, such as `ada@example.test`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ActorId(Arc<str>);

impl ActorId {
    /// Takes `name` as an actor's id.
    ///
    /// # Errors
    ///
    /// Says so if the name is empty, longer than 200 bytes, or holds control characters.
    pub fn parse(name: &str) -> Result<Self, String> {
        if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
            return Err(format!(
                "`{}` is not an actor: expected 1 to 200 printable bytes",
                name.escape_debug()
            ));
        }
        Ok(Self(name.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an actor is in the company, such as `analyst`. Policies speak of roles.
pub type Role = Slug;

/// A tenant. Nothing crosses from one workspace to another.
pub type Workspace = Slug;

/// How the actor was established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// By a bearer token that this installation issued.
    Token(TokenId),
    /// By an access token of an issuer that the configuration trusts.
    Issuer(Arc<Grant>),
    /// As the user of this machine who started `quaymaster stdio` or the command line.
    LocalUser,
}

impl Authentication {
    /// The token that was used, where one of this installation was.
    pub fn token(&self) -> Option<&TokenId> {
        match self {
            Self::Token(id) => Some(id),
            Self::Issuer(_) | Self::LocalUser => None,
        }
    }

    /// The word for the audit record.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Issuer(_) => "oauth",
            Self::LocalUser => "local_user",
        }
    }
}

/// What an access token covers: scopes, measured by what its issuer's tokens need here.
///
/// Scopes narrow what roles give and never widen it (OAuth 2.1, section 1.4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What the configuration calls the issuer.
    pub issuer: Slug,
    /// What its tokens call it (`iss`): another issuer may come to have the same name here.
    pub url: Arc<str>,
    /// The scopes that the token has, sorted.
    pub scopes: Arc<[String]>,
    /// The scopes that are needed.
    pub needed: Arc<ScopeRules>,
}

/// All scopes that something needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededScopes(String);

impl NeededScopes {
    /// The scopes with spaces between (RFC 6749, section 3.3).
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which scope is needed for what. None of a kind is none needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeRules {
    /// For anything at all.
    pub base: Option<String>,
    /// For what reads.
    pub read: Option<String>,
    /// For what writes or destroys.
    pub write: Option<String>,
    /// For what destroys, besides.
    pub destructive: Option<String>,
}

impl ScopeRules {
    /// Every scope that `effect` needs.
    pub fn of(&self, effect: Effect) -> impl Iterator<Item = &str> {
        let of_effect = match effect {
            Effect::Read => [self.read.as_deref(), None],
            Effect::Write => [self.write.as_deref(), None],
            Effect::Destructive => [self.write.as_deref(), self.destructive.as_deref()],
        };
        self.base.as_deref().into_iter().chain(of_effect.into_iter().flatten())
    }

    /// Every scope that is needed for something.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        [&self.base, &self.read, &self.write, &self.destructive].into_iter().filter_map(Option::as_deref)
    }
}

impl Grant {
    /// If the token does not cover `effect`: all scopes that this needs, those that it has among
    /// them (RFC 6750, section 3; MCP 2026-07-28, authorization, scope challenge).
    pub fn lacks(&self, effect: Effect) -> Option<NeededScopes> {
        let has = |scope: &str| self.scopes.iter().any(|own| own == scope);
        let is_short = !self.needed.of(effect).all(has);
        is_short.then(|| NeededScopes(self.needed.of(effect).collect::<Vec<_>>().join(" ")))
    }
}

/// A caller whose identity is established.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The stable name of the account.
    pub id: ActorId,
    /// Who is behind the account, where that is another name: a person may have several accounts, and
    /// a service account has an owner. Nobody decides on what one of their accounts asked for.
    pub person: Option<ActorId>,
    /// The roles, sorted, without repeats.
    pub roles: Arc<[Role]>,
    /// The groups that the actor's issuer says it is in, as `<issuer>:<group>`, sorted, without repeats.
    /// They are for policies to speak of, and give nothing by themselves.
    pub groups: Arc<[String]>,
    /// The workspace that the caller acts in.
    pub workspace: Workspace,
    /// The highest class of data that may be released to this actor.
    pub clearance: DataClass,
    /// How the identity was established.
    pub authentication: Authentication,
}

impl Actor {
    /// Who is behind the account.
    pub fn person(&self) -> &ActorId {
        self.person.as_ref().unwrap_or(&self.id)
    }

    /// What the caller may, as one text: its roles, its groups, its clearance and how it was established. One
    /// person may have several tokens, and what was released to one of them is not for a lesser one.
    pub fn authority(&self) -> String {
        let roles: Vec<&str> = self.roles.iter().map(Role::as_str).collect();
        let mut own =
            format!("{} {} {}", self.clearance.as_str(), self.authentication.as_str(), roles.join(","));
        // In quotes, because an issuer's names may hold anything.
        own.extend(self.groups.iter().map(|group| format!(" {group:?}")));
        // Of its scopes the one for reading alone: with another token for a further effect, as after a
        // challenge, its bearer goes on.
        if self.lacks_scopes(Effect::Read).is_some() { format!("{own} blind") } else { own }
    }

    /// If the caller's credentials lack the scope that everything needs: that scope.
    pub fn lacks_base_scope(&self) -> Option<NeededScopes> {
        let Authentication::Issuer(grant) = &self.authentication else { return None };
        let base = grant.needed.base.as_deref()?;
        (!grant.scopes.iter().any(|own| own == base)).then(|| NeededScopes(base.to_owned()))
    }

    /// If the caller's credentials do not cover `effect`: all scopes that this needs.
    pub fn lacks_scopes(&self, effect: Effect) -> Option<NeededScopes> {
        match &self.authentication {
            Authentication::Issuer(grant) => grant.lacks(effect),
            Authentication::Token(_) | Authentication::LocalUser => None,
        }
    }
}

/// What a client says of itself and its agent. Claimed, not proved.
///
/// The members are in alphabetical order, because the audit writes them as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AgentClaims {
    /// Whether a model instead of a person answers what the agent asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_review: Option<bool>,
    /// The client's own id for the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Name and version of the client, such as `codex-mcp-client/0.169.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The model that drives the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The thread that started this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_thread: Option<String>,
    /// The sandbox that the agent runs in, such as `read-only`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_mode: Option<String>,
    /// The agent's own session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The thread (conversation) that the call belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
}

impl AgentClaims {
    /// Writes the claims as canonical JSON.
    pub fn write_canonical(&self, out: &mut String) {
        // Taken apart, so that a member which is added cannot be forgotten.
        let Self { auto_review, call, client, model, parent_thread, sandbox_mode, session, thread } = self;
        let mut object = ObjectWriter::begin(out);
        if let Some(flag) = auto_review {
            object.boolean("auto_review", *flag);
        }
        object.optional("call", call.as_deref());
        object.optional("client", client.as_deref());
        object.optional("model", model.as_deref());
        object.optional("parent_thread", parent_thread.as_deref());
        object.optional("sandbox_mode", sandbox_mode.as_deref());
        object.optional("session", session.as_deref());
        object.optional("thread", thread.as_deref());
        object.end();
    }
}

/// The transport-level session that a request came in on, if the revision has sessions.
pub type Session = Option<SessionId>;

/// What every role may see at most. A role that is not declared does not exist.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RoleConfig {
    /// The highest class of data that may be released to the role.
    pub clearance: DataClass,
    /// What the role is for, shown to people.
    #[serde(default)]
    pub description: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_destroys_needs_what_writes_needs_and_a_challenge_names_all_of_it() {
        let scope = |name: &str| Some(name.to_owned());
        let needed = ScopeRules {
            base: scope("use"),
            read: None,
            write: scope("write"),
            destructive: scope("destroy"),
        };
        let grant = |scopes: &[&str]| Grant {
            issuer: Slug::parse("corp").expect("a name"),
            url: "https://issuer.example.test".into(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            needed: Arc::new(needed.clone()),
        };
        let lacks = |scopes: &[&str], effect| grant(scopes).lacks(effect).map(|needed| needed.0);
        assert_eq!(lacks(&["use"], Effect::Read), None);
        assert_eq!(lacks(&["use"], Effect::Write).as_deref(), Some("use write"));
        assert_eq!(lacks(&["use", "destroy"], Effect::Destructive).as_deref(), Some("use write destroy"));
        assert_eq!(lacks(&["destroy", "use", "write"], Effect::Destructive), None);
        assert_eq!(lacks(&["write"], Effect::Write).as_deref(), Some("use write"));
        assert_eq!(lacks(&["Use"], Effect::Read).as_deref(), Some("use"));
    }

    #[test]
    fn claims_are_written_as_the_canonical_writer_would() {
        let text = |text: &str| Some(text.to_owned());
        let all = AgentClaims {
            auto_review: Some(true),
            call: text("c-1"),
            client: text("codex \u{e9}\u{1f600}\"\\\n\u{1}\u{7f}/0.169.0"),
            model: text("m"),
            parent_thread: text("p"),
            sandbox_mode: text("read-only"),
            session: text("s"),
            thread: text("t"),
        };
        for claims in
            [all, AgentClaims::default(), AgentClaims { model: text("m"), ..AgentClaims::default() }]
        {
            let mut written = String::new();
            claims.write_canonical(&mut written);
            let value = serde_json::to_value(&claims).expect("JSON");
            assert_eq!(written, crate::json::canonical(&value));
        }
    }
}
