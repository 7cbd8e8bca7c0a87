//! One file on its way: its text, its tree, what it was read as, what was found.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::checked::PathProblem;
use super::diagnostic::{Code, Diagnostic, Problem, Source, Span};
use super::shape::{Shaped, shape};
use super::yaml::{Node, parse};
use quaymaster_core::{SecretRef, SecretSource};

/// A file that was read as a `T`, as far as that was possible.
#[derive(Debug)]
pub(super) struct Document<T> {
    pub(super) source: Arc<Source>,
    /// `None` if the text is not YAML.
    root: Option<Node>,
    /// `None` if there is a problem with its form.
    pub(super) value: Option<T>,
    pub(super) found: Vec<Diagnostic>,
}

impl<T> Document<T> {
    /// Reads `source`; `into` makes a value of its tree.
    pub(super) fn read_with(source: Source, into: impl FnOnce(&Node, &str) -> Shaped<T>) -> Self {
        match parse(source.text()) {
            Ok(root) => {
                let shaped = into(&root, source.text());
                let source = Arc::new(source.hiding(shaped.hidden));
                let found = shaped.problems.into_iter().map(|problem| problem.in_file(&source)).collect();
                Self { source, root: Some(root), value: shaped.value, found }
            }
            Err(problem) => {
                let source = Arc::new(source);
                let found = vec![problem.in_file(&source)];
                Self { source, root: None, value: None, found }
            }
        }
    }

    /// Adds a problem at a path of the file.
    pub(super) fn report(&mut self, found: PathProblem) {
        let span = self.root.as_ref().map(|root| root.locate(&found.path));
        self.report_at(Problem { span, ..found.problem });
    }

    /// Adds a problem at its place in the file.
    pub(super) fn report_at(&mut self, problem: Problem) {
        self.found.push(problem.in_file(&self.source));
    }

    /// Adds a problem for every secret that is referred to and cannot be had.
    pub(super) fn report_missing_secrets(&mut self, secrets: &dyn SecretSource) {
        let mut missing: Vec<(Span, String)> = Vec::new();
        if let Some(root) = &self.root {
            root.scalars(&mut |scalar| {
                let reference = scalar.as_text().and_then(|text| SecretRef::parse(text).ok());
                if let Some(Err(error)) = reference.map(|reference| secrets.resolve(&reference)) {
                    missing.push((scalar.span, error.to_string()));
                }
            });
        }
        for (span, message) in missing {
            self.report_at(Problem::error(Code::Secret, span, message));
        }
    }
}

impl<T: DeserializeOwned + JsonSchema> Document<T> {
    /// Reads `source` as a `T`.
    pub(super) fn read(source: Source) -> Self {
        Self::read_with(source, shape::<T>)
    }
}
