//! Symbolic checks: what holds of policies for every call that there could ever be.
//!
//! The policies of a tool are compiled to SMT by `cedar-policy-symcc` and a solver, which runs as a
//! process of its own (`solver`), looks for a call that contradicts what is claimed. What every call of a
//! tool has in common, such as the tool's own attributes, is said in `frame`.
//!
//! Cedar skips a policy that fails to evaluate, and here it denies. So what is denied for Cedar is
//! denied here, and where the difference matters the policies concerned are asked whether they can fail.
//!
//! Invariants:
//! - `Holds` is said of what the solver has proved and of nothing else; no answer in time is no proof.
//! - Arguments whose types are not known prove nothing.

mod effect;
mod frame;
mod solver;

use std::collections::BTreeSet;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Effect, EntityUid, Policy, PolicySet, RequestEnv,
};
use cedar_policy_symcc::{CompiledPolicy, CompiledPolicySet, Env};
use quaymaster_catalog::Tool;
use quaymaster_core::Role;
use thiserror::Error;

pub use effect::Idle;
pub use solver::Prover;

use super::Policies;
use super::aside::Aside;
use super::entities::{Placed, uid};
use super::slice::Slice;
use super::source::SourcePolicy;
use frame::Frame;

/// Why nothing can be proved.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// There is no such program.
    #[error("there is no solver: `{program}` cannot be run")]
    NoSolver {
        /// What was looked for.
        program: String,
    },
    /// The program is not one that is known to understand what it would be asked.
    #[error("the solver `{program}` is not cvc5 {} or later: {said}", solver::LEAST)]
    OtherSolver {
        /// What was run.
        program: String,
        /// What it says of itself.
        said: String,
    },
    /// The condition of a claim is none.
    #[error("the condition is not one in Cedar that fits every tool: {0}")]
    Condition(String),
    /// The solver or the compiler gave up.
    #[error("the solver failed: {0}")]
    Solver(String),
}

impl ProofError {
    /// The stable name of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSolver { .. } => "proof.no_solver",
            Self::OtherSolver { .. } => "proof.other_solver",
            Self::Condition(_) => "proof.condition",
            Self::Solver(_) => "proof.solver_failed",
        }
    }
}

/// What is claimed never to be allowed.
#[derive(Clone, Debug, Default)]
pub struct Never {
    /// Asked by whoever has exactly these roles; by anybody if none.
    pub roles: Option<BTreeSet<Role>>,
    /// Where this holds, as an expression in Cedar; always if none.
    pub when: Option<String>,
    /// Without the agreement of anybody. Else what somebody may agree to counts as allowed.
    pub unapproved: bool,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It holds for every call.
    Holds,
    /// It does not hold: here is a call.
    Fails(Example),
    /// It was neither proved nor refuted.
    Unknown(String),
}

/// A call that contradicts what was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The workspace.
    pub workspace: String,
    /// The roles of whoever calls.
    pub roles: Vec<String>,
    /// What else policies see of the call, as `name = value` in Cedar, sorted.
    pub context: Vec<String>,
}

/// What counts as allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sense {
    /// Now, without anybody's agreement.
    Unapproved,
    /// Now or after somebody has agreed.
    Ever,
}

impl Policies {
    /// Whether no call of `tool` that `claim` speaks of is ever allowed.
    ///
    /// # Errors
    ///
    /// [`ProofError`] if the claim cannot be put to the solver.
    pub async fn never(
        &self,
        prover: &mut Prover,
        tool: &Tool,
        claim: &Never,
    ) -> Result<Finding, ProofError> {
        let Some(slice) = self.slices.get(tool.name().as_str()) else { return Ok(Finding::Holds) };
        let sense = if claim.unapproved { Sense::Unapproved } else { Sense::Ever };
        if !slice.typed {
            return Ok(Finding::Unknown(UNTYPED.into()));
        }
        for place in &slice.places {
            let claimed = Frame::of(slice, place)?.claimed(claim)?;
            claimed.check(&slice.schema)?;
            let set = slice.allowing(sense, &claimed, None)?;
            let question = slice.compile(&set)?;
            let found = prover.allows(&question).await;
            match judged(found, place, &set)? {
                Finding::Holds => {}
                other => return Ok(other),
            }
        }
        Ok(Finding::Holds)
    }

    /// Whether these policies allow no call of `tool` that `others` do not allow as well, neither at
    /// once nor after somebody has agreed.
    ///
    /// # Errors
    ///
    /// [`ProofError`] if that cannot be put to the solver.
    pub async fn implied_by(
        &self,
        prover: &mut Prover,
        tool: &Tool,
        others: &Self,
    ) -> Result<Finding, ProofError> {
        let Some(slice) = self.slices.get(tool.name().as_str()) else { return Ok(Finding::Holds) };
        let Some(other) = others.slices.get(tool.name().as_str()) else {
            return self.never(prover, tool, &Never::default()).await;
        };
        if !slice.typed {
            return Ok(Finding::Unknown(UNTYPED.into()));
        }
        // What is hidden cannot be called.
        if !hiding(other).is_subset(&hiding(slice)) {
            return Ok(Finding::Unknown("what hides the tool was changed: a policy about `list`".into()));
        }
        for place in &slice.places {
            let frame = Frame::of(slice, place)?.with_names_of(other);
            for sense in [Sense::Unapproved, Sense::Ever] {
                let set = slice.allowing(sense, &frame, None)?;
                let (ours, theirs) =
                    (slice.compile(&set)?, slice.compile(&other.allowing(sense, &frame, None)?)?);
                let found = prover.allows_beyond(&ours, &theirs).await;
                match judged(found, place, &set)? {
                    Finding::Holds => {}
                    other => return Ok(other),
                }
            }
        }
        // What fails to evaluate denies here, so others may deny what Cedar would have them allow.
        for source in other.sources() {
            if !prover.never_errs(&slice.compile_one(&source.policy)?).await? {
                let id = source.policy.id();
                return Ok(Finding::Unknown(format!("the policy `{id}` may fail to evaluate, which denies")));
            }
        }
        Ok(Finding::Holds)
    }
}

/// What is said of whether a tool is listed.
fn hiding(slice: &Slice) -> BTreeSet<String> {
    slice.lists.as_ref().map(Aside::written).unwrap_or_default()
}

const UNTYPED: &str = "its server was not asked for its arguments: see --connect";

impl Slice {
    /// The policies that allow calls in one sense, inside `frame`, and without the policy `but`.
    fn allowing(&self, sense: Sense, frame: &Frame, but: Option<&str>) -> Result<PolicySet, ProofError> {
        let gated = |source: &&SourcePolicy| {
            source.policy.effect() == Effect::Permit && source.notes.approval.is_some()
        };
        let own = self
            .sources()
            .filter(|source| sense == Sense::Ever || !gated(source))
            .filter(|source| but.is_none_or(|but| source.policy.id().to_string() != but))
            .map(|source| source.policy.clone());
        let frame = frame.policies(sense == Sense::Unapproved)?;
        PolicySet::from_policies(own.chain(frame)).map_err(failed)
    }

    fn environment() -> Result<RequestEnv, ProofError> {
        let kind = |uid: EntityUid| uid.type_name().clone();
        let (actor, tool) = (uid("Actor", "").map_err(failed)?, uid("Tool", "").map_err(failed)?);
        Ok(RequestEnv::new(kind(actor), uid("Action", "call").map_err(failed)?, kind(tool)))
    }

    fn compile(&self, set: &PolicySet) -> Result<CompiledPolicySet, ProofError> {
        CompiledPolicySet::compile(set, &Self::environment()?, &self.schema).map_err(failed)
    }

    fn compile_one(&self, policy: &Policy) -> Result<CompiledPolicy, ProofError> {
        CompiledPolicy::compile(policy, &Self::environment()?, &self.schema).map_err(failed)
    }
}

/// What a contradiction that the solver found, or did not find, says of the calls in `place`.
fn judged(
    found: Result<Option<Env>, Undecided>,
    place: &Placed,
    set: &PolicySet,
) -> Result<Finding, ProofError> {
    Ok(match found {
        Ok(None) => Finding::Holds,
        Ok(Some(env)) => {
            let response = Authorizer::new().is_authorized(&env.request, set, &env.entities);
            if let Some(AuthorizationError::PolicyEvaluationError(error)) =
                response.diagnostics().errors().next()
            {
                let id = error.policy_id();
                return Ok(Finding::Unknown(format!("the policy `{id}` may fail to evaluate, which denies")));
            }
            Finding::Fails(Example::of(&env, place))
        }
        Err(Undecided::NoAnswer) => Finding::Unknown(NO_ANSWER.into()),
        Err(Undecided::Failed(message)) => return Err(ProofError::Solver(message)),
    })
}

const NO_ANSWER: &str = "the solver found no answer in time";

/// Why the solver says nothing.
#[derive(Debug)]
enum Undecided {
    NoAnswer,
    Failed(String),
}

impl Example {
    fn of(env: &Env, place: &Placed) -> Self {
        let Env { request, entities } = env;
        let principal = request.principal();
        let ancestors = principal.and_then(|uid| entities.ancestors(uid)).into_iter().flatten();
        let roles = ancestors.filter(|uid| uid.type_name().to_string() == "Role");
        let roles: BTreeSet<String> = roles.map(|role| role.id().unescaped().to_owned()).collect();
        let mut context: Vec<String> = request.context().into_iter().flat_map(written).collect();
        context.sort();
        let of_actor = principal.and_then(|uid| entities.get(uid)).into_iter();
        let attributes = of_actor.flat_map(|entity| {
            let attribute = |name: &str| Some(format!("principal.{name} = {}", entity.attr(name)?.ok()?));
            ["authentication", "groups", "person"].map(attribute)
        });
        context.extend(attributes.flatten());
        Self { workspace: place.workspace.to_string(), roles: roles.into_iter().collect(), context }
    }
}

fn written(context: &Context) -> Vec<String> {
    let names = context.clone().into_iter().map(|(name, _)| name);
    names.filter_map(|name| Some(format!("{name} = {}", context.get(&name)?))).collect()
}

fn failed(error: impl std::fmt::Display) -> ProofError {
    ProofError::Solver(error.to_string())
}
