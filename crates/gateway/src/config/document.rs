//! One file on its way: its text, its tree, what it was read as, what was found.

use std::sync::Arc;

use quaymaster_core::{SecretRef, SecretSource};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::checked::PathProblem;
use super::diagnostic::{Code, Diagnostic, Problem, Source};
use super::shape::{Shaped, shape};
use super::yaml::{Node, parse};

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

    /// Adds problems at paths of the file.
    pub(super) fn report(&mut self, problems: impl IntoIterator<Item = PathProblem>) {
        for PathProblem { path, problem } in problems {
            let span = self.root.as_ref().map(|root| root.locate(&path));
            self.found.push(Problem { span, ..problem }.in_file(&self.source));
        }
    }

    /// Adds a problem for every secret that is referred to and cannot be had.
    pub(super) fn report_missing_secrets(&mut self, secrets: &dyn SecretSource) {
        let Some(root) = &self.root else { return };
        root.scalars(&mut |scalar| {
            let reference = scalar.as_text().and_then(|text| SecretRef::parse(text).ok());
            if let Some(Err(error)) = reference.map(|reference| secrets.resolve(&reference)) {
                let problem = Problem::error(Code::Secret, scalar.span, format!("{}: {error}", error.code()));
                self.found.push(problem.in_file(&self.source));
            }
        });
    }
}

impl<T: DeserializeOwned + JsonSchema> Document<T> {
    /// Reads `source` as a `T`.
    pub(super) fn read(source: Source) -> Self {
        Self::read_with(source, shape::<T>)
    }
}
