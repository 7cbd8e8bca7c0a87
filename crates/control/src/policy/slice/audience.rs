//! For whom the policies of a slice are: what is known of them before anything is evaluated.

use std::collections::BTreeSet;

use cedar_policy::{Effect, Policy, PolicySet, PrincipalConstraint};
use quaymaster_core::{Actor, Memory, Role, Workspace};

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

#[derive(Debug)]
struct Bearing {
    audience: Audience,
    permits: bool,
    is_conditional: bool,
}

/// What of an actor the policies of a slice can tell apart.
type Likeness = (Vec<Role>, Workspace, &'static str);

/// For whom the policies of a slice are.
#[derive(Debug)]
pub(super) struct Audiences {
    bearings: Vec<Bearing>,
    /// The policies that ask nothing of the context.
    pub(super) plain: PolicySet,
    /// The roles that some policy names; none if one tells single actors apart.
    named_roles: Option<BTreeSet<String>>,
    /// Whether those who are alike could call the tool.
    pub(super) alike: Memory<Likeness, bool>,
}

/// Which policies let an actor in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LetIn {
    pub(super) permits: bool,
    pub(super) conditional_permits: bool,
    pub(super) conditional_forbids: bool,
}

impl Audiences {
    pub(super) fn of(policies: &[&SourcePolicy]) -> Result<Self, String> {
        let bearing = |source: &&SourcePolicy| Bearing {
            audience: Audience::of(&source.policy),
            permits: source.policy.effect() == Effect::Permit,
            is_conditional: source.mentions_context,
        };
        let plain = policies.iter().filter(|source| !source.mentions_context);
        Ok(Self {
            bearings: policies.iter().map(bearing).collect(),
            plain: PolicySet::from_policies(plain.map(|source| source.policy.clone()))
                .map_err(|e| e.to_string())?,
            named_roles: named_roles(policies),
            alike: Memory::default(),
        })
    }

    pub(super) fn let_in(&self, actor: &Actor) -> LetIn {
        let mut found = LetIn::default();
        for bearing in self.bearings.iter().filter(|bearing| bearing.audience.has(actor)) {
            found.permits |= bearing.permits;
            found.conditional_permits |= bearing.permits && bearing.is_conditional;
            found.conditional_forbids |= !bearing.permits && bearing.is_conditional;
        }
        found
    }

    /// What all share that no policy of the slice can tell apart from `actor`.
    pub(super) fn likeness(&self, actor: &Actor) -> Option<Likeness> {
        let named = self.named_roles.as_ref()?;
        let roles = actor.roles.iter().filter(|role| named.contains(role.as_str())).cloned().collect();
        Some((roles, actor.workspace.clone(), actor.authentication.as_str()))
    }
}

fn named_roles(policies: &[&SourcePolicy]) -> Option<BTreeSet<String>> {
    let mut roles = BTreeSet::new();
    for source in policies {
        let text = source.json.as_deref()?;
        if text.contains(r#""Actor""#) || text.contains(r#""person""#) {
            return None;
        }
        let literals = source.policy.entity_literals().into_iter();
        let named = literals.filter(|entity| entity.type_name().to_string() == "Role");
        roles.extend(named.map(|role| role.id().unescaped().to_owned()));
    }
    Some(roles)
}
