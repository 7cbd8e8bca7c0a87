//! What is wrong with a policy, and where.

use miette::Diagnostic;

/// Whether a problem refuses the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

/// A problem of a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyProblem {
    /// Which of the files, where it is in one.
    pub file: Option<usize>,
    /// The tool for which it was found, where it is about the fit of the two.
    pub tool: Option<String>,
    /// Byte offset and length in that file.
    pub span: Option<(usize, usize)>,
    /// Whether it refuses the configuration.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl PolicyProblem {
    /// What Cedar says, with its place.
    pub(super) fn of_diagnostic(file: Option<usize>, diagnostic: &dyn Diagnostic) -> Self {
        let label = diagnostic.labels().and_then(|mut labels| labels.next());
        Self {
            file,
            tool: None,
            span: label.map(|l| (l.offset(), l.len())),
            severity: Severity::Error,
            message: diagnostic.to_string(),
            help: diagnostic.help().map(|h| h.to_string()),
        }
    }
}
