//! Policies without an effect: no decision would be another without them.
//!
//! A policy that demands something, asks for an approval or is about more than calls has an effect
//! wherever it holds, even where another policy decides the same; of these only that they never hold
//! is looked for.

use std::collections::BTreeMap;

use cedar_policy::Effect;

use super::super::Policies;
use super::super::action::Action;
use super::super::slice::Slice;
use super::super::source::SourcePolicy;
use super::frame::Frame;
use super::{Finding, NO_ANSWER, ProofError, Prover, Sense, UNTYPED, Undecided};

/// A policy of the files, and whether it is without an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    /// Its id.
    pub id: String,
    /// Where it is written, as `file:line`.
    pub place: Option<String>,
    /// `Holds` if nothing would change without it.
    pub finding: Finding,
}

impl Policies {
    /// Every policy about calls of which it is not proved that it has an effect on some tool, sorted by
    /// id. Each could go by itself; of two that say the same, one has to stay.
    ///
    /// # Errors
    ///
    /// [`ProofError`] if that cannot be put to the solver.
    pub async fn without_effect(&self, prover: &mut Prover) -> Result<Vec<Idle>, ProofError> {
        let mut bearing: BTreeMap<String, Vec<(&Slice, &SourcePolicy)>> = BTreeMap::new();
        for slice in self.slices.values() {
            for source in slice.sources().filter(|source| source.file.is_some()) {
                bearing.entry(source.policy.id().to_string()).or_default().push((slice, source));
            }
        }
        let mut idle = Vec::new();
        for (id, slices) in bearing {
            let place = slices.first().and_then(|(_, source)| source.notes.place.clone());
            if let Some(finding) = of_policy(prover, &slices).await? {
                idle.push(Idle { id, place, finding });
            }
        }
        Ok(idle)
    }
}

/// Whether a policy has no effect on any of the tools that it bears on; none if it has.
async fn of_policy(
    prover: &mut Prover,
    slices: &[(&Slice, &SourcePolicy)],
) -> Result<Option<Finding>, ProofError> {
    let mut finding = Finding::Holds;
    for (slice, source) in slices {
        let found = if slice.typed { on_tool(prover, slice, source).await } else { Ok(None) };
        match found {
            Ok(Some(true)) => return Ok(None),
            Ok(Some(false)) => {}
            Ok(None) => finding = Finding::Unknown(UNTYPED.into()),
            Err(Asked::NoAnswer) => finding = Finding::Unknown(NO_ANSWER.into()),
            Err(Asked::Failed(error)) => return Err(error),
        }
    }
    Ok(Some(finding))
}

/// Why it was not found out.
enum Asked {
    NoAnswer,
    Failed(ProofError),
}

impl From<ProofError> for Asked {
    fn from(error: ProofError) -> Self {
        Self::Failed(error)
    }
}

impl From<Undecided> for Asked {
    fn from(why: Undecided) -> Self {
        match why {
            Undecided::NoAnswer => Self::NoAnswer,
            Undecided::Failed(message) => Self::Failed(ProofError::Solver(message)),
        }
    }
}

/// Whether `source` has an effect on some call of the tool of `slice`.
async fn on_tool(prover: &mut Prover, slice: &Slice, source: &SourcePolicy) -> Result<Option<bool>, Asked> {
    let policy = slice.compile_one(&source.policy)?;
    // A policy that fails to evaluate denies.
    if !prover.never_errs(&policy).await? {
        return Ok(Some(true));
    }
    let is_about_calls = source.actions == [Action::Call];
    let binds = !is_about_calls || source.notes.approval.is_some() || !source.notes.obligations.is_empty();
    for place in &slice.places {
        let frame = Frame::of(slice, place)?;
        let possible = slice.compile_one(&frame.policy("frame/possible", Effect::Permit, false)?)?;
        if prover.disjoint(&policy, &possible).await? {
            continue;
        }
        if binds {
            return Ok(Some(true));
        }
        for sense in [Sense::Unapproved, Sense::Ever] {
            let with = slice.compile(&slice.allowing(sense, &frame, None)?)?;
            let without = slice.allowing(sense, &frame, Some(source.policy.id().as_ref()))?;
            if !prover.alike(&with, &slice.compile(&without)?).await? {
                return Ok(Some(true));
            }
        }
    }
    Ok(Some(false))
}
