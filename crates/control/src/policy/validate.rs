//! Policies against a schema, strictly.

use std::fmt::Display;

use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};

use super::problem::PolicyProblem;
use super::source::SourcePolicy;

/// What of `policies`, which make up `set`, does not fit `schema`. `tool` is the one for which
/// it was made.
pub(super) fn validate(
    set: &PolicySet,
    schema: &Schema,
    policies: &[&SourcePolicy],
    tool: Option<&dyn Display>,
) -> Result<(), Vec<PolicyProblem>> {
    let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    let problems: Vec<PolicyProblem> = result
        .validation_errors()
        .map(|error| {
            let origin = policies.iter().find(|p| p.policy.id() == error.policy_id());
            let mut problem = PolicyProblem::of_diagnostic(origin.and_then(|p| p.file), error);
            if problem.span.is_none() {
                problem.span = origin.filter(|p| p.length > 0).map(|p| (p.offset, p.length));
            }
            if let Some(tool) = tool {
                problem.tool = Some(tool.to_string());
                problem.message = format!("{} (checked for tool `{tool}`)", problem.message);
            }
            problem
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
