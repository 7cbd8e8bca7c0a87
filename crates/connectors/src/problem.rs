//! What is wrong with the `spec` of a connector file beyond its form.
//!
//! The form is checked while the file is read; what only the engine can judge
//! comes back as a list of these, each at its place, so that all are shown at once.

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
}
