//! For whom the policies of a slice are: what is known of them before anything is evaluated.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{Effect, Policy, PrincipalConstraint};
use quaymaster_core::{Actor, ActorId, Role, Workspace};

use super::outlook::{Forecast, Outlook};
use crate::policy::context::Wants;
use crate::policy::source::SourcePolicy;

/// Whom the scope of a policy lets in.
#[derive(Debug)]
enum Audience {
    All,
    Actor(String),
    Role(String),
    Workspace(String),
    Nobody,
}

impl Audience {
    fn of(policy: &Policy) -> Self {
        let named = match policy.principal_constraint() {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => return Self::All,
            PrincipalConstraint::In(named)
            | PrincipalConstraint::Eq(named)
            | PrincipalConstraint::IsIn(_, named) => named,
        };
        let id = named.id().unescaped().to_owned();
        match named.type_name().to_string().as_str() {
            "Actor" => Self::Actor(id),
            "Role" => Self::Role(id),
            "Workspace" => Self::Workspace(id),
            _ => Self::Nobody,
        }
    }

    fn has(&self, actor: &Actor) -> bool {
        match self {
            Self::All => true,
            Self::Actor(id) => id == actor.id.as_str(),
            Self::Role(id) => actor.roles.iter().any(|role| role.as_str() == id),
            Self::Workspace(id) => id == actor.workspace.as_str(),
            Self::Nobody => false,
        }
    }
}

/// Whether the scope of `policy` lets `actor` in.
pub(in crate::policy) fn could_be_for(policy: &Policy, actor: &Actor) -> bool {
    Audience::of(policy).has(actor)
}

/// One policy of a slice, and whom it can be for.
#[derive(Debug)]
pub(super) struct Bearing {
    audience: Audience,
    pub(super) source: SourcePolicy,
    pub(super) wants: Wants,
    /// What it comes to whatever the context, in each place of the tool; nothing where that depends on
    /// more of an actor than that its scope lets it in.
    pub(super) outlooks: Option<Vec<Outlook>>,
}

impl Bearing {
    pub(super) fn permits(&self) -> bool {
        self.source.policy.effect() == Effect::Permit
    }
}

/// What of an actor the policies of a slice can tell apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::policy) struct Likeness {
    /// The roles, as far as some policy names them.
    pub(in crate::policy) roles: Vec<Role>,
    pub(in crate::policy) workspace: Workspace,
    pub(in crate::policy) authentication: &'static str,
    /// Account, person and groups, where some policy speaks of one.
    pub(in crate::policy) single: Option<(ActorId, ActorId, Arc<[String]>)>,
}

/// For whom the policies of a slice are.
#[derive(Debug)]
pub(super) struct Audiences {
    bearings: Vec<Bearing>,
    /// The roles that some policy names.
    named_roles: BTreeSet<String>,
    /// Some policy may tell single actors apart.
    tells_apart: bool,
}

impl Audiences {
    pub(super) fn of(policies: &[&SourcePolicy]) -> Self {
        let bearing = |source: &&SourcePolicy| Bearing {
            audience: Audience::of(&source.policy),
            source: SourcePolicy::clone(source),
            wants: Wants::of(source),
            outlooks: None,
        };
        let literals = policies.iter().flat_map(|source| source.policy.entity_literals());
        let roles = literals.filter(|entity| entity.type_name().to_string() == "Role");
        Self {
            bearings: policies.iter().map(bearing).collect(),
            named_roles: roles.map(|role| role.id().unescaped().to_owned()).collect(),
            tells_apart: policies.iter().any(|source| tells_apart(source)),
        }
    }

    /// Finds out what can be known beforehand.
    pub(super) fn settle(&mut self, forecast: &Forecast<'_>) -> Result<(), String> {
        let foreseen = self.bearings.iter().filter(|bearing| bearing.is_foreseeable());
        let roles = foreseen.clone().filter_map(|bearing| match &bearing.audience {
            Audience::Role(role) => Some(role.as_str()),
            _ => None,
        });
        let roles: BTreeSet<&str> = roles.collect();
        let found = forecast.outlooks(foreseen.map(|bearing| &bearing.source), &roles)?;
        for bearing in self.bearings.iter_mut().filter(|bearing| bearing.is_foreseeable()) {
            bearing.outlooks = found.get(bearing.source.policy.id()).cloned();
        }
        Ok(())
    }

    /// All policies.
    pub(super) fn sources(&self) -> impl Iterator<Item = &SourcePolicy> {
        self.bearings.iter().map(|bearing| &bearing.source)
    }

    /// The policies whose scope lets `actor` in. The others are false of it.
    pub(super) fn for_actor(&self, actor: &Actor) -> impl Iterator<Item = &Bearing> {
        self.bearings.iter().filter(|bearing| bearing.audience.has(actor))
    }

    /// What all share that no policy of the slice can tell apart from `actor`.
    pub(super) fn likeness(&self, actor: &Actor) -> Likeness {
        let named = |role: &&Role| self.named_roles.contains(role.as_str());
        let single = || (actor.id.clone(), actor.person().clone(), Arc::clone(&actor.groups));
        Likeness {
            roles: actor.roles.iter().filter(named).cloned().collect(),
            workspace: actor.workspace.clone(),
            authentication: actor.authentication.as_str(),
            single: self.tells_apart.then(single),
        }
    }
}

impl Bearing {
    /// Whether what it comes to depends on nothing of an actor that its scope lets in.
    fn is_foreseeable(&self) -> bool {
        !matches!(self.audience, Audience::Actor(_) | Audience::Nobody) && !self.source.asks_principal
    }
}

/// Whether a policy may hold for one actor and not for another in the same roles.
fn tells_apart(source: &SourcePolicy) -> bool {
    let apart = [r#""Actor""#, r#""person""#, r#""groups""#];
    source.json.as_deref().is_none_or(|text| apart.iter().any(|word| text.contains(word)))
}
