//! What is wrong with the `spec` of a connector file beyond its form.
//!
//! The form is checked while the file is read; what only the engine can judge
//! comes back as a list of these, each at its place, so that all are shown at once.

use quaymaster_core::Gate;
use quaymaster_core::connector::ApprovalConfig;
use quaymaster_core::setting::Slug;

/// A semantic problem of a connector file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecProblem {
    /// Where, such as `spec.server.command`.
    pub path: String,
    /// What is wrong: lower case, no full stop, no secrets.
    pub message: String,
    /// What would be right, where that is known.
    pub help: Option<String>,
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub(crate) Vec<SpecProblem>);

impl Problems {
    pub(crate) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(SpecProblem { path: path.into(), message: message.into(), help: None });
    }

    pub(crate) fn add_with_help(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.0.push(SpecProblem { path: path.into(), message: message.into(), help: Some(help.into()) });
    }

    /// Checks who has to agree to the calls of the tool at `path`.
    pub(crate) fn check_approval(&mut self, path: &str, approval: Option<&ApprovalConfig>) {
        let Some(approval) = approval else { return };
        let is_empty = |(list, roles): &(&str, &[Slug])| roles.is_empty() && *list != "emergency";
        if let Some((list, _)) = approval.named_roles().into_iter().find(is_empty) {
            self.add_with_help(
                format!("{path}.approval.{list}"),
                "nobody could approve a call of this tool",
                "name who may decide, as in `roles: [tech_lead]`",
            );
            return;
        }
        if let Err(message) = Gate::try_from(approval) {
            self.add(format!("{path}.approval"), message);
        }
    }
}
