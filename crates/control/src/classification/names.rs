//! What a classification may name.

use std::collections::{BTreeMap, BTreeSet};

use quaymaster_core::setting::Slug;
use quaymaster_core::suggest;

/// What is wrong with a classification, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassProblem {
    /// Where, such as `rules[2].level`.
    pub path: String,
    /// What.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// What there is in an installation that a classification may name.
#[derive(Clone, Debug, Default)]
pub struct KnownNames {
    /// The connectors.
    pub connectors: BTreeSet<String>,
    /// The public names of all configured tools, also of those that are not there yet.
    pub tools: BTreeSet<String>,
    /// The roles.
    pub roles: BTreeSet<String>,
    /// The workspaces, each with the jurisdiction that it is in, where it says one.
    pub workspaces: BTreeMap<Slug, Option<Slug>>,
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<ClassProblem>);

impl Problems {
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(ClassProblem { path: path.into(), message: message.into(), help: None });
    }

    pub(super) fn add_with_help(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.0.push(ClassProblem { path: path.into(), message: message.into(), help });
    }

    /// Adds a problem if `name` is not among `known`.
    pub(super) fn expect<'a>(
        &mut self,
        path: impl Into<String>,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) {
        if !known.clone().any(|other| other == name) {
            let help = suggest::did_you_mean(name, "there are", known);
            self.add_with_help(path, format!("there is no {what} `{}`", name.escape_debug()), help);
        }
    }
}
